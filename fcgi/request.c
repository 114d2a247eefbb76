#include "fcgi/request.h"

#include <string.h>

static const char *const method_names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

const char *request_method_name(enum request_method method)
{
    return method < REQUEST_OTHER ? method_names[method] : "other";
}

static enum request_method parse_method(const char *name)
{
    for (size_t i = 0; name && i < REQUEST_OTHER; i++) {
        if (strcmp(name, method_names[i]) == 0)
            return (enum request_method)i;
    }
    return REQUEST_OTHER;
}

/* The value when `param` is NAME=value, else NULL. */
static const char *value_of(const char *param, const char *name)
{
    size_t n = strlen(name);
    return strncmp(param, name, n) == 0 && param[n] == '=' ? param + n + 1 : NULL;
}

static bool is_loopback(const char *address)
{
    return address && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
                       strncmp(address, "::ffff:127.", 11) == 0 || strncmp(address, "unix:", 5) == 0);
}

struct params {
    const char *method, *document_uri, *script_name, *path_info, *query, *address, *if_none_match;
};

static void collect(struct params *p, char *const *params)
{
    const struct {
        const char *name;
        const char **value;
    } wanted[] = {
        {"REQUEST_METHOD", &p->method},
        {"DOCUMENT_URI", &p->document_uri},
        {"SCRIPT_NAME", &p->script_name},
        {"PATH_INFO", &p->path_info},
        {"QUERY_STRING", &p->query},
        {"REMOTE_ADDR", &p->address},
        {"HTTP_IF_NONE_MATCH", &p->if_none_match},
    };
    memset(p, 0, sizeof(*p));
    for (; params && *params; params++) {
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            const char *value = value_of(*params, wanted[i].name);
            if (value)
                *wanted[i].value = value;
        }
    }
}

static void set_path(struct request *req, const char *first, const char *second)
{
    size_t a = first ? strlen(first) : 0, b = second ? strlen(second) : 0;
    req->path[0] = '\0';
    if (a >= REQUEST_PATH_MAX || b >= REQUEST_PATH_MAX - a)
        return;
    if (a)
        memcpy(req->path, first, a);
    if (b)
        memcpy(req->path + a, second, b);
    req->path[a + b] = '\0';
}

void request_read(struct request *req, char *const *params)
{
    struct params p;
    collect(&p, params);
    req->method = parse_method(p.method);
    /* The web server has decoded and normalised both; the first is there whatever its location is. */
    if (p.document_uri && *p.document_uri)
        set_path(req, p.document_uri, NULL);
    else
        set_path(req, p.script_name, p.path_info);
    req->loopback = is_loopback(p.address);
    req->if_none_match = p.if_none_match;
    req->query.n = 0;
    req->query_bad = p.query && query_parse(&req->query, p.query, strlen(p.query), &req->query_fault) < 0;
}
