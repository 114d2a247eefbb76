#include "wsd/hub.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/msg.h"
#include "wsd/relay.h"
#include "wsd/ws.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define SMALL_TEXT 2048u /* any message that is neither telemetry nor video nor a long status */
#define UPDATE_MAX 8192u /* telemetry_update with every metric at its longest */

struct robot {
    char id[MSG_DEVICE_ID_MAX + 1];
    char name[MSG_NAME_MAX + 1]; /* for people; the id until the robot says another */
    uint64_t conn;               /* connection number, 0 until the bus has given one */
    uint32_t key;                /* of its telemetry in queues */
    uint64_t taken_over;         /* the number of a connection elsewhere that came while this one had none yet */
    bool attaching;              /* the bus has been asked for a number */
    struct session *session;
    UT_hash_handle hh;
};

struct hub {
    const struct conf *conf;
    struct metrics *metrics;
    struct ws *ws;
    struct bus *bus;
    struct presence *presence;
    struct robot *robots;
    struct session *websites;
    unsigned n_websites;
    struct session *told; /* while telling: NULL is every website that has its list */
    bool leaving;         /* this relay ends */
};

struct hub *hub_create(const struct conf *conf, struct metrics *metrics)
{
    struct hub *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->conf = conf;
    h->metrics = metrics;
    h->presence = presence_create();
    if (h->presence == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

void hub_connect(struct hub *h, struct ws *ws, struct bus *bus)
{
    h->ws = ws;
    h->bus = bus;
}

void hub_destroy(struct hub *h)
{
    if (h == NULL)
        return;
    presence_destroy(h->presence);
    free(h);
}

void hub_gauges(const struct hub *h, struct metrics_gauges *g)
{
    g->websites = h->n_websites;
    g->robots = HASH_COUNT(h->robots);
    g->redis_up = bus_up(h->bus);
}

/* --- sending ------------------------------------------------------------------------------- */

static void count_push(struct hub *h, enum outq_lane lane, enum outq_result result)
{
    h->metrics->frames_sent_total++;
    if (result == OUTQ_REFUSED)
        h->metrics->queue_refused_total++;
    else if (result == OUTQ_REPLACED && lane == OUTQ_COMMAND)
        h->metrics->commands_replaced_total++;
    else if (result == OUTQ_REPLACED && lane == OUTQ_VIDEO)
        h->metrics->video_replaced_total++;
    else if (result != OUTQ_QUEUED)
        h->metrics->telemetry_thinned_total++;
}

static void push(struct hub *h, struct session *s, enum outq_lane lane, struct frame *f, uint32_t key)
{
    count_push(h, lane, ws_push(h->ws, s, lane, f, key, 0));
}

/* One message to one peer. */
static void send_text(struct hub *h, struct session *s, const struct jsonw *w)
{
    struct frame *f = w->overflow ? NULL : frame_create(w->buf, w->len);
    if (f == NULL) {
        h->metrics->queue_refused_total++;
        return;
    }
    push(h, s, OUTQ_CONTROL, f, 0);
    frame_unref(f);
}

/* One message, framed once, to every website that has been greeted. */
static void broadcast(struct hub *h, enum outq_lane lane, uint32_t key, const char *text, size_t len)
{
    struct frame *f = h->websites ? frame_create(text, len) : NULL;
    struct session *s;
    if (f == NULL)
        return;
    DL_FOREACH (h->websites, s)
        push(h, s, lane, f, key);
    frame_unref(f);
}

static void send_fault(struct hub *h, struct session *s, const struct msg_fault *fault)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_error(&w, fault);
    send_text(h, s, &w);
}

static void send_error(struct hub *h, struct session *s, enum msg_code code, const char *text, const char *type,
                       const char *id)
{
    struct msg_fault fault = {.code = code};
    snprintf(fault.text, sizeof(fault.text), "%s", text ? text : msg_code_text(code));
    snprintf(fault.original_type, sizeof(fault.original_type), "%s", type ? type : "");
    snprintf(fault.id, sizeof(fault.id), "%s", id ? id : "");
    send_fault(h, s, &fault);
}

static void send_ack(struct hub *h, struct session *s, const struct msg_ack *ack)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_ack(&w, ack);
    send_text(h, s, &w);
}

static void send_relay_status(struct hub *h, struct session *s, bool up)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_relay_status(&w, h->conf->wsd.name, up, clock_wall_us());
    if (s != NULL)
        send_text(h, s, &w);
    else if (!w.overflow)
        broadcast(h, OUTQ_CONTROL, 0, w.buf, w.len);
}

/* --- who is online ------------------------------------------------------------------------- */

static void tell_presence(void *ctx, const char *device_id, enum presence_change change)
{
    struct hub *h = ctx;
    enum msg_presence what = change == PRESENCE_CAME   ? MSG_ROBOT_CAME
                             : change == PRESENCE_WENT ? MSG_ROBOT_WENT
                                                       : MSG_ROBOT_IS_ONLINE;
    char buf[SMALL_TEXT];
    struct jsonw w;
    struct session *s;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_connection(&w, what, device_id);
    if (h->told != NULL) {
        send_text(h, h->told, &w);
        return;
    }
    DL_FOREACH (h->websites, s) {
        if (s->listed)
            send_text(h, s, &w);
    }
}

static void send_list(struct hub *h, struct session *s)
{
    h->told = s;
    presence_each(h->presence, tell_presence, h);
    h->told = NULL;
    s->listed = true;
}

static void on_presence(void *ctx, const struct presence_event *ev)
{
    struct hub *h = ctx;
    enum presence_change change = presence_apply(h->presence, ev);
    if (change == PRESENCE_RESYNC)
        bus_request_snapshot(h->bus);
    else if (change != PRESENCE_SAME)
        tell_presence(h, ev->device_id, change);
}

static void on_snapshot(void *ctx, uint64_t seq, const struct presence_entry *entries, size_t n)
{
    struct hub *h = ctx;
    struct session *s;
    if (presence_snapshot(h->presence, seq, entries, n, tell_presence, h) != 0) {
        bus_request_snapshot(h->bus);
        return;
    }
    DL_FOREACH (h->websites, s) {
        if (!s->listed)
            send_list(h, s);
    }
}

/* --- robots -------------------------------------------------------------------------------- */

static struct robot *find_robot(struct hub *h, const char *device_id)
{
    struct robot *r;
    HASH_FIND_STR(h->robots, device_id, r);
    return r;
}

static void greet_robot(struct hub *h, struct robot *r)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    if (r->session->greeted)
        return;
    r->session->greeted = true;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_connection(&w, MSG_ROBOT_GREETING, r->id);
    send_text(h, r->session, &w);
}

/* The session is no longer the robot's: whatever comes from it, or its end, concerns the robot no more. */
static void part(struct hub *h, struct robot *r)
{
    bus_forget(h->bus, r->session);
    r->session->robot = NULL;
    r->session = NULL;
}

static void replace_session(struct hub *h, struct robot *r)
{
    struct session *old = r->session;
    h->metrics->robots_replaced_total++;
    log_info("robot_replaced", log_str("device_id", r->id), log_int("conn", (int64_t)r->conn));
    part(h, r);
    ws_close(h->ws, old, SESSION_REPLACED);
}

static void drop_robot(struct hub *h, struct robot *r)
{
    HASH_DEL(h->robots, r);
    free(r);
}

static void attach(struct hub *h, struct robot *r);

static void on_attached(void *ctx, void *owner, enum bus_attach result, uint64_t conn)
{
    struct hub *h = ctx;
    struct session *s = owner;
    struct robot *r = s ? s->robot : NULL;
    if (r == NULL)
        return;
    r->attaching = false;
    if (result == BUS_ATTACHED && conn < r->taken_over)
        result = BUS_ATTACH_OLDER; /* the kick was faster than the number */
    switch (result) {
    case BUS_ATTACHED:
        if (r->conn != conn)
            log_info("robot_connected", log_str("device_id", r->id), log_int("conn", (int64_t)conn));
        r->conn = conn;
        greet_robot(h, r);
        break;
    case BUS_ATTACH_OLDER:
        replace_session(h, r);
        bus_detach(h->bus, r->id, 0);
        drop_robot(h, r);
        break;
    case BUS_ATTACH_FULL:
        log_warn("too_many_devices", log_str("device_id", r->id), log_int("max_devices", h->conf->wsd.max_devices));
        send_error(h, s, MSG_NOT_ALLOWED, "too many devices are known here; an administrator can raise max_devices",
                   NULL, NULL);
        bus_detach(h->bus, r->id, 0);
        part(h, r);
        drop_robot(h, r);
        ws_close(h->ws, s, SESSION_POLICY);
        break;
    case BUS_ATTACH_FAILED:
        greet_robot(h, r); /* it is connected to the server; hub_tick tries again */
        break;
    }
}

static void attach(struct hub *h, struct robot *r)
{
    if (h->leaving)
        return;
    r->attaching = true;
    if (bus_attach(h->bus, r->id, r->conn, r->session, on_attached) != 0) {
        r->attaching = false;
        greet_robot(h, r);
    }
}

static int open_robot(struct hub *h, struct session *s, const char *device_id)
{
    struct robot *r = find_robot(h, device_id);
    if (r != NULL) {
        replace_session(h, r);
    } else {
        r = calloc(1, sizeof(*r));
        if (r == NULL)
            return -1;
        snprintf(r->id, sizeof(r->id), "%s", device_id);
        snprintf(r->name, sizeof(r->name), "%s", device_id);
        r->key = outq_key(r->id, strlen(r->id));
        HASH_ADD_STR(h->robots, id, r);
    }
    r->conn = r->taken_over = 0; /* a new connection: the higher number makes it the newest */
    r->session = s;
    s->robot = r;
    attach(h, r);
    return 0;
}

static void attach_all(void *ctx)
{
    struct hub *h = ctx;
    struct robot *r, *next;
    HASH_ITER (hh, h->robots, r, next)
        attach(h, r);
}

void hub_tick(struct hub *h)
{
    struct robot *r, *next;
    if (!bus_up(h->bus))
        return;
    if (!presence_synced(h->presence))
        bus_request_snapshot(h->bus);
    HASH_ITER (hh, h->robots, r, next) {
        if (r->conn == 0 && !r->attaching)
            attach(h, r);
    }
}

static void on_kick(void *ctx, const char *device_id, uint64_t conn)
{
    struct hub *h = ctx;
    struct robot *r = find_robot(h, device_id);
    if (r == NULL || r->conn >= conn)
        return;
    if (r->attaching && r->conn == 0) {
        r->taken_over = conn; /* unless it is about to get a number that is newer still */
        return;
    }
    replace_session(h, r);
    bus_detach(h->bus, r->id, 0);
    drop_robot(h, r);
}

/* --- the bus ------------------------------------------------------------------------------- */

static void on_state(void *ctx, bool up)
{
    struct hub *h = ctx;
    if (up) {
        attach_all(h);
    } else {
        h->metrics->redis_lost_total++;
        presence_lost(h->presence);
        for (struct robot *r = h->robots; r != NULL; r = r->hh.next)
            greet_robot(h, r); /* who waits for a number need not wait for Redis */
    }
    send_relay_status(h, NULL, up);
}

static void on_upstream(void *ctx, enum bus_kind kind, const char *device_id, const char *json, size_t len)
{
    static const enum outq_lane lanes[] = {OUTQ_TELEMETRY, OUTQ_CONTROL, OUTQ_VIDEO};
    uint32_t key = kind == BUS_STATUS ? 0 : outq_key(device_id, strlen(device_id));
    broadcast(ctx, lanes[kind], key, json, len);
}

static void on_command(void *ctx, const char *device_id, enum msg_type type, int64_t left_ms, const char *json,
                       size_t len)
{
    struct hub *h = ctx;
    struct robot *r = find_robot(h, device_id);
    struct relay_route route = relay_command_route(&h->conf->wsd, type);
    if (r == NULL || r->session == NULL)
        return;
    if (left_ms > route.ttl_ms)
        left_ms = route.ttl_ms;
    struct frame *f = left_ms >= 0 ? frame_create(json, len) : NULL;
    if (f == NULL) {
        h->metrics->commands_expired_total++;
        return;
    }
    count_push(h, route.lane, ws_push(h->ws, r->session, route.lane, f, route.key, clock_mono_ms() + left_ms));
    h->metrics->commands_forwarded_total++;
    frame_unref(f);
}

const struct bus_handlers hub_bus_handlers = {
    .state = on_state,
    .upstream = on_upstream,
    .command = on_command,
    .presence = on_presence,
    .snapshot = on_snapshot,
    .kick = on_kick,
    .reattach = attach_all,
};

/* --- messages of websites ------------------------------------------------------------------ */

/* What an ack or error needs once the bus has answered. */
struct sent_command {
    bool addressed;
    char type[33];
    char id[MSG_COMMAND_ID_MAX + 1];
    char text[96];
};

static void on_command_sent(void *ctx, void *owner, void *token, enum bus_sent result, int robots)
{
    struct hub *h = ctx;
    struct sent_command *c = token;
    if (result == BUS_SENT_UNKNOWN || result == BUS_SENT_EXPIRED)
        h->metrics->commands_expired_total++;
    else if (robots == 0)
        h->metrics->commands_no_robot_total++;
    if (owner == NULL) {
        /* The website is gone; nobody to tell. */
    } else if (result == BUS_SENT_EXPIRED) {
        send_error(h, owner, MSG_EXPIRED, "the command waited too long and was dropped", c->type, c->id);
    } else if (result == BUS_SENT_UNKNOWN) {
        send_error(h, owner, MSG_EXPIRED, "Redis did not answer in time; the command is dropped when it is too old",
                   c->type, c->id);
    } else if (c->addressed && robots == 0) {
        send_error(h, owner, MSG_NO_ROBOT, NULL, c->type, c->id);
    } else {
        struct msg_ack ack = {c->type, c->id[0] ? c->id : NULL, c->text, robots, clock_wall_us()};
        send_ack(h, owner, &ack);
    }
    free(c);
}

static void forward_command(struct hub *h, struct session *s, const struct msg *m)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    struct sent_command *c = calloc(1, sizeof(*c));
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_command(&w, m, clock_wall_us());
    if (c == NULL || w.overflow) {
        free(c);
        send_error(h, s, MSG_NO_ROBOT, "out of memory; the command was not sent", m->type_name, m->id);
        return;
    }
    int n = snprintf(c->text, sizeof(c->text), "Command received: ");
    msg_describe(c->text + n, sizeof(c->text) - (size_t)n, m);
    snprintf(c->type, sizeof(c->type), "%s", m->type_name);
    snprintf(c->id, sizeof(c->id), "%s", m->id ? m->id : "");
    c->addressed = m->device_id != NULL;
    struct bus_command command = {.device_id = m->device_id,
                                  .type = m->type,
                                  .ttl_ms = relay_command_route(&h->conf->wsd, m->type).ttl_ms,
                                  .json = w.buf,
                                  .len = w.len};
    if (bus_send(h->bus, &command, s, c, on_command_sent) != 0) {
        free(c);
        send_error(h, s, MSG_NO_ROBOT, "this relay has lost Redis; the command was not sent", m->type_name, m->id);
    }
}

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
            send_error(h, s, MSG_NOT_STORED, text, "telemetry", p->id);
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
                              clock_wall_us()};
        send_ack(h, s, &ack);
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
    send_error(h, s, MSG_NOT_STORED, p ? "telemetry could not be stored: this relay has lost Redis" : "out of memory",
               m->type_name, m->id);
    free(p);
}

static void publish_status(struct hub *h, struct session *s, const struct msg *m)
{
    char buf[UPDATE_MAX];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_robot_status(&w, m, s->robot->id, clock_wall_us());
    if (w.overflow || bus_publish(h->bus, BUS_STATUS, s->robot->id, w.buf, w.len) != 0)
        send_error(h, s, MSG_NOT_STORED, "this relay has lost Redis; the status was not passed on", m->type_name,
                   m->id);
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
        send_error(h, s, MSG_NOT_STORED, "the frame was not passed on", m->type_name, m->id);
    } else {
        struct msg_ack ack = {m->type_name, m->id, "Video frame received", -1, clock_wall_us()};
        send_ack(h, s, &ack);
    }
    free(buf);
}

/* --- sessions ------------------------------------------------------------------------------ */

static void open_website(struct hub *h, struct session *s)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    DL_APPEND(h->websites, s);
    if (h->n_websites++ == 0)
        bus_listen_upstream(h->bus, true);
    s->greeted = true;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_website_greeting(&w);
    send_text(h, s, &w);
    if (presence_synced(h->presence))
        send_list(h, s);
    if (!bus_up(h->bus))
        send_relay_status(h, s, false);
}

int hub_opened(struct hub *h, struct session *s, const char *device_id)
{
    h->metrics->connections_total++;
    s->from = device_id ? MSG_FROM_ROBOT : MSG_FROM_WEBSITE;
    if (device_id != NULL)
        return open_robot(h, s, device_id);
    open_website(h, s);
    return 0;
}

void hub_closed(struct hub *h, struct session *s)
{
    if (s->from == MSG_FROM_WEBSITE) {
        DL_DELETE(h->websites, s);
        if (--h->n_websites == 0)
            bus_listen_upstream(h->bus, false);
        bus_forget(h->bus, s);
        return;
    }
    struct robot *r = s->robot;
    if (r == NULL)
        return;
    log_info("robot_disconnected", log_str("device_id", r->id), log_int("conn", (int64_t)r->conn));
    part(h, r);
    bus_detach(h->bus, r->id, r->conn);
    drop_robot(h, r);
}

static uint8_t motion_bit(enum msg_type type)
{
    return (uint8_t)(type == MSG_CAMERA_MOVE ? 2 : 1);
}

/* True when the message may be handled. A motion that stops always may: it ends a motion that was accepted. */
static bool within_limit(struct hub *h, struct session *s, const struct msg *m, const struct msg_fault *fault)
{
    const struct conf_wsd *conf = &h->conf->wsd;
    bool robot = s->from == MSG_FROM_ROBOT;
    if (m != NULL && relay_is_zero_motion(m) && (s->moving & motion_bit(m->type)) != 0)
        return true;
    enum limit_verdict verdict = limit_take(&s->limit, robot ? conf->robot_rate : conf->website_rate,
                                            robot ? conf->robot_burst : conf->website_burst, clock_mono_ms());
    if (verdict == LIMIT_OK)
        return true;
    h->metrics->messages_rate_limited_total++;
    send_error(h, s, MSG_RATE_LIMITED, NULL, m ? m->type_name : fault->original_type, m ? m->id : fault->id);
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
    send_fault(h, s, fault);
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

static void handle(struct hub *h, struct session *s, const struct msg *m)
{
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
    default: /* the decoder lets nothing else through */
        if (relay_is_zero_motion(m))
            s->moving &= (uint8_t)~motion_bit(m->type);
        else if (msg_is_move(m->type))
            s->moving |= motion_bit(m->type);
        forward_command(h, s, m);
    }
}

void hub_message(struct hub *h, struct session *s, const char *text, size_t len)
{
    struct msg m;
    struct msg_fault fault;
    h->metrics->messages_received_total++;
    if (s->from == MSG_FROM_ROBOT && s->robot == NULL)
        return; /* replaced; its end is on the way */
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

void hub_leave(struct hub *h)
{
    struct session *s;
    h->leaving = true;
    for (struct robot *r = h->robots; r != NULL; r = r->hh.next) {
        bus_detach(h->bus, r->id, r->conn);
        r->conn = 0;
        ws_close(h->ws, r->session, SESSION_GOING_AWAY);
    }
    bus_leave(h->bus);
    DL_FOREACH (h->websites, s)
        ws_close(h->ws, s, SESSION_GOING_AWAY);
}

bool hub_empty(const struct hub *h)
{
    return h->robots == NULL && h->websites == NULL;
}
