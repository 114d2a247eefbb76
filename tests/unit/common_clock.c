#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void parses(const char *text, int64_t expected)
{
    int64_t ms = -1;
    if (clock_parse_rfc3339(text, strlen(text), &ms) != 0)
        fail_msg("refused: %s", text);
    assert_int_equal(ms, expected);
}

static void refuses(const char *text)
{
    int64_t ms = 4711;
    if (clock_parse_rfc3339(text, strlen(text), &ms) == 0)
        fail_msg("accepted: %s", text);
    assert_int_equal(ms, 4711);
}

static void parse_accepts(void **state)
{
    (void)state;
    parses("1970-01-01T00:00:00Z", 0);
    parses("2026-01-15T10:30:45.123Z", 1768473045123);
    parses("2026-01-15t10:30:45.123z", 1768473045123);
    parses("2026-01-15 10:30:45.123Z", 1768473045123);
    parses("2026-01-15T10:30:45.123456789Z", 1768473045123);
    parses("2026-01-15T10:30:45.1Z", 1768473045100);
    parses("2026-01-15T10:30:45.9999999999999999999999999Z", 1768473045999);
    parses("2026-01-15T12:30:45.123+02:00", 1768473045123);
    parses("2026-01-15T05:00:45.123-05:30", 1768473045123);
    parses("2026-01-15T10:30:45-00:00", 1768473045000);
    parses("2024-02-29T00:00:00Z", 1709164800000);
    parses("2000-02-29T00:00:00Z", 951782400000);
    parses("2016-12-31T23:59:60Z", 1483228799999);
    parses("0000-01-01T00:00:00Z", -62167219200000);
    parses("9999-12-31T23:59:59.999Z", 253402300799999);
}

static void parse_refuses(void **state)
{
    (void)state;
    refuses("");
    refuses("2026");
    refuses("2026-01-15");
    refuses("2026-01-15T10:30:45");        /* no offset */
    refuses("2026-01-15T10:30:45.123456"); /* likewise, as old clients send it */
    refuses("2026-01-15T10:30Z");
    refuses("2026-01-15T10:30:45.Z");
    refuses("2026-01-15T10:30:45,5Z");
    refuses("2026-01-15T10:30:45Z ");
    refuses(" 2026-01-15T10:30:45Z");
    refuses("2026-01-15_10:30:45Z");
    refuses("2026-00-15T10:30:45Z");
    refuses("2026-13-15T10:30:45Z");
    refuses("2026-01-00T10:30:45Z");
    refuses("2026-01-32T10:30:45Z");
    refuses("2025-02-29T10:30:45Z");
    refuses("1900-02-29T10:30:45Z");
    refuses("2026-04-31T10:30:45Z");
    refuses("2026-01-15T24:00:00Z");
    refuses("2026-01-15T10:60:00Z");
    refuses("2026-01-15T10:30:61Z");
    refuses("2026-01-15T10:30:45+2:00");
    refuses("2026-01-15T10:30:45+0200");
    refuses("2026-01-15T10:30:45+24:00");
    refuses("2026-01-15T10:30:45+02:60");
    refuses("-026-01-15T10:30:45Z");
    refuses("20260-01-15T10:30:45Z");
    int64_t ms = 0;
    assert_int_equal(clock_parse_rfc3339("2026-01-15T10:30:45\0", 20, &ms), -1);
    assert_int_equal(clock_parse_rfc3339("2026-01-15T10:30:45Z", 19, &ms), -1); /* stops at len */
}

static void format_known(void **state)
{
    (void)state;
    char ms[CLOCK_RFC3339_MS_LEN + 1], us[CLOCK_RFC3339_US_LEN + 1];
    clock_format_ms(ms, 1768473045123);
    assert_string_equal(ms, "2026-01-15T10:30:45.123Z");
    clock_format_us(us, 1768473045123456);
    assert_string_equal(us, "2026-01-15T10:30:45.123456Z");
    clock_format_ms(ms, 0);
    assert_string_equal(ms, "1970-01-01T00:00:00.000Z");
    clock_format_ms(ms, -1);
    assert_string_equal(ms, "1969-12-31T23:59:59.999Z");
    clock_format_ms(ms, INT64_MIN);
    assert_string_equal(ms, "0000-01-01T00:00:00.000Z");
    clock_format_ms(ms, INT64_MAX);
    assert_string_equal(ms, "9999-12-31T23:59:59.999Z");
    clock_format_us(us, INT64_MIN);
    assert_string_equal(us, "0000-01-01T00:00:00.000000Z");
    clock_format_us(us, INT64_MAX);
    assert_string_equal(us, "9999-12-31T23:59:59.999999Z");
}

/* Every day of all years, against the C library's calendar, and back. */
static void every_day(void **state)
{
    (void)state;
    char text[CLOCK_RFC3339_MS_LEN + 1], expected[128];
    for (int64_t day = -719528; day <= 2932896; day++) {
        time_t s = (time_t)(day * 86400 + (day & 0xffff));
        struct tm tm;
        assert_non_null(gmtime_r(&s, &tm));
        int year = tm.tm_year + 1900;
        int n = snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.007Z", year, tm.tm_mon + 1,
                         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        assert_int_equal(n, CLOCK_RFC3339_MS_LEN);
        int64_t ms = (int64_t)s * 1000 + 7, back = 0;
        clock_format_ms(text, ms);
        if (strcmp(text, expected) != 0)
            fail_msg("%s instead of %s", text, expected);
        if (clock_parse_rfc3339(text, strlen(text), &back) != 0 || back != ms)
            fail_msg("%s does not come back", text);
    }
}

static void clocks_run(void **state)
{
    (void)state;
    int64_t a = clock_mono_ns(), b = clock_mono_ns();
    assert_true(b >= a);
    assert_true(clock_mono_ms() >= b / 1000000);
    int64_t now = (int64_t)time(NULL) * 1000;
    assert_true(clock_wall_ms() >= now - 2000 && clock_wall_ms() <= now + 60000);
    assert_true(clock_wall_us() / 1000 >= now - 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_accepts), cmocka_unit_test(parse_refuses), cmocka_unit_test(format_known),
        cmocka_unit_test(every_day),     cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
