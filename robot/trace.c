#include "robot/trace.h"

#include "common/clock.h"
#include "common/jsonw.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRACE_LINE_MAX 256
#define NS_PER_S       1000000000LL
#define DRAIN_NS       200000000LL /* for what waits at the end */
#define TRACE_LINES    512         /* waiting; an output changes at most some hundred times a second */

struct trace {
    int fd;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows; never held across a write */
    pthread_cond_t wake;  /* a line waits, or `ending` */
    pthread_cond_t end;   /* `ended` */
    bool ending, ended;
    size_t head, count; /* ring of lines */
    uint64_t lost;      /* lines */
    uint16_t len[TRACE_LINES];
    char line[TRACE_LINES][TRACE_LINE_MAX];
};

/* One write per line, so that a reader never sees half a line. */
static bool write_line(int fd, const char *line, size_t len)
{
    ssize_t n;

    do
        n = write(fd, line, len);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)len;
}

static void *writer_main(void *arg)
{
    struct trace *t = arg;
    char line[TRACE_LINE_MAX];

    pthread_mutex_lock(&t->lock);
    while (t->count > 0 || !t->ending) {
        if (t->count == 0) {
            pthread_cond_wait(&t->wake, &t->lock);
            continue;
        }
        size_t len = t->len[t->head];

        memcpy(line, t->line[t->head], len);
        t->head = (t->head + 1) % TRACE_LINES;
        t->count--;
        pthread_mutex_unlock(&t->lock);
        bool written = write_line(t->fd, line, len);
        pthread_mutex_lock(&t->lock);
        if (!written)
            t->lost++;
    }
    t->ended = true;
    pthread_cond_signal(&t->end);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

struct trace *trace_create(const char *path, char *err, size_t err_cap)
{
    struct trace *t = calloc(1, sizeof(*t));
    pthread_mutexattr_t inherit; /* the dead-man's thread puts lines */
    pthread_condattr_t attr;
    int rc;

    if (!t) {
        snprintf(err, err_cap, "out of memory");
        return NULL;
    }
    t->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (t->fd < 0) {
        snprintf(err, err_cap, "%s: %s", path, strerror(errno));
        goto fail;
    }
    pthread_mutexattr_init(&inherit);
    pthread_mutexattr_setprotocol(&inherit, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&t->lock, &inherit);
    pthread_mutexattr_destroy(&inherit);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &attr);
    pthread_cond_init(&t->end, &attr);
    pthread_condattr_destroy(&attr);
    rc = pthread_create(&t->thread, NULL, writer_main, t);
    if (rc != 0) {
        snprintf(err, err_cap, "cannot start the trace's thread: %s", strerror(rc));
        goto fail_thread;
    }
    return t;

fail_thread:
    pthread_cond_destroy(&t->end);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    close(t->fd);
fail:
    free(t);
    return NULL;
}

void trace_destroy(struct trace *t)
{
    int64_t deadline = clock_mono_ns() + DRAIN_NS;
    struct timespec until = {.tv_sec = deadline / NS_PER_S, .tv_nsec = deadline % NS_PER_S};
    bool stuck;
    int rc = 0;

    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->ending = true;
    pthread_cond_signal(&t->wake);
    while (!t->ended && rc == 0)
        rc = pthread_cond_timedwait(&t->end, &t->lock, &until);
    stuck = !t->ended;
    pthread_mutex_unlock(&t->lock);
    if (stuck) {
        /* Stuck in a write: it keeps what it uses, and the program ends without it. */
        pthread_detach(t->thread);
        return;
    }
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->end);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    close(t->fd);
    free(t);
}

static void begin(struct jsonw *w, char *buf, int64_t t_ns, const char *output)
{
    jsonw_init(w, buf, TRACE_LINE_MAX);
    jsonw_lit(w, "{");
    jsonw_kv_int(w, "t_ns", t_ns);
    jsonw_kv_str(w, "output", output);
}

static void put(struct trace *t, struct jsonw *w, const char *cause)
{
    jsonw_kv_str(w, "cause", cause);
    jsonw_lit(w, "}\n");

    pthread_mutex_lock(&t->lock);
    if (w->overflow || t->count == TRACE_LINES) {
        t->lost++;
    } else {
        size_t at = (t->head + t->count++) % TRACE_LINES;

        memcpy(t->line[at], w->buf, w->len);
        t->len[at] = (uint16_t)w->len;
        pthread_cond_signal(&t->wake);
    }
    pthread_mutex_unlock(&t->lock);
}

void trace_put_pair(struct trace *t, int64_t t_ns, const char *output, const char *name_a, double a, const char *name_b,
                    double b, const char *cause)
{
    char buf[TRACE_LINE_MAX];
    struct jsonw w;

    if (!t)
        return;
    begin(&w, buf, t_ns, output);
    jsonw_kv_num(&w, name_a, a);
    jsonw_kv_num(&w, name_b, b);
    put(t, &w, cause);
}

void trace_put_value(struct trace *t, int64_t t_ns, const char *output, int value, const char *cause)
{
    char buf[TRACE_LINE_MAX];
    struct jsonw w;

    if (!t)
        return;
    begin(&w, buf, t_ns, output);
    jsonw_kv_int(&w, "value", value);
    put(t, &w, cause);
}

uint64_t trace_lost(struct trace *t)
{
    uint64_t n = 0;

    if (t) {
        pthread_mutex_lock(&t->lock);
        n = t->lost;
        pthread_mutex_unlock(&t->lock);
    }
    return n;
}
