/*
 * Who is online, from what the relays keep in Redis: "CONN SINCE_MS INSTANCE RELAY" per device and
 * a lease per instance. Pure.
 */
#ifndef TELERELAY_FCGI_ONLINE_H
#define TELERELAY_FCGI_ONLINE_H

#include <stddef.h>
#include <stdint.h>

#define ONLINE_NAME_MAX 64 /* bytes of an instance's or a relay's name */

struct online {
    int64_t since_ms;                    /* wall clock */
    char instance[ONLINE_NAME_MAX + 40]; /* NAME#NONCE */
    char relay[ONLINE_NAME_MAX + 1];     /* NAME */
};

/* 0, or -1 with *out unchanged. Names are printable ASCII without spaces. */
int online_parse(const char *text, size_t len, struct online *out);

/* The name in NAME#NONCE to out; -1 when it is no such thing. */
int online_relay_name(const char *instance, size_t len, char out[ONLINE_NAME_MAX + 1]);

#endif
