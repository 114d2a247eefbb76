/*
 * A request as handlers see it: no FastCGI left in it.
 */
#ifndef TELERELAY_FCGI_REQUEST_H
#define TELERELAY_FCGI_REQUEST_H

#include "fcgi/query.h"

#define REQUEST_PATH_MAX 256 /* bytes with the NUL */

enum request_method {
    REQUEST_GET,
    REQUEST_HEAD,
    REQUEST_POST,
    REQUEST_PUT,
    REQUEST_PATCH,
    REQUEST_DELETE,
    REQUEST_OPTIONS,
    REQUEST_OTHER
};

struct request {
    enum request_method method;
    char path[REQUEST_PATH_MAX]; /* decoded; "" when it was too long to be one of ours */
    bool loopback;               /* the client is on this machine */
    const char *if_none_match;   /* the header, NULL without; the parameters' */
    struct query query;
    bool query_bad; /* the query could not be read; `query_fault` says why */
    struct fault query_fault;
};

/* From FastCGI parameters: NULL-terminated "NAME=value" strings. Never fails: what is wrong with the
 * request is in it. */
void request_read(struct request *req, char *const *params);

const char *request_method_name(enum request_method method);

#endif
