#include "fcgi/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define T 1768473045123

static struct buf out;
static struct item_clock clock;

static void is_written(const char *text)
{
    buf_add(&out, "", 1);
    assert_false(out.failed);
    assert_string_equal(out.data, text);
    buf_clear(&out, SIZE_MAX);
}

static bool sound(const char *text)
{
    return member_check(text, strlen(text));
}

static void members(void **state)
{
    static const char *const good[] = {
        "",
        "\"a\":1",
        "\"a\":-0.5e-3,\"b2_\":\"\",\"c\":true,\"d\":false,\"e\":null",
        "\"a\":{},\"b\":[],\"c\":[[],{}],\"d\":{\"x\":[1,{\"y\":\"}]\"}],\"z\":0}",
        "\"a\":[[[[[[[[1]]]]]]]]",
        "\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD7ff\\ue000 \xc3\xa4 \xf0\x9f\xa4\x96\"",
        "\"abcdefghijabcdefghijabcdefghijab\":1",
    };
    static const char *const bad[] = {",",
                                      "\"a\"",
                                      "\"a\":",
                                      "a:1",
                                      "\"\":1",
                                      "\"_a\":1",
                                      "\"1\":1",
                                      "\"a\" :1",
                                      "\"a\": 1",
                                      "\"a\":1,",
                                      "\"a\":1,,\"b\":1",
                                      "\"a\":1 ",
                                      "\"a\":01",
                                      "\"a\":+1",
                                      "\"a\":.5",
                                      "\"a\":1.",
                                      "\"a\":1e",
                                      "\"a\":NaN",
                                      "\"a\":nul",
                                      "\"a\":TRUE",
                                      "\"a\":\"",
                                      "\"a\":\"\\",
                                      "\"a\":\"\\x\"",
                                      "\"a\":\"\\u12\"",
                                      "\"a\":\"\\u12g4\"",
                                      "\"a\":\"\\ud800\"",
                                      "\"a\":\"\\uDFFF\"",
                                      "\"a\":\"\n\"",
                                      "\"a\":\"\xff\"",
                                      "\"a\":\"\xed\xa0\x80\"",
                                      "\"a\":{",
                                      "\"a\":{\"b\"}",
                                      "\"a\":{\"b\":1,}",
                                      "\"a\":{\"b\":1]",
                                      "\"a\":[1,]",
                                      "\"a\":[1}",
                                      "\"a\":[,1]",
                                      "\"a\":[1 ,2]",
                                      "\"a\":[[[[[[[[[1]]]]]]]]]",
                                      "\"a\":1}",
                                      "\"a\":1,\"b\":2,\"a\":3",
                                      "\"abcdefghijabcdefghijabcdefghijabc\":1",
                                      "\"a\":1\"b\":2",
                                      "\"a\":{}{}"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!sound(good[i]))
            fail_msg("refused: %s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (sound(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    }
    assert_false(member_check("\"a\":\"\0\"", 8));
}

static void member_bounds(void **state)
{
    static char many[2000], large[MEMBER_TEXT_MAX + 20];
    (void)state;
    for (int i = 0; i < MEMBERS_MAX; i++)
        sprintf(many + strlen(many), "%s\"m%d\":%d", i ? "," : "", i, i);
    assert_true(sound(many));
    strcat(many, ",\"m\":0");
    assert_false(sound(many));
    memset(large, 'x', sizeof(large) - 1);
    memcpy(large, "\"a\":\"", 5);
    large[MEMBER_TEXT_MAX - 1] = '"';
    assert_true(member_check(large, MEMBER_TEXT_MAX));
    large[MEMBER_TEXT_MAX - 1] = 'x';
    large[MEMBER_TEXT_MAX] = '"';
    assert_false(member_check(large, MEMBER_TEXT_MAX + 1));
}

static void numbers(void **state)
{
    static const char text[] = "\"a\":9007199254740992,\"b\":9007199254740993,\"c\":1.0,\"d\":-1,\"e\":\"1\",\"f\":0,"
                               "\"g\":10000000000000000";
    static const char *const none[] = {"b", "c", "d", "e", "g"};
    struct member m;
    uint64_t value = 1;
    (void)state;
    assert_true(member_find(text, strlen(text), "a", &m) && member_number(&m, &value));
    assert_true(value == 9007199254740992u);
    assert_true(member_find(text, strlen(text), "f", &m) && member_number(&m, &value));
    assert_true(value == 0);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_true(member_find(text, strlen(text), none[i], &m));
        assert_false(member_number(&m, &value));
    }
    assert_false(member_find(text, strlen(text), "h", &m));
}

static bool put_event(const char *text)
{
    struct audit_event e;
    struct series_sample s = {.id = {T, 2}, .text = text, .len = (uint32_t)strlen(text)};
    bool is = audit_event_read(text, strlen(text), &e);
    audit_put_event(&out, &clock, &s);
    assert_true(is == (out.len > 0));
    return is;
}

static void events(void **state)
{
    static const char *const none[] = {
        "",
        "\"kind\":\"stop\"",
        "\"device_id\":\"r\"",
        "\"kind\":\"crash\",\"device_id\":\"r\"",
        "\"kind\":1,\"device_id\":\"r\"",
        "\"kind\":\"stop\",\"device_id\":\"a b\"",
        "\"kind\":\"stop\",\"device_id\":\"\"",
        "\"kind\":\"stop\",\"device_id\":7",
        "\"kind\":\"stop\",\"device_id\":\"r\",\"by\":\"x",
        "\"kind\":\"stop\",\"device_id\":\"r\",\"kind\":\"rearm\"",
    };
    (void)state;
    assert_true(put_event("\"kind\":\"stop\",\"device_id\":\"robot_01\",\"by\":\"guest-1\",\"seq\":7"));
    is_written("{\"id\":\"1768473045123-2\",\"device_id\":\"robot_01\",\"timestamp\":\"2026-01-15T10:30:45.123Z\","
               "\"kind\":\"stop\",\"by\":\"guest-1\",\"seq\":7}");
    /* Members that an item has itself are not taken from the entry. */
    assert_true(
        put_event("\"timestamp\":1,\"id\":{\"a\":[1]},\"device_id\":\"r\",\"kind\":\"control\",\"holder\":null"));
    is_written("{\"id\":\"1768473045123-2\",\"device_id\":\"r\",\"timestamp\":\"2026-01-15T10:30:45.123Z\","
               "\"kind\":\"control\",\"holder\":null}");
    for (int kind = 0; kind < AUDIT_KINDS; kind++) {
        const char *name = audit_kind_name((enum audit_kind)kind);
        assert_int_equal(audit_kind_find(name, strlen(name)), kind);
        assert_non_null(strstr(audit_kind_list, name));
    }
    assert_int_equal(audit_kind_find("stopped", 7), -1);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        if (put_event(none[i]))
            fail_msg("taken for an event: %s", none[i]);
    }
}

#define COMMAND(outcome)                                                                                               \
    "\"seq\":5,\"by\":\"guest-1\",\"relay\":\"wsd-1\",\"received_ms\":1768473045120,\"outcome\":\"" outcome "\","      \
    "\"epoch\":9,\"command\":{\"type\":\"robot_move\",\"x\":0.5,\"y\":-0.30,\"id\":\"c-1\",\"hb\":17}"
#define HEAD                                                                                                           \
    "{\"id\":\"1768473045123-2\",\"device_id\":\"robot_01\",\"timestamp\":\"2026-01-15T10:30:45.123Z\",\"seq\":5,"     \
    "\"by\":\"guest-1\",\"relay\":\"wsd-1\",\"type\":\"robot_move\",\"command_id\":\"c-1\",\"x\":0.5,\"y\":-0.30,"     \
    "\"epoch\":9,"
#define RECEIVED "\"stages\":[{\"stage\":\"received\",\"timestamp\":\"2026-01-15T10:30:45.120Z\"},"

static bool put_command(const char *text, const struct audit_stage *stages, size_t n)
{
    struct audit_command c;
    struct series_sample s = {.id = {T, 2}, .text = text, .len = (uint32_t)strlen(text)};
    bool is = audit_command_read(text, strlen(text), &c);
    audit_put_command(&out, &clock, "robot_01", &s, stages, n);
    assert_true(is == (out.len > 0));
    return is;
}

static struct audit_stage stage(uint64_t after_ms, const char *text)
{
    return (struct audit_stage){.id = {T + after_ms, 0}, .text = text, .len = strlen(text)};
}

static void commands(void **state)
{
    (void)state;
    assert_true(put_command(COMMAND("sent"), NULL, 0));
    is_written(HEAD "\"outcome\":\"sent\"," RECEIVED
                    "{\"stage\":\"sent\",\"timestamp\":\"2026-01-15T10:30:45.123Z\"}]}");
    assert_true(put_command(COMMAND("stopped"), NULL, 0));
    is_written(HEAD "\"outcome\":\"stopped\"," RECEIVED
                    "{\"stage\":\"stopped\",\"timestamp\":\"2026-01-15T10:30:45.123Z\"}]}");

    struct audit_stage two[] = {stage(1, "\"seq\":5,\"outcome\":\"rejected\",\"reason\":\"old\""),
                                stage(2, "\"seq\":5,\"outcome\":\"expired\",\"reason\":\"hb\"")};
    assert_true(put_command(COMMAND("sent"), two, 2));
    is_written(HEAD "\"outcome\":\"expired\",\"reason\":\"hb\"," RECEIVED
                    "{\"stage\":\"sent\",\"timestamp\":\"2026-01-15T10:30:45.123Z\"},"
                    "{\"stage\":\"rejected\",\"timestamp\":\"2026-01-15T10:30:45.124Z\",\"reason\":\"old\"},"
                    "{\"stage\":\"expired\",\"timestamp\":\"2026-01-15T10:30:45.125Z\",\"reason\":\"hb\"}]}");
    /* What was applied stays applied. */
    two[0] = stage(1, "\"seq\":5,\"outcome\":\"applied\"");
    assert_true(put_command(COMMAND("sent"), two, 2));
    is_written(HEAD "\"outcome\":\"applied\"," RECEIVED
                    "{\"stage\":\"sent\",\"timestamp\":\"2026-01-15T10:30:45.123Z\"},"
                    "{\"stage\":\"applied\",\"timestamp\":\"2026-01-15T10:30:45.124Z\"},"
                    "{\"stage\":\"expired\",\"timestamp\":\"2026-01-15T10:30:45.125Z\",\"reason\":\"hb\"}]}");

    /* It cannot have come after it was decided: that is the clocks' difference. */
    assert_true(put_command(
        "\"seq\":6,\"received_ms\":1768473045124,\"outcome\":\"sent\",\"command\":{\"type\":\"stop\"}", NULL, 0));
    buf_add(&out, "", 1);
    assert_non_null(strstr(out.data, "{\"stage\":\"received\",\"timestamp\":\"2026-01-15T10:30:45.123Z\"}"));
    buf_clear(&out, SIZE_MAX);
    /* What a relay sent in somebody's name. */
    assert_true(
        put_command("\"seq\":6,\"by\":\"guest-1\",\"relay\":\"wsd-1\",\"cause\":\"deadman\",\"outcome\":\"sent\","
                    "\"command\":{\"type\":\"robot_move\",\"x\":0,\"y\":0,\"cause\":\"none\"}",
                    NULL, 0));
    is_written("{\"id\":\"1768473045123-2\",\"device_id\":\"robot_01\",\"timestamp\":\"2026-01-15T10:30:45.123Z\","
               "\"seq\":6,\"by\":\"guest-1\",\"relay\":\"wsd-1\",\"cause\":\"deadman\",\"type\":\"robot_move\",\"x\":0,"
               "\"y\":0,\"outcome\":\"sent\",\"stages\":[{\"stage\":\"sent\",\"timestamp\":"
               "\"2026-01-15T10:30:45.123Z\"}]}");
    assert_true(put_command("\"seq\":6,\"outcome\":\"sent\",\"command\":{\"type\":\"stop\"}", NULL, 0));
    is_written("{\"id\":\"1768473045123-2\",\"device_id\":\"robot_01\",\"timestamp\":\"2026-01-15T10:30:45.123Z\","
               "\"seq\":6,\"by\":null,\"relay\":null,\"type\":\"stop\",\"outcome\":\"sent\","
               "\"stages\":[{\"stage\":\"sent\",\"timestamp\":\"2026-01-15T10:30:45.123Z\"}]}");
}

static void no_commands(void **state)
{
    static const char *const none[] = {
        "",
        "\"seq\":5,\"outcome\":\"sent\"",
        "\"seq\":5,\"outcome\":\"sent\",\"command\":\"{}\"",
        "\"seq\":5,\"outcome\":\"sent\",\"command\":{}",
        "\"seq\":5,\"outcome\":\"sent\",\"command\":{\"type\":7}",
        "\"seq\":5,\"outcome\":\"sent\",\"command\":{\"type\":\"stop\",\"type\":\"rearm\"}",
        "\"seq\":-5,\"outcome\":\"sent\",\"command\":{\"type\":\"stop\"}",
        "\"seq\":1.7e15,\"outcome\":\"sent\",\"command\":{\"type\":\"stop\"}",
        "\"outcome\":\"sent\",\"command\":{\"type\":\"stop\"}",
        "\"seq\":5,\"command\":{\"type\":\"stop\"}",
        "\"seq\":5,\"outcome\":null,\"command\":{\"type\":\"stop\"}",
        "\"seq\":5,\"outcome\":\"sent\",\"command\":{\"type\":\"stop\"},",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        if (put_command(none[i], NULL, 0))
            fail_msg("taken for a command: %s", none[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members), cmocka_unit_test(member_bounds), cmocka_unit_test(numbers),
        cmocka_unit_test(events),  cmocka_unit_test(commands),      cmocka_unit_test(no_commands),
    };
    buf_init(&out, 1 << 20);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    buf_finish(&out);
    return rc;
}
