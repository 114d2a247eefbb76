#include "fcgi/supervisor.h"

#include "common/clock.h"
#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX   (3 * SUPERVISOR_WORKERS_MAX) /* with those that are leaving */
#define SHORT_LIFE_MS  1000
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

struct child {
    pid_t pid;
    int64_t started_ms; /* monotonic */
    bool leaving;       /* was told to end … */
    int64_t kill_at_ms; /* … until then */
};

struct supervisor {
    const struct supervisor_hooks *hooks;
    int wanted;
    bool ending;
    struct child children[CHILDREN_MAX];
    int n;
    int64_t start_at_ms; /* no new worker before */
    int64_t backoff_ms;
};

static sigset_t handled_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    return set;
}

static int active(const struct supervisor *s)
{
    int n = 0;
    for (int i = 0; i < s->n; i++)
        n += !s->children[i].leaving;
    return n;
}

static void start_one(struct supervisor *s, int64_t now_ms)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        /* A parent that is killed takes its workers along. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
            _exit(1);
        exit(s->hooks->work(s->hooks->arg));
    }
    if (pid < 0) {
        log_error("fork_failed", log_str("reason", strerror(errno)));
        s->start_at_ms = now_ms + BACKOFF_MAX_MS;
        return;
    }
    s->children[s->n++] = (struct child){.pid = pid, .started_ms = now_ms};
}

static void start_missing(struct supervisor *s, int64_t now_ms)
{
    while (!s->ending && now_ms >= s->start_at_ms && active(s) < s->wanted && s->n < CHILDREN_MAX)
        start_one(s, now_ms);
}

static void dismiss(struct child *c, int64_t now_ms)
{
    if (c->leaving)
        return;
    c->leaving = true;
    c->kill_at_ms = now_ms + SUPERVISOR_DRAIN_MS;
    kill(c->pid, SIGTERM);
}

static void dismiss_all(struct supervisor *s, int64_t now_ms)
{
    for (int i = 0; i < s->n; i++)
        dismiss(&s->children[i], now_ms);
}

static void kill_overdue(struct supervisor *s, int64_t now_ms)
{
    for (int i = 0; i < s->n; i++) {
        struct child *c = &s->children[i];
        if (c->leaving && now_ms >= c->kill_at_ms) {
            log_warn("worker_killed", log_int("pid", c->pid));
            kill(c->pid, SIGKILL);
            c->kill_at_ms = now_ms + SUPERVISOR_DRAIN_MS;
        }
    }
}

static void note_death(struct supervisor *s, const struct child *c, int status, int64_t now_ms)
{
    int64_t lived_ms = now_ms - c->started_ms;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SUPERVISOR_TIMEOUT_EXIT)
        log_error("request_timed_out", log_int("pid", c->pid));
    else
        log_error("worker_died", log_int("pid", c->pid), log_int("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
                  log_int("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    s->hooks->died(s->hooks->arg);
    if (lived_ms >= SHORT_LIFE_MS) {
        s->backoff_ms = 0;
        return;
    }
    s->backoff_ms = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (s->backoff_ms > BACKOFF_MAX_MS)
        s->backoff_ms = BACKOFF_MAX_MS;
    s->start_at_ms = now_ms + s->backoff_ms;
}

static void reap(struct supervisor *s, int64_t now_ms)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < s->n; i++) {
            if (s->children[i].pid != pid)
                continue;
            if (!s->children[i].leaving)
                note_death(s, &s->children[i], status, now_ms);
            s->children[i] = s->children[--s->n];
            break;
        }
    }
}

static void reload(struct supervisor *s, int64_t now_ms)
{
    int wanted = s->ending ? -1 : s->hooks->reload(s->hooks->arg);
    if (wanted < 0)
        return;
    s->wanted = wanted;
    s->start_at_ms = 0;
    dismiss_all(s, now_ms); /* each still finishes what it is at; new ones take over at once */
}

/* Until the next thing that is due, at most a minute. */
static struct timespec next_due(const struct supervisor *s, int64_t now_ms)
{
    int64_t due = now_ms + 60000;
    if (!s->ending && active(s) < s->wanted && s->start_at_ms < due)
        due = s->start_at_ms;
    for (int i = 0; i < s->n; i++) {
        if (s->children[i].leaving && s->children[i].kill_at_ms < due)
            due = s->children[i].kill_at_ms;
    }
    int64_t left = due > now_ms ? due - now_ms : 0;
    return (struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
}

void supervisor_prepare(void)
{
    sigset_t set = handled_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
}

int supervisor_run(int workers, const struct supervisor_hooks *hooks)
{
    struct supervisor s = {.hooks = hooks, .wanted = workers};
    sigset_t set = handled_signals();
    supervisor_prepare();
    for (;;) {
        int64_t now_ms = clock_mono_ms();
        reap(&s, now_ms);
        if (s.ending && s.n == 0)
            return 0;
        start_missing(&s, now_ms);
        kill_overdue(&s, now_ms);
        struct timespec wait = next_due(&s, now_ms);
        int sig = sigtimedwait(&set, NULL, &wait);
        now_ms = clock_mono_ms();
        if (sig == SIGHUP)
            reload(&s, now_ms);
        if (sig == SIGTERM || sig == SIGINT) {
            s.ending = true;
            dismiss_all(&s, now_ms);
        }
    }
}
