/*
 * For those who ask Redis and read its answers themselves (store.c, fleet.c): commands are queued, run
 * in one go, and answered by one flat list of nodes.
 */
#ifndef TELERELAY_FCGI_STORE_NODES_H
#define TELERELAY_FCGI_STORE_NODES_H

#include "fcgi/store.h"

#include "common/rkey.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_kind { STORE_STRING, STORE_STATUS, STORE_ERROR, STORE_INTEGER, STORE_NIL, STORE_ARRAY };

/* Answers stand in the order they are read: an array is followed by its elements. This costs no
 * allocation per element, which hiredis' own reply tree does. */
struct store_node {
    enum store_kind kind;
    uint32_t n; /* bytes, or elements */
    union {
        const char *text; /* NUL-terminated; lives until store_release() */
        long long number;
    } u;
};

/* One command. What does not fit makes store_run fail. */
void store_queue(struct store *s, size_t n, const char *const *args);

#define STORE_QUEUE(s, ...)                                                                                            \
    store_queue(s, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),                                  \
                (const char *const[]){__VA_ARGS__})

/* prefix + name; a name that fits no key has no data: the empty key never exists. */
void store_key(char key[RKEY_MAX], const char *prefix, const char *name);

/* Runs what was queued; 0 once every answer is there, of whatever kind each is. The queue is empty after. */
int store_run(struct store *s);

/* The node at an index; valid until the next store_run. */
const struct store_node *store_node(const struct store *s, size_t at);

/* The index behind a node and all that is in it. */
size_t store_skip(const struct store *s, size_t at);

/* -1 with the reason set when the node is an error other than WRONGTYPE, which means "no such data". */
int store_check(struct store *s, size_t at);

bool store_is_text(const struct store_node *node);

/* The elements of an array of texts at *at; 0 for anything else. Moves *at behind it. */
size_t store_texts(const struct store *s, size_t *at, const struct store_node **first);

/* Memory until store_release(); NULL with the reason set. */
void *store_alloc(struct store *s, size_t size);

/* Sets the reason; returns -1. */
int store_fail(struct store *s, const char *what, const char *why);

#endif
