#include "wsd/motions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same(const struct motion *one, const char *device_id, enum msg_type type)
{
    return one->type == type && strcmp(one->device_id, device_id) == 0;
}

static void take_out(struct motions *m, unsigned i)
{
    m->list[i] = m->list[--m->count];
}

static void add(struct motions *m, const char *device_id, enum msg_type type, int64_t now_ms)
{
    if (m->count == m->cap) {
        unsigned cap = m->cap ? m->cap * 2 : 2;
        struct motion *list = cap <= MOTIONS_MAX ? realloc(m->list, cap * sizeof(*list)) : NULL;
        if (list == NULL)
            return;
        m->list = list;
        m->cap = cap;
    }
    struct motion *one = &m->list[m->count++];
    *one = (struct motion){.type = type, .at_ms = now_ms};
    snprintf(one->device_id, sizeof(one->device_id), "%s", device_id);
}

void motions_note(struct motions *m, const char *device_id, enum msg_type type, bool zero, int64_t now_ms)
{
    const char *id = device_id ? device_id : "";
    for (unsigned i = 0; i < m->count;) {
        struct motion *one = &m->list[i];
        bool hit = same(one, id, type);
        if (zero && (hit || (*id == '\0' && one->type == type))) {
            take_out(m, i);
        } else if (hit) {
            one->at_ms = now_ms;
            return;
        } else {
            i++;
        }
    }
    if (!zero)
        add(m, id, type, now_ms);
}

void motions_owe(struct motions *m, const char *device_id, enum msg_type type)
{
    motions_note(m, device_id, type, false, MOTIONS_OWED);
}

bool motions_ended_by(const struct motions *m, const char *device_id, enum msg_type type)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct motion *one = &m->list[i];
        if (one->type == type && (device_id == NULL || same(one, device_id, type)))
            return true;
    }
    return false;
}

bool motions_take(struct motions *m, int64_t before_ms, struct motion *out)
{
    for (unsigned i = 0; i < m->count; i++) {
        if (m->list[i].at_ms >= before_ms)
            continue;
        *out = m->list[i];
        take_out(m, i);
        return true;
    }
    return false;
}

void motions_finish(struct motions *m)
{
    free(m->list);
    memset(m, 0, sizeof(*m));
}
