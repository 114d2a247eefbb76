/*
 * Histogram of durations: log-linear, 64 steps per doubling, so that every quantile is within
 * 1.6 % of the true one from 64 ns on, whatever the range. Fixed size, no allocation while recording.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 6
#define HIST_OCTAVES  36 /* up to about 73 minutes; longer ones count as the last step */
#define HIST_SLOTS    ((HIST_OCTAVES + 1) << HIST_SUB_BITS)

struct hist {
    uint64_t slots[HIST_SLOTS];
    uint64_t count;
    int64_t max; /* ns, exact; 0 when empty */
    double sum;  /* ns */
};

void hist_init(struct hist *h);

/* A negative duration counts as 0. */
void hist_record(struct hist *h, int64_t ns);

/* The smallest recorded duration that at least q (0..1) of all do not exceed, rounded up to its
 * step, never above the maximum. ns; 0 when empty. */
int64_t hist_quantile(const struct hist *h, double q);

double hist_mean(const struct hist *h); /* ns; 0 when empty */

/* Adds all of `from` to `into`. */
void hist_merge(struct hist *into, const struct hist *from);

#endif
