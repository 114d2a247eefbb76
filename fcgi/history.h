/*
 * The parameters of a history request, checked. Pure.
 */
#ifndef TELERELAY_FCGI_HISTORY_H
#define TELERELAY_FCGI_HISTORY_H

#include "fcgi/cursor.h"
#include "fcgi/query.h"
#include "fcgi/series.h"
#include "fcgi/steps.h"

#include "fcgi/audit.h"

#include "common/msg.h"

#define HISTORY_DEVICES_MAX 64
#define HISTORY_LIMIT_MAX   10000
#define HISTORY_LIMIT       100   /* without a limit parameter */
#define HISTORY_LIMIT_STEPS 10000 /* likewise, of buckets */

enum history_format { HISTORY_JSON, HISTORY_COLUMNS, HISTORY_CSV, HISTORY_NDJSON, HISTORY_FORMATS };

/* What is asked for: samples, commands or events. */
struct history {
    enum cursor_walk walk;
    char devices[HISTORY_DEVICES_MAX][MSG_DEVICE_ID_MAX + 1]; /* sorted, each once; with events, none: all */
    size_t n_devices;
    bool has_from, has_to;
    int64_t from_ms, to_ms; /* inclusive; with a cursor, relative times are those of the walk's start */
    bool moves;             /* one of them is relative to the present */
    bool has_limit;
    int limit; /* HISTORY_LIMIT without has_limit */
    bool descending;
    bool has_cursor;
    struct cursor cursor;
    unsigned kinds;                                        /* events: bit 1 << enum audit_kind; 0: all */
    char fields[MSG_METRICS_MAX][MSG_METRIC_NAME_MAX + 1]; /* in the order asked, each once */
    size_t n_fields;
    bool has_fields; /* without: all metrics */
    enum history_format format;
    struct steps steps; /* with `points`, too, steps.ms says how long a bucket is */
};

/* 0, or -1 with *fault naming the parameter and what is allowed; *h is then unspecified. */
int history_parse(struct history *h, enum cursor_walk walk, const struct query *q, int64_t now_ms, struct fault *fault);

/*
 * device_id parameters (any number, each a comma list) into a sorted list without doubles.
 * Returns how many (0 when none was sent), or -1.
 */
int history_devices(const struct query *q, char (*devices)[MSG_DEVICE_ID_MAX + 1], struct fault *fault);

/* What of a device's stream is still wanted: from, to and the cursor. May be empty (lo after hi). The one stream
 * of events has the device id "". */
struct streamid_range history_range(const struct history *h, const char *device_id);

/* Likewise for a walk through buckets, in ms: [*from_ms, *to_ms], both inclusive; false when it is empty. Without a
 * lower bound it begins at 0, without an upper one it ends with the year 9999. */
bool history_buckets(const struct history *h, const char *device_id, int64_t *from_ms, int64_t *to_ms);

/* The cursor for a walk that stands at this entry, or at the bucket that begins at id.ms. */
void history_cursor(const struct history *h, struct streamid id, const char *device_id, struct cursor *c);

#endif
