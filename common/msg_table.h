/*
 * The table that msg_decode goes by: a row per message type and sender, a rule per field. A new
 * message is a new row. Private to msg*.c.
 */
#ifndef TELERELAY_MSG_TABLE_H
#define TELERELAY_MSG_TABLE_H

#include "msg.h"

enum msg_kind {
    MSG_KIND_NUMBER,    /* double, min..max */
    MSG_KIND_INTEGER,   /* int64_t, min..max */
    MSG_KIND_COUNT,     /* int, min..max */
    MSG_KIND_TEXT,      /* string of at most `max` bytes */
    MSG_KIND_NAME,      /* the same without control characters */
    MSG_KIND_ID,        /* command id: 1..max bytes without control characters */
    MSG_KIND_DEVICE_ID, /* string that msg_device_id_valid accepts */
    MSG_KIND_SETTING,   /* "speed" or "brightness": decides the type */
    MSG_KIND_BASE64,    /* frame_data and its length, at most `max` bytes */
    MSG_KIND_BOOL,
    MSG_KIND_OUTCOME,    /* "status" of a robot's ack */
    MSG_KIND_DEVICE_IDS, /* array of at most `max` device ids */
    MSG_KIND_SAMPLES,    /* array of `min` to `max` samples */
    MSG_KIND_TIME        /* time_ms and has_time; what cannot be read counts as absent */
};

enum msg_need {
    MSG_OPTIONAL, /* may be missing; null is of the wrong kind */
    MSG_NULLABLE, /* may be missing or null */
    MSG_REQUIRED
};

struct msg_field {
    const char *name; /* NULL ends a list */
    enum msg_kind kind;
    enum msg_need need;
    size_t offset; /* in struct msg, where the kind does not decide it */
    double min, max;
};

struct msg_row {
    const char *name;
    enum msg_sender from;
    enum msg_type type;
    bool metrics; /* every other numeric member is a metric */
    const struct msg_field *fields;
};

extern const struct msg_row msg_table[];
extern const size_t msg_table_len;

/* The four metrics with a meaning of their own, in the order of struct msg. */
struct msg_known_metric {
    const char *name;
    double min, max;
};
#define MSG_KNOWN_METRICS (MSG_METRICS_MAX - MSG_METRICS_EXTRA)
extern const struct msg_known_metric msg_known_metrics[MSG_KNOWN_METRICS];

bool msg_has_control(const char *text, size_t len); /* text: valid UTF-8 */

#endif
