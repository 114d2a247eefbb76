/*
 * Append-only JSON writer into a buffer of the caller's. Never allocates, never writes past the
 * end: when something does not fit, `overflow` is set and the rest is dropped, so that a caller
 * checks once, at the end.
 */
#ifndef TELERELAY_JSONW_H
#define TELERELAY_JSONW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSONW_NUMBER_MAX 32

struct jsonw {
    char *buf;     /* the caller's, `cap` bytes; never NUL-terminated by the writer */
    size_t cap;    /* bytes */
    size_t len;    /* bytes written so far */
    bool overflow; /* something did not fit */
};

void jsonw_init(struct jsonw *w, void *buf, size_t cap);

void jsonw_raw(struct jsonw *w, const char *text, size_t len); /* as it is */
void jsonw_lit(struct jsonw *w, const char *text);             /* a C string, as it is */
void jsonw_str(struct jsonw *w, const char *text, size_t len); /* quoted and escaped; text is valid UTF-8 */
void jsonw_num(struct jsonw *w, double value);                 /* shortest exact form; not finite: null */
void jsonw_int(struct jsonw *w, int64_t value);
void jsonw_bool(struct jsonw *w, bool value);

/* A member of an object: a comma unless the byte before is '{', the quoted key, ':'. */
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_kv_str(struct jsonw *w, const char *key, const char *text); /* NULL: the member is left out */
void jsonw_kv_num(struct jsonw *w, const char *key, double value);
void jsonw_kv_int(struct jsonw *w, const char *key, int64_t value);
void jsonw_kv_bool(struct jsonw *w, const char *key, bool value);

/* The shortest decimal text that reads back as exactly `value` (finite), as "60", "-0.3", "1e+21";
 * minus zero is "0". NUL-terminated; returns its length. */
size_t jsonw_format_number(char out[JSONW_NUMBER_MAX], double value);

#endif
