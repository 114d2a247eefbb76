#include "tests/bench/crowd.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define GREETING_NS   INT64_C(10000000000)
#define CONNECTS_A_GO 16 /* connections between two looks at those that are there: their pings want answers */

static void greet(struct crowd *c, bool *greeted)
{
    if (*greeted)
        return;
    *greeted = true;
    c->to_greet--;
}

static void on_robot(void *user, struct net_conn *conn, const char *data, size_t len, int64_t now_ns)
{
    struct crowd *c = user;
    unsigned i = net_index(conn);
    greet(c, &c->robot_greeted[i]);
    if (c->robot)
        c->robot(c->user, i, data, len, now_ns);
}

static void on_website(void *user, struct net_conn *conn, const char *data, size_t len, int64_t now_ns)
{
    struct crowd *c = user;
    unsigned i = net_index(conn);
    greet(c, &c->website_greeted[i]);
    if (c->website)
        c->website(c->user, i, data, len, now_ns);
}

static void on_closed(void *user, struct net_conn *conn, int code)
{
    struct crowd *c = user;
    (void)conn;
    c->closed++;
    c->close_code = code;
}

static const struct net_hooks robot_hooks = {on_robot, on_closed};
static const struct net_hooks website_hooks = {on_website, on_closed};

static int connect_one(struct crowd *c, bool robot, unsigned i)
{
    const struct options *o = c->options;
    char path[DIALECT_TEXT_MAX], other[DIALECT_TEXT_MAX];
    if (c->channel == CROWD_COMMANDS && robot)
        dialect_command_paths(other, path, o->dialect);
    else if (c->channel == CROWD_COMMANDS)
        dialect_command_paths(path, other, o->dialect);
    else if (robot)
        dialect_robot_path(path, o->dialect, i);
    else
        dialect_website_path(path, o->dialect);
    size_t relay = i % o->n_relays;
    struct net_target to = {
        .address = o->relays[robot ? o->n_relays - 1 - relay : relay],
        .path = path,
        .protocol = robot ? NULL : o->protocol,
    };
    struct net_conn *conn = net_connect(c->net, &to, robot ? &robot_hooks : &website_hooks, c, i);
    if (robot)
        c->robots[i] = conn;
    else
        c->websites[i] = conn;
    if (conn && i % CONNECTS_A_GO == 0)
        net_wait(c->net, 0);
    return conn ? 0 : -1;
}

static int allocate(struct crowd *c)
{
    c->net = net_create();
    c->robots = calloc(c->n_robots + 1, sizeof *c->robots);
    c->websites = calloc(c->n_websites + 1, sizeof *c->websites);
    c->robot_greeted = calloc(c->n_robots + 1, sizeof *c->robot_greeted);
    c->website_greeted = calloc(c->n_websites + 1, sizeof *c->website_greeted);
    return c->net && c->robots && c->websites && c->robot_greeted && c->website_greeted ? 0 : -1;
}

int crowd_connect(struct crowd *c)
{
    if (allocate(c)) {
        fprintf(stderr, "telerelay-bench: out of memory\n");
        return -1;
    }
    c->to_greet = c->n_robots + c->n_websites;
    for (unsigned i = 0; i < c->n_websites; i++)
        if (connect_one(c, false, i))
            return -1;
    for (unsigned i = 0; i < c->n_robots; i++)
        if (connect_one(c, true, i))
            return -1;
    int64_t limit = clock_mono_ns() + GREETING_NS;
    bool greets = c->options->dialect == DIALECT_TELERELAY;
    while (greets && c->to_greet > c->closed && (!c->closed || c->losses_count) && clock_mono_ns() < limit)
        net_wait(c->net, limit);
    if (c->losses_count)
        return 0;
    if (c->closed) {
        fprintf(stderr, "telerelay-bench: the server ended a connection with %d\n", c->close_code);
        return -1;
    }
    if (greets && c->to_greet) {
        fprintf(stderr, "telerelay-bench: %u connections were not greeted\n", c->to_greet);
        return -1;
    }
    return 0;
}

void crowd_finish(struct crowd *c)
{
    for (unsigned i = 0; c->robots && i < c->n_robots; i++)
        if (c->robots[i])
            net_close(c->robots[i]);
    for (unsigned i = 0; c->websites && i < c->n_websites; i++)
        if (c->websites[i])
            net_close(c->websites[i]);
    net_destroy(c->net);
    free(c->robots);
    free(c->websites);
    free(c->robot_greeted);
    free(c->website_greeted);
    c->net = NULL;
    c->robots = c->websites = NULL;
    c->robot_greeted = c->website_greeted = NULL;
}

void crowd_run(struct crowd *c, int64_t until_ns)
{
    while (clock_mono_ns() < until_ns)
        net_wait(c->net, until_ns);
}
