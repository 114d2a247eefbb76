#include "wsd/presence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 20260120u

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* --- exact rules ------------------------------------------------------------------------------- */

/* What was told, as "+a-b=c": came, went, is online. */
static char told[1024];

static void note(void *ctx, const char *device_id, enum presence_change change, uint64_t serial)
{
    (void)serial;
    (void)ctx;
    size_t at = strlen(told);
    snprintf(told + at, sizeof(told) - at, "%c%s",
             change == PRESENCE_CAME   ? '+'
             : change == PRESENCE_WENT ? '-'
                                       : '=',
             device_id);
}

static const char *take_told(void)
{
    static char copy[sizeof(told)];
    memcpy(copy, told, sizeof(told));
    told[0] = '\0';
    return copy;
}

static enum presence_change up(struct presence *p, uint64_t seq, uint64_t conn, const char *id)
{
    struct presence_event ev = {.seq = seq, .up = true, .conn = conn, .device_id = id};
    uint64_t serial = 0;
    return presence_apply(p, &ev, &serial);
}

static enum presence_change down(struct presence *p, uint64_t seq, uint64_t conn, const char *id)
{
    struct presence_event ev = {.seq = seq, .up = false, .conn = conn, .device_id = id};
    uint64_t serial = 0;
    return presence_apply(p, &ev, &serial);
}

/* A snapshot of robot "a" on connection `a` and "b" on `b`; 0: not online. */
static int snapshot(struct presence *p, uint64_t seq, uint64_t a, uint64_t b)
{
    struct presence_entry entries[2] = {{NULL, 0}};
    size_t n = 0;
    if (a != 0)
        entries[n++] = (struct presence_entry){"a", a};
    if (b != 0)
        entries[n++] = (struct presence_entry){"b", b};
    return presence_snapshot(p, seq, entries, n, note, NULL);
}

static int create(void **state)
{
    told[0] = '\0';
    *state = presence_create();
    return *state ? 0 : -1;
}

static int destroy(void **state)
{
    presence_destroy(*state);
    return 0;
}

static void nothing_before_the_first_snapshot(void **state)
{
    struct presence *p = *state;
    assert_false(presence_synced(p));
    assert_int_equal(up(p, 5, 1, "a"), PRESENCE_SAME);
    assert_int_equal(presence_count(p), 0);
    assert_int_equal(snapshot(p, 4, 0, 0), -1); /* older than what has been seen: it may lack "a" */
    assert_false(presence_synced(p));
    assert_int_equal(snapshot(p, 5, 1, 0), 0);
    assert_true(presence_synced(p));
    assert_string_equal(take_told(), "+a");
    assert_int_equal(presence_count(p), 1);
}

static void events_in_order(void **state)
{
    struct presence *p = *state;
    assert_int_equal(snapshot(p, 10, 0, 0), 0);
    assert_int_equal(up(p, 11, 1, "a"), PRESENCE_CAME);
    assert_int_equal(up(p, 12, 2, "b"), PRESENCE_CAME);
    assert_int_equal(down(p, 13, 1, "a"), PRESENCE_WENT);
    presence_list(p, 0, SIZE_MAX, note, NULL);
    assert_string_equal(take_told(), "=b");
    assert_int_equal(down(p, 14, 1, "a"), PRESENCE_SAME); /* gone already */
}

/* A robot that comes back on a newer connection was never gone; the old one's end says nothing. */
static void newer_connection(void **state)
{
    struct presence *p = *state;
    assert_int_equal(snapshot(p, 10, 1, 0), 0);
    assert_int_equal(up(p, 11, 2, "a"), PRESENCE_CAME);
    assert_int_equal(down(p, 12, 1, "a"), PRESENCE_SAME);
    assert_int_equal(presence_count(p), 1);
    assert_int_equal(down(p, 13, 2, "a"), PRESENCE_WENT);
    assert_int_equal(presence_count(p), 0);
}

static void events_that_a_snapshot_holds(void **state)
{
    struct presence *p = *state;
    assert_int_equal(snapshot(p, 10, 1, 2), 0);
    assert_string_equal(take_told(), "+a+b");
    assert_int_equal(up(p, 9, 1, "a"), PRESENCE_SAME);
    assert_int_equal(down(p, 10, 2, "b"), PRESENCE_SAME); /* old news: came again since */
    assert_int_equal(presence_count(p), 2);
}

static void gap_asks_for_a_snapshot(void **state)
{
    struct presence *p = *state;
    assert_int_equal(snapshot(p, 10, 1, 0), 0);
    take_told();
    assert_int_equal(down(p, 12, 1, "a"), PRESENCE_RESYNC);
    assert_false(presence_synced(p));
    assert_int_equal(up(p, 13, 3, "a"), PRESENCE_SAME); /* asked once */
    assert_int_equal(snapshot(p, 12, 0, 0), -1);
    assert_int_equal(snapshot(p, 14, 3, 2), 0);
    assert_string_equal(take_told(), "+a+b");
    assert_int_equal(down(p, 15, 2, "b"), PRESENCE_WENT);
}

static void only_differences_are_told(void **state)
{
    struct presence *p = *state;
    assert_int_equal(snapshot(p, 10, 1, 2), 0);
    take_told();
    presence_lost(p);
    assert_int_equal(presence_count(p), 2); /* what was told stays told */
    assert_int_equal(snapshot(p, 10, 1, 2), 0);
    assert_string_equal(take_told(), "");
    presence_lost(p);
    assert_int_equal(snapshot(p, 12, 1, 0), 0);
    assert_string_equal(take_told(), "-b");
    presence_lost(p);
    assert_int_equal(snapshot(p, 20, 0, 7), 0);
    assert_string_equal(take_told(), "+b-a");
}

/* Redis came back with less than it had: its numbers begin again. */
static void numbers_that_began_again(void **state)
{
    struct presence *p = *state;
    assert_int_equal(snapshot(p, 1000, 50, 0), 0);
    take_told();
    presence_lost(p);
    assert_int_equal(snapshot(p, 0, 0, 0), 0);
    assert_string_equal(take_told(), "-a");
    assert_int_equal(up(p, 1, 1, "a"), PRESENCE_CAME);
}

static void snapshot_while_synced(void **state)
{
    struct presence *p = *state;
    assert_int_equal(snapshot(p, 10, 1, 0), 0);
    assert_int_equal(up(p, 11, 2, "b"), PRESENCE_CAME);
    take_told();
    assert_int_equal(snapshot(p, 10, 1, 0), -1); /* it would take "b" away again */
    assert_int_equal(snapshot(p, 11, 1, 2), 0);
    assert_int_equal(snapshot(p, 12, 0, 2), 0); /* ahead of its event */
    assert_string_equal(take_told(), "-a");
    assert_int_equal(down(p, 12, 1, "a"), PRESENCE_SAME);
}

static void odd_ids(void **state)
{
    struct presence *p = *state;
    char id[200];
    memset(id, 'x', sizeof(id));
    id[65] = '\0';
    assert_int_equal(snapshot(p, 1, 0, 0), 0);
    assert_int_equal(up(p, 2, 1, id), PRESENCE_SAME); /* no robot has such a name */
    id[64] = '\0';
    assert_int_equal(up(p, 3, 2, id), PRESENCE_CAME);
    assert_int_equal(up(p, 4, 3, ""), PRESENCE_CAME);
    assert_int_equal(presence_count(p), 2);
    presence_destroy(NULL);
}

/* --- against a model: Redis, and a link that loses, repeats and reorders ---------------------- */

#define ROBOTS  12
#define FLIGHT  64
#define STEPS   40000
#define ID_SIZE 8

struct picture {
    uint64_t seq;
    uint64_t conn[ROBOTS]; /* 0: not online */
};

struct model {
    struct presence *p;
    uint32_t seed;
    struct picture redis;
    uint64_t next_conn;
    struct presence_event events[FLIGHT]; /* under way; device_id points into ids */
    size_t n_events;
    struct picture answers[FLIGHT]; /* snapshots under way */
    size_t n_answers, asked;
    bool told_online[ROBOTS];   /* what websites believe */
    uint64_t told_conn[ROBOTS]; /* the highest connection that they were told has come */
    uint64_t current[ROBOTS];   /* the connection that the change being told is about */
    unsigned came, went, resynced;
};

static char ids[ROBOTS][ID_SIZE];

static size_t robot_of(const char *id)
{
    for (size_t i = 0; i < ROBOTS; i++) {
        if (strcmp(ids[i], id) == 0)
            return i;
    }
    fail_msg("%s is no robot", id);
    return 0;
}

static void hear(void *ctx, const char *id, enum presence_change change, uint64_t serial)
{
    (void)serial;
    struct model *m = ctx;
    size_t i = robot_of(id);
    if (change == PRESENCE_CAME) {
        assert_true(m->current[i] > m->told_conn[i]); /* each connection comes once */
        m->told_conn[i] = m->current[i];
        m->told_online[i] = true;
        m->came++;
    } else {
        assert_int_equal(change, PRESENCE_WENT);
        assert_true(m->told_online[i]); /* nobody goes twice */
        m->told_online[i] = false;
        m->went++;
    }
}

static void ask(struct model *m)
{
    m->asked++;
}

static void change_redis(struct model *m)
{
    size_t i = random_bits(&m->seed) % ROBOTS;
    struct presence_event ev = {.seq = ++m->redis.seq, .device_id = ids[i]};
    if (m->redis.conn[i] == 0 || random_bits(&m->seed) % 3 == 0) {
        ev.up = true;
        ev.conn = m->redis.conn[i] = ++m->next_conn;
    } else {
        ev.conn = m->redis.conn[i];
        m->redis.conn[i] = 0;
    }
    if (m->n_events < FLIGHT)
        m->events[m->n_events++] = ev;
}

static void apply(struct model *m, const struct presence_event *ev)
{
    m->current[robot_of(ev->device_id)] = ev->conn;
    uint64_t serial = 0;
    enum presence_change change = presence_apply(m->p, ev, &serial);
    if (change == PRESENCE_RESYNC) {
        assert_false(presence_synced(m->p));
        m->resynced++;
        ask(m);
    } else if (change != PRESENCE_SAME) {
        hear(m, ev->device_id, change, serial);
    }
}

/* Mostly the next one; now and then it is lost, comes twice, or another one overtakes it. */
static void deliver_event(struct model *m)
{
    if (m->n_events == 0)
        return;
    uint32_t fate = random_bits(&m->seed) % 100;
    size_t i = fate < 4 ? random_bits(&m->seed) % m->n_events : 0;
    struct presence_event ev = m->events[i];
    if (fate != 99) {
        memmove(&m->events[i], &m->events[i + 1], (m->n_events - i - 1) * sizeof(ev));
        m->n_events--;
    }
    if (fate < 94 || fate == 99)
        apply(m, &ev);
}

static void answer(struct model *m)
{
    if (m->asked > 0 && m->n_answers < FLIGHT) {
        m->answers[m->n_answers++] = m->redis;
        m->asked--;
    }
}

static void deliver_answer(struct model *m)
{
    if (m->n_answers == 0)
        return;
    struct picture now = m->answers[0];
    memmove(&m->answers[0], &m->answers[1], --m->n_answers * sizeof(now));
    if (random_bits(&m->seed) % 20 == 0)
        return; /* too late: nobody waits for it */
    struct presence_entry entries[ROBOTS];
    size_t n = 0, start = random_bits(&m->seed) % ROBOTS;
    for (size_t k = 0; k < ROBOTS; k++) {
        size_t i = (start + k) % ROBOTS;
        if (now.conn[i] != 0)
            entries[n++] = (struct presence_entry){ids[i], m->current[i] = now.conn[i]};
    }
    if (presence_snapshot(m->p, now.seq, entries, n, hear, m) != 0) {
        ask(m);
        return;
    }
    assert_true(presence_synced(m->p));
    for (size_t i = 0; i < ROBOTS; i++)
        assert_int_equal(m->told_online[i], now.conn[i] != 0);
}

/* The link is lost: what was under way is, too. */
static void lose_link(struct model *m)
{
    presence_lost(m->p);
    m->n_events = m->n_answers = m->asked = 0;
    ask(m);
}

static void count_online(void *ctx, const char *id, enum presence_change change, uint64_t serial)
{
    (void)serial;
    struct model *m = ctx;
    assert_int_equal(change, PRESENCE_SAME);
    assert_true(m->redis.conn[robot_of(id)] != 0);
}

/* All that is under way arrives, and one more event, so that a loss at the very end shows. */
static void settle(struct model *m)
{
    while (m->n_events > 0)
        deliver_event(m);
    change_redis(m);
    apply(m, &m->events[0]);
    m->n_events = 0;
    for (int i = 0; i < 1000 && (m->n_answers > 0 || m->asked > 0 || !presence_synced(m->p)); i++) {
        if (m->n_answers == 0 && m->asked == 0)
            ask(m); /* an answer was lost; whoever waits asks again */
        answer(m);
        deliver_answer(m);
    }
    assert_true(presence_synced(m->p));
    size_t online = 0;
    for (size_t i = 0; i < ROBOTS; i++) {
        assert_int_equal(m->told_online[i], m->redis.conn[i] != 0);
        if (m->told_online[i])
            assert_int_equal(m->told_conn[i], m->redis.conn[i]);
        online += m->redis.conn[i] != 0;
    }
    assert_int_equal(presence_count(m->p), online);
    presence_list(m->p, 0, SIZE_MAX, count_online, m);
}

static void random_losses(void **state)
{
    static struct model m;
    for (size_t i = 0; i < ROBOTS; i++)
        snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
    memset(&m, 0, sizeof(m));
    m.p = *state;
    m.seed = SEED;
    ask(&m);
    for (int step = 0; step < STEPS; step++) {
        uint32_t what = random_bits(&m.seed) % 100;
        if (what < 35)
            change_redis(&m);
        else if (what < 75)
            deliver_event(&m);
        else if (what < 85)
            answer(&m);
        else if (what < 98)
            deliver_answer(&m);
        else if (random_bits(&m.seed) % 8 == 0)
            lose_link(&m);
        if (!presence_synced(m.p) && m.asked == 0 && m.n_answers == 0)
            ask(&m);
        if (step % 500 == 499)
            settle(&m);
    }
    assert_true(m.came > 1000 && m.went > 500 && m.resynced > 100);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, create, destroy)

/* A list in parts, while robots come and go: everybody is told once, in order, and of no one who had gone. */
static void list_in_parts(void **state)
{
    struct presence *p = *state;
    char id[8];
    assert_int_equal(snapshot(p, 10, 0, 0), 0);
    for (uint64_t i = 0; i < 10; i++) {
        snprintf(id, sizeof(id), "r%u", (unsigned)i);
        assert_int_equal(up(p, 11 + i, 1 + i, id), PRESENCE_CAME);
    }
    uint64_t at = presence_list(p, 0, 4, note, NULL);
    assert_string_equal(take_told(), "=r0=r1=r2=r3");
    assert_int_equal(down(p, 21, 4, "r3"), PRESENCE_WENT); /* the last that was told */
    assert_int_equal(down(p, 22, 6, "r5"), PRESENCE_WENT); /* one that was not */
    assert_int_equal(up(p, 23, 20, "r1"), PRESENCE_CAME);  /* keeps its place */
    assert_int_equal(up(p, 24, 21, "r3"), PRESENCE_CAME);  /* has a new one, at the end */
    at = presence_list(p, at, 4, note, NULL);
    assert_string_equal(take_told(), "=r4=r6=r7=r8");
    at = presence_list(p, at, 2, note, NULL);
    assert_string_equal(take_told(), "=r9=r3");
    assert_true(at == PRESENCE_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_before_the_first_snapshot),
        CASE(events_in_order),
        CASE(newer_connection),
        CASE(list_in_parts),
        CASE(events_that_a_snapshot_holds),
        CASE(gap_asks_for_a_snapshot),
        CASE(only_differences_are_told),
        CASE(numbers_that_began_again),
        CASE(snapshot_while_synced),
        CASE(odd_ids),
        CASE(random_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
