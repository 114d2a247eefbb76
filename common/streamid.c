#include "streamid.h"

#include <inttypes.h>
#include <stdio.h>

int streamid_compare(struct streamid a, struct streamid b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    if (a.seq != b.seq)
        return a.seq < b.seq ? -1 : 1;
    return 0;
}

bool streamid_after(struct streamid *id)
{
    if (id->seq < UINT64_MAX) {
        id->seq++;
        return true;
    }
    if (id->ms == UINT64_MAX)
        return false;
    id->ms++;
    id->seq = 0;
    return true;
}

bool streamid_before(struct streamid *id)
{
    if (id->seq > 0) {
        id->seq--;
        return true;
    }
    if (id->ms == 0)
        return false;
    id->ms--;
    id->seq = UINT64_MAX;
    return true;
}

static int parse_u64(const char **p, const char *end, uint64_t *value)
{
    const char *start = *p;
    uint64_t v = 0;
    while (*p < end && **p >= '0' && **p <= '9') {
        uint64_t digit = (uint64_t)(**p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return -1;
        v = v * 10 + digit;
        (*p)++;
    }
    if (*p == start)
        return -1;
    *value = v;
    return 0;
}

int streamid_parse(const char *text, size_t len, struct streamid *id)
{
    const char *p = text, *end = text + len;
    struct streamid parsed;
    if (parse_u64(&p, end, &parsed.ms) < 0 || p == end || *p++ != '-')
        return -1;
    if (parse_u64(&p, end, &parsed.seq) < 0 || p != end)
        return -1;
    *id = parsed;
    return 0;
}

size_t streamid_format(char out[STREAMID_TEXT_MAX], struct streamid id)
{
    return (size_t)snprintf(out, STREAMID_TEXT_MAX, "%" PRIu64 "-%" PRIu64, id.ms, id.seq);
}
