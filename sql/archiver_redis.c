#include "sql/archiver_redis.h"

#include "common/clock.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define NODES_MAX  ((size_t)8 * 1024 * 1024)
#define OUT_MAX    ((size_t)4 * 1024 * 1024)
#define READ_CHUNK ((size_t)64 * 1024)

struct archiver_redis {
    struct conf_redis conf;
    int redis_ms;
    redisContext *redis; /* NULL: not connected */
    struct archiver_redis_node *nodes;
    size_t n_nodes, cap_nodes;
    char *text; /* of all nodes, one behind the other; grows, so that nodes have offsets */
    size_t text_len, text_cap;
    char *out; /* commands of the next run */
    size_t out_len, out_cap;
    bool out_failed; /* one did not fit */
    size_t replies;  /* that they will be answered with */
    bool too_large;
    char *chunk; /* READ_CHUNK */
    char reason[160];
};

int archiver_redis_fail(struct archiver_redis *r, const char *what, const char *why)
{
    snprintf(r->reason, sizeof(r->reason), "%s: %s", what, why);
    return -1;
}

const char *archiver_redis_reason(const struct archiver_redis *r)
{
    return r->reason;
}

/* `need` bytes in a buffer of at most `max`; doubles, so that growing costs little. */
static int reserve(char **buffer, size_t *cap, size_t need, size_t max)
{
    size_t want = *cap ? *cap : READ_CHUNK;
    if (need <= *cap)
        return 0;
    while (want < need)
        want *= 2;
    char *grown = need <= max ? realloc(*buffer, want) : NULL;
    if (!grown)
        return -1;
    *buffer = grown;
    *cap = want;
    return 0;
}

/* --- reading answers ----------------------------------------------------------------------------- */

/* hiredis wants a non-NULL object for what was read; NULL stops it with "out of memory". */
static char object;

static void *add_node(const redisReadTask *task, enum archiver_redis_kind kind, size_t n, int64_t value)
{
    struct archiver_redis *r = task->privdata;
    if (r->n_nodes == r->cap_nodes) {
        size_t cap = r->cap_nodes ? r->cap_nodes * 2 : 4096;
        struct archiver_redis_node *nodes = cap <= NODES_MAX ? realloc(r->nodes, cap * sizeof(*nodes)) : NULL;
        r->too_large = !nodes;
        if (!nodes)
            return NULL;
        r->nodes = nodes;
        r->cap_nodes = cap;
    }
    r->nodes[r->n_nodes++] = (struct archiver_redis_node){.kind = kind, .n = (uint32_t)n, .value = value};
    return &object;
}

static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    struct archiver_redis *r = task->privdata;
    enum archiver_redis_kind kind = ARCHIVER_REDIS_STRING;
    if (task->type == REDIS_REPLY_ERROR)
        kind = ARCHIVER_REDIS_ERROR;
    else if (task->type == REDIS_REPLY_STATUS)
        kind = ARCHIVER_REDIS_STATUS;
    r->too_large = reserve(&r->text, &r->text_cap, r->text_len + len + 1, ARCHIVER_REDIS_ANSWER_MAX) < 0;
    if (r->too_large)
        return NULL;
    size_t at = r->text_len;
    memcpy(r->text + at, text, len);
    r->text[at + len] = '\0';
    r->text_len += len + 1;
    return add_node(task, kind, len, (int64_t)at);
}

static void *on_array(const redisReadTask *task, int elements)
{
    return add_node(task, ARCHIVER_REDIS_ARRAY, (size_t)elements, 0);
}

static void *on_integer(const redisReadTask *task, long long value)
{
    return add_node(task, ARCHIVER_REDIS_INTEGER, 0, value);
}

static void *on_nil(const redisReadTask *task)
{
    return add_node(task, ARCHIVER_REDIS_NIL, 0, 0);
}

static void on_free(void *unused)
{
    (void)unused;
}

static redisReplyObjectFunctions reader_functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = on_free,
};

const struct archiver_redis_node *archiver_redis_node(const struct archiver_redis *r, size_t at)
{
    static const struct archiver_redis_node none = {.kind = ARCHIVER_REDIS_NIL};
    return at < r->n_nodes ? &r->nodes[at] : &none;
}

const char *archiver_redis_at(const struct archiver_redis *r, const struct archiver_redis_node *node)
{
    return node->kind <= ARCHIVER_REDIS_ERROR ? r->text + node->value : "";
}

size_t archiver_redis_skip(const struct archiver_redis *r, size_t at)
{
    size_t pending = 1;
    while (pending > 0 && at < r->n_nodes) {
        if (r->nodes[at].kind == ARCHIVER_REDIS_ARRAY)
            pending += r->nodes[at].n;
        pending--;
        at++;
    }
    return at;
}

int archiver_redis_check(struct archiver_redis *r, size_t at)
{
    const struct archiver_redis_node *node = archiver_redis_node(r, at);
    return node->kind == ARCHIVER_REDIS_ERROR ? archiver_redis_fail(r, "Redis", archiver_redis_at(r, node)) : 0;
}

size_t archiver_redis_bytes(const struct archiver_redis *r)
{
    return r->text_len;
}

bool archiver_redis_too_large(const struct archiver_redis *r)
{
    return r->too_large;
}

/* --- commands ------------------------------------------------------------------------------------ */

static void put(struct archiver_redis *r, const char *bytes, size_t len)
{
    if (reserve(&r->out, &r->out_cap, r->out_len + len, OUT_MAX) < 0) {
        r->out_failed = true;
        return;
    }
    memcpy(r->out + r->out_len, bytes, len);
    r->out_len += len;
}

static void put_length(struct archiver_redis *r, char kind, size_t n)
{
    char line[32];
    size_t i = sizeof(line);
    line[--i] = '\n';
    line[--i] = '\r';
    do {
        line[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    line[--i] = kind;
    put(r, line + i, sizeof(line) - i);
}

void archiver_redis_command(struct archiver_redis *r, size_t argc)
{
    put_length(r, '*', argc);
    r->replies++;
}

void archiver_redis_arg(struct archiver_redis *r, const char *text, size_t len)
{
    put_length(r, '$', len);
    put(r, text, len);
    put(r, "\r\n", 2);
}

void archiver_redis_text(struct archiver_redis *r, const char *text)
{
    archiver_redis_arg(r, text, strlen(text));
}

void archiver_redis_number(struct archiver_redis *r, int64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRId64, number);
    archiver_redis_arg(r, text, (size_t)len);
}

void archiver_redis_queue(struct archiver_redis *r, size_t argc, const char *const *argv)
{
    archiver_redis_command(r, argc);
    for (size_t i = 0; i < argc; i++)
        archiver_redis_text(r, argv[i]);
}

static void forget_queue(struct archiver_redis *r)
{
    r->out_len = 0;
    r->out_failed = false;
    r->replies = 0;
}

/* --- the connection ------------------------------------------------------------------------------ */

struct archiver_redis *archiver_redis_create(const struct conf_redis *redis, int redis_ms)
{
    struct archiver_redis *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->chunk = malloc(READ_CHUNK);
    if (!r->chunk) {
        free(r);
        return NULL;
    }
    r->conf = *redis;
    r->redis_ms = redis_ms;
    return r;
}

void archiver_redis_destroy(struct archiver_redis *r)
{
    if (!r)
        return;
    archiver_redis_close(r);
    free(r->nodes);
    free(r->text);
    free(r->out);
    free(r->chunk);
    free(r);
}

void archiver_redis_set_deadline(struct archiver_redis *r, int redis_ms)
{
    r->redis_ms = redis_ms;
}

bool archiver_redis_is_open(const struct archiver_redis *r)
{
    return r->redis != NULL;
}

void archiver_redis_close(struct archiver_redis *r)
{
    if (r->redis)
        redisFree(r->redis);
    r->redis = NULL;
    forget_queue(r);
}

/* Until the socket can be read or written, or the deadline. */
static int wait_for(struct archiver_redis *r, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = r->redis->fd, .events = events};
    int64_t left = deadline_ms - clock_mono_ms();
    if (left <= 0 || poll(&p, 1, (int)left) == 0)
        return archiver_redis_fail(r, "no answer", "deadline passed");
    return 0;
}

static int send_all(struct archiver_redis *r, int64_t deadline_ms)
{
    for (size_t sent = 0; sent < r->out_len;) {
        ssize_t n = send(r->redis->fd, r->out + sent, r->out_len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (wait_for(r, POLLOUT, deadline_ms) < 0)
                return -1;
        } else if (errno != EINTR) {
            return archiver_redis_fail(r, "write", strerror(errno));
        }
    }
    return 0;
}

/* Waits for more to read, and feeds it to the reader. */
static int receive(struct archiver_redis *r, int64_t deadline_ms)
{
    ssize_t got;
    while ((got = recv(r->redis->fd, r->chunk, READ_CHUNK, MSG_DONTWAIT)) < 0) {
        if (errno == EAGAIN) {
            if (wait_for(r, POLLIN, deadline_ms) < 0)
                return -1;
        } else if (errno != EINTR) {
            return archiver_redis_fail(r, "read", strerror(errno));
        }
    }
    if (got == 0)
        return archiver_redis_fail(r, "read", "Redis closed the connection");
    if (redisReaderFeed(r->redis->reader, r->chunk, (size_t)got) != REDIS_OK)
        return archiver_redis_fail(r, "answer", r->redis->reader->errstr);
    return 0;
}

static int exchange(struct archiver_redis *r)
{
    int64_t deadline_ms = clock_mono_ms() + r->redis_ms;
    r->n_nodes = 0;
    r->text_len = 0;
    r->too_large = false;
    if (r->out_failed)
        return archiver_redis_fail(r, "request", "too large");
    if (send_all(r, deadline_ms) < 0)
        return -1;
    for (size_t left = r->replies; left > 0;) {
        void *reply;
        if (redisReaderGetReply(r->redis->reader, &reply) != REDIS_OK)
            return archiver_redis_fail(r, "answer", r->too_large ? "too large" : r->redis->reader->errstr);
        if (reply)
            left--;
        else if (receive(r, deadline_ms) < 0)
            return -1;
    }
    return 0;
}

int archiver_redis_run(struct archiver_redis *r)
{
    if (!r->redis) {
        forget_queue(r);
        return archiver_redis_fail(r, "connection", "closed");
    }
    int rc = exchange(r);
    if (rc < 0)
        archiver_redis_close(r);
    forget_queue(r);
    return rc;
}

static int authenticate(struct archiver_redis *r)
{
    char password[256], why[128];
    if (!r->conf.password_file[0])
        return 0;
    if (conf_read_secret(r->conf.password_file, password, sizeof(password), why, sizeof(why)) < 0)
        return archiver_redis_fail(r, "password_file", why);
    archiver_redis_command(r, r->conf.user[0] ? 3 : 2);
    archiver_redis_text(r, "AUTH");
    if (r->conf.user[0])
        archiver_redis_text(r, r->conf.user);
    archiver_redis_text(r, password);
    int rc = archiver_redis_run(r);
    explicit_bzero(password, sizeof(password));
    if (r->out)
        explicit_bzero(r->out, r->out_cap);
    if (rc == 0 && archiver_redis_node(r, 0)->kind == ARCHIVER_REDIS_ERROR)
        return archiver_redis_fail(r, "authentication", "refused by Redis");
    return rc;
}

int archiver_redis_open(struct archiver_redis *r)
{
    const char *path = NULL;
    char host[64];
    int port = 0;
    struct timeval limit = {.tv_sec = r->redis_ms / 1000, .tv_usec = r->redis_ms % 1000 * 1000};

    archiver_redis_close(r);
    if (conf_parse_address(r->conf.address, &path, host, &port) < 0)
        return archiver_redis_fail(r, "address", "neither unix:/path nor HOST:PORT");
    redisContext *c = path ? redisConnectUnixWithTimeout(path, limit) : redisConnectWithTimeout(host, port, limit);
    r->redis = c;
    if (!c || c->err) {
        archiver_redis_fail(r, "connect", c ? c->errstr : "out of memory");
        goto failed;
    }
    c->reader->fn = &reader_functions;
    c->reader->privdata = r;
    c->reader->maxbuf = 4 * READ_CHUNK;
    if (authenticate(r) < 0)
        goto failed;
    return 0;

failed:
    archiver_redis_close(r);
    return -1;
}
