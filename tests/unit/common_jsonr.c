#include "common/jsonr.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct jsonr object;
static char *buf;

static enum jsonr_result parse_bytes(const char *text, size_t len)
{
    free(buf);
    buf = malloc(len + 1); /* of exactly that size, for the sanitizers */
    assert_non_null(buf);
    memcpy(buf, text, len);
    return jsonr_parse(&object, buf, len);
}

static enum jsonr_result parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void kinds(void **state)
{
    (void)state;
    assert_int_equal(
        parse(" {\"a\" : 1.5 ,\t\"b\":\"text\",\n\"c\":true,\r\"d\":false,\"e\":null,\"f\":{\"a\":[{}]},\"g\":[],"
              "\"\":-0} "),
        JSONR_OK);
    assert_int_equal(object.n, 8);
    assert_true(jsonr_find(&object, "a")->kind == JSONR_NUMBER && jsonr_find(&object, "a")->number == 1.5);
    assert_string_equal(jsonr_find(&object, "b")->text, "text");
    assert_int_equal(jsonr_find(&object, "b")->len, 4);
    assert_true(jsonr_find(&object, "c")->truth && !jsonr_find(&object, "d")->truth);
    assert_int_equal(jsonr_find(&object, "e")->kind, JSONR_NULL);
    assert_null(jsonr_find(&object, "e")->text);
    assert_int_equal(jsonr_find(&object, "f")->kind, JSONR_OBJECT);
    assert_int_equal(jsonr_find(&object, "g")->kind, JSONR_ARRAY);
    assert_int_equal(jsonr_find(&object, "")->kind, JSONR_NUMBER);
    assert_null(jsonr_find(&object, "h"));
    assert_string_equal(object.members[1].name, "b");
    assert_int_equal(parse("{}"), JSONR_OK);
    assert_int_equal(object.n, 0);
}

static void escapes(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"k\\u00e9y\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00FC\\u20ac\\ud83e\\udd16 \xc3\xbc end\"}"),
                     JSONR_OK);
    const char *expected = "\"\\/\b\f\n\r\t\xc3\xbc\xe2\x82\xac\xf0\x9f\xa4\x96 \xc3\xbc end";
    assert_string_equal(object.members[0].name, "k\xc3\xa9y");
    assert_string_equal(object.members[0].text, expected);
    assert_int_equal(object.members[0].len, strlen(expected));
}

static void no_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{\"a\":1 2}",
        "{\"a\":1}}",
        "{}{}",
        "[1,]",
        "[1 2]",
        "[",
        "[1}",
        "tru",
        "nul",
        "truefalse",
        "NaN",
        "-",
        "+1",
        "01",
        "1.",
        ".1",
        "1e",
        "1e+",
        "0x1",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\u0041\"",
        "\"\\u0000\"",
        "\"\t\"",
        "\"\x80\"",
        "\"\xc1\xbf\"",
        "\"\xe0\x9f\xbf\"",
        "\"\xed\xa0\x80\"",
        "\"\xf0\x8f\xbf\xbf\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xe2\x82\"",
        "\"\xc3",
        "// c\n{}",
        "\v{}",
        "{}\f",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parse(texts[i]) != JSONR_SYNTAX)
            fail_msg("not refused as a syntax error: %s", texts[i]);
    }
    assert_int_equal(parse_bytes("{}\0", 3), JSONR_SYNTAX);
    assert_int_equal(parse_bytes("{\"a\0\":1}", 8), JSONR_SYNTAX);
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(parse("[1, {\"a\": [2]}]"), JSONR_NO_OBJECT);
    assert_int_equal(parse("-1.5"), JSONR_NO_OBJECT);
    assert_int_equal(parse("{\"a\":1,\"b\":2,\"\\u0061\":3}"), JSONR_DUPLICATE);
    assert_int_equal(parse("{\"a\":1,\"a\":2"), JSONR_SYNTAX);
    assert_int_equal(parse("{\"a\":1,\"a\":2} x"), JSONR_SYNTAX);
    assert_int_equal(parse("[[[[[[[[1]]]]]]]]"), JSONR_NO_OBJECT);
    assert_int_equal(parse("[[[[[[[[[1]]]]]]]]]"), JSONR_DEEP);
    assert_int_equal(parse("{\"a\":[[[[[[[1]]]]]]]}"), JSONR_OK);
    assert_int_equal(parse("{\"a\":[[[[[[[{}]]]]]]]}"), JSONR_DEEP);
    assert_int_equal(parse("{\"a\":1e309}"), JSONR_HUGE);
    assert_int_equal(parse("{\"a\":[-1e309]}"), JSONR_HUGE);
    assert_int_equal(parse("{\"a\":9223372036854775808}"), JSONR_HUGE);
    assert_int_equal(parse("{\"a\":9223372036854775807}"), JSONR_OK);
    assert_int_equal(parse("{\"a\":-9223372036854775808}"), JSONR_OK);
    assert_int_equal(parse("{\"a\":1e-400}"), JSONR_OK);
    assert_true(object.members[0].number == 0);
    for (size_t n = JSONR_MEMBERS_MAX; n <= JSONR_MEMBERS_MAX + 1; n++) {
        char text[8192];
        size_t len = 0;
        for (size_t i = 0; i < n; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, "%c\"m%zu\":%zu", i == 0 ? '{' : ',', i, i);
        text[len++] = '}';
        assert_int_equal(parse_bytes(text, len), n > JSONR_MEMBERS_MAX ? JSONR_MANY : JSONR_OK);
        assert_int_equal(parse_bytes(text, len - 1), JSONR_SYNTAX);
    }
}

static uint64_t seed = 0x2545f4914f6cdd1dULL;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void reads_as(const char *number, double value)
{
    char text[512];
    int n = snprintf(text, sizeof text, "{\"a\":%s}", number);
    assert_int_equal(parse_bytes(text, (size_t)n), JSONR_OK);
    if (object.members[0].number != value)
        fail_msg("%s is read as %.17g", number, object.members[0].number);
}

/* The quick path for short numbers agrees with the C library's careful one. */
static void random_numbers(void **state)
{
    (void)state;
    char text[400];
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = next_random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        snprintf(text, sizeof text, "%.*e", (int)(next_random() % 20), value);
        if (isfinite(strtod(text, NULL))) /* rounding up can lead beyond the largest */
            reads_as(text, strtod(text, NULL));
        snprintf(text, sizeof text, "%.*f", (int)(next_random() % 25),
                 (double)(int64_t)bits / (double)(1 + bits % 99991));
        if (strchr(text, '.') != NULL)
            reads_as(text, strtod(text, NULL));
        snprintf(text, sizeof text, "%lld", (long long)bits);
        reads_as(text, (double)(int64_t)bits);
    }
    reads_as("0.00000000000000000000000000000000000000000000000000000000000000001", 1e-65);
    reads_as("0e5", 0);
    reads_as("123456789012345678901234567890.0", 123456789012345678901234567890.0);
    reads_as("0e999999999999", 0);
}

/* Strings of every length around the eight bytes that are looked at together, every byte in every place. */
static void every_byte(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[64] = "{\"a\":\"";
                memset(text + 6, 'x', len);
                text[6 + at] = (char)byte;
                memcpy(text + 6 + len, "\"}", 2);
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                assert_int_equal(parse_bytes(text, len + 8) == JSONR_OK, plain);
                if (plain)
                    assert_int_equal(object.members[0].len, len);
            }
        }
    }
}

static int tear_down(void **state)
{
    (void)state;
    free(buf);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),  cmocka_unit_test(escapes),        cmocka_unit_test(no_json),
        cmocka_unit_test(limits), cmocka_unit_test(random_numbers), cmocka_unit_test(every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
