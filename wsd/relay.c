#include "wsd/relay.h"

#include <string.h>

uint32_t relay_command_key(enum msg_type type)
{
    return msg_is_move(type) ? (uint32_t)type : 0;
}

int relay_command_ttl(const struct conf_wsd *conf, const struct msg *m)
{
    int most = msg_is_move(m->type) ? conf->move_ttl_ms : conf->setting_ttl_ms;
    if (relay_is_zero_motion(m))
        return 0;
    return m->ttl_ms > 0 && m->ttl_ms < most ? m->ttl_ms : most;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

size_t relay_message_max(const struct conf_wsd *conf, enum msg_sender from)
{
    if (from == MSG_FROM_WEBSITE)
        return (size_t)conf->command_bytes;
    return (size_t)larger(larger(conf->video_bytes, conf->batch_bytes), conf->telemetry_bytes);
}

bool relay_is_long(const struct conf_wsd *conf, enum msg_sender from, size_t len)
{
    return from == MSG_FROM_ROBOT && len > (size_t)conf->telemetry_bytes;
}

/* At most `most` times. A small message can swell a hundredfold when it is parsed: "[{},{},…". */
static bool few(const char *text, size_t len, char what, int most)
{
    const char *end = text + len;
    int n = 0;
    for (const char *at = text; at < end && (at = memchr(at, what, (size_t)(end - at))) != NULL; at++) {
        if (++n > most)
            return false;
    }
    return true;
}

static bool looks_like_video(const char *text, size_t len)
{
    static const char name[] = "\"video_frame\"";
    return few(text, len, ',', 16) && memmem(text, len, name, sizeof(name) - 1) != NULL;
}

/* Twice the samples and members that one may have: who is a little wrong gets to know how. */
static bool looks_like_batch(const char *text, size_t len)
{
    static const char name[] = "\"telemetry_batch\"";
    return few(text, len, '{', 2 * MSG_SAMPLES_MAX) && few(text, len, '[', 16) &&
           few(text, len, ',', 2 * MSG_SAMPLES_MAX * (MSG_METRICS_MAX + 1)) &&
           memmem(text, len, name, sizeof(name) - 1) != NULL;
}

enum msg_type relay_long_type(const struct conf_wsd *conf, const char *text, size_t len)
{
    if (len <= (size_t)conf->video_bytes && looks_like_video(text, len))
        return MSG_VIDEO_FRAME;
    return len <= (size_t)conf->batch_bytes && looks_like_batch(text, len) ? MSG_TELEMETRY_BATCH : MSG_NONE;
}

int relay_cost(const struct msg *m)
{
    return m->type == MSG_TELEMETRY_BATCH ? (int)(m->n_samples + RELAY_SAMPLES_PER_COST - 1) / RELAY_SAMPLES_PER_COST
                                          : 1;
}

int64_t relay_sample_time(const struct msg *m, int64_t now_ms)
{
    return m->has_time && m->time_ms > 0 && m->time_ms <= now_ms + RELAY_AHEAD_MS ? m->time_ms : -1;
}

bool relay_is_zero_motion(const struct msg *m)
{
    return msg_is_move(m->type) && m->x == 0.0 && m->y == 0.0;
}

bool relay_path_valid(const char *path, size_t len)
{
    static const char valid[] = "/ws/telemetry/";
    size_t full = sizeof(valid) - 1;
    return (len == full || len == full - 1) && memcmp(path, valid, len) == 0;
}
