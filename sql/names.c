#include "sql/names.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

struct entry {
    struct name name; /* first: what is handed out */
    UT_hash_handle by_text, by_id;
    char text[];
};

struct names {
    struct entry *by_text, *by_id;
    size_t most;
};

struct names *names_create(size_t most)
{
    struct names *names = calloc(1, sizeof(*names));
    if (names != NULL)
        names->most = most;
    return names;
}

void names_clear(struct names *names)
{
    struct entry *e, *next;
    HASH_CLEAR(by_id, names->by_id);
    HASH_ITER (by_text, names->by_text, e, next) {
        HASH_DELETE(by_text, names->by_text, e);
        free(e->name.numbers);
        free(e);
    }
}

void names_destroy(struct names *names)
{
    if (names == NULL)
        return;
    names_clear(names);
    free(names);
}

struct name *names_find(const struct names *names, const char *text, size_t len)
{
    struct entry *e;
    HASH_FIND(by_text, names->by_text, text, len, e);
    return e != NULL ? &e->name : NULL;
}

struct name *names_of_id(const struct names *names, int64_t id)
{
    struct entry *e;
    HASH_FIND(by_id, names->by_id, &id, sizeof(id), e);
    return e != NULL ? &e->name : NULL;
}

struct name *names_put(struct names *names, const char *text, size_t len, int64_t id, int64_t *numbers, size_t n)
{
    struct entry *e = calloc(1, sizeof(*e) + len + 1);
    if (e == NULL) {
        free(numbers);
        return NULL;
    }
    if (HASH_CNT(by_text, names->by_text) >= names->most)
        names_clear(names);
    if (len > 0)
        memcpy(e->text, text, len);
    e->name = (struct name){.id = id, .len = len, .text = e->text, .numbers = numbers, .n = n};
    HASH_ADD_KEYPTR(by_text, names->by_text, e->text, len, e);
    HASH_ADD(by_id, names->by_id, name.id, sizeof(e->name.id), e);
    return &e->name;
}
