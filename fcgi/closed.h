/*
 * Answers about a past that is over: they get an entity tag and may be kept by whoever asked.
 */
#ifndef TELERELAY_FCGI_CLOSED_H
#define TELERELAY_FCGI_CLOSED_H

#include "fcgi/handler.h"
#include "fcgi/history.h"

#include <stdbool.h>

/*
 * For a request for samples. When its range can get no more samples, and does not lose any soon, the reply's ETag and
 * Cache-Control are set; when the client has that answer already, it becomes a 304 and the result is true: there is
 * nothing more to do. No sample is read.
 */
bool closed_answer(struct context *ctx, const struct request *req, const struct history *h, struct reply *reply);

#endif
