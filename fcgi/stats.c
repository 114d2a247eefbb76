#include "fcgi/stats.h"

#include <stdatomic.h>
#include <sys/mman.h>

static const int statuses[] = {200, 304, 400, 403, 404, 405, 500, 503};
#define STATUSES (sizeof(statuses) / sizeof(statuses[0]))

struct stats {
    _Atomic uint64_t requests[STATS_ROUTES][STATUSES];
    _Atomic uint64_t nanoseconds[STATS_ROUTES];
    _Atomic uint64_t restarts;
    _Atomic int workers;
};

struct stats *stats_create(void)
{
    void *p = mmap(NULL, sizeof(struct stats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void stats_destroy(struct stats *s)
{
    if (s)
        munmap(s, sizeof(*s));
}

void stats_count(struct stats *s, unsigned route, int status, int64_t duration_ns)
{
    if (route >= STATS_ROUTES)
        return;
    size_t i = 0;
    while (i < STATUSES - 1 && statuses[i] != status)
        i++;
    atomic_fetch_add(&s->requests[route][i], 1);
    atomic_fetch_add(&s->nanoseconds[route], (uint64_t)duration_ns);
}

void stats_count_restart(struct stats *s)
{
    atomic_fetch_add(&s->restarts, 1);
}

void stats_set_workers(struct stats *s, int workers)
{
    atomic_store(&s->workers, workers);
}

void stats_write(const struct stats *s, const char *const *names, unsigned n, struct buf *out)
{
    buf_str(out, "# HELP telerelay_api_requests_total Requests answered.\n"
                 "# TYPE telerelay_api_requests_total counter\n");
    for (unsigned r = 0; r < n && r < STATS_ROUTES; r++) {
        for (size_t i = 0; i < STATUSES; i++) {
            uint64_t count = atomic_load(&s->requests[r][i]);
            if (count > 0)
                buf_printf(out, "telerelay_api_requests_total{route=\"%s\",status=\"%d\"} %llu\n", names[r],
                           statuses[i], (unsigned long long)count);
        }
    }
    buf_str(out, "# HELP telerelay_api_request_seconds_total Time spent on requests.\n"
                 "# TYPE telerelay_api_request_seconds_total counter\n");
    for (unsigned r = 0; r < n && r < STATS_ROUTES; r++) {
        uint64_t ns = atomic_load(&s->nanoseconds[r]);
        if (ns > 0)
            buf_printf(out, "telerelay_api_request_seconds_total{route=\"%s\"} %.6f\n", names[r], (double)ns / 1e9);
    }
    buf_printf(out,
               "# HELP telerelay_api_workers Worker processes wanted.\n"
               "# TYPE telerelay_api_workers gauge\ntelerelay_api_workers %d\n"
               "# HELP telerelay_api_worker_restarts_total Workers replaced after they died.\n"
               "# TYPE telerelay_api_worker_restarts_total counter\ntelerelay_api_worker_restarts_total %llu\n",
               atomic_load(&s->workers), (unsigned long long)atomic_load(&s->restarts));
}
