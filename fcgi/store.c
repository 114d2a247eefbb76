#include "fcgi/store.h"
#include "fcgi/store_nodes.h"

#include "fcgi/buf.h"

#include "common/clock.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ARENA_MAX  ((size_t)128 * 1024 * 1024) /* bytes of answers per request */
#define ARENA_KEEP ((size_t)4 * 1024 * 1024)
#define NODES_MAX  ((size_t)4 * 1024 * 1024)
#define NODES_KEEP ((size_t)256 * 1024)
#define OUT_MAX    ((size_t)16 * 1024 * 1024)
#define OUT_KEEP   ((size_t)256 * 1024)
#define READ_CHUNK ((size_t)64 * 1024)
#define RETRY_MS   100 /* after a connect that failed slowly, fail at once for so long */

struct store {
    struct conf_redis conf;
    int redis_ms;
    redisContext *redis;                        /* NULL: not connected */
    int64_t retry_at_ms;                        /* monotonic; no connecting before */
    bool compared;                              /* store_compared(), of this connection … */
    enum { NOT_ASKED, SAID_NO, SAID_YES } said; /* … and what this request was told */
    struct arena arena;
    struct store_node *nodes;
    size_t n_nodes, cap_nodes;
    struct buf out; /* commands of the running call */
    size_t replies; /* that they will be answered with */
    char *chunk;    /* READ_CHUNK */
    char reason[160];
};

/* --- reading answers ----------------------------------------------------------------------------- */

static struct store_node *add_node(struct store *s, enum store_kind kind, size_t n)
{
    if (s->n_nodes == s->cap_nodes) {
        size_t cap = s->cap_nodes ? s->cap_nodes * 2 : 4096;
        struct store_node *nodes = cap <= NODES_MAX ? realloc(s->nodes, cap * sizeof(*nodes)) : NULL;
        if (!nodes)
            return NULL;
        s->nodes = nodes;
        s->cap_nodes = cap;
    }
    struct store_node *node = &s->nodes[s->n_nodes++];
    node->kind = kind;
    node->n = (uint32_t)n;
    return node;
}

/* hiredis wants a non-NULL object for what was read; NULL stops it with "out of memory". */
static char object;

static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    struct store *s = task->privdata;
    enum store_kind kind = STORE_STRING;
    if (task->type == REDIS_REPLY_ERROR)
        kind = STORE_ERROR;
    else if (task->type == REDIS_REPLY_STATUS)
        kind = STORE_STATUS;
    char *copy = len < UINT32_MAX ? arena_alloc(&s->arena, len + 1, 1) : NULL;
    struct store_node *node = copy ? add_node(s, kind, len) : NULL;
    if (!node)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    node->u.text = copy;
    return &object;
}

static void *on_array(const redisReadTask *task, int elements)
{
    return add_node(task->privdata, STORE_ARRAY, (size_t)elements) ? &object : NULL;
}

static void *on_integer(const redisReadTask *task, long long value)
{
    struct store_node *node = add_node(task->privdata, STORE_INTEGER, 0);
    if (!node)
        return NULL;
    node->u.number = value;
    return &object;
}

static void *on_nil(const redisReadTask *task)
{
    return add_node(task->privdata, STORE_NIL, 0) ? &object : NULL;
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

/* --- the connection ------------------------------------------------------------------------------ */

struct store *store_create(const struct conf_redis *redis, int redis_ms)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->chunk = malloc(READ_CHUNK);
    if (!s->chunk) {
        free(s);
        return NULL;
    }
    s->conf = *redis;
    s->redis_ms = redis_ms;
    arena_init(&s->arena, ARENA_MAX);
    buf_init(&s->out, OUT_MAX);
    return s;
}

static void drop(struct store *s)
{
    if (s->redis)
        redisFree(s->redis);
    s->redis = NULL;
    s->compared = false;
}

void store_destroy(struct store *s)
{
    if (!s)
        return;
    drop(s);
    arena_finish(&s->arena);
    buf_finish(&s->out);
    free(s->nodes);
    free(s->chunk);
    free(s);
}

void store_release(struct store *s)
{
    arena_reset(&s->arena, ARENA_KEEP);
    buf_clear(&s->out, OUT_KEEP);
    s->replies = 0;
    s->said = NOT_ASKED;
    s->n_nodes = 0;
    if (s->cap_nodes > NODES_KEEP) {
        free(s->nodes);
        s->nodes = NULL;
        s->cap_nodes = 0;
    }
}

struct arena_mark store_mark(const struct store *s)
{
    return arena_mark(&s->arena);
}

void store_rewind(struct store *s, struct arena_mark mark)
{
    arena_rewind(&s->arena, mark);
}

const char *store_reason(const struct store *s)
{
    return s->reason;
}

int store_fail(struct store *s, const char *what, const char *why)
{
    snprintf(s->reason, sizeof(s->reason), "%s: %s", what, why);
    return -1;
}

enum exchange { EXCHANGE_OK, EXCHANGE_LOST, EXCHANGE_FAILED };

/* Waits for more to read, and feeds it to the reader. */
static enum exchange receive(struct store *s, int64_t deadline_ms)
{
    ssize_t got;
    while ((got = recv(s->redis->fd, s->chunk, READ_CHUNK, MSG_DONTWAIT)) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN) {
            store_fail(s, "read", strerror(errno));
            return EXCHANGE_LOST;
        }
        struct pollfd p = {.fd = s->redis->fd, .events = POLLIN};
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0 || poll(&p, 1, (int)left) == 0) {
            store_fail(s, "no answer", "deadline passed");
            return EXCHANGE_FAILED;
        }
    }
    if (got == 0) {
        store_fail(s, "read", "Redis closed the connection");
        return EXCHANGE_LOST;
    }
    if (redisReaderFeed(s->redis->reader, s->chunk, (size_t)got) != REDIS_OK) {
        store_fail(s, "answer", s->redis->reader->errstr);
        return EXCHANGE_FAILED;
    }
    return EXCHANGE_OK;
}

/* Sends `out` and reads `replies` answers into the node list. */
static enum exchange exchange(struct store *s, const struct buf *out, size_t replies)
{
    int64_t deadline_ms = clock_mono_ms() + s->redis_ms;
    s->n_nodes = 0;
    if (redisAppendFormattedCommand(s->redis, out->data, out->len) != REDIS_OK) {
        store_fail(s, "write", s->redis->errstr);
        return EXCHANGE_FAILED;
    }
    for (int done = 0; !done;) {
        if (redisBufferWrite(s->redis, &done) != REDIS_OK || clock_mono_ms() > deadline_ms) {
            store_fail(s, "write", s->redis->err ? s->redis->errstr : "deadline passed");
            return EXCHANGE_LOST;
        }
    }
    while (replies > 0) {
        void *reply;
        if (redisReaderGetReply(s->redis->reader, &reply) != REDIS_OK) {
            store_fail(s, "answer", s->redis->reader->errstr);
            return EXCHANGE_FAILED;
        }
        if (reply) {
            replies--;
            continue;
        }
        enum exchange result = receive(s, deadline_ms);
        if (result != EXCHANGE_OK)
            return result;
    }
    return EXCHANGE_OK;
}

static void put_arg(struct buf *b, const char *text, size_t len)
{
    buf_add(b, "$", 1);
    buf_u64(b, len);
    buf_add(b, "\r\n", 2);
    buf_add(b, text, len);
    buf_add(b, "\r\n", 2);
}

static void put_command(struct buf *b, size_t n, const char *const *args)
{
    buf_add(b, "*", 1);
    buf_u64(b, n);
    buf_add(b, "\r\n", 2);
    for (size_t i = 0; i < n; i++)
        put_arg(b, args[i], strlen(args[i]));
}

void store_queue(struct store *s, size_t n, const char *const *args)
{
    put_command(&s->out, n, args);
    s->replies++;
}

static int authenticate(struct store *s)
{
    char password[256], why[128];
    if (!s->conf.password_file[0])
        return 0;
    if (conf_read_secret(s->conf.password_file, password, sizeof(password), why, sizeof(why)) < 0)
        return store_fail(s, "password_file", why);

    struct buf auth;
    buf_init(&auth, 4096);
    if (s->conf.user[0])
        put_command(&auth, 3, (const char *const[]){"AUTH", s->conf.user, password});
    else
        put_command(&auth, 2, (const char *const[]){"AUTH", password});
    enum exchange result = auth.failed ? EXCHANGE_FAILED : exchange(s, &auth, 1);
    explicit_bzero(password, sizeof(password));
    if (auth.data)
        explicit_bzero(auth.data, auth.cap);
    buf_finish(&auth);
    if (result != EXCHANGE_OK)
        return -1;
    if (s->nodes[0].kind == STORE_ERROR)
        return store_fail(s, "authentication", "refused by Redis");
    return 0;
}

static int open_connection(struct store *s)
{
    const char *path = NULL;
    char host[64];
    int port = 0;
    struct timeval limit = {.tv_sec = s->redis_ms / 1000, .tv_usec = s->redis_ms % 1000 * 1000};

    int64_t begun_ms = clock_mono_ms();
    if (begun_ms < s->retry_at_ms)
        return -1; /* the reason is that of the last attempt */
    if (conf_parse_address(s->conf.address, &path, host, &port) < 0)
        return store_fail(s, "address", "neither unix:/path nor HOST:PORT");
    redisContext *c = path ? redisConnectUnixWithTimeout(path, limit) : redisConnectWithTimeout(host, port, limit);
    s->redis = c;
    if (!c || c->err || redisSetTimeout(c, limit) != REDIS_OK) {
        store_fail(s, "connect", c ? c->errstr : "out of memory");
        goto failed;
    }
    c->reader->fn = &reader_functions;
    c->reader->privdata = s;
    c->reader->maxbuf = 4 * READ_CHUNK;
    if (authenticate(s) < 0)
        goto failed;
    return 0;

failed:
    drop(s);
    /* Refused at once costs nothing to try again; one that hangs would hold every request. */
    if (clock_mono_ms() - begun_ms > RETRY_MS / 2)
        s->retry_at_ms = clock_mono_ms() + RETRY_MS;
    return -1;
}

static int compare(struct store *s)
{
    char run[RKEY_RUN_MAX] = "";
    struct buf out;
    buf_init(&out, 4096);
    put_command(&out, 2, (const char *const[]){"INFO", "server"});
    put_command(&out, 2, (const char *const[]){"GET", RKEY_ARCHIVE_RUN});
    enum exchange result = out.failed ? EXCHANGE_FAILED : exchange(s, &out, 2);
    buf_finish(&out);
    if (result != EXCHANGE_OK) {
        drop(s);
        return -1;
    }
    if (store_check(s, 0) < 0 || store_check(s, 1) < 0)
        return -1;
    if (s->nodes[0].kind == STORE_STRING)
        rkey_run_id(run, s->nodes[0].u.text);
    s->compared = run[0] && s->nodes[1].kind == STORE_STRING && strcmp(run, s->nodes[1].u.text) == 0;
    return 0;
}

/* A connection that Redis has closed is not believed any more. */
static bool is_closed(const struct store *s)
{
    char byte;
    ssize_t got = recv(s->redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

int store_compared(struct store *s, bool *compared)
{
    if (s->said == NOT_ASKED) {
        if (s->redis && is_closed(s))
            drop(s);
        if ((!s->redis && open_connection(s) < 0) || (!s->compared && compare(s) < 0))
            return -1;
        s->said = s->compared ? SAID_YES : SAID_NO;
    }
    *compared = s->said == SAID_YES;
    return 0;
}

/* After a loss of the connection amid a request. */
static int reopen(struct store *s)
{
    if (open_connection(s) < 0 || (s->said == SAID_YES && compare(s) < 0))
        return -1;
    return s->said == SAID_YES && !s->compared ? store_fail(s, "read", "Redis was started again meanwhile") : 0;
}

int store_run(struct store *s)
{
    int rc = -1;
    if (s->out.failed) {
        store_fail(s, "request", "too large");
        goto done;
    }
    for (;;) {
        bool fresh = !s->redis;
        if (fresh && reopen(s) < 0)
            break;
        enum exchange result = exchange(s, &s->out, s->replies);
        if (result == EXCHANGE_OK) {
            rc = 0;
            break;
        }
        drop(s);
        if (fresh || result != EXCHANGE_LOST)
            break;
    }
done:
    buf_clear(&s->out, OUT_KEEP);
    s->replies = 0;
    return rc;
}

/* --- looking at answers -------------------------------------------------------------------------- */

const struct store_node *store_node(const struct store *s, size_t at)
{
    return &s->nodes[at];
}

void *store_alloc(struct store *s, size_t size)
{
    void *p = arena_alloc(&s->arena, size, _Alignof(max_align_t));
    if (!p)
        store_fail(s, "answer", "out of memory");
    return p;
}

size_t store_skip(const struct store *s, size_t at)
{
    size_t pending = 1;
    while (pending > 0 && at < s->n_nodes) {
        if (s->nodes[at].kind == STORE_ARRAY)
            pending += s->nodes[at].n;
        pending--;
        at++;
    }
    return at;
}

/* An error that means "no such data here" rather than "Redis cannot serve". */
static bool harmless(const struct store_node *node)
{
    return node->kind == STORE_ERROR && strncmp(node->u.text, "WRONGTYPE", 9) == 0;
}

int store_check(struct store *s, size_t at)
{
    const struct store_node *node = &s->nodes[at];
    if (node->kind == STORE_ERROR && !harmless(node))
        return store_fail(s, "Redis", node->u.text);
    return 0;
}

bool store_is_text(const struct store_node *node)
{
    return node->kind == STORE_STRING || node->kind == STORE_STATUS;
}

size_t store_texts(const struct store *s, size_t *at, const struct store_node **first)
{
    const struct store_node *node = &s->nodes[*at];
    size_t n = node->kind == STORE_ARRAY ? node->n : 0;
    *first = node + 1;
    *at = store_skip(s, *at);
    for (size_t i = 0; i < n; i++) {
        if (!store_is_text(&(*first)[i]))
            return 0;
    }
    return n;
}

/* The field of one stream entry at `at`, which is an array of id and fields. */
static bool read_entry(const struct store *s, size_t at, struct streamid *id, const char **text, size_t *len)
{
    const struct store_node *entry = &s->nodes[at];
    *text = NULL;
    *len = 0;
    if (entry[0].kind != STORE_ARRAY || entry[0].n != 2 || !store_is_text(&entry[1]) ||
        streamid_parse(entry[1].u.text, entry[1].n, id) < 0)
        return false;
    if (entry[2].kind != STORE_ARRAY)
        return true;
    for (size_t i = 0; i + 1 < entry[2].n; i += 2) {
        const struct store_node *field = &entry[3 + i];
        if (store_is_text(&field[0]) && store_is_text(&field[1]) && strcmp(field[0].u.text, RKEY_FIELD) == 0) {
            *text = field[1].u.text;
            *len = field[1].n;
            return true;
        }
    }
    return true;
}

static int read_range(struct store *s, size_t at, size_t index, store_entry_fn *entry, void *ctx)
{
    if (store_check(s, at) < 0)
        return -1;
    if (s->nodes[at].kind != STORE_ARRAY)
        return 0;
    size_t n = s->nodes[at++].n;
    for (size_t i = 0; i < n; i++, at = store_skip(s, at)) {
        struct streamid id;
        const char *text;
        size_t len;
        if (read_entry(s, at, &id, &text, &len) && entry(ctx, index, id, text, len) != 0)
            return store_fail(s, "answer", "out of memory");
    }
    return 0;
}

void store_key(char key[RKEY_MAX], const char *prefix, const char *name)
{
    if (rkey_join(key, prefix, name) == 0)
        key[0] = '\0';
}

static void queue_range(struct store *s, const struct store_range *r)
{
    char key[RKEY_MAX], lo[48], hi[48], count[24];
    store_key(key, r->prefix, r->name);
    snprintf(lo, sizeof(lo), "%llu-%llu", (unsigned long long)r->range.lo.ms, (unsigned long long)r->range.lo.seq);
    snprintf(hi, sizeof(hi), "%llu-%llu", (unsigned long long)r->range.hi.ms, (unsigned long long)r->range.hi.seq);
    snprintf(count, sizeof(count), "%zu", r->count);
    if (r->descending)
        STORE_QUEUE(s, "XREVRANGE", key, hi, lo, "COUNT", count);
    else
        STORE_QUEUE(s, "XRANGE", key, lo, hi, "COUNT", count);
}

int store_ranges(struct store *s, const struct store_range *ranges, size_t n, bool together, store_entry_fn *entry,
                 void *ctx)
{
    if (n == 0)
        return 0;
    together = together && n > 1;
    if (together)
        STORE_QUEUE(s, "MULTI");
    for (size_t i = 0; i < n; i++)
        queue_range(s, &ranges[i]);
    if (together)
        STORE_QUEUE(s, "EXEC");
    if (store_run(s) < 0)
        return -1;

    size_t at = 0;
    if (together) {
        at = n + 1; /* behind +OK and n times +QUEUED, which are one node each */
        if (store_check(s, 0) < 0 || store_check(s, 1) < 0 || store_check(s, at) < 0)
            return -1;
        if (s->nodes[at].kind != STORE_ARRAY || s->nodes[at].n != n)
            return store_fail(s, "answer", "not what was asked");
        at++;
    }
    for (size_t i = 0; i < n; i++, at = store_skip(s, at)) {
        if (read_range(s, at, i, entry, ctx) < 0)
            return -1;
    }
    return 0;
}
