/* The queue against a simple model of it: a million random steps. */
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

#define SEED 20260119u

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

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
    size_t bytes;              /* without video */
    struct waiting sending;    /* frame NULL: none */
    size_t seen;               /* bytes of its text that were taken */
    unsigned expired, counted; /* as the model has it, and the queue */
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
    if (w->lane == OUTQ_BACKFILL && (slow || m->bytes + w->frame->len > m->limit / 2))
        return OUTQ_REFUSED;
    bool latest = w->key != 0 && (w->lane != OUTQ_TELEMETRY || slow), thinned = false;
    bool urgent = w->lane == OUTQ_STOP || (w->lane == OUTQ_COMMAND && w->key != 0);
    size_t first = MODEL_MAX, limit = urgent ? m->limit : m->limit - m->limit / 16;
    uint32_t first_len = 0;
    for (size_t i = m->count; latest && i-- > 0;) {
        if (m->items[i].lane != w->lane || m->items[i].key != w->key)
            continue;
        first = i;
        first_len = m->items[i].frame->len;
        drop_from_model(m, i);
    }
    if (first != MODEL_MAX &&
        (w->lane == OUTQ_VIDEO || w->frame->len <= first_len || m->bytes + w->frame->len <= limit)) {
        insert_at(m, first, w);
        return OUTQ_REPLACED;
    }
    while (w->lane != OUTQ_VIDEO && m->bytes + w->frame->len > limit) {
        if (!drop_first_of(m, OUTQ_BACKFILL) && !drop_first_of(m, OUTQ_TELEMETRY) &&
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
    assert_int_equal(m->counted, m->expired);
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
                                             OUTQ_BACKFILL,  OUTQ_TELEMETRY, OUTQ_VIDEO,   OUTQ_BACKFILL};
    struct waiting w = {.lane = lanes[random_bits(&m->seed) % 16], .key = random_bits(&m->seed) % 8};
    bool slow = random_bits(&m->seed) % 4 == 0;
    if (w.lane == OUTQ_BACKFILL)
        w.key = 0;
    if (w.lane == OUTQ_STOP && random_bits(&m->seed) % 8 != 0)
        w.lane = OUTQ_COMMAND;
    if (w.lane <= OUTQ_COMMAND && random_bits(&m->seed) % 3 == 0)
        w.deadline = m->now + random_bits(&m->seed) % 20;
    w.text_at = random_bits(&m->seed) % TEXT_AT_MAX;
    w.len = (uint32_t)random_length(&m->seed, w.lane);
    w.frame = frame_create(pattern + w.text_at, w.len);
    assert_non_null(w.frame);
    bool over = m->bytes > m->limit;
    struct outq_item item = {.frame = w.frame, .deadline_ms = w.deadline, .key = w.key, .lane = w.lane};
    enum outq_result expected = model_push(m, &w, slow);
    enum outq_result result = outq_push(&m->q, &item, slow, m->limit, NULL);
    assert_int_equal(result, expected);
    if (result == OUTQ_REFUSED)
        let_go(&w);
    compare(m);
    /* Whatever the model says: only stops go beyond the limit, and nothing adds to it then. */
    if (w.lane != OUTQ_STOP && !over)
        assert_true(m->q.bytes <= m->limit);
    m->dropped += result == OUTQ_REFUSED;
}

static void drop_expired(struct model *m)
{
    for (size_t i = 0; i < m->count;) {
        if (m->items[i].deadline != 0 && m->items[i].deadline < m->now) {
            m->expired++;
            drop_from_model(m, i);
        } else {
            i++;
        }
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
    drop_expired(m);
    m->counted += outq_expire(&m->q, m->now, NULL);
    size_t n = outq_take(&m->q, buf, FRAME_SEGMENT, &bytes, &hold);
    assert_int_equal(buf[FRAME_SEGMENT], 'E');
    assert_true(n <= FRAME_SEGMENT);
    for (size_t at = 0; at < n;)
        at += read_frame(m, bytes + at, n - at);
    frame_unref(hold);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_traffic)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
