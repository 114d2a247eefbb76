/*
 * The parameters of an aggregated history: step or points, and agg. Pure.
 *
 * Buckets begin at multiples of the step since 1970, UTC.
 */
#ifndef TELERELAY_FCGI_STEPS_H
#define TELERELAY_FCGI_STEPS_H

#include "fcgi/query.h"

#include <stddef.h>
#include <stdint.h>

#define STEPS_MIN_MS     1000LL
#define STEPS_MAX_MS     (366 * 86400 * 1000LL)
#define STEPS_POINTS_MAX 10000
#define STEPS_TEXT_MAX   24 /* with the NUL */

enum steps_agg { STEPS_AVG, STEPS_MIN, STEPS_MAX, STEPS_LAST, STEPS_COUNT, STEPS_AGGS };

struct steps {
    int64_t ms; /* length of a bucket; 0: samples as they are, or `points` is to say it (steps_fit) */
    int points; /* about so many buckets; 0: not asked */
    enum steps_agg aggs[STEPS_AGGS]; /* in the order asked, each once */
    size_t n_aggs;                   /* at least one when there is a step or points */
};

/* 0, or -1 with *fault naming the parameter and what is allowed; *s is then unspecified. */
int steps_parse(struct steps *s, const struct query *q, struct fault *fault);

const char *steps_agg_name(enum steps_agg agg);

/*
 * The shortest step of 1, 2, 3, 5, 10, 15, 20, 30 s; as many minutes; 1, 2, 3, 4, 6, 8, 12 h; 1, 2, 7, 14 days and
 * multiples of 30 days with which from..to (both inclusive, ms since 1970, not negative) has at most `points` buckets.
 */
int64_t steps_fit(int64_t from_ms, int64_t to_ms, int points);

/* How a request writes it: "90s", "2h", "7d". NUL-terminated; returns its length. */
size_t steps_format(char out[STEPS_TEXT_MAX], int64_t ms);

#endif
