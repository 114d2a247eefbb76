/* telerelay-wsd: arguments, the loop, and the end. Everything else is in the files that it wires. */
#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "wsd/bus.h"
#include "wsd/hub.h"
#include "wsd/metrics.h"
#include "wsd/ws.h"

#include <ev.h>
#include <libwebsockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM       "telerelay-wsd"
#define METRICS_MAX   16384u
#define LWS_LOG_PER_S 10

struct daemon {
    struct conf conf;
    int argc;
    char **argv;
    struct metrics metrics;
    struct ev_loop *loop;
    struct ws *ws;
    struct hub *hub;
    struct bus *bus;
    int64_t drain_by_ms; /* 0: running */
};

static void on_terminate(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)loop;
    (void)revents;
    struct daemon *d = w->data;
    if (d->drain_by_ms != 0)
        return;
    log_info("draining", log_int("connections", ws_connections(d->ws)));
    d->drain_by_ms = clock_mono_ms() + d->conf.wsd.drain_ms;
    ws_drain(d->ws);
}

static void on_reload(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)loop;
    (void)revents;
    struct daemon *d = w->data;
    if (conf_reload(&d->conf, PROGRAM, "wsd", d->argc, d->argv, stderr) == 0) {
        log_set_level(d->conf.wsd.log_level);
        log_info("reloaded", log_str("file", d->conf.file));
    } else {
        log_error("reload_failed", log_str("file", d->conf.file));
    }
}

static void on_second(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct daemon *d = w->data;
    static char text[METRICS_MAX];
    struct metrics_gauges gauges;
    hub_tick(d->hub);
    hub_gauges(d->hub, &gauges);
    size_t len = metrics_render(text, sizeof(text), d->conf.wsd.name, &d->metrics, &gauges);
    bus_put_metrics(d->bus, text, len);
}

static void on_watch(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct daemon *d = w->data;
    hub_watch(d->hub);
}

static void on_drain_check(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)revents;
    struct daemon *d = w->data;
    if (d->drain_by_ms != 0 && (hub_empty(d->hub) || clock_mono_ms() >= d->drain_by_ms))
        ev_break(loop, EVBREAK_ALL);
}

/* Before the loop blocks: send what its events have produced, each connection's part in one go. */
static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop;
    (void)revents;
    struct daemon *d = w->data;
    bus_flush(d->bus);
    ws_flush(d->ws);
    bus_flush(d->bus); /* what became of commands that were too old to be sent */
}

static void run(struct daemon *d)
{
    ev_signal term, interrupt, hup;
    ev_timer second, drain, watch;
    ev_prepare prepare;
    ev_signal_init(&term, on_terminate, SIGTERM);
    ev_signal_init(&interrupt, on_terminate, SIGINT);
    ev_signal_init(&hup, on_reload, SIGHUP);
    ev_timer_init(&second, on_second, 0.5, 1.);
    ev_timer_init(&drain, on_drain_check, 0.05, 0.05);
    ev_timer_init(&watch, on_watch, HUB_WATCH_MS / 1000., HUB_WATCH_MS / 1000.);
    ev_prepare_init(&prepare, on_prepare);
    term.data = interrupt.data = hup.data = second.data = drain.data = watch.data = prepare.data = d;
    ev_signal_start(d->loop, &term);
    ev_signal_start(d->loop, &interrupt);
    ev_signal_start(d->loop, &hup);
    ev_timer_start(d->loop, &second);
    ev_timer_start(d->loop, &drain);
    ev_timer_start(d->loop, &watch);
    ev_prepare_start(d->loop, &prepare);
    ev_run(d->loop, 0);
    ev_signal_stop(d->loop, &term);
    ev_signal_stop(d->loop, &interrupt);
    ev_signal_stop(d->loop, &hup);
    ev_timer_stop(d->loop, &second);
    ev_timer_stop(d->loop, &drain);
    ev_timer_stop(d->loop, &watch);
    ev_prepare_stop(d->loop, &prepare);
}

/* libwebsockets' own log: warnings and errors, a few per second at most. */
static void on_lws_log(int level, const char *line)
{
    static int64_t second;
    static int lines;
    int64_t now = clock_mono_ms() / 1000;
    if (now != second) {
        second = now;
        lines = 0;
    }
    if (lines++ >= LWS_LOG_PER_S)
        return;
    char text[200];
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
    if (level == LLL_ERR)
        log_error("libwebsockets", log_str("text", text));
    else
        log_warn("libwebsockets", log_str("text", text));
}

static int start(struct daemon *d)
{
    char why[256] = "out of memory";
    d->loop = ev_default_loop(EVFLAG_NOSIGMASK);
    d->hub = hub_create(&d->conf, &d->metrics);
    if (d->loop == NULL || d->hub == NULL)
        goto fail;
    d->bus = bus_create(d->loop, &d->conf, &hub_bus_handlers, d->hub);
    if (d->bus == NULL) {
        snprintf(why, sizeof(why), "cannot prepare the connection to Redis");
        goto fail;
    }
    d->ws = ws_create(d->loop, &d->conf, &d->metrics, d->hub, why, sizeof(why));
    if (d->ws == NULL)
        goto fail;
    hub_connect(d->hub, d->ws, d->bus);
    log_info("listening", log_str("address", d->conf.wsd.listen));
    return 0;
fail:
    log_error("start_failed", log_str("why", why));
    return -1;
}

int main(int argc, char **argv)
{
    static struct daemon d;
    enum conf_result result = conf_load(&d.conf, PROGRAM, "wsd", argc, argv, stdout, stderr);
    if (result != CONF_RUN)
        return conf_exit_code(result);
    d.argc = argc;
    d.argv = argv;
    log_init(PROGRAM, d.conf.wsd.name, d.conf.wsd.log_level);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    signal(SIGPIPE, SIG_IGN);
    int rc = start(&d);
    if (rc == 0) {
        run(&d);
        log_info("stopped");
    }
    ws_destroy(d.ws);
    bus_destroy(d.bus);
    hub_destroy(d.hub);
    if (d.loop != NULL)
        ev_loop_destroy(d.loop);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
