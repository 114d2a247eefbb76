/*
 * The socket the workers accept on: made here, or handed over by whoever started the program.
 */
#ifndef TELERELAY_FCGI_LISTENER_H
#define TELERELAY_FCGI_LISTENER_H

#include "common/conf.h"

#include <stdbool.h>
#include <stddef.h>

struct listener {
    int fd;                      /* listening, non-blocking, close-on-exec */
    bool inherited;              /* socket activation: not ours to remove */
    char path[CONF_ADDRESS_MAX]; /* of a unix socket made here, else "" */
};

/*
 * Takes standard input if it is a listening socket, else the first one that LISTEN_FDS passes, else
 * binds `address` (a unix socket gets mode 0660; one left behind by a process that is gone is replaced).
 * 0, or -1 with the reason in err.
 */
int listener_open(struct listener *l, const char *address, char *err, size_t err_cap);

/* Closes it, and removes the socket file that was made. */
void listener_close(struct listener *l);

#endif
