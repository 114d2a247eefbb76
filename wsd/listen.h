/* What has to be so before the relay can listen: a free path, enough file descriptors. */
#ifndef TELERELAY_LISTEN_H
#define TELERELAY_LISTEN_H

#include "common/conf.h"

#include <stdbool.h>
#include <stddef.h>

/* Removes a socket that a killed relay left behind. -1 with a reason: the path is too long, in use, or no socket. */
int listen_claim_path(const char *path, char *why, size_t why_cap);

/* How many connections fit the limit of open files and the configuration. Sets the process' limit to that. */
unsigned listen_connection_limit(const struct conf *conf);

/* A connection that was accepted: a small send buffer, and no waiting for a peer that is gone. */
void listen_tune(int fd, bool tcp, const struct conf *conf);

#endif
