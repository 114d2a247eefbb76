/*
 * Entity tags (RFC 9110): made of what an answer depends on, and compared with those that a client has. Pure.
 */
#ifndef TELERELAY_FCGI_ETAG_H
#define TELERELAY_FCGI_ETAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETAG_TEXT_MAX 24 /* with quotes and the NUL */

struct etag {
    uint64_t hash;
};

void etag_init(struct etag *e);

/* Parts are told apart: "ab" and "c" is not "a" and "bc". */
void etag_text(struct etag *e, const char *text, size_t len);
void etag_number(struct etag *e, uint64_t value);

/* "0123456789abcdef" in its quotes. */
void etag_format(const struct etag *e, char out[ETAG_TEXT_MAX]);

/*
 * Whether a field If-None-Match names the tag: "*", or a list that has it, weak ones (W/"…", as a web server that
 * compresses makes them) included. What is no such field names nothing.
 */
bool etag_matches(const char *field, const char *tag);

#endif
