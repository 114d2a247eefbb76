/*
 * What the outputs are allowed to be, and why: the one place that decides whether a motor turns.
 *
 * Pure: no clock, no thread, no driver. Time comes in as CLOCK_MONOTONIC nanoseconds; a time that
 * lies before the last one counts as the last one. The caller serialises the calls (outputs.c).
 *
 * Rules
 *   - a motion command sets its output, and `deadman_ns` after the last motion command of that
 *     output the output is zero again;
 *   - without a link, before it and after its loss, everything that moves is zero;
 *   - when the main loop gives no sign of life for `watchdog_ns`, everything that moves is zero;
 *   - after safety_on_halt() nothing moves until the program starts anew;
 *   - speed and brightness are settings: they survive all of that and never make anything move.
 */
#ifndef TELERELAY_ROBOT_SAFETY_H
#define TELERELAY_ROBOT_SAFETY_H

#include <stdbool.h>
#include <stdint.h>

#define SAFETY_NEVER INT64_MAX

/* Why an output has the value that it has. */
enum safety_cause {
    SAFETY_START,    /* nothing came yet */
    SAFETY_COMMAND,  /* a command said so */
    SAFETY_DEADMAN,  /* no motion command came in time */
    SAFETY_STOP,     /* told to stop: the program ends */
    SAFETY_LINK,     /* the link to the relay is down */
    SAFETY_WATCHDOG, /* the main loop hangs */
};

/* What came of a motion command. */
enum safety_verdict {
    SAFETY_APPLIED,
    SAFETY_REFUSED_LINK,  /* no link: nobody could have sent it now */
    SAFETY_REFUSED_STOP,  /* halted */
    SAFETY_REFUSED_RANGE, /* not a number within [-1, 1] */
};

enum safety_axis { SAFETY_DRIVE, SAFETY_CAMERA, SAFETY_AXES };

struct safety_config {
    int64_t deadman_ns;  /* > 0 */
    int64_t watchdog_ns; /* > 0 */
};

/* The outputs as they have to be now. */
struct safety_outputs {
    double left, right; /* drive: [-1, 1], speed already applied; forward is positive */
    double pan, tilt;   /* camera rates: [-1, 1] */
    int speed;          /* percent, 1..100 */
    int brightness;     /* percent, 1..100 */
    enum safety_cause drive_cause, camera_cause, speed_cause, brightness_cause;
};

struct safety {
    struct safety_config config;
    int64_t now;    /* newest time seen, ns */
    int64_t alive;  /* last sign of life of the main loop, ns */
    bool link;      /* connected to the relay */
    bool halted;    /* never to move again */
    int speed;      /* percent */
    int brightness; /* percent */
    enum safety_cause speed_cause, brightness_cause;
    struct safety_motion {
        double x, y;             /* the last command, 0 when it is no longer in force */
        int64_t at;              /* when it came, ns */
        bool running;            /* in force: the dead-man counts */
        enum safety_cause cause; /* of the present value */
    } motion[SAFETY_AXES];
};

/* Everything at rest, link down, speed and brightness 100 %. */
void safety_init(struct safety *s, const struct safety_config *config, int64_t now);

/* drive: x turns, y drives forward. camera: x pans, y tilts (rates). Counts as a sign of life. */
enum safety_verdict safety_on_motion(struct safety *s, enum safety_axis axis, double x, double y, int64_t now);

/* percent 1..100; 0, or -1 when out of range. A drive in force goes on at the new speed, but no longer. */
int safety_on_speed(struct safety *s, int percent, int64_t now);
int safety_on_brightness(struct safety *s, int percent, int64_t now);

void safety_on_link(struct safety *s, bool up, int64_t now);
void safety_on_alive(struct safety *s, int64_t now); /* the main loop lives */
void safety_on_halt(struct safety *s, int64_t now);

/* Ends what is due at `now` and says what the outputs have to be. */
void safety_tick(struct safety *s, int64_t now, struct safety_outputs *out);

/* A command is in force that is not zero. */
bool safety_moves(const struct safety *s, enum safety_axis axis);

/* When safety_tick() has to be called at the latest, ns; SAFETY_NEVER while nothing moves. */
int64_t safety_deadline(const struct safety *s);

const char *safety_cause_name(enum safety_cause cause);       /* "deadman": as in the trace */
const char *safety_verdict_name(enum safety_verdict verdict); /* "link": why it was refused */

#endif
