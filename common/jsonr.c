#include "jsonr.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* buf[len] is NUL, which no rule accepts, so that `at` never runs past the end. */
struct parser {
    char *at;
    char *end;
    enum jsonr_result fault; /* the first, JSONR_OK while there is none */
};

static bool fail(struct parser *p, enum jsonr_result fault)
{
    p->fault = fault;
    return false;
}

static void skip_space(struct parser *p)
{
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
        p->at++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* --- strings ------------------------------------------------------------------------------------ */

#define EACH_BYTE(b) (0x0101010101010101ULL * (b))

/* Whether one of 8 bytes is a control, a quote, a backslash or not ASCII: needs a closer look. */
static bool has_special(uint64_t bytes)
{
    uint64_t quote = bytes ^ EACH_BYTE('"');
    uint64_t backslash = bytes ^ EACH_BYTE('\\');
    uint64_t low = (bytes - EACH_BYTE(0x20)) & ~bytes;
    uint64_t equal = ((quote - EACH_BYTE(1)) & ~quote) | ((backslash - EACH_BYTE(1)) & ~backslash);
    return ((low | equal | bytes) & EACH_BYTE(0x80)) != 0;
}

/* First byte from `at` on that is not plain ASCII text. */
static char *skip_plain(char *at, const char *end)
{
    uint64_t bytes;
    while (end - at >= (ptrdiff_t)sizeof bytes) {
        memcpy(&bytes, at, sizeof bytes);
        if (has_special(bytes))
            break;
        at += sizeof bytes;
    }
    while ((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Length of the valid character of several bytes at `s`; 0 when it is not one. */
static size_t utf8_length(const unsigned char *s)
{
    bool two = (s[1] & 0xc0) == 0x80;
    if (s[0] < 0xc2 || s[0] > 0xf4 || !two)
        return 0;
    if (s[0] < 0xe0)
        return 2;
    if ((s[2] & 0xc0) != 0x80 || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
        return 0;
    if (s[0] < 0xf0)
        return 3;
    if ((s[3] & 0xc0) != 0x80 || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return 4;
}

static bool parse_hex4(struct parser *p, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        char c = *p->at;
        char lower = (char)(c | 0x20);
        if (is_digit(c))
            *code = *code << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return fail(p, JSONR_SYNTAX);
    }
    return true;
}

/* Behind "\u": writes the character to *to, which never overtakes the text that is read. */
static bool parse_unicode(struct parser *p, char **to)
{
    uint32_t code, low;
    if (!parse_hex4(p, &code) || code == 0)
        return fail(p, JSONR_SYNTAX);
    if (code >= 0xd800 && code <= 0xdbff) {
        if (p->at[0] != '\\' || p->at[1] != 'u')
            return fail(p, JSONR_SYNTAX);
        p->at += 2;
        if (!parse_hex4(p, &low) || low < 0xdc00 || low > 0xdfff)
            return fail(p, JSONR_SYNTAX);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return fail(p, JSONR_SYNTAX);
    }
    char *out = *to;
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    *to = out;
    return true;
}

static bool parse_escape(struct parser *p, char **to)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = *p->at;
    if (c == '\0')
        return fail(p, JSONR_SYNTAX);
    p->at++;
    if (c == 'u')
        return parse_unicode(p, to);
    const char *letter = strchr(letters, c);
    if (letter == NULL)
        return fail(p, JSONR_SYNTAX);
    *(*to)++ = meant[letter - letters];
    return true;
}

/* At the opening quote. The text is unescaped in place and gets a NUL at its end. */
static bool parse_string(struct parser *p, const char **text, size_t *len)
{
    if (*p->at != '"')
        return fail(p, JSONR_SYNTAX);
    char *start = ++p->at;
    char *to = start;
    for (;;) {
        char *run = p->at;
        p->at = skip_plain(run, p->end);
        size_t n = (size_t)(p->at - run);
        if (to != run)
            memmove(to, run, n);
        to += n;
        unsigned char c = (unsigned char)*p->at;
        if (c == '"')
            break;
        if (c == '\\') {
            p->at++;
            if (!parse_escape(p, &to))
                return false;
            continue;
        }
        size_t bytes = c >= 0x80 ? utf8_length((const unsigned char *)p->at) : 0;
        if (bytes == 0) /* a control character, the end, or no UTF-8 */
            return fail(p, JSONR_SYNTAX);
        memmove(to, p->at, bytes);
        to += bytes;
        p->at += bytes;
    }
    p->at++;
    *to = '\0';
    *text = start;
    *len = (size_t)(to - start);
    return true;
}

/* --- numbers ------------------------------------------------------------------------------------ */

struct decimal {
    uint64_t digits; /* valid up to 19 of them */
    int n_digits;    /* without leading zeros; saturates */
    int exponent;    /* of ten; saturates */
    bool negative;
    bool whole; /* neither fraction nor exponent */
};

static void add_digit(struct decimal *d, char c)
{
    if (d->n_digits > 0 || c != '0')
        d->n_digits += d->n_digits < 1000;
    if (d->n_digits <= 19)
        d->digits = d->digits * 10 + (uint64_t)(c - '0');
}

static bool scan_exponent(struct parser *p, struct decimal *d)
{
    bool negative = *p->at == '-';
    int exponent = 0;
    if (*p->at == '+' || *p->at == '-')
        p->at++;
    if (!is_digit(*p->at))
        return fail(p, JSONR_SYNTAX);
    for (; is_digit(*p->at); p->at++)
        exponent = exponent < 100000 ? exponent * 10 + (*p->at - '0') : exponent;
    d->exponent += negative ? -exponent : exponent;
    return true;
}

static bool scan_number(struct parser *p, struct decimal *d)
{
    if (*p->at == '-') {
        d->negative = true;
        p->at++;
    }
    if (!is_digit(*p->at) || (p->at[0] == '0' && is_digit(p->at[1])))
        return fail(p, JSONR_SYNTAX);
    for (; is_digit(*p->at); p->at++)
        add_digit(d, *p->at);
    d->whole = *p->at != '.' && (*p->at | 0x20) != 'e';
    if (*p->at == '.') {
        p->at++;
        if (!is_digit(*p->at))
            return fail(p, JSONR_SYNTAX);
        for (; is_digit(*p->at); p->at++) {
            add_digit(d, *p->at);
            d->exponent -= d->exponent > -1000000;
        }
    }
    if ((*p->at | 0x20) == 'e') {
        p->at++;
        return scan_exponent(p, d);
    }
    return true;
}

static bool parse_number(struct parser *p, double *value)
{
    static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d = {0};
    const char *start = p->at;
    if (!scan_number(p, &d))
        return false;
    /* Digits and power of ten are both exact, so one division or product is rounded correctly. */
    if (d.n_digits <= 15 && d.exponent >= -22 && d.exponent <= 22) {
        double v = (double)d.digits;
        v = d.exponent < 0 ? v / pow10[-d.exponent] : v * pow10[d.exponent];
        *value = d.negative ? -v : v;
        return true;
    }
    if (d.whole && d.n_digits >= 19) {
        errno = 0;
        (void)strtoll(start, NULL, 10);
        if (errno == ERANGE)
            return fail(p, JSONR_HUGE);
    }
    *value = strtod(start, NULL);
    return isfinite(*value) ? true : fail(p, JSONR_HUGE);
}

/* --- values ------------------------------------------------------------------------------------- */

static bool parse_word(struct parser *p, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(p->at, word, len) != 0)
        return fail(p, JSONR_SYNTAX);
    p->at += len;
    return true;
}

static bool parse_value(struct parser *p, struct jsonr_member *m, int depth);

/* An object or array whose content is not wanted, at its opening bracket. */
static bool skip_nested(struct parser *p, int depth)
{
    struct jsonr_member ignored;
    bool object = *p->at++ == '{';
    char closing = object ? '}' : ']';
    if (depth > JSONR_DEPTH_MAX)
        return fail(p, JSONR_DEEP);
    skip_space(p);
    if (*p->at == closing) {
        p->at++;
        return true;
    }
    for (;;) {
        skip_space(p);
        if (object) {
            if (!parse_string(p, &ignored.name, &ignored.name_len))
                return false;
            skip_space(p);
            if (*p->at++ != ':')
                return fail(p, JSONR_SYNTAX);
            skip_space(p);
        }
        if (!parse_value(p, &ignored, depth))
            return false;
        skip_space(p);
        char c = *p->at++;
        if (c == closing)
            return true;
        if (c != ',')
            return fail(p, JSONR_SYNTAX);
    }
}

/* `depth`: of what the value is in. */
static bool parse_value(struct parser *p, struct jsonr_member *m, int depth)
{
    m->text = NULL;
    m->len = 0;
    switch (*p->at) {
    case '"':
        m->kind = JSONR_STRING;
        return parse_string(p, &m->text, &m->len);
    case '{':
    case '[':
        m->kind = *p->at == '{' ? JSONR_OBJECT : JSONR_ARRAY;
        return skip_nested(p, depth + 1);
    case 't':
    case 'f':
        m->kind = JSONR_BOOL;
        m->truth = *p->at == 't';
        return parse_word(p, m->truth ? "true" : "false");
    case 'n':
        m->kind = JSONR_NULL;
        return parse_word(p, "null");
    default:
        m->kind = JSONR_NUMBER;
        return parse_number(p, &m->number);
    }
}

static bool is_new(const struct jsonr *object, const struct jsonr_member *m)
{
    for (size_t i = 0; i < object->n; i++) {
        const struct jsonr_member *other = &object->members[i];
        if (other->name_len == m->name_len && memcmp(other->name, m->name, m->name_len) == 0)
            return false;
    }
    return true;
}

/* Text beyond a limit is still read to its end: what is no JSON is called that. */
static bool parse_members(struct parser *p, struct jsonr *out)
{
    enum jsonr_result limit = JSONR_OK;
    struct jsonr_member spare;
    p->at++;
    skip_space(p);
    if (*p->at == '}') {
        p->at++;
        return true;
    }
    for (;;) {
        struct jsonr_member *m = out->n < JSONR_MEMBERS_MAX ? &out->members[out->n] : &spare;
        skip_space(p);
        if (!parse_string(p, &m->name, &m->name_len))
            return false;
        skip_space(p);
        if (*p->at++ != ':')
            return fail(p, JSONR_SYNTAX);
        skip_space(p);
        if (!parse_value(p, m, 1))
            return false;
        if (m == &spare)
            limit = limit == JSONR_OK ? JSONR_MANY : limit;
        else if (!is_new(out, m))
            limit = limit == JSONR_OK ? JSONR_DUPLICATE : limit;
        else
            out->n++;
        skip_space(p);
        char c = *p->at++;
        if (c == '}')
            return limit == JSONR_OK ? true : fail(p, limit);
        if (c != ',')
            return fail(p, JSONR_SYNTAX);
    }
}

enum jsonr_result jsonr_parse(struct jsonr *out, char *buf, size_t len)
{
    struct parser p = {.at = buf, .end = buf + len, .fault = JSONR_OK};
    struct jsonr_member other;
    buf[len] = '\0';
    out->n = 0;
    skip_space(&p);
    bool object = *p.at == '{';
    bool fine = object ? parse_members(&p, out) : parse_value(&p, &other, 0);
    if (!fine && p.fault != JSONR_DUPLICATE && p.fault != JSONR_MANY)
        return p.fault;
    skip_space(&p);
    if (p.at != p.end)
        return JSONR_SYNTAX;
    return !fine ? p.fault : object ? JSONR_OK : JSONR_NO_OBJECT;
}

const struct jsonr_member *jsonr_find(const struct jsonr *object, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < object->n; i++) {
        if (object->members[i].name_len == len && memcmp(object->members[i].name, name, len) == 0)
            return &object->members[i];
    }
    return NULL;
}
