#include "wsd/frame.h"

#include <stdlib.h>
#include <string.h>

#define OPCODE_TEXT         0x01
#define OPCODE_CONTINUATION 0x00
#define FIN                 0x80
#define SEGMENT_HEADER      4u /* a segment's payload needs the 16 bit length */
#define SEGMENT_PAYLOAD     (FRAME_SEGMENT - SEGMENT_HEADER)

static size_t put_header(uint8_t *out, uint8_t first, size_t payload)
{
    out[0] = first;
    if (payload < 126) {
        out[1] = (uint8_t)payload;
        return 2;
    }
    out[1] = 126;
    out[2] = (uint8_t)(payload >> 8);
    out[3] = (uint8_t)payload;
    return 4;
}

struct frame *frame_create(const char *text, size_t len)
{
    size_t segments = len / SEGMENT_PAYLOAD + 1;
    struct frame *f = malloc(sizeof(*f) + len + segments * SEGMENT_HEADER);
    if (f == NULL)
        return NULL;
    f->refs = 1;
    uint8_t *at = f->bytes;
    uint8_t opcode = OPCODE_TEXT;
    do {
        size_t n = len < SEGMENT_PAYLOAD ? len : SEGMENT_PAYLOAD;
        len -= n;
        at += put_header(at, (uint8_t)(opcode | (len == 0 ? FIN : 0)), n);
        memcpy(at, text, n);
        at += n;
        text += n;
        opcode = OPCODE_CONTINUATION;
    } while (len > 0);
    f->len = (uint32_t)(at - f->bytes);
    return f;
}

struct frame *frame_ref(struct frame *f)
{
    f->refs++;
    return f;
}

void frame_unref(struct frame *f)
{
    if (f != NULL && --f->refs == 0)
        free(f);
}

size_t frame_segment_end(const struct frame *f, size_t offset)
{
    size_t end = offset - offset % FRAME_SEGMENT + FRAME_SEGMENT;
    return end < f->len ? end : f->len;
}
