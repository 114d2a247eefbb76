#include "fcgi/fetch.h"

#include <stdlib.h>
#include <string.h>

/* Where few may count: so many are asked for at once, but at least one of each lane, … */
#define ROUND 1024
/* … and so many bytes of them are read in all, or the store's memory for one request would be too small. */
#define BYTES_MAX ((size_t)16 * 1024 * 1024)

/* One round of asking the store. */
struct round {
    struct context *ctx;
    const struct fetch *f;
    struct store_range *ranges; /* room for 2 × n */
    size_t *lanes;              /* of ranges[i] */
    size_t *got;                /* entries of ranges[i] */
    struct streamid last;       /* read */
    size_t *asked;              /* per lane: entries of its last fetch; 0 at first */
    size_t n;                   /* ranges that fetch entries */
    size_t n_all;               /* with those that only look for a lane's last entry */
    size_t read, bytes;         /* entries, and what is in them, over all rounds but the first */
};

static int on_entry(void *p, size_t index, struct streamid id, const char *text, size_t len)
{
    struct round *r = p;
    size_t lane = r->lanes[index];
    if (index >= r->n) {
        series_limit(r->ctx->series, lane, id);
        return 0;
    }
    r->got[index]++;
    r->read++;
    r->bytes += len;
    r->last = id;
    if (text && !r->f->accept(r->f->arg, text, len))
        text = NULL;
    return series_feed(r->ctx->series, lane, id, text, len);
}

/*
 * How many entries to ask a lane for: all that can be wanted from a single stream; with several, twice the
 * fair share at first, and twice as much each time that was not enough.
 */
static size_t next_count(const struct fetch *f, size_t last, size_t most)
{
    size_t count = f->n == 1 ? f->want : f->want * 2 / f->n + 16;
    if (last)
        count = last * 2;
    return count < most ? count : most;
}

/* The most that one lane may be asked for in this round. */
static size_t share(const struct round *r)
{
    struct streamid_range unused;
    size_t lanes = 0;
    if (!r->f->budget)
        return r->f->want;
    for (size_t lane = 0; lane < r->f->n; lane++)
        lanes += series_want(r->ctx->series, lane, &unused);
    return lanes < ROUND ? ROUND / (lanes + !lanes) : 1;
}

static int ask(struct round *r, bool first)
{
    const struct fetch *f = r->f;
    bool fix_end = first && !f->descending && f->n > 1;
    size_t most = share(r);
    r->n = 0;
    for (size_t lane = 0; lane < f->n; lane++) {
        struct streamid_range range;
        if (!series_want(r->ctx->series, lane, &range))
            continue;
        r->asked[lane] = next_count(f, r->asked[lane], most);
        r->lanes[r->n] = lane;
        r->got[r->n] = 0;
        r->ranges[r->n++] = (struct store_range){.prefix = f->prefix,
                                                 .name = f->names[lane],
                                                 .range = range,
                                                 .count = r->asked[lane],
                                                 .descending = f->descending};
    }
    r->n_all = r->n;
    for (size_t i = 0; fix_end && i < r->n; i++) {
        r->lanes[r->n_all] = r->lanes[i];
        r->ranges[r->n_all] = r->ranges[i];
        r->ranges[r->n_all].descending = true;
        r->ranges[r->n_all++].count = 1;
    }
    if (store_ranges(r->ctx->store, r->ranges, r->n_all, fix_end, on_entry, r) < 0)
        return -1;
    for (size_t i = 0; i < r->n; i++)
        series_fed(r->ctx->series, r->lanes[i], r->got[i], r->asked[r->lanes[i]]);
    return 0;
}

static int fill(struct round *r, struct fetched *out)
{
    bool first = true;
    while (out->n < r->f->want) {
        size_t lane;
        switch (series_next(r->ctx->series, &r->ctx->page[out->n], &lane)) {
        case SERIES_SAMPLE:
            out->n++;
            break;
        case SERIES_END:
            return 0;
        case SERIES_NEED:
            if (r->f->budget && (r->read >= r->f->budget || r->bytes >= BYTES_MAX)) {
                out->cut = true;
                out->end = r->last;
                return 0;
            }
            if (ask(r, first) < 0)
                return -1;
            if (first)
                r->read = r->bytes = 0; /* with many lanes it would use up all */
            first = false;
            break;
        }
    }
    return 0;
}

int fetch_page(struct context *ctx, const struct fetch *f, struct fetched *out)
{
    struct round r = {.ctx = ctx, .f = f};
    int rc = -1;
    *out = (struct fetched){.n = 0};
    if (f->n == 0)
        return 0;
    r.ranges = malloc(2 * f->n * sizeof(*r.ranges));
    r.lanes = malloc(2 * f->n * sizeof(*r.lanes));
    r.got = malloc(f->n * sizeof(*r.got));
    r.asked = calloc(f->n, sizeof(*r.asked));
    if (!r.ranges || !r.lanes || !r.got || !r.asked || series_begin(ctx->series, f->n, f->descending) < 0)
        goto done;
    for (size_t i = 0; i < f->n; i++)
        series_lane(ctx->series, i, f->ranges[i]);
    rc = fill(&r, out);
done:
    free(r.ranges);
    free(r.lanes);
    free(r.got);
    free(r.asked);
    return rc;
}
