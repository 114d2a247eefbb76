/*
 * All samples of a range as CSV or lines of JSON, in memory that does not grow with their number.
 */
#ifndef TELERELAY_FCGI_EXPORT_H
#define TELERELAY_FCGI_EXPORT_H

#include "fcgi/handler.h"
#include "fcgi/history.h"

#include <stdbool.h>

/* Whether a request is for a whole range rather than for a page of it. */
bool export_wanted(const struct history *h);

/*
 * Answers it with what there is now: each device's part ends at the last sample that it has at the start. A failure
 * before the first part has been sent is a problem; a later one cuts the answer short (reply_problem). Half of the
 * workers at most are at it at a time; for one more it is a problem. h's cursor moves.
 */
void export_answer(struct context *ctx, struct history *h, struct reply *reply);

#endif
