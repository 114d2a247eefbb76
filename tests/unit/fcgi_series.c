#include "fcgi/history.h"
#include "fcgi/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ids(void **state)
{
    struct streamid id = {5, 6};
    (void)state;
    assert_int_equal(streamid_parse("1768473045123-7", 15, &id), 0);
    assert_true(id.ms == 1768473045123 && id.seq == 7);
    static const char *const bad[] = {"",    "-", "1", "1-", "-1", "1-2-3", "1-x", "+1-2", "18446744073709551616-0",
                                      "1 -2"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(streamid_parse(bad[i], strlen(bad[i]), &id), -1);
    assert_true(id.ms == 1768473045123 && id.seq == 7);
    id = (struct streamid){1, UINT64_MAX};
    assert_true(streamid_after(&id));
    assert_true(id.ms == 2 && id.seq == 0);
    assert_true(streamid_before(&id));
    assert_true(id.ms == 1 && id.seq == UINT64_MAX);
    id = (struct streamid){0, 0};
    assert_false(streamid_before(&id));
    id = (struct streamid){UINT64_MAX, UINT64_MAX};
    assert_false(streamid_after(&id));
}

/* --- a store in memory, with what Redis does to streams ------------------------------------------ */

#define DEVICES 5
#define ENTRIES 4000

struct stream {
    struct streamid ids[ENTRIES];
    size_t first, n; /* ids[first..n) are there */
};

static struct stream streams[DEVICES];
static const char *const names[DEVICES] = {"a", "b", "c", "d", "e"};
static uint32_t rng = 1;

static uint32_t pick(uint32_t below)
{
    rng = rng * 1664525u + 1013904223u;
    return (rng >> 8) % below;
}

static bool is_bad(struct streamid id)
{
    return id.seq % 7 == 6;
}

/* Few milliseconds, many samples: equal ids on several devices are the hard case. */
static void append(size_t d)
{
    struct stream *s = &streams[d];
    struct streamid id = s->n ? s->ids[s->n - 1] : (struct streamid){1000, 0};
    if (s->n == ENTRIES)
        return;
    if (pick(2))
        id.seq++;
    else
        id = (struct streamid){id.ms + 1 + pick(3), pick(3)};
    s->ids[s->n++] = id;
}

static void feed(struct series *s, size_t lane, size_t device, size_t count, bool descending)
{
    struct streamid_range r;
    size_t got = 0;
    assert_true(series_want(s, lane, &r));
    const struct stream *st = &streams[device];
    for (size_t k = st->first; k < st->n && got < count; k++) {
        struct streamid id = st->ids[descending ? st->n - 1 - (k - st->first) : k];
        if (streamid_compare(id, r.lo) < 0 || streamid_compare(id, r.hi) > 0)
            continue;
        got++;
        assert_int_equal(series_feed(s, lane, id, is_bad(id) ? NULL : "x", 1), 0);
    }
    series_fed(s, lane, got, count);
}

/* One page, with rounds of random size; entries come and go between rounds. */
static size_t page(struct series *s, const struct history *h, struct series_sample *out, size_t want, bool churn)
{
    size_t n = 0, lane;
    assert_int_equal(series_begin(s, h->n_devices, h->descending), 0);
    for (size_t i = 0; i < h->n_devices; i++) {
        series_lane(s, i, history_range(h, h->devices[i]));
        const struct stream *st = &streams[h->devices[i][0] - 'a'];
        if (!h->descending && st->n > st->first)
            series_limit(s, i, st->ids[st->n - 1]);
    }
    while (n < want) {
        enum series_step step = series_next(s, &out[n], &lane);
        if (step == SERIES_END)
            break;
        if (step == SERIES_SAMPLE) {
            n++;
            continue;
        }
        feed(s, lane, (size_t)(h->devices[lane][0] - 'a'), 1 + pick(9), h->descending);
        if (churn)
            append(pick(DEVICES));
    }
    return n;
}

struct key {
    struct streamid id;
    size_t device;
};

static int by_order(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int order = streamid_compare(x->id, y->id);
    return order ? order : (int)x->device - (int)y->device;
}

/* What is there now, in ascending order. */
static size_t snapshot(struct key *keys)
{
    size_t n = 0;
    for (size_t d = 0; d < DEVICES; d++) {
        for (size_t i = streams[d].first; i < streams[d].n; i++) {
            if (!is_bad(streams[d].ids[i]))
                keys[n++] = (struct key){streams[d].ids[i], d};
        }
    }
    qsort(keys, n, sizeof(*keys), by_order);
    return n;
}

static void begin(struct history *h, bool descending)
{
    memset(h, 0, sizeof(*h));
    h->walk = CURSOR_TELEMETRY;
    h->n_devices = DEVICES;
    for (size_t i = 0; i < DEVICES; i++)
        strcpy(h->devices[i], names[i]);
    h->descending = descending;
}

static void turn(struct history *h, const struct series_sample *last)
{
    char text[CURSOR_TEXT_MAX];
    struct cursor c;
    history_cursor(h, last->id, h->devices[last->lane], &c);
    assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &h->cursor), 0);
    h->has_cursor = true;
}

static void reset(size_t entries)
{
    memset(streams, 0, sizeof(streams));
    for (size_t i = 0; i < entries; i++)
        append(pick(DEVICES));
}

/* A still store: page by page gives exactly what is there, both ways. */
static void walks_exactly(void **state)
{
    static struct key keys[DEVICES * ENTRIES];
    static struct series_sample out[200];
    struct series *s = series_create();
    struct history h;
    (void)state;
    for (int run = 0; run < 200; run++) {
        bool descending = run % 2;
        reset(pick(400));
        size_t n = snapshot(keys), seen = 0, limit = 1 + pick(40);
        for (begin(&h, descending);;) {
            size_t got = page(s, &h, out, limit + 1, false);
            size_t given = got > limit ? limit : got;
            for (size_t i = 0; i < given; i++, seen++) {
                const struct key *k = &keys[descending ? n - 1 - seen : seen];
                assert_true(seen < n);
                assert_int_equal(streamid_compare(out[i].id, k->id), 0);
                assert_int_equal(out[i].lane, k->device);
            }
            if (got <= limit)
                break;
            turn(&h, &out[given - 1]);
        }
        assert_int_equal(seen, n);
    }
    series_destroy(s);
}

/* A living store: nothing twice, the order holds, and all that was there and stayed is seen. */
static void walks_while_it_changes(void **state)
{
    static struct key before[DEVICES * ENTRIES], walked[DEVICES * ENTRIES];
    static struct series_sample out[200];
    struct series *s = series_create();
    struct history h;
    (void)state;
    for (int run = 0; run < 300; run++) {
        bool descending = run % 2;
        reset(300);
        size_t n = snapshot(before), seen = 0, limit = 1 + pick(40);
        for (begin(&h, descending);;) {
            size_t got = page(s, &h, out, limit + 1, true);
            size_t given = got > limit ? limit : got;
            for (size_t i = 0; i < given; i++) {
                struct key k = {out[i].id, out[i].lane};
                if (seen > 0)
                    assert_true(descending ? by_order(&k, &walked[seen - 1]) < 0 : by_order(&k, &walked[seen - 1]) > 0);
                assert_true(seen < DEVICES * ENTRIES);
                walked[seen++] = k;
            }
            if (got <= limit)
                break;
            turn(&h, &out[given - 1]);
            struct stream *trimmed = &streams[pick(DEVICES)];
            if (trimmed->n - trimmed->first > 5)
                trimmed->first += pick(4);
        }
        qsort(walked, seen, sizeof(*walked), by_order);
        for (size_t i = 0; i < n; i++) {
            const struct stream *st = &streams[before[i].device];
            if (streamid_compare(before[i].id, st->ids[st->first]) < 0)
                continue;
            assert_non_null(bsearch(&before[i], walked, seen, sizeof(*walked), by_order));
        }
    }
    series_destroy(s);
}

static void empty(void **state)
{
    struct series *s = series_create();
    struct series_sample sample;
    size_t lane;
    (void)state;
    assert_int_equal(series_begin(s, 0, false), 0);
    assert_int_equal(series_next(s, &sample, &lane), SERIES_END);
    assert_int_equal(series_begin(s, 2, false), 0);
    series_lane(s, 0, (struct streamid_range){{5, 0}, {4, 0}});
    series_lane(s, 1, (struct streamid_range){{0, 0}, {9, 0}});
    assert_int_equal(series_next(s, &sample, &lane), SERIES_NEED);
    assert_int_equal(lane, 1);
    series_fed(s, 1, 0, 10);
    assert_int_equal(series_next(s, &sample, &lane), SERIES_END);
    series_destroy(s);
    series_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(walks_exactly),
        cmocka_unit_test(walks_while_it_changes),
        cmocka_unit_test(empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
