#include "tests/bench/options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { ADDRESS, TEXT, COUNT, REAL, DIALECT, GROUP, FLAG };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    double min, max; /* COUNT, REAL */
    const char *help;
};

#define AT(field) offsetof(struct options, field)

static const struct row rows[] = {
    {"relay", ADDRESS, 0, 0, 0, "unix:/PATH or HOST:PORT of a server; repeatable"},
    {"dialect", DIALECT, AT(dialect), 0, 0, "telerelay (default) or nchan"},
    {"pids", GROUP, 0, 0, 0, "NAME=PID,PID: processes whose cost is measured; repeatable"},
    {"robots", COUNT, AT(robots), 1, 1000, "robots that send"},
    {"websites", COUNT, AT(websites), 0, 60000, "websites that listen"},
    {"hz", REAL, AT(hz), 0.01, 100000, "messages per second of one sender"},
    {"seconds", REAL, AT(seconds), 0.2, 600, "measured time"},
    {"warmup", REAL, AT(warmup), 0.1, 60, "time before it, s"},
    {"outstanding", COUNT, AT(outstanding), 0, 1000, "unacknowledged messages per robot; 0: only moves (ingest)"},
    {"concurrency", COUNT, AT(concurrency), 1, 64, "requests at once (history, xrange)"},
    {"limit", COUNT, AT(limit), 1, 10000, "samples per answer (history, xrange)"},
    {"samples", COUNT, AT(samples), 1, 10000000, "samples to store (seed)"},
    {"redis", TEXT, AT(redis), 0, 0, "address of Redis (ingest, seed, xrange)"},
    {"prefix", TEXT, AT(prefix), 0, 0, "what a stream's key begins with"},
    {"protocol", TEXT, AT(protocol), 0, 0, "subprotocol that websites offer"},
    {"drive-hz", REAL, AT(drive_hz), 0, 1000, "moves per second that a website sends to each robot (ingest)"},
    {"safe", FLAG, AT(safe), 0, 0, "with ids, receipts and heartbeats (ingest)"},
    {"one-field", FLAG, AT(one_field), 0, 0, "store all metrics of a sample in one field (seed)"},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

static int set_number(struct options *o, const struct row *row, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < row->min || value > row->max)
        return -1;
    void *at = (char *)o + row->offset;
    if (row->kind == REAL)
        *(double *)at = value;
    else
        *(unsigned *)at = (unsigned)value;
    return 0;
}

static int set(struct options *o, const struct row *row, char *text)
{
    switch (row->kind) {
    case ADDRESS:
        if (o->n_relays == OPTIONS_RELAYS_MAX)
            return -1;
        o->relays[o->n_relays++] = text;
        return 0;
    case GROUP:
        return o->n_groups < PROC_GROUPS_MAX ? proc_parse_group(text, &o->groups[o->n_groups++]) : -1;
    case DIALECT:
        o->dialect = strcmp(text, "nchan") == 0 ? DIALECT_NCHAN : DIALECT_TELERELAY;
        return o->dialect == DIALECT_NCHAN || strcmp(text, "telerelay") == 0 ? 0 : -1;
    case TEXT:
        *(const char **)((char *)o + row->offset) = text;
        return 0;
    case FLAG:
        *(bool *)((char *)o + row->offset) = true;
        return 0;
    default:
        return set_number(o, row, text);
    }
}

void options_usage(void)
{
    for (size_t i = 0; i < N_ROWS; i++)
        printf("  --%-12s %s\n", rows[i].name, rows[i].help);
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
    struct option longs[N_ROWS + 2] = {{"help", no_argument, NULL, 'h'}};
    for (size_t i = 0; i < N_ROWS; i++)
        longs[i + 1] =
            (struct option){rows[i].name, rows[i].kind == FLAG ? no_argument : required_argument, NULL, 256 + (int)i};
    *o = (struct options){.robots = 10,
                          .websites = 100,
                          .hz = 20,
                          .seconds = 5,
                          .warmup = 1,
                          .outstanding = 16,
                          .concurrency = 1,
                          .limit = 1000,
                          .samples = 5000,
                          .prefix = "tr:tel:"};
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        if (c == 'h')
            return OPTIONS_DONE;
        if (c == '?')
            return OPTIONS_USAGE;
        const struct row *row = &rows[c - 256];
        if (set(o, row, optarg)) {
            fprintf(stderr, "telerelay-bench: --%s %s: expected %s\n", row->name, optarg, row->help);
            return OPTIONS_USAGE;
        }
    }
    return optind == argc ? OPTIONS_RUN : OPTIONS_USAGE;
}
