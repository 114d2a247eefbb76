/* GET over one keep-alive connection: finds where an answer ends, with Content-Length or in chunks. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_ANSWER_MAX (16u << 20) /* bytes of one answer, head and body */

struct http_answer {
    char *data; /* what has come of it, NUL-terminated */
    size_t len, cap;
    size_t body;        /* offset behind the head; 0: the head is not complete */
    int status;         /* once the head is there */
    bool last;          /* the server closes the connection behind this answer */
    int64_t body_len;   /* from Content-Length; -1: in chunks */
    size_t chunk;       /* offset of the next chunk's size line */
    uint64_t body_seen; /* bytes of the body without the chunks' own */
};

void http_init(struct http_answer *a);
void http_finish(struct http_answer *a);
void http_reset(struct http_answer *a); /* for the next answer; keeps the memory */

/* Adds bytes. 1: the answer is complete, 0: not yet, -1: it is none, too long, or goes on behind its end. */
int http_feed(struct http_answer *a, const char *data, size_t len);

#endif
