/* What a peer asks for in the query of its URL: who it is, or which robots it wants to hear of. Pure. */
#ifndef TELERELAY_QUERY_H
#define TELERELAY_QUERY_H

#include "common/msg.h"

#include <stddef.h>

enum query_kind { QUERY_WEBSITE, QUERY_ROBOT, QUERY_BAD_ID, QUERY_BAD_WATCH };

/* All zero is an empty query: a website that wants to hear of every robot. */
struct query {
    enum query_kind kind;
    char device_id[MSG_DEVICE_ID_MAX + 1];                   /* of a robot */
    char watch[MSG_WATCH_MAX * (MSG_DEVICE_ID_MAX + 1) + 1]; /* of a website: "a,b"; "": everything */
};

/* One argument, "name=value" or "name", URL-decoded; arg[len] is NUL. Others than device_id and watch are ignored; of
 * several the first counts, and a robot watches nothing. */
void query_add(struct query *q, const char *arg, size_t len);

#endif
