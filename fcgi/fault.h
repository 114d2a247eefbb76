/*
 * What is wrong with a request, as a sentence for people. Offending text is quoted safely: printable
 * ASCII only, cut when long.
 */
#ifndef TELERELAY_FCGI_FAULT_H
#define TELERELAY_FCGI_FAULT_H

#include <stddef.h>

#define FAULT_TEXT_MAX  384
#define FAULT_QUOTE_MAX 96 /* bytes of a quotation with its NUL */

struct fault {
    char text[FAULT_TEXT_MAX];
};

/* Always returns -1, so that a parser can `return fault_set(…)`. */
int fault_set(struct fault *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "abc" with its quotes; what is not printable ASCII as \xNN; more than 40 bytes cut with "...". */
const char *fault_quote(char out[FAULT_QUOTE_MAX], const char *text, size_t len);

#endif
