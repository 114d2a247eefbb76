/* One measured interval: its length, what the servers and this program used, and how it is reported. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include "common/jsonw.h"
#include "tests/bench/hist.h"
#include "tests/bench/options.h"

#include <stdbool.h>
#include <stdint.h>

struct meter {
    const struct options *options;
    bool started, stopped;
    int64_t t0, t1;                             /* monotonic, ns */
    int64_t cpu[PROC_GROUPS_MAX];               /* ns used between start and stop; -1: a process was gone */
    int64_t own_cpu;                            /* ns */
    struct proc_memory memory[PROC_GROUPS_MAX]; /* bytes grown between start and stop */
};

void meter_start(struct meter *m, const struct options *o);
void meter_stop(struct meter *m);
double meter_seconds(const struct meter *m);

/* Members for the report: "cpu_us" per unit of work and group, "memory" grown per unit, "seconds", "load". */
void meter_put_cpu(struct jsonw *w, const struct meter *m, double work);
void meter_put_memory(struct jsonw *w, const struct meter *m, double work);

/* A member `key` with p50, p90, p99, max and mean in µs. */
void meter_put_latency(struct jsonw *w, const char *key, const struct hist *h);

/* The report: begin, members, end (prints one line to stdout; 0, or -1). */
#define METER_REPORT_MAX 8192
void meter_begin(struct jsonw *w, char *buf, const char *scenario);
int meter_end(struct jsonw *w);

#endif
