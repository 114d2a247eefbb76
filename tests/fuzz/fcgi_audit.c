/* Stored commands, outcomes and events: what is accepted is sound JSON, alone and in an item. */
#include "fcgi/audit.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* JSON's grammar knows no largest number and no longest; jansson does. It refuses a NUL in a string, too. */
static void is_json(const struct buf *text)
{
    json_error_t error;
    json_t *item = json_loadb(text->data, text->len, JSON_ALLOW_NUL, &error);
    if (!item && !strstr(error.text, "overflow") && !strstr(error.text, "too big") && !strstr(error.text, "underflow"))
        abort();
    json_decref(item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct item_clock clock = {0};
    struct audit_command c;
    struct audit_event e;
    struct buf out;
    char *text = malloc(size ? size : 1); /* exactly as long as it is, for the sanitizer */
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    struct series_sample entry = {.id = {1768473045123, size}, .text = text, .len = (uint32_t)size};
    struct audit_stage stages[] = {{.id = {1768473045124, 0}, .text = text, .len = size},
                                   {.id = {1768473045125, 0}, .text = text, .len = size}};
    buf_init(&out, 1 << 20);
    if (member_check(text, size)) {
        buf_str(&out, "{");
        buf_add(&out, text, size);
        buf_str(&out, "}");
        is_json(&out);
        buf_clear(&out, SIZE_MAX);
    }
    if (audit_event_read(text, size, &e)) {
        audit_put_event(&out, &clock, &entry);
        is_json(&out);
        buf_clear(&out, SIZE_MAX);
    }
    if (audit_command_read(text, size, &c)) {
        audit_put_command(&out, &clock, "robot_01", &entry, stages, 2);
        is_json(&out);
    } else {
        audit_put_command(&out, &clock, "robot_01", &entry, stages, 2);
        if (out.len > 0)
            abort();
    }
    buf_finish(&out);
    free(text);
    return 0;
}
