/* What robots get, and what they answer. */
#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "wsd/relay.h"
#include "wsd/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define ORDER_MAX       8192u /* a command as a robot gets it */
#define REPORT_AGAIN_MS 1000

void hub_robot_begin(struct robot *r)
{
    r->conn = r->taken_over = 0; /* a new connection: the higher number makes it the newest */
    r->heard = r->answers = r->stopped = r->said = false;
    r->told_first = 0;
    r->stop_seq = r->wanted_ms = r->said_ms = 0;
    r->said_seq = -1;
    r->driver[0] = r->driver[1] = 0;
    r->moved = false;
    r->hb = -1;
}

/* --- what became of commands --------------------------------------------------------------- */

/* To who gave the command no id: only that it will not be done, which the ack before it did not say. */
static void put_drop(struct jsonw *w, const struct robot *r, enum msg_type type, const char *reason)
{
    static const struct {
        const char *reason;
        enum msg_code code;
        const char *text;
    } drops[] = {{"late", MSG_EXPIRED, "the command waited too long and was dropped"},
                 {"queue_full", MSG_EXPIRED, "too much is waiting for the robot; the command was dropped"},
                 {"out_of_memory", MSG_EXPIRED, "the relay is out of memory; the command was dropped"},
                 {"stopped", MSG_STOPPED, "the robot is stopped; re-arm it first"}};
    for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++) {
        struct msg_fault fault = {.code = drops[i].code};
        if (strcmp(drops[i].reason, reason) != 0)
            continue;
        snprintf(fault.text, sizeof(fault.text), "%s: %s", r->id, drops[i].text);
        snprintf(fault.original_type, sizeof(fault.original_type), "%s", msg_type_name(type));
        msg_put_error(w, &fault);
    }
}

/* The sender hears it, on whichever relay it is. */
static void tell_sender(struct hub *h, const struct robot *r, const struct receipt *one, enum msg_outcome outcome,
                        const char *reason)
{
    struct msg_receipt receipt = {msg_type_name(one->type), one->id, r->id, outcome, reason, clock_wall_us()};
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    if (one->id[0] != '\0')
        msg_put_receipt(&w, &receipt);
    else
        put_drop(&w, r, one->type, reason ? reason : "");
    if (w.overflow || w.len == 0)
        return;
    if (one->origin.instance == NULL)
        hub_on_receipt(h, one->origin.number, one->origin.t0, w.buf, w.len);
    else
        bus_receipt(h->bus, &one->origin, w.buf, w.len);
}

/* Takes the receipt; NULL: nobody waits for it. */
static void settle(struct hub *h, const struct robot *r, int64_t seq, struct receipt *one, enum msg_outcome outcome,
                   const char *reason)
{
    if (one != NULL)
        tell_sender(h, r, one, outcome, reason);
    bus_outcome(h->bus, r->id, seq, outcome, reason);
    free(one);
}

void hub_robot_end(struct hub *h, struct robot *r)
{
    struct receipt *one;
    receipts_sent(&r->waiting);
    while ((one = receipts_take_any(&r->waiting)) != NULL) {
        if (r->answers || !r->heard) /* of one that never said a word nobody knows that it does not */
            settle(h, r, one->seq, one, MSG_TOO_OLD, "disconnected");
        else
            free(one);
    }
}

void hub_dropped(struct hub *h, struct session *s, uint64_t token, enum outq_drop why)
{
    struct robot *r = s->robot;
    int64_t seq = (int64_t)token;
    if (r == NULL)
        return;
    struct receipt *one = receipts_take(&r->waiting, seq, NULL);
    if (why == OUTQ_LATE)
        settle(h, r, seq, one, MSG_TOO_OLD, "late");
    else
        settle(h, r, seq, one, MSG_REJECTED, why == OUTQ_SUPERSEDED ? "superseded" : "queue_full");
}

/* --- orders -------------------------------------------------------------------------------- */

static void await_answer(struct hub *h, struct robot *r, const struct bus_order *o)
{
    /* Without a deadline nothing is dropped: of a relay's own zero, or a stop without an id, there is nothing to say.
     */
    if (o->origin.number == 0 || (o->id_len == 0 && o->left_ms == INT64_MAX))
        return;
    struct receipt *oldest = receipts_add(&r->waiting, o);
    if (oldest != NULL && oldest->id[0] != '\0' && r->answers)
        settle(h, r, oldest->seq, oldest, MSG_TOO_OLD, "unanswered");
    else
        free(oldest);
}

static void refuse(struct hub *h, struct robot *r, const struct bus_order *o, enum msg_outcome outcome,
                   const char *reason)
{
    await_answer(h, r, o);
    settle(h, r, o->seq, receipts_take(&r->waiting, o->seq, NULL), outcome, reason);
}

/* The robot's newest heartbeat goes along: it can then tell how long the command was on its way to it. */
static struct frame *order_frame(const struct robot *r, const struct bus_order *o)
{
    char buf[ORDER_MAX];
    struct jsonw w;
    if (r->hb < 0)
        return frame_create(o->json, o->len);
    jsonw_init(&w, buf, sizeof(buf));
    jsonw_raw(&w, o->json, o->len);
    msg_append_int(&w, "relay_hb", r->hb);
    return w.overflow ? NULL : frame_create(w.buf, w.len);
}

static void deliver(struct hub *h, struct robot *r, const struct bus_order *o)
{
    const struct conf_wsd *conf = &h->conf->wsd;
    int64_t most = msg_is_move(o->type) ? conf->move_ttl_ms : conf->setting_ttl_ms;
    int64_t left_ms = o->left_ms < most ? o->left_ms : most;
    /* Without a deadline: a relay's own zero. */
    struct outq_item item = {.token = (uint64_t)o->seq,
                             .deadline_ms = o->left_ms == INT64_MAX ? 0 : clock_mono_ms() + left_ms,
                             .key = relay_command_key(o->type),
                             .lane = OUTQ_COMMAND};
    if (left_ms < 0) {
        h->metrics->commands_expired_total++;
        refuse(h, r, o, MSG_TOO_OLD, "late");
    } else if (r->stopped && msg_is_move(o->type)) {
        refuse(h, r, o, MSG_REJECTED, "stopped");
    } else if ((item.frame = order_frame(r, o)) == NULL) {
        refuse(h, r, o, MSG_REJECTED, "out_of_memory");
    } else {
        if (msg_is_move(o->type)) {
            r->driver[o->type == MSG_CAMERA_MOVE] = o->origin.instance == NULL ? o->origin.number : 0;
            r->moved = true;
        }
        h->metrics->commands_forwarded_total++;
        enum outq_result result = hub_push(h, r->session, &item);
        await_answer(h, r, o); /* behind it: pushing may send everything, which ends what has no id */
        if (result == OUTQ_REFUSED)
            hub_dropped(h, r->session, item.token, OUTQ_NO_ROOM);
        frame_unref(item.frame);
    }
}

/* A zero replaces an unsent motion, and stops a robot that knows nothing of stops. */
void hub_zero(struct hub *h, struct robot *r, enum msg_type type)
{
    struct outq_item item = {.key = relay_command_key(type), .lane = OUTQ_COMMAND};
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_zero(&w, type, clock_wall_us());
    item.frame = w.overflow ? NULL : frame_create(w.buf, w.len);
    if (item.frame == NULL)
        return;
    hub_push(h, r->session, &item);
    frame_unref(item.frame);
}

/* Nobody elsewhere can stop a robot now. One with a dead-man has stopped by itself; an old one may have none. */
void hub_rest(struct hub *h)
{
    for (struct robot *r = h->robots; r != NULL; r = r->hh.next) {
        if (!r->moved)
            continue;
        r->moved = false;
        hub_zero(h, r, MSG_ROBOT_MOVE);
        hub_zero(h, r, MSG_CAMERA_MOVE);
    }
}

/* What waits unsent is overtaken, and must not follow. A robot that knows nothing of stops gets zeros. */
static void end_motions(struct hub *h, struct robot *r)
{
    static const enum msg_type motions[] = {MSG_ROBOT_MOVE, MSG_CAMERA_MOVE};
    for (size_t i = 0; i < sizeof(motions) / sizeof(motions[0]); i++) {
        ws_withdraw(r->session, OUTQ_COMMAND, relay_command_key(motions[i]));
        if (!r->answers)
            hub_zero(h, r, motions[i]);
    }
}

/* The bus orders what the robot was told first. By chance another relay may have given a stop of its own the same
 * number; who asked for that waits for an answer, too. */
static bool is_told(const struct robot *r, const struct bus_order *o)
{
    bool same = o->origin.instance == NULL && o->origin.number == r->told_first;
    return r->told_first != 0 && r->stop_seq == o->seq && (same || o->origin.number == 0);
}

void hub_tell_stop(struct hub *h, struct robot *r, const struct bus_order *o, bool first)
{
    struct outq_item item = {.token = (uint64_t)o->seq, .lane = OUTQ_STOP};
    bool told = is_told(r, o);
    if (o->type == MSG_REARM && (o->seq < r->stop_seq || (o->seq == r->stop_seq && r->stopped))) {
        refuse(h, r, o, MSG_REJECTED, "old"); /* from before a stop that did not wait for the bus */
        return;
    }
    r->told_first = first ? o->origin.number : 0;
    r->stopped = o->type == MSG_STOP;
    r->stop_seq = o->seq;
    item.frame = told ? NULL : frame_create(o->json, o->len);
    if (item.frame == NULL)
        return;
    r->said = false; /* it will say so again */
    if (o->id_len > 0 && !receipts_renumber(&r->waiting, o))
        await_answer(h, r, o);
    hub_push(h, r->session, &item);
    frame_unref(item.frame);
    if (r->stopped)
        end_motions(h, r);
}

void hub_on_order(void *ctx, const struct bus_order *o)
{
    struct hub *h = ctx;
    struct robot *r = hub_find_robot(h, o->device_id);
    if (r == NULL || r->session == NULL)
        return;
    if (o->origin.instance != NULL)
        r->wanted_ms = clock_mono_ms();
    if (o->type == MSG_STOP || o->type == MSG_REARM)
        hub_tell_stop(h, r, o, false);
    else
        deliver(h, r, o);
}

/* --- heartbeats ---------------------------------------------------------------------------- */

void hub_on_wanted(void *ctx, const char *device_id)
{
    struct robot *r = hub_find_robot(ctx, device_id);
    if (r != NULL)
        r->wanted_ms = clock_mono_ms();
}

void hub_pass_heartbeat(struct hub *h, const char *device_id, const char *json, size_t len)
{
    struct outq_item item = {.lane = OUTQ_TELEMETRY};
    int64_t now = clock_mono_ms();
    const struct operator* op;
    DL_FOREACH (h->operators, op) {
        if (!operator_wants_heartbeat(op, device_id, now))
            continue;
        if (item.frame == NULL && (item.frame = frame_create(json, len)) == NULL)
            return;
        item.key = outq_key(device_id, strlen(device_id)) ^ 1u; /* beside the robot's telemetry */
        hub_push(h, op->session, &item);
    }
    frame_unref(item.frame);
}

static void on_heartbeat(struct hub *h, struct robot *r, int64_t hb)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    int64_t now = clock_mono_ms();
    r->hb = hb;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_robot_heartbeat(&w, r->id, hb);
    if (w.overflow)
        return;
    /* Published, it comes back to this relay as well. */
    if (r->wanted_ms == 0 || now - r->wanted_ms > HEARTBEATS_MS ||
        bus_publish(h->bus, BUS_HEARTBEAT, r->id, w.buf, w.len) != 0)
        hub_pass_heartbeat(h, r->id, w.buf, w.len);
}

/* --- what robots say about themselves ------------------------------------------------------ */

void hub_report(struct hub *h, const struct robot *r)
{
    if (r->said && r->entered)
        bus_report_stop(h->bus, r->id, r->said_stopped, r->said_seq, r->said_by);
}

void hub_reconcile(struct hub *h, const struct robot *r)
{
    if (!r->entered || !r->said || hub_agrees(h, r->id, r->said_stopped))
        return;
    hub_report(h, r);
    if (!r->said_stopped)
        return;
    /* The store may not take it; people here see it all the same, unless they know of something newer. */
    struct bus_stop_state state = {r->id,     r->said_seq > 0 ? r->said_seq : r->stop_seq, true, true, clock_wall_ms(),
                                   r->said_by};
    hub_show_stop_state(h, &state);
}

static void on_stop_state(struct hub *h, struct robot *r, bool stopped, int64_t seq, const char *by)
{
    int64_t now = clock_mono_ms();
    bool same = r->said_stopped == stopped && r->said_seq == seq && seq >= 0;
    /* Told again it may answer with what it has said already: hub_reconcile looks whether that is still news. */
    bool repeated = same && (r->said || now - r->said_ms < REPORT_AGAIN_MS);
    r->said = true;
    if (repeated && bus_up(h->bus))
        return;
    r->said_ms = now;
    r->said_stopped = stopped;
    r->said_seq = seq;
    snprintf(r->said_by, sizeof(r->said_by), "%s", by ? by : "robot");
    if (stopped)
        r->stopped = true; /* only a re-arm lets motion out again */
    if (bus_up(h->bus))
        hub_report(h, r);
    /* People see it, too, while the store does not take it. */
    if (stopped && (!bus_up(h->bus) || h->n_pending > 0)) {
        struct bus_stop_state state = {r->id,     seq > 0 ? seq : bus_stop_seq(h->bus), true, true, clock_wall_ms(),
                                       r->said_by};
        hub_show_stop_state(h, &state);
    }
}

static void on_ack(struct hub *h, struct robot *r, const struct msg *m)
{
    struct receipt *one = receipts_take(&r->waiting, m->seq, m->id);
    const char *type = one != NULL ? msg_type_name(one->type) : m->original_type;
    int64_t seq = one != NULL ? one->seq : m->seq;
    if (m->outcome == MSG_APPLIED && type != NULL && strcmp(type, msg_type_name(MSG_STOP)) == 0)
        on_stop_state(h, r, true, seq, NULL);
    if (m->outcome == MSG_APPLIED && type != NULL && strcmp(type, msg_type_name(MSG_REARM)) == 0)
        on_stop_state(h, r, false, seq, NULL);
    if (one != NULL)
        settle(h, r, seq, one, m->outcome, m->reason);
    if (m->outcome == MSG_TOO_OLD)
        h->metrics->commands_stale_total++;
    else if (m->outcome == MSG_REJECTED)
        h->metrics->commands_rejected_total++;
    else
        h->metrics->commands_applied_total++;
}

void hub_robot_says(struct hub *h, struct session *s, const struct msg *m)
{
    struct robot *r = s->robot;
    r->answers = true;
    if (m->type == MSG_HEARTBEAT)
        on_heartbeat(h, r, m->hb);
    else if (m->type == MSG_ACK)
        on_ack(h, r, m);
    else
        on_stop_state(h, r, m->stopped, m->seq, m->by);
}
