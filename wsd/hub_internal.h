/* The hub's insides, for its three files only: hub.c (who is here), hub_message.c (what peers say), hub_send.c. */
#ifndef TELERELAY_HUB_INTERNAL_H
#define TELERELAY_HUB_INTERNAL_H

#include "wsd/hub.h"

#include "common/jsonw.h"
#include "common/msg.h"

#include <uthash.h>

#define SMALL_TEXT 2048u /* any message that is neither telemetry nor video nor a long status */

struct robot {
    char id[MSG_DEVICE_ID_MAX + 1];
    char name[MSG_NAME_MAX + 1]; /* for people; the id until the robot says another */
    uint64_t conn;               /* connection number, 0 until the bus has given one */
    uint64_t taken_over;         /* the number of a connection elsewhere that came while this one had none yet */
    bool attaching;              /* the bus has been asked for a number */
    bool entered;                /* the bus has said that it is online */
    struct session *session;
    UT_hash_handle hh;
};

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
};

/* Queue a frame, and count what the queue did with it. */
void hub_push(struct hub *h, struct session *s, enum outq_lane lane, struct frame *f, uint32_t key,
              int64_t deadline_ms);
void hub_send_text(struct hub *h, struct session *s, const struct jsonw *w); /* one message to one peer */
/* One message, framed once, to every website. */
void hub_broadcast(struct hub *h, enum outq_lane lane, uint32_t key, const char *text, size_t len);
void hub_send_fault(struct hub *h, struct session *s, const struct msg_fault *fault);
/* text NULL: the code's own; type, id: NULL or "" where unknown. */
void hub_send_error(struct hub *h, struct session *s, enum msg_code code, const char *text, const char *type,
                    const char *id);
void hub_send_ack(struct hub *h, struct session *s, const struct msg_ack *ack);
void hub_send_relay_status(struct hub *h, struct session *s, bool up); /* s NULL: to every website */

#endif
