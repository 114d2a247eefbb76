/*
 * What waits to be sent to the relay, bounded: messages in order, and telemetry, of which only the
 * newest waits. When it is full, the oldest answers to commands go: somebody waits for the newest. Pure.
 */
#ifndef TELERELAY_ROBOT_SENDQ_H
#define TELERELAY_ROBOT_SENDQ_H

#include <stddef.h>

#define SENDQ_HEADROOM 16 /* bytes in front of a message's data, for the frame's head */
#define SENDQ_CAP      (64 * 1024)

enum sendq_lane {
    SENDQ_ORDERED, /* first in, first out */
    SENDQ_ANSWER,  /* in order with those; the oldest of them make room where it is needed */
    SENDQ_LATEST,  /* a newer one replaces the one that waits; goes after the ordered ones */
};

struct sendq_item {
    struct sendq_item *next;
    enum sendq_lane lane;
    size_t len;          /* bytes of data behind the headroom */
    unsigned char buf[]; /* SENDQ_HEADROOM, then the data */
};

/* Zeroed to begin with. */
struct sendq {
    struct sendq_item *head, *tail; /* ordered, answers */
    struct sendq_item *latest;
    size_t bytes;   /* of data that waits */
    size_t answers; /* of them, of answers */
};

/*
 * Copies a message. 0: queued. 1: queued, and older ones were dropped: the one in the lane of the latest, or answers.
 * -1: full or no memory, and nothing was dropped.
 */
int sendq_put(struct sendq *q, enum sendq_lane lane, const char *data, size_t len);

/* The next message, to be freed by the caller with free(); NULL when nothing waits. */
struct sendq_item *sendq_take(struct sendq *q);

/* Drops everything. */
void sendq_clear(struct sendq *q);

#endif
