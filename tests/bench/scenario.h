/*
 * The load scenarios. Each connects, warms up, measures for o->seconds and prints one JSON object.
 * Returns 0, or -1 with the reason on stderr. Every wait has a limit.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include "tests/bench/options.h"

/* Telemetry of all robots to all websites, open loop: CPU per delivered message, latency, losses. */
int fanout_run(const struct options *o);

/* Commands from a website on the first relay to a robot on the last, open loop: latency of delivery and ack. */
int command_run(const struct options *o);

/* Robots that send as soon as one of their messages is acknowledged: throughput, CPU per sample, and how
 * the websites fare meanwhile. With --redis also whether every acknowledged sample is stored; with --drive-hz
 * what becomes of the moves of one more website, and with --outstanding 0 CPU per move. */
int ingest_run(const struct options *o);

/* Websites that do nothing: memory and CPU per connection. */
int idle_run(const struct options *o);

/* Websites that never read while robots send: memory per connection, and whether a reading one is served. */
int blocked_run(const struct options *o);

/* GET /api/telemetry over keep-alive connections: answers per second. */
int history_run(const struct options *o);

/* The same number of samples straight from Redis: what there is to lose. */
int xrange_run(const struct options *o);

/* Stores samples for the two above. */
int seed_run(const struct options *o);

#endif
