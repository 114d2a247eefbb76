#include "tests/sim/redis.h"

#include "tests/sim/check.h"
#include "tests/sim/scripts.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#define CHANNELS_MAX  32
#define TWICE         0.003 /* how often a motion is delivered twice */
#define OTHERS_TWICE  0.25  /* what is rarer than motions */
#define ECHO_MOST_US  (10 * SIM_S)
#define SYNC_EVERY_US SIM_S

struct client {
    struct client *prev, *next;
    struct redis *redis;
    struct net_end *end;
    char *channels[CHANNELS_MAX];
    bool pattern[CHANNELS_MAX];
    size_t n_channels;
};

/* A message that is delivered once more. */
struct echo {
    struct echo *prev, *next;
    struct redis *redis;
    char *channel;
    struct store_arg payload;
};

struct redis {
    struct node node;
    struct store *store, *synced; /* now, and as on disk */
    struct scripts *scripts;
    struct client *clients;
    struct echo *echoes;
    bool runs;
    int64_t full_until; /* it refuses what takes memory */
};

struct redis_request *redis_request(size_t argc, const struct store_arg *argv, size_t *len)
{
    size_t need = 0;
    for (size_t i = 0; i < argc; i++)
        need += argv[i].len + 1;
    struct redis_request *q = malloc(sizeof(*q) + argc * sizeof(*argv) + need);
    if (q == NULL)
        abort();
    q->argc = argc;
    q->argv = (struct store_arg *)(q + 1);
    char *at = (char *)(q->argv + argc);
    for (size_t i = 0; i < argc; i++) {
        memcpy(at, argv[i].at, argv[i].len);
        at[argv[i].len] = '\0';
        q->argv[i] = (struct store_arg){at, argv[i].len};
        at += argv[i].len + 1;
    }
    *len = need + 8 * argc;
    return q;
}

void redis_free_request(void *request)
{
    free(request);
}

/* --- publish and subscribe ------------------------------------------------------------------ */

static size_t size_of(const redisReply *r)
{
    size_t n = r->len + 16;
    for (size_t i = 0; i < r->elements; i++)
        n += size_of(r->element[i]);
    return n;
}

static void answer(struct client *c, redisReply *r)
{
    net_send_object(c->end, r, size_of(r), store_free_reply);
}

static redisReply *text(const char *value)
{
    return store_text(value, strlen(value));
}

static void tell(struct client *c, size_t i, const char *channel, const struct store_arg *payload)
{
    bool pattern = c->pattern[i];
    redisReply *r = store_array(pattern ? 4 : 3);
    size_t at = 0;
    r->element[at++] = text(pattern ? "pmessage" : "message");
    if (pattern)
        r->element[at++] = text(c->channels[i]);
    r->element[at++] = text(channel);
    r->element[at] = store_text(payload->at, payload->len);
    answer(c, r);
}

/* To whoever listens now. */
static long long tell_all(struct redis *r, const char *channel, const struct store_arg *payload)
{
    struct client *c;
    long long n = 0;
    DL_FOREACH (r->clients, c) {
        for (size_t i = 0; i < c->n_channels; i++) {
            if (c->pattern[i] ? fnmatch(c->channels[i], channel, 0) != 0 : strcmp(c->channels[i], channel) != 0)
                continue;
            tell(c, i, channel, payload);
            n++;
        }
    }
    return n;
}

static void free_echo(struct echo *e)
{
    DL_DELETE(e->redis->echoes, e);
    free((char *)(uintptr_t)e->payload.at);
    free(e->channel);
    free(e);
}

static void on_echo(void *ctx)
{
    struct echo *e = ctx;
    tell_all(e->redis, e->channel, &e->payload);
    free_echo(e);
}

/* Later, and so maybe by another relay, behind a stop, or in another epoch. A motion is soon too old for anybody. */
static void tell_again(struct redis *r, const char *channel, const struct store_arg *payload, int64_t mean_us)
{
    int64_t later = chance_of(0.3) ? 0 : chance_after(mean_us);
    struct echo *e = calloc(1, sizeof(*e));
    if (e == NULL)
        abort();
    e->redis = r;
    e->channel = strdup(channel);
    e->payload = (struct store_arg){strndup(payload->at, payload->len), payload->len};
    DL_APPEND(r->echoes, e);
    sched_at(&r->node, sched_now() + (later < ECHO_MOST_US ? later : ECHO_MOST_US), SCHED_IO, on_echo, e);
}

static long long publish(struct redis *r, const char *channel, const struct store_arg *payload)
{
    bool command = strncmp(channel, "tr/cmd/", 7) == 0, motion = strstr(payload->at, "_move ") != NULL;
    long long n = tell_all(r, channel, payload);
    check_published(r->store, channel, payload->at, sched_wall_us(&r->node), n);
    if (command && chance_of(motion ? TWICE : OTHERS_TWICE))
        tell_again(r, channel, payload, motion ? 200 * SIM_MS : 2 * SIM_S);
    return n;
}

static void subscribe(struct client *c, const char *verb, const char *channel)
{
    size_t i = 0;
    bool joins = strcasecmp(verb, "SUBSCRIBE") == 0 || strcasecmp(verb, "PSUBSCRIBE") == 0;
    char low[16];
    while (i < c->n_channels && strcmp(c->channels[i], channel) != 0)
        i++;
    if (joins && i == c->n_channels) {
        if (i == CHANNELS_MAX)
            abort();
        c->channels[i] = strdup(channel);
        c->pattern[i] = *verb == 'P';
        c->n_channels++;
    } else if (!joins && i < c->n_channels) {
        free(c->channels[i]);
        c->n_channels--;
        c->channels[i] = c->channels[c->n_channels];
        c->pattern[i] = c->pattern[c->n_channels];
    }
    for (i = 0; verb[i] != '\0' && i < sizeof(low) - 1; i++)
        low[i] = (char)(verb[i] | 0x20);
    low[i] = '\0';
    redisReply *r = store_array(3);
    r->element[0] = text(low);
    r->element[1] = text(channel);
    r->element[2] = store_int((long long)c->n_channels);
    answer(c, r);
}

/* --- commands ------------------------------------------------------------------------------ */

static redisReply *on_script_call(void *ctx, const struct store_arg *argv, size_t argc)
{
    struct redis *r = ctx;
    if (r->full_until > sched_now() && store_takes_memory(argv[0].at))
        return store_error("OOM command not allowed when used memory > 'maxmemory'.");
    if (strcasecmp(argv[0].at, "PUBLISH") == 0 && argc == 3)
        return store_int(publish(r, argv[1].at, &argv[2]));
    return store_call(r->store, argv, argc, sched_wall_us(&r->node));
}

static redisReply *run(struct client *c, const struct redis_request *q)
{
    struct redis *r = c->redis;
    const struct store_arg *argv = q->argv;
    if (strcasecmp(argv[0].at, "EVALSHA") == 0 && q->argc >= 3) {
        size_t n_keys = (size_t)atoi(argv[2].at);
        check_script(false, false);
        redisReply *reply =
            scripts_run(r->scripts, argv[1].at, argv + 3, n_keys, argv + 3 + n_keys, q->argc - 3 - n_keys);
        check_script(true, reply->type == REDIS_REPLY_ERROR);
        return reply;
    }
    if (strcasecmp(argv[0].at, "SCRIPT") == 0 && q->argc == 3) {
        char sha[41], why[256];
        if (scripts_load(r->scripts, argv[2].at, argv[2].len, sha, why, sizeof(why)) == 0)
            return text(sha);
        fprintf(stderr, "sim: %s\n", why);
        return store_error(why);
    }
    if (strstr(argv[0].at, "SUBSCRIBE") != NULL) {
        for (size_t i = 1; i < q->argc; i++)
            subscribe(c, argv[0].at, argv[i].at);
        return NULL;
    }
    return on_script_call(r, argv, q->argc);
}

/* --- connections --------------------------------------------------------------------------- */

static void drop(struct client *c)
{
    DL_DELETE(c->redis->clients, c);
    while (c->n_channels > 0)
        free(c->channels[--c->n_channels]);
    free(c);
}

static void on_packet(void *ctx, struct net_packet *p)
{
    struct client *c = ctx;
    redisReply *r = run(c, p->object);
    if (r != NULL)
        answer(c, r);
}

static void on_room(void *ctx)
{
    (void)ctx; /* what is for a slow reader waits without a bound here */
}

static void on_closed(void *ctx, int code)
{
    (void)code;
    drop(ctx);
}

struct net_end *redis_accept(struct redis *r, struct node *from, const struct net_ops *ops, void *ctx)
{
    static const struct net_ops client_ops = {on_packet, on_room, on_closed};
    struct net_quality q = {chance_from(20, 2000), chance_from(0, 300), 0.0001, 256 * 1024};
    struct net_end *ends[2];
    if (!r->runs)
        return NULL;
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        abort();
    c->redis = r;
    net_connect(ends, from, &r->node, &q);
    net_own(ends[0], ops, ctx);
    net_own(ends[1], &client_ops, c);
    c->end = ends[1];
    DL_APPEND(r->clients, c);
    return ends[0];
}

/* --- life ---------------------------------------------------------------------------------- */

static void on_sync(void *ctx)
{
    struct redis *r = ctx;
    store_destroy(r->synced);
    r->synced = store_copy(r->store);
    sched_at(&r->node, sched_now() + SYNC_EVERY_US, SCHED_LATE, on_sync, r);
}

void redis_start(struct redis *r)
{
    r->runs = true;
    sched_at(&r->node, sched_now() + SYNC_EVERY_US, SCHED_LATE, on_sync, r);
}

void redis_crash(struct redis *r, enum redis_loss loss)
{
    r->runs = false;
    while (r->clients != NULL) {
        net_close(r->clients->end, 1006);
        drop(r->clients);
    }
    sched_cancel_node(&r->node);
    while (r->echoes != NULL)
        free_echo(r->echoes);
    r->node.frozen_until = r->full_until = 0;
    scripts_flush(r->scripts);
    if (loss == REDIS_KEEPS_ALL)
        return;
    store_destroy(r->store);
    r->store = loss == REDIS_LOSES_A_SECOND ? store_copy(r->synced) : store_create();
    store_destroy(r->synced);
    r->synced = store_copy(r->store);
}

void redis_fill(struct redis *r, int64_t until)
{
    r->full_until = until;
}

struct redis *redis_create(void)
{
    struct redis *r = calloc(1, sizeof(*r));
    if (r == NULL)
        abort();
    r->node = (struct node){.name = "redis", .wall_us = INT64_C(1790000000) * SIM_S, .self = r};
    r->store = store_create();
    r->synced = store_create();
    r->scripts = scripts_create(on_script_call, r);
    redis_start(r);
    return r;
}

void redis_destroy(struct redis *r)
{
    redis_crash(r, REDIS_KEEPS_ALL);
    store_destroy(r->store);
    store_destroy(r->synced);
    scripts_destroy(r->scripts);
    free(r);
}

bool redis_runs(const struct redis *r)
{
    return r->runs;
}

struct node *redis_node(struct redis *r)
{
    return &r->node;
}

struct store *redis_store(struct redis *r)
{
    return r->store;
}
