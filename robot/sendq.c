#include "robot/sendq.h"

#include <stdlib.h>
#include <string.h>

int sendq_put(struct sendq *q, enum sendq_lane lane, const char *data, size_t len)
{
    size_t replaced = lane == SENDQ_LATEST && q->latest ? q->latest->len : 0;
    struct sendq_item *item;

    if (len > SENDQ_CAP || q->bytes - replaced > SENDQ_CAP - len)
        return -1;
    item = malloc(sizeof(*item) + SENDQ_HEADROOM + len);
    if (!item)
        return -1;
    item->next = NULL;
    item->len = len;
    memcpy(item->buf + SENDQ_HEADROOM, data, len);
    q->bytes += len - replaced;
    if (lane == SENDQ_LATEST) {
        int dropped = q->latest != NULL;

        free(q->latest);
        q->latest = item;
        return dropped;
    }
    if (q->tail)
        q->tail->next = item;
    else
        q->head = item;
    q->tail = item;
    return 0;
}

struct sendq_item *sendq_take(struct sendq *q)
{
    struct sendq_item *item = q->head;

    if (item) {
        q->head = item->next;
        if (!q->head)
            q->tail = NULL;
        item->next = NULL;
    } else {
        item = q->latest;
        q->latest = NULL;
    }
    if (item)
        q->bytes -= item->len;
    return item;
}

void sendq_clear(struct sendq *q)
{
    struct sendq_item *item;

    while ((item = sendq_take(q)))
        free(item);
}
