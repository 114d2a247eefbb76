/* If-None-Match: any bytes; what is added to a field that is sound is found. */
#include "fcgi/etag.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char tag[] = "\"0123456789abcdef\"";
    char *field = malloc(size + sizeof(tag) + 2);
    if (!field)
        return 0;
    memcpy(field, data, size);
    field[size] = '\0';
    size_t len = strlen(field);
    bool found = etag_matches(field, tag);
    if (found && !strstr(field, tag) && !strchr(field, '*'))
        abort();
    /* Another tag behind it: the same, or found now, unless the field was not sound. */
    strcpy(field + len, ",\"x\"");
    bool more = etag_matches(field, tag);
    if (found != more && !strchr(field, '*'))
        abort();
    free(field);
    return 0;
}
