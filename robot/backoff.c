#include "robot/backoff.h"

int64_t backoff_next(struct backoff *b, double chance)
{
    int64_t middle = 200;

    for (unsigned i = 0; i < b->failures && middle < BACKOFF_CAP_MS; i++)
        middle *= 2;
    if (middle < BACKOFF_CAP_MS)
        b->failures++;
    int64_t ms = (int64_t)((double)middle * (0.5 + chance));

    return ms < BACKOFF_CAP_MS ? ms : BACKOFF_CAP_MS - (int64_t)(chance * 1000);
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
