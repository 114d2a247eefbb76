/* What is kept of a website that commands: dedupe, motions in force, receipts, interests, leases, watching. */
#include "wsd/dedupe.h"
#include "wsd/motions.h"
#include "wsd/operator.h"
#include "wsd/receipts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void same_id_within_a_minute(void **state)
{
    (void)state;
    struct dedupe d = {0};
    assert_false(dedupe_repeated(&d, "a", 1000));
    assert_true(dedupe_repeated(&d, "a", 1000));
    assert_false(dedupe_repeated(&d, "b", 1001));
    assert_true(dedupe_repeated(&d, "a", 60999));
    assert_false(dedupe_repeated(&d, "a", 61000)); /* the minute counts from the first */
    dedupe_forget(&d, "a");
    assert_false(dedupe_repeated(&d, "a", 61001));
    dedupe_forget(&d, "never seen");
    dedupe_finish(&d);
}

static void many_ids(void **state)
{
    (void)state;
    struct dedupe d = {0};
    char id[16];
    for (int i = 0; i < 3 * DEDUPE_MAX; i++) {
        snprintf(id, sizeof(id), "c-%d", i);
        assert_false(dedupe_repeated(&d, id, i / 1000));
        assert_true(d.count <= DEDUPE_MAX && d.cap <= DEDUPE_MAX);
    }
    assert_true(dedupe_repeated(&d, id, 24));
    snprintf(id, sizeof(id), "c-%d", 2 * DEDUPE_MAX);
    assert_true(dedupe_repeated(&d, id, 24)); /* the oldest that is kept */
    snprintf(id, sizeof(id), "c-%d", 2 * DEDUPE_MAX - 2);
    assert_false(dedupe_repeated(&d, id, 24));
    dedupe_finish(&d);
}

static void zero_ends_a_motion(void **state)
{
    (void)state;
    struct motions m = {0};
    struct motion out;
    motions_note(&m, "r1", MSG_ROBOT_MOVE, false, 100);
    motions_note(&m, "r1", MSG_CAMERA_MOVE, false, 100);
    assert_true(motions_ended_by(&m, "r1", MSG_ROBOT_MOVE));
    assert_true(motions_ended_by(&m, NULL, MSG_ROBOT_MOVE));
    assert_false(motions_ended_by(&m, "r2", MSG_ROBOT_MOVE));
    motions_note(&m, "r1", MSG_ROBOT_MOVE, true, 120);
    assert_false(motions_ended_by(&m, "r1", MSG_ROBOT_MOVE));
    assert_true(motions_take(&m, INT64_MAX, &out));
    assert_int_equal(out.type, MSG_CAMERA_MOVE);
    assert_false(motions_take(&m, INT64_MAX, &out));
    motions_finish(&m);
}

static void silence_is_per_motion(void **state)
{
    (void)state;
    struct motions m = {0};
    struct motion out;
    motions_note(&m, "r1", MSG_ROBOT_MOVE, false, 100);
    motions_note(&m, "r2", MSG_ROBOT_MOVE, false, 100);
    motions_note(&m, "r1", MSG_ROBOT_MOVE, false, 300); /* repeated: it lives on */
    assert_true(motions_take(&m, 101, &out));
    assert_string_equal(out.device_id, "r2");
    assert_false(motions_take(&m, 300, &out));
    assert_true(motions_take(&m, 301, &out));
    assert_string_equal(out.device_id, "r1");
    motions_finish(&m);
}

/* A command that came to nothing: its robot is stopped at the next look, however fresh the motion is. */
static void owed_zero(void **state)
{
    (void)state;
    struct motions m = {0};
    struct motion out;
    motions_note(&m, "r1", MSG_ROBOT_MOVE, false, 100);
    motions_owe(&m, "r1", MSG_ROBOT_MOVE);
    motions_owe(&m, NULL, MSG_CAMERA_MOVE); /* also where nothing was known to move */
    assert_true(motions_take(&m, INT64_MIN + 1, &out));
    assert_true(motions_take(&m, INT64_MIN + 1, &out));
    assert_false(motions_take(&m, INT64_MAX, &out));
    motions_owe(&m, "r1", MSG_ROBOT_MOVE);
    motions_note(&m, "r1", MSG_ROBOT_MOVE, false, 200); /* a later command went through */
    assert_false(motions_take(&m, 150, &out));
    motions_finish(&m);
}

static void zero_to_all_ends_all(void **state)
{
    (void)state;
    struct motions m = {0};
    struct motion out;
    motions_note(&m, "r1", MSG_ROBOT_MOVE, false, 1);
    motions_note(&m, NULL, MSG_ROBOT_MOVE, false, 1);
    assert_false(motions_ended_by(&m, "r9", MSG_ROBOT_MOVE)); /* it would not: no way around the limits */
    motions_note(&m, "r9", MSG_ROBOT_MOVE, true, 2);          /* does not end that to the others */
    assert_true(motions_ended_by(&m, NULL, MSG_ROBOT_MOVE));
    motions_note(&m, NULL, MSG_ROBOT_MOVE, true, 2);
    assert_false(motions_take(&m, INT64_MAX, &out));
    char id[16];
    for (int i = 0; i < 10 * MOTIONS_MAX; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        motions_note(&m, id, MSG_ROBOT_MOVE, false, i);
        assert_true(m.count <= MOTIONS_MAX);
    }
    motions_finish(&m);
}

static struct bus_order order(int64_t seq, const char *id, const char *instance, uint64_t number)
{
    return (struct bus_order){.device_id = "r1",
                              .type = MSG_ROBOT_MOVE,
                              .seq = seq,
                              .origin = {instance, number, 7},
                              .id = id,
                              .id_len = strlen(id)};
}

static void receipts_by_seq_and_id(void **state)
{
    (void)state;
    struct receipts r = {0};
    char instance[] = "wsd-1#0";
    struct bus_order a = order(10, "x", instance, 1), b = order(11, "x", NULL, 2);
    assert_null(receipts_add(&r, &a));
    assert_null(receipts_add(&r, &b));
    memset(instance, '?', sizeof(instance) - 1); /* it has a copy */
    struct receipt *one = receipts_take(&r, 11, NULL);
    assert_non_null(one);
    assert_int_equal(one->origin.number, 2);
    assert_null(one->origin.instance);
    free(one);
    assert_null(receipts_take(&r, 11, "x"));
    one = receipts_take(&r, -1, "x");
    assert_non_null(one);
    assert_string_equal(one->origin.instance, "wsd-1#0");
    assert_string_equal(one->id, "x");
    free(one);
    assert_null(receipts_take(&r, -1, "x"));
    assert_null(receipts_take(&r, -1, NULL));
}

/* Commands without an id are known only by their number, and only until they have been sent. */
static void receipts_without_id(void **state)
{
    (void)state;
    struct receipts r = {0};
    struct bus_order a = order(10, "", NULL, 1), b = order(11, "x", NULL, 1), c = order(12, "", NULL, 1);
    receipts_add(&r, &a);
    receipts_add(&r, &b);
    receipts_add(&r, &c);
    assert_null(receipts_take(&r, -1, ""));
    struct receipt *one = receipts_take(&r, 10, NULL);
    assert_non_null(one);
    free(one);
    assert_non_null(receipts_find(&r, 12, NULL));
    receipts_sent(&r);
    assert_null(receipts_find(&r, 12, NULL));
    assert_non_null(receipts_find(&r, 11, NULL));
    assert_int_equal(r.count, 1);
    assert_int_equal(r.nameless, 0);
    free(receipts_take_any(&r));
}

/* A stop that robots here are told before Redis numbers it. */
static void receipts_renumbered(void **state)
{
    (void)state;
    struct receipts r = {0};
    struct bus_order mine = order(10, "s", NULL, 1), theirs = order(20, "s", "wsd-2#0", 1);
    mine.type = theirs.type = MSG_STOP;
    receipts_add(&r, &mine);
    assert_false(receipts_renumber(&r, &theirs)); /* website 1 of another relay is somebody else */
    mine.seq = 15;
    assert_true(receipts_renumber(&r, &mine));
    assert_null(receipts_find(&r, 10, NULL));
    struct receipt *one = receipts_take(&r, 15, NULL);
    assert_non_null(one);
    free(one);
    assert_false(receipts_renumber(&r, &mine));
}

static void receipts_are_bounded(void **state)
{
    (void)state;
    struct receipts r = {0};
    struct receipt *one;
    for (int64_t seq = 1; seq <= 3 * RECEIPTS_MAX; seq++) {
        struct bus_order o = order(seq, "y", NULL, 1);
        one = receipts_add(&r, &o);
        if (seq <= RECEIPTS_MAX)
            assert_null(one);
        else
            assert_int_equal(one->seq, seq - RECEIPTS_MAX);
        free(one);
    }
    unsigned left = 0;
    while ((one = receipts_take_any(&r)) != NULL) {
        free(one);
        left++;
    }
    assert_int_equal(left, RECEIPTS_MAX);
    assert_int_equal(r.count, 0);
}

static void heartbeats_for_ten_seconds(void **state)
{
    (void)state;
    struct operator* op = operator_create(NULL, 1, 0x12345678);
    assert_string_equal(op->name, "guest-345678");
    assert_false(operator_wants_heartbeat(op, "r1", 0));
    operator_commanded(op, "r1", 1000);
    assert_true(operator_wants_heartbeat(op, "r1", 10999));
    assert_false(operator_wants_heartbeat(op, "r1", 11000));
    assert_false(operator_wants_heartbeat(op, "r2", 1000));
    operator_commanded(op, NULL, 2000);
    assert_true(operator_wants_heartbeat(op, "r2", 2000));
    char id[16];
    for (int i = 0; i < 100; i++) { /* the ones commanded longest ago make room */
        snprintf(id, sizeof(id), "s%d", i);
        operator_commanded(op, id, 3000 + i);
    }
    assert_int_equal(op->n_interests, OPERATOR_INTERESTS);
    assert_true(operator_wants_heartbeat(op, "s99", 3100));
    assert_true(operator_wants_heartbeat(op, "s84", 3100));
    assert_false(operator_wants_heartbeat(op, "s83", 3100));
    operator_destroy(op);
}

static void receipts_wait_for_the_ack(void **state)
{
    (void)state;
    struct operator* op = operator_create(NULL, 1, 0);
    assert_false(operator_defer(op, "a", 1)); /* nothing to wait for */
    op->open_stops = 2;
    for (int i = 0; i < OPERATOR_EARLY; i++)
        assert_true(operator_defer(op, i == 0 ? "a" : "b", 1));
    assert_false(operator_defer(op, "c", 1));
    op->open_stops = 1;
    assert_null(operator_take_early(op));
    op->open_stops = 0;
    struct operator_early *early = operator_take_early(op);
    assert_int_equal(early->len, 1);
    assert_memory_equal(early->text, "a", 1);
    free(early);
    op->open_stops = 1;
    assert_true(operator_defer(op, "d", 1));
    operator_destroy(op); /* frees what waits */
}

static void watching(void **state)
{
    (void)state;
    struct operator* op = operator_create(NULL, 1, 0);
    const char *const ids[] = {"r1", "r2"};
    assert_true(operator_watches(op, "r3"));
    assert_false(operator_wants_heartbeat(op, "r3", 0)); /* merely sees everything */
    assert_int_equal(operator_watch(op, ids, 2), 0);
    assert_true(operator_watches(op, "r2"));
    assert_false(operator_watches(op, "r3"));
    assert_true(operator_wants_heartbeat(op, "r2", 0));
    assert_int_equal(operator_watch(op, NULL, 0), 0);
    assert_true(operator_watches(op, "r3"));
    operator_destroy(op);
    operator_destroy(NULL);
}

static void leases(void **state)
{
    (void)state;
    struct operator* op = operator_create(NULL, 1, 0);
    assert_null(operator_find_lease(op, "r1"));
    struct operator_lease *lease = operator_add_lease(op, "r1");
    assert_ptr_equal(operator_add_lease(op, "r1"), lease);
    assert_ptr_equal(operator_find_lease(op, "r1"), lease);
    char id[16];
    for (int i = 1; i < OPERATOR_LEASES; i++) {
        snprintf(id, sizeof(id), "s%d", i);
        assert_non_null(operator_add_lease(op, id));
    }
    assert_null(operator_add_lease(op, "one-too-many"));
    operator_drop_lease(op, operator_find_lease(op, "r1"));
    assert_null(operator_find_lease(op, "r1"));
    assert_non_null(operator_find_lease(op, "s31"));
    operator_destroy(op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_id_within_a_minute),
        cmocka_unit_test(many_ids),
        cmocka_unit_test(zero_ends_a_motion),
        cmocka_unit_test(silence_is_per_motion),
        cmocka_unit_test(zero_to_all_ends_all),
        cmocka_unit_test(owed_zero),
        cmocka_unit_test(receipts_by_seq_and_id),
        cmocka_unit_test(receipts_without_id),
        cmocka_unit_test(receipts_renumbered),
        cmocka_unit_test(receipts_are_bounded),
        cmocka_unit_test(heartbeats_for_ten_seconds),
        cmocka_unit_test(receipts_wait_for_the_ack),
        cmocka_unit_test(watching),
        cmocka_unit_test(leases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
