#include "tests/sim/sched.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

struct event {
    int64_t at;
    uint64_t order; /* of scheduling */
    enum sched_class class;
    struct node *node; /* NULL: cancelled */
    sched_fn *fn;
    void *ctx;
    bool held; /* its node stood still */
};

static struct {
    struct event *heap;
    size_t count, cap;
    uint64_t order, steps;
    int64_t now;
    struct node *current;
    uint64_t random;
} sim;

/* --- the queue ----------------------------------------------------------------------------- */

void sched_init(void)
{
    sim.count = 0;
    sim.order = sim.steps = 0;
    sim.now = 0;
    sim.current = NULL;
}

void sched_finish(void)
{
    free(sim.heap);
    sim.heap = NULL;
    sim.count = sim.cap = 0;
}

static bool before(const struct event *a, const struct event *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->class != b->class ? a->class < b->class : a->order < b->order;
}

static void sift_up(size_t i)
{
    struct event e = sim.heap[i];
    while (i > 0 && before(&e, &sim.heap[(i - 1) / 2])) {
        sim.heap[i] = sim.heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim.heap[i] = e;
}

static void sift_down(size_t i)
{
    struct event e = sim.heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= sim.count)
            break;
        if (child + 1 < sim.count && before(&sim.heap[child + 1], &sim.heap[child]))
            child++;
        if (!before(&sim.heap[child], &e))
            break;
        sim.heap[i] = sim.heap[child];
        i = child;
    }
    sim.heap[i] = e;
}

static void push(const struct event *e)
{
    if (sim.count == sim.cap) {
        sim.cap = sim.cap ? sim.cap * 2 : 1024;
        sim.heap = realloc(sim.heap, sim.cap * sizeof(*sim.heap));
        if (sim.heap == NULL)
            abort();
    }
    sim.heap[sim.count] = *e;
    sift_up(sim.count++);
}

static struct event pop(void)
{
    struct event e = sim.heap[0];
    sim.heap[0] = sim.heap[--sim.count];
    if (sim.count > 0)
        sift_down(0);
    return e;
}

void sched_at(struct node *node, int64_t at, enum sched_class class, sched_fn *fn, void *ctx)
{
    struct event e = {at > sim.now ? at : sim.now, ++sim.order, class, node, fn, ctx, false};
    push(&e);
}

void sched_cancel(const void *ctx)
{
    for (size_t i = 0; i < sim.count; i++) {
        if (sim.heap[i].ctx == ctx)
            sim.heap[i].node = NULL;
    }
}

void sched_cancel_node(const struct node *node)
{
    for (size_t i = 0; i < sim.count; i++) {
        if (sim.heap[i].node == node)
            sim.heap[i].node = NULL;
    }
}

/* --- running ------------------------------------------------------------------------------- */

static void end_turn(void *ctx)
{
    struct node *n = ctx;
    n->in_turn = false;
    n->turn(n->self);
}

static void run(const struct event *e)
{
    struct node *n = e->node;
    sim.steps++;
    sim.current = n;
    if (n->turn != NULL && !n->in_turn) {
        n->in_turn = true; /* a turn may take in what arrives a little later */
        sched_at(n, sim.now + chance_below(200), SCHED_TURN, end_turn, n);
    }
    e->fn(e->ctx);
    sim.current = NULL;
}

bool sched_step(int64_t until)
{
    while (sim.count > 0 && sim.heap[0].at <= until) {
        struct event e = pop();
        if (e.node == NULL)
            continue;
        if (e.node->frozen_until > e.at) {
            /* Its order stays: what came first is seen first. A timer may come before or after what has arrived. */
            e.at = e.node->frozen_until;
            e.held = true;
            if (e.class == SCHED_TIMER && chance_of(0.5))
                e.class = SCHED_IO;
            push(&e);
            continue;
        }
        sim.now = e.at;
        run(&e);
        return true;
    }
    if (sim.now < until)
        sim.now = until;
    return false;
}

void sched_thaw(struct node *node)
{
    node->frozen_until = 0;
    for (size_t i = 0; i < sim.count; i++) {
        if (sim.heap[i].node == node && sim.heap[i].held)
            sim.heap[i].at = sim.now;
    }
    for (size_t i = sim.count / 2; i-- > 0;)
        sift_down(i);
}

int64_t sched_now(void)
{
    return sim.now;
}

uint64_t sched_steps(void)
{
    return sim.steps;
}

struct node *sched_current(void)
{
    return sim.current;
}

struct node *sched_enter(struct node *node)
{
    struct node *former = sim.current;
    sim.current = node;
    return former;
}

int64_t sched_mono_us(const struct node *node)
{
    return sim.now + (node ? node->mono_us : 0);
}

int64_t sched_wall_us(const struct node *node)
{
    return sim.now + (node ? node->wall_us : 0);
}

/* --- the seams of libc (-Wl,--wrap) ---------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    int64_t us = clock == CLOCK_REALTIME ? sched_wall_us(sim.current) : sched_mono_us(sim.current);
    out->tv_sec = us / SIM_S;
    out->tv_nsec = us % SIM_S * 1000;
    return 0;
}

ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags)
{
    unsigned char *at = out;
    (void)flags;
    for (size_t i = 0; i < len; i++)
        at[i] = (unsigned char)chance_bits();
    return (ssize_t)len;
}

/* --- chance -------------------------------------------------------------------------------- */

void chance_seed(uint64_t seed)
{
    sim.random = seed;
}

/* splitmix64 */
uint64_t chance_bits(void)
{
    uint64_t z = (sim.random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t chance_below(int64_t n)
{
    return (int64_t)(chance_bits() % (uint64_t)n);
}

int64_t chance_from(int64_t low, int64_t high)
{
    return low + chance_below(high - low + 1);
}

static double chance_unit(void)
{
    return (double)(chance_bits() >> 11) * 0x1p-53;
}

bool chance_of(double p)
{
    return chance_unit() < p;
}

int64_t chance_after(int64_t mean_us)
{
    return (int64_t)(-log(1.0 - chance_unit()) * (double)mean_us) + 1;
}
