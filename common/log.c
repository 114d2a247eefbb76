#include "log.h"

#include "clock.h"
#include "jsonw.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIELDS_MAX 32

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static struct {
    const char *program;
    const char *instance;
    enum log_level min;
} state = {"telerelay", NULL, LOG_INFO};

void log_init(const char *program, const char *instance, enum log_level min)
{
    state.program = program;
    state.instance = instance;
    state.min = min;
}

void log_set_level(enum log_level min)
{
    state.min = min;
}

bool log_enabled(enum log_level level)
{
    return level >= state.min;
}

int log_parse_level(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

struct log_field log_str(const char *key, const char *value)
{
    return (struct log_field){.key = key, .kind = LOG_KIND_STR, .str = value};
}

struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .kind = LOG_KIND_INT, .num = value};
}

struct log_field log_real(const char *key, double value)
{
    return (struct log_field){.key = key, .kind = LOG_KIND_REAL, .real = value};
}

struct log_field log_bool(const char *key, bool value)
{
    return (struct log_field){.key = key, .kind = LOG_KIND_BOOL, .num = value};
}

struct log_field log_end(void)
{
    return (struct log_field){.kind = LOG_KIND_END};
}

/* A line under construction. Pieces go in whole or not at all, so a cut never splits a character. */
struct line {
    char *buf;
    size_t cap; /* room for text; what ends a cut line is kept free behind it */
    size_t len;
    bool cut;
    bool quoted; /* inside a quoted value */
};

static void put(struct line *l, const char *text, size_t len)
{
    if (l->cut || len > l->cap - l->len) {
        l->cut = true;
        return;
    }
    memcpy(l->buf + l->len, text, len);
    l->len += len;
}

/* Length of the valid UTF-8 character at `s` (1 for ASCII), its code point in *code; 0 when invalid. */
static size_t utf8_char(const unsigned char *s, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80             ? 1
                 : (s[0] & 0xe0) == 0xc0 ? 2
                 : (s[0] & 0xf0) == 0xe0 ? 3
                 : (s[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    if (len == 0)
        return 0;
    *code = len == 1 ? s[0] : s[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (s[i] & 0x3fU);
    }
    if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
        return 0;
    return len;
}

/* What a terminal or a viewer would act upon instead of showing it: controls, line ends, direction marks. */
static bool acts_on_display(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static void put_quoted(struct line *l, const char *text)
{
    put(l, "\"", 1);
    l->quoted = !l->cut;
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0' && !l->cut;) {
        uint32_t code = 0;
        size_t len = utf8_char(s, &code);
        char esc[12];
        if (len == 0) {
            len = 1;
            put(l, esc, (size_t)snprintf(esc, sizeof esc, "\\x%02x", *s));
        } else if (code == '"' || code == '\\') {
            put(l, code == '"' ? "\\\"" : "\\\\", 2);
        } else if (code == '\n' || code == '\r' || code == '\t') {
            put(l, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t", 2);
        } else if (acts_on_display(code)) {
            put(l, esc, (size_t)snprintf(esc, sizeof esc, code < 0x80 ? "\\x%02x" : "\\u%04x", code));
        } else {
            put(l, (const char *)s, len);
        }
        s += len;
    }
    put(l, "\"", 1);
    if (!l->cut)
        l->quoted = false;
}

static void put_value(struct line *l, const char *text)
{
    bool plain = *text != '\0';
    for (const char *s = text; plain && *s != '\0'; s++)
        plain = *s > ' ' && *s < 0x7f && *s != '"' && *s != '\\' && *s != '=';
    if (plain)
        put(l, text, strlen(text));
    else
        put_quoted(l, text);
}

static void put_pair(struct line *l, const char *key, const char *value)
{
    if (l->len > 0)
        put(l, " ", 1);
    put(l, key, strlen(key));
    put(l, "=", 1);
    put_value(l, value != NULL ? value : "");
}

static void put_field(struct line *l, const struct log_field *f)
{
    char text[JSONW_NUMBER_MAX];
    const char *value = text;
    switch (f->kind) {
    case LOG_KIND_STR:
        value = f->str;
        break;
    case LOG_KIND_INT:
        snprintf(text, sizeof text, "%lld", (long long)f->num);
        break;
    case LOG_KIND_REAL:
        snprintf(text, sizeof text, "%.6g", f->real);
        break;
    case LOG_KIND_BOOL:
        value = f->num ? "true" : "false";
        break;
    case LOG_KIND_END:
        return;
    }
    put_pair(l, f->key, value);
}

size_t log_format(char *out, size_t cap, int64_t wall_ms, enum log_level level, const char *event,
                  const struct log_field *fields)
{
    static const char cut_mark[] = "…\"\n"; /* longest ending, with its NUL */
    if (cap < sizeof cut_mark) {
        if (cap > 0)
            out[0] = '\0';
        return 0;
    }
    size_t line_max = cap < LOG_LINE_MAX + 1 ? cap : LOG_LINE_MAX + 1;
    struct line l = {.buf = out, .cap = line_max - sizeof cut_mark};
    char ts[CLOCK_RFC3339_MS_LEN + 1];
    clock_format_ms(ts, wall_ms);
    put_pair(&l, "ts", ts);
    put_pair(&l, "level", level_names[level]);
    put_pair(&l, "prog", state.program);
    if (state.instance != NULL)
        put_pair(&l, "inst", state.instance);
    put_pair(&l, "event", event);
    for (const struct log_field *f = fields; f->kind != LOG_KIND_END; f++)
        put_field(&l, f);

    const char *end = l.cut ? l.quoted ? "…\"\n" : "…\n" : "\n";
    memcpy(out + l.len, end, strlen(end) + 1);
    return l.len + strlen(end);
}

void log_write(enum log_level level, const char *event, ...)
{
    if (!log_enabled(level))
        return;
    struct log_field fields[FIELDS_MAX + 1];
    size_t n = 0;
    va_list ap;
    va_start(ap, event);
    for (;;) {
        struct log_field f = va_arg(ap, struct log_field);
        if (f.kind == LOG_KIND_END || n == FIELDS_MAX)
            break;
        fields[n++] = f;
    }
    va_end(ap);
    fields[n] = log_end();

    char line[LOG_LINE_MAX + 1];
    size_t len = log_format(line, sizeof line, clock_wall_ms(), level, event, fields);
    /* One write, so that lines of several processes do not mix. A log that cannot be written is lost:
     * there is no one to tell, and nothing may wait for it. A pipe that is ready has room for a line. */
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0)
        return;
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}
