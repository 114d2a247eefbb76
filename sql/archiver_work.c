#include "sql/archiver_internal.h"

#include "common/clock.h"
#include "common/log.h"

#include <string.h>

#define BATCH_BYTES ((size_t)16 * 1024 * 1024)
#define BATCH_LEAST 100
#define AGAIN_MOST  1000
#define DAY_MS      ((uint64_t)24 * 3600 * 1000)
#define SAID_MOST   10 /* lines about single streams, per transaction or look */

static struct plan_room whole_batch(const struct archiver *a)
{
    int rows = a->conf->archive.batch - a->batch_less;
    return (struct plan_room){.rows = (size_t)(rows > BATCH_LEAST ? rows : BATCH_LEAST), .bytes = BATCH_BYTES};
}

/* The database may have been too slow for that many rows: half of them after a failure, then slowly more. */
static void adapt_batch(struct archiver *a, bool committed)
{
    struct plan_room whole = whole_batch(a);
    int rows = (int)whole.rows, tried = rows - (int)batch_room(a->batch, whole).rows;
    int next = committed ? rows + rows / 16 : tried / 2;
    a->batch_less = a->conf->archive.batch - (next > BATCH_LEAST ? next : BATCH_LEAST);
    if (a->batch_less < 0)
        a->batch_less = 0;
}

static int64_t hot(const struct archiver *a, enum archive_kind kind)
{
    return kind == ARCHIVE_SAMPLES ? a->conf->archive.hot_samples : a->conf->archive.hot_entries;
}

/* The relays' hard cap: theirs are the same file. */
static int64_t maxlen(const struct archiver *a, enum archive_kind kind)
{
    switch (kind) {
    case ARCHIVE_SAMPLES:
        return a->conf->wsd.stream_maxlen;
    case ARCHIVE_EVENTS:
        return a->conf->wsd.events_maxlen;
    default:
        return a->conf->wsd.audit_maxlen;
    }
}

/* --- positions ------------------------------------------------------------------------------------- */

struct positions {
    struct plan *plan;
    size_t n;
};

static int on_position(void *ctx, enum archive_kind kind, const char *device_id, struct streamid position)
{
    struct positions *p = ctx;
    struct plan_stream *s = plan_stream(p->plan, kind, device_id, strlen(device_id));
    if (s) {
        s->known = true;
        s->position = position;
    }
    p->n++;
    return 0;
}

static enum archiver_step read_positions(struct archiver *a)
{
    struct positions p = {.plan = a->plan};
    plan_forget_positions(a->plan);
    if (archive_positions(a->db, on_position, &p) < 0)
        return archiver_database_away(a);
    archiver_database_back(a);
    a->ever = a->ever || p.n > 0;
    log_debug("positions", log_int("streams", (int64_t)p.n));
    return ARCHIVER_OK;
}

/* --- trimming -------------------------------------------------------------------------------------- */

static enum archiver_step trim(struct archiver *a, struct plan_stream *const *group, size_t n)
{
    int64_t entries[PLAN_GROUP], trimmed;
    bool refused;
    for (size_t i = 0; i < n; i++)
        entries[i] = plan_trim(group[i]->length, hot(a, group[i]->kind));
    if (feed_trim(a->redis, group, entries, n, &trimmed, &refused) < 0)
        return archiver_redis_away(a);
    a->report.trimmed += trimmed;
    if (refused && !a->refused)
        log_warn("trim_refused", log_str("reason", archiver_redis_reason(a->redis)));
    a->refused = refused;
    return ARCHIVER_OK;
}

static enum archiver_step trim_batch(struct archiver *a)
{
    struct plan_stream *group[PLAN_GROUP];
    size_t n = 0, parts = batch_size(a->batch);
    for (size_t i = 0; i < parts; i++) {
        group[n++] = batch_at(a->batch, i)->stream;
        if (n < PLAN_GROUP && i + 1 < parts)
            continue;
        enum archiver_step step = trim(a, group, n);
        if (step != ARCHIVER_OK)
            return step;
        n = 0;
    }
    return ARCHIVER_OK;
}

/* --- Redis gone back ------------------------------------------------------------------------------- */

/* What was found. */
struct back {
    size_t streams, entries; /* that have lost their end; that are new, though their ids are archived */
};

/* Ids of a stream in Redis, the newest first, and how many of them are newer than all that the archive has. */
struct compared {
    struct streamid ids[AGAIN_MOST];
    size_t n, newer;
};

static int on_archived(void *ctx, const struct archive_row *row)
{
    struct compared *c = ctx;
    while (c->newer < c->n && streamid_compare(c->ids[c->newer], row->id) > 0)
        c->newer++;
    return c->newer == c->n || streamid_compare(c->ids[c->newer], row->id) == 0;
}

/*
 * Redis has lost its end, and had a clock that was behind it: what came then has ids up to the position, and is not
 * archived. *again: the first such entry. Only of the last day: older ones may have been deleted from the archive.
 */
static enum archiver_step find_new(struct archiver *a, const struct plan_stream *s, struct streamid *again, size_t *n)
{
    struct compared c = {.n = AGAIN_MOST};
    uint64_t now_ms = (uint64_t)clock_wall_ms(), latest_ms = s->position.ms > now_ms ? s->position.ms : now_ms;
    struct streamid_range range = {.lo = {latest_ms > DAY_MS ? latest_ms - DAY_MS : 0, 0}, .hi = s->position};
    if (streamid_compare(range.lo, range.hi) > 0)
        return ARCHIVER_OK;
    if (feed_newest(a->redis, s, range, c.ids, &c.n) < 0)
        return archiver_redis_away(a);
    if (c.n == 0)
        return ARCHIVER_OK;
    range = (struct streamid_range){.lo = c.ids[c.n - 1], .hi = c.ids[0]};
    if (archive_rows(a->db, s->kind, plan_device(s), range, SIZE_MAX, true, on_archived, &c) < 0)
        return archiver_database_away(a);
    *n += c.newer;
    if (c.newer > 0)
        *again = c.ids[c.newer - 1];
    return ARCHIVER_OK;
}

/* The entry at the position is not in Redis: the hard cap was faster, or Redis has lost its end. Or it is `there`, and
 * older ones may be missing. */
static enum archiver_step verify_one(struct archiver *a, struct plan_stream *s, bool there, struct back *back)
{
    struct plan_facts facts;
    struct streamid again = STREAMID_LAST;
    enum archiver_step step = ARCHIVER_OK;
    if (feed_facts(a->redis, s, &facts) < 0)
        return archiver_redis_away(a);
    if (plan_judge_missing(s, &facts) != PLAN_BACK)
        return ARCHIVER_OK;
    if (!there && (facts.length > 0 || facts.last.ms > 0))
        back->streams++;
    if (facts.length > 0 && (step = find_new(a, s, &again, &back->entries)) != ARCHIVER_OK)
        return step;
    return feed_set_aside(a->redis, s, again, clock_wall_ms()) < 0 ? archiver_redis_away(a) : ARCHIVER_OK;
}

static enum archiver_step verify_group(struct archiver *a, struct plan_stream *const *group, size_t n, bool all,
                                       struct back *back)
{
    bool there[PLAN_GROUP];
    enum archiver_step step;
    if (feed_anchors(a->redis, group, n, there) < 0)
        return archiver_redis_away(a);
    for (size_t i = 0; i < n; i++) {
        struct plan_stream *s = group[i];
        s->kept = s->length < hot(a, s->kind) ? s->length : hot(a, s->kind);
        if (((all && !s->broken) || !there[i]) && (step = verify_one(a, s, there[i], back)) != ARCHIVER_OK)
            return step;
    }
    step = trim(a, group, n);
    return step == ARCHIVER_OK ? archiver_tend(a) : step;
}

/* All streams of which something is archived; `all`: see archiver_work_begin(). */
static enum archiver_step verify(struct archiver *a, bool all)
{
    struct plan_stream *group[PLAN_GROUP];
    struct back back = {0};
    size_t n = 0, streams = plan_streams(a->plan);
    for (size_t i = 0; i < streams; i++) {
        if (plan_at(a->plan, i)->known)
            group[n++] = plan_at(a->plan, i);
        if (n < PLAN_GROUP && (i + 1 < streams || n == 0))
            continue;
        enum archiver_step step = verify_group(a, group, n, all, &back);
        if (step != ARCHIVER_OK)
            return step;
        n = 0;
    }
    if (back.streams > 0) {
        a->report.restarts += (int64_t)back.streams;
        log_warn("redis_went_back", log_int("streams", (int64_t)back.streams),
                 log_int("entries", (int64_t)back.entries),
                 log_str("text", "Redis has lost entries that are archived; they are answered from the archive"));
    }
    return ARCHIVER_OK;
}

/*
 * The archive notes a Redis before its positions are read: nobody who followed another one moves them any more. Redis
 * notes itself when it has been compared, before anything of it is archived. So a Redis that was started again and has
 * another note than the archive has lost what was done to it then, perhaps that it was set aside: `all` is done again.
 */
enum archiver_step archiver_work_begin(struct archiver *a)
{
    char run[RKEY_RUN_MAX], compared[RKEY_RUN_MAX], followed[ARCHIVE_RUN_MAX];
    enum archiver_step step;
    int from, to;
    if (archive_migrate(a->db, &from, &to) < 0)
        return archiver_database_away(a);
    if (from != to)
        log_info("migrated", log_int("from", from), log_int("to", to));
    if (feed_run(a->redis, run, compared) < 0)
        return archiver_redis_away(a);
    if (archive_followed(a->db, followed) < 0 || archive_follow(a->db, run) < 0)
        return archiver_database_away(a);
    bool is_new = strcmp(compared, run) != 0, all = is_new && strcmp(compared, followed) != 0;
    if (all)
        log_warn("redis_forgot", log_str("text", "Redis does not know which one it was the last time; all that is "
                                                 "archived is answered from the archive"));
    if ((step = read_positions(a)) != ARCHIVER_OK || (step = verify(a, all)) != ARCHIVER_OK)
        return step;
    if (is_new && feed_compared(a->redis, run) < 0)
        return archiver_redis_away(a);
    a->begun = true;
    return ARCHIVER_OK;
}

/* --- committing ------------------------------------------------------------------------------------ */

static void say_gap(const struct batch_part *part)
{
    char after[STREAMID_TEXT_MAX], before[STREAMID_TEXT_MAX];
    streamid_format(after, part->stream->position);
    streamid_format(before, part->first);
    log_error("entries_lost", log_str("kind", archive_kind_names[part->stream->kind]),
              log_str("device_id", plan_device(part->stream)), log_str("after", after), log_str("before", before),
              log_str("text", "the stream's hard cap removed them before they were archived"));
}

static void say_near_loss(const struct archiver *a, const struct plan_stream *s)
{
    log_warn("near_loss", log_str("kind", archive_kind_names[s->kind]), log_str("device_id", plan_device(s)),
             log_int("waiting", plan_waiting(s)), log_int("hard_cap", maxlen(a, s->kind)));
}

static void count_committed(struct archiver *a)
{
    int gaps = 0, near = 0;
    a->report.commits++;
    for (enum archive_kind kind = 0; kind < ARCHIVE_KINDS; kind++)
        a->report.rows[kind] += (int64_t)batch_rows(a->batch, kind);
    for (size_t i = 0; i < batch_size(a->batch); i++) {
        const struct batch_part *part = batch_at(a->batch, i);
        a->report.gaps += part->gap;
        if (part->gap && gaps++ < SAID_MOST)
            say_gap(part);
        plan_archived(part->stream, part->to, part->read, part->more, part->length);
        if (plan_watch(part->stream, maxlen(a, part->stream->kind)) && near++ < SAID_MOST)
            say_near_loss(a, part->stream);
    }
    if (gaps > SAID_MOST)
        log_error("entries_lost", log_int("more_streams", gaps - SAID_MOST));
}

static enum archiver_step commit(struct archiver *a)
{
    size_t n = batch_size(a->batch);
    if (n == 0)
        return ARCHIVER_OK;
    const struct archive_part *parts = batch_parts(a->batch);
    if (!parts)
        return ARCHIVER_BUG;
    switch (archive_commit(a->db, parts, n, clock_wall_ms())) {
    case ARCHIVE_COMMITTED:
        break;
    case ARCHIVE_RACED:
        a->report.failures++;
        a->begun = false;
        log_warn("raced", log_str("text", "another archiver has been at work; positions are read again"));
        return ARCHIVER_AGAIN;
    default:
        a->report.failures++;
        adapt_batch(a, false);
        return archiver_database_away(a);
    }
    adapt_batch(a, true);
    archiver_database_back(a);
    count_committed(a);
    enum archiver_step step = trim_batch(a);
    batch_clear(a->batch);
    return step == ARCHIVER_OK ? archiver_tend(a) : step;
}

/* --- reading --------------------------------------------------------------------------------------- */

/* A part whose stream begins behind its position, as looked at after it was read. */
static int judge(struct archiver *a, struct batch_part *part)
{
    struct plan_facts facts;
    if (feed_facts(a->redis, part->stream, &facts) < 0)
        return -1;
    switch (plan_judge(part->stream, &facts, a->ever)) {
    case PLAN_LOST:
        part->gap = true;
        break;
    case PLAN_ANEW:
        a->report.restarts++;
        log_warn("stream_anew", log_str("kind", archive_kind_names[part->stream->kind]),
                 log_str("device_id", plan_device(part->stream)), log_str("text", "Redis has lost the old one"));
        break;
    default:
        break;
    }
    return 0;
}

static enum archiver_step read_group(struct archiver *a, struct plan_stream *const *group, size_t n, size_t count)
{
    size_t from = batch_size(a->batch), read = 0;
    if (feed_read(a->redis, group, n, count, a->batch) < 0) {
        if (archiver_redis_too_large(a->redis))
            plan_too_large(a->plan);
        return archiver_redis_away(a);
    }
    for (size_t i = from; i < batch_size(a->batch); i++)
        read += batch_at(a->batch, i)->read;
    plan_learn(a->plan, read, archiver_redis_bytes(a->redis));
    if (feed_look(a->redis, a->batch, from) < 0)
        return archiver_redis_away(a);
    for (size_t i = from; i < batch_size(a->batch); i++) {
        struct batch_part *part = batch_at(a->batch, i);
        if (plan_suspicious(part->stream, part->begins, a->ever) && judge(a, part) < 0)
            return archiver_redis_away(a);
    }
    return archiver_tend(a);
}

/* One turn: every stream that has it, once. */
static enum archiver_step take_turn(struct archiver *a, enum plan_turn turn)
{
    struct plan_stream *group[PLAN_GROUP];
    size_t n, count;
    enum archiver_step step;
    batch_clear(a->batch);
    plan_begin(a->plan, turn);
    for (;;) {
        struct plan_room whole = whole_batch(a), room = batch_room(a->batch, whole);
        if (plan_full(room, whole)) {
            if ((step = commit(a)) != ARCHIVER_OK)
                return step;
            room = whole;
        }
        n = plan_next(a->plan, turn, room, group, &count);
        if (n == 0)
            return commit(a);
        if ((step = read_group(a, group, n, count)) != ARCHIVER_OK)
            return step;
    }
}

/* Keys that were no streams may be some by now. */
static int mend(struct archiver *a)
{
    struct plan_stream *group[PLAN_GROUP];
    size_t streams = plan_streams(a->plan);
    for (size_t i = 0, n = 0; i < streams; i++) {
        if (plan_at(a->plan, i)->broken)
            group[n++] = plan_at(a->plan, i);
        if (n < PLAN_GROUP && (i + 1 < streams || n == 0))
            continue;
        if (feed_types(a->redis, group, n) < 0)
            return -1;
        n = 0;
    }
    return 0;
}

enum archiver_step archiver_work_sweep(struct archiver *a)
{
    do {
        if (feed_devices(a->redis, a->plan, &a->cursor) < 0)
            return archiver_redis_away(a);
    } while (a->cursor != 0 && !a->ever); /* the first time all of them */
    if (mend(a) < 0)
        return archiver_redis_away(a);
    enum archiver_step step = take_turn(a, PLAN_SWEEP);
    if (step == ARCHIVER_OK)
        a->ever = true;
    return step;
}

static bool any_behind(const struct archiver *a)
{
    for (size_t i = 0; i < plan_streams(a->plan); i++) {
        if (plan_at(a->plan, i)->behind)
            return true;
    }
    return false;
}

enum archiver_step archiver_work_catch_up(struct archiver *a)
{
    do {
        enum archiver_step step = any_behind(a) ? take_turn(a, PLAN_BEHIND) : ARCHIVER_OK;
        if (step != ARCHIVER_OK || !any_behind(a))
            return step;
    } while (clock_mono_ms() < a->sweep_due_ms);
    return ARCHIVER_OK;
}

enum archiver_step archiver_work_peek(struct archiver *a)
{
    struct plan_stream *group[PLAN_GROUP];
    int near = 0;
    size_t streams = plan_streams(a->plan);
    if (feed_devices(a->redis, a->plan, &a->cursor) < 0)
        return archiver_redis_away(a);
    for (size_t i = 0, n = 0; i < streams; i++) {
        if (!plan_at(a->plan, i)->broken)
            group[n++] = plan_at(a->plan, i);
        if (n < PLAN_GROUP && (i + 1 < streams || n == 0))
            continue;
        if (feed_peek(a->redis, group, n) < 0)
            return archiver_redis_away(a);
        for (size_t k = 0; k < n; k++) {
            if (plan_watch(group[k], maxlen(a, group[k]->kind)) && near++ < SAID_MOST)
                say_near_loss(a, group[k]);
        }
        n = 0;
        enum archiver_step step = archiver_tend(a);
        if (step != ARCHIVER_OK)
            return step;
    }
    return ARCHIVER_OK;
}
