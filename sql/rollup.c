#include "sql/rollup.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN ((size_t)1024) /* a power of two */

struct rollup {
    struct rollup_delta *deltas; /* minutes; sorted, then merged to hours by rollup_take */
    size_t n, cap;
    uint32_t *slots; /* index of a delta + 1, found by its hash; 0: free. Twice as many as deltas fit */
};

struct rollup *rollup_create(void)
{
    return calloc(1, sizeof(struct rollup));
}

void rollup_destroy(struct rollup *r)
{
    if (r == NULL)
        return;
    free(r->deltas);
    free(r->slots);
    free(r);
}

static size_t hash(int64_t device, int64_t metric, int64_t ms)
{
    uint64_t h = (uint64_t)device * 0x9e3779b97f4a7c15u;
    h = (h ^ (uint64_t)metric) * 0xc2b2ae3d27d4eb4fu;
    h = (h ^ (uint64_t)(ms / archive_tier_ms[ARCHIVE_MINUTE])) * 0x165667b19e3779f9u;
    return (size_t)(h ^ h >> 32);
}

/* Where the delta is, or would be. */
static uint32_t *find(const struct rollup *r, int64_t device, int64_t metric, int64_t ms)
{
    size_t mask = r->cap * 2 - 1;
    for (size_t i = hash(device, metric, ms) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &r->slots[i];
        if (*slot == 0)
            return slot;
        const struct rollup_delta *d = &r->deltas[*slot - 1];
        if (d->device == device && d->metric == metric && d->ms == ms)
            return slot;
    }
}

static int grow(struct rollup *r)
{
    size_t cap = r->cap > 0 ? r->cap * 2 : SLOTS_MIN;
    if (r->n >= ROLLUP_MOST)
        return -1;
    uint32_t *slots = calloc(cap * 2, sizeof(*slots));
    struct rollup_delta *deltas = slots != NULL ? realloc(r->deltas, cap * sizeof(*deltas)) : NULL;
    if (deltas == NULL) {
        free(slots);
        return -1;
    }
    free(r->slots);
    r->deltas = deltas;
    r->slots = slots;
    r->cap = cap;
    for (size_t i = 0; i < r->n; i++)
        *find(r, deltas[i].device, deltas[i].metric, deltas[i].ms) = (uint32_t)i + 1;
    return 0;
}

static double summand(double value)
{
    if (value > ROLLUP_SUMMAND_MAX)
        return ROLLUP_SUMMAND_MAX;
    return value < -ROLLUP_SUMMAND_MAX ? -ROLLUP_SUMMAND_MAX : value;
}

int rollup_add(struct rollup *r, int64_t device, int64_t metric, int64_t ms, double value)
{
    ms -= ms % archive_tier_ms[ARCHIVE_MINUTE];
    if (r->n == r->cap && grow(r) != 0)
        return -1;
    uint32_t *slot = find(r, device, metric, ms);
    if (*slot == 0) {
        r->deltas[r->n++] = (struct rollup_delta){.device = device,
                                                  .metric = metric,
                                                  .ms = ms,
                                                  .min = value,
                                                  .max = value,
                                                  .sum = summand(value),
                                                  .last = value,
                                                  .count = 1};
        *slot = (uint32_t)r->n;
        return 0;
    }
    struct rollup_delta *d = &r->deltas[*slot - 1];
    d->min = value < d->min ? value : d->min;
    d->max = value > d->max ? value : d->max;
    d->sum += summand(value);
    d->last = value;
    d->count++;
    return 0;
}

bool rollup_full(const struct rollup *r, size_t values)
{
    return r->n + values > ROLLUP_MOST;
}

static int in_order(const void *left, const void *right)
{
    const struct rollup_delta *a = left, *b = right;
    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    if (a->metric != b->metric)
        return a->metric < b->metric ? -1 : 1;
    return a->ms < b->ms ? -1 : a->ms > b->ms;
}

/* Sorted minutes become hours, in place. */
static void merge_hours(struct rollup *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct rollup_delta d = r->deltas[i];
        d.ms -= d.ms % archive_tier_ms[ARCHIVE_HOUR];
        struct rollup_delta *hour = n > 0 ? &r->deltas[n - 1] : NULL;
        if (hour == NULL || in_order(hour, &d) != 0) {
            r->deltas[n++] = d;
            continue;
        }
        hour->min = d.min < hour->min ? d.min : hour->min;
        hour->max = d.max > hour->max ? d.max : hour->max;
        hour->sum += d.sum;
        hour->last = d.last;
        hour->count += d.count;
    }
    r->n = n;
}

const struct rollup_delta *rollup_take(struct rollup *r, enum archive_tier tier, size_t *n)
{
    if (tier == ARCHIVE_HOUR)
        merge_hours(r);
    else if (r->n > 0)
        qsort(r->deltas, r->n, sizeof(*r->deltas), in_order);
    *n = r->n;
    return r->deltas;
}

void rollup_clear(struct rollup *r)
{
    r->n = 0;
    if (r->slots != NULL)
        memset(r->slots, 0, r->cap * 2 * sizeof(*r->slots));
}
