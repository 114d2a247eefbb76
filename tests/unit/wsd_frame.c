#include "wsd/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED    20260115u
#define PAYLOAD (FRAME_SEGMENT - 4u) /* of a full fragment */
#define LONGEST (5u * FRAME_SEGMENT)

static char text[LONGEST];

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static int fill_text(void **state)
{
    uint32_t seed = SEED;
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)random_bits(&seed);
    return 0;
}

/* One WebSocket frame at `at`, as a client reads it: checks its header, returns its payload's length. */
static size_t read_header(const uint8_t *at, size_t left, bool first, bool *fin, size_t *header)
{
    assert_true(left >= 2);
    *fin = (at[0] & 0x80) != 0;
    assert_int_equal(at[0] & 0x7f, first ? 0x01 : 0x00); /* text, then continuations; no reserved bit */
    assert_int_equal(at[1] & 0x80, 0);                   /* a server does not mask */
    *header = 2;
    if (at[1] < 126)
        return at[1];
    assert_int_equal(at[1], 126); /* no fragment needs the long form */
    assert_true(left >= 4);
    *header = 4;
    size_t len = (size_t)at[2] << 8 | at[3];
    assert_true(len >= 126); /* the shortest form is the only valid one */
    return len;
}

/* What a client makes of the frame is the text; every full fragment has the full size, and segments are fragments. */
static void check(const char *original, size_t len)
{
    struct frame *f = frame_create(original, len);
    assert_non_null(f);
    assert_int_equal(f->refs, 1);
    size_t at = 0, seen = 0;
    bool fin = false;
    do {
        size_t header;
        size_t n = read_header(f->bytes + at, f->len - at, at == 0, &fin, &header);
        assert_true(at + header + n <= f->len);
        assert_true(seen + n <= len);
        assert_memory_equal(f->bytes + at + header, original + seen, n);
        if (!fin)
            assert_int_equal(header + n, FRAME_SEGMENT);
        assert_int_equal(frame_segment_end(f, at), at + header + n);
        at += header + n;
        seen += n;
    } while (!fin);
    assert_int_equal(at, f->len);
    assert_int_equal(seen, len);
    frame_unref(f);
}

static void short_messages(void **state)
{
    (void)state;
    for (size_t len = 0; len < 300; len++)
        check(text, len);
    struct frame *f = frame_create("", 0);
    assert_non_null(f);
    assert_int_equal(f->len, 2);
    assert_int_equal(f->bytes[0], 0x81);
    assert_int_equal(f->bytes[1], 0);
    frame_unref(f);
    f = frame_create("{}", 2);
    assert_non_null(f);
    assert_memory_equal(f->bytes, "\x81\x02{}", 4);
    frame_unref(f);
}

static void around_the_fragment_size(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 3; n++) {
        for (size_t d = 0; d <= 260; d++)
            check(text, n * PAYLOAD - 130 + d);
    }
}

static void message_that_fills_its_fragments(void **state)
{
    (void)state;
    struct frame *f = frame_create(text, 2 * (size_t)PAYLOAD);
    assert_non_null(f);
    assert_int_equal(f->len, 2 * FRAME_SEGMENT); /* no empty last fragment */
    assert_int_equal(frame_segment_end(f, 0), FRAME_SEGMENT);
    assert_int_equal(frame_segment_end(f, FRAME_SEGMENT), 2 * FRAME_SEGMENT);
    frame_unref(f);
}

static void references(void **state)
{
    (void)state;
    struct frame *f = frame_create("abc", 3);
    assert_non_null(f);
    for (uint32_t i = 1; i <= 1000; i++) {
        assert_ptr_equal(frame_ref(f), f);
        assert_int_equal(f->refs, i + 1);
    }
    for (uint32_t i = 1000; i >= 1; i--) {
        frame_unref(f);
        assert_int_equal(f->refs, i);
    }
    frame_unref(f); /* the sanitizer build sees that this frees it */
    frame_unref(NULL);
}

static void copies_its_text(void **state)
{
    (void)state;
    char own[] = "{\"type\":\"ack\"}";
    struct frame *f = frame_create(own, sizeof(own) - 1);
    assert_non_null(f);
    memset(own, 'x', sizeof(own));
    assert_memory_equal(f->bytes + 2, "{\"type\":\"ack\"}", sizeof(own) - 1);
    frame_unref(f);
}

static void random_messages(void **state)
{
    uint32_t seed = SEED;
    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint32_t most = i % 10 != 0 ? 2000 : LONGEST;
        size_t len = random_bits(&seed) % (most + 1);
        check(text + random_bits(&seed) % (LONGEST - len + 1), len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_messages),  cmocka_unit_test(around_the_fragment_size),
        cmocka_unit_test(references),      cmocka_unit_test(message_that_fills_its_fragments),
        cmocka_unit_test(copies_its_text), cmocka_unit_test(random_messages),
    };
    return cmocka_run_group_tests(tests, fill_text, NULL);
}
