/*
 * WebSocket frames (RFC 6455) as a client sees them: parses what a server sends, however it is cut
 * or joined, and builds masked frames. No I/O.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frame_op {
    FRAME_CONTINUATION = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
};

#define FRAME_MESSAGE_MAX (1u << 20) /* bytes of one message, all fragments together */
#define FRAME_HEADER_MAX  14

/*
 * One complete message or control frame; never FRAME_CONTINUATION. `data` is valid during the call.
 * Returns false to stop: frame_feed then returns 0 at once and must not be called again.
 */
typedef bool frame_handler(void *arg, enum frame_op op, const uint8_t *data, size_t len);

struct frame_parser {
    uint8_t *rest; /* an incomplete frame's bytes */
    size_t rest_len;
    size_t rest_cap;
    uint8_t *joined; /* the fragments of an incomplete message */
    size_t joined_len;
    enum frame_op joined_op; /* FRAME_CONTINUATION: no message is open */
};

void frame_init(struct frame_parser *p);
void frame_finish(struct frame_parser *p);

/* Bytes as they came. Returns 0, or -1 when they break the protocol or memory is short. */
int frame_feed(struct frame_parser *p, const uint8_t *data, size_t len, frame_handler *handle, void *arg);

/* Writes a final, masked frame. `out` holds len + FRAME_HEADER_MAX bytes; returns the bytes written. */
size_t frame_put(uint8_t *out, enum frame_op op, const void *data, size_t len, uint32_t mask);

#endif
