/*
 * The commands that a robot has been sent and whose senders wait to hear what became of them. Bounded: a robot that
 * never answers keeps the newest RECEIPTS_MAX. Pure.
 */
#ifndef TELERELAY_RECEIPTS_H
#define TELERELAY_RECEIPTS_H

#include "common/msg.h"
#include "wsd/bus.h"

#include <stddef.h>
#include <stdint.h>

#define RECEIPTS_MAX 256

struct receipt {
    struct receipt *prev, *next;
    int64_t seq;
    enum msg_type type;
    struct bus_origin origin; /* its instance is a copy of the receipt's own */
    const char *id;
    char text[]; /* id and instance */
};

/* All zero is an empty one. */
struct receipts {
    struct receipt *list; /* oldest first */
    unsigned count;
};

/* Returns the oldest when there was no room for both (the caller's, free()), else NULL. */
struct receipt *receipts_add(struct receipts *r, const struct bus_order *o);

/* Takes out the one with this seq, or with seq < 0 the oldest with this id; NULL when there is none. To be freed. */
struct receipt *receipts_take(struct receipts *r, int64_t seq, const char *id);

struct receipt *receipts_take_any(struct receipts *r);

/* Whether one with this id and sender waits. */
bool receipts_waiting(const struct receipts *r, const struct bus_order *o);

#endif
