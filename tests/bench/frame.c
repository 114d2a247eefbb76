#include "tests/bench/frame.h"

#include <stdlib.h>
#include <string.h>

struct header {
    bool fin;
    enum frame_op op;
    size_t size;    /* bytes of the header itself */
    size_t payload; /* bytes that follow it */
};

void frame_init(struct frame_parser *p)
{
    memset(p, 0, sizeof *p);
}

void frame_finish(struct frame_parser *p)
{
    free(p->rest);
    free(p->joined);
    memset(p, 0, sizeof *p);
}

static bool known_op(unsigned op)
{
    return op <= FRAME_BINARY || (op >= FRAME_CLOSE && op <= FRAME_PONG);
}

/* 1: *h is complete, 0: more bytes are needed, -1: no server may send this. */
static int read_header(const uint8_t *data, size_t len, struct header *h)
{
    if (len < 2)
        return 0;
    unsigned op = data[0] & 0x0fu;
    if ((data[0] & 0x70u) || (data[1] & 0x80u) || !known_op(op))
        return -1;
    h->fin = (data[0] & 0x80u) != 0;
    h->op = (enum frame_op)op;
    size_t extra = data[1] == 126 ? 2 : data[1] == 127 ? 8 : 0;
    h->size = 2 + extra;
    if (op >= FRAME_CLOSE && (extra || !h->fin))
        return -1;
    if (len < h->size)
        return 0;
    uint64_t payload = data[1];
    if (extra) {
        payload = 0;
        for (size_t i = 0; i < extra; i++)
            payload = payload << 8 | data[2 + i];
    }
    if (payload > FRAME_MESSAGE_MAX)
        return -1;
    h->payload = (size_t)payload;
    return 1;
}

static int join(struct frame_parser *p, const uint8_t *data, size_t len)
{
    if (p->joined_len + len > FRAME_MESSAGE_MAX)
        return -1;
    uint8_t *grown = realloc(p->joined, p->joined_len + len + 1);
    if (!grown)
        return -1;
    p->joined = grown;
    if (len)
        memcpy(grown + p->joined_len, data, len);
    p->joined_len += len;
    return 0;
}

/* 1: go on, 0: the handler said stop, -1: broken. */
static int take_frame(struct frame_parser *p, const struct header *h, const uint8_t *payload, frame_handler *handle,
                      void *arg)
{
    if (h->op >= FRAME_CLOSE)
        return handle(arg, h->op, payload, h->payload);
    bool open = p->joined_op != FRAME_CONTINUATION;
    if ((h->op == FRAME_CONTINUATION) != open)
        return -1;
    if (h->fin && !open)
        return handle(arg, h->op, payload, h->payload);
    if (!open)
        p->joined_op = h->op;
    if (join(p, payload, h->payload))
        return -1;
    if (!h->fin)
        return 1;
    enum frame_op op = p->joined_op;
    size_t len = p->joined_len;
    p->joined_op = FRAME_CONTINUATION;
    p->joined_len = 0;
    return handle(arg, op, p->joined, len);
}

/* All complete frames of data. Returns the bytes used, or -1; *stopped when the handler said so. */
static ptrdiff_t take_all(struct frame_parser *p, const uint8_t *data, size_t len, frame_handler *handle, void *arg,
                          bool *stopped)
{
    size_t used = 0;
    while (used < len) {
        struct header h;
        int got = read_header(data + used, len - used, &h);
        if (got < 0)
            return -1;
        if (got == 0 || len - used - h.size < h.payload)
            break;
        int more = take_frame(p, &h, data + used + h.size, handle, arg);
        if (more < 0)
            return -1;
        if (more == 0) {
            *stopped = true;
            return (ptrdiff_t)len;
        }
        used += h.size + h.payload;
    }
    return (ptrdiff_t)used;
}

static int keep_rest(struct frame_parser *p, const uint8_t *data, size_t len)
{
    size_t need = p->rest_len + len;
    if (need > p->rest_cap) {
        uint8_t *grown = realloc(p->rest, need + need / 2);
        if (!grown)
            return -1;
        p->rest = grown;
        p->rest_cap = need + need / 2;
    }
    memcpy(p->rest + p->rest_len, data, len);
    p->rest_len = need;
    return 0;
}

int frame_feed(struct frame_parser *p, const uint8_t *data, size_t len, frame_handler *handle, void *arg)
{
    bool stopped = false;
    if (len == 0)
        return 0;
    if (p->rest_len == 0) {
        ptrdiff_t used = take_all(p, data, len, handle, arg, &stopped);
        if (used < 0)
            return -1;
        size_t left = len - (size_t)used;
        return left ? keep_rest(p, data + used, left) : 0;
    }
    if (keep_rest(p, data, len))
        return -1;
    ptrdiff_t used = take_all(p, p->rest, p->rest_len, handle, arg, &stopped);
    if (used < 0)
        return -1;
    if (stopped)
        return 0;
    p->rest_len -= (size_t)used;
    memmove(p->rest, p->rest + used, p->rest_len);
    return 0;
}

size_t frame_put(uint8_t *out, enum frame_op op, const void *data, size_t len, uint32_t mask)
{
    size_t n = 0;
    out[n++] = (uint8_t)(0x80u | (unsigned)op);
    if (len < 126) {
        out[n++] = (uint8_t)(0x80u | len);
    } else if (len <= 0xffff) {
        out[n++] = 0x80u | 126;
        out[n++] = (uint8_t)(len >> 8);
        out[n++] = (uint8_t)len;
    } else {
        out[n++] = 0x80u | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            out[n++] = (uint8_t)((uint64_t)len >> shift);
    }
    uint8_t key[4];
    memcpy(key, &mask, sizeof key);
    memcpy(out + n, key, sizeof key);
    n += sizeof key;
    const uint8_t *in = data;
    for (size_t i = 0; i < len; i++)
        out[n + i] = in[i] ^ key[i & 3];
    return n + len;
}
