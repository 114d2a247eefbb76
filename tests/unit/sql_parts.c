/* The archive's pure parts. */
#include "sql/names.h"
#include "sql/pgarray.h"
#include "sql/pguri.h"
#include "sql/rollup.h"
#include "sql/shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t rng = 1;

static uint32_t pick(uint32_t below)
{
    rng = rng * 1664525u + 1013904223u;
    return (rng >> 8) % below;
}

/* --- shapes ------------------------------------------------------------------------------------------ */

static void samples_are_taken_apart_and_put_together(void **state)
{
    static const char *const pieces[] = {"\"",         "a",       "battery",     ":", ",",  "1", "-0.0",      "1e-7",
                                         "\"cpu\":38", "\"a\":1", ",\"b\":2.50", "{", "\\", " ", "\"x\":1E+5"};
    size_t good = 0, bad = 0;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[256] = "", out[SAMPLE_MAX];
        struct shape shape;
        for (uint32_t n = pick(6); n > 0; n--)
            strcat(text, pieces[pick(sizeof(pieces) / sizeof(pieces[0]))]);
        size_t len = strlen(text);
        bool sound = sample_check(text, len) != SAMPLE_BAD;
        assert_int_equal(shape_split(&shape, text, len), sound ? 0 : -1);
        good += sound;
        bad += !sound;
        if (!sound)
            continue;
        assert_int_equal(shape_join(out, shape.names, shape.names_len, shape.values, shape.values_len), (int)len);
        assert_memory_equal(out, text, len);
    }
    assert_true(good > 10000 && bad > 10000);
}

static void shapes_that_do_not_fit(void **state)
{
    static const char *const bad[][2] = {{"a,b", "1"},  {"a", "1,2"},  {"", "1"},     {"a", ""},  {"a,", "1,"},
                                         {",a", "1,2"}, {"a,b", "1,"}, {"a,b", ",1"}, {",", ","}, {"a,b,c", "1,2"}};
    char out[SAMPLE_MAX], names[SAMPLE_MAX], values[SAMPLE_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(shape_join(out, bad[i][0], strlen(bad[i][0]), bad[i][1], strlen(bad[i][1])), -1);
    /* Neither does what is longer than a sample. */
    memset(names, 'a', sizeof(names));
    memset(values, '1', sizeof(values));
    assert_int_equal(shape_join(out, names, 2000, values, SAMPLE_MAX - 2000 - 4), SAMPLE_MAX - 1);
    assert_int_equal(shape_join(out, names, 2000, values, SAMPLE_MAX - 2000 - 3), -1);
    assert_int_equal(shape_join(out, names, SAMPLE_MAX, values, SAMPLE_MAX), -1);
}

/* --- roll-ups ---------------------------------------------------------------------------------------- */

static void deltas_in_order(void **state)
{
    struct rollup *r = rollup_create();
    size_t n;
    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(rollup_add(r, 2, 1, 3600000 * 5 + 59999, 4), 0);
        assert_int_equal(rollup_add(r, 2, 1, 3600000 * 5 + 60000, -2), 0);
        assert_int_equal(rollup_add(r, 1, 9, 0, 7), 0);
        assert_int_equal(rollup_add(r, 2, 1, 3600000 * 5 + 60001, 1), 0);
        assert_int_equal(rollup_add(r, 2, 0, 3600000 * 6 - 1, 1e308), 0);
        assert_int_equal(rollup_add(r, 2, 0, 3600000 * 6 - 1, -1e308), 0);
        const struct rollup_delta *d = rollup_take(r, ARCHIVE_MINUTE, &n);
        assert_int_equal(n, 4);
        assert_true(d[0].device == 1 && d[0].metric == 9 && d[0].ms == 0 && d[0].count == 1 && d[0].sum == 7);
        assert_true(d[1].metric == 0 && d[1].sum == 0 && d[1].min == -1e308 && d[1].max == 1e308 &&
                    d[1].last == -1e308);
        assert_true(d[2].metric == 1 && d[2].ms == 3600000 * 5 && d[2].count == 1 && d[2].last == 4);
        assert_true(d[3].ms == 3600000 * 5 + 60000 && d[3].count == 2 && d[3].min == -2 && d[3].max == 1 &&
                    d[3].sum == -1);
        d = rollup_take(r, ARCHIVE_HOUR, &n);
        assert_int_equal(n, 3);
        assert_true(d[2].ms == 3600000 * 5 && d[2].count == 3 && d[2].min == -2 && d[2].max == 4 && d[2].last == 1);
        rollup_clear(r);
        rollup_take(r, ARCHIVE_MINUTE, &n);
        assert_int_equal(n, 0);
    }
    rollup_destroy(r);
    rollup_destroy(NULL);
}

static void deltas_are_bounded(void **state)
{
    struct rollup *r = rollup_create();
    size_t n;
    int64_t ms = 0;
    (void)state;
    while (!rollup_full(r, 1)) {
        assert_int_equal(rollup_add(r, 1, 1, ms, 1), 0);
        ms += 60000;
    }
    assert_int_equal(ms / 60000, ROLLUP_MOST);
    assert_int_equal(rollup_add(r, 1, 1, ms, 1), -1);
    assert_non_null(rollup_take(r, ARCHIVE_MINUTE, &n));
    assert_int_equal(n, ROLLUP_MOST);
    rollup_clear(r);
    assert_false(rollup_full(r, 36));
    assert_int_equal(rollup_add(r, 1, 1, ms, 1), 0);
    rollup_destroy(r);
}

/* --- names ------------------------------------------------------------------------------------------- */

static void names_are_remembered(void **state)
{
    struct names *names = names_create(3);
    int64_t *numbers = malloc(sizeof(*numbers));
    (void)state;
    *numbers = 5;
    assert_null(names_find(names, "a", 1));
    assert_int_equal(names_put(names, "abc", 1, 7, numbers, 1)->id, 7);
    assert_int_equal(names_put(names, "", 0, 8, NULL, 0)->id, 8);
    assert_int_equal(names_put(names, "a\0b", 3, 9, NULL, 0)->id, 9);
    assert_string_equal(names_of_id(names, 7)->text, "a");
    assert_int_equal(names_find(names, "a", 1)->numbers[0], 5);
    assert_int_equal(names_find(names, "", 0)->id, 8);
    assert_int_equal(names_find(names, "a\0b", 3)->id, 9);
    assert_null(names_find(names, "a\0c", 3));
    assert_null(names_of_id(names, 1));
    /* A full one forgets. */
    assert_int_equal(names_put(names, "d", 1, 10, NULL, 0)->id, 10);
    assert_null(names_find(names, "a", 1));
    assert_null(names_of_id(names, 8));
    assert_int_equal(names_of_id(names, 10)->len, 1);
    names_clear(names);
    assert_null(names_find(names, "d", 1));
    names_destroy(names);
    names_destroy(NULL);
}

/* --- PostgreSQL's forms -------------------------------------------------------------------------------- */

static void arrays(void **state)
{
    static const char empty[] = "\0\0\0\0\0\0\0\0\0\0\0\x17";
    static const char ints[] = "\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1"
                               "\0\0\0\4\xff\xff\xff\xfe\0\0\0\4\0\1\0\0";
    static const char longs[] = "\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\1\0\0\0\1\0\0\0\10\0\0\1\0\0\0\0\3";
    static const char floats[] = "\0\0\0\1\0\0\0\0\0\0\2\xbd\0\0\0\1\0\0\0\1\0\0\0\10\xbf\xf0\0\0\0\0\0\0";
    static const char texts[] = "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\2ab";
    struct pgarray a;
    size_t len;
    (void)state;
    pgarray_init(&a, PGARRAY_INT4);
    for (int round = 0; round < 2; round++) {
        assert_memory_equal(pgarray_bytes(&a, &len), empty, 12);
        assert_int_equal(len, 12);
        assert_int_equal(pgarray_add_int(&a, -2) | pgarray_add_int(&a, 65536), 0);
        assert_memory_equal(pgarray_bytes(&a, &len), ints, sizeof(ints) - 1);
        assert_int_equal(len, sizeof(ints) - 1);
        pgarray_clear(&a);
    }
    pgarray_finish(&a);
    pgarray_init(&a, PGARRAY_INT8);
    assert_int_equal(pgarray_add_int(&a, ((int64_t)1 << 40) + 3), 0);
    assert_memory_equal(pgarray_bytes(&a, &len), longs, sizeof(longs) - 1);
    pgarray_finish(&a);
    pgarray_init(&a, PGARRAY_FLOAT8);
    assert_int_equal(pgarray_add_float(&a, -1), 0);
    assert_memory_equal(pgarray_bytes(&a, &len), floats, sizeof(floats) - 1);
    pgarray_finish(&a);
    pgarray_init(&a, PGARRAY_TEXT);
    assert_int_equal(pgarray_add_bytes(&a, "", 0) | pgarray_add_bytes(&a, "ab", 2), 0);
    assert_memory_equal(pgarray_bytes(&a, &len), texts, sizeof(texts) - 1);
    assert_int_equal(pgarray_add_bytes(&a, "", (size_t)1 << 40), -1);
    assert_memory_equal(pgarray_bytes(&a, &len), texts, sizeof(texts) - 1);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(pgarray_add_bytes(&a, "0123456789", 10), 0);
    const char *bytes = pgarray_bytes(&a, &len);
    assert_int_equal(len, sizeof(texts) - 1 + 100000 * 14);
    assert_memory_equal(bytes + len - 10, "0123456789", 10);
    pgarray_finish(&a);
}

static void uris(void **state)
{
    static const char *const good[] = {"postgresql://",
                                       "postgresql:///telerelay?host=/run/postgresql",
                                       "postgresql://telerelay@/telerelay?host=/tmp/x&port=5433",
                                       "postgresql://u:p%40ss%2F@db.example.org:5432/telerelay?sslmode=verify-full",
                                       "postgresql://u:pass:word@10.0.0.1/x",
                                       "postgresql://u@[::1]:5432,[fe80::1]:5433,h/x",
                                       "postgres://h:1,i:2/x"};
    static const char *const bad[] = {"mysql:x",
                                      "postgresql://u:p@ss@host/x",
                                      "postgresql://u:p/ss@host/x",
                                      "postgresql://u:p?ss@host/x",
                                      "postgresql://u:p%ss@host/x",
                                      "postgresql://u:secret",
                                      "postgresql://u:secret/x",
                                      "postgresql://u@host:secret/x",
                                      "postgresql://[::1]:secret/x",
                                      "postgresql://h:1,h:secret/x",
                                      "postgresql:///x?password=p@ss",
                                      "postgresql:///x%",
                                      "postgresql:///x%4"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(pguri_check(good[i]), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (pguri_check(bad[i]) != -1)
            fail_msg("%s", bad[i]);
    }
}

static void messages_without_secrets(void **state)
{
    char out[32];
    (void)state;
    pguri_message(out, sizeof(out), "no secret here\nHINT: secret", "");
    assert_string_equal(out, "no secret here");
    pguri_message(out, sizeof(out), "a secret, secret", "secret");
    assert_string_equal(out, "a (hidden), (hidden)");
    pguri_message(out, sizeof(out), "0123456789 0123456789 01234secret", "secret");
    assert_string_equal(out, "0123456789 0123456789 01234(hid");
    pguri_message(out, sizeof(out), "0123456789 0123456789 0123456789 secret", NULL);
    assert_string_equal(out, "0123456789 0123456789 012345678");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_taken_apart_and_put_together),
        cmocka_unit_test(shapes_that_do_not_fit),
        cmocka_unit_test(deltas_in_order),
        cmocka_unit_test(deltas_are_bounded),
        cmocka_unit_test(names_are_remembered),
        cmocka_unit_test(arrays),
        cmocka_unit_test(uris),
        cmocka_unit_test(messages_without_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
