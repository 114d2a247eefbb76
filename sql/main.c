/*
 * telerelay-archiver: moves what the relays leave in Redis into the archive. This file reads the configuration and
 * minds the signals; archiver.c works.
 */
#include "sql/archiver.h"

#include "common/log.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PROGRAM "telerelay-archiver"
#define SECTION "archive"

struct daemon {
    struct conf conf;
    int argc;
    char **argv;
    struct archiver *archiver;
};

static volatile sig_atomic_t told_to_end, told_to_reload;

static void on_signal(int sig)
{
    if (sig == SIGHUP)
        told_to_reload = 1;
    else
        told_to_end = 1;
}

/* Signals are blocked but while this waits, so that none cuts a transaction short or gets lost. */
static void mind_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction sa = {.sa_handler = on_signal};
    sigset_t blocked;
    sigemptyset(&sa.sa_mask);
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &sa, NULL);
        sigaddset(&blocked, signals[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void reload(struct daemon *d)
{
    told_to_reload = 0;
    if (conf_reload(&d->conf, PROGRAM, SECTION, d->argc, d->argv, stderr) < 0) {
        log_error("reload_failed", log_str("file", d->conf.file));
        return;
    }
    log_set_level(d->conf.archive.log_level);
    archiver_reload(d->archiver);
    log_info("reloaded", log_str("file", d->conf.file));
}

static bool pause_for(void *ctx, int ms)
{
    struct daemon *d = ctx;
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    sigset_t none;
    sigemptyset(&none);
    ppoll(NULL, 0, &limit, &none);
    if (told_to_reload)
        reload(d);
    return told_to_end;
}

int main(int argc, char **argv)
{
    static struct daemon d;
    d.argc = argc;
    d.argv = argv;
    enum conf_result result = conf_load(&d.conf, PROGRAM, SECTION, argc, argv, stdout, stderr);
    if (result != CONF_RUN)
        return conf_exit_code(result);
    if (d.conf.archive.database[0] == '\0') {
        fprintf(stderr,
                "%s: [archive] database is empty, so there is nowhere to archive to; set it to sqlite:/path or "
                "postgresql://…\n",
                PROGRAM);
        return 2;
    }
    log_init(PROGRAM, NULL, d.conf.archive.log_level);
    mind_signals();
    d.archiver = archiver_create(&d.conf, pause_for, &d);
    if (!d.archiver) {
        log_error("start_failed", log_str("reason", "out of memory"));
        return 1;
    }
    log_info("started");
    archiver_run(d.archiver);
    archiver_destroy(d.archiver);
    log_info("stopped");
    return 0;
}
