#include "robot/outputs.h"

#include "common/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S  1000000000LL
#define RETRY_NS  (20 * NS_PER_MS) /* until a driver that refused is asked again */

struct outputs {
    const struct hal_driver *driver;
    void *hal;
    struct trace *trace;
    pthread_t thread;
    bool realtime;        /* the thread runs before all ordinary ones */
    pthread_mutex_t lock; /* guards what follows, and every call of driver->set_* */
    pthread_cond_t wake;  /* the next deadline may have come nearer, or `ending` */
    bool ending;
    struct safety safety;
    struct safety_outputs applied;                    /* what driver and trace have */
    bool drive_known, camera_known, brightness_known; /* false: the driver has to be told again */
    struct outputs_events events;
};

static bool apply_drive(struct outputs *o, const struct safety_outputs *want, int64_t now)
{
    struct safety_outputs *is = &o->applied;

    if (o->drive_known && want->left == is->left && want->right == is->right)
        return true;
    o->drive_known = o->driver->set_drive(o->hal, want->left, want->right) == 0;
    if (!o->drive_known)
        return false;
    is->left = want->left;
    is->right = want->right;
    trace_put_pair(o->trace, now, "drive", "left", is->left, "right", is->right, safety_cause_name(want->drive_cause));
    return true;
}

static bool apply_camera(struct outputs *o, const struct safety_outputs *want, int64_t now)
{
    struct safety_outputs *is = &o->applied;

    if (o->camera_known && want->pan == is->pan && want->tilt == is->tilt)
        return true;
    o->camera_known = o->driver->set_camera(o->hal, want->pan, want->tilt) == 0;
    if (!o->camera_known)
        return false;
    is->pan = want->pan;
    is->tilt = want->tilt;
    trace_put_pair(o->trace, now, "camera", "pan", is->pan, "tilt", is->tilt, safety_cause_name(want->camera_cause));
    return true;
}

static bool apply_settings(struct outputs *o, const struct safety_outputs *want, int64_t now)
{
    struct safety_outputs *is = &o->applied;

    if (want->speed != is->speed) {
        is->speed = want->speed;
        trace_put_value(o->trace, now, "speed", is->speed, safety_cause_name(want->speed_cause));
    }
    if (o->brightness_known && want->brightness == is->brightness)
        return true;
    o->brightness_known = o->driver->set_brightness(o->hal, want->brightness) == 0;
    if (!o->brightness_known)
        return false;
    is->brightness = want->brightness;
    trace_put_value(o->trace, now, "brightness", is->brightness, safety_cause_name(want->brightness_cause));
    return true;
}

/* A motion that ended by itself is counted for the log. */
static void count_ends(struct outputs *o, const bool was_moving[SAFETY_AXES])
{
    for (size_t i = 0; i < SAFETY_AXES; i++) {
        const struct safety_motion *m = &o->safety.motion[i];

        if (!was_moving[i] || m->running)
            continue;
        if (m->cause == SAFETY_WATCHDOG)
            o->events.watchdog++;
        else if (m->cause == SAFETY_DEADMAN)
            o->events.deadman++;
    }
}

/*
 * The only place that writes outputs. With the lock held. What moves goes first. Returns when it
 * has to run again, ns; SAFETY_NEVER when nothing is due.
 */
static int64_t apply(struct outputs *o)
{
    int64_t now = clock_mono_ns();
    struct safety_outputs want;
    bool was_moving[SAFETY_AXES];

    for (size_t i = 0; i < SAFETY_AXES; i++)
        was_moving[i] = safety_moves(&o->safety, (enum safety_axis)i);
    safety_tick(&o->safety, now, &want);
    count_ends(o, was_moving);

    bool drive = apply_drive(o, &want, now);
    bool camera = apply_camera(o, &want, now);
    bool settings = apply_settings(o, &want, now);
    int64_t due = safety_deadline(&o->safety);

    if (!drive || !camera || !settings) {
        o->events.failed++;
        if (now + RETRY_NS < due)
            due = now + RETRY_NS;
    }
    return due;
}

static void *deadman_main(void *arg)
{
    struct outputs *o = arg;

    pthread_mutex_lock(&o->lock);
    while (!o->ending) {
        int64_t due = apply(o);

        if (due == SAFETY_NEVER) {
            pthread_cond_wait(&o->wake, &o->lock);
        } else {
            struct timespec until = {.tv_sec = due / NS_PER_S, .tv_nsec = due % NS_PER_S};

            pthread_cond_timedwait(&o->wake, &o->lock, &until);
        }
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

static int start_thread(struct outputs *o)
{
    pthread_mutexattr_t inherit;
    pthread_condattr_t attr;
    int rc;

    pthread_mutexattr_init(&inherit);
    pthread_mutexattr_setprotocol(&inherit, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&o->lock, &inherit);
    pthread_mutexattr_destroy(&inherit);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&o->wake, &attr);
    pthread_condattr_destroy(&attr);
    rc = pthread_create(&o->thread, NULL, deadman_main, o);
    if (rc == 0) {
        /* On a busy machine the dead-man has to come first. Not everybody may; it works without. */
        const struct sched_param first = {.sched_priority = 1};

        o->realtime = pthread_setschedparam(o->thread, SCHED_FIFO, &first) == 0;
        return 0;
    }
    pthread_cond_destroy(&o->wake);
    pthread_mutex_destroy(&o->lock);
    return rc;
}

struct outputs *outputs_create(const struct outputs_config *config, char *err, size_t err_cap)
{
    struct outputs *o = calloc(1, sizeof(*o));
    struct safety_config rules = {
        .deadman_ns = config->deadman_ms * NS_PER_MS,
        .watchdog_ns = config->watchdog_ms * NS_PER_MS,
        .fresh_ns = config->fresh_ms * NS_PER_MS,
        .require_fresh = config->require_fresh,
        .first_hb = config->first_hb,
        .latch = config->latch,
    };
    int rc;

    if (!o) {
        snprintf(err, err_cap, "out of memory");
        return NULL;
    }
    o->driver = config->driver;
    o->hal = config->hal;
    o->trace = config->trace;
    safety_init(&o->safety, &rules, clock_mono_ns());
    /* Nothing is known of the hardware yet: this writes all four outputs. */
    apply(o);
    rc = start_thread(o);
    if (rc != 0) {
        snprintf(err, err_cap, "cannot start the dead-man thread: %s", strerror(rc));
        free(o);
        return NULL;
    }
    return o;
}

void outputs_destroy(struct outputs *o)
{
    if (!o)
        return;
    outputs_halt(o);
    pthread_mutex_lock(&o->lock);
    o->ending = true;
    pthread_cond_signal(&o->wake);
    pthread_mutex_unlock(&o->lock);
    pthread_join(o->thread, NULL);
    pthread_cond_destroy(&o->wake);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

/* Applies a change. With the lock held. */
static void change(struct outputs *o)
{
    if (apply(o) != SAFETY_NEVER)
        pthread_cond_signal(&o->wake);
}

static void finish_change(struct outputs *o)
{
    change(o);
    pthread_mutex_unlock(&o->lock);
}

/* What the rules allowed is applied only once the driver has it. */
static enum safety_verdict with_driver(enum safety_verdict verdict, bool known)
{
    return verdict == SAFETY_APPLIED && !known ? SAFETY_REFUSED_DRIVER : verdict;
}

enum safety_verdict outputs_motion(struct outputs *o, enum safety_axis axis, double x, double y,
                                   const struct safety_order *order)
{
    enum safety_verdict verdict;

    pthread_mutex_lock(&o->lock);
    verdict = safety_on_motion(&o->safety, axis, x, y, order, clock_mono_ns());
    change(o);
    verdict = with_driver(verdict, axis == SAFETY_DRIVE ? o->drive_known : o->camera_known);
    pthread_mutex_unlock(&o->lock);
    return verdict;
}

enum safety_verdict outputs_speed(struct outputs *o, int percent, const struct safety_order *order)
{
    enum safety_verdict verdict;

    pthread_mutex_lock(&o->lock);
    verdict = safety_on_speed(&o->safety, percent, order, clock_mono_ns());
    change(o);
    verdict = with_driver(verdict, o->drive_known);
    pthread_mutex_unlock(&o->lock);
    return verdict;
}

enum safety_verdict outputs_brightness(struct outputs *o, int percent, const struct safety_order *order)
{
    enum safety_verdict verdict;

    pthread_mutex_lock(&o->lock);
    verdict = safety_on_brightness(&o->safety, percent, order, clock_mono_ns());
    change(o);
    verdict = with_driver(verdict, o->brightness_known);
    pthread_mutex_unlock(&o->lock);
    return verdict;
}

void outputs_stop(struct outputs *o, int64_t seq)
{
    pthread_mutex_lock(&o->lock);
    safety_on_stop(&o->safety, seq, clock_mono_ns());
    finish_change(o);
}

enum safety_verdict outputs_rearm(struct outputs *o, int64_t seq)
{
    enum safety_verdict verdict;

    pthread_mutex_lock(&o->lock);
    verdict = safety_on_rearm(&o->safety, seq, clock_mono_ns());
    finish_change(o);
    return verdict;
}

int64_t outputs_heartbeat(struct outputs *o)
{
    int64_t hb;

    pthread_mutex_lock(&o->lock);
    hb = safety_heartbeat(&o->safety, clock_mono_ns());
    pthread_mutex_unlock(&o->lock);
    return hb;
}

void outputs_link(struct outputs *o, bool up)
{
    pthread_mutex_lock(&o->lock);
    safety_on_link(&o->safety, up, clock_mono_ns());
    finish_change(o);
}

void outputs_alive(struct outputs *o)
{
    pthread_mutex_lock(&o->lock);
    safety_on_alive(&o->safety, clock_mono_ns());
    finish_change(o);
}

void outputs_halt(struct outputs *o)
{
    pthread_mutex_lock(&o->lock);
    safety_on_halt(&o->safety, clock_mono_ns());
    finish_change(o);
}

struct safety_latch outputs_latch(struct outputs *o)
{
    struct safety_latch latch;

    pthread_mutex_lock(&o->lock);
    latch = o->safety.latch;
    pthread_mutex_unlock(&o->lock);
    return latch;
}

bool outputs_at_rest(struct outputs *o)
{
    const struct safety_outputs *is = &o->applied;
    bool rest;

    pthread_mutex_lock(&o->lock);
    rest = o->drive_known && o->camera_known && is->left == 0 && is->right == 0 && is->pan == 0 && is->tilt == 0;
    pthread_mutex_unlock(&o->lock);
    return rest;
}

bool outputs_realtime(const struct outputs *o)
{
    return o->realtime;
}

struct outputs_events outputs_events(struct outputs *o)
{
    struct outputs_events e;

    pthread_mutex_lock(&o->lock);
    e = o->events;
    o->events = (struct outputs_events){0};
    pthread_mutex_unlock(&o->lock);
    return e;
}
