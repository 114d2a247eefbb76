/*
 * What the archiver does next: which streams it reads and how much of each, what it trims, and what the beginning of a
 * stream says about losses. Pure.
 *
 * Streams are read in sweeps: each one once, PLAN_GROUP at a time. One that had more than was read is "behind" and is
 * read again before the next sweep, together with the others that are. So a busy robot costs the others nothing but
 * their share of a batch.
 */
#ifndef TELERELAY_SQL_PLAN_H
#define TELERELAY_SQL_PLAN_H

#include "sql/archive.h"

#include <uthash.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_GROUP       256     /* streams per call: Redis serves nobody else meanwhile */
#define PLAN_ENTRIES     5000    /* entries per call, likewise: some 3 ms */
#define PLAN_STREAMS_MAX 3000000 /* known at a time */

struct plan_stream {
    enum archive_kind kind;
    bool known;               /* has a position in the archive */
    bool behind;              /* had more than was read */
    bool near_loss;           /* so much waits that its hard cap is near */
    bool broken;              /* its key is no stream: left alone meanwhile */
    struct streamid position; /* archived up to here, inclusive; 0-0 before the first */
    uint64_t waiting_ms;      /* id of the oldest entry that waits, as far as is known; 0: nothing waits */
    int64_t length;           /* in Redis, when it was last looked at */
    int64_t kept;             /* of them archived, about */
    UT_hash_handle hh;
    char key[]; /* kind and device id: the key of the table */
};

/* "" for events. */
const char *plan_device(const struct plan_stream *s);

struct plan;

struct plan *plan_create(void); /* NULL without memory */
void plan_destroy(struct plan *p);

/* The stream, made when it is new; NULL for what is no device id, without memory, or beyond PLAN_STREAMS_MAX. */
struct plan_stream *plan_stream(struct plan *p, enum archive_kind kind, const char *device_id, size_t len);
size_t plan_streams(const struct plan *p);
struct plan_stream *plan_at(const struct plan *p, size_t index);

/* No position is known any more: they are about to be read from the archive. */
void plan_forget_positions(struct plan *p);

/* --- whose turn it is ------------------------------------------------------------------------------ */

enum plan_turn { PLAN_SWEEP, PLAN_BEHIND };

/* Begins with the stream after the last one of that turn, so that no stream is always the last. */
void plan_begin(struct plan *p, enum plan_turn turn);

/* What a batch can still take. */
struct plan_room {
    size_t rows, bytes;
};

/* The next streams of the turn, at most PLAN_GROUP of them, and how many entries to read of each; 0: it is over. */
size_t plan_next(struct plan *p, enum plan_turn turn, struct plan_room room, struct plan_stream **group, size_t *count);

/* An answer had so many entries and bytes: how much to ask for next time. */
void plan_learn(struct plan *p, size_t entries, size_t bytes);
/* … or was larger than is allowed. */
void plan_too_large(struct plan *p);

/* Whether a batch is to be committed before more is read. */
bool plan_full(struct plan_room room, struct plan_room whole);

/* --- losses ---------------------------------------------------------------------------------------- */

/* How a stream stands in Redis. */
struct plan_facts {
    struct streamid first;   /* 0-0 when it is empty */
    struct streamid last;    /* id given last, of an entry that may be gone */
    struct streamid deleted; /* "max-deleted-entry-id": marks what was set aside, see PLAN_BACK */
    int64_t added, length;   /* entries ever and now */
};

enum plan_verdict {
    PLAN_SOUND,
    PLAN_LOST, /* the hard cap removed what was not archived */
    PLAN_ANEW, /* the stream is a new one: Redis has lost the old one */
    PLAN_BACK  /* Redis has lost its newest entries, which are archived: what it has is to be set aside, so that
                  answers come from the archive */
};

/*
 * The entry at a stream's position is never trimmed by us, so a stream that begins behind it has lost some. `first` was
 * looked at after the stream was read. `ever`: the archive had positions when this archiver began, so that a stream
 * without one is new, and has to be complete.
 */
bool plan_suspicious(const struct plan_stream *s, struct streamid first, bool ever);
enum plan_verdict plan_judge(const struct plan_stream *s, const struct plan_facts *facts, bool ever);

/* The same for a connection that is new: the entry at the position is not there. */
enum plan_verdict plan_judge_missing(const struct plan_stream *s, const struct plan_facts *facts);

/* --- trimming and lag ------------------------------------------------------------------------------ */

#define PLAN_TRIM_LEAST 100   /* entries: Redis frees its nodes as a whole */
#define PLAN_TRIM_MOST  20000 /* in one go */

/* Entries to trim from a stream of that length: those above `hot`; 0: none. */
int64_t plan_trim(int64_t length, int64_t hot);

/* `read` entries up to `to` have been archived, of a stream of `length`; `more`: it had more. */
void plan_archived(struct plan_stream *s, struct streamid to, size_t read, bool more, int64_t length);
void plan_trimmed(struct plan_stream *s, int64_t entries);

/* Nothing waits in it. */
void plan_done(struct plan_stream *s);

/* An entry waits, of a stream of `length`. */
void plan_peeked(struct plan_stream *s, struct streamid oldest, int64_t length);

/* Entries that wait, about. */
int64_t plan_waiting(const struct plan_stream *s);

/* Sets near_loss: above 80 % of `maxlen` (0: no limit) it begins, below 60 % it ends. Returns whether it began. */
bool plan_watch(struct plan_stream *s, int64_t maxlen);

struct plan_lag {
    int64_t ms;        /* age of the oldest sample that waits; 0: none does */
    int64_t samples;   /* that wait, about */
    int64_t entries;   /* … of all kinds */
    int64_t near_loss; /* streams */
};
struct plan_lag plan_lag(const struct plan *p, int64_t now_ms);

#endif
