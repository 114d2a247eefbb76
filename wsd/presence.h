/*
 * What this relay has told its websites about who is online: a mirror of Redis, fed by snapshots
 * and numbered events, so that each change is told exactly once whatever order they arrive in. It
 * decides nothing about who gets a command; Redis does. Pure.
 */
#ifndef TELERELAY_PRESENCE_H
#define TELERELAY_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct presence;

struct presence_event {
    uint64_t seq;  /* tr:pseq after the change */
    bool up;       /* came (or came back on a newer connection), else went */
    uint64_t conn; /* the connection's number: the higher is the newer */
    const char *device_id;
};

enum presence_change {
    PRESENCE_SAME,  /* nothing to tell */
    PRESENCE_CAME,  /* tell: has connected */
    PRESENCE_WENT,  /* tell: has disconnected */
    PRESENCE_RESYNC /* an event was missed: ask for a snapshot */
};

struct presence *presence_create(void); /* NULL when out of memory */
void presence_destroy(struct presence *p);

/* False until the first snapshot and after presence_lost: then only a snapshot tells who is online. */
bool presence_synced(const struct presence *p);

/* Redis is gone: keep what was told, wait for a snapshot. */
void presence_lost(struct presence *p);

/*
 * Robots have serial numbers in the order in which they were first told, so that a long list can be told in parts: a
 * website knows of all up to some serial. One that came back on a newer connection keeps its own.
 */
#define PRESENCE_ALL UINT64_MAX

/* One event. PRESENCE_SAME while not synced: the snapshot will hold it. *serial: of a robot that came or went. */
enum presence_change presence_apply(struct presence *p, const struct presence_event *ev, uint64_t *serial);

struct presence_entry {
    const char *device_id;
    uint64_t conn;
};
typedef void presence_tell(void *ctx, const char *device_id, enum presence_change change, uint64_t serial);

/*
 * A whole snapshot, taken when tr:pseq was `seq`. Calls `tell` for each difference to what was told
 * before. Returns 0, or -1 when an event newer than the snapshot has been seen: ask for another.
 */
int presence_snapshot(struct presence *p, uint64_t seq, const struct presence_entry *entries, size_t n,
                      presence_tell *tell, void *ctx);

/*
 * Calls `tell` with PRESENCE_SAME for at most `max` robots that are online, those after serial `after` (0: from the
 * first). Returns the serial to go on after, PRESENCE_ALL when that was the last.
 */
uint64_t presence_list(const struct presence *p, uint64_t after, size_t max, presence_tell *tell, void *ctx);
size_t presence_count(const struct presence *p);

#endif
