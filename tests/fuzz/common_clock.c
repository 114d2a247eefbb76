/* Time stamps: what is accepted reads the same after it was written. */
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[CLOCK_RFC3339_US_LEN + 1];
    int64_t ms = 0, back = 0;
    if (clock_parse_rfc3339((const char *)data, size, &ms) == 0) {
        clock_format_ms(text, ms);
        if (clock_parse_rfc3339(text, strlen(text), &back) != 0)
            abort();
        /* an offset can lead out of the years that can be written */
        if (back != ms && ms >= -62167219200000 && ms <= 253402300799999)
            abort();
    }
    if (size >= sizeof ms) {
        memcpy(&ms, data, sizeof ms);
        clock_format_us(text, ms);
        if (strlen(text) != CLOCK_RFC3339_US_LEN || clock_parse_rfc3339(text, CLOCK_RFC3339_US_LEN, &back) != 0)
            abort();
        clock_format_ms(text, ms);
        if (strlen(text) != CLOCK_RFC3339_MS_LEN || clock_parse_rfc3339(text, CLOCK_RFC3339_MS_LEN, &back) != 0)
            abort();
    }
    return 0;
}
