/*
 * One page of a walk through stored entries: from a request's parameters to the entries and the way to
 * the next page. For the handlers of /api/telemetry, /api/commands and /api/events.
 */
#ifndef TELERELAY_FCGI_PAGE_H
#define TELERELAY_FCGI_PAGE_H

#include "fcgi/handler.h"
#include "fcgi/history.h"
#include "fcgi/item.h"

#include <stdbool.h>

struct page_source {
    enum cursor_walk walk;
    const char *path; /* of the Link header */
    enum archive_kind kind;
    bool (*accept)(void *arg, const char *text, size_t len); /* which entries count */
    size_t budget;                                           /* as in fetch.h */
};

struct page {
    struct history h;
    const struct series_sample *entries; /* the context's */
    size_t n;
    bool more;
    char cursor[CURSOR_TEXT_MAX]; /* with `more`: the next page's */
};

/* The request's parameters to page->h. 0, or -1 with the problem answered. */
int page_parse(const struct request *req, enum cursor_walk walk, struct page *page, struct reply *reply);

/* The entries. 0 with the Link header set, or -1 with the problem answered. */
int page_fetch(struct context *ctx, const struct request *req, const struct page_source *source, void *arg,
               struct page *page, struct reply *reply);

/* Both. */
int page_read(struct context *ctx, const struct request *req, const struct page_source *source, void *arg,
              struct page *page, struct reply *reply);

/* The Link header: the same request with this cursor. */
void page_link(struct reply *reply, const struct request *req, const char *path, const struct history *h,
               const char *cursor);

/* The device whose entry it is; "" for events. */
const char *page_device(const struct page *page, size_t i);

/* {"items":[…],"count":N,"next_cursor":…}; `put` writes one item. */
typedef void page_put_fn(struct buf *out, struct item_clock *clock, const struct page *page, size_t i, void *arg);
void page_json(struct reply *reply, const struct page *page, page_put_fn *put, void *arg);

/* Samples as columns (columns.h): {"fields":…,"units":…,"data":…,"count":rows,"next_cursor":…}. */
void page_columns(struct reply *reply, const struct page *page);

#endif
