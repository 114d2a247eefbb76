/*
 * The connection to Redis, and streams. The only file with hiredis behind it; fleet.h
 * has what else is read.
 *
 * One blocking connection, made when needed and again when it broke; every call ends within
 * redis_ms of connecting and redis_ms of waiting for answers. Calls return 0, or -1 with the
 * outputs undefined and store_reason() set. All reading: a call that met a connection which had
 * died idle is repeated once on a new one.
 *
 * Strings and arrays handed out belong to the store and live until store_release().
 */
#ifndef TELERELAY_FCGI_STORE_H
#define TELERELAY_FCGI_STORE_H

#include "fcgi/arena.h"
#include "fcgi/series.h"

#include "common/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* `redis` is copied. NULL without memory. Does not connect yet. */
struct store *store_create(const struct conf_redis *redis, int redis_ms);
void store_destroy(struct store *s);

/* The end of a request: everything handed out is void. */
void store_release(struct store *s);

/* The same for what was handed out after the mark. */
struct arena_mark store_mark(const struct store *s);
void store_rewind(struct store *s, struct arena_mark mark);

/* Why the last call failed, for people: "connect: No such file or directory". */
const char *store_reason(const struct store *s);

/* A part of one stream. */
struct store_range {
    const char *prefix; /* of its key (common/rkey.h) … */
    const char *name;   /* … and the rest of it: a device id, or "" */
    struct streamid_range range;
    size_t count;    /* at most so many entries */
    bool descending; /* the newest first */
};

/* One entry of ranges[index]; text is NULL when it has no RKEY_FIELD. Non-zero ends the call with -1. */
typedef int store_entry_fn(void *ctx, size_t index, struct streamid id, const char *text, size_t len);

/* Reads all ranges in one go; `together` makes it one instant for Redis. */
int store_ranges(struct store *s, const struct store_range *ranges, size_t n, bool together, store_entry_fn *entry,
                 void *ctx);

/*
 * Whether the archiver has compared this Redis with the archive since it was started: before that it may lack the end
 * of what is archived (RKEY_ARCHIVE_RUN). Up to store_release() the answer stays what it was, and once it was yes,
 * other calls fail when it is not so any more.
 */
int store_compared(struct store *s, bool *compared);

#endif
