#include "tests/sim/relay.h"

#include "common/clock.h"
#include "tests/sim/check.h"
#include "tests/sim/redis.h"
#include "wsd/bus.h"
#include "wsd/hub.h"
#include "wsd/metrics.h"
#include "wsd/ws.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define TICK_US    (100 * SIM_MS)
#define STOPPED_MS 500 /* as in wsd/ws.c, like the next one */
#define SLOW_MS    100
#define GATHER     FRAME_SEGMENT

/* One accepted connection. */
struct peer {
    struct session s; /* first: the hub only knows this */
    struct peer *prev, *next;
    struct relay *relay;
    struct net_end *end; /* NULL: closed, the hub will be told */
    char robot[32];      /* its device id; "": a website */
    int website;         /* for the checks */
};

struct ws {
    struct relay *relay;
};

struct relay {
    struct node node;
    char name[16];
    struct conf conf;
    struct metrics metrics;
    struct redis *redis;
    struct ws ws;
    struct hub *hub;
    struct bus *bus;
    struct peer *peers;
    bool runs;
    int64_t ticked_ms;
    size_t queued_most;
    uint8_t gather[GATHER];
};

struct node *relay_node(struct relay *r)
{
    return &r->node;
}

struct redis *relay_redis(struct relay *r)
{
    return r->redis;
}

struct relay *relay_of_loop(struct ev_loop *loop)
{
    return (struct relay *)(void *)loop;
}

static struct ev_loop *loop_of(struct relay *r)
{
    return (struct ev_loop *)(void *)r;
}

size_t relay_queued_most(const struct relay *r)
{
    return r->queued_most;
}

/* --- libev's timers ------------------------------------------------------------------------- */

static void on_ev_timer(void *ctx)
{
    ev_timer *w = ctx;
    struct relay *r = sched_current()->self;
    if (w->repeat > 0)
        sched_at(&r->node, sched_now() + (int64_t)(w->repeat * 1e6), w->priority < 0 ? SCHED_LATE : SCHED_TIMER,
                 on_ev_timer, w);
    else
        w->active = 0;
    w->cb(loop_of(r), w, EV_TIMER);
}

void ev_timer_start(struct ev_loop *loop, ev_timer *w)
{
    struct relay *r = relay_of_loop(loop);
    w->active = 1;
    sched_at(&r->node, sched_now() + (int64_t)(w->at * 1e6), w->priority < 0 ? SCHED_LATE : SCHED_TIMER, on_ev_timer,
             w);
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *w)
{
    (void)loop;
    w->active = 0;
    sched_cancel(w);
}

/* --- connections, as wsd/ws.c has them -------------------------------------------------------- */

static void destroy_peer(void *ctx)
{
    struct peer *p = ctx;
    struct relay *r = p->relay;
    p->s.ended = true;
    if (p->end != NULL)
        net_close(p->end, 1006);
    p->end = NULL;
    sched_cancel(p);
    outq_clear(&p->s.q);
    if (p->s.opened)
        hub_closed(r->hub, &p->s);
    if (p->robot[0] != '\0')
        check_left(p->robot);
    outq_clear(&p->s.q);
    DL_DELETE(r->peers, p);
    free(p);
}

static void kill_soon(struct peer *p)
{
    p->s.ended = true;
    outq_clear(&p->s.q);
    if (p->end != NULL)
        net_close(p->end, 1006);
    p->end = NULL;
    sched_at(&p->relay->node, sched_now(), SCHED_IO, destroy_peer, p);
}

/* The close frame goes; the peer's answer, or the end of patience, comes. */
static void send_close(struct peer *p, int code)
{
    p->s.close_sent = true;
    net_close(p->end, code);
    p->end = NULL;
    sched_at(&p->relay->node, sched_now() + chance_from(1, 2000) * SIM_MS, SCHED_IO, destroy_peer, p);
}

void ws_close(struct ws *w, struct session *s, enum session_close code)
{
    (void)w;
    if (s->ended)
        return;
    s->ended = true;
    s->close_code = (uint16_t)code;
    s->dirty = true;
}

static void on_dropped(void *ctx, uint64_t token, enum outq_drop why)
{
    struct peer *p = ctx;
    hub_dropped(p->relay->hub, &p->s, token, why);
}

static void expire(struct peer *p)
{
    struct outq_observer o = {on_dropped, p};
    p->relay->metrics.commands_expired_total += outq_expire(&p->s.q, clock_mono_ms(), &o);
}

static void set_behind(struct session *s)
{
    if (s->behind_since_ms == 0)
        s->behind_since_ms = s->blocked_since_ms = clock_mono_ms();
}

static void on_handed(void *ctx, const char *text, size_t len)
{
    const struct peer *p = ctx;
    check_handed(p->robot, text, len);
}

static void flush_peer(struct peer *p)
{
    struct relay *r = p->relay;
    struct session *s = &p->s;
    s->dirty = false;
    if (p->end == NULL)
        return;
    expire(p);
    while (!outq_empty(&s->q)) {
        const uint8_t *bytes;
        struct frame *hold;
        if (!net_has_room(p->end)) {
            set_behind(s);
            return;
        }
        size_t n = outq_take(&s->q, r->gather, sizeof(r->gather), &bytes, &hold);
        if (p->robot[0] != '\0')
            relay_unframe((const char *)bytes, n, on_handed, p);
        net_send(p->end, NET_TEXT, (const char *)bytes, n);
        frame_unref(hold);
    }
    if (!net_has_room(p->end)) {
        set_behind(s);
        return;
    }
    s->behind_since_ms = 0;
    if (!s->ended)
        hub_drained(r->hub, s);
    if (s->close_code != 0 && !s->close_sent)
        send_close(p, s->close_code);
}

void ws_flush(struct ws *w)
{
    struct peer *p, *next;
    bool again = true;
    while (again) {
        again = false;
        DL_FOREACH_SAFE (w->relay->peers, p, next) {
            if (p->s.dirty) {
                flush_peer(p);
                again = true;
            }
        }
    }
}

static void close_blocked(struct peer *p)
{
    p->relay->metrics.connections_blocked_closed_total++;
    p->s.ended = true;
    outq_clear(&p->s.q);
    if (p->end != NULL)
        send_close(p, SESSION_BLOCKED);
}

enum outq_result ws_push(struct ws *w, struct session *s, const struct outq_item *item)
{
    struct peer *p = (struct peer *)s;
    struct relay *r = w->relay;
    size_t limit = (size_t)r->conf.wsd.queue_bytes;
    if (s->ended)
        return OUTQ_QUEUED;
    if (s->behind_since_ms == 0 && item->lane != OUTQ_VIDEO && s->q.bytes + item->frame->len > limit / 2)
        flush_peer(p);
    bool slow = s->behind_since_ms != 0 && (s->q.bytes > limit / 2 || clock_mono_ms() - s->behind_since_ms > SLOW_MS);
    struct outq_observer o = {on_dropped, p};
    enum outq_result result = outq_push(&s->q, item, slow, limit, &o);
    if (s->q.bytes > r->queued_most)
        r->queued_most = s->q.bytes;
    if (result == OUTQ_REFUSED && item->lane == OUTQ_CONTROL)
        close_blocked(p);
    else
        s->dirty = true;
    return result;
}

void ws_withdraw(struct session *s, enum outq_lane lane, uint32_t key)
{
    struct outq_observer o = {on_dropped, s};
    outq_withdraw(&s->q, lane, key, &o);
}

static void open_session(struct peer *p, const char *hello)
{
    struct session *s = &p->s;
    bool robot = *hello == 'R';
    s->opened = true;
    if (robot)
        snprintf(p->robot, sizeof(p->robot), "%.31s", hello + 1);
    s->heard_ms = clock_mono_ms();
    s->look_ms = s->heard_ms + SESSION_LOOK_MS;
    if (hub_opened(p->relay->hub, s, robot ? hello + 1 : NULL, robot ? "" : hello + 1) != 0)
        kill_soon(p);
}

static void on_packet(void *ctx, struct net_packet *packet)
{
    struct peer *p = ctx;
    p->s.heard_ms = clock_mono_ms();
    if (p->s.ended)
        return;
    if (packet->kind == NET_HELLO) {
        net_send(p->end, NET_HELLO, "", 0);
        open_session(p, packet->data);
    } else if (packet->kind == NET_PING) {
        net_send(p->end, NET_PONG, "", 0);
    } else if (packet->kind == NET_TEXT && p->s.opened) {
        if (p->robot[0] == '\0')
            p->website = check_heard(redis_store(p->relay->redis), p->website, packet->data);
        hub_message(p->relay->hub, &p->s, packet->data, packet->len);
    }
}

static void on_room(void *ctx)
{
    struct peer *p = ctx;
    p->s.blocked_since_ms = clock_mono_ms();
    flush_peer(p);
}

static void on_closed(void *ctx, int code)
{
    struct peer *p = ctx;
    (void)code;
    p->end = NULL;
    destroy_peer(p);
}

struct net_end *relay_accept(struct relay *r, struct node *from, const char *hello, const struct net_ops *ops,
                             void *ctx)
{
    static const struct net_ops peer_ops = {on_packet, on_room, on_closed};
    struct net_quality q = {chance_from(200, 20000), chance_from(0, 4000), 0.002, (size_t)chance_from(1, 64) * 1024u};
    struct net_end *ends[2];
    if (!r->runs)
        return NULL;
    struct peer *p = calloc(1, sizeof(*p));
    if (p == NULL)
        abort();
    p->relay = r;
    p->website = -1;
    net_connect(ends, from, &r->node, &q);
    net_own(ends[0], ops, ctx);
    net_own(ends[1], &peer_ops, p);
    p->end = ends[1];
    DL_APPEND(r->peers, p);
    net_send(ends[0], NET_HELLO, hello, strlen(hello));
    return ends[0];
}

void relay_unframe(const char *bytes, size_t len, void (*text)(void *ctx, const char *at, size_t len), void *ctx)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + len;
    while (end - at >= 2) {
        size_t n = at[1] & 0x7fu;
        at += 2;
        if (n == 126) {
            n = (size_t)at[0] << 8 | at[1];
            at += 2;
        }
        text(ctx, (const char *)at, n);
        at += n;
    }
}

/* --- time ----------------------------------------------------------------------------------- */

static void look(struct peer *p, int64_t now)
{
    struct session *s = &p->s;
    s->look_ms = now + SESSION_LOOK_MS;
    switch (session_silence(s, &p->relay->conf.wsd, s->behind_since_ms != 0, now)) {
    case SESSION_GONE:
        kill_soon(p);
        break;
    case SESSION_ASK:
        s->pinged_ms = now;
        net_send(p->end, NET_PING, "", 0);
        break;
    case SESSION_ALIVE:
        break;
    }
}

static void look_after(struct peer *p, int64_t now)
{
    struct session *s = &p->s;
    if (s->ended)
        return;
    if (s->behind_since_ms != 0 && now - s->blocked_since_ms > p->relay->conf.wsd.blocked_ms)
        close_blocked(p);
    else if (s->behind_since_ms != 0)
        expire(p);
    if (!s->ended && s->opened && now >= s->look_ms)
        look(p, now);
}

static void on_tick(void *ctx)
{
    struct relay *r = ctx;
    struct peer *p, *next;
    int64_t now = clock_mono_ms();
    bool stopped = now - r->ticked_ms > STOPPED_MS;
    r->ticked_ms = now;
    sched_at(&r->node, sched_now() + TICK_US, SCHED_LATE, on_tick, r);
    if (stopped)
        return;
    DL_FOREACH_SAFE (r->peers, p, next)
        look_after(p, now);
}

static void on_second(void *ctx)
{
    struct relay *r = ctx;
    sched_at(&r->node, sched_now() + SIM_S, SCHED_TIMER, on_second, r);
    hub_tick(r->hub);
}

static void on_watch(void *ctx)
{
    struct relay *r = ctx;
    sched_at(&r->node, sched_now() + HUB_WATCH_MS * SIM_MS, SCHED_TIMER, on_watch, r);
    hub_watch(r->hub);
}

static void on_turn(void *self)
{
    struct relay *r = self;
    bus_flush(r->bus);
    ws_flush(&r->ws);
    bus_flush(r->bus);
}

/* --- life ----------------------------------------------------------------------------------- */

void relay_start(struct relay *r)
{
    struct node *former = sched_enter(&r->node);
    r->node.mono_us = chance_from(1, 100000) * SIM_S;
    r->hub = hub_create(&r->conf, &r->metrics);
    r->bus = r->hub ? bus_create(loop_of(r), &r->conf, &hub_bus_handlers, r->hub) : NULL;
    if (r->bus == NULL)
        abort();
    hub_connect(r->hub, &r->ws, r->bus);
    r->runs = true;
    r->ticked_ms = clock_mono_ms();
    sched_at(&r->node, sched_now() + TICK_US, SCHED_LATE, on_tick, r);
    sched_at(&r->node, sched_now() + SIM_S / 2, SCHED_TIMER, on_second, r);
    sched_at(&r->node, sched_now() + HUB_WATCH_MS * SIM_MS, SCHED_TIMER, on_watch, r);
    sched_enter(former);
}

void relay_crash(struct relay *r, bool machine)
{
    struct peer *p;
    struct node *former = sched_enter(&r->node);
    if (!r->runs)
        return;
    DL_FOREACH (r->peers, p) {
        if (p->end != NULL && machine)
            net_vanish(p->end);
        else if (p->end != NULL)
            net_close(p->end, 1006);
        p->end = NULL;
    }
    while (r->peers != NULL)
        destroy_peer(r->peers); /* what the hub says now stays in buffers that are dropped */
    bus_destroy(r->bus);
    hub_destroy(r->hub);
    sched_cancel_node(&r->node);
    r->node.in_turn = false;
    r->node.frozen_until = 0;
    r->runs = false;
    sched_enter(former);
}

bool relay_runs(const struct relay *r)
{
    return r->runs;
}

struct relay *relay_create(int index, struct redis *redis, bool exclusive)
{
    struct relay *r = calloc(1, sizeof(*r));
    char *argv[] = {(char *)(uintptr_t) "telerelay-wsd", NULL};
    if (r == NULL || conf_load(&r->conf, "telerelay-wsd", "wsd", 1, argv, stderr, stderr) != CONF_RUN)
        abort();
    snprintf(r->name, sizeof(r->name), "wsd-%d", index + 1);
    snprintf(r->conf.wsd.name, sizeof(r->conf.wsd.name), "%s", r->name);
    r->conf.wsd.control = exclusive ? CONF_EXCLUSIVE : CONF_SHARED;
    r->redis = redis;
    r->ws.relay = r;
    check_relay(index, &r->node);
    r->node = (struct node){.name = r->name,
                            .wall_us = INT64_C(1790000000) * SIM_S + chance_from(-3, 3) * SIM_S,
                            .turn = on_turn,
                            .self = r};
    relay_start(r);
    return r;
}

void relay_destroy(struct relay *r)
{
    relay_crash(r, false);
    free(r);
}
