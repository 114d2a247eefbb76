/*
 * What the archive wants of a database; private to sql/. archive.c and archive_commit.c do what the databases share:
 * when to connect, which texts are which numbers, the form of samples, the order of work in a transaction. A driver
 * runs statements.
 *
 * A driver's functions return 0, or -1 with db->reason set, and keep to db->until_ms. After -1 the caller disconnects.
 */
#ifndef TELERELAY_ARCHIVE_DRIVER_H
#define TELERELAY_ARCHIVE_DRIVER_H

#include "sql/archive.h"
#include "sql/names.h"
#include "sql/rollup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARCHIVE_REASON_MAX  256
#define ARCHIVE_UNKNOWN     ((int64_t)-1) /* the id of a text that the database does not have */
#define ARCHIVE_NO_DEVICE   ((int64_t)0)  /* the id of "", in every database from the beginning */
#define ARCHIVE_SHAPE_BYTES 2048          /* room for a shape's names */

/* Texts that have numbers in the database. */
enum archive_dict { ARCHIVE_DEVICES, ARCHIVE_SHAPES, ARCHIVE_METRICS, ARCHIVE_DICTS };

/* The beginning of a driver's own structure. */
struct archive_db {
    const struct archive_driver *driver;
    enum archive_use use;
    bool connected;
    int deadline_ms;  /* of one call */
    int64_t until_ms; /* monotonic: when the running call has to be over */
    char reason[ARCHIVE_REASON_MAX];
};

/* An entry as it is stored: of a sample the shape's id and its values, else 0 and the text. */
struct archive_raw {
    struct streamid id;
    int64_t shape;
    const char *text;
    size_t len;
};
typedef int archive_raw_fn(void *ctx, const struct archive_raw *raw);

/* A position from `from` to `to`. */
struct archive_move {
    enum archive_kind kind;
    int64_t device;
    struct streamid from, to;
};

struct archive_driver {
    int wanted; /* the schema's version */
    struct archive_db *(*create)(const char *database);
    void (*destroy)(struct archive_db *db); /* disconnected before */

    /* `make`: an SQLite file that is missing is made. */
    int (*connect)(struct archive_db *db, bool make);
    void (*disconnect)(struct archive_db *db); /* whatever state it is in */
    bool (*alive)(struct archive_db *db);      /* false: another connection is needed. Does not wait */
    /* 0 also where nothing is, yet */
    int (*version)(struct archive_db *db, int *version);
    int (*migrate)(struct archive_db *db, int *from);

    int (*begin)(struct archive_db *db, enum archive_use use);
    int (*commit)(struct archive_db *db); /* writes what is still held back, too */
    int (*rollback)(struct archive_db *db);

    int (*find)(struct archive_db *db, enum archive_dict dict, const char *text, size_t len, int64_t *id);
    int (*add)(struct archive_db *db, enum archive_dict dict, const char *text, size_t len, int64_t *id);
    /* The names of a shape, ARCHIVE_SHAPE_BYTES at most; may be called from within `rows`. */
    int (*shape)(struct archive_db *db, int64_t id, char *names, size_t *len);

    int (*rows)(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid_range range,
                size_t count, bool descending, archive_raw_fn *fn, void *ctx);
    int (*position)(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid *position,
                    bool *known);
    int (*positions)(struct archive_db *db, archive_position_fn *fn, void *ctx);
    int (*followed)(struct archive_db *db, char run[ARCHIVE_RUN_MAX]);
    int (*metrics)(struct archive_db *db, int64_t device, archive_metric_fn *fn, void *ctx);
    int (*rollup)(struct archive_db *db, enum archive_tier tier, int64_t device, int64_t metric, int64_t from_ms,
                  int64_t to_ms, archive_bucket_fn *fn, void *ctx);
    int (*gaps)(struct archive_db *db, int64_t device, size_t count, archive_gap_fn *fn, void *ctx); /* UNKNOWN: all */
    int (*status)(struct archive_db *db, struct archive_status *status);

    /* *raced: a position was not `from`; some of the others may have moved. */
    int (*move)(struct archive_db *db, const struct archive_move *moves, size_t n, bool *raced);
    int (*gap)(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_gap *gap);
    int (*row)(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_raw *raw);
    int (*delta)(struct archive_db *db, enum archive_tier tier, const struct rollup_delta *delta);
    int (*device_metric)(struct archive_db *db, int64_t device, int64_t metric); /* may be there already */
    int (*follow)(struct archive_db *db, const char *run);
    int (*expire)(struct archive_db *db, enum archive_kind kind, int64_t before_ms, int most, int64_t *deleted);
    int (*expire_rollup)(struct archive_db *db, enum archive_tier tier, int64_t before_ms, int most, int64_t *deleted);
};

extern const struct archive_driver archive_sqlite, archive_postgres;

/* Sets db->reason and returns -1. */
int archive_driver_fail(struct archive_db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ms until the running call has to be over; never less than 0. */
int archive_driver_left_ms(const struct archive_db *db);

/* Ids as the databases' signed numbers and back. Rows beyond 2^63 are left out; positions are only compared for
 * equality. */
static inline int64_t archive_signed(uint64_t number)
{
    return (int64_t)number;
}

static inline int64_t archive_clamped(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

/* --- between archive.c and archive_commit.c -------------------------------------------------------- */

struct archive {
    struct archive_db *db;
    struct names *dicts[ARCHIVE_DICTS]; /* of this connection, what is committed or in the running transaction */
    struct names *pairs;                /* device and metric that device_metrics has */
    struct rollup *rollup;              /* of the running commit */
    bool checked;                       /* that this connection's schema is the one wanted */
    char run[ARCHIVE_RUN_MAX];          /* archive_follow(), … */
    bool follows;                       /* … which was called */
    bool in_view;
    bool view_lost; /* its connection was dropped: it cannot go on */
    char reason[ARCHIVE_REASON_MAX];
};

/* Begins a call: sets its end, connects if need be, and checks the schema's version. */
int archive_ready(struct archive *a);

/* Ends one that failed: keeps the reason, drops the connection. Returns -1. */
int archive_broken(struct archive *a);

void archive_forget(struct archive *a); /* the ids that were met */

#endif
