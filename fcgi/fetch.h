/*
 * The next samples of several devices, from the store through the series.
 */
#ifndef TELERELAY_FCGI_FETCH_H
#define TELERELAY_FCGI_FETCH_H

#include "fcgi/handler.h"

#include <stdbool.h>
#include <stddef.h>

struct fetch {
    const char *const *devices; /* sorted by id */
    const struct series_range *ranges;
    size_t n;
    bool descending;
    size_t want;                                             /* samples; ctx->page has room for them */
    bool (*accept)(void *arg, const char *text, size_t len); /* which entries are samples that count */
    void *arg;
    size_t budget; /* entries read at most; 0: no bound */
};

/*
 * Fills ctx->page; *got < want means that there are no more (or that the budget is used up). What
 * arrives in Redis after the first look stays out, so that a page never holds a sample that is
 * newer than one it passed over. 0, or -1 when the store failed.
 */
int fetch_page(struct context *ctx, const struct fetch *f, size_t *got);

#endif
