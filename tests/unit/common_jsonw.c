#include "common/jsonw.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 0x9e3779b97f4a7c15ULL;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void number_is(double value, const char *expected)
{
    char text[JSONW_NUMBER_MAX];
    assert_int_equal(jsonw_format_number(text, value), strlen(expected));
    assert_string_equal(text, expected);
}

static void known_numbers(void **state)
{
    (void)state;
    number_is(60.0, "60");
    number_is(0.0, "0");
    number_is(-0.0, "0");
    number_is(-0.3, "-0.3");
    number_is(0.5, "0.5");
    number_is(41.2, "41.2");
    number_is(100, "100");
    number_is(-1, "-1");
    number_is(0.000001, "0.000001");
    number_is(1e-7, "1e-7");
    number_is(-1.5e-9, "-1.5e-9");
    number_is(123456.789012, "123456.789012");
    number_is(0.1 + 0.2, "0.30000000000000004");
    number_is(1.0 / 3, "0.3333333333333333");
    number_is(1768473045123.0, "1768473045123");
    number_is(1e21, "1e+21");
    number_is(9007199254740993.0, "9007199254740992");
    number_is(5e-324, "5e-324");
    number_is(DBL_MAX, "1.7976931348623157e+308");
    number_is(DBL_MIN, "2.2250738585072014e-308");
}

static int digits_of(const char *text)
{
    int digits = 0, zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (digits == 0 && *text == '0'))
            continue;
        digits++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return digits - zeros;
}

static void check_number(double value, bool shortest)
{
    char text[JSONW_NUMBER_MAX], other[JSONW_NUMBER_MAX];
    size_t len = jsonw_format_number(text, value);
    if (len != strlen(text) || strtod(text, NULL) != value)
        fail_msg("%.17g is written as %s", value, text);
    for (int p = 1; shortest && p <= 17; p++) {
        snprintf(other, sizeof other, "%.*g", p, value);
        if (strtod(other, NULL) != value)
            continue;
        if (digits_of(text) > digits_of(other))
            fail_msg("%s is written as %s", other, text);
        break;
    }
}

static void random_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 1000000; i++) { /* any bits */
        uint64_t bits = next_random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_number(value, i % 50 == 0);
    }
    for (int i = 0; i < 1000000; i++) { /* short decimals and their neighbours, as sensors send them */
        double scale = pow(10, (double)(next_random() % 9));
        double value = (double)(int64_t)(next_random() >> (20 + next_random() % 40)) / scale;
        value = next_random() % 2 ? -value : value;
        check_number(value, i % 50 == 0);
        check_number(nextafter(value, INFINITY), i % 50 == 0);
    }
}

static void objects(void **state)
{
    (void)state;
    char buf[256];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof buf);
    jsonw_lit(&w, "{");
    jsonw_kv_str(&w, "s", "a\"b\\c\n\t\r\x01ü/");
    jsonw_kv_str(&w, "left_out", NULL);
    jsonw_kv_num(&w, "n", 0.25);
    jsonw_kv_num(&w, "nan", NAN);
    jsonw_kv_num(&w, "inf", -INFINITY);
    jsonw_kv_int(&w, "i", INT64_MIN);
    jsonw_kv_int(&w, "j", INT64_MAX);
    jsonw_kv_bool(&w, "b", true);
    jsonw_key(&w, "k");
    jsonw_bool(&w, false);
    jsonw_lit(&w, "}");
    const char *expected = "{\"s\":\"a\\\"b\\\\c\\n\\t\\r\\u0001ü/\",\"n\":0.25,\"nan\":null,\"inf\":null,"
                           "\"i\":-9223372036854775808,\"j\":9223372036854775807,\"b\":true,\"k\":false}";
    assert_false(w.overflow);
    assert_int_equal(w.len, strlen(expected));
    assert_memory_equal(buf, expected, w.len);
    jsonw_init(&w, buf, sizeof buf); /* members without braces */
    jsonw_kv_int(&w, "a", 1);
    jsonw_kv_int(&w, "b", 2);
    assert_int_equal(w.len, 11);
    assert_memory_equal(buf, "\"a\":1,\"b\":2", 11);
}

/* With every capacity: nothing behind the end, and overflow exactly when it does not fit. */
static void bounded(void **state)
{
    (void)state;
    for (size_t cap = 0; cap <= 40; cap++) {
        char *buf = malloc(cap + 1); /* sanitizers see a byte too many */
        struct jsonw w;
        assert_non_null(buf);
        buf[cap] = '#';
        jsonw_init(&w, buf, cap);
        jsonw_lit(&w, "{");
        jsonw_kv_str(&w, "key", "val\nue");
        jsonw_kv_num(&w, "n", 12.5);
        jsonw_lit(&w, "}");
        assert_int_equal(w.overflow, cap < strlen("{\"key\":\"val\\nue\",\"n\":12.5}"));
        assert_true(w.len <= cap);
        assert_int_equal(buf[cap], '#');
        free(buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(objects),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
