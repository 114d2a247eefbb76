/*
 * What becomes of the robot's samples: sent as they are taken, or kept in the spool until a relay takes them.
 *
 *   - While nothing waits, a sample is sent at once, and remembered until the relay says that it is stored.
 *   - What no relay takes (no link, or lost before the answer; not_stored, rate_limited; no answer for 1 s) goes into
 *     the spool under its own time. From then on new samples go there, too, behind the others: the history takes a
 *     sample's own time only in the order of times.
 *   - The spool is sent in batches, one under way at a time, oldest first. A batch is dropped from it when the relay
 *     has stored it, and the next goes out once that is safe on disk: so after a loss of power no more comes again
 *     than the relay can recognise. Batches are as large as the link takes quickly, 100 samples at most. What is taken
 *     while the last one is under way follows it as it would have been sent otherwise: else there would always be
 *     something that waits where answers take longer than an interval.
 *   - A relay that refuses batches as unknown, or that has never acknowledged anything, gets samples as they are taken;
 *     the spool waits for another one.
 *
 * Knows no sockets and no files; one thread; times are CLOCK_MONOTONIC ms unless said otherwise.
 */
#ifndef TELERELAY_ROBOT_TELEMETRY_H
#define TELERELAY_ROBOT_TELEMETRY_H

#include "common/msg.h"
#include "robot/hal.h"
#include "robot/sendq.h"
#include "robot/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct telemetry;

struct telemetry_config {
    const char *device_id;   /* the strings stay the caller's */
    const char *device_name; /* or NULL */
    const struct hal_driver *driver;
    void *hal;
    struct spool *spool; /* the caller's; NULL: what cannot be sent is dropped */
    int64_t interval_ms;
    int (*send)(void *ctx, enum sendq_lane lane, const char *text, size_t len); /* as link_send */
    void *ctx;
};

struct telemetry_stats {
    uint64_t sent;    /* samples given to the link as they were taken */
    uint64_t acked;   /* of them, those that the relay stored */
    uint64_t refused; /* samples and batches that it refused */
    uint64_t late;    /* samples that it stored from the spool */
    uint64_t dropped; /* samples that nobody took */
};

struct telemetry *telemetry_create(const struct telemetry_config *config); /* NULL: out of memory */
void telemetry_destroy(struct telemetry *t); /* what was not acknowledged goes into the spool; NULL is allowed */

void telemetry_opened(struct telemetry *t, int64_t now_ms);
void telemetry_greeted(struct telemetry *t); /* the relay is ready: a sample at once */
void telemetry_closed(struct telemetry *t, int64_t now_ms);
void telemetry_acked(struct telemetry *t, const struct msg *ack, int64_t now_ms);
/* False: the error is about something else. */
bool telemetry_failed(struct telemetry *t, const struct msg *error, int64_t now_ms);
void telemetry_tick(struct telemetry *t, int64_t now_ms);

void telemetry_set_interval(struct telemetry *t, int64_t interval_ms); /* counted from the last sample */
struct telemetry_stats telemetry_stats(const struct telemetry *t);

#endif
