#include "robot/sendq.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct sendq_item *new_item(enum sendq_lane lane, const char *data, size_t len)
{
    struct sendq_item *item = malloc(sizeof(*item) + SENDQ_HEADROOM + len);

    if (item) {
        item->next = NULL;
        item->lane = lane;
        item->len = len;
        memcpy(item->buf + SENDQ_HEADROOM, data, len);
    }
    return item;
}

static void note_gone(struct sendq *q, const struct sendq_item *item)
{
    q->bytes -= item->len;
    if (item->lane == SENDQ_ANSWER)
        q->answers -= item->len;
}

static void drop_oldest_answer(struct sendq *q)
{
    struct sendq_item *before = NULL, *item = q->head;

    while (item->lane != SENDQ_ANSWER) {
        before = item;
        item = item->next;
    }
    if (before)
        before->next = item->next;
    else
        q->head = item->next;
    if (q->tail == item)
        q->tail = before;
    note_gone(q, item);
    free(item);
}

int sendq_put(struct sendq *q, enum sendq_lane lane, const char *data, size_t len)
{
    bool latest = lane == SENDQ_LATEST;
    size_t room = latest ? (q->latest ? q->latest->len : 0) : q->answers; /* that could be made */
    struct sendq_item *item;
    int dropped = latest && q->latest;

    if (len > SENDQ_CAP || q->bytes - room > SENDQ_CAP - len)
        return -1;
    item = new_item(lane, data, len);
    if (!item)
        return -1;
    if (latest) {
        q->bytes += len - room;
        free(q->latest);
        q->latest = item;
        return dropped;
    }
    for (; q->bytes > SENDQ_CAP - len; dropped = 1)
        drop_oldest_answer(q);
    q->bytes += len;
    if (lane == SENDQ_ANSWER)
        q->answers += len;
    if (q->tail)
        q->tail->next = item;
    else
        q->head = item;
    q->tail = item;
    return dropped;
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
        note_gone(q, item);
    return item;
}

void sendq_clear(struct sendq *q)
{
    struct sendq_item *item;

    while ((item = sendq_take(q)))
        free(item);
}
