/*
 * What goes into one transaction: the entries that were read of several streams, each stream at most once. Pure.
 */
#ifndef TELERELAY_SQL_BATCH_H
#define TELERELAY_SQL_BATCH_H

#include "sql/plan.h"

struct batch_part {
    struct plan_stream *stream;
    struct streamid to;     /* the last entry that was read */
    struct streamid first;  /* … and the first */
    size_t read;            /* entries, with those that are not ours */
    bool more;              /* the stream may have more */
    int64_t length;         /* of the stream; set by who looks */
    struct streamid begins; /* the stream's first entry; likewise */
    bool gap;               /* entries before `first` are lost */
    size_t row, rows;       /* its rows */
};

struct batch;

struct batch *batch_create(void); /* NULL without memory */
void batch_destroy(struct batch *b);

/* Empty again; memory is kept. */
void batch_clear(struct batch *b);

/* A stream's part: begin, its entries ascending (text NULL: not ours), end. -1 without memory: of no use any more. */
int batch_begin(struct batch *b, struct plan_stream *s);
int batch_entry(struct batch *b, struct streamid id, const char *text, size_t len);
void batch_end(struct batch *b, size_t asked); /* how many entries were asked for */

size_t batch_size(const struct batch *b); /* parts */
struct batch_part *batch_at(struct batch *b, size_t index);
struct plan_room batch_room(const struct batch *b, struct plan_room whole);
size_t batch_rows(const struct batch *b, enum archive_kind kind);

/* For archive_commit(); valid until the next change. NULL without memory. */
const struct archive_part *batch_parts(struct batch *b);

#endif
