#include "tests/bench/crowd.h"
#include "tests/bench/meter.h"
#include "tests/bench/scenario.h"
#include "tests/bench/sched.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_NS INT64_C(50000000)   /* from the last greeting to the first message */
#define DRAIN_NS INT64_C(3000000000) /* for what is still on its way at the end */

struct fanout {
    const struct options *o;
    struct crowd crowd;
    struct sched *sched;
    struct meter meter;
    int64_t measure_from, measure_to; /* what is due in between counts */
    size_t seqs;                      /* messages of one robot, at most */
    uint8_t *seen;                    /* a bit per website, robot and message */
    uint64_t sent, counted;           /* messages of robots: all; those that count */
    uint64_t arrived;                 /* deliveries while the meter ran */
    uint64_t unique, duplicate, foreign, errors;
    uint64_t bytes; /* of `arrived` */
    struct hist latency;
    struct hist lateness; /* of our own sending */
};

/* True when it is new. */
static bool mark(struct fanout *f, unsigned website, unsigned robot, uint64_t seq)
{
    size_t bit = ((size_t)website * f->o->robots + robot) * f->seqs + (size_t)seq;
    uint8_t mask = (uint8_t)(1u << (bit & 7));
    if (f->seen[bit >> 3] & mask)
        return false;
    f->seen[bit >> 3] |= mask;
    return true;
}

static void on_update(struct fanout *f, unsigned website, const char *data, size_t len, int64_t now_ns)
{
    unsigned robot;
    uint64_t seq;
    if (!dialect_is_telemetry(data, len, &robot, &seq))
        return;
    if (robot >= f->o->robots || seq >= f->seqs) {
        f->foreign++;
        return;
    }
    if (f->meter.started && !f->meter.stopped) {
        f->arrived++;
        f->bytes += len;
    }
    bool is_new = mark(f, website, robot, seq);
    int64_t due = sched_time(f->sched, robot, seq);
    if (due < f->measure_from || due >= f->measure_to)
        return;
    if (!is_new) {
        f->duplicate++;
        return;
    }
    f->unique++;
    hist_record(&f->latency, now_ns - due);
}

/* A frame holds one message, or several with a newline between them. */
static void on_website(void *user, unsigned website, const char *data, size_t len, int64_t now_ns)
{
    const char *end = data + len;
    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        const char *stop = newline ? newline : end;
        on_update(user, website, data, (size_t)(stop - data), now_ns);
        data = stop + 1;
    }
}

static void on_robot(void *user, unsigned robot, const char *data, size_t len, int64_t now_ns)
{
    struct fanout *f = user;
    (void)robot;
    (void)now_ns;
    if (dialect_is_error(data, len) && f->errors++ == 0)
        fprintf(stderr, "telerelay-bench: a robot got %.*s\n", (int)(len < 200 ? len : 200), data);
}

static void send_due(struct fanout *f, int64_t now)
{
    while (sched_next(f->sched) <= now && sched_next(f->sched) < f->measure_to) {
        char text[DIALECT_TEXT_MAX];
        unsigned robot;
        uint64_t seq;
        int64_t due = sched_next(f->sched);
        sched_take(f->sched, &robot, &seq);
        size_t len = dialect_telemetry(text, f->o->dialect, robot, seq);
        if (net_send(f->crowd.robots[robot], text, len) == 0)
            f->sent++;
        if (due >= f->measure_from) {
            f->counted++;
            hist_record(&f->lateness, now - due);
        }
    }
}

static void drive(struct fanout *f)
{
    for (int64_t now = clock_mono_ns(); now < f->measure_to; now = clock_mono_ns()) {
        if (!f->meter.started && now >= f->measure_from)
            meter_start(&f->meter, f->o);
        send_due(f, now);
        int64_t next = sched_next(f->sched);
        if (!f->meter.started && f->measure_from < next)
            next = f->measure_from;
        net_wait(f->crowd.net, next < f->measure_to ? next : f->measure_to);
    }
    send_due(f, f->measure_to);
    meter_stop(&f->meter);
    int64_t limit = clock_mono_ns() + DRAIN_NS;
    while (f->unique < f->counted * f->o->websites && clock_mono_ns() < limit)
        net_wait(f->crowd.net, limit);
}

static int report(const struct fanout *f)
{
    char buf[METER_REPORT_MAX];
    struct jsonw w;
    uint64_t expected = f->counted * f->o->websites;
    meter_begin(&w, buf, "fanout");
    jsonw_kv_int(&w, "robots", f->o->robots);
    jsonw_kv_num(&w, "hz", f->o->hz);
    jsonw_kv_int(&w, "websites", f->o->websites);
    jsonw_kv_int(&w, "sent", (int64_t)f->counted);
    jsonw_kv_int(&w, "expected", (int64_t)expected);
    jsonw_kv_int(&w, "delivered", (int64_t)f->arrived);
    jsonw_kv_int(&w, "lost", (int64_t)(expected - f->unique));
    jsonw_kv_int(&w, "duplicate", (int64_t)f->duplicate);
    jsonw_kv_int(&w, "foreign", (int64_t)f->foreign);
    jsonw_kv_int(&w, "errors", (int64_t)f->errors);
    jsonw_kv_int(&w, "closed", f->crowd.closed);
    jsonw_kv_int(&w, "bytes_per_message", f->arrived ? (int64_t)(f->bytes / f->arrived) : 0);
    meter_put_cpu(&w, &f->meter, (double)f->arrived);
    meter_put_latency(&w, "latency_us", &f->latency);
    meter_put_latency(&w, "send_late_us", &f->lateness);
    return meter_end(&w);
}

int fanout_run(const struct options *o)
{
    int rc = -1;
    struct fanout *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->o = o;
    f->crowd = (struct crowd){.options = o,
                              .n_robots = o->robots,
                              .n_websites = o->websites,
                              .robot = on_robot,
                              .website = on_website,
                              .user = f};
    f->seqs = (size_t)((o->warmup + o->seconds) * o->hz) + 2;
    f->seen = calloc((size_t)o->websites * o->robots * f->seqs / 8 + 1, 1);
    hist_init(&f->latency);
    hist_init(&f->lateness);
    if (!f->seen || crowd_connect(&f->crowd))
        goto out;
    int64_t start = clock_mono_ns() + START_NS;
    f->measure_from = start + (int64_t)(o->warmup * 1e9);
    f->measure_to = f->measure_from + (int64_t)(o->seconds * 1e9);
    f->sched = sched_create(o->robots, o->hz, start);
    if (!f->sched)
        goto out;
    drive(f);
    rc = report(f);
out:
    crowd_finish(&f->crowd);
    sched_destroy(f->sched);
    free(f->seen);
    free(f);
    return rc;
}
