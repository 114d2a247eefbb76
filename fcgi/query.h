/*
 * The query string of a request: split and URL-decoded, within strict limits. Pure.
 */
#ifndef TELERELAY_FCGI_QUERY_H
#define TELERELAY_FCGI_QUERY_H

#include "fcgi/fault.h"

#include <stdbool.h>
#include <stddef.h>

#define QUERY_RAW_MAX  8192 /* bytes of the query string as sent */
#define QUERY_PARAMS   96   /* name=value pairs */
#define QUERY_NAME_MAX 32   /* bytes of a name */

struct query_param {
    const char *name; /* 1..QUERY_NAME_MAX printable ASCII bytes */
    const char *value;
    size_t len; /* bytes of value */
};

struct query {
    struct query_param params[QUERY_PARAMS]; /* in the order sent; empty pairs ("&&") left out */
    size_t n;
    char text[QUERY_RAW_MAX + 1]; /* the decoded strings, NUL-terminated, without further NULs */
};

/* Returns 0, or -1 with *fault saying why; *q is then unspecified. "+" and %20 are a space. */
int query_parse(struct query *q, const char *raw, size_t len, struct fault *fault);

/* 0 when every name is in the NULL-terminated list `known`, else -1 naming the stranger. */
int query_only(const struct query *q, const char *const *known, struct fault *fault);

/*
 * The one value of a name. *param is NULL when it was not sent. -1 when it was sent more than once.
 */
int query_single(const struct query *q, const char *name, const struct query_param **param, struct fault *fault);

/* Percent-encodes what is not unreserved (RFC 3986) into out; returns the length, or cap when it does
 * not fit. Not NUL-terminated. */
size_t query_encode(char *out, size_t cap, const char *text, size_t len);

#endif
