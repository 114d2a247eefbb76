/*
 * How archiving goes, for people, /readyz and Prometheus. Pure.
 *
 * Fields of the hash RKEY_ARCHIVE (times in ms since 1970): instance, updated_ms, database (up, away), reason and
 * since_ms of that, lag_ms (age of the oldest sample that waits; 0: none did at the last look), lag_samples and
 * lag_entries (that wait, estimated from the streams' lengths), near_loss (streams whose hard cap is near), streams,
 * rows, commits, failures, gaps, trimmed, expired (counted since the start of the instance).
 */
#ifndef TELERELAY_SQL_REPORT_H
#define TELERELAY_SQL_REPORT_H

#include "sql/feed.h"

#define REPORT_FIELDS_MAX  24
#define REPORT_METRICS_MAX 8192

struct report {
    char instance[128];
    bool database_up;
    char reason[200]; /* why it is not; "" while it is */
    int64_t since_ms; /* of database_up; 0: not known yet */
    size_t streams;   /* that are looked after */
    struct plan_lag lag;
    int64_t rows[ARCHIVE_KINDS];
    int64_t commits, failures; /* transactions */
    int64_t gaps;              /* streams that have lost entries */
    int64_t restarts;          /* streams that Redis has lost, or the end of */
    int64_t trimmed, expired;
};

size_t report_fields(const struct report *r, int64_t now_ms, struct feed_field fields[REPORT_FIELDS_MAX]);

/* Prometheus text; returns its length, 0 when it does not fit. */
size_t report_metrics(char out[REPORT_METRICS_MAX], const struct report *r);

#endif
