/*
 * Clocks and time stamps. Durations use the monotonic clock only; wall time is
 * only ever shown, stored or compared with other wall times.
 */
#ifndef TELERELAY_CLOCK_H
#define TELERELAY_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_MS_LEN 24 /* "2026-01-15T10:30:45.123Z", without the NUL */
#define CLOCK_RFC3339_US_LEN 27 /* "2026-01-15T10:30:45.123456Z", without the NUL */

#define CLOCK_LAST_MS 253402300799999LL /* 9999-12-31T23:59:59.999Z: the last time that can be written */

/* CLOCK_MONOTONIC, in nanoseconds. Never goes back, says nothing about the date. */
int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);

/* CLOCK_REALTIME since 1970-01-01T00:00:00Z. May jump. */
int64_t clock_wall_ms(void);
int64_t clock_wall_us(void);

/*
 * Write a UTC time stamp and a NUL. Valid for years 0000..9999; a time outside
 * is clamped to that range. `out` holds CLOCK_RFC3339_*_LEN + 1 bytes.
 */
void clock_format_ms(char out[CLOCK_RFC3339_MS_LEN + 1], int64_t wall_ms);
void clock_format_us(char out[CLOCK_RFC3339_US_LEN + 1], int64_t wall_us);

/*
 * Parse RFC 3339 (T, t or a space between date and time; Z or ±hh:mm; any number of
 * fraction digits, beyond milliseconds cut off; second 60 counts as 59.999).
 * A time without an offset is refused: nobody can tell what it means.
 * Returns 0, or -1 with *wall_ms unchanged.
 */
int clock_parse_rfc3339(const char *text, size_t len, int64_t *wall_ms);

#endif
