#include "tests/sim/store.h"

#include "tests/sim/stream.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

enum kind { STRING, HASH, SET, ZSET, STREAM };

/* A member of a hash (value), a set, or a sorted set (score). */
struct field {
    char *name;
    char *value;
    size_t len;
    double score;
    UT_hash_handle hh;
};

struct key {
    char *name;
    enum kind kind;
    char *value; /* STRING */
    size_t len;
    struct field *fields;
    struct stream *stream; /* STREAM */
    UT_hash_handle hh;
};

struct store {
    struct key *keys;
};

static void *must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

static char *duplicate(const char *text, size_t len)
{
    char *copy = must(malloc(len + 1));
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* --- replies ------------------------------------------------------------------------------- */

static redisReply *reply(int type)
{
    redisReply *r = must(calloc(1, sizeof(*r)));
    r->type = type;
    return r;
}

redisReply *store_int(long long n)
{
    redisReply *r = reply(REDIS_REPLY_INTEGER);
    r->integer = n;
    return r;
}

static redisReply *text_of_type(int type, const char *text, size_t len)
{
    redisReply *r = reply(type);
    r->str = duplicate(text, len);
    r->len = len;
    return r;
}

redisReply *store_text(const char *text, size_t len)
{
    return text_of_type(REDIS_REPLY_STRING, text, len);
}

redisReply *store_nil(void)
{
    return reply(REDIS_REPLY_NIL);
}

redisReply *store_status(const char *text)
{
    return text_of_type(REDIS_REPLY_STATUS, text, strlen(text));
}

redisReply *store_error(const char *text)
{
    return text_of_type(REDIS_REPLY_ERROR, text, strlen(text));
}

redisReply *store_array(size_t n)
{
    redisReply *r = reply(REDIS_REPLY_ARRAY);
    r->elements = n;
    r->element = must(calloc(n + 1, sizeof(*r->element)));
    return r;
}

void store_free_reply(void *what)
{
    redisReply *r = what;
    if (r == NULL)
        return;
    for (size_t i = 0; r->element != NULL && i < r->elements; i++)
        store_free_reply(r->element[i]);
    free(r->element);
    free(r->str);
    free(r);
}

static redisReply *text(const char *value)
{
    return store_text(value, strlen(value));
}

/* --- keys and fields ----------------------------------------------------------------------- */

struct store *store_create(void)
{
    return must(calloc(1, sizeof(struct store)));
}

static void drop_field(struct key *k, struct field *f)
{
    HASH_DEL(k->fields, f);
    free(f->name);
    free(f->value);
    free(f);
}

static void drop_key(struct store *s, struct key *k)
{
    struct field *f, *next;
    HASH_ITER (hh, k->fields, f, next)
        drop_field(k, f);
    HASH_DEL(s->keys, k);
    if (k->stream != NULL)
        stream_clear(k->stream);
    free(k->stream);
    free(k->name);
    free(k->value);
    free(k);
}

void store_destroy(struct store *s)
{
    struct key *k, *next;
    if (s == NULL)
        return;
    HASH_ITER (hh, s->keys, k, next)
        drop_key(s, k);
    free(s);
}

static struct key *find(const struct store *s, const char *name)
{
    struct key *k;
    HASH_FIND_STR(s->keys, name, k);
    return k;
}

static struct key *add_key(struct store *s, const char *name, enum kind kind)
{
    struct key *k = find(s, name);
    if (k != NULL && k->kind != kind) {
        fprintf(stderr, "sim: key %s used as two kinds\n", name);
        abort();
    }
    if (k != NULL)
        return k;
    k = must(calloc(1, sizeof(*k)));
    k->name = duplicate(name, strlen(name));
    k->kind = kind;
    k->stream = kind == STREAM ? must(calloc(1, sizeof(*k->stream))) : NULL;
    HASH_ADD_KEYPTR(hh, s->keys, k->name, strlen(k->name), k);
    return k;
}

static void drop_if_empty(struct store *s, struct key *k)
{
    if (k != NULL && k->fields == NULL)
        drop_key(s, k);
}

static struct field *find_field(const struct key *k, const char *name)
{
    struct field *f = NULL;
    if (k != NULL)
        HASH_FIND_STR(k->fields, name, f);
    return f;
}

/* True when it is new. */
static bool set_field(struct key *k, const struct store_arg *name, const char *value, size_t len, double score)
{
    struct field *f = find_field(k, name->at);
    bool fresh = f == NULL;
    if (fresh) {
        f = must(calloc(1, sizeof(*f)));
        f->name = duplicate(name->at, name->len);
        HASH_ADD_KEYPTR(hh, k->fields, f->name, strlen(f->name), f);
    }
    free(f->value);
    f->value = value ? duplicate(value, len) : NULL;
    f->len = len;
    f->score = score;
    return fresh;
}

struct store *store_copy(const struct store *s)
{
    struct store *copy = store_create();
    for (const struct key *k = s->keys; k != NULL; k = k->hh.next) {
        struct key *to = add_key(copy, k->name, k->kind);
        to->value = k->value ? duplicate(k->value, k->len) : NULL;
        to->len = k->len;
        if (k->stream != NULL)
            stream_copy(to->stream, k->stream);
        for (const struct field *f = k->fields; f != NULL; f = f->hh.next)
            set_field(to, &(struct store_arg){f->name, strlen(f->name)}, f->value, f->len, f->score);
    }
    return copy;
}

const char *store_hash_field(const struct store *s, const char *key, const char *field)
{
    const struct field *f = find_field(find(s, key), field);
    return f ? f->value : NULL;
}

bool store_has(const struct store *s, const char *key, const char *member)
{
    return find_field(find(s, key), member) != NULL;
}

size_t store_keys(const struct store *s)
{
    return HASH_COUNT(s->keys);
}

/* --- commands ------------------------------------------------------------------------------ */

struct call {
    struct store *s;
    const struct store_arg *argv;
    size_t argc;
    int64_t wall_us;
};

static const char *arg(const struct call *c, size_t i)
{
    if (i >= c->argc) {
        fprintf(stderr, "sim: %s with too few arguments\n", c->argv[0].at);
        abort();
    }
    return c->argv[i].at;
}

static struct key *key(const struct call *c)
{
    return find(c->s, arg(c, 1));
}

static redisReply *do_time(const struct call *c)
{
    redisReply *r = store_array(2);
    char buf[32];
    snprintf(buf, sizeof(buf), "%lld", (long long)(c->wall_us / 1000000));
    r->element[0] = text(buf);
    snprintf(buf, sizeof(buf), "%lld", (long long)(c->wall_us % 1000000));
    r->element[1] = text(buf);
    return r;
}

static redisReply *do_get(const struct call *c)
{
    const struct key *k = key(c);
    return k ? store_text(k->value, k->len) : store_nil();
}

static redisReply *do_set(const struct call *c)
{
    struct key *k = add_key(c->s, arg(c, 1), STRING);
    free(k->value);
    k->value = duplicate(arg(c, 2), c->argv[2].len);
    k->len = c->argv[2].len;
    return store_status("OK");
}

static redisReply *do_incr(const struct call *c)
{
    struct key *k = add_key(c->s, arg(c, 1), STRING);
    long long n = (k->value ? atoll(k->value) : 0) + 1;
    char buf[32];
    free(k->value);
    k->len = (size_t)snprintf(buf, sizeof(buf), "%lld", n);
    k->value = duplicate(buf, k->len);
    return store_int(n);
}

static redisReply *do_del(const struct call *c)
{
    long long n = 0;
    for (size_t i = 1; i < c->argc; i++) {
        struct key *k = find(c->s, arg(c, i));
        if (k != NULL) {
            drop_key(c->s, k);
            n++;
        }
    }
    return store_int(n);
}

static redisReply *do_exists(const struct call *c)
{
    return store_int(key(c) != NULL);
}

static redisReply *field_value(const struct field *f)
{
    return f ? store_text(f->value, f->len) : store_nil();
}

static redisReply *do_hget(const struct call *c)
{
    return field_value(find_field(key(c), arg(c, 2)));
}

static redisReply *do_hmget(const struct call *c)
{
    redisReply *r = store_array(c->argc - 2);
    for (size_t i = 2; i < c->argc; i++)
        r->element[i - 2] = field_value(find_field(key(c), arg(c, i)));
    return r;
}

static redisReply *do_hset(const struct call *c)
{
    struct key *k = add_key(c->s, arg(c, 1), HASH);
    long long n = 0;
    for (size_t i = 2; i < c->argc; i += 2) {
        const char *value = arg(c, i + 1);
        n += set_field(k, &c->argv[i], value, c->argv[i + 1].len, 0);
    }
    return store_int(n);
}

/* HINCRBY key field n */
static redisReply *do_hincrby(const struct call *c)
{
    struct key *k = add_key(c->s, arg(c, 1), HASH);
    const struct field *f = find_field(k, arg(c, 2));
    char buf[32];
    long long n = (f ? atoll(f->value) : 0) + atoll(arg(c, 3));
    int len = snprintf(buf, sizeof(buf), "%lld", n);
    set_field(k, &c->argv[2], buf, (size_t)len, 0);
    return store_int(n);
}

/* HDEL, SREM, ZREM */
static redisReply *do_remove(const struct call *c)
{
    long long n = 0;
    struct key *k = key(c);
    for (size_t i = 2; k != NULL && i < c->argc; i++) {
        struct field *f = find_field(k, arg(c, i));
        if (f != NULL) {
            drop_field(k, f);
            n++;
        }
    }
    drop_if_empty(c->s, k);
    return store_int(n);
}

/* HKEYS, SMEMBERS */
static redisReply *do_names(const struct call *c)
{
    const struct key *k = key(c);
    redisReply *r = store_array(k ? HASH_COUNT(k->fields) : 0);
    size_t i = 0;
    for (const struct field *f = k ? k->fields : NULL; f != NULL; f = f->hh.next)
        r->element[i++] = text(f->name);
    return r;
}

static redisReply *do_hgetall(const struct call *c)
{
    const struct key *k = key(c);
    redisReply *r = store_array(k ? 2 * HASH_COUNT(k->fields) : 0);
    size_t i = 0;
    for (const struct field *f = k ? k->fields : NULL; f != NULL; f = f->hh.next) {
        r->element[i++] = text(f->name);
        r->element[i++] = store_text(f->value, f->len);
    }
    return r;
}

/* HEXISTS, SISMEMBER */
static redisReply *do_has(const struct call *c)
{
    return store_int(find_field(key(c), arg(c, 2)) != NULL);
}

/* HLEN, SCARD, ZCARD */
static redisReply *do_count(const struct call *c)
{
    const struct key *k = key(c);
    return store_int(k ? HASH_COUNT(k->fields) : 0);
}

static redisReply *do_sadd(const struct call *c)
{
    struct key *k = add_key(c->s, arg(c, 1), SET);
    long long n = 0;
    for (size_t i = 2; i < c->argc; i++)
        n += set_field(k, &c->argv[i], NULL, 0, 0);
    return store_int(n);
}

static redisReply *do_zadd(const struct call *c)
{
    struct key *k = add_key(c->s, arg(c, 1), ZSET);
    arg(c, 3);
    return store_int(set_field(k, &c->argv[3], NULL, 0, strtod(arg(c, 2), NULL)));
}

static redisReply *do_zscore(const struct call *c)
{
    const struct field *f = find_field(key(c), arg(c, 2));
    char buf[40];
    if (f == NULL)
        return store_nil();
    snprintf(buf, sizeof(buf), "%.17g", f->score);
    return text(buf);
}

static int by_score(const void *a, const void *b)
{
    const struct field *x = *(const struct field *const *)a, *y = *(const struct field *const *)b;
    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return strcmp(x->name, y->name);
}

static double bound(const char *at)
{
    return strcmp(at, "-inf") == 0 ? -INFINITY : strcmp(at, "+inf") == 0 ? INFINITY : strtod(at, NULL);
}

/* ZRANGE key 0 -1 and ZRANGEBYSCORE key low high */
static redisReply *do_zrange(const struct call *c)
{
    const struct key *k = key(c);
    bool scores = strcasecmp(c->argv[0].at, "ZRANGEBYSCORE") == 0;
    double low = scores ? bound(arg(c, 2)) : -INFINITY, high = scores ? bound(arg(c, 3)) : INFINITY;
    size_t n = k ? HASH_COUNT(k->fields) : 0, count = 0;
    const struct field **list = must(calloc(n + 1, sizeof(struct field *)));
    for (const struct field *f = k ? k->fields : NULL; f != NULL; f = f->hh.next) {
        if (f->score >= low && f->score <= high)
            list[count++] = f;
    }
    qsort(list, count, sizeof(*list), by_score);
    redisReply *r = store_array(count);
    for (size_t i = 0; i < count; i++)
        r->element[i] = text(list[i]->name);
    free(list);
    return r;
}

/* XADD key [MAXLEN [~] n] id field value; ids: "*", "MS-*", "MS-SEQ" */
static redisReply *do_xadd(const struct call *c)
{
    struct stream *st = add_key(c->s, arg(c, 1), STREAM)->stream;
    size_t i = 2, maxlen = 0;
    char buf[64];
    if (strcasecmp(arg(c, i), "MAXLEN") == 0) {
        i += strcmp(arg(c, i + 1), "~") == 0 ? 2 : 1;
        maxlen = strtoull(arg(c, i++), NULL, 10);
    }
    const char *value = arg(c, i + 2);
    if (!stream_add(st, arg(c, i), c->wall_us / 1000, maxlen, arg(c, i + 1), value))
        return store_error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    snprintf(buf, sizeof(buf), "%lld-%lld", st->last_ms, st->last_seq);
    return text(buf);
}

static redisReply *entry_reply(const struct stream_entry *e)
{
    redisReply *r = store_array(2);
    char buf[64];
    snprintf(buf, sizeof(buf), "%lld-%lld", e->ms, e->seq);
    r->element[0] = text(buf);
    r->element[1] = store_array(2);
    r->element[1]->element[0] = text(e->field);
    r->element[1]->element[1] = text(e->value);
    return r;
}

/* XREVRANGE key MS MS COUNT N, or + and - */
static redisReply *do_xrevrange(const struct call *c)
{
    const struct stream *st = key(c) ? key(c)->stream : NULL;
    long long high = *arg(c, 2) == '+' ? LLONG_MAX : atoll(arg(c, 2)), low = *arg(c, 3) == '-' ? 0 : atoll(arg(c, 3));
    size_t most = (size_t)atoll(arg(c, 5)), n = 0;
    redisReply *r = store_array(st ? st->count : 0);
    for (size_t i = st ? st->count : 0; i-- > 0 && n < most;) {
        if (stream_at(st, i)->ms >= low && stream_at(st, i)->ms <= high)
            r->element[n++] = entry_reply(stream_at(st, i));
    }
    r->elements = n;
    return r;
}

static redisReply *do_pexpire(const struct call *c)
{
    return store_int(key(c) != NULL);
}

bool store_takes_memory(const char *name)
{
    static const char *const names[] = {"HSET", "HINCRBY", "SET", "INCR", "SADD", "ZADD", "XADD"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

redisReply *store_call(struct store *s, const struct store_arg *argv, size_t argc, int64_t wall_us)
{
    static const struct {
        const char *name;
        redisReply *(*run)(const struct call *);
    } commands[] = {{"HGET", do_hget},       {"HMGET", do_hmget},
                    {"HSET", do_hset},       {"TIME", do_time},
                    {"XADD", do_xadd},       {"GET", do_get},
                    {"SET", do_set},         {"INCR", do_incr},
                    {"DEL", do_del},         {"HDEL", do_remove},
                    {"HKEYS", do_names},     {"HGETALL", do_hgetall},
                    {"HEXISTS", do_has},     {"HLEN", do_count},
                    {"HINCRBY", do_hincrby}, {"SADD", do_sadd},
                    {"SREM", do_remove},     {"SMEMBERS", do_names},
                    {"SCARD", do_count},     {"SISMEMBER", do_has},
                    {"ZADD", do_zadd},       {"ZSCORE", do_zscore},
                    {"ZCARD", do_count},     {"ZREM", do_remove},
                    {"ZRANGE", do_zrange},   {"ZRANGEBYSCORE", do_zrange},
                    {"EXISTS", do_exists},   {"EXPIRE", do_pexpire},
                    {"PEXPIRE", do_pexpire}, {"XREVRANGE", do_xrevrange}};
    struct call c = {s, argv, argc, wall_us};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcasecmp(argv[0].at, commands[i].name) == 0)
            return commands[i].run(&c);
    }
    fprintf(stderr, "sim: Redis' %s is not modelled\n", argv[0].at);
    abort();
}
