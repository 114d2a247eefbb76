#include "wsd/bus.h"

#include "common/rkey.h"
#include "wsd/bus_channels.h"
#include "wsd/bus_link.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY ((struct bus_request){0})

struct bus {
    const struct conf *conf;
    const struct bus_handlers *handlers;
    void *ctx;
    struct bus_link *link;
    struct bus_channels *channels; /* whose commands arrive here */
    char own_channel[RKEY_MAX];
    bool upstream; /* wanted */
};

bool bus_up(const struct bus *b)
{
    return bus_link_up(b->link);
}

void bus_flush(struct bus *b)
{
    bus_link_flush(b->link);
}

void bus_forget(struct bus *b, void *owner)
{
    bus_link_forget(b->link, owner);
    bus_channels_forget(b->channels, owner);
}

static int64_t as_int(const redisReply *e)
{
    return e->type == REDIS_REPLY_INTEGER ? e->integer : e->str ? strtoll(e->str, NULL, 10) : 0;
}

/* A callback of any type travels through a request as a plain function pointer. */
static struct bus_request request(void *owner, void *token, void (*callback)(void))
{
    return (struct bus_request){.owner = owner, .token = token, .callback = callback};
}

/* --- robots here --------------------------------------------------------------------------- */

static void send_detach(struct bus *b, const char *device_id, uint64_t conn)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, conn);
    struct rconn_arg args[] = {BUS_ARG(device_id), BUS_ARG(bus_link_instance(b->link)), BUS_ARG(text)};
    bus_link_script(b->link, BUS_SCRIPT_DETACH, args, 3, NULL, NOBODY);
}

/* {connection number}, {0}: a newer one exists, {-1}: too many devices */
static void on_attached(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    bool valid = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;
    int64_t conn = valid ? as_int(reply->element[0]) : 0;
    enum bus_attach result = BUS_ATTACHED;
    if (!valid)
        result = BUS_ATTACH_FAILED;
    else if (conn <= 0)
        result = conn == 0 ? BUS_ATTACH_OLDER : BUS_ATTACH_FULL;
    if (r->owner != NULL)
        ((bus_attach_cb *)r->callback)(b->ctx, r->owner, result, conn > 0 ? (uint64_t)conn : 0);
    else if (result == BUS_ATTACHED)
        send_detach(b, r->token, (uint64_t)conn); /* it left meanwhile; a newer one's number is higher */
    free(r->token);
}

/* The robot's channel is joined: enter it as online. */
static void on_joined(void *ctx, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb)
{
    struct bus *b = ctx;
    char had_text[24], most[24];
    snprintf(had_text, sizeof(had_text), "%" PRIu64, had);
    snprintf(most, sizeof(most), "%d", b->conf->wsd.max_devices);
    struct rconn_arg args[] = {BUS_ARG(device_id), BUS_ARG(bus_link_instance(b->link)), BUS_ARG(b->conf->wsd.name),
                               BUS_ARG(had_text), BUS_ARG(most)};
    char *copy = strdup(device_id);
    struct bus_request r = request(owner, copy, (void (*)(void))cb);
    if (copy != NULL && bus_link_script(b->link, BUS_SCRIPT_ATTACH, args, 5, on_attached, r) == 0)
        return;
    free(copy);
    cb(b->ctx, owner, BUS_ATTACH_FAILED, 0);
}

static void on_subscription(void *ctx, const char *verb, const char *device_id)
{
    struct bus *b = ctx;
    char channel[RKEY_MAX];
    rkey_join(channel, RCHAN_COMMAND_PREFIX, device_id);
    bus_link_subscribe(b->link, verb, channel);
}

int bus_attach(struct bus *b, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb)
{
    return bus_up(b) ? bus_channels_join(b->channels, device_id, had, owner, cb) : -1;
}

void bus_detach(struct bus *b, const char *device_id, uint64_t conn)
{
    bus_channels_leave(b->channels, device_id);
    if (conn != 0)
        send_detach(b, device_id, conn);
}

/* --- messages ------------------------------------------------------------------------------ */

static void on_stored(void *ctx, const struct bus_request *r, const redisReply *reply);

static int send_sample(struct bus *b, struct bus_sample *s, bool own_time, struct bus_request r)
{
    char key[RKEY_MAX], id[32] = "*", maxlen[24];
    rkey_join(key, RKEY_STREAM_PREFIX, s->device_id);
    if (own_time)
        snprintf(id, sizeof(id), "%" PRId64 "-*", s->time_ms);
    struct rconn_arg argv[8] = {BUS_ARG("XADD"), BUS_ARG(key)};
    size_t n = 2;
    if (b->conf->wsd.stream_maxlen > 0) {
        snprintf(maxlen, sizeof(maxlen), "%d", b->conf->wsd.stream_maxlen);
        argv[n++] = BUS_ARG("MAXLEN");
        argv[n++] = BUS_ARG("~");
        argv[n++] = BUS_ARG(maxlen);
    }
    argv[n++] = BUS_ARG(id);
    argv[n++] = BUS_ARG(RKEY_FIELD);
    argv[n++] = BUS_ARGN(s->metrics, s->metrics_len);
    return bus_link_call(b->link, argv, n, on_stored, r);
}

static void on_stored(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    struct bus_sample *s = r->token;
    bus_store_cb *cb = (bus_store_cb *)r->callback;
    bool error = reply != NULL && reply->type == REDIS_REPLY_ERROR;
    if (reply != NULL && reply->type == REDIS_REPLY_STRING)
        cb(b->ctx, r->owner, s, strtoll(reply->str, NULL, 10), NULL);
    else if (error && strstr(reply->str, "equal or smaller") && send_sample(b, s, false, *r) == 0)
        return; /* not later than the last one stored: under the time of arrival then */
    else
        cb(b->ctx, r->owner, s, 0, error ? reply->str : "Redis was lost before it answered");
}

int bus_store(struct bus *b, struct bus_sample *s, void *owner, bus_store_cb *cb)
{
    return send_sample(b, s, s->time_ms > 0, request(owner, s, (void (*)(void))cb));
}

int bus_publish(struct bus *b, enum bus_kind kind, const char *device_id, const char *json, size_t len)
{
    static const char *const prefix[] = {RCHAN_TELEMETRY_PREFIX, RCHAN_STATUS_PREFIX, RCHAN_VIDEO_PREFIX};
    char channel[RKEY_MAX];
    rkey_join(channel, prefix[kind], device_id);
    struct rconn_arg argv[] = {BUS_ARG("PUBLISH"), BUS_ARG(channel), BUS_ARGN(json, len)};
    return bus_link_call(b->link, argv, 3, NULL, NOBODY);
}

static void on_command_sent(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    enum bus_sent result = BUS_SENT_UNKNOWN;
    int robots = 0;
    if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
        result = reply->integer < 0 ? BUS_SENT_EXPIRED : BUS_SENT;
        robots = reply->integer < 0 ? 0 : (int)reply->integer;
    }
    ((bus_command_cb *)r->callback)(b->ctx, r->owner, r->token, result, robots);
}

int bus_send(struct bus *b, const struct bus_command *c, void *owner, void *token, bus_command_cb *cb)
{
    char deadline[24];
    snprintf(deadline, sizeof(deadline), "%" PRId64, bus_link_clock_ms(b->link) + c->ttl_ms);
    struct rconn_arg args[] = {BUS_ARG(c->device_id ? c->device_id : ""), BUS_ARG(deadline),
                               BUS_ARG(msg_type_name(c->type)), BUS_ARGN(c->json, c->len)};
    return bus_link_script(b->link, BUS_SCRIPT_COMMAND, args, 4, on_command_sent,
                           request(owner, token, (void (*)(void))cb));
}

void bus_set_name(struct bus *b, const char *device_id, const char *name)
{
    char key[RKEY_MAX];
    rkey_join(key, RKEY_DEVICE_PREFIX, device_id);
    struct rconn_arg argv[] = {BUS_ARG("HSET"), BUS_ARG(key), BUS_ARG("name"), BUS_ARG(name)};
    bus_link_call(b->link, argv, 4, NULL, NOBODY);
}

void bus_listen_upstream(struct bus *b, bool wanted)
{
    if (b->upstream == wanted)
        return;
    b->upstream = wanted;
    bus_link_subscribe(b->link, wanted ? "PSUBSCRIBE" : "PUNSUBSCRIBE", RCHAN_UPSTREAM_PATTERN);
}

void bus_put_metrics(struct bus *b, const char *text, size_t len)
{
    char key[RKEY_MAX], ttl[24];
    rkey_join(key, RKEY_METRICS_PREFIX, b->conf->wsd.name);
    snprintf(ttl, sizeof(ttl), "%d", RKEY_METRICS_TTL_S);
    struct rconn_arg argv[] = {BUS_ARG("SET"), BUS_ARG(key), BUS_ARGN(text, len), BUS_ARG("EX"), BUS_ARG(ttl)};
    bus_link_call(b->link, argv, 5, NULL, NOBODY);
}

void bus_leave(struct bus *b)
{
    bus_link_leave(b->link);
}

/* Entered by this relay ("CONN SINCE INSTANCE RELAY"), but not here: it left while Redis was away. */
static bool left_behind(const struct bus *b, const char *device_id, const char *entry)
{
    const char *instance = bus_link_instance(b->link);
    size_t len = strlen(instance);
    const char *at = strchr(entry, ' ');
    at = at ? strchr(at + 1, ' ') : NULL;
    return at != NULL && strncmp(at + 1, instance, len) == 0 && at[1 + len] == ' ' &&
           !bus_channels_wanted(b->channels, device_id);
}

/* {presence number, {device id, "CONN …", …}} */
static void on_snapshot(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    (void)r;
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY)
        return;
    const redisReply *all = reply->element[1];
    size_t n = all->elements / 2;
    struct presence_entry *entries = malloc((n + 1) * sizeof(*entries));
    if (entries == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        entries[i].device_id = all->element[2 * i]->str;
        entries[i].conn = strtoull(all->element[2 * i + 1]->str, NULL, 10);
        if (left_behind(b, entries[i].device_id, all->element[2 * i + 1]->str))
            send_detach(b, entries[i].device_id, entries[i].conn);
    }
    b->handlers->snapshot(b->ctx, (uint64_t)as_int(reply->element[0]), entries, n);
    free(entries);
}

void bus_request_snapshot(struct bus *b)
{
    bus_link_script(b->link, BUS_SCRIPT_SNAPSHOT, NULL, 0, on_snapshot, NOBODY);
}

/* --- what arrives -------------------------------------------------------------------------- */

/* "kick CONN ID" */
static void on_relay_message(struct bus *b, const char *text)
{
    char *end;
    if (strncmp(text, "kick ", 5) != 0)
        return;
    uint64_t conn = strtoull(text + 5, &end, 10);
    if (*end == ' ')
        b->handlers->kick(b->ctx, end + 1, conn);
}

/* "PSEQ up|down CONN ID" */
static void on_presence_message(struct bus *b, const char *text)
{
    char *at;
    struct presence_event ev = {.seq = strtoull(text, &at, 10)};
    ev.up = strncmp(at, " up ", 4) == 0;
    if (!ev.up && strncmp(at, " down ", 6) != 0)
        return;
    ev.conn = strtoull(at + (ev.up ? 4 : 6), &at, 10);
    if (*at != ' ')
        return;
    ev.device_id = at + 1;
    b->handlers->presence(b->ctx, &ev);
}

static enum msg_type type_from_name(const char *name, size_t len)
{
    for (int t = MSG_NONE + 1; t < MSG_TYPES; t++) {
        const char *known = msg_type_name((enum msg_type)t);
        if (strlen(known) == len && memcmp(known, name, len) == 0)
            return (enum msg_type)t;
    }
    return MSG_NONE;
}

/* "DEADLINE_MS TYPE JSON" */
static void on_command_message(struct bus *b, const char *device_id, const char *text, size_t len)
{
    char *type;
    int64_t deadline = strtoll(text, &type, 10);
    const char *json = *type == ' ' ? strchr(++type, ' ') : NULL;
    if (json == NULL)
        return;
    enum msg_type t = type_from_name(type, (size_t)(json - type));
    json++;
    struct bus_order o = {.device_id = device_id,
                          .type = t,
                          .left_ms = deadline - bus_link_clock_ms(b->link),
                          .id = "",
                          .json = json,
                          .len = len - (size_t)(json - text)};
    if (t != MSG_NONE)
        b->handlers->order(b->ctx, &o);
}

static void on_message(void *ctx, const char *channel, const char *text, size_t len)
{
    static const size_t prefix = sizeof(RCHAN_COMMAND_PREFIX) - 1;
    struct bus *b = ctx;
    if (strncmp(channel, RCHAN_COMMAND_PREFIX, prefix) == 0)
        on_command_message(b, channel + prefix, text, len);
    else if (strcmp(channel, RCHAN_PRESENCE) == 0)
        on_presence_message(b, text);
    else if (strcmp(channel, b->own_channel) == 0)
        on_relay_message(b, text);
}

static void on_pmessage(void *ctx, const char *channel, const char *text, size_t len)
{
    static const struct {
        const char *prefix;
        size_t len;
        enum bus_kind kind;
    } kinds[] = {{RCHAN_TELEMETRY_PREFIX, sizeof(RCHAN_TELEMETRY_PREFIX) - 1, BUS_TELEMETRY},
                 {RCHAN_STATUS_PREFIX, sizeof(RCHAN_STATUS_PREFIX) - 1, BUS_STATUS},
                 {RCHAN_VIDEO_PREFIX, sizeof(RCHAN_VIDEO_PREFIX) - 1, BUS_VIDEO}};
    struct bus *b = ctx;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(channel, kinds[i].prefix, kinds[i].len) == 0)
            b->handlers->upstream(b->ctx, kinds[i].kind, channel + kinds[i].len, text, len);
    }
}

static void on_subscribed(void *ctx, const char *channel, bool joined)
{
    static const size_t prefix = sizeof(RCHAN_COMMAND_PREFIX) - 1;
    struct bus *b = ctx;
    if (strncmp(channel, RCHAN_COMMAND_PREFIX, prefix) == 0)
        bus_channels_confirmed(b->channels, channel + prefix, joined);
}

static void on_up(void *ctx)
{
    struct bus *b = ctx;
    if (b->upstream)
        bus_link_subscribe(b->link, "PSUBSCRIBE", RCHAN_UPSTREAM_PATTERN);
    bus_request_snapshot(b);
    b->handlers->state(b->ctx, true);
}

static void on_down(void *ctx)
{
    struct bus *b = ctx;
    bus_channels_lost(b->channels);
    b->handlers->state(b->ctx, false);
}

static void on_lease_lost(void *ctx)
{
    struct bus *b = ctx;
    b->handlers->reattach(b->ctx);
}

struct bus *bus_create(struct ev_loop *loop, const struct conf *conf, const struct bus_handlers *handlers, void *ctx)
{
    static const struct bus_link_handlers link_handlers = {on_up,      on_down,     on_lease_lost,
                                                           on_message, on_pmessage, on_subscribed};
    static const struct bus_channels_handlers channel_handlers = {on_subscription, on_joined};
    struct bus *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->conf = conf;
    b->handlers = handlers;
    b->ctx = ctx;
    b->channels = bus_channels_create(&channel_handlers, b);
    b->link = b->channels ? bus_link_create(loop, conf, &link_handlers, b) : NULL;
    if (b->link == NULL) {
        bus_channels_destroy(b->channels);
        free(b);
        return NULL;
    }
    rkey_join(b->own_channel, RCHAN_RELAY_PREFIX, bus_link_instance(b->link));
    return b;
}

void bus_destroy(struct bus *b)
{
    if (b == NULL)
        return;
    bus_link_destroy(b->link);
    bus_channels_destroy(b->channels);
    free(b);
}
