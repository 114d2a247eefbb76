#include "fcgi/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE ((size_t)256 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t cap, len; /* bytes of data */
    max_align_t data[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

static void free_chain(struct arena *a, struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        a->total -= b->cap;
        free(b);
        b = next;
    }
}

void arena_finish(struct arena *a)
{
    free_chain(a, a->first);
    arena_init(a, a->max);
}

void arena_reset(struct arena *a, size_t keep)
{
    if (a->total > keep) {
        arena_finish(a);
        return;
    }
    a->current = NULL;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){.block = a->current, .len = a->current ? a->current->len : 0};
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
    a->current = mark.block;
    if (mark.block)
        mark.block->len = mark.len;
}

/* A block with room for `size`: the next unused one, or a new one linked behind the current. */
static struct arena_block *more(struct arena *a, size_t size)
{
    struct arena_block *b = a->current ? a->current->next : a->first;
    if (b && b->cap >= size) {
        b->len = 0;
        return b;
    }
    size_t cap = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    if (cap > a->max - a->total)
        return NULL;
    b = malloc(sizeof(*b) + cap);
    if (!b)
        return NULL;
    b->cap = cap;
    b->len = 0;
    struct arena_block **link = a->current ? &a->current->next : &a->first;
    b->next = *link;
    *link = b;
    a->total += cap;
    return b;
}

void *arena_alloc(struct arena *a, size_t size, size_t align)
{
    struct arena_block *b = a->current;
    size_t at = b ? (b->len + align - 1) & ~(align - 1) : 0;
    if (!b || at > b->cap || b->cap - at < size) {
        if (size > a->max)
            return NULL;
        b = more(a, size);
        if (!b)
            return NULL;
        a->current = b;
        at = 0;
    }
    b->len = at + size;
    return (char *)b->data + at;
}

char *arena_copy(struct arena *a, const char *text, size_t len)
{
    char *copy = arena_alloc(a, len + 1, 1);
    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}
