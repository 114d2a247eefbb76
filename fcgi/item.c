#include "fcgi/item.h"

#include "common/sample.h"

#include <string.h>

const char *item_timestamp(struct item_clock *clock, uint64_t ms)
{
    if (ms > CLOCK_LAST_MS) {
        clock->minute = 0;
        clock_format_ms(clock->text, CLOCK_LAST_MS);
        return clock->text;
    }
    uint64_t minute = ms / 60000;
    if (clock->minute != minute + 1) {
        clock_format_ms(clock->text, (int64_t)(minute * 60000));
        clock->minute = minute + 1;
    }
    unsigned rest = (unsigned)(ms % 60000);
    char *seconds = clock->text + 17; /* behind "2026-01-15T10:30:" */
    seconds[0] = (char)('0' + rest / 10000);
    seconds[1] = (char)('0' + rest / 1000 % 10);
    seconds[3] = (char)('0' + rest / 100 % 10);
    seconds[4] = (char)('0' + rest / 10 % 10);
    seconds[5] = (char)('0' + rest % 10);
    return clock->text;
}

#define HEAD_MAX (160 + MSG_DEVICE_ID_MAX)

/* Everything before the metrics, without the closing brace. Returns the new end. */
static char *put_head(char *out, struct item_clock *clock, const char *device_id, struct streamid id)
{
#define PUT_LITERAL(text) (memcpy(out, text, sizeof(text) - 1), out += sizeof(text) - 1)
    size_t n = strnlen(device_id, MSG_DEVICE_ID_MAX);
    PUT_LITERAL("{\"id\":\"");
    out += buf_digits(out, id.ms);
    *out++ = '-';
    out += buf_digits(out, id.seq);
    PUT_LITERAL("\",\"device_id\":\"");
    memcpy(out, device_id, n);
    out += n;
    PUT_LITERAL("\",\"timestamp\":\"");
    memcpy(out, item_timestamp(clock, id.ms), CLOCK_RFC3339_MS_LEN);
    out += CLOCK_RFC3339_MS_LEN;
    *out++ = '"';
    return out;
#undef PUT_LITERAL
}

void item_head(struct buf *out, struct item_clock *clock, const char *device_id, struct streamid id)
{
    char *start = buf_room(out, HEAD_MAX);
    if (start)
        out->len += (size_t)(put_head(start, clock, device_id, id) - start);
}

static void put_metric(struct buf *out, const struct sample_metric *m)
{
    buf_add(out, ",", 1);
    buf_add(out, m->name - 1, m->name_len + 2 + 1 + m->number_len); /* "name":number stands there as one piece */
}

void item_metrics(struct buf *out, const char *text, size_t len)
{
    struct sample_metric m;
    for (size_t at = 0; sample_next(text, len, &at, &m) > 0;) {
        if (!sample_reserved(m.name, m.name_len))
            put_metric(out, &m);
    }
}

void item_json(struct buf *out, struct item_clock *clock, const char *device_id, const struct series_sample *sample)
{
    char *start = buf_room(out, HEAD_MAX + sample->len + 2);
    if (!start)
        return;
    char *p = put_head(start, clock, device_id, sample->id);
    if (sample->len > 0) {
        *p++ = ',';
        memcpy(p, sample->text, sample->len);
        p += sample->len;
    }
    *p++ = '}';
    out->len += (size_t)(p - start);
}

void item_json_fields(struct buf *out, struct item_clock *clock, const char *device_id,
                      const struct series_sample *sample, const char (*fields)[MSG_METRIC_NAME_MAX + 1], size_t n)
{
    item_head(out, clock, device_id, sample->id);
    for (size_t i = 0; i < n; i++) {
        struct sample_metric m;
        if (sample_find(sample->text, sample->len, fields[i], strlen(fields[i]), &m))
            put_metric(out, &m);
    }
    buf_add(out, "}", 1);
}
