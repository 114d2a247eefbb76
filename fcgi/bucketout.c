#include "fcgi/bucketout.h"

#include "fcgi/columns.h"

#include "common/jsonw.h"

#include <stdlib.h>
#include <string.h>

void bucketout_init(struct bucketout *o, const struct history *h, const struct buckets *b,
                    const struct bucketwalk_page *page)
{
    memset(o, 0, sizeof(*o));
    o->h = h;
    o->b = b;
    o->page = *page;
    for (size_t m = 0; m < buckets_metrics(b); m++) {
        bool occurs = m < buckets_first(b);
        for (size_t i = 0; i < page->n && !occurs; i++)
            occurs = buckets_cell(b, buckets_row(b, page->first + i), m)->count > 0;
        if (occurs)
            o->metrics[o->n_metrics++] = (uint16_t)m;
    }
}

void bucketout_finish(struct bucketout *o)
{
    free(o->index);
    o->index = NULL;
}

static const struct buckets_row *row_of(const struct bucketout *o, size_t i)
{
    return buckets_row(o->b, o->page.first + (o->h->descending ? o->page.n - 1 - i : i));
}

static double value_of(const struct buckets_cell *cell, enum steps_agg agg)
{
    switch (agg) {
    case STEPS_MIN:
        return cell->min;
    case STEPS_MAX:
        return cell->max;
    case STEPS_LAST:
        return cell->last;
    case STEPS_COUNT:
        return (double)cell->count;
    default:
        return cell->sum / (double)cell->count;
    }
}

static void put_value(struct buf *out, const struct buckets_cell *cell, enum steps_agg agg)
{
    char *p = buf_room(out, JSONW_NUMBER_MAX);
    if (p)
        out->len += jsonw_format_number(p, value_of(cell, agg));
}

static void put_name(const struct bucketout *o, size_t metric, size_t agg, struct buf *out)
{
    buf_str(out, buckets_name(o->b, o->metrics[metric]));
    if (o->h->steps.n_aggs > 1) {
        buf_add(out, "_", 1);
        buf_str(out, steps_agg_name(o->h->steps.aggs[agg]));
    }
}

/* --- items and lines --------------------------------------------------------------------------------- */

void bucketout_item(struct bucketout *o, size_t i, struct buf *out)
{
    const struct buckets_row *row = row_of(o, i);
    buf_str(out, "{\"device_id\":\"");
    buf_str(out, o->h->devices[row->device]);
    buf_str(out, "\",\"timestamp\":\"");
    buf_add(out, item_timestamp(&o->clock, (uint64_t)row->ms), CLOCK_RFC3339_MS_LEN);
    buf_add(out, "\"", 1);
    for (size_t m = 0; m < o->n_metrics; m++) {
        const struct buckets_cell *cell = buckets_cell(o->b, row, o->metrics[m]);
        for (size_t a = 0; a < o->h->steps.n_aggs && cell->count > 0; a++) {
            buf_add(out, ",\"", 2);
            put_name(o, m, a, out);
            buf_add(out, "\":", 2);
            put_value(out, cell, o->h->steps.aggs[a]);
        }
    }
    buf_add(out, "}", 1);
}

void bucketout_csv_header(const struct bucketout *o, struct buf *out)
{
    buf_str(out, "timestamp,device_id");
    for (size_t m = 0; m < o->n_metrics; m++) {
        for (size_t a = 0; a < o->h->steps.n_aggs; a++) {
            buf_add(out, ",", 1);
            put_name(o, m, a, out);
        }
    }
    buf_add(out, "\r\n", 2);
}

void bucketout_csv_row(struct bucketout *o, size_t i, struct buf *out)
{
    const struct buckets_row *row = row_of(o, i);
    buf_add(out, item_timestamp(&o->clock, (uint64_t)row->ms), CLOCK_RFC3339_MS_LEN);
    buf_add(out, ",", 1);
    buf_str(out, o->h->devices[row->device]);
    for (size_t m = 0; m < o->n_metrics; m++) {
        const struct buckets_cell *cell = buckets_cell(o->b, row, o->metrics[m]);
        for (size_t a = 0; a < o->h->steps.n_aggs; a++) {
            buf_add(out, ",", 1);
            if (cell->count > 0)
                put_value(out, cell, o->h->steps.aggs[a]);
        }
    }
    buf_add(out, "\r\n", 2);
}

/* --- columns ----------------------------------------------------------------------------------------- */

/* An empty bucket at the side where the walk came from, so that no line is drawn across a gap between two pages. */
static void add_gap(struct bucketout *o, int64_t last_ms)
{
    const struct history *h = o->h;
    if (!h->has_cursor || o->rows >= (size_t)h->limit)
        return;
    int64_t step = h->steps.ms, at = (int64_t)h->cursor.ms;
    if (h->descending && last_ms + step < at) {
        o->rows++;
    } else if (!h->descending && at + step < o->first_ms) {
        o->rows++;
        o->first_ms -= step;
    }
}

int bucketout_columns(struct bucketout *o)
{
    int64_t step = o->h->steps.ms;
    if (o->page.n > 0) {
        int64_t last_ms = buckets_row(o->b, o->page.first + o->page.n - 1)->ms;
        o->first_ms = buckets_row(o->b, o->page.first)->ms;
        o->rows = (size_t)((last_ms - o->first_ms) / step) + 1;
        add_gap(o, last_ms);
    }
    size_t columns = bucketout_count(o);
    if (columns > BUCKETOUT_COLUMNS_MAX || columns * o->rows > BUCKETOUT_CELLS_MAX)
        return -1;
    o->index = calloc(o->rows * o->h->n_devices + 1, sizeof(*o->index));
    if (!o->index)
        return -2;
    for (size_t i = o->page.first; i < o->page.first + o->page.n; i++) {
        const struct buckets_row *row = buckets_row(o->b, i);
        o->index[row->device * o->rows + (size_t)((row->ms - o->first_ms) / step)] = (uint32_t)i + 1;
    }
    return 0;
}

size_t bucketout_count(const struct bucketout *o)
{
    return 1 + o->h->n_devices * o->n_metrics * o->h->steps.n_aggs;
}

void bucketout_names(const struct bucketout *o, struct buf *out)
{
    buf_str(out, "[\"timestamp\"");
    for (size_t d = 0; d < o->h->n_devices; d++) {
        for (size_t m = 0; m < o->n_metrics; m++) {
            for (size_t a = 0; a < o->h->steps.n_aggs; a++) {
                buf_str(out, ",\"");
                if (o->h->n_devices > 1) {
                    buf_str(out, o->h->devices[d]);
                    buf_add(out, ".", 1);
                }
                put_name(o, m, a, out);
                buf_add(out, "\"", 1);
            }
        }
    }
    buf_add(out, "]", 1);
}

void bucketout_units(const struct bucketout *o, struct buf *out)
{
    buf_str(out, "[\"s\"");
    for (size_t d = 0; d < o->h->n_devices; d++) {
        for (size_t m = 0; m < o->n_metrics; m++) {
            for (size_t a = 0; a < o->h->steps.n_aggs; a++) {
                const char *name = buckets_name(o->b, o->metrics[m]);
                buf_str(out, ",\"");
                if (o->h->steps.aggs[a] != STEPS_COUNT)
                    buf_str(out, columns_unit(name, strlen(name)));
                buf_add(out, "\"", 1);
            }
        }
    }
    buf_add(out, "]", 1);
}

void bucketout_data(const struct bucketout *o, size_t column, struct buf *out)
{
    size_t aggs = o->h->steps.n_aggs, metric = 0, agg = 0;
    const uint32_t *index = o->index;
    if (column > 0) {
        agg = (column - 1) % aggs;
        metric = o->metrics[(column - 1) / aggs % o->n_metrics];
        index += (column - 1) / aggs / o->n_metrics * o->rows;
    }
    buf_add(out, "[", 1);
    for (size_t i = 0; i < o->rows; i++) {
        if (i > 0)
            buf_add(out, ",", 1);
        if (column == 0) {
            buf_u64(out, (uint64_t)(o->first_ms + (int64_t)i * o->h->steps.ms) / 1000);
            continue;
        }
        const struct buckets_cell *cell = index[i] ? buckets_cell(o->b, buckets_row(o->b, index[i] - 1), metric) : NULL;
        if (cell && cell->count > 0)
            put_value(out, cell, o->h->steps.aggs[agg]);
        else
            buf_str(out, "null");
    }
    buf_add(out, "]", 1);
}
