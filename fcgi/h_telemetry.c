#include "fcgi/closed.h"
#include "fcgi/export.h"
#include "fcgi/page.h"
#include "fcgi/rows.h"

static void put_item(struct buf *out, struct item_clock *clock, const struct page *page, size_t i, void *rows)
{
    (void)clock;
    rows_put(rows, out, page_device(page, i), &page->entries[i]);
}

/* CSV, or lines of JSON. */
static void answer_rows(struct reply *reply, const struct page *page, struct rows *rows)
{
    bool csv = page->h.format == HISTORY_CSV;
    for (size_t i = 0; i < page->n && csv && !page->h.has_fields; i++) {
        if (csv_widen(&rows->csv, &page->entries[i]) < 0) {
            reply_problem(reply, 400, CSV_TOO_MANY);
            return;
        }
    }
    reply_type(reply, csv ? "text/csv; charset=utf-8" : "application/x-ndjson");
    if (csv)
        csv_header(&rows->csv, &reply->body);
    for (size_t i = 0; i < page->n && reply_flush(reply) == 0; i++)
        rows_put(rows, &reply->body, page_device(page, i), &page->entries[i]);
}

void h_telemetry_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const struct page_source source = {
        .walk = CURSOR_TELEMETRY, .path = "/api/telemetry", .kind = ARCHIVE_SAMPLES, .accept = rows_accept};
    struct page page;
    struct rows rows;
    (void)segment;
    if (page_parse(req, source.walk, &page, reply) < 0 || closed_answer(ctx, req, &page.h, reply))
        return;
    if (page.h.steps.n_aggs > 0) {
        h_telemetry_steps(ctx, req, &page.h, reply);
        return;
    }
    if (export_wanted(&page.h)) {
        export_answer(ctx, &page.h, reply);
        return;
    }
    rows_init(&rows, &page.h);
    if (page_fetch(ctx, req, &source, &rows, &page, reply) < 0)
        return;
    if (page.h.format == HISTORY_JSON)
        page_json(reply, &page, put_item, &rows);
    else if (page.h.format == HISTORY_COLUMNS)
        page_columns(reply, &page);
    else
        answer_rows(reply, &page, &rows);
}
