#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "wsd/relay.h"
#include "wsd/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_MAX 8192u

/* Per second and at once: what is kept of one robot's status in the history of events, which all robots share. */
#define STATUS_RATE  1
#define STATUS_BURST 20

/* --- messages of robots -------------------------------------------------------------------- */

static void publish_status(struct hub *h, struct session *s, const struct msg *m)
{
    char buf[STATUS_MAX];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_robot_status(&w, m, s->robot->id, clock_wall_us());
    if (w.overflow || bus_publish(h->bus, BUS_STATUS, s->robot->id, w.buf, w.len) != 0)
        hub_send_error(h, s, MSG_NOT_STORED, "this relay has lost Redis; the status was not passed on", m->type_name,
                       m->id);
    if (limit_take(&s->robot->status_limit, STATUS_RATE, STATUS_BURST, clock_mono_ms()) != LIMIT_OK) {
        h->metrics->status_not_kept_total++;
        return;
    }
    char members[STATUS_MAX];
    jsonw_init(&w, members, sizeof(members));
    jsonw_lit(&w, "\"kind\":\"status\"");
    jsonw_kv_str(&w, "device_id", s->robot->id);
    jsonw_kv_str(&w, "status", m->status);
    jsonw_kv_str(&w, "message", m->message);
    if (!w.overflow)
        bus_event(h->bus, w.buf, w.len);
}

static void publish_video(struct hub *h, struct session *s, const struct msg *m)
{
    size_t cap = m->frame_data_len + SMALL_TEXT;
    char *buf = malloc(cap);
    struct jsonw w;
    jsonw_init(&w, buf, buf ? cap : 0);
    if (buf != NULL)
        msg_put_video_frame(&w, m, s->robot->id, clock_wall_us());
    if (buf == NULL || w.overflow || bus_publish(h->bus, BUS_VIDEO, s->robot->id, w.buf, w.len) != 0) {
        hub_send_error(h, s, MSG_NOT_STORED, "the frame was not passed on", m->type_name, m->id);
    } else {
        struct msg_ack ack = {m->type_name, m->id, "Video frame received", -1, false, clock_wall_us()};
        hub_send_ack(h, s, &ack);
    }
    free(buf);
}

/* --- what peers say ------------------------------------------------------------------------ */

/* A stop has a limit of its own; a zero that ends a motion which was accepted has none, nor has a robot's answer that
 * somebody waits for. */
static bool is_exempt(struct hub *h, struct session *s, const struct msg *m)
{
    const struct conf_wsd *conf = &h->conf->wsd;
    if (m == NULL)
        return false;
    if (m->type == MSG_STOP)
        return hub_operator(h, s) != NULL &&
               limit_take(&s->op->stop_limit, conf->stop_rate, conf->stop_burst, clock_mono_ms()) == LIMIT_OK;
    if (m->type == MSG_ACK)
        return s->robot != NULL && receipts_find(&s->robot->waiting, m->seq, m->id) != NULL;
    return s->op != NULL && relay_is_zero_motion(m) && motions_ended_by(&s->op->motions, m->device_id, m->type);
}

/* True when the message may be handled. */
static bool within_limit(struct hub *h, struct session *s, const struct msg *m, const struct msg_fault *fault)
{
    const struct conf_wsd *conf = &h->conf->wsd;
    bool robot = s->from == MSG_FROM_ROBOT;
    if (is_exempt(h, s, m))
        return true;
    enum limit_verdict verdict =
        limit_take_many(&s->limit, m ? relay_cost(m) : 1, robot ? conf->robot_rate : conf->website_rate,
                        robot ? conf->robot_burst : conf->website_burst, clock_mono_ms());
    if (verdict == LIMIT_OK)
        return true;
    h->metrics->messages_rate_limited_total++;
    hub_send_error(h, s, MSG_RATE_LIMITED, NULL, m ? m->type_name : fault->original_type, m ? m->id : fault->id);
    if (verdict == LIMIT_FLOOD) {
        h->metrics->connections_flood_closed_total++;
        log_warn("flood", log_str("from", robot ? "robot" : "website"),
                 log_str("device_id", s->robot ? s->robot->id : ""));
        ws_close(h->ws, s, SESSION_POLICY);
    }
    return false;
}

static void refuse(struct hub *h, struct session *s, const struct msg_fault *fault)
{
    h->metrics->messages_invalid_total++;
    hub_send_fault(h, s, fault);
    if (fault->code == MSG_TOO_LARGE)
        ws_close(h->ws, s, SESSION_TOO_BIG);
}

void hub_bad_message(struct hub *h, struct session *s, enum msg_code code, const char *text)
{
    struct msg_fault fault = {.code = code};
    snprintf(fault.text, sizeof(fault.text), "%s", text ? text : msg_code_text(code));
    if (code == MSG_TOO_LARGE || within_limit(h, s, NULL, &fault)) /* the rest of it must not count as messages */
        refuse(h, s, &fault);
}

static void send_pong(struct hub *h, struct session *s, const char *id)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_pong(&w, id, clock_wall_us());
    hub_send_text(h, s, &w);
}

static void watch(struct hub *h, struct session *s, const struct msg *m)
{
    const char *ids[MSG_WATCH_MAX];
    struct msg_ack a = {m->type_name, m->id, "Watching", -1, false, clock_wall_us()};
    for (size_t i = 0; i < m->n_device_ids; i++)
        ids[i] = msg_device_id_at(m, i);
    if (hub_operator(h, s) == NULL || operator_watch(s->op, ids, m->n_device_ids) != 0) {
        hub_send_error(h, s, MSG_NOT_ALLOWED, "out of memory", m->type_name, m->id);
        return;
    }
    hub_send_ack(h, s, &a);
    s->listed_to = s->states_to = 0; /* who of them is online, is told anew */
    h->wanted_ms = 0;
    hub_drained(h, s);
}

static void handle(struct hub *h, struct session *s, const struct msg *m)
{
    if (s->op != NULL)
        s->op->said_ms = clock_mono_ms();
    switch (m->type) {
    case MSG_TELEMETRY:
        hub_store_sample(h, s, m);
        break;
    case MSG_TELEMETRY_BATCH:
        hub_store_batch(h, s, m);
        break;
    case MSG_STATUS:
        publish_status(h, s, m);
        break;
    case MSG_VIDEO_FRAME:
        publish_video(h, s, m);
        break;
    case MSG_HEARTBEAT:
    case MSG_ACK:
    case MSG_STOP_STATE:
        hub_robot_says(h, s, m);
        break;
    case MSG_STOP:
    case MSG_REARM:
        hub_stop(h, s, m);
        break;
    case MSG_CONTROL_ACQUIRE:
    case MSG_CONTROL_RELEASE:
        hub_control(h, s, m);
        break;
    case MSG_WATCH:
        watch(h, s, m);
        break;
    case MSG_PING:
        send_pong(h, s, m->id);
        break;
    default: /* the decoder lets nothing else through */
        hub_forward(h, s, m);
    }
}

void hub_message(struct hub *h, struct session *s, const char *text, size_t len)
{
    struct msg m;
    struct msg_fault fault;
    h->metrics->messages_received_total++;
    if (s->from == MSG_FROM_ROBOT && s->robot == NULL)
        return; /* replaced; its end is on the way */
    if (s->robot != NULL)
        s->robot->heard = true;
    bool long_one = relay_is_long(&h->conf->wsd, s->from, len);
    enum msg_type only = long_one ? relay_long_type(&h->conf->wsd, text, len) : MSG_NONE;
    if (long_one && only == MSG_NONE) {
        hub_bad_message(h, s, MSG_TOO_LARGE, NULL);
        return;
    }
    int rc = msg_decode(s->from, text, len, &m, &fault);
    if (rc == 0 && long_one && m.type != only) {
        msg_finish(&m);
        hub_bad_message(h, s, MSG_TOO_LARGE, NULL);
        return;
    }
    if (within_limit(h, s, rc == 0 ? &m : NULL, &fault)) {
        if (rc != 0)
            refuse(h, s, &fault);
        else
            handle(h, s, &m);
    }
    if (rc == 0)
        msg_finish(&m);
}
