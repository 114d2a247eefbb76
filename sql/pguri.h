/*
 * What a PostgreSQL URI says, without ever saying its password. Pure.
 */
#ifndef TELERELAY_PGURI_H
#define TELERELAY_PGURI_H

#include <stddef.h>

/*
 * Whether it can only be read in one way. libpq takes half a password for a host, and names it in its messages, when
 * there is an @ or / in it that is not percent-encoded. -1: it is refused.
 */
int pguri_check(const char *uri);

/* A message's first line, without `secret` ("" or NULL for none) wherever it is in it. */
void pguri_message(char *out, size_t cap, const char *message, const char *secret);

#endif
