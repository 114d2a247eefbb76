#include "fcgi/bucketwalk.h"

#include "fcgi/windows.h"

struct walk {
    const struct history *h;
    bool grid;
    struct buckets *b;
    const struct bucketwalk_source *source;
    struct windows windows;
    struct bucketwalk_range all[HISTORY_DEVICES_MAX]; /* what the walk has yet to reach, of each device */
    bool cut;                                         /* the page ends before its limit */
};

static void begin(struct walk *w)
{
    const struct history *h = w->h;
    size_t limit = (size_t)h->limit;
    int64_t from = 1, to = 0;
    for (size_t i = 0; i < h->n_devices; i++) {
        struct bucketwalk_range *r = &w->all[i];
        if (!history_buckets(h, h->devices[i], &r->from_ms, &r->to_ms))
            continue;
        if (from > to) {
            from = r->from_ms;
            to = r->to_ms;
        }
        from = r->from_ms < from ? r->from_ms : from;
        to = r->to_ms > to ? r->to_ms : to;
    }
    windows_begin(&w->windows, from, to, h->steps.ms, h->descending, w->grid ? limit * h->n_devices : limit,
                  h->n_devices);
}

static void cut_ranges(const struct walk *w, struct bucketwalk_range *ranges, int64_t from_ms, int64_t to_ms)
{
    for (size_t i = 0; i < w->h->n_devices; i++) {
        ranges[i] = w->all[i];
        if (ranges[i].from_ms < from_ms)
            ranges[i].from_ms = from_ms;
        if (ranges[i].to_ms > to_ms)
            ranges[i].to_ms = to_ms;
    }
}

/* Of what is left and would be many windows, leaves out what is in front of and behind all samples. */
static int narrow(struct walk *w)
{
    struct bucketwalk_range ranges[HISTORY_DEVICES_MAX];
    int64_t from, to;
    if (windows_single(&w->windows) || !windows_left(&w->windows, &from, &to))
        return BUCKETS_OK;
    cut_ranges(w, ranges, from, to);
    int rc = w->source->bounds(w->source->arg, ranges, w->h->n_devices, &from, &to);
    if (rc == BUCKETS_OK)
        windows_clamp(&w->windows, from, to);
    return rc;
}

static bool is_full(const struct walk *w)
{
    int64_t first, last;
    if (!w->grid)
        return buckets_rows(w->b) > (size_t)w->h->limit;
    buckets_span(w->b, &first, &last);
    return first <= last && (last - first) / w->h->steps.ms >= w->h->limit;
}

/* One window. Too much of it: a smaller one, or the page ends with what there is already. */
static int look(struct walk *w, int64_t first_ms, size_t count)
{
    struct bucketwalk_range ranges[HISTORY_DEVICES_MAX];
    size_t before = buckets_rows(w->b);
    int rc = (int)buckets_window(w->b, first_ms, count);
    cut_ranges(w, ranges, first_ms, first_ms + (int64_t)count * w->h->steps.ms - 1);
    if (rc == BUCKETS_OK)
        rc = w->source->look(w->source->arg, ranges, w->h->n_devices);
    if (rc == BUCKETS_CELLS) {
        buckets_undo(w->b);
        if (windows_shrink(&w->windows))
            return BUCKETS_OK;
        w->cut = before > 0;
        return w->cut ? BUCKETS_OK : rc;
    }
    if (rc != BUCKETS_OK)
        return rc;
    size_t rows = buckets_rows(w->b) - before;
    windows_done(&w->windows, rows);
    return rows == 0 ? narrow(w) : BUCKETS_OK;
}

/* Which of the rows are the page. */
static void choose(const struct walk *w, struct bucketwalk_page *page)
{
    const struct history *h = w->h;
    size_t n = buckets_rows(w->b), first = 0, end = n, limit = (size_t)h->limit;
    int64_t span = h->limit * h->steps.ms;
    if (w->grid && n > 0) {
        int64_t newest = buckets_row(w->b, n - 1)->ms, oldest = buckets_row(w->b, 0)->ms;
        while (h->descending && newest - buckets_row(w->b, first)->ms >= span)
            first++;
        while (!h->descending && buckets_row(w->b, end - 1)->ms - oldest >= span)
            end--;
    } else if (n > limit) {
        first = h->descending ? n - limit : 0;
        end = h->descending ? n : limit;
    }
    *page = (struct bucketwalk_page){.first = first, .n = end - first, .more = w->cut || end - first < n};
    if (page->n > 0) {
        const struct buckets_row *at = buckets_row(w->b, h->descending ? first : end - 1);
        page->at_ms = at->ms;
        page->device = !w->grid ? at->device : h->descending ? 0 : (uint32_t)h->n_devices - 1;
    }
}

int bucketwalk_page(const struct history *h, bool grid, struct buckets *b, const struct bucketwalk_source *source,
                    struct bucketwalk_page *page)
{
    struct walk w = {.h = h, .grid = grid, .b = b, .source = source};
    int64_t first_ms;
    size_t count;
    buckets_begin(b, h->steps.ms, h->n_devices, h->has_fields ? h->fields : NULL, h->n_fields);
    begin(&w);
    int rc = narrow(&w);
    while (rc == BUCKETS_OK && !w.cut && !is_full(&w) && windows_next(&w.windows, &first_ms, &count))
        rc = look(&w, first_ms, count);
    if (rc == BUCKETS_OK) {
        buckets_finish(b);
        choose(&w, page);
    }
    return rc;
}
