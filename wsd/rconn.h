/*
 * One connection to Redis on the relay's loop: hiredis' parser and buffers, our own watchers.
 *
 * hiredis 0.14's asynchronous API keeps a table of subscriptions that loses or misroutes messages
 * when a channel is left and joined again, has no deadlines and may free itself inside its own
 * callbacks. Here replies simply arrive in order, and closing is explicit and final.
 */
#ifndef TELERELAY_RCONN_H
#define TELERELAY_RCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rconn;
struct ev_loop;
struct redisReply;

struct rconn_handlers {
    void (*opened)(void *ctx);                                /* connected: send now */
    void (*reply)(void *ctx, const struct redisReply *reply); /* may call rconn_close */
    void (*closed)(void *ctx, const char *why);               /* by the other side; already closed */
};

/* priority: of what it receives, among all that one turn of the loop brings (libev: -2..2). */
struct rconn *rconn_create(struct ev_loop *loop, int priority, const struct rconn_handlers *handlers, void *ctx);
void rconn_destroy(struct rconn *c); /* takes NULL; closes without a callback */

/* Starts to connect to "unix:/path" or "HOST:PORT". -1 with a reason when that fails at once. */
int rconn_open(struct rconn *c, const char *address, char *why, size_t why_cap);
void rconn_close(struct rconn *c); /* no callback */
bool rconn_is_open(const struct rconn *c);

/* One command of `argc` arguments into the output buffer. -1: not open, or RCONN_BUFFER_MAX waits. */
struct rconn_arg {
    const char *at;
    size_t len;
};
#define RCONN_BUFFER_MAX (8u * 1024u * 1024u)
int rconn_send(struct rconn *c, const struct rconn_arg *argv, size_t argc);
size_t rconn_buffered(const struct rconn *c);

/* Writes what is buffered as far as the socket takes it; the rest follows from the loop. */
void rconn_flush(struct rconn *c);

#endif
