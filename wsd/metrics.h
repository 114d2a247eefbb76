/* What this relay has done, counted; rendered as Prometheus text. */
#ifndef TELERELAY_METRICS_H
#define TELERELAY_METRICS_H

#include <stddef.h>
#include <stdint.h>

/* name, help */
#define METRICS_COUNTERS(X)                                                                                            \
    X(connections_total, "WebSocket connections accepted")                                                             \
    X(connections_refused_total, "Connections refused: bad device id, path, or no room")                               \
    X(messages_received_total, "Messages received from robots and websites")                                           \
    X(messages_invalid_total, "Messages refused with an error")                                                        \
    X(messages_rate_limited_total, "Messages refused since their sender was over its limit")                           \
    X(frames_sent_total, "Messages handed to connections for sending")                                                 \
    X(commands_forwarded_total, "Commands handed to a robot connected here")                                           \
    X(commands_expired_total, "Commands dropped since their time to live had passed")                                  \
    X(commands_replaced_total, "Unsent moves that a newer one replaced")                                               \
    X(commands_no_robot_total, "Commands that found no robot")                                                         \
    X(commands_applied_total, "Commands that a robot here says it has applied")                                        \
    X(commands_rejected_total, "Commands that a robot here has rejected")                                              \
    X(commands_stale_total, "Commands that a robot here has refused as too old")                                       \
    X(commands_refused_total, "Commands refused since the robot is stopped or somebody else has control")              \
    X(commands_duplicate_total, "Commands with an id that their website had used within a minute")                     \
    X(deadman_stops_total, "Robots stopped since the website that drove them fell silent or went")                     \
    X(status_not_kept_total, "Status messages passed on, but not kept since their robot sends too many")               \
    X(samples_stored_total, "Telemetry samples stored")                                                                \
    X(samples_refused_total, "Telemetry samples that could not be stored")                                             \
    X(samples_backfilled_total, "Of the samples stored, those that had waited at their robot")                         \
    X(samples_repeated_total, "Samples of batches that were stored before")                                            \
    X(telemetry_thinned_total, "Telemetry messages dropped for slow websites")                                         \
    X(backfill_dropped_total, "Samples that had waited, not sent to websites that do not keep up")                     \
    X(video_replaced_total, "Unsent video frames that a newer one replaced")                                           \
    X(queue_refused_total, "Messages dropped since a connection's queue was full")                                     \
    X(connections_blocked_closed_total, "Websites closed since they did not read")                                     \
    X(connections_flood_closed_total, "Connections closed since they kept flooding")                                   \
    X(robots_replaced_total, "Robot connections closed since a newer one took over")                                   \
    X(redis_lost_total, "Times that Redis was lost")

struct metrics {
#define METRICS_FIELD(name, help) uint64_t name;
    METRICS_COUNTERS(METRICS_FIELD)
#undef METRICS_FIELD
};

struct metrics_gauges {
    unsigned websites, robots; /* connected here */
    int redis_up;              /* 0 or 1 */
};

/* Prometheus text with a relay="…" label; returns its length, 0 when it does not fit. */
size_t metrics_render(char *out, size_t cap, const char *relay, const struct metrics *m,
                      const struct metrics_gauges *g);

#endif
