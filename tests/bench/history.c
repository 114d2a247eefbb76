#include "tests/bench/http.h"
#include "tests/bench/meter.h"
#include "tests/bench/net.h"
#include "tests/bench/scenario.h"
#include "tests/bench/store.h"

#include "common/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS_MAX 64
#define ANSWER_MS 5000
#define READ_SIZE (256u * 1024)

struct client {
    int fd;
    int64_t asked; /* when, ns */
    struct http_answer answer;
};

struct history {
    const struct options *o;
    char request[DIALECT_TEXT_MAX];
    size_t request_len;
    struct client clients[CONNS_MAX];
    unsigned n;
    char *buf;        /* READ_SIZE */
    uint64_t answers; /* complete and right */
    uint64_t body;    /* bytes of the last one */
    struct hist latency;
};

static int reconnect(struct history *h, struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = net_socket(h->o->relays[0]);
    if (c->fd < 0)
        fprintf(stderr, "telerelay-bench: cannot connect to %s\n", h->o->relays[0]);
    return c->fd < 0 ? -1 : 0;
}

/* Servers end a keep-alive connection after a number of requests: then the next one goes over a new one. */
static int ask(struct history *h, struct client *c)
{
    c->asked = clock_mono_ns();
    bool ends = c->answer.body && c->answer.last;
    http_reset(&c->answer);
    if (ends && reconnect(h, c))
        return -1;
    ssize_t sent = send(c->fd, h->request, h->request_len, MSG_NOSIGNAL);
    if (sent != (ssize_t)h->request_len)
        fprintf(stderr, "telerelay-bench: a request could not be sent\n");
    return sent == (ssize_t)h->request_len ? 0 : -1;
}

static unsigned count_items(const struct http_answer *a)
{
    unsigned n = 0;
    for (const char *at = a->data + a->body; (at = strstr(at, "\"timestamp\":")) != NULL; at++)
        n++;
    return n;
}

/* 1: answered, 0: not yet, -1: broken. Only a warm-up looks into the answer: it costs more than to receive it. */
static int take(struct history *h, struct client *c, bool look)
{
    ssize_t got = recv(c->fd, h->buf, READ_SIZE, 0);
    int done = got <= 0 ? -1 : http_feed(&c->answer, h->buf, (size_t)got);
    if (done < 0)
        fprintf(stderr, "telerelay-bench: %s answer from %s\n", got <= 0 ? "no" : "a broken", h->o->relays[0]);
    if (done <= 0)
        return done;
    h->body = c->answer.body_seen;
    hist_record(&h->latency, clock_mono_ns() - c->asked);
    unsigned items = look ? count_items(&c->answer) : h->o->limit;
    if (c->answer.status == 200 && items == h->o->limit)
        return 1;
    fprintf(stderr, "telerelay-bench: answer %d with %u samples instead of %u: %.300s\n", c->answer.status, items,
            h->o->limit, c->answer.data);
    return -1;
}

static int ask_for(struct history *h, double seconds, bool look)
{
    struct pollfd fds[CONNS_MAX];
    int64_t until = clock_mono_ns() + (int64_t)(seconds * 1e9);
    unsigned open = h->n; /* requests that are not answered */
    for (unsigned i = 0; i < h->n; i++) {
        if (ask(h, &h->clients[i]))
            return -1;
    }
    while (open) {
        for (unsigned i = 0; i < h->n; i++)
            fds[i] = (struct pollfd){.fd = h->clients[i].fd, .events = POLLIN};
        if (poll(fds, h->n, ANSWER_MS) <= 0) {
            fprintf(stderr, "telerelay-bench: no answer within %d ms\n", ANSWER_MS);
            return -1;
        }
        bool more = clock_mono_ns() < until;
        for (unsigned i = 0; i < h->n; i++) {
            int got = fds[i].revents ? take(h, &h->clients[i], look) : 0;
            if (got < 0 || (got > 0 && more && ask(h, &h->clients[i])))
                return -1;
            h->answers += (unsigned)got;
            if (got > 0 && !more)
                open--;
        }
    }
    return 0;
}

static int connect_all(struct history *h)
{
    for (; h->n < h->o->concurrency && h->n < CONNS_MAX; h->n++) {
        h->clients[h->n].fd = -1;
        http_init(&h->clients[h->n].answer);
        if (reconnect(h, &h->clients[h->n]))
            return -1;
    }
    return 0;
}

static int report(const char *scenario, const struct options *o, const struct meter *m, double answers, double seconds,
                  const struct history *h)
{
    char buf[METER_REPORT_MAX];
    struct jsonw w;
    meter_begin(&w, buf, scenario);
    jsonw_kv_int(&w, "limit", o->limit);
    jsonw_kv_int(&w, "concurrency", o->concurrency);
    jsonw_kv_int(&w, "answers", (int64_t)answers);
    jsonw_kv_num(&w, "per_second", (double)(int64_t)(answers / seconds * 10) / 10);
    if (h) {
        jsonw_kv_int(&w, "body_bytes", (int64_t)h->body);
        meter_put_latency(&w, "latency_us", &h->latency);
    }
    meter_put_cpu(&w, m, answers);
    return meter_end(&w);
}

int history_run(const struct options *o)
{
    int rc = -1;
    struct meter m;
    struct history *h = calloc(1, sizeof *h);
    if (!h)
        return -1;
    h->o = o;
    h->buf = malloc(READ_SIZE);
    h->request_len = (size_t)snprintf(
        h->request, sizeof h->request,
        "GET /api/telemetry?device_id=bench_00&limit=%u HTTP/1.1\r\nHost: localhost\r\n\r\n", o->limit);
    if (!h->buf || connect_all(h) || ask_for(h, o->warmup, true))
        goto out;
    h->answers = 0;
    hist_init(&h->latency);
    meter_start(&m, o);
    if (ask_for(h, o->seconds, false))
        goto out;
    meter_stop(&m);
    rc = report("history", o, &m, (double)h->answers, meter_seconds(&m), h);
out:
    for (unsigned i = 0; i < h->n; i++) {
        if (h->clients[i].fd >= 0)
            close(h->clients[i].fd);
        http_finish(&h->clients[i].answer);
    }
    free(h->buf);
    free(h);
    return rc;
}

int xrange_run(const struct options *o)
{
    struct meter m;
    double took_s = 0;
    if (store_read(o->redis, o->prefix, o->limit, o->concurrency, o->warmup, &took_s) < 0)
        return -1;
    meter_start(&m, o);
    int64_t answers = store_read(o->redis, o->prefix, o->limit, o->concurrency, o->seconds, &took_s);
    meter_stop(&m);
    return answers < 0 ? -1 : report("xrange", o, &m, (double)answers, took_s, NULL);
}

int seed_run(const struct options *o)
{
    return store_fill(o->redis, o->prefix, o->samples, o->one_field);
}
