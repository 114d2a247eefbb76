/*
 * The trace: one JSON line for each change of an output, for tests and for looking at accidents.
 *
 * A thread of its own writes: trace_put_*() only copies into memory and never waits for a disk, so
 * that it may be called with the lock on the outputs held. Any thread may put; lines are in the
 * order of the puts. A NULL trace does nothing.
 */
#ifndef TELERELAY_ROBOT_TRACE_H
#define TELERELAY_ROBOT_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct trace;

/* Appends to `path`, made with mode 0640. NULL with a reason in err. */
struct trace *trace_create(const char *path, char *err, size_t err_cap);
void trace_destroy(struct trace *t); /* writes what waits, for at most 200 ms */

void trace_put_pair(struct trace *t, int64_t t_ns, const char *output, const char *name_a, double a, const char *name_b,
                    double b, const char *cause);
void trace_put_value(struct trace *t, int64_t t_ns, const char *output, int value, const char *cause);

/* Lines that were lost, because the file was too slow or took no more. */
uint64_t trace_lost(struct trace *t);

#endif
