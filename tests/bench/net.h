/*
 * WebSocket clients by the thousand on one epoll loop: plain sockets, unix or TCP. Connecting blocks
 * (with a deadline), everything after does not. Pings are answered.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stddef.h>
#include <stdint.h>

struct net;
struct net_conn;

/* Both may be NULL. Either may call net_close() on any connection. */
struct net_hooks {
    /* A complete text message; data is valid during the call. now_ns: when it was read. */
    void (*text)(void *user, struct net_conn *c, const char *data, size_t len, int64_t now_ns);
    /* The peer ended the connection; code as in its close frame, 1006 without one. */
    void (*closed)(void *user, struct net_conn *c, int code);
};

struct net *net_create(void);
void net_destroy(struct net *n); /* with all its connections */

struct net_target {
    const char *address;  /* unix:/path or HOST:PORT */
    const char *path;     /* with its query */
    const char *protocol; /* subprotocol to offer, or NULL */
};

/*
 * NULL on failure, with the reason on stderr. The connection belongs to `n` until net_destroy, also
 * once it is closed. `user` must live as long; `index` is the caller's, see net_index().
 */
struct net_conn *net_connect(struct net *n, const struct net_target *to, const struct net_hooks *hooks, void *user,
                             unsigned index);

unsigned net_index(const struct net_conn *c);

/* 0, or -1 when it is closed or more than 8 MiB wait. */
int net_send(struct net_conn *c, const char *text, size_t len);

void net_ignore(struct net_conn *c); /* never read from it again */
void net_close(struct net_conn *c);  /* close frame 1000, then gone; no hook is called */

/* Waits for events until until_ns at most (monotonic) and handles them. */
void net_wait(struct net *n, int64_t until_ns);

/* A blocking socket to unix:/path or HOST:PORT with 5 s limits on connect, read and write; -1 on failure. */
int net_socket(const char *address);

#endif
