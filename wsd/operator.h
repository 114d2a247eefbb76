/*
 * What is kept of a website that does more than look on: who it is, what it has sent and drives, what it controls,
 * which robots it wants to hear of. Allocated with its first such message; ten thousand others cost nothing. Pure.
 */
#ifndef TELERELAY_OPERATOR_H
#define TELERELAY_OPERATOR_H

#include "common/msg.h"
#include "wsd/dedupe.h"
#include "wsd/limit.h"
#include "wsd/motions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#define OPERATOR_INTERESTS   16    /* robots whose heartbeats it gets since it commands them */
#define OPERATOR_INTEREST_MS 10000 /* after the last command */
#define OPERATOR_EARLY       64    /* receipts that wait for an ack at a time */
#define OPERATOR_LEASES      32    /* robots it may have control of at a time */

struct session;

struct operator_lease {
    char device_id[MSG_DEVICE_ID_MAX + 1];
    int64_t renewed_ms; /* monotonic, when the bus was last told; 0: being asked for */
};

/* A receipt that came before the ack of its command. */
struct operator_early {
    struct operator_early *prev, *next;
    size_t len;
    char text[];
};

struct operator_interest {
    char device_id[MSG_DEVICE_ID_MAX + 1]; /* "": every robot */
    int64_t at_ms;                         /* monotonic, of the last command */
};

struct operator
{
    struct operator* prev, *next; /* the hub's list */
    UT_hash_handle hh;            /* the hub's, by number */
    struct session *session;
    uint64_t number;             /* unique in this process, never 0 */
    char name[MSG_NAME_MAX + 1]; /* for people, and in histories; [A-Za-z0-9_.-] */
    int64_t said_ms;             /* monotonic, its last message */
    struct limit stop_limit;
    unsigned open_stops;          /* stops that robots here have been told of, and that are not acknowledged yet */
    struct operator_early *early; /* receipts that wait for that */
    unsigned n_early;
    struct dedupe sent;
    struct motions motions;
    struct operator_interest interests[OPERATOR_INTERESTS];
    unsigned n_interests;
    struct operator_lease *leases; /* OPERATOR_LEASES, allocated with the first */
    unsigned n_leases;
    char(*watched)[MSG_DEVICE_ID_MAX + 1]; /* NULL: everything */
    unsigned n_watched;
};

/* A guest: its name is made of `random`. NULL: out of memory. */
struct operator* operator_create(struct session *s, uint64_t number, uint64_t random);
void operator_destroy(struct operator* op); /* takes NULL */

/* Keeps a receipt until its ack has been sent. False: it need not wait, or cannot. */
bool operator_defer(struct operator* op, const char *text, size_t len);
/* An ack of a stop has been sent: the next receipt that need not wait any longer, to be freed, or NULL. */
struct operator_early *operator_take_early(struct operator* op);

/* A command was sent. device_id NULL: to every robot. */
void operator_commanded(struct operator* op, const char *device_id, int64_t now_ms);

/* Whether it gets the robot's heartbeats: it commanded it lately, or watches it by name. */
bool operator_wants_heartbeat(const struct operator* op, const char *device_id, int64_t now_ms);

/* Watch these only (n ≤ MSG_WATCH_MAX); n = 0: everything again. -1: out of memory, nothing changed. */
int operator_watch(struct operator* op, const char *const *device_ids, size_t n);
bool operator_watches(const struct operator* op, const char *device_id); /* true as well when everything */

/* NULL: no such lease; no room. */
struct operator_lease *operator_find_lease(struct operator* op, const char *device_id);
struct operator_lease *operator_add_lease(struct operator* op, const char *device_id);
void operator_drop_lease(struct operator* op, struct operator_lease *lease);

#endif
