/*
 * The one owner of the outputs. Whatever wants a motor to turn or to rest comes through here, and
 * one function (apply in outputs.c) writes to the driver and to the trace, with one lock held.
 *
 * A thread of its own ends what is due (dead-man, watchdog), so that a main loop that hangs, in a
 * resolver, a full log or a bug, cannot keep a motor on. That thread does nothing that may wait:
 * it never logs and never waits for a slow trace.
 */
#ifndef TELERELAY_ROBOT_OUTPUTS_H
#define TELERELAY_ROBOT_OUTPUTS_H

#include "robot/hal.h"
#include "robot/safety.h"
#include "robot/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outputs;

struct outputs_config {
    const struct hal_driver *driver;
    void *hal;           /* opened; the caller closes it after outputs_destroy */
    struct trace *trace; /* may be NULL; the caller's, must outlive the outputs */
    int deadman_ms;
    int watchdog_ms;
    int fresh_ms;
    bool require_fresh;
    int64_t first_hb;          /* as in safety.h */
    struct safety_latch latch; /* likewise */
};

/* What happened since the last outputs_events(), for the log. */
struct outputs_events {
    unsigned watchdog; /* times that the main loop hung while something moved */
    unsigned deadman;  /* times that a dead-man ended a motion */
    unsigned failed;   /* refusals of the driver */
};

/* Writes "start" values to driver and trace and starts the thread. NULL with a reason in err. */
struct outputs *outputs_create(const struct outputs_config *config, char *err, size_t err_cap);

/* Everything at rest (cause stop), thread ended. NULL is allowed. */
void outputs_destroy(struct outputs *o);

/*
 * As in safety.h, now. All of them from any thread. When they return the driver has been told. Where it refused, a
 * motion or setting is SAFETY_REFUSED_DRIVER, and the driver is asked again until it does what was last allowed.
 */
enum safety_verdict outputs_motion(struct outputs *o, enum safety_axis axis, double x, double y,
                                   const struct safety_order *order);
enum safety_verdict outputs_speed(struct outputs *o, int percent, const struct safety_order *order);
enum safety_verdict outputs_brightness(struct outputs *o, int percent, const struct safety_order *order);
void outputs_stop(struct outputs *o, int64_t seq);
enum safety_verdict outputs_rearm(struct outputs *o, int64_t seq);
int64_t outputs_heartbeat(struct outputs *o);
void outputs_link(struct outputs *o, bool up);
void outputs_alive(struct outputs *o);
void outputs_halt(struct outputs *o);

struct safety_latch outputs_latch(struct outputs *o);

/* Whether nothing moves, and the driver has said so: one that refused is asked again until it has. */
bool outputs_at_rest(struct outputs *o);

/* Whether the thread got real-time priority (RLIMIT_RTPRIO 1 or CAP_SYS_NICE). */
bool outputs_realtime(const struct outputs *o);

struct outputs_events outputs_events(struct outputs *o);

#endif
