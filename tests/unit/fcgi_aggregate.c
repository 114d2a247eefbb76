/* Where aggregates come from: the order in which the sources are asked, and what fails. The sources are fakes. */
#include "fcgi/aggregate.h"
#include "fcgi/fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE 60000LL
#define HOUR   3600000LL
#define DAY    86400000LL
#define T      (20000 * DAY)

static struct context ctx;
static struct history h;
static struct buckets *b;
static struct reply reply;
static struct bucketwalk_page page;
static char calls[512]; /* what was asked, in order */
static bool away_said, known;
static struct streamid position;
static int metrics;      /* that the archive knows */
static int view_rc;      /* of archive_begin_view */
static int rollups_left; /* calls of archive_rollup until it fails; negative: never */
static int walk_rc;
static uint64_t every; /* ms between the samples of fetch_walk */
static struct archive *const some_archive = (struct archive *)&calls;

static void called(const char *what)
{
    size_t len = strlen(calls);
    snprintf(calls + len, sizeof(calls) - len, "%s%s", len ? " " : "", what);
}

const int64_t archive_tier_ms[ARCHIVE_TIERS] = {MINUTE, HOUR};

int archive_begin_view(struct archive *a)
{
    assert_ptr_equal(a, some_archive);
    called("begin");
    return view_rc;
}

void archive_end_view(struct archive *a)
{
    (void)a;
    called("end");
}

int archive_position(struct archive *a, enum archive_kind kind, const char *device_id, struct streamid *at, bool *is)
{
    (void)a;
    (void)device_id;
    assert_int_equal(kind, ARCHIVE_SAMPLES);
    *at = position;
    *is = known;
    return 0;
}

int archive_metrics(struct archive *a, const char *device_id, archive_metric_fn *fn, void *arg)
{
    char name[16];
    (void)a;
    (void)device_id;
    for (int i = 0; i < metrics; i++) {
        snprintf(name, sizeof(name), i ? "m%d" : "battery", i);
        if (fn(arg, name) != 0)
            break;
    }
    return 0;
}

/* Roll-ups of one value, 7, each. */
int archive_rollup(struct archive *a, enum archive_tier tier, const char *device_id, const char *metric,
                   int64_t from_ms, int64_t to_ms, archive_bucket_fn *fn, void *arg)
{
    (void)a;
    (void)device_id;
    assert_string_equal(metric, "battery");
    called(tier == ARCHIVE_HOUR ? "hours" : "minutes");
    for (int64_t ms = from_ms; ms < to_ms; ms += archive_tier_ms[tier]) {
        const struct archive_bucket bucket = {.ms = ms, .min = 7, .max = 7, .sum = 7, .last = 7, .count = 1};
        if (fn(arg, &bucket) != 0)
            break;
    }
    return rollups_left-- == 0 ? -1 : 0;
}

int fetch_walk(struct context *c, enum archive_kind kind, const char *name, struct streamid_range range, size_t budget,
               fetch_entry_fn *fn, void *arg)
{
    (void)c;
    (void)kind;
    (void)name;
    called("walk");
    for (uint64_t ms = range.lo.ms + (range.lo.seq > 0); ms <= range.hi.ms && every > 0; ms += every) {
        if (budget-- == 0)
            return 1;
        if (fn(arg, (struct streamid){ms, 0}, "\"battery\":1", 11) != 0)
            return 0;
    }
    return walk_rc;
}

int fetch_page(struct context *c, const struct fetch *f, struct fetched *out)
{
    (void)c;
    (void)f;
    called("page");
    *out = (struct fetched){.n = 0};
    return 0;
}

bool handler_may_ask(const struct context *unused)
{
    (void)unused;
    return true;
}

int handler_page(struct context *c, size_t n)
{
    (void)c;
    (void)n;
    return 0;
}

void handler_forget(struct context *c)
{
    (void)c;
}

void handler_back(struct context *c)
{
    (void)c;
}

void handler_away(struct context *c, struct reply *r)
{
    (void)c;
    away_said = true;
    reply_problem(r, 503, "away");
}

static int sink(void *p, const char *bytes, size_t len)
{
    (void)p;
    (void)bytes;
    (void)len;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&ctx, 0, sizeof(ctx));
    ctx.archive = some_archive;
    ctx.request_s = 60;
    memset(&h, 0, sizeof(h));
    h.walk = CURSOR_TELEMETRY;
    strcpy(h.devices[0], "a");
    h.n_devices = 1;
    h.has_from = h.has_to = true;
    h.from_ms = T;
    h.to_ms = T + 10 * HOUR - 1;
    h.steps = (struct steps){.ms = HOUR, .n_aggs = 1};
    h.limit = 100;
    b = buckets_create();
    reply_init(&reply);
    reply_begin(&reply, false, sink, NULL);
    calls[0] = '\0';
    away_said = false;
    known = true;
    position = (struct streamid){T + 4 * HOUR + 5, 0};
    metrics = 1;
    view_rc = walk_rc = 0;
    rollups_left = -1;
    every = MINUTE;
    return b ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    buckets_destroy(b);
    reply_destroy(&reply);
    return 0;
}

static void answers(size_t rows)
{
    assert_int_equal(aggregate_page(&ctx, &h, false, b, &page, &reply), 0);
    assert_int_equal(page.n, rows);
    assert_int_equal(reply.status, 200);
}

static int64_t count_of(size_t row)
{
    return buckets_cell(b, buckets_row(b, page.first + row), 0)->count;
}

static void refuses(int status, const char *text)
{
    assert_int_equal(aggregate_page(&ctx, &h, false, b, &page, &reply), -1);
    assert_int_equal(reply.status, status);
    reply.body.data[reply.body.len - 1] = '\0';
    if (!strstr(reply.body.data, text))
        fail_msg("%s", reply.body.data);
}

/* The roll-ups in one view, then what is behind the position. */
static void roll_ups_first(void **state)
{
    (void)state;
    answers(10);
    assert_string_equal(calls, "begin hours end walk");
    assert_int_equal(count_of(0), 1);
    assert_int_equal(count_of(4), 1 + 60); /* one up to the position, and the samples behind it, a minute apart */
    assert_int_equal(count_of(5), 60);
    assert_int_equal(ctx.archive_asked, HANDLER_ARCHIVE_ANSWERED);
}

static void without_an_archive(void **state)
{
    (void)state;
    ctx.archive = NULL;
    answers(10);
    assert_string_equal(calls, "walk");
    assert_int_equal(ctx.archive_asked, HANDLER_ARCHIVE_UNASKED);
}

static void odd_steps(void **state)
{
    (void)state;
    h.steps.ms = 90000;
    h.limit = 1000;
    answers(400);
    assert_string_equal(calls, "walk");
}

static void not_archived_yet(void **state)
{
    (void)state;
    known = false;
    answers(10);
    assert_string_equal(calls, "begin end walk");
}

/* What was read of an archive that went away meanwhile does not count; that it did is noted. */
static void archive_lost(void **state)
{
    (void)state;
    rollups_left = 0;
    answers(10);
    assert_string_equal(calls, "begin hours end walk");
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(count_of(i), 60);
    assert_int_equal(ctx.archive_asked, HANDLER_ARCHIVE_FAILED);
}

static void all_lost(void **state)
{
    (void)state;
    view_rc = walk_rc = -1;
    every = 0;
    refuses(503, "away");
    assert_true(away_said);
}

static void too_many_samples(void **state)
{
    (void)state;
    every = 1;
    refuses(400, "more than 2000000 samples would have to be read for this; choose a larger step");
}

static void too_long(void **state)
{
    (void)state;
    ctx.request_s = 0;
    refuses(400, "this takes too long; choose a larger step");
}

static void too_many_metrics(void **state)
{
    (void)state;
    metrics = 300;
    refuses(400, "this answer would have more than 256 metrics; choose with fields");
}

/* More than one window, and nothing in any: the bounds are asked for once. */
static void nothing_at_all(void **state)
{
    (void)state;
    h.has_from = h.has_to = false;
    h.limit = 5;
    h.steps.ms = 1000;
    answers(0);
    assert_string_equal(calls, "page page");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(roll_ups_first, setup, teardown),
        cmocka_unit_test_setup_teardown(without_an_archive, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(not_archived_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(archive_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(all_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_samples, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_at_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
