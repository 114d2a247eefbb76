/*
 * The next entries of one or several streams, from Redis and the archive as if they were one (seam.h).
 *
 * Calls return 0, or -1 when a source failed: ctx->archive_asked says whether it was the archive, and handler_away
 * answers. A failed call's outputs are unspecified.
 */
#ifndef TELERELAY_FCGI_FETCH_H
#define TELERELAY_FCGI_FETCH_H

#include "fcgi/handler.h"

#include "sql/archive.h"

#include <stdbool.h>
#include <stddef.h>

struct fetch {
    enum archive_kind kind;
    const char *const *names; /* of the streams: device ids, sorted; or "" for events */
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
 * Fills ctx->page, whose texts live until the end of the request (handler_forget); n < want means that there are no
 * more, or that the budget is used up. What arrives after the first look stays out, so that a page never holds an
 * entry that is newer than one it passed over.
 */
int fetch_page(struct context *ctx, const struct fetch *f, struct fetched *out);

/* One entry; the text lives until it returns. It may neither use the store nor the archive. Non-zero ends the walk. */
typedef int fetch_entry_fn(void *arg, struct streamid id, const char *text, size_t len);

/*
 * Every entry of one stream in the range, ascending, in memory that does not grow with their number. 1 when there are
 * more than `budget` of them: those were given to fn.
 */
int fetch_walk(struct context *ctx, enum archive_kind kind, const char *name, struct streamid_range range,
               size_t budget, fetch_entry_fn *fn, void *arg);

/* Where a stream ends and, in Redis, begins. */
struct fetch_bounds {
    bool stored; /* Redis has entries of it */
    struct streamid first, last;
    struct streamid unarchived; /* not 0-0: Redis may lack what is before it, and `first` is not */
};

/* Notes in ctx->archive_asked how a call of the archive ended; returns rc. */
int fetch_asked(struct context *ctx, int rc);

/* Of several streams, sorted; at one moment, unless there are very many. */
int fetch_bounds(struct context *ctx, enum archive_kind kind, const char *const *names, size_t n,
                 struct fetch_bounds *out);

#endif
