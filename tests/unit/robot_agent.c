#include "common/log.h"
#include "common/msg.h"
#include "robot/agent.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SENT_MAX 64

/* A robot whose hardware and link are the test's. */
struct rig {
    double left, right, pan, tilt;
    int brightness;
    struct hal_reading readings[HAL_READINGS_MAX];
    size_t n_readings;
    char sent[SENT_MAX][2048];
    enum sendq_lane lane[SENT_MAX];
    size_t n_sent;
    bool full; /* the link takes nothing */
    struct outputs *outputs;
    struct agent *agent;
};

static int set_drive(void *self, double left, double right)
{
    struct rig *r = self;

    r->left = left;
    r->right = right;
    return 0;
}

static int set_camera(void *self, double pan, double tilt)
{
    struct rig *r = self;

    r->pan = pan;
    r->tilt = tilt;
    return 0;
}

static int set_brightness(void *self, int percent)
{
    struct rig *r = self;

    r->brightness = percent;
    return 0;
}

static size_t read_sensors(void *self, struct hal_reading *out, size_t cap)
{
    struct rig *r = self;
    size_t n = r->n_readings < cap ? r->n_readings : cap;

    memcpy(out, r->readings, n * sizeof(*out));
    return n;
}

static const struct hal_driver driver = {.name = "rig",
                                         .set_drive = set_drive,
                                         .set_camera = set_camera,
                                         .set_brightness = set_brightness,
                                         .read_sensors = read_sensors};

static int send_message(void *ctx, enum sendq_lane lane, const char *text, size_t len)
{
    struct rig *r = ctx;

    if (r->full)
        return -1;
    assert_true(r->n_sent < SENT_MAX && len < sizeof(r->sent[0]));
    memcpy(r->sent[r->n_sent], text, len);
    r->sent[r->n_sent][len] = '\0';
    r->lane[r->n_sent++] = lane;
    return 0;
}

static void read_as(struct rig *r, const char *name, double value, int decimals)
{
    r->readings[r->n_readings++] = (struct hal_reading){name, value, decimals};
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    char err[128];

    assert_non_null(r);
    /* No dead-man within a test: the outputs' own test is for that. */
    struct outputs_config oc = {.driver = &driver, .hal = r, .deadman_ms = 5000, .watchdog_ms = 5000};

    r->outputs = outputs_create(&oc, err, sizeof(err));
    assert_non_null(r->outputs);
    struct agent_config ac = {.device_id = "robot_01",
                              .device_name = "Rig",
                              .driver = &driver,
                              .hal = r,
                              .outputs = r->outputs,
                              .interval_ms = 3000,
                              .deadman_ms = 5000,
                              .send = send_message,
                              .ctx = r};
    r->agent = agent_create(&ac);
    assert_non_null(r->agent);
    read_as(r, "battery", 84.96, 1);
    read_as(r, "cpu", 45.24, 1);
    read_as(r, "temperature", 34.849, 1);
    read_as(r, "signal", 89.5, 1);
    read_as(r, "x", -1.2345, 2);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    outputs_destroy(r->outputs);
    agent_destroy(r->agent);
    free(r);
    return 0;
}

static void say(struct rig *r, const char *text, int64_t now_ms)
{
    agent_message(r->agent, text, strlen(text), now_ms);
}

static const char greeting[] = "{\"type\":\"connection\",\"status\":\"connected\",\"device_type\":\"robot\","
                               "\"device_id\":\"robot_01\",\"message\":\"Robot robot_01 connected to server\"}";

static void open_and_greet(struct rig *r, int64_t now_ms)
{
    agent_opened(r->agent, now_ms);
    say(r, greeting, now_ms);
    agent_tick(r->agent, now_ms);
}

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static void says_ready_then_telemetry_after_the_greeting(void **state)
{
    struct rig *r = *state;

    agent_opened(r->agent, 1000);
    assert_int_equal(r->n_sent, 1);
    assert_true(has(r->sent[0], "\"type\":\"status\"") && has(r->sent[0], "\"status\":\"ready\""));
    assert_int_equal(r->lane[0], SENDQ_ORDERED);
    agent_tick(r->agent, 1050);
    assert_int_equal(r->n_sent, 1); /* not before the greeting */
    say(r, greeting, 1060);
    agent_tick(r->agent, 1100);
    assert_int_equal(r->n_sent, 2);
    assert_int_equal(r->lane[1], SENDQ_LATEST);
    assert_true(has(r->sent[1], "\"type\":\"telemetry\""));
    assert_true(has(r->sent[1], "\"device_id\":\"robot_01\"") && has(r->sent[1], "\"device_name\":\"Rig\""));
    assert_true(has(r->sent[1], "\"battery\":85,\"cpu\":45.2,\"temperature\":34.8,\"signal\":89.5"));
    assert_true(has(r->sent[1], "\"x\":-1.23"));
    assert_true(has(r->sent[1], "\"timestamp\":\"20"));
}

static void what_it_sends_is_what_the_relay_reads(void **state)
{
    struct rig *r = *state;
    struct msg m;
    struct msg_fault fault;

    open_and_greet(r, 1000);
    for (size_t i = 0; i < r->n_sent; i++) {
        assert_int_equal(msg_decode(MSG_FROM_ROBOT, r->sent[i], strlen(r->sent[i]), &m, &fault), 0);
        assert_int_equal(m.type, i == 0 ? MSG_STATUS : MSG_TELEMETRY);
        if (m.type == MSG_TELEMETRY)
            assert_int_equal(m.n_metrics, 5);
        msg_finish(&m);
    }
}

static void keeps_its_schedule(void **state)
{
    struct rig *r = *state;

    open_and_greet(r, 1000);
    assert_int_equal(r->n_sent, 2);
    for (int64_t t = 1050; t < 4000; t += 50)
        agent_tick(r->agent, t);
    assert_int_equal(r->n_sent, 2);
    agent_tick(r->agent, 4010); /* 10 ms late does not shift the next one */
    assert_int_equal(r->n_sent, 3);
    agent_tick(r->agent, 6990);
    assert_int_equal(r->n_sent, 3);
    agent_tick(r->agent, 7000);
    assert_int_equal(r->n_sent, 4);
    agent_tick(r->agent, 60000); /* the machine slept: one, not eighteen */
    agent_tick(r->agent, 60050);
    assert_int_equal(r->n_sent, 5);
    agent_set_interval(r->agent, 100);
    agent_tick(r->agent, 60100);
    agent_tick(r->agent, 60200);
    assert_int_equal(r->n_sent, 7);
    agent_closed(r->agent);
    agent_tick(r->agent, 90000);
    assert_int_equal(r->n_sent, 7);
}

static void does_without_a_greeting(void **state)
{
    struct rig *r = *state;

    agent_opened(r->agent, 1000);
    agent_tick(r->agent, 1990);
    assert_int_equal(r->n_sent, 1);
    agent_tick(r->agent, 2000);
    assert_int_equal(r->n_sent, 2);
}

static void leaves_out_what_cannot_be(void **state)
{
    struct rig *r = *state;

    r->n_readings = 0;
    read_as(r, "battery", 100.4, 1);
    read_as(r, "cpu", NAN, 1);
    read_as(r, "temperature", -120, 1);
    read_as(r, "signal", 12.34, 1);
    read_as(r, "9bad name", 1, 1);
    read_as(r, "load", INFINITY, 1);
    open_and_greet(r, 1000);
    assert_int_equal(r->n_sent, 2);
    assert_false(has(r->sent[1], "battery") || has(r->sent[1], "cpu") || has(r->sent[1], "temperature"));
    assert_false(has(r->sent[1], "9bad") || has(r->sent[1], "load"));
    assert_true(has(r->sent[1], "\"signal\":12.3"));
}

static void obeys(void **state)
{
    struct rig *r = *state;

    open_and_greet(r, 1000);
    say(r, "{\"type\":\"robot_move\",\"x\":0.5,\"y\":-0.3,\"timestamp\":\"2026-01-15T10:30:45.123456Z\"}", 1100);
    assert_true(fabs(r->left - 0.2) < 1e-9 && fabs(r->right + 0.8) < 1e-9);
    say(r, "{\"type\":\"set_speed\",\"value\":60}", 1100);
    assert_true(fabs(r->left - 0.12) < 1e-9 && fabs(r->right + 0.48) < 1e-9);
    say(r, "{\"type\":\"camera_move\",\"x\":-1,\"y\":1}", 1100);
    assert_true(r->pan == -1 && r->tilt == 1);
    say(r, "{\"type\":\"set_brightness\",\"value\":7}", 1100);
    assert_int_equal(r->brightness, 7);
    say(r, "{\"type\":\"request_frame\"}", 1100);
    assert_true(has(r->sent[r->n_sent - 1], "no_camera"));
    assert_int_equal(agent_stats(r->agent).commands, 5);
    agent_closed(r->agent);
    assert_true(r->left == 0 && r->right == 0 && r->pan == 0 && r->tilt == 0);
    assert_int_equal(r->brightness, 7);
}

static void survives_nonsense(void **state)
{
    static const char *const bad[] = {"",
                                      "nonsense",
                                      "[]",
                                      "{}",
                                      "{\"type\":7}",
                                      "{\"type\":\"fly\"}",
                                      "{\"type\":\"robot_move\",\"x\":\"<b>\",\"y\":0}",
                                      "{\"type\":\"robot_move\",\"x\":1e9,\"y\":0}",
                                      "{\"type\":\"robot_move\",\"x\":0}",
                                      "{\"type\":\"set_speed\",\"value\":0}",
                                      "{\"type\":\"set_speed\",\"value\":1e400}",
                                      "{\"type\":\"robot_move\",\"x\":NaN,\"y\":0}",
                                      "{\"type\":\"robot_move\",\"x\":0,\"x\":1,\"y\":1}"};
    struct rig *r = *state;

    open_and_greet(r, 1000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        say(r, bad[i], 1100);
    assert_int_equal(agent_stats(r->agent).invalid, sizeof(bad) / sizeof(bad[0]));
    assert_int_equal(agent_stats(r->agent).commands, 0);
    assert_true(r->left == 0 && r->right == 0);
    assert_int_equal(r->n_sent, 2); /* and it answers nothing */
}

static void counts_what_became_of_telemetry(void **state)
{
    struct rig *r = *state;
    struct agent_stats s;

    open_and_greet(r, 1000);
    say(r,
        "{\"type\":\"ack\",\"original_type\":\"telemetry\",\"status\":\"received\","
        "\"message\":\"Telemetry data received and saved\"}",
        1100);
    say(r, "{\"type\":\"ack\",\"original_type\":\"video_frame\",\"status\":\"received\",\"message\":\"ok\"}", 1100);
    say(r, "{\"type\":\"error\",\"error\":\"Not stored\",\"code\":\"not_stored\",\"original_type\":\"telemetry\"}",
        1200);
    say(r, "{\"type\":\"error\",\"error\":\"Too fast\",\"code\":\"rate_limited\"}", 1200);
    r->full = true;
    agent_tick(r->agent, 4000);
    s = agent_stats(r->agent);
    assert_int_equal(s.sent, 1);
    assert_int_equal(s.acked, 1);
    assert_int_equal(s.refused, 1);
    assert_int_equal(s.dropped, 1);
    assert_int_equal(s.invalid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_ready_then_telemetry_after_the_greeting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_it_sends_is_what_the_relay_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_its_schedule, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_without_a_greeting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_out_what_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(obeys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_what_became_of_telemetry, set_up, tear_down),
    };

    log_init("robot_agent", NULL, LOG_ERROR); /* its lines are no part of this test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
