/* Redis' data and commands, as far as the relay uses them, with Redis' own conversions. */
#ifndef TELERELAY_SIM_STORE_H
#define TELERELAY_SIM_STORE_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct store_arg {
    const char *at; /* NUL-terminated */
    size_t len;
};

struct store *store_create(void);
void store_destroy(struct store *s); /* takes NULL */
struct store *store_copy(const struct store *s);

/* One command on data. wall_us: Redis' clock. An unknown one ends the program: the model has to follow the relay. */
redisReply *store_call(struct store *s, const struct store_arg *argv, size_t argc, int64_t wall_us);

bool store_takes_memory(const char *name); /* a command that Redis refuses when its memory is full */

/* For the checks: a member of a hash or set. NULL: no such field. */
bool store_has(const struct store *s, const char *key, const char *member);
const char *store_hash_field(const struct store *s, const char *key, const char *field);
size_t store_keys(const struct store *s);

/* Replies; freed with store_free_reply. */
redisReply *store_int(long long n);
redisReply *store_text(const char *text, size_t len);
redisReply *store_nil(void);
redisReply *store_status(const char *text);
redisReply *store_error(const char *text);
redisReply *store_array(size_t n);  /* elements to be filled */
void store_free_reply(void *reply); /* takes NULL */

#endif
