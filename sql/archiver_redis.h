/*
 * The archiver's connection to Redis. The only file with hiredis behind it; feed.h has what is asked of it.
 *
 * One blocking connection with deadlines: commands are queued, run in one go, and answered by one flat list of nodes,
 * in which an array is followed by its elements. Calls return 0, or -1 with archiver_redis_reason() set; the connection
 * is closed then, since nobody knows what is still under way on it.
 */
#ifndef TELERELAY_SQL_ARCHIVER_REDIS_H
#define TELERELAY_SQL_ARCHIVER_REDIS_H

#include "common/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archiver_redis;

/* NULL without memory. Does not connect yet. */
struct archiver_redis *archiver_redis_create(const struct conf_redis *redis, int redis_ms);
void archiver_redis_destroy(struct archiver_redis *r); /* takes NULL */

/* ms for connecting, and for all answers of one run. */
void archiver_redis_set_deadline(struct archiver_redis *r, int redis_ms);

bool archiver_redis_is_open(const struct archiver_redis *r);
int archiver_redis_open(struct archiver_redis *r);
void archiver_redis_close(struct archiver_redis *r);
const char *archiver_redis_reason(const struct archiver_redis *r);

/* --- asking ---------------------------------------------------------------------------------------- */

/* A command of `argc` arguments, each added afterwards. What does not fit makes the run fail. */
void archiver_redis_command(struct archiver_redis *r, size_t argc);
void archiver_redis_arg(struct archiver_redis *r, const char *text, size_t len);
void archiver_redis_text(struct archiver_redis *r, const char *text);
void archiver_redis_number(struct archiver_redis *r, int64_t number);

/* All arguments at once. */
void archiver_redis_queue(struct archiver_redis *r, size_t argc, const char *const *argv);
#define ARCHIVER_REDIS_QUEUE(r, ...)                                                                                   \
    archiver_redis_queue(r, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),                         \
                         (const char *const[]){__VA_ARGS__})

/* Waits for the answers to all that was queued. An answer that is an error is an answer. */
int archiver_redis_run(struct archiver_redis *r);

/* --- answers, until the next run ------------------------------------------------------------------- */

enum archiver_redis_kind {
    ARCHIVER_REDIS_STRING,
    ARCHIVER_REDIS_STATUS,
    ARCHIVER_REDIS_ERROR,
    ARCHIVER_REDIS_INTEGER,
    ARCHIVER_REDIS_NIL,
    ARCHIVER_REDIS_ARRAY
};

struct archiver_redis_node {
    enum archiver_redis_kind kind;
    uint32_t n;    /* bytes, or elements */
    int64_t value; /* of an integer; of a text: for archiver_redis_at() */
};

/* The node at an index; past the end it is a nil. */
const struct archiver_redis_node *archiver_redis_node(const struct archiver_redis *r, size_t at);

/* A text's bytes, NUL-terminated; "" for anything else. */
const char *archiver_redis_at(const struct archiver_redis *r, const struct archiver_redis_node *node);

/* The index behind a node and all that is in it. */
size_t archiver_redis_skip(const struct archiver_redis *r, size_t at);

/* -1 with the reason set when the node is an error; the connection stays. */
int archiver_redis_check(struct archiver_redis *r, size_t at);

/* Bytes that the last run was answered with. */
size_t archiver_redis_bytes(const struct archiver_redis *r);

/* Whether the last run failed since its answer was larger than ARCHIVER_REDIS_ANSWER_MAX. */
#define ARCHIVER_REDIS_ANSWER_MAX ((size_t)64 * 1024 * 1024)
bool archiver_redis_too_large(const struct archiver_redis *r);

/* Sets the reason; returns -1. */
int archiver_redis_fail(struct archiver_redis *r, const char *what, const char *why);

#endif
