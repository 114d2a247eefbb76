/* wsd/rconn.h over simulated connections. */
#include "wsd/rconn.h"

#include "tests/sim/redis.h"
#include "tests/sim/relay.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECT_US (500 * SIM_MS)

struct request_item {
    struct request_item *next;
    struct redis_request *request;
    size_t len;
};

struct rconn {
    struct relay *relay;
    const struct rconn_handlers *handlers;
    void *ctx;
    struct net_end *end; /* NULL: closed */
    bool pending;        /* an attempt to connect is under way */
    bool open;
    struct request_item *head, *tail; /* not yet written */
    size_t buffered;
};

struct rconn *rconn_create(struct ev_loop *loop, int priority, const struct rconn_handlers *handlers, void *ctx)
{
    struct rconn *c = calloc(1, sizeof(*c));
    if (c == NULL)
        abort();
    (void)priority; /* here what arrives, arrives alone */
    c->relay = relay_of_loop(loop);
    c->handlers = handlers;
    c->ctx = ctx;
    return c;
}

void rconn_destroy(struct rconn *c)
{
    if (c == NULL)
        return;
    rconn_close(c);
    free(c);
}

static void drop_buffered(struct rconn *c)
{
    while (c->head != NULL) {
        struct request_item *item = c->head;
        c->head = item->next;
        redis_free_request(item->request);
        free(item);
    }
    c->tail = NULL;
    c->buffered = 0;
}

void rconn_close(struct rconn *c)
{
    sched_cancel(c);
    if (c->end != NULL)
        net_close(c->end, 1000);
    c->end = NULL;
    c->open = c->pending = false;
    drop_buffered(c);
}

static void lose(struct rconn *c, const char *why)
{
    rconn_close(c);
    c->handlers->closed(c->ctx, why);
}

bool rconn_is_open(const struct rconn *c)
{
    return c->open;
}

static void on_packet(void *ctx, struct net_packet *p)
{
    struct rconn *c = ctx;
    if (c->open)
        c->handlers->reply(c->ctx, p->object);
}

static void on_room(void *ctx)
{
    rconn_flush(ctx);
}

static void on_closed(void *ctx, int code)
{
    struct rconn *c = ctx;
    (void)code;
    c->end = NULL;
    lose(c, "Server closed the connection");
}

static void on_connected(void *ctx)
{
    static const struct net_ops ops = {on_packet, on_room, on_closed};
    struct rconn *c = ctx;
    struct node *node = relay_node(c->relay);
    c->pending = false;
    if (node->cut_off_until > sched_now()) {
        lose(c, "no connection in time");
        return;
    }
    c->end = redis_accept(relay_redis(c->relay), node, &ops, c);
    if (c->end == NULL) {
        lose(c, "Connection refused");
        return;
    }
    c->open = true;
    c->handlers->opened(c->ctx);
    rconn_flush(c);
}

int rconn_open(struct rconn *c, const char *address, char *why, size_t why_cap)
{
    (void)address;
    (void)why;
    (void)why_cap;
    rconn_close(c);
    struct node *node = relay_node(c->relay);
    bool reachable = node->cut_off_until <= sched_now();
    c->pending = true;
    sched_at(node, sched_now() + (reachable ? chance_from(50, 3000) : CONNECT_US), SCHED_IO, on_connected, c);
    return 0;
}

int rconn_send(struct rconn *c, const struct rconn_arg *argv, size_t argc)
{
    struct store_arg list[32];
    if (!c->open || argc > 32 || c->buffered > RCONN_BUFFER_MAX)
        return -1;
    for (size_t i = 0; i < argc; i++)
        list[i] = (struct store_arg){argv[i].at, argv[i].len};
    struct request_item *item = calloc(1, sizeof(*item));
    if (item == NULL)
        abort();
    item->request = redis_request(argc, list, &item->len);
    c->buffered += item->len;
    if (c->tail != NULL)
        c->tail->next = item;
    else
        c->head = item;
    c->tail = item;
    return 0;
}

size_t rconn_buffered(const struct rconn *c)
{
    return c->buffered;
}

void rconn_flush(struct rconn *c)
{
    while (c->open && c->head != NULL && net_has_room(c->end)) {
        struct request_item *item = c->head;
        c->head = item->next;
        if (c->head == NULL)
            c->tail = NULL;
        c->buffered -= item->len;
        net_send_object(c->end, item->request, item->len, redis_free_request);
        free(item);
    }
}
