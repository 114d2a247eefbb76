#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define CODE_LOST 1006

struct net_conn;

struct net_end {
    struct net_conn *conn;
    struct node *node;
    const struct net_ops *ops;
    void *ctx;
    bool open;                      /* its owner still has it */
    bool lost;                      /* nothing arrives here any more, and nobody says so */
    bool due;                       /* an event for the first packet is scheduled */
    bool wanted;                    /* its owner waits for room */
    struct net_packet *head, *tail; /* on their way to this end */
    size_t unread;                  /* bytes of them */
    int64_t last_at, stalled_until;
};

struct net_conn {
    struct net_conn *prev, *next;
    struct net_end end[2];
    struct net_quality q;
    int busy; /* a callback runs */
};

static struct net_conn *all;

static struct net_end *other(struct net_end *e)
{
    return &e->conn->end[e == &e->conn->end[0]];
}

static void free_packet(struct net_packet *p)
{
    if (p->object != NULL)
        p->drop(p->object);
    free(p);
}

static void drop_packets(struct net_end *e)
{
    while (e->head != NULL) {
        struct net_packet *p = e->head;
        e->head = p->next;
        free_packet(p);
    }
    e->tail = NULL;
}

static void destroy(struct net_conn *c)
{
    for (int i = 0; i < 2; i++) {
        sched_cancel(&c->end[i]);
        drop_packets(&c->end[i]);
    }
    DL_DELETE(all, c);
    free(c);
}

static void release(struct net_conn *c)
{
    if (c->busy == 0 && !c->end[0].open && !c->end[1].open)
        destroy(c);
}

void net_connect(struct net_end *ends[2], struct node *a, struct node *b, const struct net_quality *q)
{
    struct net_conn *c = calloc(1, sizeof(*c));
    if (c == NULL)
        abort();
    c->q = *q;
    for (int i = 0; i < 2; i++) {
        c->end[i] = (struct net_end){.conn = c, .node = i ? b : a, .open = true};
        ends[i] = &c->end[i];
    }
    DL_APPEND(all, c);
}

void net_own(struct net_end *e, const struct net_ops *ops, void *ctx)
{
    e->ops = ops;
    e->ctx = ctx;
}

/* --- what arrives -------------------------------------------------------------------------- */

static void on_room(void *ctx)
{
    struct net_end *e = ctx;
    if (!e->open || !e->wanted)
        return;
    e->wanted = false;
    e->conn->busy++;
    e->ops->room(e->ctx);
    e->conn->busy--;
    release(e->conn);
}

static void deliver(void *ctx);

static void schedule(struct net_end *e)
{
    if (e->due || e->head == NULL)
        return;
    e->due = true;
    sched_at(e->node, e->head->at > e->stalled_until ? e->head->at : e->stalled_until, SCHED_IO, deliver, e);
}

static void hand_over(struct net_end *e, struct net_packet *p)
{
    struct net_end *from = other(e);
    e->unread -= p->len;
    if (from->wanted && from->open && e->unread < e->conn->q.room)
        sched_at(from->node, sched_now() + e->conn->q.delay_us, SCHED_IO, on_room, from);
    if (p->kind == NET_CLOSE) {
        e->open = false;
        e->ops->closed(e->ctx, p->code);
    } else {
        e->ops->packet(e->ctx, p);
    }
    free_packet(p);
}

static void deliver(void *ctx)
{
    struct net_end *e = ctx;
    struct net_conn *c = e->conn;
    e->due = false;
    c->busy++;
    while (e->open && e->head != NULL && e->head->at <= sched_now() && e->stalled_until <= sched_now()) {
        struct net_packet *p = e->head;
        e->head = p->next;
        if (e->head == NULL)
            e->tail = NULL;
        hand_over(e, p);
    }
    if (e->open)
        schedule(e);
    c->busy--;
    release(c);
}

/* --- sending ------------------------------------------------------------------------------- */

static int64_t travel(const struct net_conn *c)
{
    int64_t us = c->q.delay_us + (c->q.jitter_us > 0 ? chance_after(c->q.jitter_us) : 0);
    return chance_of(c->q.spike) ? us + 200 * SIM_MS : us; /* lost, sent again */
}

static void put(struct net_end *to, struct net_packet *p)
{
    if (!to->open || to->lost) {
        to->unread += p->len; /* nobody takes it */
        free_packet(p);
        return;
    }
    int64_t at = sched_now() + travel(to->conn);
    p->at = to->last_at = at > to->last_at ? at : to->last_at;
    to->unread += p->len;
    if (to->tail != NULL)
        to->tail->next = p;
    else
        to->head = p;
    to->tail = p;
    schedule(to);
}

static struct net_packet *make(enum net_kind kind, const char *data, size_t len)
{
    struct net_packet *p = calloc(1, sizeof(*p) + len + 1);
    if (p == NULL)
        abort();
    p->kind = kind;
    p->len = len;
    if (len > 0 && data != NULL)
        memcpy(p->data, data, len);
    return p;
}

void net_send(struct net_end *e, enum net_kind kind, const char *data, size_t len)
{
    if (e->open)
        put(other(e), make(kind, data, len));
}

void net_send_object(struct net_end *e, void *object, size_t len, void (*drop)(void *))
{
    struct net_packet *p = make(NET_OBJECT, NULL, 0);
    p->object = object;
    p->drop = drop;
    p->len = len;
    put(other(e), p);
}

bool net_has_room(struct net_end *e)
{
    if (other(e)->unread < e->conn->q.room)
        return true;
    e->wanted = true;
    return false;
}

struct net_packet *net_late(struct net_end *e)
{
    size_t len = 0, at = 0;
    for (const struct net_packet *p = e->head; p != NULL; p = p->next)
        len += p->kind == NET_TEXT ? p->len : 0;
    struct net_packet *late = len > 0 ? make(NET_TEXT, NULL, len) : NULL;
    for (const struct net_packet *p = e->head; p != NULL; p = p->next) {
        if (p->kind == NET_TEXT) {
            memcpy(late->data + at, p->data, p->len);
            at += p->len;
        }
    }
    return late;
}

static void leave(struct net_end *e)
{
    e->open = false;
    drop_packets(e);
    sched_cancel(e);
    e->due = false;
}

void net_close(struct net_end *e, int code)
{
    struct net_conn *c = e->conn;
    if (!e->open)
        return;
    struct net_packet *p = make(NET_CLOSE, NULL, 0);
    p->code = code;
    leave(e);
    put(other(e), p);
    release(c);
}

void net_vanish(struct net_end *e)
{
    struct net_conn *c = e->conn;
    if (!e->open)
        return;
    other(e)->lost = true;
    leave(e);
    release(c);
}

/* --- faults -------------------------------------------------------------------------------- */

static struct net_conn *pick(const struct node *n)
{
    struct net_conn *c, *chosen = NULL;
    int seen = 0;
    DL_FOREACH (all, c) {
        if (c->end[0].open && c->end[1].open && (n == NULL || c->end[0].node == n || c->end[1].node == n) &&
            chance_below(++seen) == 0)
            chosen = c;
    }
    return chosen;
}

bool net_fault_stall(const struct node *n, int64_t for_us)
{
    struct net_conn *c = pick(n);
    if (c == NULL)
        return false;
    int64_t which = chance_below(3); /* one way, the other, both */
    for (int i = 0; i < 2; i++) {
        if (which == 2 || which == i)
            c->end[i].stalled_until = sched_now() + for_us;
    }
    return true;
}

/* What is on its way is lost from some packet on. */
static void lose_rest(struct net_end *e)
{
    struct net_packet **at = &e->head;
    e->tail = NULL;
    while (*at != NULL && chance_of(0.5)) {
        e->tail = *at;
        at = &(*at)->next;
    }
    while (*at != NULL) {
        struct net_packet *p = *at;
        *at = p->next;
        free_packet(p);
    }
}

bool net_fault_cut(const struct node *n)
{
    struct net_conn *c = pick(n);
    if (c == NULL)
        return false;
    for (int i = 0; i < 2; i++) {
        struct net_packet *p = make(NET_CLOSE, NULL, 0);
        p->code = CODE_LOST;
        lose_rest(&c->end[i]);
        put(&c->end[i], p);
        c->end[i].lost = true; /* nothing follows */
    }
    return true;
}

bool net_fault_half_open(const struct node *n)
{
    struct net_conn *c = pick(n);
    if (c == NULL)
        return false;
    int64_t told = chance_below(4);
    for (int i = 0; i < 2; i++) {
        lose_rest(&c->end[i]);
        if (told == i) {
            struct net_packet *p = make(NET_CLOSE, NULL, 0);
            p->code = CODE_LOST;
            put(&c->end[i], p);
        }
        c->end[i].lost = true;
    }
    return true;
}

static void on_reset(void *ctx)
{
    struct net_end *e = ctx;
    struct net_conn *c = e->conn;
    if (!e->open)
        return;
    c->busy++;
    e->open = false;
    e->ops->closed(e->ctx, CODE_LOST);
    c->busy--;
    release(c);
}

void net_fault_partition(const struct node *a, const struct node *b, int64_t until)
{
    struct net_conn *c;
    DL_FOREACH (all, c) {
        bool hit = (c->end[0].node == a && c->end[1].node == b) || (c->end[0].node == b && c->end[1].node == a);
        for (int i = 0; hit && i < 2; i++) {
            lose_rest(&c->end[i]);
            c->end[i].lost = true;
            if (c->end[i].open)
                sched_at(c->end[i].node, until, SCHED_IO, on_reset, &c->end[i]);
        }
    }
}

void net_calm(void)
{
    struct net_conn *c;
    DL_FOREACH (all, c) {
        for (int i = 0; i < 2; i++) {
            c->end[i].stalled_until = 0;
            if (c->end[i].due) {
                sched_cancel(&c->end[i]);
                c->end[i].due = false;
                schedule(&c->end[i]);
            }
            if (c->end[i].wanted)
                sched_at(c->end[i].node, sched_now(), SCHED_IO, on_room, &c->end[i]);
        }
        c->q.spike = 0;
    }
}

void net_finish(void)
{
    while (all != NULL)
        destroy(all);
}
