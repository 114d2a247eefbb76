/*
 * Samples as CSV (RFC 4180): timestamp, device_id, then metrics; an empty cell where a sample lacks
 * one. Pure. No value ever needs quotes: names, ids and numbers have no commas.
 */
#ifndef TELERELAY_FCGI_CSV_H
#define TELERELAY_FCGI_CSV_H

#include "fcgi/buf.h"
#include "fcgi/item.h"
#include "fcgi/series.h"

#include "common/msg.h"

#include <stdbool.h>

#define CSV_COLUMNS_MAX 256 /* metrics of one answer */
#define CSV_TOO_MANY    "these samples have too many different metrics for one table; choose with fields"

struct csv_column {
    const char *name; /* the caller's or a sample's, not NUL-terminated */
    size_t len;
};

struct csv {
    struct csv_column columns[CSV_COLUMNS_MAX];
    size_t n;
    size_t n_first; /* in a fixed order; those behind are sorted by name */
};

/* The asked metrics in that order (there may be none); fields NULL: battery, cpu, temperature, signal. */
void csv_begin(struct csv *csv, const char (*fields)[MSG_METRIC_NAME_MAX + 1], size_t n);

/* Adds columns for a sample's further metrics; -1 when there would be too many. */
int csv_widen(struct csv *csv, const struct series_sample *sample);

/* The same for one metric, whose name has to outlive the table. */
int csv_add(struct csv *csv, const char *name);

bool csv_has(const struct csv *csv, const char *name, size_t len);

void csv_header(const struct csv *csv, struct buf *out);
void csv_row(const struct csv *csv, struct buf *out, struct item_clock *clock, const char *device_id,
             const struct series_sample *sample);

#endif
