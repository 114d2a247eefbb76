/* Samples as columns and as CSV, and the tags of answers. */
#include "fcgi/columns.h"
#include "fcgi/csv.h"
#include "fcgi/etag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T 1768473045123

static struct series_sample sample(uint64_t ms, uint64_t seq, uint32_t lane, const char *text)
{
    return (struct series_sample){.id = {ms, seq}, .lane = lane, .text = text, .len = (uint32_t)strlen(text)};
}

static char *text_of(const struct columns *c)
{
    struct buf b;
    buf_init(&b, 1 << 24);
    columns_names(c, &b);
    columns_units(c, &b);
    for (size_t i = 0; i < columns_count(c); i++)
        columns_data(c, i, &b);
    buf_add(&b, "", 1);
    assert_false(b.failed);
    return b.data;
}

static void is_table(const struct columns_spec *spec, const struct series_sample *samples, size_t n, bool descending,
                     const char *expected)
{
    struct columns *c;
    assert_int_equal(columns_create(spec, samples, n, descending, &c), COLUMNS_OK);
    char *text = text_of(c);
    assert_string_equal(text, expected);
    free(text);
    columns_destroy(c);
}

static const char devices[2][MSG_DEVICE_ID_MAX + 1] = {"a.b", "c"};

static void one_device(void **state)
{
    struct columns_spec spec = {.devices = devices, .n_devices = 1};
    const struct series_sample samples[] = {sample(T, 0, 0, "\"cpu\":1.50,\"z\":-0,\"id\":9"),
                                            sample(T, 1, 0, "\"battery\":5,\"battery\":6"), sample(T + 77, 5, 0, ""),
                                            sample(T + 877, 0, 0, "\"a1\":1e+300,\"z\":2")};
    struct series_sample reversed[4];
    static const char table[] = "[\"timestamp\",\"battery\",\"cpu\",\"temperature\",\"signal\",\"a1\",\"z\"]"
                                "[\"s\",\"%\",\"%\",\"\xc2\xb0"
                                "C\",\"%\",\"\",\"\"]"
                                "[1768473045.123,1768473045.123001,1768473045.200005,1768473046]"
                                "[null,6,null,null][1.50,null,null,null][null,null,null,null][null,null,null,null]"
                                "[null,null,null,1e+300][-0,null,null,2]";
    static const char fields[2][MSG_METRIC_NAME_MAX + 1] = {"z", "none"};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        reversed[i] = samples[3 - i];
    is_table(&spec, samples, 4, false, table);
    is_table(&spec, reversed, 4, true, table);
    spec.fields = fields;
    spec.n_fields = 2;
    is_table(&spec, samples, 4, false,
             "[\"timestamp\",\"z\",\"none\"][\"s\",\"\",\"\"]"
             "[1768473045.123,1768473045.123001,1768473045.200005,1768473046][-0,null,null,2][null,null,null,null]");
    spec.n_fields = 0;
    is_table(&spec, samples, 1, false, "[\"timestamp\"][\"s\"][1768473045.123]");
    is_table(&spec, samples, 0, false, "[\"timestamp\"][\"s\"][]");
}

static void two_devices(void **state)
{
    static const char fields[1][MSG_METRIC_NAME_MAX + 1] = {"cpu"};
    struct columns_spec spec = {.devices = devices, .n_devices = 2, .fields = fields, .n_fields = 1};
    const struct series_sample samples[] = {sample(1, 0, 0, "\"cpu\":1"), sample(1, 0, 1, "\"cpu\":2"),
                                            sample(1, 1, 1, "\"cpu\":3"), sample(2, 0, 0, "\"cpu\":4")};
    /* More in one ms than there are µs in it, at the end of time: still ascending, and nothing is lost. */
    const struct series_sample crowd[] = {
        sample(UINT64_MAX, 998, 0, "\"cpu\":1"), sample(UINT64_MAX, 999, 0, "\"cpu\":2"),
        sample(UINT64_MAX, 1000, 0, "\"cpu\":3"), sample(UINT64_MAX, 1000, 1, "\"cpu\":4"),
        sample(UINT64_MAX, UINT64_MAX, 0, "\"cpu\":5")};
    (void)state;
    is_table(&spec, samples, 4, false,
             "[\"timestamp\",\"a.b.cpu\",\"c.cpu\"][\"s\",\"%\",\"%\"][0.001,0.001001,0.002][1,null,4][2,3,null]");
    is_table(&spec, crowd, 5, false,
             "[\"timestamp\",\"a.b.cpu\",\"c.cpu\"][\"s\",\"%\",\"%\"]"
             "[253402300799.999998,253402300799.999999,253402300800,253402300800.000001][1,2,3,5][null,null,4,null]");
}

static void too_many(void **state)
{
    static char names[COLUMNS_MAX + 1][24];
    static struct series_sample samples[COLUMNS_MAX + 1];
    struct columns_spec spec = {.devices = devices, .n_devices = 1};
    struct columns *c;
    (void)state;
    for (size_t i = 0; i <= COLUMNS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "\"m%zu\":1", i);
        samples[i] = sample(T + i, 0, 0, names[i]);
    }
    assert_int_equal(columns_create(&spec, samples, COLUMNS_MAX - 3, false, &c), COLUMNS_TOO_MANY);
    /* As many columns, but too many rows for all of them. */
    assert_int_equal(columns_create(&spec, samples, COLUMNS_MAX - 4, false, &c), COLUMNS_TOO_MANY);
    assert_int_equal(columns_create(&spec, samples, 1900, false, &c), COLUMNS_OK);
    assert_int_equal(columns_count(c), 1905);
    assert_int_equal(columns_rows(c), 1900);
    columns_destroy(c);
    columns_destroy(NULL);
}

static void csv_columns(void **state)
{
    static struct csv csv;
    static char names[CSV_COLUMNS_MAX][24];
    struct buf b;
    (void)state;
    csv_begin(&csv, NULL, 0);
    assert_int_equal(csv_add(&csv, "volt"), 0);
    assert_int_equal(csv_add(&csv, "amp"), 0);
    assert_int_equal(csv_add(&csv, "amp"), 0);
    assert_int_equal(csv_add(&csv, "cpu"), 0);
    assert_int_equal(csv_add(&csv, "device_id"), 0);
    assert_true(csv_has(&csv, "volt", 4) && csv_has(&csv, "battery", 7));
    assert_false(csv_has(&csv, "vol", 3) || csv_has(&csv, "device_id", 9));
    buf_init(&b, 65536);
    csv_header(&csv, &b);
    buf_add(&b, "", 1);
    assert_string_equal(b.data, "timestamp,device_id,battery,cpu,temperature,signal,amp,volt\r\n");
    buf_finish(&b);
    for (int i = 0; i < CSV_COLUMNS_MAX - 6; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        assert_int_equal(csv_add(&csv, names[i]), 0);
    }
    assert_int_equal(csv_add(&csv, "one_more"), -1);
    assert_int_equal(csv_add(&csv, "m7"), 0);
}

static void tags(void **state)
{
    char a[ETAG_TEXT_MAX], b[ETAG_TEXT_MAX];
    struct etag one, two;
    (void)state;
    etag_init(&one);
    etag_text(&one, "ab", 2);
    etag_text(&one, "c", 1);
    etag_init(&two);
    etag_text(&two, "a", 1);
    etag_text(&two, "bc", 2);
    etag_format(&one, a);
    etag_format(&two, b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 18);
    etag_init(&two);
    etag_text(&two, "ab", 2);
    etag_text(&two, "c", 1);
    etag_format(&two, b);
    assert_string_equal(a, b);

    static const char *const same[] = {
        "\"x\"",       "W/\"x\"", " \"x\"\t", "\"y\",\"x\"", "\"y\" , W/\"x\"", ", ,\"x\",, ,", "\"\xc3\xa4\",\"x\"",
        "\"x\",\"x\"", "*",       " * "};
    static const char *const other[] = {"",        "\"y\"",       "x",       "\"x",        "x\"",
                                        "\"x\"y",  "\"x\" \"y\"", "w/\"x\"", "W\"x\"",     "W/ \"x\"",
                                        "\"x\",y", "\"x\",\"y",   "*,\"x\"", "**",         "\"x \"",
                                        "\"X\"",   ",",           "W/",      "\"y\";\"x\""};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        if (!etag_matches(same[i], "\"x\""))
            fail_msg("does not match: %s", same[i]);
    }
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        if (etag_matches(other[i], "\"x\""))
            fail_msg("matches: %s", other[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_device), cmocka_unit_test(two_devices),
                                       cmocka_unit_test(too_many), cmocka_unit_test(csv_columns),
                                       cmocka_unit_test(tags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
