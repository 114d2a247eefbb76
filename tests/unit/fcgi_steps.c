/* step, points and agg, and the cursors of walks with them. */
#include "fcgi/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW    1768473045123LL
#define MINUTE 60000LL
#define HOUR   3600000LL
#define DAY    86400000LL

static struct query q;
static struct history h;
static struct fault fault;

static int parse_at(const char *more, int64_t now_ms)
{
    char raw[1024];
    snprintf(raw, sizeof(raw), "device_id=a&%s", more);
    if (query_parse(&q, raw, strlen(raw), &fault) < 0)
        fail_msg("%s: %s", raw, fault.text);
    return history_parse(&h, CURSOR_TELEMETRY, &q, now_ms, &fault);
}

static void takes(const char *more)
{
    if (parse_at(more, NOW) < 0)
        fail_msg("%s: %s", more, fault.text);
}

static void refuses(const char *more, const char *text)
{
    if (parse_at(more, NOW) == 0)
        fail_msg("accepted: %s", more);
    assert_string_equal(fault.text, text);
}

static void steps(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
        const char *again;
    } cases[] = {{"1s", 1000, "1s"},          {"10s", 10000, "10s"},        {"90s", 90000, "90s"},
                 {"60s", MINUTE, "1m"},       {"1m", MINUTE, "1m"},         {"90m", 90 * MINUTE, "90m"},
                 {"2h", 2 * HOUR, "2h"},      {"24h", DAY, "1d"},           {"7d", 7 * DAY, "7d"},
                 {"366d", 366 * DAY, "366d"}, {"8784h", 366 * DAY, "366d"}, {"007s", 7000, "7s"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char more[64], text[STEPS_TEXT_MAX];
        snprintf(more, sizeof(more), "step=%s", cases[i].text);
        takes(more);
        assert_int_equal(h.steps.ms, cases[i].ms);
        assert_int_equal(h.steps.n_aggs, 1);
        assert_int_equal(h.steps.aggs[0], STEPS_AVG);
        assert_int_equal(h.limit, 10000);
        steps_format(text, h.steps.ms);
        assert_string_equal(text, cases[i].again);
    }
    takes("limit=7&step=1m");
    assert_int_equal(h.limit, 7);
    takes("");
    assert_int_equal(h.steps.ms, 0);
    assert_int_equal(h.limit, 100);
}

static void aggs(void **state)
{
    (void)state;
    takes("step=1m&agg=max,min&agg=count&agg=max,last");
    assert_int_equal(h.steps.n_aggs, 4);
    assert_int_equal(h.steps.aggs[0], STEPS_MAX);
    assert_int_equal(h.steps.aggs[1], STEPS_MIN);
    assert_int_equal(h.steps.aggs[2], STEPS_COUNT);
    assert_int_equal(h.steps.aggs[3], STEPS_LAST);
    assert_string_equal(steps_agg_name(STEPS_COUNT), "count");
    takes("from=-1h&points=5&agg=last,avg,min,max,count");
    assert_int_equal(h.steps.n_aggs, STEPS_AGGS);
}

#define BAD_STEP   "step must be a whole number with s, m, h or d behind it, from 1s to 366d, not "
#define BAD_POINTS "points must be a whole number from 1 to 10000, not "
#define BAD_AGG    "agg must be avg, min, max, last or count, or a comma list of them, not "

static void faults(void **state)
{
    (void)state;
    refuses("step=", BAD_STEP "\"\"");
    refuses("step=10", BAD_STEP "\"10\"");
    refuses("step=s", BAD_STEP "\"s\"");
    refuses("step=0s", BAD_STEP "\"0s\"");
    refuses("step=-1m", BAD_STEP "\"-1m\"");
    refuses("step=1500ms", BAD_STEP "\"1500ms\"");
    refuses("step=1.5m", BAD_STEP "\"1.5m\"");
    refuses("step=1w", BAD_STEP "\"1w\"");
    refuses("step=1M", BAD_STEP "\"1M\"");
    refuses("step=%201m", BAD_STEP "\" 1m\"");
    refuses("step=367d", BAD_STEP "\"367d\"");
    refuses("step=999999999d", BAD_STEP "\"999999999d\"");
    refuses("step=9999999999s", BAD_STEP "\"9999999999s\"");
    refuses("step=1m&step=1m", "step was given more than once");
    refuses("from=-1h&points=", BAD_POINTS "\"\"");
    refuses("from=-1h&points=0", BAD_POINTS "\"0\"");
    refuses("from=-1h&points=10001", BAD_POINTS "\"10001\"");
    refuses("from=-1h&points=5.0", BAD_POINTS "\"5.0\"");
    refuses("from=-1h&points=99999999999999999999", BAD_POINTS "\"99999999999999999999\"");
    refuses("from=-1h&points=5&points=5", "points was given more than once");
    refuses("points=5", "points needs from");
    refuses("from=-1h&step=1m&points=5", "step and points exclude each other; give one of them");
    refuses("agg=avg", "agg needs step or points");
    refuses("step=1m&agg=", BAD_AGG "\"\"");
    refuses("step=1m&agg=avg,", BAD_AGG "\"\"");
    refuses("step=1m&agg=median", BAD_AGG "\"median\"");
    refuses("step=1m&agg=avg&agg=AVG", BAD_AGG "\"AVG\"");
}

static void ladder(void **state)
{
    static const struct {
        int64_t from, to;
        int points;
        int64_t step;
    } cases[] = {
        {0, 0, 1, 1000},
        {0, 999, 1, 1000},
        {0, 1000, 2, 1000},
        {0, 1000, 1, 2000},
        {0, HOUR - 1, 500, 10000},
        {0, 30 * DAY - 1, 500, 2 * HOUR},
        {0, 30 * DAY - 1, 360, 2 * HOUR},
        {0, 30 * DAY - 1, 359, 3 * HOUR},
        {1, 30 * DAY, 360, 3 * HOUR}, /* touches 361 buckets of two hours */
        {0, 365 * DAY, 500, DAY},
        {0, 365 * DAY, 100, 7 * DAY},
        {0, 365 * DAY, 12, 60 * DAY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(steps_fit(cases[i].from, cases[i].to, cases[i].points), cases[i].step);
    for (int points = 1; points <= 10000; points += points / 8 + 1) {
        for (int64_t range = 1; range < 60 * 365 * DAY; range = range * 3 + 1) {
            int64_t from = range < NOW ? NOW - range : 0, step = steps_fit(from, NOW, points);
            assert_true(NOW / step - from / step + 1 <= points);
        }
    }
    takes("from=-30d&points=500");
    assert_int_equal(h.steps.ms, 2 * HOUR);
    assert_int_equal(h.steps.points, 500);
    takes("from=1960-01-01T00:00:00Z&to=1970-01-01T00:00:01Z&points=2");
    assert_int_equal(h.steps.ms, 1000);
    takes("from=2030-01-01T00:00:00Z&points=2"); /* not yet */
    assert_int_equal(h.steps.ms, 1000);
}

static const char *cursor_text(const char *more, int64_t ms, const char *device)
{
    static char text[CURSOR_TEXT_MAX];
    struct cursor c, back;
    takes(more);
    history_cursor(&h, (struct streamid){(uint64_t)ms, 7}, device, &c);
    size_t len = cursor_encode(text, &c);
    assert_int_equal(cursor_decode(text, len, &back), 0);
    assert_memory_equal(&back, &c, sizeof(c));
    return text;
}

static void with_cursor(const char *more, const char *cursor, const char *fault_text)
{
    char raw[400];
    snprintf(raw, sizeof(raw), "%s&cursor=%s", more, cursor);
    if (fault_text)
        refuses(raw, fault_text);
    else
        takes(raw);
}

static void cursors(void **state)
{
    const char *cursor = cursor_text("step=2h", 40 * HOUR, "a");
    (void)state;
    with_cursor("step=2h", cursor, NULL);
    assert_int_equal(h.cursor.step_ms, 2 * HOUR);
    assert_int_equal(h.cursor.ms, 40 * HOUR);
    assert_int_equal(h.cursor.seq, 0);
    with_cursor("step=120m", cursor, NULL);
    with_cursor("step=2h&agg=max&limit=3", cursor, NULL);
    with_cursor("step=1h", cursor, "cursor belongs to a walk with step=2h");
    with_cursor("limit=5", cursor, "cursor belongs to a walk with step=2h");
    with_cursor("step=2h&order=asc", cursor, "cursor belongs to a walk with order=desc");
    with_cursor("from=-7d&points=3", cursor, NULL); /* whatever would fit now */
    assert_int_equal(h.steps.ms, 2 * HOUR);

    cursor = cursor_text("limit=5", 40 * HOUR + 1, "a");
    with_cursor("limit=5", cursor, NULL);
    with_cursor("step=2h", cursor, "cursor belongs to a walk without step and points");
    with_cursor("from=-1h&points=7", cursor, "cursor belongs to a walk without step and points");
}

/* The step of points stays that of the first page, however late the next one is asked for. */
static void points_stay(void **state)
{
    char more[400];
    snprintf(more, sizeof(more), "from=-1h&points=100&cursor=%s",
             cursor_text("from=-1h&points=100", NOW - NOW % MINUTE, "a"));
    (void)state;
    assert_int_equal(h.steps.ms, MINUTE);
    assert_int_equal(parse_at(more, NOW + 900 * DAY), 0);
    assert_int_equal(h.steps.ms, MINUTE);
    assert_int_equal(h.from_ms, NOW - HOUR);
}

/* A cursor that is no walk's through buckets is none. */
static void bad_cursors(void **state)
{
    char text[CURSOR_TEXT_MAX];
    struct cursor back, c = {.walk = CURSOR_TELEMETRY, .step_ms = 1000, .ms = 5000, .device_id = "a"};
    (void)state;
    assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), 0);
    c.ms = 5001;
    assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), -1);
    c.ms = 5000;
    c.walk = CURSOR_COMMANDS;
    assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), -1);
    c.walk = CURSOR_TELEMETRY;
    c.step_ms = -1000;
    assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), -1);
    c.step_ms = INT64_MAX; /* whoever makes one up: sums and products with these would overflow */
    c.ms = 0;
    assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), -1);
    c.step_ms = 1000;
    c.ms = (uint64_t)1000 << 50;
    assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), -1);
}

static void buckets_are(const char *device, bool some, int64_t from, int64_t to)
{
    int64_t got_from, got_to;
    assert_int_equal(history_buckets(&h, device, &got_from, &got_to), some);
    if (some) {
        assert_int_equal(got_from, from);
        assert_int_equal(got_to, to);
    }
}

static void ranges(void **state)
{
    const int64_t end = 253402300799999;
    (void)state;
    takes("step=1m");
    buckets_are("a", true, 0, end);
    takes("step=1m&from=1960-01-01T00:00:00Z&to=5");
    buckets_are("a", true, 0, 5000);
    takes("step=1m&to=1960-01-01T00:00:00Z");
    buckets_are("a", false, 0, 0);
    with_cursor("step=1m&from=30&to=600", cursor_text("step=1m", 4 * MINUTE, "m"), NULL);
    buckets_are("a", true, 30000, 5 * MINUTE - 1);
    buckets_are("m", true, 30000, 4 * MINUTE - 1);
    buckets_are("z", true, 30000, 4 * MINUTE - 1);
    with_cursor("step=1m&from=30&to=600&order=asc", cursor_text("step=1m&order=asc", 4 * MINUTE, "m"), NULL);
    buckets_are("a", true, 5 * MINUTE, 600000);
    buckets_are("m", true, 5 * MINUTE, 600000);
    buckets_are("z", true, 4 * MINUTE, 600000);
    with_cursor("step=1m", cursor_text("step=1m", 0, "m"), NULL);
    buckets_are("m", false, 0, 0);
    buckets_are("a", true, 0, MINUTE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps),  cmocka_unit_test(aggs),        cmocka_unit_test(faults),
        cmocka_unit_test(ladder), cmocka_unit_test(cursors),     cmocka_unit_test(points_stay),
        cmocka_unit_test(ranges), cmocka_unit_test(bad_cursors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
