/*
 * The table behind conf.h: every key with its type, default, range, unit and help. Private to
 * conf*.c and their tests.
 */
#ifndef TELERELAY_CONF_TABLE_H
#define TELERELAY_CONF_TABLE_H

#include "conf.h"

#include <stddef.h>

#define CONF_TABLE_MAX 128 /* keys, at most */

enum conf_type {
    CONF_TEXT,     /* any text without control characters */
    CONF_PATH,     /* a file name */
    CONF_ID,       /* a name that fits keys, labels and file names: [A-Za-z0-9_.-]+ */
    CONF_ADDRESS,  /* see conf_parse_address */
    CONF_URL,      /* ws:// or wss:// */
    CONF_DATABASE, /* sqlite:/path, or postgresql:// as libpq reads it */
    CONF_DRIVER,   /* one of conf_table_drivers */
    CONF_CONTROL,  /* enum conf_control */
    CONF_BOOL,     /* yes or no */
    CONF_LEVEL,    /* enum log_level */
    CONF_INT,      /* int */
    CONF_NUMBER    /* double */
};

struct conf_key {
    const char *section;
    const char *name;
    enum conf_type type;
    size_t offset; /* in struct conf */
    size_t size;   /* bytes of the member */
    const char *def;
    double min, max;  /* CONF_INT, CONF_NUMBER; texts: min 1 forbids the empty one */
    const char *unit; /* NULL for none */
    bool reloadable;  /* takes effect on SIGHUP */
    const char *help;
};

extern const struct conf_key conf_table[];
extern const size_t conf_table_len;
extern const char *const conf_table_drivers[]; /* ends with NULL */

/* Checks `text` and stores it. 0, or -1 with *conf unchanged. */
int conf_set_value(struct conf *conf, const struct conf_key *key, const char *text);

/* What the key allows, for people: "a whole number from 0 to 100000 (messages per second)". */
void conf_describe_allowed(char *out, size_t cap, const struct conf_key *key);

void conf_print_help(FILE *out, const char *program, const char *section);

#endif
