#include "fcgi/timeparam.h"

#include "common/clock.h"

#include <string.h>

#define TEXT_MAX  64
#define MS_FROM   100000000000LL /* numbers from here on are milliseconds (1973 in ms, 5138 in s) */
#define COUNT_MAX 1000000000LL   /* of a relative time's unit */

/* Digits from text[*at] to *value, at most 15 of them; returns how many. */
static size_t digits(const char *text, size_t len, size_t *at, int64_t *value)
{
    size_t n = 0;
    int64_t v = 0;
    while (*at < len && text[*at] >= '0' && text[*at] <= '9' && n < 16) {
        v = v * 10 + (text[*at] - '0');
        (*at)++;
        n++;
    }
    *value = v;
    return n > 15 ? 0 : n;
}

static int parse_number(const char *text, size_t len, int64_t *ms)
{
    size_t at = 0;
    int64_t whole, value;
    if (digits(text, len, &at, &whole) == 0)
        return -1;
    if (at == len && whole >= MS_FROM)
        value = whole;
    else if (whole < MS_FROM)
        value = whole * 1000;
    else
        return -1;
    if (at < len) {
        if (text[at++] != '.' || at == len)
            return -1;
        int64_t unit = 100;
        for (; at < len; at++, unit /= 10) {
            if (text[at] < '0' || text[at] > '9')
                return -1;
            value += (text[at] - '0') * unit;
        }
    }
    if (value > CLOCK_LAST_MS)
        return -1;
    *ms = value;
    return 0;
}

static int parse_relative(const char *text, size_t len, int64_t now_ms, int64_t *ms)
{
    size_t at = 1;
    int64_t count, unit;
    if (digits(text, len, &at, &count) == 0 || count > COUNT_MAX || at + 1 != len)
        return -1;
    switch (text[at]) {
    case 's':
        unit = 1000;
        break;
    case 'm':
        unit = 60 * 1000;
        break;
    case 'h':
        unit = 3600 * 1000;
        break;
    case 'd':
        unit = 24 * 3600 * 1000;
        break;
    default:
        return -1;
    }
    *ms = now_ms - count * unit;
    return 0;
}

static int parse_date(const char *text, size_t len, int64_t *ms)
{
    char copy[TEXT_MAX];
    memcpy(copy, text, len);
    if (len > 6 && copy[len - 6] == ' ' && copy[len - 3] == ':')
        copy[len - 6] = '+';
    return clock_parse_rfc3339(copy, len, ms);
}

int timeparam_parse(const char *text, size_t len, int64_t now_ms, int64_t *ms, bool *relative)
{
    int64_t value;
    bool moves = false;
    int rc;

    if (len == 0 || len >= TEXT_MAX)
        return -1;
    if (len == 3 && memcmp(text, "now", 3) == 0) {
        value = now_ms;
        moves = true;
        rc = 0;
    } else if (text[0] == '-') {
        rc = parse_relative(text, len, now_ms, &value);
        moves = true;
    } else if (len > 5 && text[4] == '-') {
        rc = parse_date(text, len, &value);
    } else {
        rc = parse_number(text, len, &value);
    }
    if (rc < 0)
        return -1;
    *ms = value;
    *relative = moves;
    return 0;
}
