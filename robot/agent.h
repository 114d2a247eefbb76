/*
 * What the robot does with what the relay says, and what it says by itself: commands to the
 * outputs, with an answer for those that have an id; heartbeats on a schedule, telemetry (telemetry.h); after
 * connecting whether it is stopped, and a status. Knows no sockets and no files: messages and the
 * stop latch go out through functions. One thread; times are CLOCK_MONOTONIC ms.
 */
#ifndef TELERELAY_ROBOT_AGENT_H
#define TELERELAY_ROBOT_AGENT_H

#include "robot/hal.h"
#include "robot/latch.h"
#include "robot/outputs.h"
#include "robot/sendq.h"
#include "robot/telemetry.h"

#include <stddef.h>
#include <stdint.h>

struct agent;

struct agent_config {
    const char *device_id;   /* the strings stay the caller's */
    const char *device_name; /* or NULL */
    const struct hal_driver *driver;
    void *hal;
    struct outputs *outputs;
    struct spool *spool; /* the caller's, for samples that no relay takes; NULL: they are dropped */
    int64_t interval_ms;
    int heartbeat_ms;
    struct latch latch; /* as the last run left it; the outputs know of it already */
    /* Keeps the latch for the next run: 0, or -1 when it could not. May take long. NULL: it is not kept. */
    int (*store_latch)(void *ctx, const struct latch *latch);
    int deadman_ms;                                                             /* for the log */
    int (*send)(void *ctx, enum sendq_lane lane, const char *text, size_t len); /* 0, or -1: dropped */
    void *ctx;
};

struct agent_stats {
    struct telemetry_stats telemetry;
    uint64_t commands; /* understood; without stop and re-arm */
    uint64_t invalid;  /* messages that could not be understood */
};

struct agent *agent_create(const struct agent_config *config); /* NULL: out of memory */
void agent_destroy(struct agent *a);                           /* NULL is allowed */

void agent_opened(struct agent *a, int64_t now_ms);
void agent_closed(struct agent *a, int64_t now_ms);
void agent_message(struct agent *a, const char *text, size_t len, int64_t now_ms);
void agent_tick(struct agent *a, int64_t now_ms); /* every 50 ms or so: it is the main loop's sign of life */

void agent_set_interval(struct agent *a, int64_t interval_ms); /* counted from the last telemetry */
struct agent_stats agent_stats(const struct agent *a);

#endif
