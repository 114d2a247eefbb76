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
