/* Query strings, up to a checked history request. */
#include "fcgi/history.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct query q;
    static struct history h;
    struct fault fault = {{0}};
    if (query_parse(&q, (const char *)data, size, &fault) == 0) {
        for (size_t i = 0; i < q.n; i++) {
            if (strlen(q.params[i].value) != q.params[i].len || q.params[i].name[0] == '\0')
                abort();
        }
        enum cursor_walk walk = CURSOR_TELEMETRY + size % CURSOR_EVENTS;
        if (history_parse(&h, walk, &q, 1768473045123, &fault) == 0) {
            for (size_t i = 0; i < h.n_devices; i++) {
                struct streamid_range r = history_range(&h, h.devices[i]);
                if (i > 0 && strcmp(h.devices[i - 1], h.devices[i]) >= 0)
                    abort();
                if (h.has_to && h.to_ms >= 0 && r.hi.ms > (uint64_t)h.to_ms)
                    abort();
            }
            return 0;
        }
    }
    /* Whatever was wrong, it is said, in printable ASCII. */
    for (const char *p = fault.text; p == fault.text || *p; p++) {
        if (*p < 0x20 || *p > 0x7e)
            abort();
    }
    return 0;
}
