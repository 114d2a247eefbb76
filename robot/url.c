#include "robot/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(char *err, size_t cap, const char *why)
{
    snprintf(err, cap, "%s", why);
    return -1;
}

/* Digits only, 1..65535. */
static int parse_port(const char *text, size_t len, int *port)
{
    int value = 0;

    if (len == 0 || len > 5)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    if (value < 1 || value > 65535)
        return -1;
    *port = value;
    return 0;
}

/* HOST[:PORT] or [IPV6][:PORT], `len` bytes. */
static int parse_authority(struct url *u, const char *text, size_t len, char *err, size_t cap)
{
    const char *end = text + len;
    const char *host = text;
    const char *host_end;
    bool v6 = len > 0 && *text == '[';

    if (v6) {
        host++;
        host_end = memchr(text, ']', len);
        if (!host_end)
            return fail(err, cap, "the bracket of an IPv6 address is not closed");
        text = host_end + 1;
    } else {
        host_end = memchr(text, ':', len);
        if (!host_end)
            host_end = end;
        text = host_end;
    }
    if (host_end == host || host_end - host >= URL_HOST_MAX)
        return fail(err, cap, "the host is missing or too long");
    for (const char *p = host; p < host_end; p++)
        if (!isalnum((unsigned char)*p) && !strchr(v6 ? ":." : "-._", *p))
            return fail(err, cap, "the host has a character that no host has");
    snprintf(u->host, sizeof(u->host), "%.*s", (int)(host_end - host), host);
    u->port = u->tls ? 443 : 80;
    bool usual = text == end;
    if (!usual && (*text != ':' || parse_port(text + 1, (size_t)(end - text - 1), &u->port) != 0))
        return fail(err, cap, "the port is not a number in 1..65535");
    if (v6 && u->tls)
        return fail(err, cap, "wss needs a host name or an IPv4 address");
    if (usual)
        snprintf(u->host_header, sizeof(u->host_header), v6 ? "[%s]" : "%s", u->host);
    else
        snprintf(u->host_header, sizeof(u->host_header), v6 ? "[%s]:%d" : "%s:%d", u->host, u->port);
    return 0;
}

static bool has_device_id(const char *query)
{
    for (const char *p = query; p; p = strchr(p, '&')) {
        p += p != query;
        if (strncmp(p, "device_id=", 10) == 0)
            return true;
    }
    return false;
}

/* "/PATH?QUERY" and device_id. */
static int make_path(struct url *u, const char *rest, const char *device_id, char *err, size_t cap)
{
    const char *query = strchr(rest, '?');
    size_t n;

    for (const char *p = rest; *p; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127 || *p == '#')
            return fail(err, cap, "the path has a character that has to be URL-encoded");
    if (query && has_device_id(query + 1))
        return fail(err, cap, "device_id belongs into the key device_id, not into the URL");
    n = (size_t)snprintf(u->path, sizeof(u->path), "%s%s%sdevice_id=", *rest == '/' ? "" : "/", rest,
                         !query             ? "?"
                         : query[1] == '\0' ? ""
                                            : "&");
    for (const char *p = device_id; *p && n < sizeof(u->path); p++) {
        if (isalnum((unsigned char)*p) || strchr("-._~", *p))
            n += (size_t)snprintf(u->path + n, sizeof(u->path) - n, "%c", *p);
        else
            n += (size_t)snprintf(u->path + n, sizeof(u->path) - n, "%%%02X", (unsigned)(unsigned char)*p);
    }
    return n < sizeof(u->path) ? 0 : fail(err, cap, "the path is too long");
}

int url_parse(struct url *out, const char *text, const char *device_id, char *err, size_t err_cap)
{
    struct url u = {0};

    if (strncmp(text, "ws://", 5) == 0) {
        text += 5;
    } else if (strncmp(text, "wss://", 6) == 0) {
        u.tls = true;
        text += 6;
    } else {
        return fail(err, err_cap, "it must begin with ws:// or wss://");
    }
    size_t authority = strcspn(text, "/?#");

    if (parse_authority(&u, text, authority, err, err_cap) != 0 ||
        make_path(&u, text + authority, device_id, err, err_cap) != 0)
        return -1;
    *out = u;
    return 0;
}

bool url_is_local(const struct url *u)
{
    return strcmp(u->host, "localhost") == 0 || strncmp(u->host, "127.", 4) == 0 || strcmp(u->host, "::1") == 0;
}
