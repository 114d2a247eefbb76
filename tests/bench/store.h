/* What the scenarios do in Redis directly: samples stored, counted, read and removed. */
#ifndef BENCH_STORE_H
#define BENCH_STORE_H

#include <stdbool.h>
#include <stdint.h>

/* Each connects to `address` (unix:/path or HOST:PORT) and says on stderr what went wrong. Streams are
 * prefix + "bench_00" and so on, one per robot. */

/* Number of entries that all streams were ever given, also those that an archiver has trimmed since; -1 on failure. */
int64_t store_count(const char *address, const char *prefix, unsigned robots);

/* Deletes the streams. 0, or -1. */
int store_forget(const char *address, const char *prefix, unsigned robots);

/* Stores `samples` in the first robot's stream, 3 s apart, the newest now: all metrics in one field as the
 * relay does, or one field each. Replaces what was there. 0, or -1. */
int store_fill(const char *address, const char *prefix, unsigned samples, bool one_field);

/*
 * XREVRANGE COUNT limit of the first robot's stream on `concurrency` connections for `seconds`. The
 * answers are parsed but not built up in memory, so that this costs as little as it can.
 * Returns the number of answers, or -1; *took_s the time it really took.
 */
int64_t store_read(const char *address, const char *prefix, unsigned limit, unsigned concurrency, double seconds,
                   double *took_s);

#endif
