#include "wsd/bus_internal.h"

#include "common/clock.h"
#include "wsd/bus_wire.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct bus_request bus_request_of(void *owner, void *token, void (*callback)(void))
{
    return (struct bus_request){.owner = owner, .token = token, .callback = callback};
}

/* --- robots here --------------------------------------------------------------------------- */

static void on_detached(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    (void)r;
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        b->untidy = true;
}

static void send_detach(void *ctx, const char *device_id, uint64_t conn)
{
    struct bus *b = ctx;
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, conn);
    struct rconn_arg args[] = {BUS_ARG(device_id), BUS_ARG(text)};
    if (bus_link_script(b->link, BUS_SCRIPT_DETACH, args, 2, on_detached, BUS_NOBODY) != 0)
        b->untidy = true;
}

/* {connection number}, {0}: a newer one exists, {-1}: too many devices */
static void on_attached(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    bool valid = reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;
    int64_t conn = valid ? bus_link_int(reply->element[0]) : 0;
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
    struct rconn_arg args[] = {BUS_ARG(device_id), BUS_ARG(had_text), BUS_ARG(most)};
    char *copy = strdup(device_id);
    struct bus_request r = bus_request_of(owner, copy, (void (*)(void))cb);
    if (copy != NULL && bus_link_script(b->link, BUS_SCRIPT_ATTACH, args, 3, on_attached, r) == 0)
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
    bus_channels_leave(b->channels, device_id, conn);
}

/* --- messages ------------------------------------------------------------------------------ */

int bus_append(struct bus *b, const char *key, int most, const char *id, const char *members, size_t len,
               bus_answer *answer, struct bus_request r)
{
    char maxlen[16];
    snprintf(maxlen, sizeof(maxlen), "%d", most);
    struct rconn_arg argv[8] = {BUS_ARG("XADD"), BUS_ARG(key)};
    size_t n = 2;
    if (most > 0) {
        argv[n++] = BUS_ARG("MAXLEN");
        argv[n++] = BUS_ARG("~");
        argv[n++] = BUS_ARG(maxlen);
    }
    argv[n++] = BUS_ARG(id);
    argv[n++] = BUS_ARG(RKEY_FIELD);
    argv[n++] = BUS_ARGN(members, len);
    return bus_link_call(b->link, argv, n, answer, r);
}

int bus_publish(struct bus *b, enum bus_kind kind, const char *device_id, const char *json, size_t len)
{
    static const char *const prefix[] = {RCHAN_TELEMETRY_PREFIX, RCHAN_STATUS_PREFIX, RCHAN_VIDEO_PREFIX,
                                         RCHAN_HEARTBEAT_PREFIX, RCHAN_BACKFILL_PREFIX};
    char channel[RKEY_MAX];
    rkey_join(channel, prefix[kind], device_id);
    struct rconn_arg argv[] = {BUS_ARG("PUBLISH"), BUS_ARG(channel), BUS_ARGN(json, len)};
    return bus_link_call(b->link, argv, 3, NULL, BUS_NOBODY);
}

int bus_event(struct bus *b, const char *members, size_t len)
{
    return bus_append(b, RKEY_EVENTS, b->conf->wsd.events_maxlen, "*", members, len, NULL, BUS_NOBODY);
}

int bus_outcome(struct bus *b, const char *device_id, int64_t seq, enum msg_outcome outcome, const char *reason)
{
    char key[RKEY_MAX], buf[1024];
    struct jsonw w;
    rkey_join(key, RKEY_OUTCOMES_PREFIX, device_id);
    jsonw_init(&w, buf, sizeof(buf));
    jsonw_lit(&w, "{"); /* no comma before the first */
    jsonw_kv_int(&w, "seq", seq);
    jsonw_kv_str(&w, "outcome", msg_outcome_name(outcome));
    jsonw_kv_str(&w, "reason", reason);
    return w.overflow ? -1 : bus_append(b, key, b->conf->wsd.audit_maxlen, "*", w.buf + 1, w.len - 1, NULL, BUS_NOBODY);
}

int bus_receipt(struct bus *b, const struct bus_origin *to, const char *json, size_t len)
{
    char channel[RKEY_MAX], text[2048];
    struct jsonw w;
    rkey_join(channel, RCHAN_RELAY_PREFIX, to->instance ? to->instance : bus_link_instance(b->link));
    int n = snprintf(text, sizeof(text), "receipt %" PRIu64 " %" PRId64 " ", to->number, to->t0);
    jsonw_init(&w, text, sizeof(text));
    w.len = (size_t)n;
    jsonw_raw(&w, json, len);
    struct rconn_arg argv[] = {BUS_ARG("PUBLISH"), BUS_ARG(channel), BUS_ARGN(w.buf, w.len)};
    return w.overflow ? -1 : bus_link_call(b->link, argv, 3, NULL, BUS_NOBODY);
}

int bus_want(struct bus *b, const char *device_id)
{
    char channel[RKEY_MAX], text[16 + BUS_WIRE_INSTANCE_MAX];
    rkey_join(channel, RCHAN_COMMAND_PREFIX, device_id);
    snprintf(text, sizeof(text), "watch %s", bus_link_instance(b->link));
    struct rconn_arg argv[] = {BUS_ARG("PUBLISH"), BUS_ARG(channel), BUS_ARG(text)};
    return bus_link_call(b->link, argv, 3, NULL, BUS_NOBODY);
}

void bus_set_name(struct bus *b, const char *device_id, const char *name)
{
    char key[RKEY_MAX];
    rkey_join(key, RKEY_DEVICE_PREFIX, device_id);
    struct rconn_arg argv[] = {BUS_ARG("HSET"), BUS_ARG(key), BUS_ARG("name"), BUS_ARG(name)};
    bus_link_call(b->link, argv, 4, NULL, BUS_NOBODY);
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
    bus_link_call(b->link, argv, 5, NULL, BUS_NOBODY);
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
    b->handlers->snapshot(b->ctx, (uint64_t)bus_link_int(reply->element[0]), entries, n);
    free(entries);
}

void bus_tidy(struct bus *b)
{
    if (!b->untidy)
        return;
    b->untidy = false;
    bus_request_snapshot(b); /* in which it will be seen */
}

void bus_request_snapshot(struct bus *b)
{
    bus_link_script(b->link, BUS_SCRIPT_SNAPSHOT, NULL, 0, on_snapshot, BUS_NOBODY);
}

void bus_request_states(struct bus *b)
{
    bus_link_script(b->link, BUS_SCRIPT_STATE, NULL, 0, NULL, BUS_NOBODY);
}

/* --- orders -------------------------------------------------------------------------------- */

static void saw(struct bus *b, int64_t seq)
{
    if (seq > b->newest)
        b->newest = seq;
}

int64_t bus_stop_seq(struct bus *b)
{
    saw(b, b->newest + 1);
    saw(b, bus_link_clock_ms(b->link) * 1000);
    return b->newest;
}

/* What the scripts of orders want to know about one. */
struct author {
    char by[MSG_NAME_MAX + 1];
    char sender[BUS_WIRE_SENDER_MAX];
    char tail[BUS_WIRE_TAIL_MAX];
    char received[24]; /* Redis' clock, ms */
    char deadline[24];
};

static struct author author(const struct bus *b, uint64_t number, const char *by, const char *id, int64_t ttl_ms)
{
    struct author a;
    int64_t now = bus_link_clock_ms(b->link);
    bus_wire_name(a.by, by);
    bus_wire_sender(a.sender, bus_link_instance(b->link), number);
    bus_wire_tail(a.tail, a.sender, clock_mono_ms(), id);
    snprintf(a.received, sizeof(a.received), "%" PRId64, now);
    snprintf(a.deadline, sizeof(a.deadline), "%" PRId64, ttl_ms > 0 ? now + ttl_ms : 0);
    return a;
}

/* {enum bus_sent, robots, highest number} */
static void on_sent(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    enum bus_sent result = BUS_SENT_UNKNOWN;
    int robots = 0;
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        result = (enum bus_sent)bus_link_int(reply->element[0]);
        robots = (int)bus_link_int(reply->element[1]);
        saw(b, bus_link_int(reply->element[2]));
    }
    ((bus_command_cb *)r->callback)(b->ctx, r->owner, r->token, result, robots);
}

int bus_send(struct bus *b, const struct bus_command *c, void *owner, void *token, bus_command_cb *cb)
{
    char flags[4] = "";
    size_t n = 0;
    if (!c->deadman && !bus_link_room(b->link))
        return -1;
    struct author a = author(b, c->number, c->by, c->id, c->ttl_ms);
    if (b->conf->wsd.control == CONF_EXCLUSIVE)
        flags[n++] = 'x';
    if (c->zero)
        flags[n++] = 'z';
    if (c->deadman)
        flags[n++] = 'd';
    struct rconn_arg args[] = {BUS_ARG(c->device_id ? c->device_id : ""),
                               BUS_ARG(a.deadline),
                               BUS_ARG(a.received),
                               BUS_ARG(msg_type_name(c->type)),
                               BUS_ARGN(c->json, c->len - 1),
                               BUS_ARG(a.sender),
                               BUS_ARG(a.by),
                               BUS_ARG(a.tail),
                               BUS_ARGN(flags, n)};
    return bus_link_script(b->link, BUS_SCRIPT_COMMAND, args, 9, on_sent,
                           bus_request_of(owner, token, (void (*)(void))cb));
}

int bus_stop(struct bus *b, const struct bus_stop *s, void *owner, void *token, bus_command_cb *cb)
{
    struct author a = author(b, s->number, s->by, s->id, 0);
    char json[512], seq[24];
    struct jsonw w;
    jsonw_init(&w, json, sizeof(json));
    msg_put_stop(&w, s->stopped ? MSG_STOP : MSG_REARM, s->id, a.by, -1, clock_wall_us());
    if (w.overflow)
        return -1;
    snprintf(seq, sizeof(seq), "%" PRId64, s->seq);
    struct rconn_arg args[] = {BUS_ARG(s->device_id ? s->device_id : ""),
                               BUS_ARG(s->stopped ? "1" : "0"),
                               BUS_ARG(seq),
                               BUS_ARG(a.received),
                               BUS_ARGN(w.buf, w.len - 1),
                               BUS_ARG(a.by),
                               BUS_ARG(a.tail)};
    return bus_link_script(b->link, BUS_SCRIPT_STOP, args, 7, on_sent,
                           bus_request_of(owner, token, (void (*)(void))cb));
}

int bus_report_stop(struct bus *b, const char *device_id, bool stopped, int64_t seq, const char *by)
{
    char name[MSG_NAME_MAX + 1], seq_text[24];
    if (!bus_link_room(b->link))
        return -1;
    bus_wire_name(name, by);
    snprintf(seq_text, sizeof(seq_text), "%" PRId64, seq < 0 ? -1 : seq);
    struct rconn_arg args[] = {BUS_ARG(device_id), BUS_ARG(stopped ? "1" : "0"), BUS_ARG(seq_text), BUS_ARG(name)};
    return bus_link_script(b->link, BUS_SCRIPT_REPORT, args, 4, NULL, BUS_NOBODY);
}

/* {enum bus_control_result, epoch, holder} */
static void on_controlled(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    enum bus_control_result result = BUS_CONTROL_UNKNOWN;
    const char *holder = "";
    int64_t epoch = 0;
    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        result = (enum bus_control_result)bus_link_int(reply->element[0]);
        epoch = bus_link_int(reply->element[1]);
        holder = reply->element[2]->str ? reply->element[2]->str : "";
    }
    ((bus_control_cb *)r->callback)(b->ctx, r->owner, r->token, result, epoch, holder);
}

int bus_control(struct bus *b, enum bus_control_op op, const char *device_id, uint64_t number, const char *by,
                void *owner, void *token, bus_control_cb *cb)
{
    static const char *const names[] = {"acquire", "take", "renew", "release", "expire"};
    if (!bus_link_room(b->link))
        return -1;
    struct author a = author(b, number, by, NULL, 0);
    char drive[160], camera[160], lease[16];
    struct jsonw d, c;
    jsonw_init(&d, drive, sizeof(drive));
    msg_put_zero(&d, MSG_ROBOT_MOVE, clock_wall_us());
    jsonw_init(&c, camera, sizeof(camera));
    msg_put_zero(&c, MSG_CAMERA_MOVE, clock_wall_us());
    snprintf(lease, sizeof(lease), "%d", b->conf->wsd.control_ms);
    struct rconn_arg args[] = {
        BUS_ARG(names[op]), BUS_ARG(device_id),         BUS_ARG(a.sender),          BUS_ARG(a.by),
        BUS_ARG(lease),     BUS_ARGN(d.buf, d.len - 1), BUS_ARGN(c.buf, c.len - 1), BUS_ARG(a.received)};
    return bus_link_script(b->link, BUS_SCRIPT_CONTROL, args, 8, on_controlled,
                           bus_request_of(owner, token, (void (*)(void))cb));
}

/* --- what arrives -------------------------------------------------------------------------- */

static void on_states(struct bus *b, const char *text, size_t len)
{
    struct bus_wire_states s;
    if (bus_wire_parse_states(text, len, bus_link_instance(b->link), &s) != 0)
        return;
    b->handlers->states(b->ctx, s.stops, s.n_stops, s.controls, s.n_controls);
    bus_wire_states_finish(&s);
}

static void on_relay_message(struct bus *b, const char *text, size_t len)
{
    struct bus_wire_relay m;
    enum bus_wire_kind kind = bus_wire_parse_relay(text, len, &m);
    if (kind == BUS_WIRE_KICK)
        b->handlers->kick(b->ctx, m.rest, m.number);
    else if (kind == BUS_WIRE_RECEIPT)
        b->handlers->receipt(b->ctx, m.number, m.t0, m.rest, m.len);
    else if (kind == BUS_WIRE_STATES)
        on_states(b, m.rest, m.len);
}

static void on_presence_message(struct bus *b, const char *text, size_t len)
{
    struct presence_event ev;
    if (bus_wire_parse_presence(text, len, &ev))
        b->handlers->presence(b->ctx, &ev);
}

static void on_state_message(struct bus *b, const char *text, size_t len)
{
    struct bus_wire_state s;
    enum bus_wire_kind kind = bus_wire_parse_state(text, len, bus_link_instance(b->link), &s);
    if (kind == BUS_WIRE_STOP)
        b->handlers->stop_state(b->ctx, &s.stop);
    else if (kind == BUS_WIRE_CONTROL)
        b->handlers->control_state(b->ctx, &s.control);
    saw(b, s.stop.seq);
}

static void on_command_message(struct bus *b, const char *device_id, const char *text, size_t len)
{
    const char *own = bus_link_instance(b->link);
    struct bus_wire_order o;
    enum bus_wire_kind kind = bus_wire_parse_command(text, len, own, bus_link_clock_ms(b->link), &o);
    if (kind == BUS_WIRE_ORDER) {
        saw(b, o.order.seq);
        o.order.device_id = device_id;
        b->handlers->order(b->ctx, &o.order);
    } else if (kind == BUS_WIRE_WATCH && strcmp(o.instance, own) != 0) {
        b->handlers->wanted(b->ctx, device_id);
    }
}

static void on_message(void *ctx, const char *channel, const char *text, size_t len)
{
    static const size_t prefix = sizeof(RCHAN_COMMAND_PREFIX) - 1;
    struct bus *b = ctx;
    if (strncmp(channel, RCHAN_COMMAND_PREFIX, prefix) == 0)
        on_command_message(b, channel + prefix, text, len);
    else if (strcmp(channel, RCHAN_STATE) == 0)
        on_state_message(b, text, len);
    else if (strcmp(channel, RCHAN_PRESENCE) == 0)
        on_presence_message(b, text, len);
    else if (strcmp(channel, b->own_channel) == 0)
        on_relay_message(b, text, len);
}

static void on_pmessage(void *ctx, const char *channel, const char *text, size_t len)
{
    static const struct {
        const char *prefix;
        size_t len;
        enum bus_kind kind;
    } kinds[] = {{RCHAN_TELEMETRY_PREFIX, sizeof(RCHAN_TELEMETRY_PREFIX) - 1, BUS_TELEMETRY},
                 {RCHAN_STATUS_PREFIX, sizeof(RCHAN_STATUS_PREFIX) - 1, BUS_STATUS},
                 {RCHAN_VIDEO_PREFIX, sizeof(RCHAN_VIDEO_PREFIX) - 1, BUS_VIDEO},
                 {RCHAN_HEARTBEAT_PREFIX, sizeof(RCHAN_HEARTBEAT_PREFIX) - 1, BUS_HEARTBEAT},
                 {RCHAN_BACKFILL_PREFIX, sizeof(RCHAN_BACKFILL_PREFIX) - 1, BUS_BACKFILL}};
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
    bus_link_script(b->link, BUS_SCRIPT_REST, NULL, 0, NULL, BUS_NOBODY);
    b->handlers->state(b->ctx, true);
    bus_request_states(b); /* behind the stops that could not be latched before: they are in it */
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
    static const struct bus_channels_handlers channel_handlers = {on_subscription, on_joined, send_detach};
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
