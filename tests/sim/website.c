#include "tests/sim/website.h"

#include "common/clock.h"
#include "common/msg.h"
#include "tests/sim/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_US  (50 * SIM_MS)
#define SILENT_US  (6 * SIM_S) /* without a word from the relay: it is gone */
#define ATTEMPT_US (5 * SIM_S)
#define REPEAT_US  (20 * SIM_S)
#define RECENT     16 /* commands that may be sent again */

enum state { WAITING, CONNECTING, OPEN };
enum mood { IDLE, DRIVES, CALM, PROVES };

/* What it knows of a robot. */
struct known {
    bool stopped, you;
    int64_t hb; /* −1: none */
};

struct website {
    struct node node;
    char name[16];
    int index;
    enum website_kind kind;
    struct relay *const *relays;
    int n_relays, n_robots;
    bool exclusive;
    struct net_end *end;
    enum state state;
    int connection;
    int64_t since, heard_at;
    struct known known[CHECK_ROBOTS_MAX];
    enum mood mood;
    int64_t mood_until;
    int target; /* −1: all */
    bool camera, goes_silent;
    int ttl_ms;
    bool quarrels; /* stops and re-arms all the time */
    struct {
        uint32_t number;
        char text[256];
    } recent[RECENT];
    unsigned n_recent;
    char rearm[256]; /* its last one; "": none on this connection */
    uint32_t rearm_number;
    int64_t rearm_at;
};

struct node *website_node(struct website *w)
{
    return &w->node;
}

bool website_open(const struct website *w)
{
    return w->state == OPEN;
}

bool website_believes_stopped(const struct website *w, int robot)
{
    return w->known[robot].stopped;
}

/* --- sending -------------------------------------------------------------------------------- */

static void send_text(struct website *w, const char *text)
{
    if (net_has_room(w->end))
        net_send(w->end, NET_TEXT, text, strlen(text));
}

/* members: what the type needs, each with a comma in front. */
static void command(struct website *w, enum msg_type type, int robot, const char *members, bool zero)
{
    bool hb = w->kind == WEBSITE_MODERN && robot >= 0 && w->known[robot].hb >= 0 && msg_is_move(type);
    bool id = w->kind != WEBSITE_OLD;
    struct check_sent what = {w->index, w->connection, type, robot, zero, id, hb, msg_is_move(type) ? w->ttl_ms : 0};
    char text[256];
    int n = 0;
    uint32_t number = check_send(&what);
    n += snprintf(text + n, sizeof(text) - (size_t)n, "{\"type\":\"%s\"", msg_type_name(type));
    if (msg_is_move(type))
        n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"x\":%.7f,\"y\":%.1f", zero ? 0 : check_x(number),
                      zero ? 0 : 0.1 * (double)chance_from(-10, 10));
    n += snprintf(text + n, sizeof(text) - (size_t)n, "%s", members);
    if (robot >= 0)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"device_id\":\"robot_%d\"", robot + 1);
    if (id)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"id\":\"c%u\"", number);
    if (hb)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"hb\":%" PRId64, w->known[robot].hb);
    if (what.ttl_ms > 0)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"ttl_ms\":%d", what.ttl_ms);
    snprintf(text + n, sizeof(text) - (size_t)n, "}");
    if (!net_has_room(w->end)) { /* it knows that nothing goes out: this one was never sent */
        check_disconnected(w->index, w->connection);
        net_close(w->end, 1006);
        w->end = NULL;
        w->state = WAITING;
        w->since = sched_now();
        return;
    }
    net_send(w->end, NET_TEXT, text, strlen(text));
    if (id) {
        w->recent[w->n_recent % RECENT].number = number;
        memcpy(w->recent[w->n_recent++ % RECENT].text, text, sizeof(text));
    }
    if (id && type == MSG_REARM) {
        memcpy(w->rearm, text, sizeof(text));
        w->rearm_number = number;
        w->rearm_at = sched_now();
    }
}

static void move(struct website *w, bool zero)
{
    command(w, w->camera ? MSG_CAMERA_MOVE : MSG_ROBOT_MOVE, w->target, "", zero);
}

static void setting(struct website *w)
{
    char members[32];
    snprintf(members, sizeof(members), ",\"value\":%d", (int)chance_from(1, 100));
    command(w, chance_of(0.5) ? MSG_SET_SPEED : MSG_SET_BRIGHTNESS, w->target, members, false);
}

/* As a client does that has not heard of an answer. */
static void resend_rearm(struct website *w)
{
    if (w->rearm[0] == '\0' || sched_now() - w->rearm_at > REPEAT_US)
        return;
    check_resend(w->rearm_number);
    send_text(w, w->rearm);
}

static void resend(struct website *w)
{
    unsigned have = w->n_recent < RECENT ? w->n_recent : RECENT;
    if (have == 0)
        return;
    unsigned i = (unsigned)chance_below(have);
    check_resend(w->recent[i].number);
    send_text(w, w->recent[i].text);
}

/* --- what a person does ---------------------------------------------------------------------- */

static void begin_to_drive(struct website *w)
{
    w->mood = DRIVES;
    w->mood_until = sched_now() + chance_from(1, 8) * SIM_S;
    w->target = chance_of(0.15) ? -1 : (int)chance_below(w->n_robots);
    w->camera = chance_of(0.25);
    w->goes_silent = chance_of(0.2);
    w->ttl_ms = chance_of(0.2) ? (int)chance_from(20, 700) : 0;
    if (w->exclusive && w->kind != WEBSITE_OLD && w->target >= 0)
        command(w, MSG_CONTROL_ACQUIRE, w->target, chance_of(0.4) ? ",\"take\":true" : "", false);
}

static void stop_driving(struct website *w)
{
    if (!w->goes_silent)
        move(w, true);
    if (w->state == OPEN && w->exclusive && w->kind != WEBSITE_OLD && w->target >= 0 && chance_of(0.5))
        command(w, MSG_CONTROL_RELEASE, w->target, "", false);
    w->mood = IDLE;
    w->mood_until = sched_now() + chance_from(0, 4000) * SIM_MS;
}

static void whims(struct website *w)
{
    int robot = chance_of(0.2) ? -1 : (int)chance_below(w->n_robots);
    bool stopped = false;
    for (int i = 0; i < w->n_robots; i++)
        stopped = stopped || w->known[i].stopped;
    if (chance_of(w->quarrels ? 0.03 : 0.002))
        command(w, MSG_STOP, robot, "", false);
    else if (w->kind != WEBSITE_OLD && chance_of(w->quarrels ? 0.04 : stopped ? 0.02 : 0.0005))
        command(w, MSG_REARM, robot, "", false);
    else if (chance_of(0.01))
        setting(w);
    else if (chance_of(0.015))
        resend(w);
    else if (chance_of(0.003))
        resend_rearm(w);
    else if (chance_of(0.005))
        send_text(w, "{\"type\":\"ping\",\"id\":\"p\"}");
    else if (chance_of(0.002))
        send_text(w, chance_of(0.5) ? "{\"type\":\"watch\",\"device_ids\":[]}"
                                    : "{\"type\":\"watch\",\"device_ids\":[\"robot_1\",\"robot_2\",\"robot_3\"]}");
}

static void prove(struct website *w)
{
    if (w->known[w->target].stopped || chance_of(0.1)) /* its relay may still hold an old robot for stopped */
        command(w, MSG_REARM, w->target, "", false);
    if (w->state == OPEN && w->exclusive && !w->known[w->target].you)
        command(w, MSG_CONTROL_ACQUIRE, w->target, ",\"take\":true", false);
    if (w->state == OPEN)
        move(w, false);
}

static void act(struct website *w)
{
    switch (w->mood) {
    case CALM:
        break;
    case PROVES:
        prove(w);
        break;
    case IDLE:
        if (sched_now() >= w->mood_until)
            begin_to_drive(w);
        break;
    case DRIVES:
        if (sched_now() >= w->mood_until)
            stop_driving(w);
        else
            move(w, chance_of(0.03));
        break;
    }
    if (w->state == OPEN && (w->mood == IDLE || w->mood == DRIVES))
        whims(w);
}

void website_calm(struct website *w)
{
    if (w->mood == DRIVES && w->state == OPEN)
        stop_driving(w);
    w->mood = CALM;
}

void website_prove(struct website *w, int robot)
{
    w->mood = PROVES;
    w->target = robot;
    w->camera = false;
    w->ttl_ms = 0;
}

/* --- what it hears --------------------------------------------------------------------------- */

static int robot_of(const struct website *w, const char *device_id)
{
    int i = device_id != NULL && strncmp(device_id, "robot_", 6) == 0 ? atoi(device_id + 6) - 1 : -1;
    return i >= 0 && i < w->n_robots ? i : -1;
}

static void on_text(void *ctx, const char *text, size_t len)
{
    struct website *w = ctx;
    struct msg m;
    struct msg_fault fault;
    if (msg_decode(MSG_FROM_RELAY, text, len, &m, &fault) != 0) {
        check_fail(CHECK_BOUNDS, -1, "a relay tells website %d nonsense: %s: %.*s", w->index, fault.text, (int)len,
                   text);
        return;
    }
    int robot = robot_of(w, m.device_id);
    if (m.type == MSG_ACK || m.type == MSG_ERROR) {
        check_answer(w->index, &m);
    } else if (robot >= 0 && m.type == MSG_STOP_STATE) {
        w->known[robot].stopped = m.stopped;
        check_note(-1, "website %d hears stop_state of robot_%d: %d confirmed %d", w->index, robot + 1, m.stopped,
                   m.confirmed);
    } else if (robot >= 0 && m.type == MSG_CONTROL_STATE) {
        w->known[robot].you = m.you;
    } else if (robot >= 0 && m.type == MSG_ROBOT_HEARTBEAT) {
        w->known[robot].hb = m.hb;
    }
    msg_finish(&m);
}

static void lost(struct website *w)
{
    if (w->end != NULL)
        net_close(w->end, 1006);
    w->end = NULL;
    w->state = WAITING;
    w->since = sched_now() + chance_from(0, 1500) * SIM_MS;
    check_disconnected(w->index, w->connection);
    check_note(-1, "website %d has no connection", w->index);
}

static void on_closed(void *ctx, int code)
{
    struct website *w = ctx;
    (void)code;
    w->end = NULL;
    lost(w);
}

static void on_room(void *ctx)
{
    (void)ctx;
}

static void on_packet(void *ctx, struct net_packet *p)
{
    struct website *w = ctx;
    w->heard_at = sched_now();
    if (p->kind == NET_HELLO) {
        w->state = OPEN;
        w->connection++;
        w->n_recent = 0;
        w->rearm[0] = '\0';
        for (int i = 0; i < CHECK_ROBOTS_MAX; i++)
            w->known[i] = (struct known){.hb = -1};
        check_note(-1, "website %d has connection %d", w->index, w->connection);
    } else if (p->kind == NET_PING) {
        net_send(w->end, NET_PONG, "", 0);
    } else if (p->kind == NET_TEXT) {
        relay_unframe(p->data, p->len, on_text, w);
    }
}

static void connect_now(struct website *w)
{
    static const struct net_ops ops = {on_packet, on_room, on_closed};
    bool watches = w->kind == WEBSITE_MODERN && chance_of(0.2);
    w->end = relay_accept(w->relays[chance_below(w->n_relays)], &w->node,
                          watches ? "Wrobot_1,robot_2,robot_3,robot_4" : "W", &ops, w);
    if (w->end == NULL) {
        lost(w);
        return;
    }
    w->state = CONNECTING;
    w->since = w->heard_at = sched_now();
}

static void on_tick(void *ctx)
{
    struct website *w = ctx;
    int64_t now = sched_now();
    sched_at(&w->node, now + PERIOD_US, SCHED_TIMER, on_tick, w);
    if (w->state == WAITING && now >= w->since)
        connect_now(w);
    else if ((w->state == CONNECTING && now - w->since > ATTEMPT_US) ||
             (w->state == OPEN && now - w->heard_at > SILENT_US))
        lost(w);
    else if (w->state == OPEN)
        act(w);
}

struct website *website_create(int index, enum website_kind kind, struct relay *const *relays, int n_relays,
                               int n_robots, bool exclusive)
{
    struct website *w = calloc(1, sizeof(*w));
    if (w == NULL)
        abort();
    snprintf(w->name, sizeof(w->name), "website-%d", index);
    w->node = (struct node){.name = w->name, .self = w};
    w->index = index;
    w->kind = kind;
    w->relays = relays;
    w->n_relays = n_relays;
    w->n_robots = n_robots;
    w->exclusive = exclusive;
    w->quarrels = chance_of(0.15);
    sched_at(&w->node, sched_now() + chance_from(0, 2000) * SIM_MS, SCHED_TIMER, on_tick, w);
    return w;
}

void website_destroy(struct website *w)
{
    if (w->end != NULL)
        net_close(w->end, 1006);
    sched_cancel_node(&w->node);
    free(w);
}
