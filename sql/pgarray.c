#include "sql/pgarray.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define HEADER    ((size_t)20) /* dimensions, flags, type, elements, first index: four bytes each */
#define BYTES_MAX ((size_t)256 * 1024 * 1024)
#define BYTES_MIN ((size_t)4096)

void pgarray_init(struct pgarray *array, enum pgarray_type type)
{
    *array = (struct pgarray){.type = type};
}

void pgarray_finish(struct pgarray *array)
{
    free(array->data);
    *array = (struct pgarray){.type = array->type};
}

void pgarray_clear(struct pgarray *array)
{
    array->len = 0;
    array->n = 0;
}

static char *reserve(struct pgarray *array, size_t more)
{
    size_t len = array->len > 0 ? array->len : HEADER;
    size_t cap = array->cap > 0 ? array->cap : BYTES_MIN;
    if (more > BYTES_MAX || len + more > BYTES_MAX)
        return NULL;
    while (cap < len + more)
        cap *= 2;
    if (cap != array->cap) {
        char *data = realloc(array->data, cap);
        if (data == NULL)
            return NULL;
        array->data = data;
        array->cap = cap;
    }
    array->len = len + more;
    return array->data + len;
}

static void put32(char *at, uint32_t value)
{
    uint32_t big = htobe32(value);
    memcpy(at, &big, sizeof(big));
}

static int add(struct pgarray *array, const void *bytes, size_t len)
{
    char *at = reserve(array, len + 4);
    if (at == NULL)
        return -1;
    put32(at, (uint32_t)len);
    if (len > 0)
        memcpy(at + 4, bytes, len);
    array->n++;
    return 0;
}

int pgarray_add_int(struct pgarray *array, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    uint32_t small = htobe32((uint32_t)value);
    return array->type == PGARRAY_INT8 ? add(array, &big, sizeof(big)) : add(array, &small, sizeof(small));
}

int pgarray_add_float(struct pgarray *array, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bits = htobe64(bits);
    return add(array, &bits, sizeof(bits));
}

int pgarray_add_bytes(struct pgarray *array, const char *bytes, size_t len)
{
    return add(array, bytes, len);
}

const char *pgarray_bytes(struct pgarray *array, size_t *len)
{
    if (array->len == 0 && reserve(array, 0) == NULL)
        return NULL;
    put32(array->data, array->n > 0 ? 1 : 0);
    put32(array->data + 4, 0);
    put32(array->data + 8, (uint32_t)array->type);
    put32(array->data + 12, (uint32_t)array->n);
    put32(array->data + 16, 1);
    *len = array->n > 0 ? array->len : 12;
    return array->data;
}
