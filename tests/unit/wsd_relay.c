#include "wsd/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 20260118u

static const struct conf_wsd conf = {.command_bytes = 4096,
                                     .telemetry_bytes = 16384,
                                     .batch_bytes = 131072,
                                     .video_bytes = 528384,
                                     .move_ttl_ms = 500,
                                     .setting_ttl_ms = 10000};

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* Moves replace each other per kind and live shortly; settings stand in line. A sender may only shorten that. */
static void routes(void **state)
{
    (void)state;
    static const enum msg_type moves[] = {MSG_ROBOT_MOVE, MSG_CAMERA_MOVE};
    static const enum msg_type settings[] = {MSG_SET_SPEED, MSG_SET_BRIGHTNESS, MSG_REQUEST_FRAME};
    for (size_t i = 0; i < 2; i++) {
        assert_int_not_equal(relay_command_key(moves[i]), 0);
        assert_int_equal(relay_command_ttl(&conf, &(struct msg){.type = moves[i], .y = 0.1}), 500);
        assert_int_equal(relay_command_ttl(&conf, &(struct msg){.type = moves[i], .y = 0.1, .ttl_ms = 501}), 500);
        assert_int_equal(relay_command_ttl(&conf, &(struct msg){.type = moves[i], .y = 0.1, .ttl_ms = 80}), 80);
        assert_int_equal(relay_command_ttl(&conf, &(struct msg){.type = moves[i], .ttl_ms = 80}), 0); /* a zero */
    }
    assert_int_not_equal(relay_command_key(MSG_ROBOT_MOVE), relay_command_key(MSG_CAMERA_MOVE));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(relay_command_key(settings[i]), 0);
        assert_int_equal(relay_command_ttl(&conf, &(struct msg){.type = settings[i]}), 10000);
        assert_int_equal(relay_command_ttl(&conf, &(struct msg){.type = settings[i], .ttl_ms = 9000}), 9000);
    }
}

static void sizes(void **state)
{
    (void)state;
    assert_int_equal(relay_message_max(&conf, MSG_FROM_WEBSITE), 4096);
    assert_int_equal(relay_message_max(&conf, MSG_FROM_ROBOT), 528384);
    struct conf_wsd odd = conf;
    odd.video_bytes = odd.batch_bytes = 1024; /* a configuration may be odd; telemetry still gets through */
    assert_int_equal(relay_message_max(&odd, MSG_FROM_ROBOT), 16384);
    odd.batch_bytes = 20000;
    assert_int_equal(relay_message_max(&odd, MSG_FROM_ROBOT), 20000);
    assert_false(relay_is_long(&conf, MSG_FROM_ROBOT, 16384));
    assert_true(relay_is_long(&conf, MSG_FROM_ROBOT, 16385));
    assert_false(relay_is_long(&conf, MSG_FROM_WEBSITE, 1000000));
}

static bool looks(const char *text)
{
    return relay_long_type(&conf, text, strlen(text)) == MSG_VIDEO_FRAME;
}

static void video(void **state)
{
    (void)state;
    assert_true(looks("{\"type\":\"video_frame\",\"frame_data\":\"AAAA\",\"frame_number\":1,\"timestamp\":5}"));
    assert_true(looks("{\"frame_data\":\"AAAA\",\"type\" : \"video_frame\"}"));
    assert_false(looks("{\"type\":\"telemetry\",\"battery\":1}"));
    assert_false(looks("{\"type\":\"video_frames\"}"));
    assert_false(looks(""));
    assert_false(looks("\"video_frame"));
    assert_true(looks("\"video_frame\",,,,,,,,,,,,,,,,"));
    assert_false(looks("\"video_frame\",,,,,,,,,,,,,,,,,")); /* the seventeenth comma */
}

/* Only what is inside the length is looked at. */
static void video_in_its_bounds(void **state)
{
    (void)state;
    static const char whole[] = "{\"type\":\"video_frame\"}";
    size_t needed = strlen("{\"type\":\"video_frame\"");
    for (size_t len = 0; len < sizeof(whole); len++) {
        char *text = malloc(len + (len == 0));
        assert_non_null(text);
        memcpy(text, whole, len);
        assert_int_equal(relay_long_type(&conf, text, len) == MSG_VIDEO_FRAME, len >= needed);
        free(text);
    }
}

static void random_videos(void **state)
{
    uint32_t seed = SEED;
    (void)state;
    for (int i = 0; i < 10000; i++) {
        char text[200];
        size_t len = 20 + random_bits(&seed) % (sizeof(text) - 20);
        size_t commas = 0;
        bool named = random_bits(&seed) % 2;
        for (size_t k = 0; k < len; k++)
            text[k] = "abc,0\"{}:["[random_bits(&seed) % 10];
        if (named)
            memcpy(text + random_bits(&seed) % (len - 13 + 1), "\"video_frame\"", 13);
        for (size_t k = 0; k < len; k++)
            commas += text[k] == ',';
        assert_int_equal(relay_long_type(&conf, text, len) == MSG_VIDEO_FRAME, named && commas <= 16);
    }
}

/* `n` of `what` in a text that says it is a batch. */
static enum msg_type type_of_batch(char what, size_t n)
{
    static char text[200000];
    size_t len = (size_t)snprintf(text, sizeof(text), "\"telemetry_batch\"");
    memset(text + len, what, n);
    return relay_long_type(&conf, text, len + n);
}

static void batches(void **state)
{
    (void)state;
    assert_int_equal(type_of_batch('{', 200), MSG_TELEMETRY_BATCH);
    assert_int_equal(type_of_batch('{', 201), MSG_NONE);
    assert_int_equal(type_of_batch('[', 16), MSG_TELEMETRY_BATCH);
    assert_int_equal(type_of_batch('[', 17), MSG_NONE);
    assert_int_equal(type_of_batch(',', 100 * 37), MSG_TELEMETRY_BATCH); /* every sample with all metrics */
    assert_int_equal(type_of_batch(',', 7400), MSG_TELEMETRY_BATCH);
    assert_int_equal(type_of_batch(',', 7401), MSG_NONE);
    assert_int_equal(type_of_batch('a', 131072 - 17), MSG_TELEMETRY_BATCH);
    assert_int_equal(type_of_batch('a', 131072 - 16), MSG_NONE); /* batch_bytes */
    assert_int_equal(relay_long_type(&conf, "\"telemetry\"", 11), MSG_NONE);
    assert_int_equal(relay_long_type(&conf, "", 0), MSG_NONE);
    struct conf_wsd thin = conf;
    thin.video_bytes = 20; /* what video may not be, a batch may */
    assert_int_equal(relay_long_type(&thin, "\"video_frame\" \"telemetry_batch\"", 31), MSG_TELEMETRY_BATCH);
}

static void costs(void **state)
{
    (void)state;
    struct msg m = {.type = MSG_TELEMETRY};
    assert_int_equal(relay_cost(&m), 1);
    m.type = MSG_TELEMETRY_BATCH;
    for (m.n_samples = 1; m.n_samples <= MSG_SAMPLES_MAX; m.n_samples++)
        assert_int_equal(relay_cost(&m), (int)(m.n_samples + 9) / 10);
}

static void sample_times(void **state)
{
    (void)state;
    const int64_t now = 1768473045123;
    struct msg m = {.type = MSG_TELEMETRY};
    m.time_ms = now;
    assert_int_equal(relay_sample_time(&m, now), -1); /* it said none */
    m.has_time = true;
    assert_int_equal(relay_sample_time(&m, now), now);
    m.time_ms = now + RELAY_AHEAD_MS;
    assert_int_equal(relay_sample_time(&m, now), now + RELAY_AHEAD_MS);
    m.time_ms = now + RELAY_AHEAD_MS + 1;
    assert_int_equal(relay_sample_time(&m, now), -1);
    m.time_ms = INT64_MAX;
    assert_int_equal(relay_sample_time(&m, now), -1);
    m.time_ms = 1;
    assert_int_equal(relay_sample_time(&m, now), 1); /* old ones may be late, Redis refuses what is out of order */
    m.time_ms = 0;
    assert_int_equal(relay_sample_time(&m, now), -1);
    m.time_ms = INT64_MIN;
    assert_int_equal(relay_sample_time(&m, now), -1);
}

static void zero_motion(void **state)
{
    (void)state;
    struct msg m = {.type = MSG_ROBOT_MOVE};
    assert_true(relay_is_zero_motion(&m));
    m.x = -0.0;
    assert_true(relay_is_zero_motion(&m));
    m.x = 1e-300;
    assert_false(relay_is_zero_motion(&m));
    m.x = 0.0;
    m.y = -1.0;
    assert_false(relay_is_zero_motion(&m));
    m = (struct msg){.type = MSG_CAMERA_MOVE};
    assert_true(relay_is_zero_motion(&m));
    m.type = MSG_SET_SPEED;
    assert_false(relay_is_zero_motion(&m));
    m.type = MSG_REQUEST_FRAME;
    assert_false(relay_is_zero_motion(&m));
}

static void paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool valid;
    } cases[] = {
        {"/ws/telemetry", true},
        {"/ws/telemetry/", true},
        {"/ws/telemetry//", false},
        {"/ws/telemetr", false},
        {"/ws/telemetryx", false},
        {"", false},
        {"/", false},
        {"ws/telemetry/", false},
        {"/WS/telemetry/", false},
        {"/ws/telemetry/a", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(relay_path_valid(cases[i].path, strlen(cases[i].path)), cases[i].valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes),       cmocka_unit_test(sizes),
        cmocka_unit_test(video),        cmocka_unit_test(random_videos),
        cmocka_unit_test(batches),      cmocka_unit_test(costs),
        cmocka_unit_test(sample_times), cmocka_unit_test(video_in_its_bounds),
        cmocka_unit_test(zero_motion),  cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
