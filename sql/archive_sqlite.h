/* The archive in SQLite, in three files; private to them. */
#ifndef TELERELAY_ARCHIVE_SQLITE_H
#define TELERELAY_ARCHIVE_SQLITE_H

#include "sql/archive_driver.h"

#include <sqlite3.h>

/* Statements, prepared when they are first needed. Those of a kind, tier or dict follow each other. */
enum archive_sqlite_statement {
    Q_FIND,
    Q_ADD = Q_FIND + ARCHIVE_DICTS,
    Q_SHAPE = Q_ADD + ARCHIVE_DICTS,
    Q_BEGIN_READ,
    Q_BEGIN_WRITE,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_SNAPSHOT,
    Q_ROWS,
    Q_ROWS_DESC = Q_ROWS + ARCHIVE_KINDS,
    Q_POSITION = Q_ROWS_DESC + ARCHIVE_KINDS,
    Q_POSITIONS,
    Q_FOLLOWED,
    Q_METRICS,
    Q_ROLLUP,
    Q_GAPS = Q_ROLLUP + ARCHIVE_TIERS,
    Q_TOTALS,
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
    Q_TOTAL = Q_EXPIRE_ROLLUP + ARCHIVE_TIERS,
    Q_STATEMENTS
};

struct archive_sqlite {
    struct archive_db db; /* first */
    char *path;
    sqlite3 *handle; /* NULL while connected: there is no file */
    sqlite3_stmt *statements[Q_STATEMENTS];
    int64_t added[ARCHIVE_KINDS + ARCHIVE_TIERS]; /* rows of the running transaction, kinds before tiers */
};

/* The statement, ready to be bound; NULL with the reason set. */
sqlite3_stmt *archive_sqlite_statement(struct archive_sqlite *s, int which);

/* Runs it to its end, without rows, and resets it. */
int archive_sqlite_run(struct archive_sqlite *s, sqlite3_stmt *statement);

/* SQLITE_ROW or SQLITE_DONE; -1 with the reason set. After the latter two it is reset. */
int archive_sqlite_step(struct archive_sqlite *s, sqlite3_stmt *statement);

/* What sqlite3 complains about becomes the reason. Returns -1. */
int archive_sqlite_fail(struct archive_sqlite *s, int code);

/* archive_sqlite_read.c */
int archive_sqlite_rows(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid_range range,
                        size_t count, bool descending, archive_raw_fn *fn, void *ctx);
int archive_sqlite_position(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid *position,
                            bool *known);
int archive_sqlite_positions(struct archive_db *db, archive_position_fn *fn, void *ctx);
int archive_sqlite_followed(struct archive_db *db, char run[ARCHIVE_RUN_MAX]);
int archive_sqlite_metrics(struct archive_db *db, int64_t device, archive_metric_fn *fn, void *ctx);
int archive_sqlite_rollup(struct archive_db *db, enum archive_tier tier, int64_t device, int64_t metric,
                          int64_t from_ms, int64_t to_ms, archive_bucket_fn *fn, void *ctx);
int archive_sqlite_gaps(struct archive_db *db, int64_t device, size_t count, archive_gap_fn *fn, void *ctx);
int archive_sqlite_status(struct archive_db *db, struct archive_status *status);

/* archive_sqlite_write.c */
int archive_sqlite_totals(struct archive_sqlite *s); /* before the end of a transaction that writes */
int archive_sqlite_move(struct archive_db *db, const struct archive_move *moves, size_t n, bool *raced);
int archive_sqlite_gap(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_gap *gap);
int archive_sqlite_row(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_raw *raw);
int archive_sqlite_delta(struct archive_db *db, enum archive_tier tier, const struct rollup_delta *delta);
int archive_sqlite_device_metric(struct archive_db *db, int64_t device, int64_t metric);
int archive_sqlite_follow(struct archive_db *db, const char *run);
int archive_sqlite_expire(struct archive_db *db, enum archive_kind kind, int64_t before_ms, int most, int64_t *deleted);
int archive_sqlite_expire_rollup(struct archive_db *db, enum archive_tier tier, int64_t before_ms, int most,
                                 int64_t *deleted);

#endif
