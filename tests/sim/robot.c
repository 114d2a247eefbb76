#include "tests/sim/robot.h"

#include "common/clock.h"
#include "robot/agent.h"
#include "robot/link.h"
#include "robot/outputs.h"
#include "tests/sim/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PING_MS     1000 /* as in robot/link.c, like the next two */
#define HANGUP_MS   3000
#define ATTEMPT_MS  5000
#define INTERVAL_MS 3000
#define SPOOL_BYTES 32768

enum state { WAITING, CONNECTING, OPEN };

struct robot {
    struct node main, thread; /* one program: the loop, and the dead-man's thread */
    int index;
    char id[32];
    bool legacy, strict, runs;
    struct relay *const *relays;
    int n_relays;
    struct conf conf;
    struct latch disk;
    struct spool *samples; /* likewise */
    struct outputs *outputs;
    struct agent *agent;
    enum state state;
    int64_t since_ms, retry_ms, pinged_ms, pong_ms;
    struct net_end *end;
    struct sendq out;
    struct net_packet *late; /* of the last link */
    int64_t thawed_at;       /* when it last stood still */
    int64_t hung_at;         /* when its main loop last came to stand still */
};

struct node *robot_node(struct robot *r)
{
    return &r->main;
}

struct node *robot_thread(struct robot *r)
{
    return &r->thread;
}

int robot_index(const struct robot *r)
{
    return r->index;
}

const char *robot_id(const struct robot *r)
{
    return r->id;
}

bool robot_runs(const struct robot *r)
{
    return r->runs;
}

bool robot_linked(const struct robot *r)
{
    return r->runs && r->state == OPEN;
}

/* --- the link ------------------------------------------------------------------------------- */

static void flush(void *self)
{
    struct robot *r = self;
    while (r->state == OPEN && net_has_room(r->end)) {
        struct sendq_item *item = sendq_take(&r->out);
        if (item == NULL)
            return;
        net_send(r->end, NET_TEXT, (const char *)item->buf + SENDQ_HEADROOM, item->len);
        free(item);
    }
}

/* What it says, for the checks. */
static void look_at(const struct robot *r, const char *text, size_t len)
{
    struct msg m;
    struct msg_fault fault;
    if (msg_decode(MSG_FROM_ROBOT, text, len, &m, &fault) != 0) {
        check_fail(CHECK_BOUNDS, r->index, "the robot says nonsense: %s", fault.text);
        return;
    }
    check_says(r->index, &m);
    msg_finish(&m);
}

static int send_message(void *ctx, enum sendq_lane lane, const char *text, size_t len)
{
    struct robot *r = ctx;
    if (r->state != OPEN)
        return -1;
    look_at(r, text, len);
    return sendq_put(&r->out, lane, text, len) < 0 ? -1 : 0;
}

struct received {
    struct robot *robot;
    const char *text;
    size_t len;
    const struct msg *m;
};

static void handle(void *ctx)
{
    struct received *in = ctx;
    struct robot *r = in->robot;
    if (r->agent != NULL)
        agent_message(r->agent, in->text, in->len, clock_mono_ms());
    else if (msg_is_move(in->m->type))
        outputs_motion(r->outputs, in->m->type == MSG_ROBOT_MOVE ? SAFETY_DRIVE : SAFETY_CAMERA, in->m->x, in->m->y,
                       NULL);
}

static void on_text(void *ctx, const char *text, size_t len)
{
    struct received in = {ctx, text, len, NULL};
    struct msg m;
    struct msg_fault fault;
    if (msg_decode(MSG_FROM_RELAY, text, len, &m, &fault) != 0) {
        check_fail(CHECK_BOUNDS, in.robot->index, "the relay says nonsense: %s: %.*s", fault.text, (int)len, text);
        return;
    }
    in.m = &m;
    check_message(in.robot->index, &m, handle, &in);
    msg_finish(&m);
}

static void on_late(void *ctx)
{
    struct net_packet *p = ctx;
    struct robot *r = sched_current()->self;
    r->late = NULL;
    check_note(r->index, "from an older link:");
    relay_unframe(p->data, p->len, on_text, r);
    free(p);
}

static void forget_late(struct robot *r)
{
    if (r->late != NULL)
        sched_cancel(r->late);
    free(r->late);
    r->late = NULL;
}

/* What the old link still brings, without a link or on the next one. Nothing is to depend on which. */
static void keep_late(struct robot *r)
{
    forget_late(r);
    r->late = net_late(r->end);
    if (r->late != NULL)
        sched_at(&r->main, sched_now() + chance_after(500 * SIM_MS), SCHED_IO, on_late, r->late);
}

static void lost(struct robot *r)
{
    bool was_open = r->state == OPEN;
    if (r->end != NULL && was_open)
        keep_late(r);
    if (r->end != NULL)
        net_close(r->end, 1006);
    r->end = NULL;
    r->state = WAITING;
    r->retry_ms = clock_mono_ms() + chance_from(50, 1000);
    sendq_clear(&r->out);
    if (was_open && r->agent != NULL)
        agent_closed(r->agent, clock_mono_ms());
    else if (was_open)
        outputs_link(r->outputs, false);
    check_unlinked(r->index);
    check_note(r->index, "robot %d has no link", r->index + 1);
}

static void on_closed(void *ctx, int code)
{
    struct robot *r = ctx;
    (void)code;
    r->end = NULL;
    lost(r);
}

static void on_room(void *ctx)
{
    flush(ctx);
}

static void opened(struct robot *r)
{
    r->state = OPEN;
    r->since_ms = r->pong_ms = r->pinged_ms = clock_mono_ms();
    check_linked(r->index);
    check_note(r->index, "robot %d has a link", r->index + 1);
    if (r->agent != NULL)
        agent_opened(r->agent, r->since_ms);
    else
        outputs_link(r->outputs, true);
}

static void on_packet(void *ctx, struct net_packet *p)
{
    struct robot *r = ctx;
    r->pong_ms = clock_mono_ms();
    if (p->kind == NET_HELLO)
        opened(r);
    else if (p->kind == NET_PING)
        net_send(r->end, NET_PONG, "", 0);
    else if (p->kind == NET_TEXT)
        relay_unframe(p->data, p->len, on_text, r);
}

static void connect_now(struct robot *r)
{
    static const struct net_ops ops = {on_packet, on_room, on_closed};
    char hello[64];
    snprintf(hello, sizeof(hello), "R%s", r->id);
    r->end = relay_accept(r->relays[chance_below(r->n_relays)], &r->main, hello, &ops, r);
    if (r->end == NULL) {
        lost(r);
        return;
    }
    r->state = CONNECTING;
    r->since_ms = clock_mono_ms();
}

static void on_tick(void *ctx)
{
    struct robot *r = ctx;
    int64_t now = clock_mono_ms();
    sched_at(&r->main, sched_now() + LINK_TICK_MS * SIM_MS, SCHED_TIMER, on_tick, r);
    if (r->agent != NULL)
        agent_tick(r->agent, now);
    else
        outputs_alive(r->outputs);
    if (r->state == WAITING && now >= r->retry_ms)
        connect_now(r);
    else if ((r->state == CONNECTING && now - r->since_ms >= ATTEMPT_MS) ||
             (r->state == OPEN && now - r->pong_ms >= HANGUP_MS))
        lost(r);
    else if (r->state == OPEN && now - r->pinged_ms >= PING_MS) {
        r->pinged_ms = now;
        net_send(r->end, NET_PING, "", 0);
    }
}

/* --- life ----------------------------------------------------------------------------------- */

static size_t read_sensors(void *self, struct hal_reading *out, size_t cap)
{
    (void)self;
    if (cap > 0)
        out[0] = (struct hal_reading){"battery", 80, 0};
    return cap > 0;
}

static const struct hal_driver driver = {.name = "none", .read_sensors = read_sensors};

static int store_latch(void *ctx, const struct latch *latch)
{
    struct robot *r = ctx;
    r->disk = *latch;
    return 0;
}

void robot_start(struct robot *r)
{
    struct node *former = sched_enter(&r->main);
    r->main.mono_us = r->thread.mono_us = chance_from(1, 100000) * SIM_S;
    r->runs = true;
    r->thawed_at = sched_now();
    check_started(r->index);
    struct outputs_config oc = {
        .driver = &driver,
        .hal = r,
        .deadman_ms = r->conf.robot.deadman_ms,
        .watchdog_ms = r->conf.robot.watchdog_ms,
        .fresh_ms = r->conf.robot.fresh_ms,
        .require_fresh = r->strict,
        .first_hb = (int64_t)(chance_bits() >> 12),
        .latch = {r->disk.stopped, r->disk.seq},
    };
    struct agent_config ac = {.device_id = r->id,
                              .driver = &driver,
                              .hal = r,
                              .spool = r->samples,
                              .interval_ms = INTERVAL_MS,
                              .heartbeat_ms = r->conf.robot.heartbeat_ms,
                              .latch = r->disk,
                              .store_latch = store_latch,
                              .deadman_ms = oc.deadman_ms,
                              .send = send_message,
                              .ctx = r};
    r->outputs = outputs_create(&oc, NULL, 0);
    ac.outputs = r->outputs;
    r->agent = r->legacy ? NULL : agent_create(&ac);
    r->state = WAITING;
    r->retry_ms = clock_mono_ms();
    sched_at(&r->main, sched_now(), SCHED_TIMER, on_tick, r);
    sched_enter(former);
}

void robot_crash(struct robot *r, bool machine)
{
    if (!r->runs)
        return;
    if (r->end != NULL && machine)
        net_vanish(r->end);
    else if (r->end != NULL)
        net_close(r->end, 1006);
    r->end = NULL;
    r->runs = false;
    forget_late(r);
    sendq_clear(&r->out);
    agent_destroy(r->agent);
    r->agent = NULL;
    outputs_destroy(r->outputs);
    sched_cancel_node(&r->main);
    sched_cancel_node(&r->thread);
    r->main.in_turn = false;
    r->main.frozen_until = r->thread.frozen_until = 0;
    check_gone(r->index);
}

static void stand_still(struct robot *r, int64_t until)
{
    if (r->main.frozen_until <= sched_now())
        r->hung_at = sched_now();
    r->main.frozen_until = until;
}

void robot_freeze(struct robot *r, int64_t until)
{
    if (!r->runs || until <= r->thread.frozen_until)
        return;
    stand_still(r, until);
    r->thread.frozen_until = r->thawed_at = until;
}

void robot_hang(struct robot *r, int64_t until)
{
    if (r->runs && r->thread.frozen_until < until)
        stand_still(r, until);
}

void robot_thaw(struct robot *r)
{
    sched_thaw(&r->main);
    sched_thaw(&r->thread);
    r->thawed_at = sched_now();
}

void robot_check(struct robot *r)
{
    check_overdue(r->index, r->thawed_at, r->main.frozen_until > sched_now() ? r->hung_at : -1);
}

struct robot *robot_create(int index, enum robot_kind kind, struct relay *const *relays, int n_relays)
{
    struct robot *r = calloc(1, sizeof(*r));
    char *argv[] = {(char *)(uintptr_t) "telerelay-robot", NULL};
    if (r == NULL || conf_load(&r->conf, "telerelay-robot", "robot", 1, argv, stderr, stderr) != CONF_RUN)
        abort();
    r->index = index;
    r->legacy = kind == ROBOT_LEGACY;
    r->strict = kind == ROBOT_STRICT;
    r->relays = relays;
    r->n_relays = n_relays;
    r->disk.seq = -1;
    snprintf(r->id, sizeof(r->id), "robot_%d", index + 1);
    r->samples = spool_create(NULL, SPOOL_BYTES, NULL, 0);
    int64_t wall = INT64_C(1790000000) * SIM_S;
    r->main = (struct node){.name = r->id, .wall_us = wall, .turn = flush, .self = r};
    r->thread = (struct node){.name = "dead-man", .wall_us = wall, .self = r};
    robot_start(r);
    return r;
}

void robot_destroy(struct robot *r)
{
    robot_crash(r, false);
    spool_destroy(r->samples);
    free(r);
}
