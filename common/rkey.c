#include "rkey.h"

#include <string.h>

size_t rkey_join(char out[RKEY_MAX], const char *prefix, const char *id)
{
    size_t prefix_len = strlen(prefix);
    size_t id_len = strlen(id);
    if (prefix_len >= RKEY_MAX || id_len >= RKEY_MAX - prefix_len)
        return 0;
    memcpy(out, prefix, prefix_len);
    memcpy(out + prefix_len, id, id_len + 1);
    return prefix_len + id_len;
}

void rkey_run_id(char out[RKEY_RUN_MAX], const char *info)
{
    static const char name[] = "\nrun_id:";
    const char *at = strstr(info, name);
    size_t len = at ? strcspn(at + sizeof(name) - 1, "\r\n") : 0;
    if (len >= RKEY_RUN_MAX)
        len = 0;
    if (len > 0)
        memcpy(out, at + sizeof(name) - 1, len);
    out[len] = '\0';
}
