/* Cursors: what is accepted is exactly what is written. */
#include "fcgi/cursor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[CURSOR_TEXT_MAX];
    struct cursor c, back;
    if (cursor_decode((const char *)data, size, &c) == 0) {
        size_t len = cursor_encode(text, &c);
        if (len != size || memcmp(text, data, size) != 0)
            abort();
    }
    /* The other way round, with the bytes as a cursor's content. */
    memset(&c, 0, sizeof(c));
    if (size == 17 || (size > 17 && msg_device_id_valid((const char *)data + 17, size - 17))) {
        c.walk = size == 17 ? CURSOR_EVENTS : data[0] & 2 ? CURSOR_TELEMETRY : CURSOR_COMMANDS;
        c.descending = data[0] & 1;
        memcpy(&c.ms, data + 1, 8);
        memcpy(&c.seq, data + 9, 8);
        memcpy(c.device_id, data + 17, size - 17);
        if (c.walk == CURSOR_TELEMETRY && data[0] & 4) {
            c.step_ms = 1000 * (1 + data[0]);
            c.ms %= CURSOR_BUCKET_MAX_MS;
            c.ms -= c.ms % (uint64_t)c.step_ms;
            c.seq = 0;
        }
        if (cursor_decode(text, cursor_encode(text, &c), &back) < 0 || memcmp(&c, &back, sizeof(c)) != 0)
            abort();
    }
    return 0;
}
