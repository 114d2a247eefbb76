#include "sql/archive_postgres.h"

#include <stdio.h>

static struct archive_postgres *of(struct archive_db *db)
{
    return (struct archive_postgres *)(void *)db;
}

static struct streamid get_id(const PGresult *result, int row, int column)
{
    return (struct streamid){(uint64_t)archive_postgres_get_int(result, row, column),
                             (uint64_t)archive_postgres_get_int(result, row, column + 1)};
}

int archive_postgres_rows(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid_range range,
                          size_t count, bool descending, archive_raw_fn *fn, void *ctx)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, device);
    archive_postgres_int(&params, archive_signed(range.lo.ms));
    archive_postgres_int(&params, archive_signed(range.lo.seq));
    archive_postgres_int(&params, archive_signed(range.hi.ms));
    archive_postgres_int(&params, archive_signed(range.hi.seq));
    archive_postgres_int(&params, (int64_t)count);
    PGresult *r = archive_postgres_run(of(db), (descending ? Q_ROWS_DESC : Q_ROWS) + (int)kind, &params);
    if (r == NULL)
        return -1;
    for (int i = 0; i < PQntuples(r); i++) {
        struct archive_raw raw = {.id = get_id(r, i, 0),
                                  .shape = archive_postgres_get_int(r, i, 2),
                                  .text = PQgetvalue(r, i, 3),
                                  .len = (size_t)PQgetlength(r, i, 3)};
        if (fn(ctx, &raw) != 0)
            break;
    }
    PQclear(r);
    return 0;
}

int archive_postgres_position(struct archive_db *db, enum archive_kind kind, int64_t device, struct streamid *position,
                              bool *known)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, (int64_t)kind);
    archive_postgres_int(&params, device);
    PGresult *r = archive_postgres_run(of(db), Q_POSITION, &params);
    if (r == NULL)
        return -1;
    if (PQntuples(r) > 0) {
        *position = get_id(r, 0, 0);
        *known = true;
    }
    PQclear(r);
    return 0;
}

int archive_postgres_positions(struct archive_db *db, archive_position_fn *fn, void *ctx)
{
    struct archive_postgres_params params = {0};
    PGresult *r = archive_postgres_run(of(db), Q_POSITIONS, &params);
    if (r == NULL)
        return -1;
    for (int i = 0; i < PQntuples(r); i++) {
        int64_t kind = archive_postgres_get_int(r, i, 0);
        if (kind >= 0 && kind < ARCHIVE_KINDS &&
            fn(ctx, (enum archive_kind)kind, PQgetvalue(r, i, 1), get_id(r, i, 2)) != 0)
            break;
    }
    PQclear(r);
    return 0;
}

int archive_postgres_followed(struct archive_db *db, char run[ARCHIVE_RUN_MAX])
{
    struct archive_postgres_params params = {0};
    PGresult *r = archive_postgres_run(of(db), Q_FOLLOWED, &params);
    if (r == NULL)
        return -1;
    snprintf(run, ARCHIVE_RUN_MAX, "%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    return 0;
}

int archive_postgres_metrics(struct archive_db *db, int64_t device, archive_metric_fn *fn, void *ctx)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, device);
    PGresult *r = archive_postgres_run(of(db), Q_METRICS, &params);
    if (r == NULL)
        return -1;
    for (int i = 0; i < PQntuples(r); i++) {
        if (fn(ctx, PQgetvalue(r, i, 0)) != 0)
            break;
    }
    PQclear(r);
    return 0;
}

int archive_postgres_rollup(struct archive_db *db, enum archive_tier tier, int64_t device, int64_t metric,
                            int64_t from_ms, int64_t to_ms, archive_bucket_fn *fn, void *ctx)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, device);
    archive_postgres_int(&params, metric);
    archive_postgres_int(&params, from_ms);
    archive_postgres_int(&params, to_ms);
    PGresult *r = archive_postgres_run(of(db), Q_ROLLUP + (int)tier, &params);
    if (r == NULL)
        return -1;
    for (int i = 0; i < PQntuples(r); i++) {
        struct archive_bucket bucket = {.ms = archive_postgres_get_int(r, i, 0),
                                        .min = archive_postgres_get_float(r, i, 1),
                                        .max = archive_postgres_get_float(r, i, 2),
                                        .sum = archive_postgres_get_float(r, i, 3),
                                        .last = archive_postgres_get_float(r, i, 4),
                                        .count = archive_postgres_get_int(r, i, 5)};
        if (fn(ctx, &bucket) != 0)
            break;
    }
    PQclear(r);
    return 0;
}

int archive_postgres_gaps(struct archive_db *db, int64_t device, size_t count, archive_gap_fn *fn, void *ctx)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, device);
    archive_postgres_int(&params, archive_clamped(count));
    PGresult *r = archive_postgres_run(of(db), Q_GAPS, &params);
    if (r == NULL)
        return -1;
    for (int i = 0; i < PQntuples(r); i++) {
        struct archive_gap gap = {.kind = (enum archive_kind)archive_postgres_get_int(r, i, 0),
                                  .device_id = PQgetvalue(r, i, 1),
                                  .after = get_id(r, i, 2),
                                  .before = get_id(r, i, 4),
                                  .noticed_ms = archive_postgres_get_int(r, i, 6)};
        if (fn(ctx, &gap) != 0)
            break;
    }
    PQclear(r);
    return 0;
}

int archive_postgres_status(struct archive_db *db, struct archive_status *status)
{
    struct archive_postgres_params params = {0};
    PGresult *r = archive_postgres_run(of(db), Q_TABLES, &params);
    if (r == NULL)
        return -1;
    for (int i = 0; i < PQntuples(r); i++) {
        if (i < ARCHIVE_KINDS)
            status->rows[i] = archive_postgres_get_int(r, i, 0);
        else if (i < ARCHIVE_KINDS + ARCHIVE_TIERS)
            status->rollups[i - ARCHIVE_KINDS] = archive_postgres_get_int(r, i, 0);
        status->bytes += archive_postgres_get_int(r, i, 1);
    }
    PQclear(r);
    r = archive_postgres_run(of(db), Q_SUMMARY, &params);
    if (r == NULL)
        return -1;
    if (PQntuples(r) > 0) {
        status->devices = archive_postgres_get_int(r, 0, 0);
        status->gaps = archive_postgres_get_int(r, 0, 1);
        status->oldest_ms = archive_postgres_get_int(r, 0, 2);
        status->newest_ms = archive_postgres_get_int(r, 0, 3);
    }
    PQclear(r);
    return 0;
}
