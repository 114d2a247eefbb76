#include "fcgi/rows.h"

#include "common/sample.h"

void rows_init(struct rows *rows, const struct history *h)
{
    rows->h = h;
    rows->reserved = false;
    rows->clock.minute = 0;
    csv_begin(&rows->csv, h->has_fields ? h->fields : NULL, h->n_fields);
}

bool rows_accept(void *arg, const char *text, size_t len)
{
    struct rows *rows = arg;
    enum sample_kind kind = sample_check(text, len);
    if (kind == SAMPLE_RESERVED)
        rows->reserved = true;
    return kind != SAMPLE_BAD;
}

static void put_item(struct rows *rows, struct buf *out, const char *device_id, const struct series_sample *sample)
{
    const struct history *h = rows->h;
    if (h->has_fields) {
        item_json_fields(out, &rows->clock, device_id, sample, h->fields, h->n_fields);
    } else if (rows->reserved) {
        item_json_fields(out, &rows->clock, device_id, sample, NULL, 0);
        if (!out->failed) {
            out->len--; /* the brace */
            item_metrics(out, sample->text, sample->len);
            buf_add(out, "}", 1);
        }
    } else {
        item_json(out, &rows->clock, device_id, sample);
    }
}

void rows_put(struct rows *rows, struct buf *out, const char *device_id, const struct series_sample *sample)
{
    if (rows->h->format == HISTORY_CSV) {
        csv_row(&rows->csv, out, &rows->clock, device_id, sample);
        return;
    }
    put_item(rows, out, device_id, sample);
    if (rows->h->format == HISTORY_NDJSON)
        buf_add(out, "\n", 1);
}
