#include "fcgi/fetch.h"

#include "fcgi/seam.h"
#include "fcgi/store_nodes.h"

#include "common/rkey.h"

#include <stdlib.h>
#include <string.h>

/* Where few may count: so many are asked for at once, but at least one of each lane, … */
#define ROUND 1024
/* … and so many bytes of them are read in all, or the store's memory for one request would be too small. */
#define BYTES_MAX ((size_t)16 * 1024 * 1024)
/* Looks into the archive cost about as much as so many entries. */
#define ARCHIVE_COST 10
/* With so many lanes a look is one moment for Redis; with more it would be held up. */
#define TOGETHER_MAX 64
/* Entries that a walk has in memory at a time. */
#define WALK_REDIS   1000
#define WALK_ARCHIVE 10000

static const char *const prefixes[ARCHIVE_KINDS] = {[ARCHIVE_SAMPLES] = RKEY_STREAM_PREFIX,
                                                    [ARCHIVE_COMMANDS] = RKEY_COMMANDS_PREFIX,
                                                    [ARCHIVE_OUTCOMES] = RKEY_OUTCOMES_PREFIX,
                                                    [ARCHIVE_EVENTS] = RKEY_EVENTS};

static const struct streamid_range everything = {.lo = {0, 0}, .hi = {UINT64_MAX, UINT64_MAX}};

static struct store_range part_of(enum archive_kind kind, const char *name, struct streamid_range range, size_t count,
                                  bool descending)
{
    return (struct store_range){
        .prefix = prefixes[kind], .name = name, .range = range, .count = count, .descending = descending};
}

/* The stream's first entry. */
static struct store_range first_of(enum archive_kind kind, const char *name)
{
    return part_of(kind, name, everything, 1, false);
}

int fetch_asked(struct context *ctx, int rc)
{
    ctx->archive_asked = rc < 0 ? HANDLER_ARCHIVE_FAILED : HANDLER_ARCHIVE_ANSWERED;
    return rc;
}

/* --- where streams begin and end ------------------------------------------------------------------ */

static int on_bound(void *p, size_t index, struct streamid id, const char *text, size_t len)
{
    struct fetch_bounds *b = (struct fetch_bounds *)p + index / 2;
    (void)text;
    (void)len;
    b->stored = true;
    *(index % 2 ? &b->last : &b->first) = id;
    return 0;
}

struct archived {
    enum archive_kind kind;
    const char *const *names; /* sorted */
    size_t n;
    struct fetch_bounds *bounds;
};

static int by_name(const void *name, const void *element)
{
    return strcmp(name, *(const char *const *)element);
}

static int on_position(void *p, enum archive_kind kind, const char *device_id, struct streamid position)
{
    struct archived *a = p;
    const char *const *name = kind == a->kind ? bsearch(device_id, a->names, a->n, sizeof(*a->names), by_name) : NULL;
    if (name && streamid_after(&position))
        a->bounds[name - a->names].unarchived = position;
    return 0;
}

/*
 * A Redis that was started again may lack the end of what is archived, and until the archiver has looked all of that is
 * read in the archive. The positions come before the look at Redis: so they end what was there at one moment.
 */
static int find_archived(struct context *ctx, struct archived *a)
{
    bool compared = true, known;
    struct streamid position;
    if (!ctx->archive)
        return 0;
    if (store_compared(ctx->store, &compared) < 0)
        return -1;
    if (!compared && a->n > TOGETHER_MAX)
        return handler_may_ask(ctx) ? fetch_asked(ctx, archive_positions(ctx->archive, on_position, a)) : -1;
    for (size_t i = 0; i < a->n && !compared; i++) {
        if (!handler_may_ask(ctx) ||
            fetch_asked(ctx, archive_position(ctx->archive, a->kind, a->names[i], &position, &known)) < 0)
            return -1;
        if (known)
            on_position(a, a->kind, a->names[i], position);
    }
    return 0;
}

static void skip_archived(struct fetch_bounds *b)
{
    if (streamid_compare(b->unarchived, b->first) > 0)
        b->first = b->unarchived;
    if (streamid_compare(b->unarchived, b->last) > 0) {
        b->last = b->unarchived;
        streamid_before(&b->last);
    }
}

int fetch_bounds(struct context *ctx, enum archive_kind kind, const char *const *names, size_t n,
                 struct fetch_bounds *out)
{
    struct store_range *ranges = malloc((2 * n + 1) * sizeof(*ranges));
    if (!ranges)
        return -1;
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct fetch_bounds){.stored = false};
        ranges[2 * i] = first_of(kind, names[i]);
        ranges[2 * i + 1] = part_of(kind, names[i], everything, 1, true);
    }
    int rc = find_archived(ctx, &(struct archived){kind, names, n, out});
    if (rc == 0)
        rc = store_ranges(ctx->store, ranges, 2 * n, n <= TOGETHER_MAX, on_bound, out);
    free(ranges);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (out[i].stored)
            skip_archived(&out[i]);
    }
    return rc;
}

/* --- a page of several streams ---------------------------------------------------------------------- */

struct lane {
    struct seam seam;
    enum seam_source source; /* of its last fetch … */
    size_t asked;            /* … and its entries; 0 at first */
};

/* A part of a lane that is read in this round. */
struct reading {
    size_t lane;
    struct streamid lo;          /* from here on all is wanted … */
    struct streamid_range range; /* … and this is what is read now */
    size_t asked, got;           /* entries */
    bool again;                  /* of a source that has been asked for the lane before */
    bool begins;                 /* the stream's first entry is known */
    struct streamid first;
};

/* Rounds of asking both sources. */
struct round {
    struct context *ctx;
    const struct fetch *f;
    struct lane *lanes;         /* of f->n */
    struct reading *readings;   /* room for f->n: those of Redis from the front, those of the archive from the back */
    struct store_range *ranges; /* room for 2 × f->n */
    size_t n_redis, n_archive;  /* readings */
    size_t firsts;              /* the ranges from this one on look for the first entry of a reading's stream … */
    size_t entries;             /* … and those from this one on read it */
    bool began;                 /* the first round is over */
    struct reading *current;    /* of the archive */
    bool no_memory;
    size_t left;          /* entries that are wanted still */
    struct streamid last; /* read */
    size_t read, bytes;   /* entries, and what is in them, over all rounds but the first */
};

static int take(struct round *r, struct reading *reading, struct streamid id, const char *text, size_t len)
{
    reading->got++;
    r->read++;
    r->bytes += len;
    r->last = id;
    if (text && !r->f->accept(r->f->arg, text, len))
        text = NULL;
    /* What the archive hands out has to be kept. */
    if (text && r->current && !(text = arena_copy(&r->ctx->texts, text, len)))
        return -1;
    return series_feed(r->ctx->series, reading->lane, id, text, len);
}

static int on_entry(void *p, size_t index, struct streamid id, const char *text, size_t len)
{
    struct round *r = p;
    if ((index < r->n_redis) == (r->firsts == 0)) {
        struct reading *reading = &r->readings[index - r->firsts];
        reading->begins = true;
        reading->first = id;
        return 0;
    }
    struct reading *reading = &r->readings[index - r->entries];
    /* Ascending, with the beginning of the range trimmed: the archive comes first. */
    if (!r->f->descending && reading->begins && streamid_compare(reading->first, reading->range.lo) > 0)
        return 0;
    return take(r, reading, id, text, len);
}

static int on_row(void *p, const struct archive_row *row)
{
    struct round *r = p;
    r->no_memory = take(r, r->current, row->id, row->text, row->len) < 0;
    return r->no_memory;
}

/*
 * How many entries to ask a lane for: all that are wanted from a single stream; with several, twice the fair share
 * at first; and twice as much each time that its source had more.
 */
static size_t next_count(const struct round *r, size_t last, size_t most)
{
    size_t count = r->f->n == 1 ? r->left : r->f->want * 2 / r->f->n + 16;
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

/* Which parts of which lanes are to be read, and where. */
static void plan(struct round *r)
{
    const struct fetch *f = r->f;
    size_t most = share(r);
    r->n_redis = r->n_archive = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct reading reading = {.lane = i};
        struct lane *lane = &r->lanes[i];
        if (!series_want(r->ctx->series, i, &reading.range))
            continue;
        reading.lo = reading.range.lo;
        enum seam_source source = seam_next(&lane->seam, f->descending, &reading.range);
        reading.again = source == lane->source;
        lane->asked = reading.asked = next_count(r, reading.again ? lane->asked : 0, most);
        lane->source = source;
        if (source == SEAM_ARCHIVE)
            r->readings[f->n - ++r->n_archive] = reading;
        else
            r->readings[r->n_redis++] = reading;
    }
}

/*
 * What was read of Redis is the lane's next part. Ascending, that needs the stream's first entry of the same moment;
 * descending, what was trimmed in between is found in the archive.
 */
static void settle_redis(struct round *r, const struct reading *reading)
{
    struct seam *seam = &r->lanes[reading->lane].seam;
    if (r->ctx->archive)
        seam_looked(seam, reading->begins ? &reading->first : NULL);
    struct streamid before = seam->floor;
    bool covered = seam_covers(seam, reading->lo);
    if (!covered && !r->f->descending)
        return;
    if (!covered && reading->got < reading->asked && streamid_before(&before))
        series_goes_on(r->ctx->series, reading->lane, before);
    else
        series_fed(r->ctx->series, reading->lane, reading->got, reading->asked);
}

static int ask_redis(struct round *r)
{
    const struct fetch *f = r->f;
    size_t n = r->n_redis, all = r->ctx->archive ? 2 * n : n;
    bool together = r->ctx->archive && !f->descending;
    if (!r->began && f->n > 1)
        together = true;
    r->firsts = r->ctx->archive && !f->descending ? 0 : n;
    r->entries = r->ctx->archive && !f->descending ? n : 0;
    for (size_t i = 0; i < n; i++) {
        const struct reading *reading = &r->readings[i];
        const char *name = f->names[reading->lane];
        r->ranges[r->entries + i] = part_of(f->kind, name, reading->range, reading->asked, f->descending);
        if (r->ctx->archive)
            r->ranges[r->firsts + i] = first_of(f->kind, name);
    }
    r->current = NULL;
    if (store_ranges(r->ctx->store, r->ranges, all, together && f->n <= TOGETHER_MAX, on_entry, r) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        settle_redis(r, &r->readings[i]);
    return 0;
}

static int ask_archive(struct round *r)
{
    const struct fetch *f = r->f;
    for (size_t i = 0; i < r->n_archive; i++) {
        struct reading *reading = &r->readings[f->n - 1 - i];
        struct streamid floor = r->lanes[reading->lane].seam.floor;
        r->current = reading;
        if (reading->again) /* for the first looks, see ask() */
            r->read += ARCHIVE_COST;
        if (!handler_may_ask(r->ctx) ||
            fetch_asked(r->ctx, archive_rows(r->ctx->archive, f->kind, f->names[reading->lane], reading->range,
                                             reading->asked, f->descending, on_row, r)) < 0)
            return -1;
        if (r->no_memory)
            return store_fail(r->ctx->store, "answer", "out of memory");
        if (!f->descending && reading->got < reading->asked && streamid_compare(floor, STREAMID_LAST) < 0)
            series_goes_on(r->ctx->series, reading->lane, floor);
        else
            series_fed(r->ctx->series, reading->lane, reading->got, reading->asked);
    }
    return 0;
}

static int ask(struct round *r)
{
    plan(r);
    if ((r->n_redis > 0 && ask_redis(r) < 0) || ask_archive(r) < 0)
        return -1;
    if (!r->began)
        r->read = r->bytes = 0; /* with many lanes it would use up all */
    r->began = true;
    return 0;
}

/*
 * Where an ascending page of several streams ends, for those that Redis has nothing of: at what is archived. Sets
 * *some when there are any.
 */
static int end_archived(struct round *r, struct fetch_bounds *bounds, bool *some)
{
    const struct fetch *f = r->f;
    *some = false;
    for (size_t i = 0; i < f->n && r->ctx->archive; i++) {
        bool known;
        if (bounds[i].stored)
            continue;
        *some = true;
        if (!handler_may_ask(r->ctx) ||
            fetch_asked(r->ctx, archive_position(r->ctx->archive, f->kind, f->names[i], &bounds[i].last, &known)) < 0)
            return -1;
    }
    return 0;
}

/*
 * Where the lanes begin, and, with several, where they end for this page. A stream that is found empty may
 * get entries before its position is read: then its end would be later than that of the others, so they are read again.
 */
static int look_first(struct round *r)
{
    const struct fetch *f = r->f;
    bool some = false;
    int rc = -1;
    struct fetch_bounds *bounds = malloc(2 * f->n * sizeof(*bounds)), *again = bounds + f->n;
    if (!bounds || fetch_bounds(r->ctx, f->kind, f->names, f->n, bounds) < 0)
        goto done;
    if (f->n > 1 && end_archived(r, bounds, &some) < 0)
        goto done;
    if (some && fetch_bounds(r->ctx, f->kind, f->names, f->n, again) < 0)
        goto done;
    for (size_t i = 0; i < f->n; i++) {
        if (some && again[i].stored)
            bounds[i] = again[i];
        if (r->ctx->archive)
            seam_looked(&r->lanes[i].seam, bounds[i].stored ? &bounds[i].first : NULL);
        if (f->n > 1)
            series_limit(r->ctx->series, i, bounds[i].last);
    }
    rc = 0;
done:
    free(bounds);
    return rc;
}

static int fill(struct round *r, struct fetched *out)
{
    bool compared = true, ascending = !r->f->descending && (r->ctx->archive || r->f->n > 1);
    if (r->ctx->archive && store_compared(r->ctx->store, &compared) < 0)
        return -1;
    if ((ascending || !compared) && look_first(r) < 0)
        return -1;
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
            r->left = r->f->want - out->n;
            if (ask(r) < 0)
                return -1;
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
    r.lanes = calloc(f->n, sizeof(*r.lanes));
    r.readings = malloc(f->n * sizeof(*r.readings));
    r.ranges = malloc(2 * f->n * sizeof(*r.ranges));
    if (!r.lanes || !r.readings || !r.ranges || series_begin(ctx->series, f->n, f->descending) < 0)
        goto done;
    for (size_t i = 0; i < f->n; i++) {
        series_lane(ctx->series, i, f->ranges[i]);
        if (!ctx->archive)
            r.lanes[i].seam = SEAM_REDIS_ALONE;
    }
    rc = fill(&r, out);
done:
    free(r.lanes);
    free(r.readings);
    free(r.ranges);
    return rc;
}

/* --- a walk through one stream ----------------------------------------------------------------------- */

struct walk {
    fetch_entry_fn *fn;
    void *arg;
    struct seam seam;
    struct streamid_range rest; /* not given to fn yet */
    size_t left;                /* of the budget */
    bool ended, over;           /* by fn; by the budget */
    bool more;                  /* `rest` may have entries */
    size_t got;                 /* entries of this piece */
    size_t index;               /* of the range that reads entries */
    bool trimmed;               /* where that begins */
    struct fetch_bounds bounds;
};

static int give(struct walk *w, struct streamid id, const char *text, size_t len)
{
    w->got++;
    if (w->left == 0) {
        w->over = true;
        return 1;
    }
    w->left--;
    w->rest.lo = id;
    w->more = streamid_after(&w->rest.lo);
    w->ended = text && w->fn(w->arg, id, text, len) != 0;
    return w->ended || !w->more;
}

static int on_walk_entry(void *p, size_t index, struct streamid id, const char *text, size_t len)
{
    struct walk *w = p;
    if (index != w->index) {
        w->bounds = (struct fetch_bounds){.stored = true, .first = id};
        w->trimmed = streamid_compare(id, w->rest.lo) > 0;
        return 0;
    }
    if (!w->trimmed && !w->ended && !w->over)
        give(w, id, text, len);
    return 0;
}

static int on_walk_row(void *p, const struct archive_row *row)
{
    return give(p, row->id, row->text, row->len);
}

/* The next piece from Redis, or (count 0) only where the stream begins. */
static int walk_redis(struct context *ctx, struct walk *w, enum archive_kind kind, const char *name, size_t count)
{
    struct store_range ranges[2] = {first_of(kind, name), part_of(kind, name, w->rest, count, false)};
    struct arena_mark mark = store_mark(ctx->store);
    bool first = ctx->archive != NULL;
    struct streamid lo = w->rest.lo;
    w->bounds.stored = w->trimmed = false;
    w->index = first ? 1 : 0;
    int rc = store_ranges(ctx->store, first ? ranges : ranges + 1, first && count > 0 ? 2 : 1, true, on_walk_entry, w);
    store_rewind(ctx->store, mark);
    if (rc < 0)
        return -1;
    if (first)
        seam_looked(&w->seam, w->bounds.stored ? &w->bounds.first : NULL);
    if (count > 0 && w->got < count && seam_covers(&w->seam, lo))
        w->more = false;
    return 0;
}

static int walk_archive(struct context *ctx, struct walk *w, enum archive_kind kind, const char *name,
                        struct streamid_range part, size_t count)
{
    if (!handler_may_ask(ctx) ||
        fetch_asked(ctx, archive_rows(ctx->archive, kind, name, part, count, false, on_walk_row, w)) < 0)
        return -1;
    if (w->got < count && !w->ended && !w->over) {
        w->rest.lo = w->seam.floor;
        w->more = streamid_compare(w->seam.floor, STREAMID_LAST) < 0;
    }
    return 0;
}

int fetch_walk(struct context *ctx, enum archive_kind kind, const char *name, struct streamid_range range,
               size_t budget, fetch_entry_fn *fn, void *arg)
{
    struct walk w = {.fn = fn, .arg = arg, .rest = range, .left = budget, .more = true};
    bool compared = true;
    if (!ctx->archive)
        w.seam = SEAM_REDIS_ALONE;
    else if (store_compared(ctx->store, &compared) < 0 ||
             (!compared && fetch_bounds(ctx, kind, &name, 1, &w.bounds) < 0))
        return -1;
    if (!compared)
        seam_looked(&w.seam, w.bounds.stored ? &w.bounds.first : NULL);
    while (w.more && !w.ended && !w.over && streamid_compare(w.rest.lo, w.rest.hi) <= 0) {
        struct streamid_range part = w.rest;
        enum seam_source source = seam_next(&w.seam, false, &part);
        size_t count = source == SEAM_ARCHIVE ? WALK_ARCHIVE : WALK_REDIS;
        if (w.left < count)
            count = w.left + 1; /* one more tells whether the budget is too small */
        w.got = 0;
        int rc = source == SEAM_ARCHIVE ? walk_archive(ctx, &w, kind, name, part, count)
                                        : walk_redis(ctx, &w, kind, name, source == SEAM_LOOK ? 0 : count);
        if (rc < 0)
            return -1;
    }
    return w.over ? 1 : 0;
}
