/*
 * Several devices' samples as one series in order. Pure: the caller fetches, this says what.
 *
 * A lane is one device's part of the stream that is wanted and not yet given out. The total order is
 * (ms, seq, lane); lanes are sorted by device id, so that it is (ms, seq, device id). Descending is
 * exactly the reverse.
 *
 *   series_begin; for each lane series_lane (its bounds)
 *   loop: series_next → SERIES_NEED lane: fetch from series_want's range, series_feed each entry,
 *                       series_fed
 *                     → SERIES_SAMPLE: the next one
 *                     → SERIES_END
 */
#ifndef TELERELAY_FCGI_SERIES_H
#define TELERELAY_FCGI_SERIES_H

#include "common/streamid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct series_sample {
    struct streamid id;
    const char *text; /* the feeder's, which keeps it until the next series_begin */
    uint32_t len;     /* bytes */
    uint32_t lane;
};

struct series;

struct series *series_create(void);
void series_destroy(struct series *s);

/* Forgets everything. 0, or -1 without memory. */
int series_begin(struct series *s, size_t lanes, bool descending);

/* The lane's bounds, before anything is fed. An empty range is a lane without samples. */
void series_lane(struct series *s, size_t lane, struct streamid_range range);

/* Lowers a lane's upper bound, before anything is fed: what arrives later stays out of this answer. */
void series_limit(struct series *s, size_t lane, struct streamid last);

/* What is to be fetched for a lane now: false when nothing is. */
bool series_want(const struct series *s, size_t lane, struct streamid_range *range);

/* One entry, in the series' direction. text == NULL: there is one, but it is not to be given out.
 * -1 without memory. */
int series_feed(struct series *s, size_t lane, struct streamid id, const char *text, size_t len);

/* The fetch is over: `got` entries came, `asked` were asked for. Fewer: the lane has no more. */
void series_fed(struct series *s, size_t lane, size_t got, size_t asked);

/* The fetch is over, and the lane goes on at this id, or where it was if that is further: the last fetch's source has
 * nothing in between. */
void series_goes_on(struct series *s, size_t lane, struct streamid at);

enum series_step { SERIES_SAMPLE, SERIES_NEED, SERIES_END };

/* The next sample to *out; or the lane that must be fed first to *lane. */
enum series_step series_next(struct series *s, struct series_sample *out, size_t *lane);

#endif
