/* The command line of telerelay-bench. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "tests/bench/dialect.h"
#include "tests/bench/proc.h"

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_RELAYS_MAX 8

struct options {
    const char *relays[OPTIONS_RELAYS_MAX]; /* unix:/path or HOST:PORT */
    size_t n_relays;
    enum dialect dialect;
    struct proc_group groups[PROC_GROUPS_MAX]; /* the processes whose cost is measured */
    size_t n_groups;
    unsigned robots;
    unsigned websites;
    double hz;            /* messages per second of one robot or website */
    double seconds;       /* measured time */
    double warmup;        /* s before it */
    unsigned outstanding; /* unacknowledged messages per robot, closed loop; 0: they send none */
    unsigned concurrency; /* requests at once */
    unsigned limit;       /* samples per answer */
    unsigned samples;     /* samples to store beforehand */
    const char *redis;    /* address, for history */
    const char *prefix;   /* of a device's stream in Redis, for ingest and history */
    bool one_field;       /* seed: as the relay stores samples, or one field for each metric */
    const char *protocol; /* subprotocol that websites offer, or NULL */
    double drive_hz;      /* ingest: moves per second that one more website sends to each robot; 0: none */
    bool safe;            /* ingest: moves with ids and heartbeats, robots that send heartbeats and answer */
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_USAGE };

/* argv[0] is the scenario's name. Faults go to stderr. */
enum options_result options_parse(struct options *o, int argc, char **argv);
void options_usage(void);

#endif
