/*
 * An array of one dimension in PostgreSQL's binary form, so that many rows are one parameter. Pure.
 */
#ifndef TELERELAY_PGARRAY_H
#define TELERELAY_PGARRAY_H

#include <stddef.h>
#include <stdint.h>

/* What an element is: the number that PostgreSQL has for its type. */
enum pgarray_type { PGARRAY_INT4 = 23, PGARRAY_INT8 = 20, PGARRAY_FLOAT8 = 701, PGARRAY_TEXT = 25, PGARRAY_BYTEA = 17 };

struct pgarray {
    enum pgarray_type type;
    char *data;
    size_t len, cap; /* bytes; len is 0 while it is empty */
    int32_t n;       /* elements */
};

void pgarray_init(struct pgarray *array, enum pgarray_type type);
void pgarray_finish(struct pgarray *array);
void pgarray_clear(struct pgarray *array); /* keeps its memory */

/* -1 without memory, or with more than PostgreSQL takes; nothing is added then. */
int pgarray_add_int(struct pgarray *array, int64_t value); /* INT4, INT8 */
int pgarray_add_float(struct pgarray *array, double value);
int pgarray_add_bytes(struct pgarray *array, const char *bytes, size_t len); /* TEXT, BYTEA */

/* The array as a parameter, with *len bytes; NULL without memory. */
const char *pgarray_bytes(struct pgarray *array, size_t *len);

#endif
