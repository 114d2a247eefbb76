#include "wsd/session.h"

#include <stdlib.h>
#include <string.h>

#define RX_FIRST 1024u /* bytes, first allocation for a message in pieces */

void session_rx_end(struct session *s)
{
    free(s->rx);
    s->rx = NULL;
    s->rx_len = s->rx_cap = 0;
    s->rx_fragments = 0;
    s->rx_since_ms = 0;
}

int session_rx_join(struct session *s, const char *piece, size_t len, size_t max)
{
    size_t need = s->rx_len + len;
    if (need > s->rx_cap) {
        size_t cap = s->rx_cap ? s->rx_cap * 2u : RX_FIRST;
        while (cap < need)
            cap *= 2;
        if (cap > max)
            cap = max;
        char *rx = realloc(s->rx, cap);
        if (rx == NULL)
            return -1;
        s->rx = rx;
        s->rx_cap = (uint32_t)cap;
    }
    if (len > 0)
        memcpy(s->rx + s->rx_len, piece, len);
    s->rx_len += (uint32_t)len;
    return 0;
}
