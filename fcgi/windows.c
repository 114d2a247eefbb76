#include "fcgi/windows.h"

void windows_begin(struct windows *w, int64_t from_ms, int64_t to_ms, int64_t step_ms, bool descending, size_t rows,
                   size_t devices)
{
    int64_t lanes = devices > 0 ? (int64_t)devices : 1;
    *w = (struct windows){.step_ms = step_ms, .descending = descending, .lo = 0, .hi = -1};
    if (from_ms <= to_ms) {
        w->lo = from_ms / step_ms;
        w->hi = to_ms / step_ms;
    }
    w->most = WINDOWS_MOST / lanes;
    w->least = (int64_t)rows / lanes + 2;
    if (w->least > w->most)
        w->least = w->most;
    w->size = w->least;
}

bool windows_single(const struct windows *w)
{
    return w->hi - w->lo < w->size;
}

bool windows_left(const struct windows *w, int64_t *from_ms, int64_t *to_ms)
{
    *from_ms = w->lo * w->step_ms;
    *to_ms = (w->hi + 1) * w->step_ms - 1;
    return w->lo <= w->hi;
}

void windows_clamp(struct windows *w, int64_t from_ms, int64_t to_ms)
{
    int64_t lo = from_ms / w->step_ms, hi = from_ms > to_ms ? -1 : to_ms / w->step_ms;
    if (lo > w->lo)
        w->lo = lo;
    if (hi < w->hi)
        w->hi = hi;
}

bool windows_next(const struct windows *w, int64_t *first_ms, size_t *count)
{
    if (w->lo > w->hi)
        return false;
    int64_t left = w->hi - w->lo + 1, n = left < w->size ? left : w->size;
    *first_ms = (w->descending ? w->hi - n + 1 : w->lo) * w->step_ms;
    *count = (size_t)n;
    return true;
}

void windows_done(struct windows *w, size_t rows)
{
    if (w->descending)
        w->hi -= w->size;
    else
        w->lo += w->size;
    w->size = rows > 0 ? w->least : w->size * 2;
    if (w->size > w->most)
        w->size = w->most;
}

bool windows_shrink(struct windows *w)
{
    if (w->size <= w->least)
        return false;
    w->size = w->least;
    return true;
}
