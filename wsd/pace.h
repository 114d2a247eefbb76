/*
 * How much video may be under way to one website. Between the relay and a browser there is room for seconds of it, and
 * whatever follows waits behind it: heartbeats grow old, and the robot refuses to be driven. So a frame goes between
 * two pings, and the time between their pongs says how long the website's link was busy with it, however far away it
 * is. Pure.
 */
#ifndef TELERELAY_PACE_H
#define TELERELAY_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_FRAMES  4    /* under way to a website whose link is fast */
#define PACE_FAST_MS 50   /* for a frame: several may be under way */
#define PACE_SLOW_MS 100  /* longer: the link is left to others for … */
#define PACE_REST    3    /* … so many times as long as it was busy, … */
#define PACE_REST_MS 5000 /* … but no longer than this */
#define PACE_LOST_MS 5000 /* a peer need not answer every ping: what was sent so long ago has arrived */
#define PACE_MARK    3    /* bytes of a ping's payload */

/* All zero: nothing is known of the link, so one frame at a time. */
struct pace {
    bool known;      /* busy_ms says something */
    uint8_t sent;    /* number of the last frame that was sent, modulo 256 */
    uint8_t arrived; /* of the last that is known to have arrived */
    uint8_t begun;   /* of the frame that the last pong in front of one belonged to */
    int64_t begun_ms;
    int64_t busy_ms; /* how long the last one took */
    int64_t free_ms; /* nothing is sent before this */
    int64_t sent_ms; /* when the last one was sent */
};

/* Whether another frame may be sent. now_ms: monotonic, as everywhere here. */
bool pace_free(const struct pace *p, int64_t now_ms);

/* The payloads of the pings in front of the next frame and behind it; the latter counts it as sent. */
void pace_begin(const struct pace *p, unsigned char mark[PACE_MARK]);
void pace_end(struct pace *p, unsigned char mark[PACE_MARK], int64_t now_ms);

/* A pong came. True when it was of a frame. */
bool pace_pong(struct pace *p, const unsigned char *payload, size_t len, int64_t now_ms);

#endif
