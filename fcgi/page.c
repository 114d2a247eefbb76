#include "fcgi/page.h"

#include "fcgi/audit.h"
#include "fcgi/columns.h"
#include "fcgi/fetch.h"

#include "common/clock.h"

#include <string.h>

/* The one stream of events, where each device has one of its own otherwise. */
static const char *const one_stream[] = {""};

static int fetch(struct context *ctx, const struct page_source *source, void *arg, const struct history *h,
                 struct fetched *got)
{
    const char *names[HISTORY_DEVICES_MAX];
    struct streamid_range ranges[HISTORY_DEVICES_MAX];
    bool events = h->walk == CURSOR_EVENTS;
    size_t n = events ? 1 : h->n_devices;
    for (size_t i = 0; i < n; i++) {
        names[i] = events ? one_stream[i] : h->devices[i];
        ranges[i] = history_range(h, names[i]);
    }
    struct fetch f = {
        .kind = source->kind,
        .names = names,
        .ranges = ranges,
        .n = n,
        .descending = h->descending,
        .want = (size_t)h->limit + 1, /* one more tells whether there is a next page */
        .accept = source->accept,
        .arg = arg,
        .budget = source->budget,
    };
    return fetch_page(ctx, &f, got);
}

static void put_encoded(struct buf *b, const char *value)
{
    char encoded[3 * 64];
    buf_add(b, encoded, query_encode(encoded, sizeof(encoded), value, strnlen(value, 64)));
}

/* name=a,b in a query; *sep becomes what goes before the next parameter. */
static void put_list(struct buf *b, const char **sep, const char *name, const char *const *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%s%s%s%s", i ? "," : *sep, i ? "" : name, i ? "" : "=", values[i]);
    if (n > 0)
        *sep = "&";
}

/* Written anew, so that its length is bounded. */
void page_link(struct reply *reply, const struct request *req, const char *path, const struct history *h,
               const char *cursor)
{
    static const char *const plain[] = {"from", "to", "limit", "order", "format", "step", "points"};
    const char *list[HISTORY_DEVICES_MAX > MSG_METRICS_MAX ? HISTORY_DEVICES_MAX : MSG_METRICS_MAX];
    const char *sep = "?";
    size_t n = 0;
    struct buf b;
    struct fault unused;
    buf_init(&b, REPLY_HEADERS_MAX);
    buf_printf(&b, "<%s", path);
    for (size_t i = 0; i < h->n_devices; i++)
        list[i] = h->devices[i];
    put_list(&b, &sep, "device_id", list, h->n_devices);
    for (int kind = 0; kind < AUDIT_KINDS; kind++) {
        if (h->kinds & 1u << kind)
            list[n++] = audit_kind_name((enum audit_kind)kind);
    }
    put_list(&b, &sep, "kind", list, n);
    for (size_t i = 0; i < h->steps.n_aggs; i++)
        list[i] = steps_agg_name(h->steps.aggs[i]);
    put_list(&b, &sep, "agg", list, h->steps.n_aggs);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        const struct query_param *p;
        if (query_single(&req->query, plain[i], &p, &unused) < 0 || !p)
            continue;
        buf_printf(&b, "%s%s=", sep, plain[i]);
        put_encoded(&b, p->value);
        sep = "&";
    }
    for (n = 0; n < h->n_fields; n++)
        list[n] = h->fields[n];
    if (h->has_fields && n == 0)
        list[n++] = "timestamp"; /* nothing but what is always there */
    put_list(&b, &sep, "fields", list, n);
    buf_printf(&b, "%scursor=%s>; rel=\"next\"", sep, cursor);
    buf_add(&b, "", 1);
    if (!b.failed)
        reply_header(reply, "Link", b.data);
    buf_finish(&b);
}

const char *page_device(const struct page *page, size_t i)
{
    return page->h.walk == CURSOR_EVENTS ? one_stream[0] : page->h.devices[page->entries[i].lane];
}

int page_parse(const struct request *req, enum cursor_walk walk, struct page *page, struct reply *reply)
{
    struct fault fault;
    if (history_parse(&page->h, walk, &req->query, clock_wall_ms(), &fault) == 0)
        return 0;
    reply_problem(reply, 400, fault.text);
    return -1;
}

int page_fetch(struct context *ctx, const struct request *req, const struct page_source *source, void *arg,
               struct page *page, struct reply *reply)
{
    struct fetched got;
    size_t limit = (size_t)page->h.limit;
    if (handler_page(ctx, limit + 1) < 0) {
        reply_problem(reply, 500, "out of memory");
        return -1;
    }
    if (fetch(ctx, source, arg, &page->h, &got) < 0) {
        handler_away(ctx, reply);
        return -1;
    }
    handler_back(ctx);
    page->entries = ctx->page;
    page->more = got.n > limit || got.cut;
    page->n = got.n > limit ? limit : got.n;
    if (page->more) {
        struct cursor c;
        if (got.n > limit)
            history_cursor(&page->h, page->entries[limit - 1].id, page_device(page, limit - 1), &c);
        else
            history_cursor(&page->h, got.end, one_stream[0], &c); /* where the budget ended */
        cursor_encode(page->cursor, &c);
        page_link(reply, req, source->path, &page->h, page->cursor);
    }
    return 0;
}

int page_read(struct context *ctx, const struct request *req, const struct page_source *source, void *arg,
              struct page *page, struct reply *reply)
{
    return page_parse(req, source->walk, page, reply) < 0 ? -1 : page_fetch(ctx, req, source, arg, page, reply);
}

static void put_end(struct reply *reply, size_t count, const struct page *page)
{
    buf_printf(&reply->body, "],\"count\":%zu,\"next_cursor\":", count);
    if (page->more)
        buf_printf(&reply->body, "\"%s\"}", page->cursor);
    else
        buf_str(&reply->body, "null}");
}

void page_json(struct reply *reply, const struct page *page, page_put_fn *put, void *arg)
{
    struct item_clock clock = {0};
    reply_type(reply, "application/json");
    buf_str(&reply->body, "{\"items\":[");
    for (size_t i = 0; i < page->n; i++) {
        if (i > 0)
            buf_add(&reply->body, ",", 1);
        put(&reply->body, &clock, page, i, arg);
        if (reply_flush(reply) < 0)
            return;
    }
    put_end(reply, page->n, page);
}

void page_columns(struct reply *reply, const struct page *page)
{
    const struct history *h = &page->h;
    struct columns *c;
    struct columns_spec spec = {.devices = h->devices,
                                .n_devices = h->n_devices,
                                .fields = h->has_fields ? h->fields : NULL,
                                .n_fields = h->n_fields};
    switch (columns_create(&spec, page->entries, page->n, h->descending, &c)) {
    case COLUMNS_OK:
        break;
    case COLUMNS_TOO_MANY:
        reply_problem(reply, 400, "this table would be too large; choose with fields, or a smaller limit");
        return;
    case COLUMNS_NO_MEMORY:
        reply_problem(reply, 500, "out of memory");
        return;
    }
    reply_type(reply, "application/json");
    buf_str(&reply->body, "{\"fields\":");
    columns_names(c, &reply->body);
    buf_str(&reply->body, ",\"units\":");
    columns_units(c, &reply->body);
    buf_str(&reply->body, ",\"data\":[");
    for (size_t i = 0; i < columns_count(c) && reply_flush(reply) == 0; i++) {
        if (i > 0)
            buf_add(&reply->body, ",", 1);
        columns_data(c, i, &reply->body);
    }
    put_end(reply, columns_rows(c), page);
    columns_destroy(c);
}
