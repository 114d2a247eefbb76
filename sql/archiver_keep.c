#include "sql/archiver_internal.h"

#include "common/clock.h"
#include "common/log.h"

#define HOUR_MS    ((int64_t)3600 * 1000)
#define DAY_MS     (24 * HOUR_MS)
#define PASS_MS    60000 /* from the end of one look for what is too old to the next */
#define BITE_MS    50    /* that deleting may hold up archiving, about */
#define ROWS_LEAST 100
#define ROWS_FIRST 1000
#define ROWS_MOST  50000

enum table { SAMPLES, COMMANDS, OUTCOMES, EVENTS, MINUTES, HOURS, TABLES };

static int days_of(const struct archiver *a, enum table table)
{
    const struct conf_archive *c = &a->conf->archive;
    switch (table) {
    case SAMPLES:
        return c->keep_samples_d;
    case EVENTS:
        return c->keep_events_d;
    case MINUTES:
        return c->keep_minutes_d;
    case HOURS:
        return c->keep_hours_d;
    default:
        return c->keep_commands_d;
    }
}

static int expire(struct archiver *a, enum table table, int64_t before_ms, int64_t *deleted)
{
    static const enum archive_kind kinds[] = {[SAMPLES] = ARCHIVE_SAMPLES,
                                              [COMMANDS] = ARCHIVE_COMMANDS,
                                              [OUTCOMES] = ARCHIVE_OUTCOMES,
                                              [EVENTS] = ARCHIVE_EVENTS};
    if (table == MINUTES || table == HOURS)
        return archive_expire_rollup(a->db, table == MINUTES ? ARCHIVE_MINUTE : ARCHIVE_HOUR, before_ms, a->keep.most,
                                     deleted);
    return archive_expire(a->db, kinds[table], before_ms, a->keep.most, deleted);
}

/* As many rows as take BITE_MS. */
static void adapt(struct archiver_keep *keep, int64_t took_ms)
{
    if (took_ms > 2 * BITE_MS && keep->most > 2 * ROWS_LEAST)
        keep->most /= 2;
    else if (took_ms < BITE_MS / 2 && keep->most < ROWS_MOST / 2)
        keep->most *= 2;
}

/* One bite. Whether the table has no more that is too old. */
static int bite(struct archiver *a, bool *done)
{
    struct archiver_keep *keep = &a->keep;
    int64_t deleted = 0, begun_ms = clock_mono_ms(), now_ms = clock_wall_ms();
    int days = days_of(a, (enum table)keep->table);
    *done = true;
    if (days == 0)
        return 0;
    if (keep->most == 0)
        keep->most = ROWS_FIRST;
    int most = keep->most;
    /* By the hour: what lies in one page is deleted at one time, or the page is written once a minute. */
    if (expire(a, (enum table)keep->table, now_ms - now_ms % HOUR_MS - days * DAY_MS, &deleted) < 0)
        return -1;
    adapt(keep, clock_mono_ms() - begun_ms);
    a->report.expired += deleted;
    *done = deleted < most;
    return 0;
}

enum archiver_step archiver_keep(struct archiver *a)
{
    struct archiver_keep *keep = &a->keep;
    while (clock_mono_ms() >= keep->next_pass_ms) {
        bool done;
        if (bite(a, &done) < 0) { /* archiving goes on, should it be the deleting that fails */
            keep->most = ROWS_LEAST;
            keep->next_pass_ms = clock_mono_ms() + PASS_MS;
            return archiver_database_away(a);
        }
        if (done && ++keep->table == TABLES) {
            keep->table = 0;
            keep->next_pass_ms = clock_mono_ms() + PASS_MS;
        }
        enum archiver_step step = archiver_tend(a);
        if (step != ARCHIVER_OK || clock_mono_ms() >= a->sweep_due_ms)
            return step;
    }
    return ARCHIVER_OK;
}
