/*
 * Roll-ups of one transaction's samples: a delta for each device, metric and minute, and for each hour, so that the
 * database is told of each once. Pure.
 */
#ifndef TELERELAY_ROLLUP_H
#define TELERELAY_ROLLUP_H

#include "sql/archive.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROLLUP_MOST ((size_t)131072) /* minutes' deltas; then rollup_full() */

/* What is added to a sum is held within this, so that no sum ever overflows. */
#define ROLLUP_SUMMAND_MAX 1e300

struct rollup_delta {
    int64_t device, metric;
    int64_t ms; /* the beginning of the minute or hour */
    double min, max, sum, last;
    int64_t count;
};

struct rollup;

struct rollup *rollup_create(void); /* NULL without memory */
void rollup_destroy(struct rollup *r);

/*
 * One value, finite, of a sample at `ms`; those of a device and metric come in the order of their ids.
 * -1 when it is full or there is no memory, without a change.
 */
int rollup_add(struct rollup *r, int64_t device, int64_t metric, int64_t ms, double value);

/* Another sample of up to `values` values may not fit: take and clear. */
bool rollup_full(const struct rollup *r, size_t values);

/* The deltas by device, metric and time; valid until the next call. Minutes before hours; nothing may be added
 * in between. */
const struct rollup_delta *rollup_take(struct rollup *r, enum archive_tier tier, size_t *n);

void rollup_clear(struct rollup *r);

#endif
