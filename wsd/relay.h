/* Who gets a message, how urgent it is and how long it is worth delivering: decisions only. Pure. */
#ifndef TELERELAY_RELAY_H
#define TELERELAY_RELAY_H

#include "common/conf.h"
#include "common/msg.h"
#include "wsd/outq.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A robot's clock may be this far ahead of ours before its time stamps count as wrong. */
#define RELAY_AHEAD_MS 2000

/* So many samples of a batch count as one message. */
#define RELAY_SAMPLES_PER_COST 10

/* How a command travels to a robot: a key that is not 0 lets a newer one replace an unsent older one. */
uint32_t relay_command_key(enum msg_type type);

/* How long a command is worth delivering, ms. Its sender may only shorten that. 0: as long as it takes (a zero motion:
 * it only ever stops, and one that was dropped would leave what is moving to itself). */
int relay_command_ttl(const struct conf_wsd *conf, const struct msg *m);

/* The largest message, in bytes, that this sender may send at all. */
size_t relay_message_max(const struct conf_wsd *conf, enum msg_sender from);

/* Whether a message is so long that only few types may be: anything else of a robot is shorter. */
bool relay_is_long(const struct conf_wsd *conf, enum msg_sender from, size_t len);

/*
 * A cheap look at a long message before it is parsed: the one type that it may have, MSG_VIDEO_FRAME or
 * MSG_TELEMETRY_BATCH. MSG_NONE: none. A text of either that passes takes the parser about 1 MiB at most.
 */
enum msg_type relay_long_type(const struct conf_wsd *conf, const char *text, size_t len);

/* How many messages one of this type counts as in its sender's rate limit. */
int relay_cost(const struct msg *m);

/* The time to store a sample under: the robot's own when it can be right, else -1 (that of arrival). */
int64_t relay_sample_time(const struct msg *m, int64_t now_ms);

/* A motion that stops: both axes at zero. */
bool relay_is_zero_motion(const struct msg *m);

/* The last path segment of what robots and websites may ask for: /ws/telemetry and /ws/telemetry/. */
bool relay_path_valid(const char *path, size_t len);

#endif
