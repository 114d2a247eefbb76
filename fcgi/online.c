#include "fcgi/online.h"

#include <string.h>

/* The next word of text[*at..len), ended by one space or the end. */
static int next_word(const char *text, size_t len, size_t *at, const char **word, size_t *word_len)
{
    size_t start = *at;
    size_t i = start;
    while (i < len && text[i] > 0x20 && text[i] < 0x7f)
        i++;
    if (i == start || (i < len && text[i] != ' '))
        return -1;
    *word = text + start;
    *word_len = i - start;
    *at = i < len ? i + 1 : i;
    return 0;
}

static int parse_number(const char *word, size_t len, int64_t *value)
{
    int64_t v = 0;
    if (len == 0 || len > 18)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (word[i] < '0' || word[i] > '9')
            return -1;
        v = v * 10 + (word[i] - '0');
    }
    *value = v;
    return 0;
}

int online_parse(const char *text, size_t len, struct online *out)
{
    const char *words[4];
    size_t lens[4];
    size_t at = 0;
    int64_t conn, since;
    for (size_t i = 0; i < 4; i++) {
        if (next_word(text, len, &at, &words[i], &lens[i]) < 0)
            return -1;
    }
    if (at != len || text[len - 1] == ' ' || parse_number(words[0], lens[0], &conn) < 0 ||
        parse_number(words[1], lens[1], &since) < 0)
        return -1;
    if (lens[2] >= sizeof(out->instance) || lens[3] > ONLINE_NAME_MAX)
        return -1;
    out->since_ms = since;
    memcpy(out->instance, words[2], lens[2]);
    out->instance[lens[2]] = '\0';
    memcpy(out->relay, words[3], lens[3]);
    out->relay[lens[3]] = '\0';
    return 0;
}

int online_relay_name(const char *instance, size_t len, char out[ONLINE_NAME_MAX + 1])
{
    const char *hash = memchr(instance, '#', len);
    size_t n = hash ? (size_t)(hash - instance) : 0;
    if (n == 0 || n > ONLINE_NAME_MAX)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (instance[i] <= 0x20 || instance[i] >= 0x7f || instance[i] == '"' || instance[i] == '\\')
            return -1;
    }
    memcpy(out, instance, n);
    out[n] = '\0';
    return 0;
}
