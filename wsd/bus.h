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

#define BUS_PROBE_MS     250  /* between two tests whether messages come back */
#define BUS_UNHEALTHY_MS 750  /* without one that did: the bus is down */
#define BUS_RETRY_MS     100  /* between two attempts to connect */
#define BUS_BEAT_MS      1000 /* between two signs of life of this relay */

struct bus;
struct ev_loop;

enum bus_kind { BUS_TELEMETRY, BUS_STATUS, BUS_VIDEO };

/* What the bus tells its owner. Strings live as long as the call. */
struct bus_handlers {
    void (*state)(void *ctx, bool up); /* up: attach every robot again */
    void (*upstream)(void *ctx, enum bus_kind kind, const char *device_id, const char *json, size_t len);
    void (*command)(void *ctx, const char *device_id, enum msg_type type, int64_t left_ms, const char *json,
                    size_t len);
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
/* time_ms: the sample's time as stored. why: NULL when stored, else the reason in plain words. */
typedef void bus_store_cb(void *ctx, void *owner, struct bus_sample *s, int64_t time_ms, const char *why);

/* Appends to the robot's history. *s stays the caller's and must live until the callback. */
int bus_store(struct bus *b, struct bus_sample *s, void *owner, bus_store_cb *cb);

/* To the websites of every relay. Lost when the bus is down: -1. */
int bus_publish(struct bus *b, enum bus_kind kind, const char *device_id, const char *json, size_t len);

struct bus_command {
    const char *device_id; /* NULL: every robot that is online */
    enum msg_type type;
    int ttl_ms;
    const char *json;
    size_t len;
};
enum bus_sent { BUS_SENT, BUS_SENT_EXPIRED, BUS_SENT_UNKNOWN /* the bus was lost first */ };
/* token: as passed to bus_command; its owner frees it here. */
typedef void bus_command_cb(void *ctx, void *owner, void *token, enum bus_sent result, int robots);
int bus_send(struct bus *b, const struct bus_command *c, void *owner, void *token, bus_command_cb *cb);

/* Remember the robot's name for people. */
void bus_set_name(struct bus *b, const char *device_id, const char *name);

/* Whether websites are here: nothing from robots is asked for without one. */
void bus_listen_upstream(struct bus *b, bool wanted);

void bus_request_snapshot(struct bus *b);
void bus_put_metrics(struct bus *b, const char *text, size_t len);

/* This relay ends: give up its lease. Flushes. */
void bus_leave(struct bus *b);

#endif
