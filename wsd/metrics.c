#include "wsd/metrics.h"

#include <inttypes.h>
#include <stdio.h>

struct line {
    const char *name, *help, *kind;
    uint64_t value;
};

static size_t put(char *out, size_t cap, size_t at, const char *relay, const struct line *l)
{
    if (at >= cap)
        return at;
    int n =
        snprintf(out + at, cap - at,
                 "# HELP telerelay_wsd_%s %s\n# TYPE telerelay_wsd_%s %s\ntelerelay_wsd_%s{relay=\"%s\"} %" PRIu64 "\n",
                 l->name, l->help, l->name, l->kind, l->name, relay, l->value);
    return at + (n > 0 ? (size_t)n : 0);
}

size_t metrics_render(char *out, size_t cap, const char *relay, const struct metrics *m, const struct metrics_gauges *g)
{
    const struct line lines[] = {
#define METRICS_LINE(name, help) {#name, help, "counter", m->name},
        METRICS_COUNTERS(METRICS_LINE)
#undef METRICS_LINE
            {"websites", "Websites connected", "gauge", g->websites},
        {"robots", "Robots connected", "gauge", g->robots},
        {"redis_up", "Whether Redis is reachable and relays messages", "gauge", (uint64_t)g->redis_up},
    };
    size_t at = 0;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        at = put(out, cap, at, relay, &lines[i]);
    return at < cap ? at : 0;
}
