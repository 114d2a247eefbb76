/* Redis as a node: connections, publish and subscribe, scripts, and what is left of the data after a crash. */
#ifndef TELERELAY_SIM_REDIS_H
#define TELERELAY_SIM_REDIS_H

#include "tests/sim/net.h"
#include "tests/sim/store.h"

struct redis;

enum redis_loss { REDIS_KEEPS_ALL, REDIS_LOSES_A_SECOND, REDIS_LOSES_ALL };

struct redis *redis_create(void);
void redis_destroy(struct redis *r);

/* A connection from `from`: its end, or NULL when nobody listens. */
struct net_end *redis_accept(struct redis *r, struct node *from, const struct net_ops *ops, void *ctx);

/* A request: takes argv apart on arrival. Sent by rconn.c through its end. */
struct redis_request {
    size_t argc;
    struct store_arg *argv; /* one block with the text behind it */
};
struct redis_request *redis_request(size_t argc, const struct store_arg *argv, size_t *len);
void redis_free_request(void *request);

void redis_crash(struct redis *r, enum redis_loss loss);
void redis_start(struct redis *r);
void redis_fill(struct redis *r, int64_t until); /* its memory is full until then; 0: it has room again */
bool redis_runs(const struct redis *r);
struct node *redis_node(struct redis *r);
struct store *redis_store(struct redis *r);

#endif
