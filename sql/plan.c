#include "sql/plan.h"

#include "common/msg.h"

#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES_FIRST ((size_t)512) /* taken for one entry before any was seen */
#define ENTRY_BYTES_LEAST ((size_t)64)
#define ENTRY_BYTES_MOST  ((size_t)16384)

struct plan {
    struct plan_stream *table; /* uthash */
    struct plan_stream **all;  /* in the order in which they became known */
    size_t n, cap;
    struct plan_round {
        size_t from, done; /* where this turn began, and how many streams it has passed */
    } rounds[2];
    size_t entry_bytes; /* of one entry in an answer, generously */
};

struct plan *plan_create(void)
{
    struct plan *p = calloc(1, sizeof(*p));
    if (p)
        p->entry_bytes = ENTRY_BYTES_FIRST;
    return p;
}

void plan_destroy(struct plan *p)
{
    if (!p)
        return;
    HASH_CLEAR(hh, p->table);
    for (size_t i = 0; i < p->n; i++)
        free(p->all[i]);
    free(p->all);
    free(p);
}

const char *plan_device(const struct plan_stream *s)
{
    return s->key + 1;
}

static int reserve(struct plan *p)
{
    if (p->n < p->cap)
        return 0;
    size_t cap = p->cap ? p->cap * 2 : 64;
    struct plan_stream **all = p->n < PLAN_STREAMS_MAX ? realloc(p->all, cap * sizeof(struct plan_stream *)) : NULL;
    if (!all)
        return -1;
    p->all = all;
    p->cap = cap;
    return 0;
}

struct plan_stream *plan_stream(struct plan *p, enum archive_kind kind, const char *device_id, size_t len)
{
    char key[1 + MSG_DEVICE_ID_MAX];
    struct plan_stream *s;
    if (len > MSG_DEVICE_ID_MAX ||
        (kind == ARCHIVE_EVENTS ? len != 0 : (len == 0 || !msg_device_id_valid(device_id, len))))
        return NULL;
    key[0] = (char)('0' + kind);
    memcpy(key + 1, device_id, len);
    HASH_FIND(hh, p->table, key, 1 + len, s);
    if (s || reserve(p) < 0)
        return s;
    s = calloc(1, sizeof(*s) + len + 2);
    if (!s)
        return NULL;
    s->kind = kind;
    memcpy(s->key, key, 1 + len);
    HASH_ADD_KEYPTR(hh, p->table, s->key, 1 + len, s);
    p->all[p->n++] = s;
    return s;
}

size_t plan_streams(const struct plan *p)
{
    return p->n;
}

struct plan_stream *plan_at(const struct plan *p, size_t index)
{
    return p->all[index];
}

void plan_forget_positions(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        p->all[i]->known = false;
        p->all[i]->position = STREAMID_FIRST;
    }
}

/* --- whose turn it is ------------------------------------------------------------------------------ */

void plan_begin(struct plan *p, enum plan_turn turn)
{
    struct plan_round *r = &p->rounds[turn];
    r->from = p->n > 0 ? (r->from + r->done) % p->n : 0;
    r->done = 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t plan_next(struct plan *p, enum plan_turn turn, struct plan_room room, struct plan_stream **group, size_t *count)
{
    struct plan_round *r = &p->rounds[turn];
    size_t entries = least(room.rows, room.bytes / p->entry_bytes);
    size_t most = least(PLAN_GROUP, entries > 0 ? entries : 1), n = 0;
    while (n < most && r->done < p->n) {
        struct plan_stream *s = p->all[(r->from + r->done++) % p->n];
        if (!s->broken && s->behind == (turn == PLAN_BEHIND))
            group[n++] = s;
    }
    *count = n > 0 && entries > n ? entries / n : 1;
    return n;
}

void plan_learn(struct plan *p, size_t entries, size_t bytes)
{
    if (entries == 0)
        return;
    size_t seen = bytes / entries + bytes / entries / 4;
    /* Larger at once, smaller slowly. */
    p->entry_bytes = seen > p->entry_bytes ? seen : p->entry_bytes - (p->entry_bytes - seen) / 8;
    if (p->entry_bytes < ENTRY_BYTES_LEAST)
        p->entry_bytes = ENTRY_BYTES_LEAST;
    if (p->entry_bytes > ENTRY_BYTES_MOST)
        p->entry_bytes = ENTRY_BYTES_MOST;
}

void plan_too_large(struct plan *p)
{
    p->entry_bytes = ENTRY_BYTES_MOST;
}

bool plan_full(struct plan_room room, struct plan_room whole)
{
    return room.rows < whole.rows / 2 || room.bytes < whole.bytes / 2;
}

/* --- losses ---------------------------------------------------------------------------------------- */

static bool is_before(struct streamid a, struct streamid b)
{
    return streamid_compare(a, b) < 0;
}

bool plan_suspicious(const struct plan_stream *s, struct streamid first, bool ever)
{
    return s->known ? is_before(s->position, first) : ever;
}

enum plan_verdict plan_judge(const struct plan_stream *s, const struct plan_facts *facts, bool ever)
{
    if (!s->known)
        return ever && facts->added > facts->length ? PLAN_LOST : PLAN_SOUND;
    if (!is_before(s->position, facts->first) || !is_before(facts->deleted, s->position))
        return PLAN_SOUND;
    return facts->added == facts->length ? PLAN_ANEW : PLAN_LOST;
}

enum plan_verdict plan_judge_missing(const struct plan_stream *s, const struct plan_facts *facts)
{
    bool empty = facts->length == 0;
    if (!empty && is_before(s->position, facts->first))
        return PLAN_SOUND; /* whatever is missing there is found out when it is read */
    if (empty && !is_before(facts->last, s->position))
        return PLAN_SOUND;
    return PLAN_BACK;
}

/* --- trimming and lag ------------------------------------------------------------------------------ */

int64_t plan_trim(int64_t length, int64_t hot)
{
    int64_t extra = length - hot;
    if (extra < PLAN_TRIM_LEAST)
        return 0;
    return extra < PLAN_TRIM_MOST ? extra : PLAN_TRIM_MOST;
}

static int64_t between(int64_t value, int64_t min, int64_t max)
{
    if (value < min)
        return min;
    return value > max ? max : value;
}

void plan_archived(struct plan_stream *s, struct streamid to, size_t read, bool more, int64_t length)
{
    s->known = true;
    s->position = to;
    s->behind = more;
    s->waiting_ms = !more ? 0 : to.ms > 0 ? to.ms : 1;
    s->length = length;
    s->kept = more ? between(s->kept + (int64_t)read, 0, length) : length;
}

void plan_trimmed(struct plan_stream *s, int64_t entries)
{
    s->length = between(s->length - entries, 0, s->length);
    s->kept = between(s->kept - entries, 0, s->length);
}

void plan_done(struct plan_stream *s)
{
    s->behind = false;
    s->waiting_ms = 0;
    s->kept = s->length;
}

void plan_peeked(struct plan_stream *s, struct streamid oldest, int64_t length)
{
    s->waiting_ms = oldest.ms > 0 ? oldest.ms : 1;
    s->length = length;
    s->kept = between(s->kept, 0, length);
}

int64_t plan_waiting(const struct plan_stream *s)
{
    int64_t waiting = s->length - s->kept;
    if (s->waiting_ms == 0)
        return 0;
    return waiting > 0 ? waiting : 1;
}

bool plan_watch(struct plan_stream *s, int64_t maxlen)
{
    int64_t waiting = plan_waiting(s);
    bool was = s->near_loss;
    if (maxlen <= 0 || waiting < maxlen * 6 / 10)
        s->near_loss = false;
    else if (waiting > maxlen * 8 / 10)
        s->near_loss = true;
    return s->near_loss && !was;
}

struct plan_lag plan_lag(const struct plan *p, int64_t now_ms)
{
    struct plan_lag lag = {0};
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_stream *s = p->all[i];
        int64_t waiting = plan_waiting(s);
        lag.near_loss += s->near_loss;
        lag.entries += waiting;
        if (waiting == 0 || s->kind != ARCHIVE_SAMPLES)
            continue;
        lag.samples += waiting;
        int64_t age = s->waiting_ms < (uint64_t)now_ms ? now_ms - (int64_t)s->waiting_ms : 1;
        if (age > lag.ms)
            lag.ms = age;
    }
    return lag;
}
