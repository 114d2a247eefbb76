/*
 * Joins several Prometheus texts into one: each family's HELP and TYPE once, with all samples of all
 * relays under them, as scrapers demand. A sample without a relay label gets one. Pure.
 */
#ifndef TELERELAY_FCGI_PROMJOIN_H
#define TELERELAY_FCGI_PROMJOIN_H

#include "fcgi/buf.h"

#define PROMJOIN_FAMILIES 256

struct promjoin_text {
    const char *relay; /* label value; printable ASCII without quotes and backslashes */
    const char *text;
    size_t len;
};

/* Appends to out. Lines that are not of the format are left out. */
void promjoin_write(struct buf *out, const struct promjoin_text *texts, size_t n);

#endif
