/*
 * What the API reads from Redis. The only file with hiredis behind it.
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

/* Why the last call failed, for people: "connect: No such file or directory". */
const char *store_reason(const struct store *s);

/* A part of one device's stream. */
struct store_range {
    const char *device_id;
    struct series_range range;
    size_t count;    /* at most so many entries */
    bool descending; /* the newest first */
};

/* One entry of ranges[index]; text is NULL when it is not a sample's. Non-zero ends the call with -1. */
typedef int store_entry_fn(void *ctx, size_t index, struct series_id id, const char *text, size_t len);

/* Reads all ranges in one go; `together` makes it one instant for Redis. */
int store_ranges(struct store *s, const struct store_range *ranges, size_t n, bool together, store_entry_fn *entry,
                 void *ctx);

struct store_text {
    const char *text; /* NUL-terminated; NULL when there is none */
    size_t len;
};

struct store_scored {
    const char *name;
    double score;
};

struct store_pair {
    struct store_text key, value;
};

/* Devices, connections and relays at one moment. */
struct store_fleet {
    int64_t now_ms;               /* Redis' clock */
    struct store_scored *devices; /* by id; score: last seen, ms */
    size_t n_devices;
    struct store_pair *online; /* device id → "CONN SINCE_MS INSTANCE RELAY" */
    size_t n_online;
    struct store_scored *relays; /* instance; score: when its lease ends, ms of Redis' clock */
    size_t n_relays;
};

/* At most max_devices, the longest unseen left out first. */
int store_fleet(struct store *s, size_t max_devices, struct store_fleet *fleet);

/* The same for one device: n_devices and n_online are 0 or 1. */
int store_device(struct store *s, const char *device_id, struct store_fleet *fleet);

/* Redis' clock and the relays alone. */
int store_relays(struct store *s, struct store_fleet *fleet);

/* Each device's name. */
int store_names(struct store *s, const struct store_scored *devices, size_t n, struct store_text *names);

/* Each relay's metrics, by the relay's name. */
int store_metrics(struct store *s, const char *const *relays, size_t n, struct store_text *texts);

#endif
