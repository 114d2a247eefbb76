#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "common/log.h"
#include "wsd/relay.h"
#include "wsd/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define LIST_PART 64 /* robots told in one go */

struct hub *hub_create(const struct conf *conf, struct metrics *metrics)
{
    struct hub *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->conf = conf;
    h->metrics = metrics;
    h->random = (uint64_t)clock_wall_us() ^ (uint64_t)clock_mono_ns();
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
    hub_destroy_states(h);
    free(h);
}

void hub_gauges(const struct hub *h, struct metrics_gauges *g)
{
    g->websites = h->n_websites;
    g->robots = HASH_COUNT(h->robots);
    g->redis_up = bus_up(h->bus);
}

/* --- who is online ------------------------------------------------------------------------- */

static struct frame *presence_frame(const char *device_id, enum presence_change change)
{
    enum msg_presence what = change == PRESENCE_CAME   ? MSG_ROBOT_CAME
                             : change == PRESENCE_WENT ? MSG_ROBOT_WENT
                                                       : MSG_ROBOT_IS_ONLINE;
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_connection(&w, what, device_id);
    return w.overflow ? NULL : frame_create(w.buf, w.len);
}

static void tell_presence(struct hub *h, struct session *s, struct frame *f, const char *device_id,
                          enum presence_change change)
{
    struct outq_item item = {.frame = f, .lane = OUTQ_CONTROL};
    hub_push(h, s, &item);
    if (change != PRESENCE_WENT)
        hub_send_control_state(h, s, device_id);
}

/* A change, to those that have been told of the robot; the others will find it in their list, or will not. */
static void tell_change(void *ctx, const char *device_id, enum presence_change change, uint64_t serial)
{
    struct hub *h = ctx;
    struct session *s;
    struct frame *f = presence_frame(device_id, change);
    if (f == NULL)
        return;
    DL_FOREACH (h->websites, s) {
        if (serial <= s->listed_to && hub_watches(s, device_id))
            tell_presence(h, s, f, device_id, change);
    }
    frame_unref(f);
}

static void tell_listed(void *ctx, const char *device_id, enum presence_change change, uint64_t serial)
{
    struct hub *h = ctx;
    struct frame *f = hub_watches(h->told, device_id) ? presence_frame(device_id, change) : NULL;
    (void)serial;
    if (f == NULL)
        return;
    tell_presence(h, h->told, f, device_id, change);
    frame_unref(f);
}

/* The list of who is online may be longer than a queue: a part now, the next when that has been sent. */
void hub_drained(struct hub *h, struct session *s)
{
    if (s->robot != NULL)
        receipts_sent(&s->robot->waiting);
    if (s->from != MSG_FROM_WEBSITE || h->told != NULL)
        return;
    if (s->listed_to == PRESENCE_ALL || !presence_synced(h->presence)) {
        hub_list_states(h, s);
        return;
    }
    h->told = s;
    s->listed_to = presence_list(h->presence, s->listed_to, LIST_PART, tell_listed, h);
    h->told = NULL;
}

static void on_presence(void *ctx, const struct presence_event *ev)
{
    struct hub *h = ctx;
    uint64_t serial = 0;
    enum presence_change change = presence_apply(h->presence, ev, &serial);
    if (change == PRESENCE_RESYNC)
        bus_request_snapshot(h->bus);
    else if (change != PRESENCE_SAME)
        tell_change(h, ev->device_id, change, serial);
}

static void on_snapshot(void *ctx, uint64_t seq, const struct presence_entry *entries, size_t n)
{
    struct hub *h = ctx;
    struct session *s;
    if (presence_snapshot(h->presence, seq, entries, n, tell_change, h) != 0) {
        bus_request_snapshot(h->bus);
        return;
    }
    DL_FOREACH (h->websites, s)
        hub_drained(h, s);
}

/* --- robots -------------------------------------------------------------------------------- */

struct robot *hub_find_robot(struct hub *h, const char *device_id)
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
    hub_send_text(h, r->session, &w);
}

/* The session is no longer the robot's: whatever comes from it, or its end, concerns the robot no more. */
static void part(struct hub *h, struct robot *r)
{
    bus_forget(h->bus, r->session);
    hub_robot_end(h, r);
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

/* A newer connection of the robot has taken over on another relay. */
static void give_up_robot(struct hub *h, struct robot *r)
{
    replace_session(h, r);
    bus_detach(h->bus, r->id, 0);
    drop_robot(h, r);
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
        r->entered = true;
        greet_robot(h, r);
        hub_report(h, r);
        break;
    case BUS_ATTACH_OLDER:
        give_up_robot(h, r);
        break;
    case BUS_ATTACH_FULL:
        log_warn("too_many_devices", log_str("device_id", r->id), log_int("max_devices", h->conf->wsd.max_devices));
        hub_send_error(h, s, MSG_NOT_ALLOWED, "too many devices are known here; an administrator can raise max_devices",
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
    r->entered = false;
    if (bus_attach(h->bus, r->id, r->conn, r->session, on_attached) != 0) {
        r->attaching = false;
        greet_robot(h, r);
    }
}

static int open_robot(struct hub *h, struct session *s, const char *device_id)
{
    struct robot *r = hub_find_robot(h, device_id);
    if (r != NULL) {
        replace_session(h, r);
    } else {
        r = calloc(1, sizeof(*r));
        if (r == NULL)
            return -1;
        snprintf(r->id, sizeof(r->id), "%s", device_id);
        snprintf(r->name, sizeof(r->name), "%s", device_id);
        HASH_ADD_STR(h->robots, id, r);
    }
    hub_robot_begin(r);
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
    bus_tidy(h->bus);
    hub_latch_pending(h);
    if (hub_doubts_states(h)) /* what is being latched will be in it */
        bus_request_states(h->bus);
    HASH_ITER (hh, h->robots, r, next) {
        hub_reconcile(h, r);
        if (!r->entered && !r->attaching)
            attach(h, r);
    }
}

static void on_kick(void *ctx, const char *device_id, uint64_t conn)
{
    struct hub *h = ctx;
    struct robot *r = hub_find_robot(h, device_id);
    if (r == NULL || r->conn >= conn)
        return;
    if (r->attaching && r->conn == 0) {
        r->taken_over = conn; /* unless it is about to get a number that is newer still */
        return;
    }
    give_up_robot(h, r);
}

/* --- the bus ------------------------------------------------------------------------------- */

static void on_state(void *ctx, bool up)
{
    struct hub *h = ctx;
    if (up) {
        hub_latch_pending(h);
        attach_all(h);
    } else {
        h->metrics->redis_lost_total++;
        presence_lost(h->presence);
        hub_rest(h);
        for (struct robot *r = h->robots; r != NULL; r = r->hh.next)
            greet_robot(h, r); /* who waits for a number need not wait for Redis */
    }
    hub_send_relay_status(h, NULL, up);
}

/* One message per line. */
static void pass_backfill(struct hub *h, const char *device_id, const char *lines, size_t len)
{
    for (const char *end = lines + len; lines < end;) {
        const char *eol = memchr(lines, '\n', (size_t)(end - lines));
        size_t n = (size_t)((eol != NULL ? eol : end) - lines);
        hub_broadcast(h, OUTQ_BACKFILL, 0, device_id, lines, n);
        lines += n + 1;
    }
}

static void on_upstream(void *ctx, enum bus_kind kind, const char *device_id, const char *json, size_t len)
{
    static const enum outq_lane lanes[] = {OUTQ_TELEMETRY, OUTQ_CONTROL, OUTQ_VIDEO};
    uint32_t key = kind == BUS_STATUS ? 0 : outq_key(device_id, strlen(device_id));
    if (kind == BUS_HEARTBEAT)
        hub_pass_heartbeat(ctx, device_id, json, len);
    else if (kind == BUS_BACKFILL)
        pass_backfill(ctx, device_id, json, len);
    else
        hub_broadcast(ctx, lanes[kind], key, device_id, json, len);
}

const struct bus_handlers hub_bus_handlers = {
    .state = on_state,
    .upstream = on_upstream,
    .order = hub_on_order,
    .wanted = hub_on_wanted,
    .receipt = hub_on_receipt,
    .stop_state = hub_on_stop_state,
    .control_state = hub_on_control_state,
    .states = hub_on_states,
    .presence = on_presence,
    .snapshot = on_snapshot,
    .kick = on_kick,
    .reattach = attach_all,
};

/* --- sessions ------------------------------------------------------------------------------ */

/* -1: out of memory. */
static int watch_from_start(struct hub *h, struct session *s, const char *list)
{
    char ids[MSG_WATCH_MAX][MSG_DEVICE_ID_MAX + 1];
    const char *pointers[MSG_WATCH_MAX];
    size_t n = 0;
    while (*list != '\0' && n < MSG_WATCH_MAX) {
        size_t len = strcspn(list, ",");
        snprintf(ids[n], sizeof(ids[n]), "%.*s", (int)len, list);
        pointers[n] = ids[n];
        n++;
        list += len + (list[len] == ',');
    }
    if (n == 0)
        return 0;
    h->wanted_ms = 0; /* their heartbeats are asked for at once */
    return hub_operator(h, s) != NULL ? operator_watch(s->op, pointers, n) : -1;
}

static int open_website(struct hub *h, struct session *s, const char *watch)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    DL_APPEND(h->websites, s);
    if (h->n_websites++ == 0)
        bus_listen_upstream(h->bus, true);
    if (watch_from_start(h, s, watch) != 0)
        return -1;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_website_greeting(&w);
    hub_send_text(h, s, &w);
    hub_drained(h, s);
    if (!bus_up(h->bus))
        hub_send_relay_status(h, s, false);
    return 0;
}

int hub_opened(struct hub *h, struct session *s, const char *device_id, const char *watch)
{
    h->metrics->connections_total++;
    s->from = device_id ? MSG_FROM_ROBOT : MSG_FROM_WEBSITE;
    return device_id != NULL ? open_robot(h, s, device_id) : open_website(h, s, watch);
}

void hub_closed(struct hub *h, struct session *s)
{
    if (s->from == MSG_FROM_WEBSITE) {
        DL_DELETE(h->websites, s);
        if (--h->n_websites == 0)
            bus_listen_upstream(h->bus, false);
        bus_forget(h->bus, s);
        hub_end_operator(h, s);
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

void hub_leave(struct hub *h)
{
    struct session *s;
    h->leaving = true;
    hub_rest(h);
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
