/*
 * A page of buckets as items, lines of CSV and columns. Pure.
 *
 * With one aggregate a value is named as its metric is (battery), with several it says which one it is (battery_min).
 */
#ifndef TELERELAY_FCGI_BUCKETOUT_H
#define TELERELAY_FCGI_BUCKETOUT_H

#include "fcgi/bucketwalk.h"
#include "fcgi/item.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUCKETOUT_COLUMNS_MAX 4096    /* of a table of columns */
#define BUCKETOUT_CELLS_MAX   4000000 /* of one: rows × columns */

struct bucketout {
    const struct history *h;
    const struct buckets *b;
    struct bucketwalk_page page;
    uint16_t metrics[BUCKETS_METRICS_MAX]; /* that were asked for, are usual or occur */
    size_t n_metrics;
    struct item_clock clock;

    /* As columns: */
    int64_t first_ms; /* the first row's time */
    size_t rows;      /* one for each bucket */
    uint32_t *index;  /* owned; device × rows: which row of the buckets, plus one; 0: none */
};

/* What it is given has to outlive it; *b is finished. */
void bucketout_init(struct bucketout *o, const struct history *h, const struct buckets *b,
                    const struct bucketwalk_page *page);
void bucketout_finish(struct bucketout *o);

/* {"device_id":…,"timestamp":…,values}: the i-th row in the walk's direction, without what has no value. */
void bucketout_item(struct bucketout *o, size_t i, struct buf *out);

/* timestamp,device_id,values and the end of the line */
void bucketout_csv_header(const struct bucketout *o, struct buf *out);
void bucketout_csv_row(struct bucketout *o, size_t i, struct buf *out);

/*
 * Makes a table: ascending, a row for each bucket from the first to the last; where the page before has ended
 * in front of a gap, and there is room for it, begins or ends with an empty one. Column 0 is the time; with several
 * devices a name is DEVICE.NAME. 0; -1 when it is too large; -2 without memory.
 */
int bucketout_columns(struct bucketout *o);

/* JSON arrays: the columns' names, their units, and one column. */
void bucketout_names(const struct bucketout *o, struct buf *out);
void bucketout_units(const struct bucketout *o, struct buf *out);
size_t bucketout_count(const struct bucketout *o); /* of columns */
void bucketout_data(const struct bucketout *o, size_t column, struct buf *out);

#endif
