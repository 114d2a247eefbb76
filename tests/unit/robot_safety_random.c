/*
 * Goal: over millions of random steps, nothing ever moves that nobody has just asked to move, and whatever was
 * rightly asked for is done. Stops, re-arms, losses of the link, restarts, copies, delays and reordering included.
 */
#include "robot/safety.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS    1000000LL
#define STEPS 3000000
#define NEVER (INT64_MIN / 2)
#define PAST  64 /* commands that may come again, or late */
#define BEATS 512

static uint64_t rng = 20260115;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static bool once_in(unsigned n)
{
    return next() % n == 0;
}

/* A command as somebody gave it. */
struct given {
    size_t kind; /* 0, 1: axis; 2: speed; 3: brightness */
    double x, y;
    int percent;
    struct safety_order order;
};

/* What the test itself knows, by other means than the code's. */
struct witness {
    struct safety_config config;
    int64_t now, alive;
    bool link, halted, stopped;
    int64_t own;                  /* number of the last stop or re-arm */
    int64_t epoch, last[4];       /* highest seen */
    int64_t moved[SAFETY_AXES];   /* last motion done, unless something ended it since; NEVER */
    int64_t hb[BEATS], at[BEATS]; /* heartbeats of this connection */
    size_t beats;
    int64_t seq; /* as Redis counts: the last number given to anything */
    int64_t grant;
    struct given past[PAST];
    unsigned done[8]; /* commands by verdict */
    unsigned stops, rearms, moving;
};

static void nothing_moves(struct witness *w)
{
    w->moved[0] = w->moved[1] = NEVER;
}

static bool sent_within(const struct witness *w, int64_t hb, int64_t ns)
{
    for (size_t i = 0; i < w->beats; i++)
        if (w->hb[i] == hb)
            return w->now - w->at[i] <= ns;
    return false;
}

static bool sent_lately(const struct witness *w, int64_t hb)
{
    return sent_within(w, hb, w->config.fresh_ns);
}

/* The program starts anew: it knows what is on the disk, and nothing else. */
static void restart(struct safety *s, struct witness *w)
{
    w->config.latch = (struct safety_latch){.stopped = w->stopped, .seq = w->own};
    w->config.first_hb = (int64_t)(next() >> 12);
    w->config.require_fresh = once_in(4);
    w->halted = w->link = false;
    w->epoch = -1;
    memset(w->last, -1, sizeof(w->last));
    w->beats = 0;
    w->alive = w->now;
    nothing_moves(w);
    safety_init(s, &w->config, w->now);
}

/* --- commands --------------------------------------------------------------------------------- */

static int64_t some_heartbeat(const struct witness *w)
{
    switch (next() % 8) {
    case 0:
        return -1;
    case 1:
        return (int64_t)(next() >> 11);
    case 2:
        return w->beats ? w->hb[next() % w->beats] : -1;
    default:
        return w->beats ? w->hb[w->beats - 1] + (once_in(16) ? 1 : 0) : -1;
    }
}

static struct given some_command(struct witness *w)
{
    struct given g = {.kind = next() % 8 < 6 ? next() % 2 : 2 + next() % 2};

    if (once_in(3))
        return w->past[next() % PAST];
    g.x = (double)(int64_t)(next() % 2401) / 1000.0 - 1.2; /* sometimes beyond what is allowed */
    g.y = (double)(int64_t)(next() % 2401) / 1000.0 - 1.2;
    if (once_in(5))
        g.x = g.y = 0;
    g.percent = (int)(next() % 110);
    if (once_in(200))
        w->grant++;
    g.order = (struct safety_order){
        .seq = once_in(8) ? -1 : ++w->seq,
        .epoch = once_in(3) ? -1 : w->grant,
        .hb = some_heartbeat(w),
        .relay_hb = some_heartbeat(w),
    };
    w->past[next() % PAST] = g; /* may come again */
    if (once_in(6)) {           /* is overtaken on its way, and another one comes now */
        struct given other = w->past[next() % PAST];

        return other;
    }
    return g;
}

static bool in_range(const struct given *g)
{
    if (g->kind >= 2)
        return g->percent >= 1 && g->percent <= 100;
    return fabs(g->x) <= 1 && fabs(g->y) <= 1;
}

/* Whether the rules let it through. */
static bool rightful(const struct witness *w, const struct given *g)
{
    const struct safety_order *o = &g->order;
    bool anew = o->epoch > w->epoch;

    if (!in_range(g) || (o->epoch >= 0 && o->epoch < w->epoch))
        return false;
    if (o->seq >= 0 && !anew && o->seq <= w->last[g->kind])
        return false;
    if (g->kind >= 2)
        return o->relay_hb < 0 || sent_within(w, o->relay_hb, 10000 * MS);
    if (w->halted || w->stopped || !w->link || (o->seq >= 0 && o->seq <= w->own))
        return false;
    if (g->x == 0 && g->y == 0)
        return true;
    return (o->hb < 0 ? !w->config.require_fresh : sent_lately(w, o->hb)) &&
           (o->relay_hb < 0 || sent_lately(w, o->relay_hb));
}

static void note(struct witness *w, const struct given *g, bool done)
{
    const struct safety_order *o = &g->order;

    if (!in_range(g) || (o->epoch >= 0 && o->epoch < w->epoch))
        return;
    if (o->epoch > w->epoch) {
        w->epoch = o->epoch;
        memset(w->last, -1, sizeof(w->last));
    }
    if (o->seq > w->last[g->kind])
        w->last[g->kind] = o->seq;
    if (done && g->kind < 2) {
        w->moved[g->kind] = w->now;
        w->alive = w->now;
    }
}

static void command(struct safety *s, struct witness *w)
{
    struct given g = some_command(w);
    bool want = rightful(w, &g);
    enum safety_verdict verdict;

    if (g.kind < 2)
        verdict = safety_on_motion(s, (enum safety_axis)g.kind, g.x, g.y, &g.order, w->now);
    else if (g.kind == 2)
        verdict = safety_on_speed(s, g.percent, &g.order, w->now);
    else
        verdict = safety_on_brightness(s, g.percent, &g.order, w->now);
    w->done[verdict]++;
    assert_int_equal(verdict == SAFETY_APPLIED, want);
    note(w, &g, want);
}

/* --- everything else -------------------------------------------------------------------------- */

/* Numbered by Redis, perhaps late; or by nobody. */
static int64_t some_number(struct witness *w)
{
    return once_in(10) ? -1 : once_in(3) ? w->seq - (int64_t)(next() % 20) : ++w->seq;
}

static void stop(struct safety *s, struct witness *w)
{
    int64_t seq = some_number(w), was = w->own;

    safety_on_stop(s, seq, w->now);
    assert_true(s->latch.stopped && s->latch.seq >= was && s->latch.seq >= seq);
    assert_true(w->stopped || was < 0 || s->latch.seq > was); /* a stop that changed something is the newest */
    w->stopped = true;
    w->own = s->latch.seq;
    if (w->own > w->seq)
        w->seq = w->own; /* reconciled */
    w->stops++;
    nothing_moves(w);
}

static void rearm(struct safety *s, struct witness *w)
{
    int64_t seq = some_number(w);
    bool counts = seq < 0 || seq > w->own;

    assert_int_equal(safety_on_rearm(s, seq, w->now) == SAFETY_APPLIED, counts);
    if (!counts)
        return;
    w->stopped = false;
    if (seq >= 0)
        w->own = seq;
    w->rearms++;
    nothing_moves(w);
}

static void change_link(struct safety *s, struct witness *w)
{
    w->link = !once_in(4);
    safety_on_link(s, w->link, w->now);
    w->beats = 0;
    nothing_moves(w);
}

static void beat(struct safety *s, struct witness *w)
{
    int64_t hb = safety_heartbeat(s, w->now);

    assert_true(w->beats == 0 || hb == w->hb[w->beats - 1] + 1);
    if (w->beats == BEATS) { /* more than can be fresh */
        w->beats /= 2;
        memmove(w->hb, w->hb + w->beats, w->beats * sizeof(w->hb[0]));
        memmove(w->at, w->at + w->beats, w->beats * sizeof(w->at[0]));
    }
    w->hb[w->beats] = hb;
    w->at[w->beats++] = w->now;
}

static void do_something(struct safety *s, struct witness *w)
{
    unsigned what = (unsigned)(next() % 1000);

    if (what < 2) {
        restart(s, w);
    } else if (what < 3) {
        safety_on_halt(s, w->now);
        w->halted = true;
        nothing_moves(w);
    } else if (what < 12) {
        stop(s, w);
    } else if (what < 40) {
        rearm(s, w);
    } else if (what < 60) {
        change_link(s, w);
    } else if (what < 260) {
        beat(s, w);
    } else if (what < 560) {
        safety_on_alive(s, w->now);
        if (w->now - w->alive >= w->config.watchdog_ns)
            nothing_moves(w);
        w->alive = w->now;
    } else {
        command(s, w);
    }
}

static void check(const struct safety_outputs *o, const struct witness *w, int64_t now)
{
    bool may[SAFETY_AXES];

    for (size_t i = 0; i < SAFETY_AXES; i++)
        may[i] = w->link && !w->halted && !w->stopped && now - w->alive < w->config.watchdog_ns &&
                 now - w->moved[i] < w->config.deadman_ns;
    assert_true(fabs(o->left) <= o->speed / 100.0 + 1e-12 && fabs(o->right) <= o->speed / 100.0 + 1e-12);
    assert_true(fabs(o->pan) <= 1 && fabs(o->tilt) <= 1);
    assert_true(may[SAFETY_DRIVE] || (o->left == 0 && o->right == 0));
    assert_true(may[SAFETY_CAMERA] || (o->pan == 0 && o->tilt == 0));
    assert_in_range(o->speed, 1, 100);
    assert_in_range(o->brightness, 1, 100);
}

static void nothing_moves_unasked(void **state)
{
    static struct witness w = {
        .config = {.deadman_ns = 300 * MS, .watchdog_ns = 200 * MS, .fresh_ns = 600 * MS},
        .now = 1000 * MS,
        .own = -1,
    };
    struct safety s;
    struct safety_outputs o;

    (void)state;
    restart(&s, &w);
    for (int step = 0; step < STEPS; step++) {
        w.now += (int64_t)(next() % (once_in(50) ? 400 * MS : 30 * MS));
        if (w.halted && once_in(100))
            restart(&s, &w);
        do_something(&s, &w);
        safety_tick(&s, w.now, &o);
        check(&o, &w, w.now);
        if (o.left == 0 && o.right == 0 && o.pan == 0 && o.tilt == 0)
            continue;
        /* Right at the deadline the first axis, or all, is at rest: on a copy, so that the run goes on. */
        int64_t due = safety_deadline(&s);
        struct safety later = s;
        struct safety_outputs then;

        w.moving++;
        assert_true(due > w.now && due <= w.now + w.config.deadman_ns);
        safety_tick(&later, due, &then);
        check(&then, &w, due);
    }
    /* The test did look at what it is about. */
    assert_true(w.moving > STEPS / 20 && w.stops > STEPS / 1000 && w.rearms > STEPS / 1000);
    for (size_t i = 0; i < sizeof(w.done) / sizeof(w.done[0]); i++)
        if (w.done[i] < STEPS / 1000)
            fail_msg("only %u × %s", w.done[i], safety_verdict_name((enum safety_verdict)i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_moves_unasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
