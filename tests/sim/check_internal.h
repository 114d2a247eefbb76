/* The insides of check.c, check_robot.c and check_bus.c. */
#ifndef TELERELAY_SIM_CHECK_INTERNAL_H
#define TELERELAY_SIM_CHECK_INTERNAL_H

#include "tests/sim/check.h"
#include "tests/sim/sched.h"

#define INTERVALS_MAX 4096
#define LEFT_MAX      1024
#define CLOCK_US      (150 * SIM_MS) /* what two relays' ideas of Redis' clock may be apart */

/* One command, from its website to its end. */
struct command {
    struct check_sent what;
    int64_t sent_at, again_at;  /* simulated time; again_at: sent for the last time, 0: only once */
    int64_t relay_at, redis_at; /* when what Redis passed came to its relay, and when Redis did; 0: not yet */
    uint8_t executed[CHECK_ROBOTS_MAX];
    int64_t rearmed_at[CHECK_ROBOTS_MAX]; /* when Redis passed it as a re-arm, 0: not yet */
    bool unwritten[CHECK_ROBOTS_MAX];     /* the script that passed it failed */
    bool no_holder[CHECK_ROBOTS_MAX];     /* Redis let it pass although its sender had no control */
    int robots;                           /* of its ack, −1: none yet */
    int receipts;
    bool done; /* outcome known, or nobody waits */
};

struct check_state {
    struct check_setup setup;
    struct check_totals totals;
    const struct node *relays[CHECK_RELAYS_MAX];
    struct command *commands;
    uint32_t n_commands, cap;
    uint32_t first_open; /* before it everything is done */
    struct {
        int64_t from, until;
    } losses[INTERVALS_MAX];
    int n_losses;
    struct {
        int robot;
        int64_t at;
    } left[LEFT_MAX];
    int n_left;
    struct {
        long long epoch;
        char sender[128];
    } control[CHECK_ROBOTS_MAX]; /* as Redis last told */
    struct driver {
        char sender[256]; /* "": nobody yet */
        int website;
        int64_t at;                /* when Redis passed it */
        bool owed;                 /* unless it drives on, its relay has to send a zero */
    } driver[CHECK_ROBOTS_MAX][2]; /* whose motion was the last, per axis */
    int64_t heard_at[CHECK_WEBSITES_MAX][2][CHECK_ROBOTS_MAX + 1]; /* its last motion at its relay; [0]: to all */
    int64_t zero_at[CHECK_WEBSITES_MAX][2];                        /* last zero that cannot be known by its id */
    struct {
        int64_t sent_at;    /* when a relay heard of a stop that Redis has not passed, 0: none */
        bool named;         /* a stop of this robot alone is among them */
        int64_t latch_at;   /* likewise, that Redis has not latched */
        int64_t latched_at; /* when Redis latched the last one */
    } stop[CHECK_ROBOTS_MAX];
    struct {
        uint32_t number;
        int robot;
    } script[CHECK_ROBOTS_MAX]; /* motions that the script has passed that runs */
    int n_script;
    int64_t full_until; /* Redis takes no writes */
    int64_t clock_wrong_until;
    enum check_rule failed;
};
extern struct check_state check_state;

struct command *check_command(int64_t number); /* NULL: none */
int64_t check_ttl_us(const struct command *c);
int check_robot_of(const char *device_id); /* −1: none */

void check_robot_begin(void);
int64_t check_robot_said_stopped(int robot); /* highest number of a stop that it said it obeys, −1: none */
void check_robot_published(int robot, const char *kind, int64_t seq);
void check_print_robot(int robot);
void check_log_robot(int robot, const char *line);

#endif
