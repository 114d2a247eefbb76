#include "tests/bench/store.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/rkey.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_S    5   /* for connecting and for one answer */
#define BATCH      500 /* commands in flight while storing */
#define CONNS_MAX  64
#define SPACING_MS 3000

static redisContext *open_redis(const char *address)
{
    const char *path = NULL;
    char host[64];
    int port = 0;
    struct timeval limit = {.tv_sec = LIMIT_S};
    if (conf_parse_address(address, &path, host, &port)) {
        fprintf(stderr, "telerelay-bench: %s is no address\n", address);
        return NULL;
    }
    redisContext *r = path ? redisConnectUnixWithTimeout(path, limit) : redisConnectWithTimeout(host, port, limit);
    if (!r || r->err || redisSetTimeout(r, limit) != REDIS_OK) {
        fprintf(stderr, "telerelay-bench: Redis at %s: %s\n", address, r ? r->errstr : "out of memory");
        if (r)
            redisFree(r);
        return NULL;
    }
    return r;
}

static void stream_key(char out[RKEY_MAX], const char *prefix, unsigned robot)
{
    char name[32];
    snprintf(name, sizeof name, "bench_%02u", robot);
    rkey_join(out, prefix, name);
}

/* A number of XINFO STREAM, a list of names and values; 0 without it. */
static int64_t fact(const redisReply *info, const char *name)
{
    for (size_t i = 0; info->type == REDIS_REPLY_ARRAY && i + 1 < info->elements; i += 2) {
        if (strcmp(info->element[i]->str, name) == 0 && info->element[i + 1]->type == REDIS_REPLY_INTEGER)
            return info->element[i + 1]->integer;
    }
    return 0;
}

/* What a command answers about each stream, summed up: its number, or how many entries were ever added. */
static int64_t sum_over_streams(const char *address, const char *command, const char *prefix, unsigned robots)
{
    redisContext *r = open_redis(address);
    if (!r)
        return -1;
    int64_t sum = 0;
    for (unsigned i = 0; i < robots && sum >= 0; i++) {
        char key[RKEY_MAX], text[RKEY_MAX + 32];
        stream_key(key, prefix, i);
        snprintf(text, sizeof text, "%s %s", command, key);
        redisReply *reply = redisCommand(r, text); /* no % in names */
        if (!reply)
            sum = -1;
        else
            sum += reply->type == REDIS_REPLY_INTEGER ? reply->integer : fact(reply, "entries-added");
        if (reply)
            freeReplyObject(reply);
    }
    redisFree(r);
    return sum;
}

int64_t store_count(const char *address, const char *prefix, unsigned robots)
{
    return sum_over_streams(address, "XINFO STREAM", prefix, robots);
}

int store_forget(const char *address, const char *prefix, unsigned robots)
{
    return sum_over_streams(address, "DEL", prefix, robots) < 0 ? -1 : 0;
}

static void append_sample(redisContext *r, const char *key, int64_t time_ms, bool one_field, unsigned i)
{
    double battery = 100 - (i % 900) / 10.0, temperature = 35 + (i % 97) / 10.0;
    unsigned cpu = 20 + i % 50, signal = 60 + i % 40;
    char id[32], text[160], b[32], t[32], c[16], s[16];
    snprintf(id, sizeof id, "%lld-0", (long long)time_ms);
    snprintf(b, sizeof b, "%g", battery);
    snprintf(t, sizeof t, "%g", temperature);
    snprintf(c, sizeof c, "%u", cpu);
    snprintf(s, sizeof s, "%u", signal);
    snprintf(text, sizeof text, "\"battery\":%s,\"cpu\":%s,\"temperature\":%s,\"signal\":%s", b, c, t, s);
    if (one_field)
        redisAppendCommand(r, "XADD %s %s %s %s", key, id, RKEY_FIELD, text);
    else
        redisAppendCommand(r, "XADD %s %s battery %s cpu %s temperature %s signal %s", key, id, b, c, t, s);
}

static int take_replies(redisContext *r, unsigned n)
{
    int rc = 0;
    for (unsigned i = 0; i < n; i++) {
        redisReply *reply = NULL;
        if (redisGetReply(r, (void **)&reply) != REDIS_OK)
            return -1;
        if (reply->type == REDIS_REPLY_ERROR) {
            fprintf(stderr, "telerelay-bench: Redis: %s\n", reply->str);
            rc = -1;
        }
        freeReplyObject(reply);
    }
    return rc;
}

int store_fill(const char *address, const char *prefix, unsigned samples, bool one_field)
{
    redisContext *r = open_redis(address);
    if (!r)
        return -1;
    char key[RKEY_MAX];
    stream_key(key, prefix, 0);
    int64_t first = clock_wall_ms() - (int64_t)samples * SPACING_MS;
    redisAppendCommand(r, "DEL %s", key);
    redisAppendCommand(r, "ZADD %s %s bench_00", RKEY_DEVICES, "1");
    int rc = take_replies(r, 2);
    for (unsigned done = 0; done < samples && rc == 0;) {
        unsigned n = 0;
        for (; n < BATCH && done + n < samples; n++)
            append_sample(r, key, first + (int64_t)(done + n) * SPACING_MS, one_field, done + n);
        rc = take_replies(r, n);
        done += n;
    }
    redisFree(r);
    return rc;
}

/* Whether the stream holds what shall be read. */
static bool verify(redisContext *r, const char *key, unsigned limit)
{
    redisReply *reply = redisCommand(r, "XREVRANGE %s + - COUNT %u", key, limit);
    bool ok = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == limit;
    if (reply)
        freeReplyObject(reply);
    if (!ok)
        fprintf(stderr, "telerelay-bench: %s does not hold %u samples\n", key, limit);
    return ok;
}

static int ask(redisContext *r, const char *key, unsigned limit)
{
    int done = 0;
    redisAppendCommand(r, "XREVRANGE %s + - COUNT %u", key, limit);
    while (!done)
        if (redisBufferWrite(r, &done) != REDIS_OK)
            return -1;
    return 0;
}

/* 1: an answer is complete, 0: not yet, -1: broken. Without reader functions, "reply" is no object. */
static int take_answer(redisContext *r)
{
    void *reply = NULL;
    if (redisBufferRead(r) != REDIS_OK || redisGetReplyFromReader(r, &reply) != REDIS_OK)
        return -1;
    return reply != NULL;
}

static int64_t read_all(redisContext **conns, unsigned n, const char *key, unsigned limit, int64_t until_ns)
{
    struct pollfd fds[CONNS_MAX];
    int64_t answers = 0;
    for (unsigned i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.fd = conns[i]->fd, .events = POLLIN};
        if (ask(conns[i], key, limit))
            return -1;
    }
    while (clock_mono_ns() < until_ns) {
        if (poll(fds, n, LIMIT_S * 1000) <= 0)
            return -1;
        for (unsigned i = 0; i < n; i++) {
            int got = fds[i].revents ? take_answer(conns[i]) : 0;
            if (got < 0 || (got > 0 && ask(conns[i], key, limit)))
                return -1;
            answers += got;
        }
    }
    return answers;
}

int64_t store_read(const char *address, const char *prefix, unsigned limit, unsigned concurrency, double seconds,
                   double *took_s)
{
    redisContext *conns[CONNS_MAX] = {NULL};
    int64_t answers = -1;
    char key[RKEY_MAX];
    stream_key(key, prefix, 0);
    if (concurrency > CONNS_MAX)
        concurrency = CONNS_MAX;
    for (unsigned i = 0; i < concurrency; i++) {
        conns[i] = open_redis(address);
        if (!conns[i] || (i == 0 && !verify(conns[i], key, limit)))
            goto out;
        conns[i]->reader->fn = NULL;
    }
    int64_t start = clock_mono_ns();
    answers = read_all(conns, concurrency, key, limit, start + (int64_t)(seconds * 1e9));
    *took_s = (double)(clock_mono_ns() - start) / 1e9;
out:
    for (unsigned i = 0; i < concurrency; i++)
        if (conns[i])
            redisFree(conns[i]);
    return answers;
}
