#include "sql/feed.h"

#include "common/rkey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_STEP   "250" /* of one look through all devices, about */
#define DEVICES_NEWEST "255"

static const char metrics_key[] = RKEY_METRICS_PREFIX "archiver";

static const char *const prefixes[ARCHIVE_KINDS] = {
    [ARCHIVE_SAMPLES] = RKEY_STREAM_PREFIX,
    [ARCHIVE_COMMANDS] = RKEY_COMMANDS_PREFIX,
    [ARCHIVE_OUTCOMES] = RKEY_OUTCOMES_PREFIX,
    [ARCHIVE_EVENTS] = RKEY_EVENTS,
};

static void key_of(char key[RKEY_MAX], const struct plan_stream *s)
{
    if (rkey_join(key, prefixes[s->kind], plan_device(s)) == 0)
        key[0] = '\0';
}

static void put_key(struct archiver_redis *r, const struct plan_stream *s)
{
    char key[RKEY_MAX];
    key_of(key, s);
    archiver_redis_text(r, key);
}

static void put_id(struct archiver_redis *r, struct streamid id)
{
    char text[STREAMID_TEXT_MAX];
    archiver_redis_arg(r, text, streamid_format(text, id));
}

/* The texts of a pattern "NAME key …" with the key of a stream in its place. */
static void queue_key(struct archiver_redis *r, const char *name, const struct plan_stream *s)
{
    archiver_redis_command(r, 2);
    archiver_redis_text(r, name);
    put_key(r, s);
}

static bool read_id(const struct archiver_redis *r, size_t at, struct streamid *id)
{
    const struct archiver_redis_node *node = archiver_redis_node(r, at);
    return streamid_parse(archiver_redis_at(r, node), node->n, id) == 0;
}

static bool is_error(const struct archiver_redis *r, size_t at)
{
    return archiver_redis_node(r, at)->kind == ARCHIVER_REDIS_ERROR;
}

/* --- scripts --------------------------------------------------------------------------------------- */

/* All of them also while Redis is full: what the archiver does is what makes room again. */
#define ALLOW_OOM "#!lua flags=allow-oom\n"

static const char lease_script[] =
    ALLOW_OOM "local owner = redis.call('GET', KEYS[1])\n"
              "if owner == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end\n"
              "if owner then return 0 end\n"
              "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
              "return 1";

static const char leave_script[] =
    ALLOW_OOM "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', unpack(KEYS)) end\n"
              "return 0";

/* KEYS: stream. ARGV: position, the id after it, 1 to make a stream that is not there, the first id to add again. */
static const char aside_script[] =
    ALLOW_OOM "local function id(text)\n"
              "  local ms, seq = string.match(text, '^(%d+)-(%d+)$')\n"
              "  return tonumber(ms), tonumber(seq)\n"
              "end\n"
              "if redis.call('EXISTS', KEYS[1]) == 0 then\n"
              "  if ARGV[3] == '0' then return 0 end\n"
              "  redis.call('XADD', KEYS[1], ARGV[1], 'd', '')\n"
              "end\n"
              "local again = redis.call('XRANGE', KEYS[1], ARGV[4], ARGV[1])\n"
              "redis.call('XTRIM', KEYS[1], 'MINID', ARGV[2])\n"
              "local info, last, added = redis.call('XINFO', 'STREAM', KEYS[1]), nil, nil\n"
              "for i = 1, #info, 2 do\n"
              "  if info[i] == 'last-generated-id' then last = info[i + 1] end\n"
              "  if info[i] == 'entries-added' then added = info[i + 1] end\n"
              "end\n"
              "local ms, seq = id(last)\n"
              "local position_ms, position_seq = id(ARGV[1])\n"
              "if ms < position_ms or (ms == position_ms and seq < position_seq) then last = ARGV[1] end\n"
              "redis.call('XSETID', KEYS[1], last, 'ENTRIESADDED', added, 'MAXDELETEDID', ARGV[1])\n"
              "for _, entry in ipairs(again) do redis.call('XADD', KEYS[1], '*', unpack(entry[2])) end\n"
              "return 1";

static const char compared_script[] = ALLOW_OOM "redis.call('SET', KEYS[1], ARGV[1])\n"
                                                "return 1";

/* KEYS: state, metrics. ARGV: how long both live, the metrics, fields and values of the state. */
static const char publish_script[] = ALLOW_OOM "redis.call('DEL', KEYS[1])\n"
                                               "redis.call('HSET', KEYS[1], unpack(ARGV, 3))\n"
                                               "redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
                                               "redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[1])\n"
                                               "return 1";

/* --- who works ------------------------------------------------------------------------------------- */

int feed_lease(struct archiver_redis *r, const char *token, int lease_ms, enum feed_lease *lease)
{
    char ms[16];
    snprintf(ms, sizeof(ms), "%d", lease_ms);
    ARCHIVER_REDIS_QUEUE(r, "EVAL", lease_script, "1", RKEY_ARCHIVER, token, ms);
    if (archiver_redis_run(r) < 0)
        return -1;
    const struct archiver_redis_node *node = archiver_redis_node(r, 0);
    if (node->kind == ARCHIVER_REDIS_INTEGER) {
        *lease = node->value == 1 ? FEED_MINE : FEED_OTHERS;
        return 0;
    }
    *lease = FEED_UNKNOWN;
    /* Anything but a refusal to write (a full disk, no replica) is trouble: loading, no permission, no scripts. */
    const char *error = archiver_redis_at(r, node);
    return strstr(error, "MISCONF") || strstr(error, "NOREPLICAS") ? 0 : archiver_redis_check(r, 0);
}

int feed_leave(struct archiver_redis *r, const char *token, bool report)
{
    if (report)
        ARCHIVER_REDIS_QUEUE(r, "EVAL", leave_script, "3", RKEY_ARCHIVER, RKEY_ARCHIVE, metrics_key, token);
    else
        ARCHIVER_REDIS_QUEUE(r, "EVAL", leave_script, "1", RKEY_ARCHIVER, token);
    return archiver_redis_run(r);
}

/* --- devices --------------------------------------------------------------------------------------- */

static void add_device(struct plan *p, const char *id, size_t len)
{
    for (enum archive_kind kind = 0; kind < ARCHIVE_KINDS; kind++) {
        if (kind != ARCHIVE_EVENTS)
            plan_stream(p, kind, id, len);
    }
}

/* The elements of an array, each `step`-th of them a device id. */
static void add_devices(const struct archiver_redis *r, size_t at, struct plan *p, size_t step)
{
    size_t n = archiver_redis_node(r, at)->kind == ARCHIVER_REDIS_ARRAY ? archiver_redis_node(r, at)->n : 0;
    for (size_t i = 0; i < n; i += step) {
        const struct archiver_redis_node *node = archiver_redis_node(r, at + 1 + i);
        if (node->kind == ARCHIVER_REDIS_STRING)
            add_device(p, archiver_redis_at(r, node), node->n);
    }
}

int feed_devices(struct archiver_redis *r, struct plan *p, uint64_t *cursor)
{
    char from[24];
    plan_stream(p, ARCHIVE_EVENTS, "", 0);
    snprintf(from, sizeof(from), "%llu", (unsigned long long)*cursor);
    ARCHIVER_REDIS_QUEUE(r, "ZRANGE", RKEY_DEVICES, "0", DEVICES_NEWEST, "REV");
    ARCHIVER_REDIS_QUEUE(r, "ZSCAN", RKEY_DEVICES, from, "COUNT", DEVICES_STEP);
    if (archiver_redis_run(r) < 0)
        return -1;
    size_t scan = archiver_redis_skip(r, 0);
    if (archiver_redis_check(r, 0) < 0 || archiver_redis_check(r, scan) < 0)
        return -1;
    add_devices(r, 0, p, 1);
    add_devices(r, scan + 2, p, 2);
    *cursor = strtoull(archiver_redis_at(r, archiver_redis_node(r, scan + 1)), NULL, 10);
    return 0;
}

/* --- reading --------------------------------------------------------------------------------------- */

/* The field of an entry whose array of fields is at `at`; NULL when it has none. */
static const char *field_of(const struct archiver_redis *r, size_t at, size_t *len)
{
    size_t n = archiver_redis_node(r, at)->kind == ARCHIVER_REDIS_ARRAY ? archiver_redis_node(r, at)->n : 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        const struct archiver_redis_node *name = archiver_redis_node(r, at + 1 + i), *value = name + 1;
        if (strcmp(archiver_redis_at(r, name), RKEY_FIELD) == 0) {
            *len = value->n;
            return archiver_redis_at(r, value);
        }
    }
    return NULL;
}

/* The entries of one stream at `at` into the batch. */
static int take_entries(struct archiver_redis *r, size_t at, struct batch *b)
{
    size_t n = archiver_redis_node(r, at)->kind == ARCHIVER_REDIS_ARRAY ? archiver_redis_node(r, at)->n : 0;
    for (at++; n > 0; n--, at = archiver_redis_skip(r, at)) {
        struct streamid id;
        size_t len = 0;
        if (!read_id(r, at + 1, &id))
            return archiver_redis_fail(r, "answer", "an entry without an id");
        const char *text = field_of(r, at + 2, &len);
        if (batch_entry(b, id, text, len) < 0)
            return archiver_redis_fail(r, "answer", "out of memory");
    }
    return 0;
}

static void queue_xread(struct archiver_redis *r, struct plan_stream *const *group, size_t n, size_t count)
{
    archiver_redis_command(r, 4 + 2 * n);
    archiver_redis_text(r, "XREAD");
    archiver_redis_text(r, "COUNT");
    archiver_redis_number(r, (int64_t)count);
    archiver_redis_text(r, "STREAMS");
    for (size_t i = 0; i < n; i++)
        put_key(r, group[i]);
    for (size_t i = 0; i < n; i++)
        put_id(r, group[i]->position);
}

int feed_types(struct archiver_redis *r, struct plan_stream *const *group, size_t n)
{
    for (size_t i = 0; i < n; i++)
        queue_key(r, "TYPE", group[i]);
    if (archiver_redis_run(r) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const char *type = archiver_redis_at(r, archiver_redis_node(r, i));
        group[i]->broken = strcmp(type, "stream") != 0 && strcmp(type, "none") != 0;
    }
    return 0;
}

/* Runs an XREAD. 1: some key is of the wrong type, and none was read. */
static int run_xread(struct archiver_redis *r, struct plan_stream *const *group, size_t n, size_t count)
{
    queue_xread(r, group, n, count);
    if (archiver_redis_run(r) < 0)
        return -1;
    if (is_error(r, 0) && strncmp(archiver_redis_at(r, archiver_redis_node(r, 0)), "WRONGTYPE", 9) == 0)
        return feed_types(r, group, n) < 0 ? -1 : 1;
    return archiver_redis_check(r, 0);
}

/* Which of the group an answer's next stream is; they come in the order of the question. */
static size_t match(const struct archiver_redis *r, size_t at, struct plan_stream *const *group, size_t n, size_t i)
{
    const char *name = archiver_redis_at(r, archiver_redis_node(r, at + 1));
    for (; i < n; i++) {
        char key[RKEY_MAX];
        key_of(key, group[i]);
        if (strcmp(key, name) == 0)
            break;
    }
    return i;
}

int feed_read(struct archiver_redis *r, struct plan_stream *const *group, size_t n, size_t count, struct batch *b)
{
    int rc = run_xread(r, group, n, count);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    size_t streams = archiver_redis_node(r, 0)->kind == ARCHIVER_REDIS_ARRAY ? archiver_redis_node(r, 0)->n : 0;
    size_t next = 0;
    for (size_t at = 1; streams > 0; streams--, at = archiver_redis_skip(r, at)) {
        size_t i = match(r, at, group, n, next);
        if (i == n)
            return archiver_redis_fail(r, "answer", "not what was asked");
        for (; next < i; next++)
            plan_done(group[next]);
        next = i + 1;
        if (batch_begin(b, group[i]) < 0)
            return archiver_redis_fail(r, "answer", "out of memory");
        if (take_entries(r, at + 2, b) < 0)
            return -1;
        batch_end(b, count);
    }
    for (; next < n; next++)
        plan_done(group[next]);
    return 0;
}

/* --- looking --------------------------------------------------------------------------------------- */

static void queue_entry(struct archiver_redis *r, const struct plan_stream *s, const char *from, const char *to)
{
    archiver_redis_command(r, 6);
    archiver_redis_text(r, "XRANGE");
    put_key(r, s);
    archiver_redis_text(r, from);
    archiver_redis_text(r, to);
    archiver_redis_text(r, "COUNT");
    archiver_redis_text(r, "1");
}

static int64_t number_at(const struct archiver_redis *r, size_t at)
{
    const struct archiver_redis_node *node = archiver_redis_node(r, at);
    return node->kind == ARCHIVER_REDIS_INTEGER ? node->value : 0;
}

static size_t elements_at(const struct archiver_redis *r, size_t at)
{
    const struct archiver_redis_node *node = archiver_redis_node(r, at);
    return node->kind == ARCHIVER_REDIS_ARRAY ? node->n : 0;
}

static int look(struct archiver_redis *r, struct batch *b, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        queue_entry(r, batch_at(b, i)->stream, "-", "+");
        queue_key(r, "XLEN", batch_at(b, i)->stream);
    }
    if (archiver_redis_run(r) < 0)
        return -1;
    for (size_t i = from, at = 0; i < to; i++) {
        struct batch_part *part = batch_at(b, i);
        if (archiver_redis_check(r, at) < 0)
            return -1;
        part->begins = STREAMID_LAST; /* it is empty: all that was read is gone by now */
        if (elements_at(r, at) == 1)
            read_id(r, at + 2, &part->begins);
        at = archiver_redis_skip(r, at);
        part->length = number_at(r, at++);
    }
    return 0;
}

int feed_look(struct archiver_redis *r, struct batch *b, size_t from)
{
    for (size_t n = batch_size(b); from < n; from += PLAN_GROUP) {
        if (look(r, b, from, n - from < PLAN_GROUP ? n : from + PLAN_GROUP) < 0)
            return -1;
    }
    return 0;
}

int feed_peek(struct archiver_redis *r, struct plan_stream *const *group, size_t n)
{
    struct streamid oldest[PLAN_GROUP];
    bool waits[PLAN_GROUP] = {false};
    int rc = run_xread(r, group, n, 1);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    size_t streams = elements_at(r, 0), next = 0;
    for (size_t at = 1; streams > 0; streams--, at = archiver_redis_skip(r, at)) {
        next = match(r, at, group, n, next);
        if (next == n || elements_at(r, at + 2) != 1 || !read_id(r, at + 4, &oldest[next]))
            return archiver_redis_fail(r, "answer", "not what was asked");
        waits[next++] = true;
    }
    for (size_t i = 0; i < n; i++)
        queue_key(r, "XLEN", group[i]);
    if (archiver_redis_run(r) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (waits[i])
            plan_peeked(group[i], oldest[i], number_at(r, i));
        else
            plan_done(group[i]);
    }
    return 0;
}

int feed_anchors(struct archiver_redis *r, struct plan_stream *const *group, size_t n, bool *there)
{
    for (size_t i = 0; i < n; i++) {
        char id[STREAMID_TEXT_MAX];
        streamid_format(id, group[i]->position);
        queue_entry(r, group[i], id, id);
        queue_key(r, "XLEN", group[i]);
    }
    if (archiver_redis_run(r) < 0)
        return -1;
    for (size_t i = 0, at = 0; i < n; i++) {
        group[i]->broken =
            is_error(r, at) && strncmp(archiver_redis_at(r, archiver_redis_node(r, at)), "WRONGTYPE", 9) == 0;
        if (!group[i]->broken && archiver_redis_check(r, at) < 0)
            return -1;
        there[i] = group[i]->broken || elements_at(r, at) == 1;
        at = archiver_redis_skip(r, at);
        group[i]->length = number_at(r, at++);
    }
    return 0;
}

int feed_facts(struct archiver_redis *r, const struct plan_stream *s, struct plan_facts *facts)
{
    *facts = (struct plan_facts){0};
    archiver_redis_command(r, 3);
    archiver_redis_text(r, "XINFO");
    archiver_redis_text(r, "STREAM");
    put_key(r, s);
    if (archiver_redis_run(r) < 0)
        return -1;
    if (is_error(r, 0) && strstr(archiver_redis_at(r, archiver_redis_node(r, 0)), "no such key"))
        return 0;
    if (archiver_redis_check(r, 0) < 0)
        return -1;
    size_t at = 1;
    for (size_t n = elements_at(r, 0); n >= 2; n -= 2) {
        const char *name = archiver_redis_at(r, archiver_redis_node(r, at++));
        if (strcmp(name, "length") == 0)
            facts->length = number_at(r, at);
        else if (strcmp(name, "entries-added") == 0)
            facts->added = number_at(r, at);
        else if (strcmp(name, "last-generated-id") == 0)
            read_id(r, at, &facts->last);
        else if (strcmp(name, "max-deleted-entry-id") == 0)
            read_id(r, at, &facts->deleted);
        else if (strcmp(name, "first-entry") == 0 && elements_at(r, at) == 2)
            read_id(r, at + 1, &facts->first);
        at = archiver_redis_skip(r, at);
    }
    return 0;
}

/* --- changing -------------------------------------------------------------------------------------- */

int feed_newest(struct archiver_redis *r, const struct plan_stream *s, struct streamid_range range,
                struct streamid *ids, size_t *n)
{
    size_t at = 1, most = *n;
    archiver_redis_command(r, 6);
    archiver_redis_text(r, "XREVRANGE");
    put_key(r, s);
    put_id(r, range.hi);
    put_id(r, range.lo);
    archiver_redis_text(r, "COUNT");
    archiver_redis_number(r, (int64_t)most);
    if (archiver_redis_run(r) < 0 || archiver_redis_check(r, 0) < 0)
        return -1;
    *n = elements_at(r, 0) < most ? elements_at(r, 0) : most;
    for (size_t i = 0; i < *n; i++, at = archiver_redis_skip(r, at)) {
        if (!read_id(r, at + 1, &ids[i]))
            return archiver_redis_fail(r, "answer", "an entry without an id");
    }
    return 0;
}

int feed_set_aside(struct archiver_redis *r, const struct plan_stream *s, struct streamid again, int64_t now_ms)
{
    struct streamid after = s->position;
    if (!streamid_after(&after))
        return 0;
    archiver_redis_command(r, 8);
    archiver_redis_text(r, "EVAL");
    archiver_redis_text(r, aside_script);
    archiver_redis_text(r, "1");
    put_key(r, s);
    put_id(r, s->position);
    put_id(r, after);
    /* A stream that is gone would take ids up to a position that is ahead of the clock once more. */
    archiver_redis_text(r, s->position.ms + 5000 > (uint64_t)now_ms ? "1" : "0");
    put_id(r, again);
    return archiver_redis_run(r) < 0 ? -1 : archiver_redis_check(r, 0);
}

int feed_run(struct archiver_redis *r, char run[RKEY_RUN_MAX], char compared[RKEY_RUN_MAX])
{
    ARCHIVER_REDIS_QUEUE(r, "INFO", "server");
    ARCHIVER_REDIS_QUEUE(r, "GET", RKEY_ARCHIVE_RUN);
    if (archiver_redis_run(r) < 0 || archiver_redis_check(r, 0) < 0 || archiver_redis_check(r, 1) < 0)
        return -1;
    rkey_run_id(run, archiver_redis_at(r, archiver_redis_node(r, 0)));
    snprintf(compared, RKEY_RUN_MAX, "%s", archiver_redis_at(r, archiver_redis_node(r, 1)));
    return run[0] ? 0 : archiver_redis_fail(r, "answer", "INFO has no run_id");
}

int feed_compared(struct archiver_redis *r, const char *run)
{
    ARCHIVER_REDIS_QUEUE(r, "EVAL", compared_script, "1", RKEY_ARCHIVE_RUN, run);
    return archiver_redis_run(r) < 0 ? -1 : archiver_redis_check(r, 0);
}

int feed_trim(struct archiver_redis *r, struct plan_stream *const *group, const int64_t *entries, size_t n,
              int64_t *trimmed, bool *refused)
{
    size_t queued = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        if (entries[i] <= 0)
            continue;
        /* "~" with a limit: whole nodes, as long as all of their entries are before the position. */
        archiver_redis_command(r, 7);
        archiver_redis_text(r, "XTRIM");
        put_key(r, group[i]);
        archiver_redis_text(r, "MINID");
        archiver_redis_text(r, "~");
        put_id(r, group[i]->position);
        archiver_redis_text(r, "LIMIT");
        archiver_redis_number(r, entries[i]);
        queued++;
    }
    *trimmed = 0;
    *refused = false;
    if (queued == 0)
        return 0;
    if (archiver_redis_run(r) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (entries[i] <= 0)
            continue;
        *refused = *refused || archiver_redis_check(r, at) < 0;
        plan_trimmed(group[i], number_at(r, at));
        *trimmed += number_at(r, at++);
    }
    return 0;
}

int feed_publish(struct archiver_redis *r, const struct feed_field *fields, size_t n, const char *metrics, size_t len,
                 int ttl_ms)
{
    archiver_redis_command(r, 7 + 2 * n);
    archiver_redis_text(r, "EVAL");
    archiver_redis_text(r, publish_script);
    archiver_redis_text(r, "2");
    archiver_redis_text(r, RKEY_ARCHIVE);
    archiver_redis_text(r, metrics_key);
    archiver_redis_number(r, ttl_ms);
    archiver_redis_arg(r, metrics, len);
    for (size_t i = 0; i < n; i++) {
        archiver_redis_text(r, fields[i].name);
        archiver_redis_text(r, fields[i].value);
    }
    return archiver_redis_run(r);
}
