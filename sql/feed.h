/*
 * What the archiver asks of Redis and leaves there: its lease, the streams, and how it goes. Calls return 0, or -1 with
 * archiver_redis_reason() set.
 */
#ifndef TELERELAY_SQL_FEED_H
#define TELERELAY_SQL_FEED_H

#include "sql/archiver_redis.h"
#include "sql/batch.h"

#include "common/rkey.h"

/* --- who works: one archiver at a time ------------------------------------------------------------- */

enum feed_lease {
    FEED_MINE,
    FEED_OTHERS,
    FEED_UNKNOWN /* Redis refuses to write, so nobody can have got it */
};

/* Takes the lease when it is free, or renews it when it is `token`'s. */
int feed_lease(struct archiver_redis *r, const char *token, int lease_ms, enum feed_lease *lease);

/* Gives it up. `report`: also what feed_publish() left. */
int feed_leave(struct archiver_redis *r, const char *token, bool report);

/* --- streams --------------------------------------------------------------------------------------- */

/* Adds the streams of devices to the plan: those seen last, and the next part of all; *cursor is 0 at the beginning
 * and once they were all seen. */
int feed_devices(struct archiver_redis *r, struct plan *p, uint64_t *cursor);

/* Reads at most `count` entries behind each stream's position into the batch. A key that is no stream is marked as
 * broken. -1 also without memory. */
int feed_read(struct archiver_redis *r, struct plan_stream *const *group, size_t n, size_t count, struct batch *b);

/* Marks as broken those streams whose key is of another type, and no others. */
int feed_types(struct archiver_redis *r, struct plan_stream *const *group, size_t n);

/* Fills in `length` and `begins` of the batch's parts from `from` on. */
int feed_look(struct archiver_redis *r, struct batch *b, size_t from);

/* Whether something waits, without reading it: plan_peeked() or plan_done() for each. */
int feed_peek(struct archiver_redis *r, struct plan_stream *const *group, size_t n);

/* For each stream whether the entry at its position is there; sets its length. */
int feed_anchors(struct archiver_redis *r, struct plan_stream *const *group, size_t n, bool *there);

/* All zero when there is no such stream. */
int feed_facts(struct archiver_redis *r, const struct plan_stream *s, struct plan_facts *facts);

/* The ids in a range of a stream, the newest first, at most *n of them; *n says how many there are. */
int feed_newest(struct archiver_redis *r, const struct plan_stream *s, struct streamid_range range,
                struct streamid *ids, size_t *n);

/* See PLAN_BACK: removes what is not behind the position, and sees to it that no new entry gets an id up to it.
 * `again`: the first of those that are to be added again, since the archive does not have them; after the position:
 * none. */
int feed_set_aside(struct archiver_redis *r, const struct plan_stream *s, struct streamid again, int64_t now_ms);

/* This Redis' run_id, and the one that RKEY_ARCHIVE_RUN says, "" for none. */
int feed_run(struct archiver_redis *r, char run[RKEY_RUN_MAX], char compared[RKEY_RUN_MAX]);

/* Says there that this Redis, as it runs now, has all that the archive has not. */
int feed_compared(struct archiver_redis *r, const char *run);

/* Trims entries[i] entries of each stream (0: none), all of them before its position. *trimmed: how many it were; what
 * Redis refuses to trim stays, and *refused says so. */
int feed_trim(struct archiver_redis *r, struct plan_stream *const *group, const int64_t *entries, size_t n,
              int64_t *trimmed, bool *refused);

/* --- for others ------------------------------------------------------------------------------------ */

struct feed_field {
    const char *name;
    char value[256];
};

/* The hash RKEY_ARCHIVE and the metrics; both expire after ttl_ms. Whether Redis takes them does not matter. */
int feed_publish(struct archiver_redis *r, const struct feed_field *fields, size_t n, const char *metrics, size_t len,
                 int ttl_ms);

#endif
