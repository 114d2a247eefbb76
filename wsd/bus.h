/*
 * The meeting point of relays: who is online, commands on their way to robots, what robots say on
 * its way to websites, and telemetry that is kept. bus_redis.c is the only implementation; nothing
 * else in the relay knows that it is Redis.
 *
 * Starting something may fail at once (-1: the bus is down, or too much is under way; no callback
 * follows). Otherwise exactly one callback follows, within BUS_UNHEALTHY_MS, from the loop and never
 * from inside the call; bus_attach has its own rule. After bus_forget(owner) callbacks come with
 * owner == NULL.
 */
#ifndef TELERELAY_BUS_H
#define TELERELAY_BUS_H

#include "common/conf.h"
#include "common/msg.h"
#include "wsd/presence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_PROBE_MS     200  /* between two tests whether messages come back */
#define BUS_UNHEALTHY_MS 650  /* without one that did: the bus is down; a loss is told within 750 ms at worst */
#define BUS_RETRY_MS     100  /* between two attempts to connect */
#define BUS_BEAT_MS      1000 /* between two signs of life of this relay */

struct bus;
struct ev_loop;

enum bus_kind { BUS_TELEMETRY, BUS_STATUS, BUS_VIDEO, BUS_HEARTBEAT, BUS_BACKFILL };

/* The website that a command came from, as the robot's relay knows it: the way back for its receipt. */
struct bus_origin {
    const char *instance; /* of its relay; NULL: this one */
    uint64_t number;      /* hub's number of the website there; 0: nobody wants to know (the bus repeats a stop so) */
    int64_t t0;           /* when the command came, on its relay's own clock, ms */
};

/* A command that arrives for a robot here; also MSG_STOP and MSG_REARM. */
struct bus_order {
    const char *device_id;
    enum msg_type type;
    int64_t left_ms; /* of its time to live; INT64_MAX: it has none */
    int64_t seq;
    struct bus_origin origin;
    const char *id; /* command id, "" without one; not NUL-terminated */
    size_t id_len;
    const char *json; /* complete but for relay_hb */
    size_t len;
};

/* Whether a robot is stopped, as Redis has it. */
struct bus_stop_state {
    const char *device_id;
    int64_t seq; /* of the stop or re-arm: the higher is the newer; the same again: `confirmed` has changed */
    bool stopped;
    bool confirmed; /* the robot itself has said so */
    int64_t at_ms;
    const char *by;
};

/* Who has control of a robot. */
struct bus_control_state {
    const char *device_id;
    int64_t epoch;    /* the higher is the newer: an end of control has its own */
    uint64_t number;  /* of the holder, when it is a website here; else 0 */
    const char *name; /* NULL: nobody */
};

/* What the bus tells its owner. Strings live as long as the call. */
struct bus_handlers {
    void (*state)(void *ctx, bool up); /* up: attach every robot again */
    void (*upstream)(void *ctx, enum bus_kind kind, const char *device_id, const char *json, size_t len);
    void (*order)(void *ctx, const struct bus_order *o);
    void (*wanted)(void *ctx, const char *device_id); /* another relay wants the robot's heartbeats for a while */
    /* For a website here: `json` is complete but for latency_ms. t0: as sent. */
    void (*receipt)(void *ctx, uint64_t number, int64_t t0, const char *json, size_t len);
    void (*stop_state)(void *ctx, const struct bus_stop_state *state);
    void (*control_state)(void *ctx, const struct bus_control_state *state);
    /* Whenever the bus has come up, or when asked for, in order with the two above: everything that is stopped or held.
     * What is not among it is neither. */
    void (*states)(void *ctx, const struct bus_stop_state *stops, size_t n_stops,
                   const struct bus_control_state *controls, size_t n_controls);
    void (*presence)(void *ctx, const struct presence_event *ev);
    void (*snapshot)(void *ctx, uint64_t seq, const struct presence_entry *entries, size_t n);
    void (*kick)(void *ctx, const char *device_id, uint64_t conn); /* `conn` has taken over elsewhere */
    void (*reattach)(void *ctx); /* others took this relay for dead: attach every robot again */
};

/* NULL when out of memory or when the address is none. Connects by itself, and again when lost. */
struct bus *bus_create(struct ev_loop *loop, const struct conf *conf, const struct bus_handlers *handlers, void *ctx);
void bus_destroy(struct bus *b); /* takes NULL; no callback any more */

bool bus_up(const struct bus *b);

/* Sends what is buffered. Call once per turn of the loop, before it blocks. */
void bus_flush(struct bus *b);

/* Give up the owner's callbacks: they come with owner == NULL, so that samples that are stored are still told. */
void bus_forget(struct bus *b, void *owner);

enum bus_attach { BUS_ATTACHED, BUS_ATTACH_OLDER, BUS_ATTACH_FULL, BUS_ATTACH_FAILED };
typedef void bus_attach_cb(void *ctx, void *owner, enum bus_attach result, uint64_t conn);

/*
 * Listen to the robot's commands, then enter it as online. had: the connection number it had, 0 for none.
 * The callback may come late, or from inside the call when that fails, and comes not at all once the bus
 * is down: attach again when it is up.
 */
int bus_attach(struct bus *b, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb);

/* The robot has no connection here any more. conn 0: it was never attached, only stop listening. */
void bus_detach(struct bus *b, const char *device_id, uint64_t conn);

struct bus_sample {
    const char *device_id;
    int64_t time_ms; /* the sample's own time, or -1: that of arrival */
    const char *metrics;
    size_t metrics_len;
};
/* time_ms: the sample's time as stored; 0: it was in the history already. why: NULL when stored, else the reason in
 * plain words. */
typedef void bus_store_cb(void *ctx, void *owner, struct bus_sample *s, int64_t time_ms, const char *why);

/* Appends to the robot's history. *s stays the caller's and must live until the callback. */
int bus_store(struct bus *b, struct bus_sample *s, void *owner, bus_store_cb *cb);

/* Samples that had to wait. */
struct bus_batch {
    const char *device_id;
    int64_t latest_ms; /* the latest time that can be right */
    const char *lines; /* each "TIME_MS METRICS\n": the sample's own time, metrics as in bus_sample */
    size_t len;        /* bytes of them */
    size_t n;          /* lines, at most MSG_SAMPLES_MAX */
};
/* times: of each as stored, 0 for one that is in the history already. why: NULL when all are stored, else none is. */
typedef void bus_batch_cb(void *ctx, void *owner, struct bus_batch *batch, const int64_t *times, const char *why);

/* The same for all of a batch, or none. *batch stays the caller's and must live until the callback. */
int bus_store_batch(struct bus *b, struct bus_batch *batch, void *owner, bus_batch_cb *cb);

/* To the websites of every relay; BUS_BACKFILL: several messages, a newline between two. Lost when the bus is down: -1.
 */
int bus_publish(struct bus *b, enum bus_kind kind, const char *device_id, const char *json, size_t len);

struct bus_command {
    const char *device_id; /* NULL: every robot that is online, or of those the ones the sender has control of */
    enum msg_type type;
    int ttl_ms;       /* 0: none */
    bool zero;        /* a motion that stops */
    bool deadman;     /* the relay's own zero: only where the sender's motion was the robot's last */
    uint64_t number;  /* of the website, for the receipt */
    const char *by;   /* its name */
    const char *id;   /* command id or NULL */
    const char *json; /* as the robot gets it; the bus adds seq, and epoch where there is one */
    size_t len;
};
enum bus_sent {
    BUS_SENT,
    BUS_SENT_EXPIRED,
    BUS_SENT_STOPPED,        /* every robot that it could have gone to is stopped */
    BUS_SENT_NOT_IN_CONTROL, /* likewise, somebody else or nobody has control */
    BUS_SENT_NOBODY,         /* stop, re-arm: no such robot is known */
    BUS_SENT_UNLATCHED,      /* stop: robots were told, but the store does not take it */
    BUS_SENT_UNKNOWN         /* the bus was lost first, or the store refused */
};
/* token: as passed to bus_command; its owner frees it here. */
typedef void bus_command_cb(void *ctx, void *owner, void *token, enum bus_sent result, int robots);
int bus_send(struct bus *b, const struct bus_command *c, void *owner, void *token, bus_command_cb *cb);

/*
 * Stop or re-arm: latched, then told to the robots and to all relays. The callback says how many robots it
 * is on its way to.
 */
struct bus_stop {
    const char *device_id; /* NULL: every robot that is known */
    bool stopped;          /* else re-arm */
    int64_t seq;           /* that robots here have been told already, 0: none have */
    uint64_t number;       /* as in bus_command */
    const char *by;
    const char *id;
};
int bus_stop(struct bus *b, const struct bus_stop *s, void *owner, void *token, bus_command_cb *cb);

/* A number for a stop that cannot wait for the bus: newer than what came before. Works while the bus is down. */
int64_t bus_stop_seq(struct bus *b);

/*
 * What a robot here says about itself. Confirms the latch; a stop that the store does not know is latched, and a
 * robot that should be stopped, or no longer, is told so by an order. seq < 0: the robot does not say.
 */
int bus_report_stop(struct bus *b, const char *device_id, bool stopped, int64_t seq, const char *by);

enum bus_control_op {
    BUS_CONTROL_ACQUIRE,
    BUS_CONTROL_TAKE,
    BUS_CONTROL_RENEW,
    BUS_CONTROL_RELEASE,
    BUS_CONTROL_EXPIRE /* a release that its holder has not asked for */
};
enum bus_control_result {
    BUS_CONTROL_GRANTED, /* or renewed, or released */
    BUS_CONTROL_REFUSED, /* somebody else has it: `holder`; "": no such robot was ever here */
    BUS_CONTROL_LOST,    /* renew, release: it was not the sender's any more */
    BUS_CONTROL_UNKNOWN  /* the bus was lost first, or the store refused */
};
/* holder: a name, "" for nobody. */
typedef void bus_control_cb(void *ctx, void *owner, void *token, enum bus_control_result result, int64_t epoch,
                            const char *holder);
/* Grants are told to all relays, and to the robot by a zero motion with the new epoch. token: may be NULL. */
int bus_control(struct bus *b, enum bus_control_op op, const char *device_id, uint64_t number, const char *by,
                void *owner, void *token, bus_control_cb *cb);

/* What became of an order, for the history of commands; and to its sender, when that is on another relay. */
int bus_outcome(struct bus *b, const char *device_id, int64_t seq, enum msg_outcome outcome, const char *reason);
int bus_receipt(struct bus *b, const struct bus_origin *to, const char *json, size_t len);

/* A website here wants the robot's heartbeats for a while. */
int bus_want(struct bus *b, const char *device_id);

/* For the history of events. members: JSON without braces, with kind and device_id. */
int bus_event(struct bus *b, const char *members, size_t len);

/* Remember the robot's name for people. */
void bus_set_name(struct bus *b, const char *device_id, const char *name);

/* Whether websites are here: nothing from robots is asked for without one. */
void bus_listen_upstream(struct bus *b, bool wanted);

void bus_request_snapshot(struct bus *b);
void bus_request_states(struct bus *b);
void bus_tidy(struct bus *b); /* takes out robots that could not be when they left; call once a second */
void bus_put_metrics(struct bus *b, const char *text, size_t len);

/* This relay ends: give up its lease. Flushes. */
void bus_leave(struct bus *b);

#endif
