#include "fcgi/buf.h"

#include "common/jsonw.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 4096

void buf_init(struct buf *b, size_t max)
{
    memset(b, 0, sizeof(*b));
    b->max = max;
}

void buf_finish(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b, size_t keep)
{
    if (b->cap > keep)
        buf_finish(b);
    b->len = 0;
    b->failed = false;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->cap - b->len >= n)
        return b->data ? b->data + b->len : NULL;
    if (n > b->max - b->len) {
        b->failed = true;
        return NULL;
    }
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < b->len + n)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    char *data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return b->data + b->len;
}

void buf_add(struct buf *b, const char *bytes, size_t n)
{
    char *out = n ? buf_room(b, n) : NULL;
    if (!out)
        return;
    memcpy(out, bytes, n);
    b->len += n;
}

void buf_str(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

/* Two digits a step: a division is what this costs. */
size_t buf_digits(char *out, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof(digits);
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + value * 2, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(out, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

void buf_u64(struct buf *b, uint64_t value)
{
    char *out = buf_room(b, 20);
    if (out)
        b->len += buf_digits(out, value);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *out = n < 0 ? NULL : buf_room(b, (size_t)n + 1);
    if (!out) {
        b->failed = true;
        return;
    }
    va_start(ap, format);
    vsnprintf(out, (size_t)n + 1, format, ap);
    va_end(ap);
    b->len += (size_t)n;
}

size_t buf_utf8_length(const unsigned char *p, size_t len)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
        return 0;
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

void buf_json_str(struct buf *b, const char *text, size_t len)
{
    size_t worst = len * 6 + 2;
    char *out = buf_room(b, worst);
    if (!out)
        return;
    struct jsonw w;
    jsonw_init(&w, out, worst);
    jsonw_raw(&w, "\"", 1);
    for (size_t i = 0; i < len;) {
        size_t n = buf_utf8_length((const unsigned char *)text + i, len - i);
        char piece[JSONW_NUMBER_MAX];
        struct jsonw one;
        jsonw_init(&one, piece, sizeof(piece));
        if (n > 0)
            jsonw_str(&one, text + i, n);
        else
            jsonw_lit(&one, "\"\xef\xbf\xbd\"");
        jsonw_raw(&w, piece + 1, one.len - 2);
        i += n > 0 ? n : 1;
    }
    jsonw_raw(&w, "\"", 1);
    b->len += w.len;
}
