#include "jsonw.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void jsonw_init(struct jsonw *w, void *buf, size_t cap)
{
    *w = (struct jsonw){.buf = buf, .cap = cap};
}

void jsonw_raw(struct jsonw *w, const char *text, size_t len)
{
    if (w->overflow || len > w->cap - w->len) {
        w->overflow = true;
        return;
    }
    if (len > 0)
        memcpy(w->buf + w->len, text, len);
    w->len += len;
}

void jsonw_lit(struct jsonw *w, const char *text)
{
    jsonw_raw(w, text, strlen(text));
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

static void put_escape(struct jsonw *w, char c)
{
    char esc[8];
    size_t len = 2;
    esc[0] = '\\';
    esc[1] = c;
    if (c == '\n')
        esc[1] = 'n';
    else if (c == '\r')
        esc[1] = 'r';
    else if (c == '\t')
        esc[1] = 't';
    else if ((unsigned char)c < 0x20)
        len = (size_t)snprintf(esc, sizeof esc, "\\u%04x", (unsigned char)c);
    jsonw_raw(w, esc, len);
}

void jsonw_str(struct jsonw *w, const char *text, size_t len)
{
    jsonw_raw(w, "\"", 1);
    for (size_t i = 0; i < len;) {
        size_t run = i;
        while (run < len && is_plain(text[run]))
            run++;
        jsonw_raw(w, text + i, run - i);
        if (run < len)
            put_escape(w, text[run++]);
        i = run;
    }
    jsonw_raw(w, "\"", 1);
}

/* Writes |n| right-aligned before `end`; returns its first digit. */
static char *digits_before(char *end, uint64_t n)
{
    do {
        *--end = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return end;
}

static size_t format_int(char out[JSONW_NUMBER_MAX], int64_t value)
{
    char text[24];
    char *end = text + sizeof text;
    char *at = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        *--at = '-';
    size_t len = (size_t)(end - at);
    memcpy(out, at, len);
    out[len] = '\0';
    return len;
}

/* n / 10^k, n > 0 without a trailing zero, k ≥ 1. */
static size_t format_decimal(char out[JSONW_NUMBER_MAX], bool negative, uint64_t n, int k)
{
    char text[24];
    char *end = text + sizeof text;
    char *at = digits_before(end, n);
    while (end - at <= k)
        *--at = '0';
    size_t whole = (size_t)(end - at) - (size_t)k;
    char *to = out;
    if (negative)
        *to++ = '-';
    memcpy(to, at, whole);
    to += whole;
    *to++ = '.';
    memcpy(to, at + whole, (size_t)k);
    to += k;
    *to = '\0';
    return (size_t)(to - out);
}

size_t jsonw_format_number(char out[JSONW_NUMBER_MAX], double value)
{
    static const double pow10[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double magnitude = fabs(value);

    /* Sensor values are short decimals. With n and 10^k exact, n / 10^k is correctly rounded, just as
     * reading the text is; and with at most 15 digits no shorter text reads back the same. */
    for (int k = 0; k <= 6; k++) {
        double scaled = magnitude * pow10[k];
        if (!(scaled < 1e15))
            break;
        uint64_t n = (uint64_t)(scaled + 0.5);
        if ((double)n / pow10[k] == magnitude) {
            if (k == 0)
                return format_int(out, value < 0 ? -(int64_t)n : (int64_t)n);
            return format_decimal(out, value < 0, n, k);
        }
    }
    size_t len = 0;
    for (int digits = magnitude < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        len = (size_t)snprintf(out, JSONW_NUMBER_MAX, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    char *exponent = memchr(out, 'e', len); /* printf writes at least two digits: 1e-07 */
    if (exponent != NULL && exponent[2] == '0') {
        memmove(exponent + 2, exponent + 3, strlen(exponent + 3) + 1);
        len--;
    }
    return len;
}

void jsonw_num(struct jsonw *w, double value)
{
    char text[JSONW_NUMBER_MAX];
    if (!isfinite(value))
        jsonw_raw(w, "null", 4);
    else
        jsonw_raw(w, text, jsonw_format_number(text, value));
}

void jsonw_int(struct jsonw *w, int64_t value)
{
    char text[JSONW_NUMBER_MAX];
    jsonw_raw(w, text, format_int(text, value));
}

void jsonw_bool(struct jsonw *w, bool value)
{
    jsonw_lit(w, value ? "true" : "false");
}

void jsonw_key(struct jsonw *w, const char *key)
{
    if (w->len > 0 && w->buf[w->len - 1] != '{')
        jsonw_raw(w, ",", 1);
    jsonw_raw(w, "\"", 1);
    jsonw_lit(w, key);
    jsonw_raw(w, "\":", 2);
}

void jsonw_kv_str(struct jsonw *w, const char *key, const char *text)
{
    if (text == NULL)
        return;
    jsonw_key(w, key);
    jsonw_str(w, text, strlen(text));
}

void jsonw_kv_num(struct jsonw *w, const char *key, double value)
{
    jsonw_key(w, key);
    jsonw_num(w, value);
}

void jsonw_kv_int(struct jsonw *w, const char *key, int64_t value)
{
    jsonw_key(w, key);
    jsonw_int(w, value);
}

void jsonw_kv_bool(struct jsonw *w, const char *key, bool value)
{
    jsonw_key(w, key);
    jsonw_bool(w, value);
}
