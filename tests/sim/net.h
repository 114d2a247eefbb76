/*
 * Connections. What one end sends arrives at the other in order, some time later, or not at all: both ways can stall,
 * be cut, and stay half-open. What has not been read yet fills the sender's room.
 */
#ifndef TELERELAY_SIM_NET_H
#define TELERELAY_SIM_NET_H

#include "tests/sim/sched.h"

enum net_kind { NET_HELLO, NET_TEXT, NET_OBJECT, NET_PING, NET_PONG, NET_CLOSE };

struct net_packet {
    struct net_packet *next;
    int64_t at; /* when it arrives */
    enum net_kind kind;
    int code;     /* NET_CLOSE */
    void *object; /* NET_OBJECT: the receiver takes it by setting NULL */
    void (*drop)(void *object);
    size_t len;
    char data[]; /* NUL-terminated */
};

/* From inside them the end may be closed. After `closed` it is gone. */
struct net_ops {
    void (*packet)(void *ctx, struct net_packet *p);
    void (*room)(void *ctx); /* after net_room said that there was none */
    void (*closed)(void *ctx, int code);
};

struct net_end;

/* How a connection behaves. */
struct net_quality {
    int64_t delay_us;  /* at least */
    int64_t jitter_us; /* mean of what comes on top */
    double spike;      /* how often a packet is lost and sent again */
    size_t room;       /* bytes on their way */
};

/* Both ends at once: ends[0] is a's. */
void net_connect(struct net_end *ends[2], struct node *a, struct node *b, const struct net_quality *q);
void net_own(struct net_end *e, const struct net_ops *ops, void *ctx);
void net_send(struct net_end *e, enum net_kind kind, const char *data, size_t len);
void net_send_object(struct net_end *e, void *object, size_t len, void (*drop)(void *));
bool net_has_room(struct net_end *e);           /* false: `room` will be called */
struct net_packet *net_late(struct net_end *e); /* all text on its way to it, NULL: none; to be freed */
void net_close(struct net_end *e, int code);    /* what was sent still arrives; no callback any more */
void net_vanish(struct net_end *e);             /* the other end is not told */

/* Faults, on a random connection of the node (NULL: any). False: it has none. */
bool net_fault_stall(const struct node *n, int64_t for_us);
bool net_fault_cut(const struct node *n);       /* both ends hear of it */
bool net_fault_half_open(const struct node *n); /* neither does, or one of them */

/* Nothing gets through between the two until then; who still holds on finds out then. */
void net_fault_partition(const struct node *a, const struct node *b, int64_t until);

void net_calm(void);   /* no stalls any more */
void net_finish(void); /* everything is freed */

#endif
