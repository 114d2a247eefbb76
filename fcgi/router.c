#include "fcgi/router.h"

#include <string.h>

static bool path_matches(const char *pattern, const char *path, const char **segment)
{
    size_t n = strlen(pattern);
    *segment = NULL;
    if (n == 0 || pattern[n - 1] != '*')
        return strcmp(pattern, path) == 0;
    if (strncmp(pattern, path, n - 1) != 0 || path[n - 1] == '\0' || strchr(path + n - 1, '/'))
        return false;
    *segment = path + n - 1;
    return true;
}

static unsigned with_head(unsigned methods)
{
    return methods & 1u << REQUEST_GET ? methods | 1u << REQUEST_HEAD : methods;
}

static void list_methods(unsigned methods, char *out, size_t cap)
{
    out[0] = '\0';
    for (unsigned m = 0; m < REQUEST_OTHER; m++) {
        const char *name = request_method_name((enum request_method)m);
        if (!(methods & 1u << m) || strlen(out) + strlen(name) + 3 > cap)
            continue;
        if (out[0])
            strcat(out, ", ");
        strcat(out, name);
    }
}

enum router_result router_find(const struct router_route *routes, size_t n, enum request_method method,
                               const char *path, struct router_match *match)
{
    unsigned allowed = 0;
    memset(match, 0, sizeof(*match));
    for (size_t i = 0; i < n; i++) {
        const char *segment;
        if (!path_matches(routes[i].path, path, &segment))
            continue;
        unsigned methods = with_head(routes[i].methods);
        match->index = i;
        match->segment = segment;
        if (methods & 1u << method)
            return ROUTER_FOUND;
        allowed |= methods;
    }
    if (!allowed)
        return ROUTER_NO_PATH;
    list_methods(allowed, match->allow, sizeof(match->allow));
    return ROUTER_NO_METHOD;
}
