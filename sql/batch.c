#include "sql/batch.h"

#include <stdlib.h>
#include <string.h>

struct batch {
    struct batch_part *parts;
    struct archive_part *out;
    size_t n_parts, cap_parts, cap_out;
    struct archive_row *rows; /* `text` is set by batch_parts(), since `text` below moves */
    size_t *texts;            /* where each row's is */
    size_t n_rows, cap_rows;
    char *text;
    size_t text_len, text_cap;
    size_t read; /* entries of all parts */
};

struct batch *batch_create(void)
{
    return calloc(1, sizeof(struct batch));
}

void batch_destroy(struct batch *b)
{
    if (!b)
        return;
    free(b->parts);
    free(b->out);
    free(b->rows);
    free(b->texts);
    free(b->text);
    free(b);
}

void batch_clear(struct batch *b)
{
    b->n_parts = b->n_rows = b->text_len = b->read = 0;
}

static size_t grown(size_t cap, size_t need, size_t first)
{
    cap = cap ? cap : first;
    while (cap < need)
        cap *= 2;
    return cap;
}

int batch_begin(struct batch *b, struct plan_stream *s)
{
    if (b->n_parts == b->cap_parts) {
        size_t cap = grown(b->cap_parts, b->n_parts + 1, 64);
        struct batch_part *parts = realloc(b->parts, cap * sizeof(*parts));
        if (!parts)
            return -1;
        b->parts = parts;
        b->cap_parts = cap;
    }
    b->parts[b->n_parts++] = (struct batch_part){.stream = s, .row = b->n_rows};
    return 0;
}

static int reserve_row(struct batch *b, size_t len)
{
    if (b->n_rows == b->cap_rows) {
        size_t cap = grown(b->cap_rows, b->n_rows + 1, 1024);
        struct archive_row *rows = realloc(b->rows, cap * sizeof(*rows));
        if (rows)
            b->rows = rows;
        size_t *texts = realloc(b->texts, cap * sizeof(*texts));
        if (texts)
            b->texts = texts;
        if (!rows || !texts)
            return -1;
        b->cap_rows = cap;
    }
    if (b->text_len + len > b->text_cap) {
        size_t cap = grown(b->text_cap, b->text_len + len, 65536);
        char *text = realloc(b->text, cap);
        if (!text)
            return -1;
        b->text = text;
        b->text_cap = cap;
    }
    return 0;
}

int batch_entry(struct batch *b, struct streamid id, const char *text, size_t len)
{
    struct batch_part *part = &b->parts[b->n_parts - 1];
    if (text) {
        if (reserve_row(b, len + 1) < 0)
            return -1;
        b->rows[b->n_rows] = (struct archive_row){.id = id, .len = len};
        b->texts[b->n_rows++] = b->text_len;
        memcpy(b->text + b->text_len, text, len);
        b->text[b->text_len + len] = '\0';
        b->text_len += len + 1;
        part->rows++;
    }
    if (part->read++ == 0)
        part->first = id;
    part->to = id;
    b->read++;
    return 0;
}

void batch_end(struct batch *b, size_t asked)
{
    struct batch_part *part = &b->parts[b->n_parts - 1];
    part->more = part->read >= asked;
    if (part->read == 0)
        b->n_parts--;
}

size_t batch_size(const struct batch *b)
{
    return b->n_parts;
}

struct batch_part *batch_at(struct batch *b, size_t index)
{
    return &b->parts[index];
}

struct plan_room batch_room(const struct batch *b, struct plan_room whole)
{
    return (struct plan_room){.rows = b->read < whole.rows ? whole.rows - b->read : 0,
                              .bytes = b->text_len < whole.bytes ? whole.bytes - b->text_len : 0};
}

size_t batch_rows(const struct batch *b, enum archive_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_parts; i++)
        n += b->parts[i].stream->kind == kind ? b->parts[i].rows : 0;
    return n;
}

const struct archive_part *batch_parts(struct batch *b)
{
    if (b->cap_out < b->n_parts) {
        struct archive_part *out = realloc(b->out, b->cap_parts * sizeof(*out));
        if (!out)
            return NULL;
        b->out = out;
        b->cap_out = b->cap_parts;
    }
    for (size_t i = 0; i < b->n_rows; i++)
        b->rows[i].text = b->text + b->texts[i];
    for (size_t i = 0; i < b->n_parts; i++) {
        const struct batch_part *part = &b->parts[i];
        b->out[i] = (struct archive_part){.kind = part->stream->kind,
                                          .device_id = plan_device(part->stream),
                                          .from = part->stream->position,
                                          .to = part->to,
                                          .rows = b->rows + part->row,
                                          .n = part->rows,
                                          .gap = part->gap,
                                          .gap_before = part->first};
    }
    return b->out;
}
