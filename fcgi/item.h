/*
 * One sample, and what begins every item of an answer, as JSON. Pure.
 */
#ifndef TELERELAY_FCGI_ITEM_H
#define TELERELAY_FCGI_ITEM_H

#include "fcgi/buf.h"
#include "fcgi/series.h"

#include "common/clock.h"
#include "common/msg.h"

/* Time stamps of one answer are mostly of one minute: the date is worked out once for it. Zeroed at first. */
struct item_clock {
    uint64_t minute; /* since 1970, plus one; 0: nothing yet */
    char text[CLOCK_RFC3339_MS_LEN + 1];
};

/* "2026-01-15T10:30:45.123Z" for ms since 1970; valid until the next call. */
const char *item_timestamp(struct item_clock *clock, uint64_t ms);

/* {"id":…,"device_id":…,"timestamp":… without the closing brace */
void item_head(struct buf *out, struct item_clock *clock, const char *device_id, struct streamid id);

/* {"id":…,"device_id":…,"timestamp":…,metrics as stored} */
void item_json(struct buf *out, struct item_clock *clock, const char *device_id, const struct series_sample *sample);

/* The same with the named metrics only, in that order; those it does not have are absent. */
void item_json_fields(struct buf *out, struct item_clock *clock, const char *device_id,
                      const struct series_sample *sample, const char (*fields)[MSG_METRIC_NAME_MAX + 1], size_t n);

/* ,"name":number for each stored metric, but those named as an item's own members. */
void item_metrics(struct buf *out, const char *text, size_t len);

#endif
