/* Which roll-ups and samples make up a range: each sample exactly once, whatever range, step and position. */
#include "fcgi/tiers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MINUTE 60000LL
#define HOUR   3600000LL
#define DAY    86400000LL
#define T      (492000 * HOUR)

static struct tiers_segment segments[TIERS_SEGMENTS_MAX];
static size_t n;
static int64_t kept[ARCHIVE_TIERS]; /* roll-ups from then on */

static void raw(size_t i, struct streamid lo, struct streamid hi)
{
    assert_true(i < n && segments[i].raw);
    assert_int_equal(streamid_compare(segments[i].range.lo, lo), 0);
    assert_int_equal(streamid_compare(segments[i].range.hi, hi), 0);
}

static void rollups(size_t i, enum archive_tier tier, int64_t from_ms, int64_t to_ms)
{
    assert_true(i < n && !segments[i].raw);
    assert_int_equal(segments[i].tier, tier);
    assert_int_equal(segments[i].from_ms, from_ms);
    assert_int_equal(segments[i].to_ms, to_ms);
}

#define ID(ms, seq) ((struct streamid){(uint64_t)(ms), seq})
#define END         UINT64_MAX

static void takes_the_coarsest(void **state)
{
    const struct streamid far = ID(T + 100 * DAY, 0);
    (void)state;
    n = tiers_plan(segments, T - 90500, T + DAY + 61001, 2 * HOUR, &far, kept);
    assert_int_equal(n, 5);
    raw(0, ID(T - 90500, 0), ID(T - MINUTE - 1, END));
    rollups(1, ARCHIVE_MINUTE, T - MINUTE, T);
    rollups(2, ARCHIVE_HOUR, T, T + DAY);
    rollups(3, ARCHIVE_MINUTE, T + DAY, T + DAY + MINUTE);
    raw(4, ID(T + DAY + MINUTE, 0), ID(T + DAY + 61001, END));

    n = tiers_plan(segments, T, T + DAY - 1, HOUR, &far, kept);
    assert_int_equal(n, 1);
    rollups(0, ARCHIVE_HOUR, T, T + DAY);
    n = tiers_plan(segments, T, T + DAY - 1, 90 * MINUTE, &far, kept);
    assert_int_equal(n, 1);
    rollups(0, ARCHIVE_MINUTE, T, T + DAY);
    n = tiers_plan(segments, T, T + DAY - 1, 90000, &far, kept);
    assert_int_equal(n, 1);
    raw(0, ID(T, 0), ID(T + DAY - 1, END));
    n = tiers_plan(segments, T, T + DAY - 1, HOUR, NULL, kept);
    assert_int_equal(n, 1);
    raw(0, ID(T, 0), ID(T + DAY - 1, END));
    n = tiers_plan(segments, T + 1, T + MINUTE - 1, HOUR, &far, kept);
    assert_int_equal(n, 1);
    raw(0, ID(T + 1, 0), ID(T + MINUTE - 1, END));
    assert_int_equal(tiers_plan(segments, T, T - 1, HOUR, &far, kept), 0);
}

/* The roll-up where the position is has what is up to it; what is behind it comes from the samples. */
static void splits_at_the_position(void **state)
{
    struct streamid at = ID(T + 5 * HOUR + 7, 3);
    (void)state;
    n = tiers_plan(segments, T, T + DAY - 1, HOUR, &at, kept);
    assert_int_equal(n, 2);
    rollups(0, ARCHIVE_HOUR, T, T + 6 * HOUR);
    raw(1, ID(T + 5 * HOUR + 7, 4), ID(T + DAY - 1, END));
    at = ID(T + DAY - 1, END);
    n = tiers_plan(segments, T, T + DAY - 1, HOUR, &at, kept);
    assert_int_equal(n, 1);
    at = ID(T - 1, END);
    n = tiers_plan(segments, T, T + DAY - 1, HOUR, &at, kept);
    assert_int_equal(n, 1);
    raw(0, ID(T, 0), ID(T + DAY - 1, END));
}

/* What has been deleted of a tier comes from the next finer one that is there. */
static void goes_without_the_deleted(void **state)
{
    const struct streamid far = ID(T + 100 * DAY, 0);
    (void)state;
    kept[ARCHIVE_MINUTE] = T + 2 * HOUR;
    n = tiers_plan(segments, T + MINUTE, T + DAY - 1, MINUTE, &far, kept);
    assert_int_equal(n, 2);
    raw(0, ID(T + MINUTE, 0), ID(T + 2 * HOUR - 1, END));
    rollups(1, ARCHIVE_MINUTE, T + 2 * HOUR, T + DAY);
    n = tiers_plan(segments, T + MINUTE, T + DAY - 1, HOUR, &far, kept);
    assert_int_equal(n, 2);
    raw(0, ID(T + MINUTE, 0), ID(T + HOUR - 1, END));
    rollups(1, ARCHIVE_HOUR, T + HOUR, T + DAY);
    kept[ARCHIVE_HOUR] = T + 5 * HOUR;
    n = tiers_plan(segments, T + MINUTE, T + DAY - 1, HOUR, &far, kept);
    assert_int_equal(n, 3);
    raw(0, ID(T + MINUTE, 0), ID(T + 2 * HOUR - 1, END));
    rollups(1, ARCHIVE_MINUTE, T + 2 * HOUR, T + 5 * HOUR);
    rollups(2, ARCHIVE_HOUR, T + 5 * HOUR, T + DAY);
    kept[ARCHIVE_MINUTE] = kept[ARCHIVE_HOUR] = 0;

    assert_int_equal(tiers_kept(T, 0), 0);
    assert_int_equal(tiers_kept(DAY, 2), 0);
    assert_int_equal(tiers_kept(T, 2), T - 2 * DAY + HOUR);
    assert_int_equal(tiers_kept(T + 1, 2), T - 2 * DAY + 2 * HOUR);
}

static bool covers(const struct tiers_segment *s, struct streamid id, const struct streamid *position)
{
    if (s->raw)
        return streamid_compare(s->range.lo, id) <= 0 && streamid_compare(id, s->range.hi) <= 0;
    return (uint64_t)s->from_ms <= id.ms && id.ms < (uint64_t)s->to_ms && streamid_compare(id, *position) <= 0;
}

static void probe(struct streamid id, int64_t from, int64_t to, const struct streamid *position)
{
    size_t hits = 0;
    bool in = id.ms >= (uint64_t)from && id.ms <= (uint64_t)to;
    for (size_t i = 0; i < n; i++)
        hits += covers(&segments[i], id, position);
    if (hits != in)
        fail_msg("%llu-%llu is in %zu segments of %lld..%lld", (unsigned long long)id.ms, (unsigned long long)id.seq,
                 hits, (long long)from, (long long)to);
}

static void probe_around(int64_t ms, int64_t from, int64_t to, const struct streamid *position)
{
    for (int64_t at = ms > 1 ? ms - 2 : 0; at <= ms + 2; at++) {
        probe(ID(at, 0), from, to, position);
        probe(ID(at, 5), from, to, position);
        probe(ID(at, END), from, to, position);
    }
}

static void check_segments(int64_t step, const struct streamid *position)
{
    for (size_t i = 0; i < n; i++) {
        const struct tiers_segment *s = &segments[i];
        if (s->raw) {
            assert_true(streamid_compare(s->range.lo, s->range.hi) <= 0);
            continue;
        }
        int64_t len = s->tier == ARCHIVE_HOUR ? HOUR : MINUTE;
        assert_non_null(position);
        assert_true(s->from_ms < s->to_ms && s->from_ms % len == 0 && s->to_ms % len == 0 && step % len == 0);
        assert_true(s->from_ms >= kept[s->tier]);
    }
    for (size_t i = 1; i < n; i++) /* two of the same kind would be one; the position splits a minute or an hour */
        assert_false(segments[i].raw && segments[i - 1].raw);
}

static int64_t below(int64_t most)
{
    return (int64_t)(((uint64_t)random() << 31 | (uint64_t)random()) % (uint64_t)most);
}

static int64_t rounded(int64_t ms)
{
    switch (random() % 4) {
    case 0:
        return ms - ms % HOUR;
    case 1:
        return ms - ms % MINUTE;
    case 2:
        return ms - ms % MINUTE + (random() % 3) - 1;
    default:
        return ms;
    }
}

static void covers_exactly(void **state)
{
    static const int64_t steps[] = {1000, 7000,     MINUTE,    90000, 5 * MINUTE, 90 * MINUTE,
                                    HOUR, 2 * HOUR, 12 * HOUR, DAY,   7 * DAY,    HOUR + 1000};
    (void)state;
    srandom(20260115);
    for (int round = 0; round < 100000; round++) {
        int64_t length = below(random() % 2 ? 3 * MINUTE : random() % 2 ? 3 * HOUR : 40 * DAY);
        int64_t from = rounded(T + below(DAY)), to = rounded(from + length);
        int64_t step = steps[(size_t)random() % (sizeof(steps) / sizeof(steps[0]))];
        struct streamid at = ID(rounded(from - length / 4 + below(length * 3 / 2 + 1)), (uint64_t)random() % 10);
        const struct streamid *position = random() % 10 ? &at : NULL;
        for (int tier = 0; tier < ARCHIVE_TIERS; tier++)
            kept[tier] = random() % 2 ? 0 : T + below(41 * DAY) / HOUR * HOUR;
        n = tiers_plan(segments, from, to, step, position, kept);
        assert_true(n <= TIERS_SEGMENTS_MAX);
        assert_int_equal(n == 0, from > to);
        check_segments(step, position);
        probe_around(from, from, to, position);
        probe_around(to, from, to, position);
        probe_around((int64_t)at.ms, from, to, position);
        probe(ID(at.ms, at.seq + 1), from, to, position);
        for (size_t i = 0; i < n; i++) {
            probe_around(segments[i].raw ? (int64_t)segments[i].range.lo.ms : segments[i].from_ms, from, to, position);
            probe_around(segments[i].raw ? (int64_t)segments[i].range.hi.ms : segments[i].to_ms, from, to, position);
        }
        probe(ID(from + below(length + 1), 0), from, to, position);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_coarsest),
        cmocka_unit_test(splits_at_the_position),
        cmocka_unit_test(goes_without_the_deleted),
        cmocka_unit_test(covers_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
