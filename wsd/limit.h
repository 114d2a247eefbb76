/* How much a peer may send: a token bucket, and when breaking the limit becomes a flood. Pure. */
#ifndef TELERELAY_LIMIT_H
#define TELERELAY_LIMIT_H

#include <stdint.h>

/* All zero is a full bucket that has never been used. */
struct limit {
    int64_t at_ms;    /* when `milli` was right; 0: never used */
    int32_t milli;    /* thousandths of a message left */
    uint32_t refused; /* since the bucket was last half full */
};

enum limit_verdict {
    LIMIT_OK,
    LIMIT_OVER, /* refused */
    LIMIT_FLOOD /* refused, again and again: close the connection */
};

/* rate: messages per second, 0 for no limit; burst: 1..1000000 messages. now_ms: monotonic. */
enum limit_verdict limit_take(struct limit *l, int rate, int burst, int64_t now_ms);

/* The same for one that counts as `n` (at most as `burst`, or it would never pass). */
enum limit_verdict limit_take_many(struct limit *l, int n, int rate, int burst, int64_t now_ms);

#endif
