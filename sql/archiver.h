/*
 * Moves what the relays leave in Redis' streams into the archive.
 *
 * One archiver works at a time: the one that has the lease in Redis; others wait. The lease only saves work: what keeps
 * the archive right is that each transaction checks where it goes on (archive_commit). A round is: read behind the
 * archived positions, commit, trim from Redis what is committed and no longer hot. What is committed is on disk before
 * anything of it is trimmed; with the database away, nothing is, and the streams grow up to their hard cap.
 */
#ifndef TELERELAY_SQL_ARCHIVER_H
#define TELERELAY_SQL_ARCHIVER_H

#include "common/conf.h"

#include <stdbool.h>

struct archiver;

/* Waits that long, less when there is a signal, whose business it does. Returns whether it is time to end. */
typedef bool archiver_pause_fn(void *ctx, int ms);

/* `conf` stays the caller's; it may change, within `pause`, before archiver_reload(). NULL without memory. */
struct archiver *archiver_create(const struct conf *conf, archiver_pause_fn *pause, void *ctx);
void archiver_destroy(struct archiver *a); /* takes NULL */

/* Until it is time to end. */
void archiver_run(struct archiver *a);

/* The configuration has changed. */
void archiver_reload(struct archiver *a);

#endif
