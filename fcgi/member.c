#include "fcgi/member.h"

#include "common/sample.h"
#include "fcgi/buf.h"

#include "common/msg.h"

#include <string.h>

#define NUMBER_MAX 9007199254740992u /* 2^53 */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The end of an escape whose backslash is at p, or NULL. Halves of surrogate pairs are none: no relay writes them. */
static const char *skip_escape(const char *p, const char *end)
{
    if (end - p < 2)
        return NULL;
    if (p[1] != 'u')
        return strchr("\"\\/bfnrt", p[1]) && p[1] ? p + 2 : NULL;
    if (end - p < 6)
        return NULL;
    for (int i = 2; i < 6; i++) {
        char c = (char)(p[i] | 0x20);
        if (!is_digit(p[i]) && (c < 'a' || c > 'f'))
            return NULL;
    }
    return (p[2] | 0x20) == 'd' && p[3] >= '8' ? NULL : p + 6;
}

static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"';) {
        if (*p == '\\') {
            p = skip_escape(p, end);
            if (!p)
                return NULL;
            continue;
        }
        size_t n = (unsigned char)*p < 0x20 ? 0 : buf_utf8_length((const unsigned char *)p, (size_t)(end - p));
        if (n == 0)
            return NULL;
        p += n;
    }
    return p < end ? p + 1 : NULL;
}

static const char *skip_word(const char *p, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(end - p) >= n && memcmp(p, words[i], n) == 0)
            return p + n;
    }
    return NULL;
}

/* Strings and the rest that nothing is nested in. */
static const char *skip_scalar(const char *p, const char *end)
{
    if (*p == '"')
        return skip_string(p, end);
    return is_letter(*p) ? skip_word(p, end) : sample_number_end(p, end);
}

/* "name": at p; its end or NULL. */
static const char *skip_name(const char *p, const char *end)
{
    if (p == end || *p != '"')
        return NULL;
    p = skip_string(p, end);
    return p && p < end && *p == ':' ? p + 1 : NULL;
}

/* The end of the value at p, or NULL. Goes in and out of objects and arrays without recursion. */
static const char *skip_value(const char *p, const char *end)
{
    char open[MSG_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        if (p == end)
            return NULL;
        if (*p == '{' || *p == '[') {
            if (depth == MSG_DEPTH_MAX)
                return NULL;
            open[depth] = *p == '{' ? '}' : ']';
            p++;
            if (p == end || *p != open[depth]) {
                if (open[depth++] == '}' && !(p = skip_name(p, end)))
                    return NULL;
                continue;
            }
            p++; /* an empty one */
        } else if (!(p = skip_scalar(p, end))) {
            return NULL;
        }
        while (depth > 0 && p < end && *p == open[depth - 1]) {
            depth--;
            p++;
        }
        if (depth == 0)
            return p;
        if (p == end || *p++ != ',' || (open[depth - 1] == '}' && !(p = skip_name(p, end))))
            return NULL;
    }
}

int member_next(const char *text, size_t len, size_t *at, struct member *m)
{
    const char *p = text + *at, *end = text + len;
    if (*at >= len)
        return 0;
    if (*at > 0 && *p++ != ',')
        return -1;
    if (p == end || *p++ != '"')
        return -1;
    const char *name = p;
    while (p < end && (is_letter(*p) || (p > name && (is_digit(*p) || *p == '_'))))
        p++;
    size_t name_len = (size_t)(p - name);
    if (name_len == 0 || name_len > MEMBER_NAME_MAX || end - p < 3 || p[0] != '"' || p[1] != ':')
        return -1;
    const char *value = p + 2;
    p = skip_value(value, end);
    if (!p)
        return -1;
    *m = (struct member){.name = name, .name_len = name_len, .value = value, .len = (size_t)(p - value)};
    *at = (size_t)(p - text);
    return 1;
}

static bool same_name(const struct member *a, const struct member *b)
{
    return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

bool member_check(const char *text, size_t len)
{
    struct member seen[MEMBERS_MAX];
    size_t at = 0, n = 0;
    if (len > MEMBER_TEXT_MAX)
        return false;
    while (at < len) {
        if (n == MEMBERS_MAX || member_next(text, len, &at, &seen[n]) < 0)
            return false;
        for (size_t i = 0; i < n; i++) {
            if (same_name(&seen[i], &seen[n]))
                return false;
        }
        n++;
    }
    return true;
}

bool member_find(const char *text, size_t len, const char *name, struct member *m)
{
    struct member found;
    size_t at = 0, name_len = strlen(name);
    while (member_next(text, len, &at, &found) > 0) {
        if (found.name_len == name_len && memcmp(found.name, name, name_len) == 0) {
            *m = found;
            return true;
        }
    }
    return false;
}

bool member_is_string(const struct member *m)
{
    return m->value[0] == '"';
}

bool member_is_object(const struct member *m)
{
    return m->value[0] == '{';
}

bool member_equals(const struct member *m, const char *text)
{
    size_t n = strlen(text);
    return member_is_string(m) && m->len == n + 2 && memcmp(m->value + 1, text, n) == 0;
}

bool member_number(const struct member *m, uint64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < m->len; i++) {
        if (!is_digit(m->value[i]) || i == 16)
            return false;
        v = v * 10 + (uint64_t)(m->value[i] - '0');
    }
    *value = v;
    return v <= NUMBER_MAX;
}
