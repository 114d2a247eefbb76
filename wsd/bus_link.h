/*
 * A pair of connections to Redis that is known to work: requests whose answers come in order and in
 * time, subscriptions, the relay's scripts, its signs of life, Redis' clock. It is "up" only while
 * messages that it publishes come back to it, and it comes back by itself.
 */
#ifndef TELERELAY_BUS_LINK_H
#define TELERELAY_BUS_LINK_H

#include "common/conf.h"
#include "wsd/rconn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bus_link;
struct redisReply;

enum bus_script {
    BUS_SCRIPT_ATTACH,
    BUS_SCRIPT_DETACH,
    BUS_SCRIPT_BEAT,
    BUS_SCRIPT_COMMAND,
    BUS_SCRIPT_SNAPSHOT,
    BUS_SCRIPT_LEAVE,
    BUS_SCRIPT_STOP,
    BUS_SCRIPT_REPORT,
    BUS_SCRIPT_CONTROL,
    BUS_SCRIPT_STATE,
    BUS_SCRIPT_REST,
    BUS_SCRIPT_BATCH,
    BUS_SCRIPTS
};

/* What a request carries along. */
struct bus_request {
    void *owner;            /* NULL once forgotten */
    void *token;            /* the caller's; always handed back */
    void (*callback)(void); /* the caller's, cast back by its answer function */
};

/*
 * reply NULL: the link was lost first (then nobody knows whether Redis did it). Exactly once per request. What has
 * been sent may have happened, so its answer is waited for as long as the link lives: BUS_UNHEALTHY_MS at most.
 */
typedef void bus_answer(void *ctx, const struct bus_request *r, const struct redisReply *reply);

struct bus_link_handlers {
    void (*up)(void *ctx);
    void (*down)(void *ctx);       /* before the requests under way are answered with NULL */
    void (*lease_lost)(void *ctx); /* other relays took this one for dead */
    void (*message)(void *ctx, const char *channel, const char *text, size_t len);  /* SUBSCRIBE */
    void (*pmessage)(void *ctx, const char *channel, const char *text, size_t len); /* PSUBSCRIBE */
    void (*subscribed)(void *ctx, const char *channel, bool joined); /* a channel of bus_link_subscribe */
};

/* NULL when out of memory, or when the password file cannot be read (logged). */
struct bus_link *bus_link_create(struct ev_loop *loop, const struct conf *conf,
                                 const struct bus_link_handlers *handlers, void *ctx);
void bus_link_destroy(struct bus_link *l); /* takes NULL; answers what is under way with NULL, nobody as owner */

bool bus_link_up(const struct bus_link *l);
const char *bus_link_instance(const struct bus_link *l); /* NAME#NONCE */

/* Redis' clock now, ms; the one clock that all relays share. Right to a few ms while up, and before the first time
 * no worse than this machine's. */
int64_t bus_link_clock_ms(const struct bus_link *l);

#define BUS_ARG(text)     ((struct rconn_arg){(text), strlen(text)})
#define BUS_ARGN(text, n) ((struct rconn_arg){(text), (n)})

/* A number in an answer, be it written as text. */
int64_t bus_link_int(const struct redisReply *e);

/* Whether there is room for what peers ask for as often as they like. The rest is for probes, signs of life, and
 * scripts that nobody may hold up; bus_link_call looks by itself. */
bool bus_link_room(const struct bus_link *l);

/* A script gets what all of them take (prelude.lua) and then `args`, at most BUS_ARGS_MAX. answer may be NULL: fire
 * and forget. -1: not up, or too much is under way; no answer follows. */
#define BUS_ARGS_MAX 12
int bus_link_call(struct bus_link *l, const struct rconn_arg *argv, size_t argc, bus_answer *answer,
                  struct bus_request r);
int bus_link_script(struct bus_link *l, enum bus_script script, const struct rconn_arg *args, size_t n,
                    bus_answer *answer, struct bus_request r);

/* verb: SUBSCRIBE, UNSUBSCRIBE, PSUBSCRIBE, PUNSUBSCRIBE. Gone with the link. */
int bus_link_subscribe(struct bus_link *l, const char *verb, const char *channel);

void bus_link_forget(struct bus_link *l, const void *owner);
void bus_link_flush(struct bus_link *l);

/* No sign of life any more. Flushes. */
void bus_link_leave(struct bus_link *l);

#endif
