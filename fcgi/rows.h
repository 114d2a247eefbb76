/*
 * Samples of an answer, one after the other: JSON items, lines of JSON, or rows of CSV. Pure.
 */
#ifndef TELERELAY_FCGI_ROWS_H
#define TELERELAY_FCGI_ROWS_H

#include "fcgi/csv.h"
#include "fcgi/history.h"
#include "fcgi/item.h"

struct rows {
    const struct history *h;
    bool reserved; /* a sample cannot stand in an answer as it is: hardly ever */
    struct item_clock clock;
    struct csv csv; /* HISTORY_CSV: the caller's columns */
};

void rows_init(struct rows *rows, const struct history *h);

/* Whether it is a sample. To be asked of each before rows_put. */
bool rows_accept(void *rows, const char *text, size_t len);

/* An item, a line or a row, as h->format says. */
void rows_put(struct rows *rows, struct buf *out, const char *device_id, const struct series_sample *sample);

#endif
