/*
 * Samples that wait for a relay, oldest first: a ring of files in a directory, or of the same in memory.
 *
 * Files ("segments") are only appended to and deleted whole. Their lines are checked (spool_line.h), so whatever
 * kill -9 or a loss of power leaves can be read: what is damaged is skipped and counted. When there is no room, the
 * oldest segment goes. What was written survives kill -9 at once, a loss of power SPOOL_SYNC_MS later; how far it has
 * been dropped likewise, and spool_settled() says when. One thread, beside the one that syncs. Does not log.
 */
#ifndef TELERELAY_ROBOT_SPOOL_H
#define TELERELAY_ROBOT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_SYNC_MS 10000
#define SPOOL_LEAST   16384 /* bytes; a smaller ring counts as one of this size */

struct spool;

struct spool_stats {
    uint64_t waiting; /* samples */
    uint64_t pushed;  /* samples that made room for newer ones before they were dropped, since the start */
    uint64_t damaged; /* lines that could not be read at the start */
};

/* dir: exists, is this robot's alone, and stays the caller's; NULL or "": in memory. most: bytes. NULL with a reason in
 * err. */
struct spool *spool_create(const char *dir, size_t most, char *err, size_t err_cap);
void spool_destroy(struct spool *s); /* what is on disk stays there; NULL is allowed */

/* metrics: as msg_put_metrics writes them. -1: not kept (disk full, too long), with errno. */
int spool_put(struct spool *s, int64_t time_ms, const char *metrics, size_t len, int64_t now_ms);

/* The oldest ones, until fn says false: that one, and what is behind it, is not among them. Returns how many were. */
typedef bool spool_fn(void *ctx, int64_t time_ms, const char *metrics, size_t len);
size_t spool_peek(struct spool *s, spool_fn *fn, void *ctx);

/* Drops those that the last spool_peek returned. */
void spool_drop(struct spool *s);

/* Whether a loss of power would not bring back what was dropped. */
bool spool_settled(const struct spool *s);

struct spool_stats spool_stats(const struct spool *s);

#endif
