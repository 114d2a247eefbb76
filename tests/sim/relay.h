/* A relay as a node: the real hub and bus, with this file's idea of sockets and of the loop's timers. */
#ifndef TELERELAY_SIM_RELAY_H
#define TELERELAY_SIM_RELAY_H

#include "common/conf.h"
#include "tests/sim/net.h"

struct relay;
struct redis;
struct ev_loop;

struct relay *relay_create(int index, struct redis *redis, bool exclusive);
void relay_destroy(struct relay *r);

void relay_start(struct relay *r);
void relay_crash(struct relay *r, bool machine); /* machine: nobody says goodbye */
bool relay_runs(const struct relay *r);

/* A connection from `from`; hello: "R" and a device id, or "W" and what to watch. NULL: nobody listens. */
struct net_end *relay_accept(struct relay *r, struct node *from, const char *hello, const struct net_ops *ops,
                             void *ctx);

struct node *relay_node(struct relay *r);
struct redis *relay_redis(struct relay *r);
struct relay *relay_of_loop(struct ev_loop *loop);
size_t relay_queued_most(const struct relay *r); /* bytes that ever waited for one peer */

/* The text of every WebSocket frame in `bytes`, as a peer reads them. */
void relay_unframe(const char *bytes, size_t len, void (*text)(void *ctx, const char *at, size_t len), void *ctx);

#endif
