#include "sql/archive_postgres.h"

#include <string.h>

#define BULK_ROWS 10000 /* that are written together, at most */

static struct archive_postgres *of(struct archive_db *db)
{
    return (struct archive_postgres *)(void *)db;
}

/* --- bulks ----------------------------------------------------------------------------------------- */

/* The columns of what is written in bulk, as in the statements. */
#define I4 PGARRAY_INT4
#define I8 PGARRAY_INT8
#define F8 PGARRAY_FLOAT8
static const enum pgarray_type sample_columns[] = {I4, I8, I8, I4, PGARRAY_TEXT};
static const enum pgarray_type entry_columns[] = {I4, I8, I8, PGARRAY_BYTEA};
static const enum pgarray_type event_columns[] = {I8, I8, PGARRAY_BYTEA};
static const enum pgarray_type delta_columns[] = {I4, I4, I8, F8, F8, F8, F8, I8};
static const enum pgarray_type move_columns[] = {I4, I4, I8, I8, I8, I8};

static void init(struct archive_postgres_bulk *bulk, const enum pgarray_type *types, size_t n)
{
    bulk->n_columns = (int)n;
    for (size_t i = 0; i < n; i++)
        pgarray_init(&bulk->columns[i], types[i]);
}
#define INIT(bulk, types) init(bulk, types, sizeof(types) / sizeof((types)[0]))

void archive_postgres_init_bulk(struct archive_postgres *p)
{
    INIT(&p->rows[ARCHIVE_SAMPLES], sample_columns);
    INIT(&p->rows[ARCHIVE_COMMANDS], entry_columns);
    INIT(&p->rows[ARCHIVE_OUTCOMES], entry_columns);
    INIT(&p->rows[ARCHIVE_EVENTS], event_columns);
    INIT(&p->deltas[ARCHIVE_MINUTE], delta_columns);
    INIT(&p->deltas[ARCHIVE_HOUR], delta_columns);
    INIT(&p->moves, move_columns);
}

static void for_each(struct archive_postgres *p, void (*fn)(struct pgarray *))
{
    struct archive_postgres_bulk *bulks[ARCHIVE_KINDS + ARCHIVE_TIERS + 1] = {&p->moves};
    size_t n = 1;
    for (int i = 0; i < ARCHIVE_KINDS; i++)
        bulks[n++] = &p->rows[i];
    for (int i = 0; i < ARCHIVE_TIERS; i++)
        bulks[n++] = &p->deltas[i];
    for (size_t i = 0; i < n; i++) {
        for (int c = 0; c < bulks[i]->n_columns; c++)
            fn(&bulks[i]->columns[c]);
    }
}

void archive_postgres_finish_bulk(struct archive_postgres *p)
{
    for_each(p, pgarray_finish);
}

void archive_postgres_clear_bulk(struct archive_postgres *p)
{
    for_each(p, pgarray_clear);
}

/* Runs a statement with the bulk's columns as its parameters; *changed rows. */
static int write_bulk(struct archive_postgres *p, int which, struct archive_postgres_bulk *bulk, int64_t *changed)
{
    struct archive_postgres_params params = {0};
    for (int c = 0; c < bulk->n_columns; c++) {
        size_t len;
        const char *bytes = pgarray_bytes(&bulk->columns[c], &len);
        if (bytes == NULL)
            return archive_driver_fail(&p->db, "no memory");
        archive_postgres_bytes(&params, bytes, len);
    }
    PGresult *result = archive_postgres_run(p, which, &params);
    if (result == NULL)
        return -1;
    *changed = archive_postgres_changed(result);
    PQclear(result);
    return 0;
}

/* What waits is written, and waits no longer. */
static int flush(struct archive_postgres *p, int which, struct archive_postgres_bulk *bulk)
{
    int64_t changed, n = bulk->columns[0].n;
    if (n == 0)
        return 0;
    if (write_bulk(p, which, bulk, &changed) != 0)
        return -1;
    for (int c = 0; c < bulk->n_columns; c++)
        pgarray_clear(&bulk->columns[c]);
    return changed == n ? 0
                        : archive_driver_fail(&p->db, "PostgreSQL: %lld of %lld rows were written", (long long)changed,
                                              (long long)n);
}

int archive_postgres_flush(struct archive_postgres *p)
{
    for (int i = 0; i < ARCHIVE_KINDS; i++) {
        if (flush(p, Q_ROW + i, &p->rows[i]) != 0)
            return -1;
    }
    for (int i = 0; i < ARCHIVE_TIERS; i++) {
        if (flush(p, Q_DELTA + i, &p->deltas[i]) != 0)
            return -1;
    }
    return 0;
}

/* --- positions ------------------------------------------------------------------------------------- */

static bool is_first(const struct archive_move *move)
{
    return move->from.ms == 0 && move->from.seq == 0;
}

/* Those that are the first of their stream, or the others. */
static int move_some(struct archive_postgres *p, const struct archive_move *moves, size_t n, bool first, bool *raced)
{
    struct pgarray *c = p->moves.columns;
    int64_t changed, wanted;
    int rc = 0;
    for (int i = 0; i < p->moves.n_columns; i++)
        pgarray_clear(&c[i]);
    for (size_t i = 0; i < n; i++) {
        if (is_first(&moves[i]) != first)
            continue;
        rc |= pgarray_add_int(&c[0], (int64_t)moves[i].kind) | pgarray_add_int(&c[1], moves[i].device) |
              pgarray_add_int(&c[2], archive_signed(moves[i].from.ms)) |
              pgarray_add_int(&c[3], archive_signed(moves[i].from.seq)) |
              pgarray_add_int(&c[4], archive_signed(moves[i].to.ms)) |
              pgarray_add_int(&c[5], archive_signed(moves[i].to.seq));
    }
    if (rc != 0)
        return archive_driver_fail(&p->db, "no memory");
    wanted = c[0].n;
    if (wanted == 0)
        return 0;
    if (write_bulk(p, first ? Q_MOVE_FIRST : Q_MOVE, &p->moves, &changed) != 0)
        return -1;
    *raced = *raced || changed != wanted;
    return 0;
}

int archive_postgres_move(struct archive_db *db, const struct archive_move *moves, size_t n, bool *raced)
{
    if (move_some(of(db), moves, n, true, raced) != 0)
        return -1;
    return move_some(of(db), moves, n, false, raced);
}

/* --- rows ------------------------------------------------------------------------------------------ */

int archive_postgres_gap(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_gap *gap)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, (int64_t)kind);
    archive_postgres_int(&params, device);
    archive_postgres_int(&params, archive_signed(gap->after.ms));
    archive_postgres_int(&params, archive_signed(gap->after.seq));
    archive_postgres_int(&params, archive_signed(gap->before.ms));
    archive_postgres_int(&params, archive_signed(gap->before.seq));
    archive_postgres_int(&params, gap->noticed_ms);
    PGresult *result = archive_postgres_run(of(db), Q_GAP, &params);
    PQclear(result);
    return result != NULL ? 0 : -1;
}

int archive_postgres_row(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_raw *raw)
{
    struct archive_postgres *p = of(db);
    struct archive_postgres_bulk *bulk = &p->rows[kind];
    struct pgarray *c = bulk->columns;
    int rc = 0;
    if (kind != ARCHIVE_EVENTS)
        rc |= pgarray_add_int(c++, device);
    rc |= pgarray_add_int(c++, archive_signed(raw->id.ms));
    rc |= pgarray_add_int(c++, archive_signed(raw->id.seq));
    if (kind == ARCHIVE_SAMPLES)
        rc |= pgarray_add_int(c++, raw->shape);
    rc |= pgarray_add_bytes(c, raw->text, raw->len);
    if (rc != 0)
        return archive_driver_fail(db, "no memory");
    return bulk->columns[0].n < BULK_ROWS ? 0 : flush(p, Q_ROW + (int)kind, bulk);
}

static bool is_behind(const struct rollup_delta *a, const struct rollup_delta *b)
{
    if (a->device != b->device)
        return a->device > b->device;
    return a->metric != b->metric ? a->metric > b->metric : a->ms > b->ms;
}

/* A statement may change a row only once, so a second round of deltas has to wait for the first to be written. */
int archive_postgres_delta(struct archive_db *db, enum archive_tier tier, const struct rollup_delta *delta)
{
    struct archive_postgres *p = of(db);
    struct archive_postgres_bulk *bulk = &p->deltas[tier];
    struct pgarray *c = bulk->columns;
    if ((c[0].n >= BULK_ROWS || (c[0].n > 0 && !is_behind(delta, &p->last[tier]))) &&
        flush(p, Q_DELTA + (int)tier, bulk) != 0)
        return -1;
    p->last[tier] = *delta;
    if ((pgarray_add_int(&c[0], delta->device) | pgarray_add_int(&c[1], delta->metric) |
         pgarray_add_int(&c[2], delta->ms) | pgarray_add_float(&c[3], delta->min) |
         pgarray_add_float(&c[4], delta->max) | pgarray_add_float(&c[5], delta->sum) |
         pgarray_add_float(&c[6], delta->last) | pgarray_add_int(&c[7], delta->count)) != 0)
        return archive_driver_fail(db, "no memory");
    return 0;
}

int archive_postgres_device_metric(struct archive_db *db, int64_t device, int64_t metric)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, device);
    archive_postgres_int(&params, metric);
    PGresult *result = archive_postgres_run(of(db), Q_DEVICE_METRIC, &params);
    PQclear(result);
    return result != NULL ? 0 : -1;
}

int archive_postgres_follow(struct archive_db *db, const char *run)
{
    struct archive_postgres_params params = {0};
    archive_postgres_bytes(&params, run, strlen(run));
    PGresult *result = archive_postgres_run(of(db), Q_FOLLOW, &params);
    PQclear(result);
    return result != NULL ? 0 : -1;
}

/* --- what is old ----------------------------------------------------------------------------------- */

static int expire(struct archive_postgres *p, int which, int64_t before_ms, int most, int64_t *deleted)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, before_ms);
    archive_postgres_int(&params, most);
    PGresult *result = archive_postgres_run(p, which, &params);
    if (result == NULL)
        return -1;
    *deleted = archive_postgres_changed(result);
    PQclear(result);
    return 0;
}

int archive_postgres_expire(struct archive_db *db, enum archive_kind kind, int64_t before_ms, int most,
                            int64_t *deleted)
{
    return expire(of(db), Q_EXPIRE + (int)kind, before_ms, most, deleted);
}

int archive_postgres_expire_rollup(struct archive_db *db, enum archive_tier tier, int64_t before_ms, int most,
                                   int64_t *deleted)
{
    return expire(of(db), Q_EXPIRE_ROLLUP + (int)tier, before_ms, most, deleted);
}
