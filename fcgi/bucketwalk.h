/*
 * One page of a walk through buckets: which windows are looked at, what of them is the page, and where the next one
 * begins. Pure: who asks supplies the samples.
 */
#ifndef TELERELAY_FCGI_BUCKETWALK_H
#define TELERELAY_FCGI_BUCKETWALK_H

#include "fcgi/buckets.h"
#include "fcgi/history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUCKETWALK_FAILED (-1) /* a source did, and has said so itself */

/* A part of one device's samples, both ends inclusive; nothing when from is after to. */
struct bucketwalk_range {
    int64_t from_ms, to_ms;
};

struct bucketwalk_source {
    /* Feeds ranges[i] of device i into the present window. What buckets_* said, or BUCKETWALK_FAILED. */
    int (*look)(void *arg, const struct bucketwalk_range *ranges, size_t n);
    /* There is nothing of the ranges before *first_ms or after *last_ms; first after last: nothing at all.
     * 0, or BUCKETWALK_FAILED. */
    int (*bounds)(void *arg, const struct bucketwalk_range *ranges, size_t n, int64_t *first_ms, int64_t *last_ms);
    void *arg;
};

struct bucketwalk_page {
    size_t first, n; /* its rows, in order of time whatever the walk's direction */
    bool more;       /* there are rows behind it, in the walk's direction … */
    int64_t at_ms;   /* … and it then stands at this bucket … */
    uint32_t device; /* … and at this device */
};

/*
 * A page has h->limit rows at most. With `grid` it is so many buckets at most, from the first row to the last, where
 * those without a value have their place, too; all devices of each. BUCKETS_OK, another enum buckets_result, or
 * BUCKETWALK_FAILED.
 */
int bucketwalk_page(const struct history *h, bool grid, struct buckets *b, const struct bucketwalk_source *source,
                    struct bucketwalk_page *page);

#endif
