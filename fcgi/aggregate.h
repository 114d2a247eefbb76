/*
 * One page of a walk through buckets, from where its samples are: the archive's roll-ups first, in one view of it
 * that says how far they go, then the samples that they do not hold.
 */
#ifndef TELERELAY_FCGI_AGGREGATE_H
#define TELERELAY_FCGI_AGGREGATE_H

#include "fcgi/bucketwalk.h"
#include "fcgi/handler.h"

#include <stdbool.h>

#define AGGREGATE_SAMPLES_MAX 2000000 /* read for one answer */

/* 0 (then *b has the rows, of which *page says what is the page), or -1 with the problem answered. `grid` as in
 * bucketwalk.h. */
int aggregate_page(struct context *ctx, const struct history *h, bool grid, struct buckets *b,
                   struct bucketwalk_page *page, struct reply *reply);

#endif
