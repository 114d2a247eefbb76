#include "wsd/bus_link.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/rkey.h"
#include "wsd/bus.h"
#include "wsd_scripts.h"

#include <ev.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define REQUESTS_MAX      16384u /* under way; more is refused at once */
#define RESERVED_REQUESTS 1024u
#define RESERVED_BYTES    (1024u * 1024u)
#define PREPARE_MS        1000 /* from connecting to usable */
#define TICK_S            0.05
#define STOPPED_MS        250 /* between two ticks: it was this process that stood still, not Redis */
#define GOOD_RTT_MS       50  /* a slower answer says too little about Redis' clock */
#define SUBSCRIPTIONS     3   /* tr/pres, tr/state and tr/relay/INSTANCE */
#define SHA_LEN           40
#define COMMON_ARGS       4 /* of every script */

static const char *const script_text[BUS_SCRIPTS] = {
    [BUS_SCRIPT_ATTACH] = script_attach,     [BUS_SCRIPT_DETACH] = script_detach, [BUS_SCRIPT_BEAT] = script_beat,
    [BUS_SCRIPT_COMMAND] = script_command,   [BUS_SCRIPT_LEAVE] = script_leave,   [BUS_SCRIPT_STOP] = script_stop,
    [BUS_SCRIPT_SNAPSHOT] = script_snapshot, [BUS_SCRIPT_REPORT] = script_report, [BUS_SCRIPT_STATE] = script_state,
    [BUS_SCRIPT_CONTROL] = script_control,   [BUS_SCRIPT_REST] = script_rest,     [BUS_SCRIPT_BATCH] = script_batch,
};

struct entry {
    struct bus_request r;
    bus_answer *answer; /* NULL: nobody waits */
};

enum state { DOWN, PREPARING, UP };

struct bus_link {
    struct ev_loop *loop;
    const struct conf *conf;
    const struct bus_link_handlers *handlers;
    void *ctx;
    char instance[CONF_NAME_MAX + 32];
    char own_channel[RKEY_MAX];
    char password[128];

    enum state state;
    char last_why[160]; /* why the link was lost, to log each reason once */
    struct rconn *cmd, *sub;
    char sha[BUS_SCRIPTS][SHA_LEN + 1];
    int loaded;     /* scripts */
    int subscribed; /* of SUBSCRIPTIONS */
    bool beaten;    /* the clock is known */
    bool leaving;

    int64_t clock_offset_ms; /* Redis' clock − our monotonic clock */
    int64_t tried_ms;        /* monotonic, like the next three: the last attempt to connect */
    int64_t beat_ms;         /* last sign of life */
    int64_t probe_ms;        /* last probe; 0: none on this connection */
    int64_t echo_ms;         /* last probe that came back */
    int64_t ticked_ms;       /* last tick */
    uint64_t probe;          /* its number */

    struct entry *ring; /* requests; answers come in this order */
    unsigned head, count, cap;
    ev_timer tick;
};

bool bus_link_up(const struct bus_link *l)
{
    return l->state == UP;
}

const char *bus_link_instance(const struct bus_link *l)
{
    return l->instance;
}

int64_t bus_link_clock_ms(const struct bus_link *l)
{
    return clock_mono_ms() + l->clock_offset_ms;
}

void bus_link_flush(struct bus_link *l)
{
    rconn_flush(l->cmd);
    rconn_flush(l->sub);
}

/* --- requests ------------------------------------------------------------------------------ */

static struct entry *entry_at(struct bus_link *l, unsigned i)
{
    return &l->ring[(l->head + i) % l->cap];
}

static int reserve(struct bus_link *l)
{
    if (l->count < l->cap)
        return 0;
    unsigned cap = l->cap ? l->cap * 2 : 256;
    struct entry *ring = cap > REQUESTS_MAX ? NULL : malloc(cap * sizeof(*ring));
    if (ring == NULL)
        return -1;
    for (unsigned i = 0; i < l->count; i++)
        ring[i] = *entry_at(l, i);
    free(l->ring);
    l->ring = ring;
    l->cap = cap;
    l->head = 0;
    return 0;
}

static int send_request(struct bus_link *l, const struct rconn_arg *argv, size_t argc, bus_answer *answer,
                        struct bus_request r)
{
    if (reserve(l) != 0 || rconn_send(l->cmd, argv, argc) != 0)
        return -1;
    *entry_at(l, l->count++) = (struct entry){r, answer};
    return 0;
}

static int send_script(struct bus_link *l, enum bus_script script, const struct rconn_arg *args, size_t n,
                       bus_answer *answer, struct bus_request r)
{
    char events[16], commands[16];
    snprintf(events, sizeof(events), "%d", l->conf->wsd.events_maxlen);
    snprintf(commands, sizeof(commands), "%d", l->conf->wsd.audit_maxlen);
    struct rconn_arg argv[3 + COMMON_ARGS + BUS_ARGS_MAX] = {
        BUS_ARG("EVALSHA"),   BUS_ARGN(l->sha[script], SHA_LEN), BUS_ARG("0"),
        BUS_ARG(l->instance), BUS_ARG(l->conf->wsd.name),        BUS_ARG(events),
        BUS_ARG(commands)};
    for (size_t i = 0; i < n && i < BUS_ARGS_MAX; i++)
        argv[3 + COMMON_ARGS + i] = args[i];
    return send_request(l, argv, 3 + COMMON_ARGS + n, answer, r);
}

/* What probes and signs of life need is left free, or a busy relay would take itself for cut off. */
bool bus_link_room(const struct bus_link *l)
{
    return l->count < REQUESTS_MAX - RESERVED_REQUESTS && rconn_buffered(l->cmd) < RCONN_BUFFER_MAX - RESERVED_BYTES;
}

int bus_link_call(struct bus_link *l, const struct rconn_arg *argv, size_t argc, bus_answer *answer,
                  struct bus_request r)
{
    return l->state == UP && bus_link_room(l) ? send_request(l, argv, argc, answer, r) : -1;
}

int bus_link_script(struct bus_link *l, enum bus_script script, const struct rconn_arg *args, size_t n,
                    bus_answer *answer, struct bus_request r)
{
    return l->state == UP ? send_script(l, script, args, n, answer, r) : -1;
}

int bus_link_subscribe(struct bus_link *l, const char *verb, const char *channel)
{
    struct rconn_arg argv[] = {BUS_ARG(verb), BUS_ARG(channel)};
    return l->state == UP ? rconn_send(l->sub, argv, 2) : -1;
}

void bus_link_forget(struct bus_link *l, const void *owner)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (entry_at(l, i)->r.owner == owner)
            entry_at(l, i)->r.owner = NULL;
    }
}

static struct entry pop_request(struct bus_link *l)
{
    struct entry e = *entry_at(l, 0);
    l->head = (l->head + 1) % l->cap;
    l->count--;
    return e;
}

static void fail_requests(struct bus_link *l)
{
    while (l->count > 0) {
        struct entry e = pop_request(l);
        if (e.answer != NULL)
            e.answer(l->ctx, &e.r, NULL);
    }
}

/* --- life ---------------------------------------------------------------------------------- */

static void link_down(struct bus_link *l, const char *why)
{
    enum state was = l->state;
    l->state = DOWN;
    l->tried_ms = clock_mono_ms();
    if (was == UP || strcmp(l->last_why, why) != 0)
        log_warn("redis_lost", log_str("why", why), log_str("address", l->conf->redis.address));
    snprintf(l->last_why, sizeof(l->last_why), "%s", why);
    rconn_close(l->cmd);
    rconn_close(l->sub);
    if (was == UP)
        l->handlers->down(l->ctx);
    fail_requests(l);
}

static void link_up(struct bus_link *l)
{
    l->state = UP;
    l->last_why[0] = '\0';
    log_info("redis_up", log_str("address", l->conf->redis.address), log_str("instance", l->instance));
    l->handlers->up(l->ctx);
}

static bool is_array(const redisReply *reply, size_t n)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements >= n;
}

int64_t bus_link_int(const redisReply *e)
{
    return e->type == REDIS_REPLY_INTEGER ? e->integer : e->str ? strtoll(e->str, NULL, 10) : 0;
}

/* {seconds, microseconds, 1 when the lease had run out} */
static void on_beat(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus_link *l = r->token;
    (void)ctx;
    if (!is_array(reply, 3))
        return;
    int64_t now = clock_mono_ms();
    int64_t rtt = now - l->beat_ms;
    int64_t redis_ms = bus_link_int(reply->element[0]) * 1000 + bus_link_int(reply->element[1]) / 1000;
    if (rtt <= GOOD_RTT_MS || !l->beaten)
        l->clock_offset_ms = redis_ms - (now - rtt / 2);
    l->beaten = true;
    if (bus_link_int(reply->element[2]) == 1 && l->state == UP)
        l->handlers->lease_lost(l->ctx);
}

static void send_beat(struct bus_link *l)
{
    char lease[16], control[16];
    snprintf(lease, sizeof(lease), "%d", l->conf->wsd.lease_ms);
    snprintf(control, sizeof(control), "%d", l->conf->wsd.control_ms);
    struct rconn_arg args[] = {BUS_ARG(lease), BUS_ARG(control)};
    l->beat_ms = clock_mono_ms();
    send_script(l, BUS_SCRIPT_BEAT, args, 2, on_beat, (struct bus_request){.token = l});
}

static void send_probe(struct bus_link *l)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "probe %" PRIu64, ++l->probe);
    struct rconn_arg argv[] = {BUS_ARG("PUBLISH"), BUS_ARG(l->own_channel), BUS_ARGN(text, (size_t)n)};
    l->probe_ms = clock_mono_ms();
    send_request(l, argv, 3, NULL, (struct bus_request){0});
}

static void on_probe(struct bus_link *l, const char *number)
{
    l->echo_ms = clock_mono_ms();
    if (l->state == PREPARING && strtoull(number, NULL, 10) == l->probe)
        link_up(l);
}

static void authenticate(struct bus_link *l, struct rconn *c)
{
    const char *user = l->conf->redis.user[0] ? l->conf->redis.user : "default";
    struct rconn_arg argv[] = {BUS_ARG("AUTH"), BUS_ARG(user), BUS_ARG(l->password)};
    if (l->password[0] == '\0')
        return;
    if (c == l->cmd)
        send_request(l, argv, 3, NULL, (struct bus_request){0});
    else
        rconn_send(c, argv, 3);
}

/* --- connections --------------------------------------------------------------------------- */

static void on_loaded(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus_link *l = r->token;
    (void)ctx;
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != SHA_LEN)
        return;
    memcpy(l->sha[l->loaded], reply->str, SHA_LEN); /* the answers come in the order of the scripts */
    if (++l->loaded == BUS_SCRIPTS)
        send_beat(l);
}

static void on_cmd_opened(void *ctx)
{
    struct bus_link *l = ctx;
    authenticate(l, l->cmd);
    for (int i = 0; i < BUS_SCRIPTS; i++) {
        struct rconn_arg argv[] = {BUS_ARG("SCRIPT"), BUS_ARG("LOAD"), BUS_ARG(script_text[i])};
        send_request(l, argv, 3, on_loaded, (struct bus_request){.token = l});
    }
}

static void on_sub_opened(void *ctx)
{
    struct bus_link *l = ctx;
    struct rconn_arg argv[] = {BUS_ARG("SUBSCRIBE"), BUS_ARG(RCHAN_PRESENCE), BUS_ARG(RCHAN_STATE),
                               BUS_ARG(l->own_channel)};
    authenticate(l, l->sub);
    rconn_send(l->sub, argv, 1 + SUBSCRIPTIONS);
}

static void on_closed(void *ctx, const char *why)
{
    link_down(ctx, why);
}

static void on_cmd_reply(void *ctx, const redisReply *reply)
{
    struct bus_link *l = ctx;
    if (l->count == 0) {
        link_down(l, "Redis sent an answer that nobody asked for");
        return;
    }
    struct entry e = pop_request(l);
    bool error = reply->type == REDIS_REPLY_ERROR;
    bool fatal = error && (l->state == PREPARING || strncmp(reply->str, "NOSCRIPT", 8) == 0);
    if (e.answer != NULL)
        e.answer(l->ctx, &e.r, reply);
    if (fatal && l->state != DOWN)
        link_down(l, reply->str);
}

static void on_sub_message(struct bus_link *l, const char *channel, const redisReply *payload)
{
    if (strcmp(channel, l->own_channel) == 0 && strncmp(payload->str, "probe ", 6) == 0)
        on_probe(l, payload->str + 6);
    else if (l->state == UP)
        l->handlers->message(l->ctx, channel, payload->str, (size_t)payload->len);
}

static void on_sub_reply(void *ctx, const redisReply *reply)
{
    struct bus_link *l = ctx;
    if (reply->type == REDIS_REPLY_ERROR) {
        link_down(l, reply->str);
        return;
    }
    if (!is_array(reply, 3) || reply->element[0]->type != REDIS_REPLY_STRING)
        return; /* the answer to AUTH */
    const char *verb = reply->element[0]->str;
    const char *channel = reply->element[1]->str;
    bool joined = strcmp(verb, "subscribe") == 0;
    if (strcmp(verb, "pmessage") == 0 && reply->elements >= 4) {
        if (l->state == UP)
            l->handlers->pmessage(l->ctx, reply->element[2]->str, reply->element[3]->str,
                                  (size_t)reply->element[3]->len);
    } else if (strcmp(verb, "message") == 0) {
        on_sub_message(l, channel, reply->element[2]);
    } else if (joined && l->state == PREPARING) {
        l->subscribed++;
    } else if (channel != NULL && (joined || strcmp(verb, "unsubscribe") == 0)) {
        l->handlers->subscribed(l->ctx, channel, joined);
    }
}

static void connect_both(struct bus_link *l)
{
    char why[160] = "";
    l->tried_ms = clock_mono_ms();
    l->probe_ms = 0;
    l->loaded = l->subscribed = 0;
    l->beaten = false;
    if (rconn_open(l->cmd, l->conf->redis.address, why, sizeof(why)) == 0 &&
        rconn_open(l->sub, l->conf->redis.address, why, sizeof(why)) == 0)
        l->state = PREPARING;
    else
        link_down(l, why);
}

static void tick_up(struct bus_link *l, int64_t now)
{
    if (now - l->echo_ms > BUS_UNHEALTHY_MS) {
        link_down(l, "messages do not come back");
        return;
    }
    if (now - l->probe_ms >= BUS_PROBE_MS)
        send_probe(l);
    if (now - l->beat_ms >= BUS_BEAT_MS)
        send_beat(l);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct bus_link *l = w->data;
    int64_t now = clock_mono_ms();
    int64_t stopped = now - l->ticked_ms;
    l->ticked_ms = now;
    if (l->leaving)
        return;
    if (stopped > STOPPED_MS) { /* first see what has arrived meanwhile */
        l->echo_ms += stopped;
        return;
    }
    if (l->state == UP)
        tick_up(l, now);
    else if (l->state == DOWN && now - l->tried_ms >= BUS_RETRY_MS)
        connect_both(l);
    else if (l->state == PREPARING && now - l->tried_ms > PREPARE_MS)
        link_down(l, "Redis was not ready in time");
    else if (l->state == PREPARING && l->beaten && l->subscribed == SUBSCRIPTIONS && l->probe_ms == 0)
        send_probe(l);
}

void bus_link_leave(struct bus_link *l)
{
    l->leaving = true;
    bus_link_script(l, BUS_SCRIPT_LEAVE, NULL, 0, NULL, (struct bus_request){0});
    bus_link_flush(l);
}

struct bus_link *bus_link_create(struct ev_loop *loop, const struct conf *conf,
                                 const struct bus_link_handlers *handlers, void *ctx)
{
    static const struct rconn_handlers cmd_handlers = {on_cmd_opened, on_cmd_reply, on_closed};
    static const struct rconn_handlers sub_handlers = {on_sub_opened, on_sub_reply, on_closed};
    uint64_t nonce;
    char why[160];
    struct bus_link *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->loop = loop;
    l->conf = conf;
    l->handlers = handlers;
    l->ctx = ctx;
    l->ticked_ms = clock_mono_ms();
    l->clock_offset_ms = clock_wall_ms() - l->ticked_ms; /* until Redis says more */
    ev_timer_init(&l->tick, on_tick, 0., TICK_S);
    l->tick.data = l;
    ev_set_priority(&l->tick, EV_MINPRI);             /* answers that have arrived come before deadlines */
    l->cmd = rconn_create(loop, 1, &cmd_handlers, l); /* a command is acknowledged before its receipt is told */
    l->sub = rconn_create(loop, 0, &sub_handlers, l);
    if (l->cmd == NULL || l->sub == NULL || getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        goto fail;
    if (conf->redis.password_file[0] != '\0' &&
        conf_read_secret(conf->redis.password_file, l->password, sizeof(l->password), why, sizeof(why)) != 0) {
        log_error("redis_password", log_str("why", why));
        goto fail;
    }
    snprintf(l->instance, sizeof(l->instance), "%s#%016" PRIx64, conf->wsd.name, nonce);
    rkey_join(l->own_channel, RCHAN_RELAY_PREFIX, l->instance);
    ev_timer_start(loop, &l->tick);
    return l;
fail:
    bus_link_destroy(l);
    return NULL;
}

void bus_link_destroy(struct bus_link *l)
{
    if (l == NULL)
        return;
    ev_timer_stop(l->loop, &l->tick);
    l->state = DOWN;
    rconn_destroy(l->cmd);
    rconn_destroy(l->sub);
    for (unsigned i = 0; i < l->count; i++)
        entry_at(l, i)->r.owner = NULL;
    fail_requests(l);
    free(l->ring);
    free(l);
}
