#include "sql/archive_sqlite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct archive_sqlite *of(struct archive_db *db)
{
    return (struct archive_sqlite *)(void *)db;
}

static struct streamid column_id(sqlite3_stmt *statement, int column)
{
    return (struct streamid){(uint64_t)sqlite3_column_int64(statement, column),
                             (uint64_t)sqlite3_column_int64(statement, column + 1)};
}

/* A text that is not NULL: "" for what a damaged file may hold instead. */
static const char *column_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL ? text : "";
}

/* Ends a statement that stands at `code`. */
static int finish(sqlite3_stmt *statement, int code)
{
    if (code == SQLITE_ROW)
        sqlite3_reset(statement);
    return code < 0 ? -1 : 0;
}

int archive_sqlite_rows(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid_range range,
                        size_t count, bool descending, archive_raw_fn *fn, void *ctx)
{
    struct archive_sqlite *s = of(db);
    int code;
    sqlite3_stmt *q = archive_sqlite_statement(s, (descending ? Q_ROWS_DESC : Q_ROWS) + (int)kind);
    if (q == NULL)
        return -1;
    sqlite3_bind_int64(q, 1, device);
    sqlite3_bind_int64(q, 2, archive_signed(range.lo.ms));
    sqlite3_bind_int64(q, 3, archive_signed(range.lo.seq));
    sqlite3_bind_int64(q, 4, archive_signed(range.hi.ms));
    sqlite3_bind_int64(q, 5, archive_signed(range.hi.seq));
    sqlite3_bind_int64(q, 6, (sqlite3_int64)count);
    while ((code = archive_sqlite_step(s, q)) == SQLITE_ROW) {
        struct archive_raw raw = {.id = column_id(q, 0), .shape = sqlite3_column_int64(q, 2)};
        raw.text = column_text(q, 3);
        raw.len = (size_t)sqlite3_column_bytes(q, 3);
        if (fn(ctx, &raw) != 0)
            break;
    }
    return finish(q, code);
}

int archive_sqlite_position(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid *position,
                            bool *known)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_POSITION);
    if (q == NULL)
        return -1;
    sqlite3_bind_int(q, 1, (int)kind);
    sqlite3_bind_int64(q, 2, device);
    int code = archive_sqlite_step(s, q);
    if (code == SQLITE_ROW) {
        *position = column_id(q, 0);
        *known = true;
    }
    return finish(q, code);
}

int archive_sqlite_positions(struct archive_db *db, archive_position_fn *fn, void *ctx)
{
    struct archive_sqlite *s = of(db);
    int code;
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_POSITIONS);
    if (q == NULL)
        return -1;
    while ((code = archive_sqlite_step(s, q)) == SQLITE_ROW) {
        int kind = sqlite3_column_int(q, 0);
        if (kind >= 0 && kind < ARCHIVE_KINDS &&
            fn(ctx, (enum archive_kind)kind, column_text(q, 1), column_id(q, 2)) != 0)
            break;
    }
    return finish(q, code);
}

int archive_sqlite_followed(struct archive_db *db, char run[ARCHIVE_RUN_MAX])
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_FOLLOWED);
    if (q == NULL)
        return -1;
    int code = archive_sqlite_step(s, q);
    snprintf(run, ARCHIVE_RUN_MAX, "%s", code == SQLITE_ROW ? column_text(q, 0) : "");
    return finish(q, code);
}

int archive_sqlite_metrics(struct archive_db *db, int64_t device, archive_metric_fn *fn, void *ctx)
{
    struct archive_sqlite *s = of(db);
    int code;
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_METRICS);
    if (q == NULL)
        return -1;
    sqlite3_bind_int64(q, 1, device);
    while ((code = archive_sqlite_step(s, q)) == SQLITE_ROW) {
        if (fn(ctx, column_text(q, 0)) != 0)
            break;
    }
    return finish(q, code);
}

int archive_sqlite_rollup(struct archive_db *db, enum archive_tier tier, int64_t device, int64_t metric,
                          int64_t from_ms, int64_t to_ms, archive_bucket_fn *fn, void *ctx)
{
    struct archive_sqlite *s = of(db);
    int code;
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_ROLLUP + (int)tier);
    if (q == NULL)
        return -1;
    sqlite3_bind_int64(q, 1, device);
    sqlite3_bind_int64(q, 2, metric);
    sqlite3_bind_int64(q, 3, from_ms);
    sqlite3_bind_int64(q, 4, to_ms);
    while ((code = archive_sqlite_step(s, q)) == SQLITE_ROW) {
        struct archive_bucket bucket = {.ms = sqlite3_column_int64(q, 0),
                                        .min = sqlite3_column_double(q, 1),
                                        .max = sqlite3_column_double(q, 2),
                                        .sum = sqlite3_column_double(q, 3),
                                        .last = sqlite3_column_double(q, 4),
                                        .count = sqlite3_column_int64(q, 5)};
        if (fn(ctx, &bucket) != 0)
            break;
    }
    return finish(q, code);
}

int archive_sqlite_gaps(struct archive_db *db, int64_t device, size_t count, archive_gap_fn *fn, void *ctx)
{
    struct archive_sqlite *s = of(db);
    int code;
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_GAPS);
    if (q == NULL)
        return -1;
    sqlite3_bind_int64(q, 1, device);
    sqlite3_bind_int64(q, 2, count > INT64_MAX ? INT64_MAX : (sqlite3_int64)count);
    while ((code = archive_sqlite_step(s, q)) == SQLITE_ROW) {
        struct archive_gap gap = {.kind = (enum archive_kind)sqlite3_column_int(q, 0),
                                  .device_id = column_text(q, 1),
                                  .after = column_id(q, 2),
                                  .before = column_id(q, 4),
                                  .noticed_ms = sqlite3_column_int64(q, 6)};
        if (fn(ctx, &gap) != 0)
            break;
    }
    return finish(q, code);
}

/* --- status ---------------------------------------------------------------------------------------- */

static int64_t *total_of(struct archive_status *status, const char *name)
{
    static const char *const kinds[ARCHIVE_KINDS] = {"samples", "commands", "outcomes", "events"};
    for (int i = 0; i < ARCHIVE_KINDS; i++) {
        if (strcmp(name, kinds[i]) == 0)
            return &status->rows[i];
    }
    if (strcmp(name, "minutes") == 0)
        return &status->rollups[ARCHIVE_MINUTE];
    return strcmp(name, "hours") == 0 ? &status->rollups[ARCHIVE_HOUR] : NULL;
}

int archive_sqlite_status(struct archive_db *db, struct archive_status *status)
{
    struct archive_sqlite *s = of(db);
    struct stat st;
    char log[4096];
    int code;
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_TOTALS);
    if (q == NULL)
        return -1;
    while ((code = archive_sqlite_step(s, q)) == SQLITE_ROW) {
        int64_t *total = total_of(status, column_text(q, 0));
        if (total != NULL)
            *total = sqlite3_column_int64(q, 1);
    }
    if (code < 0 || (q = archive_sqlite_statement(s, Q_SUMMARY)) == NULL)
        return -1;
    code = archive_sqlite_step(s, q);
    if (code == SQLITE_ROW) {
        status->devices = sqlite3_column_int64(q, 0);
        status->gaps = sqlite3_column_int64(q, 1);
        status->bytes = sqlite3_column_int64(q, 2);
        status->oldest_ms = sqlite3_column_int64(q, 3);
        status->newest_ms = sqlite3_column_int64(q, 4);
    }
    snprintf(log, sizeof(log), "%s-wal", s->path);
    if (stat(log, &st) == 0)
        status->bytes += st.st_size;
    return finish(q, code);
}
