#include "fcgi/history.h"
#include "fcgi/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1768473045123LL

static struct query q;
static struct history h;
static struct fault fault;

static void parses(const char *raw)
{
    if (query_parse(&q, raw, strlen(raw), &fault) < 0)
        fail_msg("%s: %s", raw, fault.text);
}

static void pair(size_t i, const char *name, const char *value)
{
    assert_true(i < q.n);
    assert_string_equal(q.params[i].name, name);
    assert_string_equal(q.params[i].value, value);
    assert_int_equal(q.params[i].len, strlen(value));
}

static void splits(void **state)
{
    (void)state;
    parses("");
    assert_int_equal(q.n, 0);
    parses("a=1&b=two+words&c=%41%2f%C3%A4&d&e=&&f=x=y&");
    assert_int_equal(q.n, 6);
    pair(0, "a", "1");
    pair(1, "b", "two words");
    pair(2, "c", "A/\xc3\xa4");
    pair(3, "d", "");
    pair(4, "e", "");
    pair(5, "f", "x=y");
    parses("%61=b");
    pair(0, "a", "b");
}

static void says(const char *raw, const char *text)
{
    if (query_parse(&q, raw, strlen(raw), &fault) == 0)
        fail_msg("accepted: %s", raw);
    assert_string_equal(fault.text, text);
}

static void refuses(void **state)
{
    static char raw[QUERY_RAW_MAX + 2];
    (void)state;
    says("a=%", "broken percent escape in the query at \"%\"");
    says("a=%4", "broken percent escape in the query at \"%4\"");
    says("a=%zz1", "broken percent escape in the query at \"%zz1\"");
    says("a=%00", "broken percent escape in the query at \"%00\"");
    says("=5", "a query parameter has no name");
    says("%ff=5", "unknown parameter \"\\xff\"");
    memset(raw, 'a', sizeof(raw));
    assert_int_equal(query_parse(&q, raw, QUERY_RAW_MAX + 1, &fault), -1);
    raw[1] = '=';
    assert_int_equal(query_parse(&q, raw, QUERY_RAW_MAX, &fault), 0);
    assert_int_equal(q.params[0].len, QUERY_RAW_MAX - 2);
    for (size_t i = 0; i < QUERY_RAW_MAX; i += 2)
        memcpy(raw + i, "a&", 2);
    assert_int_equal(query_parse(&q, raw, 2 * QUERY_PARAMS, &fault), 0);
    assert_int_equal(query_parse(&q, raw, 2 * QUERY_PARAMS + 1, &fault), -1);
}

static void encodes(void **state)
{
    char out[16];
    (void)state;
    assert_int_equal(query_encode(out, sizeof(out), "a b+%", 5), 11);
    assert_memory_equal(out, "a%20b%2B%25", 11);
    assert_int_equal(query_encode(out, 3, "a b", 3), 3);
}

static int history(const char *raw)
{
    parses(raw);
    return history_parse(&h, CURSOR_TELEMETRY, &q, NOW, &fault);
}

static int of(enum cursor_walk walk, const char *raw)
{
    parses(raw);
    return history_parse(&h, walk, &q, NOW, &fault);
}

static void wants(void **state)
{
    (void)state;
    assert_int_equal(history("device_id=b,a&device_id=c&device_id=a"), 0);
    assert_int_equal(h.n_devices, 3);
    assert_string_equal(h.devices[0], "a");
    assert_string_equal(h.devices[2], "c");
    assert_int_equal(h.limit, 100);
    assert_true(h.descending);
    assert_false(h.has_from || h.has_to || h.has_cursor || h.has_fields);
    assert_int_equal(h.format, HISTORY_JSON);
    assert_false(h.has_limit || h.moves);
    assert_int_equal(history("device_id=a&from=-15m&to=now&limit=10000&order=asc&format=csv&fields=cpu,battery,cpu,id"),
                     0);
    assert_int_equal(h.from_ms, NOW - 900000);
    assert_int_equal(h.to_ms, NOW);
    assert_int_equal(h.limit, 10000);
    assert_false(h.descending);
    assert_int_equal(h.format, HISTORY_CSV);
    assert_true(h.has_limit && h.moves);
    assert_int_equal(h.n_fields, 2);
    assert_string_equal(h.fields[0], "cpu");
    assert_int_equal(history("device_id=a&from=1768473045&to=1768473046&format=ndjson"), 0);
    assert_int_equal(h.format, HISTORY_NDJSON);
    assert_false(h.has_limit || h.moves);
    assert_int_equal(history("device_id=a&from=1768473045&to=now&format=columns"), 0);
    assert_int_equal(h.format, HISTORY_COLUMNS);
    assert_true(h.moves);
}

static void faults(void **state)
{
    static const struct {
        const char *raw, *text;
    } cases[] = {
        {"", "device_id is required"},
        {"device_id=", "device_id must be 1 to 64 of A-Z a-z 0-9 _ . -, not \"\""},
        {"device_id=a,", "device_id must be 1 to 64 of A-Z a-z 0-9 _ . -, not \"\""},
        {"device_id=a/b", "device_id must be 1 to 64 of A-Z a-z 0-9 _ . -, not \"a/b\""},
        {"device_id=a&limit=abc", "limit must be a whole number from 1 to 10000, not \"abc\""},
        {"device_id=a&limit=0", "limit must be a whole number from 1 to 10000, not \"0\""},
        {"device_id=a&limit=10001", "limit must be a whole number from 1 to 10000, not \"10001\""},
        {"device_id=a&limit=", "limit must be a whole number from 1 to 10000, not \"\""},
        {"device_id=a&limit=1&limit=2", "limit was given more than once"},
        {"device_id=a&order=up", "order must be desc or asc, not \"up\""},
        {"device_id=a&format=xml", "format must be json, columns, csv or ndjson, not \"xml\""},
        {"device_id=a&from=2&to=1", "from must not be after to"},
        {"device_id=a&fields=a-b", "fields must be a comma list of metric names, not \"a-b\""},
        {"device_id=a&fields=", "fields must be a comma list of metric names, not \"\""},
        {"device_id=a&cursor=abc", "cursor must be the next_cursor of an earlier answer, not \"abc\""},
        {"device_id=a&bogus=1", "unknown parameter \"bogus\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (history(cases[i].raw) == 0)
            fail_msg("accepted: %s", cases[i].raw);
        assert_string_equal(fault.text, cases[i].text);
    }
}

static void audits(void **state)
{
    (void)state;
    assert_int_equal(of(CURSOR_COMMANDS, "device_id=b,a&from=-1h&to=now&limit=5&order=asc"), 0);
    assert_int_equal(h.n_devices, 2);
    assert_int_equal(of(CURSOR_EVENTS, ""), 0);
    assert_int_equal(h.n_devices, 0);
    assert_int_equal(h.kinds, 0);
    assert_int_equal(of(CURSOR_EVENTS, "device_id=b&kind=stop,rearm&kind=control,stop"), 0);
    assert_int_equal(h.kinds, 1u << AUDIT_STOP | 1u << AUDIT_REARM | 1u << AUDIT_CONTROL);

    static const struct {
        enum cursor_walk walk;
        const char *raw, *text;
    } cases[] = {
        {CURSOR_COMMANDS, "", "device_id is required"},
        {CURSOR_COMMANDS, "device_id=a&kind=stop", "unknown parameter \"kind\""},
        {CURSOR_COMMANDS, "device_id=a&fields=x", "unknown parameter \"fields\""},
        {CURSOR_COMMANDS, "device_id=a&step=1m", "unknown parameter \"step\""},
        {CURSOR_EVENTS, "format=csv", "unknown parameter \"format\""},
        {CURSOR_EVENTS, "device_id=", "device_id must be 1 to 64 of A-Z a-z 0-9 _ . -, not \"\""},
        {CURSOR_EVENTS, "kind=stop,crash",
         "kind must be connected, disconnected, status, stop, rearm, confirmed or control, not \"crash\""},
        {CURSOR_EVENTS,
         "kind=", "kind must be connected, disconnected, status, stop, rearm, confirmed or control, not \"\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (of(cases[i].walk, cases[i].raw) == 0)
            fail_msg("accepted: %s", cases[i].raw);
        assert_string_equal(fault.text, cases[i].text);
    }
}

static void many_devices(void **state)
{
    char raw[1024] = "device_id=d0";
    (void)state;
    for (int i = 1; i < HISTORY_DEVICES_MAX; i++)
        sprintf(raw + strlen(raw), ",d%d", i);
    assert_int_equal(history(raw), 0);
    strcat(raw, ",one_more");
    assert_int_equal(history(raw), -1);
    assert_string_equal(fault.text, "device_id names more than 64 devices");
}

static void cursors(void **state)
{
    struct cursor c = {.walk = CURSOR_TELEMETRY,
                       .descending = true,
                       .ms = 1768473045123,
                       .seq = 3,
                       .has_from = true,
                       .from_ms = -5},
                  back;
    char text[CURSOR_TEXT_MAX], raw[400];
    (void)state;
    memset(c.device_id, 'x', MSG_DEVICE_ID_MAX);
    size_t len = cursor_encode(text, &c);
    assert_true(len < CURSOR_TEXT_MAX);
    assert_int_equal(cursor_decode(text, len, &back), 0);
    assert_memory_equal(&back, &c, sizeof(c));
    strcpy(c.device_id, "a");
    len = cursor_encode(text, &c);
    /* No single change of a byte goes unnoticed. */
    for (size_t i = 0; i < len; i++) {
        for (int v = 1; v < 256; v++) {
            char was = text[i];
            if (v == (unsigned char)was)
                continue;
            text[i] = (char)v;
            assert_int_equal(cursor_decode(text, len, &back), -1);
            text[i] = was;
        }
        assert_int_equal(cursor_decode(text, i, &back), -1);
    }
    snprintf(raw, sizeof(raw), "device_id=a&cursor=%s", text);
    assert_int_equal(history(raw), 0);
    assert_true(h.has_cursor);
    strcat(raw, "&order=asc");
    assert_int_equal(history(raw), -1);
    assert_string_equal(fault.text, "cursor belongs to a walk with order=desc");
}

/* Each walk has cursors of its own; that through events stands at no device. */
static void cursors_of_walks(void **state)
{
    char text[CURSOR_TEXT_MAX], raw[400];
    struct cursor c, back;
    (void)state;
    for (int walk = CURSOR_TELEMETRY; walk <= CURSOR_EVENTS; walk++) {
        const char *device = walk == CURSOR_EVENTS ? "" : "a";
        assert_int_equal(of((enum cursor_walk)walk, "device_id=a"), 0);
        history_cursor(&h, (struct streamid){7, 8}, device, &c);
        assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), 0);
        assert_memory_equal(&back, &c, sizeof(c));
        snprintf(raw, sizeof(raw), "device_id=a&cursor=%s", text);
        assert_int_equal(of((enum cursor_walk)walk, raw), 0);
        struct streamid_range r = history_range(&h, device);
        assert_true(r.hi.ms == 7 && r.hi.seq == 7);
        assert_int_equal(of((enum cursor_walk)(walk % CURSOR_EVENTS + 1), raw), -1);
        assert_non_null(strstr(fault.text, "cursor belongs to a walk through "));
        strcpy(c.device_id, walk == CURSOR_EVENTS ? "a" : "");
        assert_int_equal(cursor_decode(text, cursor_encode(text, &c), &back), -1);
    }
}

/* "The last 15 minutes" stay those of the walk's start; an absolute time is the request's own. */
static void relative_bounds(void **state)
{
    char text[CURSOR_TEXT_MAX], raw[400];
    struct cursor c;
    (void)state;
    assert_int_equal(history("device_id=a&from=-15m&to=now"), 0);
    history_cursor(&h, (struct streamid){NOW - 5, 0}, "a", &c);
    cursor_encode(text, &c);
    snprintf(raw, sizeof(raw), "device_id=a&from=-15m&to=now&cursor=%s", text);
    parses(raw);
    assert_int_equal(history_parse(&h, CURSOR_TELEMETRY, &q, NOW + 600000, &fault), 0);
    assert_int_equal(h.from_ms, NOW - 900000);
    assert_int_equal(h.to_ms, NOW);
    snprintf(raw, sizeof(raw), "device_id=a&from=1700000000&cursor=%s", text);
    assert_int_equal(history(raw), 0);
    assert_int_equal(h.from_ms, 1700000000000);
    assert_false(h.has_to);
}

static void range(const char *device, uint64_t lo_ms, uint64_t lo_seq, uint64_t hi_ms, uint64_t hi_seq)
{
    struct streamid_range r = history_range(&h, device);
    assert_true(r.lo.ms == lo_ms && r.lo.seq == lo_seq && r.hi.ms == hi_ms && r.hi.seq == hi_seq);
}

static void ranges(void **state)
{
    char text[CURSOR_TEXT_MAX], raw[400];
    struct cursor c = {.walk = CURSOR_TELEMETRY, .ms = 50, .seq = 0, .device_id = "m"};
    (void)state;
    assert_int_equal(history("device_id=a&from=1&to=2"), 0);
    range("a", 1000, 0, 2000, UINT64_MAX);
    assert_int_equal(history("device_id=a&from=1960-01-01T00:00:00Z"), 0);
    range("a", 0, 0, UINT64_MAX, UINT64_MAX);
    assert_int_equal(history("device_id=a&to=1960-01-01T00:00:00Z"), 0);
    struct streamid_range r = history_range(&h, "a");
    assert_true(streamid_compare(r.lo, r.hi) > 0);

    cursor_encode(text, &c);
    snprintf(raw, sizeof(raw), "device_id=a&order=asc&cursor=%s", text);
    assert_int_equal(history(raw), 0);
    range("a", 50, 1, UINT64_MAX, UINT64_MAX);
    range("m", 50, 1, UINT64_MAX, UINT64_MAX);
    range("z", 50, 0, UINT64_MAX, UINT64_MAX);
    c.descending = true;
    cursor_encode(text, &c);
    snprintf(raw, sizeof(raw), "device_id=a&cursor=%s", text);
    assert_int_equal(history(raw), 0);
    range("a", 0, 0, 50, 0);
    range("m", 0, 0, 49, UINT64_MAX);
    range("z", 0, 0, 49, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits),  cmocka_unit_test(refuses),          cmocka_unit_test(encodes),
        cmocka_unit_test(wants),   cmocka_unit_test(faults),           cmocka_unit_test(many_devices),
        cmocka_unit_test(cursors), cmocka_unit_test(relative_bounds),  cmocka_unit_test(ranges),
        cmocka_unit_test(audits),  cmocka_unit_test(cursors_of_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
