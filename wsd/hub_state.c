/*
 * Who is stopped and who has control, as this relay has told its websites: a mirror of Redis, which decides. A stop
 * that Redis has not heard of yet is in it, too: people have to see it.
 */
#include "wsd/hub_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define LIST_PART 64 /* states told in one go */

struct device_state {
    char id[MSG_DEVICE_ID_MAX + 1];
    uint64_t serial; /* rises in the order of the table */

    bool stopped, confirmed;
    bool kept;   /* the bus has said so; else only people here have been told */
    int64_t seq; /* of the stop or re-arm */
    int64_t at_ms;
    char by[MSG_NAME_MAX + 1];

    int64_t epoch;
    uint64_t number;               /* of the holder, when it is a website here */
    char holder[MSG_NAME_MAX + 1]; /* "": nobody */

    bool stop_listed, control_listed; /* in the snapshot that is being applied */
    UT_hash_handle hh;
};

static struct device_state *find(struct hub *h, const char *device_id)
{
    struct device_state *d;
    HASH_FIND_STR(h->states, device_id, d);
    return d;
}

static struct device_state *find_or_add(struct hub *h, const char *device_id)
{
    struct device_state *d = find(h, device_id);
    struct session *s;
    if (d != NULL || strlen(device_id) > MSG_DEVICE_ID_MAX || (d = calloc(1, sizeof(*d))) == NULL)
        return d;
    snprintf(d->id, sizeof(d->id), "%s", device_id);
    DL_FOREACH (h->websites, s) {
        if (s->states_to == h->last_serial) /* has its whole list: what is new, it is told */
            s->states_to++;
    }
    d->serial = ++h->last_serial;
    HASH_ADD_STR(h->states, id, d);
    return d;
}

bool hub_agrees(struct hub *h, const char *device_id, bool stopped)
{
    const struct device_state *d = find(h, device_id);
    return d != NULL && d->seq > 0 ? d->stopped == stopped && d->confirmed && d->kept : !stopped;
}

void hub_destroy_states(struct hub *h)
{
    struct device_state *d, *next;
    HASH_ITER (hh, h->states, d, next) {
        HASH_DEL(h->states, d);
        free(d);
    }
}

/* --- telling websites ---------------------------------------------------------------------- */

static void put_stop_state(struct jsonw *w, char *buf, size_t cap, const struct device_state *d)
{
    jsonw_init(w, buf, cap);
    msg_put_stop_state(w, d->id, d->stopped, d->confirmed, d->by, d->at_ms);
}

static void tell_stop_state(struct hub *h, const struct device_state *d)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    put_stop_state(&w, buf, sizeof(buf), d);
    if (!w.overflow)
        hub_broadcast(h, OUTQ_CONTROL, 0, d->id, w.buf, w.len);
}

void hub_list_states(struct hub *h, struct session *s)
{
    const struct device_state *d;
    char buf[SMALL_TEXT];
    struct jsonw w;
    unsigned told = 0;
    if (s->states_to == h->last_serial)
        return;
    for (d = h->states; d != NULL && told < LIST_PART; d = d->hh.next) {
        if (d->serial <= s->states_to)
            continue;
        s->states_to = d->serial;
        if (!d->stopped || !hub_watches(s, d->id))
            continue;
        put_stop_state(&w, buf, sizeof(buf), d);
        hub_send_text(h, s, &w);
        told++;
    }
}

/* d NULL: nobody has ever had control of it. */
static void send_control_state(struct hub *h, struct session *s, const char *device_id, const struct device_state *d)
{
    bool held = d != NULL && d->holder[0] != '\0';
    bool you = held && s->op != NULL && d->number == s->op->number;
    char buf[SMALL_TEXT];
    struct jsonw w;
    if (!hub_watches(s, device_id))
        return;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_control_state(&w, device_id, held ? d->holder : NULL, you, d ? d->epoch : 0);
    hub_send_text(h, s, &w);
}

void hub_send_control_state(struct hub *h, struct session *s, const char *device_id)
{
    if (h->conf->wsd.control == CONF_EXCLUSIVE)
        send_control_state(h, s, device_id, find(h, device_id));
}

static void tell_control_state(struct hub *h, const struct device_state *d)
{
    struct session *s;
    if (h->conf->wsd.control != CONF_EXCLUSIVE)
        return;
    DL_FOREACH (h->websites, s)
        send_control_state(h, s, d->id, d);
}

/* --- what the bus says --------------------------------------------------------------------- */

/* True when that is news. */
static bool set_stop(struct device_state *d, const struct bus_stop_state *state, bool kept)
{
    bool news = d->stopped != state->stopped || d->confirmed != state->confirmed || d->seq != state->seq;
    d->stopped = state->stopped;
    d->confirmed = state->confirmed;
    d->seq = state->seq;
    d->kept = kept || (d->kept && !news);
    d->at_ms = state->at_ms;
    snprintf(d->by, sizeof(d->by), "%s", state->by);
    return news;
}

static bool set_control(struct device_state *d, const struct bus_control_state *state)
{
    const char *name = state->name ? state->name : "";
    bool news = d->epoch != state->epoch || strcmp(d->holder, name) != 0;
    d->epoch = state->epoch;
    d->number = state->number;
    snprintf(d->holder, sizeof(d->holder), "%s", name);
    return news;
}

static void take_stop_state(struct hub *h, const struct bus_stop_state *state, bool kept)
{
    struct device_state *d = find_or_add(h, state->device_id);
    if (d == NULL || state->seq < d->seq) /* an older one that comes late */
        return;
    if (set_stop(d, state, kept))
        tell_stop_state(h, d);
}

void hub_on_stop_state(void *ctx, const struct bus_stop_state *state)
{
    take_stop_state(ctx, state, true);
}

void hub_show_stop_state(struct hub *h, const struct bus_stop_state *state)
{
    take_stop_state(h, state, false);
}

void hub_on_control_state(void *ctx, const struct bus_control_state *state)
{
    struct hub *h = ctx;
    struct device_state *d = find_or_add(h, state->device_id);
    if (d == NULL || state->epoch < d->epoch)
        return;
    if (set_control(d, state))
        tell_control_state(h, d);
}

/* A robot here is stopped by it. */
static bool holds_here(struct hub *h, const struct device_state *d)
{
    const struct robot *r = hub_find_robot(h, d->id);
    return d->stopped && r != NULL && r->stopped && d->seq >= r->stop_seq;
}

bool hub_doubts_states(struct hub *h)
{
    for (const struct device_state *d = h->states; d != NULL; d = d->hh.next) {
        if (d->stopped && !d->kept && !holds_here(h, d) && !hub_latches_later(h, d->id))
            return true;
    }
    return false;
}

/* What is in the mirror, but not in Redis: it changed while Redis was out of sight. */
static void clear_unlisted(struct hub *h, struct device_state *d)
{
    /* The store does not take it yet, or has lost it. A robot that says so itself is reported anyway. */
    bool held = holds_here(h, d), only_here = held || (d->stopped && hub_latches_later(h, d->id));
    if (!d->stop_listed && only_here) {
        const struct robot *r = hub_find_robot(h, d->id);
        d->kept = false;
        if (held && !r->said)
            hub_latch_later(h, d->id, d->by, r->stop_seq);
    }
    if (!d->stop_listed && !only_here) {
        bool was = d->stopped;
        d->stopped = d->confirmed = false;
        d->seq = 0;
        if (was)
            tell_stop_state(h, d);
    }
    if (!d->control_listed) {
        bool was = d->holder[0] != '\0';
        d->holder[0] = '\0';
        if (was)
            tell_control_state(h, d);
        d->epoch = 0;
    }
    d->stop_listed = d->control_listed = false;
}

/* The list is newer than every event before it. Its numbers may be lower: Redis may have lost what it knew. */
void hub_on_states(void *ctx, const struct bus_stop_state *stops, size_t n_stops,
                   const struct bus_control_state *controls, size_t n_controls)
{
    struct hub *h = ctx;
    struct device_state *d;
    for (size_t i = 0; i < n_stops; i++) {
        d = find_or_add(h, stops[i].device_id);
        if (d == NULL)
            continue;
        d->stop_listed = true;
        if (set_stop(d, &stops[i], true))
            tell_stop_state(h, d);
    }
    for (size_t i = 0; i < n_controls; i++) {
        d = find_or_add(h, controls[i].device_id);
        if (d == NULL)
            continue;
        d->control_listed = true;
        if (set_control(d, &controls[i]))
            tell_control_state(h, d);
    }
    for (d = h->states; d != NULL; d = d->hh.next)
        clear_unlisted(h, d);
}
