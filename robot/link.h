/*
 * The connection to the relay: connects, keeps it alive, connects again. It is also the main loop
 * of the program (libwebsockets' own), so all events come in the thread that is in link_run().
 *
 * Each address of the relay's host gets 2 s, and so does the relay's answer. A relay that leaves pings unanswered for 3
 * s counts as gone. No WebSocket extension is offered. It logs what happens to the connection.
 */
#ifndef TELERELAY_ROBOT_LINK_H
#define TELERELAY_ROBOT_LINK_H

#include "robot/sendq.h"
#include "robot/url.h"

#include <stddef.h>
#include <stdint.h>

#define LINK_MESSAGE_MAX (16 * 1024) /* bytes of a message from the relay */
#define LINK_TICK_MS     50

struct link;

struct link_events {
    void *ctx;
    void (*opened)(void *ctx);
    void (*message)(void *ctx, const char *text, size_t len); /* complete, 1..LINK_MESSAGE_MAX bytes */
    void (*closed)(void *ctx);                                /* once after each `opened`, without delay */
    void (*tick)(void *ctx);                                  /* every LINK_TICK_MS, connected or not */
};

struct link_config {
    struct url url;
    const char *ca;         /* PEM file; "" for the system's. The strings stay the caller's */
    const char *token_file; /* "" for none; read anew for each connection, so that it can be replaced */
    struct link_events events;
};

/* NULL with a reason in err. */
struct link *link_create(const struct link_config *config, char *err, size_t err_cap);
void link_destroy(struct link *l); /* NULL is allowed */

/* Runs until link_stop(), connecting again for ever: 0. -1: the loop itself failed. */
int link_run(struct link *l);

/* From any thread: closes with 1001 and lets link_run() return, within 1 s unless the loop hangs. */
void link_stop(struct link *l);

/*
 * Queues a message. 0; 1: in the place of one in the lane of the latest, which is dropped; or -1 when not connected or
 * full of what does not make room: the message is dropped.
 */
int link_send(struct link *l, enum sendq_lane lane, const char *text, size_t len);

#endif
