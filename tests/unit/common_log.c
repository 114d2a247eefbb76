#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define T    1768473045123
#define HEAD "ts=2026-01-15T10:30:45.123Z level=info prog=p event=e"

static char line[LOG_LINE_MAX + 1];

static size_t format(const char *value)
{
    struct log_field fields[] = {log_str("v", value), log_end()};
    return log_format(line, sizeof line, T, LOG_INFO, "e", fields);
}

static void is_written_as(const char *value, const char *written)
{
    char expected[LOG_LINE_MAX];
    snprintf(expected, sizeof expected, HEAD " v=%s\n", written);
    assert_int_equal(format(value), strlen(expected));
    assert_string_equal(line, expected);
}

static void kinds(void **state)
{
    (void)state;
    log_init("p", NULL, LOG_INFO);
    struct log_field fields[] = {log_str("s", "robot_01"),
                                 log_int("i", INT64_MIN),
                                 log_real("r", 0.25),
                                 log_bool("t", true),
                                 log_bool("f", false),
                                 log_str("n", NULL),
                                 log_end()};
    size_t len = log_format(line, sizeof line, T, LOG_WARN, "robot_connected", fields);
    assert_string_equal(line, "ts=2026-01-15T10:30:45.123Z level=warn prog=p event=robot_connected s=robot_01 "
                              "i=-9223372036854775808 r=0.25 t=true f=false n=\"\"\n");
    assert_int_equal(len, strlen(line));
    log_init("telerelay-wsd", "wsd-1", LOG_INFO);
    log_format(line, sizeof line, T, LOG_INFO, "e", fields + 6);
    assert_string_equal(line, "ts=2026-01-15T10:30:45.123Z level=info prog=telerelay-wsd inst=wsd-1 event=e\n");
    log_init("p", NULL, LOG_INFO);
}

static void escapes(void **state)
{
    (void)state;
    is_written_as("plain-1.2/3:4", "plain-1.2/3:4");
    is_written_as("", "\"\"");
    is_written_as("a b", "\"a b\"");
    is_written_as("a=b", "\"a=b\"");
    is_written_as("a\"b\\", "\"a\\\"b\\\\\"");
    is_written_as("x\nlevel=error\r\t", "\"x\\nlevel=error\\r\\t\"");
    is_written_as("\x1b[31m\x7f", "\"\\x1b[31m\\x7f\"");
    is_written_as("grün", "\"grün\"");
    is_written_as("\xff\xc0\xaf", "\"\\xff\\xc0\\xaf\"");
    is_written_as("\xed\xa0\x80", "\"\\xed\\xa0\\x80\""); /* a surrogate */
    is_written_as("\xe2\x80", "\"\\xe2\\x80\"");          /* cut short */
    is_written_as("\xc2\x9b", "\"\\u009b\"");             /* a terminal's CSI */
    is_written_as("\xe2\x80\xae"
                  "txt",
                  "\"\\u202etxt\""); /* right to left */
    is_written_as("\xf0\x9f\xa4\x96", "\"\xf0\x9f\xa4\x96\"");
}

/* Long values of every length are cut at a character, and the line stays one line. */
static void cuts(void **state)
{
    (void)state;
    static char value[2048];
    for (size_t n = 900; n < 1100; n++) {
        memset(value, 0, sizeof value);
        for (size_t i = 0; i < n; i++)
            strcat(value, i % 2 ? "ü" : "a");
        size_t len = format(value);
        assert_true(len <= LOG_LINE_MAX);
        assert_int_equal(len, strlen(line));
        assert_string_equal(line + len - 5, "…\"\n");
    }
    memset(value, 'a', 1500);
    value[1500] = '\0';
    assert_true(format(value) <= LOG_LINE_MAX);
    assert_string_equal(line + strlen(line) - 4, "…\n");
    memset(value, '\n', 1500);
    format(value);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    char small[8];
    struct log_field none = log_end();
    for (size_t cap = 0; cap <= sizeof small; cap++)
        assert_true(log_format(small, cap, T, LOG_INFO, "e", &none) < sizeof small);
}

static void levels(void **state)
{
    (void)state;
    enum log_level level = LOG_WARN;
    assert_int_equal(log_parse_level("debug", &level), 0);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_parse_level("error", &level), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_parse_level("verbose", &level), -1);
    assert_int_equal(level, LOG_ERROR);
    log_set_level(LOG_WARN);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_ERROR));
    log_set_level(LOG_INFO);
}

/* What the macros write reaches fd 2, in one piece, and only from the chosen level on. */
static void writes(void **state)
{
    (void)state;
    int ends[2], saved = dup(2);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], 2), 2);
    log_debug("hidden");
    log_info("shown", log_int("n", 3));
    dup2(saved, 2);
    close(saved);
    close(ends[1]);
    char text[512];
    ssize_t n = read(ends[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, " level=info prog=p event=shown n=3\n"));
    assert_null(strstr(text, "hidden"));
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),  cmocka_unit_test(escapes), cmocka_unit_test(cuts),
        cmocka_unit_test(levels), cmocka_unit_test(writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
