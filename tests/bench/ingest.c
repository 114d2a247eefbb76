#include "tests/bench/crowd.h"
#include "tests/bench/meter.h"
#include "tests/bench/scenario.h"
#include "tests/bench/store.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define DRAIN_NS   INT64_C(5000000000)
#define SENT_TIMES 65536u /* of the newest messages of a robot; a power of two */
#define BEAT_NS    INT64_C(200000000)
#define ERRORS_MAX 1000 /* refused messages until a run is given up */

struct robot {
    uint64_t sent, acked;
    int64_t *times; /* SENT_TIMES send times, ns, by number modulo SENT_TIMES */
};

struct website {
    uint64_t updates; /* while the meter ran */
    int64_t last_ns;  /* when the newest of them came */
    int64_t gap_ns;   /* the longest silence */
};

struct ingest {
    const struct options *o;
    struct crowd crowd;
    struct meter meter;
    struct robot *robots;
    struct website *websites;
    bool sending;
    uint64_t acks;             /* while the meter ran */
    uint64_t errors;           /* messages of robots that were refused */
    uint64_t moves;            /* sent by the website that drives, */
    uint64_t moves_measured;   /* while the meter ran; */
    uint64_t applied, dropped; /* what it heard of them: robots did it; they or their relay did not */
    uint64_t driver_errors;    /* messages of its own that were refused */
    int64_t drive_ns, beat_ns; /* when the next moves and heartbeats are due */
    uint64_t hb;
    struct hist ack, update;
};

static bool measuring(const struct ingest *g)
{
    return g->meter.started && !g->meter.stopped;
}

static void send_one(struct ingest *g, unsigned i)
{
    char text[DIALECT_TEXT_MAX];
    struct robot *r = &g->robots[i];
    r->times[r->sent % SENT_TIMES] = clock_mono_ns();
    size_t len = dialect_telemetry(text, g->o->dialect, i, r->sent);
    if (net_send(g->crowd.robots[i], text, len) == 0)
        r->sent++;
}

static void on_robot(void *user, unsigned i, const char *data, size_t len, int64_t now_ns)
{
    struct ingest *g = user;
    struct robot *r = &g->robots[i];
    if (dialect_is_error(data, len)) {
        if (g->errors++ == 0)
            fprintf(stderr, "telerelay-bench: a robot got %.*s\n", (int)(len < 200 ? len : 200), data);
        if (g->errors > ERRORS_MAX)
            g->sending = false;
    } else if (g->o->drive_hz > 0 && dialect_is_move(data, len)) {
        char text[DIALECT_TEXT_MAX];
        size_t n = g->o->safe ? dialect_answer(text, data, len) : 0;
        if (n > 0)
            net_send(g->crowd.robots[i], text, n);
        return;
    } else if (!dialect_is_ack(data, len) || r->acked == r->sent) {
        return;
    } else {
        int64_t sent_at = r->times[r->acked % SENT_TIMES];
        r->acked++;
        if (measuring(g)) {
            g->acks++;
            hist_record(&g->ack, now_ns - sent_at);
        }
    }
    if (g->sending)
        send_one(g, i);
}

/* The website after those that listen. */
static void on_driver(struct ingest *g, const char *data, size_t len)
{
    bool applied;
    if (dialect_is_receipt(data, len, &applied))
        *(applied ? &g->applied : &g->dropped) += 1;
    else if (dialect_is_error(data, len) && g->driver_errors++ == 0)
        fprintf(stderr, "telerelay-bench: the driving website got %.*s\n", (int)(len < 200 ? len : 200), data);
}

static void on_website(void *user, unsigned i, const char *data, size_t len, int64_t now_ns)
{
    struct ingest *g = user;
    struct website *w = &g->websites[i];
    unsigned robot;
    uint64_t seq;
    if (i == g->o->websites)
        on_driver(g, data, len);
    if (i == g->o->websites || !measuring(g) || !dialect_is_telemetry(data, len, &robot, &seq) || robot >= g->o->robots)
        return;
    const struct robot *r = &g->robots[robot];
    if (seq >= r->sent || r->sent - seq > SENT_TIMES)
        return;
    int64_t since = w->last_ns ? w->last_ns : g->meter.t0;
    if (now_ns - since > w->gap_ns)
        w->gap_ns = now_ns - since;
    w->last_ns = now_ns;
    w->updates++;
    hist_record(&g->update, now_ns - r->times[seq % SENT_TIMES]);
}

static void drive_robots(struct ingest *g, int64_t now)
{
    char text[DIALECT_TEXT_MAX];
    if (g->o->safe && now >= g->beat_ns) {
        g->beat_ns = now + BEAT_NS;
        g->hb++;
        for (unsigned i = 0; i < g->o->robots; i++)
            net_send(g->crowd.robots[i], text, dialect_heartbeat(text, g->hb));
    }
    if (now < g->drive_ns)
        return;
    g->drive_ns = now + (int64_t)(1e9 / g->o->drive_hz);
    for (unsigned i = 0; i < g->o->robots; i++) {
        size_t len = dialect_move(text, i, g->moves + 1, g->o->safe, g->hb);
        if (net_send(g->crowd.websites[g->o->websites], text, len) != 0)
            continue;
        g->moves++;
        g->moves_measured += measuring(g);
    }
}

/* As crowd_run(), and drives the robots meanwhile. */
static void run(struct ingest *g, int64_t until_ns)
{
    if (g->o->drive_hz <= 0) {
        crowd_run(&g->crowd, until_ns);
        return;
    }
    for (int64_t now = clock_mono_ns(); now < until_ns; now = clock_mono_ns()) {
        drive_robots(g, now);
        int64_t next = g->o->safe && g->beat_ns < g->drive_ns ? g->beat_ns : g->drive_ns;
        net_wait(g->crowd.net, next < until_ns ? next : until_ns);
    }
}

static uint64_t unacked(const struct ingest *g)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < g->o->robots; i++)
        n += g->robots[i].sent - g->robots[i].acked;
    return n - (g->errors < n ? g->errors : n);
}

/* Moves that nobody has said anything about. Less than none: too much was said. */
static int64_t without_receipt(const struct ingest *g)
{
    return g->o->safe ? (int64_t)(g->moves - g->driver_errors - g->applied - g->dropped) : 0;
}

static void drive(struct ingest *g)
{
    g->sending = true;
    for (unsigned i = 0; i < g->o->robots; i++)
        for (unsigned k = 0; k < g->o->outstanding; k++)
            send_one(g, i);
    run(g, clock_mono_ns() + (int64_t)(g->o->warmup * 1e9));
    meter_start(&g->meter, g->o);
    run(g, g->meter.t0 + (int64_t)(g->o->seconds * 1e9));
    meter_stop(&g->meter);
    g->sending = false;
    int64_t limit = clock_mono_ns() + DRAIN_NS;
    while ((unacked(g) || without_receipt(g) > 0) && clock_mono_ns() < limit)
        net_wait(g->crowd.net, limit);
}

static void put_websites(struct jsonw *w, const struct ingest *g)
{
    uint64_t least = UINT64_MAX, most = 0;
    int64_t gap = 0;
    if (!g->o->websites)
        return;
    for (unsigned i = 0; i < g->o->websites; i++) {
        const struct website *one = &g->websites[i];
        int64_t last = one->last_ns ? one->last_ns : g->meter.t0;
        int64_t silence = g->meter.t1 - last > one->gap_ns ? g->meter.t1 - last : one->gap_ns;
        least = one->updates < least ? one->updates : least;
        most = one->updates > most ? one->updates : most;
        gap = silence > gap ? silence : gap;
    }
    jsonw_kv_int(w, "updates_least", (int64_t)least);
    jsonw_kv_int(w, "updates_most", (int64_t)most);
    jsonw_kv_int(w, "longest_gap_ms", gap / 1000000);
    meter_put_latency(w, "update_us", &g->update);
}

static int report(const struct ingest *g)
{
    char buf[METER_REPORT_MAX];
    struct jsonw w;
    uint64_t acked = 0;
    for (unsigned i = 0; i < g->o->robots; i++)
        acked += g->robots[i].acked;
    meter_begin(&w, buf, "ingest");
    jsonw_kv_int(&w, "robots", g->o->robots);
    jsonw_kv_int(&w, "outstanding", g->o->outstanding);
    jsonw_kv_int(&w, "websites", g->o->websites);
    jsonw_kv_int(&w, "acked", (int64_t)g->acks);
    jsonw_kv_int(&w, "per_second", (int64_t)((double)g->acks / meter_seconds(&g->meter)));
    jsonw_kv_int(&w, "unacked", (int64_t)unacked(g));
    jsonw_kv_int(&w, "errors", (int64_t)g->errors);
    jsonw_kv_int(&w, "closed", g->crowd.closed);
    if (g->o->drive_hz > 0) {
        jsonw_kv_int(&w, "moves", (int64_t)g->moves);
        jsonw_kv_int(&w, "applied", (int64_t)g->applied);
        jsonw_kv_int(&w, "dropped", (int64_t)g->dropped);
        jsonw_kv_int(&w, "without_receipt", without_receipt(g));
        jsonw_kv_int(&w, "driver_errors", (int64_t)g->driver_errors);
    }
    if (g->o->redis) {
        int64_t stored = store_count(g->o->redis, g->o->prefix, g->o->robots);
        jsonw_kv_int(&w, "acked_in_all", (int64_t)acked);
        jsonw_kv_int(&w, "stored", stored);
    }
    meter_put_cpu(&w, &g->meter, (double)(g->o->outstanding ? g->acks : g->moves_measured));
    meter_put_latency(&w, "ack_us", &g->ack);
    put_websites(&w, g);
    return meter_end(&w);
}

static int allocate(struct ingest *g)
{
    g->robots = calloc(g->o->robots, sizeof *g->robots);
    g->websites = calloc(g->o->websites + 1, sizeof *g->websites);
    if (!g->robots || !g->websites)
        return -1;
    for (unsigned i = 0; i < g->o->robots; i++) {
        g->robots[i].times = calloc(SENT_TIMES, sizeof *g->robots[i].times);
        if (!g->robots[i].times)
            return -1;
    }
    return 0;
}

int ingest_run(const struct options *o)
{
    int rc = -1;
    struct ingest *g = calloc(1, sizeof *g);
    if (!g)
        return -1;
    g->o = o;
    g->crowd = (struct crowd){.options = o,
                              .n_robots = o->robots,
                              .n_websites = o->websites + (o->drive_hz > 0),
                              .robot = on_robot,
                              .website = on_website,
                              .user = g};
    hist_init(&g->ack);
    hist_init(&g->update);
    if (allocate(g))
        goto out;
    if (o->redis && store_forget(o->redis, o->prefix, o->robots))
        goto out;
    if (crowd_connect(&g->crowd))
        goto out;
    drive(g);
    rc = report(g);
out:
    crowd_finish(&g->crowd);
    for (unsigned i = 0; g->robots && i < o->robots; i++)
        free(g->robots[i].times);
    free(g->robots);
    free(g->websites);
    free(g);
    return rc;
}
