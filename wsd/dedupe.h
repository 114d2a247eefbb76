/*
 * Which command ids a website has used within the last minute, so that a repeated command is not forwarded twice. Ids
 * are kept as 64-bit hashes; what is remembered is bounded by DEDUPE_MAX, the newest first. Pure.
 */
#ifndef TELERELAY_DEDUPE_H
#define TELERELAY_DEDUPE_H

#include <stdbool.h>
#include <stdint.h>

#define DEDUPE_MS  60000
#define DEDUPE_MAX 8192 /* ids: more than 100 a second, which is what a website may send by default */

/* All zero is an empty one. */
struct dedupe {
    uint64_t *ids; /* a ring; 0: given up again */
    int64_t *at;   /* ms, when each came */
    uint32_t head, count, cap;
};

/* True when the id was used; else it is now (also when there is no memory to remember it). now_ms: monotonic. */
bool dedupe_repeated(struct dedupe *d, const char *id, int64_t now_ms);

/* The command was refused: its id may be used again. */
void dedupe_forget(struct dedupe *d, const char *id);

void dedupe_finish(struct dedupe *d);

#endif
