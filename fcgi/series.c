#include "fcgi/series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct item {
    struct streamid id;
    const char *text;
    uint32_t len;
};

struct lane {
    struct streamid_range rest; /* not fetched yet */
    bool more;                  /* `rest` may hold entries */
    struct item *items;         /* fetched; kept for reuse between series */
    size_t n, cap;
    size_t next; /* first item not given out */
};

struct series {
    struct lane *lanes;
    size_t n, cap;
    bool descending;
};

struct series *series_create(void)
{
    return calloc(1, sizeof(struct series));
}

void series_destroy(struct series *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->cap; i++)
        free(s->lanes[i].items);
    free(s->lanes);
    free(s);
}

#define KEEP_ITEMS 16384 /* per lane between series; more is given back */

int series_begin(struct series *s, size_t lanes, bool descending)
{
    if (lanes > s->cap) {
        struct lane *grown = realloc(s->lanes, lanes * sizeof(*grown));
        if (!grown)
            return -1;
        memset(grown + s->cap, 0, (lanes - s->cap) * sizeof(*grown));
        s->lanes = grown;
        s->cap = lanes;
    }
    for (size_t i = 0; i < s->cap; i++) {
        struct lane *l = &s->lanes[i];
        if (l->cap > KEEP_ITEMS) {
            free(l->items);
            l->items = NULL;
            l->cap = 0;
        }
        l->n = l->next = 0;
        l->more = false;
    }
    s->n = lanes;
    s->descending = descending;
    return 0;
}

static void settle(struct lane *l)
{
    if (streamid_compare(l->rest.lo, l->rest.hi) > 0)
        l->more = false;
}

void series_lane(struct series *s, size_t lane, struct streamid_range range)
{
    assert(lane < s->n);
    s->lanes[lane].rest = range;
    s->lanes[lane].more = true;
    settle(&s->lanes[lane]);
}

void series_limit(struct series *s, size_t lane, struct streamid last)
{
    assert(lane < s->n);
    struct lane *l = &s->lanes[lane];
    if (streamid_compare(last, l->rest.hi) < 0)
        l->rest.hi = last;
    settle(l);
}

bool series_want(const struct series *s, size_t lane, struct streamid_range *range)
{
    assert(lane < s->n);
    const struct lane *l = &s->lanes[lane];
    if (!l->more || l->next < l->n)
        return false;
    *range = l->rest;
    return true;
}

int series_feed(struct series *s, size_t lane, struct streamid id, const char *text, size_t len)
{
    assert(lane < s->n && len <= UINT32_MAX);
    struct lane *l = &s->lanes[lane];
    if (l->next == l->n)
        l->n = l->next = 0;
    if (text) {
        if (l->n == l->cap) {
            size_t cap = l->cap ? l->cap * 2 : 64;
            struct item *items = realloc(l->items, cap * sizeof(*items));
            if (!items)
                return -1;
            l->items = items;
            l->cap = cap;
        }
        l->items[l->n++] = (struct item){.id = id, .text = text, .len = (uint32_t)len};
    }
    /* Where a later fetch goes on, also behind entries that are not given out. */
    if (s->descending) {
        l->rest.hi = id;
        l->more = streamid_before(&l->rest.hi) && l->more;
    } else {
        l->rest.lo = id;
        l->more = streamid_after(&l->rest.lo) && l->more;
    }
    return 0;
}

void series_fed(struct series *s, size_t lane, size_t got, size_t asked)
{
    assert(lane < s->n);
    struct lane *l = &s->lanes[lane];
    if (got < asked)
        l->more = false;
    settle(l);
}

void series_goes_on(struct series *s, size_t lane, struct streamid at)
{
    assert(lane < s->n);
    struct lane *l = &s->lanes[lane];
    if (s->descending ? streamid_compare(at, l->rest.hi) < 0 : streamid_compare(at, l->rest.lo) > 0)
        *(s->descending ? &l->rest.hi : &l->rest.lo) = at;
    settle(l);
}

enum series_step series_next(struct series *s, struct series_sample *out, size_t *lane)
{
    struct lane *best = NULL;
    for (size_t i = 0; i < s->n; i++) {
        struct lane *l = &s->lanes[i];
        if (l->next == l->n) {
            if (!l->more)
                continue;
            *lane = i;
            return SERIES_NEED;
        }
        int order = best ? streamid_compare(l->items[l->next].id, best->items[best->next].id) : 0;
        /* Equal ids: the lower lane first when ascending, the higher one when descending. */
        if (!best || (s->descending ? order >= 0 : order < 0))
            best = l;
    }
    if (!best)
        return SERIES_END;
    struct item *item = &best->items[best->next++];
    *out = (struct series_sample){
        .id = item->id, .text = item->text, .len = item->len, .lane = (uint32_t)(best - s->lanes)};
    return SERIES_SAMPLE;
}
