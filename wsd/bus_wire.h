/*
 * What goes over the channels between relays, as text (common/rkey.h has the formats). Pure: no connection, no
 * clock. Whatever comes in is checked; what is none of the formats is BUS_WIRE_NOTHING, and not an error: another
 * version of this program may have sent it.
 */
#ifndef TELERELAY_BUS_WIRE_H
#define TELERELAY_BUS_WIRE_H

#include "wsd/bus.h"

#define BUS_WIRE_INSTANCE_MAX (CONF_NAME_MAX + 32)         /* bytes of NAME#NONCE with its NUL */
#define BUS_WIRE_SENDER_MAX   (BUS_WIRE_INSTANCE_MAX + 24) /* of INSTANCE/NUMBER */
#define BUS_WIRE_TAIL_MAX     (BUS_WIRE_SENDER_MAX + MSG_COMMAND_ID_MAX + 32)

/* --- to send ------------------------------------------------------------------------------- */

/* A person's or program's name as it is stored and told: cut, what is not [A-Za-z0-9_.@+-] becomes '_'. NULL, "": "-"
 */
void bus_wire_name(char out[MSG_NAME_MAX + 1], const char *name);

void bus_wire_sender(char out[BUS_WIRE_SENDER_MAX], const char *instance, uint64_t number);

/* "SENDER/T0 IDLEN ID", the part of an order that says where it came from. id NULL: none. Returns the length. */
size_t bus_wire_tail(char out[BUS_WIRE_TAIL_MAX], const char *sender, int64_t t0, const char *id);

/* --- what arrives -------------------------------------------------------------------------- */
/* Texts are NUL-terminated behind their `len` bytes and may hold others. Results point into them or into *out. */

/* tr/pres */
bool bus_wire_parse_presence(const char *text, size_t len, struct presence_event *out);

enum bus_wire_kind {
    BUS_WIRE_NOTHING,
    BUS_WIRE_ORDER, /* tr/cmd/ID */
    BUS_WIRE_WATCH,
    BUS_WIRE_KICK, /* tr/relay/INST */
    BUS_WIRE_RECEIPT,
    BUS_WIRE_STATES,
    BUS_WIRE_STOP, /* tr/state */
    BUS_WIRE_CONTROL
};

struct bus_wire_order {
    struct bus_order order; /* device_id is the caller's */
    char instance[BUS_WIRE_INSTANCE_MAX];
};
/* own: this relay's instance. now_ms: Redis' clock. *out is filled for BUS_WIRE_ORDER, its instance also for
 * BUS_WIRE_WATCH. */
enum bus_wire_kind bus_wire_parse_command(const char *text, size_t len, const char *own, int64_t now_ms,
                                          struct bus_wire_order *out);

struct bus_wire_relay {
    uint64_t number;  /* KICK: connection; RECEIPT: website */
    int64_t t0;       /* RECEIPT */
    const char *rest; /* KICK: device id, RECEIPT: JSON, STATES: lines */
    size_t len;
};
enum bus_wire_kind bus_wire_parse_relay(const char *text, size_t len, struct bus_wire_relay *out);

struct bus_wire_state {
    struct bus_stop_state stop;
    struct bus_control_state control;
    char device_id[MSG_DEVICE_ID_MAX + 1];
    char name[MSG_NAME_MAX + 1];
};
/* One line. Fills stop or control; their strings are in *out, so it must not be copied. */
enum bus_wire_kind bus_wire_parse_state(const char *text, size_t len, const char *own, struct bus_wire_state *out);

/* Many lines, as BUS_WIRE_STATES has them. */
struct bus_wire_states {
    struct bus_wire_state *lines; /* private */
    struct bus_stop_state *stops;
    size_t n_stops;
    struct bus_control_state *controls;
    size_t n_controls;
};
/* -1: out of memory. Lines that are no state are left out. */
int bus_wire_parse_states(const char *text, size_t len, const char *own, struct bus_wire_states *out);
void bus_wire_states_finish(struct bus_wire_states *s);

#endif
