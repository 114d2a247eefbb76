#include "fcgi/tiers.h"

#define MINUTE 60000LL
#define HOUR   3600000LL
#define DAY    (24 * HOUR)

struct plan {
    struct tiers_segment *segments;
    size_t n;
    const struct streamid *position;
    const int64_t *kept_ms; /* of each tier */
};

static void add_ids(struct plan *p, struct streamid lo, struct streamid hi)
{
    struct tiers_segment *last = p->n > 0 ? &p->segments[p->n - 1] : NULL;
    if (last && last->raw && last->range.hi.ms + 1 == lo.ms && lo.seq == 0)
        last->range.hi = hi;
    else
        p->segments[p->n++] = (struct tiers_segment){.raw = true, .range = {lo, hi}};
}

static void add_raw(struct plan *p, int64_t from, int64_t end)
{
    if (from < end)
        add_ids(p, (struct streamid){(uint64_t)from, 0}, (struct streamid){(uint64_t)end - 1, UINT64_MAX});
}

/* Roll-ups of [from, end), both multiples of their length, as far as the archive has come; then samples. */
static void add_tier(struct plan *p, enum archive_tier tier, int64_t from, int64_t end)
{
    int64_t len = tier == ARCHIVE_HOUR ? HOUR : MINUTE;
    if (from >= end)
        return;
    if (!p->position || p->position->ms < (uint64_t)from) {
        add_raw(p, from, end);
        return;
    }
    struct tiers_segment segment = {.tier = tier, .from_ms = from, .to_ms = end};
    if (p->position->ms >= (uint64_t)end) {
        p->segments[p->n++] = segment;
        return;
    }
    /* The roll-up that the position is in holds the samples up to it; those behind it follow. */
    struct streamid next = *p->position, last = {(uint64_t)end - 1, UINT64_MAX};
    segment.to_ms = ((int64_t)next.ms / len + 1) * len;
    p->segments[p->n++] = segment;
    if (streamid_after(&next) && streamid_compare(next, last) <= 0)
        add_ids(p, next, last);
}

static int64_t within(int64_t ms, int64_t from, int64_t end)
{
    return ms < from ? from : ms < end ? ms : end;
}

static void add_minutes(struct plan *p, int64_t from, int64_t end)
{
    int64_t kept = within(p->kept_ms[ARCHIVE_MINUTE], from, end);
    add_raw(p, from, kept);
    add_tier(p, ARCHIVE_MINUTE, kept, end);
}

static void add_hours(struct plan *p, int64_t from, int64_t end)
{
    int64_t kept = within(p->kept_ms[ARCHIVE_HOUR], from, end);
    if (from < kept)
        add_minutes(p, from, kept);
    add_tier(p, ARCHIVE_HOUR, kept, end);
}

static int64_t round_up(int64_t ms, int64_t len)
{
    return (ms + len - 1) / len * len;
}

bool tiers_serve(int64_t step_ms)
{
    return step_ms % MINUTE == 0;
}

size_t tiers_plan(struct tiers_segment segments[TIERS_SEGMENTS_MAX], int64_t from_ms, int64_t to_ms, int64_t step_ms,
                  const struct streamid *position, const int64_t kept_ms[ARCHIVE_TIERS])
{
    struct plan p = {.segments = segments, .position = position, .kept_ms = kept_ms};
    if (from_ms > to_ms)
        return 0;
    int64_t end = to_ms + 1;
    int64_t minute = round_up(from_ms, MINUTE), minute_end = end / MINUTE * MINUTE;
    if (step_ms % MINUTE != 0 || minute >= minute_end) {
        add_raw(&p, from_ms, end);
        return p.n;
    }
    int64_t hour = round_up(minute, HOUR), hour_end = minute_end / HOUR * HOUR;
    if (step_ms % HOUR != 0 || hour >= hour_end)
        hour = hour_end = minute_end;
    add_raw(&p, from_ms, minute);
    add_minutes(&p, minute, hour);
    add_hours(&p, hour, hour_end);
    add_minutes(&p, hour_end, minute_end);
    add_raw(&p, minute_end, end);
    return p.n;
}

int64_t tiers_kept(int64_t now_ms, int keep_d)
{
    int64_t deleted = now_ms - keep_d * DAY;                                /* before that */
    return keep_d == 0 || deleted < 0 ? 0 : round_up(deleted, HOUR) + HOUR; /* clocks differ */
}
