/*
 * telerelay-sim [--seed N] [--runs N] [--commands N] [--twice] [--verbose]: drives the real hub, bus, scripts, agent
 * and safety through random worlds, one seed each, and ends at the first broken invariant with status 1.
 */
#include "common/log.h"
#include "tests/sim/check.h"
#include "tests/sim/world.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    uint64_t seed;
    uint64_t runs;     /* worlds */
    uint64_t commands; /* go on until as many have been sent; 0: `runs` decides */
    bool twice;        /* every world twice: the traces have to be the same */
    int verbose;
};

struct sums {
    struct check_totals checks;
    struct world_totals world;
    uint64_t worlds, hash;
};

int __real_clock_gettime(clockid_t clock, struct timespec *out);

static double seconds(void)
{
    struct timespec t;
    __real_clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(uint64_t *to, const uint64_t *from, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(*to); i++)
        to[i] += from[i];
}

static void print_faults(const struct world_totals *w)
{
    printf("  faults:");
    for (int i = 0; i < WORLD_FAULTS; i++)
        printf(" %s %" PRIu64, world_fault_name((enum world_fault)i), w->faults[i]);
    printf("\n");
}

static void print_sums(const struct sums *s, double real)
{
    const struct check_totals *c = &s->checks;
    printf("  commands: %" PRIu64 " sent (%" PRIu64 " stops, %" PRIu64 " re-arms), %" PRIu64 " of them again; %" PRIu64
           " motions and %" PRIu64 " settings took effect; %" PRIu64 " grants of control\n",
           c->sent, c->stops, c->rearms, c->resent, c->executed, c->settings, c->grants);
    printf("  at robots:");
    for (int i = 0; i <= SAFETY_EXPIRED_NO_HB; i++)
        printf(" %s %" PRIu64, safety_verdict_name((enum safety_verdict)i), c->verdicts[i]);
    printf("\n  receipts:");
    for (int i = MSG_APPLIED; i < MSG_OUTCOMES; i++)
        printf(" %s %" PRIu64, msg_outcome_name((enum msg_outcome)i), c->outcomes[i]);
    printf("; not heard of, with an excuse: %" PRIu64 "\n  refused by relays:", c->excused);
    for (int i = 0; i < MSG_CODES; i++) {
        if (c->refused[i] > 0)
            printf(" %s %" PRIu64, msg_code_name((enum msg_code)i), c->refused[i]);
    }
    printf("\n  old motions that nothing could tell: %" PRIu64 " without any heartbeat took effect\n", c->undetectable);
    print_faults(&s->world);
    printf("  %" PRIu64 " worlds, %.0f s simulated, %.1f s real, trace %016" PRIx64 "\n", s->worlds,
           (double)s->world.simulated_us / 1e6, real, s->hash);
}

/* A refusal that never happened has not been tried. Relays let nothing through that is out of range. */
static int unseen(const struct sums *s, bool fails)
{
    int n = 0;
    for (int i = 0; i <= SAFETY_EXPIRED_NO_HB; i++) {
        if (i == SAFETY_REFUSED_RANGE || s->checks.verdicts[i] > 0)
            continue;
        printf("%s: no robot ever answered \"%s\"\n", fails ? "BROKEN" : "note",
               safety_verdict_name((enum safety_verdict)i));
        n++;
    }
    return fails && n > 0 ? -1 : 0;
}

static int run_one(uint64_t seed, const struct options *o, struct sums *s)
{
    struct world_totals w;
    world_run(seed, o->verbose, &w);
    uint64_t hash = check_hash();
    struct check_totals c = *check_totals();
    if (o->twice && !check_failed()) {
        world_run(seed, 0, &w);
        if (check_hash() != hash) {
            printf("BROKEN: seed %" PRIu64 " gives another run the second time\n", seed);
            return -1;
        }
    }
    add((uint64_t *)&s->checks, (uint64_t *)&c, sizeof(c));
    add((uint64_t *)&s->world, (uint64_t *)&w, sizeof(w));
    s->worlds++;
    s->hash = (s->hash ^ hash) * 0x100000001b3u;
    return check_failed() ? -1 : 0;
}

static int parse(struct options *o, int argc, char **argv)
{
    static const struct option flags[] = {
        {"seed", required_argument, NULL, 's'},     {"runs", required_argument, NULL, 'r'},
        {"commands", required_argument, NULL, 'c'}, {"twice", no_argument, NULL, 't'},
        {"verbose", no_argument, NULL, 'v'},        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        if (c == 's')
            o->seed = strtoull(optarg, NULL, 10);
        else if (c == 'r')
            o->runs = strtoull(optarg, NULL, 10);
        else if (c == 'c')
            o->commands = strtoull(optarg, NULL, 10);
        else if (c == 't')
            o->twice = true;
        else if (c == 'v')
            o->verbose++;
        else
            return -1;
    }
    return optind == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .runs = 1};
    struct sums s = {.hash = 0xcbf29ce484222325u};
    double begin = seconds();
    if (parse(&o, argc, argv) != 0) {
        fprintf(stderr, "usage: %s [--seed N] [--runs N | --commands N] [--twice] [--verbose]\n", argv[0]);
        return 2;
    }
    log_init("telerelay-sim", NULL, (enum log_level)(LOG_ERROR + 1));
    setvbuf(stdout, NULL, _IOLBF, 0);
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && (o.commands > 0 ? s.checks.sent < o.commands : i < o.runs); i++) {
        rc = run_one(o.seed + i, &o, &s);
        if (rc != 0)
            printf("seed %" PRIu64 "\n", o.seed + i);
    }
    printf("seeds %" PRIu64 " to %" PRIu64 "\n", o.seed, o.seed + (s.worlds > 0 ? s.worlds - 1 : 0));
    print_sums(&s, seconds() - begin);
    if (rc == 0)
        rc = unseen(&s, o.commands > 0);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
