/*
 * The archive: what has been in Redis' streams, in SQL. SQLite and PostgreSQL behind one interface.
 *
 * One process uses a struct archive, and one thread. It connects when it is first needed and again after it was lost;
 * every call has the deadline of archive_create. Calls return 0, or -1 with archive_reason() set and the outputs
 * unspecified: the database is away, or is not what this version knows; the next call connects again. What is handed to
 * a callback lives until that returns. A callback makes no calls of its own; its time counts for the deadline; it ends
 * a call early by returning non-zero, which is not an error. Looking up a host's name has a time limit of its own, of
 * about a second per name server: an address is better.
 *
 * An entry keeps the id that it has in its stream. `device_id` is "" for the one stream of events.
 */
#ifndef TELERELAY_SQL_ARCHIVE_H
#define TELERELAY_SQL_ARCHIVE_H

#include "common/streamid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive;

/* One kind for each kind of stream (common/rkey.h). */
enum archive_kind { ARCHIVE_SAMPLES, ARCHIVE_COMMANDS, ARCHIVE_OUTCOMES, ARCHIVE_EVENTS, ARCHIVE_KINDS };

extern const char *const archive_kind_names[ARCHIVE_KINDS]; /* "samples", … */

/* Roll-ups of samples. */
enum archive_tier { ARCHIVE_MINUTE, ARCHIVE_HOUR, ARCHIVE_TIERS };

extern const int64_t archive_tier_ms[ARCHIVE_TIERS]; /* 60,000 and 3,600,000 */

enum archive_use { ARCHIVE_READ, ARCHIVE_WRITE };

/* `database` as in telerelay.conf(5), not empty. NULL without memory. Does not connect yet. */
struct archive *archive_create(const char *database, enum archive_use use, int deadline_ms);
void archive_destroy(struct archive *a); /* takes NULL */

/* Why the last call failed, for people, without passwords. */
const char *archive_reason(const struct archive *a);

/* Drops the connection: the next call makes a new one. */
void archive_disconnect(struct archive *a);

/* --- the schema ---------------------------------------------------------------------------------- */

/* Version of the schema: 0 when there is none yet (nor an SQLite file), and the one that this program wants. */
int archive_version(struct archive *a, int *found, int *wanted);

/* Brings the schema to this program's version, one transaction per step; *from is what it was. Makes an SQLite file,
 * which nothing else does, not its directory. A newer one is an error. May be called by several programs at once. */
int archive_migrate(struct archive *a, int *from, int *to);

/* --- reading --------------------------------------------------------------------------------------- */

/* All reads until archive_end_view() see one instant of the database; once one has failed, all of them do. A read
 * outside of a view is a view of its own. */
int archive_begin_view(struct archive *a);
void archive_end_view(struct archive *a); /* also after a failed call */

struct archive_row {
    struct streamid id;
    const char *text; /* the stream's field, byte for byte */
    size_t len;
};
typedef int archive_row_fn(void *ctx, const struct archive_row *row);

/* Entries of one stream in order of their ids, at most `count` of them. */
int archive_rows(struct archive *a, enum archive_kind kind, const char *device_id, struct streamid_range range,
                 size_t count, bool descending, archive_row_fn *fn, void *ctx);

/* Up to which entry, inclusive, a stream has been archived; *known is false, and *position 0-0, before its first. */
int archive_position(struct archive *a, enum archive_kind kind, const char *device_id, struct streamid *position,
                     bool *known);

/* Every stream's position. */
typedef int archive_position_fn(void *ctx, enum archive_kind kind, const char *device_id, struct streamid position);
int archive_positions(struct archive *a, archive_position_fn *fn, void *ctx);

/* Every metric that a device has ever sent, by name. */
typedef int archive_metric_fn(void *ctx, const char *name);
int archive_metrics(struct archive *a, const char *device_id, archive_metric_fn *fn, void *ctx);

/* One metric's values in one minute or hour. */
struct archive_bucket {
    int64_t ms; /* its beginning, since 1970; a multiple of the tier's length */
    double min, max, sum, last;
    int64_t count;
};
typedef int archive_bucket_fn(void *ctx, const struct archive_bucket *bucket);

/* The buckets that begin in [from_ms, to_ms), ascending; those without a value are absent. They hold exactly the
 * samples up to archive_position(). */
int archive_rollup(struct archive *a, enum archive_tier tier, const char *device_id, const char *metric,
                   int64_t from_ms, int64_t to_ms, archive_bucket_fn *fn, void *ctx);

/* Entries that a stream's hard cap removed before they were archived. */
struct archive_gap {
    enum archive_kind kind;
    const char *device_id;
    struct streamid after, before; /* the last entry archived, and the first one that was still there; both exclusive */
    int64_t noticed_ms;
};
typedef int archive_gap_fn(void *ctx, const struct archive_gap *gap);

/* The newest gaps first, at most `count`; device_id NULL: of all. */
int archive_gaps(struct archive *a, const char *device_id, size_t count, archive_gap_fn *fn, void *ctx);

struct archive_status {
    int64_t devices;
    int64_t rows[ARCHIVE_KINDS];    /* exact with SQLite; PostgreSQL's own estimate */
    int64_t rollups[ARCHIVE_TIERS]; /* likewise */
    int64_t gaps;
    int64_t bytes;                /* on disk */
    int64_t oldest_ms, newest_ms; /* samples; 0 without any */
};
int archive_status(struct archive *a, struct archive_status *status);

/* --- writing (ARCHIVE_WRITE) ------------------------------------------------------------------------- */

/* What was read of one stream. */
struct archive_part {
    enum archive_kind kind;
    const char *device_id;
    struct streamid from;           /* its position before, 0-0 for none: checked, see archive_commit */
    struct streamid to;             /* its position afterwards: the last entry read */
    const struct archive_row *rows; /* ascending, after `from`, up to `to`; may be none (entries that are not ours) */
    size_t n;
    bool gap;                   /* entries between `from` and the first row were lost */
    struct streamid gap_before; /* with `gap`: the first entry that was still there */
};

enum archive_commit {
    ARCHIVE_COMMITTED,
    ARCHIVE_RACED, /* nothing was written: another archiver has been at work; a position is not `from`, or
                      archive_follow */
    ARCHIVE_FAILED /* nothing was written, or (a connection lost during COMMIT) all of it: see the positions */
};

/*
 * Rows, roll-ups, positions, gaps: all of it, durably, or nothing. A stream is in `parts` once at most. Left out, as if
 * they had been archived: samples that sample_check() refuses, and entries with a number of 2^63 or more in their id.
 * Roll-ups leave out what is not finite, and sum within ±1e300 per value, so that a sum is always finite.
 */
enum archive_commit archive_commit(struct archive *a, const struct archive_part *parts, size_t n, int64_t now_ms);

/*
 * A note: which Redis (its run_id) the archive follows; "" at first. archive_follow() makes one, and of those who made
 * one before it says ARCHIVE_RACED to every later commit, unless it was the same Redis.
 */
#define ARCHIVE_RUN_MAX 64
int archive_followed(struct archive *a, char run[ARCHIVE_RUN_MAX]);
int archive_follow(struct archive *a, const char *run);

/* Deletes at most `most` rows that are older than before_ms; *deleted says how many it was. */
int archive_expire(struct archive *a, enum archive_kind kind, int64_t before_ms, int most, int64_t *deleted);
int archive_expire_rollup(struct archive *a, enum archive_tier tier, int64_t before_ms, int most, int64_t *deleted);

#endif
