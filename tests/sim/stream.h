/* A Redis stream, as far as relays use one: how many entries, the newest id, and the newest entries themselves. */
#ifndef TELERELAY_SIM_STREAM_H
#define TELERELAY_SIM_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#define STREAM_KEPT 256 /* entries that can be read; older ones only count */

struct stream_entry {
    long long ms, seq;
    char *field, *value;
};

/* All zero is an empty one. */
struct stream {
    size_t entries;
    long long last_ms, last_seq;
    struct stream_entry kept[STREAM_KEPT]; /* a ring */
    size_t first, count;
};

/* id: "*", "MS-*", "MS-SEQ". The new id, or false: it is not higher than the last. maxlen 0: any number. */
bool stream_add(struct stream *s, const char *id, long long now_ms, size_t maxlen, const char *field,
                const char *value);
const struct stream_entry *stream_at(const struct stream *s, size_t i); /* i < s->count, oldest first */
void stream_copy(struct stream *to, const struct stream *from);
void stream_clear(struct stream *s);

#endif
