#include "wsd/bus_wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bus_wire_name(char out[MSG_NAME_MAX + 1], const char *name)
{
    size_t n = 0;
    for (; name != NULL && name[n] != '\0' && n < MSG_NAME_MAX; n++) {
        char c = name[n];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        out[n] = plain || strchr("_.@+-", c) != NULL ? c : '_';
    }
    if (n == 0)
        out[n++] = '-';
    out[n] = '\0';
}

void bus_wire_sender(char out[BUS_WIRE_SENDER_MAX], const char *instance, uint64_t number)
{
    snprintf(out, BUS_WIRE_SENDER_MAX, "%s/%" PRIu64, instance, number);
}

size_t bus_wire_tail(char out[BUS_WIRE_TAIL_MAX], const char *sender, int64_t t0, const char *id)
{
    size_t id_len = id ? strnlen(id, MSG_COMMAND_ID_MAX) : 0;
    int n = snprintf(out, BUS_WIRE_TAIL_MAX, "%s/%" PRId64 " %zu %.*s", sender, t0, id_len, (int)id_len, id ? id : "");
    return (size_t)n < BUS_WIRE_TAIL_MAX ? (size_t)n : BUS_WIRE_TAIL_MAX - 1;
}

/* --- reading ------------------------------------------------------------------------------- */

/* What has not been read yet. After a failure nothing more is read: callers check `bad` once. */
struct reader {
    const char *at, *end;
    bool bad;
};

static struct reader begin(const char *text, size_t len)
{
    return (struct reader){.at = text, .end = text + len};
}

static bool skip(struct reader *r, char c)
{
    if (r->bad || r->at == r->end || *r->at != c) {
        r->bad = true;
        return false;
    }
    r->at++;
    return true;
}

static bool skip_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if (r->bad || (size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return false;
    r->at += len;
    return true;
}

/* Decimal digits, nothing else. */
static uint64_t take_u64(struct reader *r)
{
    const char *start = r->at;
    uint64_t value = 0;
    for (; !r->bad && r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        uint64_t digit = (uint64_t)(*r->at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            r->bad = true;
            return 0;
        }
        value = value * 10 + digit;
    }
    r->bad = r->bad || r->at == start;
    return r->bad ? 0 : value;
}

static int64_t take_i64(struct reader *r)
{
    uint64_t value = take_u64(r);
    r->bad = r->bad || value > INT64_MAX;
    return r->bad ? 0 : (int64_t)value;
}

static bool take_bit(struct reader *r)
{
    uint64_t value = take_u64(r);
    r->bad = r->bad || value > 1;
    return value == 1;
}

/* Up to `stop` or the end, at least one byte, into out as a string. */
static void take_text(struct reader *r, char stop, char *out, size_t cap)
{
    const char *start = r->at;
    size_t len;
    while (!r->bad && r->at < r->end && *r->at != stop && *r->at != '\0')
        r->at++;
    len = (size_t)(r->at - start);
    if (r->bad || len == 0 || len >= cap) {
        r->bad = true;
        return;
    }
    memcpy(out, start, len);
    out[len] = '\0';
}

static bool valid_device(struct reader *r, const char *id)
{
    r->bad = r->bad || !msg_device_id_valid(id, strlen(id));
    return !r->bad;
}

bool bus_wire_parse_presence(const char *text, size_t len, struct presence_event *out)
{
    struct reader r = begin(text, len);
    *out = (struct presence_event){.seq = take_u64(&r)};
    out->up = skip_word(&r, " up ");
    if (!out->up && !skip_word(&r, " down "))
        return false;
    out->conn = take_u64(&r);
    if (!skip(&r, ' ') || !msg_device_id_valid(r.at, (size_t)(r.end - r.at)))
        return false;
    out->device_id = r.at;
    return true;
}

static enum msg_type type_from_name(const char *name)
{
    for (int t = MSG_NONE + 1; t < MSG_TYPES; t++) {
        enum msg_type type = (enum msg_type)t;
        if ((msg_is_command(type) || type == MSG_STOP || type == MSG_REARM) && strcmp(msg_type_name(type), name) == 0)
            return type;
    }
    return MSG_NONE;
}

/* "INSTANCE/NUMBER/T0" */
static void take_origin(struct reader *r, const char *own, struct bus_wire_order *out)
{
    struct bus_origin *origin = &out->order.origin;
    take_text(r, '/', out->instance, sizeof(out->instance));
    skip(r, '/');
    origin->number = take_u64(r);
    skip(r, '/');
    origin->t0 = take_i64(r);
    origin->instance = r->bad || strcmp(out->instance, own) == 0 ? NULL : out->instance;
}

/* "DEADLINE_MS TYPE SEQ SENDER/T0 IDLEN ID JSON" */
static bool take_order(struct reader *r, const char *own, int64_t now_ms, struct bus_wire_order *out)
{
    struct bus_order *o = &out->order;
    char type[32] = "";
    int64_t deadline = take_i64(r);
    skip(r, ' ');
    take_text(r, ' ', type, sizeof(type));
    skip(r, ' ');
    o->seq = take_i64(r);
    skip(r, ' ');
    take_origin(r, own, out);
    skip(r, ' ');
    uint64_t id_len = take_u64(r);
    skip(r, ' ');
    if (r->bad || id_len > MSG_COMMAND_ID_MAX || id_len > (uint64_t)(r->end - r->at))
        return false;
    o->id = r->at;
    o->id_len = (size_t)id_len;
    r->at += id_len;
    if (!skip(r, ' ') || r->at == r->end)
        return false;
    o->json = r->at;
    o->len = (size_t)(r->end - r->at);
    o->type = type_from_name(type);
    o->left_ms = deadline == 0 ? INT64_MAX : deadline - now_ms;
    return o->type != MSG_NONE;
}

enum bus_wire_kind bus_wire_parse_command(const char *text, size_t len, const char *own, int64_t now_ms,
                                          struct bus_wire_order *out)
{
    struct reader r = begin(text, len);
    *out = (struct bus_wire_order){.order.id = ""};
    if (!skip_word(&r, "watch "))
        return take_order(&r, own, now_ms, out) ? BUS_WIRE_ORDER : BUS_WIRE_NOTHING;
    take_text(&r, ' ', out->instance, sizeof(out->instance));
    return !r.bad && r.at == r.end ? BUS_WIRE_WATCH : BUS_WIRE_NOTHING;
}

enum bus_wire_kind bus_wire_parse_relay(const char *text, size_t len, struct bus_wire_relay *out)
{
    struct reader r = begin(text, len);
    enum bus_wire_kind kind = BUS_WIRE_NOTHING;
    *out = (struct bus_wire_relay){0};
    if (skip_word(&r, "kick ")) {
        out->number = take_u64(&r);
        skip(&r, ' ');
        if (!r.bad && msg_device_id_valid(r.at, (size_t)(r.end - r.at)))
            kind = BUS_WIRE_KICK;
    } else if (skip_word(&r, "receipt ")) {
        out->number = take_u64(&r);
        skip(&r, ' ');
        out->t0 = take_i64(&r);
        skip(&r, ' ');
        if (!r.bad && r.at < r.end)
            kind = BUS_WIRE_RECEIPT;
    } else if (skip_word(&r, "states") && (r.at == r.end || *r.at == '\n')) {
        kind = BUS_WIRE_STATES;
    }
    out->rest = r.at;
    out->len = (size_t)(r.end - r.at);
    return kind;
}

/* --- states -------------------------------------------------------------------------------- */

/* "ID SEQ STOPPED CONFIRMED AT_MS BY" */
static void take_stop(struct reader *r, struct bus_wire_state *out)
{
    struct bus_stop_state *s = &out->stop;
    s->seq = take_i64(r);
    skip(r, ' ');
    s->stopped = take_bit(r);
    skip(r, ' ');
    s->confirmed = take_bit(r);
    skip(r, ' ');
    s->at_ms = take_i64(r);
    skip(r, ' ');
    take_text(r, '\n', out->name, sizeof(out->name));
    s->device_id = out->device_id;
    s->by = out->name;
}

/* "ID EPOCH SENDER NAME"; "- -": nobody */
static void take_control(struct reader *r, const char *own, struct bus_wire_state *out)
{
    struct bus_control_state *s = &out->control;
    char instance[BUS_WIRE_INSTANCE_MAX] = "";
    s->device_id = out->device_id;
    s->epoch = take_i64(r);
    skip(r, ' ');
    if (skip_word(r, "- -"))
        return;
    take_text(r, '/', instance, sizeof(instance));
    skip(r, '/');
    s->number = take_u64(r);
    skip(r, ' ');
    take_text(r, '\n', out->name, sizeof(out->name));
    s->name = out->name;
    if (strcmp(instance, own) != 0)
        s->number = 0;
}

enum bus_wire_kind bus_wire_parse_state(const char *text, size_t len, const char *own, struct bus_wire_state *out)
{
    struct reader r = begin(text, len);
    memset(out, 0, sizeof(*out));
    bool stop = skip_word(&r, "stop ");
    if (!stop && !skip_word(&r, "control "))
        return BUS_WIRE_NOTHING;
    take_text(&r, ' ', out->device_id, sizeof(out->device_id));
    if (!valid_device(&r, out->device_id) || !skip(&r, ' '))
        return BUS_WIRE_NOTHING;
    if (stop)
        take_stop(&r, out);
    else
        take_control(&r, own, out);
    if (r.bad || r.at != r.end)
        return BUS_WIRE_NOTHING;
    return stop ? BUS_WIRE_STOP : BUS_WIRE_CONTROL;
}

static size_t count_lines(const char *text, size_t len)
{
    size_t n = 1;
    for (const char *at = text; (at = memchr(at, '\n', (size_t)(text + len - at))) != NULL; at++)
        n++;
    return n;
}

int bus_wire_parse_states(const char *text, size_t len, const char *own, struct bus_wire_states *out)
{
    size_t lines = count_lines(text, len);
    const char *end = text + len;
    *out = (struct bus_wire_states){.lines = calloc(lines, sizeof(*out->lines)),
                                    .stops = calloc(lines, sizeof(*out->stops)),
                                    .controls = calloc(lines, sizeof(*out->controls))};
    if (out->lines == NULL || out->stops == NULL || out->controls == NULL) {
        bus_wire_states_finish(out);
        return -1;
    }
    for (size_t i = 0; i < lines; i++) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((eol ? eol : end) - text);
        struct bus_wire_state *line = &out->lines[i];
        enum bus_wire_kind kind = bus_wire_parse_state(text, n, own, line);
        if (kind == BUS_WIRE_STOP)
            out->stops[out->n_stops++] = line->stop;
        else if (kind == BUS_WIRE_CONTROL)
            out->controls[out->n_controls++] = line->control;
        text = eol ? eol + 1 : end;
    }
    return 0;
}

void bus_wire_states_finish(struct bus_wire_states *s)
{
    free(s->lines);
    free(s->stops);
    free(s->controls);
    *s = (struct bus_wire_states){0};
}
