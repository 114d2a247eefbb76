/* Keeps a stream of log lines that a peer or a library can cause down to a few. Pure. */
#ifndef TELERELAY_ROBOT_THROTTLE_H
#define TELERELAY_ROBOT_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_LINES     10
#define THROTTLE_WINDOW_MS 5000

/* Zeroed to begin with. */
struct throttle {
    int64_t since_ms;    /* when the window began */
    unsigned passed;     /* in this window */
    unsigned suppressed; /* since the last one that passed */
};

/* Whether to say it. If so, *suppressed is how many were kept back since the last one that passed. */
bool throttle_pass(struct throttle *t, int64_t now_ms, unsigned *suppressed);

#endif
