/*
 * A growable byte buffer with an upper bound. When memory or the bound is reached, `failed` is set
 * and the rest is dropped, so that a caller checks once, at the end.
 */
#ifndef TELERELAY_FCGI_BUF_H
#define TELERELAY_FCGI_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;  /* owned; not NUL-terminated */
    size_t len;  /* bytes in use */
    size_t cap;  /* bytes allocated */
    size_t max;  /* `cap` never exceeds this */
    bool failed; /* something did not fit */
};

void buf_init(struct buf *b, size_t max);
void buf_finish(struct buf *b);

/* Empties it; gives memory back when more than `keep` bytes are allocated. */
void buf_clear(struct buf *b, size_t keep);

/* Room for n more bytes: where to write them (then add to b->len), or NULL with `failed` set. */
char *buf_room(struct buf *b, size_t n);

void buf_add(struct buf *b, const char *bytes, size_t n);
void buf_str(struct buf *b, const char *text);
void buf_u64(struct buf *b, uint64_t value);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A quoted and escaped JSON string; bytes that are not UTF-8 become U+FFFD. */
void buf_json_str(struct buf *b, const char *text, size_t len);

/* Bytes of the UTF-8 character at p, of which len > 0 can be read; 0 when there is none. */
size_t buf_utf8_length(const unsigned char *p, size_t len);

/* Decimal digits of `value` at `out` (room for 20); returns their number. */
size_t buf_digits(char *out, uint64_t value);

#endif
