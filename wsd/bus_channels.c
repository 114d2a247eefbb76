#include "wsd/bus_channels.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum state { JOINING, JOINED, LEAVING };

struct channel {
    char id[MSG_DEVICE_ID_MAX + 1];
    enum state state;
    bool wanted;  /* a robot is here */
    bool waiting; /* tell `joined` once it is */
    uint64_t had;
    uint64_t conn; /* tell `left` of this one once it is; 0: of none */
    void *owner;
    bus_attach_cb *cb;
    UT_hash_handle hh;
};

struct bus_channels {
    const struct bus_channels_handlers *handlers;
    void *ctx;
    struct channel *all;
};

struct bus_channels *bus_channels_create(const struct bus_channels_handlers *handlers, void *ctx)
{
    struct bus_channels *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->handlers = handlers;
    c->ctx = ctx;
    return c;
}

static void forget(struct bus_channels *c, struct channel *ch)
{
    HASH_DEL(c->all, ch);
    free(ch);
}

void bus_channels_destroy(struct bus_channels *c)
{
    if (c == NULL)
        return;
    bus_channels_lost(c);
    free(c);
}

void bus_channels_lost(struct bus_channels *c)
{
    struct channel *ch, *next;
    HASH_ITER (hh, c->all, ch, next)
        forget(c, ch);
}

static struct channel *find(struct bus_channels *c, const char *device_id)
{
    struct channel *ch;
    HASH_FIND_STR(c->all, device_id, ch);
    return ch;
}

static void tell_joined(struct bus_channels *c, struct channel *ch)
{
    ch->waiting = false;
    c->handlers->joined(c->ctx, ch->id, ch->had, ch->owner, ch->cb);
}

int bus_channels_join(struct bus_channels *c, const char *device_id, uint64_t had, void *owner, bus_attach_cb *cb)
{
    struct channel *ch = find(c, device_id);
    bool fresh = ch == NULL;
    if (fresh) {
        if (strlen(device_id) > MSG_DEVICE_ID_MAX || (ch = calloc(1, sizeof(*ch))) == NULL)
            return -1;
        memcpy(ch->id, device_id, strlen(device_id));
        ch->state = JOINING;
        HASH_ADD_STR(c->all, id, ch);
    }
    ch->wanted = ch->waiting = true;
    ch->had = had;
    ch->owner = owner;
    ch->cb = cb;
    if (fresh)
        c->handlers->subscription(c->ctx, "SUBSCRIBE", device_id);
    else if (ch->state == JOINED)
        tell_joined(c, ch);
    return 0;
}

static void start_leaving(struct bus_channels *c, struct channel *ch)
{
    ch->state = LEAVING;
    c->handlers->subscription(c->ctx, "UNSUBSCRIBE", ch->id);
}

static void tell_left(struct bus_channels *c, const char *device_id, uint64_t conn)
{
    if (conn != 0)
        c->handlers->left(c->ctx, device_id, conn);
}

void bus_channels_leave(struct bus_channels *c, const char *device_id, uint64_t conn)
{
    struct channel *ch = find(c, device_id);
    if (ch == NULL) {
        tell_left(c, device_id, conn);
        return;
    }
    ch->wanted = ch->waiting = false;
    if (conn != 0)
        ch->conn = conn;
    if (ch->state == JOINED)
        start_leaving(c, ch);
}

bool bus_channels_wanted(struct bus_channels *c, const char *device_id)
{
    const struct channel *ch = find(c, device_id);
    return ch != NULL && ch->wanted;
}

void bus_channels_confirmed(struct bus_channels *c, const char *device_id, bool joined)
{
    struct channel *ch = find(c, device_id);
    if (ch == NULL)
        return;
    if (joined) {
        ch->state = JOINED;
        if (!ch->wanted) {
            start_leaving(c, ch);
            return;
        }
        ch->conn = 0; /* back before it had left: the new connection takes the old one's place */
        if (ch->waiting)
            tell_joined(c, ch);
        return;
    }
    tell_left(c, ch->id, ch->conn);
    ch->conn = 0;
    if (ch->wanted) {
        ch->state = JOINING;
        c->handlers->subscription(c->ctx, "SUBSCRIBE", ch->id);
    } else {
        forget(c, ch);
    }
}

void bus_channels_forget(struct bus_channels *c, const void *owner)
{
    for (struct channel *ch = c->all; ch != NULL; ch = ch->hh.next) {
        if (ch->waiting && ch->owner == owner)
            ch->waiting = false;
    }
}
