/*
 * How long to wait before the next attempt to connect: 100–300 ms first, then 300–500 and doubling
 * up to 4–5 s, always with jitter, so that the robots of a relay that went away do not all come back at once.
 * Pure: chance comes in.
 */
#ifndef TELERELAY_ROBOT_BACKOFF_H
#define TELERELAY_ROBOT_BACKOFF_H

#include <stdint.h>

#define BACKOFF_CAP_MS      5000
#define BACKOFF_STEADY_MS   5000 /* connected for so long: the next loss starts afresh */
#define BACKOFF_REPLACED_MS 5000 /* at least, when another connection took this one's place */

/* Zeroed to begin with. */
struct backoff {
    unsigned failures; /* since the last steady connection */
};

/* ms to wait now; `chance` in [0, 1). */
int64_t backoff_next(struct backoff *b, double chance);

/* The same after close code 4001: two robots under one id must not throw each other out at full speed. */
int64_t backoff_replaced(struct backoff *b, double chance);

/* A connection ended that was open for `open_ms`. Call it before backoff_next. */
void backoff_ended(struct backoff *b, int64_t open_ms);

#endif
