/* Points in time. */
#include "fcgi/timeparam.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now = 1768473045123;
    int64_t ms = 4711;
    bool relative = false;
    if (timeparam_parse((const char *)data, size, now, &ms, &relative) < 0) {
        if (ms != 4711 || relative)
            abort();
    } else if (relative ? ms > now : ms > 253402300799999) {
        abort();
    }
    return 0;
}
