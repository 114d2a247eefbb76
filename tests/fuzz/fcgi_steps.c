/* Aggregated histories: from a query string to rows of whatever samples; and segments that cover exactly. */
#include "fcgi/bucketwalk.h"
#include "fcgi/tiers.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1768473045123LL

static struct history h;
static struct buckets *b;

struct samples {
    const uint8_t *data; /* lines: each is the text of a sample, its first byte how long after the one before */
    size_t size;
};

static int64_t next_line(const struct samples *s, size_t *at, int64_t ms, const char **text, size_t *len)
{
    const uint8_t *line = s->data + *at, *end = memchr(line, '\n', s->size - *at);
    *len = end ? (size_t)(end - line) : s->size - *at;
    *at += *len + 1;
    *text = (const char *)line;
    if (*len == 0)
        return ms;
    (*text)++;
    (*len)--;
    return ms + (int64_t)line[0] * line[0] * line[0];
}

static int look(void *arg, const struct bucketwalk_range *ranges, size_t n)
{
    const struct samples *s = arg;
    const char *text;
    size_t len;
    int64_t ms = NOW - 3600000;
    for (size_t at = 0; at < s->size;) {
        ms = next_line(s, &at, ms, &text, &len);
        for (size_t d = 0; d < n; d++) {
            if (ms < ranges[d].from_ms || ms > ranges[d].to_ms)
                continue;
            enum buckets_result rc = buckets_sample(b, d, ms, text, len);
            if (rc != BUCKETS_OK)
                return (int)rc;
        }
    }
    return BUCKETS_OK;
}

static int bounds(void *arg, const struct bucketwalk_range *ranges, size_t n, int64_t *first_ms, int64_t *last_ms)
{
    (void)arg;
    (void)ranges;
    (void)n;
    *first_ms = NOW - 3600000;
    *last_ms = NOW + 1000000000;
    return BUCKETS_OK;
}

static void check_plan(const struct bucketwalk_range *r, const struct streamid *position)
{
    const int64_t kept[ARCHIVE_TIERS] = {h.steps.ms % 7 ? 0 : NOW - NOW % 3600000,
                                         h.steps.ms % 11 ? 0 : NOW - NOW % 3600000};
    struct tiers_segment segments[TIERS_SEGMENTS_MAX];
    size_t n = tiers_plan(segments, r->from_ms, r->to_ms, h.steps.ms, position, kept);
    int64_t at = r->from_ms;
    for (size_t i = 0; i < n; i++) {
        const struct tiers_segment *s = &segments[i];
        int64_t from = s->raw ? (int64_t)s->range.lo.ms : s->from_ms;
        bool behind = i > 0 && s->raw && from <= (int64_t)position->ms + 1; /* in the roll-up with the position */
        if (from != at && !behind)
            abort();
        at = s->raw ? (int64_t)s->range.hi.ms + 1 : s->to_ms;
    }
    if (n > 0 ? at <= r->to_ms : r->from_ms <= r->to_ms)
        abort();
}

static void walk(const struct samples *s)
{
    const struct bucketwalk_source source = {.look = look, .bounds = bounds, .arg = (void *)(uintptr_t)s};
    struct bucketwalk_page page;
    for (size_t i = 0; i < h.n_devices; i++) {
        struct bucketwalk_range r;
        const struct streamid position = {NOW - 100000 * (uint64_t)s->size, 1};
        if (history_buckets(&h, h.devices[i], &r.from_ms, &r.to_ms))
            check_plan(&r, s->size % 2 ? &position : NULL);
    }
    if (bucketwalk_page(&h, s->size % 3 == 0, b, &source, &page) != BUCKETS_OK)
        return;
    for (size_t k = 0; k < page.n; k++) {
        const struct buckets_row *row = buckets_row(b, page.first + k);
        if (row->ms % h.steps.ms != 0 || row->device >= h.n_devices ||
            (k > 0 && row[-1].ms == row->ms && row[-1].device >= row->device) || (k > 0 && row[-1].ms > row->ms))
            abort();
        for (size_t m = 0; m < buckets_metrics(b); m++) {
            const struct buckets_cell *c = buckets_cell(b, row, m);
            if (c->count > 0 && !(c->min <= c->last && c->last <= c->max))
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct query q;
    struct fault fault = {{0}};
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    struct samples samples = {data + len + (end != NULL), size - len - (end != NULL)};
    if (!b && !(b = buckets_create()))
        abort();
    if (query_parse(&q, (const char *)data, len, &fault) == 0 &&
        history_parse(&h, CURSOR_TELEMETRY, &q, NOW, &fault) == 0) {
        char text[STEPS_TEXT_MAX];
        if (h.steps.n_aggs == 0)
            return 0;
        if (h.steps.ms <= 0 || steps_format(text, h.steps.ms) >= sizeof(text))
            abort();
        walk(&samples);
        return 0;
    }
    if (fault.text[0] == '\0')
        abort();
    return 0;
}
