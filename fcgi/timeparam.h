/*
 * A point in time as a request may give it. Pure: the present is an argument.
 *
 *   2026-01-15T10:30:45.5Z   RFC 3339 with an offset
 *   1768473045  1768473045.5 Unix seconds (below 1e11)
 *   1768473045123            Unix milliseconds (from 1e11)
 *   now  -15m -2h -7d -30s   relative to the present
 */
#ifndef TELERELAY_FCGI_TIMEPARAM_H
#define TELERELAY_FCGI_TIMEPARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMEPARAM_ALLOWED "RFC 3339 (2026-01-15T10:30:45Z), Unix seconds or milliseconds, now, or -30s, -15m, -2h, -7d"

/*
 * Returns 0 with *ms (since 1970; may be negative) and *relative (it moves with the present), or -1
 * with both unchanged. A space where RFC 3339 has the "+" of its offset is taken for that "+", which
 * is what an unescaped one decodes to.
 */
int timeparam_parse(const char *text, size_t len, int64_t now_ms, int64_t *ms, bool *relative);

#endif
