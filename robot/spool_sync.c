#include "robot/spool_sync.h"

#include "common/clock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define END_NS   200000000LL

struct spool_sync {
    int folder;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows; never held across an fsync */
    pthread_cond_t wake;  /* something is asked for, or `ending` */
    pthread_cond_t end;   /* `ended` */
    bool ending, ended;
    bool asked, busy;     /* for these segments; some are being synced */
    uint64_t first, last; /* asked */
};

void spool_sync_name(char out[SPOOL_NAME_MAX], uint64_t number)
{
    snprintf(out, SPOOL_NAME_MAX, "samples.%012" PRIu64, number);
}

/* What has gone meanwhile need not be safe. */
static void sync_segments(int folder, uint64_t first, uint64_t last)
{
    for (uint64_t number = first; number <= last; number++) {
        char name[SPOOL_NAME_MAX];

        spool_sync_name(name, number);
        int fd = openat(folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
            continue;
        fdatasync(fd);
        close(fd);
    }
    fsync(folder);
}

static void *sync_main(void *arg)
{
    struct spool_sync *s = arg;

    pthread_mutex_lock(&s->lock);
    while (!s->ending) {
        if (!s->asked) {
            pthread_cond_wait(&s->wake, &s->lock);
            continue;
        }
        uint64_t first = s->first, last = s->last;

        s->asked = false;
        s->busy = true;
        pthread_mutex_unlock(&s->lock);
        sync_segments(s->folder, first, last);
        pthread_mutex_lock(&s->lock);
        s->busy = false;
    }
    s->ended = true;
    pthread_cond_signal(&s->end);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

struct spool_sync *spool_sync_create(int folder, char *err, size_t err_cap)
{
    struct spool_sync *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;
    int rc;

    if (!s) {
        snprintf(err, err_cap, "out of memory");
        return NULL;
    }
    s->folder = folder;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_cond_init(&s->end, &attr);
    pthread_condattr_destroy(&attr);
    rc = pthread_create(&s->thread, NULL, sync_main, s);
    if (rc == 0)
        return s;
    snprintf(err, err_cap, "cannot start the spool's thread: %s", strerror(rc));
    pthread_cond_destroy(&s->end);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return NULL;
}

void spool_sync_destroy(struct spool_sync *s)
{
    int64_t deadline = clock_mono_ns() + END_NS;
    struct timespec until = {.tv_sec = deadline / NS_PER_S, .tv_nsec = deadline % NS_PER_S};
    bool stuck;
    int rc = 0;

    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->wake);
    while (!s->ended && rc == 0)
        rc = pthread_cond_timedwait(&s->end, &s->lock, &until);
    stuck = !s->ended;
    pthread_mutex_unlock(&s->lock);
    if (stuck) {
        /* Stuck in an fsync: it keeps what it uses, and the program ends without it. */
        pthread_detach(s->thread);
        return;
    }
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->end);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void spool_sync_ask(struct spool_sync *s, uint64_t first, uint64_t last)
{
    pthread_mutex_lock(&s->lock);
    if (!s->asked || first < s->first)
        s->first = first;
    s->last = last;
    s->asked = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

bool spool_sync_done(struct spool_sync *s)
{
    bool done;

    pthread_mutex_lock(&s->lock);
    done = !s->asked && !s->busy;
    pthread_mutex_unlock(&s->lock);
    return done;
}
