#include "sql/shape.h"

#include <string.h>

int shape_split(struct shape *shape, const char *text, size_t len)
{
    struct sample_metric m;
    size_t at = 0;
    if (sample_check(text, len) == SAMPLE_BAD)
        return -1;
    shape->names_len = shape->values_len = shape->n = 0;
    while (sample_next(text, len, &at, &m) > 0) {
        if (shape->n++ > 0) {
            shape->names[shape->names_len++] = ',';
            shape->values[shape->values_len++] = ',';
        }
        memcpy(shape->names + shape->names_len, m.name, m.name_len);
        shape->names_len += m.name_len;
        memcpy(shape->values + shape->values_len, m.number, m.number_len);
        shape->values_len += m.number_len;
    }
    shape->values[shape->values_len] = '\0';
    return 0;
}

/* Up to the next comma, or the end. */
static size_t part_len(const char *text, size_t len)
{
    const char *comma = len > 0 ? memchr(text, ',', len) : NULL;
    return comma != NULL ? (size_t)(comma - text) : len;
}

int shape_join(char out[SAMPLE_MAX], const char *names, size_t names_len, const char *values, size_t values_len)
{
    size_t len = 0;
    if (names_len == 0)
        return values_len == 0 ? 0 : -1;
    for (;;) {
        size_t name = part_len(names, names_len), value = part_len(values, values_len);
        if (name == 0 || value == 0 || len + name + value + 4 > SAMPLE_MAX)
            return -1;
        if (len > 0)
            out[len++] = ',';
        out[len++] = '"';
        memcpy(out + len, names, name);
        len += name;
        out[len++] = '"';
        out[len++] = ':';
        memcpy(out + len, values, value);
        len += value;
        if (name == names_len || value == values_len)
            return name == names_len && value == values_len ? (int)len : -1;
        names += name + 1;
        names_len -= name + 1;
        values += value + 1;
        values_len -= value + 1;
    }
}
