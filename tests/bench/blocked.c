#include "tests/bench/crowd.h"
#include "tests/bench/meter.h"
#include "tests/bench/scenario.h"
#include "tests/bench/sched.h"

#include "common/clock.h"

#include <stdlib.h>

#define DRAIN_NS INT64_C(2000000000)

struct blocked {
    const struct options *o;
    struct crowd crowd; /* the last website reads, the others do not */
    struct sched *sched;
    uint64_t sent, served;
    struct hist latency; /* of the one that reads */
};

static void on_website(void *user, unsigned website, const char *data, size_t len, int64_t now_ns)
{
    struct blocked *b = user;
    unsigned robot;
    uint64_t seq;
    if (website != b->o->websites || !b->sched || !dialect_is_telemetry(data, len, &robot, &seq) ||
        robot >= b->o->robots)
        return;
    b->served++;
    hist_record(&b->latency, now_ns - sched_time(b->sched, robot, seq));
}

static void drive(struct blocked *b, int64_t until)
{
    for (int64_t now = clock_mono_ns(); now < until; now = clock_mono_ns()) {
        while (sched_next(b->sched) <= now) {
            char text[DIALECT_TEXT_MAX];
            unsigned robot;
            uint64_t seq;
            sched_take(b->sched, &robot, &seq);
            size_t len = dialect_telemetry(text, b->o->dialect, robot, seq);
            if (net_send(b->crowd.robots[robot], text, len) == 0)
                b->sent++;
        }
        net_wait(b->crowd.net, sched_next(b->sched) < until ? sched_next(b->sched) : until);
    }
}

static int report(const struct blocked *b, const struct meter *m)
{
    char buf[METER_REPORT_MAX];
    struct jsonw w;
    meter_begin(&w, buf, "blocked");
    jsonw_kv_int(&w, "websites", b->o->websites);
    jsonw_kv_int(&w, "closed", b->crowd.closed);
    jsonw_kv_int(&w, "sent", (int64_t)b->sent);
    jsonw_kv_int(&w, "lost_to_reader", (int64_t)(b->sent - b->served));
    meter_put_memory(&w, m, b->o->websites);
    meter_put_cpu(&w, m, (double)b->sent);
    meter_put_latency(&w, "latency_us", &b->latency);
    return meter_end(&w);
}

int blocked_run(const struct options *o)
{
    int rc = -1;
    struct meter m;
    struct blocked *b = calloc(1, sizeof *b);
    if (!b)
        return -1;
    b->o = o;
    b->crowd = (struct crowd){
        .options = o, .n_robots = o->robots, .n_websites = o->websites + 1, .website = on_website, .user = b};
    hist_init(&b->latency);
    meter_start(&m, o);
    if (crowd_connect(&b->crowd))
        goto out;
    for (unsigned i = 0; i < o->websites; i++)
        net_ignore(b->crowd.websites[i]);
    b->sched = sched_create(o->robots, o->hz, clock_mono_ns());
    if (!b->sched)
        goto out;
    drive(b, clock_mono_ns() + (int64_t)(o->seconds * 1e9));
    meter_stop(&m);
    int64_t limit = clock_mono_ns() + DRAIN_NS;
    while (b->served < b->sent && clock_mono_ns() < limit)
        net_wait(b->crowd.net, limit);
    rc = report(b, &m);
out:
    crowd_finish(&b->crowd);
    sched_destroy(b->sched);
    free(b);
    return rc;
}
