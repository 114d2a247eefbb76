/* The archive in PostgreSQL, in some files; private to them. */
#ifndef TELERELAY_ARCHIVE_POSTGRES_H
#define TELERELAY_ARCHIVE_POSTGRES_H

#include "sql/archive_driver.h"
#include "sql/pgarray.h"

#include <postgresql/libpq-fe.h>

/* Statements, prepared when they are first needed. Those of a kind, tier or dict follow each other. */
enum archive_postgres_statement {
    Q_FIND,
    Q_ADD = Q_FIND + ARCHIVE_DICTS,
    Q_SHAPE = Q_ADD + ARCHIVE_DICTS,
    Q_ROWS,
    Q_ROWS_DESC = Q_ROWS + ARCHIVE_KINDS,
    Q_POSITION = Q_ROWS_DESC + ARCHIVE_KINDS,
    Q_POSITIONS,
    Q_FOLLOWED,
    Q_METRICS,
    Q_ROLLUP,
    Q_GAPS = Q_ROLLUP + ARCHIVE_TIERS,
    Q_TABLES,
    Q_SUMMARY,
    Q_MOVE,
    Q_MOVE_FIRST,
    Q_GAP,
    Q_ROW,
    Q_DELTA = Q_ROW + ARCHIVE_KINDS,
    Q_DEVICE_METRIC = Q_DELTA + ARCHIVE_TIERS,
    Q_FOLLOW,
    Q_EXPIRE,
    Q_EXPIRE_ROLLUP = Q_EXPIRE + ARCHIVE_KINDS,
    Q_STATEMENTS = Q_EXPIRE_ROLLUP + ARCHIVE_TIERS
};

#define ARCHIVE_POSTGRES_COLUMNS 8 /* of what is written in bulk, at most; also parameters of any statement */

/* Rows that wait for being written together: a column is an array. */
struct archive_postgres_bulk {
    struct pgarray columns[ARCHIVE_POSTGRES_COLUMNS];
    int n_columns;
};

struct archive_postgres {
    struct archive_db db; /* first */
    char *uri;
    char *password; /* that it has, or NULL: never to be said */
    PGconn *conn;
    bool prepared[Q_STATEMENTS];
    struct archive_postgres_bulk rows[ARCHIVE_KINDS], deltas[ARCHIVE_TIERS], moves;
    struct rollup_delta last[ARCHIVE_TIERS]; /* of those that wait */
};

/* Parameters of one statement. Texts and arrays must live until it was run. */
struct archive_postgres_params {
    int n;
    const char *values[ARCHIVE_POSTGRES_COLUMNS];
    int lengths[ARCHIVE_POSTGRES_COLUMNS];
    uint64_t numbers[ARCHIVE_POSTGRES_COLUMNS];
};

/* --- archive_postgres_query.c: everything that waits ------------------------------------------------- */

/* Makes p->conn; 0, or -1 with the reason. */
int archive_postgres_connect(struct archive_postgres *p);

/* The last result of one or more statements; NULL with the reason set when one failed. */
PGresult *archive_postgres_simple(struct archive_postgres *p, const char *statements);
PGresult *archive_postgres_run(struct archive_postgres *p, int which, const struct archive_postgres_params *params);

void archive_postgres_int(struct archive_postgres_params *params, int64_t value);
void archive_postgres_bytes(struct archive_postgres_params *params, const char *bytes, size_t len);

/* Of a binary result: a bigint (0 for NULL), a double, rows that a statement changed. */
int64_t archive_postgres_get_int(const PGresult *result, int row, int column);
double archive_postgres_get_float(const PGresult *result, int row, int column);
int64_t archive_postgres_changed(PGresult *result);

extern const char *const archive_postgres_texts[Q_STATEMENTS]; /* archive_postgres_texts.c */

/* --- archive_postgres_read.c ----------------------------------------------------------------------------- */

int archive_postgres_rows(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid_range range,
                          size_t count, bool descending, archive_raw_fn *fn, void *ctx);
int archive_postgres_position(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid *position,
                              bool *known);
int archive_postgres_positions(struct archive_db *db, archive_position_fn *fn, void *ctx);
int archive_postgres_followed(struct archive_db *db, char run[ARCHIVE_RUN_MAX]);
int archive_postgres_metrics(struct archive_db *db, int64_t device, archive_metric_fn *fn, void *ctx);
int archive_postgres_rollup(struct archive_db *db, enum archive_tier tier, int64_t device, int64_t metric,
                            int64_t from_ms, int64_t to_ms, archive_bucket_fn *fn, void *ctx);
int archive_postgres_gaps(struct archive_db *db, int64_t device, size_t count, archive_gap_fn *fn, void *ctx);
int archive_postgres_status(struct archive_db *db, struct archive_status *status);

/* --- archive_postgres_write.c ---------------------------------------------------------------------------- */

void archive_postgres_init_bulk(struct archive_postgres *p);
void archive_postgres_finish_bulk(struct archive_postgres *p);
void archive_postgres_clear_bulk(struct archive_postgres *p); /* what waits is not written */
int archive_postgres_flush(struct archive_postgres *p);       /* it is */
int archive_postgres_move(struct archive_db *db, const struct archive_move *moves, size_t n, bool *raced);
int archive_postgres_gap(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_gap *gap);
int archive_postgres_row(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_raw *raw);
int archive_postgres_delta(struct archive_db *db, enum archive_tier tier, const struct rollup_delta *delta);
int archive_postgres_device_metric(struct archive_db *db, int64_t device, int64_t metric);
int archive_postgres_follow(struct archive_db *db, const char *run);
int archive_postgres_expire(struct archive_db *db, enum archive_kind kind, int64_t before_ms, int most,
                            int64_t *deleted);
int archive_postgres_expire_rollup(struct archive_db *db, enum archive_tier tier, int64_t before_ms, int most,
                                   int64_t *deleted);

#endif
