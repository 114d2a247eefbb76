/* Stored samples as columns: sound JSON, with as many values in each as there are times, which ascend. */
#include "common/sample.h"
#include "fcgi/columns.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SAMPLES_MAX 64

/* Samples from lines: lane, whether the next ms begins, and the text. */
static size_t split(struct series_sample *samples, const uint8_t *data, size_t size)
{
    struct streamid id = {1768473045123, 0};
    size_t n = 0;
    uint32_t lane = 2;
    while (size > 1 && n < SAMPLES_MAX) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) : size;
        uint32_t next = len ? data[0] & 1 : 0;
        if (len && (data[0] & 2 || next <= lane)) {
            id.ms += (data[0] & 4) != 0;
            id.seq = data[0] & 4 ? 0 : id.seq + 1 + (data[0] & 8 ? 700 : 0);
        }
        lane = next;
        const char *text = (const char *)data + 1;
        if (len && sample_check(text, len - 1) != SAMPLE_BAD)
            samples[n++] = (struct series_sample){.id = id, .lane = lane, .text = text, .len = (uint32_t)(len - 1)};
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
    return n;
}

static void check(json_t *data, size_t rows)
{
    double last = 0;
    for (size_t i = 0; i < json_array_size(data); i++) {
        json_t *column = json_array_get(data, i);
        if (json_array_size(column) != rows)
            abort();
        for (size_t k = 0; k < rows && i == 0; k++) {
            double time = json_number_value(json_array_get(column, k));
            if (time <= last)
                abort();
            last = time;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char devices[2][MSG_DEVICE_ID_MAX + 1] = {"a", "b"};
    struct columns_spec spec = {.devices = devices, .n_devices = 2};
    struct series_sample samples[SAMPLES_MAX];
    struct columns *c;
    struct buf out;
    size_t n = split(samples, data, size);
    if (columns_create(&spec, samples, n, false, &c) != COLUMNS_OK)
        return 0;
    if (columns_rows(c) > n)
        abort();
    buf_init(&out, 1 << 24);
    buf_str(&out, "[");
    columns_names(c, &out);
    buf_str(&out, ",");
    columns_units(c, &out);
    buf_str(&out, ",[");
    for (size_t i = 0; i < columns_count(c); i++) {
        buf_str(&out, i ? "," : "");
        columns_data(c, i, &out);
    }
    buf_str(&out, "]]");
    json_error_t error;
    json_t *all = json_loadb(out.data, out.len, 0, &error);
    /* JSON's grammar knows no largest number; jansson does. */
    if (!all && !strstr(error.text, "overflow") && !strstr(error.text, "too big"))
        abort();
    if (all) {
        if (json_array_size(json_array_get(all, 0)) != columns_count(c) ||
            json_array_size(json_array_get(all, 1)) != columns_count(c))
            abort();
        check(json_array_get(all, 2), columns_rows(c));
    }
    json_decref(all);
    columns_destroy(c);
    buf_finish(&out);
    return 0;
}
