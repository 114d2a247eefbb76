/*
 * Samples on their way into the archive and out of it: any bytes are taken apart and put together, or refused. What is
 * before the first NUL is names, what is behind it values: a damaged database has any of them, too. All of it is a URI,
 * as well.
 */
#include "sql/pguri.h"
#include "sql/shape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const char *text, size_t len)
{
    static struct shape shape;
    static char out[SAMPLE_MAX];
    int rc = shape_split(&shape, text, len);
    if ((rc == 0) != (sample_check(text, len) != SAMPLE_BAD))
        abort();
    if (rc == 0 && (shape_join(out, shape.names, shape.names_len, shape.values, shape.values_len) != (int)len ||
                    memcmp(out, text, len) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char out[SAMPLE_MAX];
    char message[64];
    char *text = malloc(size + 1); /* exactly as long as it is, for the sanitizer */
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    size_t names = strlen(text);
    round_trip(text, size);
    if (names < size && shape_join(out, text, names, text + names + 1, size - names - 1) > SAMPLE_MAX)
        abort();
    pguri_check(text);
    pguri_message(message, sizeof(message), text, "a");
    if (strchr(message, 'a') != NULL)
        abort();
    free(text);
    return 0;
}
