/*
 * JSON members without braces, as relays store them: `"seq":7,"by":"guest-1","command":{"x":0.5}`, without
 * spaces. What is in Redis is not taken on trust: everything here accepts any bytes. Pure.
 */
#ifndef TELERELAY_FCGI_MEMBER_H
#define TELERELAY_FCGI_MEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMBER_TEXT_MAX 16384 /* bytes; more is no entry of ours */
#define MEMBERS_MAX     32    /* in one object */
#define MEMBER_NAME_MAX 32    /* bytes: [A-Za-z][A-Za-z0-9_]{0,31} */

struct member {
    const char *name; /* within the text, without quotes */
    size_t name_len;
    const char *value; /* within the text, as stored: a string has its quotes and escapes */
    size_t len;
};

/*
 * Reads one member at *at (0 at first) and moves *at behind it. 1: *m is set, and its value is sound JSON;
 * 0: the end; -1: no members from here on.
 */
int member_next(const char *text, size_t len, size_t *at, struct member *m);

/* Whether all of it is sound, and no name occurs twice: fit to stand in an answer as it is. */
bool member_check(const char *text, size_t len);

/* The member of that name; false when it is absent. */
bool member_find(const char *text, size_t len, const char *name, struct member *m);

bool member_is_string(const struct member *m);
bool member_is_object(const struct member *m);

/* The value is this string; it needs no escapes. */
bool member_equals(const struct member *m, const char *text);

/* A whole number from 0 to 2^53; false when the value is none. */
bool member_number(const struct member *m, uint64_t *value);

#endif
