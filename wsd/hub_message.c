#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "wsd/relay.h"
#include "wsd/ws.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPDATE_MAX 8192u /* telemetry_update with every metric at its longest */

/* Per second and at once: what is kept of one robot's status in the history of events, which all robots share. */
#define STATUS_RATE  1
#define STATUS_BURST 20

/* --- messages of robots -------------------------------------------------------------------- */

/* A sample on its way into Redis: the message for the websites is ready but for its time. */
struct pending {
    struct bus_sample sample;
    char device_id[MSG_DEVICE_ID_MAX + 1];
    char id[MSG_COMMAND_ID_MAX + 1];
    int64_t time_ms; /* as written at `time_at` */
    size_t time_at;
    size_t len;
    char text[]; /* telemetry_update, then the metrics alone */
};

static void on_stored(void *ctx, void *owner, struct bus_sample *sample, int64_t time_ms, const char *why)
{
    struct hub *h = ctx;
    struct pending *p = (struct pending *)sample;
    struct session *s = owner;
    if (why != NULL) {
        char text[160];
        h->metrics->samples_refused_total++;
        snprintf(text, sizeof(text), "telemetry could not be stored: %s", why);
        if (s != NULL)
            hub_send_error(h, s, MSG_NOT_STORED, text, "telemetry", p->id);
        free(p);
        return;
    }
    h->metrics->samples_stored_total++;
    if (time_ms != p->time_ms) {
        char stamp[CLOCK_RFC3339_MS_LEN + 1];
        clock_format_ms(stamp, time_ms);
        memcpy(p->text + p->time_at, stamp, CLOCK_RFC3339_MS_LEN);
    }
    bus_publish(h->bus, BUS_TELEMETRY, p->device_id, p->text, p->len);
    if (s != NULL) {
        struct msg_ack ack = {"telemetry", p->id[0] ? p->id : NULL, "Telemetry data received and saved", -1,
                              false,       clock_wall_us()};
        hub_send_ack(h, s, &ack);
    }
    free(p);
}

static struct pending *prepare_sample(const struct robot *r, const struct msg *m)
{
    static_assert(offsetof(struct pending, sample) == 0, "on_stored casts");
    char metrics[UPDATE_MAX], update[UPDATE_MAX];
    struct jsonw mw, uw;
    int64_t now = clock_wall_ms();
    int64_t time_ms = relay_sample_time(m, now);
    int64_t shown_ms = time_ms > 0 ? time_ms : now;
    jsonw_init(&mw, metrics, sizeof(metrics));
    msg_put_metrics(&mw, m);
    jsonw_init(&uw, update, sizeof(update));
    size_t time_at = msg_put_telemetry_update(&uw, r->id, r->name, mw.buf, mw.len, shown_ms);
    struct pending *p = mw.overflow || uw.overflow ? NULL : malloc(sizeof(*p) + uw.len + mw.len);
    if (p == NULL)
        return NULL;
    memcpy(p->device_id, r->id, sizeof(p->device_id));
    snprintf(p->id, sizeof(p->id), "%s", m->id ? m->id : "");
    p->time_ms = shown_ms;
    p->time_at = time_at;
    p->len = uw.len;
    memcpy(p->text, update, uw.len);
    memcpy(p->text + uw.len, metrics, mw.len);
    p->sample = (struct bus_sample){p->device_id, time_ms, p->text + uw.len, mw.len};
    return p;
}

static void store_telemetry(struct hub *h, struct session *s, const struct msg *m)
{
    struct robot *r = s->robot;
    if (m->device_name != NULL && m->device_name[0] != '\0' && strcmp(m->device_name, r->name) != 0) {
        snprintf(r->name, sizeof(r->name), "%s", m->device_name);
        bus_set_name(h->bus, r->id, r->name);
    }
    struct pending *p = prepare_sample(r, m);
    if (p != NULL && bus_store(h->bus, &p->sample, s, on_stored) == 0)
        return;
    h->metrics->samples_refused_total++;
    hub_send_error(h, s, MSG_NOT_STORED,
                   p ? "telemetry could not be stored: this relay has lost Redis" : "out of memory", m->type_name,
                   m->id);
    free(p);
}

static void publish_status(struct hub *h, struct session *s, const struct msg *m)
{
    char buf[UPDATE_MAX];
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
    char members[UPDATE_MAX];
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
    enum limit_verdict verdict = limit_take(&s->limit, robot ? conf->robot_rate : conf->website_rate,
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
        store_telemetry(h, s, m);
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
    bool long_one = relay_only_video_is_that_long(&h->conf->wsd, s->from, len);
    if (long_one && !relay_looks_like_video(text, len)) {
        hub_bad_message(h, s, MSG_TOO_LARGE, NULL);
        return;
    }
    int rc = msg_decode(s->from, text, len, &m, &fault);
    if (rc == 0 && long_one && m.type != MSG_VIDEO_FRAME) {
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
