#include "fcgi/aggregate.h"

#include "fcgi/fetch.h"
#include "fcgi/tiers.h"

#include "common/clock.h"
#include "common/sample.h"

#include <string.h>

#define CLOCK_EVERY 4096 /* samples between two looks at the clock */

enum failure { FAILED_NOT, FAILED_SOURCE, FAILED_SAMPLES, FAILED_TIME };

struct plan {
    struct tiers_segment segments[TIERS_SEGMENTS_MAX];
    size_t n;
};

struct reading {
    struct context *ctx;
    const struct history *h;
    struct buckets *b;
    size_t left;                    /* samples that may still be read */
    int64_t deadline_ns;            /* monotonic */
    int64_t kept_ms[ARCHIVE_TIERS]; /* roll-ups from then on */
    enum failure failure;
    enum buckets_result result; /* of what was fed last */
    size_t device;
    int64_t earliest_ms;                 /* see look_for_first */
    size_t metrics[BUCKETS_METRICS_MAX]; /* of the device, and how many */
    size_t n_metrics;
    size_t metric; /* whose roll-ups are read */
    struct plan plans[HISTORY_DEVICES_MAX];
};

static int fail(struct reading *r, enum failure failure)
{
    r->failure = failure;
    return BUCKETWALK_FAILED;
}

static bool is_late(const struct reading *r)
{
    return clock_mono_ns() > r->deadline_ns;
}

/* --- roll-ups ---------------------------------------------------------------------------------------- */

/* Notes what came of a call of the archive. */
static int asked(struct reading *r, int rc)
{
    r->ctx->archive_asked = rc < 0 ? HANDLER_ARCHIVE_FAILED : HANDLER_ARCHIVE_ANSWERED;
    return rc;
}

static bool has_rollups(const struct reading *r)
{
    return r->ctx->archive && handler_may_ask(r->ctx) && tiers_serve(r->h->steps.ms);
}

static int on_metric(void *p, const char *name)
{
    struct reading *r = p;
    size_t metric;
    r->result = buckets_metric(r->b, name, strlen(name), &metric);
    if (r->result == BUCKETS_OK && metric != SIZE_MAX && r->n_metrics < BUCKETS_METRICS_MAX)
        r->metrics[r->n_metrics++] = metric;
    return r->result != BUCKETS_OK;
}

static int on_rollup(void *p, const struct archive_bucket *bucket)
{
    struct reading *r = p;
    const struct buckets_cell cell = {
        .count = bucket->count, .sum = bucket->sum, .min = bucket->min, .max = bucket->max, .last = bucket->last};
    r->result = buckets_rollup(r->b, r->device, r->metric, bucket->ms, &cell);
    return r->result != BUCKETS_OK;
}

/* What of the device's metrics can be in an answer. */
static int read_metrics(struct reading *r, const char *device_id)
{
    const struct history *h = r->h;
    r->n_metrics = 0;
    if (!h->has_fields)
        return asked(r, archive_metrics(r->ctx->archive, device_id, on_metric, r));
    for (size_t i = 0; i < h->n_fields; i++)
        on_metric(r, h->fields[i]);
    return 0;
}

static int read_segment(struct reading *r, const char *device_id, const struct tiers_segment *segment)
{
    for (size_t i = 0; i < r->n_metrics && r->result == BUCKETS_OK; i++) {
        r->metric = r->metrics[i];
        if (asked(r, archive_rollup(r->ctx->archive, segment->tier, device_id, buckets_known(r->b, r->metric),
                                    segment->from_ms, segment->to_ms, on_rollup, r)) < 0)
            return -1;
    }
    return 0;
}

/* Plans where a device's samples come from, and reads those of them that are in roll-ups. */
static int read_rollups(struct reading *r, size_t device, const struct bucketwalk_range *range)
{
    const char *device_id = r->h->devices[device];
    struct plan *plan = &r->plans[device];
    struct streamid position;
    bool known, any = false;
    if (asked(r, archive_position(r->ctx->archive, ARCHIVE_SAMPLES, device_id, &position, &known)) < 0)
        return -1;
    plan->n =
        tiers_plan(plan->segments, range->from_ms, range->to_ms, r->h->steps.ms, known ? &position : NULL, r->kept_ms);
    for (size_t i = 0; i < plan->n; i++)
        any = any || !plan->segments[i].raw;
    r->device = device;
    if (any && read_metrics(r, device_id) < 0)
        return -1;
    for (size_t i = 0; i < plan->n && r->result == BUCKETS_OK; i++) {
        if (!plan->segments[i].raw && read_segment(r, device_id, &plan->segments[i]) < 0)
            return -1;
    }
    return 0;
}

/* All devices' in one view. -1 when the archive is away: then nothing was fed. */
static int read_view(struct reading *r, const struct bucketwalk_range *ranges, size_t n)
{
    int rc = asked(r, archive_begin_view(r->ctx->archive));
    for (size_t i = 0; i < n && rc == 0 && r->result == BUCKETS_OK; i++)
        rc = read_rollups(r, i, &ranges[i]);
    archive_end_view(r->ctx->archive);
    if (rc < 0)
        buckets_undo(r->b);
    return rc;
}

/* --- samples ----------------------------------------------------------------------------------------- */

static int on_sample(void *p, struct streamid id, const char *text, size_t len)
{
    struct reading *r = p;
    if (--r->left % CLOCK_EVERY == 0 && is_late(r)) {
        r->failure = FAILED_TIME;
        return 1;
    }
    if (sample_check(text, len) != SAMPLE_BAD)
        r->result = buckets_sample(r->b, r->device, (int64_t)id.ms, text, len);
    return r->result != BUCKETS_OK;
}

static int read_samples(struct reading *r, size_t device)
{
    const struct plan *plan = &r->plans[device];
    r->device = device;
    for (size_t i = 0; i < plan->n && r->result == BUCKETS_OK; i++) {
        if (!plan->segments[i].raw)
            continue;
        int rc =
            fetch_walk(r->ctx, ARCHIVE_SAMPLES, r->h->devices[device], plan->segments[i].range, r->left, on_sample, r);
        if (r->failure != FAILED_NOT)
            return BUCKETWALK_FAILED;
        if (rc != 0)
            return fail(r, rc < 0 ? FAILED_SOURCE : FAILED_SAMPLES);
    }
    return (int)r->result;
}

static int look(void *arg, const struct bucketwalk_range *ranges, size_t n)
{
    struct reading *r = arg;
    r->result = BUCKETS_OK;
    if (is_late(r))
        return fail(r, FAILED_TIME);
    /* Where the archive is away, all that is wanted may still be in Redis. */
    if (!has_rollups(r) || read_view(r, ranges, n) < 0) {
        for (size_t i = 0; i < n; i++)
            r->plans[i].n =
                tiers_plan(r->plans[i].segments, ranges[i].from_ms, ranges[i].to_ms, r->h->steps.ms, NULL, r->kept_ms);
    }
    int rc = (int)r->result;
    for (size_t i = 0; i < n && rc == BUCKETS_OK; i++)
        rc = read_samples(r, i);
    return rc;
}

/* --- where samples are at all ------------------------------------------------------------------------ */

static bool is_sample(void *arg, const char *text, size_t len)
{
    (void)arg;
    return sample_check(text, len) != SAMPLE_BAD;
}

/* The first or the last sample of all ranges; *found is false when there is none. */
static int find_sample(struct reading *r, const struct bucketwalk_range *ranges, size_t n, bool last, int64_t *ms,
                       bool *found)
{
    const char *names[HISTORY_DEVICES_MAX];
    struct streamid_range ids[HISTORY_DEVICES_MAX];
    struct fetched got;
    for (size_t i = 0; i < n; i++) {
        names[i] = r->h->devices[i];
        ids[i] = (struct streamid_range){{(uint64_t)ranges[i].from_ms, 0}, {(uint64_t)ranges[i].to_ms, UINT64_MAX}};
    }
    const struct fetch f = {.kind = ARCHIVE_SAMPLES,
                            .names = names,
                            .ranges = ids,
                            .n = n,
                            .descending = last,
                            .want = 1,
                            .accept = is_sample};
    handler_forget(r->ctx);
    if (handler_page(r->ctx, 1) < 0 || fetch_page(r->ctx, &f, &got) < 0)
        return fail(r, FAILED_SOURCE);
    *found = got.n > 0;
    *ms = got.n > 0 ? (int64_t)r->ctx->page[0].id.ms : 0;
    return BUCKETS_OK;
}

static int on_first(void *p, const struct archive_bucket *bucket)
{
    struct reading *r = p;
    if (bucket->ms < r->earliest_ms)
        r->earliest_ms = bucket->ms;
    return 1;
}

/* Roll-ups may be older than any sample that is still there. */
static int look_for_first(struct reading *r, size_t device, const struct bucketwalk_range *range, int64_t *last_ms)
{
    enum archive_tier tier = r->h->steps.ms % archive_tier_ms[ARCHIVE_HOUR] == 0 ? ARCHIVE_HOUR : ARCHIVE_MINUTE;
    const char *device_id = r->h->devices[device];
    struct streamid position;
    bool known;
    if (range->from_ms > range->to_ms)
        return 0;
    if (asked(r, archive_position(r->ctx->archive, ARCHIVE_SAMPLES, device_id, &position, &known)) < 0)
        return -1;
    if (!known)
        return 0;
    int64_t end = position.ms < (uint64_t)range->to_ms ? (int64_t)position.ms : range->to_ms;
    if (end > *last_ms)
        *last_ms = end;
    if (read_metrics(r, device_id) < 0)
        return -1;
    for (size_t i = 0; i < r->n_metrics; i++) {
        if (asked(r, archive_rollup(r->ctx->archive, tier, device_id, buckets_known(r->b, r->metrics[i]),
                                    range->from_ms - range->from_ms % archive_tier_ms[tier], range->to_ms + 1, on_first,
                                    r)) < 0)
            return -1;
    }
    return 0;
}

static int find_bounds(void *arg, const struct bucketwalk_range *ranges, size_t n, int64_t *first_ms, int64_t *last_ms)
{
    struct reading *r = arg;
    bool some;
    if (find_sample(r, ranges, n, false, first_ms, &some) < 0 || find_sample(r, ranges, n, true, last_ms, &some) < 0)
        return BUCKETWALK_FAILED;
    r->earliest_ms = some ? *first_ms : INT64_MAX;
    *last_ms = some ? *last_ms : -1;
    r->result = BUCKETS_OK;
    if (has_rollups(r)) {
        int rc = asked(r, archive_begin_view(r->ctx->archive));
        for (size_t i = 0; i < n && rc == 0 && r->result == BUCKETS_OK; i++)
            rc = look_for_first(r, i, &ranges[i], last_ms);
        archive_end_view(r->ctx->archive);
        /* As in look(): all that is wanted may still be in Redis. */
        for (size_t i = 0; i < n && rc < 0; i++) {
            if (ranges[i].from_ms <= ranges[i].to_ms && ranges[i].from_ms < r->earliest_ms)
                r->earliest_ms = ranges[i].from_ms;
        }
    }
    *first_ms = r->earliest_ms;
    return (int)r->result;
}

/* --- a page ------------------------------------------------------------------------------------------ */

static void answer_result(struct reply *reply, int rc)
{
    char detail[256];
    switch (rc) {
    case BUCKETS_METRICS:
        snprintf(detail, sizeof(detail), "this answer would have more than %d metrics; choose with fields",
                 BUCKETS_METRICS_MAX);
        reply_problem(reply, 400, detail);
        break;
    case BUCKETS_CELLS:
        snprintf(detail, sizeof(detail),
                 "this answer would have more than %d values; choose a larger step or fewer points, a smaller limit, "
                 "fewer devices, or with fields",
                 BUCKETS_CELLS_MAX);
        reply_problem(reply, 400, detail);
        break;
    default:
        reply_problem(reply, 500, "out of memory");
        break;
    }
}

static void answer_failure(struct reading *r, struct reply *reply)
{
    char detail[256];
    switch (r->failure) {
    case FAILED_SAMPLES:
        snprintf(detail, sizeof(detail),
                 "more than %d samples would have to be read for this; choose a larger step, best of whole minutes or "
                 "hours, a shorter range, or a smaller limit",
                 AGGREGATE_SAMPLES_MAX);
        reply_problem(reply, 400, detail);
        break;
    case FAILED_TIME:
        reply_problem(
            reply, 400,
            "this takes too long; choose a larger step, best of whole minutes or hours, a shorter range, or a "
            "smaller limit");
        break;
    default:
        handler_away(r->ctx, reply);
        break;
    }
}

int aggregate_page(struct context *ctx, const struct history *h, bool grid, struct buckets *b,
                   struct bucketwalk_page *page, struct reply *reply)
{
    struct reading reading = {.ctx = ctx, .h = h, .b = b, .left = AGGREGATE_SAMPLES_MAX};
    const struct bucketwalk_source source = {.look = look, .bounds = find_bounds, .arg = &reading};
    struct reading *r = &reading;
    r->deadline_ns = clock_mono_ns() + ctx->request_s * 750000000LL;
    r->kept_ms[ARCHIVE_MINUTE] = tiers_kept(clock_wall_ms(), ctx->keep_minutes_d);
    r->kept_ms[ARCHIVE_HOUR] = tiers_kept(clock_wall_ms(), ctx->keep_hours_d);
    int rc = bucketwalk_page(h, grid, b, &source, page);
    if (rc == BUCKETS_OK)
        handler_back(ctx);
    else if (rc == BUCKETWALK_FAILED)
        answer_failure(r, reply);
    else
        answer_result(reply, rc);
    return rc == BUCKETS_OK ? 0 : -1;
}
