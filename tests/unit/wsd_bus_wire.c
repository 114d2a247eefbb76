#include "wsd/bus_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 20261124u
#define OWN  "wsd-1#00000000000000aa"

static enum bus_wire_kind command(const char *text, struct bus_wire_order *o)
{
    return bus_wire_parse_command(text, strlen(text), OWN, 1000, o);
}

static void test_order(void **state)
{
    (void)state;
    struct bus_wire_order o;
    assert_int_equal(command("1500 robot_move 1768473045123456 wsd-2#bb/12/345 3 a b {\"x\":1}", &o), BUS_WIRE_ORDER);
    assert_int_equal(o.order.type, MSG_ROBOT_MOVE);
    assert_int_equal(o.order.left_ms, 500);
    assert_true(o.order.seq == 1768473045123456);
    assert_string_equal(o.order.origin.instance, "wsd-2#bb");
    assert_int_equal(o.order.origin.number, 12);
    assert_int_equal(o.order.origin.t0, 345);
    assert_int_equal(o.order.id_len, 3);
    assert_memory_equal(o.order.id, "a b", 3);
    assert_int_equal(o.order.len, 7);
    assert_string_equal(o.order.json, "{\"x\":1}");

    assert_int_equal(command("900 set_speed 1 " OWN "/0/0 0  {}", &o), BUS_WIRE_ORDER);
    assert_null(o.order.origin.instance);
    assert_int_equal(o.order.left_ms, -100);
    assert_int_equal(o.order.id_len, 0);
    assert_string_equal(o.order.json, "{}");

    assert_int_equal(command("0 stop 1 x/1/2 0  {}", &o), BUS_WIRE_ORDER);
    assert_int_equal(o.order.type, MSG_STOP);
    assert_true(o.order.left_ms == INT64_MAX);
    assert_int_equal(command("0 rearm 1 x/1/2 0  {}", &o), BUS_WIRE_ORDER);
    assert_int_equal(o.order.type, MSG_REARM);
}

static void test_no_order(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "1500",
        "1500 robot_move",
        "1500 robot_move {\"x\":1}",
        "-1 stop 1 x/1/2 0  {}",
        " 1 stop 1 x/1/2 0  {}",
        "+1 stop 1 x/1/2 0  {}",
        "1 stop 1 x/1/2 0 ",
        "1 stop 1 x/1/2 0  ",
        "1 stop 1 x/1/2 1 a{}",
        "1 stop 1 x/1/2 9 a {}",
        "1 stop 1 x/1/2 65 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa {}",
        "1 stop 1 x/1/2 18446744073709551615 a {}",
        "1 stop 1 /1/2 0  {}",
        "1 stop 1 x/1 0  {}",
        "1 stop 1 x/a/2 0  {}",
        "1 stop a x/1/2 0  {}",
        "1 stop 9223372036854775808 x/1/2 0  {}",
        "1 stop 99999999999999999999 x/1/2 0  {}",
        "1 telemetry 1 x/1/2 0  {}",
        "1 ping 1 x/1/2 0  {}",
        "1 nonsense 1 x/1/2 0  {}",
        "1  1 x/1/2 0  {}",
        "watch",
        "watch ",
        "watch a b",
    };
    struct bus_wire_order o;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (command(texts[i], &o) != BUS_WIRE_NOTHING)
            fail_msg("\"%s\" counts as an order", texts[i]);
    }
    char text[BUS_WIRE_INSTANCE_MAX + 8] = "watch ";
    memset(text + 6, 'a', BUS_WIRE_INSTANCE_MAX);
    assert_int_equal(command(text, &o), BUS_WIRE_NOTHING);
    text[5 + BUS_WIRE_INSTANCE_MAX] = '\0';
    assert_int_equal(command(text, &o), BUS_WIRE_WATCH);
    assert_string_equal(o.instance, text + 6);
}

/* What is written is what is read. */
static void test_tail(void **state)
{
    (void)state;
    char sender[BUS_WIRE_SENDER_MAX], tail[BUS_WIRE_TAIL_MAX], text[512];
    char id[MSG_COMMAND_ID_MAX + 1], name[BUS_WIRE_INSTANCE_MAX];
    struct bus_wire_order o;
    memset(id, ' ', MSG_COMMAND_ID_MAX);
    id[MSG_COMMAND_ID_MAX] = '\0';
    memset(name, '#', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    const char *const ids[] = {NULL, "", "a", "1 2", id};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        const char *want = ids[i] ? ids[i] : "";
        bus_wire_sender(sender, name, UINT64_MAX);
        size_t len = bus_wire_tail(tail, sender, INT64_MAX, ids[i]);
        assert_int_equal(len, strlen(tail));
        snprintf(text, sizeof(text), "0 request_frame 7 %s {}", tail);
        assert_int_equal(command(text, &o), BUS_WIRE_ORDER);
        assert_string_equal(o.instance, name);
        assert_true(o.order.origin.number == UINT64_MAX && o.order.origin.t0 == INT64_MAX);
        assert_int_equal(o.order.id_len, strlen(want));
        assert_memory_equal(o.order.id, want, strlen(want));
        assert_string_equal(o.order.json, "{}");
    }
}

static void test_name(void **state)
{
    (void)state;
    char out[MSG_NAME_MAX + 1], lots[200];
    memset(lots, 'x', sizeof(lots) - 1);
    lots[sizeof(lots) - 1] = '\0';
    const char *const names[][2] = {{NULL, "-"},
                                    {"", "-"},
                                    {"guest-ab12cd", "guest-ab12cd"},
                                    {"a.b+c@d-e_F9", "a.b+c@d-e_F9"},
                                    {"a b\n\"\\c", "a_b___c"},
                                    {"\xc3\xa4", "__"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bus_wire_name(out, names[i][0]);
        assert_string_equal(out, names[i][1]);
    }
    bus_wire_name(out, lots);
    assert_int_equal(strlen(out), MSG_NAME_MAX);
}

static bool presence(const char *text, struct presence_event *ev)
{
    return bus_wire_parse_presence(text, strlen(text), ev);
}

static void test_presence(void **state)
{
    (void)state;
    struct presence_event ev;
    assert_true(presence("12 up 34 robot_01", &ev));
    assert_true(ev.seq == 12 && ev.up && ev.conn == 34);
    assert_string_equal(ev.device_id, "robot_01");
    assert_true(presence("12 down 34 robot_01", &ev));
    assert_false(ev.up);
    static const char *const bad[] = {
        "",         "12",       "12 up",     "12 up 3",   "12 up 3 ",   "12 up 3 a b", "12 over 3 a",
        "12up 3 a", "a up 3 a", "12 up a a", "-1 up 3 a", " 12 up 3 a", "12 up 3 a\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (presence(bad[i], &ev))
            fail_msg("\"%s\" counts as a presence event", bad[i]);
    }
}

static enum bus_wire_kind relay(const char *text, struct bus_wire_relay *m)
{
    return bus_wire_parse_relay(text, strlen(text), m);
}

static void test_relay(void **state)
{
    (void)state;
    struct bus_wire_relay m;
    assert_int_equal(relay("kick 12 robot_01", &m), BUS_WIRE_KICK);
    assert_int_equal(m.number, 12);
    assert_string_equal(m.rest, "robot_01");
    assert_int_equal(relay("receipt 3 456 {\"a\":1}", &m), BUS_WIRE_RECEIPT);
    assert_true(m.number == 3 && m.t0 == 456 && m.len == 7);
    assert_string_equal(m.rest, "{\"a\":1}");
    assert_int_equal(relay("states", &m), BUS_WIRE_STATES);
    assert_int_equal(m.len, 0);
    assert_int_equal(relay("states\na\nb", &m), BUS_WIRE_STATES);
    assert_string_equal(m.rest, "\na\nb");
    static const char *const bad[] = {
        "",          "kick",        "kick 12",      "kick 12 ",        "kick a b",  "kick 1 a b", "receipt",
        "receipt 3", "receipt 3 4", "receipt 3 4 ", "receipt -3 4 {}", "statesman", "probe 1",    "kick 1  a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (relay(bad[i], &m) != BUS_WIRE_NOTHING)
            fail_msg("\"%s\" counts as something", bad[i]);
    }
}

static enum bus_wire_kind parse_state(const char *text, struct bus_wire_state *s)
{
    return bus_wire_parse_state(text, strlen(text), OWN, s);
}

static void test_state(void **state)
{
    (void)state;
    struct bus_wire_state s;
    assert_int_equal(parse_state("stop robot_01 1768473045123456 1 0 1768473045123 ann", &s), BUS_WIRE_STOP);
    assert_string_equal(s.stop.device_id, "robot_01");
    assert_true(s.stop.seq == 1768473045123456 && s.stop.stopped && !s.stop.confirmed && s.stop.at_ms == 1768473045123);
    assert_string_equal(s.stop.by, "ann");
    assert_int_equal(parse_state("control r 5 " OWN "/7 bob", &s), BUS_WIRE_CONTROL);
    assert_string_equal(s.control.device_id, "r");
    assert_true(s.control.epoch == 5 && s.control.number == 7);
    assert_string_equal(s.control.name, "bob");
    assert_int_equal(parse_state("control r 5 wsd-2#bb/7 bob", &s), BUS_WIRE_CONTROL);
    assert_int_equal(s.control.number, 0);
    assert_int_equal(parse_state("control r 6 - -", &s), BUS_WIRE_CONTROL);
    assert_null(s.control.name);
    assert_int_equal(s.control.number, 0);
    static const char *const bad[] = {"",
                                      "stop",
                                      "stop r",
                                      "stop r 1 1 0 5",
                                      "stop r 1 1 0 5 ",
                                      "stop r 1 2 0 5 a",
                                      "stop r 1 1 -1 5 a",
                                      "stop r/s 1 1 0 5 a",
                                      "stop r 1 1 0 5 a\nstop",
                                      "control r 5",
                                      "control r 5 - ",
                                      "control r 5 - - ",
                                      "control r 5 x bob",
                                      "control r 5 x/y bob",
                                      "control r -5 - -",
                                      "stopp r 1 1 0 5 a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse_state(bad[i], &s) != BUS_WIRE_NOTHING)
            fail_msg("\"%s\" counts as a state", bad[i]);
    }
}

static void test_states(void **state)
{
    (void)state;
    static const char text[] = "\nstop a 1 1 0 5 ann\nnonsense\ncontrol b 7 " OWN "/3 bob\n\nstop c 2 1 1 6 -";
    struct bus_wire_states s;
    assert_int_equal(bus_wire_parse_states(text, sizeof(text) - 1, OWN, &s), 0);
    assert_int_equal(s.n_stops, 2);
    assert_int_equal(s.n_controls, 1);
    assert_string_equal(s.stops[0].device_id, "a");
    assert_string_equal(s.stops[0].by, "ann");
    assert_string_equal(s.stops[1].device_id, "c");
    assert_true(s.stops[1].confirmed);
    assert_string_equal(s.controls[0].device_id, "b");
    assert_string_equal(s.controls[0].name, "bob");
    assert_int_equal(s.controls[0].number, 3);
    bus_wire_states_finish(&s);
    assert_int_equal(bus_wire_parse_states("", 0, OWN, &s), 0);
    assert_int_equal(s.n_stops + s.n_controls, 0);
    bus_wire_states_finish(&s);
}

/* --- any bytes ----------------------------------------------------------------------------------- */

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static bool within(const char *at, size_t len, const char *text, size_t text_len)
{
    return at >= text && at <= text + text_len && len <= (size_t)(text + text_len - at);
}

/* Whatever it is taken for, what comes out is in range and inside the text. The fuzzer asks the same. */
static void check_parsers(const char *text, size_t len)
{
    struct bus_wire_order o;
    struct bus_wire_relay m;
    struct bus_wire_states s;
    struct presence_event ev;
    if (bus_wire_parse_command(text, len, OWN, 1000, &o) == BUS_WIRE_ORDER) {
        assert_true(o.order.seq >= 0 && o.order.origin.t0 >= 0 && o.order.id_len <= MSG_COMMAND_ID_MAX);
        assert_true(within(o.order.id, o.order.id_len, text, len));
        assert_true(within(o.order.json, o.order.len, text, len) && o.order.len > 0);
    }
    if (bus_wire_parse_relay(text, len, &m) != BUS_WIRE_NOTHING)
        assert_true(within(m.rest, m.len, text, len));
    if (bus_wire_parse_presence(text, len, &ev))
        assert_true(msg_device_id_valid(ev.device_id, strlen(ev.device_id)));
    assert_int_equal(bus_wire_parse_states(text, len, OWN, &s), 0);
    for (size_t i = 0; i < s.n_stops; i++)
        assert_true(msg_device_id_valid(s.stops[i].device_id, strlen(s.stops[i].device_id)) && s.stops[i].by[0]);
    for (size_t i = 0; i < s.n_controls; i++)
        assert_true(s.controls[i].epoch >= 0 && (s.controls[i].name != NULL || s.controls[i].number == 0));
    bus_wire_states_finish(&s);
}

static void test_random_bytes(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "1500 robot_move 17 wsd-2#bb/12/345 3 a b {\"x\":1}",
        "watch wsd-2#bb",
        "12 up 34 robot_01",
        "receipt 3 456 {\"a\":1}",
        "kick 12 robot_01",
        "states\nstop a 1 1 0 5 ann\ncontrol b 7 wsd-1#00000000000000aa/3 bob\ncontrol c 8 - -"};
    uint32_t seed = SEED;
    for (int round = 0; round < 300000; round++) {
        const char *from = seeds[random_bits(&seed) % (sizeof(seeds) / sizeof(seeds[0]))];
        size_t len = strlen(from);
        char *text = malloc(len + 1); /* of exactly that size, so that sanitizers see a byte too many */
        assert_non_null(text);
        memcpy(text, from, len + 1);
        for (uint32_t n = random_bits(&seed) % 4; n > 0; n--)
            text[random_bits(&seed) % len] =
                random_bits(&seed) % 3 ? " 09/-\n#a"[random_bits(&seed) % 8] : (char)random_bits(&seed);
        if (random_bits(&seed) % 4 == 0) {
            len = random_bits(&seed) % (uint32_t)len;
            text[len] = '\0';
        }
        check_parsers(text, len);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_no_order), cmocka_unit_test(test_tail),
        cmocka_unit_test(test_name),  cmocka_unit_test(test_presence), cmocka_unit_test(test_relay),
        cmocka_unit_test(test_state), cmocka_unit_test(test_states),   cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
