/*
 * Makes sure, in a thread of its own, that a spool's files are safe on disk: an fsync may take seconds, and the main
 * loop must not wait for one.
 */
#ifndef TELERELAY_ROBOT_SPOOL_SYNC_H
#define TELERELAY_ROBOT_SPOOL_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_NAME_MAX 32

struct spool_sync;

/* folder: a descriptor of the spool's directory; the caller's, to be closed after spool_sync_destroy. NULL with a
 * reason in err. */
struct spool_sync *spool_sync_create(int folder, char *err, size_t err_cap);
void spool_sync_destroy(struct spool_sync *s); /* waits 200 ms at most for what is under way; NULL is allowed */

/* All of these segments as they are now, and which there are. */
void spool_sync_ask(struct spool_sync *s, uint64_t first, uint64_t last);

/* Whether everything that was asked for is done. */
bool spool_sync_done(struct spool_sync *s);

/* The name of a segment's file. */
void spool_sync_name(char out[SPOOL_NAME_MAX], uint64_t number);

#endif
