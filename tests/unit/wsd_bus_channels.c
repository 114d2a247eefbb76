#include "wsd/bus_channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 20260121u

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* --- exact rules ------------------------------------------------------------------------------- */

/* What happened: "+a" subscribed, "-a" unsubscribed, "!a7" joined with connection 7, "~a7" left as that. */
static char said[1024];
static void *told_owner;

static void say(const char *what)
{
    size_t at = strlen(said);
    snprintf(said + at, sizeof(said) - at, "%s", what);
}

static const char *take_said(void)
{
    static char copy[sizeof(said)];
    memcpy(copy, said, sizeof(said));
    said[0] = '\0';
    return copy;
}

static void attached(void *ctx, void *owner, enum bus_attach result, uint64_t conn)
{
    (void)ctx;
    (void)owner;
    (void)result;
    (void)conn;
    fail_msg("only passed on, never called");
}

static void on_subscription(void *ctx, const char *verb, const char *device_id)
{
    (void)ctx;
    assert_true(strcmp(verb, "SUBSCRIBE") == 0 || strcmp(verb, "UNSUBSCRIBE") == 0);
    say(verb[0] == 'S' ? "+" : "-");
    say(device_id);
}

static void on_joined(void *ctx, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb)
{
    char text[32];
    (void)ctx;
    assert_true(cb == attached);
    told_owner = owner;
    snprintf(text, sizeof(text), "!%s%u", device_id, (unsigned)had);
    say(text);
}

static void on_left(void *ctx, const char *device_id, uint64_t conn)
{
    char text[32];
    (void)ctx;
    snprintf(text, sizeof(text), "~%s%u", device_id, (unsigned)conn);
    say(text);
}

static const struct bus_channels_handlers handlers = {on_subscription, on_joined, on_left};

static int create(void **state)
{
    said[0] = '\0';
    *state = bus_channels_create(&handlers, NULL);
    return *state ? 0 : -1;
}

static int destroy(void **state)
{
    bus_channels_destroy(*state);
    return 0;
}

static char first, second; /* owners */

static void join_and_leave(void **state)
{
    struct bus_channels *c = *state;
    assert_int_equal(bus_channels_join(c, "a", 7, &first, attached), 0);
    assert_string_equal(take_said(), "+a"); /* nobody is told before the channel is joined */
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "!a7");
    assert_ptr_equal(told_owner, &first);
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), ""); /* told once */
    bus_channels_leave(c, "a", 0);
    assert_string_equal(take_said(), "-a");
    bus_channels_leave(c, "a", 0);
    assert_string_equal(take_said(), "");
    bus_channels_confirmed(c, "a", false);
    assert_string_equal(take_said(), "");
    bus_channels_join(c, "a", 8, &first, attached);
    assert_string_equal(take_said(), "+a");
}

static void joined_already(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 0, &first, attached);
    bus_channels_confirmed(c, "a", true);
    take_said();
    bus_channels_join(c, "a", 3, &second, attached);
    assert_string_equal(take_said(), "!a3"); /* at once, with no further SUBSCRIBE */
    assert_ptr_equal(told_owner, &second);
}

static void newer_call_takes_the_place(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 1, &first, attached);
    bus_channels_join(c, "a", 2, &second, attached);
    assert_string_equal(take_said(), "+a");
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "!a2");
    assert_ptr_equal(told_owner, &second);
}

static void left_before_it_was_joined(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 1, &first, attached);
    bus_channels_leave(c, "a", 0);
    assert_string_equal(take_said(), "+a"); /* leaving waits for joining */
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "-a");
    bus_channels_confirmed(c, "a", false);
    assert_string_equal(take_said(), "");
}

static void came_back_before_it_was_joined(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 1, &first, attached);
    bus_channels_leave(c, "a", 0);
    bus_channels_join(c, "a", 2, &second, attached);
    assert_string_equal(take_said(), "+a");
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "!a2");
}

static void came_back_while_leaving(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 1, &first, attached);
    bus_channels_confirmed(c, "a", true);
    bus_channels_leave(c, "a", 0);
    bus_channels_join(c, "a", 2, &second, attached);
    assert_string_equal(take_said(), "+a!a1-a"); /* joining waits for leaving */
    bus_channels_confirmed(c, "a", false);
    assert_string_equal(take_said(), "+a");
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "!a2");
}

/* Nobody is taken out while its commands still come here: they would count as on their way. */
static void left_before_it_is_taken_out(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 0, &first, attached);
    bus_channels_confirmed(c, "a", true);
    bus_channels_leave(c, "a", 7);
    assert_string_equal(take_said(), "+a!a0-a");
    bus_channels_confirmed(c, "a", false);
    assert_string_equal(take_said(), "~a7");
    bus_channels_leave(c, "a", 7); /* not joined: at once */
    assert_string_equal(take_said(), "~a7");
    bus_channels_join(c, "a", 0, &first, attached);
    bus_channels_confirmed(c, "a", true);
    bus_channels_leave(c, "a", 0);
    bus_channels_confirmed(c, "a", false);
    assert_string_equal(take_said(), "+a!a0-a"); /* told once */
}

static void taken_out_before_it_comes_back(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 0, &first, attached);
    bus_channels_confirmed(c, "a", true);
    bus_channels_leave(c, "a", 7);
    bus_channels_join(c, "a", 0, &second, attached);
    bus_channels_leave(c, "a", 0); /* the second was never entered */
    bus_channels_join(c, "a", 0, &second, attached);
    assert_string_equal(take_said(), "+a!a0-a");
    bus_channels_confirmed(c, "a", false);
    assert_string_equal(take_said(), "~a7+a");
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "!a0");
}

/* After an outage: entered as 7, joining again, gone and back meanwhile. The new connection replaces 7. */
static void replaced_before_it_left(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 7, &first, attached);
    bus_channels_leave(c, "a", 7);
    bus_channels_join(c, "a", 0, &second, attached);
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "+a!a0");
    bus_channels_leave(c, "a", 8);
    bus_channels_confirmed(c, "a", false);
    assert_string_equal(take_said(), "-a~a8");
}

static void robots_are_apart(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 1, &first, attached);
    bus_channels_join(c, "b", 2, &second, attached);
    bus_channels_confirmed(c, "b", true);
    assert_string_equal(take_said(), "+a+b!b2");
    bus_channels_leave(c, "a", 0);
    bus_channels_confirmed(c, "a", true);
    assert_string_equal(take_said(), "-a");
    bus_channels_confirmed(c, "nobody", true);
    bus_channels_confirmed(c, "nobody", false);
    bus_channels_leave(c, "nobody", 0);
    assert_string_equal(take_said(), "");
}

static void forgotten_owner_is_not_told(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 1, &first, attached);
    bus_channels_join(c, "b", 2, &second, attached);
    bus_channels_forget(c, &first);
    bus_channels_confirmed(c, "a", true);
    bus_channels_confirmed(c, "b", true);
    assert_string_equal(take_said(), "+a+b!b2");
    bus_channels_leave(c, "a", 0);
    assert_string_equal(take_said(), "-a"); /* it was joined all the same */
}

static void lost_link(void **state)
{
    struct bus_channels *c = *state;
    bus_channels_join(c, "a", 1, &first, attached);
    bus_channels_confirmed(c, "a", true);
    bus_channels_join(c, "b", 2, &second, attached);
    take_said();
    bus_channels_lost(c);
    bus_channels_leave(c, "a", 0);
    assert_string_equal(take_said(), "");
    bus_channels_join(c, "a", 1, &first, attached);
    assert_string_equal(take_said(), "+a");
}

/* Who is here, whatever has been confirmed. */
static void wanted(void **state)
{
    struct bus_channels *c = *state;
    assert_false(bus_channels_wanted(c, "a"));
    bus_channels_join(c, "a", 1, &first, attached);
    assert_true(bus_channels_wanted(c, "a"));
    bus_channels_forget(c, &first);
    bus_channels_confirmed(c, "a", true);
    assert_true(bus_channels_wanted(c, "a"));
    bus_channels_leave(c, "a", 0);
    assert_false(bus_channels_wanted(c, "a"));
    bus_channels_join(c, "a", 2, &first, attached);
    assert_true(bus_channels_wanted(c, "a"));
    bus_channels_lost(c);
    assert_false(bus_channels_wanted(c, "a"));
}

static void odd_ids(void **state)
{
    struct bus_channels *c = *state;
    char id[100];
    memset(id, 'x', sizeof(id));
    id[65] = '\0';
    assert_int_equal(bus_channels_join(c, id, 0, &first, attached), -1);
    assert_string_equal(take_said(), "");
    id[64] = '\0';
    assert_int_equal(bus_channels_join(c, id, 0, &first, attached), 0);
    bus_channels_destroy(NULL);
}

/* --- against a model: robots that come and go, and a Redis that confirms in its own time ------- */

#define ROBOTS 10
#define FLIGHT 4096
#define STEPS  200000

struct robot {
    bool wanted;
    bool waiting; /* for `joined` */
    uint64_t had;
    int owner;       /* index into owners */
    uint64_t conn;   /* `left` is to be told of this one; 0: of none */
    bool subscribed; /* at Redis, with what it has confirmed */
    int last_verb;   /* 1 SUBSCRIBE, 0 UNSUBSCRIBE */
};

struct confirmation {
    size_t robot;
    bool joined;
};

struct model {
    struct bus_channels *c;
    struct robot robots[ROBOTS];
    struct confirmation flight[FLIGHT]; /* Redis answers in the order of the commands */
    size_t n_flight;
    uint64_t next_had;
    uint32_t seed;
    unsigned joined, left, subscribed;
};

static char owners[ROBOTS];
static char ids[ROBOTS][8];

static size_t robot_of(const char *id)
{
    for (size_t i = 0; i < ROBOTS; i++) {
        if (strcmp(ids[i], id) == 0)
            return i;
    }
    fail_msg("%s is no robot", id);
    return 0;
}

static void model_subscription(void *ctx, const char *verb, const char *id)
{
    struct model *m = ctx;
    size_t i = robot_of(id);
    bool joins = strcmp(verb, "SUBSCRIBE") == 0;
    assert_int_not_equal(m->robots[i].last_verb, joins); /* by turns, SUBSCRIBE first */
    m->robots[i].last_verb = joins;
    assert_true(m->n_flight < FLIGHT);
    for (size_t k = 0; k < m->n_flight; k++)
        assert_int_not_equal(m->flight[k].robot, i); /* never while another one is under way */
    m->flight[m->n_flight++] = (struct confirmation){i, joins};
    m->subscribed += joins;
}

static void model_joined(void *ctx, const char *id, uint64_t had, void *owner, bus_attach_cb *cb)
{
    struct model *m = ctx;
    struct robot *r = &m->robots[robot_of(id)];
    assert_true(cb == attached);
    assert_true(r->subscribed && r->last_verb == 1); /* commands really arrive, and no UNSUBSCRIBE is behind */
    assert_true(r->wanted && r->waiting);
    assert_int_equal(had, r->had);
    assert_ptr_equal(owner, &owners[r->owner]);
    r->waiting = false;
    m->joined++;
}

static void model_left(void *ctx, const char *id, uint64_t conn)
{
    struct model *m = ctx;
    struct robot *r = &m->robots[robot_of(id)];
    assert_false(r->subscribed); /* commands do not arrive any more, and are not going to before this is said */
    assert_int_equal(r->last_verb, 0);
    assert_int_equal(conn, r->conn);
    r->conn = 0;
    m->left++;
}

static void confirm(struct model *m)
{
    if (m->n_flight == 0)
        return;
    struct confirmation next = m->flight[0];
    memmove(&m->flight[0], &m->flight[1], --m->n_flight * sizeof(next));
    m->robots[next.robot].subscribed = next.joined;
    if (next.joined && m->robots[next.robot].wanted)
        m->robots[next.robot].conn = 0;
    bus_channels_confirmed(m->c, ids[next.robot], next.joined);
}

static void come(struct model *m, struct robot *r)
{
    bool was_wanted = r->wanted;
    r->wanted = r->waiting = true;
    r->had = ++m->next_had;
    r->owner = (int)(random_bits(&m->seed) % ROBOTS);
    assert_int_equal(bus_channels_wanted(m->c, ids[r - m->robots]), was_wanted);
    assert_int_equal(bus_channels_join(m->c, ids[r - m->robots], r->had, &owners[r->owner], attached), 0);
}

static void leave(struct model *m, struct robot *r)
{
    uint64_t conn = random_bits(&m->seed) % 3 != 0 ? ++m->next_had : 0;
    r->wanted = r->waiting = false;
    if (conn != 0)
        r->conn = conn;
    bus_channels_leave(m->c, ids[r - m->robots], conn);
}

static void forget(struct model *m)
{
    int owner = (int)(random_bits(&m->seed) % ROBOTS);
    for (size_t i = 0; i < ROBOTS; i++) {
        if (m->robots[i].owner == owner)
            m->robots[i].waiting = false;
    }
    bus_channels_forget(m->c, &owners[owner]);
}

static void lose_link(struct model *m)
{
    bus_channels_lost(m->c);
    m->n_flight = 0;
    memset(m->robots, 0, sizeof(m->robots));
}

/* Once all is confirmed: joined are those who are here, and nobody waits. */
static void settle(struct model *m)
{
    while (m->n_flight > 0)
        confirm(m);
    for (size_t i = 0; i < ROBOTS; i++) {
        assert_int_equal(m->robots[i].subscribed, m->robots[i].wanted);
        assert_int_equal(m->robots[i].last_verb, m->robots[i].wanted);
        assert_false(m->robots[i].waiting);
        assert_int_equal(m->robots[i].conn, 0);
    }
}

static void random_robots(void **state)
{
    static const struct bus_channels_handlers model_handlers = {model_subscription, model_joined, model_left};
    static struct model m;
    (void)state;
    for (size_t i = 0; i < ROBOTS; i++)
        snprintf(ids[i], sizeof(ids[i]), "r%zu", i);
    memset(&m, 0, sizeof(m));
    m.seed = SEED;
    m.c = bus_channels_create(&model_handlers, &m);
    assert_non_null(m.c);
    for (int step = 0; step < STEPS; step++) {
        struct robot *r = &m.robots[random_bits(&m.seed) % ROBOTS];
        uint32_t what = random_bits(&m.seed) % 1000;
        if (what < 300)
            come(&m, r);
        else if (what < 550)
            leave(&m, r);
        else if (what < 960)
            confirm(&m);
        else if (what < 995)
            forget(&m);
        else if (what < 998)
            settle(&m);
        else
            lose_link(&m);
    }
    settle(&m);
    assert_true(m.joined > STEPS / 20 && m.subscribed > STEPS / 20 && m.left > STEPS / 20);
    bus_channels_destroy(m.c);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(join_and_leave),
        CASE(joined_already),
        CASE(newer_call_takes_the_place),
        CASE(left_before_it_was_joined),
        CASE(came_back_before_it_was_joined),
        CASE(came_back_while_leaving),
        CASE(left_before_it_is_taken_out),
        CASE(taken_out_before_it_comes_back),
        CASE(replaced_before_it_left),
        CASE(robots_are_apart),
        CASE(forgotten_owner_is_not_told),
        CASE(lost_link),
        CASE(wanted),
        CASE(odd_ids),
        cmocka_unit_test(random_robots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
