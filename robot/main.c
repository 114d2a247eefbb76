/* telerelay-robot: arguments, the parts and their wires, signals. */
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "robot/agent.h"
#include "robot/hal_sim.h"
#include "robot/latch.h"
#include "robot/link.h"
#include "robot/outputs.h"
#include "robot/spool.h"
#include "robot/trace.h"
#include "robot/url.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM      "telerelay-robot"
#define MEMORY_BYTES (256 * 1024) /* for samples that wait, without a spool directory: a thousand or so */
#define EXIT_MS      1500         /* from SIGTERM until the program ends, even when the main loop hangs (a resolver) */

struct robot {
    struct conf conf;
    int argc;
    char **argv;
    struct url url;
    struct trace *trace;
    int spool; /* holds the spool directory; -1 without one */
    struct spool *samples;
    struct latch latch; /* as it was at the start */
    void *hal;
    struct outputs *outputs;
    struct agent *agent;
    struct link *link;
    pthread_t signals;
    atomic_bool reload;
};

static const struct hal_driver *find_driver(const char *name)
{
    static const struct hal_driver *const drivers[] = {&hal_sim_driver};

    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}

/* FNV-1a: simulated robots of different names show different numbers, the same at each start. */
static uint64_t seed_of(const char *device_id)
{
    uint64_t h = 0xcbf29ce484222325ULL;

    for (; *device_id; device_id++)
        h = (h ^ (unsigned char)*device_id) * 0x100000001b3ULL;
    return h;
}

static int64_t interval_ms(const struct robot *r)
{
    return (int64_t)(r->conf.robot.interval * 1000);
}

/* --- wires between link and agent ------------------------------------------------------------- */

static void on_opened(void *ctx)
{
    struct robot *r = ctx;

    agent_opened(r->agent, clock_mono_ms());
}

static void on_message(void *ctx, const char *text, size_t len)
{
    struct robot *r = ctx;

    agent_message(r->agent, text, len, clock_mono_ms());
}

static void log_stats(const struct robot *r)
{
    struct agent_stats s = agent_stats(r->agent);

    struct spool_stats waits = spool_stats(r->samples);

    log_info("telemetry_count", log_int("sent", (int64_t)s.telemetry.sent),
             log_int("acked", (int64_t)s.telemetry.acked), log_int("refused", (int64_t)s.telemetry.refused),
             log_int("late", (int64_t)s.telemetry.late), log_int("waiting", (int64_t)waits.waiting),
             log_int("pushed_out", (int64_t)waits.pushed), log_int("dropped", (int64_t)s.telemetry.dropped),
             log_int("trace_lost", (int64_t)trace_lost(r->trace)));
}

static void on_closed(void *ctx)
{
    struct robot *r = ctx;

    agent_closed(r->agent, clock_mono_ms());
    log_stats(r);
}

static void reload(struct robot *r)
{
    if (conf_reload(&r->conf, PROGRAM, "robot", r->argc, r->argv, stderr) != 0) {
        log_warn("reload_failed");
        return;
    }
    log_set_level(r->conf.robot.log_level);
    agent_set_interval(r->agent, interval_ms(r));
    log_info("reloaded");
}

static void on_tick(void *ctx)
{
    struct robot *r = ctx;

    if (atomic_exchange(&r->reload, false))
        reload(r);
    agent_tick(r->agent, clock_mono_ms());
}

static int send_message(void *ctx, enum sendq_lane lane, const char *text, size_t len)
{
    struct robot *r = ctx;

    return link_send(r->link, lane, text, len);
}

static int store_latch(void *ctx, const struct latch *latch)
{
    const struct robot *r = ctx;
    char err[CONF_PATH_MAX + 128];

    if (latch_store(r->conf.robot.spool, latch, err, sizeof(err)) == 0)
        return 0;
    log_error("latch_not_stored", log_str("reason", err), log_bool("stopped", latch->stopped));
    return -1;
}

/* --- signals ---------------------------------------------------------------------------------- */

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

/*
 * A thread of its own, so that SIGTERM stops the motors also while the main loop hangs. It ends by
 * pthread_cancel, for which sigwait and sigtimedwait are the places.
 */
static void *signals_main(void *arg)
{
    struct robot *r = arg;
    sigset_t set;
    int sig = 0;

    watched_signals(&set);
    while (sigwait(&set, &sig) == 0 && sig == SIGHUP)
        atomic_store(&r->reload, true);
    outputs_halt(r->outputs);
    link_stop(r->link);

    int64_t end = clock_mono_ms() + EXIT_MS, left;

    while ((left = end - clock_mono_ms()) > 0) {
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};

        sigtimedwait(&set, NULL, &wait); /* a second SIGTERM changes nothing */
    }
    log_warn("exit", log_str("msg", "The main loop hangs: not waiting for it"));
    _exit(0);
}

/* --- setting up ------------------------------------------------------------------------------- */

static int complain(const char *what, const char *why)
{
    log_error("start_failed", log_str("part", what), log_str("reason", why));
    return -1;
}

/* Numbers that mean nothing to those who knew the last run. */
static int64_t first_heartbeat(void)
{
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint64_t)clock_wall_us();
    return (int64_t)(random >> 12); /* below 2^52 */
}

static int open_latch(struct robot *r)
{
    const char *spool = r->conf.robot.spool;
    char err[CONF_PATH_MAX + 256];

    r->latch.seq = -1;
    if (spool[0] == '\0') {
        log_warn("no_spool", log_str("msg", "Without a spool directory a stop does not outlive this program"));
        return 0;
    }
    r->spool = latch_open(spool, err, sizeof(err));
    if (r->spool < 0)
        return complain("spool", err);
    if (latch_load(spool, &r->latch, err, sizeof(err)) != 0)
        log_error("latch_unreadable", log_str("msg", "This counts as stopped"), log_str("reason", err));
    return 0;
}

static int open_samples(struct robot *r)
{
    const struct conf_robot *c = &r->conf.robot;
    char err[CONF_PATH_MAX + 128];

    r->samples = spool_create(c->spool, c->spool[0] != '\0' ? (size_t)c->spool_bytes : MEMORY_BYTES, err, sizeof(err));
    if (!r->samples)
        return complain("spool", err);
    struct spool_stats s = spool_stats(r->samples);

    if (s.damaged > 0)
        log_error("spool_damaged", log_str("msg", "Lines that could not be read are skipped"),
                  log_int("lines", (int64_t)s.damaged));
    if (s.waiting > 0)
        log_info("spool_found", log_str("msg", "Samples of the last run wait"), log_int("samples", (int64_t)s.waiting));
    return 0;
}

static int open_outputs(struct robot *r)
{
    const struct conf_robot *c = &r->conf.robot;
    const struct hal_driver *driver = find_driver(c->driver);
    char err[256] = "no such driver";

    if (c->trace[0] != '\0') {
        r->trace = trace_create(c->trace, err, sizeof(err));
        if (!r->trace)
            return complain("trace", err);
    }
    if (driver)
        r->hal = driver->open(seed_of(c->device_id), err, sizeof(err));
    if (!r->hal)
        return complain("driver", err);
    struct outputs_config config = {
        .driver = driver,
        .hal = r->hal,
        .trace = r->trace,
        .deadman_ms = c->deadman_ms,
        .watchdog_ms = c->watchdog_ms,
        .fresh_ms = c->fresh_ms,
        .require_fresh = c->require_fresh,
        .first_hb = first_heartbeat(),
        .latch = {.stopped = r->latch.stopped, .seq = r->latch.seq},
    };

    r->outputs = outputs_create(&config, err, sizeof(err));
    return r->outputs ? 0 : complain("outputs", err);
}

static int open_agent_and_link(struct robot *r)
{
    const struct conf_robot *c = &r->conf.robot;
    char err[256];
    struct agent_config agent = {
        .device_id = c->device_id,
        .device_name = c->device_name[0] != '\0' ? c->device_name : NULL,
        .driver = find_driver(c->driver),
        .hal = r->hal,
        .outputs = r->outputs,
        .spool = r->samples,
        .interval_ms = interval_ms(r),
        .heartbeat_ms = c->heartbeat_ms,
        .latch = r->latch,
        .store_latch = c->spool[0] != '\0' ? store_latch : NULL,
        .deadman_ms = c->deadman_ms,
        .send = send_message,
        .ctx = r,
    };
    struct link_config link = {
        .url = r->url,
        .ca = c->ca,
        .token_file = c->token_file,
        .events = {.ctx = r, .opened = on_opened, .message = on_message, .closed = on_closed, .tick = on_tick},
    };

    r->agent = agent_create(&agent);
    if (!r->agent)
        return complain("agent", "out of memory");
    r->link = link_create(&link, err, sizeof(err));
    return r->link ? 0 : complain("link", err);
}

static void close_all(struct robot *r)
{
    link_destroy(r->link); /* may still tell the agent of a connection that ends, and the agent the outputs */
    agent_destroy(r->agent);
    spool_destroy(r->samples);
    outputs_destroy(r->outputs);
    if (r->hal)
        find_driver(r->conf.robot.driver)->close(r->hal);
    trace_destroy(r->trace);
    if (r->spool >= 0)
        close(r->spool);
}

/* Runs until SIGTERM. Returns 0, or -1 when a part could not be set up or the loop failed. */
static int run(struct robot *r)
{
    const struct conf_robot *c = &r->conf.robot;
    int rc;

    /* The outputs before the samples: what a crash has left turning rests before a large spool is read. */
    if (open_latch(r) != 0 || open_outputs(r) != 0 || open_samples(r) != 0 || open_agent_and_link(r) != 0)
        return -1;
    log_info("started", log_str("device_id", c->device_id), log_str("driver", c->driver), log_str("url", c->url),
             log_int("deadman_ms", c->deadman_ms), log_int("watchdog_ms", c->watchdog_ms), log_int("speed", 100),
             log_bool("stopped", r->latch.stopped), log_bool("realtime", outputs_realtime(r->outputs)));
    if (r->latch.stopped)
        log_warn("starts_stopped", log_str("msg", "Nothing moves until it is re-armed"), log_str("by", r->latch.by));
    if (c->token_file[0] != '\0' && !r->url.tls && !url_is_local(&r->url))
        log_warn("token_in_clear", log_str("msg", "The token travels unencrypted: use a wss:// URL"));
    rc = pthread_create(&r->signals, NULL, signals_main, r);
    if (rc != 0)
        return complain("signals", strerror(rc));
    rc = link_run(r->link);
    outputs_halt(r->outputs);
    pthread_cancel(r->signals);
    pthread_join(r->signals, NULL);
    if (rc != 0)
        log_error("loop_failed");
    log_info("ended");
    return rc;
}

int main(int argc, char **argv)
{
    static struct robot r = {.spool = -1};
    enum conf_result result;
    char err[128];
    sigset_t set;
    int rc;

    r.argc = argc;
    r.argv = argv;
    result = conf_load(&r.conf, PROGRAM, "robot", argc, argv, stdout, stderr);
    if (result != CONF_RUN)
        return conf_exit_code(result);
    log_init(PROGRAM, r.conf.robot.device_id, r.conf.robot.log_level);
    if (url_parse(&r.url, r.conf.robot.url, r.conf.robot.device_id, err, sizeof(err)) != 0) {
        fprintf(stderr, "%s: url \"%s\": %s\n", PROGRAM, r.conf.robot.url, err);
        return conf_exit_code(CONF_USAGE);
    }
    signal(SIGPIPE, SIG_IGN);
    /* Before any thread is there, so that all of them leave the signals to the one that waits for them. */
    watched_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    rc = run(&r);
    close_all(&r);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
