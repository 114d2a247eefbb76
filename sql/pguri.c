#include "sql/pguri.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool encoding_is_whole(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '%' && !(isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])))
            return false;
    }
    return true;
}

int pguri_check(const char *uri)
{
    const char *authority = strstr(uri, "://");
    if (authority == NULL || !encoding_is_whole(uri))
        return -1;
    authority += 3;
    const char *end = authority + strcspn(authority, "/?");
    const char *at = strchr(authority, '@');
    if (at != NULL && (at > end || strchr(at + 1, '@') != NULL))
        return -1;
    /* HOST:PORT with a port that is no number was meant to be USER:PASSWORD. */
    const char *host = at != NULL ? at + 1 : authority;
    bool in_brackets = false, in_port = false;
    for (; host < end; host++) {
        in_brackets = *host == '[' || (in_brackets && *host != ']');
        if (*host == ',')
            in_port = false;
        else if (in_port && !isdigit((unsigned char)*host))
            return -1;
        else if (*host == ':' && !in_brackets)
            in_port = true;
    }
    return 0;
}

void pguri_message(char *out, size_t cap, const char *message, const char *secret)
{
    static const char hidden[] = "(hidden)";
    size_t secret_len = secret != NULL ? strlen(secret) : 0, len = 0;
    while (*message != '\0' && *message != '\n' && len + 1 < cap) {
        if (secret_len > 0 && strncmp(message, secret, secret_len) == 0) {
            size_t part = sizeof(hidden) - 1 < cap - 1 - len ? sizeof(hidden) - 1 : cap - 1 - len;
            memcpy(out + len, hidden, part);
            len += part;
            message += secret_len;
        } else {
            out[len++] = *message++;
        }
    }
    out[len] = '\0';
}
