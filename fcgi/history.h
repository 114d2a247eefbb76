/*
 * The parameters of a history request, checked. Pure.
 */
#ifndef TELERELAY_FCGI_HISTORY_H
#define TELERELAY_FCGI_HISTORY_H

#include "fcgi/cursor.h"
#include "fcgi/query.h"
#include "fcgi/series.h"

#include "fcgi/audit.h"

#include "common/msg.h"

#define HISTORY_DEVICES_MAX 64
#define HISTORY_LIMIT_MAX   10000
#define HISTORY_LIMIT       100 /* without a limit parameter */

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

/* The cursor for a walk that stands at this entry. */
void history_cursor(const struct history *h, struct streamid id, const char *device_id, struct cursor *c);

#endif
