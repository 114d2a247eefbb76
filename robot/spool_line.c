#include "robot/spool_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CRC_DIGITS 8
#define BODY_MAX   (SPOOL_METRICS_MAX + 32)

/* CRC-32 of IEEE 802.3, half a byte at a time. */
static uint32_t checksum(const char *text, size_t len)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)text[i];
        crc = table[crc & 15] ^ crc >> 4;
        crc = table[crc & 15] ^ crc >> 4;
    }
    return ~crc;
}

size_t spool_line_put(char out[SPOOL_LINE_MAX], const struct spool_line *line)
{
    char body[BODY_MAX];
    int n;

    if (line->kind == SPOOL_SAMPLE && line->len > SPOOL_METRICS_MAX)
        return 0;
    if (line->kind == SPOOL_SAMPLE)
        n = snprintf(body, sizeof(body), "s %" PRId64 " %.*s", line->time_ms, (int)line->len, line->metrics);
    else
        n = snprintf(body, sizeof(body), "d %" PRIu64 " %" PRIu64, line->number, line->at);
    n = snprintf(out, SPOOL_LINE_MAX, "%08" PRIx32 " %d %s\n", checksum(body, (size_t)n), n, body);
    return (size_t)n;
}

/* Decimal digits and what ends them, which is not read. -1: there are none, or too many. */
static int read_number(const char **at, const char *end, uint64_t *out)
{
    const char *start = *at;
    uint64_t value = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        value = value * 10 + (uint64_t)(**at - '0');
    *out = value;
    return *at > start && *at - start <= 18 ? 0 : -1;
}

static int skip(const char **at, const char *end, char c)
{
    if (*at == end || **at != c)
        return -1;
    (*at)++;
    return 0;
}

/* A body whose checksum is right: written here, or by an earlier or later version. */
static struct spool_line read_body(const char *at, const char *end)
{
    struct spool_line line = {.kind = SPOOL_DAMAGED};
    uint64_t first, second;

    if (end - at > 2 && at[0] == 's' && at[1] == ' ') {
        at += 2;
        if (read_number(&at, end, &first) != 0 || skip(&at, end, ' ') != 0 || end - at > SPOOL_METRICS_MAX)
            return line;
        return (struct spool_line){
            .kind = SPOOL_SAMPLE, .time_ms = (int64_t)first, .metrics = at, .len = (size_t)(end - at)};
    }
    if (end - at > 2 && at[0] == 'd' && at[1] == ' ') {
        at += 2;
        if (read_number(&at, end, &first) != 0 || skip(&at, end, ' ') != 0 || read_number(&at, end, &second) != 0 ||
            at != end)
            return line;
        return (struct spool_line){.kind = SPOOL_DONE, .number = first, .at = second};
    }
    return line;
}

struct spool_line spool_line_read(const char *text, size_t len)
{
    static const struct spool_line damaged = {.kind = SPOOL_DAMAGED};
    const char *at = text + CRC_DIGITS, *end = text + len;
    char digits[CRC_DIGITS + 1];
    uint64_t body_len;

    if (len < CRC_DIGITS + 4 || skip(&at, end, ' ') != 0 || read_number(&at, end, &body_len) != 0 ||
        skip(&at, end, ' ') != 0 || body_len != (uint64_t)(end - at))
        return damaged;
    snprintf(digits, sizeof(digits), "%08" PRIx32, checksum(at, (size_t)body_len));
    return memcmp(digits, text, CRC_DIGITS) == 0 ? read_body(at, end) : damaged;
}
