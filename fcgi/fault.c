#include "fcgi/fault.h"

#include <stdarg.h>
#include <stdio.h>

#define QUOTED_BYTES 40
#define TAIL         (sizeof("\\xff...\"") + 1)

int fault_set(struct fault *fault, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(fault->text, sizeof(fault->text), format, ap);
    va_end(ap);
    return -1;
}

const char *fault_quote(char out[FAULT_QUOTE_MAX], const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0, i;
    out[n++] = '"';
    for (i = 0; i < len && i < QUOTED_BYTES && n + TAIL < FAULT_QUOTE_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            out[n++] = (char)c;
        } else {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    if (i < len) {
        out[n++] = '.';
        out[n++] = '.';
        out[n++] = '.';
    }
    out[n++] = '"';
    out[n] = '\0';
    return out;
}
