/*
 * What waits to be sent on one connection: lanes by urgency, bounded, with a drop rule per lane.
 * Pure: time comes in as an argument, bytes go out through a buffer of the caller's.
 *
 *   lane       order and drop rule
 *   stop       first; always accepted, everything else makes room
 *   command    before acks; an item with a key replaces an unsent one with the same key (moves)
 *   control    acks, errors, connection and status messages; first in, first out
 *   telemetry  first in, first out while the peer keeps up; latest wins per key when it is slow
 *   backfill   samples that are not the present: behind those that are, within half of the limit, refused when the peer
 *              is slow; the first to make room
 *   video      latest wins per key; does not count towards the limit, since frames are shared
 *
 * A sixteenth of the limit is left for stops and for commands with a key, so that a zero always finds room.
 * An item past its deadline is dropped by outq_expire, never delivered late.
 */
#ifndef TELERELAY_OUTQ_H
#define TELERELAY_OUTQ_H

#include "wsd/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outq_lane { OUTQ_STOP, OUTQ_COMMAND, OUTQ_CONTROL, OUTQ_TELEMETRY, OUTQ_BACKFILL, OUTQ_VIDEO, OUTQ_LANES };

enum outq_result {
    OUTQ_QUEUED,   /* waits */
    OUTQ_REPLACED, /* waits in the place of an older one, which is dropped */
    OUTQ_THINNED,  /* waits; older telemetry was dropped to make room */
    OUTQ_REFUSED   /* dropped: no room, or out of memory */
};

struct outq_item {
    struct frame *frame;
    int64_t deadline_ms; /* on the clock of outq_expire's now_ms; 0 for none */
    uint64_t token;      /* not 0: who queues it wants to know when it is not sent */
    uint32_t key;        /* not 0: a newer one may replace it; 0 for backfill */
    enum outq_lane lane;
};

/* Told of each item with a token that is dropped, from inside outq_push and outq_expire; not by outq_clear. */
enum outq_drop { OUTQ_SUPERSEDED, OUTQ_LATE, OUTQ_NO_ROOM };
struct outq_observer {
    void (*dropped)(void *ctx, uint64_t token, enum outq_drop why);
    void *ctx;
};

/* All zero is an empty queue. */
struct outq {
    struct outq_item *items; /* ordered by lane, then by arrival; allocated when first needed */
    uint16_t head;           /* index of the first item */
    uint16_t count;          /* items from head on */
    uint16_t cap;            /* items allocated */
    uint32_t bytes;          /* waiting, without video */
    struct frame *partial;   /* a message whose first fragments are sent: nothing may come in between */
    uint32_t partial_at;     /* bytes of it that are sent */
};

/*
 * Takes its own reference to the frame. slow: the peer does not keep up, so that telemetry replaces older telemetry of
 * the same key. limit: bytes that may wait, without video. observer: may be NULL; not told of `item` itself when that
 * is refused.
 */
enum outq_result outq_push(struct outq *q, const struct outq_item *item, bool slow, size_t limit,
                           const struct outq_observer *observer);

/* Drops the unsent items of this lane and key. */
void outq_withdraw(struct outq *q, enum outq_lane lane, uint32_t key, const struct outq_observer *observer);

/* Drops what is past its deadline; call it before outq_take. Only stop and command lane have deadlines. Returns how
 * many. */
unsigned outq_expire(struct outq *q, int64_t now_ms, const struct outq_observer *observer);

/*
 * The next bytes to write, most urgent first: whole messages joined, or one fragment of a long
 * one. *bytes points into `buf`, or into a frame that *hold keeps alive (release with frame_unref
 * after the write). Returns their number, 0 when the queue is empty. cap must be ≥ FRAME_SEGMENT.
 */
size_t outq_take(struct outq *q, uint8_t *buf, size_t cap, const uint8_t **bytes, struct frame **hold);

/*
 * The same for a peer that takes several messages in one WebSocket frame, separated by newlines: as many as fit `cap`
 * make one frame. Long messages go alone.
 */
size_t outq_take_batch(struct outq *q, uint8_t *buf, size_t cap, const uint8_t **bytes, struct frame **hold);

bool outq_empty(const struct outq *q);

/* Whether what would be taken next is a video frame that has not been begun; it goes alone. */
bool outq_video_next(const struct outq *q);

/* Drops everything and frees what is allocated; the queue is empty and usable afterwards. */
void outq_clear(struct outq *q);

/* A key that is never 0, from a device id (and a message type, say) by FNV-1a. */
uint32_t outq_key(const char *text, size_t len);

#endif
