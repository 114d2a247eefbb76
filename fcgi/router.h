/*
 * Which handler serves a method and a path. Pure.
 */
#ifndef TELERELAY_FCGI_ROUTER_H
#define TELERELAY_FCGI_ROUTER_H

#include "fcgi/request.h"

#include <stddef.h>

struct reply;
struct context;

/* `segment` is what stood for "*" in the route's path, else NULL. */
typedef void router_handler_fn(struct context *ctx, const struct request *req, const char *segment,
                               struct reply *reply);

struct router_route {
    const char *name; /* for logs and metrics */
    unsigned methods; /* bit 1 << enum request_method; HEAD goes where GET goes */
    const char *path; /* exact, but a "*" at its end stands for one non-empty segment */
    router_handler_fn *handler;
};

enum router_result { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

struct router_match {
    size_t index;        /* of the route; valid unless ROUTER_NO_PATH */
    const char *segment; /* within the request's path */
    char allow[64];      /* ROUTER_NO_METHOD: "GET, HEAD" */
};

enum router_result router_find(const struct router_route *routes, size_t n, enum request_method method,
                               const char *path, struct router_match *match);

#endif
