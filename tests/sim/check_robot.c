/* What must hold at a robot's outputs. */
#include "tests/sim/check_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVENTS     60
#define HEARTBEATS 1024
#define REARMS     64
#define SLACK_US   (2 * SIM_MS) /* clocks are read in ms */
#define KINDS      4

struct axis {
    bool moves;           /* the output is not zero */
    int64_t executed_at;  /* the last motion */
    uint64_t executed_no; /* in the robot's order of events */
};

struct robot_state {
    char events[EVENTS][256];
    unsigned n_events;
    bool runs, linked;
    uint64_t no; /* events so far */
    struct axis axis[SAFETY_AXES];
    int64_t epoch;
    int64_t seq[KINDS];
    int64_t driver; /* website × connections of who moved it in this epoch, −1: nobody yet */
    int64_t hb[HEARTBEATS], hb_at[HEARTBEATS];
    unsigned n_hb;
    /* the latch, as it has to be */
    bool stopped;
    int64_t latch_seq;
    int64_t said_stopped; /* highest number with which it said so, −1: never */
    uint64_t rearmed_no;
    int64_t rearm_seq[REARMS], rearm_at[REARMS];
    unsigned n_rearms;
    uint64_t executed;
};

static struct robot_state robots[CHECK_ROBOTS_MAX];

#define S check_state

void check_robot_begin(void)
{
    memset(robots, 0, sizeof(robots));
    for (int i = 0; i < CHECK_ROBOTS_MAX; i++)
        robots[i].latch_seq = robots[i].said_stopped = -1;
}

void check_log_robot(int robot, const char *line)
{
    struct robot_state *r = &robots[robot];
    snprintf(r->events[r->n_events++ % EVENTS], sizeof(r->events[0]), "%s", line);
}

void check_print_robot(int robot)
{
    const struct robot_state *r = &robots[robot];
    unsigned first = r->n_events > EVENTS ? r->n_events - EVENTS : 0;
    printf("last events of robot_%d:\n", robot + 1);
    for (unsigned i = first; i < r->n_events; i++)
        printf("  %s\n", r->events[i % EVENTS]);
}

/* --- life ----------------------------------------------------------------------------------- */

void check_started(int robot)
{
    struct robot_state *r = &robots[robot];
    r->runs = true;
    r->linked = false;
    r->epoch = -1;
    r->driver = -1;
    r->n_hb = 0;
    for (int i = 0; i < KINDS; i++)
        r->seq[i] = -1;
    check_note(robot, "robot %d starts", robot + 1);
}

void check_gone(int robot)
{
    struct robot_state *r = &robots[robot];
    r->runs = false;
    for (int i = 0; i < SAFETY_AXES; i++)
        r->axis[i].moves = false;
    check_note(robot, "robot %d is dead", robot + 1);
}

void check_heartbeat(int robot, int64_t hb)
{
    struct robot_state *r = &robots[robot];
    r->hb[r->n_hb % HEARTBEATS] = hb;
    r->hb_at[r->n_hb++ % HEARTBEATS] = sched_now();
}

void check_linked(int robot)
{
    robots[robot].linked = true;
    robots[robot].n_hb = 0; /* older ones mean nothing on a new connection */
}

static bool moves(const struct robot_state *r)
{
    return r->axis[SAFETY_DRIVE].moves || r->axis[SAFETY_CAMERA].moves;
}

void check_unlinked(int robot)
{
    robots[robot].linked = false;
    if (moves(&robots[robot]))
        check_fail(CHECK_LINK, robot, "it goes on moving without a link");
}

/* When the heartbeat was sent; −1: never. */
static int64_t sent_at(const struct robot_state *r, int64_t hb)
{
    for (unsigned i = r->n_hb; i > 0 && i + HEARTBEATS > r->n_hb; i--) {
        if (r->hb[(i - 1) % HEARTBEATS] == hb)
            return r->hb_at[(i - 1) % HEARTBEATS];
    }
    return -1;
}

bool check_robot_stopped(int robot)
{
    return robots[robot].stopped;
}

int64_t check_robot_said_stopped(int robot)
{
    return robots[robot].said_stopped;
}

uint64_t check_robot_executed(int robot)
{
    return robots[robot].executed;
}

/* --- stop and re-arm ------------------------------------------------------------------------- */

void check_robot_published(int robot, const char *kind, int64_t seq)
{
    struct robot_state *r = &robots[robot];
    if (strcmp(kind, "rearm") != 0)
        return;
    for (unsigned i = 0; i < REARMS && i < r->n_rearms; i++) {
        if (r->rearm_seq[i] == seq)
            return; /* told once more */
    }
    r->rearm_seq[r->n_rearms % REARMS] = seq;
    r->rearm_at[r->n_rearms++ % REARMS] = sched_now();
}

static void note_stop(struct robot_state *r, int64_t seq)
{
    if (seq > r->latch_seq)
        r->latch_seq = seq;
    else if (!r->stopped)
        r->latch_seq++;
    r->stopped = true;
}

static void note_rearm(struct robot_state *r, int64_t seq)
{
    if (seq >= 0 && seq <= r->latch_seq)
        return;
    if (seq >= 0)
        r->latch_seq = seq;
    r->stopped = false;
    r->rearmed_no = r->no;
}

void check_message(int robot, const struct msg *m, void (*handle)(void *ctx), void *ctx)
{
    struct robot_state *r = &robots[robot];
    enum msg_type type = m->type;
    int64_t seq = m->seq;
    r->no++;
    if (msg_is_command(type) || type == MSG_STOP || type == MSG_REARM)
        check_note(robot, "gets %s %s seq %" PRId64 " epoch %" PRId64 " hb %" PRId64 " relay_hb %" PRId64 " x %.7f",
                   msg_type_name(type), m->id ? m->id : "-", seq, m->epoch, m->hb, m->relay_hb, m->x);
    if (type == MSG_REARM)
        note_rearm(r, seq);
    handle(ctx);
    if (type == MSG_STOP && !S.setup.legacy[robot]) {
        note_stop(r, seq);
        if (moves(r))
            check_fail(CHECK_STOPPED, robot, "it moves although it was told to stop");
    }
}

void check_says(int robot, const struct msg *m)
{
    struct robot_state *r = &robots[robot];
    if (m->type == MSG_HEARTBEAT) {
        check_heartbeat(robot, m->hb);
    } else if (m->type == MSG_STOP_STATE) {
        check_note(robot, "says stopped=%d seq %" PRId64, m->stopped, m->seq);
        if (m->stopped && m->seq > r->said_stopped)
            r->said_stopped = m->seq;
        if (r->stopped && !m->stopped)
            check_fail(CHECK_STOPPED, robot, "it says that it is not stopped, but nothing newer than its stop came");
    }
}

/* --- commands that take effect --------------------------------------------------------------- */

static void check_number(int robot, int kind, const struct safety_order *o)
{
    struct robot_state *r = &robots[robot];
    if (o == NULL)
        return;
    if (o->epoch >= 0 && o->epoch < r->epoch)
        check_fail(CHECK_ORDER, robot, "the epoch fell from %" PRId64 " to %" PRId64, r->epoch, o->epoch);
    if (o->epoch > r->epoch) {
        r->epoch = o->epoch;
        r->driver = -1;
        for (int i = 0; i < KINDS; i++)
            r->seq[i] = -1;
    }
    if (o->seq >= 0 && o->seq <= r->seq[kind])
        check_fail(CHECK_ORDER, robot, "number %" PRId64 " of kind %d after %" PRId64, o->seq, kind, r->seq[kind]);
    if (o->seq >= 0)
        r->seq[kind] = o->seq;
}

/*
 * How old a motion may be. With the heartbeat that its website had seen, everything is detected. Without one the time
 * to live bounds its way to the robot's relay, the heartbeat that this one had heard the way from there. With
 * neither, what the network holds back cannot be told.
 */
static void check_age(int robot, const struct command *c, const struct safety_order *o)
{
    const struct robot_state *r = &robots[robot];
    int64_t now = sched_now(), fresh_us = S.setup.fresh_ms * SIM_MS + SLACK_US;
    for (int i = 0; i < 2; i++) {
        int64_t hb = i ? o->relay_hb : o->hb;
        int64_t at = hb >= 0 ? sent_at(r, hb) : now;
        if (at < 0 || now - at > fresh_us)
            check_fail(CHECK_FRESH, robot, "%s %" PRId64 " was %s", i ? "relay_hb" : "hb", hb,
                       at < 0 ? "never sent on this connection" : "sent too long ago");
    }
    if (c->what.has_hb != (o->hb >= 0))
        check_fail(CHECK_FRESH, robot, "the command's heartbeat got lost on its way");
    if (o->hb >= 0 && now - c->sent_at > fresh_us)
        check_fail(CHECK_FRESH, robot, "the motion is %.3f s old", (double)(now - c->sent_at) / 1e6);
    if (c->relay_at != 0 && S.clock_wrong_until < c->relay_at && o->relay_hb >= 0 &&
        now - c->relay_at > check_ttl_us(c) + fresh_us + CLOCK_US)
        check_fail(CHECK_FRESH, robot, "the motion came to its relay %.3f s ago", (double)(now - c->relay_at) / 1e6);
    S.totals.undetectable += o->hb < 0 && o->relay_hb < 0;
}

static void check_sender(int robot, const struct command *c, int64_t number)
{
    struct robot_state *r = &robots[robot];
    int64_t who = c->what.website * INT64_C(1000000) + c->what.connection;
    if (!S.setup.exclusive)
        return;
    if (c->no_holder[robot])
        check_fail(CHECK_CONTROL, robot, "command %" PRId64 " of website %d took effect without control", number,
                   c->what.website);
    if (r->driver >= 0 && r->driver != who)
        check_fail(CHECK_CONTROL, robot, "two websites drove in epoch %" PRId64, r->epoch);
    r->driver = who;
}

static void check_rearm(int robot, const struct command *c, const struct safety_order *o)
{
    const struct robot_state *r = &robots[robot];
    if (r->stopped)
        check_fail(CHECK_STOPPED, robot, "a motion took effect although it is stopped");
    if (o->seq <= r->latch_seq)
        check_fail(CHECK_REARMED, robot, "a motion took effect that is numbered before the re-arm");
    for (unsigned i = 0; i < REARMS && i < r->n_rearms; i++) {
        if (r->rearm_seq[i] == r->latch_seq && c->redis_at < r->rearm_at[i])
            check_fail(CHECK_REARMED, robot, "a motion took effect that was accepted before the re-arm");
    }
}

static void executed(int robot, struct command *c, int64_t number, const struct safety_order *o)
{
    if (S.setup.legacy[robot])
        return; /* it takes what comes */
    if (c->executed[robot]++ > 0)
        check_fail(CHECK_ONCE, robot, "command %" PRId64 " took effect twice", number);
    if (msg_is_move(c->what.type)) {
        check_age(robot, c, o);
        check_rearm(robot, c, o);
    }
    if (c->unwritten[robot])
        check_fail(CHECK_WRITTEN, robot, "command %" PRId64 " took effect although its script failed", number);
    check_sender(robot, c, number);
}

void check_motion(int robot, enum safety_axis axis, double x, double y, const struct safety_order *o,
                  enum safety_verdict verdict)
{
    struct robot_state *r = &robots[robot];
    int64_t number = check_number_of_x(x);
    struct command *c = check_command(number);
    S.totals.verdicts[verdict]++;
    check_note(robot, "motion of axis %d, %" PRId64 ": %s", axis, number, safety_verdict_name(verdict));
    if (verdict != SAFETY_APPLIED)
        return;
    check_number(robot, (int)axis, o);
    r->axis[axis].executed_at = sched_now();
    r->axis[axis].executed_no = r->no;
    if (x == 0 && y == 0)
        return;
    S.totals.executed++;
    r->executed++;
    if (c == NULL)
        check_fail(CHECK_ORDER, robot, "a motion that nobody sent");
    else
        executed(robot, c, number, o);
}

void check_setting(int robot, int kind, const struct safety_order *o, enum safety_verdict verdict)
{
    S.totals.verdicts[verdict]++;
    if (verdict != SAFETY_APPLIED)
        return;
    S.totals.settings++;
    check_number(robot, SAFETY_AXES + kind, o);
    int64_t at = o != NULL && o->relay_hb >= 0 ? sent_at(&robots[robot], o->relay_hb) : sched_now();
    if (at < 0 || sched_now() - at > S.setup.setting_ttl_ms * SIM_MS + SLACK_US)
        check_fail(CHECK_FRESH, robot, "a setting took effect whose relay_hb %" PRId64 " was %s", o->relay_hb,
                   at < 0 ? "never sent on this connection" : "sent too long ago");
}

/* --- outputs -------------------------------------------------------------------------------- */

static void output(int robot, enum safety_axis axis, bool moving)
{
    struct robot_state *r = &robots[robot];
    struct axis *a = &r->axis[axis];
    if (moving != a->moves)
        check_note(robot, "axis %d %s", axis, moving ? "moves" : "rests");
    a->moves = moving;
    if (moving && !r->linked)
        check_fail(CHECK_LINK, robot, "an output begins to move without a link");
    if (!moving || S.setup.legacy[robot])
        return;
    if (r->stopped)
        check_fail(CHECK_STOPPED, robot, "an output moves although it is stopped");
    if (a->executed_no <= r->rearmed_no && r->rearmed_no != 0)
        check_fail(CHECK_REARMED, robot, "an output moves since the re-arm without a new command");
}

void check_outputs(int robot, const struct safety_outputs *out)
{
    output(robot, SAFETY_DRIVE, out->left != 0 || out->right != 0);
    output(robot, SAFETY_CAMERA, out->pan != 0 || out->tilt != 0);
}

void check_overdue(int robot, int64_t awake_since, int64_t hung_since)
{
    const struct robot_state *r = &robots[robot];
    int64_t now = sched_now();
    if (!r->runs || awake_since + SLACK_US > now)
        return;
    for (int i = 0; i < SAFETY_AXES; i++) {
        if (r->axis[i].moves && now - r->axis[i].executed_at > S.setup.deadman_ms * SIM_MS + SLACK_US)
            check_fail(CHECK_DEADMAN, robot, "axis %d still moves %.3f s after the last motion", i,
                       (double)(now - r->axis[i].executed_at) / 1e6);
    }
    if (hung_since >= 0 && moves(r) && now - hung_since > S.setup.watchdog_ms * SIM_MS + SLACK_US)
        check_fail(CHECK_WATCHDOG, robot, "it still moves %.3f s after its main loop began to hang",
                   (double)(now - hung_since) / 1e6);
}
