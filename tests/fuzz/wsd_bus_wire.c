/* What relays tell each other: whatever comes, what is taken from it lies inside the text and in range. */
#include "wsd/bus_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char own[] = "wsd-1#00000000000000aa";

static void need(bool holds)
{
    if (!holds)
        abort();
}

static void inside(const char *at, size_t len, const char *text, size_t size)
{
    need(at >= text && at <= text + size && len <= (size_t)(text + size - at));
}

static void check_order(const char *text, size_t size)
{
    struct bus_wire_order o, back;
    enum bus_wire_kind kind = bus_wire_parse_command(text, size, own, 1000, &o);
    char sender[BUS_WIRE_SENDER_MAX], tail[BUS_WIRE_TAIL_MAX], id[MSG_COMMAND_ID_MAX + 1], again[512];
    if (kind != BUS_WIRE_ORDER)
        return;
    inside(o.order.id, o.order.id_len, text, size);
    inside(o.order.json, o.order.len, text, size);
    need(o.order.seq >= 0 && o.order.len > 0 && o.order.id_len <= MSG_COMMAND_ID_MAX);
    /* What is written of it reads back the same. */
    memcpy(id, o.order.id, o.order.id_len);
    id[o.order.id_len] = '\0';
    if (strlen(id) != o.order.id_len)
        return;
    bus_wire_sender(sender, o.instance, o.order.origin.number);
    bus_wire_tail(tail, sender, o.order.origin.t0, id);
    int n = snprintf(again, sizeof(again), "0 stop 1 %s {}", tail);
    need(bus_wire_parse_command(again, (size_t)n, own, 1000, &back) == BUS_WIRE_ORDER);
    need(back.order.origin.number == o.order.origin.number && back.order.origin.t0 == o.order.origin.t0);
    need((back.order.origin.instance == NULL) == (o.order.origin.instance == NULL));
    need(strcmp(back.instance, o.instance) == 0 && back.order.id_len == o.order.id_len);
    need(memcmp(back.order.id, id, o.order.id_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[MSG_NAME_MAX + 1];
    struct bus_wire_relay m;
    struct bus_wire_states s;
    struct presence_event ev;
    char *text = malloc(size + 1); /* as hiredis hands it over: with a NUL behind it */
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_order(text, size);
    if (bus_wire_parse_relay(text, size, &m) != BUS_WIRE_NOTHING)
        inside(m.rest, m.len, text, size);
    if (bus_wire_parse_presence(text, size, &ev))
        need(msg_device_id_valid(ev.device_id, strlen(ev.device_id)));
    if (bus_wire_parse_states(text, size, own, &s) == 0) {
        for (size_t i = 0; i < s.n_stops; i++)
            need(msg_device_id_valid(s.stops[i].device_id, strlen(s.stops[i].device_id)) && s.stops[i].by[0] != '\0');
        for (size_t i = 0; i < s.n_controls; i++)
            need(s.controls[i].epoch >= 0 && (s.controls[i].name != NULL || s.controls[i].number == 0));
        bus_wire_states_finish(&s);
    }
    bus_wire_name(name, text);
    need(name[0] != '\0' && strpbrk(name, " \n\"\\") == NULL);
    free(text);
    return 0;
}
