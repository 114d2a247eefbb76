/*
 * The stored form of a sample's metrics: JSON members without braces, `"battery":85,"cpu":38`.
 * What is in Redis is not taken on trust: everything here accepts any bytes. Pure.
 */
#ifndef TELERELAY_SAMPLE_H
#define TELERELAY_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#define SAMPLE_MAX 4096 /* bytes; more is no sample */

struct sample_metric {
    const char *name; /* within the text, without quotes */
    size_t name_len;
    const char *number; /* within the text, as stored */
    size_t number_len;
};

enum sample_kind {
    SAMPLE_BAD,     /* not what a relay stores */
    SAMPLE_PLAIN,   /* fit to stand in an answer as it is; may be empty */
    SAMPLE_RESERVED /* sound, but has a metric named as one of an item's own members */
};

enum sample_kind sample_check(const char *text, size_t len);

/*
 * Reads one member at *at (0 at first) and moves *at behind it. 1: *metric is set; 0: the end;
 * -1: not a sample from here on.
 */
int sample_next(const char *text, size_t len, size_t *at, struct sample_metric *metric);

/* The metric of that name; false when it is absent. */
bool sample_find(const char *text, size_t len, const char *name, size_t name_len, struct sample_metric *metric);

/* The end of a JSON number that begins at p, or NULL. */
const char *sample_number_end(const char *p, const char *end);

/* A name that an item uses itself: id, device_id, timestamp. */
bool sample_reserved(const char *name, size_t len);

#endif
