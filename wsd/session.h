/* One peer: a robot or a website, from its upgrade to its end. Owned by ws.c, inside libwebsockets' connection. */
#ifndef TELERELAY_SESSION_H
#define TELERELAY_SESSION_H

#include "common/conf.h"
#include "common/msg.h"
#include "wsd/limit.h"
#include "wsd/outq.h"
#include "wsd/pace.h"

#include <stdbool.h>
#include <stdint.h>

struct lws;
struct robot;    /* hub_internal.h */
struct operator; /* operator.h */

/* Close codes of our own (RFC 6455, 7.4.2: 4000–4999 are private) and those of the standard that we use. */
enum session_close {
    SESSION_GOING_AWAY = 1001,
    SESSION_POLICY = 1008, /* floods */
    SESSION_TOO_BIG = 1009,
    SESSION_REPLACED = 4001, /* a newer connection of the same robot */
    SESSION_BLOCKED = 4008,  /* did not read for too long */
    SESSION_SLOW = 4009      /* did not finish a message in time */
};

/* All zero until ws.c has filled it. Small: ten thousand idle ones are normal. */
struct session {
    struct lws *wsi;
    enum msg_sender from; /* MSG_FROM_WEBSITE or MSG_FROM_ROBOT */
    struct robot *robot;  /* a robot's place in the hub; NULL for a website, or once replaced */

    /* the hub's */
    struct session *prev, *next; /* websites */
    uint64_t listed_to;          /* website: the serial of the last robot it was told of (presence.h) */
    uint64_t states_to;          /* website: the serial of the last stop state it was told of (hub_state.c) */
    struct operator* op;         /* website: NULL until it does more than look on */
    bool greeted;                /* robot */
    struct limit limit;

    /* ws.c's */
    struct outq q;
    struct pace pace; /* website: of video */
    bool opened;      /* the hub knows it */
    bool batch;       /* takes several messages in one frame */
    bool gathering;   /* on the list of those whose telemetry waits for more of it */
    bool dirty;       /* on the list of those with something to send */
    bool watched;     /* on the list of those with a deadline */
    bool ended;       /* being closed: nothing from it counts any more */
    enum session_film { SESSION_NO_FILM, SESSION_FILM_NEXT, SESSION_FILMING } film; /* a frame: announced, under way */
    uint16_t rx_fragments; /* WebSocket frames of the message so far */
    bool close_sent;       /* the close frame is on its way */
    uint16_t close_code;   /* not 0: close once the queue is empty */
    uint32_t rx_len, rx_cap;
    char *rx; /* a message that came in pieces */
    struct session *dirty_prev, *dirty_next;
    struct session *gather_prev, *gather_next;
    struct session *watch_prev, *watch_next;
    struct session *life_prev, *life_next; /* all sessions, the one to look at next first */
    int64_t look_ms;                       /* when to see whether it is alive */
    int64_t heard_ms;                      /* when it last said anything, be it a pong */
    int64_t pinged_ms;                     /* when it was last asked to */
    int64_t rx_since_ms;                   /* when the message in `rx` began; 0: none */
    int64_t behind_since_ms;               /* since when something has been waiting for the peer; 0: nothing is */
    int64_t blocked_since_ms;              /* since when it has taken nothing; only while behind */
    int64_t close_by_ms;                   /* when closing has to be over; 0: not closing */
};

/* The lists of ws.c that a session may be on; each heads its own. */
struct session_lists {
    struct session *gathering; /* telemetry waits for more of it */
    struct session *dirty;     /* something is to be sent before the loop blocks */
    struct session *watched;   /* a deadline runs */
    struct session *life;      /* all, in the order in which to see whether they are alive */
};

/* On a list and off it; nothing happens when it is already so. */
void session_watch(struct session_lists *l, struct session *s);
void session_unwatch(struct session_lists *l, struct session *s);
void session_gather(struct session_lists *l, struct session *s);
void session_mark(struct session_lists *l, struct session *s);   /* dirty */
void session_unmark(struct session_lists *l, struct session *s); /* neither dirty nor gathering */

/* Between two messages: whether the next is a video frame that has to wait until the link has room (one that is to be
 * closed gets it all the same); else whether a ping is due first, with this payload (pace.h). */
bool session_film_waits(const struct session *s, int64_t now_ms);
bool session_film_mark(struct session *s, unsigned char mark[PACE_MARK], int64_t now_ms); /* false: it is sent now */

#define SESSION_LOOK_MS 250 /* between two looks whether a peer is alive */

enum session_sign { SESSION_ALIVE, SESSION_ASK, SESSION_GONE };

/* What to do about a peer's silence: nothing, ping it, or hang up. behind: it has yet to take what was sent. A website
 * that is behind gets no ping and is not gone, since that has a deadline of its own. */
enum session_sign session_silence(const struct session *s, const struct conf_wsd *conf, bool behind, int64_t now_ms);

/* A message that comes in pieces: add one (the caller has checked that the message stays within max bytes; -1: out
 * of memory), and forget it. */
int session_rx_join(struct session *s, const char *piece, size_t len, size_t max);
void session_rx_end(struct session *s);

#endif
