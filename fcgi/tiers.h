/*
 * From where the samples of a range of time are to be had when they are to be aggregated: whole hours and whole
 * minutes from the archive's roll-ups, what is left from the samples themselves. Pure.
 */
#ifndef TELERELAY_FCGI_TIERS_H
#define TELERELAY_FCGI_TIERS_H

#include "sql/archive.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIERS_SEGMENTS_MAX 8

struct tiers_segment {
    bool raw;                    /* samples, else roll-ups */
    struct streamid_range range; /* raw: their ids */
    enum archive_tier tier;      /* roll-ups: of which length, … */
    int64_t from_ms, to_ms;      /* … and those that begin in [from_ms, to_ms) */
};

/*
 * Segments, in order of time, that hold each sample of from_ms..to_ms (both inclusive, not negative) exactly once, for
 * buckets of step_ms. Roll-ups hold exactly the samples up to `position`, inclusive; NULL: there are none. Those of a
 * tier that begin before kept_ms, a multiple of an hour, may have been deleted: the next finer ones stand in for them.
 * Returns how many segments there are: 0 when the range is empty.
 */
size_t tiers_plan(struct tiers_segment segments[TIERS_SEGMENTS_MAX], int64_t from_ms, int64_t to_ms, int64_t step_ms,
                  const struct streamid *position, const int64_t kept_ms[ARCHIVE_TIERS]);

/* kept_ms of a tier that is kept for so many days (0: for ever). */
int64_t tiers_kept(int64_t now_ms, int keep_d);

/* Whether any roll-ups serve buckets of this length. */
bool tiers_serve(int64_t step_ms);

#endif
