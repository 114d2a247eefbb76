#include "tests/sim/scripts.h"

#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPTS_MAX  32
#define ARGS_MAX     256
#define NUMBER_CHARS 40

struct scripts {
    lua_State *lua;
    redisReply *(*call)(void *ctx, const struct store_arg *argv, size_t argc);
    void *ctx;
    struct {
        char sha[41];
        int ref; /* of the compiled script */
    } loaded[SCRIPTS_MAX];
    size_t count;
};

/* --- Redis → Lua ---------------------------------------------------------------------------- */

static void push_reply(lua_State *lua, const redisReply *r)
{
    switch (r->type) {
    case REDIS_REPLY_INTEGER:
        lua_pushnumber(lua, (lua_Number)r->integer);
        break;
    case REDIS_REPLY_STRING:
        lua_pushlstring(lua, r->str, r->len);
        break;
    case REDIS_REPLY_NIL:
        lua_pushboolean(lua, 0);
        break;
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        lua_newtable(lua);
        lua_pushlstring(lua, r->str, r->len);
        lua_setfield(lua, -2, r->type == REDIS_REPLY_STATUS ? "ok" : "err");
        break;
    default:
        lua_createtable(lua, (int)r->elements, 0);
        for (size_t i = 0; i < r->elements; i++) {
            push_reply(lua, r->element[i]);
            lua_rawseti(lua, -2, (int)i + 1);
        }
    }
}

/* redis.call: numbers become text with 17 digits, as Redis has it. */
static int on_call(lua_State *lua)
{
    struct scripts *s = lua_touserdata(lua, lua_upvalueindex(1));
    struct store_arg argv[ARGS_MAX];
    char numbers[ARGS_MAX][NUMBER_CHARS];
    int n = lua_gettop(lua);
    if (n < 1 || n > ARGS_MAX)
        return luaL_error(lua, "redis.call with %d arguments", n);
    for (int i = 0; i < n; i++) {
        if (lua_type(lua, i + 1) == LUA_TNUMBER) {
            argv[i].len = (size_t)snprintf(numbers[i], NUMBER_CHARS, "%.17g", (double)lua_tonumber(lua, i + 1));
            argv[i].at = numbers[i];
        } else if (lua_type(lua, i + 1) == LUA_TSTRING) {
            argv[i].at = lua_tolstring(lua, i + 1, &argv[i].len);
        } else {
            return luaL_error(lua, "Lua redis lib command arguments must be strings or integers");
        }
    }
    redisReply *r = s->call(s->ctx, argv, (size_t)n);
    bool error = r->type == REDIS_REPLY_ERROR;
    push_reply(lua, r);
    store_free_reply(r);
    return error && lua_toboolean(lua, lua_upvalueindex(2)) ? lua_error(lua) : 1;
}

/* --- Lua → Redis ---------------------------------------------------------------------------- */

static redisReply *take_reply(lua_State *lua, int at);

static redisReply *take_table(lua_State *lua, int at)
{
    redisReply *r = NULL;
    static const char *const names[] = {"ok", "err"};
    for (int i = 0; i < 2; i++) {
        lua_getfield(lua, at, names[i]);
        if (lua_isstring(lua, -1) && r == NULL)
            r = i == 0 ? store_status(lua_tostring(lua, -1)) : store_error(lua_tostring(lua, -1));
        lua_pop(lua, 1);
    }
    if (r != NULL)
        return r;
    size_t n = 0;
    for (;; n++) { /* up to the first nil */
        lua_rawgeti(lua, at, (int)n + 1);
        bool end = lua_isnil(lua, -1);
        lua_pop(lua, 1);
        if (end)
            break;
    }
    r = store_array(n);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(lua, at, (int)i + 1);
        r->element[i] = take_reply(lua, lua_gettop(lua));
        lua_pop(lua, 1);
    }
    return r;
}

static redisReply *take_reply(lua_State *lua, int at)
{
    size_t len;
    const char *text;
    switch (lua_type(lua, at)) {
    case LUA_TNUMBER:
        return store_int((long long)lua_tonumber(lua, at));
    case LUA_TSTRING:
        text = lua_tolstring(lua, at, &len);
        return store_text(text, len);
    case LUA_TBOOLEAN:
        return lua_toboolean(lua, at) ? store_int(1) : store_nil();
    case LUA_TTABLE:
        return take_table(lua, at);
    default:
        return store_nil();
    }
}

/* --- scripts ------------------------------------------------------------------------------- */

/* Nobody but us computes it: any 40 digits that depend on the text will do. */
static void digest(const char *text, size_t len, char sha[41])
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    snprintf(sha, 41, "%016llx%016llx%08x", (unsigned long long)h, (unsigned long long)~h, (unsigned)len);
}

static int on_sha1hex(lua_State *lua)
{
    size_t len;
    const char *text = luaL_checklstring(lua, 1, &len);
    char sha[41];
    digest(text, len, sha);
    lua_pushlstring(lua, sha, 40);
    return 1;
}

static int on_global_write(lua_State *lua)
{
    return luaL_error(lua, "Script attempted to create global variable '%s'", lua_tostring(lua, 2));
}

struct scripts *scripts_create(redisReply *(*call)(void *ctx, const struct store_arg *argv, size_t argc), void *ctx)
{
    struct scripts *s = calloc(1, sizeof(*s));
    if (s == NULL)
        abort();
    s->call = call;
    s->ctx = ctx;
    s->lua = luaL_newstate();
    luaL_openlibs(s->lua);
    lua_newtable(s->lua);
    for (int raises = 0; raises <= 1; raises++) {
        lua_pushlightuserdata(s->lua, s);
        lua_pushboolean(s->lua, raises);
        lua_pushcclosure(s->lua, on_call, 2);
        lua_setfield(s->lua, -2, raises ? "call" : "pcall");
    }
    lua_pushcfunction(s->lua, on_sha1hex);
    lua_setfield(s->lua, -2, "sha1hex");
    lua_setglobal(s->lua, "redis");
    lua_newtable(s->lua); /* as in Redis, nothing global may be made */
    lua_pushcfunction(s->lua, on_global_write);
    lua_setfield(s->lua, -2, "__newindex");
    lua_pushvalue(s->lua, LUA_GLOBALSINDEX);
    lua_insert(s->lua, -2);
    lua_setmetatable(s->lua, -2);
    lua_pop(s->lua, 1);
    return s;
}

void scripts_destroy(struct scripts *s)
{
    if (s == NULL)
        return;
    lua_close(s->lua);
    free(s);
}

void scripts_flush(struct scripts *s)
{
    while (s->count > 0)
        luaL_unref(s->lua, LUA_REGISTRYINDEX, s->loaded[--s->count].ref);
}

int scripts_load(struct scripts *s, const char *text, size_t len, char sha[41], char *why, size_t why_cap)
{
    digest(text, len, sha);
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->loaded[i].sha, sha) == 0)
            return 0;
    }
    if (s->count == SCRIPTS_MAX || luaL_loadbuffer(s->lua, text, len, "@user_script") != 0) {
        snprintf(why, why_cap, "ERR %s", s->count == SCRIPTS_MAX ? "too many" : lua_tostring(s->lua, -1));
        return -1;
    }
    memcpy(s->loaded[s->count].sha, sha, 41);
    s->loaded[s->count++].ref = luaL_ref(s->lua, LUA_REGISTRYINDEX);
    return 0;
}

static void set_list(lua_State *lua, const char *name, const struct store_arg *list, size_t n)
{
    lua_pushstring(lua, name);
    lua_createtable(lua, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(lua, list[i].at, list[i].len);
        lua_rawseti(lua, -2, (int)i + 1);
    }
    lua_rawset(lua, LUA_GLOBALSINDEX);
}

static redisReply *take_error(lua_State *lua)
{
    char why[256];
    if (lua_istable(lua, -1))
        lua_getfield(lua, -1, "err");
    const char *text = lua_tostring(lua, -1) ? lua_tostring(lua, -1) : "unknown";
    bool full = strncmp(text, "OOM ", 4) == 0;
    snprintf(why, sizeof(why), "%s%s", full ? "" : "ERR ", text);
    if (!full)
        fprintf(stderr, "sim: a script failed: %s\n", why);
    return store_error(why);
}

redisReply *scripts_run(struct scripts *s, const char *sha, const struct store_arg *keys, size_t n_keys,
                        const struct store_arg *args, size_t n_args)
{
    redisReply *r;
    size_t i = 0;
    while (i < s->count && strcmp(s->loaded[i].sha, sha) != 0)
        i++;
    if (i == s->count)
        return store_error("NOSCRIPT No matching script. Please use EVAL.");
    set_list(s->lua, "KEYS", keys, n_keys);
    set_list(s->lua, "ARGV", args, n_args);
    lua_rawgeti(s->lua, LUA_REGISTRYINDEX, s->loaded[i].ref);
    r = lua_pcall(s->lua, 0, 1, 0) == 0 ? take_reply(s->lua, lua_gettop(s->lua)) : take_error(s->lua);
    lua_settop(s->lua, 0);
    return r;
}
