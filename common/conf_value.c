#include "conf_table.h"
#include "msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static int parse_port(const char *text, int *port)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -1;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value < 1 || value > 65535)
        return -1;
    *port = (int)value;
    return 0;
}

int conf_parse_address(const char *address, const char **path, char host[64], int *port)
{
    if (strncmp(address, "unix:", 5) == 0) {
        const char *p = address + 5;
        if (*p != '/' || strlen(p) > UNIX_PATH_MAX)
            return -1;
        *path = p;
        return 0;
    }
    const char *colon = strrchr(address, ':');
    if (colon == NULL)
        return -1;
    const char *start = address;
    size_t len = (size_t)(colon - address);
    bool v6 = len >= 2 && address[0] == '[' && colon[-1] == ']';
    if (v6) {
        start++;
        len -= 2;
    }
    char text[64];
    struct in6_addr parsed;
    int number;
    if (len == 0 || len >= sizeof text)
        return -1;
    memcpy(text, start, len);
    text[len] = '\0';
    if (inet_pton(v6 ? AF_INET6 : AF_INET, text, &parsed) != 1 || parse_port(colon + 1, &number) != 0)
        return -1;
    *path = NULL;
    memcpy(host, text, len + 1);
    *port = number;
    return 0;
}

static bool has_control(const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
        if (*s < 0x20 || *s == 0x7f)
            return true;
    }
    return false;
}

static bool is_url(const char *text)
{
    const char *host = strncasecmp(text, "ws://", 5) == 0    ? text + 5
                       : strncasecmp(text, "wss://", 6) == 0 ? text + 6
                                                             : NULL;
    return host != NULL && *host != '\0' && *host != '/' && strpbrk(text, " \"<>\\") == NULL;
}

static bool is_database(const char *text)
{
    if (*text == '\0' || strncmp(text, "sqlite:/", 8) == 0)
        return text[0] == '\0' || text[8] != '\0';
    return strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0;
}

static bool is_driver(const char *text)
{
    for (size_t i = 0; conf_table_drivers[i] != NULL; i++) {
        if (strcmp(text, conf_table_drivers[i]) == 0)
            return true;
    }
    return false;
}

static bool text_is_allowed(const struct conf_key *key, const char *text)
{
    const char *path;
    char host[64];
    int port;
    if (strlen(text) >= key->size || has_control(text) || (*text == '\0' && key->min > 0))
        return false;
    switch (key->type) {
    case CONF_ID:
        return msg_device_id_valid(text, strlen(text));
    case CONF_ADDRESS:
        return conf_parse_address(text, &path, host, &port) == 0;
    case CONF_URL:
        return is_url(text);
    case CONF_DATABASE:
        return is_database(text);
    case CONF_DRIVER:
        return is_driver(text);
    default:
        return true;
    }
}

static int parse_number(const struct conf_key *key, const char *text, double *value)
{
    const char *allowed = key->type == CONF_INT ? "+-0123456789" : "+-.0123456789eE";
    char *end;
    if (*text == '\0' || text[strspn(text, allowed)] != '\0')
        return -1;
    double v = strtod(text, &end);
    if (*end != '\0' || !isfinite(v) || v < key->min || v > key->max)
        return -1;
    *value = v;
    return 0;
}

int conf_set_value(struct conf *conf, const struct conf_key *key, const char *text)
{
    char *member = (char *)conf + key->offset;
    double number;
    enum log_level level;
    switch (key->type) {
    case CONF_INT:
        if (parse_number(key, text, &number) != 0)
            return -1;
        *(int *)(void *)member = (int)number;
        return 0;
    case CONF_NUMBER:
        if (parse_number(key, text, &number) != 0)
            return -1;
        *(double *)(void *)member = number;
        return 0;
    case CONF_LEVEL:
        if (log_parse_level(text, &level) != 0)
            return -1;
        *(enum log_level *)(void *)member = level;
        return 0;
    case CONF_CONTROL:
        if (strcmp(text, "shared") != 0 && strcmp(text, "exclusive") != 0)
            return -1;
        *(enum conf_control *)(void *)member = *text == 'e' ? CONF_EXCLUSIVE : CONF_SHARED;
        return 0;
    case CONF_BOOL:
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
            return -1;
        *(bool *)(void *)member = *text == 'y';
        return 0;
    default:
        if (!text_is_allowed(key, text))
            return -1;
        memset(member, 0, key->size);
        memcpy(member, text, strlen(text));
        return 0;
    }
}

static void describe_drivers(char *out, size_t cap)
{
    size_t len = (size_t)snprintf(out, cap, "one of");
    for (size_t i = 0; conf_table_drivers[i] != NULL && len < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "%s %s", i > 0 ? "," : "", conf_table_drivers[i]);
}

void conf_describe_allowed(char *out, size_t cap, const struct conf_key *key)
{
    size_t longest = key->size - 1;
    switch (key->type) {
    case CONF_TEXT:
        snprintf(out, cap, "a text of %s%zu bytes without control characters", key->min > 0 ? "1 to " : "at most ",
                 longest);
        break;
    case CONF_PATH:
        snprintf(out, cap, "a file name of at most %zu bytes", longest);
        break;
    case CONF_ID:
        snprintf(out, cap, "1 to %zu characters of A-Z a-z 0-9 _ . -",
                 longest < MSG_DEVICE_ID_MAX ? longest : MSG_DEVICE_ID_MAX);
        break;
    case CONF_ADDRESS:
        snprintf(out, cap, "unix:/path (at most %zu bytes) or HOST:PORT with a numeric host", UNIX_PATH_MAX);
        break;
    case CONF_URL:
        snprintf(out, cap, "ws://HOST[:PORT]/PATH or wss://HOST[:PORT]/PATH, at most %zu bytes", longest);
        break;
    case CONF_DATABASE:
        snprintf(out, cap, "sqlite:/path or postgresql://…, at most %zu bytes, or nothing", longest);
        break;
    case CONF_DRIVER:
        describe_drivers(out, cap);
        break;
    case CONF_CONTROL:
        snprintf(out, cap, "shared or exclusive");
        break;
    case CONF_BOOL:
        snprintf(out, cap, "yes or no");
        break;
    case CONF_LEVEL:
        snprintf(out, cap, "one of debug, info, warn, error");
        break;
    case CONF_INT:
    case CONF_NUMBER:
        snprintf(out, cap, "a %s from %.15g to %.15g (%s)", key->type == CONF_INT ? "whole number" : "number", key->min,
                 key->max, key->unit);
        break;
    }
}

int conf_read_secret(const char *path, char *out, size_t cap, char *err, size_t err_cap)
{
    char line[1024];
    int result = -1;
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        snprintf(err, err_cap, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (fgets(line, sizeof line, f) == NULL) {
        snprintf(err, err_cap, "%s: %s", path, ferror(f) ? strerror(errno) : "is empty");
        goto close;
    }
    size_t len = strcspn(line, "\r\n");
    bool whole = line[len] != '\0' || feof(f);
    line[len] = '\0';
    if (len == 0) {
        snprintf(err, err_cap, "%s: the first line is empty", path);
    } else if (!whole || len >= cap) {
        snprintf(err, err_cap, "%s: the first line is longer than %zu bytes", path, cap - 1);
    } else if (has_control(line)) {
        snprintf(err, err_cap, "%s: the first line has control characters", path);
    } else {
        memcpy(out, line, len + 1);
        result = 0;
    }
    explicit_bzero(line, sizeof line);
close:
    fclose(f);
    return result;
}
