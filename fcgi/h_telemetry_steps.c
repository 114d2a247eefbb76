#include "fcgi/aggregate.h"
#include "fcgi/bucketout.h"
#include "fcgi/page.h"

#include <string.h>

static void put_end(struct reply *reply, size_t count, const char *cursor, const struct history *h)
{
    char step[STEPS_TEXT_MAX];
    steps_format(step, h->steps.ms);
    buf_printf(&reply->body, "\"count\":%zu,\"next_cursor\":", count);
    if (cursor[0])
        buf_printf(&reply->body, "\"%s\"", cursor);
    else
        buf_str(&reply->body, "null");
    buf_printf(&reply->body, ",\"step\":\"%s\"}", step);
}

static void answer_json(struct reply *reply, struct bucketout *o, const char *cursor)
{
    reply_type(reply, "application/json");
    buf_str(&reply->body, "{\"items\":[");
    for (size_t i = 0; i < o->page.n; i++) {
        if (i > 0)
            buf_add(&reply->body, ",", 1);
        bucketout_item(o, i, &reply->body);
        if (reply_flush(reply) < 0)
            return;
    }
    buf_add(&reply->body, "],", 2);
    put_end(reply, o->page.n, cursor, o->h);
}

static void answer_ndjson(struct reply *reply, struct bucketout *o)
{
    reply_type(reply, "application/x-ndjson");
    for (size_t i = 0; i < o->page.n; i++) {
        bucketout_item(o, i, &reply->body);
        buf_add(&reply->body, "\n", 1);
        if (reply_flush(reply) < 0)
            return;
    }
}

static void answer_csv(struct reply *reply, struct bucketout *o)
{
    reply_type(reply, "text/csv; charset=utf-8");
    bucketout_csv_header(o, &reply->body);
    for (size_t i = 0; i < o->page.n; i++) {
        bucketout_csv_row(o, i, &reply->body);
        if (reply_flush(reply) < 0)
            return;
    }
}

static void answer_columns(struct reply *reply, struct bucketout *o, const char *cursor)
{
    int rc = bucketout_columns(o);
    if (rc == -1) {
        reply_problem(reply, 400,
                      "this table would be too large; choose a larger step or fewer points, a smaller limit, fewer "
                      "devices, or with fields");
        return;
    }
    if (rc < 0) {
        reply_problem(reply, 500, "out of memory");
        return;
    }
    reply_type(reply, "application/json");
    buf_str(&reply->body, "{\"fields\":");
    bucketout_names(o, &reply->body);
    buf_str(&reply->body, ",\"units\":");
    bucketout_units(o, &reply->body);
    buf_str(&reply->body, ",\"data\":[");
    for (size_t i = 0; i < bucketout_count(o); i++) {
        if (i > 0)
            buf_add(&reply->body, ",", 1);
        bucketout_data(o, i, &reply->body);
        if (reply_flush(reply) < 0)
            return;
    }
    buf_add(&reply->body, "],", 2);
    put_end(reply, o->rows, cursor, o->h);
}

static void answer(const struct request *req, const struct history *h, const struct buckets *b,
                   const struct bucketwalk_page *page, struct reply *reply)
{
    char cursor[CURSOR_TEXT_MAX] = "";
    struct bucketout o;
    if (page->more) {
        struct cursor c;
        history_cursor(h, (struct streamid){(uint64_t)page->at_ms, 0}, h->devices[page->device], &c);
        cursor_encode(cursor, &c);
        page_link(reply, req, "/api/telemetry", h, cursor);
    }
    bucketout_init(&o, h, b, page);
    switch (h->format) {
    case HISTORY_CSV:
        answer_csv(reply, &o);
        break;
    case HISTORY_NDJSON:
        answer_ndjson(reply, &o);
        break;
    case HISTORY_COLUMNS:
        answer_columns(reply, &o, cursor);
        break;
    default:
        answer_json(reply, &o, cursor);
        break;
    }
    bucketout_finish(&o);
}

void h_telemetry_steps(struct context *ctx, const struct request *req, const struct history *h, struct reply *reply)
{
    struct bucketwalk_page page;
    struct buckets *b = buckets_create();
    if (!b)
        reply_problem(reply, 500, "out of memory");
    else if (aggregate_page(ctx, h, h->format == HISTORY_COLUMNS, b, &page, reply) == 0)
        answer(req, h, b, &page, reply);
    buckets_destroy(b);
}
