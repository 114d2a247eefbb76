#include "sql/archiver_internal.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define BACKOFF_MS   100 /* first wait after a failure; doubles up to interval_ms, but a second at least */
#define PUBLISH_MS   1000
#define PEEK_MS      1000
#define REPORT_S_MIN 10   /* that a report outlives its archiver, at least */
#define SAY_AGAIN_MS 5000 /* a reason that changes is not said more often */

static int make_token(char *out, size_t cap)
{
    char host[65] = "";
    uint32_t nonce;
    if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return -1;
    gethostname(host, sizeof(host) - 1);
    snprintf(out, cap, "%s:%ld#%08x", host[0] ? host : "-", (long)getpid(), nonce);
    return 0;
}

struct archiver *archiver_create(const struct conf *conf, archiver_pause_fn *pause_fn, void *ctx)
{
    struct archiver *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->conf = conf;
    a->pause = pause_fn;
    a->pause_ctx = ctx;
    a->db = archive_create(conf->archive.database, ARCHIVE_WRITE, conf->archive.database_ms);
    a->redis = archiver_redis_create(&conf->redis, conf->archive.redis_ms);
    a->plan = plan_create();
    a->batch = batch_create();
    if (!a->db || !a->redis || !a->plan || !a->batch ||
        make_token(a->report.instance, sizeof(a->report.instance)) < 0) {
        archiver_destroy(a);
        return NULL;
    }
    return a;
}

void archiver_destroy(struct archiver *a)
{
    if (!a)
        return;
    archive_destroy(a->db);
    archiver_redis_destroy(a->redis);
    plan_destroy(a->plan);
    batch_destroy(a->batch);
    free(a);
}

/* --- what is away ---------------------------------------------------------------------------------- */

/* Returns whether it was there until now. */
static bool went(struct archiver_trouble *t, const char *event, const char *reason)
{
    int64_t now = clock_mono_ms();
    bool began = !t->on, other = strcmp(t->reason, reason) != 0;
    if (began)
        t->since_ms = now;
    if (began || (other && now - t->said_ms >= SAY_AGAIN_MS)) {
        log_error(event, log_str("reason", reason));
        t->said_ms = now;
    }
    t->on = true;
    snprintf(t->reason, sizeof(t->reason), "%s", reason);
    return began;
}

static void came(struct archiver *a, struct archiver_trouble *t, const char *event)
{
    if (t->on)
        log_info(event, log_int("after_ms", clock_mono_ms() - t->since_ms));
    t->on = false;
    t->reason[0] = '\0';
    a->backoff_ms = 0;
}

enum archiver_step archiver_redis_away(struct archiver *a)
{
    went(&a->redis_trouble, "redis_away", archiver_redis_reason(a->redis));
    archiver_redis_close(a->redis);
    a->begun = false; /* what comes back may be another */
    return ARCHIVER_REDIS;
}

enum archiver_step archiver_database_away(struct archiver *a)
{
    if (went(&a->database_trouble, "database_away", archive_reason(a->db)))
        a->report.since_ms = clock_wall_ms();
    a->report.database_up = false;
    snprintf(a->report.reason, sizeof(a->report.reason), "%s", a->database_trouble.reason);
    a->begun = false; /* a commit that was lost on its way may have happened */
    return ARCHIVER_DATABASE;
}

void archiver_database_back(struct archiver *a)
{
    came(a, &a->database_trouble, "database_back");
    if (!a->report.database_up)
        a->report.since_ms = clock_wall_ms();
    a->report.database_up = true;
    a->report.reason[0] = '\0';
}

/* --- between two steps ----------------------------------------------------------------------------- */

static int publish(struct archiver *a)
{
    struct feed_field fields[REPORT_FIELDS_MAX];
    char metrics[REPORT_METRICS_MAX];
    int64_t now_ms = clock_wall_ms();
    int ttl_ms = a->conf->archive.database_ms + 5000; /* no report is made during a transaction */
    a->report.streams = plan_streams(a->plan);
    a->report.lag = plan_lag(a->plan, now_ms);
    size_t n = report_fields(&a->report, now_ms, fields), len = report_metrics(metrics, &a->report);
    a->publish_due_ms = clock_mono_ms() + PUBLISH_MS;
    return feed_publish(a->redis, fields, n, metrics, len, ttl_ms > REPORT_S_MIN * 1000 ? ttl_ms : REPORT_S_MIN * 1000);
}

/* Takes the lease, or renews it. */
static enum archiver_step hold_lease(struct archiver *a)
{
    enum feed_lease lease;
    int lease_ms = a->conf->archive.lease_ms;
    if (feed_lease(a->redis, a->report.instance, lease_ms, &lease) < 0)
        return archiver_redis_away(a);
    if (lease == FEED_MINE || (lease == FEED_UNKNOWN && a->working)) {
        if (!a->working) {
            if (!a->database_trouble.on)
                log_info("working", log_str("instance", a->report.instance));
            a->begun = false;
        }
        a->working = true;
        a->lease_due_ms = clock_mono_ms() + lease_ms / 3;
        return ARCHIVER_OK;
    }
    if (a->working)
        log_warn("lease_lost", log_str("text", "another archiver works now"));
    a->working = false;
    return ARCHIVER_STANDBY;
}

enum archiver_step archiver_tend(struct archiver *a)
{
    int64_t now = clock_mono_ms();
    if (a->pause(a->pause_ctx, 0))
        return ARCHIVER_END;
    if (now >= a->lease_due_ms) {
        enum archiver_step step = hold_lease(a);
        if (step != ARCHIVER_OK)
            return step;
    }
    if (now >= a->publish_due_ms && publish(a) < 0)
        return archiver_redis_away(a);
    return ARCHIVER_OK;
}

/* --- the loop -------------------------------------------------------------------------------------- */

static enum archiver_step connect_redis(struct archiver *a)
{
    if (archiver_redis_is_open(a->redis))
        return ARCHIVER_OK;
    a->begun = false;
    return archiver_redis_open(a->redis) < 0 ? archiver_redis_away(a) : ARCHIVER_OK;
}

/* One round, of which any step may be the last. */
static enum archiver_step work(struct archiver *a)
{
    static enum archiver_step (*const steps[])(struct archiver *) = {archiver_work_sweep, archiver_work_catch_up,
                                                                     archiver_keep};
    enum archiver_step step;
    if ((step = connect_redis(a)) != ARCHIVER_OK || (step = hold_lease(a)) != ARCHIVER_OK)
        return step;
    came(a, &a->redis_trouble, "redis_back");
    if (!a->begun && (step = archiver_work_begin(a)) != ARCHIVER_OK)
        return step;
    a->sweep_due_ms = clock_mono_ms() + a->conf->archive.interval_ms;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if ((step = steps[i](a)) != ARCHIVER_OK)
            return step;
    }
    return publish(a) < 0 ? archiver_redis_away(a) : ARCHIVER_OK;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* The database has been away for long: perhaps it is only from here, or only this version does not know it. Another
 * archiver gets its chance. */
static void stand_aside(struct archiver *a)
{
    int64_t now = clock_mono_ms();
    int lease_ms = a->conf->archive.lease_ms;
    if (now - a->database_trouble.since_ms < 2 * lease_ms || now < a->aside_until_ms + 2 * lease_ms)
        return;
    log_debug("standing_aside");
    feed_leave(a->redis, a->report.instance, false);
    a->working = false;
    a->aside_until_ms = now + lease_ms;
}

/* How long to wait after a round that ended so. */
static int wait_after(struct archiver *a, enum archiver_step step)
{
    int interval_ms = a->conf->archive.interval_ms, slowest_ms = interval_ms > 1000 ? interval_ms : 1000;
    int64_t left = a->sweep_due_ms - clock_mono_ms();
    switch (step) {
    case ARCHIVER_OK:
        return left > 0 ? (int)left : 0;
    case ARCHIVER_STANDBY:
        return least(a->conf->archive.lease_ms / 4, 1000);
    case ARCHIVER_AGAIN:
        return BACKOFF_MS;
    default:
        break;
    }
    a->backoff_ms = a->backoff_ms ? least(a->backoff_ms * 2, slowest_ms) : least(BACKOFF_MS, slowest_ms);
    return a->backoff_ms;
}

/* With the database away: what waits is looked at, so that the report is true. */
static enum archiver_step without_database(struct archiver *a)
{
    int64_t now = clock_mono_ms();
    enum archiver_step step = archiver_tend(a);
    if (step == ARCHIVER_OK && now >= a->peek_due_ms) {
        a->peek_due_ms = now + PEEK_MS;
        step = archiver_work_peek(a);
    }
    if (step == ARCHIVER_OK && publish(a) < 0)
        step = archiver_redis_away(a);
    if (step == ARCHIVER_OK)
        stand_aside(a);
    return step == ARCHIVER_OK ? ARCHIVER_DATABASE : step;
}

void archiver_run(struct archiver *a)
{
    bool standing_by = false;
    for (;;) {
        bool aside = clock_mono_ms() < a->aside_until_ms;
        enum archiver_step step = aside ? ARCHIVER_STANDBY : work(a);
        if (step == ARCHIVER_DATABASE)
            step = without_database(a);
        if (step == ARCHIVER_BUG)
            log_error("out_of_memory");
        if (step == ARCHIVER_STANDBY && !standing_by && !aside)
            log_info("standing_by", log_str("text", "another archiver works"));
        standing_by = step == ARCHIVER_STANDBY && (standing_by || !aside);
        if (step == ARCHIVER_END || a->pause(a->pause_ctx, wait_after(a, step)))
            break;
    }
    if (a->working && archiver_redis_is_open(a->redis))
        feed_leave(a->redis, a->report.instance, true);
}

void archiver_reload(struct archiver *a)
{
    struct archive *db = archive_create(a->conf->archive.database, ARCHIVE_WRITE, a->conf->archive.database_ms);
    archiver_redis_set_deadline(a->redis, a->conf->archive.redis_ms);
    a->keep.next_pass_ms = 0;
    if (!db)
        return;
    archive_destroy(a->db);
    a->db = db;
    a->begun = false;
}
