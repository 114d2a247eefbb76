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
    bool stuck;                /* the drive refuses whatever it is told */
    char sent[SENT_MAX][2048]; /* but for heartbeats */
    enum sendq_lane lane[SENT_MAX];
    size_t n_sent;
    bool full;  /* the link takes nothing */
    int64_t hb; /* newest heartbeat */
    size_t n_hb;
    struct latch stored;
    size_t n_stored;
    bool disk_full;
    bool moved_when_stored;
    struct outputs *outputs;
    struct agent *agent;
};

static int set_drive(void *self, double left, double right)
{
    struct rig *r = self;

    if (r->stuck)
        return -1;
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
    struct msg m;
    struct msg_fault fault;

    if (msg_decode(MSG_FROM_ROBOT, text, len, &m, &fault) != 0) /* as the relay does */
        fail_msg("%s: %.*s", fault.text, (int)len, text);
    enum msg_type type = m.type;
    int64_t hb = m.hb;

    msg_finish(&m);
    if (type == MSG_HEARTBEAT) {
        assert_true(r->n_hb == 0 || hb == r->hb + 1);
        assert_int_equal(lane, SENDQ_ORDERED);
        r->hb = hb;
        r->n_hb++;
        return 0;
    }
    assert_true(r->n_sent < SENT_MAX && len < sizeof(r->sent[0]));
    memcpy(r->sent[r->n_sent], text, len);
    r->sent[r->n_sent][len] = '\0';
    r->lane[r->n_sent++] = lane;
    return 0;
}

static int store_latch(void *ctx, const struct latch *latch)
{
    struct rig *r = ctx;

    r->n_stored++;
    r->moved_when_stored = r->left != 0 || r->right != 0;
    if (r->disk_full)
        return -1;
    r->stored = *latch;
    return 0;
}

static void read_as(struct rig *r, const char *name, double value, int decimals)
{
    r->readings[r->n_readings++] = (struct hal_reading){name, value, decimals};
}

/* No dead-man within a test: the outputs' own test is for that. */
static void start(struct rig *r, struct latch latch)
{
    char err[128];
    struct outputs_config oc = {.driver = &driver,
                                .hal = r,
                                .deadman_ms = 5000,
                                .watchdog_ms = 5000,
                                .fresh_ms = 5000,
                                .first_hb = 700,
                                .latch = {latch.stopped, latch.seq}};

    r->outputs = outputs_create(&oc, err, sizeof(err));
    assert_non_null(r->outputs);
    struct agent_config ac = {.device_id = "robot_01",
                              .device_name = "Rig",
                              .driver = &driver,
                              .hal = r,
                              .outputs = r->outputs,
                              .interval_ms = 3000,
                              .heartbeat_ms = 200,
                              .latch = latch,
                              .store_latch = store_latch,
                              .deadman_ms = 5000,
                              .send = send_message,
                              .ctx = r};
    r->agent = agent_create(&ac);
    assert_non_null(r->agent);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    start(r, (struct latch){.seq = -1});
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

static void assert_sent(const struct rig *r, size_t n, const char *text)
{
    assert_true(n < r->n_sent);
    assert_string_equal(r->sent[n], text);
}

static void says_how_it_is_then_telemetry_after_the_greeting(void **state)
{
    struct rig *r = *state;

    agent_opened(r->agent, 1000);
    assert_int_equal(r->n_sent, 2);
    assert_sent(r, 0, "{\"type\":\"stop_state\",\"stopped\":false}");
    assert_true(has(r->sent[1], "\"type\":\"status\"") && has(r->sent[1], "\"status\":\"ready\""));
    assert_int_equal(r->lane[0], SENDQ_ORDERED);
    assert_int_equal(r->lane[1], SENDQ_ORDERED);
    agent_tick(r->agent, 1050);
    assert_int_equal(r->n_sent, 2); /* not before the greeting */
    say(r, greeting, 1060);
    agent_tick(r->agent, 1100);
    assert_int_equal(r->n_sent, 3);
    assert_int_equal(r->lane[2], SENDQ_LATEST);
    assert_true(has(r->sent[2], "\"type\":\"telemetry\""));
    assert_true(has(r->sent[2], "\"device_id\":\"robot_01\"") && has(r->sent[2], "\"device_name\":\"Rig\""));
    assert_true(has(r->sent[2], "\"battery\":85,\"cpu\":45.2,\"temperature\":34.8,\"signal\":89.5"));
    assert_true(has(r->sent[2], "\"x\":-1.23"));
    assert_true(has(r->sent[2], "\"timestamp\":\"20"));
}

static void keeps_its_schedule(void **state)
{
    struct rig *r = *state;

    open_and_greet(r, 1000);
    assert_int_equal(r->n_sent, 3);
    for (int64_t t = 1050; t < 4000; t += 50)
        agent_tick(r->agent, t);
    assert_int_equal(r->n_sent, 3);
    agent_tick(r->agent, 4010); /* 10 ms late does not shift the next one */
    assert_int_equal(r->n_sent, 4);
    agent_tick(r->agent, 6990);
    assert_int_equal(r->n_sent, 4);
    agent_tick(r->agent, 7000);
    assert_int_equal(r->n_sent, 5);
    agent_tick(r->agent, 60000); /* the machine slept: one, not eighteen */
    agent_tick(r->agent, 60050);
    assert_int_equal(r->n_sent, 6);
    agent_set_interval(r->agent, 100);
    agent_tick(r->agent, 60100);
    agent_tick(r->agent, 60200);
    assert_int_equal(r->n_sent, 8);
    agent_closed(r->agent, 3600000);
    agent_tick(r->agent, 90000);
    assert_int_equal(r->n_sent, 8);
}

static void beats(void **state)
{
    struct rig *r = *state;

    agent_tick(r->agent, 500);
    assert_int_equal(r->n_hb, 0); /* nobody to hear it */
    agent_opened(r->agent, 1000);
    assert_int_equal(r->n_hb, 1); /* at once */
    assert_int_equal(r->hb, 700);
    for (int64_t t = 1050; t <= 2000; t += 50)
        agent_tick(r->agent, t);
    assert_int_equal(r->n_hb, 6); /* then five a second */
    agent_tick(r->agent, 2230);   /* 30 ms late does not shift the next one */
    agent_tick(r->agent, 2390);
    assert_int_equal(r->n_hb, 7);
    agent_tick(r->agent, 2400);
    assert_int_equal(r->n_hb, 8);
    agent_tick(r->agent, 9000); /* slept: one, not thirty-three */
    agent_tick(r->agent, 9050);
    assert_int_equal(r->n_hb, 9);
    agent_closed(r->agent, 3600000);
    agent_tick(r->agent, 9500);
    assert_int_equal(r->n_hb, 9);
    agent_opened(r->agent, 9600); /* the numbers go on */
    assert_int_equal(r->hb, 709);
}

static void does_without_a_greeting(void **state)
{
    struct rig *r = *state;

    agent_opened(r->agent, 1000);
    agent_tick(r->agent, 1990);
    assert_int_equal(r->n_sent, 2);
    agent_tick(r->agent, 2000);
    assert_int_equal(r->n_sent, 3);
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
    assert_int_equal(r->n_sent, 3);
    assert_false(has(r->sent[2], "battery") || has(r->sent[2], "cpu") || has(r->sent[2], "temperature"));
    assert_false(has(r->sent[2], "9bad") || has(r->sent[2], "load"));
    assert_true(has(r->sent[2], "\"signal\":12.3"));
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
    agent_closed(r->agent, 3600000);
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
    assert_int_equal(r->n_sent, 3); /* and it answers nothing */
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
    assert_int_equal(s.telemetry.sent, 1);
    assert_int_equal(s.telemetry.acked, 1);
    assert_int_equal(s.telemetry.refused, 1);
    assert_int_equal(s.telemetry.dropped, 1);
    assert_int_equal(s.invalid, 0);
}

/* Says a command with this heartbeat and number; returns the answer. */
static const char *order(struct rig *r, const char *what, int64_t hb, int64_t seq)
{
    char text[256];
    size_t before = r->n_sent;

    snprintf(text, sizeof(text), "{\"type\":%s,\"id\":\"c%lld\",\"hb\":%lld,\"seq\":%lld}", what, (long long)seq,
             (long long)hb, (long long)seq);
    say(r, text, 1100);
    assert_int_equal(r->n_sent, before + 1);
    return r->sent[before];
}

static void answers_what_has_an_id(void **state)
{
    static const char forward[] = "\"robot_move\",\"x\":0,\"y\":1";
    struct rig *r = *state;

    open_and_greet(r, 1000);
    assert_string_equal(order(r, forward, 700, 10),
                        "{\"type\":\"ack\",\"id\":\"c10\",\"seq\":10,\"status\":\"applied\"}");
    assert_int_equal(r->lane[r->n_sent - 1], SENDQ_ANSWER);
    assert_true(r->left == 1 && r->right == 1);
    assert_true(has(order(r, forward, 700, 10), "\"status\":\"rejected\",\"reason\":\"old\""));
    assert_true(has(order(r, forward, 9, 11), "\"status\":\"expired\",\"reason\":\"hb\""));
    assert_true(has(order(r, "\"camera_move\",\"x\":1,\"y\":0", 700, 3), "applied"));
    assert_true(has(order(r, "\"set_speed\",\"value\":50", 9, 12), "applied")); /* settings have no age here */
    assert_true(has(order(r, "\"set_speed\",\"value\":60", 700, 12), "\"old\""));
    assert_true(r->left == 0.5);
    assert_true(has(order(r, "\"set_brightness\",\"value\":50,\"epoch\":5", 700, 1), "applied"));
    assert_true(has(order(r, "\"set_brightness\",\"value\":50,\"epoch\":4", 700, 2),
                    "\"status\":\"rejected\",\"reason\":\"epoch\""));
    say(r, "{\"type\":\"request_frame\",\"id\":\"f\",\"seq\":20}", 1100);
    assert_true(has(r->sent[r->n_sent - 2], "no_camera"));
    assert_sent(r, r->n_sent - 1,
                "{\"type\":\"ack\",\"id\":\"f\",\"seq\":20,\"status\":\"rejected\",\"reason\":\"no_camera\"}");
    say(r, "{\"type\":\"robot_move\",\"x\":7,\"y\":0,\"id\":\"far\"}", 1100);
    assert_sent(r, r->n_sent - 1,
                "{\"type\":\"ack\",\"id\":\"far\",\"status\":\"rejected\",\"reason\":\"out_of_range\"}");
    size_t n = r->n_sent;

    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":0.5,\"hb\":1}", 1100);
    assert_int_equal(r->n_sent, n); /* nobody asked */
}

static void forget(struct rig *r)
{
    r->n_sent = 0;
}

static void stops_and_says_so(void **state)
{
    struct rig *r = *state;

    open_and_greet(r, 1000);
    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":1,\"seq\":5}", 1100);
    assert_true(r->left == 1);
    forget(r);
    say(r,
        "{\"type\":\"stop\",\"id\":\"s\",\"by\":\"guest-1\",\"seq\":6,\"timestamp\":\"2026-01-15T10:30:45.123456Z\"}",
        1100);
    assert_true(r->left == 0 && r->right == 0);
    assert_sent(r, 0, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":6,\"by\":\"guest-1\"}");
    assert_sent(r, 1, "{\"type\":\"ack\",\"id\":\"s\",\"seq\":6,\"status\":\"applied\"}");
    assert_true(r->n_stored == 1 && r->stored.stopped && r->stored.seq == 6 && r->stored.at_ms > 0);
    assert_string_equal(r->stored.by, "guest-1");
    assert_false(r->moved_when_stored); /* the outputs were first */
    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":1,\"id\":\"m\",\"seq\":7}", 1100);
    assert_sent(r, 2, "{\"type\":\"ack\",\"id\":\"m\",\"seq\":7,\"status\":\"rejected\",\"reason\":\"stopped\"}");
    say(r, "{\"type\":\"stop\",\"by\":\"guest-1\",\"seq\":6}", 1100); /* said again: answered, not written again */
    assert_sent(r, 3, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":6,\"by\":\"guest-1\"}");
    assert_int_equal(r->n_stored, 1);
    say(r, "{\"type\":\"rearm\",\"id\":\"r\",\"by\":\"guest-2\",\"seq\":6}", 1100);
    assert_sent(r, 4, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":6,\"by\":\"guest-1\"}");
    assert_sent(r, 5, "{\"type\":\"ack\",\"id\":\"r\",\"seq\":6,\"status\":\"rejected\",\"reason\":\"old\"}");
    say(r, "{\"type\":\"rearm\",\"id\":\"r\",\"by\":\"guest-2\",\"seq\":8}", 1100);
    assert_sent(r, 6, "{\"type\":\"stop_state\",\"stopped\":false,\"seq\":8,\"by\":\"guest-2\"}");
    assert_sent(r, 7, "{\"type\":\"ack\",\"id\":\"r\",\"seq\":8,\"status\":\"applied\"}");
    assert_true(r->n_stored == 2 && !r->stored.stopped && r->stored.seq == 8);
    assert_true(r->left == 0);
    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":0.5,\"seq\":9}", 1100);
    assert_true(r->left == 0.5);
    say(r, "{\"type\":\"stop\",\"seq\":7}", 1100); /* overtaken by the re-arm: a stop all the same, and the newest */
    assert_sent(r, 8, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":9}");
    assert_true(r->left == 0 && r->stored.stopped);
    agent_closed(r->agent, 3600000);
    forget(r);
    agent_opened(r->agent, 2000);
    assert_sent(r, 0, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":9}");
}

static void starts_as_it_ended(void **state)
{
    struct rig *r = *state;
    struct latch last = {.stopped = true, .seq = 41, .by = "guest-1"};

    outputs_destroy(r->outputs);
    agent_destroy(r->agent);
    start(r, last);
    open_and_greet(r, 1000);
    assert_sent(r, 0, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":41,\"by\":\"guest-1\"}");
    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":1}", 1100);
    say(r, "{\"type\":\"rearm\",\"seq\":41}", 1100);
    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":1}", 1100);
    assert_true(r->left == 0);
    assert_int_equal(r->n_stored, 0);
    say(r, "{\"type\":\"rearm\"}", 1100); /* no number: by hand */
    assert_true(r->n_stored == 1 && !r->stored.stopped && r->stored.seq == 41);
    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":1}", 1100);
    assert_true(r->left == 1);
}

static void a_stop_that_could_not_be_stored_is_stored_later(void **state)
{
    struct rig *r = *state;

    open_and_greet(r, 1000);
    forget(r);
    r->disk_full = true;
    say(r, "{\"type\":\"stop\",\"id\":\"s\",\"seq\":6}", 1100);
    assert_true(has(r->sent[0], "\"stopped\":true"));
    assert_true(has(r->sent[1], "applied"));
    agent_tick(r->agent, 6000);
    assert_int_equal(r->n_stored, 1);
    agent_tick(r->agent, 6100);
    assert_int_equal(r->n_stored, 2);
    r->disk_full = false;
    agent_tick(r->agent, 11100);
    assert_true(r->n_stored == 3 && r->stored.stopped && r->stored.seq == 6);
    agent_tick(r->agent, 17000);
    assert_int_equal(r->n_stored, 3);
    r->disk_full = true; /* of a re-arm, however, the disk is not asked again: what moves would wait for it */
    say(r, "{\"type\":\"rearm\",\"seq\":7}", 17100);
    agent_tick(r->agent, 30000);
    assert_int_equal(r->n_stored, 4);
    assert_true(r->stored.stopped);
}

static void does_not_say_stopped_before_the_hardware_has(void **state)
{
    struct rig *r = *state;

    open_and_greet(r, 1000);
    say(r, "{\"type\":\"robot_move\",\"x\":0,\"y\":1}", 1100);
    forget(r);
    r->stuck = true;
    say(r, "{\"type\":\"stop\",\"id\":\"s\",\"seq\":6}", 1100);
    assert_int_equal(r->n_sent, 1);
    assert_true(has(r->sent[0], "\"status\":\"rejected\",\"reason\":\"driver\""));
    assert_true(r->stored.stopped);
    agent_tick(r->agent, 1150);
    assert_int_equal(r->n_sent, 1);
    r->stuck = false;
    outputs_alive(r->outputs); /* whoever comes next writes what is owed */
    agent_tick(r->agent, 1200);
    assert_int_equal(r->n_sent, 2);
    assert_sent(r, 1, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":6}");
}

static void says_that_the_driver_refused(void **state)
{
    static const char rejected[] = "\"status\":\"rejected\",\"reason\":\"driver\"";
    struct rig *r = *state;

    open_and_greet(r, 1000);
    assert_true(has(order(r, "\"robot_move\",\"x\":0,\"y\":1", 700, 1), "applied"));
    r->stuck = true;
    assert_true(has(order(r, "\"robot_move\",\"x\":0,\"y\":0.5", 700, 2), rejected));
    assert_true(has(order(r, "\"robot_move\",\"x\":0,\"y\":0", 700, 3), rejected)); /* it still drives */
    assert_true(has(order(r, "\"camera_move\",\"x\":0,\"y\":1", 700, 4), "applied"));
    r->stuck = false;
    assert_true(has(order(r, "\"robot_move\",\"x\":0,\"y\":0", 700, 5), "applied"));
    assert_true(r->left == 0 && r->right == 0);
}

static void says_again_what_the_link_did_not_take(void **state)
{
    struct rig *r = *state;

    open_and_greet(r, 1000);
    forget(r);
    r->full = true;
    say(r, "{\"type\":\"stop\",\"seq\":6}", 1100);
    agent_tick(r->agent, 1150);
    r->full = false;
    agent_tick(r->agent, 1200);
    assert_sent(r, 0, "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":6}");
    agent_tick(r->agent, 1250);
    assert_int_equal(r->n_sent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_how_it_is_then_telemetry_after_the_greeting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_its_schedule, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_without_a_greeting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_out_what_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(obeys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_what_has_an_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops_and_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(starts_as_it_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_that_could_not_be_stored_is_stored_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_say_stopped_before_the_hardware_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_that_the_driver_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_again_what_the_link_did_not_take, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_what_became_of_telemetry, set_up, tear_down),
    };

    log_init("robot_agent", NULL, LOG_ERROR); /* its lines are no part of this test */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
