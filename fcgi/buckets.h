/*
 * Samples of several devices, aggregated into buckets of time. Pure.
 *
 * A row is one device's bucket that has a value; it has a cell for each metric. Rows are collected window by window,
 * in any order of the windows; what a window holds may be fed in any order but for this: a device's samples in order of
 * their ids.
 *
 *   buckets_begin
 *   for each window: buckets_window; buckets_sample, buckets_rollup
 *   buckets_finish; then rows, metrics and cells can be read
 */
#ifndef TELERELAY_FCGI_BUCKETS_H
#define TELERELAY_FCGI_BUCKETS_H

#include "common/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUCKETS_METRICS_MAX 256    /* of one answer */
#define BUCKETS_CELLS_MAX   500000 /* of one answer; 48 bytes each */

struct buckets;

enum buckets_result {
    BUCKETS_OK,
    BUCKETS_METRICS, /* more than BUCKETS_METRICS_MAX metrics */
    BUCKETS_CELLS,   /* more than BUCKETS_CELLS_MAX cells */
    BUCKETS_MEMORY
};

struct buckets_cell {
    int64_t count; /* 0: no value */
    double sum, min, max, last;
    int64_t last_ms; /* when `last` was; of a roll-up its beginning */
};

struct buckets_row {
    int64_t ms;      /* the bucket's beginning */
    uint32_t device; /* index */
    uint32_t at;     /* where its cells are */
};

struct buckets *buckets_create(void);
void buckets_destroy(struct buckets *b);

/* Forgets everything. Only these metrics count, in this order; fields NULL: all of them. */
void buckets_begin(struct buckets *b, int64_t step_ms, size_t devices, const char (*fields)[MSG_METRIC_NAME_MAX + 1],
                   size_t n_fields);

/* From now on it is `count` buckets, the first of which begins at first_ms, none of which had a window before. */
enum buckets_result buckets_window(struct buckets *b, int64_t first_ms, size_t count);

/* Takes back what the present window has got. Metrics stay. */
void buckets_undo(struct buckets *b);

/* One sample (common/sample.h) of the window. Values that are no finite numbers do not count. */
enum buckets_result buckets_sample(struct buckets *b, size_t device, int64_t ms, const char *text, size_t len);

/* Where a metric is; SIZE_MAX when it does not count. */
enum buckets_result buckets_metric(struct buckets *b, const char *name, size_t len, size_t *metric);

/* The metric that is there; valid until buckets_begin. */
const char *buckets_known(const struct buckets *b, size_t metric);

/* One roll-up of the window: what `cell` says, for the time from ms on. */
enum buckets_result buckets_rollup(struct buckets *b, size_t device, size_t metric, int64_t ms,
                                   const struct buckets_cell *cell);

/* How many rows there are, and of which buckets the first and the last of them are. */
size_t buckets_rows(const struct buckets *b);
void buckets_span(const struct buckets *b, int64_t *first_ms, int64_t *last_ms);

/* Sorts: rows by time and device; metrics as asked, or battery, cpu, temperature and signal first, then by name. */
void buckets_finish(struct buckets *b);

/* After buckets_finish. */
const struct buckets_row *buckets_row(const struct buckets *b, size_t i);
size_t buckets_metrics(const struct buckets *b);
const char *buckets_name(const struct buckets *b, size_t i);
const struct buckets_cell *buckets_cell(const struct buckets *b, const struct buckets_row *row, size_t i);

/* How many of the metrics were asked for, or are the usual four: they are first. */
size_t buckets_first(const struct buckets *b);

#endif
