/* What the archiver's own files share. */
#ifndef TELERELAY_SQL_ARCHIVER_INTERNAL_H
#define TELERELAY_SQL_ARCHIVER_INTERNAL_H

#include "sql/archiver.h"
#include "sql/report.h"

/* How a step of the work ended. All but the first end the round. */
enum archiver_step {
    ARCHIVER_OK,
    ARCHIVER_END,      /* it is time to end */
    ARCHIVER_STANDBY,  /* another one works */
    ARCHIVER_AGAIN,    /* positions are to be read again */
    ARCHIVER_REDIS,    /* Redis is away */
    ARCHIVER_DATABASE, /* the database is */
    ARCHIVER_BUG       /* out of memory */
};

/* Something is away: said once when it goes and once when it comes back. */
struct archiver_trouble {
    bool on;
    int64_t since_ms, said_ms; /* monotonic */
    char reason[200];
};

struct archiver {
    const struct conf *conf;
    archiver_pause_fn *pause;
    void *pause_ctx;
    struct archive *db;
    struct archiver_redis *redis;
    struct plan *plan;
    struct batch *batch;
    struct report report;
    struct archiver_trouble redis_trouble, database_trouble;

    bool working;    /* has the lease */
    bool begun;      /* the plan's positions are the archive's, and Redis has not gone back behind them */
    bool ever;       /* the archive had something when it was opened, or all streams have been read since */
    bool refused;    /* Redis did not trim: was said */
    int batch_less;  /* rows of a transaction than are configured */
    uint64_t cursor; /* of the look through all devices */
    int64_t lease_due_ms, publish_due_ms, peek_due_ms, sweep_due_ms; /* monotonic */
    int64_t aside_until_ms;                                          /* leaves the lease to others */
    int backoff_ms;

    struct archiver_keep {
        int table;            /* whose turn it is */
        int most;             /* rows per bite */
        int64_t next_pass_ms; /* monotonic */
    } keep;
};

/* archiver.c: between any two steps: the lease, the report, signals. */
enum archiver_step archiver_tend(struct archiver *a);
enum archiver_step archiver_redis_away(struct archiver *a);
enum archiver_step archiver_database_away(struct archiver *a);
void archiver_database_back(struct archiver *a);

/* archiver_work.c */
enum archiver_step archiver_work_begin(struct archiver *a);    /* with a Redis or an archive that may be another */
enum archiver_step archiver_work_sweep(struct archiver *a);    /* every stream once */
enum archiver_step archiver_work_catch_up(struct archiver *a); /* those behind, until the next sweep is due */
enum archiver_step archiver_work_peek(struct archiver *a);     /* only looks at what waits */

/* archiver_keep.c: deletes what is too old, until the next sweep is due. */
enum archiver_step archiver_keep(struct archiver *a);

#endif
