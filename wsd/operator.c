#include "wsd/operator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct operator* operator_create(struct session *s, uint64_t number, uint64_t random)
{
    struct operator* op = calloc(1, sizeof(*op));
    if (op == NULL)
        return NULL;
    op->session = s;
    op->number = number;
    snprintf(op->name, sizeof(op->name), "guest-%06x", (unsigned)(random & 0xffffff));
    return op;
}

void operator_destroy(struct operator* op)
{
    struct operator_early *early;
    if (op == NULL)
        return;
    op->open_stops = 0;
    while ((early = operator_take_early(op)) != NULL)
        free(early);
    dedupe_finish(&op->sent);
    motions_finish(&op->motions);
    free(op->leases);
    free(op->watched);
    free(op);
}

bool operator_defer(struct operator* op, const char *text, size_t len)
{
    struct operator_early *one;
    if (op->open_stops == 0 || op->n_early == OPERATOR_EARLY || (one = malloc(sizeof(*one) + len)) == NULL)
        return false;
    one->len = len;
    memcpy(one->text, text, len);
    DL_APPEND(op->early, one);
    op->n_early++;
    return true;
}

struct operator_early *operator_take_early(struct operator* op)
{
    struct operator_early *one = op->open_stops == 0 ? op->early : NULL;
    if (one != NULL) {
        DL_DELETE(op->early, one);
        op->n_early--;
    }
    return one;
}

void operator_commanded(struct operator* op, const char *device_id, int64_t now_ms)
{
    const char *id = device_id ? device_id : "";
    struct operator_interest *at = NULL;
    for (unsigned i = 0; i < op->n_interests; i++) {
        struct operator_interest *one = &op->interests[i];
        if (strcmp(one->device_id, id) == 0) {
            one->at_ms = now_ms;
            return;
        }
        if (at == NULL || one->at_ms < at->at_ms)
            at = one;
    }
    if (op->n_interests < OPERATOR_INTERESTS)
        at = &op->interests[op->n_interests++];
    snprintf(at->device_id, sizeof(at->device_id), "%s", id);
    at->at_ms = now_ms;
}

bool operator_wants_heartbeat(const struct operator* op, const char *device_id, int64_t now_ms)
{
    for (unsigned i = 0; i < op->n_interests; i++) {
        const struct operator_interest *one = &op->interests[i];
        if (now_ms - one->at_ms < OPERATOR_INTEREST_MS &&
            (one->device_id[0] == '\0' || strcmp(one->device_id, device_id) == 0))
            return true;
    }
    return op->watched != NULL && operator_watches(op, device_id);
}

int operator_watch(struct operator* op, const char *const *device_ids, size_t n)
{
    char(*list)[MSG_DEVICE_ID_MAX + 1] = NULL;
    if (n > 0) {
        list = calloc(n, sizeof(*list));
        if (list == NULL)
            return -1;
    }
    for (size_t i = 0; i < n; i++)
        snprintf(list[i], sizeof(*list), "%s", device_ids[i]);
    free(op->watched);
    op->watched = list;
    op->n_watched = (unsigned)n;
    return 0;
}

bool operator_watches(const struct operator* op, const char *device_id)
{
    for (unsigned i = 0; i < op->n_watched; i++) {
        if (strcmp(op->watched[i], device_id) == 0)
            return true;
    }
    return op->watched == NULL;
}

struct operator_lease *operator_find_lease(struct operator* op, const char *device_id)
{
    for (unsigned i = 0; i < op->n_leases; i++) {
        if (strcmp(op->leases[i].device_id, device_id) == 0)
            return &op->leases[i];
    }
    return NULL;
}

struct operator_lease *operator_add_lease(struct operator* op, const char *device_id)
{
    struct operator_lease *lease = operator_find_lease(op, device_id);
    if (lease != NULL)
        return lease;
    if (op->leases == NULL)
        op->leases = calloc(OPERATOR_LEASES, sizeof(*op->leases));
    if (op->leases == NULL || op->n_leases == OPERATOR_LEASES)
        return NULL;
    lease = &op->leases[op->n_leases++];
    *lease = (struct operator_lease){.renewed_ms = 0};
    snprintf(lease->device_id, sizeof(lease->device_id), "%s", device_id);
    return lease;
}

void operator_drop_lease(struct operator* op, struct operator_lease *lease)
{
    *lease = op->leases[--op->n_leases];
}
