/*
 * When an open-loop sender sends: `streams` senders, each at a fixed rate, its k-th message at a
 * pseudo-random moment of its k-th period, the same ones in every run. Whoever receives message k
 * can compute when it was due, so a late sender or a stalled server is never left out of a latency.
 */
#ifndef BENCH_SCHED_H
#define BENCH_SCHED_H

#include <stdint.h>

struct sched;

/* start_ns: begin of the first period. hz > 0. NULL when memory is short. */
struct sched *sched_create(unsigned streams, double hz, int64_t start_ns);
void sched_destroy(struct sched *s);

/* When message k of a stream is due. */
int64_t sched_time(const struct sched *s, unsigned stream, uint64_t k);

/* When the next message of all is due. */
int64_t sched_next(const struct sched *s);

/* Takes that message: its stream and number. */
void sched_take(struct sched *s, unsigned *stream, uint64_t *k);

#endif
