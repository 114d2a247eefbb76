#include "wsd/dedupe.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64u

/* FNV-1a. A website that makes two ids collide loses a command of its own. */
static uint64_t hash(const char *id)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *id != '\0'; id++)
        h = (h ^ (uint8_t)*id) * 0x100000001b3u;
    return h != 0 ? h : 1;
}

static uint32_t place(const struct dedupe *d, uint32_t i)
{
    return (d->head + i) & (d->cap - 1); /* cap is a power of two */
}

static bool find(const struct dedupe *d, uint64_t id, uint32_t *at)
{
    for (uint32_t i = d->count; i > 0; i--) {
        *at = place(d, i - 1);
        if (d->ids[*at] == id)
            return true;
    }
    return false;
}

static void grow(struct dedupe *d)
{
    uint32_t cap = d->cap ? d->cap * 2 : FIRST_CAP;
    uint64_t *ids = cap <= DEDUPE_MAX ? malloc(cap * sizeof(*ids)) : NULL;
    int64_t *at = ids != NULL ? malloc(cap * sizeof(*at)) : NULL;
    if (at == NULL) {
        free(ids);
        return;
    }
    for (uint32_t i = 0; i < d->count; i++) {
        ids[i] = d->ids[place(d, i)];
        at[i] = d->at[place(d, i)];
    }
    free(d->ids);
    free(d->at);
    *d = (struct dedupe){.ids = ids, .at = at, .count = d->count, .cap = cap};
}

bool dedupe_repeated(struct dedupe *d, const char *id, int64_t now_ms)
{
    uint64_t h = hash(id);
    uint32_t at;
    while (d->count > 0 && now_ms - d->at[d->head] >= DEDUPE_MS) {
        d->head = place(d, 1);
        d->count--;
    }
    if (find(d, h, &at))
        return true;
    if (d->count == d->cap)
        grow(d);
    if (d->cap == 0)
        return false;
    if (d->count == d->cap) { /* the oldest makes room */
        d->head = place(d, 1);
        d->count--;
    }
    at = place(d, d->count++);
    d->ids[at] = h;
    d->at[at] = now_ms;
    return false;
}

void dedupe_forget(struct dedupe *d, const char *id)
{
    uint32_t at;
    if (find(d, hash(id), &at))
        d->ids[at] = 0;
}

void dedupe_finish(struct dedupe *d)
{
    free(d->ids);
    free(d->at);
    memset(d, 0, sizeof(*d));
}
