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

size_t relay_message_max(const struct conf_wsd *conf, enum msg_sender from)
{
    int max = from == MSG_FROM_WEBSITE                    ? conf->command_bytes
              : conf->video_bytes > conf->telemetry_bytes ? conf->video_bytes
                                                          : conf->telemetry_bytes;
    return (size_t)max;
}

bool relay_only_video_is_that_long(const struct conf_wsd *conf, enum msg_sender from, size_t len)
{
    return from == MSG_FROM_ROBOT && len > (size_t)conf->telemetry_bytes;
}

bool relay_looks_like_video(const char *text, size_t len)
{
    static const char name[] = "\"video_frame\"";
    const char *end = text + len;
    int members = 0;
    /* A small message can swell a hundredfold when it is parsed: "[{},{},…". */
    for (const char *at = text; at < end && (at = memchr(at, ',', (size_t)(end - at))) != NULL; at++) {
        if (++members > 16)
            return false;
    }
    return memmem(text, len, name, sizeof(name) - 1) != NULL;
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
