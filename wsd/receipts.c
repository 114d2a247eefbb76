#include "wsd/receipts.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static struct receipt *take_out(struct receipts *r, struct receipt *one)
{
    DL_DELETE(r->list, one);
    r->count--;
    r->nameless -= one->id[0] == '\0';
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
    r->nameless += o->id_len == 0;
    return oldest;
}

struct receipt *receipts_find(const struct receipts *r, int64_t seq, const char *id)
{
    struct receipt *one;
    DL_FOREACH (r->list, one) {
        if (seq >= 0 ? one->seq == seq : id != NULL && *id != '\0' && strcmp(one->id, id) == 0)
            break;
    }
    return one;
}

struct receipt *receipts_take(struct receipts *r, int64_t seq, const char *id)
{
    struct receipt *one = receipts_find(r, seq, id);
    return one ? take_out(r, one) : NULL;
}

struct receipt *receipts_take_any(struct receipts *r)
{
    return r->list ? take_out(r, r->list) : NULL;
}

void receipts_sent(struct receipts *r)
{
    struct receipt *one, *next;
    if (r->nameless == 0)
        return;
    DL_FOREACH_SAFE (r->list, one, next) {
        if (one->id[0] == '\0')
            free(take_out(r, one));
    }
}

static bool same_origin(const struct bus_origin *a, const struct bus_origin *b)
{
    return a->number == b->number &&
           (a->instance && b->instance ? strcmp(a->instance, b->instance) == 0 : a->instance == b->instance);
}

bool receipts_renumber(struct receipts *r, const struct bus_order *o)
{
    struct receipt *one;
    DL_FOREACH (r->list, one) {
        if (one->type != o->type || !same_origin(&one->origin, &o->origin) || strlen(one->id) != o->id_len ||
            memcmp(one->id, o->id, o->id_len) != 0)
            continue;
        one->seq = o->seq;
        return true;
    }
    return false;
}
