#include "tests/bench/net.h"

#include "common/clock.h"
#include "common/conf.h"
#include "tests/bench/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE   (256u * 1024)
#define OUT_MAX     (8u * 1024 * 1024)
#define EVENTS      256
#define CONNECT_S   5
#define ANSWER_SIZE 16384
#define SPIN_NS     60000 /* a sleep ends that much late on a virtual machine: the last bit is not slept */

/* The sample key of RFC 6455 and the answer that belongs to it: a client that is not a browser gains nothing
 * from a fresh one, and no hash is needed to check it. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct net_conn {
    struct net *net;
    struct net_conn *next; /* all of this net */
    const struct net_hooks *hooks;
    void *user;
    unsigned index;
    int fd; /* -1: closed */
    bool ignored;
    bool writing; /* waits for EPOLLOUT */
    int64_t now;  /* when the bytes that are being parsed were read */
    struct frame_parser parser;
    uint8_t *out;
    size_t out_len, out_sent, out_cap;
};

struct net {
    int epoll;
    uint32_t mask; /* state of a xorshift generator */
    struct net_conn *all;
    uint8_t *buf; /* READ_SIZE */
};

struct net *net_create(void)
{
    struct net *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->mask = 0x2545f491u;
    n->epoll = epoll_create1(EPOLL_CLOEXEC);
    n->buf = malloc(READ_SIZE);
    if (n->epoll < 0 || !n->buf) {
        net_destroy(n);
        return NULL;
    }
    return n;
}

void net_destroy(struct net *n)
{
    if (!n)
        return;
    while (n->all) {
        struct net_conn *c = n->all;
        n->all = c->next;
        if (c->fd >= 0)
            close(c->fd);
        frame_finish(&c->parser);
        free(c->out);
        free(c);
    }
    if (n->epoll >= 0)
        close(n->epoll);
    free(n->buf);
    free(n);
}

static int open_unix(const char *path, struct sockaddr_storage *to, socklen_t *len)
{
    struct sockaddr_un *un = (struct sockaddr_un *)to;
    if (strlen(path) >= sizeof un->sun_path)
        return -1;
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    *len = sizeof *un;
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_tcp(const char *host, int port, struct sockaddr_storage *to, socklen_t *len)
{
    struct sockaddr_in *in = (struct sockaddr_in *)to;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    *len = sizeof *in;
    if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

int net_socket(const char *address)
{
    const char *path = NULL;
    char host[64];
    int port = 0;
    struct sockaddr_storage to;
    socklen_t len = 0;
    memset(&to, 0, sizeof to);
    if (conf_parse_address(address, &path, host, &port))
        return -1;
    int fd = path ? open_unix(path, &to, &len) : open_tcp(host, port, &to, &len);
    if (fd < 0)
        return -1;
    struct timeval limit = {.tv_sec = CONNECT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, len)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends the request and reads the answer's head. Returns the bytes read, *body behind the head; -1 on failure. */
static ssize_t handshake(int fd, const struct net_target *to, char *answer, char **body)
{
    char request[1024];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n%s%s%s\r\n",
                     to->path, to->protocol ? "Sec-WebSocket-Protocol: " : "", to->protocol ? to->protocol : "",
                     to->protocol ? "\r\n" : "");
    if (n < 0 || (size_t)n >= sizeof request || send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        return -1;
    size_t len = 0;
    while (len < ANSWER_SIZE - 1) {
        ssize_t got = recv(fd, answer + len, ANSWER_SIZE - 1 - len, 0);
        if (got <= 0)
            return -1;
        len += (size_t)got;
        answer[len] = '\0';
        char *end = strstr(answer, "\r\n\r\n");
        if (!end)
            continue;
        *end = '\0';
        *body = end + 4;
        bool ok = strncmp(answer, "HTTP/1.1 101 ", 13) == 0 && strstr(answer, ACCEPT) &&
                  !strcasestr(answer, "\nsec-websocket-extensions:");
        return ok ? (ssize_t)len : -1;
    }
    return -1;
}

static bool on_frame(void *arg, enum frame_op op, const uint8_t *data, size_t len);

static void drop(struct net_conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* The peer ended it, or broke the protocol. */
static void lose(struct net_conn *c, int code)
{
    if (c->fd < 0)
        return;
    drop(c);
    if (c->hooks->closed)
        c->hooks->closed(c->user, c, code);
}

static void watch(struct net_conn *c, int operation)
{
    struct epoll_event ev = {.events = c->ignored ? 0 : EPOLLIN, .data.ptr = c};
    if (c->writing)
        ev.events |= EPOLLOUT;
    epoll_ctl(c->net->epoll, operation, c->fd, &ev);
}

struct net_conn *net_connect(struct net *n, const struct net_target *to, const struct net_hooks *hooks, void *user,
                             unsigned index)
{
    char answer[ANSWER_SIZE] = "", *body = NULL;
    int fd = net_socket(to->address);
    if (fd < 0) {
        fprintf(stderr, "telerelay-bench: %s: %s\n", to->address, strerror(errno));
        return NULL;
    }
    ssize_t len = handshake(fd, to, answer, &body);
    struct net_conn *c = len < 0 ? NULL : calloc(1, sizeof *c);
    if (!c) {
        fprintf(stderr, "telerelay-bench: %s%s: no WebSocket: %.60s\n", to->address, to->path, answer);
        close(fd);
        return NULL;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *c = (struct net_conn){.net = n, .next = n->all, .hooks = hooks, .user = user, .index = index, .fd = fd};
    n->all = c;
    frame_init(&c->parser);
    watch(c, EPOLL_CTL_ADD);
    c->now = clock_mono_ns();
    if (frame_feed(&c->parser, (uint8_t *)body, (size_t)(answer + len - body), on_frame, c))
        lose(c, 1002);
    return c;
}

unsigned net_index(const struct net_conn *c)
{
    return c->index;
}

static uint32_t next_mask(struct net *n)
{
    n->mask ^= n->mask << 13;
    n->mask ^= n->mask >> 17;
    n->mask ^= n->mask << 5;
    return n->mask;
}

static void flush(struct net_conn *c)
{
    while (c->fd >= 0 && c->out_sent < c->out_len) {
        ssize_t sent = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
        if (sent > 0) {
            c->out_sent += (size_t)sent;
        } else if (sent < 0 && errno == EINTR) {
            continue;
        } else if (sent < 0 && errno == EAGAIN) {
            break;
        } else {
            lose(c, 1006);
            return;
        }
    }
    if (c->out_sent == c->out_len)
        c->out_sent = c->out_len = 0;
    bool waits = c->out_len > 0;
    if (c->fd >= 0 && waits != c->writing) {
        c->writing = waits;
        watch(c, EPOLL_CTL_MOD);
    }
}

static int queue_frame(struct net_conn *c, enum frame_op op, const void *data, size_t len)
{
    if (c->fd < 0)
        return -1;
    size_t need = c->out_len + len + FRAME_HEADER_MAX;
    if (need > OUT_MAX)
        return -1;
    if (need > c->out_cap) {
        uint8_t *grown = realloc(c->out, need * 2);
        if (!grown)
            return -1;
        c->out = grown;
        c->out_cap = need * 2;
    }
    c->out_len += frame_put(c->out + c->out_len, op, data, len, next_mask(c->net));
    if (!c->writing)
        flush(c);
    return 0;
}

int net_send(struct net_conn *c, const char *text, size_t len)
{
    return queue_frame(c, FRAME_TEXT, text, len);
}

void net_ignore(struct net_conn *c)
{
    c->ignored = true;
    if (c->fd >= 0)
        watch(c, EPOLL_CTL_MOD);
}

void net_close(struct net_conn *c)
{
    static const uint8_t normal[] = {1000 >> 8, 1000 & 0xff};
    queue_frame(c, FRAME_CLOSE, normal, sizeof normal);
    drop(c);
}

static bool on_frame(void *arg, enum frame_op op, const uint8_t *data, size_t len)
{
    struct net_conn *c = arg;
    if (op == FRAME_TEXT && c->hooks->text)
        c->hooks->text(c->user, c, (const char *)data, len, c->now);
    else if (op == FRAME_PING)
        queue_frame(c, FRAME_PONG, data, len);
    else if (op == FRAME_CLOSE)
        lose(c, len >= 2 ? data[0] << 8 | data[1] : 1005);
    return c->fd >= 0;
}

static void receive(struct net_conn *c)
{
    ssize_t got = recv(c->fd, c->net->buf, READ_SIZE, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lose(c, 1006);
        return;
    }
    c->now = clock_mono_ns();
    if (frame_feed(&c->parser, c->net->buf, (size_t)got, on_frame, c))
        lose(c, 1002);
}

static int wait_events(struct net *n, struct epoll_event *events, int64_t wait_ns)
{
    struct timespec ts = {.tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000};
    int got = epoll_pwait2(n->epoll, events, EVENTS, &ts, NULL);
    if (got < 0 && errno == ENOSYS)
        got = epoll_wait(n->epoll, events, EVENTS, (int)(wait_ns / 1000000));
    return got;
}

void net_wait(struct net *n, int64_t until_ns)
{
    struct epoll_event events[EVENTS];
    int64_t wait_ns = until_ns - clock_mono_ns() - SPIN_NS;
    int got = wait_events(n, events, wait_ns > 0 ? wait_ns : 0);
    for (int i = 0; i < got; i++) {
        struct net_conn *c = events[i].data.ptr;
        if (c->fd >= 0 && (events[i].events & EPOLLOUT))
            flush(c);
        if (c->fd >= 0 && !c->ignored && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            receive(c);
        else if (c->fd >= 0 && c->ignored && (events[i].events & (EPOLLHUP | EPOLLERR)))
            lose(c, 1006);
    }
}
