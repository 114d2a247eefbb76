#include "fcgi/audit.h"
#include "fcgi/page.h"

#include <string.h>

#define BUDGET 20000 /* events looked at for one page of those that are asked for */

static bool is_asked(const struct history *h, const struct audit_event *e)
{
    if (h->kinds && !(h->kinds & 1u << e->kind))
        return false;
    for (size_t i = 0; i < h->n_devices; i++) {
        if (strlen(h->devices[i]) == e->device_id_len && memcmp(h->devices[i], e->device_id, e->device_id_len) == 0)
            return true;
    }
    return h->n_devices == 0;
}

static bool accept(void *page, const char *text, size_t len)
{
    struct audit_event e;
    return audit_event_read(text, len, &e) && is_asked(&((const struct page *)page)->h, &e);
}

static void put_item(struct buf *out, struct item_clock *clock, const struct page *page, size_t i, void *unused)
{
    (void)unused;
    audit_put_event(out, clock, &page->entries[i]);
}

void h_events_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const struct page_source source = {
        .walk = CURSOR_EVENTS, .path = "/api/events", .kind = ARCHIVE_EVENTS, .accept = accept, .budget = BUDGET};
    struct page page;
    (void)segment;
    if (page_read(ctx, req, &source, &page, &page, reply) == 0)
        page_json(reply, &page, put_item, NULL);
}
