/* The robots and websites of one scenario: connected, greeted, and counted when they are lost. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "tests/bench/net.h"
#include "tests/bench/options.h"

#include <stdbool.h>

/* What a peer received; index: which robot or website. NULL: nobody cares. */
typedef void crowd_text(void *user, unsigned index, const char *data, size_t len, int64_t now_ns);

enum crowd_channel { CROWD_TELEMETRY, CROWD_COMMANDS };

struct crowd {
    const struct options *options;
    enum crowd_channel channel;
    unsigned n_robots, n_websites;
    bool losses_count; /* a lost connection is a figure, not a failure */
    crowd_text *robot, *website;
    void *user;
    /* the rest is crowd.c's to write */
    struct net *net;
    struct net_conn **robots, **websites;
    bool *robot_greeted, *website_greeted;
    unsigned to_greet; /* peers that have not heard anything yet */
    unsigned closed;   /* connections that the server ended */
    int close_code;    /* of the last one */
};

/*
 * The fields above are set by the caller. Websites are dealt out to the relays from the first on,
 * robots from the last on. Returns 0 once all are connected and, if the server greets, greeted
 * (10 s at most); -1 with the reason on stderr. crowd_finish() in either case.
 */
int crowd_connect(struct crowd *c);
void crowd_finish(struct crowd *c);

/* Handles what arrives until `until_ns` (monotonic). */
void crowd_run(struct crowd *c, int64_t until_ns);

#endif
