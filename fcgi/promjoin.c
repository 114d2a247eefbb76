#include "fcgi/promjoin.h"

#include <stdbool.h>
#include <string.h>

struct line {
    const char *text;
    size_t len;
};

struct family {
    const char *name;
    size_t len;
};

static bool next_line(const char *text, size_t len, size_t *at, struct line *line)
{
    if (*at >= len)
        return false;
    const char *end = memchr(text + *at, '\n', len - *at);
    size_t stop = end ? (size_t)(end - text) : len;
    line->text = text + *at;
    line->len = stop - *at;
    *at = stop + 1;
    return true;
}

static size_t name_length(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && (text[n] == '_' || text[n] == ':' || (text[n] >= '0' && text[n] <= '9' && n > 0) ||
                       ((text[n] | 0x20) >= 'a' && (text[n] | 0x20) <= 'z')))
        n++;
    return n;
}

/* The name in "# HELP name …" and "# TYPE name …". */
static bool comment_name(const struct line *line, struct family *name)
{
    if (line->len < 8 || (memcmp(line->text, "# HELP ", 7) != 0 && memcmp(line->text, "# TYPE ", 7) != 0))
        return false;
    name->name = line->text + 7;
    name->len = name_length(name->name, line->len - 7);
    return name->len > 0;
}

static bool same(const struct family *a, const struct family *b)
{
    return a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}

/* The family a line belongs to: its comment's name; for a sample the last comment's, when that is how
 * its own name begins (name_bucket, name_sum, name_count), else its own. */
static bool line_family(const struct line *line, struct family *current, struct family *out)
{
    if (comment_name(line, out)) {
        *current = *out;
        return true;
    }
    size_t n = name_length(line->text, line->len);
    if (n == 0 || n == line->len || (line->text[n] != '{' && line->text[n] != ' '))
        return false;
    if (current->len > 0 && n >= current->len && memcmp(line->text, current->name, current->len) == 0 &&
        (n == current->len || line->text[current->len] == '_')) {
        *out = *current;
        return true;
    }
    out->name = line->text;
    out->len = n;
    return true;
}

static void put_sample(struct buf *out, const struct line *line, const char *relay)
{
    size_t n = name_length(line->text, line->len);
    const char *rest = line->text + n;
    size_t rest_len = line->len - n;
    buf_add(out, line->text, n);
    if (*rest == ' ') {
        buf_printf(out, "{relay=\"%s\"}", relay);
    } else if (!memmem(rest, rest_len, "relay=\"", 7)) {
        buf_printf(out, "{relay=\"%s\"%s", relay, rest_len > 1 && rest[1] == '}' ? "" : ",");
        rest++;
        rest_len--;
    }
    buf_add(out, rest, rest_len);
    buf_add(out, "\n", 1);
}

static size_t collect(struct family *families, const struct promjoin_text *texts, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        struct line line;
        struct family name, current = {0};
        for (size_t at = 0; next_line(texts[i].text, texts[i].len, &at, &line);) {
            if (!line_family(&line, &current, &name))
                continue;
            size_t k = 0;
            while (k < found && !same(&families[k], &name))
                k++;
            if (k == found && found < PROMJOIN_FAMILIES)
                families[found++] = name;
        }
    }
    return found;
}

static void put_family(struct buf *out, const struct family *family, const struct promjoin_text *texts, size_t n)
{
    bool described = false;
    for (size_t i = 0; i < n; i++) {
        struct line line;
        struct family name, current = {0};
        bool comments = false;
        for (size_t at = 0; next_line(texts[i].text, texts[i].len, &at, &line);) {
            if (!line_family(&line, &current, &name) || !same(&name, family))
                continue;
            if (line.text[0] != '#') {
                put_sample(out, &line, texts[i].relay);
            } else if (!described) {
                comments = true;
                buf_add(out, line.text, line.len);
                buf_add(out, "\n", 1);
            }
        }
        described = described || comments;
    }
}

void promjoin_write(struct buf *out, const struct promjoin_text *texts, size_t n)
{
    struct family families[PROMJOIN_FAMILIES];
    size_t found = collect(families, texts, n);
    for (size_t i = 0; i < found; i++)
        put_family(out, &families[i], texts, n);
}
