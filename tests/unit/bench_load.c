/* What the load generator decides without a socket: when it sends, what it sends, where an answer ends. */
#include "tests/bench/dialect.h"
#include "tests/bench/http.h"
#include "tests/bench/proc.h"
#include "tests/bench/sched.h"

#include "common/msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_schedule_is_in_order_and_on_rate(void **state)
{
    enum { STREAMS = 7, PERIODS = 200 };
    const int64_t start = 1000, interval = 50000000; /* 20 Hz */
    uint64_t next[STREAMS] = {0};
    int64_t last = start;
    (void)state;
    struct sched *s = sched_create(STREAMS, 20, start);
    assert_non_null(s);
    for (int i = 0; i < STREAMS * PERIODS; i++) {
        unsigned stream;
        uint64_t k;
        int64_t due = sched_next(s);
        sched_take(s, &stream, &k);
        assert_true(due >= last);
        last = due;
        assert_int_equal(k, next[stream]++);
        assert_int_equal(due, sched_time(s, stream, k));
        assert_true(due >= start + (int64_t)k * interval && due < start + (int64_t)(k + 1) * interval);
    }
    for (int i = 0; i < STREAMS; i++)
        assert_true(next[i] == PERIODS || next[i] == PERIODS + 1 || next[i] == PERIODS - 1);
    sched_destroy(s);
    sched_destroy(NULL);
}

static void test_messages_are_valid_and_found_again(void **state)
{
    char text[DIALECT_TEXT_MAX];
    struct msg m;
    struct msg_fault fault;
    unsigned robot, number;
    uint64_t seq;
    (void)state;
    size_t len = dialect_telemetry(text, DIALECT_TELERELAY, 7, 123456789);
    assert_int_equal(msg_decode(MSG_FROM_ROBOT, text, len, &m, &fault), 0);
    assert_int_equal(m.n_metrics, 5);
    msg_finish(&m);
    len = dialect_telemetry(text, DIALECT_NCHAN, 7, 123456789);
    assert_true(dialect_is_telemetry(text, len, &robot, &seq));
    assert_int_equal(robot, 7);
    assert_int_equal(seq, 123456789);
    for (unsigned i = 0; i < DIALECT_COMMANDS_MAX; i++) {
        len = dialect_command(text, i);
        assert_int_equal(msg_decode(MSG_FROM_WEBSITE, text, len, &m, &fault), 0);
        char id[16];
        struct jsonw w;
        char again[DIALECT_TEXT_MAX];
        jsonw_init(&w, again, sizeof again);
        msg_put_command(&w, &m, 0);
        assert_true(dialect_is_command(again, w.len, &number));
        assert_int_equal(number, i);
        snprintf(id, sizeof id, "c%u", i);
        assert_string_equal(m.id, id);
        msg_finish(&m);
    }
    assert_false(dialect_is_telemetry("{\"seq\":", 7, &robot, &seq));
    assert_false(dialect_is_command("{}", 2, &number));
}

static void feed_pieces(const char *answer, size_t piece, int want, uint64_t body)
{
    struct http_answer a;
    size_t len = strlen(answer), at = 0;
    int got = 0;
    http_init(&a);
    for (; at < len && got == 0; at += piece)
        got = http_feed(&a, answer + at, len - at < piece ? len - at : piece);
    assert_int_equal(got, want);
    if (want == 1) {
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body_seen, body);
        assert_true(at >= len);
    }
    http_finish(&a);
}

static void test_where_an_answer_ends(void **state)
{
    static const char plain[] = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: y\r\n\r\nhello";
    static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n"
                                  "0123456789\r\n0\r\n\r\n";
    (void)state;
    for (size_t piece = 1; piece < 120; piece++) {
        feed_pieces(plain, piece, 1, 5);
        feed_pieces(chunked, piece, 1, 15);
    }
    feed_pieces("HTTP/1.1 200 OK\r\n\r\n", 100, -1, 0);
    feed_pieces("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", 100, -1, 0);
    feed_pieces("nonsense\r\n\r\n", 100, -1, 0);
    feed_pieces("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", 100, -1, 0);
}

static void test_groups_of_processes(void **state)
{
    struct proc_group g = {.n_pids = 9};
    struct proc_memory memory;
    char own[64];
    (void)state;
    assert_int_equal(proc_parse_group("relay=12,345", &g), 0);
    assert_string_equal(g.name, "relay");
    assert_int_equal(g.n_pids, 2);
    assert_int_equal(g.pids[1], 345);
    static const char *const bad[] = {"",
                                      "=1",
                                      "relay",
                                      "relay=",
                                      "relay=1,",
                                      "relay=0",
                                      "relay=-1",
                                      "relay=1x",
                                      "a_name_that_is_too_long=1",
                                      "r=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(proc_parse_group(bad[i], &g), -1);
    assert_int_equal(g.n_pids, 2);
    snprintf(own, sizeof own, "own=%d", (int)getpid());
    assert_int_equal(proc_parse_group(own, &g), 0);
    int64_t before = proc_group_cpu_ns(&g);
    for (volatile int i = 0; i < 10000000; i++)
        ;
    assert_true(before > 0 && proc_group_cpu_ns(&g) > before);
    assert_int_equal(proc_group_memory(&g, &memory), 0);
    assert_true(memory.rss >= memory.pss && memory.pss > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule_is_in_order_and_on_rate),
        cmocka_unit_test(test_messages_are_valid_and_found_again),
        cmocka_unit_test(test_where_an_answer_ends),
        cmocka_unit_test(test_groups_of_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
