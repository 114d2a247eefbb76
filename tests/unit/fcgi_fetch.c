/*
 * Reading Redis and the archive as one, against both in memory: samples arrive, are archived and trimmed, and whole
 * streams get lost, before every single answer.
 */
#include "fcgi/fetch.h"
#include "fcgi/history.h"
#include "tests/unit/fcgi_streams.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- walks -------------------------------------------------------------------------------------------- */

struct seen {
    struct streamid id;
    size_t device;
};

static struct seen seen[DEVICES * ENTRIES];
static size_t n_seen;
static struct context ctx;

static void begin(uint32_t seed, size_t n, bool archive)
{
    memset(streams, 0, sizeof(streams));
    rng = seed;
    devices = n;
    now_ms = 1000;
    can_archive = archive;
    living = archive_away = unsure = false;
    arrivals = 200;
    store_calls = archive_calls = archive_entries = n_seen = 0;
    for (size_t d = 0; d < DEVICES; d++) {
        snprintf(names[d], sizeof(names[d]), "r%02zu", d);
        pointers[d] = names[d];
    }
    memset(&ctx, 0, sizeof(ctx));
    arena_init(&kept, (size_t)64 << 20);
    arena_init(&ctx.texts, (size_t)64 << 20);
    ctx.series = series_create();
    ctx.page = malloc(10001 * sizeof(*ctx.page));
    ctx.archive = archive ? (struct archive *)&dummy_archive : NULL;
    assert_true(ctx.series && ctx.page);
    /* Equal ids of several devices, and different stages of being archived. */
    for (uint32_t times = pick(600); times > 0; times--) {
        size_t d = pick((uint32_t)n);
        struct stream *s = &streams[d];
        now_ms += pick(3) == 0;
        if (s->n == 0 || s->ids[s->n - 1].ms < now_ms)
            append(d);
    }
    now_ms++;
    living = true;
    for (int i = 0; i < 20; i++)
        happen();
}

/* Redis is started again, and has lost the end of what it had. */
static void lose_end(void)
{
    for (size_t d = 0; d < devices; d++) {
        struct stream *s = &streams[d];
        if (s->archived == 0)
            continue;
        s->first = pick((uint32_t)s->first + 1); /* how it was trimmed, too */
        s->lost_lo = s->first + pick((uint32_t)(s->archived - s->first) + 1);
        s->lost_hi = s->archived;
        if (pick(2))
            s->n = s->archived;
    }
    unsure = true;
}

static void finish(void)
{
    series_destroy(ctx.series);
    free(ctx.page);
    arena_finish(&kept);
    arena_finish(&ctx.texts);
}

static bool accept(void *arg, const char *text, size_t len)
{
    (void)arg;
    return len > 4 && memcmp(text, "good", 4) == 0;
}

/* The order of a walk: time, then device. */
static int compare(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    int order = streamid_compare(x->id, y->id);
    return order ? order : (x->device > y->device) - (x->device < y->device);
}

static void see(struct streamid id, size_t device, const char *text, size_t len)
{
    char expected[64];
    size_t n = text_of(expected, device, id);
    assert_true(n == len && memcmp(text, expected, n) == 0);
    seen[n_seen++] = (struct seen){id, device};
}

/* One page of `limit`; whether there is another. */
static bool page(struct history *h, size_t limit, size_t budget)
{
    struct streamid_range ranges[DEVICES];
    struct fetched got;
    for (size_t d = 0; d < devices; d++)
        ranges[d] = history_range(h, names[d]);
    struct fetch f = {.kind = ARCHIVE_SAMPLES,
                      .names = pointers,
                      .ranges = ranges,
                      .n = devices,
                      .descending = h->descending,
                      .want = limit + 1,
                      .accept = accept,
                      .budget = budget};
    assert_int_equal(fetch_page(&ctx, &f, &got), 0);
    for (size_t i = 0; i < got.n && i < limit; i++)
        see(ctx.page[i].id, ctx.page[i].lane, ctx.page[i].text, ctx.page[i].len);
    arena_reset(&kept, 0);
    arena_reset(&ctx.texts, 0);
    if (got.n > limit)
        history_cursor(h, seen[n_seen - 1].id, names[seen[n_seen - 1].device], &h->cursor);
    else if (got.cut)
        history_cursor(h, got.end, names[0], &h->cursor);
    h->has_cursor = got.n > limit || got.cut;
    return h->has_cursor;
}

/* All there ever was within the bounds, in order. */
static size_t all(struct seen *out, struct streamid_range r)
{
    size_t n = 0;
    for (size_t d = 0; d < devices; d++) {
        for (size_t k = 0; k < streams[d].n; k++) {
            if (within(streams[d].ids[k], r) && !is_bad(streams[d].ids[k]))
                out[n++] = (struct seen){streams[d].ids[k], d};
        }
    }
    qsort(out, n, sizeof(*out), compare);
    return n;
}

static struct seen before[DEVICES * ENTRIES], after[DEVICES * ENTRIES];

static void walk(uint32_t seed, size_t n, bool descending, bool archive)
{
    struct history h = {.walk = CURSOR_TELEMETRY, .descending = descending};
    begin(seed, n, archive);
    if (archive && pick(2))
        lose_end();
    if (pick(2)) {
        h.has_from = true;
        h.from_ms = 1000 + pick((uint32_t)(now_ms - 1000) + 1);
    }
    if (pick(3) == 0) {
        h.has_to = true;
        h.to_ms = 1000 + pick((uint32_t)(now_ms - 1000) + 1);
    }
    struct streamid_range whole = history_range(&h, names[0]);
    size_t n_before = all(before, whole), limit = 1 + pick(60);
    while (page(&h, limit, 0))
        ;
    if (descending) {
        for (size_t i = 0; i < n_seen / 2; i++) {
            struct seen swap = seen[i];
            seen[i] = seen[n_seen - 1 - i];
            seen[n_seen - 1 - i] = swap;
        }
    }
    /* What was there at first, and what followed up to where the walk was: nothing else, all of it, in order. */
    size_t n_after = all(after, whole);
    assert_in_range(n_seen, n_before, n_after);
    assert_memory_equal(seen, after, n_seen * sizeof(*seen));
    if (!archive)
        assert_int_equal(archive_calls, 0);
    finish();
}

static void walks(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 400; seed++) {
        for (int way = 0; way < 4; way++)
            walk(seed, 1 + seed % 7, way & 1, way & 2);
    }
}

/* With more streams than are looked at in one moment, at rest. */
static void many(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct history h = {.walk = CURSOR_TELEMETRY, .descending = true};
        begin(seed, DEVICES, true);
        living = false;
        if (seed % 2)
            lose_end();
        page(&h, 100, 50000);
        size_t n = all(after, (struct streamid_range){.hi = STREAMID_LAST});
        assert_true(n >= n_seen && n_seen <= 100);
        for (size_t i = 0; i < n_seen; i++)
            assert_memory_equal(&seen[i], &after[n - 1 - i], sizeof(seen[0]));
        finish();
    }
}

/* A budget ends a page, and the cursor goes on behind what was looked at. */
static void budgets(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        struct history h = {.walk = CURSOR_TELEMETRY, .descending = seed & 1};
        begin(seed, 1, true);
        size_t n_before = all(before, history_range(&h, names[0])), pages = 0;
        while (page(&h, 50, 1))
            pages++;
        size_t n_after = all(after, (struct streamid_range){.hi = STREAMID_LAST});
        assert_in_range(n_seen, n_before, n_after);
        assert_true(pages < 10000);
        qsort(seen, n_seen, sizeof(*seen), compare);
        assert_memory_equal(seen, after, n_seen * sizeof(*seen));
        finish();
    }
}

static int on_walk(void *arg, struct streamid id, const char *text, size_t len)
{
    if (!is_bad(id)) /* which only Redis has */
        see(id, 0, text, len);
    return arg && n_seen == *(size_t *)arg;
}

static void single(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 400; seed++) {
        begin(seed, 1, seed % 3);
        arrivals = 2500;
        for (int i = 0; i < 2500; i++) {
            happen();
            if (pick(2))
                append_later(0);
        }
        if (can_archive && pick(2))
            lose_end();
        struct streamid_range r = {.lo = {pick(2) ? 0 : 1000 + pick((uint32_t)(now_ms - 1000)), 0},
                                   .hi = STREAMID_LAST};
        size_t n_before = all(before, r);
        assert_int_equal(fetch_walk(&ctx, ARCHIVE_SAMPLES, names[0], r, SIZE_MAX, on_walk, NULL), 0);
        size_t n_after = all(after, r);
        assert_in_range(n_seen, n_before, n_after);
        assert_memory_equal(seen, after, n_seen * sizeof(*seen));
        assert_true(kept.total <= (size_t)1 << 20);

        /* fn ends it; the budget ends it, unless it is enough. */
        living = false;
        n_after = all(after, r);
        size_t stop = n_after / 2 + 1;
        n_seen = 0;
        assert_int_equal(fetch_walk(&ctx, ARCHIVE_SAMPLES, names[0], r, SIZE_MAX, on_walk, &stop), 0);
        assert_int_equal(n_seen, n_after ? stop : 0);
        n_seen = 0;
        assert_int_equal(fetch_walk(&ctx, ARCHIVE_SAMPLES, names[0], r, ENTRIES, on_walk, NULL), 0);
        assert_int_equal(n_seen, n_after);
        if (n_after > 10) {
            n_seen = 0;
            assert_int_equal(fetch_walk(&ctx, ARCHIVE_SAMPLES, names[0], r, n_after - 1, on_walk, NULL), 1);
            assert_in_range(n_seen, 1, n_after - 1);
        }
        finish();
    }
}

/* Redis alone answers when it can, and in one go; what is archived is not read from Redis. */
static void costs(void **state)
{
    struct history h = {.walk = CURSOR_TELEMETRY, .descending = true};
    (void)state;
    begin(7, 1, true);
    living = false;
    arrivals = 1000;
    for (int i = 0; i < 1000; i++) {
        append_later(0);
        streams[0].ids[streams[0].n - 1].seq = 0; /* all are good */
    }
    streams[0].archived = streams[0].n - 1;
    streams[0].first = streams[0].n - 300;
    store_calls = archive_calls = 0;
    page(&h, 100, 0);
    assert_int_equal(store_calls, 1);
    assert_int_equal(archive_calls, 0);
    archive_away = true;
    h.has_cursor = false;
    page(&h, 200, 0); /* still without it */
    archive_away = false;
    h.has_cursor = false;
    store_calls = 0;
    page(&h, 500, 0);
    assert_int_equal(store_calls, 1);
    assert_int_equal(archive_calls, 1);
    assert_int_equal(archive_entries, 201);
    assert_int_equal(ctx.archive_asked, HANDLER_ARCHIVE_ANSWERED);
    /* Within what is archived. */
    h = (struct history){.walk = CURSOR_TELEMETRY, .has_to = true, .to_ms = (int64_t)streams[0].ids[50].ms};
    archive_calls = store_calls = 0;
    page(&h, 10, 0);
    assert_int_equal(store_calls, 1);
    assert_int_equal(archive_calls, 1);
    finish();
}

/* The one device is lost but archived. What comes to both during the first look is given out for both, or for none. */
static void lost(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct history h = {.walk = CURSOR_TELEMETRY};
        begin(seed, 2, true);
        living = false;
        streams[0].first = streams[0].archived = streams[0].n;
        late = true;
        page(&h, 10000, 0);
        assert_false(late);
        size_t n = all(after, (struct streamid_range){.hi = STREAMID_LAST});
        assert_in_range(n_seen, n - 2, n);
        assert_memory_equal(seen, after, n_seen * sizeof(*seen));
        finish();
    }
}

static void away(void **state)
{
    struct streamid_range r = {.hi = STREAMID_LAST};
    struct fetched got;
    (void)state;
    begin(7, 2, true);
    living = false;
    for (size_t d = 0; d < 2; d++) {
        append_later(d);
        append_later(d);
        streams[d].first = streams[d].archived = streams[d].n;
    }
    archive_away = true;
    struct streamid_range ranges[2] = {r, r};
    struct fetch f = {
        .kind = ARCHIVE_SAMPLES, .names = pointers, .ranges = ranges, .n = 2, .want = 10, .accept = accept};
    for (int way = 0; way < 2; way++) {
        f.descending = way;
        ctx.archive_asked = HANDLER_ARCHIVE_UNASKED;
        assert_int_equal(fetch_page(&ctx, &f, &got), -1);
        assert_int_equal(ctx.archive_asked, HANDLER_ARCHIVE_FAILED);
    }
    ctx.archive_asked = HANDLER_ARCHIVE_UNASKED;
    assert_int_equal(fetch_walk(&ctx, ARCHIVE_SAMPLES, names[0], r, 10, on_walk, NULL), -1);
    assert_int_equal(ctx.archive_asked, HANDLER_ARCHIVE_FAILED);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(walks),  cmocka_unit_test(many),  cmocka_unit_test(budgets),
                                       cmocka_unit_test(single), cmocka_unit_test(costs), cmocka_unit_test(lost),
                                       cmocka_unit_test(away)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
