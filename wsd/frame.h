/*
 * A WebSocket text message, framed once and shared by every session that sends it. Immutable and
 * counted by reference; a relay has one thread, so the count needs no lock.
 *
 * A message longer than FRAME_SEGMENT is split into WebSocket fragments of exactly FRAME_SEGMENT
 * bytes (header included; the last may be shorter), so that a slow receiver is fed piece by piece
 * and control frames may go in between.
 */
#ifndef TELERELAY_FRAME_H
#define TELERELAY_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_SEGMENT 16384u /* bytes on the wire */

struct frame {
    uint32_t refs;
    uint32_t len;    /* bytes on the wire, headers included */
    uint8_t bytes[]; /* unmasked, as a server sends it */
};

/* Copies `text`. One reference, the caller's. NULL when out of memory. */
struct frame *frame_create(const char *text, size_t len);
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f); /* takes NULL */

/* Where the fragment that starts at `offset` ends. */
size_t frame_segment_end(const struct frame *f, size_t offset);

#endif
