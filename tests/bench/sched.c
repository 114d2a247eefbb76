#include "tests/bench/sched.h"

#include <stdlib.h>

struct stream {
    uint64_t k;   /* the next message */
    int64_t time; /* when it is due */
};

struct sched {
    int64_t start;
    double interval; /* ns */
    unsigned n;
    unsigned first; /* the stream whose message is due first */
    struct stream streams[];
};

/* splitmix64 of stream and number: 0 ≤ u < 1. */
static double jitter(unsigned stream, uint64_t k)
{
    uint64_t x = ((uint64_t)stream << 40) + k + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return (double)(x >> 11) / 9007199254740992.0;
}

int64_t sched_time(const struct sched *s, unsigned stream, uint64_t k)
{
    return s->start + (int64_t)(((double)k + jitter(stream, k)) * s->interval);
}

static void find_first(struct sched *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->streams[i].time < s->streams[s->first].time)
            s->first = i;
}

struct sched *sched_create(unsigned streams, double hz, int64_t start_ns)
{
    struct sched *s = calloc(1, sizeof *s + streams * sizeof s->streams[0]);
    if (!s)
        return NULL;
    s->start = start_ns;
    s->interval = 1e9 / hz;
    s->n = streams;
    for (unsigned i = 0; i < streams; i++)
        s->streams[i].time = sched_time(s, i, 0);
    find_first(s);
    return s;
}

void sched_destroy(struct sched *s)
{
    free(s);
}

int64_t sched_next(const struct sched *s)
{
    return s->streams[s->first].time;
}

void sched_take(struct sched *s, unsigned *stream, uint64_t *k)
{
    struct stream *taken = &s->streams[s->first];
    *stream = s->first;
    *k = taken->k++;
    taken->time = sched_time(s, *stream, taken->k);
    find_first(s);
}
