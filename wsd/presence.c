#include "wsd/presence.h"

#include "common/msg.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct robot {
    char id[MSG_DEVICE_ID_MAX + 1];
    uint64_t conn;
    uint64_t round;  /* the last snapshot that held it */
    uint64_t serial; /* rises in the order of the table */
    UT_hash_handle hh;
};

struct presence {
    struct robot *robots;
    uint64_t seq;      /* of the last event or snapshot applied */
    uint64_t seen_seq; /* highest of any event while not synced */
    uint64_t round;    /* snapshots applied */
    uint64_t serial;   /* the last one given */
    bool synced;
};

struct presence *presence_create(void)
{
    return calloc(1, sizeof(struct presence));
}

static void remove_robot(struct presence *p, struct robot *r)
{
    HASH_DEL(p->robots, r);
    free(r);
}

void presence_destroy(struct presence *p)
{
    if (p == NULL)
        return;
    struct robot *r, *next;
    HASH_ITER (hh, p->robots, r, next)
        remove_robot(p, r);
    free(p);
}

bool presence_synced(const struct presence *p)
{
    return p->synced;
}

void presence_lost(struct presence *p)
{
    p->synced = false;
    p->seen_seq = 0;
}

static struct robot *find(struct presence *p, const char *id)
{
    struct robot *r;
    HASH_FIND_STR(p->robots, id, r);
    return r;
}

/* The robot when this is news: it was not known, or is on a newer connection. Else NULL. */
static struct robot *note_up(struct presence *p, const char *id, uint64_t conn)
{
    struct robot *r = find(p, id);
    if (r == NULL) {
        size_t len = strlen(id);
        if (len > MSG_DEVICE_ID_MAX || (r = calloc(1, sizeof(*r))) == NULL)
            return NULL;
        memcpy(r->id, id, len);
        r->serial = ++p->serial;
        HASH_ADD_STR(p->robots, id, r);
    } else if (r->conn == conn) {
        r->round = p->round;
        return NULL;
    }
    r->conn = conn;
    r->round = p->round;
    return r;
}

enum presence_change presence_apply(struct presence *p, const struct presence_event *ev, uint64_t *serial)
{
    if (!p->synced) {
        if (ev->seq > p->seen_seq)
            p->seen_seq = ev->seq;
        return PRESENCE_SAME;
    }
    if (ev->seq <= p->seq)
        return PRESENCE_SAME;
    if (ev->seq != p->seq + 1) {
        presence_lost(p);
        p->seen_seq = ev->seq;
        return PRESENCE_RESYNC;
    }
    p->seq = ev->seq;
    struct robot *r = ev->up ? note_up(p, ev->device_id, ev->conn) : find(p, ev->device_id);
    if (r != NULL)
        *serial = r->serial;
    if (ev->up)
        return r != NULL ? PRESENCE_CAME : PRESENCE_SAME;
    if (r == NULL || r->conn != ev->conn)
        return PRESENCE_SAME;
    remove_robot(p, r);
    return PRESENCE_WENT;
}

int presence_snapshot(struct presence *p, uint64_t seq, const struct presence_entry *entries, size_t n,
                      presence_tell *tell, void *ctx)
{
    if ((!p->synced && seq < p->seen_seq) || (p->synced && seq < p->seq))
        return -1;
    p->round++;
    p->seq = seq;
    p->synced = true;
    for (size_t i = 0; i < n; i++) {
        const struct robot *came = note_up(p, entries[i].device_id, entries[i].conn);
        if (came != NULL)
            tell(ctx, came->id, PRESENCE_CAME, came->serial);
    }
    struct robot *r, *next;
    HASH_ITER (hh, p->robots, r, next) {
        if (r->round == p->round)
            continue;
        tell(ctx, r->id, PRESENCE_WENT, r->serial);
        remove_robot(p, r);
    }
    return 0;
}

uint64_t presence_list(const struct presence *p, uint64_t after, size_t max, presence_tell *tell, void *ctx)
{
    for (const struct robot *r = p->robots; r != NULL; r = r->hh.next) {
        if (r->serial <= after)
            continue;
        if (max-- == 0)
            return after;
        tell(ctx, r->id, PRESENCE_SAME, r->serial);
        after = r->serial;
    }
    return PRESENCE_ALL;
}

size_t presence_count(const struct presence *p)
{
    return HASH_COUNT(p->robots);
}
