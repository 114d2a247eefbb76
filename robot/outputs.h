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

/* As in safety.h, now. All of them from any thread. */
enum safety_verdict outputs_motion(struct outputs *o, enum safety_axis axis, double x, double y);
int outputs_speed(struct outputs *o, int percent);
int outputs_brightness(struct outputs *o, int percent);
void outputs_link(struct outputs *o, bool up);
void outputs_alive(struct outputs *o);
void outputs_halt(struct outputs *o);

/* Whether the thread got real-time priority (RLIMIT_RTPRIO 1 or CAP_SYS_NICE). */
bool outputs_realtime(const struct outputs *o);

struct outputs_events outputs_events(struct outputs *o);

#endif
