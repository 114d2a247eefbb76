/* The relay's address. Pure. */
#ifndef TELERELAY_ROBOT_URL_H
#define TELERELAY_ROBOT_URL_H

#include <stdbool.h>
#include <stddef.h>

#define URL_HOST_MAX 128
#define URL_PATH_MAX 512

struct url {
    bool tls;
    char host[URL_HOST_MAX]; /* a name or a number, IPv6 without its brackets */
    int port;
    char host_header[URL_HOST_MAX + 8]; /* with the port where it is not the usual one */
    char path[URL_PATH_MAX];            /* with the query, which ends in device_id=ID */
};

/*
 * ws://HOST[:PORT][/PATH][?QUERY] or wss://…, with ?device_id= (URL-encoded) added to the query.
 * 0, or -1 with a reason in err and *out unchanged. User names, fragments, a device_id of the URL's
 * own and wss to an IPv6 number (whose certificate the TLS layer cannot check) are refused.
 */
int url_parse(struct url *out, const char *text, const char *device_id, char *err, size_t err_cap);

/* A name or number of this machine itself. */
bool url_is_local(const struct url *u);

#endif
