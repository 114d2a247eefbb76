/*
 * The wire protocol: one JSON object per WebSocket text frame (PROTOCOL.md).
 *
 * Decoding goes by one table, a row per message type and sender. Whatever a peer sent, the result
 * is a struct msg whose every field is checked, or a struct msg_fault that says what was wrong and
 * what is allowed. Nothing is ever forwarded as it came: messages are written anew from a struct msg.
 */
#ifndef TELERELAY_MSG_H
#define TELERELAY_MSG_H

#include "jsonw.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSG_DEVICE_ID_MAX   64   /* bytes: [A-Za-z0-9_.-]{1,64} */
#define MSG_COMMAND_ID_MAX  64   /* bytes of "id" */
#define MSG_NAME_MAX        64   /* bytes of "device_name" and of "status" */
#define MSG_TEXT_MAX        1024 /* bytes of "message" */
#define MSG_METRIC_NAME_MAX 32   /* bytes: [A-Za-z][A-Za-z0-9_]{0,31} */
#define MSG_METRICS_EXTRA   32   /* further metrics beside the four known ones */
#define MSG_METRICS_MAX     (4 + MSG_METRICS_EXTRA)
#define MSG_WATCH_MAX       64           /* device ids of one watch */
#define MSG_SAMPLES_MAX     100          /* samples of one batch */
#define MSG_DEPTH_MAX       8            /* nesting of objects and arrays */
#define MSG_VIDEO_DATA_MAX  (512 * 1024) /* bytes of "frame_data" (base64) */

/* Who sent the message that is decoded. */
enum msg_sender { MSG_FROM_WEBSITE, MSG_FROM_ROBOT, MSG_FROM_RELAY };

enum msg_type {
    MSG_NONE,
    /* website → robot; the relay forwards these */
    MSG_ROBOT_MOVE,
    MSG_CAMERA_MOVE,
    MSG_SET_SPEED,
    MSG_SET_BRIGHTNESS,
    MSG_REQUEST_FRAME,
    MSG_STOP,
    MSG_REARM,
    /* website → relay */
    MSG_CONTROL_ACQUIRE,
    MSG_CONTROL_RELEASE,
    MSG_WATCH,
    MSG_PING, /* robots may, too */
    /* robot → relay */
    MSG_HEARTBEAT,
    MSG_TELEMETRY,
    MSG_TELEMETRY_BATCH,
    MSG_STATUS,
    MSG_VIDEO_FRAME, /* and relay → website */
    /* relay → peers */
    MSG_CONNECTION,
    MSG_ACK,        /* and robot → relay: what became of a command */
    MSG_STOP_STATE, /* and robot → relay: whether it is stopped */
    MSG_ERROR,
    MSG_TELEMETRY_UPDATE,
    MSG_ROBOT_STATUS,
    MSG_RELAY_STATUS,
    MSG_CONTROL_STATE,
    MSG_ROBOT_HEARTBEAT,
    MSG_PONG,
    MSG_TYPES
};

/* The "code" of an error message. */
enum msg_code {
    MSG_OK,
    MSG_INVALID_JSON,
    MSG_INVALID_MESSAGE,
    MSG_UNKNOWN_TYPE,
    MSG_OUT_OF_RANGE,
    MSG_TOO_LARGE,
    MSG_NOT_ALLOWED,
    MSG_NOT_IN_CONTROL,
    MSG_STOPPED,
    MSG_NO_ROBOT,
    MSG_NOT_STORED,
    MSG_RATE_LIMITED,
    MSG_EXPIRED,
    MSG_CODES
};

/* What became of a command at the robot: "status" of its ack. */
enum msg_outcome { MSG_NO_OUTCOME, MSG_APPLIED, MSG_REJECTED, MSG_TOO_OLD, MSG_OUTCOMES };

struct msg_metric {
    const char *name;
    double value; /* finite; battery, cpu, signal 0..100 %; temperature -100..300 °C */
};

/* A decoded message. Strings belong to it, are NUL-terminated valid UTF-8, NULL where absent. */
struct msg {
    enum msg_type type;
    const char *type_name;                      /* "type" as it was sent: an alias keeps its own name ("set") */
    const char *id;                             /* command id, for the ack */
    const char *device_id;                      /* the addressed robot (commands); the robot meant (relay's messages) */
    double x, y;                                /* *_MOVE: -1..1 */
    double value;                               /* SET_*: 1..100 % */
    const char *device_name;                    /* TELEMETRY(_BATCH, _UPDATE) */
    struct msg_metric metrics[MSG_METRICS_MAX]; /* TELEMETRY(_UPDATE): battery, cpu, temperature, signal
                                                   first and in that order, then the others as sent */
    size_t n_metrics;
    bool has_time;             /* `time_ms` holds the sender's "timestamp" */
    int64_t time_ms;           /* wall clock of the sender, ms since 1970; from RFC 3339, or a number of
                                  seconds or (from 1e11) milliseconds. Anything else counts as absent. */
    const char *status;        /* STATUS, ROBOT_STATUS, CONNECTION, ACK */
    const char *message;       /* STATUS, ROBOT_STATUS, CONNECTION, ACK */
    const char *frame_data;    /* VIDEO_FRAME: base64 */
    size_t frame_data_len;     /* bytes */
    int64_t frame_number;      /* VIDEO_FRAME: 0..2^53, -1 where absent */
    const char *original_type; /* ACK, ERROR from a relay */
    const char *error;         /* ERROR: text for people */
    const char *code;          /* ERROR: one of msg_code_name() */
    const char *device_type;   /* CONNECTION: "website" or "robot" */
    int robots;                /* ACK: number of robots, -1 where absent */
    int64_t hb;       /* HEARTBEAT: its number; commands: the newest that the sender has seen; -1 where absent */
    int64_t relay_hb; /* commands at a robot: the newest that its relay has seen; -1 where absent */
    int64_t seq;      /* commands at a robot, its ACK, STOP_STATE: number of the command; -1 where absent */
    int64_t epoch;    /* commands at a robot, CONTROL_STATE: of the lease; -1 where absent */
    int ttl_ms;       /* commands: worth delivering for, ms; 0 where absent */
    int latency_ms;   /* ACK: -1 where absent */
    int stored;       /* ACK of a batch: samples; -1 where absent */
    enum msg_outcome outcome; /* ACK of a robot */
    const char *reason;       /* ACK: why it was not applied */
    const char *by;           /* STOP, REARM at a robot, STOP_STATE: who did it */
    const char *holder;       /* CONTROL_STATE: NULL when nobody */
    bool stopped, confirmed;  /* STOP_STATE */
    bool take;                /* CONTROL_ACQUIRE: from whoever holds it */
    bool you;                 /* CONTROL_STATE: the receiver is the holder */
    bool duplicate;           /* ACK: the same id came before */
    bool late;                /* TELEMETRY_UPDATE: of a batch, not the present */
    size_t n_device_ids;      /* WATCH: 0..MSG_WATCH_MAX, read with msg_device_id_at() */
    const void *device_ids;   /* private */
    size_t n_samples;         /* TELEMETRY_BATCH: 1..MSG_SAMPLES_MAX, read with msg_sample_at() */
    const void *samples;      /* private */
    void *doc;                /* owner of the strings; private */
};

/* What was wrong. Text is safe to send and to log: it quotes names, never payloads. */
struct msg_fault {
    enum msg_code code;
    char text[256];
    char original_type[33]; /* "" where unknown; printable ASCII */
    char id[MSG_COMMAND_ID_MAX + 1];
};

/*
 * Decode one text frame. `len` has been checked against the caps of its kind by the caller.
 * Returns 0 with *out filled (the caller must msg_finish it), or -1 with *fault filled and *out
 * zeroed. From a relay, unknown types and unknown members are not an error worth an answer, but
 * -1 all the same.
 */
int msg_decode(enum msg_sender from, const char *buf, size_t len, struct msg *out, struct msg_fault *fault);

/* Frees what a msg_decode'd message holds; harmless on a zeroed one. */
void msg_finish(struct msg *m);

const char *msg_device_id_at(const struct msg *m, size_t i); /* i < m->n_device_ids */

/* One of a batch, i < m->n_samples, as a MSG_TELEMETRY with metrics and time only. Its strings are m's: not to be
 * msg_finish'ed. The times of a batch do not descend. */
void msg_sample_at(const struct msg *m, size_t i, struct msg *out);

const char *msg_type_name(enum msg_type type); /* "robot_move"; MSG_NONE: "" */
const char *msg_code_name(enum msg_code code); /* "invalid_json" */
const char *msg_code_text(enum msg_code code); /* "Invalid JSON format": a default text */

const char *msg_outcome_name(enum msg_outcome outcome); /* "applied", "rejected", "expired"; else "" */

bool msg_is_command(enum msg_type type); /* forwarded to robots, but for stop and re-arm */
bool msg_is_move(enum msg_type type);    /* a motion: latest wins, short time to live */
bool msg_device_id_valid(const char *id, size_t len);
bool msg_metric_name_valid(const char *name, size_t len);

/* Text of a command for people: "Robot move x=0.5, y=-0.3", "Speed set to 60%", "Frame requested".
 * The robot's log says the same with "Set speed to 60%". NUL-terminated, cut to cap; returns length. */
size_t msg_describe(char *out, size_t cap, const struct msg *m);
size_t msg_describe_for_robot(char *out, size_t cap, const struct msg *m);

/*
 * Encoders. Each writes one complete JSON object; check w->overflow afterwards. Time stamps are
 * wall clock. NULL strings leave their member out.
 */
void msg_put_command(struct jsonw *w, const struct msg *m, int64_t now_us); /* as the robot gets it */
void msg_put_zero(struct jsonw *w, enum msg_type type, int64_t now_us);     /* a motion that stops, of a relay's own */
void msg_put_website_greeting(struct jsonw *w);
enum msg_presence { MSG_ROBOT_GREETING, MSG_ROBOT_IS_ONLINE, MSG_ROBOT_CAME, MSG_ROBOT_WENT };
void msg_put_connection(struct jsonw *w, enum msg_presence what, const char *device_id);

struct msg_ack {
    const char *original_type;
    const char *id; /* or NULL */
    const char *message;
    int robots;     /* -1: no such member */
    bool duplicate; /* the same id came before: not forwarded again */
    int64_t now_us;
};
void msg_put_ack(struct jsonw *w, const struct msg_ack *ack);
void msg_put_error(struct jsonw *w, const struct msg_fault *fault);

/* The metrics as members without braces: `"battery":85,"cpu":38`. This is what a stream entry stores. */
void msg_put_metrics(struct jsonw *w, const struct msg *m);

/*
 * telemetry_update around metrics that msg_put_metrics wrote. Returns the offset (from w->buf) of
 * the CLOCK_RFC3339_MS_LEN bytes of its time stamp, so that it can be set once the time is known.
 */
size_t msg_put_telemetry_update(struct jsonw *w, const char *device_id, const char *device_name, const char *metrics,
                                size_t metrics_len, int64_t time_ms);
/* The same for a sample that came in a batch. */
void msg_put_late_update(struct jsonw *w, const char *device_id, const char *device_name, const char *metrics,
                         size_t metrics_len, int64_t time_ms);
void msg_put_robot_status(struct jsonw *w, const struct msg *m, const char *device_id, int64_t now_us);
void msg_put_video_frame(struct jsonw *w, const struct msg *m, const char *device_id, int64_t now_us);

/* This relay's own state: whether it reaches Redis. Websites show it; others may ignore it. */
void msg_put_relay_status(struct jsonw *w, const char *relay, bool redis_up, int64_t now_us);

/* What became of a command at a robot, for the website that sent it. Without latency_ms, which is
 * appended by the relay that knows when the command came. reason: NULL for none. */
struct msg_receipt {
    const char *original_type;
    const char *id;
    const char *device_id;
    enum msg_outcome outcome;
    const char *reason;
    int64_t now_us;
};
void msg_put_receipt(struct jsonw *w, const struct msg_receipt *r);
void msg_put_stop_state(struct jsonw *w, const char *device_id, bool stopped, bool confirmed, const char *by,
                        int64_t time_ms);
void msg_put_control_state(struct jsonw *w, const char *device_id, const char *holder, bool you, int64_t epoch);
void msg_put_robot_heartbeat(struct jsonw *w, const char *device_id, int64_t hb);
void msg_put_pong(struct jsonw *w, const char *id, int64_t now_us);

/* To a robot: type MSG_STOP or MSG_REARM. seq < 0: none yet. */
void msg_put_stop(struct jsonw *w, enum msg_type type, const char *id, const char *by, int64_t seq, int64_t now_us);

/* A JSON object that is complete gets one more member in front of its last brace. len: of the object in w. */
void msg_append_int(struct jsonw *w, const char *key, int64_t value);

/* What a robot sends. metrics: as msg_put_metrics takes them. */
void msg_put_heartbeat(struct jsonw *w, int64_t hb);
void msg_put_outcome(struct jsonw *w, const char *id, int64_t seq, enum msg_outcome outcome, const char *reason);
void msg_put_robot_stop_state(struct jsonw *w, bool stopped, int64_t seq, const char *by);
void msg_put_telemetry(struct jsonw *w, const struct msg *m, int64_t time_ms);
/* A batch: begin, one to MSG_SAMPLES_MAX samples, end. device_name: or NULL. */
void msg_put_batch_begin(struct jsonw *w, const char *id, const char *device_name);
void msg_put_batch_sample(struct jsonw *w, int64_t time_ms, const char *metrics, size_t metrics_len);
void msg_put_batch_end(struct jsonw *w);
void msg_put_status(struct jsonw *w, const char *status, const char *message);

#endif
