/*
 * What texts (device ids, metrics, shapes) are as numbers in the database, as far as it was asked already. Bounded: a
 * full one forgets everything. Pure.
 */
#ifndef TELERELAY_NAMES_H
#define TELERELAY_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct names;

struct name {
    int64_t id;
    size_t len;
    const char *text; /* NUL-terminated */
    int64_t *numbers; /* `n` of whoever put it in; they go with it. NULL: none */
    size_t n;
};

struct names *names_create(size_t most); /* NULL without memory */
void names_destroy(struct names *names); /* takes NULL */
void names_clear(struct names *names);

/* What they return lives until names_put or names_clear; NULL: not known. */
struct name *names_find(const struct names *names, const char *text, size_t len);
struct name *names_of_id(const struct names *names, int64_t id);

/* Adds one that is not there yet, with `numbers`, from malloc, which it takes in any case. NULL without memory. */
struct name *names_put(struct names *names, const char *text, size_t len, int64_t id, int64_t *numbers, size_t n);

#endif
