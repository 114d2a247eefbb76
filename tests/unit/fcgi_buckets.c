/* Aggregation into buckets: single values, bounds, and whole walks against a naive model. */
#include "fcgi/bucketwalk.h"
#include "fcgi/tiers.h"

#include "common/jsonw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE 60000LL
#define HOUR   3600000LL
#define DAY    86400000LL
#define T      (20000 * DAY)

static struct buckets *b;

static int setup(void **state)
{
    (void)state;
    b = buckets_create();
    return b ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    buckets_destroy(b);
    return 0;
}

static void feed(size_t device, int64_t ms, const char *text)
{
    assert_int_equal(buckets_sample(b, device, ms, text, strlen(text)), BUCKETS_OK);
}

static void is(size_t row, const char *name, int64_t count, double sum, double min, double max, double last)
{
    for (size_t i = 0; i < buckets_metrics(b); i++) {
        if (strcmp(buckets_name(b, i), name) != 0)
            continue;
        const struct buckets_cell *c = buckets_cell(b, buckets_row(b, row), i);
        assert_int_equal(c->count, count);
        assert_true(count == 0 || (c->sum == sum && c->min == min && c->max == max && c->last == last));
        return;
    }
    fail_msg("no metric %s", name);
}

static void adds_up(void **state)
{
    (void)state;
    buckets_begin(b, MINUTE, 2, NULL, 0);
    assert_int_equal(buckets_window(b, T, 10), BUCKETS_OK);
    feed(0, T + 5, "\"battery\":85,\"zeta\":1,\"cpu\":-2.5");
    feed(0, T + 6, "\"battery\":80,\"cpu\":1e1,\"alpha\":7,\"id\":3,\"timestamp\":1,\"device_id\":2");
    feed(0, T + 59999, "\"battery\":81");
    feed(0, T + MINUTE, "\"battery\":1e999,\"cpu\":-1e999"); /* no numbers */
    feed(0, T + 9 * MINUTE, "");
    feed(1, T + 5 * MINUTE, "\"battery\":1");
    feed(1, T + 5 * MINUTE, "\"battery\":2");
    feed(1, T - 1, "\"battery\":3"); /* not of this window */
    feed(1, T + 10 * MINUTE, "\"battery\":3");
    buckets_finish(b);
    assert_int_equal(buckets_rows(b), 2);
    assert_int_equal(buckets_row(b, 0)->ms, T);
    is(0, "battery", 3, 246, 80, 85, 81);
    is(0, "cpu", 2, 7.5, -2.5, 10, 10);
    is(0, "temperature", 0, 0, 0, 0, 0);
    assert_int_equal(buckets_row(b, 1)->ms, T + 5 * MINUTE);
    assert_int_equal(buckets_row(b, 1)->device, 1);
    is(1, "battery", 2, 3, 1, 2, 2);
    static const char *const names[] = {"battery", "cpu", "temperature", "signal", "alpha", "zeta"};
    assert_int_equal(buckets_metrics(b), 6);
    assert_int_equal(buckets_first(b), 4);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(buckets_name(b, i), names[i]);
}

static void only_the_fields(void **state)
{
    static const char fields[][MSG_METRIC_NAME_MAX + 1] = {"zeta", "battery"};
    (void)state;
    buckets_begin(b, 1000, 1, fields, 2);
    assert_int_equal(buckets_window(b, T, 10), BUCKETS_OK);
    feed(0, T, "\"battery\":85,\"zeta\":1,\"cpu\":2");
    feed(0, T + 1000, "\"cpu\":2"); /* no row */
    buckets_finish(b);
    assert_int_equal(buckets_rows(b), 1);
    assert_int_equal(buckets_metrics(b), 2);
    assert_string_equal(buckets_name(b, 0), "zeta");
    buckets_begin(b, 1000, 1, fields, 0);
    assert_int_equal(buckets_window(b, T, 10), BUCKETS_OK);
    feed(0, T, "\"battery\":85");
    buckets_finish(b);
    assert_int_equal(buckets_rows(b), 0);
}

/* A roll-up's last value is older than that of any sample in it that comes beside, and newer than one before. */
static void rollups_join(void **state)
{
    size_t metric;
    (void)state;
    buckets_begin(b, HOUR, 1, NULL, 0);
    assert_int_equal(buckets_window(b, T, 1), BUCKETS_OK);
    assert_int_equal(buckets_metric(b, "battery", 7, &metric), BUCKETS_OK);
    struct buckets_cell cell = {.count = 20, .sum = 1000, .min = 40, .max = 60, .last = 45};
    assert_int_equal(buckets_rollup(b, 0, metric, T + 2 * MINUTE, &cell), BUCKETS_OK);
    cell.last = 46;
    assert_int_equal(buckets_rollup(b, 0, metric, T + MINUTE, &cell), BUCKETS_OK);
    feed(0, T + 59999, "\"battery\":30");
    buckets_finish(b);
    is(0, "battery", 41, 2030, 30, 60, 45);

    buckets_begin(b, HOUR, 1, NULL, 0);
    assert_int_equal(buckets_window(b, T, 1), BUCKETS_OK);
    assert_int_equal(buckets_rollup(b, 0, metric, T + 2 * MINUTE, &cell), BUCKETS_OK);
    feed(0, T + 2 * MINUTE + 1, "\"battery\":70");
    buckets_finish(b);
    is(0, "battery", 21, 1070, 40, 70, 70);
}

static void bounds(void **state)
{
    char text[64];
    (void)state;
    buckets_begin(b, 1000, 1, NULL, 0);
    assert_int_equal(buckets_window(b, T, 600000), BUCKETS_OK);
    for (int i = 0; i < BUCKETS_METRICS_MAX - 4; i++) {
        snprintf(text, sizeof(text), "\"m%d\":1", i);
        feed(0, T, text);
    }
    assert_int_equal(buckets_sample(b, 0, T, "\"more\":1", 8), BUCKETS_METRICS);
    feed(0, T, "\"m0\":2");

    buckets_begin(b, 1000, 1, NULL, 0);
    assert_int_equal(buckets_window(b, T, 1), BUCKETS_OK);
    feed(0, T, "\"battery\":1,\"cpu\":2");
    assert_int_equal(buckets_window(b, T + 1000, 600000), BUCKETS_OK);
    int64_t i = 1;
    while (buckets_sample(b, 0, T + i * 1000, "\"cpu\":7", 7) == BUCKETS_OK)
        i++;
    assert_int_equal(i, BUCKETS_CELLS_MAX / 2);
    buckets_undo(b);
    assert_int_equal(buckets_rows(b), 1);
    feed(0, T + 5000, "\"battery\":3,\"signal\":4");
    buckets_finish(b);
    assert_int_equal(buckets_rows(b), 2);
    is(0, "cpu", 1, 2, 2, 2, 2);
    is(1, "battery", 1, 3, 3, 3, 3);
    is(1, "cpu", 0, 0, 0, 0, 0);
}

/* What a text means is exactly what strtod makes of it. */
static void numbers(void **state)
{
    char text[128];
    (void)state;
    srandom(7);
    for (int i = 0; i < 200000; i++) {
        char number[64];
        double value = (double)random() * (i % 3 ? 1 : (double)random()) / (double)(random() % 1000 + 1);
        switch (i % 4) {
        case 0:
            snprintf(number, sizeof(number), "%.*f", (int)(random() % 18), value);
            break;
        case 1:
            snprintf(number, sizeof(number), "-%.*f", (int)(random() % 7), value / 1e6);
            break;
        case 2:
            snprintf(number, sizeof(number), "%.*e", (int)(random() % 18), value / 1e9);
            break;
        default:
            number[jsonw_format_number(number, value)] = '\0';
        }
        buckets_begin(b, 1000, 1, NULL, 0);
        assert_int_equal(buckets_window(b, 0, 1), BUCKETS_OK);
        size_t len = (size_t)snprintf(text, sizeof(text), "\"cpu\":%s", number);
        assert_int_equal(buckets_sample(b, 0, 0, text, len), BUCKETS_OK);
        buckets_finish(b);
        double want = strtod(number, NULL);
        is(0, "cpu", 1, want, want, want, want);
    }
}

/* --- walks against a model -------------------------------------------------------------------------- */

#define DEVICES 3
#define METRICS 5
#define SAMPLES 1500

static const char *const names[METRICS] = {"battery", "cpu", "temperature", "signal", "volt"};

struct model_sample {
    struct streamid id;
    char text[128];
    bool has[METRICS];
    double values[METRICS];
};

static struct model_sample samples[DEVICES][SAMPLES];
static size_t n_samples[DEVICES];
static struct streamid positions[DEVICES];
static bool archived;
static int looks;
static struct history h;

static void put_sample(struct model_sample *s, int64_t ms, uint64_t seq)
{
    s->id = (struct streamid){(uint64_t)ms, seq};
    s->text[0] = '\0';
    for (size_t m = 0; m < METRICS; m++) {
        s->has[m] = random() % 4 > 0;
        s->values[m] = (double)(random() % 801 - 400) / 8; /* sums are exact */
        if (s->has[m])
            snprintf(s->text + strlen(s->text), sizeof(s->text) - strlen(s->text), "%s\"%s\":%.3f",
                     s->text[0] ? "," : "", names[m], s->values[m]);
    }
}

static void make_samples(void)
{
    for (size_t d = 0; d < DEVICES; d++) {
        int64_t ms = T - random() % (3 * DAY);
        uint64_t seq = 0;
        n_samples[d] = (size_t)random() % SAMPLES;
        for (size_t i = 0; i < n_samples[d]; i++) {
            int64_t gap = random() % 300 == 0  ? random() % (20 * DAY)
                          : random() % 10 == 0 ? 0
                                               : random() % (4 * MINUTE);
            seq = gap ? 0 : seq + 1;
            put_sample(&samples[d][i], ms += gap, seq);
        }
        positions[d] = n_samples[d] ? samples[d][(size_t)random() % n_samples[d]].id : STREAMID_FIRST;
    }
}

/* What an archive would say of one minute or hour. */
static void look_at_rollups(size_t d, const struct tiers_segment *s)
{
    int64_t len = s->tier == ARCHIVE_HOUR ? HOUR : MINUTE;
    for (size_t i = 0; i < n_samples[d];) {
        int64_t tile = (int64_t)samples[d][i].id.ms / len * len;
        struct buckets_cell cells[METRICS] = {{0}};
        for (; i < n_samples[d] && (int64_t)samples[d][i].id.ms < tile + len; i++) {
            for (size_t m = 0; m < METRICS && streamid_compare(samples[d][i].id, positions[d]) <= 0; m++) {
                double v = samples[d][i].values[m];
                struct buckets_cell *c = &cells[m];
                if (!samples[d][i].has[m])
                    continue;
                c->min = c->count == 0 || v < c->min ? v : c->min;
                c->max = c->count == 0 || v > c->max ? v : c->max;
                c->sum += v;
                c->last = v;
                c->count++;
            }
        }
        for (size_t m = 0; m < METRICS && tile >= s->from_ms && tile < s->to_ms; m++) {
            size_t metric;
            assert_int_equal(buckets_metric(b, names[m], strlen(names[m]), &metric), BUCKETS_OK);
            if (metric != SIZE_MAX)
                assert_int_equal(buckets_rollup(b, d, metric, tile, &cells[m]), BUCKETS_OK);
        }
    }
}

static int look(void *arg, const struct bucketwalk_range *ranges, size_t n)
{
    static const int64_t ever[ARCHIVE_TIERS];
    struct tiers_segment segments[TIERS_SEGMENTS_MAX];
    (void)arg;
    looks++;
    for (size_t d = 0; d < n; d++) {
        size_t count =
            tiers_plan(segments, ranges[d].from_ms, ranges[d].to_ms, h.steps.ms, archived ? &positions[d] : NULL, ever);
        for (size_t k = 0; k < count; k++) {
            if (!segments[k].raw)
                look_at_rollups(d, &segments[k]);
        }
        for (size_t k = 0; k < count; k++) {
            for (size_t i = 0; i < n_samples[d] && segments[k].raw; i++) {
                const struct model_sample *s = &samples[d][i];
                if (streamid_compare(s->id, segments[k].range.lo) >= 0 &&
                    streamid_compare(s->id, segments[k].range.hi) <= 0)
                    feed(d, (int64_t)s->id.ms, s->text);
            }
        }
    }
    return BUCKETS_OK;
}

static int find_bounds(void *arg, const struct bucketwalk_range *ranges, size_t n, int64_t *first_ms, int64_t *last_ms)
{
    (void)arg;
    *first_ms = INT64_MAX;
    *last_ms = 0;
    for (size_t d = 0; d < n; d++) {
        for (size_t i = 0; i < n_samples[d]; i++) {
            int64_t ms = (int64_t)samples[d][i].id.ms;
            if (ms < ranges[d].from_ms || ms > ranges[d].to_ms)
                continue;
            *first_ms = ms < *first_ms ? ms : *first_ms;
            *last_ms = ms > *last_ms ? ms : *last_ms;
        }
    }
    return BUCKETS_OK;
}

static const struct bucketwalk_source source = {.look = look, .bounds = find_bounds};

/* The model: whether the device's bucket has a value, and what one of its cells is. */
static bool expect(size_t d, int64_t bucket, size_t m, struct buckets_cell *c)
{
    bool some = false;
    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < n_samples[d]; i++) {
        const struct model_sample *s = &samples[d][i];
        int64_t ms = (int64_t)s->id.ms;
        if (ms < bucket || ms >= bucket + h.steps.ms || ms < h.from_ms || ms > h.to_ms)
            continue;
        for (size_t k = 0; k < METRICS; k++)
            some = some || s->has[k];
        if (!s->has[m])
            continue;
        c->min = c->count == 0 || s->values[m] < c->min ? s->values[m] : c->min;
        c->max = c->count == 0 || s->values[m] > c->max ? s->values[m] : c->max;
        c->sum += s->values[m];
        c->last = s->values[m];
        c->count++;
    }
    return some;
}

static void check_row(const struct buckets_row *row)
{
    for (size_t i = 0; i < buckets_metrics(b); i++) {
        struct buckets_cell want;
        size_t m = 0;
        while (strcmp(names[m], buckets_name(b, i)) != 0)
            m++;
        assert_true(expect(row->device, row->ms, m, &want));
        const struct buckets_cell *got = buckets_cell(b, row, i);
        if (got->count != want.count || (want.count && (got->sum != want.sum || got->min != want.min ||
                                                        got->max != want.max || got->last != want.last)))
            fail_msg("device %u, bucket %lld, %s: %lld %g %g %g %g instead of %lld %g %g %g %g", row->device,
                     (long long)row->ms, names[m], (long long)got->count, got->sum, got->min, got->max, got->last,
                     (long long)want.count, want.sum, want.min, want.max, want.last);
    }
}

/* How many rows the whole walk has. */
static size_t expect_rows(void)
{
    size_t rows = 0;
    struct buckets_cell unused;
    for (size_t d = 0; d < DEVICES; d++) {
        int64_t last = -1;
        for (size_t i = 0; i < n_samples[d]; i++) {
            int64_t bucket = (int64_t)samples[d][i].id.ms / h.steps.ms * h.steps.ms;
            if (bucket != last)
                rows += expect(d, bucket, 0, &unused);
            last = bucket;
        }
    }
    return rows;
}

static bool follows(const struct buckets_row *row, int64_t ms, uint32_t device)
{
    if (row->ms != ms)
        return h.descending ? row->ms < ms : row->ms > ms;
    return h.descending ? row->device < device : row->device > device;
}

/* All pages: every row of the model, once, in order. */
static void walk_all(bool grid)
{
    struct bucketwalk_page page = {.more = true};
    size_t rows = 0, pages = 0;
    int64_t at_ms = h.descending ? INT64_MAX : -1;
    uint32_t at_device = 0;
    for (h.has_cursor = false; page.more; pages++) {
        assert_true(pages < 10000);
        assert_int_equal(bucketwalk_page(&h, grid, b, &source, &page), BUCKETS_OK);
        for (size_t k = 0; k < page.n; k++) {
            const struct buckets_row *row = buckets_row(b, page.first + (h.descending ? page.n - 1 - k : k));
            assert_true(follows(row, at_ms, at_device));
            at_ms = row->ms;
            at_device = row->device;
            check_row(row);
            rows++;
        }
        assert_true(page.n > 0 || !page.more);
        if (grid && page.n > 0)
            assert_true(buckets_row(b, page.first + page.n - 1)->ms - buckets_row(b, page.first)->ms <
                        h.limit * h.steps.ms);
        else
            assert_true(page.n <= (size_t)h.limit && (!page.more || page.n == (size_t)h.limit));
        if (page.more) {
            history_cursor(&h, (struct streamid){(uint64_t)page.at_ms, 0}, h.devices[page.device], &h.cursor);
            h.has_cursor = true;
        }
    }
    assert_int_equal(rows, expect_rows());
}

static void walks(void **state)
{
    static const int64_t steps[] = {1000, 30000, MINUTE, 90000, 5 * MINUTE, HOUR, 90 * MINUTE, 2 * HOUR, DAY, 7 * DAY};
    static const int limits[] = {1, 7, 100, 10000};
    (void)state;
    srandom(11);
    for (int round = 0; round < 160; round++) {
        make_samples();
        memset(&h, 0, sizeof(h));
        h.walk = CURSOR_TELEMETRY;
        h.n_devices = DEVICES;
        for (size_t d = 0; d < DEVICES; d++)
            snprintf(h.devices[d], sizeof(h.devices[d]), "r%zu", d);
        h.steps = (struct steps){.ms = steps[(size_t)random() % (sizeof(steps) / sizeof(steps[0]))], .n_aggs = 1};
        h.limit = limits[round % 4 ? 1 + random() % 3 : 0];
        h.has_from = h.has_to = true;
        h.from_ms = random() % 3 ? T + random() % (5 * DAY) : 0;
        h.to_ms = random() % 3 ? h.from_ms + random() % (60 * DAY) : INT64_MAX / 2;
        if (h.limit == 1) /* many pages */
            h.to_ms = h.from_ms + 50 * h.steps.ms;
        archived = random() % 4 > 0;
        h.descending = random() % 2;
        walk_all(random() % 2);
    }
}

/* Samples years apart, and then many at once. */
static void sparse(void **state)
{
    (void)state;
    srandom(3);
    memset(&h, 0, sizeof(h));
    h.walk = CURSOR_TELEMETRY;
    h.n_devices = DEVICES;
    memcpy(h.devices, (char[DEVICES][MSG_DEVICE_ID_MAX + 1]){"a", "b", "c"},
           sizeof(char[DEVICES][MSG_DEVICE_ID_MAX + 1]));
    h.to_ms = INT64_MAX / 2;
    h.steps = (struct steps){.ms = 1000, .n_aggs = 1};
    archived = false;
    for (size_t d = 0; d < DEVICES; d++) {
        n_samples[d] = 30;
        for (size_t i = 0; i < 30; i++)
            put_sample(&samples[d][i], (int64_t)(i * i) * 10 * DAY + (int64_t)d, 0);
    }
    for (int descending = 0; descending < 2; descending++) {
        h.descending = descending;
        for (h.limit = 5; h.limit < 10000; h.limit *= 10) {
            looks = 0;
            walk_all(false);
            assert_true(looks < 500);
            walk_all(true);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(adds_up, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(rollups_join, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(walks, setup, teardown),
        cmocka_unit_test_setup_teardown(sparse, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
