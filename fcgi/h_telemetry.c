#include "fcgi/csv.h"
#include "fcgi/fetch.h"
#include "fcgi/handler.h"
#include "fcgi/history.h"
#include "fcgi/item.h"
#include "fcgi/sample.h"

#include "common/clock.h"

#include <string.h>

/* Notes in *reserved whether any sample cannot stand in an answer as it is: hardly ever, and worth knowing
 * before each one is looked at again. */
static bool is_sample(void *reserved, const char *text, size_t len)
{
    enum sample_kind kind = sample_check(text, len);
    if (kind == SAMPLE_RESERVED)
        *(bool *)reserved = true;
    return kind != SAMPLE_BAD;
}

static int read_page(struct context *ctx, const struct history *h, size_t *got, bool *reserved)
{
    const char *devices[HISTORY_DEVICES_MAX];
    struct series_range ranges[HISTORY_DEVICES_MAX];
    for (size_t i = 0; i < h->n_devices; i++) {
        devices[i] = h->devices[i];
        ranges[i] = history_range(h, h->devices[i]);
    }
    struct fetch f = {
        .devices = devices,
        .ranges = ranges,
        .n = h->n_devices,
        .descending = h->descending,
        .want = (size_t)h->limit + 1, /* one more tells whether there is a next page */
        .accept = is_sample,
        .arg = reserved,
    };
    return fetch_page(ctx, &f, got);
}

static void put_value(struct buf *b, const char *value)
{
    char encoded[3 * 64];
    buf_add(b, encoded, query_encode(encoded, sizeof(encoded), value, strnlen(value, 64)));
}

/* Link: the same request with the cursor, written anew so that its length is bounded. */
static void link_next(struct reply *reply, const struct request *req, const struct history *h, const char *cursor)
{
    static const char *const plain[] = {"from", "to", "limit", "order", "format"};
    struct buf b;
    struct fault unused;
    buf_init(&b, REPLY_HEADERS_MAX);
    buf_str(&b, "</api/telemetry?device_id=");
    for (size_t i = 0; i < h->n_devices; i++)
        buf_printf(&b, "%s%s", i ? "," : "", h->devices[i]);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        const struct query_param *p;
        if (query_single(&req->query, plain[i], &p, &unused) < 0 || !p)
            continue;
        buf_printf(&b, "&%s=", plain[i]);
        put_value(&b, p->value);
    }
    for (size_t i = 0; i < h->n_fields; i++)
        buf_printf(&b, "%s%s", i ? "," : "&fields=", h->fields[i]);
    buf_printf(&b, "&cursor=%s>; rel=\"next\"", cursor);
    buf_add(&b, "", 1);
    if (!b.failed)
        reply_header(reply, "Link", b.data);
    buf_finish(&b);
}

static void put_item(struct buf *out, struct item_clock *clock, const struct history *h,
                     const struct series_sample *sample, bool reserved)
{
    const char *device_id = h->devices[sample->lane];
    if (h->has_fields) {
        item_json_fields(out, clock, device_id, sample, h->fields, h->n_fields);
    } else if (reserved) {
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

static void answer_json(struct reply *reply, const struct history *h, const struct series_sample *page, size_t n,
                        bool reserved, const char *cursor)
{
    struct item_clock clock = {0};
    reply_type(reply, "application/json");
    buf_str(&reply->body, "{\"items\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add(&reply->body, ",", 1);
        put_item(&reply->body, &clock, h, &page[i], reserved);
        if (reply_flush(reply) < 0)
            return;
    }
    buf_printf(&reply->body, "],\"count\":%zu,\"next_cursor\":", n);
    if (cursor)
        buf_printf(&reply->body, "\"%s\"}", cursor);
    else
        buf_str(&reply->body, "null}");
}

static void answer_csv(struct reply *reply, const struct history *h, const struct series_sample *page, size_t n)
{
    struct item_clock clock = {0};
    struct csv csv;
    csv_begin(&csv, h->has_fields ? h->fields : NULL, h->n_fields);
    for (size_t i = 0; i < n && !h->has_fields; i++) {
        if (csv_widen(&csv, &page[i]) < 0) {
            reply_problem(reply, 400,
                          "these samples have too many different metrics for one table; choose with fields");
            return;
        }
    }
    reply_type(reply, "text/csv; charset=utf-8");
    csv_header(&csv, &reply->body);
    for (size_t i = 0; i < n; i++) {
        csv_row(&csv, &reply->body, &clock, h->devices[page[i].lane], &page[i]);
        if (reply_flush(reply) < 0)
            return;
    }
}

void h_telemetry_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    struct history h;
    struct fault fault;
    size_t got;
    bool reserved = false;
    (void)segment;
    if (history_parse(&h, &req->query, clock_wall_ms(), &fault) < 0) {
        reply_problem(reply, 400, fault.text);
        return;
    }
    if (handler_page(ctx, (size_t)h.limit + 1) < 0) {
        reply_problem(reply, 500, "out of memory");
        return;
    }
    if (read_page(ctx, &h, &got, &reserved) < 0) {
        handler_away(ctx, reply);
        return;
    }
    handler_back(ctx);

    bool more = got > (size_t)h.limit;
    size_t n = more ? (size_t)h.limit : got;
    char cursor[CURSOR_TEXT_MAX];
    if (more) {
        struct cursor c;
        history_cursor(&h, ctx->page[n - 1].id, h.devices[ctx->page[n - 1].lane], &c);
        cursor_encode(cursor, &c);
        link_next(reply, req, &h, cursor);
    }
    if (h.format == HISTORY_CSV)
        answer_csv(reply, &h, ctx->page, n);
    else
        answer_json(reply, &h, ctx->page, n, reserved, more ? cursor : NULL);
}
