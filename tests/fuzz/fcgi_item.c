/* Stored samples: what passes the check is sound JSON, in an item and in a table. */
#include "common/sample.h"
#include "fcgi/csv.h"
#include "fcgi/item.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct csv csv;
    struct item_clock clock = {0};
    char *text = malloc(size ? size : 1); /* exactly as long as it is, for the sanitizer */
    struct buf out;
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    enum sample_kind kind = sample_check(text, size);
    struct series_sample sample = {.id = {1768473045123, size}, .text = text, .len = (uint32_t)size};
    buf_init(&out, 1 << 20);
    item_metrics(&out, text, size); /* any bytes, as far as they go */
    buf_clear(&out, SIZE_MAX);
    if (kind != SAMPLE_BAD) {
        item_json(&out, &clock, "robot_01", &sample);
        json_error_t error;
        json_t *item = json_loadb(out.data, out.len, 0, &error);
        /* JSON's grammar knows no largest number; jansson does. */
        if (!item && !strstr(error.text, "overflow") && !strstr(error.text, "too big"))
            abort();
        json_decref(item);
        csv_begin(&csv, NULL, 0);
        if (csv_widen(&csv, &sample) < 0)
            abort();
        csv_header(&csv, &out);
        csv_row(&csv, &out, &clock, "robot_01", &sample);
    }
    buf_finish(&out);
    free(text);
    return 0;
}
