/*
 * An answer: status, headers and a body that is collected and, when it grows large, sent piece by
 * piece. Errors are problem details (RFC 9457).
 */
#ifndef TELERELAY_FCGI_REPLY_H
#define TELERELAY_FCGI_REPLY_H

#include "fcgi/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define REPLY_HEADERS_MAX 8192              /* bytes of all header lines */
#define REPLY_BODY_MAX    (8 * 1024 * 1024) /* bytes collected at once */
#define REPLY_PIECE       (256 * 1024)      /* bytes from which on reply_flush sends */

/* Takes all bytes; non-zero when the peer is gone. */
typedef int reply_sink_fn(void *ctx, const char *bytes, size_t len);

struct reply {
    int status;        /* HTTP status */
    struct buf head;   /* header lines but Status and Content-Length */
    struct buf body;   /* what handlers write to */
    bool no_body;      /* HEAD: everything but the body */
    bool no_length;    /* nobody knows how long the body would be */
    const char *cache; /* Cache-Control; "no-store" unless the handler sets it */
    bool started;      /* the header has been sent: status and headers are settled */
    bool gone;         /* the peer is gone or the body failed: the rest is dropped */
    reply_sink_fn *sink;
    void *sink_ctx;
};

void reply_init(struct reply *r);
void reply_destroy(struct reply *r); /* takes NULL; frees what reply_init'd one holds, not the struct */

/* Begins the next answer: 200, no headers but the usual ones, no body. */
void reply_begin(struct reply *r, bool no_body, reply_sink_fn *sink, void *sink_ctx);

void reply_type(struct reply *r, const char *content_type);

/* A further header line. Values are the program's own: no control characters. */
void reply_header(struct reply *r, const char *name, const char *value);

/* To be called between parts of a long body: sends what there is once it is REPLY_PIECE. -1 when there
 * is no point in going on. */
int reply_flush(struct reply *r);

/* 304 with the headers that were set, and without a body. */
void reply_not_modified(struct reply *r);

/* Throws away what was collected and makes it a problem. The detail is for people and valid UTF-8. Once a part has been
 * sent it is too late for that: then `gone` is set, and the answer has to be seen to be cut short. */
void reply_problem(struct reply *r, int status, const char *detail);

/* Sends the rest. */
void reply_end(struct reply *r);

#endif
