/*
 * Which source has the next entries of a stream. Redis has all of those from its first entry on; what was before that
 * one is in the archive, because entries are trimmed only after they were archived. So a look at Redis comes first,
 * and the archive is read after it. A Redis that may have lost its end begins behind what is archived. Pure.
 */
#ifndef TELERELAY_FCGI_SEAM_H
#define TELERELAY_FCGI_SEAM_H

#include "common/streamid.h"

#include <stdbool.h>

/* {0}: nothing is known yet. */
struct seam {
    bool known;
    struct streamid floor; /* all that ever was before it is in the archive; STREAMID_LAST: the stream was empty */
};

/* Without an archive everything is in Redis. */
#define SEAM_REDIS_ALONE ((struct seam){.known = true})

enum seam_source {
    SEAM_LOOK, /* where the stream begins has to be known first: ascending only */
    SEAM_REDIS,
    SEAM_ARCHIVE
};

/* Who has the next entries of this range, which is not empty; *range becomes the part that is to be read there. */
enum seam_source seam_next(const struct seam *s, bool descending, struct streamid_range *range);

/* A look at Redis, after or together with what was read: the stream's first entry, NULL when it is empty. */
void seam_looked(struct seam *s, const struct streamid *first);

/* Redis has everything from `lo` on. */
bool seam_covers(const struct seam *s, struct streamid lo);

#endif
