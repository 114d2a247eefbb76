#include "common/sample.h"
#include "fcgi/csv.h"
#include "fcgi/item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void kind(const char *text, enum sample_kind expected)
{
    enum sample_kind got = sample_check(text, strlen(text));
    if (got != expected)
        fail_msg("%s: %d, not %d", text, (int)got, (int)expected);
}

static void accepts(void **state)
{
    (void)state;
    kind("", SAMPLE_PLAIN);
    kind("\"battery\":85", SAMPLE_PLAIN);
    kind("\"battery\":85,\"cpu\":38,\"temperature\":-41.25,\"signal\":0", SAMPLE_PLAIN);
    kind("\"a\":1e+21,\"b\":1E-7,\"c\":0.5,\"d\":-0", SAMPLE_PLAIN);
    kind("\"A_1\":1", SAMPLE_PLAIN);
    kind("\"a2345678901234567890123456789012\":1", SAMPLE_PLAIN);
    kind("\"battery\":1,\"timestamp\":5", SAMPLE_RESERVED);
    kind("\"id\":5", SAMPLE_RESERVED);
    kind("\"device_id\":5", SAMPLE_RESERVED);
    kind("\"ids\":5", SAMPLE_PLAIN);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"battery\":85}",
        "\"battery\":85,",
        ",\"battery\":85",
        "\"battery\"",
        "\"battery\":",
        "\"battery\": 85",
        "\"battery\":85 ",
        "\"battery\":\"85\"",
        "\"battery\":null",
        "\"battery\":true",
        "\"battery\":NaN",
        "\"battery\":Infinity",
        "\"battery\":-",
        "\"battery\":+1",
        "\"battery\":01",
        "\"battery\":.5",
        "\"battery\":1.",
        "\"battery\":1e",
        "\"battery\":1e+",
        "\"battery\":[1]",
        "\"battery\":1}],\"x\":1",
        "\"\":1",
        "\"1a\":1",
        "\"_a\":1",
        "\"a-b\":1",
        "\"a\\u0041\":1",
        "\"a2345678901234567890123456789012x\":1",
        "battery:85",
        "\"a\":1,,\"b\":2",
        "\"a\":1;\"b\":2",
        "\xff\xfe",
        "\"a",
        "\"",
        "\"\xc3\xa4\":1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        kind(bad[i], SAMPLE_BAD);
    assert_int_equal(sample_check("\"a\":1\0,\"b\":2", 12), SAMPLE_BAD);
}

static void bounds(void **state)
{
    char text[SAMPLE_MAX + 64];
    size_t n = 0;
    (void)state;
    for (int i = 0; i < 36; i++)
        n += (size_t)sprintf(text + n, "%s\"m%d\":%d", i ? "," : "", i, i);
    assert_int_equal(sample_check(text, n), SAMPLE_PLAIN);
    n += (size_t)sprintf(text + n, ",\"m36\":1");
    assert_int_equal(sample_check(text, n), SAMPLE_BAD);
    memset(text, '1', sizeof(text));
    memcpy(text, "\"a\":", 4);
    assert_int_equal(sample_check(text, SAMPLE_MAX), SAMPLE_PLAIN);
    assert_int_equal(sample_check(text, SAMPLE_MAX + 1), SAMPLE_BAD);
}

static void finds(void **state)
{
    const char *text = "\"battery\":85,\"cpu\":38.5,\"batteryx\":1";
    struct sample_metric m;
    (void)state;
    assert_true(sample_find(text, strlen(text), "cpu", 3, &m));
    assert_int_equal(m.number_len, 4);
    assert_memory_equal(m.number, "38.5", 4);
    assert_true(sample_find(text, strlen(text), "batteryx", 8, &m));
    assert_memory_equal(m.number, "1", 1);
    assert_false(sample_find(text, strlen(text), "bat", 3, &m));
    assert_false(sample_find("", 0, "battery", 7, &m));
}

static struct series_sample make(uint64_t ms, const char *text)
{
    return (struct series_sample){.id = {ms, 7}, .text = text, .len = (uint32_t)strlen(text)};
}

static void expect(struct buf *b, const char *text)
{
    assert_false(b->failed);
    buf_add(b, "", 1);
    assert_string_equal(b->data, text);
    buf_clear(b, SIZE_MAX);
}

static void json_items(void **state)
{
    struct item_clock clock = {0};
    struct buf b;
    const char fields[3][MSG_METRIC_NAME_MAX + 1] = {"cpu", "nope", "battery"};
    (void)state;
    buf_init(&b, 65536);
    struct series_sample s = make(1768473045123, "\"battery\":85,\"cpu\":38");
    item_json(&b, &clock, "robot_01", &s);
    expect(&b, "{\"id\":\"1768473045123-7\",\"device_id\":\"robot_01\",\"timestamp\":\"2026-01-15T10:30:45.123Z\","
               "\"battery\":85,\"cpu\":38}");
    item_json_fields(&b, &clock, "robot_01", &s, fields, 3);
    expect(&b, "{\"id\":\"1768473045123-7\",\"device_id\":\"robot_01\",\"timestamp\":\"2026-01-15T10:30:45.123Z\","
               "\"cpu\":38,\"battery\":85}");
    s = make(0, "");
    item_json(&b, &clock, "r", &s);
    expect(&b, "{\"id\":\"0-7\",\"device_id\":\"r\",\"timestamp\":\"1970-01-01T00:00:00.000Z\"}");
    s = make(UINT64_MAX, "\"a\":1");
    item_json(&b, &clock, "r", &s);
    expect(
        &b,
        "{\"id\":\"18446744073709551615-7\",\"device_id\":\"r\",\"timestamp\":\"9999-12-31T23:59:59.999Z\",\"a\":1}");
    s = make(0, "\"id\":1,\"a\":2,\"timestamp\":3");
    item_metrics(&b, s.text, s.len);
    expect(&b, ",\"a\":2");
    buf_finish(&b);
}

static void time_stamps(void **state)
{
    struct item_clock clock = {0};
    char expected[CLOCK_RFC3339_MS_LEN + 1];
    uint64_t ms = 1768473000000;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        ms += (uint64_t)(i * 7919 % 5003);
        clock_format_ms(expected, (int64_t)ms);
        assert_string_equal(item_timestamp(&clock, ms), expected);
    }
}

static void csv_tables(void **state)
{
    struct item_clock clock = {0};
    struct csv csv;
    struct buf b;
    const char fields[2][MSG_METRIC_NAME_MAX + 1] = {"cpu", "nope"};
    (void)state;
    buf_init(&b, 65536);
    struct series_sample one = make(1768473045123, "\"battery\":85,\"volt\":1.5,\"amp\":2,\"id\":4");
    struct series_sample two = make(1768473045124, "\"cpu\":3,\"amp\":-1e-7,\"zeta\":9");
    csv_begin(&csv, NULL, 0);
    assert_int_equal(csv_widen(&csv, &one), 0);
    assert_int_equal(csv_widen(&csv, &two), 0);
    csv_header(&csv, &b);
    csv_row(&csv, &b, &clock, "r1", &one);
    csv_row(&csv, &b, &clock, "r2", &two);
    expect(&b, "timestamp,device_id,battery,cpu,temperature,signal,amp,volt,zeta\r\n"
               "2026-01-15T10:30:45.123Z,r1,85,,,,2,1.5,\r\n"
               "2026-01-15T10:30:45.124Z,r2,,3,,,-1e-7,,9\r\n");
    csv_begin(&csv, fields, 2);
    csv_header(&csv, &b);
    csv_row(&csv, &b, &clock, "r2", &two);
    expect(&b, "timestamp,device_id,cpu,nope\r\n2026-01-15T10:30:45.124Z,r2,3,\r\n");
    csv_begin(&csv, fields, 0);
    csv_header(&csv, &b);
    expect(&b, "timestamp,device_id\r\n");
    buf_finish(&b);
}

static void csv_width(void **state)
{
    struct csv csv;
    int made = 0;
    (void)state;
    csv_begin(&csv, NULL, 0);
    for (; made < 1000; made++) {
        char text[32];
        static char keep[1000][32];
        snprintf(text, sizeof(text), "\"m%d\":1", made * 7919 % 1000);
        strcpy(keep[made], text);
        struct series_sample s = make(1, keep[made]);
        if (csv_widen(&csv, &s) < 0)
            break;
    }
    assert_int_equal(made, CSV_COLUMNS_MAX - 4);
    for (size_t i = csv.n_first + 1; i < csv.n; i++)
        assert_true(strncmp(csv.columns[i - 1].name, csv.columns[i].name, 4) <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),    cmocka_unit_test(refuses),    cmocka_unit_test(bounds),
        cmocka_unit_test(finds),      cmocka_unit_test(json_items), cmocka_unit_test(time_stamps),
        cmocka_unit_test(csv_tables), cmocka_unit_test(csv_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
