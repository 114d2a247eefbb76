#include "tests/sim/world.h"

#include "tests/sim/check.h"
#include "tests/sim/redis.h"
#include "tests/sim/relay.h"
#include "tests/sim/robot.h"
#include "tests/sim/website.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELAYS_MAX 3
#define ACTIVE_S   120 /* driving, with faults */
#define QUIET_S    60  /* without: then all have to agree. The longest freeze and every deadline fit */
#define PROVE_S    8   /* per robot: it can be driven */
#define QUEUE_MAX  (64 * 1024 + 4096)
#define KEYS_MAX   1000

static struct world {
    struct node node; /* the world's own: never stands still */
    struct redis *redis;
    struct relay *relays[RELAYS_MAX];
    struct robot *robots[CHECK_ROBOTS_MAX];
    struct website *websites[CHECK_WEBSITES_MAX];
    int n_relays, n_robots, n_websites;
    bool exclusive, legacy[CHECK_ROBOTS_MAX];
    bool enabled[WORLD_FAULTS];
    int64_t mean_us; /* between two faults */
    bool lost, back; /* Redis has lost data; its clock has gone back */
    bool quiet;
    struct world_totals *totals;
} world;

#define W world

const char *world_fault_name(enum world_fault fault)
{
    static const char *const names[] = {"stall",       "cut",         "half-open",   "freeze",     "hang",
                                        "robot-crash", "relay-crash", "redis-crash", "redis-wipe", "partition",
                                        "redis-stall", "redis-full",  "clock-jump"};
    return names[fault];
}

/* --- faults --------------------------------------------------------------------------------- */

static struct node *any_peer(void)
{
    int64_t i = chance_below(W.n_robots + W.n_websites);
    return i < W.n_robots ? robot_node(W.robots[i]) : website_node(W.websites[i - W.n_robots]);
}

static int64_t a_while(void) /* 0.1 … 30 s, rather short */
{
    int64_t us = chance_after(2 * SIM_S);
    return us < 100 * SIM_MS ? 100 * SIM_MS : us > 30 * SIM_S ? 30 * SIM_S : us;
}

static void fault_freeze(void)
{
    int64_t until = sched_now() + a_while();
    int64_t i = chance_below(W.n_robots + W.n_websites + W.n_relays);
    if (i < W.n_robots) {
        robot_freeze(W.robots[i], until);
        check_note((int)i, "robot %d stands still until %.3f", (int)i + 1, (double)until / 1e6);
    } else if (i < W.n_robots + W.n_websites) {
        website_node(W.websites[i - W.n_robots])->frozen_until = until;
        check_note(-1, "website %d stands still until %.3f", (int)i - W.n_robots, (double)until / 1e6);
    } else {
        struct relay *r = W.relays[i - W.n_robots - W.n_websites];
        struct node *n = relay_node(r);
        if (!relay_runs(r) || n->frozen_until > until)
            return;
        n->frozen_until = until;
        check_losses(sched_now(), until + 2 * SIM_S);
        check_note(-1, "%s stands still until %.3f", n->name, (double)until / 1e6);
    }
}

static void fault_hang(void)
{
    int i = (int)chance_below(W.n_robots);
    int64_t until = sched_now() + a_while();
    robot_hang(W.robots[i], until);
    check_note(i, "the main loop of robot %d hangs until %.3f", i + 1, (double)until / 1e6);
}

static void on_robot_back(void *ctx)
{
    if (!robot_runs(ctx))
        robot_start(ctx);
}

static void fault_robot(void)
{
    struct robot *r = W.robots[chance_below(W.n_robots)];
    robot_crash(r, chance_of(0.3));
    sched_at(&W.node, sched_now() + chance_after(SIM_S), SCHED_TIMER, on_robot_back, r);
}

static void on_relay_back(void *ctx)
{
    if (!relay_runs(ctx))
        relay_start(ctx);
}

static void fault_relay(void)
{
    struct relay *r = W.relays[chance_below(W.n_relays)];
    check_note(-1, "%s crashes", relay_node(r)->name);
    check_relay_lost();
    relay_crash(r, chance_of(0.3));
    int64_t back = sched_now() + chance_after(2 * SIM_S);
    check_losses(sched_now(), back + 8 * SIM_S);
    sched_at(&W.node, back, SCHED_TIMER, on_relay_back, r);
}

static void on_redis_back(void *ctx)
{
    (void)ctx;
    if (!redis_runs(W.redis))
        redis_start(W.redis);
}

static void fault_redis(bool wipe)
{
    int64_t back = sched_now() + chance_after(2 * SIM_S);
    enum redis_loss loss = wipe ? REDIS_LOSES_ALL : chance_of(0.5) ? REDIS_LOSES_A_SECOND : REDIS_KEEPS_ALL;
    if (!redis_runs(W.redis) || (loss != REDIS_KEEPS_ALL && W.back))
        return;
    W.lost = W.lost || loss != REDIS_KEEPS_ALL;
    check_note(-1, "Redis crashes%s",
               wipe                      ? " and loses everything"
               : loss != REDIS_KEEPS_ALL ? " and loses a second"
                                         : "");
    redis_crash(W.redis, loss);
    if (loss != REDIS_KEEPS_ALL)
        check_data_lost();
    check_losses(sched_now(), back + 5 * SIM_S);
    sched_at(&W.node, back, SCHED_TIMER, on_redis_back, NULL);
}

static void fault_partition(void)
{
    struct relay *r = W.relays[chance_below(W.n_relays)];
    int64_t until = sched_now() + a_while();
    relay_node(r)->cut_off_until = until;
    net_fault_partition(relay_node(r), redis_node(W.redis), until);
    check_losses(sched_now(), until + 5 * SIM_S);
    check_note(-1, "%s is cut off from Redis until %.3f", relay_node(r)->name, (double)until / 1e6);
}

static void fault_redis_slow(void)
{
    int64_t for_us = a_while();
    check_losses(sched_now(), sched_now() + for_us + 5 * SIM_S);
    check_note(-1, "Redis is slow for %.3f s", (double)for_us / 1e6);
    if (chance_of(0.5) && redis_runs(W.redis))
        redis_node(W.redis)->frozen_until = sched_now() + for_us;
    else
        net_fault_stall(redis_node(W.redis), for_us);
}

/* No loss: whoever asks is told, and what only has to be passed on goes on. */
static void fault_redis_full(void)
{
    int64_t until = sched_now() + a_while();
    if (!redis_runs(W.redis) || W.back) /* a number that it could not note is lost, see fault_clock */
        return;
    W.lost = true;
    redis_fill(W.redis, until);
    check_full(until);
    if (chance_of(0.5)) /* somebody who drives goes just then, or a robot */
        net_fault_cut(website_node(W.websites[chance_below(W.n_websites)]));
    else if (chance_of(0.5))
        fault_robot();
    check_note(-1, "Redis is full until %.3f", (double)until / 1e6);
}

static void fault_clock(void)
{
    int64_t by = chance_from(-3600, 3600) * SIM_S;
    int64_t i = chance_below(W.n_relays + 1);
    struct node *n = i < W.n_relays ? relay_node(W.relays[i]) : redis_node(W.redis);
    if (i == W.n_relays) {
        if (by < 0 && W.lost) /* both: it would give out again what it had given out, a known limit */
            return;
        W.back = W.back || by < 0;
        check_clock_jumped(sched_now() + 40 * SIM_S);
    }
    n->wall_us += by;
    check_note(-1, "the clock of %s jumps by %d s", n->name, (int)(by / SIM_S));
}

static void inject(enum world_fault fault)
{
    W.totals->faults[fault]++;
    switch (fault) {
    case WORLD_STALL:
        net_fault_stall(any_peer(), a_while());
        break;
    case WORLD_CUT:
        net_fault_cut(any_peer());
        break;
    case WORLD_HALF_OPEN:
        net_fault_half_open(any_peer());
        break;
    case WORLD_FREEZE:
        fault_freeze();
        break;
    case WORLD_HANG:
        fault_hang();
        break;
    case WORLD_ROBOT:
        fault_robot();
        break;
    case WORLD_RELAY:
        fault_relay();
        break;
    case WORLD_REDIS:
    case WORLD_REDIS_WIPE:
        fault_redis(fault == WORLD_REDIS_WIPE);
        break;
    case WORLD_PARTITION:
        fault_partition();
        break;
    case WORLD_REDIS_SLOW:
        fault_redis_slow();
        break;
    case WORLD_REDIS_FULL:
        fault_redis_full();
        break;
    case WORLD_CLOCK:
        fault_clock();
        break;
    case WORLD_FAULTS:
        break;
    }
}

static void on_fault(void *ctx)
{
    enum world_fault fault = (enum world_fault)chance_below(WORLD_FAULTS);
    (void)ctx;
    if (W.quiet)
        return;
    if (W.enabled[fault])
        inject(fault);
    sched_at(&W.node, sched_now() + chance_after(W.mean_us), SCHED_TIMER, on_fault, NULL);
}

static void on_look(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < W.n_robots; i++)
        robot_check(W.robots[i]);
    check_silence();
    sched_at(&W.node, sched_now() + 5 * SIM_MS, SCHED_TURN, on_look, NULL);
}

/* --- a run ---------------------------------------------------------------------------------- */

static enum robot_kind robot_kind(bool legacy)
{
    return legacy ? ROBOT_LEGACY : chance_of(0.2) ? ROBOT_STRICT : ROBOT_MODERN;
}

static void build(uint64_t seed, int verbose)
{
    bool legacy = chance_of(0.2);
    W.node = (struct node){.name = "world"};
    W.n_relays = (int)chance_from(2, RELAYS_MAX);
    W.n_robots = (int)chance_from(1, 3);
    W.n_websites = (int)chance_from(2, 4);
    W.exclusive = chance_of(0.5);
    W.mean_us = chance_of(0.3) ? chance_from(50, 500) * SIM_MS : chance_from(500, 5000) * SIM_MS;
    for (int i = 0; i < WORLD_FAULTS; i++)
        W.enabled[i] = chance_of(0.5);
    struct check_setup setup = {.robots = W.n_robots,
                                .websites = W.n_websites,
                                .exclusive = W.exclusive,
                                .move_ttl_ms = 500,
                                .setting_ttl_ms = 10000,
                                .rearm_ms = 2000,
                                .silence_ms = 250,
                                .fresh_ms = 600,
                                .deadman_ms = 300,
                                .watchdog_ms = 200,
                                .verbose = verbose};
    W.legacy[W.n_robots - 1] = setup.legacy[W.n_robots - 1] = legacy && W.n_robots > 1;
    check_begin(&setup);
    check_note(-1, "world %llu: %d relays, %d robots, %d websites, %s", (unsigned long long)seed, W.n_relays,
               W.n_robots, W.n_websites, W.exclusive ? "exclusive" : "shared");
    W.redis = redis_create();
    for (int i = 0; i < W.n_relays; i++)
        W.relays[i] = relay_create(i, W.redis, W.exclusive);
    for (int i = 0; i < W.n_robots; i++)
        W.robots[i] = robot_create(i, robot_kind(W.legacy[i]), W.relays, W.n_relays);
    for (int i = 0; i < W.n_websites; i++)
        W.websites[i] = website_create(i, i == 0 ? WEBSITE_MODERN : (enum website_kind)chance_below(3), W.relays,
                                       W.n_relays, W.n_robots, W.exclusive);
    sched_at(&W.node, 5 * SIM_S, SCHED_TIMER, on_fault, NULL);
    sched_at(&W.node, SIM_S, SCHED_TURN, on_look, NULL);
}

static void run_until(int64_t at)
{
    while (!check_failed() && sched_step(at))
        ;
}

/* Everything works again. */
static void heal(void)
{
    W.quiet = true;
    net_calm();
    if (!redis_runs(W.redis))
        redis_start(W.redis);
    sched_thaw(redis_node(W.redis));
    redis_fill(W.redis, 0);
    for (int i = 0; i < W.n_relays; i++) {
        if (!relay_runs(W.relays[i]))
            relay_start(W.relays[i]);
        sched_thaw(relay_node(W.relays[i]));
        relay_node(W.relays[i])->cut_off_until = 0;
    }
    for (int i = 0; i < W.n_robots; i++) {
        if (!robot_runs(W.robots[i]))
            robot_start(W.robots[i]);
        robot_thaw(W.robots[i]);
    }
    for (int i = 0; i < W.n_websites; i++) {
        sched_thaw(website_node(W.websites[i]));
        website_calm(W.websites[i]);
    }
}

static void check_agreement(void)
{
    for (int i = 0; i < W.n_robots; i++) {
        char key[64];
        snprintf(key, sizeof(key), "tr:ctl:%s", robot_id(W.robots[i]));
        const char *stopped = store_hash_field(redis_store(W.redis), key, "stopped");
        const char *confirmed = store_hash_field(redis_store(W.redis), key, "confirmed");
        bool redis = stopped != NULL && *stopped == '1';
        if (!robot_linked(W.robots[i]))
            check_fail(CHECK_ALIVE, i, "it has no link although all is well");
        if (!W.legacy[i] && redis != check_robot_stopped(i))
            check_fail(CHECK_AGREEMENT, i, "Redis says stopped=%d, the robot %d", redis, check_robot_stopped(i));
        if (!W.legacy[i] && redis && (confirmed == NULL || *confirmed != '1'))
            check_fail(CHECK_AGREEMENT, i, "the stop is not confirmed");
        for (int k = 0; k < W.n_websites; k++) {
            if (!website_open(W.websites[k]))
                check_fail(CHECK_ALIVE, -1, "website %d has no connection although all is well", k);
            else if (website_believes_stopped(W.websites[k], i) != redis)
                check_fail(CHECK_AGREEMENT, i, "website %d believes stopped=%d, Redis says %d", k, !redis, redis);
        }
    }
}

static void check_bounds(void)
{
    for (int i = 0; i < W.n_relays; i++) {
        if (relay_queued_most(W.relays[i]) > QUEUE_MAX)
            check_fail(CHECK_BOUNDS, -1, "%zu bytes waited for one peer", relay_queued_most(W.relays[i]));
    }
    if (store_keys(redis_store(W.redis)) > KEYS_MAX)
        check_fail(CHECK_BOUNDS, -1, "Redis has %zu keys", store_keys(redis_store(W.redis)));
}

static void prove_alive(void)
{
    for (int i = 0; i < W.n_robots && !check_failed(); i++) {
        uint64_t before = check_robot_executed(i);
        website_prove(W.websites[0], i);
        run_until(sched_now() + PROVE_S * SIM_S);
        website_calm(W.websites[0]);
        if (!check_failed() && check_robot_executed(i) < before + 50)
            check_fail(CHECK_ALIVE, i, "it cannot be driven any more");
    }
}

static void tear_down(void)
{
    for (int i = 0; i < W.n_websites; i++)
        website_destroy(W.websites[i]);
    for (int i = 0; i < W.n_robots; i++)
        robot_destroy(W.robots[i]);
    for (int i = 0; i < W.n_relays; i++)
        relay_destroy(W.relays[i]);
    redis_destroy(W.redis);
    net_finish();
    sched_finish();
    check_end();
}

void world_run(uint64_t seed, int verbose, struct world_totals *totals)
{
    memset(&W, 0, sizeof(W));
    memset(totals, 0, sizeof(*totals));
    W.totals = totals;
    sched_init();
    chance_seed(seed * 0x9e3779b97f4a7c15u + 1);
    build(seed, verbose);
    run_until(ACTIVE_S * SIM_S);
    if (!check_failed()) {
        int64_t quiet = sched_now();
        heal();
        run_until(quiet + QUIET_S * SIM_S);
        if (!check_failed())
            check_outcomes(quiet + (QUIET_S - 10) * SIM_S);
        if (!check_failed())
            check_agreement();
        check_bounds();
        prove_alive();
    }
    totals->simulated_us = (uint64_t)sched_now();
    tear_down();
}
