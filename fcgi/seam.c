#include "fcgi/seam.h"

enum seam_source seam_next(const struct seam *s, bool descending, struct streamid_range *range)
{
    if (descending) {
        if (s->known && streamid_compare(range->hi, s->floor) < 0)
            return SEAM_ARCHIVE;
        if (s->known && streamid_compare(range->lo, s->floor) < 0)
            range->lo = s->floor;
        return SEAM_REDIS;
    }
    if (!s->known)
        return SEAM_LOOK;
    if (streamid_compare(range->lo, s->floor) >= 0)
        return SEAM_REDIS;
    struct streamid last = s->floor;
    if (streamid_before(&last) && streamid_compare(last, range->hi) < 0)
        range->hi = last;
    return SEAM_ARCHIVE;
}

void seam_looked(struct seam *s, const struct streamid *first)
{
    struct streamid floor = first ? *first : STREAMID_LAST;
    /* What was archived once stays so, even when Redis has come back with entries that it had trimmed. */
    if (!s->known || streamid_compare(floor, s->floor) > 0)
        s->floor = floor;
    s->known = true;
}

bool seam_covers(const struct seam *s, struct streamid lo)
{
    return s->known && streamid_compare(s->floor, lo) <= 0;
}
