/* Encoders: byte for byte what the golden samples are. */
#include "common/clock.h"
#include "common/msg.h"

#include "tests/unit/golden.h"

#include <string.h>

#define T_US 1768473045123456
#define T_MS 1768473045123

static char out[4096];
static struct jsonw w;

static struct jsonw *fresh(void)
{
    jsonw_init(&w, out, sizeof out);
    return &w;
}

static void written_as(const char *golden)
{
    json_t *sample = golden_load(golden);
    const json_t *text = json_object_get(sample, "text");
    assert_false(w.overflow);
    if (w.len != json_string_length(text) || memcmp(out, json_string_value(text), w.len) != 0)
        fail_msg("%s: written as %.*s", golden, (int)w.len, out);
    json_decref(sample);
}

static void encoders_commands(void **state)
{
    (void)state;
    struct msg m = {.type = MSG_ROBOT_MOVE, .x = 0.5, .y = -0.3, .device_id = "robot_01", .hb = -1};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_robot_move.json");
    m.id = "c-1";
    m.hb = 4711;
    msg_put_command(fresh(), &m, T_US);
    msg_append_int(&w, "seq", T_US);
    msg_append_int(&w, "epoch", T_MS);
    msg_append_int(&w, "relay_hb", 4712);
    written_as("relay_robot_move_full.json");
    m = (struct msg){.type = MSG_CAMERA_MOVE, .y = 0.25, .hb = -1};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_camera_move.json");
    m = (struct msg){.type = MSG_SET_SPEED, .type_name = "set", .value = 60, .hb = -1};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_set_speed.json");
    m.id = "v-1";
    msg_put_command(fresh(), &m, T_US);
    msg_append_int(&w, "seq", T_US);
    written_as("relay_set_speed_full.json");
    m = (struct msg){.type = MSG_SET_BRIGHTNESS, .value = 12.5, .hb = -1};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_set_brightness.json");
    m = (struct msg){.type = MSG_REQUEST_FRAME, .hb = -1};
    msg_put_command(fresh(), &m, T_US);
    written_as("relay_request_frame.json");
    msg_put_stop(fresh(), MSG_STOP, "s-1", "guest-1a2b3c", T_US, T_US);
    written_as("relay_stop.json");
    msg_put_stop(fresh(), MSG_REARM, NULL, "guest-1a2b3c", T_US, T_US);
    written_as("relay_rearm.json");
}

static void encoders_states(void **state)
{
    (void)state;
    msg_put_stop_state(fresh(), "robot_01", true, true, "guest-1a2b3c", T_MS);
    written_as("relay_stop_state_stopped.json");
    msg_put_stop_state(fresh(), "robot_01", false, false, NULL, T_MS);
    written_as("relay_stop_state_free.json");
    msg_put_control_state(fresh(), "robot_01", "guest-1a2b3c", true, T_MS);
    written_as("relay_control_state_you.json");
    msg_put_control_state(fresh(), "robot_01", NULL, false, T_MS);
    written_as("relay_control_state_nobody.json");
    msg_put_robot_heartbeat(fresh(), "robot_01", 4711);
    written_as("relay_robot_heartbeat.json");
    msg_put_pong(fresh(), "p-1", T_US);
    written_as("relay_pong.json");
    msg_put_pong(fresh(), NULL, T_US);
    written_as("relay_pong_bare.json");
}

static void encoders_receipts(void **state)
{
    (void)state;
    struct msg_ack ack = {"robot_move", "c-1", "Command received: Robot move x=0.5, y=-0.3", 0, true, T_US};
    msg_put_ack(fresh(), &ack);
    written_as("relay_ack_duplicate.json");
    ack = (struct msg_ack){"stop", "s-1", "Command received: Stop", 2, false, T_US};
    msg_put_ack(fresh(), &ack);
    written_as("relay_ack_stop.json");
    struct msg_receipt receipt = {"robot_move", "c-1", "robot_01", MSG_APPLIED, NULL, T_US};
    msg_put_receipt(fresh(), &receipt);
    msg_append_int(&w, "latency_ms", 12);
    written_as("relay_receipt_applied.json");
    receipt.outcome = MSG_REJECTED;
    receipt.reason = "old";
    msg_put_receipt(fresh(), &receipt);
    msg_append_int(&w, "latency_ms", 0);
    written_as("relay_receipt_rejected.json");
}

static void encoders_of_the_robot(void **state)
{
    (void)state;
    msg_put_heartbeat(fresh(), 4711);
    written_as("robot_heartbeat.json");
    msg_put_outcome(fresh(), "c-1", T_US, MSG_APPLIED, NULL);
    written_as("robot_ack_applied.json");
    msg_put_outcome(fresh(), "c-1", T_US, MSG_REJECTED, "stopped");
    written_as("robot_ack_rejected.json");
    msg_put_outcome(fresh(), "c-1", T_US, MSG_TOO_OLD, "hb");
    written_as("robot_ack_expired.json");
    msg_put_robot_stop_state(fresh(), true, T_US, "guest-1a2b3c");
    written_as("robot_stop_state_stopped.json");
    msg_put_robot_stop_state(fresh(), false, -1, NULL);
    written_as("robot_stop_state_free.json");
    msg_put_batch_begin(fresh(), "b-1", "Stairs");
    msg_put_batch_sample(&w, T_MS, "\"battery\":85,\"cpu\":38", 21);
    msg_put_batch_sample(&w, T_MS + 1000, "\"battery\":84.5", 14);
    msg_put_batch_end(&w);
    written_as("robot_telemetry_batch.json");
    for (size_t cap = 0; cap < w.len; cap++) { /* what does not fit stays within */
        struct jsonw tight;
        char small[256] = "";
        jsonw_init(&tight, small, cap);
        msg_put_batch_begin(&tight, "b-1", "Stairs");
        msg_put_batch_sample(&tight, T_MS, "\"battery\":85,\"cpu\":38", 21);
        msg_put_batch_sample(&tight, T_MS + 1000, "\"battery\":84.5", 14);
        msg_put_batch_end(&tight);
        assert_true(tight.overflow && tight.len <= cap);
        assert_true(cap == sizeof small || small[cap] == '\0');
    }
}

/* What does not fit stays marked as such, and nothing is written in front of an object that is none. */
static void appended_numbers(void **state)
{
    (void)state;
    jsonw_init(&w, out, 20);
    jsonw_lit(&w, "{\"type\":\"pong\"}");
    msg_append_int(&w, "seq", T_US);
    assert_true(w.overflow);
    msg_append_int(&w, "seq", 1);
    assert_true(w.overflow && w.len <= 20);
    msg_append_int(fresh(), "seq", 1);
    assert_int_equal(w.len, 0);
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
    ack = (struct msg_ack){"telemetry_batch", "b-1", "Telemetry data received and saved", -1, false, T_US};
    msg_put_ack(fresh(), &ack);
    msg_append_int(&w, "stored", 2);
    written_as("relay_ack_telemetry_batch.json");
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
    msg_put_late_update(fresh(), "robot_01", "Stairs", metrics, strlen("\"battery\":85,\"cpu\":38"), T_MS);
    written_as("relay_telemetry_update_late.json");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoders_commands),     cmocka_unit_test(encoders_connections),
        cmocka_unit_test(encoders_states),       cmocka_unit_test(encoders_receipts),
        cmocka_unit_test(encoders_answers),      cmocka_unit_test(encoders_data),
        cmocka_unit_test(encoders_of_the_robot), cmocka_unit_test(appended_numbers),
        cmocka_unit_test(robot_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
