#include "tests/sim/stream.h"

#include <stdlib.h>
#include <string.h>

static char *copy_of(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    return copy;
}

const struct stream_entry *stream_at(const struct stream *s, size_t i)
{
    return &s->kept[(s->first + i) % STREAM_KEPT];
}

static void drop_first(struct stream *s)
{
    struct stream_entry *e = &s->kept[s->first];
    free(e->field);
    free(e->value);
    *e = (struct stream_entry){0};
    s->first = (s->first + 1) % STREAM_KEPT;
    s->count--;
}

static void keep(struct stream *s, long long ms, long long seq, const char *field, const char *value)
{
    if (s->count == STREAM_KEPT)
        drop_first(s);
    s->kept[(s->first + s->count++) % STREAM_KEPT] = (struct stream_entry){ms, seq, copy_of(field), copy_of(value)};
}

bool stream_add(struct stream *s, const char *id, long long now_ms, size_t maxlen, const char *field, const char *value)
{
    bool own = *id != '*';
    long long ms = own ? atoll(id) : now_ms, seq = 0;
    const char *dash = strchr(id, '-');
    if (ms == s->last_ms && s->last_ms > 0)
        seq = s->last_seq + 1;
    if (own && dash != NULL && dash[1] != '*')
        seq = atoll(dash + 1);
    if (ms < s->last_ms || (ms == s->last_ms && seq <= s->last_seq)) {
        if (own)
            return false;
        ms = s->last_ms;
        seq = s->last_seq + 1;
    }
    s->last_ms = ms;
    s->last_seq = seq;
    s->entries++;
    keep(s, ms, seq, field, value);
    while (maxlen > 0 && s->entries > maxlen) {
        if (s->count == s->entries)
            drop_first(s);
        s->entries--;
    }
    return true;
}

void stream_copy(struct stream *to, const struct stream *from)
{
    *to = (struct stream){.entries = from->entries, .last_ms = from->last_ms, .last_seq = from->last_seq};
    for (size_t i = 0; i < from->count; i++) {
        const struct stream_entry *e = stream_at(from, i);
        keep(to, e->ms, e->seq, e->field, e->value);
    }
}

void stream_clear(struct stream *s)
{
    while (s->count > 0)
        drop_first(s);
    *s = (struct stream){0};
}
