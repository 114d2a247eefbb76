/*
 * Which buckets to look at next, so that a page of a walk through buckets is filled without looking at much more
 * than that. Pure.
 *
 *   windows_begin
 *   while windows_next: look at that window; windows_done with the rows it had, or windows_shrink and again
 */
#ifndef TELERELAY_FCGI_WINDOWS_H
#define TELERELAY_FCGI_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOWS_MOST 131072 /* buckets × devices of one window */

struct windows {
    int64_t step_ms;
    bool descending;
    int64_t lo, hi;      /* what is left: buckets, numbered since 1970, both inclusive; lo after hi: nothing */
    int64_t size, least; /* buckets of the next window, and of the first */
    int64_t most;        /* `size` never exceeds this */
};

/* from_ms..to_ms (both inclusive, not negative; from after to: nothing) in windows of at least `rows` rows, were there
 * a sample of each device in each bucket. */
void windows_begin(struct windows *w, int64_t from_ms, int64_t to_ms, int64_t step_ms, bool descending, size_t rows,
                   size_t devices);

/* Whether what is left fits into one window. */
bool windows_single(const struct windows *w);

/* What is left, both inclusive, in whole buckets; false: nothing. */
bool windows_left(const struct windows *w, int64_t *from_ms, int64_t *to_ms);

/* There is nothing before from_ms or after to_ms; from after to: nothing at all. */
void windows_clamp(struct windows *w, int64_t from_ms, int64_t to_ms);

/* The next window: its first bucket's beginning, and how many buckets. false: there is none left. */
bool windows_next(const struct windows *w, int64_t *first_ms, size_t *count);

/* It has been looked at. Where it was empty, the next one is larger. */
void windows_done(struct windows *w, size_t rows);

/* The window was too large: false when it cannot be smaller. */
bool windows_shrink(struct windows *w);

#endif
