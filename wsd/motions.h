/*
 * The motions that one website has in force: per robot and axis, until it sends a zero. The relay stops a robot whose
 * driver falls silent or goes, and for that has to know what it drives. Pure.
 */
#ifndef TELERELAY_MOTIONS_H
#define TELERELAY_MOTIONS_H

#include "common/msg.h"

#include <stdbool.h>
#include <stdint.h>

/* Robots × axes that one website may drive at a time and be watched at it; beyond that only the robots' own dead-man
 * stops them. */
#define MOTIONS_MAX 64

#define MOTIONS_OWED INT64_MIN /* at_ms of one that is to be ended at once */

struct motion {
    char device_id[MSG_DEVICE_ID_MAX + 1]; /* "" : every robot */
    enum msg_type type;                    /* MSG_ROBOT_MOVE or MSG_CAMERA_MOVE */
    int64_t at_ms;                         /* monotonic, when it was last sent */
};

/* All zero is an empty one. */
struct motions {
    struct motion *list; /* allocated when first needed */
    unsigned count, cap;
};

/* A motion was sent. device_id NULL: to every robot. A zero to every robot ends those to single ones, too. */
void motions_note(struct motions *m, const char *device_id, enum msg_type type, bool zero, int64_t now_ms);

/* A command of it came to nothing: the robot is to be stopped as soon as can be. */
void motions_owe(struct motions *m, const char *device_id, enum msg_type type);

/* Whether a zero to this robot (NULL: to every one) ends one of them. */
bool motions_ended_by(const struct motions *m, const char *device_id, enum msg_type type);

/* Takes out one that was last sent before `before_ms` (INT64_MAX: any). False when there is none. */
bool motions_take(struct motions *m, int64_t before_ms, struct motion *out);

void motions_finish(struct motions *m);

#endif
