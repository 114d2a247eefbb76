#include "sample.h"

#include "msg.h"

#include <string.h>

enum { CLASS_OTHER, CLASS_ALPHA, CLASS_NAME /* digit or underscore */ };

static const unsigned char classes[256] = {
    ['0' ... '9'] = CLASS_NAME, ['_'] = CLASS_NAME, ['A' ... 'Z'] = CLASS_ALPHA, ['a' ... 'z'] = CLASS_ALPHA};

static int class_of(unsigned char c)
{
    return classes[c];
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

const char *sample_number_end(const char *p, const char *end)
{
    const char *digits;
    if (p < end && *p == '-')
        p++;
    digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return NULL;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return NULL;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return NULL;
    }
    return p;
}

int sample_next(const char *text, size_t len, size_t *at, struct sample_metric *metric)
{
    const char *p = text + *at, *end = text + len;
    if (*at >= len)
        return 0;
    if (*at > 0 && *p++ != ',')
        return -1;
    if (p == end || *p++ != '"')
        return -1;

    const char *name = p;
    if (p == end || class_of((unsigned char)*p) != CLASS_ALPHA)
        return -1;
    while (p < end && class_of((unsigned char)*p) != CLASS_OTHER)
        p++;
    size_t name_len = (size_t)(p - name);
    if (name_len > MSG_METRIC_NAME_MAX || end - p < 3 || p[0] != '"' || p[1] != ':')
        return -1;
    p += 2;

    const char *number = p;
    p = sample_number_end(p, end);
    if (!p)
        return -1;
    metric->name = name;
    metric->name_len = name_len;
    metric->number = number;
    metric->number_len = (size_t)(p - number);
    *at = (size_t)(p - text);
    return 1;
}

bool sample_reserved(const char *name, size_t len)
{
    return (len == 2 && memcmp(name, "id", 2) == 0) || (len == 9 && memcmp(name, "device_id", 9) == 0) ||
           (len == 9 && memcmp(name, "timestamp", 9) == 0);
}

enum sample_kind sample_check(const char *text, size_t len)
{
    struct sample_metric m;
    size_t at = 0, n = 0;
    enum sample_kind kind = SAMPLE_PLAIN;
    int rc;
    if (len > SAMPLE_MAX)
        return SAMPLE_BAD;
    while ((rc = sample_next(text, len, &at, &m)) > 0) {
        if (++n > MSG_METRICS_MAX)
            return SAMPLE_BAD;
        if (sample_reserved(m.name, m.name_len))
            kind = SAMPLE_RESERVED;
    }
    return rc < 0 ? SAMPLE_BAD : kind;
}

bool sample_find(const char *text, size_t len, const char *name, size_t name_len, struct sample_metric *metric)
{
    struct sample_metric m;
    size_t at = 0;
    while (sample_next(text, len, &at, &m) > 0) {
        if (m.name_len == name_len && memcmp(m.name, name, name_len) == 0) {
            *metric = m;
            return true;
        }
    }
    return false;
}
