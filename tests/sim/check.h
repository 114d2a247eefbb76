/*
 * What must hold, whatever happens: checked at Redis, at the robots' outputs and at the websites. Every motion carries
 * its number in x, every command of a modern website in its id, so that each one is known again wherever it turns up.
 */
#ifndef TELERELAY_SIM_CHECK_H
#define TELERELAY_SIM_CHECK_H

#include "common/msg.h"
#include "robot/safety.h"
#include "tests/sim/sched.h"
#include "tests/sim/store.h"

#include <stdbool.h>
#include <stdint.h>

#define CHECK_ROBOTS_MAX   4
#define CHECK_WEBSITES_MAX 6
#define CHECK_RELAYS_MAX   3

/* The invariants; check_rule_name() says how a run and the mistakes call them. */
enum check_rule {
    CHECK_FRESH = 1,   /* no motion that is too old */
    CHECK_ORDER,       /* numbers rise within an epoch and kind; epochs never fall */
    CHECK_CONTROL,     /* exclusive: only the holder drives, one holder per epoch */
    CHECK_STOPPED,     /* nothing moves after a stop until a newer re-arm */
    CHECK_REARMED,     /* and then nothing before a command that came after it */
    CHECK_DEADMAN,     /* outputs rest deadman_ms after the last motion */
    CHECK_ONCE,        /* a command takes effect at most once per robot */
    CHECK_OUTCOME,     /* who gave an id hears what became of it */
    CHECK_AGREEMENT,   /* robot, Redis and websites agree who is stopped */
    CHECK_BOUNDS,      /* nothing grows without end */
    CHECK_ALIVE,       /* after all of it every robot can be driven */
    CHECK_ZERO_OTHERS, /* a relay's own zero stops only its own website's motion */
    CHECK_WATCHDOG,    /* outputs rest watchdog_ms after the main loop began to hang */
    CHECK_LINK,        /* nothing moves without a link */
    CHECK_IN_TIME,     /* a relay hands no command to a robot after its time to live */
    CHECK_CONFIRMED,   /* a stop is called confirmed only once the robot has said so */
    CHECK_ZERO_SENT,   /* a driver that falls silent or goes: its relay stops what it drove */
    CHECK_REARM_LATE,  /* no re-arm counts that was repeated after a newer stop, or waited */
    CHECK_STOP_SENT,   /* a stop goes out at once, and is latched in the end */
    CHECK_WRITTEN,     /* no motion takes effect whose script failed */
    CHECK_RULES
};

struct check_totals {
    uint64_t sent, resent, executed, zeros, settings; /* commands */
    uint64_t verdicts[SAFETY_EXPIRED_NO_HB + 1];      /* enum safety_verdict, at robots */
    uint64_t refused[MSG_CODES];                      /* errors at websites */
    uint64_t outcomes[MSG_OUTCOMES];                  /* receipts at websites */
    uint64_t stops, rearms, grants, undetectable, excused, answered;
};

struct check_setup {
    int robots, websites;
    bool legacy[CHECK_ROBOTS_MAX];
    bool exclusive;
    int move_ttl_ms, setting_ttl_ms, rearm_ms, fresh_ms, deadman_ms, watchdog_ms, silence_ms;
    int verbose;
};

void check_begin(const struct check_setup *setup);
void check_end(void); /* frees; what follows stays readable */
bool check_failed(void);
const char *check_rule_name(enum check_rule rule);
const struct check_totals *check_totals(void);
uint64_t check_hash(void); /* of everything that was noted */

/* Into the trace, and the last events of a robot (−1: of none). */
void check_note(int robot, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_fail(enum check_rule rule, int robot, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- world --- */
void check_clock_jumped(int64_t until);         /* Redis' clock means nothing until then */
void check_data_lost(void);                     /* Redis knows no more who drove last */
void check_full(int64_t until);                 /* Redis refuses writes until then */
void check_relay_lost(void);                    /* what a relay knew is gone */
void check_losses(int64_t from, int64_t until); /* messages between relays may be lost */
bool check_lossy(int64_t from, int64_t until);

/* --- websites --- */
struct check_sent {
    int website, connection;
    enum msg_type type;
    int robot; /* −1: all */
    bool zero, has_id, has_hb;
    int ttl_ms; /* 0: the default */
};
uint32_t check_send(const struct check_sent *what); /* its number */
void check_resend(uint32_t number);
double check_x(uint32_t number);            /* what a motion carries */
int64_t check_number_of_x(double x);        /* −1: none */
int64_t check_number_of_id(const char *id); /* −1: none */
void check_answer(int website, const struct msg *m);
void check_disconnected(int website, int connection);
void check_outcomes(int64_t before); /* all that was sent before must have one */

/* --- relays and Redis --- */
void check_relay(int relay, const struct node *node);
void check_left(const char *device_id); /* a relay has given up the robot's connection */
/* A website's message, as its relay begins to deal with it. website: what this said of the one before, −1 at first. */
int check_heard(const struct store *s, int website, const char *text);
/* A message to a robot goes into its socket; not NUL-terminated. */
void check_handed(const char *device_id, const char *text, size_t len);
/* listeners: who gets it */
void check_published(const struct store *s, const char *channel, const char *text, int64_t wall_us,
                     long long listeners);
/* A script begins (ended false), or ends: what it passed to robots is its own. */
void check_script(bool ended, bool failed);
void check_silence(void); /* called now and then */

/* --- robots --- */
void check_started(int robot);
void check_gone(int robot); /* the program is dead, its outputs rest */
void check_heartbeat(int robot, int64_t hb);
void check_linked(int robot);   /* connected anew */
void check_unlinked(int robot); /* it has dealt with the loss of its link */
void check_message(int robot, const struct msg *m, void (*handle)(void *ctx), void *ctx);
void check_says(int robot, const struct msg *m);
void check_motion(int robot, enum safety_axis axis, double x, double y, const struct safety_order *o,
                  enum safety_verdict verdict);
void check_setting(int robot, int kind, const struct safety_order *o, enum safety_verdict verdict);
void check_outputs(int robot, const struct safety_outputs *out);
/* Called now and then. hung_since: when its main loop came to stand still, −1: it runs. */
void check_overdue(int robot, int64_t awake_since, int64_t hung_since);
bool check_robot_stopped(int robot);
uint64_t check_robot_executed(int robot);

#endif
