#include "common/sample.h"
#include "fcgi/csv.h"
#include "fcgi/page.h"

/* Notes in *reserved whether any sample cannot stand in an answer as it is: hardly ever, and worth knowing
 * before each one is looked at again. */
static bool is_sample(void *reserved, const char *text, size_t len)
{
    enum sample_kind kind = sample_check(text, len);
    if (kind == SAMPLE_RESERVED)
        *(bool *)reserved = true;
    return kind != SAMPLE_BAD;
}

static void put_item(struct buf *out, struct item_clock *clock, const struct page *page, size_t i, void *reserved)
{
    const struct history *h = &page->h;
    const char *device_id = page_device(page, i);
    const struct series_sample *sample = &page->entries[i];
    if (h->has_fields) {
        item_json_fields(out, clock, device_id, sample, h->fields, h->n_fields);
    } else if (*(const bool *)reserved) {
        item_json_fields(out, clock, device_id, sample, NULL, 0);
        if (!out->failed) {
            out->len--; /* the brace */
            item_metrics(out, sample->text, sample->len);
            buf_add(out, "}", 1);
        }
    } else {
        item_json(out, clock, device_id, sample);
    }
}

static void answer_csv(struct reply *reply, const struct page *page)
{
    const struct history *h = &page->h;
    struct item_clock clock = {0};
    struct csv csv;
    csv_begin(&csv, h->has_fields ? h->fields : NULL, h->n_fields);
    for (size_t i = 0; i < page->n && !h->has_fields; i++) {
        if (csv_widen(&csv, &page->entries[i]) < 0) {
            reply_problem(reply, 400,
                          "these samples have too many different metrics for one table; choose with fields");
            return;
        }
    }
    reply_type(reply, "text/csv; charset=utf-8");
    csv_header(&csv, &reply->body);
    for (size_t i = 0; i < page->n; i++) {
        csv_row(&csv, &reply->body, &clock, page_device(page, i), &page->entries[i]);
        if (reply_flush(reply) < 0)
            return;
    }
}

void h_telemetry_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const struct page_source source = {
        .walk = CURSOR_TELEMETRY, .path = "/api/telemetry", .kind = ARCHIVE_SAMPLES, .accept = is_sample};
    struct page page;
    bool reserved = false;
    (void)segment;
    if (page_read(ctx, req, &source, &reserved, &page, reply) < 0)
        return;
    if (page.h.format == HISTORY_CSV)
        answer_csv(reply, &page);
    else
        page_json(reply, &page, put_item, &reserved);
}
