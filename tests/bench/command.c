#include "tests/bench/crowd.h"
#include "tests/bench/meter.h"
#include "tests/bench/scenario.h"
#include "tests/bench/sched.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define START_NS INT64_C(50000000)
#define DRAIN_NS INT64_C(2000000000)

struct command {
    const struct options *o;
    struct crowd crowd;
    struct sched *sched;
    struct meter meter;
    int64_t measure_from, measure_to;
    bool arrived[DIALECT_COMMANDS_MAX]; /* at the robot */
    unsigned sent, counted;             /* all commands; those that count */
    unsigned next_ack;                  /* the command that the next ack without a number belongs to */
    unsigned delivered, acked, duplicate, errors;
    struct hist delivery, ack;
};

static bool counts(const struct command *c, unsigned number, int64_t *due)
{
    *due = sched_time(c->sched, 0, number);
    return *due >= c->measure_from && *due < c->measure_to;
}

static void on_robot(void *user, unsigned robot, const char *data, size_t len, int64_t now_ns)
{
    struct command *c = user;
    unsigned number;
    int64_t due;
    (void)robot;
    if (!dialect_is_command(data, len, &number) || number >= c->sent)
        return;
    bool again = c->arrived[number];
    c->arrived[number] = true;
    if (!counts(c, number, &due))
        return;
    if (again) {
        c->duplicate++;
        return;
    }
    c->delivered++;
    hist_record(&c->delivery, now_ns - due);
}

static void on_website(void *user, unsigned website, const char *data, size_t len, int64_t now_ns)
{
    struct command *c = user;
    unsigned number;
    int64_t due;
    (void)website;
    if (dialect_is_error(data, len)) {
        c->errors++;
        fprintf(stderr, "telerelay-bench: the website got %.*s\n", (int)(len < 200 ? len : 200), data);
        return;
    }
    /* nchan answers in order and without a number */
    if (c->o->dialect == DIALECT_NCHAN)
        number = c->next_ack++;
    else if (!dialect_is_command_ack(data, len, &number))
        return;
    if (number >= c->sent || !counts(c, number, &due))
        return;
    c->acked++;
    hist_record(&c->ack, now_ns - due);
}

static void send_due(struct command *c, int64_t now)
{
    while (sched_next(c->sched) <= now && sched_next(c->sched) < c->measure_to && c->sent < DIALECT_COMMANDS_MAX) {
        char text[DIALECT_TEXT_MAX];
        unsigned stream;
        uint64_t number;
        int64_t due = sched_next(c->sched);
        sched_take(c->sched, &stream, &number);
        c->sent++;
        if (due >= c->measure_from)
            c->counted++;
        net_send(c->crowd.websites[0], text, dialect_command(text, (unsigned)number));
    }
}

static void drive(struct command *c)
{
    for (int64_t now = clock_mono_ns(); now < c->measure_to; now = clock_mono_ns()) {
        if (!c->meter.started && now >= c->measure_from)
            meter_start(&c->meter, c->o);
        send_due(c, now);
        int64_t next = sched_next(c->sched);
        net_wait(c->crowd.net, next < c->measure_to ? next : c->measure_to);
    }
    meter_stop(&c->meter);
    int64_t limit = clock_mono_ns() + DRAIN_NS;
    while ((c->delivered < c->counted || c->acked < c->counted) && clock_mono_ns() < limit)
        net_wait(c->crowd.net, limit);
}

static int report(const struct command *c)
{
    char buf[METER_REPORT_MAX];
    struct jsonw w;
    meter_begin(&w, buf, "command");
    jsonw_kv_num(&w, "hz", c->o->hz);
    jsonw_kv_int(&w, "sent", c->counted);
    jsonw_kv_int(&w, "lost", (int64_t)c->counted - c->delivered);
    jsonw_kv_int(&w, "unacked", (int64_t)c->counted - c->acked);
    jsonw_kv_int(&w, "duplicate", c->duplicate);
    jsonw_kv_int(&w, "errors", c->errors);
    jsonw_kv_int(&w, "closed", c->crowd.closed);
    meter_put_cpu(&w, &c->meter, (double)c->counted);
    meter_put_latency(&w, "latency_us", &c->delivery);
    meter_put_latency(&w, "ack_us", &c->ack);
    return meter_end(&w);
}

int command_run(const struct options *o)
{
    int rc = -1;
    struct command *c = calloc(1, sizeof *c);
    if (!c)
        return -1;
    c->o = o;
    c->crowd = (struct crowd){.options = o,
                              .channel = CROWD_COMMANDS,
                              .n_robots = 1,
                              .n_websites = 1,
                              .robot = on_robot,
                              .website = on_website,
                              .user = c};
    hist_init(&c->delivery);
    hist_init(&c->ack);
    if (crowd_connect(&c->crowd))
        goto out;
    int64_t start = clock_mono_ns() + START_NS;
    c->measure_from = start + (int64_t)(o->warmup * 1e9);
    c->measure_to = c->measure_from + (int64_t)(o->seconds * 1e9);
    c->sched = sched_create(1, o->hz, start);
    if (!c->sched)
        goto out;
    drive(c);
    rc = report(c);
out:
    crowd_finish(&c->crowd);
    sched_destroy(c->sched);
    free(c);
    return rc;
}
