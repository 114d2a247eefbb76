/*
 * The next entries of one or several streams, from the store through the series.
 */
#ifndef TELERELAY_FCGI_FETCH_H
#define TELERELAY_FCGI_FETCH_H

#include "fcgi/handler.h"

#include <stdbool.h>
#include <stddef.h>

struct fetch {
    const char *prefix;       /* of the streams' keys */
    const char *const *names; /* the rest of each key: device ids, sorted */
    const struct streamid_range *ranges;
    size_t n;
    bool descending;
    size_t want;                                             /* entries; ctx->page has room for them */
    bool (*accept)(void *arg, const char *text, size_t len); /* which entries count */
    void *arg;
    size_t budget; /* about so many entries are read at most, and 16 MiB of them; 0: no bound */
};

struct fetched {
    size_t n;            /* entries in ctx->page */
    bool cut;            /* the budget ended it: there may be more */
    struct streamid end; /* then, with a single stream: the last entry that was read */
};

/*
 * Fills ctx->page; n < want means that there are no more, or that the budget is used up. What
 * arrives in Redis after the first look stays out, so that a page never holds an entry that is
 * newer than one it passed over. 0, or -1 when the store failed.
 */
int fetch_page(struct context *ctx, const struct fetch *f, struct fetched *out);

#endif
