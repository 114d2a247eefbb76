/*
 * What the workers count, in memory they share with each other.
 */
#ifndef TELERELAY_FCGI_STATS_H
#define TELERELAY_FCGI_STATS_H

#include "fcgi/buf.h"

#include <stdint.h>

#define STATS_ROUTES 16

struct stats;

/* Before the workers are forked. NULL without memory. */
struct stats *stats_create(void);
void stats_destroy(struct stats *s);

/* route: an index below STATS_ROUTES; duration of the handling in ns. */
void stats_count(struct stats *s, unsigned route, int status, int64_t duration_ns);
void stats_count_restart(struct stats *s);
void stats_set_workers(struct stats *s, int workers);

/* Prometheus text; names[i] is the label of route i, i < n. */
void stats_write(const struct stats *s, const char *const *names, unsigned n, struct buf *out);

#endif
