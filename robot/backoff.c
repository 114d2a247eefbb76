#include "robot/backoff.h"

int64_t backoff_next(struct backoff *b, double chance)
{
    double middle = 200;
    double spread = b->failures == 0 ? 0.5 : 0.25; /* the first one is when all robots of a relay come */

    for (unsigned i = 0; i < b->failures; i++)
        middle *= 2;
    if (middle >= BACKOFF_CAP_MS)
        return (int64_t)(BACKOFF_CAP_MS * (0.8 + 0.2 * chance));
    b->failures++;
    return (int64_t)(middle * (1 - spread + 2 * spread * chance));
}

int64_t backoff_replaced(struct backoff *b, double chance)
{
    b->failures = 0;
    return BACKOFF_REPLACED_MS + (int64_t)(chance * 1000);
}

void backoff_ended(struct backoff *b, int64_t open_ms)
{
    if (open_ms >= BACKOFF_STEADY_MS)
        b->failures = 0;
}
