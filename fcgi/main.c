/*
 * telerelay-api: history, audit, devices and health over FastCGI. This file reads the configuration, keeps the
 * workers running (supervisor.c) and is one worker's loop; what is answered is handler.c's.
 */
#include "fcgi/handler.h"
#include "fcgi/listener.h"
#include "fcgi/supervisor.h"

#include "common/conf.h"
#include "common/log.h"

#include <fcgiapp.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROGRAM "telerelay-api"
#define SECTION "api"

struct api {
    struct conf conf;
    int argc;
    char **argv;
    struct listener listener;
    struct stats *stats;
    struct slots *slots;
};

/* --- a worker ------------------------------------------------------------------------------------ */

static volatile sig_atomic_t told_to_end;

static void on_term(int sig)
{
    (void)sig;
    told_to_end = 1;
}

/* One request took too long, wherever it hangs: the parent says so and starts another worker. */
static void on_alarm(int sig)
{
    (void)sig;
    _exit(SUPERVISOR_TIMEOUT_EXIT);
}

static void set_handler(int sig, void (*handler)(int))
{
    struct sigaction sa = {.sa_handler = handler};
    sigemptyset(&sa.sa_mask);
    sigaction(sig, &sa, NULL);
}

static int put_bytes(void *out, const char *bytes, size_t len)
{
    while (len > 0) {
        int part = len > 1 << 20 ? 1 << 20 : (int)len;
        if (FCGX_PutStr(bytes, part, out) != part || FCGX_GetError(out) != 0)
            return -1;
        bytes += part;
        len -= (size_t)part;
    }
    return 0;
}

static void serve(struct context *ctx, struct request *req, struct reply *reply, FCGX_Request *fcgx)
{
    request_read(req, fcgx->envp);
    reply_begin(reply, req->method == REQUEST_HEAD, put_bytes, fcgx->out);
    handler_serve(ctx, req, reply);
}

/*
 * An answer that was cut short must not look like a whole one: nobody says that it is at its end. For web servers to
 * which a closed connection is an end (nginx without fastcgi_keep_conn), what follows is no FastCGI.
 */
static void cut(FCGX_Request *fcgx)
{
    static const char no_record[8] = "";
    FCGX_FFlush(fcgx->out);
    if (send(fcgx->ipcFd, no_record, sizeof(no_record), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("cut", log_str("reason", strerror(errno)));
}

/*
 * Accepts and answers one request, all within request_s. The listening socket does not block: another
 * worker may have been faster. The connection is closed whatever the peer wanted, for one that stays
 * open would hold a worker while it is idle.
 */
static void accept_one(const struct api *api, struct context *ctx, struct request *req, struct reply *reply,
                       FCGX_Request *fcgx)
{
    alarm((unsigned)api->conf.api.request_s);
    int rc = FCGX_Accept_r(fcgx);
    if (rc == 0)
        serve(ctx, req, reply, fcgx);
    if (rc == 0 && reply->gone)
        cut(fcgx);
    else
        FCGX_Finish_r(fcgx);
    FCGX_Free(fcgx, 1);
    alarm(0);
    if (rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM) {
        log_error("accept_failed", log_str("reason", strerror(-rc)));
        poll(NULL, 0, 100);
    }
}

/* SIGTERM stays blocked but for the wait, so that it neither cuts a request short nor gets lost. */
static int wait_for_request(int epoll_fd)
{
    struct epoll_event event;
    sigset_t none;
    sigemptyset(&none);
    return epoll_pwait(epoll_fd, &event, 1, -1, &none);
}

static int work(void *arg)
{
    struct api *api = arg;
    struct context ctx;
    struct reply reply;
    FCGX_Request fcgx;
    int rc = 1, epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE}; /* one request wakes one worker */
    struct request *req = malloc(sizeof(*req));

    reply_init(&reply);
    if (handler_init(&ctx, &api->conf, api->stats, api->slots) < 0 || !req || epoll_fd < 0 || FCGX_Init() != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, api->listener.fd, &event) < 0) {
        log_error("worker_failed", log_str("reason", strerror(errno)));
        goto done;
    }
    FCGX_InitRequest(&fcgx, api->listener.fd, FCGI_FAIL_ACCEPT_ON_INTR);
    set_handler(SIGTERM, on_term);
    set_handler(SIGINT, SIG_IGN);
    set_handler(SIGHUP, SIG_IGN);
    set_handler(SIGUSR1, SIG_IGN); /* libfcgi would refuse to accept from then on */
    set_handler(SIGALRM, on_alarm);
    while (!told_to_end) {
        if (wait_for_request(epoll_fd) > 0)
            accept_one(api, &ctx, req, &reply, &fcgx);
    }
    rc = 0;
done:
    handler_finish(&ctx);
    reply_destroy(&reply);
    free(req);
    if (epoll_fd >= 0)
        close(epoll_fd);
    return rc;
}

/* --- the parent ---------------------------------------------------------------------------------- */

static int reload(void *arg)
{
    struct api *api = arg;
    if (conf_reload(&api->conf, PROGRAM, SECTION, api->argc, api->argv, stderr) < 0) {
        log_error("reload_failed");
        return -1;
    }
    log_set_level(api->conf.api.log_level);
    stats_set_workers(api->stats, api->conf.api.workers);
    log_info("reloaded", log_int("workers", api->conf.api.workers));
    return api->conf.api.workers;
}

static void died(void *arg)
{
    stats_count_restart(((struct api *)arg)->stats);
}

int main(int argc, char **argv)
{
    static struct api api;
    char why[CONF_ADDRESS_MAX + 128];
    api.argc = argc;
    api.argv = argv;
    enum conf_result result = conf_load(&api.conf, PROGRAM, SECTION, argc, argv, stdout, stderr);
    if (result != CONF_RUN)
        return conf_exit_code(result);
    log_init(PROGRAM, NULL, api.conf.api.log_level);

    /* libfcgi waits 2 s by default for a peer that says nothing, before a request and after it. On a busy machine nginx
     * may be held up between connecting and asking: what it asks of a connection that was closed is a 502. */
    setenv("LIBFCGI_IS_AF_UNIX_KEEPER_POLL_TIMEOUT", "500", 1);
    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "100", 1);
    signal(SIGPIPE, SIG_IGN);
    supervisor_prepare();

    if (listener_open(&api.listener, api.conf.api.listen, why, sizeof(why)) < 0) {
        log_error("listen_failed", log_str("reason", why));
        return 1;
    }
    int rc = 1;
    api.stats = stats_create();
    api.slots = slots_create();
    if (!api.stats || !api.slots) {
        log_error("start_failed", log_str("reason", strerror(errno)));
        goto done;
    }
    stats_set_workers(api.stats, api.conf.api.workers);
    log_info("started", log_str("listen", api.listener.inherited ? "inherited" : api.conf.api.listen),
             log_int("workers", api.conf.api.workers));

    const struct supervisor_hooks hooks = {.work = work, .reload = reload, .died = died, .arg = &api};
    rc = supervisor_run(api.conf.api.workers, &hooks);
    log_info("stopped");
done:
    listener_close(&api.listener);
    stats_destroy(api.stats);
    slots_destroy(api.slots);
    return rc;
}
