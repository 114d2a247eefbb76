/* Whose turn it is, how much is read, what a stream's beginning means, what is trimmed, and how far behind we are. */
#include "sql/batch.h"
#include "sql/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE ((struct plan_room){20000, 16 << 20})

static int set_up(void **state)
{
    *state = plan_create();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    plan_destroy(*state);
    return 0;
}

static struct plan_stream *add(struct plan *p, enum archive_kind kind, const char *id)
{
    return plan_stream(p, kind, id, strlen(id));
}

static void add_many(struct plan *p, int n)
{
    for (int i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof(id), "r%d", i);
        assert_non_null(add(p, ARCHIVE_SAMPLES, id));
    }
}

static struct streamid at(uint64_t ms)
{
    return (struct streamid){ms, 0};
}

static void test_streams(void **state)
{
    struct plan *p = *state;
    char longest[66];
    struct plan_stream *samples = add(p, ARCHIVE_SAMPLES, "r1");
    assert_ptr_equal(add(p, ARCHIVE_SAMPLES, "r1"), samples);
    assert_ptr_not_equal(add(p, ARCHIVE_COMMANDS, "r1"), samples);
    assert_string_equal(plan_device(samples), "r1");
    assert_string_equal(plan_device(add(p, ARCHIVE_EVENTS, "")), "");
    assert_int_equal(plan_streams(p), 3);
    memset(longest, 'a', sizeof(longest) - 1);
    longest[65] = '\0';
    assert_null(add(p, ARCHIVE_SAMPLES, longest));
    longest[64] = '\0';
    assert_non_null(add(p, ARCHIVE_SAMPLES, longest));
    assert_null(add(p, ARCHIVE_SAMPLES, ""));
    assert_null(add(p, ARCHIVE_SAMPLES, "a b"));
    assert_null(add(p, ARCHIVE_EVENTS, "r1"));
    assert_int_equal(plan_streams(p), 4);
    samples->known = true;
    samples->position = at(5);
    plan_forget_positions(p);
    assert_false(samples->known);
    assert_int_equal(samples->position.ms, 0);
}

/* Every stream once, no call above its bounds. */
static size_t walk(struct plan *p, enum plan_turn turn, struct plan_room room, size_t *calls)
{
    struct plan_stream *group[PLAN_GROUP];
    size_t n, count, seen = 0;
    *calls = 0;
    plan_begin(p, turn);
    while ((n = plan_next(p, turn, room, group, &count)) > 0) {
        assert_true(n <= PLAN_GROUP && count >= 1);
        assert_true(n * count <= PLAN_ENTRIES && n * count <= (room.rows > 1 ? room.rows : 1));
        for (size_t i = 0; i < n; i++)
            group[i]->length++;
        seen += n;
        ++*calls;
    }
    return seen;
}

static void test_sweep_has_every_stream_once(void **state)
{
    struct plan *p = *state;
    size_t calls;
    assert_int_equal(walk(p, PLAN_SWEEP, WHOLE, &calls), 0);
    add_many(p, 1000);
    for (int round = 1; round <= 3; round++) {
        assert_int_equal(walk(p, PLAN_SWEEP, WHOLE, &calls), 1000);
        assert_int_equal(calls, 4);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(plan_at(p, i)->length, round);
    }
    plan_at(p, 7)->broken = true;
    plan_at(p, 8)->behind = true;
    assert_int_equal(walk(p, PLAN_SWEEP, WHOLE, &calls), 998);
    assert_int_equal(walk(p, PLAN_BEHIND, WHOLE, &calls), 1);
    assert_int_equal(walk(p, PLAN_SWEEP, (struct plan_room){100, 1 << 20}, &calls), 998);
    assert_int_equal(walk(p, PLAN_SWEEP, (struct plan_room){0, 0}, &calls), 998); /* one at a time, but on it goes */
}

static void test_those_behind_share_a_batch(void **state)
{
    struct plan *p = *state;
    struct plan_stream *group[PLAN_GROUP];
    size_t count, entries = 0, n;
    add_many(p, 300);
    for (size_t i = 0; i < 10; i++)
        plan_at(p, i * 30)->behind = true;
    plan_learn(p, 1000, 100000);
    for (int i = 0; i < 50; i++)
        plan_learn(p, 1000, 100000); /* it is sure by now */
    plan_begin(p, PLAN_BEHIND);
    while ((n = plan_next(p, PLAN_BEHIND, (struct plan_room){20000 - entries, 16 << 20}, group, &count)) > 0) {
        assert_true(n * count <= PLAN_ENTRIES);
        entries += n * count;
    }
    assert_in_range(entries, 15000, 20000);

    for (size_t i = 1; i < 10; i++)
        plan_at(p, i * 30)->behind = false;
    plan_begin(p, PLAN_BEHIND);
    assert_int_equal(plan_next(p, PLAN_BEHIND, WHOLE, group, &count), 1);
    assert_int_equal(count, PLAN_ENTRIES);
}

/* Where a turn ended, the next one begins: no stream is always the last. */
static void test_turns_rotate(void **state)
{
    struct plan *p = *state;
    struct plan_stream *group[PLAN_GROUP], *first;
    size_t count;
    add_many(p, 600);
    plan_begin(p, PLAN_SWEEP);
    assert_int_equal(plan_next(p, PLAN_SWEEP, WHOLE, group, &count), PLAN_GROUP);
    first = group[0];
    plan_begin(p, PLAN_SWEEP); /* cut short */
    plan_next(p, PLAN_SWEEP, WHOLE, group, &count);
    assert_ptr_not_equal(group[0], first);
    assert_ptr_equal(group[0], plan_at(p, PLAN_GROUP));
}

static void test_bytes_bound_what_is_read(void **state)
{
    struct plan *p = *state;
    struct plan_stream *group[PLAN_GROUP];
    size_t count;
    add_many(p, 1);
    plan_learn(p, 10, 10 * 8000);
    plan_begin(p, PLAN_SWEEP);
    plan_next(p, PLAN_SWEEP, (struct plan_room){20000, 1 << 20}, group, &count);
    assert_in_range(count, 50, 131);
    plan_too_large(p);
    plan_begin(p, PLAN_SWEEP);
    plan_next(p, PLAN_SWEEP, (struct plan_room){20000, 1 << 20}, group, &count);
    assert_int_equal(count, 64);
    plan_learn(p, 0, 0); /* says nothing */
    for (int i = 0; i < 100; i++)
        plan_learn(p, 1000, 80000);
    plan_begin(p, PLAN_SWEEP);
    plan_next(p, PLAN_SWEEP, (struct plan_room){20000, 1 << 20}, group, &count);
    assert_int_equal(count, PLAN_ENTRIES);
    assert_true(plan_full((struct plan_room){9999, 16 << 20}, WHOLE));
    assert_true(plan_full((struct plan_room){20000, 1 << 20}, WHOLE));
    assert_false(plan_full((struct plan_room){10000, 8 << 20}, WHOLE));
}

static void test_what_a_beginning_means(void **state)
{
    struct plan_stream *s = add(*state, ARCHIVE_SAMPLES, "r1");
    struct plan_facts facts = {.first = at(5), .last = at(90), .added = 100, .length = 80};
    /* Never archived before. */
    assert_false(plan_suspicious(s, at(5), false));
    assert_true(plan_suspicious(s, at(5), true));
    assert_int_equal(plan_judge(s, &facts, false), PLAN_SOUND);
    assert_int_equal(plan_judge(s, &facts, true), PLAN_LOST);
    facts.length = 100;
    assert_int_equal(plan_judge(s, &facts, true), PLAN_SOUND);

    s->known = true;
    s->position = at(10);
    facts.length = 80;
    assert_false(plan_suspicious(s, at(10), true));
    assert_true(plan_suspicious(s, at(11), false));
    facts.first = at(10);
    assert_int_equal(plan_judge(s, &facts, true), PLAN_SOUND);
    facts.first = at(11);
    assert_int_equal(plan_judge(s, &facts, true), PLAN_LOST);
    facts.deleted = at(10); /* we have set it aside ourselves */
    assert_int_equal(plan_judge(s, &facts, true), PLAN_SOUND);
    facts.deleted = at(9);
    facts.length = facts.added;
    assert_int_equal(plan_judge(s, &facts, true), PLAN_ANEW);
}

static void test_what_a_missing_position_means(void **state)
{
    struct plan_stream *s = add(*state, ARCHIVE_SAMPLES, "r1");
    s->known = true;
    s->position = at(10);
    struct plan_facts behind = {.first = at(5), .last = at(9), .added = 9, .length = 5};
    struct plan_facts grown = {.first = at(5), .last = at(20), .added = 9, .length = 5};
    struct plan_facts later = {.first = at(11), .last = at(20), .added = 9, .length = 5};
    struct plan_facts gone = {.length = 0}, emptied = {.last = at(10), .added = 9};
    assert_int_equal(plan_judge_missing(s, &behind), PLAN_BACK);
    assert_int_equal(plan_judge_missing(s, &grown), PLAN_BACK);
    assert_int_equal(plan_judge_missing(s, &gone), PLAN_BACK);
    assert_int_equal(plan_judge_missing(s, &later), PLAN_SOUND);
    assert_int_equal(plan_judge_missing(s, &emptied), PLAN_SOUND);
}

static void test_trimming(void **state)
{
    (void)state;
    assert_int_equal(plan_trim(0, 5000), 0);
    assert_int_equal(plan_trim(5000 + PLAN_TRIM_LEAST - 1, 5000), 0);
    assert_int_equal(plan_trim(5000 + PLAN_TRIM_LEAST, 5000), PLAN_TRIM_LEAST);
    assert_int_equal(plan_trim(10000000, 5000), PLAN_TRIM_MOST);
}

static void test_lag(void **state)
{
    struct plan *p = *state;
    struct plan_stream *a = add(p, ARCHIVE_SAMPLES, "a"), *b = add(p, ARCHIVE_COMMANDS, "b");
    assert_int_equal(plan_lag(p, 10000).ms, 0);
    plan_archived(a, at(4000), 100, true, 1000);
    assert_true(a->known && a->behind);
    assert_int_equal(plan_waiting(a), 900);
    plan_archived(b, at(100), 10, true, 30);
    struct plan_lag lag = plan_lag(p, 10000);
    assert_int_equal(lag.ms, 6000); /* of samples */
    assert_int_equal(lag.samples, 900);
    assert_int_equal(lag.entries, 920);
    assert_int_equal(plan_lag(p, 3000).ms, 1); /* ahead of our clock, but it waits */
    plan_trimmed(a, 50);
    assert_int_equal(plan_waiting(a), 900);
    plan_archived(a, at(5000), 900, false, 950);
    plan_done(b);
    lag = plan_lag(p, 10000);
    assert_int_equal(lag.ms, 0);
    assert_int_equal(lag.entries, 0);
    plan_peeked(a, at(9000), 960);
    assert_int_equal(plan_lag(p, 10000).ms, 1000);
    assert_int_equal(plan_lag(p, 10000).samples, 10);
}

static void test_a_near_loss_is_told_once(void **state)
{
    struct plan_stream *s = add(*state, ARCHIVE_SAMPLES, "a");
    plan_peeked(s, at(1), 800);
    assert_false(plan_watch(s, 1000));
    plan_peeked(s, at(1), 801);
    assert_true(plan_watch(s, 1000));
    assert_int_equal(plan_lag(*state, 1).near_loss, 1);
    assert_false(plan_watch(s, 1000));
    plan_peeked(s, at(1), 700);
    assert_false(plan_watch(s, 1000));
    assert_true(s->near_loss);
    plan_peeked(s, at(1), 599);
    assert_false(plan_watch(s, 1000));
    assert_false(s->near_loss);
    plan_peeked(s, at(1), 1000000);
    assert_false(plan_watch(s, 0)); /* no cap */
}

static void test_batch(void **state)
{
    struct plan_stream *s = add(*state, ARCHIVE_SAMPLES, "a"), *t = add(*state, ARCHIVE_EVENTS, "");
    struct batch *b = batch_create();
    char text[64];
    for (int round = 0; round < 2; round++) {
        batch_clear(b);
        assert_int_equal(batch_begin(b, s), 0);
        for (uint64_t i = 1; i <= 3000; i++) {
            int len = snprintf(text, sizeof(text), "\"n\":%d", (int)i);
            assert_int_equal(batch_entry(b, at(i), text, (size_t)len), 0);
        }
        batch_end(b, 3000);
        batch_begin(b, t);
        batch_end(b, 10); /* nothing */
        batch_begin(b, t);
        batch_entry(b, at(7), NULL, 0);
        batch_end(b, 10);
        assert_int_equal(batch_size(b), 2);
        assert_true(batch_at(b, 0)->more);
        assert_false(batch_at(b, 1)->more);
        assert_int_equal(batch_room(b, WHOLE).rows, 20000 - 3001);
        assert_int_equal(batch_room(b, (struct plan_room){100, 100}).rows, 0);
        assert_int_equal(batch_rows(b, ARCHIVE_SAMPLES), 3000);
        s->position = at(0);
        batch_at(b, 0)->gap = true;
        const struct archive_part *parts = batch_parts(b);
        assert_string_equal(parts[0].device_id, "a");
        assert_int_equal(parts[0].n, 3000);
        assert_int_equal(parts[0].to.ms, 3000);
        assert_true(parts[0].gap && parts[0].gap_before.ms == 1);
        assert_string_equal(parts[0].rows[2999].text, "\"n\":3000");
        assert_int_equal(parts[0].rows[0].len, 5);
        assert_int_equal(parts[1].n, 0);
        assert_int_equal(parts[1].to.ms, 7);
    }
    batch_destroy(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_streams),
        TEST(test_sweep_has_every_stream_once),
        TEST(test_those_behind_share_a_batch),
        TEST(test_turns_rotate),
        TEST(test_bytes_bound_what_is_read),
        TEST(test_what_a_beginning_means),
        TEST(test_what_a_missing_position_means),
        TEST(test_trimming),
        TEST(test_lag),
        TEST(test_a_near_loss_is_told_once),
        TEST(test_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
