#include "fcgi/export.h"

#include "fcgi/fetch.h"
#include "fcgi/rows.h"

#include "common/sample.h"

#include <string.h>

#define PAGE       2000  /* samples in memory at a time */
#define SCAN_PARTS 10000 /* samples looked at for their metrics, between two signs of life */

struct export
{
    struct context *ctx;
    struct history *h;
    struct reply *reply;
    struct rows rows;
    const char *names[HISTORY_DEVICES_MAX];
    struct streamid ends[HISTORY_DEVICES_MAX];   /* what comes later stays out, so that there is an end */
    struct streamid firsts[HISTORY_DEVICES_MAX]; /* in Redis; STREAMID_LAST: it has none */
    /* Columns of a CSV that names none. */
    char columns[CSV_COLUMNS_MAX][MSG_METRIC_NAME_MAX + 1];
    size_t n_columns;
    bool too_many, too_long;
    size_t scanned;
};

bool export_wanted(const struct history *h)
{
    return (h->format == HISTORY_CSV || h->format == HISTORY_NDJSON) && h->has_from && !h->has_limit;
}

static struct streamid_range part_of(const struct export *e, size_t i)
{
    struct streamid_range r = history_range(e->h, e->names[i]);
    if (streamid_compare(e->ends[i], r.hi) < 0)
        r.hi = e->ends[i];
    return r;
}

/* Up to where each device's samples go. 0, or -1 when a source failed. */
static int find_ends(struct export *e)
{
    struct context *ctx = e->ctx;
    struct fetch_bounds bounds[HISTORY_DEVICES_MAX];
    if (fetch_bounds(ctx, ARCHIVE_SAMPLES, e->names, e->h->n_devices, bounds) < 0)
        return -1;
    for (size_t i = 0; i < e->h->n_devices; i++) {
        bool known;
        e->ends[i] = bounds[i].last;
        e->firsts[i] = bounds[i].stored ? bounds[i].first : STREAMID_LAST;
        if (bounds[i].stored || !ctx->archive)
            continue;
        if (fetch_asked(ctx, archive_position(ctx->archive, ARCHIVE_SAMPLES, e->names[i], &e->ends[i], &known)) < 0)
            return -1;
    }
    return 0;
}

/* --- the columns of a CSV that names none ---------------------------------------------------------- */

static int add_column(struct export *e, const char *name, size_t len)
{
    bool known = sample_reserved(name, len) || len > MSG_METRIC_NAME_MAX || csv_has(&e->rows.csv, name, len);
    if (known)
        return 0;
    e->too_many = e->n_columns == CSV_COLUMNS_MAX;
    if (!e->too_many) {
        char *copy = e->columns[e->n_columns++];
        memcpy(copy, name, len);
        copy[len] = '\0';
        e->too_many = csv_add(&e->rows.csv, copy) < 0;
    }
    return e->too_many;
}

static int on_metric(void *arg, const char *name)
{
    return add_column(arg, name, strlen(name));
}

static int on_sample(void *arg, struct streamid id, const char *text, size_t len)
{
    struct export *e = arg;
    struct sample_metric m;
    (void)id;
    if (++e->scanned % SCAN_PARTS == 0)
        e->too_long = handler_part(e->ctx) < 0;
    if (sample_check(text, len) == SAMPLE_BAD)
        return e->too_long;
    for (size_t at = 0; !e->too_many && sample_next(text, len, &at, &m) > 0;)
        add_column(e, m.name, m.name_len);
    return e->too_many || e->too_long;
}

/* A device's metrics: those that the archive knows, and of what is not archived yet those that are found there. */
static int add_columns(struct export *e, size_t i)
{
    struct context *ctx = e->ctx;
    struct streamid_range part = part_of(e, i);
    if (ctx->archive && streamid_compare(e->firsts[i], part.lo) > 0 && streamid_compare(part.lo, part.hi) <= 0) {
        struct streamid position;
        bool known;
        int rc = archive_position(ctx->archive, ARCHIVE_SAMPLES, e->names[i], &position, &known);
        if (rc == 0)
            rc = archive_metrics(ctx->archive, e->names[i], on_metric, e);
        if (fetch_asked(ctx, rc) < 0)
            return -1;
        if (known && streamid_after(&position) && streamid_compare(position, part.lo) > 0)
            part.lo = position;
    }
    return fetch_walk(ctx, ARCHIVE_SAMPLES, e->names[i], part, SIZE_MAX, on_sample, e);
}

static int find_columns(struct export *e)
{
    for (size_t i = 0; i < e->h->n_devices && !e->too_many && !e->too_long; i++) {
        if (add_columns(e, i) < 0)
            return -1;
        handler_forget(e->ctx);
    }
    return 0;
}

/* --- the samples --------------------------------------------------------------------------------------- */

/* The next samples into ctx->page; how many, or -1 when a source failed. */
static long next_page(struct export *e)
{
    struct streamid_range ranges[HISTORY_DEVICES_MAX];
    struct fetched got;
    for (size_t i = 0; i < e->h->n_devices; i++)
        ranges[i] = part_of(e, i);
    struct fetch f = {
        .kind = ARCHIVE_SAMPLES,
        .names = e->names,
        .ranges = ranges,
        .n = e->h->n_devices,
        .descending = e->h->descending,
        .want = PAGE,
        .accept = rows_accept,
        .arg = &e->rows,
    };
    return fetch_page(e->ctx, &f, &got) < 0 ? -1 : (long)got.n;
}

static void put_page(struct export *e, size_t n)
{
    const struct series_sample *page = e->ctx->page;
    for (size_t i = 0; i < n && reply_flush(e->reply) == 0; i++)
        rows_put(&e->rows, &e->reply->body, e->names[page[i].lane], &page[i]);
    if (n > 0) {
        history_cursor(e->h, page[n - 1].id, e->names[page[n - 1].lane], &e->h->cursor);
        e->h->has_cursor = true;
    }
}

static void put_all(struct export *e)
{
    long n = PAGE;
    bool begun = false;
    while (n == PAGE) {
        n = next_page(e);
        if (n < 0) {
            handler_away(e->ctx, e->reply);
            return;
        }
        if (!begun && e->h->format == HISTORY_CSV)
            csv_header(&e->rows.csv, &e->reply->body);
        begun = true;
        put_page(e, (size_t)n);
        handler_forget(e->ctx);
        if (reply_flush(e->reply) < 0)
            return;
        if (handler_part(e->ctx) < 0) {
            reply_problem(e->reply, 503, HANDLER_TOO_LONG);
            return;
        }
    }
    handler_back(e->ctx);
}

static void answer(struct export *e)
{
    const struct history *h = e->h;
    if (handler_page(e->ctx, PAGE) < 0)
        reply_problem(e->reply, 500, "out of memory");
    else if (find_ends(e) < 0 || (h->format == HISTORY_CSV && !h->has_fields && find_columns(e) < 0))
        handler_away(e->ctx, e->reply);
    else if (e->too_many)
        reply_problem(e->reply, 400, CSV_TOO_MANY);
    else if (e->too_long)
        reply_problem(e->reply, 503, HANDLER_TOO_LONG);
    else
        put_all(e);
}

void export_answer(struct context *ctx, struct history *h, struct reply *reply)
{
    static struct export e; /* large, and one at a time */
    memset(&e, 0, sizeof(e));
    e.ctx = ctx;
    e.h = h;
    e.reply = reply;
    rows_init(&e.rows, h);
    for (size_t i = 0; i < h->n_devices; i++)
        e.names[i] = h->devices[i];
    reply_type(reply, h->format == HISTORY_CSV ? "text/csv; charset=utf-8" : "application/x-ndjson");
    reply->no_length = true;
    if (reply->no_body)
        return;
    if (slots_take(ctx->slots, ctx->slots_n) < 0) {
        reply_problem(reply, 503, "as many whole ranges as may be at a time are being answered; try again shortly");
        reply_header(reply, "Retry-After", "5");
        return;
    }
    answer(&e);
    slots_give(ctx->slots);
}
