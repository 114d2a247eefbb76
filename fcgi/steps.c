#include "fcgi/steps.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const char *const agg_names[STEPS_AGGS] = {
    [STEPS_AVG] = "avg", [STEPS_MIN] = "min", [STEPS_MAX] = "max", [STEPS_LAST] = "last", [STEPS_COUNT] = "count"};

const char *steps_agg_name(enum steps_agg agg)
{
    return agg_names[agg];
}

/* Up to 9 digits from the beginning to *value; returns how many. */
static size_t digits(const char *text, size_t len, int64_t *value)
{
    size_t n = 0;
    *value = 0;
    for (; n < len && n < 9 && text[n] >= '0' && text[n] <= '9'; n++)
        *value = *value * 10 + (text[n] - '0');
    return n;
}

static int64_t unit_ms(char unit)
{
    switch (unit) {
    case 's':
        return SECOND;
    case 'm':
        return MINUTE;
    case 'h':
        return HOUR;
    case 'd':
        return DAY;
    default:
        return 0;
    }
}

static int parse_step(struct steps *s, const struct query *q, struct fault *fault)
{
    const struct query_param *p;
    char quoted[FAULT_QUOTE_MAX];
    int64_t count;
    s->ms = 0;
    if (query_single(q, "step", &p, fault) < 0)
        return -1;
    if (!p)
        return 0;
    size_t n = digits(p->value, p->len, &count);
    if (n > 0 && p->len == n + 1)
        s->ms = count * unit_ms(p->value[n]);
    if (s->ms < STEPS_MIN_MS || s->ms > STEPS_MAX_MS)
        return fault_set(fault, "step must be a whole number with s, m, h or d behind it, from 1s to 366d, not %s",
                         fault_quote(quoted, p->value, p->len));
    return 0;
}

static int parse_points(struct steps *s, const struct query *q, struct fault *fault)
{
    const struct query_param *p;
    char quoted[FAULT_QUOTE_MAX];
    int64_t count;
    s->points = 0;
    if (query_single(q, "points", &p, fault) < 0)
        return -1;
    if (!p)
        return 0;
    size_t n = digits(p->value, p->len, &count);
    if (n == 0 || n != p->len || count < 1 || count > STEPS_POINTS_MAX)
        return fault_set(fault, "points must be a whole number from 1 to %d, not %s", STEPS_POINTS_MAX,
                         fault_quote(quoted, p->value, p->len));
    s->points = (int)count;
    return 0;
}

static int add_agg(struct steps *s, const char *name, size_t len, struct fault *fault)
{
    char quoted[FAULT_QUOTE_MAX];
    int agg = 0;
    while (agg < STEPS_AGGS && (strlen(agg_names[agg]) != len || memcmp(agg_names[agg], name, len) != 0))
        agg++;
    if (agg == STEPS_AGGS)
        return fault_set(fault, "agg must be avg, min, max, last or count, or a comma list of them, not %s",
                         fault_quote(quoted, name, len));
    for (size_t i = 0; i < s->n_aggs; i++) {
        if (s->aggs[i] == (enum steps_agg)agg)
            return 0;
    }
    s->aggs[s->n_aggs++] = (enum steps_agg)agg;
    return 0;
}

/* All agg parameters, each a comma list. */
static int parse_aggs(struct steps *s, const struct query *q, struct fault *fault)
{
    s->n_aggs = 0;
    for (size_t i = 0; i < q->n; i++) {
        const struct query_param *p = &q->params[i];
        if (strcmp(p->name, "agg") != 0)
            continue;
        for (size_t at = 0; at <= p->len;) {
            const char *comma = memchr(p->value + at, ',', p->len - at);
            size_t end = comma ? (size_t)(comma - p->value) : p->len;
            if (add_agg(s, p->value + at, end - at, fault) < 0)
                return -1;
            at = end + 1;
        }
    }
    return 0;
}

int steps_parse(struct steps *s, const struct query *q, struct fault *fault)
{
    if (parse_step(s, q, fault) < 0 || parse_points(s, q, fault) < 0 || parse_aggs(s, q, fault) < 0)
        return -1;
    if (s->ms && s->points)
        return fault_set(fault, "step and points exclude each other; give one of them");
    if (!s->ms && !s->points && s->n_aggs > 0)
        return fault_set(fault, "agg needs step or points");
    if ((s->ms || s->points) && s->n_aggs == 0)
        s->aggs[s->n_aggs++] = STEPS_AVG;
    return 0;
}

int64_t steps_fit(int64_t from_ms, int64_t to_ms, int points)
{
    static const int64_t ladder[] = {1 * SECOND,  2 * SECOND,  3 * SECOND,  5 * SECOND,  10 * SECOND, 15 * SECOND,
                                     20 * SECOND, 30 * SECOND, 1 * MINUTE,  2 * MINUTE,  3 * MINUTE,  5 * MINUTE,
                                     10 * MINUTE, 15 * MINUTE, 20 * MINUTE, 30 * MINUTE, 1 * HOUR,    2 * HOUR,
                                     3 * HOUR,    4 * HOUR,    6 * HOUR,    8 * HOUR,    12 * HOUR,   1 * DAY,
                                     2 * DAY,     7 * DAY,     14 * DAY,    30 * DAY};
    const size_t n = sizeof(ladder) / sizeof(ladder[0]);
    size_t i = 0;
    int64_t step = ladder[0];
    /* It ends: a step beyond to_ms has a single bucket. */
    while (to_ms / step - from_ms / step >= points) {
        i++;
        step = i < n ? ladder[i] : step + ladder[n - 1];
    }
    return step;
}

size_t steps_format(char out[STEPS_TEXT_MAX], int64_t ms)
{
    static const char units[] = "dhms";
    const char *unit = units;
    while (*unit != 's' && ms % unit_ms(*unit) != 0)
        unit++;
    return (size_t)snprintf(out, STEPS_TEXT_MAX, "%lld%c", (long long)(ms / unit_ms(*unit)), *unit);
}
