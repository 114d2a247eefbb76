#include "fcgi/etag.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void etag_init(struct etag *e)
{
    e->hash = 14695981039346656037u; /* FNV-1a */
}

static void add(struct etag *e, unsigned char byte)
{
    e->hash = (e->hash ^ byte) * 1099511628211u;
}

void etag_number(struct etag *e, uint64_t value)
{
    for (int i = 0; i < 8; i++, value >>= 8)
        add(e, (unsigned char)value);
}

void etag_text(struct etag *e, const char *text, size_t len)
{
    etag_number(e, len);
    for (size_t i = 0; i < len; i++)
        add(e, (unsigned char)text[i]);
}

void etag_format(const struct etag *e, char out[ETAG_TEXT_MAX])
{
    snprintf(out, ETAG_TEXT_MAX, "\"%016" PRIx64 "\"", e->hash);
}

static const char *skip(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* Behind the tag that begins at p, with *opaque at its opening quote; NULL when none does. */
static const char *next_tag(const char *p, const char **opaque)
{
    if (p[0] == 'W' && p[1] == '/')
        p += 2;
    *opaque = p;
    if (*p++ != '"')
        return NULL;
    while ((unsigned char)*p > 0x20 && *p != '"' && *p != 0x7f)
        p++;
    return *p == '"' ? p + 1 : NULL;
}

bool etag_matches(const char *field, const char *tag)
{
    const char *p = skip(field), *opaque;
    bool found = false;
    if (*p == '*')
        return *skip(p + 1) == '\0';
    for (;;) {
        while (*p == ',') /* empty elements are allowed */
            p = skip(p + 1);
        if (!*p)
            return found;
        const char *end = next_tag(p, &opaque);
        if (!end)
            return false;
        found = found || ((size_t)(end - opaque) == strlen(tag) && memcmp(opaque, tag, strlen(tag)) == 0);
        p = skip(end);
        if (*p && *p != ',')
            return false;
    }
}
