#include "common/clock.h"
#include "common/msg.h"

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

#define GOLDEN "tests/golden"
#define T_US   1768473045123456
#define T_MS   1768473045123

/* --- golden samples ----------------------------------------------------------------------------- */

static json_t *load_golden(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, GOLDEN "/%s", name);
    json_t *sample = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (sample == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return sample;
}

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
    if (m->type == MSG_TELEMETRY || m->type == MSG_TELEMETRY_UPDATE) {
        json_t *metrics = json_object();
        for (size_t i = 0; i < m->n_metrics; i++)
            json_object_set_new(metrics, m->metrics[i].name, json_real(m->metrics[i].value));
        json_object_set_new(o, "metrics", metrics);
    }
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
    return o;
}

/* Equal but for 60 and 60.0, and in the same order where order means something. */
static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
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
    json_t *sample = load_golden(name);
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
    DIR *dir = opendir(GOLDEN);
    if (dir == NULL)
        fail_msg("run this from the top of the source: there is no %s here", GOLDEN);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 5, ".json") != 0)
            continue;
        check_golden(e->d_name);
        n++;
    }
    closedir(dir);
    assert_true(n >= 80);
}

static char out[4096];
static struct jsonw w;

static struct jsonw *fresh(void)
{
    jsonw_init(&w, out, sizeof out);
    return &w;
}

static void written_as(const char *golden)
{
    json_t *sample = load_golden(golden);
    const json_t *text = json_object_get(sample, "text");
    assert_false(w.overflow);
    if (w.len != json_string_length(text) || memcmp(out, json_string_value(text), w.len) != 0)
        fail_msg("%s: written as %.*s", golden, (int)w.len, out);
    json_decref(sample);
}

static void encoders_commands(void **state)
{
    (void)state;
    struct msg m = {.type = MSG_ROBOT_MOVE, .x = 0.5, .y = -0.3, .device_id = "robot_01", .id = "c-1"};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_robot_move.json");
    m = (struct msg){.type = MSG_CAMERA_MOVE, .y = 0.25};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_camera_move.json");
    m = (struct msg){.type = MSG_SET_SPEED, .type_name = "set", .value = 60};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_set_speed.json");
    m = (struct msg){.type = MSG_SET_BRIGHTNESS, .value = 12.5};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_set_brightness.json");
    m = (struct msg){.type = MSG_REQUEST_FRAME};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_request_frame.json");
}

static void encoders_connections(void **state)
{
    (void)state;
    msg_put_website_greeting(fresh());
    written_as("relay_greeting_website.json");
    msg_put_connection(fresh(), MSG_ROBOT_GREETING, "robot_01");
    written_as("relay_greeting_robot.json");
    msg_put_connection(fresh(), MSG_ROBOT_IS_ONLINE, "robot_01");
    written_as("relay_robot_online.json");
    msg_put_connection(fresh(), MSG_ROBOT_CAME, "robot_01");
    written_as("relay_robot_came.json");
    msg_put_connection(fresh(), MSG_ROBOT_WENT, "robot_01");
    written_as("relay_robot_went.json");
    msg_put_relay_status(fresh(), "wsd-1", true, T_US);
    written_as("relay_relay_status.json");
}

static void encoders_answers(void **state)
{
    (void)state;
    struct msg_ack ack = {.original_type = "robot_move",
                          .message = "Command received: Robot move x=0.5, y=-0.3",
                          .robots = 1,
                          .now_us = T_US};
    msg_put_ack(fresh(), &ack);
    written_as("relay_ack_command.json");
    ack = (struct msg_ack){"set", "c-2", "Command received: Speed set to 60%", 0, false, T_US};
    msg_put_ack(fresh(), &ack);
    written_as("relay_ack_command_id.json");
    ack = (struct msg_ack){"telemetry", NULL, "Telemetry data received and saved", -1, false, T_US};
    msg_put_ack(fresh(), &ack);
    written_as("relay_ack_telemetry.json");
    struct msg_fault fault = {.code = MSG_INVALID_JSON};
    msg_put_error(fresh(), &fault);
    written_as("relay_error.json");
    fault = (struct msg_fault){MSG_OUT_OF_RANGE, "x must be a number from -1 to 1", "robot_move", "c-3"};
    msg_put_error(fresh(), &fault);
    written_as("relay_error_echo.json");
}

static void encoders_data(void **state)
{
    (void)state;
    const char *metrics = "\"battery\":85,\"cpu\":38,\"temperature\":41.2,\"signal\":93";
    struct msg m = {.type = MSG_TELEMETRY,
                    .metrics = {{"battery", 85}, {"cpu", 38}, {"temperature", 41.2}, {"signal", 93}},
                    .n_metrics = 4};
    msg_put_metrics(fresh(), &m);
    assert_int_equal(w.len, strlen(metrics));
    assert_memory_equal(out, metrics, w.len);
    size_t at = msg_put_telemetry_update(fresh(), "robot_01", "Stairs", metrics, strlen(metrics), 0);
    assert_memory_equal(out + at, "1970-01-01T00:00:00.000Z", CLOCK_RFC3339_MS_LEN);
    char stamp[CLOCK_RFC3339_MS_LEN + 1];
    clock_format_ms(stamp, T_MS);
    memcpy(out + at, stamp, CLOCK_RFC3339_MS_LEN);
    written_as("relay_telemetry_update.json");
    msg_put_telemetry_update(fresh(), "robot_01", NULL, "", 0, T_MS);
    written_as("relay_telemetry_update_bare.json");
    m = (struct msg){.status = "ready", .message = "Calibrated ✓"};
    msg_put_robot_status(fresh(), &m, "robot_01", T_US);
    written_as("relay_robot_status.json");
    msg_put_status(fresh(), m.status, m.message);
    written_as("robot_status.json");
    m = (struct msg){.frame_data = "/9j/4AAQSkZJRgABAQ==", .frame_number = 7};
    m.frame_data_len = strlen(m.frame_data);
    m.has_time = true;
    m.time_ms = T_MS;
    msg_put_video_frame(fresh(), &m, "robot_01", 0);
    written_as("relay_video_frame.json");
}

/* What a robot sends is what the relay understands. */
static void robot_round_trip(void **state)
{
    (void)state;
    struct msg sent = {
        .device_name = "Stairs \"3\"", .metrics = {{"battery", 50.25}, {"wheel_rpm", -3}}, .n_metrics = 2};
    struct msg got;
    struct msg_fault fault;
    msg_put_telemetry(fresh(), &sent, T_MS);
    assert_int_equal(msg_decode(MSG_FROM_ROBOT, out, w.len, &got, &fault), 0);
    assert_int_equal(got.n_metrics, 2);
    assert_string_equal(got.metrics[1].name, "wheel_rpm");
    assert_true(got.metrics[0].value == 50.25 && got.metrics[1].value == -3);
    assert_string_equal(got.device_name, sent.device_name);
    assert_int_equal(got.time_ms, T_MS);
    msg_finish(&got);
    msg_finish(&got);
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
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(msg_type_name(MSG_NONE), "");
    for (int t = MSG_NONE + 1; t < MSG_TYPES; t++)
        assert_true(msg_type_name((enum msg_type)t)[0] != '\0');
    for (int c = 0; c < MSG_CODES; c++)
        assert_true(msg_code_name((enum msg_code)c)[0] != '\0' && msg_code_text((enum msg_code)c)[0] != '\0');
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
        cmocka_unit_test(golden_samples),
        cmocka_unit_test(encoders_commands),
        cmocka_unit_test(encoders_connections),
        cmocka_unit_test(encoders_answers),
        cmocka_unit_test(encoders_data),
        cmocka_unit_test(robot_round_trip),
        cmocka_unit_test(bad_bytes),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(depth),
        cmocka_unit_test(video_sizes),
        cmocka_unit_test(long_video),
        cmocka_unit_test(times),
        cmocka_unit_test(thirty_two_metrics),
        cmocka_unit_test(numbers),
        cmocka_unit_test(descriptions),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
