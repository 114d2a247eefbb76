#include "wsd/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FILES_MAX    1000000u
#define SEND_BUFFER  32768 /* bytes in the kernel per connection: a blocked peer holds little */
#define RESERVED_FDS 64u   /* beside connections: log, Redis, listening, loop */

int listen_claim_path(const char *path, char *why, size_t why_cap)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof(addr.sun_path)) {
        snprintf(why, why_cap, "%s is longer than %zu bytes", path, sizeof(addr.sun_path) - 1);
        return -1;
    }
    memcpy(addr.sun_path, path, strlen(path));
    if (lstat(path, &st) != 0)
        return 0;
    int fd = S_ISSOCK(st.st_mode) ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0) {
        snprintf(why, why_cap, "%s exists and is no socket", path);
        return -1;
    }
    /* EAGAIN: its queue of connections is full, which a process that hangs may leave so for ever. */
    bool alive = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EAGAIN;
    close(fd);
    if (alive) {
        snprintf(why, why_cap, "%s is in use by another process", path);
        return -1;
    }
    unlink(path);
    return 0;
}

/* libwebsockets sizes its tables by the limit of open files, so that is set to what is used. */
unsigned listen_connection_limit(const struct conf *conf)
{
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t most = files.rlim_max < FILES_MAX ? files.rlim_max / 10 * 9 : FILES_MAX;
    unsigned limit = most > RESERVED_FDS ? (unsigned)most - RESERVED_FDS : 1;
    unsigned wanted = (unsigned)conf->wsd.max_connections;
    if (wanted != 0 && wanted < limit)
        limit = wanted;
    files.rlim_cur = limit + RESERVED_FDS;
    setrlimit(RLIMIT_NOFILE, &files);
    return limit;
}

void listen_tune(int fd, bool tcp, const struct conf *conf)
{
    int size = SEND_BUFFER;
    unsigned timeout_ms = (unsigned)conf->wsd.hangup_s * 1000u;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (tcp)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}
