#include "wsd/receipts.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static struct receipt *take_out(struct receipts *r, struct receipt *one)
{
    DL_DELETE(r->list, one);
    r->count--;
    return one;
}

struct receipt *receipts_add(struct receipts *r, const struct bus_order *o)
{
    size_t instance_len = o->origin.instance ? strlen(o->origin.instance) + 1 : 0;
    struct receipt *one = malloc(sizeof(*one) + o->id_len + 1 + instance_len);
    if (one == NULL)
        return NULL;
    *one = (struct receipt){.seq = o->seq, .type = o->type, .origin = o->origin, .id = one->text};
    memcpy(one->text, o->id, o->id_len);
    one->text[o->id_len] = '\0';
    if (instance_len > 0)
        one->origin.instance = memcpy(one->text + o->id_len + 1, o->origin.instance, instance_len);
    struct receipt *oldest = r->count == RECEIPTS_MAX ? take_out(r, r->list) : NULL;
    DL_APPEND(r->list, one);
    r->count++;
    return oldest;
}

struct receipt *receipts_take(struct receipts *r, int64_t seq, const char *id)
{
    struct receipt *one;
    DL_FOREACH (r->list, one) {
        if (seq >= 0 ? one->seq == seq : id != NULL && strcmp(one->id, id) == 0)
            return take_out(r, one);
    }
    return NULL;
}

struct receipt *receipts_take_any(struct receipts *r)
{
    return r->list ? take_out(r, r->list) : NULL;
}

bool receipts_waiting(const struct receipts *r, const struct bus_order *o)
{
    const struct receipt *one;
    DL_FOREACH (r->list, one) {
        if (one->origin.number == o->origin.number && strlen(one->id) == o->id_len &&
            memcmp(one->id, o->id, o->id_len) == 0)
            return true;
    }
    return false;
}
