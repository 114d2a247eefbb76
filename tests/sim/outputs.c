/* robot/outputs.h with simulated time in place of the thread, and the checks in place of a driver. */
#include "robot/outputs.h"

#include "common/clock.h"
#include "tests/sim/check.h"
#include "tests/sim/robot.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

struct outputs {
    struct safety safety;
    struct robot *robot;
    struct safety_outputs applied;
    int64_t due; /* what the thread waits for, ns of the robot's clock */
};

static void apply(struct outputs *o);

static void on_due(void *ctx)
{
    apply(ctx);
}

static void apply(struct outputs *o)
{
    int64_t now = clock_mono_ns();
    safety_tick(&o->safety, now, &o->applied);
    check_outputs(robot_index(o->robot), &o->applied);
    int64_t due = safety_deadline(&o->safety);
    if (due == o->due)
        return;
    sched_cancel(o);
    o->due = due;
    if (due != SAFETY_NEVER)
        sched_at(robot_thread(o->robot), sched_now() + (due - now + 999) / 1000, SCHED_TIMER, on_due, o);
}

struct outputs *outputs_create(const struct outputs_config *config, char *err, size_t err_cap)
{
    struct outputs *o = calloc(1, sizeof(*o));
    (void)err;
    (void)err_cap;
    if (o == NULL)
        abort();
    struct safety_config rules = {
        .deadman_ns = config->deadman_ms * NS_PER_MS,
        .watchdog_ns = config->watchdog_ms * NS_PER_MS,
        .fresh_ns = config->fresh_ms * NS_PER_MS,
        .require_fresh = config->require_fresh,
        .first_hb = config->first_hb,
        .latch = config->latch,
    };
    o->robot = config->hal;
    o->due = SAFETY_NEVER;
    safety_init(&o->safety, &rules, clock_mono_ns());
    apply(o);
    return o;
}

/* As when the program is killed: nobody sees to anything. */
void outputs_destroy(struct outputs *o)
{
    if (o == NULL)
        return;
    sched_cancel(o);
    free(o);
}

enum safety_verdict outputs_motion(struct outputs *o, enum safety_axis axis, double x, double y,
                                   const struct safety_order *order)
{
    enum safety_verdict verdict = safety_on_motion(&o->safety, axis, x, y, order, clock_mono_ns());
    check_motion(robot_index(o->robot), axis, x, y, order, verdict);
    apply(o);
    return verdict;
}

enum safety_verdict outputs_speed(struct outputs *o, int percent, const struct safety_order *order)
{
    enum safety_verdict verdict = safety_on_speed(&o->safety, percent, order, clock_mono_ns());
    check_setting(robot_index(o->robot), 0, order, verdict);
    apply(o);
    return verdict;
}

enum safety_verdict outputs_brightness(struct outputs *o, int percent, const struct safety_order *order)
{
    enum safety_verdict verdict = safety_on_brightness(&o->safety, percent, order, clock_mono_ns());
    check_setting(robot_index(o->robot), 1, order, verdict);
    apply(o);
    return verdict;
}

void outputs_stop(struct outputs *o, int64_t seq)
{
    safety_on_stop(&o->safety, seq, clock_mono_ns());
    apply(o);
}

enum safety_verdict outputs_rearm(struct outputs *o, int64_t seq)
{
    enum safety_verdict verdict = safety_on_rearm(&o->safety, seq, clock_mono_ns());
    apply(o);
    return verdict;
}

int64_t outputs_heartbeat(struct outputs *o)
{
    return safety_heartbeat(&o->safety, clock_mono_ns());
}

void outputs_link(struct outputs *o, bool up)
{
    safety_on_link(&o->safety, up, clock_mono_ns());
    apply(o);
}

void outputs_alive(struct outputs *o)
{
    safety_on_alive(&o->safety, clock_mono_ns());
    apply(o);
}

void outputs_halt(struct outputs *o)
{
    safety_on_halt(&o->safety, clock_mono_ns());
    apply(o);
}

struct safety_latch outputs_latch(struct outputs *o)
{
    return o->safety.latch;
}

bool outputs_at_rest(struct outputs *o)
{
    const struct safety_outputs *is = &o->applied;
    return is->left == 0 && is->right == 0 && is->pan == 0 && is->tilt == 0;
}

bool outputs_realtime(const struct outputs *o)
{
    (void)o;
    return false;
}

struct outputs_events outputs_events(struct outputs *o)
{
    (void)o;
    return (struct outputs_events){0};
}
