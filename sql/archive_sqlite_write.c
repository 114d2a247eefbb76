#include "sql/archive_sqlite.h"

static struct archive_sqlite *of(struct archive_db *db)
{
    return (struct archive_sqlite *)(void *)db;
}

int archive_sqlite_totals(struct archive_sqlite *s)
{
    static const char *const names[ARCHIVE_KINDS + ARCHIVE_TIERS] = {"samples", "commands", "outcomes",
                                                                     "events",  "minutes",  "hours"};
    for (int i = 0; i < ARCHIVE_KINDS + ARCHIVE_TIERS; i++) {
        sqlite3_stmt *q = s->added[i] != 0 ? archive_sqlite_statement(s, Q_TOTAL) : NULL;
        if (s->added[i] == 0)
            continue;
        if (q == NULL)
            return -1;
        sqlite3_bind_text(q, 1, names[i], -1, SQLITE_STATIC);
        sqlite3_bind_int64(q, 2, s->added[i]);
        if (archive_sqlite_run(s, q) != 0)
            return -1;
    }
    return 0;
}

int archive_sqlite_move(struct archive_db *db, const struct archive_move *moves, size_t n, bool *raced)
{
    struct archive_sqlite *s = of(db);
    for (size_t i = 0; i < n && !*raced; i++) {
        const struct archive_move *m = &moves[i];
        bool first = m->from.ms == 0 && m->from.seq == 0;
        sqlite3_stmt *q = archive_sqlite_statement(s, first ? Q_MOVE_FIRST : Q_MOVE);
        if (q == NULL)
            return -1;
        sqlite3_bind_int(q, 1, (int)m->kind);
        sqlite3_bind_int64(q, 2, m->device);
        sqlite3_bind_int64(q, 3, archive_signed(m->from.ms));
        sqlite3_bind_int64(q, 4, archive_signed(m->from.seq));
        sqlite3_bind_int64(q, 5, archive_signed(m->to.ms));
        sqlite3_bind_int64(q, 6, archive_signed(m->to.seq));
        if (archive_sqlite_run(s, q) != 0)
            return -1;
        *raced = sqlite3_changes(s->handle) != 1;
    }
    return 0;
}

int archive_sqlite_gap(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_gap *gap)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_GAP);
    if (q == NULL)
        return -1;
    sqlite3_bind_int(q, 1, (int)kind);
    sqlite3_bind_int64(q, 2, device);
    sqlite3_bind_int64(q, 3, archive_signed(gap->after.ms));
    sqlite3_bind_int64(q, 4, archive_signed(gap->after.seq));
    sqlite3_bind_int64(q, 5, archive_signed(gap->before.ms));
    sqlite3_bind_int64(q, 6, archive_signed(gap->before.seq));
    sqlite3_bind_int64(q, 7, gap->noticed_ms);
    return archive_sqlite_run(s, q);
}

int archive_sqlite_row(struct archive_db *db, enum archive_kind kind, int64_t device, const struct archive_raw *raw)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_ROW + (int)kind);
    if (q == NULL)
        return -1;
    if (kind != ARCHIVE_EVENTS)
        sqlite3_bind_int64(q, 1, device);
    sqlite3_bind_int64(q, 2, archive_signed(raw->id.ms));
    sqlite3_bind_int64(q, 3, archive_signed(raw->id.seq));
    if (kind == ARCHIVE_SAMPLES)
        sqlite3_bind_int64(q, 4, raw->shape);
    sqlite3_bind_text(q, 5, raw->text, (int)raw->len, SQLITE_STATIC);
    s->added[kind]++;
    return archive_sqlite_run(s, q);
}

int archive_sqlite_delta(struct archive_db *db, enum archive_tier tier, const struct rollup_delta *delta)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_DELTA + (int)tier);
    if (q == NULL)
        return -1;
    sqlite3_bind_int64(q, 1, delta->device);
    sqlite3_bind_int64(q, 2, delta->metric);
    sqlite3_bind_int64(q, 3, delta->ms);
    sqlite3_bind_double(q, 4, delta->min);
    sqlite3_bind_double(q, 5, delta->max);
    sqlite3_bind_double(q, 6, delta->sum);
    sqlite3_bind_double(q, 7, delta->last);
    sqlite3_bind_int64(q, 8, delta->count);
    int code = archive_sqlite_step(s, q);
    if (code < 0)
        return -1;
    if (code == SQLITE_ROW && sqlite3_column_int64(q, 0) == delta->count)
        s->added[ARCHIVE_KINDS + (int)tier]++;
    return code == SQLITE_ROW ? archive_sqlite_run(s, q) : 0;
}

int archive_sqlite_device_metric(struct archive_db *db, int64_t device, int64_t metric)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_DEVICE_METRIC);
    if (q == NULL)
        return -1;
    sqlite3_bind_int64(q, 1, device);
    sqlite3_bind_int64(q, 2, metric);
    return archive_sqlite_run(s, q);
}

int archive_sqlite_follow(struct archive_db *db, const char *run)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *q = archive_sqlite_statement(s, Q_FOLLOW);
    if (q == NULL)
        return -1;
    sqlite3_bind_text(q, 1, run, -1, SQLITE_STATIC);
    return archive_sqlite_run(s, q);
}

static int expire(struct archive_sqlite *s, int which, int64_t *added, int64_t before_ms, int most, int64_t *deleted)
{
    sqlite3_stmt *q = archive_sqlite_statement(s, which);
    if (q == NULL)
        return -1;
    sqlite3_bind_int64(q, 1, before_ms);
    sqlite3_bind_int(q, 2, most);
    if (archive_sqlite_run(s, q) != 0)
        return -1;
    *deleted = sqlite3_changes64(s->handle);
    *added -= *deleted;
    return 0;
}

int archive_sqlite_expire(struct archive_db *db, enum archive_kind kind, int64_t before_ms, int most, int64_t *deleted)
{
    return expire(of(db), Q_EXPIRE + (int)kind, &of(db)->added[kind], before_ms, most, deleted);
}

int archive_sqlite_expire_rollup(struct archive_db *db, enum archive_tier tier, int64_t before_ms, int most,
                                 int64_t *deleted)
{
    return expire(of(db), Q_EXPIRE_ROLLUP + (int)tier, &of(db)->added[ARCHIVE_KINDS + (int)tier], before_ms, most,
                  deleted);
}
