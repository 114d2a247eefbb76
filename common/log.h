/*
 * One logfmt line per event on stderr:
 *
 *   ts=2026-01-15T10:30:45.123Z level=info prog=telerelay-wsd event=robot_connected device_id=robot_01
 *
 *   log_info("robot_connected", log_str("device_id", id), log_int("conn", conn));
 *
 * With an instance name, inst=NAME follows prog. Values are quoted when they need it; control
 * characters, marks of text direction and bad UTF-8 are escaped, and a line is at most LOG_LINE_MAX
 * bytes (a longer one is cut and ends in "…", and a quote where one was open), so that no peer can
 * forge or flood a line.
 * Never pass a token, a password or a message's payload.
 */
#ifndef TELERELAY_LOG_H
#define TELERELAY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX 1024

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_REAL, LOG_KIND_BOOL };

struct log_field {
    const char *key; /* [a-z0-9_]+ */
    enum log_kind kind;
    const char *str; /* LOG_KIND_STR; NULL is written as "" */
    int64_t num;     /* LOG_KIND_INT, LOG_KIND_BOOL */
    double real;     /* LOG_KIND_REAL */
};

/* `program` and `instance` (may be NULL) stay the caller's and must outlive all logging. */
void log_init(const char *program, const char *instance, enum log_level min);
void log_set_level(enum log_level min);
bool log_enabled(enum log_level level);

/* "debug" … "error" → *level; 0, or -1 with *level unchanged. */
int log_parse_level(const char *text, enum log_level *level);

struct log_field log_str(const char *key, const char *value);
struct log_field log_int(const char *key, int64_t value);
struct log_field log_real(const char *key, double value);
struct log_field log_bool(const char *key, bool value);
struct log_field log_end(void);

/* Variadic arguments are struct log_field, the last one log_end(). Use the macros. */
void log_write(enum log_level level, const char *event, ...);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__, log_end())
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__, log_end())
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__, log_end())
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__, log_end())

/* The line for one event into `out` (NUL-terminated, "\n" at its end); returns its length. For tests. */
size_t log_format(char *out, size_t cap, int64_t wall_ms, enum log_level level, const char *event,
                  const struct log_field *fields);

#endif
