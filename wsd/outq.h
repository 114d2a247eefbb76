/*
 * What waits to be sent on one connection: lanes by urgency, bounded, with a drop rule per lane.
 * Pure: time comes in as an argument, bytes go out through a buffer of the caller's.
 *
 *   lane       order and drop rule
 *   stop       first; always accepted, everything else makes room
 *   command    before acks; an item with a key replaces an unsent one with the same key (moves)
 *   control    acks, errors, connection and status messages; first in, first out
 *   telemetry  first in, first out while the peer keeps up; latest wins per key when it is slow
 *   video      latest wins per key; does not count towards the limit, since frames are shared
 *
 * An item past its deadline is dropped when its turn comes, never delivered late.
 */
#ifndef TELERELAY_OUTQ_H
#define TELERELAY_OUTQ_H

#include "wsd/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outq_lane { OUTQ_STOP, OUTQ_COMMAND, OUTQ_CONTROL, OUTQ_TELEMETRY, OUTQ_VIDEO, OUTQ_LANES };

enum outq_result {
    OUTQ_QUEUED,   /* waits */
    OUTQ_REPLACED, /* waits in the place of an older one, which is dropped */
    OUTQ_THINNED,  /* waits; older telemetry was dropped to make room */
    OUTQ_REFUSED   /* dropped: no room, or out of memory */
};

struct outq_item;

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

struct outq_counts {
    uint32_t expired[OUTQ_LANES]; /* dropped since their deadline had passed */
};

/*
 * Takes its own reference to `f`. key 0: never replaced. slow: the peer does not keep up, so that
 * telemetry replaces older telemetry of the same key. limit: bytes that may wait, without video.
 * deadline_ms: on the clock of outq_take's now_ms; 0 for none.
 */
enum outq_result outq_push(struct outq *q, enum outq_lane lane, struct frame *f, uint32_t key, int64_t deadline_ms,
                           bool slow, size_t limit);

/*
 * The next bytes to write, most urgent first: whole messages joined, or one fragment of a long
 * one. *bytes points into `buf`, or into a frame that *hold keeps alive (release with frame_unref
 * after the write). Returns their number, 0 when the queue is empty. cap must be ≥ FRAME_SEGMENT.
 */
size_t outq_take(struct outq *q, int64_t now_ms, uint8_t *buf, size_t cap, const uint8_t **bytes, struct frame **hold,
                 struct outq_counts *counts);

bool outq_empty(const struct outq *q);

/* Drops everything and frees what is allocated; the queue is empty and usable afterwards. */
void outq_clear(struct outq *q);

/* A key that is never 0, from a device id (and a message type, say) by FNV-1a. */
uint32_t outq_key(const char *text, size_t len);

#endif
