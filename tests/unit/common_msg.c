#include "common/clock.h"
#include "common/msg.h"

#include "tests/unit/golden.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T_MS 1768473045123

/* --- golden samples ----------------------------------------------------------------------------- */

static enum msg_sender sender_of(const char *name)
{
    return strcmp(name, "website") == 0 ? MSG_FROM_WEBSITE
           : strcmp(name, "robot") == 0 ? MSG_FROM_ROBOT
                                        : MSG_FROM_RELAY;
}

static void put_text(json_t *o, const char *key, const char *text)
{
    if (text != NULL)
        json_object_set_new(o, key, json_string(text));
}

static void put_count(json_t *o, const char *key, int64_t value, int64_t least)
{
    if (value >= least)
        json_object_set_new(o, key, json_integer(value));
}

static void put_flag(json_t *o, const char *key, bool value)
{
    if (value)
        json_object_set_new(o, key, json_true());
}

/* The part of commands, receipts, stop and control. */
static void put_safety(json_t *o, const struct msg *m)
{
    put_count(o, "hb", m->hb, 0);
    put_count(o, "relay_hb", m->relay_hb, 0);
    put_count(o, "seq", m->seq, 0);
    put_count(o, "epoch", m->epoch, 0);
    put_count(o, "ttl_ms", m->ttl_ms, 1);
    put_count(o, "latency_ms", m->latency_ms, 0);
    if (m->outcome != MSG_NO_OUTCOME)
        put_text(o, "outcome", msg_outcome_name(m->outcome));
    put_text(o, "reason", m->reason);
    put_text(o, "by", m->by);
    put_text(o, "holder", m->holder);
    put_flag(o, "confirmed", m->confirmed);
    put_flag(o, "take", m->take);
    put_flag(o, "duplicate", m->duplicate);
    if (m->type == MSG_STOP_STATE)
        json_object_set_new(o, "stopped", json_boolean(m->stopped));
    if (m->type == MSG_CONTROL_STATE)
        json_object_set_new(o, "you", json_boolean(m->you));
    if (m->type == MSG_WATCH) {
        json_t *ids = json_array();
        for (size_t i = 0; i < m->n_device_ids; i++)
            json_array_append_new(ids, json_string(msg_device_id_at(m, i)));
        json_object_set_new(o, "device_ids", ids);
    }
}

static json_t *to_metrics(const struct msg *m)
{
    json_t *metrics = json_object();
    for (size_t i = 0; i < m->n_metrics; i++)
        json_object_set_new(metrics, m->metrics[i].name, json_real(m->metrics[i].value));
    return metrics;
}

static void put_samples(json_t *o, const struct msg *m)
{
    json_t *samples = json_array();
    for (size_t i = 0; i < m->n_samples; i++) {
        struct msg one;
        msg_sample_at(m, i, &one);
        json_t *sample = json_object();
        json_object_set_new(sample, "metrics", to_metrics(&one));
        json_object_set_new(sample, "time_ms", json_real((double)one.time_ms));
        json_array_append_new(samples, sample);
    }
    if (m->type == MSG_TELEMETRY_BATCH)
        json_object_set_new(o, "samples", samples);
    else
        json_decref(samples);
}

/* What was understood, in the form of a sample's "expect". */
static json_t *to_expect(const struct msg *m)
{
    json_t *o = json_object();
    put_text(o, "type", msg_type_name(m->type));
    if (strcmp(m->type_name, msg_type_name(m->type)) != 0)
        put_text(o, "type_name", m->type_name);
    put_text(o, "id", m->id);
    put_text(o, "device_id", m->device_id);
    if (msg_is_move(m->type)) {
        json_object_set_new(o, "x", json_real(m->x));
        json_object_set_new(o, "y", json_real(m->y));
    }
    if (m->type == MSG_SET_SPEED || m->type == MSG_SET_BRIGHTNESS)
        json_object_set_new(o, "value", json_real(m->value));
    put_text(o, "device_name", m->device_name);
    if (m->type == MSG_TELEMETRY || m->type == MSG_TELEMETRY_UPDATE)
        json_object_set_new(o, "metrics", to_metrics(m));
    put_samples(o, m);
    put_flag(o, "late", m->late);
    put_count(o, "stored", m->stored, 0);
    if (m->has_time)
        json_object_set_new(o, "time_ms", json_real((double)m->time_ms));
    put_text(o, "status", m->status);
    put_text(o, "message", m->message);
    put_text(o, "frame_data", m->frame_data);
    if (m->frame_number >= 0)
        json_object_set_new(o, "frame_number", json_real((double)m->frame_number));
    put_text(o, "original_type", m->original_type);
    put_text(o, "error", m->error);
    put_text(o, "code", m->code);
    put_text(o, "device_type", m->device_type);
    if (m->type == MSG_ACK)
        json_object_set_new(o, "robots", json_real(m->robots));
    put_safety(o, m);
    return o;
}

/* Equal but for 60 and 60.0, and in the same order where order means something. */
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b)) {
        bool all = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; all && i < json_array_size(a); i++)
            all = same(json_array_get(a, i), json_array_get(b, i));
        return all;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return json_equal(a, b);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
    {
        if (!same(value, json_object_get(b, key)))
            return false;
    }
    return json_object_size(a) == json_object_size(b);
}

static void check_accepted(const char *name, json_t *expect, const struct msg *m)
{
    json_t *got = to_expect(m);
    if (m->type == MSG_ACK && json_object_get(expect, "robots") == NULL)
        json_object_del(got, "robots");
    json_t *metrics = json_object_get(expect, "metrics");
    if (!same(got, expect))
        fail_msg("%s: understood as %s", name, json_dumps(got, JSON_PRESERVE_ORDER));
    size_t i = 0;
    for (void *it = json_object_iter(metrics); it != NULL; it = json_object_iter_next(metrics, it))
        assert_string_equal(json_object_iter_key(it), m->metrics[i++].name);
    json_decref(got);
}

static void check_echo(const char *name, const json_t *expected, const char *got)
{
    const char *text = json_is_null(expected) ? "" : json_string_value(expected);
    if (expected != NULL && strcmp(text, got) != 0)
        fail_msg("%s: answered with \"%s\"", name, got);
}

static void check_golden(const char *name)
{
    json_t *sample = golden_load(name);
    const json_t *text = json_object_get(sample, "text");
    json_t *expect = json_object_get(sample, "expect");
    const char *type = json_string_value(json_object_get(expect, "type"));
    struct msg m;
    struct msg_fault fault;
    assert_true(json_is_string(json_object_get(sample, "description")));
    int result = msg_decode(sender_of(json_string_value(json_object_get(sample, "from"))), json_string_value(text),
                            json_string_length(text), &m, &fault);
    if ((result == 0) != (type != NULL))
        fail_msg("%s: %s", name, result == 0 ? "accepted" : fault.text);
    if (result == 0) {
        check_accepted(name, expect, &m);
        msg_finish(&m);
    } else {
        struct msg zero;
        memset(&zero, 0, sizeof zero);
        assert_memory_equal(&m, &zero, sizeof zero);
        check_echo(name, json_object_get(expect, "code"), msg_code_name(fault.code));
        check_echo(name, json_object_get(expect, "error"), fault.text);
        check_echo(name, json_object_get(expect, "original_type"), fault.original_type);
        check_echo(name, json_object_get(expect, "id"), fault.id);
        assert_true(fault.text[0] != '\0');
    }
    json_decref(sample);
}

static void golden_samples(void **state)
{
    (void)state;
    int n = 0;
    DIR *dir = opendir(GOLDEN_DIR);
    if (dir == NULL)
        fail_msg("run this from the top of the source: there is no %s here", GOLDEN_DIR);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 5, ".json") != 0)
            continue;
        check_golden(e->d_name);
        n++;
    }
    closedir(dir);
    assert_true(n >= 180);
}

/* --- beyond what a golden sample can hold -------------------------------------------------------- */

static enum msg_code code_of(enum msg_sender from, const char *text, size_t len)
{
    struct msg m;
    struct msg_fault fault;
    int result = msg_decode(from, text, len, &m, &fault);
    msg_finish(&m);
    assert_int_equal(result, fault.code == MSG_OK ? 0 : -1);
    return fault.code;
}

static void bad_bytes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"type\":\"\xff\"}",
        "{\"type\":\"\xc0\xaf\"}",
        "{\"type\":\"\xed\xa0\x80\"}",
        "{\"type\":\"\xf4\x90\x80\x80\"}",
        "{\"type\":\"\xe2\x82\"}",
        "\xef\xbb\xbf{\"type\":\"request_frame\"}",
        "{\"type\":\"request_frame\",\"\x80\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(code_of(MSG_FROM_WEBSITE, texts[i], strlen(texts[i])), MSG_INVALID_JSON);
    assert_int_equal(code_of(MSG_FROM_WEBSITE, "{\"type\":\"request_frame\"}\0", 25), MSG_INVALID_JSON);
    assert_int_equal(code_of(MSG_FROM_WEBSITE, "{\"type\":\"a\0b\"}", 14), MSG_INVALID_JSON);
    assert_int_equal(code_of(MSG_FROM_WEBSITE, "\0", 1), MSG_INVALID_JSON);
}

/* Cut anywhere, a message is refused, and nothing behind its end is read. */
static void cut_anywhere(void **state)
{
    (void)state;
    const char *text =
        "{\"type\":\"telemetry\",\"device_name\":\"gr\\u00fcn ü\",\"battery\":8.5e1,\"t\":[1,{\"a\":null}],"
        "\"timestamp\":\"2026-01-15T10:30:45Z\",\"b\":true}";
    size_t len = strlen(text);
    for (size_t n = 0; n <= len; n++) {
        char *copy = malloc(n + (n == 0));
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(code_of(MSG_FROM_ROBOT, copy, n), n == len ? MSG_OK : MSG_INVALID_JSON);
        free(copy);
    }
}

static void depth(void **state)
{
    (void)state;
    char text[256];
    for (int levels = 0; levels < 12; levels++) {
        char open[16] = "", close[16] = "";
        memset(open, '[', (size_t)levels);
        memset(close, ']', (size_t)levels);
        int n = snprintf(text, sizeof text, "{\"type\":\"request_frame\",\"a\":%s%s%s,\"s\":\"[[[[\\\"[[[[[[\"}", open,
                         levels == 0 ? "1" : "", close);
        enum msg_code expected = levels + 1 <= MSG_DEPTH_MAX ? MSG_OK : MSG_INVALID_MESSAGE;
        assert_int_equal(code_of(MSG_FROM_WEBSITE, text, (size_t)n), expected);
    }
    char *deep = malloc(100000);
    assert_non_null(deep);
    memset(deep, '[', 100000);
    assert_int_equal(code_of(MSG_FROM_WEBSITE, deep, 100000), MSG_INVALID_MESSAGE);
    free(deep);
}

static void video_sizes(void **state)
{
    (void)state;
    size_t cap = MSG_VIDEO_DATA_MAX + 100;
    char *text = malloc(cap);
    assert_non_null(text);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t n = (size_t)snprintf(text, cap, "{\"type\":\"video_frame\",\"frame_data\":\"");
        memset(text + n, 'A', MSG_VIDEO_DATA_MAX + extra);
        n += MSG_VIDEO_DATA_MAX + extra;
        memcpy(text + n, "\"}", 2);
        assert_int_equal(code_of(MSG_FROM_ROBOT, text, n + 2), extra == 0 ? MSG_OK : MSG_TOO_LARGE);
    }
    free(text);
}

/* A long picture is kept from the parser; what is around it decides all the same. */
static void long_video(void **state)
{
    (void)state;
    enum { N = 20000 };
    static const struct {
        const char *before, *after;
        enum msg_code code;
    } cases[] = {
        {"{\"type\":\"video_frame\",\"frame_data\":\"", "\"}", MSG_OK},
        {"{\"frame_data\" : \"", "==\",\"frame_number\":7,\"type\":\"video_frame\"}", MSG_OK},
        {" { \"a\":\"frame_data\",\"type\":\"video_frame\",\"frame_data\":\"", "\"} ", MSG_OK},
        {"{\"type\":\"video_frame\",\"a\":{},\"frame_data\":\"", "\"}", MSG_OK},
        {"{\"type\":\"video_frame\",\"frame_data\":\"", "\",\"frame_data\":\"AAAA\"}", MSG_INVALID_MESSAGE},
        {"{\"type\":\"video_frame\",\"frame_data\":\"AAAA\",\"frame_data\":\"", "\"}", MSG_INVALID_MESSAGE},
        {"{\"type\":\"video_frame\",\"a\":{\"frame_data\":\"", "\"},\"frame_data\":\"\"}", MSG_INVALID_MESSAGE},
        {"{\"type\":\"video_frame\",\"a\":{\"frame_data\":\"", "\"}}", MSG_INVALID_MESSAGE},
        {"{\"type\":\"video_frame\",\"frame_data\":\"", "\\u0041\"}", MSG_OK},
        {"{\"type\":\"video_frame\",\"frame_data\":\"", "<b>\"}", MSG_INVALID_MESSAGE},
        {"{\"type\":\"video_frame\",\"frame_data\":\"", "", MSG_INVALID_JSON},
        {"{\"type\":\"video_frame\",\"frame_data\":\"", "\"", MSG_INVALID_JSON},
        {"{\"type\":\"video_frame\",\"frame_data\":\"", "\"}}", MSG_INVALID_JSON},
    };
    char *text = malloc(N + 500);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t before = strlen(cases[i].before), after = strlen(cases[i].after);
        memcpy(text, cases[i].before, before);
        memset(text + before, 'A', N);
        memcpy(text + before + N, cases[i].after, after);
        assert_int_equal(code_of(MSG_FROM_ROBOT, text, before + N + after), cases[i].code);
    }
    free(text);
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t ms; /* -1: none */
    } cases[] = {
        {"1768473045", 1768473045000},
        {"1768473045.1235", 1768473045124},
        {"1768473045123", T_MS},
        {"0", 0},
        {"-1", -1},
        {"1e300", -1},
        {"null", -1},
        {"true", -1},
        {"[1]", -1},
        {"\"yesterday\"", -1},
        {"\"1969-12-31T23:59:59Z\"", -1},
        {"253402300799999", 253402300799999},
        {"253402300800000", -1},
        {"99999999999", 99999999999000},
        {"100000000000", 100000000000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        struct msg m;
        struct msg_fault fault;
        int n = snprintf(text, sizeof text, "{\"type\":\"telemetry\",\"timestamp\":%s}", cases[i].json);
        assert_int_equal(msg_decode(MSG_FROM_ROBOT, text, (size_t)n, &m, &fault), 0);
        assert_int_equal(m.has_time, cases[i].ms >= 0);
        assert_int_equal(m.time_ms, cases[i].ms >= 0 ? cases[i].ms : 0);
        assert_int_equal(m.n_metrics, 0);
        msg_finish(&m);
    }
}

/* As large as one can be: every sample with all metrics. */
static void full_batch(void **state)
{
    (void)state;
    static char text[300000];
    struct msg m, one;
    struct msg_fault fault;
    size_t n = (size_t)snprintf(text, sizeof text, "{\"type\":\"telemetry_batch\",\"samples\":[");
    for (int i = 0; i < MSG_SAMPLES_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s{\"timestamp\":%d,\"signal\":1,\"cpu\":2", i ? "," : "",
                              7 + i);
        for (int k = 0; k < MSG_METRICS_EXTRA; k++)
            n += (size_t)snprintf(text + n, sizeof text - n, ",\"a_name_of_thirty_two_letters_%03d\":%d.25", k, i);
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"battery\":%d}", i);
    }
    n += (size_t)snprintf(text + n, sizeof text - n, "]}");
    assert_int_equal(msg_decode(MSG_FROM_ROBOT, text, n, &m, &fault), 0);
    assert_int_equal(m.n_samples, MSG_SAMPLES_MAX);
    for (size_t i = 0; i < MSG_SAMPLES_MAX; i++) {
        msg_sample_at(&m, i, &one);
        assert_int_equal(one.time_ms, (7 + (int64_t)i) * 1000);
        assert_int_equal(one.n_metrics, MSG_METRICS_EXTRA + 3);
        assert_true(one.metrics[0].value == (double)i && one.metrics[MSG_METRICS_EXTRA + 2].value == (double)i + 0.25);
    }
    msg_finish(&m);
}

static void thirty_two_metrics(void **state)
{
    (void)state;
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"type\":\"telemetry\",\"signal\":1,\"cpu\":2");
    for (int i = 0; i < MSG_METRICS_EXTRA; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, ",\"m%d\":%d", i, i);
    n += (size_t)snprintf(text + n, sizeof text - n, ",\"temperature\":-0.0,\"battery\":4}");
    struct msg m;
    struct msg_fault fault;
    assert_int_equal(msg_decode(MSG_FROM_ROBOT, text, n, &m, &fault), 0);
    assert_int_equal(m.n_metrics, MSG_METRICS_MAX);
    assert_string_equal(m.metrics[0].name, "battery");
    assert_string_equal(m.metrics[3].name, "signal");
    assert_string_equal(m.metrics[4].name, "m0");
    assert_string_equal(m.metrics[35].name, "m31");
    assert_false(signbit(m.metrics[2].value));
    msg_finish(&m);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        double value;
    } cases[] = {
        {"1", 1},
        {"99.99999999999999", 99.99999999999999},
        {"1.0000000000000002", 1.0000000000000002},
        {"1e0", 1},
        {"1E+1", 10},
        {"100e-2", 1},
        {"60.0", 60},
        {"33.333333333333336", 100.0 / 3},
        {"0.00000000000000000012e21", 120e-1 * 10},
        {"1e2", 100},
        {"2.2250738585072014e1", 22.250738585072014},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        struct msg m;
        struct msg_fault fault;
        int n = snprintf(text, sizeof text, "{\"type\":\"set_speed\",\"value\":%s}", cases[i].json);
        bool fits = cases[i].value >= 1 && cases[i].value <= 100;
        assert_int_equal(msg_decode(MSG_FROM_WEBSITE, text, (size_t)n, &m, &fault), fits ? 0 : -1);
        if (fits && m.value != cases[i].value)
            fail_msg("%s is read as %.17g", cases[i].json, m.value);
        msg_finish(&m);
    }
    static const char *const bad[] = {"01", "+1", ".5", "1.", "1e", "0x10", "1_0", "--1", "-", "1.e1", "infinity"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[128];
        int n = snprintf(text, sizeof text, "{\"type\":\"set_speed\",\"value\":%s}", bad[i]);
        assert_int_equal(code_of(MSG_FROM_WEBSITE, text, (size_t)n), MSG_INVALID_JSON);
    }
}

/* --- small functions ---------------------------------------------------------------------------- */

static void described_as(const struct msg *m, const char *website, const char *robot)
{
    char text[128];
    assert_int_equal(msg_describe(text, sizeof text, m), strlen(website));
    assert_string_equal(text, website);
    assert_int_equal(msg_describe_for_robot(text, sizeof text, m), strlen(robot));
    assert_string_equal(text, robot);
    assert_int_equal(msg_describe(text, 6, m), 5);
    assert_int_equal(strlen(text), 5);
}

static void descriptions(void **state)
{
    (void)state;
    char text[16];
    struct msg m = {.type = MSG_ROBOT_MOVE, .x = 0.5, .y = -0.3, .value = 60};
    described_as(&m, "Robot move x=0.5, y=-0.3", "Robot move x=0.5, y=-0.3");
    m.type = MSG_CAMERA_MOVE;
    described_as(&m, "Camera move x=0.5, y=-0.3", "Camera move x=0.5, y=-0.3");
    m.type = MSG_SET_SPEED;
    described_as(&m, "Speed set to 60%", "Set speed to 60%");
    m.type = MSG_SET_BRIGHTNESS;
    described_as(&m, "Brightness set to 60%", "Set brightness to 60%");
    m.type = MSG_REQUEST_FRAME;
    described_as(&m, "Frame requested", "Request frame");
    m.type = MSG_STOP;
    assert_int_equal(msg_describe(text, sizeof text, &m), 4);
    assert_string_equal(text, "Stop");
    m.type = MSG_REARM;
    described_as(&m, "Re-arm", "Re-arm");
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(msg_type_name(MSG_NONE), "");
    for (int t = MSG_NONE + 1; t < MSG_TYPES; t++)
        assert_true(msg_type_name((enum msg_type)t)[0] != '\0');
    for (int c = 0; c < MSG_CODES; c++)
        assert_true(msg_code_name((enum msg_code)c)[0] != '\0' && msg_code_text((enum msg_code)c)[0] != '\0');
    assert_false(msg_is_command(MSG_STOP) || msg_is_command(MSG_REARM));
    assert_string_equal(msg_outcome_name(MSG_NO_OUTCOME), "");
    assert_string_equal(msg_outcome_name(MSG_APPLIED), "applied");
    assert_string_equal(msg_outcome_name(MSG_REJECTED), "rejected");
    assert_string_equal(msg_outcome_name(MSG_TOO_OLD), "expired");
    assert_string_equal(msg_outcome_name(MSG_OUTCOMES), "");
    assert_true(msg_is_command(MSG_REQUEST_FRAME) && !msg_is_command(MSG_TELEMETRY) && !msg_is_command(MSG_NONE));
    assert_true(msg_is_move(MSG_CAMERA_MOVE) && !msg_is_move(MSG_SET_SPEED));
    assert_true(msg_device_id_valid("robot_01.A-b", 12));
    assert_false(msg_device_id_valid("", 0));
    assert_false(msg_device_id_valid("a b", 3));
    assert_false(msg_device_id_valid("a\0b", 3));
    assert_false(msg_device_id_valid("ü", 2));
    assert_true(msg_metric_name_valid("wheel_rpm2", 10));
    assert_false(msg_metric_name_valid("_x", 2));
    assert_false(msg_metric_name_valid("2x", 2));
    assert_false(msg_metric_name_valid("", 0));
    char name[80];
    memset(name, 'a', sizeof name);
    assert_true(msg_metric_name_valid(name, 32));
    assert_false(msg_metric_name_valid(name, 33));
    assert_true(msg_device_id_valid(name, 64));
    assert_false(msg_device_id_valid(name, 65));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_samples), cmocka_unit_test(bad_bytes),    cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(depth),          cmocka_unit_test(video_sizes),  cmocka_unit_test(long_video),
        cmocka_unit_test(times),          cmocka_unit_test(full_batch),   cmocka_unit_test(thirty_two_metrics),
        cmocka_unit_test(numbers),        cmocka_unit_test(descriptions), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
