/*
 * Simulated time: one queue of events, ordered by time, run one after the other in one thread. A node is what has a
 * clock of its own and can stand still: a program, or a thread of one. Same seed, same order of events.
 */
#ifndef TELERELAY_SIM_SCHED_H
#define TELERELAY_SIM_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_MS INT64_C(1000) /* all times here are µs */
#define SIM_S  INT64_C(1000000)

/* Of events at the same time: what has arrived, ordinary timers, timers of the lowest priority, the end of the turn. */
enum sched_class { SCHED_IO, SCHED_TIMER, SCHED_LATE, SCHED_TURN };

struct node {
    const char *name;
    int64_t mono_us;          /* its monotonic clock − simulated time */
    int64_t wall_us;          /* its wall clock − simulated time; may jump */
    int64_t frozen_until;     /* it stands still until then, and then makes up for it at once */
    void (*turn)(void *self); /* the end of a turn of its loop; may be NULL */
    void *self;
    bool in_turn;
    int64_t cut_off_until; /* no way from here to Redis until then */
};

typedef void sched_fn(void *ctx);

void sched_init(void);
void sched_finish(void);

/* `fn` in the name of `node`, at `at` or as soon as the node runs again. */
void sched_at(struct node *node, int64_t at, enum sched_class class, sched_fn *fn, void *ctx);
void sched_cancel(const void *ctx);              /* every event with this ctx */
void sched_cancel_node(const struct node *node); /* every event of this node */

void sched_thaw(struct node *node); /* it stands still no longer */

/* Runs the next event unless it is later than `until`. False: there was none. */
bool sched_step(int64_t until);

int64_t sched_now(void);
uint64_t sched_steps(void);
struct node *sched_current(void);
struct node *sched_enter(struct node *node); /* run as this node from now on; returns the former one */
int64_t sched_mono_us(const struct node *node);
int64_t sched_wall_us(const struct node *node);

/* --- chance: one stream for everything --- */
void chance_seed(uint64_t seed);
uint64_t chance_bits(void);
int64_t chance_below(int64_t n);                /* 0 … n − 1; n > 0 */
int64_t chance_from(int64_t low, int64_t high); /* low … high */
bool chance_of(double p);
int64_t chance_after(int64_t mean_us); /* exponential */

#endif
