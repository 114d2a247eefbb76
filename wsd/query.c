#include "wsd/query.h"

#include <stdbool.h>
#include <string.h>

/* The value when `arg` is NAME=VALUE or NAME, else NULL. */
static const char *value_of(const char *arg, const char *name)
{
    size_t len = strlen(name);
    if (strncmp(arg, name, len) != 0 || (arg[len] != '=' && arg[len] != '\0'))
        return NULL;
    return arg[len] == '=' ? arg + len + 1 : arg + len;
}

static bool is_watch_list(const char *list)
{
    for (size_t n = 0; *list != '\0'; n++) {
        size_t len = strcspn(list, ",");
        if (n == MSG_WATCH_MAX || !msg_device_id_valid(list, len) || strcmp(list + len, ",") == 0)
            return false;
        list += len + (list[len] == ',');
    }
    return true;
}

void query_add(struct query *q, const char *arg, size_t len)
{
    const char *id = value_of(arg, "device_id");
    const char *list = value_of(arg, "watch");
    bool whole = strlen(arg) == len; /* no NUL in it */
    if (q->kind == QUERY_ROBOT || q->kind == QUERY_BAD_ID)
        return;
    if (id != NULL && whole && msg_device_id_valid(id, strlen(id))) {
        q->kind = QUERY_ROBOT;
        memcpy(q->device_id, id, strlen(id) + 1);
    } else if (id != NULL) {
        q->kind = QUERY_BAD_ID;
    } else if (list != NULL && q->kind == QUERY_WEBSITE && q->watch[0] == '\0') {
        if (whole && is_watch_list(list))
            memcpy(q->watch, list, strlen(list) + 1);
        else
            q->kind = QUERY_BAD_WATCH;
    }
}
