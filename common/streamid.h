/*
 * The id of a Redis stream's entry, and ranges of them. An entry has the same id in the archive. Pure.
 */
#ifndef TELERELAY_STREAMID_H
#define TELERELAY_STREAMID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAMID_TEXT_MAX 48 /* with the NUL */

struct streamid {
    uint64_t ms, seq; /* ms since 1970; those of one ms are numbered */
};

/* Both ends inclusive; nothing when lo is after hi. */
struct streamid_range {
    struct streamid lo, hi;
};

#define STREAMID_FIRST ((struct streamid){0, 0})
#define STREAMID_LAST  ((struct streamid){UINT64_MAX, UINT64_MAX})

int streamid_compare(struct streamid a, struct streamid b);

/* The id right after or before; false with *id unchanged when there is none. */
bool streamid_after(struct streamid *id);
bool streamid_before(struct streamid *id);

/* "1768473045123-0"; -1 with *id unchanged when it is no id. */
int streamid_parse(const char *text, size_t len, struct streamid *id);

/* NUL-terminated; returns its length. */
size_t streamid_format(char out[STREAMID_TEXT_MAX], struct streamid id);

#endif
