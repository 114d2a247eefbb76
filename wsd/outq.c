#include "wsd/outq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4u
#define KEEP_CAP  16u /* a larger array is freed once the queue has drained */
#define MAX_ITEMS 4096u

static bool counted(const struct outq_item *it)
{
    return it->lane != OUTQ_VIDEO;
}

static struct outq_item *at(struct outq *q, unsigned i)
{
    return &q->items[q->head + i];
}

static void drop(struct outq *q, unsigned i)
{
    struct outq_item *it = at(q, i);
    if (counted(it))
        q->bytes -= it->frame->len;
    frame_unref(it->frame);
    if (i == 0) {
        q->head++;
    } else {
        memmove(it, it + 1, (q->count - i - 1u) * sizeof(*it));
    }
    q->count--;
}

static void give_up(struct outq *q, unsigned i, enum outq_drop why, const struct outq_observer *observer)
{
    uint64_t token = at(q, i)->token;
    drop(q, i);
    if (token != 0 && observer != NULL)
        observer->dropped(observer->ctx, token, why);
}

static int reserve(struct outq *q)
{
    if (q->head + q->count < q->cap)
        return 0;
    if (q->head > 0) {
        memmove(q->items, at(q, 0), q->count * sizeof(*q->items));
        q->head = 0;
        return 0;
    }
    unsigned cap = q->cap ? q->cap * 2u : FIRST_CAP;
    if (cap > MAX_ITEMS)
        return -1;
    struct outq_item *items = realloc(q->items, cap * sizeof(*items));
    if (items == NULL)
        return -1;
    q->items = items;
    q->cap = (uint16_t)cap;
    return 0;
}

/* The first unsent item from `from` on that a new one with this key makes obsolete, or -1. */
static int find_obsolete(struct outq *q, unsigned from, enum outq_lane lane, uint32_t key)
{
    for (unsigned i = from; i < q->count; i++) {
        if (at(q, i)->lane == lane && at(q, i)->key == key)
            return (int)i;
    }
    return -1;
}

static bool drop_oldest(struct outq *q, enum outq_lane lane, const struct outq_observer *observer)
{
    for (unsigned i = 0; i < q->count; i++) {
        if (at(q, i)->lane == lane) {
            give_up(q, i, OUTQ_NO_ROOM, observer);
            return true;
        }
    }
    return false;
}

static bool fits(const struct outq *q, size_t len, size_t limit)
{
    return q->bytes + len <= limit && q->count < MAX_ITEMS;
}

/* Makes room for `len` bytes of `lane` at the cost of what is less urgent. */
static bool make_room(struct outq *q, enum outq_lane lane, size_t len, size_t limit, bool *thinned,
                      const struct outq_observer *observer)
{
    while (!fits(q, len, limit)) {
        if (drop_oldest(q, OUTQ_BACKFILL, observer) || drop_oldest(q, OUTQ_TELEMETRY, observer)) {
            *thinned = true;
        } else if (lane == OUTQ_STOP &&
                   (drop_oldest(q, OUTQ_CONTROL, observer) || drop_oldest(q, OUTQ_COMMAND, observer) ||
                    (q->count >= MAX_ITEMS && drop_oldest(q, OUTQ_VIDEO, observer)))) {
            *thinned = true;
        } else {
            return lane == OUTQ_STOP;
        }
    }
    return true;
}

/*
 * The new one takes the place of the oldest with its key; any others go, lest old news follow new. False when
 * there is none, or no longer: it had to go since the new one is longer and has to make room first.
 */
static bool replace(struct outq *q, const struct outq_item *item, size_t limit, const struct outq_observer *observer)
{
    int i = find_obsolete(q, 0, item->lane, item->key);
    if (i < 0)
        return false;
    for (int later; (later = find_obsolete(q, (unsigned)i + 1, item->lane, item->key)) >= 0;)
        give_up(q, (unsigned)later, OUTQ_SUPERSEDED, observer);
    struct outq_item *it = at(q, (unsigned)i);
    uint32_t len = item->frame->len, old_len = it->frame->len;
    if (counted(it) && len > old_len && q->bytes - old_len + len > limit) {
        give_up(q, (unsigned)i, OUTQ_SUPERSEDED, observer);
        return false;
    }
    uint64_t token = it->token;
    if (counted(it))
        q->bytes += len - old_len;
    frame_unref(it->frame);
    frame_ref(item->frame);
    *it = *item;
    if (token != 0 && observer != NULL)
        observer->dropped(observer->ctx, token, OUTQ_SUPERSEDED);
    return true;
}

static void insert(struct outq *q, const struct outq_item *item)
{
    unsigned i = q->count;
    while (i > 0 && at(q, i - 1)->lane > item->lane)
        i--;
    memmove(at(q, i) + 1, at(q, i), (q->count - i) * sizeof(*item));
    *at(q, i) = *item;
    q->count++;
    if (counted(item))
        q->bytes += item->frame->len;
}

enum outq_result outq_push(struct outq *q, const struct outq_item *item, bool slow, size_t limit,
                           const struct outq_observer *observer)
{
    if (item->lane == OUTQ_BACKFILL && (slow || !fits(q, item->frame->len, limit / 2)))
        return OUTQ_REFUSED;
    bool latest_wins = item->key != 0 && (item->lane != OUTQ_TELEMETRY || slow);
    if (item->lane > OUTQ_COMMAND || item->key == 0)
        limit -= item->lane == OUTQ_STOP ? 0 : limit / 16;
    if (latest_wins && replace(q, item, limit, observer))
        return OUTQ_REPLACED;
    bool thinned = false;
    if (item->lane != OUTQ_VIDEO && !make_room(q, item->lane, item->frame->len, limit, &thinned, observer))
        return OUTQ_REFUSED;
    if (reserve(q) != 0)
        return OUTQ_REFUSED;
    frame_ref(item->frame);
    insert(q, item);
    return thinned ? OUTQ_THINNED : OUTQ_QUEUED;
}

static void after_drain(struct outq *q)
{
    if (q->count > 0)
        return;
    q->head = 0;
    if (q->cap > KEEP_CAP) {
        free(q->items);
        q->items = NULL;
        q->cap = 0;
    }
}

void outq_withdraw(struct outq *q, enum outq_lane lane, uint32_t key, const struct outq_observer *observer)
{
    for (int i; (i = find_obsolete(q, 0, lane, key)) >= 0;)
        give_up(q, (unsigned)i, OUTQ_SUPERSEDED, observer);
    after_drain(q);
}

unsigned outq_expire(struct outq *q, int64_t now_ms, const struct outq_observer *observer)
{
    unsigned dropped = 0;
    for (unsigned i = 0; i < q->count && at(q, i)->lane <= OUTQ_COMMAND;) {
        if (at(q, i)->deadline_ms != 0 && at(q, i)->deadline_ms < now_ms) {
            give_up(q, i, OUTQ_LATE, observer);
            dropped++;
        } else {
            i++;
        }
    }
    after_drain(q);
    return dropped;
}

/* The next fragment of a message that is too long for one piece. */
static size_t take_segment(struct outq *q, const uint8_t **bytes, struct frame **hold)
{
    size_t end = frame_segment_end(q->partial, q->partial_at);
    size_t n = end - q->partial_at;
    *bytes = q->partial->bytes + q->partial_at;
    *hold = frame_ref(q->partial);
    q->partial_at = (uint32_t)end;
    if (end == q->partial->len) {
        frame_unref(q->partial);
        q->partial = NULL;
        q->partial_at = 0;
    }
    return n;
}

size_t outq_take(struct outq *q, uint8_t *buf, size_t cap, const uint8_t **bytes, struct frame **hold)
{
    assert(cap >= FRAME_SEGMENT);
    *hold = NULL;
    *bytes = buf;
    if (q->partial != NULL)
        return take_segment(q, bytes, hold);
    size_t n = 0;
    while (q->count > 0) {
        struct frame *f = at(q, 0)->frame;
        bool alone = f->len > FRAME_SEGMENT || outq_video_next(q);
        if (n > 0 && (n + f->len > cap || alone))
            break;
        if (n == 0 && (q->count == 1 || alone)) {
            /* One message, or a long one: sent from where it is, without a copy. */
            q->partial = frame_ref(f);
            drop(q, 0);
            after_drain(q);
            return take_segment(q, bytes, hold);
        }
        memcpy(buf + n, f->bytes, f->len);
        n += f->len;
        drop(q, 0);
    }
    after_drain(q);
    return n;
}

/* Bytes in front of a short message. */
static size_t head_of(const struct frame *f)
{
    return f->bytes[1] == 126 ? 4 : 2;
}

size_t outq_take_batch(struct outq *q, uint8_t *buf, size_t cap, const uint8_t **bytes, struct frame **hold)
{
    if (q->partial != NULL || q->count < 2 || at(q, 0)->frame->len > FRAME_SEGMENT || outq_video_next(q))
        return outq_take(q, buf, cap, bytes, hold);
    size_t n =
        4; /* of a frame of 126 to 65535 bytes; a shorter one may say it that way, but must not (RFC 6455, 5.2) */
    *hold = NULL;
    *bytes = buf;
    while (q->count > 0) {
        const struct frame *f = at(q, 0)->frame;
        size_t len = f->len - head_of(f);
        if (f->len > FRAME_SEGMENT || n + (n > 4) + len > cap || outq_video_next(q))
            break;
        if (n > 4)
            buf[n++] = '\n';
        memcpy(buf + n, f->bytes + head_of(f), len);
        n += len;
        drop(q, 0);
    }
    after_drain(q);
    buf[0] = 0x81;
    if (n - 4 < 126) {
        buf[2] = 0x81;
        buf[3] = (uint8_t)(n - 4);
        *bytes = buf + 2;
        return n - 2;
    }
    buf[1] = 126;
    buf[2] = (uint8_t)((n - 4) >> 8);
    buf[3] = (uint8_t)((n - 4) & 0xff);
    return n;
}

bool outq_empty(const struct outq *q)
{
    return q->count == 0 && q->partial == NULL;
}

bool outq_video_next(const struct outq *q)
{
    return q->partial == NULL && q->count > 0 && q->items[q->head].lane == OUTQ_VIDEO;
}

void outq_clear(struct outq *q)
{
    while (q->count > 0)
        drop(q, 0);
    free(q->items);
    frame_unref(q->partial);
    memset(q, 0, sizeof(*q));
}

uint32_t outq_key(const char *text, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)text[i]) * 16777619u;
    return h ? h : 1u;
}
