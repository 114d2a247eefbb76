#include "wsd/outq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED  20260119u
#define LIMIT 65536u
#define SLOW  true
#define FAST  false

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* --- exact rules ------------------------------------------------------------------------------- */

/* A message that is its own name, then dots up to `len` bytes. */
static struct frame *make(const char *name, size_t len)
{
    static char text[600000];
    size_t n = strlen(name);
    memcpy(text, name, n);
    if (len > n)
        memset(text + n, '.', len - n);
    struct frame *f = frame_create(text, len > n ? len : n);
    assert_non_null(f);
    return f;
}

static enum outq_result put_at(struct outq *q, enum outq_lane lane, const char *name, size_t len, uint32_t key,
                               int64_t deadline, bool slow)
{
    struct frame *f = make(name, len);
    enum outq_result result = outq_push(q, lane, f, key, deadline, slow, LIMIT);
    frame_unref(f);
    return result;
}

static enum outq_result put(struct outq *q, enum outq_lane lane, const char *name, uint32_t key, bool slow)
{
    return put_at(q, lane, name, 0, key, 0, slow);
}

/* Takes all that waits; returns the first letters of the messages, in order. */
static const char *drain_at(struct outq *q, int64_t now, struct outq_counts *counts)
{
    static char names[8192];
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    size_t n, count = 0;
    while ((n = outq_take(q, now, buf, sizeof(buf), &bytes, &hold, counts)) > 0) {
        for (size_t at = 0; at < n;) {
            size_t header = bytes[at + 1] == 126 ? 4 : 2;
            size_t len = bytes[at + 1] == 126 ? (size_t)bytes[at + 2] << 8 | bytes[at + 3] : bytes[at + 1];
            if ((bytes[at] & 0x0f) == 1)
                names[count++] = (char)bytes[at + header];
            at += header + len;
        }
        frame_unref(hold);
    }
    assert_true(outq_empty(q));
    assert_int_equal(q->bytes, 0);
    names[count] = '\0';
    return names;
}

static const char *drain(struct outq *q)
{
    struct outq_counts counts = {0};
    return drain_at(q, 1, &counts);
}

static void lanes_in_order(void **state)
{
    (void)state;
    struct outq q = {0};
    static const char *const names[OUTQ_LANES] = {"s", "m", "c", "t", "v"};
    for (int round = 0; round < 2; round++) {
        for (int lane = OUTQ_LANES - 1; lane >= 0; lane--)
            assert_int_equal(put(&q, (enum outq_lane)lane, names[lane], 0, FAST), OUTQ_QUEUED);
    }
    assert_string_equal(drain(&q), "ssmmccttvv");
    outq_clear(&q);
}

static void first_in_first_out(void **state)
{
    (void)state;
    struct outq q = {0};
    for (int i = 0; i < 20; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        put(&q, OUTQ_CONTROL, name, 0, FAST);
    }
    assert_string_equal(drain(&q), "abcdefghijklmnopqrst");
    outq_clear(&q);
}

/* A newer move takes the place of the older one in the line, and touches nothing else. */
static void latest_move_wins_in_place(void **state)
{
    (void)state;
    struct outq q = {0};
    put(&q, OUTQ_COMMAND, "a", 1, FAST);
    put(&q, OUTQ_COMMAND, "b", 2, FAST);
    put(&q, OUTQ_COMMAND, "c", 0, FAST);
    put(&q, OUTQ_CONTROL, "d", 1, FAST); /* the same key in another lane is another thing */
    assert_int_equal(put(&q, OUTQ_COMMAND, "A", 1, FAST), OUTQ_REPLACED);
    assert_int_equal(put(&q, OUTQ_COMMAND, "C", 0, FAST), OUTQ_QUEUED); /* settings stand in line */
    assert_string_equal(drain(&q), "AbcCd");
    outq_clear(&q);
}

/* The newer one's deadline counts. */
static void latest_move_brings_its_deadline(void **state)
{
    (void)state;
    struct outq q = {0};
    struct outq_counts counts = {0};
    put_at(&q, OUTQ_COMMAND, "a", 0, 1, 100, FAST);
    put_at(&q, OUTQ_COMMAND, "A", 0, 1, 200, FAST);
    put_at(&q, OUTQ_COMMAND, "b", 0, 2, 200, FAST);
    put_at(&q, OUTQ_COMMAND, "B", 0, 2, 100, FAST);
    assert_string_equal(drain_at(&q, 150, &counts), "A");
    assert_int_equal(counts.expired[OUTQ_COMMAND], 1);
    outq_clear(&q);
}

static void telemetry_is_thinned_for_the_slow_only(void **state)
{
    (void)state;
    struct outq q = {0};
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "a", 1, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "b", 2, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "c", 1, FAST), OUTQ_QUEUED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "B", 2, SLOW), OUTQ_REPLACED);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "d", 3, SLOW), OUTQ_QUEUED);
    assert_string_equal(drain(&q), "aBcd");
    put(&q, OUTQ_TELEMETRY, "a", 1, FAST);
    put(&q, OUTQ_TELEMETRY, "b", 2, FAST);
    put(&q, OUTQ_TELEMETRY, "c", 1, FAST);
    assert_int_equal(put(&q, OUTQ_TELEMETRY, "A", 1, SLOW), OUTQ_REPLACED);
    assert_string_equal(drain(&q), "Ab"); /* no older one follows it */
    outq_clear(&q);
}

static void video_is_the_latest_and_does_not_count(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_VIDEO, "a", 500000, 1, 0, FAST);
    put_at(&q, OUTQ_VIDEO, "b", 500000, 2, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_VIDEO, "A", 300000, 1, 0, FAST), OUTQ_REPLACED);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(put(&q, OUTQ_COMMAND, "m", 0, FAST), OUTQ_QUEUED);
    assert_string_equal(drain(&q), "mAb");
    outq_clear(&q);
}

static void older_telemetry_makes_room(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_TELEMETRY, "a", 30000, 1, 0, FAST);
    put_at(&q, OUTQ_TELEMETRY, "b", 30000, 2, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_TELEMETRY, "c", 30000, 3, 0, FAST), OUTQ_THINNED);
    assert_int_equal(put_at(&q, OUTQ_CONTROL, "d", 30000, 0, 0, FAST), OUTQ_THINNED);
    assert_int_equal(put_at(&q, OUTQ_COMMAND, "e", 30000, 0, 0, FAST), OUTQ_THINNED);
    assert_string_equal(drain(&q), "ed");
    outq_clear(&q);
}

static void refused_when_full(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_CONTROL, "a", 30000, 0, 0, FAST);
    put_at(&q, OUTQ_COMMAND, "b", 30000, 0, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_CONTROL, "c", 30000, 0, 0, FAST), OUTQ_REFUSED);
    assert_int_equal(put_at(&q, OUTQ_COMMAND, "d", 30000, 0, 0, FAST), OUTQ_REFUSED);
    assert_int_equal(put_at(&q, OUTQ_TELEMETRY, "e", 30000, 1, 0, FAST), OUTQ_REFUSED);
    assert_int_equal(put_at(&q, OUTQ_CONTROL, "f", 5000, 0, 0, FAST), OUTQ_QUEUED);
    assert_string_equal(drain(&q), "baf");
    outq_clear(&q);
}

/* Exactly the limit is within it. */
static void limit_to_the_byte(void **state)
{
    (void)state;
    struct outq q = {0};
    struct frame *f = make("a", 1000);
    for (size_t limit = f->len - 1; limit <= f->len; limit++) {
        assert_int_equal(outq_push(&q, OUTQ_CONTROL, f, 0, 0, FAST, limit),
                         limit < f->len ? OUTQ_REFUSED : OUTQ_QUEUED);
    }
    assert_int_equal(q.bytes, f->len);
    outq_clear(&q);
    assert_int_equal(f->refs, 1);
    frame_unref(f);
}

/* A newer one that is longer has to fit as well. */
static void replacement_stays_within_the_limit(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_TELEMETRY, "a", 100, 1, 0, SLOW);
    put_at(&q, OUTQ_TELEMETRY, "b", 30000, 2, 0, SLOW);
    put_at(&q, OUTQ_TELEMETRY, "c", 30000, 3, 0, SLOW);
    put_at(&q, OUTQ_TELEMETRY, "A", 30000, 1, 0, SLOW);
    assert_true(q.bytes <= LIMIT);
    assert_string_equal(drain(&q), "cA"); /* the oldest made room */
    put_at(&q, OUTQ_COMMAND, "m", 100, 1, 0, FAST);
    put_at(&q, OUTQ_CONTROL, "d", 60000, 0, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_COMMAND, "M", 30000, 1, 0, FAST), OUTQ_REFUSED);
    assert_true(q.bytes <= LIMIT);
    assert_string_equal(drain(&q), "d"); /* the older move is obsolete all the same */
    outq_clear(&q);
}

static void stop_is_always_accepted(void **state)
{
    (void)state;
    struct outq q = {0};
    put_at(&q, OUTQ_TELEMETRY, "t", 20000, 0, 0, FAST);
    put_at(&q, OUTQ_COMMAND, "m", 20000, 0, 0, FAST);
    put_at(&q, OUTQ_CONTROL, "c", 20000, 0, 0, FAST);
    assert_int_equal(put_at(&q, OUTQ_STOP, "1", 20000, 0, 0, FAST), OUTQ_THINNED); /* telemetry goes first */
    assert_int_equal(put_at(&q, OUTQ_STOP, "2", 20000, 0, 0, FAST), OUTQ_THINNED); /* then control */
    assert_int_equal(put_at(&q, OUTQ_STOP, "3", 20000, 0, 0, FAST), OUTQ_THINNED); /* then commands */
    assert_int_equal(put_at(&q, OUTQ_STOP, "4", 20000, 0, 0, FAST), OUTQ_QUEUED);  /* then over the limit */
    assert_true(q.bytes > LIMIT);
    assert_int_equal(put(&q, OUTQ_COMMAND, "n", 0, FAST), OUTQ_REFUSED);
    assert_string_equal(drain(&q), "1234");
    outq_clear(&q);
}

/* The number of items is bounded, too; stops still get in. */
static void many_items(void **state)
{
    static const enum outq_lane lanes[] = {OUTQ_CONTROL, OUTQ_COMMAND, OUTQ_TELEMETRY, OUTQ_VIDEO};
    (void)state;
    struct frame *f = make("x", 1), *stop = make("s", 1);
    for (size_t i = 0; i < sizeof(lanes) / sizeof(lanes[0]); i++) {
        struct outq q = {0};
        size_t n = 0;
        while (n < 100000 && outq_push(&q, lanes[i], f, 0, 0, FAST, 1u << 30) == OUTQ_QUEUED)
            n++;
        assert_true(n >= 4096 && n < 100000);
        assert_int_not_equal(outq_push(&q, OUTQ_STOP, stop, 0, 0, FAST, 1u << 30), OUTQ_REFUSED);
        assert_int_equal(drain(&q)[0], 's');
        outq_clear(&q);
    }
    assert_int_equal(f->refs, 1);
    assert_int_equal(stop->refs, 1);
    frame_unref(f);
    frame_unref(stop);
}

static void never_late(void **state)
{
    (void)state;
    struct outq q = {0};
    struct outq_counts counts = {0};
    put_at(&q, OUTQ_COMMAND, "a", 0, 0, 100, FAST);
    put_at(&q, OUTQ_COMMAND, "b", 0, 0, 0, FAST); /* no deadline */
    put_at(&q, OUTQ_COMMAND, "c", 0, 0, 99, FAST);
    put_at(&q, OUTQ_COMMAND, "d", 0, 0, 101, FAST);
    put_at(&q, OUTQ_VIDEO, "v", 0, 1, 50, FAST);
    assert_string_equal(drain_at(&q, 100, &counts), "abd"); /* at its deadline it is still in time */
    assert_int_equal(counts.expired[OUTQ_COMMAND], 1);
    assert_int_equal(counts.expired[OUTQ_VIDEO], 1);
    put_at(&q, OUTQ_COMMAND, "e", 0, 0, 100, FAST);
    put_at(&q, OUTQ_COMMAND, "f", 0, 0, 100, FAST);
    assert_string_equal(drain_at(&q, 101, &counts), "");
    assert_int_equal(counts.expired[OUTQ_COMMAND], 3);
    outq_clear(&q);
}

/* Nothing comes between the fragments of a message, however urgent; it comes right after. */
static void long_message_is_not_interrupted(void **state)
{
    (void)state;
    struct outq q = {0};
    struct outq_counts counts = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    struct frame *v = make("v", 3 * FRAME_SEGMENT - 20);
    outq_push(&q, OUTQ_VIDEO, v, 1, 0, FAST, LIMIT);
    put(&q, OUTQ_TELEMETRY, "t", 0, FAST);
    size_t n = outq_take(&q, 1, buf, sizeof(buf), &bytes, &hold, &counts);
    assert_int_equal(n, 3);
    frame_unref(hold);
    for (size_t at = 0; at < v->len; at += n) {
        n = outq_take(&q, 1, buf, sizeof(buf), &bytes, &hold, &counts);
        assert_true(n > 0 && n <= FRAME_SEGMENT);
        assert_ptr_equal(hold, v); /* without a copy */
        assert_memory_equal(bytes, v->bytes + at, n);
        frame_unref(hold);
        put(&q, OUTQ_STOP, "s", 0, FAST);
        put(&q, OUTQ_VIDEO, "w", 1, FAST); /* does not replace what is on its way */
    }
    assert_string_equal(drain(&q), "sssw");
    assert_int_equal(v->refs, 1);
    frame_unref(v);
    outq_clear(&q);
}

static void cleared_in_the_middle(void **state)
{
    (void)state;
    struct outq q = {0};
    struct outq_counts counts = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    struct frame *v = make("v", 3 * FRAME_SEGMENT);
    outq_push(&q, OUTQ_VIDEO, v, 1, 0, FAST, LIMIT);
    put(&q, OUTQ_VIDEO, "w", 2, FAST);
    assert_int_equal(outq_take(&q, 1, buf, sizeof(buf), &bytes, &hold, &counts), FRAME_SEGMENT);
    outq_clear(&q);
    assert_true(outq_empty(&q));
    assert_memory_equal(bytes, v->bytes, FRAME_SEGMENT); /* `hold` keeps it */
    frame_unref(hold);
    assert_int_equal(v->refs, 1);
    frame_unref(v);
    outq_clear(&q);
    put(&q, OUTQ_CONTROL, "a", 0, FAST);
    assert_string_equal(drain(&q), "a");
    outq_clear(&q);
}

/* What waits together goes out together, as much as fits. */
static void joined(void **state)
{
    (void)state;
    struct outq q = {0};
    struct outq_counts counts = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    struct frame *f = make("a", 1000);
    size_t per_write = FRAME_SEGMENT / f->len;
    for (size_t i = 0; i < 2 * per_write; i++)
        outq_push(&q, OUTQ_CONTROL, f, 0, 0, FAST, LIMIT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(outq_take(&q, 1, buf, sizeof(buf), &bytes, &hold, &counts), per_write * f->len);
        frame_unref(hold);
    }
    assert_true(outq_empty(&q));
    assert_int_equal(f->refs, 1);
    frame_unref(f);
    outq_clear(&q);
}

static void empty_costs_nothing(void **state)
{
    (void)state;
    struct outq q = {0};
    struct outq_counts counts = {0};
    uint8_t buf[FRAME_SEGMENT];
    const uint8_t *bytes;
    struct frame *hold;
    assert_true(outq_empty(&q));
    assert_int_equal(outq_take(&q, 1, buf, sizeof(buf), &bytes, &hold, &counts), 0);
    assert_null(hold);
    for (int i = 0; i < 100; i++)
        put(&q, OUTQ_CONTROL, "a", 0, FAST);
    drain(&q);
    assert_null(q.items); /* a large array does not stay */
    outq_clear(&q);
    outq_clear(&q);
}

static void keys(void **state)
{
    (void)state;
    uint32_t seen[2000];
    for (int i = 0; i < 2000; i++) {
        char id[16];
        int n = snprintf(id, sizeof(id), "robot_%d", i);
        seen[i] = outq_key(id, (size_t)n);
        assert_int_not_equal(seen[i], 0);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
    }
    assert_int_not_equal(outq_key("", 0), 0);
}

/* --- against a model --------------------------------------------------------------------------- */

/* The model keeps a reference to each frame, so that the count tells what the queue holds. */
struct waiting {
    struct frame *frame;
    int64_t deadline;
    uint32_t key;
    uint32_t text_at; /* where in `pattern` its text begins */
    uint32_t len;     /* of its text */
    enum outq_lane lane;
};

#define MODEL_MAX   5000
#define PATTERN     400000u
#define TEXT_AT_MAX 1000u

struct model {
    struct outq q;
    struct waiting items[MODEL_MAX]; /* in the order of delivery */
    size_t count;
    size_t bytes;           /* without video */
    struct waiting sending; /* frame NULL: none */
    size_t seen;            /* bytes of its text that were taken */
    struct outq_counts expired, counts;
    int64_t now;
    size_t limit;
    uint32_t seed;
    uint64_t delivered, dropped;
};

static char pattern[PATTERN + TEXT_AT_MAX];

/* `frame` is not in the queue any more: only the model's reference is left. */
static void let_go(struct waiting *w)
{
    assert_int_equal(w->frame->refs, 1);
    frame_unref(w->frame);
    w->frame = NULL;
}

static struct waiting take_out(struct model *m, size_t i)
{
    struct waiting w = m->items[i];
    memmove(&m->items[i], &m->items[i + 1], (m->count - i - 1) * sizeof(w));
    m->count--;
    if (w.lane != OUTQ_VIDEO)
        m->bytes -= w.frame->len;
    return w;
}

/* Only once the real queue has done the same. */
static struct waiting gone[MODEL_MAX];
static size_t n_gone;

static void drop_from_model(struct model *m, size_t i)
{
    gone[n_gone++] = take_out(m, i);
    m->dropped++;
}

static bool drop_first_of(struct model *m, enum outq_lane lane)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->items[i].lane == lane) {
            drop_from_model(m, i);
            return true;
        }
    }
    return false;
}

static void insert_at(struct model *m, size_t i, const struct waiting *w)
{
    memmove(&m->items[i + 1], &m->items[i], (m->count - i) * sizeof(*w));
    m->items[i] = *w;
    m->count++;
    if (w->lane != OUTQ_VIDEO)
        m->bytes += w->frame->len;
}

static enum outq_result model_push(struct model *m, const struct waiting *w, bool slow)
{
    bool latest = w->key != 0 && (w->lane != OUTQ_TELEMETRY || slow), thinned = false;
    size_t first = MODEL_MAX;
    uint32_t first_len = 0;
    for (size_t i = m->count; latest && i-- > 0;) {
        if (m->items[i].lane != w->lane || m->items[i].key != w->key)
            continue;
        first = i;
        first_len = m->items[i].frame->len;
        drop_from_model(m, i);
    }
    if (first != MODEL_MAX &&
        (w->lane == OUTQ_VIDEO || w->frame->len <= first_len || m->bytes + w->frame->len <= m->limit)) {
        insert_at(m, first, w);
        return OUTQ_REPLACED;
    }
    while (w->lane != OUTQ_VIDEO && m->bytes + w->frame->len > m->limit) {
        if (!drop_first_of(m, OUTQ_TELEMETRY) &&
            (w->lane != OUTQ_STOP || (!drop_first_of(m, OUTQ_CONTROL) && !drop_first_of(m, OUTQ_COMMAND)))) {
            if (w->lane != OUTQ_STOP)
                return OUTQ_REFUSED;
            break;
        }
        thinned = true;
    }
    size_t i = m->count;
    while (i > 0 && m->items[i - 1].lane > w->lane)
        i--;
    insert_at(m, i, w);
    return thinned ? OUTQ_THINNED : OUTQ_QUEUED;
}

static void compare(struct model *m)
{
    assert_int_equal(m->q.count, m->count);
    assert_int_equal(m->q.bytes, m->bytes);
    assert_int_equal(outq_empty(&m->q), m->count == 0 && m->sending.frame == NULL);
    assert_memory_equal(&m->counts, &m->expired, sizeof(m->counts));
    while (n_gone > 0)
        let_go(&gone[--n_gone]);
}

static size_t random_length(uint32_t *seed, enum outq_lane lane)
{
    uint32_t kind = random_bits(seed) % 1000;
    if (lane == OUTQ_VIDEO && kind < 20)
        return random_bits(seed) % PATTERN;
    return kind < 5 ? random_bits(seed) % 60000 : kind < 100 ? random_bits(seed) % 4000 : random_bits(seed) % 300;
}

static void random_push(struct model *m)
{
    static const enum outq_lane lanes[16] = {OUTQ_STOP,      OUTQ_COMMAND,   OUTQ_COMMAND, OUTQ_COMMAND,
                                             OUTQ_CONTROL,   OUTQ_CONTROL,   OUTQ_CONTROL, OUTQ_CONTROL,
                                             OUTQ_TELEMETRY, OUTQ_TELEMETRY, OUTQ_VIDEO,   OUTQ_TELEMETRY,
                                             OUTQ_TELEMETRY, OUTQ_TELEMETRY, OUTQ_VIDEO,   OUTQ_TELEMETRY};
    struct waiting w = {.lane = lanes[random_bits(&m->seed) % 16], .key = random_bits(&m->seed) % 8};
    bool slow = random_bits(&m->seed) % 4 == 0;
    if (w.lane == OUTQ_STOP && random_bits(&m->seed) % 8 != 0)
        w.lane = OUTQ_COMMAND;
    if (random_bits(&m->seed) % 3 == 0)
        w.deadline = m->now + random_bits(&m->seed) % 20;
    w.text_at = random_bits(&m->seed) % TEXT_AT_MAX;
    w.len = (uint32_t)random_length(&m->seed, w.lane);
    w.frame = frame_create(pattern + w.text_at, w.len);
    assert_non_null(w.frame);
    bool over = m->bytes > m->limit;
    enum outq_result expected = model_push(m, &w, slow);
    enum outq_result result = outq_push(&m->q, w.lane, w.frame, w.key, w.deadline, slow, m->limit);
    assert_int_equal(result, expected);
    if (result == OUTQ_REFUSED)
        let_go(&w);
    compare(m);
    /* Whatever the model says: only stops go beyond the limit, and nothing adds to it then. */
    if (w.lane != OUTQ_STOP && !over)
        assert_true(m->q.bytes <= m->limit);
    m->dropped += result == OUTQ_REFUSED;
}

static void drop_expired_heads(struct model *m, size_t down_to)
{
    while (m->count > down_to && m->items[0].deadline != 0 && m->items[0].deadline < m->now) {
        m->expired.expired[m->items[0].lane]++;
        drop_from_model(m, 0);
    }
}

/* One WebSocket frame that was taken: part of the message that is due, and of no other. Returns its length. */
static size_t read_frame(struct model *m, const uint8_t *at, size_t left)
{
    assert_true(left >= 2);
    size_t header = at[1] == 126 ? 4 : 2;
    assert_true(left >= header);
    size_t n = header == 4 ? (size_t)at[2] << 8 | at[3] : at[1];
    assert_true(left >= header + n);
    assert_int_equal(at[0] & 0x7f, m->sending.frame == NULL); /* text begins, continuation continues */
    if (m->sending.frame == NULL) {
        drop_expired_heads(m, 0);
        assert_true(m->count > 0);
        m->sending = take_out(m, 0);
        m->seen = 0;
    }
    assert_true(m->seen + n <= m->sending.len);
    assert_memory_equal(at + header, pattern + m->sending.text_at + m->seen, n);
    m->seen += n;
    if (at[0] & 0x80) {
        assert_int_equal(m->seen, m->sending.len);
        gone[n_gone++] = m->sending;
        m->sending.frame = NULL;
        m->delivered++;
    }
    return header + n;
}

static void random_take(struct model *m)
{
    static uint8_t buf[FRAME_SEGMENT + 1];
    const uint8_t *bytes;
    struct frame *hold;
    buf[FRAME_SEGMENT] = 'E';
    size_t n = outq_take(&m->q, m->now, buf, FRAME_SEGMENT, &bytes, &hold, &m->counts);
    assert_int_equal(buf[FRAME_SEGMENT], 'E');
    assert_true(n <= FRAME_SEGMENT);
    for (size_t at = 0; at < n;)
        at += read_frame(m, bytes + at, n - at);
    frame_unref(hold);
    drop_expired_heads(m, n == 0 ? 0 : m->q.count); /* those behind what was taken may wait for the next turn */
    compare(m);
    if (n == 0)
        assert_true(outq_empty(&m->q));
}

static void clear_all(struct model *m)
{
    outq_clear(&m->q);
    while (m->count > 0)
        drop_from_model(m, m->count - 1);
    if (m->sending.frame != NULL)
        gone[n_gone++] = m->sending;
    m->sending.frame = NULL;
    compare(m);
    assert_null(m->q.items);
}

/* Takes little and much by turns, so that the queue runs full and empty. */
static void simulate(size_t limit, uint32_t seed, int steps)
{
    static struct model m;
    memset(&m, 0, sizeof(m));
    m.limit = limit;
    m.seed = seed;
    m.now = 1;
    for (int step = 0; step < steps; step++) {
        uint32_t of_ten_taken = step / 500 % 3 == 0 ? 1 : step / 500 % 3 == 1 ? 4 : 7;
        if (m.count >= 4000 || random_bits(&m.seed) % 10 < of_ten_taken)
            random_take(&m);
        else
            random_push(&m);
        if (random_bits(&m.seed) % 4 == 0)
            m.now += random_bits(&m.seed) % 8;
        if (random_bits(&m.seed) % 50000 == 0)
            clear_all(&m);
    }
    assert_true(m.delivered > (uint64_t)steps / 20 && m.dropped > (uint64_t)steps / 100);
    clear_all(&m);
}

static void random_traffic(void **state)
{
    (void)state;
    uint32_t seed = SEED;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (char)(random_bits(&seed) & 0x7f);
    simulate(65536, SEED, 400000);
    simulate(16384, SEED + 1, 300000);
    simulate(4096, SEED + 2, 300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_in_order),
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(latest_move_wins_in_place),
        cmocka_unit_test(latest_move_brings_its_deadline),
        cmocka_unit_test(telemetry_is_thinned_for_the_slow_only),
        cmocka_unit_test(video_is_the_latest_and_does_not_count),
        cmocka_unit_test(older_telemetry_makes_room),
        cmocka_unit_test(refused_when_full),
        cmocka_unit_test(limit_to_the_byte),
        cmocka_unit_test(replacement_stays_within_the_limit),
        cmocka_unit_test(stop_is_always_accepted),
        cmocka_unit_test(many_items),
        cmocka_unit_test(never_late),
        cmocka_unit_test(long_message_is_not_interrupted),
        cmocka_unit_test(cleared_in_the_middle),
        cmocka_unit_test(joined),
        cmocka_unit_test(empty_costs_nothing),
        cmocka_unit_test(keys),
        cmocka_unit_test(random_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
