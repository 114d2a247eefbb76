/* The load generator's WebSocket frames: cut, joined, fragmented and broken ones. */
#include "tests/bench/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    unsigned n;
    unsigned stop_after; /* 0: never */
    enum frame_op op[16];
    size_t len[16];
    char text[16][32]; /* their beginning */
};

static bool note(void *arg, enum frame_op op, const uint8_t *data, size_t len)
{
    struct seen *s = arg;
    assert_true(s->n < 16);
    s->op[s->n] = op;
    s->len[s->n] = len;
    memset(s->text[s->n], 0, sizeof s->text[0]);
    memcpy(s->text[s->n], data, len < 31 ? len : 31);
    s->n++;
    return s->n != s->stop_after;
}

/* Two texts, a ping between the fragments of a third, and a close. */
static const uint8_t stream[] = {
    0x81, 2,   'h', 'i', 0x81, 0, 0x01, 3,   'o', 'n', 'e', 0x89, 1, 'p', 0x00,
    3,    't', 'w', 'o', 0x80, 5, 't',  'h', 'r', 'e', 'e', 0x88, 2, 3,   0xe8,
};

static void check_stream(const struct seen *s)
{
    assert_int_equal(s->n, 5);
    assert_int_equal(s->op[0], FRAME_TEXT);
    assert_string_equal(s->text[0], "hi");
    assert_int_equal(s->len[1], 0);
    assert_int_equal(s->op[2], FRAME_PING);
    assert_string_equal(s->text[2], "p");
    assert_int_equal(s->op[3], FRAME_TEXT);
    assert_string_equal(s->text[3], "onetwothree");
    assert_int_equal(s->op[4], FRAME_CLOSE);
    assert_int_equal(s->len[4], 2);
}

static void test_all_at_once(void **state)
{
    (void)state;
    struct frame_parser p;
    struct seen s = {0};
    frame_init(&p);
    assert_int_equal(frame_feed(&p, stream, sizeof stream, note, &s), 0);
    check_stream(&s);
    frame_finish(&p);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof stream; piece++) {
        struct frame_parser p;
        struct seen s = {0};
        frame_init(&p);
        for (size_t at = 0; at < sizeof stream; at += piece) {
            size_t len = sizeof stream - at < piece ? sizeof stream - at : piece;
            assert_int_equal(frame_feed(&p, stream + at, len, note, &s), 0);
        }
        check_stream(&s);
        frame_finish(&p);
    }
}

static void feed_length(size_t len)
{
    uint8_t *frame = malloc(len + 10);
    struct frame_parser p;
    struct seen s = {0};
    size_t n = 0;
    assert_non_null(frame);
    frame[n++] = 0x82;
    if (len < 126) {
        frame[n++] = (uint8_t)len;
    } else if (len < 65536) {
        frame[n++] = 126;
        frame[n++] = (uint8_t)(len >> 8);
        frame[n++] = (uint8_t)len;
    } else {
        frame[n++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            frame[n++] = (uint8_t)((uint64_t)len >> shift);
    }
    memset(frame + n, 'x', len);
    frame_init(&p);
    assert_int_equal(frame_feed(&p, frame, n + len - 1, note, &s), 0);
    assert_int_equal(s.n, 0);
    assert_int_equal(frame_feed(&p, frame + n + len - 1, 1, note, &s), 0);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.op[0], FRAME_BINARY);
    assert_int_equal(s.len[0], len);
    frame_finish(&p);
    free(frame);
}

static void test_lengths(void **state)
{
    static const size_t lengths[] = {1, 125, 126, 127, 65535, 65536, FRAME_MESSAGE_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        feed_length(lengths[i]);
}

static void test_broken(void **state)
{
    static const struct {
        size_t len;
        uint8_t bytes[12];
    } broken[] = {
        {6, {0x81, 0x80, 1, 2, 3, 4}},             /* masked by a server */
        {2, {0xc1, 0}},                            /* a reserved bit */
        {2, {0x83, 0}},                            /* a reserved opcode */
        {2, {0x80, 0}},                            /* continues nothing */
        {4, {0x01, 0, 0x81, 0}},                   /* a new message within one */
        {2, {0x09, 0}},                            /* a fragmented ping */
        {4, {0x89, 126, 0, 126}},                  /* a long ping */
        {10, {0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0}}, /* a terabyte */
        {10, {0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct frame_parser p;
        struct seen s = {0};
        frame_init(&p);
        assert_int_equal(frame_feed(&p, broken[i].bytes, broken[i].len, note, &s), -1);
        frame_finish(&p);
    }
}

static void test_fragments_together_are_bounded(void **state)
{
    static uint8_t fragment[4 + 60000] = {0x01, 126, 60000 >> 8, 60000 & 0xff};
    struct frame_parser p;
    struct seen s = {0};
    unsigned fed = 0;
    (void)state;
    frame_init(&p);
    while (fed < 100 && frame_feed(&p, fragment, sizeof fragment, note, &s) == 0) {
        fragment[0] = 0x00;
        fed++;
    }
    assert_int_equal(fed, FRAME_MESSAGE_MAX / 60000);
    frame_finish(&p);
}

static void test_handler_stops(void **state)
{
    struct frame_parser p;
    struct seen s = {.stop_after = 2};
    (void)state;
    frame_init(&p);
    assert_int_equal(frame_feed(&p, stream, 3, note, &s), 0);
    assert_int_equal(frame_feed(&p, stream + 3, sizeof stream - 3, note, &s), 0);
    assert_int_equal(s.n, 2);
    frame_finish(&p);
}

static void test_put(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536};
    static const size_t headers[] = {6, 6, 6, 8, 8, 14};
    static uint8_t payload[65536], out[65536 + FRAME_HEADER_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t n = frame_put(out, FRAME_TEXT, payload, lengths[i], 0x12345678);
        size_t header = headers[i];
        assert_int_equal(n, header + lengths[i]);
        assert_int_equal(out[0], 0x81);
        assert_true(out[1] & 0x80);
        for (size_t k = 0; k < lengths[i]; k++)
            assert_int_equal(out[header + k] ^ out[header - 4 + (k & 3)], payload[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_fragments_together_are_bounded),
        cmocka_unit_test(test_handler_stops),
        cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
