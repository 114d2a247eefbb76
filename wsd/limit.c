#include "wsd/limit.h"

/* A peer this many bursts over its limit, without slowing down, is not going to listen. */
#define FLOOD_BURSTS 5

enum limit_verdict limit_take(struct limit *l, int rate, int burst, int64_t now_ms)
{
    return limit_take_many(l, 1, rate, burst, now_ms);
}

enum limit_verdict limit_take_many(struct limit *l, int n, int rate, int burst, int64_t now_ms)
{
    if (rate <= 0)
        return LIMIT_OK;
    int64_t full = (int64_t)burst * 1000;
    int64_t cost = (int64_t)(n < burst ? n : burst) * 1000;
    int64_t milli = full;
    if (l->at_ms != 0) {
        int64_t gained = (now_ms - l->at_ms) * rate;
        milli = gained >= full - l->milli ? full : l->milli + gained;
    }
    l->at_ms = now_ms;
    if (milli >= full / 2)
        l->refused = 0;
    if (milli >= cost) {
        l->milli = (int32_t)(milli - cost);
        return LIMIT_OK;
    }
    l->milli = (int32_t)milli;
    return ++l->refused >= (uint32_t)burst * FLOOD_BURSTS ? LIMIT_FLOOD : LIMIT_OVER;
}
