/*
 * The stop latch on disk: whether this robot is stopped, so that neither kill -9 nor a loss of power re-arms it.
 *
 * One small file in the spool directory, which belongs to one robot alone: a lock keeps others out. When in doubt the
 * answer is "stopped": a file that cannot be read or makes no sense counts as that; only none at all does not.
 */
#ifndef TELERELAY_ROBOT_LATCH_H
#define TELERELAY_ROBOT_LATCH_H

#include "common/msg.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATCH_FILE "stop.json"
#define LATCH_LOCK "lock"

struct latch {
    bool stopped;
    int64_t seq;               /* of the last stop or re-arm, -1 for none */
    char by[MSG_NAME_MAX + 1]; /* who did it, "" where unknown */
    int64_t at_ms;             /* when, wall clock; written for people, not read */
};

/*
 * Makes sure that `dir` is there, with mode 0700 if it has to be made, can be written to, and is nobody else's. Returns
 * a descriptor: as long as it is open the directory is the caller's. -1 with a reason in err.
 */
int latch_open(const char *dir, char *err, size_t err_cap);

/* 0 with *out; -1 with a reason in err and *out "stopped". */
int latch_load(const char *dir, struct latch *out, char *err, size_t err_cap);

/*
 * 0 when it is safe on disk, which may take long. -1 with a reason in err; if it is a stop, a file
 * that makes no sense is left when that much is possible (it needs no space), which will do as one.
 */
int latch_store(const char *dir, const struct latch *latch, char *err, size_t err_cap);

#endif
