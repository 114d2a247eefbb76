/*
 * Which robots' command channels this relay has joined: a small state machine per robot, so that a
 * robot is entered as online only once its commands really arrive here, is taken out only once they no
 * longer do, and so that joining and leaving never overtake each other. Pure: what to send goes out through handlers.
 */
#ifndef TELERELAY_BUS_CHANNELS_H
#define TELERELAY_BUS_CHANNELS_H

#include "wsd/bus.h"

struct bus_channels;

struct bus_channels_handlers {
    void (*subscription)(void *ctx, const char *verb, const char *device_id); /* verb: (UN)SUBSCRIBE */
    void (*joined)(void *ctx, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb);
    void (*left)(void *ctx, const char *device_id, uint64_t conn);
};

struct bus_channels *bus_channels_create(const struct bus_channels_handlers *handlers, void *ctx);
void bus_channels_destroy(struct bus_channels *c); /* takes NULL; no callback */

/* Calls `joined` once the robot's channel is. A newer call for the same robot takes the place of one that
 * waits. -1: out of memory. */
int bus_channels_join(struct bus_channels *c, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb);

/* Calls `left` once the robot's channel is, at once where it was not joined. conn: as which it is entered; 0: as none,
 * then there is no such call. A robot that joins meanwhile joins after that, unless its channel was not left yet. */
void bus_channels_leave(struct bus_channels *c, const char *device_id, uint64_t conn);

/* Whether the last call for this robot since the link was up was to join. */
bool bus_channels_wanted(struct bus_channels *c, const char *device_id);

/* The other side has confirmed. */
void bus_channels_confirmed(struct bus_channels *c, const char *device_id, bool joined);

/* The connection is gone, and with it all that was joined; those who wait are forgotten; no callback. */
void bus_channels_lost(struct bus_channels *c);
void bus_channels_forget(struct bus_channels *c, const void *owner);

#endif
