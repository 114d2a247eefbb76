/*
 * Memory for one request: blocks that never move, given back all at once.
 */
#ifndef TELERELAY_FCGI_ARENA_H
#define TELERELAY_FCGI_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *first, *current;
    size_t total; /* bytes in all blocks */
    size_t max;   /* `total` never exceeds this */
};

void arena_init(struct arena *a, size_t max);
void arena_finish(struct arena *a);

/* Everything is free again; at most `keep` bytes stay allocated. */
void arena_reset(struct arena *a, size_t keep);

/* Everything that was allocated after the mark is free again; for a mark that is later than the last arena_reset. */
struct arena_mark {
    struct arena_block *block;
    size_t len;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

/* A copy with a NUL behind it; NULL when memory or the bound is reached. */
char *arena_copy(struct arena *a, const char *text, size_t len);

/* `align` is a power of two. NULL when memory or the bound is reached. */
void *arena_alloc(struct arena *a, size_t size, size_t align);

#endif
