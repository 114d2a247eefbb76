#include "wsd/outq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 65536u
#define SLOW  true
#define FAST  false

/* A message that is its own name, then dots up to `len` bytes. */
static struct frame *make(const char *name, size_t len)
{
    static char text[600000];
    size_t n = strlen(name);
    memcpy(text, name, n);
    if (len > n)
        memset(text + n, '.', len - n);
    struct frame *f = frame_create(text, len > n ? len : n);
    assert_non_null(f);
    return f;
}

static enum outq_result push_frame(struct outq *q, enum outq_lane lane, struct frame *f, uint32_t key, size_t limit)
{
    struct outq_item item = {.frame = f, .key = key, .lane = lane};
    return outq_push(q, &item, FAST, limit, NULL);
}

static enum outq_result put_at(struct outq *q, enum outq_lane lane, const char *name, size_t len, uint32_t key,
                               int64_t deadline, bool slow)
{
    struct frame *f = make(name, len);
    struct outq_item item = {.frame = f, .deadline_ms = deadline, .key = key, .lane = lane};
    enum outq_result result = outq_push(q, &item, slow, LIMIT, NULL);
    frame_unref(f);
    return result;
}

static enum outq_result put(struct outq *q, enum outq_lane lane, const char *name, uint32_t key, bool slow)
{
    return put_at(q, lane, name, 0, key, 0, slow);
}

/* Takes all that waits; returns the first letters of the messages, in order. */
static const char *drain_at(struct outq *q, int64_t now, unsigned *expired)
{
    static char names[8192];
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    size_t n, count = 0;
    *expired += outq_expire(q, now, NULL);
    while ((n = outq_take(q, buf, sizeof(buf), &bytes, &hold)) > 0) {
        for (size_t at = 0; at < n;) {
            size_t header = bytes[at + 1] == 126 ? 4 : 2;
            size_t len = bytes[at + 1] == 126 ? (size_t)bytes[at + 2] << 8 | bytes[at + 3] : bytes[at + 1];
            if ((bytes[at] & 0x0f) == 1)
                names[count++] = (char)bytes[at + header];
            at += header + len;
        }
        frame_unref(hold);
    }
    assert_true(outq_empty(q));
    assert_int_equal(q->bytes, 0);
    names[count] = '\0';
    return names;
}

static const char *drain(struct outq *q)
{
    unsigned expired = 0;
    return drain_at(q, 1, &expired);
}

static void lanes_in_order(void **state)
{
    (void)state;
    struct outq q = {0};
    static const char *const names[OUTQ_LANES] = {"s", "m", "c", "t", "b", "v"};
    for (int round = 0; round < 2; round++) {
        for (int lane = OUTQ_LANES - 1; lane >= 0; lane--)
            assert_int_equal(put(&q, (enum outq_lane)lane, names[lane], 0, FAST), OUTQ_QUEUED);
    }
    assert_string_equal(drain(&q), "ssmmccttbbvv");
    outq_clear(&q);
}

static void first_in_first_out(void **state)
{
    (void)state;
    struct outq q = {0};
    for (int i = 0; i < 20; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        put(&q, OUTQ_CONTROL, name, 0, FAST);
    }
    assert_string_equal(drain(&q), "abcdefghijklmnopqrst");
    outq_clear(&q);
}

/* Samples that waited give way to those that are the present, and never the other way round. */
static void backfill_gives_way(void **state)
{
    (void)state;
    struct outq q = {0};
    assert_int_equal(put(&q, OUTQ_BACKFILL, "b", 0, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "t", 7, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_BACKFILL, "B", 0, SLOW), OUTQ_REFUSED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "T", 7, SLOW), OUTQ_REPLACED);
    assert_int_equal(put_at(&q, OUTQ_BACKFILL, "B", 32000, 0, 0, FAST), OUTQ_QUEUED);
    assert_int_equal(put_at(&q, OUTQ_BACKFILL, "x", 1000, 0, 0, FAST), OUTQ_REFUSED); /* half of the limit is full */
    assert_int_equal(put_at(&q, OUTQ_TELEMETRY, "u", 28000, 8, 0, FAST), OUTQ_QUEUED);
    assert_int_equal(put_at(&q, OUTQ_TELEMETRY, "v", 20000, 9, 0, FAST), OUTQ_THINNED);
    assert_string_equal(drain(&q), "Tuv");
    put_at(&q, OUTQ_CONTROL, "c", 32000, 0, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_BACKFILL, "x", 1000, 0, 0, FAST), OUTQ_REFUSED);
    assert_string_equal(drain(&q), "c");
    outq_clear(&q);
}

/* A newer move takes the place of the older one in the line, and touches nothing else. */
static void latest_move_wins_in_place(void **state)
{
    (void)state;
    struct outq q = {0};
    put(&q, OUTQ_COMMAND, "a", 1, FAST);
    put(&q, OUTQ_COMMAND, "b", 2, FAST);
    put(&q, OUTQ_COMMAND, "c", 0, FAST);
    put(&q, OUTQ_CONTROL, "d", 1, FAST); /* the same key in another lane is another thing */
    assert_int_equal(put(&q, OUTQ_COMMAND, "A", 1, FAST), OUTQ_REPLACED);
    assert_int_equal(put(&q, OUTQ_COMMAND, "C", 0, FAST), OUTQ_QUEUED); /* settings stand in line */
    assert_string_equal(drain(&q), "AbcCd");
    outq_clear(&q);
}

/* The newer one's deadline counts. */
static void latest_move_brings_its_deadline(void **state)
{
    (void)state;
    struct outq q = {0};
    unsigned expired = 0;
    put_at(&q, OUTQ_COMMAND, "a", 0, 1, 100, FAST);
    put_at(&q, OUTQ_COMMAND, "A", 0, 1, 200, FAST);
    put_at(&q, OUTQ_COMMAND, "b", 0, 2, 200, FAST);
    put_at(&q, OUTQ_COMMAND, "B", 0, 2, 100, FAST);
    assert_string_equal(drain_at(&q, 150, &expired), "A");
    assert_int_equal(expired, 1);
    outq_clear(&q);
}

static void telemetry_is_thinned_for_the_slow_only(void **state)
{
    (void)state;
    struct outq q = {0};
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "a", 1, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "b", 2, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "c", 1, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "B", 2, SLOW), OUTQ_REPLACED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "d", 3, SLOW), OUTQ_QUEUED);
    assert_string_equal(drain(&q), "aBcd");
    put(&q, OUTQ_TELEMETRY, "a", 1, FAST);
    put(&q, OUTQ_TELEMETRY, "b", 2, FAST);
    put(&q, OUTQ_TELEMETRY, "c", 1, FAST);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "A", 1, SLOW), OUTQ_REPLACED);
    assert_string_equal(drain(&q), "Ab"); /* no older one follows it */
    outq_clear(&q);
}

static void video_is_the_latest_and_does_not_count(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_VIDEO, "a", 500000, 1, 0, FAST);
    put_at(&q, OUTQ_VIDEO, "b", 500000, 2, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_VIDEO, "A", 300000, 1, 0, FAST), OUTQ_REPLACED);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(put(&q, OUTQ_COMMAND, "m", 0, FAST), OUTQ_QUEUED);
    assert_string_equal(drain(&q), "mAb");
    outq_clear(&q);
}

static void older_telemetry_makes_room(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_TELEMETRY, "a", 30000, 1, 0, FAST);
    put_at(&q, OUTQ_TELEMETRY, "b", 30000, 2, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_TELEMETRY, "c", 30000, 3, 0, FAST), OUTQ_THINNED);
    assert_int_equal(put_at(&q, OUTQ_CONTROL, "d", 30000, 0, 0, FAST), OUTQ_THINNED);
    assert_int_equal(put_at(&q, OUTQ_COMMAND, "e", 30000, 0, 0, FAST), OUTQ_THINNED);
    assert_string_equal(drain(&q), "ed");
    outq_clear(&q);
}

static void refused_when_full(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_CONTROL, "a", 30000, 0, 0, FAST);
    put_at(&q, OUTQ_COMMAND, "b", 30000, 0, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_CONTROL, "c", 30000, 0, 0, FAST), OUTQ_REFUSED);
    assert_int_equal(put_at(&q, OUTQ_COMMAND, "d", 30000, 0, 0, FAST), OUTQ_REFUSED);
    assert_int_equal(put_at(&q, OUTQ_TELEMETRY, "e", 30000, 1, 0, FAST), OUTQ_REFUSED);
    assert_int_equal(put_at(&q, OUTQ_CONTROL, "f", 1000, 0, 0, FAST), OUTQ_QUEUED);
    assert_string_equal(drain(&q), "baf");
    outq_clear(&q);
}

/* Exactly the limit is within it. */
static void limit_to_the_byte(void **state)
{
    (void)state;
    struct outq q = {0};
    struct frame *f = make("a", 1000);
    for (size_t limit = f->len - 1; limit <= f->len; limit++) {
        assert_int_equal(push_frame(&q, OUTQ_COMMAND, f, 1, limit), limit < f->len ? OUTQ_REFUSED : OUTQ_QUEUED);
    }
    assert_int_equal(q.bytes, f->len);
    outq_clear(&q);
    assert_int_equal(f->refs, 1);
    frame_unref(f);
}

/* A zero motion always finds room: what comes first in, first out does not fill the queue to the brim. */
static void room_for_a_zero(void **state)
{
    (void)state;
    struct outq q = {0};
    while (put_at(&q, OUTQ_COMMAND, "setting", 300, 0, 0, FAST) == OUTQ_QUEUED)
        ;
    while (put_at(&q, OUTQ_CONTROL, "ack", 100, 0, 0, FAST) == OUTQ_QUEUED)
        ;
    assert_in_range(q.bytes, LIMIT - LIMIT / 16 - 110, LIMIT - LIMIT / 16);
    for (uint32_t key = 1; key <= 2; key++)
        assert_int_equal(put_at(&q, OUTQ_COMMAND, "zero", 300, key, 0, FAST), OUTQ_QUEUED);
    assert_int_equal(put_at(&q, OUTQ_STOP, "stop", 300, 0, 0, FAST), OUTQ_QUEUED);
    assert_true(q.bytes <= LIMIT);
    outq_clear(&q);
}

/* A newer one that is longer has to fit as well. */
static void replacement_stays_within_the_limit(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_TELEMETRY, "a", 100, 1, 0, SLOW);
    put_at(&q, OUTQ_TELEMETRY, "b", 30000, 2, 0, SLOW);
    put_at(&q, OUTQ_TELEMETRY, "c", 30000, 3, 0, SLOW);
    put_at(&q, OUTQ_TELEMETRY, "A", 30000, 1, 0, SLOW);
    assert_true(q.bytes <= LIMIT);
    assert_string_equal(drain(&q), "cA"); /* the oldest made room */
    put_at(&q, OUTQ_COMMAND, "m", 100, 1, 0, FAST);
    put_at(&q, OUTQ_CONTROL, "d", 60000, 0, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_COMMAND, "M", 30000, 1, 0, FAST), OUTQ_REFUSED);
    assert_true(q.bytes <= LIMIT);
    assert_string_equal(drain(&q), "d"); /* the older move is obsolete all the same */
    outq_clear(&q);
}

static void stop_is_always_accepted(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_TELEMETRY, "t", 20000, 0, 0, FAST);
    put_at(&q, OUTQ_COMMAND, "m", 20000, 0, 0, FAST);
    put_at(&q, OUTQ_CONTROL, "c", 20000, 0, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_STOP, "1", 20000, 0, 0, FAST), OUTQ_THINNED); /* telemetry goes first */
    assert_int_equal(put_at(&q, OUTQ_STOP, "2", 20000, 0, 0, FAST), OUTQ_THINNED); /* then control */
    assert_int_equal(put_at(&q, OUTQ_STOP, "3", 20000, 0, 0, FAST), OUTQ_THINNED); /* then commands */
    assert_int_equal(put_at(&q, OUTQ_STOP, "4", 20000, 0, 0, FAST), OUTQ_QUEUED);  /* then over the limit */
    assert_true(q.bytes > LIMIT);
    assert_int_equal(put(&q, OUTQ_COMMAND, "n", 0, FAST), OUTQ_REFUSED);
    assert_string_equal(drain(&q), "1234");
    outq_clear(&q);
}

/* The number of items is bounded, too; stops still get in. */
static void many_items(void **state)
{
    static const enum outq_lane lanes[] = {OUTQ_CONTROL, OUTQ_COMMAND, OUTQ_TELEMETRY, OUTQ_VIDEO};
    (void)state;
    struct frame *f = make("x", 1), *stop = make("s", 1);
    for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
        struct outq q = {0};
        size_t n = 0;
        while (n < 100000 && push_frame(&q, lanes[i], f, 0, 1u << 30) == OUTQ_QUEUED)
            n++;
        assert_true(n >= 4096 && n < 100000);
        assert_int_not_equal(push_frame(&q, OUTQ_STOP, stop, 0, 1u << 30), OUTQ_REFUSED);
        assert_int_equal(drain(&q)[0], 's');
        outq_clear(&q);
    }
    assert_int_equal(f->refs, 1);
    assert_int_equal(stop->refs, 1);
    frame_unref(f);
    frame_unref(stop);
}

static void never_late(void **state)
{
    (void)state;
    struct outq q = {0};
    unsigned expired = 0;
    put_at(&q, OUTQ_COMMAND, "a", 0, 0, 100, FAST);
    put_at(&q, OUTQ_COMMAND, "b", 0, 0, 0, FAST); /* no deadline */
    put_at(&q, OUTQ_COMMAND, "c", 0, 0, 99, FAST);
    put_at(&q, OUTQ_COMMAND, "d", 0, 0, 101, FAST);
    assert_string_equal(drain_at(&q, 100, &expired), "abd"); /* at its deadline it is still in time */
    assert_int_equal(expired, 1);
    put_at(&q, OUTQ_COMMAND, "e", 0, 0, 100, FAST);
    put_at(&q, OUTQ_COMMAND, "f", 0, 0, 100, FAST);
    assert_string_equal(drain_at(&q, 101, &expired), "");
    assert_int_equal(expired, 3);
    outq_clear(&q);
}

/* Nothing comes between the fragments of a message, however urgent; it comes right after. */
static void long_message_is_not_interrupted(void **state)
{
    (void)state;
    struct outq q = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    struct frame *v = make("v", 3 * FRAME_SEGMENT - 20);
    push_frame(&q, OUTQ_VIDEO, v, 1, LIMIT);
    put(&q, OUTQ_TELEMETRY, "t", 0, FAST);
    size_t n = outq_take(&q, buf, sizeof(buf), &bytes, &hold);
    assert_int_equal(n, 3);
    frame_unref(hold);
    for (size_t at = 0; at < v->len; at += n) {
        n = outq_take(&q, buf, sizeof(buf), &bytes, &hold);
        assert_true(n > 0 && n <= FRAME_SEGMENT);
        assert_ptr_equal(hold, v); /* without a copy */
        assert_memory_equal(bytes, v->bytes + at, n);
        frame_unref(hold);
        put(&q, OUTQ_STOP, "s", 0, FAST);
        put(&q, OUTQ_VIDEO, "w", 1, FAST); /* does not replace what is on its way */
    }
    assert_string_equal(drain(&q), "sssw");
    assert_int_equal(v->refs, 1);
    frame_unref(v);
    outq_clear(&q);
}

static void cleared_in_the_middle(void **state)
{
    (void)state;
    struct outq q = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    struct frame *v = make("v", 3 * FRAME_SEGMENT);
    push_frame(&q, OUTQ_VIDEO, v, 1, LIMIT);
    put(&q, OUTQ_VIDEO, "w", 2, FAST);
    assert_int_equal(outq_take(&q, buf, sizeof(buf), &bytes, &hold), FRAME_SEGMENT);
    outq_clear(&q);
    assert_true(outq_empty(&q));
    assert_memory_equal(bytes, v->bytes, FRAME_SEGMENT); /* `hold` keeps it */
    frame_unref(hold);
    assert_int_equal(v->refs, 1);
    frame_unref(v);
    outq_clear(&q);
    put(&q, OUTQ_CONTROL, "a", 0, FAST);
    assert_string_equal(drain(&q), "a");
    outq_clear(&q);
}

/* What waits together goes out together, as much as fits. */
static void joined(void **state)
{
    (void)state;
    struct outq q = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    struct frame *f = make("a", 1000);
    size_t per_write = FRAME_SEGMENT / f->len;
    for (size_t i = 0; i < 2 * per_write; i++)
        push_frame(&q, OUTQ_CONTROL, f, 0, LIMIT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(outq_take(&q, buf, sizeof(buf), &bytes, &hold), per_write * f->len);
        frame_unref(hold);
    }
    assert_true(outq_empty(&q));
    assert_int_equal(f->refs, 1);
    frame_unref(f);
    outq_clear(&q);
}

static void empty_costs_nothing(void **state)
{
    (void)state;
    struct outq q = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    assert_true(outq_empty(&q));
    assert_int_equal(outq_take(&q, buf, sizeof(buf), &bytes, &hold), 0);
    assert_null(hold);
    for (int i = 0; i < 100; i++)
        put(&q, OUTQ_CONTROL, "a", 0, FAST);
    drain(&q);
    assert_null(q.items); /* a large array does not stay */
    outq_clear(&q);
    outq_clear(&q);
}

static void keys(void **state)
{
    (void)state;
    uint32_t seen[2000];
    for (int i = 0; i < 2000; i++) {
        char id[16];
        int n = snprintf(id, sizeof(id), "robot_%d", i);
        seen[i] = outq_key(id, (size_t)n);
        assert_int_not_equal(seen[i], 0);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
    }
    assert_int_not_equal(outq_key("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_in_order),
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(backfill_gives_way),
        cmocka_unit_test(latest_move_wins_in_place),
        cmocka_unit_test(latest_move_brings_its_deadline),
        cmocka_unit_test(telemetry_is_thinned_for_the_slow_only),
        cmocka_unit_test(video_is_the_latest_and_does_not_count),
        cmocka_unit_test(older_telemetry_makes_room),
        cmocka_unit_test(refused_when_full),
        cmocka_unit_test(limit_to_the_byte),
        cmocka_unit_test(room_for_a_zero),
        cmocka_unit_test(replacement_stays_within_the_limit),
        cmocka_unit_test(stop_is_always_accepted),
        cmocka_unit_test(many_items),
        cmocka_unit_test(never_late),
        cmocka_unit_test(long_message_is_not_interrupted),
        cmocka_unit_test(cleared_in_the_middle),
        cmocka_unit_test(joined),
        cmocka_unit_test(empty_costs_nothing),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
