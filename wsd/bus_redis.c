#include "wsd/bus.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/rkey.h"
#include "wsd/bus_channels.h"
#include "wsd/rconn.h"
#include "wsd_scripts.h"

#include <ev.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define REQUESTS_MAX   16384u /* under way; more is refused at once */
#define PREPARE_MS     1000   /* from connected to usable */
#define TICK_S         0.05
#define GOOD_RTT_MS    50 /* a slower answer says too little about Redis' clock */
#define SUBSCRIPTIONS  2  /* tr/pres and tr/relay/INST */

enum script { S_ATTACH, S_DETACH, S_BEAT, S_COMMAND, S_SNAPSHOT, S_LEAVE, SCRIPTS };

static const char *const script_text[SCRIPTS] = {script_attach,  script_detach,   script_beat,
                                                 script_command, script_snapshot, script_leave};

enum op { OP_IGNORE, OP_LOAD, OP_BEAT, OP_SNAPSHOT, OP_ATTACH, OP_STORE, OP_COMMAND };

struct request {
    enum op op;
    bool done; /* its callback has come: the answer is late */
    int64_t sent_ms;
    void *owner;
    void *token; /* OP_STORE: struct bus_sample; OP_ATTACH: a copy of the device id, ours */
    int index;   /* OP_LOAD: enum script */
    union {
        bus_attach_cb *attach;
        bus_store_cb *store;
        bus_command_cb *command;
    } cb;
};

enum link { LINK_DOWN, LINK_PREPARING, LINK_UP };

struct bus {
    struct ev_loop *loop;
    const struct conf *conf;
    const struct bus_handlers *handlers;
    void *ctx;
    char instance[CONF_NAME_MAX + 32]; /* NAME#NONCE */
    char relay_channel[RKEY_MAX];
    char password[128];

    enum link link;
    int64_t link_since_ms;
    char last_why[160]; /* why the link was lost, to log each reason once */
    struct rconn *cmd, *sub;
    struct bus_channels *channels; /* which robots' commands arrive here */
    char sha[SCRIPTS][41];
    int loaded;     /* scripts */
    int subscribed; /* of SUBSCRIPTIONS */
    bool beaten;    /* the clock is known */
    bool upstream;  /* wanted */
    bool stopping;

    int64_t clock_offset_ms; /* Redis' clock − our monotonic clock */
    int64_t beat_ms, probe_ms, echo_ms, retry_ms; /* monotonic; when last */
    uint64_t probe;

    struct request *ring; /* answers come in this order */
    unsigned head, count, cap;
    ev_timer tick;
};

/* --- sending ------------------------------------------------------------------------------- */

#define ARG(text)      ((struct rconn_arg){(text), strlen(text)})
#define ARGN(text, n)  ((struct rconn_arg){(text), (n)})

static struct request *push_request(struct bus *b, enum op op)
{
    if (b->count == b->cap) {
        unsigned cap = b->cap ? b->cap * 2 : 256;
        struct request *ring = cap > REQUESTS_MAX ? NULL : malloc(cap * sizeof(*ring));
        if (ring == NULL)
            return NULL;
        for (unsigned i = 0; i < b->count; i++)
            ring[i] = b->ring[(b->head + i) % b->cap];
        free(b->ring);
        b->ring = ring;
        b->cap = cap;
        b->head = 0;
    }
    struct request *r = &b->ring[(b->head + b->count) % b->cap];
    memset(r, 0, sizeof(*r));
    r->op = op;
    r->sent_ms = clock_mono_ms();
    return r;
}

/* A request and its command, or neither. */
static struct request *start(struct bus *b, enum op op, const struct rconn_arg *argv, size_t argc)
{
    struct request *r = push_request(b, op);
    if (r == NULL || rconn_send(b->cmd, argv, argc) != 0)
        return NULL;
    b->count++;
    return r;
}

static struct request *start_script(struct bus *b, enum op op, enum script script, const struct rconn_arg *args,
                                    size_t n)
{
    struct rconn_arg argv[3 + 6];
    argv[0] = ARG("EVALSHA");
    argv[1] = ARGN(b->sha[script], 40);
    argv[2] = ARG("0");
    if (n > 0)
        memcpy(argv + 3, args, n * sizeof(*args));
    return start(b, op, argv, 3 + n);
}

static void publish(struct bus *b, const char *channel, const char *text, size_t len)
{
    struct rconn_arg argv[] = {ARG("PUBLISH"), ARG(channel), ARGN(text, len)};
    start(b, OP_IGNORE, argv, 3);
}

bool bus_up(const struct bus *b)
{
    return b->link == LINK_UP;
}

void bus_flush(struct bus *b)
{
    rconn_flush(b->cmd);
    rconn_flush(b->sub);
}

void bus_forget(struct bus *b, void *owner)
{
    for (unsigned i = 0; i < b->count; i++) {
        struct request *r = &b->ring[(b->head + i) % b->cap];
        if (r->owner == owner)
            r->owner = NULL;
    }
    bus_channels_forget(b->channels, owner);
}

/* --- robots here --------------------------------------------------------------------------- */

/* The robot's channel is joined: enter it as online. */
static void send_attach(void *ctx, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb)
{
    struct bus *b = ctx;
    char had_text[24], most[24];
    snprintf(had_text, sizeof(had_text), "%" PRIu64, had);
    snprintf(most, sizeof(most), "%d", b->conf->wsd.max_devices);
    struct rconn_arg args[] = {ARG(device_id), ARG(b->instance), ARG(b->conf->wsd.name), ARG(had_text), ARG(most)};
    char *copy = strdup(device_id);
    struct request *r = copy ? start_script(b, OP_ATTACH, S_ATTACH, args, 5) : NULL;
    if (r == NULL) {
        free(copy);
        cb(b->ctx, owner, BUS_ATTACH_FAILED, 0);
        return;
    }
    r->owner = owner;
    r->token = copy;
    r->cb.attach = cb;
}

static void send_detach(struct bus *b, const char *device_id, uint64_t conn)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, conn);
    struct rconn_arg args[] = {ARG(device_id), ARG(b->instance), ARG(text)};
    start_script(b, OP_IGNORE, S_DETACH, args, 3);
}

static void send_subscription(void *ctx, const char *verb, const char *device_id)
{
    struct bus *b = ctx;
    char channel[RKEY_MAX];
    rkey_join(channel, RCHAN_COMMAND_PREFIX, device_id);
    struct rconn_arg argv[] = {ARG(verb), ARG(channel)};
    rconn_send(b->sub, argv, 2);
}

int bus_attach(struct bus *b, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb)
{
    if (b->link != LINK_UP)
        return -1;
    return bus_channels_join(b->channels, device_id, had, owner, cb);
}

void bus_detach(struct bus *b, const char *device_id, uint64_t conn)
{
    bus_channels_leave(b->channels, device_id);
    if (b->link == LINK_UP && conn != 0)
        send_detach(b, device_id, conn);
}

/* --- messages ------------------------------------------------------------------------------ */

static int send_sample(struct bus *b, struct bus_sample *s, bool own_time, void *owner, bus_store_cb *cb)
{
    char key[RKEY_MAX], id[32] = "*", maxlen[24];
    rkey_join(key, RKEY_STREAM_PREFIX, s->device_id);
    if (own_time)
        snprintf(id, sizeof(id), "%" PRId64 "-*", s->time_ms);
    snprintf(maxlen, sizeof(maxlen), "%d", b->conf->wsd.stream_maxlen);
    struct rconn_arg argv[8] = {ARG("XADD"), ARG(key)};
    size_t n = 2;
    if (b->conf->wsd.stream_maxlen > 0) {
        argv[n++] = ARG("MAXLEN");
        argv[n++] = ARG("~");
        argv[n++] = ARG(maxlen);
    }
    argv[n++] = ARG(id);
    argv[n++] = ARG(RKEY_FIELD);
    argv[n++] = ARGN(s->metrics, s->metrics_len);
    struct request *r = start(b, OP_STORE, argv, n);
    if (r == NULL)
        return -1;
    r->owner = owner;
    r->token = s;
    r->cb.store = cb;
    return 0;
}

int bus_store(struct bus *b, struct bus_sample *s, void *owner, bus_store_cb *cb)
{
    return b->link == LINK_UP ? send_sample(b, s, s->time_ms > 0, owner, cb) : -1;
}

int bus_publish(struct bus *b, enum bus_kind kind, const char *device_id, const char *json, size_t len)
{
    static const char *const prefix[] = {RCHAN_TELEMETRY_PREFIX, RCHAN_STATUS_PREFIX, RCHAN_VIDEO_PREFIX};
    char channel[RKEY_MAX];
    if (b->link != LINK_UP)
        return -1;
    rkey_join(channel, prefix[kind], device_id);
    struct rconn_arg argv[] = {ARG("PUBLISH"), ARG(channel), ARGN(json, len)};
    return start(b, OP_IGNORE, argv, 3) ? 0 : -1;
}

int bus_send(struct bus *b, const struct bus_command *c, void *owner, void *token, bus_command_cb *cb)
{
    char deadline[24];
    if (b->link != LINK_UP)
        return -1;
    snprintf(deadline, sizeof(deadline), "%" PRId64, clock_mono_ms() + b->clock_offset_ms + c->ttl_ms);
    struct rconn_arg args[] = {ARG(c->device_id ? c->device_id : ""), ARG(deadline), ARG(msg_type_name(c->type)),
                               ARGN(c->json, c->len)};
    struct request *r = start_script(b, OP_COMMAND, S_COMMAND, args, 4);
    if (r == NULL)
        return -1;
    r->owner = owner;
    r->token = token;
    r->cb.command = cb;
    return 0;
}

void bus_set_name(struct bus *b, const char *device_id, const char *name)
{
    char key[RKEY_MAX];
    rkey_join(key, RKEY_DEVICE_PREFIX, device_id);
    struct rconn_arg argv[] = {ARG("HSET"), ARG(key), ARG("name"), ARG(name)};
    start(b, OP_IGNORE, argv, 4);
}

void bus_listen_upstream(struct bus *b, bool wanted)
{
    if (b->upstream == wanted)
        return;
    b->upstream = wanted;
    struct rconn_arg argv[] = {ARG(wanted ? "PSUBSCRIBE" : "PUNSUBSCRIBE"), ARG(RCHAN_UPSTREAM_PATTERN)};
    rconn_send(b->sub, argv, 2);
}

void bus_request_snapshot(struct bus *b)
{
    if (b->link == LINK_UP)
        start_script(b, OP_SNAPSHOT, S_SNAPSHOT, NULL, 0);
}

void bus_put_metrics(struct bus *b, const char *text, size_t len)
{
    char key[RKEY_MAX], ttl[24];
    if (b->link != LINK_UP)
        return;
    rkey_join(key, RKEY_METRICS_PREFIX, b->conf->wsd.name);
    snprintf(ttl, sizeof(ttl), "%d", RKEY_METRICS_TTL_S);
    struct rconn_arg argv[] = {ARG("SET"), ARG(key), ARGN(text, len), ARG("EX"), ARG(ttl)};
    start(b, OP_IGNORE, argv, 5);
}

void bus_leave(struct bus *b)
{
    struct rconn_arg args[] = {ARG(b->instance)};
    if (b->link == LINK_UP)
        start_script(b, OP_IGNORE, S_LEAVE, args, 1);
    b->stopping = true;
    bus_flush(b);
}

/* --- answers ------------------------------------------------------------------------------- */

static const char *error_text(const redisReply *reply)
{
    if (reply == NULL)
        return "no answer from Redis in time";
    return reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected answer from Redis";
}

static int64_t element_int(const redisReply *reply, size_t i)
{
    const redisReply *e = reply->element[i];
    return e->type == REDIS_REPLY_INTEGER ? e->integer : e->str ? strtoll(e->str, NULL, 10) : 0;
}

static bool is_array(const redisReply *reply, size_t n)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements >= n;
}

static void on_attached(struct bus *b, struct request *r, const redisReply *reply)
{
    int64_t conn = is_array(reply, 1) ? element_int(reply, 0) : -2;
    enum bus_attach result = conn > 0     ? BUS_ATTACHED
                             : conn == 0  ? BUS_ATTACH_OLDER
                             : conn == -1 ? BUS_ATTACH_FULL
                                          : BUS_ATTACH_FAILED;
    if (r->owner == NULL) {
        /* The robot left meanwhile; a newer connection of it has a higher number and stays. */
        if (conn > 0 && b->link == LINK_UP)
            send_detach(b, r->token, (uint64_t)conn);
    } else {
        r->cb.attach(b->ctx, r->owner, result, conn > 0 ? (uint64_t)conn : 0);
    }
}

static void on_stored(struct bus *b, struct request *r, const redisReply *reply)
{
    struct bus_sample *s = r->token;
    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        r->cb.store(b->ctx, r->owner, s, strtoll(reply->str, NULL, 10), NULL);
        return;
    }
    bool not_later = reply != NULL && reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "equal or smaller");
    if (not_later && send_sample(b, s, false, r->owner, r->cb.store) == 0)
        return;
    r->cb.store(b->ctx, r->owner, s, 0, error_text(reply));
}

static void on_command_sent(struct bus *b, struct request *r, const redisReply *reply)
{
    enum bus_sent result = BUS_SENT_UNKNOWN;
    int robots = 0;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        result = reply->integer < 0 ? BUS_SENT_EXPIRED : BUS_SENT;
        robots = reply->integer < 0 ? 0 : (int)reply->integer;
    }
    r->cb.command(b->ctx, r->owner, r->token, result, robots);
}

static void on_snapshot(struct bus *b, const redisReply *reply)
{
    if (!is_array(reply, 2) || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return;
    const redisReply *all = reply->element[1];
    size_t n = all->elements / 2;
    struct presence_entry *entries = malloc((n + 1) * sizeof(*entries));
    if (entries == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        entries[i].device_id = all->element[2 * i]->str;
        entries[i].conn = strtoull(all->element[2 * i + 1]->str, NULL, 10);
    }
    b->handlers->snapshot(b->ctx, (uint64_t)element_int(reply, 0), entries, n);
    free(entries);
}

static void on_beat(struct bus *b, const struct request *r, const redisReply *reply)
{
    if (!is_array(reply, 3))
        return;
    int64_t now = clock_mono_ms();
    int64_t rtt = now - r->sent_ms;
    int64_t redis_ms = element_int(reply, 0) * 1000 + element_int(reply, 1) / 1000;
    if (rtt <= GOOD_RTT_MS || !b->beaten)
        b->clock_offset_ms = redis_ms - (now - rtt / 2);
    b->beaten = true;
    if (element_int(reply, 2) == 1 && b->link == LINK_UP)
        b->handlers->reattach(b->ctx);
}

/* reply NULL: none came. Called once per request. */
static void answer(struct bus *b, struct request *r, const redisReply *reply)
{
    r->done = true;
    switch (r->op) {
    case OP_ATTACH:
        on_attached(b, r, reply);
        free(r->token);
        r->token = NULL;
        break;
    case OP_STORE:
        on_stored(b, r, reply);
        break;
    case OP_COMMAND:
        on_command_sent(b, r, reply);
        break;
    case OP_SNAPSHOT:
        on_snapshot(b, reply);
        break;
    case OP_BEAT:
        on_beat(b, r, reply);
        break;
    case OP_LOAD:
        if (reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == 40) {
            memcpy(b->sha[r->index], reply->str, 41);
            b->loaded++;
        }
        break;
    case OP_IGNORE:
        break;
    }
}

/* --- the link ------------------------------------------------------------------------------ */

static void fail_requests(struct bus *b)
{
    unsigned n = b->count;
    for (unsigned i = 0; i < n; i++) {
        struct request r = b->ring[b->head];
        b->head = (b->head + 1) % b->cap;
        b->count--;
        if (!r.done)
            answer(b, &r, NULL);
    }
}

static void link_down(struct bus *b, const char *why)
{
    enum link was = b->link;
    b->link = LINK_DOWN;
    b->retry_ms = clock_mono_ms();
    b->loaded = b->subscribed = 0;
    b->beaten = false;
    if (was == LINK_UP || strcmp(b->last_why, why) != 0)
        log_warn("redis_lost", log_str("why", why), log_str("address", b->conf->redis.address));
    snprintf(b->last_why, sizeof(b->last_why), "%s", why);
    rconn_close(b->cmd);
    rconn_close(b->sub);
    if (was == LINK_UP)
        b->handlers->state(b->ctx, false);
    fail_requests(b);
    bus_channels_lost(b->channels);
}

static void authenticate(struct bus *b, struct rconn *c, bool answered)
{
    if (b->password[0] == '\0')
        return;
    const char *user = b->conf->redis.user[0] ? b->conf->redis.user : "default";
    struct rconn_arg argv[] = {ARG("AUTH"), ARG(user), ARG(b->password)};
    if (answered)
        start(b, OP_IGNORE, argv, 3);
    else
        rconn_send(c, argv, 3);
}

static void send_beat(struct bus *b)
{
    char lease[24];
    snprintf(lease, sizeof(lease), "%d", b->conf->wsd.lease_ms);
    struct rconn_arg args[] = {ARG(b->instance), ARG(lease)};
    start_script(b, OP_BEAT, S_BEAT, args, 2);
    b->beat_ms = clock_mono_ms();
}

static void send_probe(struct bus *b)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "probe %" PRIu64, ++b->probe);
    publish(b, b->relay_channel, text, (size_t)n);
    b->probe_ms = clock_mono_ms();
}

static void on_cmd_opened(void *ctx)
{
    struct bus *b = ctx;
    authenticate(b, b->cmd, true);
    for (int i = 0; i < SCRIPTS; i++) {
        struct rconn_arg argv[] = {ARG("SCRIPT"), ARG("LOAD"), ARG(script_text[i])};
        struct request *r = start(b, OP_LOAD, argv, 3);
        if (r != NULL)
            r->index = i;
    }
}

static void on_sub_opened(void *ctx)
{
    struct bus *b = ctx;
    authenticate(b, b->sub, false);
    struct rconn_arg argv[] = {ARG("SUBSCRIBE"), ARG(RCHAN_PRESENCE), ARG(b->relay_channel)};
    rconn_send(b->sub, argv, 3);
    if (b->upstream) {
        struct rconn_arg up[] = {ARG("PSUBSCRIBE"), ARG(RCHAN_UPSTREAM_PATTERN)};
        rconn_send(b->sub, up, 2);
    }
}

static void on_closed(void *ctx, const char *why)
{
    link_down(ctx, why);
}

static void on_cmd_reply(void *ctx, const redisReply *reply)
{
    struct bus *b = ctx;
    if (b->count == 0) {
        link_down(b, "an answer that nobody asked for");
        return;
    }
    struct request r = b->ring[b->head];
    b->head = (b->head + 1) % b->cap;
    b->count--;
    bool error = reply->type == REDIS_REPLY_ERROR;
    char why[160] = "";
    if (error)
        snprintf(why, sizeof(why), "%s", reply->str);
    if (!r.done)
        answer(b, &r, reply);
    else if (r.op == OP_ATTACH)
        free(r.token);
    if (error && (b->link == LINK_PREPARING || strncmp(why, "NOSCRIPT", 8) == 0))
        link_down(b, why);
    else if (b->link == LINK_PREPARING && r.op == OP_LOAD && b->loaded == SCRIPTS)
        send_beat(b);
}

static void link_up(struct bus *b)
{
    b->link = LINK_UP;
    b->echo_ms = clock_mono_ms();
    b->last_why[0] = '\0';
    log_info("redis_up", log_str("address", b->conf->redis.address), log_str("instance", b->instance));
    bus_request_snapshot(b);
    b->handlers->state(b->ctx, true);
}

/* "kick CONN ID" or "probe N" */
static void on_relay_message(struct bus *b, const char *text)
{
    char *end;
    if (strncmp(text, "probe ", 6) == 0) {
        b->echo_ms = clock_mono_ms();
        if (b->link == LINK_PREPARING && strtoull(text + 6, NULL, 10) == b->probe)
            link_up(b);
    } else if (strncmp(text, "kick ", 5) == 0) {
        uint64_t conn = strtoull(text + 5, &end, 10);
        if (*end == ' ')
            b->handlers->kick(b->ctx, end + 1, conn);
    }
}

/* "PSEQ up|down CONN ID" */
static void on_presence_message(struct bus *b, const char *text)
{
    char *end;
    struct presence_event ev = {.seq = strtoull(text, &end, 10)};
    if (strncmp(end, " up ", 4) == 0) {
        ev.up = true;
        end += 4;
    } else if (strncmp(end, " down ", 6) == 0) {
        end += 6;
    } else {
        return;
    }
    ev.conn = strtoull(end, &end, 10);
    if (*end != ' ')
        return;
    ev.device_id = end + 1;
    b->handlers->presence(b->ctx, &ev);
}

/* "DEADLINE_MS TYPE JSON" */
static void on_command_message(struct bus *b, const char *device_id, const redisReply *payload)
{
    char *end;
    int64_t deadline = strtoll(payload->str, &end, 10);
    const char *json = *end == ' ' ? strchr(end + 1, ' ') : NULL;
    if (json == NULL)
        return;
    size_t name_len = (size_t)(json - end - 1);
    for (int t = MSG_NONE + 1; t < MSG_TYPES; t++) {
        const char *name = msg_type_name((enum msg_type)t);
        if (strlen(name) != name_len || memcmp(name, end + 1, name_len) != 0)
            continue;
        int64_t left = deadline - (clock_mono_ms() + b->clock_offset_ms);
        b->handlers->command(b->ctx, device_id, (enum msg_type)t, left, json + 1,
                             (size_t)payload->len - (size_t)(json + 1 - payload->str));
        return;
    }
}

static void on_upstream_message(struct bus *b, const char *channel, const redisReply *payload)
{
    static const struct {
        const char *prefix;
        enum bus_kind kind;
    } kinds[] = {{RCHAN_TELEMETRY_PREFIX, BUS_TELEMETRY},
                 {RCHAN_STATUS_PREFIX, BUS_STATUS},
                 {RCHAN_VIDEO_PREFIX, BUS_VIDEO}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(channel, kinds[i].prefix, n) == 0)
            b->handlers->upstream(b->ctx, kinds[i].kind, channel + n, payload->str, (size_t)payload->len);
    }
}

static void on_channel_message(struct bus *b, const char *channel, const redisReply *payload)
{
    static const size_t cmd_len = sizeof(RCHAN_COMMAND_PREFIX) - 1;
    if (strncmp(channel, RCHAN_COMMAND_PREFIX, cmd_len) == 0)
        on_command_message(b, channel + cmd_len, payload);
    else if (strcmp(channel, RCHAN_PRESENCE) == 0)
        on_presence_message(b, payload->str);
    else if (strcmp(channel, b->relay_channel) == 0)
        on_relay_message(b, payload->str);
}

static void on_subscription(struct bus *b, const char *verb, const char *channel)
{
    static const size_t cmd_len = sizeof(RCHAN_COMMAND_PREFIX) - 1;
    bool joined = strcmp(verb, "subscribe") == 0;
    if (strncmp(channel, RCHAN_COMMAND_PREFIX, cmd_len) == 0)
        bus_channels_confirmed(b->channels, channel + cmd_len, joined);
    else if (joined)
        b->subscribed++;
}

static void on_sub_reply(void *ctx, const redisReply *reply)
{
    struct bus *b = ctx;
    if (reply->type == REDIS_REPLY_ERROR) {
        link_down(b, reply->str);
        return;
    }
    if (!is_array(reply, 3) || reply->element[0]->type != REDIS_REPLY_STRING)
        return; /* the answer to AUTH */
    const char *verb = reply->element[0]->str;
    const char *channel = reply->element[1]->str;
    if (strcmp(verb, "pmessage") == 0 && reply->elements >= 4)
        on_upstream_message(b, reply->element[2]->str, reply->element[3]);
    else if (strcmp(verb, "message") == 0 && reply->element[2]->type == REDIS_REPLY_STRING)
        on_channel_message(b, channel, reply->element[2]);
    else if (channel != NULL && (strcmp(verb, "subscribe") == 0 || strcmp(verb, "unsubscribe") == 0))
        on_subscription(b, verb, channel);
}

/* --- time ---------------------------------------------------------------------------------- */

static void connect_both(struct bus *b)
{
    char why[160] = "";
    b->retry_ms = b->link_since_ms = clock_mono_ms();
    b->probe_ms = 0;
    if (rconn_open(b->cmd, b->conf->redis.address, why, sizeof(why)) == 0 &&
        rconn_open(b->sub, b->conf->redis.address, why, sizeof(why)) == 0) {
        b->link = LINK_PREPARING;
        return;
    }
    link_down(b, why);
}

/* Requests that Redis has not answered in time: their senders are told; the answers are still due. */
static void expire_requests(struct bus *b, int64_t now)
{
    for (unsigned i = 0; i < b->count; i++) {
        struct request *r = &b->ring[(b->head + i) % b->cap];
        if (now - r->sent_ms < BUS_ANSWER_MS)
            return;
        if (r->done || r->op == OP_ATTACH)
            continue; /* an attach is answered when Redis is, or when the link is lost */
        struct request copy = *r;
        r->done = true;
        answer(b, &copy, NULL);
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct bus *b = w->data;
    int64_t now = clock_mono_ms();
    if (b->stopping)
        return;
    switch (b->link) {
    case LINK_DOWN:
        if (now - b->retry_ms >= BUS_RETRY_MS)
            connect_both(b);
        break;
    case LINK_PREPARING:
        if (now - b->link_since_ms > PREPARE_MS)
            link_down(b, "not ready in time");
        else if (b->beaten && b->subscribed == SUBSCRIPTIONS && b->probe_ms == 0)
            send_probe(b);
        break;
    case LINK_UP:
        if (now - b->echo_ms > BUS_UNHEALTHY_MS) {
            link_down(b, "messages do not come back");
            break;
        }
        if (now - b->probe_ms >= BUS_PROBE_MS)
            send_probe(b);
        if (now - b->beat_ms >= BUS_BEAT_MS)
            send_beat(b);
        expire_requests(b, now);
        break;
    }
}

struct bus *bus_create(struct ev_loop *loop, const struct conf *conf, const struct bus_handlers *handlers, void *ctx)
{
    static const struct rconn_handlers cmd_handlers = {on_cmd_opened, on_cmd_reply, on_closed};
    static const struct rconn_handlers sub_handlers = {on_sub_opened, on_sub_reply, on_closed};
    static const struct bus_channels_handlers channel_handlers = {send_subscription, send_attach};
    uint64_t nonce;
    char why[160];
    struct bus *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->loop = loop;
    b->conf = conf;
    b->handlers = handlers;
    b->ctx = ctx;
    b->cmd = rconn_create(loop, &cmd_handlers, b);
    b->sub = rconn_create(loop, &sub_handlers, b);
    b->channels = bus_channels_create(&channel_handlers, b);
    if (b->cmd == NULL || b->sub == NULL || b->channels == NULL ||
        getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        goto fail;
    if (conf->redis.password_file[0] != '\0' &&
        conf_read_secret(conf->redis.password_file, b->password, sizeof(b->password), why, sizeof(why)) != 0) {
        log_error("redis_password", log_str("why", why));
        goto fail;
    }
    snprintf(b->instance, sizeof(b->instance), "%s#%016" PRIx64, conf->wsd.name, nonce);
    rkey_join(b->relay_channel, RCHAN_RELAY_PREFIX, b->instance);
    ev_timer_init(&b->tick, on_tick, 0., TICK_S);
    b->tick.data = b;
    ev_timer_start(loop, &b->tick);
    return b;
fail:
    bus_destroy(b);
    return NULL;
}

static void discard_requests(struct bus *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        struct request *r = &b->ring[(b->head + i) % b->cap];
        if (r->op == OP_ATTACH)
            r->owner = NULL;
    }
    b->link = LINK_DOWN;
    fail_requests(b);
}

void bus_destroy(struct bus *b)
{
    if (b == NULL)
        return;
    ev_timer_stop(b->loop, &b->tick);
    discard_requests(b);
    rconn_destroy(b->cmd);
    rconn_destroy(b->sub);
    bus_channels_destroy(b->channels);
    free(b->ring);
    free(b);
}
