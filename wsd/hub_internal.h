/*
 * The hub's insides, for its own files only: hub.c (who is here), hub_message.c (what peers say), hub_samples.c
 * (telemetry that is kept), hub_command.c (what websites command), hub_control.c (who may), hub_robot.c (what robots
 * get and answer), hub_state.c (who is stopped, who has control), hub_send.c.
 */
#ifndef TELERELAY_HUB_INTERNAL_H
#define TELERELAY_HUB_INTERNAL_H

#include "wsd/hub.h"

#include "common/jsonw.h"
#include "common/msg.h"
#include "wsd/operator.h"
#include "wsd/receipts.h"

#include <uthash.h>

#define SMALL_TEXT        2048u /* any message that is neither telemetry nor video nor a long status */
#define PENDING_STOPS     64
#define HEARTBEATS_MS     10000 /* another relay gets a robot's heartbeats for this long after it wanted them */
#define INTEREST_EVERY_MS 4000  /* between two calls for the heartbeats of a robot that is watched */

struct robot {
    char id[MSG_DEVICE_ID_MAX + 1];
    char name[MSG_NAME_MAX + 1]; /* for people; the id until the robot says another */
    uint64_t conn;               /* connection number, 0 until the bus has given one */
    uint64_t taken_over;         /* the number of a connection elsewhere that came while this one had none yet */
    bool attaching;              /* the bus has been asked for a number */
    bool entered;                /* the bus has said that it is online */
    struct session *session;

    /* of the present connection */
    bool heard;                     /* it has said anything */
    bool answers;                   /* it knows receipts and stop: it has sent such a message */
    bool stopped;                   /* it has been told to stop, or says that it is: no motion goes out */
    uint64_t told_first;            /* number of the website whose stop it was told before the bus was; 0: none */
    int64_t stop_seq;               /* of the last stop or re-arm that it was told; 0: none */
    bool said;                      /* the next three hold what it last said about itself */
    bool said_stopped;              /* whether it is stopped */
    int64_t said_seq;               /* by which stop or re-arm; < 0: it did not say */
    int64_t said_ms;                /* monotonic, when that was told the bus */
    char said_by[MSG_NAME_MAX + 1]; /* by whom */
    int64_t hb;                     /* its newest heartbeat, < 0: none yet */
    int64_t wanted_ms;              /* monotonic, when another relay last wanted its heartbeats; 0: never */
    uint64_t driver[2];             /* by axis: number of the website here whose motion came last; 0: one elsewhere */
    bool moved;                     /* it was sent a motion since the bus came up */
    struct limit status_limit;      /* of what is kept in the history */
    struct receipts waiting;        /* orders that it has not answered */
    UT_hash_handle hh;
};

struct device_state; /* hub_state.c */

struct hub {
    const struct conf *conf;
    struct metrics *metrics;
    struct ws *ws;
    struct bus *bus;
    struct presence *presence;
    struct robot *robots;
    struct session *websites;
    unsigned n_websites;
    struct session *told; /* whom a list is being told */
    bool leaving;         /* this relay ends */
    unsigned batches;     /* of samples that had waited, on their way into Redis */

    struct operator* operators; /* list */
    struct operator* by_number; /* the same, by number */
    uint64_t last_number;       /* given to an operator */
    uint64_t random;            /* for the names of guests */
    int64_t wanted_ms;          /* monotonic, when heartbeats of watched robots were last asked for */

    struct device_state *states; /* who is stopped or held, as all relays have been told */
    uint64_t last_serial;        /* given to one of them */

    struct pending_stop {
        char device_id[MSG_DEVICE_ID_MAX + 1]; /* "": all */
        char by[MSG_NAME_MAX + 1];
        int64_t seq;          /* that robots here were told */
        bool sent;            /* to the bus, whose answer is still to come */
    } pending[PENDING_STOPS]; /* stops that could not be latched since the bus was down */
    unsigned n_pending;
};

/* hub.c */
struct robot *hub_find_robot(struct hub *h, const char *device_id); /* NULL: not here */

/* hub_send.c */
/* Queue a frame, and count what the queue did with it. */
enum outq_result hub_push(struct hub *h, struct session *s, const struct outq_item *item);
void hub_send_text(struct hub *h, struct session *s, const struct jsonw *w); /* one message to one peer */
/* One message, framed once, to every website that may want it. device_id NULL: it is about no robot. */
void hub_broadcast(struct hub *h, enum outq_lane lane, uint32_t key, const char *device_id, const char *text,
                   size_t len);
bool hub_watches(const struct session *s, const char *device_id);
void hub_send_fault(struct hub *h, struct session *s, const struct msg_fault *fault);
/* text NULL: the code's own; type, id: NULL or "" where unknown. */
void hub_send_error(struct hub *h, struct session *s, enum msg_code code, const char *text, const char *type,
                    const char *id);
void hub_send_ack(struct hub *h, struct session *s, const struct msg_ack *ack);
void hub_send_relay_status(struct hub *h, struct session *s, bool up); /* s NULL: to every website */

/* hub_samples.c: telemetry */
void hub_store_sample(struct hub *h, struct session *s, const struct msg *m);
void hub_store_batch(struct hub *h, struct session *s, const struct msg *m);

/* hub_command.c: websites */
struct operator* hub_operator(struct hub *h, struct session *s); /* made when there is none; NULL: out of memory */
void hub_end_operator(struct hub *h, struct session *s);         /* the website goes */
void hub_forward(struct hub *h, struct session *s, const struct msg *m);
void hub_stop(struct hub *h, struct session *s, const struct msg *m);
/* A stop that robots here know, but the bus does not; hub_latch_pending tells it, call it when the bus is back and once
 * a second. device_id: "" for all. */
void hub_latch_later(struct hub *h, const char *device_id, const char *by, int64_t seq);
void hub_latch_pending(struct hub *h);
bool hub_latches_later(const struct hub *h, const char *device_id); /* the bus is still to be told of a stop of it */
void hub_on_receipt(void *ctx, uint64_t number, int64_t t0, const char *json, size_t len);

/* hub_control.c */
void hub_control(struct hub *h, struct session *s, const struct msg *m);
void hub_end_control(struct hub *h, struct operator* op); /* it goes, or is silent */
void hub_keep_leases(struct hub *h, struct operator* op, int64_t now);

/* hub_robot.c */
void hub_on_order(void *ctx, const struct bus_order *o);
void hub_on_wanted(void *ctx, const char *device_id);
/* Stop and re-arm. first: before the bus knows. */
void hub_tell_stop(struct hub *h, struct robot *r, const struct bus_order *o, bool first);
void hub_zero(struct hub *h, struct robot *r, enum msg_type type); /* a zero that does not come from the bus */
void hub_rest(struct hub *h);                                      /* the bus is down: zeros to all that moved */
void hub_robot_begin(struct robot *r);                             /* a new connection */
void hub_robot_end(struct hub *h, struct robot *r);                /* it goes: nothing more will be answered */
void hub_robot_says(struct hub *h, struct session *s, const struct msg *m); /* heartbeat, ack, stop_state */
void hub_report(struct hub *h, const struct robot *r);                      /* what it said about itself, to the bus */
void hub_reconcile(struct hub *h, const struct robot *r);                   /* again, where the bus knows otherwise */
void hub_pass_heartbeat(struct hub *h, const char *device_id, const char *json, size_t len);

/* hub_state.c */
void hub_on_stop_state(void *ctx, const struct bus_stop_state *state);
void hub_show_stop_state(struct hub *h, const struct bus_stop_state *state); /* to people here: the bus may not know */
void hub_on_control_state(void *ctx, const struct bus_control_state *state);
void hub_on_states(void *ctx, const struct bus_stop_state *stops, size_t n_stops,
                   const struct bus_control_state *controls, size_t n_controls);
void hub_list_states(struct hub *h, struct session *s); /* some more of who is stopped, to a website */
void hub_send_control_state(struct hub *h, struct session *s, const char *device_id); /* exclusive mode only */
/* Whether the bus knows this of the robot, and that the robot itself has said so. */
bool hub_agrees(struct hub *h, const char *device_id, bool stopped);
/* People here were told of a stop that the bus did not have, and whose robot has gone since, or moves again: what the
 * bus says of it may have been said already. */
bool hub_doubts_states(struct hub *h);
void hub_destroy_states(struct hub *h);

#endif
