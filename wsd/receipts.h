/*
 * The commands on their way to a robot whose senders are to hear what became of them: those with an id until the robot
 * has answered, those without only as long as they can be dropped unsent. Bounded: a robot that never answers keeps
 * the newest RECEIPTS_MAX. Pure.
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
    const char *id;           /* "": without */
    char text[];              /* id and instance */
};

/* All zero is an empty one. */
struct receipts {
    struct receipt *list; /* oldest first */
    unsigned count;
    unsigned nameless; /* of them without an id */
};

/* Returns the oldest when there was no room for both (the caller's, free()), else NULL. */
struct receipt *receipts_add(struct receipts *r, const struct bus_order *o);

/* The one with this seq, or with seq < 0 the oldest with this id; NULL when there is none. receipts_take takes it out:
 * to be freed. */
struct receipt *receipts_find(const struct receipts *r, int64_t seq, const char *id);
struct receipt *receipts_take(struct receipts *r, int64_t seq, const char *id);

struct receipt *receipts_take_any(struct receipts *r);

/* All commands have been sent: forgets those without an id. */
void receipts_sent(struct receipts *r);

/* A stop that was told before it had its number: one with this id and sender goes under the order's number from now
 * on. False: none waits. */
bool receipts_renumber(struct receipts *r, const struct bus_order *o);

#endif
