/*
 * Where a walk through a history stands: the last entry that was given out, in the total order of
 * (ms, seq, device id). One position is enough for any number of devices, and it stays valid while
 * entries arrive or are trimmed. Pure.
 *
 * The text is opaque, URL-safe and checked (a checksum against mistakes, not against forgery: a
 * cursor gives no right that its query does not have).
 */
#ifndef TELERELAY_FCGI_CURSOR_H
#define TELERELAY_FCGI_CURSOR_H

#include "common/clock.h"
#include "common/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURSOR_TEXT_MAX 160 /* with the NUL */

/* No bucket begins or ends later: the end of the year 9999, and the 30 days that a step is rounded up by (steps_fit).
 */
#define CURSOR_BUCKET_MAX_MS (CLOCK_LAST_MS + 30 * 86400000LL)

/* What is walked through: each has cursors of its own. */
enum cursor_walk { CURSOR_TELEMETRY = 1, CURSOR_COMMANDS, CURSOR_EVENTS };

struct cursor {
    enum cursor_walk walk;
    bool descending;                       /* the walk's direction */
    int64_t step_ms;                       /* the walk goes through buckets of so many ms; 0: through entries */
    uint64_t ms, seq;                      /* the last entry's id (of a bucket: its beginning, and 0) … */
    char device_id[MSG_DEVICE_ID_MAX + 1]; /* … and device; "" for events, which are one stream */
    bool has_from, has_to;                 /* the walk began with a lower, an upper bound … */
    int64_t from_ms, to_ms;                /* … which was this then; 0 when it has none */
};

/* NUL-terminated; returns its length. */
size_t cursor_encode(char out[CURSOR_TEXT_MAX], const struct cursor *c);

/* 0, or -1 with *c unchanged. Accepts exactly what cursor_encode writes, within CURSOR_BUCKET_MAX_MS. */
int cursor_decode(const char *text, size_t len, struct cursor *c);

#endif
