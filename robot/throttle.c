#include "robot/throttle.h"

bool throttle_pass(struct throttle *t, int64_t now_ms, unsigned *suppressed)
{
    if (t->passed == 0 || now_ms - t->since_ms >= THROTTLE_WINDOW_MS) {
        t->since_ms = now_ms;
        t->passed = 0;
    }
    if (t->passed >= THROTTLE_LINES) {
        t->suppressed++;
        return false;
    }
    t->passed++;
    *suppressed = t->suppressed;
    t->suppressed = 0;
    return true;
}
