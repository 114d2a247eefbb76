#include "fcgi/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG         511
#define FIRST_PASSED_FD 3 /* by the convention of LISTEN_FDS */

static bool is_listening(int fd)
{
    int value = 0;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value;
}

static int passed_fd(void)
{
    const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
    if (is_listening(STDIN_FILENO))
        return STDIN_FILENO;
    if (pid && n && atol(pid) == (long)getpid() && atoi(n) >= 1 && is_listening(FIRST_PASSED_FD))
        return FIRST_PASSED_FD;
    return -1;
}

static int prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Removes a socket file that nobody listens on any more; -1 when somebody does. */
static int remove_stale(const struct sockaddr_un *sa)
{
    struct stat st;
    if (lstat(sa->sun_path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    bool alive = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN;
    close(fd);
    if (alive) {
        errno = EADDRINUSE;
        return -1;
    }
    return unlink(sa->sun_path);
}

static int bind_unix(struct listener *l, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(sa.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(sa.sun_path, path);
    if (remove_stale(&sa) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    mode_t before = umask(0117); /* 0660 from the first moment on */
    int rc = bind(fd, (const struct sockaddr *)&sa, sizeof(sa));
    umask(before);
    if (rc < 0) {
        close(fd);
        return -1;
    }
    snprintf(l->path, sizeof(l->path), "%s", path);
    return fd;
}

static int bind_tcp(const char *host, int port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    const struct sockaddr *sa = (const struct sockaddr *)&v4;
    socklen_t len = sizeof(v4);
    int one = 1;
    if (inet_pton(AF_INET, host, &v4.sin_addr) != 1) {
        if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1) {
            errno = EINVAL;
            return -1;
        }
        sa = (const struct sockaddr *)&v6;
        len = sizeof(v6);
    }
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 || bind(fd, sa, len) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int fail(struct listener *l, const char *what, char *err, size_t err_cap)
{
    snprintf(err, err_cap, "%s: %s", what, strerror(errno));
    listener_close(l);
    return -1;
}

int listener_open(struct listener *l, const char *address, char *err, size_t err_cap)
{
    const char *path;
    char host[64];
    int port;
    *l = (struct listener){.fd = passed_fd()};
    if (l->fd >= 0) {
        l->inherited = true;
        return prepare(l->fd) < 0 ? fail(l, "inherited socket", err, err_cap) : 0;
    }
    if (conf_parse_address(address, &path, host, &port) < 0) {
        errno = EINVAL;
        return fail(l, address, err, err_cap);
    }
    l->fd = path ? bind_unix(l, path) : bind_tcp(host, port);
    if (l->fd < 0 || listen(l->fd, BACKLOG) < 0 || prepare(l->fd) < 0)
        return fail(l, address, err, err_cap);
    return 0;
}

void listener_close(struct listener *l)
{
    if (l->fd >= 0)
        close(l->fd);
    if (l->path[0])
        unlink(l->path);
    *l = (struct listener){.fd = -1};
}
