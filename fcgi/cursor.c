#include "fcgi/cursor.h"

#include <string.h>

/* flags, ms, seq (of a walk through buckets: their length), from, to, device id, checksum */
#define FIXED   (1 + 4 * 8)
#define SUM     4
#define RAW_MAX (FIXED + MSG_DEVICE_ID_MAX + SUM)

#define FLAG_DESCENDING 1
#define FLAG_FROM       2
#define FLAG_TO         4
#define FLAG_STEP       8
#define WALK_SHIFT      4 /* the upper half says what is walked through */

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static uint32_t checksum(const unsigned char *p, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 16777619u;
    return h;
}

static void put_be(unsigned char *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t get_be(const unsigned char *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

size_t cursor_encode(char out[CURSOR_TEXT_MAX], const struct cursor *c)
{
    unsigned char raw[RAW_MAX + 2] = {0};
    size_t id_len = strnlen(c->device_id, MSG_DEVICE_ID_MAX);
    raw[0] = (unsigned char)((unsigned)c->walk << WALK_SHIFT | (c->descending ? FLAG_DESCENDING : 0) |
                             (c->has_from ? FLAG_FROM : 0) | (c->has_to ? FLAG_TO : 0) | (c->step_ms ? FLAG_STEP : 0));
    put_be(raw + 1, c->ms, 8);
    put_be(raw + 9, c->step_ms ? (uint64_t)c->step_ms : c->seq, 8);
    put_be(raw + 17, (uint64_t)c->from_ms, 8);
    put_be(raw + 25, (uint64_t)c->to_ms, 8);
    memcpy(raw + FIXED, c->device_id, id_len);
    size_t n = FIXED + id_len;
    put_be(raw + n, checksum(raw, n), SUM);
    n += SUM;

    size_t len = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];
        size_t chars = n - i >= 3 ? 4 : n - i + 1;
        for (size_t k = 0; k < chars; k++)
            out[len++] = alphabet[v >> (18 - 6 * k) & 63];
    }
    out[len] = '\0';
    return len;
}

/* base64url without padding; returns the bytes, or -1. Unused bits must be zero. */
static long decode64(unsigned char *out, size_t cap, const char *text, size_t len)
{
    uint32_t bits = 0;
    size_t have = 0, n = 0;
    if (len % 4 == 1)
        return -1;
    for (size_t i = 0; i < len; i++) {
        const char *at = text[i] ? memchr(alphabet, text[i], sizeof(alphabet)) : NULL;
        if (!at)
            return -1;
        bits = (bits << 6 | (uint32_t)(at - alphabet)) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            if (n == cap)
                return -1;
            out[n++] = (unsigned char)(bits >> have);
        }
    }
    return (bits & ((1u << have) - 1)) ? -1 : (long)n;
}

int cursor_decode(const char *text, size_t len, struct cursor *c)
{
    unsigned char raw[RAW_MAX];
    long n = len < CURSOR_TEXT_MAX ? decode64(raw, sizeof(raw), text, len) : -1;
    if (n < FIXED + SUM)
        return -1;
    size_t body = (size_t)n - SUM;
    if (get_be(raw + body, SUM) != checksum(raw, body))
        return -1;
    unsigned walk = raw[0] >> WALK_SHIFT, flags = raw[0] & ((1u << WALK_SHIFT) - 1);
    if (walk < CURSOR_TELEMETRY || walk > CURSOR_EVENTS)
        return -1;
    uint64_t ms = get_be(raw + 1, 8), seq = get_be(raw + 9, 8);
    if (flags & FLAG_STEP && (walk != CURSOR_TELEMETRY || seq == 0 || seq > CURSOR_BUCKET_MAX_MS ||
                              ms > CURSOR_BUCKET_MAX_MS || ms % seq != 0))
        return -1;
    size_t id_len = body - FIXED;
    if (walk == CURSOR_EVENTS ? id_len > 0 : !msg_device_id_valid((const char *)raw + FIXED, id_len))
        return -1;

    memset(c, 0, sizeof(*c));
    c->walk = (enum cursor_walk)walk;
    c->descending = flags & FLAG_DESCENDING;
    c->has_from = flags & FLAG_FROM;
    c->has_to = flags & FLAG_TO;
    c->ms = ms;
    c->step_ms = flags & FLAG_STEP ? (int64_t)seq : 0;
    c->seq = flags & FLAG_STEP ? 0 : seq;
    c->from_ms = (int64_t)get_be(raw + 17, 8);
    c->to_ms = (int64_t)get_be(raw + 25, 8);
    memcpy(c->device_id, raw + FIXED, id_len);
    return 0;
}
