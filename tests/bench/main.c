/* Load generator: one scenario per run, one JSON object on stdout. tests/bench/run starts the servers. */
#include "tests/bench/scenario.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIMIT_MARGIN_S 60 /* connecting, draining and reporting, at the very most */

struct scenario {
    const char *name;
    int (*run)(const struct options *o);
    bool relay, redis; /* what it cannot do without */
    const char *help;
};

static const struct scenario scenarios[] = {
    {"fanout", fanout_run, true, false, "telemetry of robots to websites, open loop"},
    {"command", command_run, true, false, "commands of a website on the first relay to a robot on the last, open loop"},
    {"ingest", ingest_run, true, false, "telemetry as fast as it is acknowledged"},
    {"idle", idle_run, true, false, "websites that do nothing"},
    {"blocked", blocked_run, true, false, "websites that never read"},
    {"history", history_run, true, false, "GET /api/telemetry"},
    {"xrange", xrange_run, false, true, "the same samples straight from Redis"},
    {"seed", seed_run, false, true, "store samples for the two above"},
};

static void usage(void)
{
    printf("usage: telerelay-bench SCENARIO [OPTION…]\n\n");
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        printf("  %-14s %s\n", scenarios[i].name, scenarios[i].help);
    printf("\n");
    options_usage();
}

/* Thousands of sockets, and sleeps that end on time. */
static void prepare(const struct options *o)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    prctl(PR_SET_TIMERSLACK, 1);
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)(o->warmup + o->seconds) + LIMIT_MARGIN_S);
}

int main(int argc, char **argv)
{
    const struct scenario *s = NULL;
    struct options o;
    for (size_t i = 0; argc > 1 && i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(argv[1], scenarios[i].name) == 0)
            s = &scenarios[i];
    if (!s) {
        usage();
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    enum options_result parsed = options_parse(&o, argc - 1, argv + 1);
    if (parsed == OPTIONS_DONE)
        usage();
    if (parsed != OPTIONS_RUN)
        return parsed == OPTIONS_DONE ? 0 : 2;
    if ((s->relay && !o.n_relays) || (s->redis && !o.redis)) {
        fprintf(stderr, "telerelay-bench: %s needs --%s\n", s->name, s->relay ? "relay" : "redis");
        return 2;
    }
    prepare(&o);
    return s->run(&o) ? 1 : 0;
}
