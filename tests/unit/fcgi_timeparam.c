#include "fcgi/timeparam.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1768473045123LL

static void gives(const char *text, int64_t expected, bool moves)
{
    int64_t ms = -4711;
    bool relative = !moves;
    if (timeparam_parse(text, strlen(text), NOW, &ms, &relative) != 0)
        fail_msg("refused: %s", text);
    if (ms != expected)
        fail_msg("%s: %lld, not %lld", text, (long long)ms, (long long)expected);
    assert_int_equal(relative, moves);
}

static void refuses(const char *text)
{
    int64_t ms = -4711;
    bool relative = true;
    if (timeparam_parse(text, strlen(text), NOW, &ms, &relative) == 0)
        fail_msg("accepted: %s", text);
    assert_int_equal(ms, -4711);
    assert_true(relative);
}

static void dates(void **state)
{
    (void)state;
    gives("2026-01-15T10:30:45.123Z", NOW, false);
    gives("2026-01-15T12:30:45.123+02:00", NOW, false);
    gives("2026-01-15T12:30:45.123 02:00", NOW, false); /* an unescaped plus */
    gives("2026-01-15T05:30:45.123-05:00", NOW, false);
    gives("1969-12-31T23:59:59Z", -1000, false);
    refuses("2026-01-15");
    refuses("2026-01-15T10:30:45");
    refuses("2026-02-30T10:30:45Z");
    refuses("2026-01-15T10:30:45Zx");
}

static void numbers(void **state)
{
    (void)state;
    gives("0", 0, false);
    gives("1768473045", 1768473045000, false);
    gives("1768473045.123", NOW, false);
    gives("1768473045.1239999", NOW, false);
    gives("1768473045123", NOW, false);
    gives("99999999999", 99999999999000, false);
    gives("100000000000", 100000000000, false);
    gives("253402300799999", 253402300799999, false);
    refuses("253402300800000");
    refuses("1768473045123.5");
    refuses("99999999999999999999");
    refuses("1768473045.");
    refuses(".5");
    refuses("1e9");
    refuses("0x10");
    refuses("12 ");
    refuses("+12");
    refuses("-12");
}

static void relative(void **state)
{
    (void)state;
    gives("now", NOW, true);
    gives("-30s", NOW - 30000, true);
    gives("-15m", NOW - 900000, true);
    gives("-2h", NOW - 7200000, true);
    gives("-7d", NOW - 604800000, true);
    gives("-0m", NOW, true);
    gives("-1000000000d", NOW - 86400000000000000, true);
    refuses("-1000000001d");
    refuses("-99999999999999999999d");
    refuses("-m");
    refuses("-");
    refuses("--1m");
    refuses("-1.5h");
    refuses("-1w");
    refuses("-1mm");
    refuses("+15m");
    refuses("15m");
    refuses("NOW");
    refuses("now ");
    refuses("yesterday");
    refuses("");
}

static void overlong(void **state)
{
    char text[200];
    (void)state;
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    refuses(text);
    memcpy(text, "2026-01-15T10:30:45.", 20);
    refuses(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(numbers),
        cmocka_unit_test(relative),
        cmocka_unit_test(overlong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
