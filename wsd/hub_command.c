/* What websites command: on its way to robots, and back to them what became of it. */
#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "wsd/relay.h"
#include "wsd/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* splitmix64: names of guests need not be secret, only different. */
static uint64_t next_random(struct hub *h)
{
    uint64_t z = h->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct operator* hub_operator(struct hub *h, struct session *s)
{
    if (s->op != NULL)
        return s->op;
    struct operator* op = operator_create(s, h->last_number + 1, next_random(h));
    if (op == NULL)
        return NULL;
    h->last_number++;
    op->said_ms = clock_mono_ms();
    DL_APPEND(h->operators, op);
    HASH_ADD(hh, h->by_number, number, sizeof(op->number), op);
    s->op = op;
    return op;
}

static void zero_of(struct hub *h, const struct operator* op, struct robot *r, enum msg_type type)
{
    uint64_t *driver = &r->driver[type == MSG_CAMERA_MOVE];
    if (*driver != op->number)
        return;
    *driver = 0;
    hub_zero(h, r, type);
}

/* Without the bus only robots here can be told: what this website drives comes to rest, be it too old to do so by
 * itself. */
static void zero_here(struct hub *h, const struct operator* op, const char *device_id, enum msg_type type)
{
    struct robot *one = device_id ? hub_find_robot(h, device_id) : NULL;
    if (one != NULL)
        zero_of(h, op, one, type);
    for (struct robot *r = device_id ? NULL : h->robots; r != NULL; r = r->hh.next)
        zero_of(h, op, r, type);
}

/* --- commands ------------------------------------------------------------------------------ */

/* What an ack or error needs once the bus has answered. */
struct sent_command {
    bool addressed;
    int local;   /* stop: robots here that have been told, … */
    int64_t seq; /* … under this number */
    enum msg_type kind;
    char device_id[MSG_DEVICE_ID_MAX + 1]; /* "": all */
    char by[MSG_NAME_MAX + 1];
    char type[33];
    char id[MSG_COMMAND_ID_MAX + 1];
    char text[96];
};

static struct sent_command *remember(const struct operator* op, const struct msg *m)
{
    struct sent_command *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    int n = snprintf(c->text, sizeof(c->text), "Command received: ");
    msg_describe(c->text + n, sizeof(c->text) - (size_t)n, m);
    snprintf(c->type, sizeof(c->type), "%s", m->type_name);
    snprintf(c->id, sizeof(c->id), "%s", m->id ? m->id : "");
    snprintf(c->device_id, sizeof(c->device_id), "%s", m->device_id ? m->device_id : "");
    snprintf(c->by, sizeof(c->by), "%s", op->name);
    c->addressed = m->device_id != NULL;
    c->kind = m->type;
    return c;
}

static void ack(struct hub *h, struct session *s, const struct sent_command *c, int robots)
{
    struct msg_ack a = {c->type, c->id[0] ? c->id : NULL, c->text, robots, false, clock_wall_us()};
    hub_send_ack(h, s, &a);
}

static void on_command_sent(void *ctx, void *owner, void *token, enum bus_sent result, int robots)
{
    static const struct {
        enum msg_code code;
        const char *text;
    } refusals[] = {
        [BUS_SENT_EXPIRED] = {MSG_EXPIRED, "the command waited too long and was dropped"},
        [BUS_SENT_STOPPED] = {MSG_STOPPED, "the robot is stopped; re-arm it first"},
        [BUS_SENT_NOT_IN_CONTROL] = {MSG_NOT_IN_CONTROL, "take control of the robot first"},
        [BUS_SENT_UNKNOWN] = {MSG_EXPIRED,
                              "Redis did not answer, or refused; what it may still do is dropped when it is too old"},
    };
    struct hub *h = ctx;
    struct session *s = owner;
    struct sent_command *c = token;
    bool sent = result == BUS_SENT && (robots > 0 || !c->addressed);
    if (result == BUS_SENT_UNKNOWN || result == BUS_SENT_EXPIRED)
        h->metrics->commands_expired_total++;
    else if (result != BUS_SENT)
        h->metrics->commands_refused_total++;
    else if (robots == 0)
        h->metrics->commands_no_robot_total++;
    if (s != NULL && msg_is_move(c->kind) && result != BUS_SENT) /* what moves by an earlier one must not go on */
        motions_owe(&s->op->motions, c->addressed ? c->device_id : NULL, c->kind);
    if (s != NULL && c->id[0] != '\0' && result != BUS_SENT_UNKNOWN && (!sent || robots == 0))
        dedupe_forget(&s->op->sent, c->id);
    if (s == NULL) {
        /* The website is gone; nobody to tell. */
    } else if (sent) {
        ack(h, s, c, robots);
    } else if (result == BUS_SENT) {
        hub_send_error(h, s, MSG_NO_ROBOT, NULL, c->type, c->id);
    } else {
        hub_send_error(h, s, refusals[result].code, refusals[result].text, c->type, c->id);
    }
    free(c);
}

static int send_command(struct hub *h, struct operator* op, const struct msg *m, struct sent_command *c)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_command(&w, m, clock_wall_us());
    struct bus_command command = {.device_id = m->device_id,
                                  .type = m->type,
                                  .ttl_ms = relay_command_ttl(&h->conf->wsd, m),
                                  .zero = relay_is_zero_motion(m),
                                  .number = op->number,
                                  .by = op->name,
                                  .id = m->id,
                                  .json = w.buf,
                                  .len = w.len};
    return w.overflow ? -1 : bus_send(h->bus, &command, op->session, c, on_command_sent);
}

static void say_duplicate(struct hub *h, struct session *s, const struct msg *m, const char *text)
{
    struct msg_ack a = {m->type_name, m->id, text, 0, true, clock_wall_us()};
    h->metrics->commands_duplicate_total++;
    hub_send_ack(h, s, &a);
}

void hub_forward(struct hub *h, struct session *s, const struct msg *m)
{
    struct operator* op = hub_operator(h, s);
    struct sent_command *c = op ? remember(op, m) : NULL;
    int64_t now = clock_mono_ms();
    if (c == NULL) {
        hub_send_error(h, s, MSG_NO_ROBOT, "out of memory; the command was not sent", m->type_name, m->id);
        return;
    }
    if (m->id != NULL && dedupe_repeated(&op->sent, m->id, now)) {
        say_duplicate(h, s, m, c->text);
        free(c);
        return;
    }
    operator_commanded(op, m->device_id, now);
    if (msg_is_move(m->type))
        motions_note(&op->motions, m->device_id, m->type, relay_is_zero_motion(m), now);
    if (send_command(h, op, m, c) == 0)
        return;
    if (m->id != NULL)
        dedupe_forget(&op->sent, m->id);
    if (msg_is_move(m->type)) {
        motions_owe(&op->motions, m->device_id, m->type);
        zero_here(h, op, m->device_id, m->type);
    }
    hub_send_error(h, s, MSG_NO_ROBOT,
                   bus_up(h->bus) ? "this relay has too much under way; the command was not sent"
                                  : "this relay has lost Redis; the command was not sent",
                   m->type_name, m->id);
    free(c);
}

void hub_on_receipt(void *ctx, uint64_t number, int64_t t0, const char *json, size_t len)
{
    struct hub *h = ctx;
    struct operator* op;
    char buf[SMALL_TEXT];
    struct jsonw w;
    HASH_FIND(hh, h->by_number, &number, sizeof(number), op);
    if (op == NULL)
        return;
    int64_t latency = clock_mono_ms() - t0;
    jsonw_init(&w, buf, sizeof(buf));
    jsonw_raw(&w, json, len);
    msg_append_int(&w, "latency_ms", latency > 0 ? latency : 0);
    if (w.overflow || !operator_defer(op, w.buf, w.len))
        hub_send_text(h, op->session, &w);
}

/* --- the dead-man -------------------------------------------------------------------------- */

static void on_zero_sent(void *ctx, void *owner, void *token, enum bus_sent result, int robots)
{
    struct hub *h = ctx;
    (void)owner;
    (void)token;
    if (result == BUS_SENT && robots > 0)
        h->metrics->deadman_stops_total++;
}

/* No limit applies, and it needs no website any more. why: for the log, or NULL. */
static void send_zero(struct hub *h, const struct operator* op, const struct motion *motion, const char *why)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_zero(&w, motion->type, clock_wall_us());
    struct bus_command command = {.device_id = motion->device_id[0] ? motion->device_id : NULL,
                                  .type = motion->type,
                                  .zero = true,
                                  .deadman = true,
                                  .by = op->name,
                                  .json = w.buf,
                                  .len = w.len,
                                  .number = op->number};
    if (why != NULL)
        log_info("deadman", log_str("device_id", motion->device_id), log_str("by", op->name), log_str("why", why));
    if (bus_send(h->bus, &command, NULL, NULL, on_zero_sent) != 0)
        zero_here(h, op, command.device_id, motion->type);
}

void hub_end_operator(struct hub *h, struct session *s)
{
    struct operator* op = s->op;
    struct motion motion;
    if (op == NULL)
        return;
    while (motions_take(&op->motions, INT64_MAX, &motion))
        send_zero(h, op, &motion, "its website has gone");
    hub_end_control(h, op);
    DL_DELETE(h->operators, op);
    HASH_DEL(h->by_number, op);
    operator_destroy(op);
    s->op = NULL;
}

struct wanted {
    const char *device_id;
    UT_hash_handle hh;
};

/* The heartbeats of robots elsewhere that websites here watch; each is asked for once. */
static void want_watched(struct hub *h)
{
    struct wanted *all = NULL, *one, *next;
    const struct operator* op;
    DL_FOREACH (h->operators, op) {
        for (unsigned i = 0; i < op->n_watched; i++) {
            const char *id = op->watched[i];
            HASH_FIND_STR(all, id, one);
            if (one != NULL || hub_find_robot(h, id) != NULL || (one = calloc(1, sizeof(*one))) == NULL)
                continue;
            one->device_id = id;
            HASH_ADD_KEYPTR(hh, all, one->device_id, strlen(one->device_id), one);
            bus_want(h->bus, id);
        }
    }
    HASH_ITER (hh, all, one, next) {
        HASH_DEL(all, one);
        free(one);
    }
}

void hub_watch(struct hub *h)
{
    int64_t now = clock_mono_ms();
    bool want = now - h->wanted_ms >= INTEREST_EVERY_MS;
    struct operator* op;
    struct motion motion;
    DL_FOREACH (h->operators, op) {
        while (motions_take(&op->motions, now - h->conf->wsd.silence_ms, &motion))
            send_zero(h, op, &motion, motion.at_ms == MOTIONS_OWED ? NULL : "its website is silent");
        hub_keep_leases(h, op, now);
    }
    if (want) {
        want_watched(h);
        h->wanted_ms = now;
    }
}

/* --- stop and re-arm ----------------------------------------------------------------------- */

/* What Redis does not know, people have to see all the same. */
static void show_stop(struct hub *h, const struct robot *r, const char *by)
{
    bool confirmed = r->said && r->said_stopped && r->said_seq >= r->stop_seq;
    struct bus_stop_state state = {r->id, r->stop_seq, true, confirmed, clock_wall_ms(), by};
    if (r->stopped && r->stop_seq > 0)
        hub_show_stop_state(h, &state);
}

/* To the websites here: robots of this relay that this stop is for. */
static void show_stops(struct hub *h, const char *device_id, const char *by)
{
    for (const struct robot *r = h->robots; r != NULL; r = r->hh.next) {
        if (device_id[0] == '\0' || strcmp(r->id, device_id) == 0)
            show_stop(h, r, by);
    }
}

/* Robots of this relay hear it before anybody else does. Returns how many. */
static int tell_robots_here(struct hub *h, const struct operator* op, const struct msg *m, int64_t seq)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    int told = 0;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_stop(&w, m->type, m->id, op->name, seq, clock_wall_us());
    struct bus_order o = {.type = m->type,
                          .left_ms = INT64_MAX,
                          .seq = seq,
                          .origin = {NULL, op->number, op->said_ms},
                          .id = m->id ? m->id : "",
                          .id_len = m->id ? strlen(m->id) : 0,
                          .json = w.buf,
                          .len = w.len};
    for (struct robot *r = h->robots; r != NULL && !w.overflow; r = r->hh.next) {
        if (m->device_id != NULL && strcmp(m->device_id, r->id) != 0)
            continue;
        o.device_id = r->id;
        hub_tell_stop(h, r, &o, true);
        told++;
        if (!bus_up(h->bus))
            show_stop(h, r, op->name);
    }
    return told;
}

static struct pending_stop *find_pending(struct hub *h, const char *device_id)
{
    for (unsigned i = 0; i < h->n_pending; i++) {
        if (strcmp(h->pending[i].device_id, device_id) == 0)
            return &h->pending[i];
    }
    return NULL;
}

void hub_latch_later(struct hub *h, const char *device_id, const char *by, int64_t seq)
{
    struct pending_stop *p = find_pending(h, device_id);
    if (p == NULL) {
        /* More than fit: then all of them. A stop too many harms nobody. */
        if (h->n_pending == PENDING_STOPS) {
            for (unsigned i = 0; i < PENDING_STOPS; i++)
                seq = h->pending[i].seq > seq ? h->pending[i].seq : seq;
            h->n_pending = 0;
            device_id = "";
        }
        p = &h->pending[h->n_pending++];
        *p = (struct pending_stop){.seq = 0};
        snprintf(p->device_id, sizeof(p->device_id), "%s", device_id);
        snprintf(p->by, sizeof(p->by), "%s", by);
    }
    if (seq > p->seq)
        p->seq = seq;
}

bool hub_latches_later(const struct hub *h, const char *device_id)
{
    for (unsigned i = 0; i < h->n_pending; i++) {
        if (h->pending[i].device_id[0] == '\0' || strcmp(h->pending[i].device_id, device_id) == 0)
            return true;
    }
    return false;
}

/* A robot here may have answered before Redis did; people hear it in order. */
static void stop_acknowledged(struct hub *h, struct operator* op)
{
    struct operator_early *early;
    op->open_stops--;
    while ((early = operator_take_early(op)) != NULL) {
        struct jsonw w = {.buf = early->text, .cap = early->len, .len = early->len};
        hub_send_text(h, op->session, &w);
        free(early);
    }
}

static void on_stop_sent(void *ctx, void *owner, void *token, enum bus_sent result, int robots)
{
    struct hub *h = ctx;
    struct session *s = owner;
    struct sent_command *c = token;
    bool stop = c->kind == MSG_STOP;
    if (stop && (result == BUS_SENT_UNKNOWN || result == BUS_SENT_UNLATCHED)) {
        hub_latch_later(h, c->device_id, c->by, c->seq);
        show_stops(h, c->device_id, c->by);
    }
    if (robots < c->local)
        robots = c->local;
    if (s != NULL && c->id[0] != '\0' && (result == BUS_SENT_EXPIRED || result == BUS_SENT_NOBODY))
        dedupe_forget(&s->op->sent, c->id);
    if (s == NULL)
        ;
    else if (result == BUS_SENT || result == BUS_SENT_UNLATCHED || (stop && c->local > 0))
        ack(h, s, c, robots);
    else if (result == BUS_SENT_NOBODY)
        hub_send_error(h, s, MSG_NO_ROBOT, "no such robot is known", c->type, c->id);
    else if (result == BUS_SENT_EXPIRED)
        hub_send_error(h, s, MSG_EXPIRED, "the re-arm waited too long and was dropped", c->type, c->id);
    else
        hub_send_error(h, s, MSG_NO_ROBOT,
                       stop ? "Redis did not answer; robots of other relays are told when it does"
                            : "Redis did not take it; look whether the robot is re-armed",
                       c->type, c->id);
    if (s != NULL)
        stop_acknowledged(h, s->op);
    free(c);
}

void hub_stop(struct hub *h, struct session *s, const struct msg *m)
{
    struct operator* op = hub_operator(h, s);
    struct sent_command *c = op ? remember(op, m) : NULL;
    bool stop = m->type == MSG_STOP;
    if (c == NULL) {
        hub_send_error(h, s, MSG_NO_ROBOT, "out of memory; the command was not sent", m->type_name, m->id);
        return;
    }
    /* A stop always counts. A re-arm that is repeated may come after a newer stop. */
    if (!stop && m->id != NULL && dedupe_repeated(&op->sent, m->id, op->said_ms)) {
        say_duplicate(h, s, m, c->text);
        free(c);
        return;
    }
    int64_t seq = stop ? bus_stop_seq(h->bus) : 0;
    operator_commanded(op, m->device_id, op->said_ms);
    log_warn(stop ? "stop" : "rearm", log_str("device_id", m->device_id ? m->device_id : "all"),
             log_str("by", op->name));
    c->seq = seq;
    if (stop)
        c->local = tell_robots_here(h, op, m, seq);
    struct bus_stop what = {m->device_id, stop, seq, op->number, op->name, m->id};
    if (bus_stop(h->bus, &what, s, c, on_stop_sent) == 0) {
        op->open_stops++;
        return;
    }
    if (stop)
        hub_latch_later(h, c->device_id, op->name, seq);
    else if (m->id != NULL)
        dedupe_forget(&op->sent, m->id);
    if (stop && c->local > 0)
        ack(h, s, c, c->local);
    else
        hub_send_error(h, s, MSG_NO_ROBOT,
                       stop ? "this relay has lost Redis; robots of other relays are told when it is back"
                            : "this relay has lost Redis; nothing can be re-armed without it",
                       c->type, c->id);
    free(c);
}

static void on_pending_latched(void *ctx, void *owner, void *token, enum bus_sent result, int robots)
{
    struct hub *h = ctx;
    struct pending_stop *told = token, *p = find_pending(h, told->device_id);
    bool failed = result == BUS_SENT_UNKNOWN || result == BUS_SENT_UNLATCHED;
    (void)owner;
    (void)robots;
    if (failed)
        show_stops(h, told->device_id, told->by);
    if (p != NULL && !failed && p->seq <= told->seq)
        *p = h->pending[--h->n_pending];
    else if (p != NULL)
        p->sent = false;
    free(told);
}

void hub_latch_pending(struct hub *h)
{
    for (unsigned i = 0; i < h->n_pending; i++) {
        struct pending_stop *p = &h->pending[i], *told = p->sent ? NULL : malloc(sizeof(*told));
        if (told == NULL)
            continue;
        *told = *p;
        struct bus_stop stop = {.device_id = told->device_id[0] ? told->device_id : NULL,
                                .stopped = true,
                                .seq = told->seq,
                                .by = told->by};
        p->sent = bus_stop(h->bus, &stop, NULL, told, on_pending_latched) == 0;
        if (!p->sent) {
            free(told);
            return;
        }
    }
}
