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
 *   - once stopped nothing moves until re-armed, and after that not before a new motion command: one that
 *     is numbered before the stop or the re-arm is none. The latch outlives the program, by the caller's care;
 *   - a motion that is not zero has to be fresh: the heartbeats that it names were sent on this
 *     connection, at most `fresh_ns` ago. A zero motion only ever stops, so it may be older;
 *   - a setting whose relay names a heartbeat has to be from this connection as well, and at most
 *     SAFETY_SETTING_NS old: it may have waited in a socket, behind a program that stood still. When the relay
 *     names none (an old one) it has no age;
 *   - commands of one kind (drive, camera, speed, brightness) are taken in rising order of their numbers
 *     only. A lower epoch than the last is refused; a higher one begins the numbers anew. What is refused
 *     for another reason counts as seen, so a copy of it is refused as well;
 *   - after safety_on_halt() nothing moves until the program starts anew;
 *   - speed and brightness are settings: they survive all of that, never make anything move and may be
 *     set while stopped.
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
    SAFETY_STOP,     /* told to stop, or the program ends */
    SAFETY_LINK,     /* the link to the relay is down */
    SAFETY_WATCHDOG, /* the main loop hangs */
};

/* What came of a command. */
enum safety_verdict {
    SAFETY_APPLIED,
    SAFETY_REFUSED_LINK,   /* no link: nobody could have sent it now */
    SAFETY_REFUSED_STOP,   /* stopped or halted */
    SAFETY_REFUSED_RANGE,  /* not a number within its range */
    SAFETY_REFUSED_OLD,    /* not newer than the last one of its kind, or than the stop or re-arm */
    SAFETY_REFUSED_EPOCH,  /* from before the present grant of control */
    SAFETY_EXPIRED_HB,     /* names a heartbeat that is too old or was never sent */
    SAFETY_EXPIRED_NO_HB,  /* names none, and has to */
    SAFETY_REFUSED_DRIVER, /* the driver did not do what these rules allow: said by the caller, who knows it */
};

enum safety_axis { SAFETY_DRIVE, SAFETY_CAMERA, SAFETY_AXES };

#define SAFETY_KINDS      (SAFETY_AXES + 2)  /* of numbered commands: the axes, speed, brightness */
#define SAFETY_HEARTBEATS 256                /* remembered; more than are sent within any of the times */
#define SAFETY_SETTING_NS 10000000000LL      /* 10 s: as long as a relay keeps a setting by default */
#define SAFETY_SEQ_MAX    9007199254740992LL /* 2^53: what JSON carries exactly */

/* What a command brings beside its values; -1 where absent. */
struct safety_order {
    int64_t seq;      /* its number */
    int64_t epoch;    /* of the grant of control */
    int64_t hb;       /* newest heartbeat that its sender has seen */
    int64_t relay_hb; /* newest heartbeat that the relay had heard when it queued it */
};

struct safety_latch {
    bool stopped;
    int64_t seq; /* of the last stop or re-arm; -1: none, or without number */
};

struct safety_config {
    int64_t deadman_ns;        /* > 0 */
    int64_t watchdog_ns;       /* > 0 */
    int64_t fresh_ns;          /* > 0 */
    bool require_fresh;        /* refuse a motion whose sender names no heartbeat */
    int64_t first_hb;          /* 0..2^52, by chance: numbers of an earlier run must mean nothing */
    struct safety_latch latch; /* as the last run left it */
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
    int64_t now;   /* newest time seen, ns */
    int64_t alive; /* last sign of life of the main loop, ns */
    bool link;     /* connected to the relay */
    bool halted;   /* never to move again */
    struct safety_latch latch;
    int64_t epoch;                    /* highest seen, -1 for none */
    int64_t seq[SAFETY_KINDS];        /* last seen in that epoch, -1 for none */
    int64_t next_hb;                  /* number of the next heartbeat */
    int64_t hb_count;                 /* heartbeats of this connection that are remembered */
    int64_t hb_at[SAFETY_HEARTBEATS]; /* when number N was sent, at N % SAFETY_HEARTBEATS, ns */
    int speed;                        /* percent */
    int brightness;                   /* percent */
    enum safety_cause speed_cause, brightness_cause;
    struct safety_motion {
        double x, y;             /* the last command, 0 when it is no longer in force */
        int64_t at;              /* when it came, ns */
        bool running;            /* in force: the dead-man counts */
        enum safety_cause cause; /* of the present value */
    } motion[SAFETY_AXES];
};

/* Everything at rest, link down, speed and brightness 100 %, stopped if config->latch says so. */
void safety_init(struct safety *s, const struct safety_config *config, int64_t now);

/* drive: x turns, y drives forward. camera: x pans, y tilts (rates). Counts as a sign of life. order: NULL
 * for one that brings nothing. */
enum safety_verdict safety_on_motion(struct safety *s, enum safety_axis axis, double x, double y,
                                     const struct safety_order *order, int64_t now);

/* percent 1..100. A drive in force goes on at the new speed, but no longer. */
enum safety_verdict safety_on_speed(struct safety *s, int percent, const struct safety_order *order, int64_t now);
enum safety_verdict safety_on_brightness(struct safety *s, int percent, const struct safety_order *order, int64_t now);

/* Always obeyed. seq: -1 for none. Afterwards s->latch.seq is not lower than that of any stop or re-arm before. */
void safety_on_stop(struct safety *s, int64_t seq, int64_t now);

/* Counts when it is newer than the last stop or re-arm, or not numbered (seq -1); else SAFETY_REFUSED_OLD. */
enum safety_verdict safety_on_rearm(struct safety *s, int64_t seq, int64_t now);

/* A heartbeat goes out now; returns its number. */
int64_t safety_heartbeat(struct safety *s, int64_t now);

void safety_on_link(struct safety *s, bool up, int64_t now); /* forgets the heartbeats */
void safety_on_alive(struct safety *s, int64_t now);         /* the main loop lives */
void safety_on_halt(struct safety *s, int64_t now);

/* Ends what is due at `now` and says what the outputs have to be. */
void safety_tick(struct safety *s, int64_t now, struct safety_outputs *out);

/* A command is in force that is not zero. */
bool safety_moves(const struct safety *s, enum safety_axis axis);

/* When safety_tick() has to be called at the latest, ns; SAFETY_NEVER while nothing moves. */
int64_t safety_deadline(const struct safety *s);

const char *safety_cause_name(enum safety_cause cause);       /* "deadman": as in the trace */
const char *safety_verdict_name(enum safety_verdict verdict); /* "link": why it was refused */
bool safety_verdict_is_expired(enum safety_verdict verdict);  /* too old, rather than not allowed */

#endif
