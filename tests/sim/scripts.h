/* Redis' Lua: scripts by number, run with redis.call against a function of the caller's. */
#ifndef TELERELAY_SIM_SCRIPTS_H
#define TELERELAY_SIM_SCRIPTS_H

#include "tests/sim/store.h"

struct scripts;

/* call: one command from a script; its reply is freed by the host. */
struct scripts *scripts_create(redisReply *(*call)(void *ctx, const struct store_arg *argv, size_t argc), void *ctx);
void scripts_destroy(struct scripts *s); /* takes NULL */

/* 40 hexadecimal digits into sha, or a reason. 0, or −1. */
int scripts_load(struct scripts *s, const char *text, size_t len, char sha[41], char *why, size_t why_cap);
void scripts_flush(struct scripts *s);

/* EVALSHA's reply; also an error. */
redisReply *scripts_run(struct scripts *s, const char *sha, const struct store_arg *keys, size_t n_keys,
                        const struct store_arg *args, size_t n_args);

#endif
