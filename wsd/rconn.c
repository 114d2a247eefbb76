#include "wsd/rconn.h"

#include "common/conf.h"

#include <errno.h>
#include <ev.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_FIRST 4096u
#define OUT_KEEP  (256u * 1024u) /* a larger buffer is freed once it is written */
#define CONNECT_S 0.5

struct rconn {
    struct ev_loop *loop;
    const struct rconn_handlers *handlers;
    void *ctx;
    redisContext *redis; /* NULL: closed */
    bool open;           /* connected */
    unsigned generation; /* of `redis`: a callback may close and even open again */
    char *out;
    size_t out_len, out_cap, out_at; /* out_at: written so far */
    ev_io rd, wr;
    ev_timer connecting;
};

static void on_readable(struct ev_loop *loop, ev_io *w, int revents);
static void on_writable(struct ev_loop *loop, ev_io *w, int revents);
static void on_connect_timeout(struct ev_loop *loop, ev_timer *w, int revents);

struct rconn *rconn_create(struct ev_loop *loop, int priority, const struct rconn_handlers *handlers, void *ctx)
{
    struct rconn *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->loop = loop;
    c->handlers = handlers;
    c->ctx = ctx;
    ev_init(&c->rd, on_readable);
    ev_init(&c->wr, on_writable);
    ev_set_priority(&c->rd, priority);
    ev_init(&c->connecting, on_connect_timeout);
    c->rd.data = c->wr.data = c->connecting.data = c;
    return c;
}

void rconn_destroy(struct rconn *c)
{
    if (c == NULL)
        return;
    rconn_close(c);
    free(c->out);
    free(c);
}

void rconn_close(struct rconn *c)
{
    if (c->redis == NULL)
        return;
    ev_io_stop(c->loop, &c->rd);
    ev_io_stop(c->loop, &c->wr);
    ev_timer_stop(c->loop, &c->connecting);
    redisFree(c->redis);
    c->redis = NULL;
    c->open = false;
    c->generation++;
    c->out_len = c->out_at = 0;
}

static void lose(struct rconn *c, const char *why)
{
    char text[160];
    snprintf(text, sizeof(text), "%s", why);
    rconn_close(c);
    c->handlers->closed(c->ctx, text);
}

bool rconn_is_open(const struct rconn *c)
{
    return c->open;
}

int rconn_open(struct rconn *c, const char *address, char *why, size_t why_cap)
{
    const char *path = NULL;
    char host[64];
    int port = 0;
    rconn_close(c);
    if (conf_parse_address(address, &path, host, &port) != 0) {
        snprintf(why, why_cap, "\"%s\" is no address", address);
        return -1;
    }
    c->redis = path ? redisConnectUnixNonBlock(path) : redisConnectNonBlock(host, port);
    if (c->redis == NULL || c->redis->err) {
        snprintf(why, why_cap, "%s", c->redis ? c->redis->errstr : "out of memory");
        if (c->redis != NULL)
            redisFree(c->redis);
        c->redis = NULL;
        return -1;
    }
    c->generation++;
    ev_io_set(&c->rd, c->redis->fd, EV_READ);
    ev_io_set(&c->wr, c->redis->fd, EV_WRITE);
    ev_timer_set(&c->connecting, CONNECT_S, 0.);
    ev_io_start(c->loop, &c->wr);
    ev_timer_start(c->loop, &c->connecting);
    return 0;
}

static void on_connect_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    lose(w->data, "no connection in time");
}

/* The socket became writable for the first time: connected, or refused. */
static void finish_connect(struct rconn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);
    if (getsockopt(c->redis->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
        err = errno;
    if (err != 0) {
        lose(c, strerror(err));
        return;
    }
    ev_timer_stop(c->loop, &c->connecting);
    ev_io_start(c->loop, &c->rd);
    c->open = true;
    c->handlers->opened(c->ctx);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    struct rconn *c = w->data;
    if (!c->open)
        finish_connect(c);
    rconn_flush(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    struct rconn *c = w->data;
    unsigned generation = c->generation;
    if (redisBufferRead(c->redis) != REDIS_OK) {
        lose(c, c->redis->errstr);
        return;
    }
    for (;;) {
        void *reply = NULL;
        if (redisGetReplyFromReader(c->redis, &reply) != REDIS_OK) {
            lose(c, c->redis->errstr);
            return;
        }
        if (reply == NULL)
            return;
        c->handlers->reply(c->ctx, reply);
        freeReplyObject(reply);
        if (c->generation != generation)
            return;
    }
}

static int reserve(struct rconn *c, size_t more)
{
    if (c->out_len + more <= c->out_cap)
        return 0;
    if (c->out_at > 0) {
        c->out_len -= c->out_at;
        memmove(c->out, c->out + c->out_at, c->out_len);
        c->out_at = 0;
    }
    if (c->out_len + more > RCONN_BUFFER_MAX)
        return -1;
    size_t cap = c->out_cap ? c->out_cap : OUT_FIRST;
    while (cap < c->out_len + more)
        cap *= 2;
    char *out = realloc(c->out, cap);
    if (out == NULL)
        return -1;
    c->out = out;
    c->out_cap = cap;
    return 0;
}

static char *put_length(char *at, char kind, size_t n)
{
    char digits[24];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    *at++ = kind;
    memcpy(at, digits + i, sizeof(digits) - i);
    at += sizeof(digits) - i;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

int rconn_send(struct rconn *c, const struct rconn_arg *argv, size_t argc)
{
    if (!c->open)
        return -1;
    size_t need = 32;
    for (size_t i = 0; i < argc; i++)
        need += argv[i].len + 32;
    if (reserve(c, need) != 0)
        return -1;
    char *at = put_length(c->out + c->out_len, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        at = put_length(at, '$', argv[i].len);
        memcpy(at, argv[i].at, argv[i].len);
        at += argv[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    c->out_len = (size_t)(at - c->out);
    return 0;
}

size_t rconn_buffered(const struct rconn *c)
{
    return c->out_len - c->out_at;
}

void rconn_flush(struct rconn *c)
{
    if (!c->open)
        return;
    while (c->out_at < c->out_len) {
        ssize_t n = write(c->redis->fd, c->out + c->out_at, c->out_len - c->out_at);
        if (n >= 0) {
            c->out_at += (size_t)n;
        } else if (errno == EAGAIN) {
            ev_io_start(c->loop, &c->wr);
            return;
        } else if (errno != EINTR) {
            lose(c, strerror(errno));
            return;
        }
    }
    c->out_at = c->out_len = 0;
    if (c->out_cap > OUT_KEEP) {
        free(c->out);
        c->out = NULL;
        c->out_cap = 0;
    }
    ev_io_stop(c->loop, &c->wr);
}
