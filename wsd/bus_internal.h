/*
 * The bus's insides, for its own files only: bus_redis.c (robots, messages, orders, what arrives), bus_samples.c (what
 * is kept of robots).
 */
#ifndef TELERELAY_BUS_INTERNAL_H
#define TELERELAY_BUS_INTERNAL_H

#include "wsd/bus.h"

#include "common/rkey.h"
#include "wsd/bus_channels.h"
#include "wsd/bus_link.h"

#define BUS_NOBODY ((struct bus_request){0})

struct bus {
    const struct conf *conf;
    const struct bus_handlers *handlers;
    void *ctx;
    struct bus_link *link;
    struct bus_channels *channels; /* whose commands arrive here */
    char own_channel[RKEY_MAX];
    bool upstream;  /* wanted */
    bool untidy;    /* a robot that left could not be taken out */
    int64_t newest; /* the highest number of an order that was seen or given out */
};

/* A callback of any type travels through a request as a plain function pointer. */
struct bus_request bus_request_of(void *owner, void *token, void (*callback)(void));

/* To a stream of about `most` entries (0: any number). */
int bus_append(struct bus *b, const char *key, int most, const char *id, const char *members, size_t len,
               bus_answer *answer, struct bus_request r);

#endif
