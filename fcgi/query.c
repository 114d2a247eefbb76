#include "fcgi/query.h"

#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One decoded byte from raw[*at]; -1 on a broken escape or a NUL. */
static int decode_byte(const char *raw, size_t len, size_t *at)
{
    char c = raw[(*at)++];
    if (c == '+')
        return ' ';
    if (c == '\0')
        return -1;
    if (c != '%')
        return (unsigned char)c;
    int high = *at < len ? hex_value(raw[*at]) : -1;
    int low = *at + 1 < len ? hex_value(raw[*at + 1]) : -1;
    if (high < 0 || low < 0 || high + low == 0)
        return -1;
    *at += 2;
    return high * 16 + low;
}

static int check_name(const char *name, size_t len, struct fault *fault)
{
    char quoted[FAULT_QUOTE_MAX];
    if (len == 0)
        return fault_set(fault, "a query parameter has no name");
    if (len > QUERY_NAME_MAX)
        return fault_set(fault, "unknown parameter %s", fault_quote(quoted, name, len));
    for (size_t i = 0; i < len; i++) {
        if (name[i] < 0x21 || name[i] > 0x7e)
            return fault_set(fault, "unknown parameter %s", fault_quote(quoted, name, len));
    }
    return 0;
}

/* One pair, raw[0..len) without '&', to `out`; returns the bytes written, -1 on a fault. */
static long parse_pair(struct query_param *param, char *out, const char *raw, size_t len, struct fault *fault)
{
    char quoted[FAULT_QUOTE_MAX];
    char *start = out;
    bool in_value = false;
    size_t name_len = 0;

    param->name = out;
    for (size_t at = 0; at < len;) {
        if (raw[at] == '=' && !in_value) {
            name_len = (size_t)(out - start);
            *out++ = '\0';
            in_value = true;
            param->value = out;
            at++;
            continue;
        }
        size_t from = at;
        int c = decode_byte(raw, len, &at);
        if (c < 0)
            return fault_set(fault, "broken percent escape in the query at %s",
                             fault_quote(quoted, raw + from, len - from));
        *out++ = (char)c;
    }
    *out++ = '\0';
    if (!in_value) {
        name_len = (size_t)(out - start) - 1;
        param->value = out - 1;
    }
    param->len = (size_t)(out - 1 - param->value);
    if (check_name(param->name, name_len, fault) < 0)
        return -1;
    return (long)(out - start);
}

int query_parse(struct query *q, const char *raw, size_t len, struct fault *fault)
{
    q->n = 0;
    if (len > QUERY_RAW_MAX)
        return fault_set(fault, "the query is longer than %d bytes", QUERY_RAW_MAX);

    char *out = q->text;
    for (size_t at = 0; at < len;) {
        const char *amp = memchr(raw + at, '&', len - at);
        size_t pair = amp ? (size_t)(amp - raw) - at : len - at;
        if (pair > 0) {
            if (q->n == QUERY_PARAMS)
                return fault_set(fault, "more than %d query parameters", QUERY_PARAMS);
            /* A pair of n raw bytes needs at most n + 1: its '=' becomes a NUL, one more ends it, and
             * the '&' (or the spare byte at the end) makes up for that. */
            long used = parse_pair(&q->params[q->n], out, raw + at, pair, fault);
            if (used < 0)
                return -1;
            out += used;
            q->n++;
        }
        at += pair + 1;
    }
    return 0;
}

int query_only(const struct query *q, const char *const *known, struct fault *fault)
{
    for (size_t i = 0; i < q->n; i++) {
        const char *const *name = known;
        while (*name && strcmp(*name, q->params[i].name) != 0)
            name++;
        if (!*name) {
            char quoted[FAULT_QUOTE_MAX];
            return fault_set(fault, "unknown parameter %s",
                             fault_quote(quoted, q->params[i].name, strlen(q->params[i].name)));
        }
    }
    return 0;
}

int query_single(const struct query *q, const char *name, const struct query_param **param, struct fault *fault)
{
    const struct query_param *found = NULL;
    for (size_t i = 0; i < q->n; i++) {
        if (strcmp(q->params[i].name, name) != 0)
            continue;
        if (found)
            return fault_set(fault, "%s was given more than once", name);
        found = &q->params[i];
    }
    *param = found;
    return 0;
}

size_t query_encode(char *out, size_t cap, const char *text, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || memchr("-._~", c, 4) != NULL;
        if (n + (plain ? 1 : 3) > cap)
            return cap;
        if (plain) {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    return n;
}
