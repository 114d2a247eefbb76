#include "fcgi/history.h"

#include "common/clock.h"
#include "common/sample.h"
#include "fcgi/timeparam.h"

#include <stdlib.h>
#include <string.h>

static const char *const known_telemetry[] = {"device_id", "from",   "to",   "limit",  "order", "cursor",
                                              "fields",    "format", "step", "points", "agg",   NULL};
static const char *const known_commands[] = {"device_id", "from", "to", "limit", "order", "cursor", NULL};
static const char *const known_events[] = {"device_id", "kind", "from", "to", "limit", "order", "cursor", NULL};

/* The next piece of a comma list, from *at; false at the end. */
static bool next_piece(const struct query_param *p, size_t *at, const char **piece, size_t *len)
{
    if (*at > p->len)
        return false;
    const char *comma = memchr(p->value + *at, ',', p->len - *at);
    size_t end = comma ? (size_t)(comma - p->value) : p->len;
    *piece = p->value + *at;
    *len = end - *at;
    *at = end + 1;
    return true;
}

static int add_kind(unsigned *kinds, const char *name, size_t len, struct fault *fault)
{
    char quoted[FAULT_QUOTE_MAX];
    int kind = audit_kind_find(name, len);
    if (kind < 0)
        return fault_set(fault, "kind must be %s, not %s", audit_kind_list, fault_quote(quoted, name, len));
    *kinds |= 1u << kind;
    return 0;
}

static int parse_kinds(struct history *h, const struct query *q, struct fault *fault)
{
    h->kinds = 0;
    for (size_t i = 0; i < q->n; i++) {
        const char *piece;
        size_t at = 0, len;
        if (strcmp(q->params[i].name, "kind") != 0)
            continue;
        while (next_piece(&q->params[i], &at, &piece, &len)) {
            if (add_kind(&h->kinds, piece, len, fault) < 0)
                return -1;
        }
    }
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add_device(char (*devices)[MSG_DEVICE_ID_MAX + 1], size_t *n, const char *id, size_t len,
                      struct fault *fault)
{
    char quoted[FAULT_QUOTE_MAX];
    if (!msg_device_id_valid(id, len))
        return fault_set(fault, "device_id must be 1 to %d of A-Z a-z 0-9 _ . -, not %s", MSG_DEVICE_ID_MAX,
                         fault_quote(quoted, id, len));
    for (size_t i = 0; i < *n; i++) {
        if (strlen(devices[i]) == len && memcmp(devices[i], id, len) == 0)
            return 0;
    }
    if (*n == HISTORY_DEVICES_MAX)
        return fault_set(fault, "device_id names more than %d devices", HISTORY_DEVICES_MAX);
    memcpy(devices[*n], id, len);
    devices[*n][len] = '\0';
    (*n)++;
    return 0;
}

int history_devices(const struct query *q, char (*devices)[MSG_DEVICE_ID_MAX + 1], struct fault *fault)
{
    size_t n = 0;
    for (size_t i = 0; i < q->n; i++) {
        const char *piece;
        size_t at = 0, len;
        if (strcmp(q->params[i].name, "device_id") != 0)
            continue;
        while (next_piece(&q->params[i], &at, &piece, &len)) {
            if (add_device(devices, &n, piece, len, fault) < 0)
                return -1;
        }
    }
    qsort(devices, n, sizeof(*devices), compare_ids);
    return (int)n;
}

static int parse_time(const struct query *q, const char *name, int64_t now_ms, bool *has, int64_t *ms, bool *relative,
                      struct fault *fault)
{
    const struct query_param *p;
    char quoted[FAULT_QUOTE_MAX];
    *has = *relative = false;
    *ms = 0;
    if (query_single(q, name, &p, fault) < 0)
        return -1;
    if (!p)
        return 0;
    if (timeparam_parse(p->value, p->len, now_ms, ms, relative) < 0)
        return fault_set(fault, "%s must be " TIMEPARAM_ALLOWED ", not %s", name,
                         fault_quote(quoted, p->value, p->len));
    *has = true;
    return 0;
}

static int parse_limit(struct history *h, const struct query *q, struct fault *fault)
{
    const struct query_param *p;
    char quoted[FAULT_QUOTE_MAX];
    h->limit = h->steps.n_aggs > 0 ? HISTORY_LIMIT_STEPS : HISTORY_LIMIT;
    h->has_limit = false;
    if (query_single(q, "limit", &p, fault) < 0)
        return -1;
    if (!p)
        return 0;
    int value = 0;
    bool bad = p->len == 0 || p->len > 5;
    for (size_t i = 0; i < p->len && !bad; i++) {
        bad = p->value[i] < '0' || p->value[i] > '9';
        value = value * 10 + (p->value[i] - '0');
    }
    if (bad || value < 1 || value > HISTORY_LIMIT_MAX)
        return fault_set(fault, "limit must be a whole number from 1 to %d, not %s", HISTORY_LIMIT_MAX,
                         fault_quote(quoted, p->value, p->len));
    h->limit = value;
    h->has_limit = true;
    return 0;
}

/* One of n words; the first is the default. `allowed` lists them for people. */
static int parse_choice(const struct query *q, const char *name, const char *const *words, size_t n,
                        const char *allowed, size_t *chosen, struct fault *fault)
{
    const struct query_param *p;
    char quoted[FAULT_QUOTE_MAX];
    *chosen = 0;
    if (query_single(q, name, &p, fault) < 0)
        return -1;
    while (p && *chosen < n && strcmp(p->value, words[*chosen]) != 0)
        ++*chosen;
    if (*chosen == n)
        return fault_set(fault, "%s must be %s, not %s", name, allowed, fault_quote(quoted, p->value, p->len));
    return 0;
}

static int add_field(struct history *h, const char *name, size_t len, struct fault *fault)
{
    char quoted[FAULT_QUOTE_MAX];
    if (!msg_metric_name_valid(name, len))
        return fault_set(fault, "fields must be a comma list of metric names, not %s", fault_quote(quoted, name, len));
    if (sample_reserved(name, len)) /* always there */
        return 0;
    for (size_t i = 0; i < h->n_fields; i++) {
        if (strlen(h->fields[i]) == len && memcmp(h->fields[i], name, len) == 0)
            return 0;
    }
    if (h->n_fields == MSG_METRICS_MAX)
        return fault_set(fault, "fields names more than %d metrics", MSG_METRICS_MAX);
    memcpy(h->fields[h->n_fields], name, len);
    h->fields[h->n_fields++][len] = '\0';
    return 0;
}

static int parse_fields(struct history *h, const struct query *q, struct fault *fault)
{
    const struct query_param *p;
    const char *piece;
    size_t at = 0, len;
    h->n_fields = 0;
    if (query_single(q, "fields", &p, fault) < 0)
        return -1;
    h->has_fields = p != NULL;
    while (p && next_piece(p, &at, &piece, &len)) {
        if (add_field(h, piece, len, fault) < 0)
            return -1;
    }
    return 0;
}

static const char *const walk_names[] = {
    [CURSOR_TELEMETRY] = "telemetry", [CURSOR_COMMANDS] = "commands", [CURSOR_EVENTS] = "events"};

static int parse_cursor(struct history *h, const struct query *q, struct fault *fault)
{
    const struct query_param *p;
    char quoted[FAULT_QUOTE_MAX];
    h->has_cursor = false;
    if (query_single(q, "cursor", &p, fault) < 0)
        return -1;
    if (!p)
        return 0;
    if (cursor_decode(p->value, p->len, &h->cursor) < 0)
        return fault_set(fault, "cursor must be the next_cursor of an earlier answer, not %s",
                         fault_quote(quoted, p->value, p->len));
    if (h->cursor.walk != h->walk)
        return fault_set(fault, "cursor belongs to a walk through %s", walk_names[h->cursor.walk]);
    if (h->cursor.descending != h->descending)
        return fault_set(fault, "cursor belongs to a walk with order=%s", h->cursor.descending ? "desc" : "asc");
    h->has_cursor = true;
    return 0;
}

static int parse_bounds(struct history *h, const struct query *q, int64_t now_ms, struct fault *fault)
{
    bool from_relative, to_relative;
    if (parse_time(q, "from", now_ms, &h->has_from, &h->from_ms, &from_relative, fault) < 0 ||
        parse_time(q, "to", now_ms, &h->has_to, &h->to_ms, &to_relative, fault) < 0)
        return -1;
    h->moves = from_relative || to_relative;
    /* "The last 15 minutes" of a walk are those before its start, on every page. */
    if (h->has_cursor && from_relative && h->cursor.has_from)
        h->from_ms = h->cursor.from_ms;
    if (h->has_cursor && to_relative && h->cursor.has_to)
        h->to_ms = h->cursor.to_ms;
    if (h->has_from && h->has_to && h->from_ms > h->to_ms)
        return fault_set(fault, "from must not be after to");
    return 0;
}

/* How long a bucket is, on every page of a walk. */
static int settle_step(struct history *h, int64_t now_ms, struct fault *fault)
{
    char text[STEPS_TEXT_MAX];
    int64_t walk = h->has_cursor ? h->cursor.step_ms : 0;
    if (h->steps.points && !h->has_from)
        return fault_set(fault, "points needs from");
    if (h->steps.points && h->has_cursor) {
        h->steps.ms = walk; /* the first page has said it */
    } else if (h->steps.points) {
        int64_t from_ms = h->from_ms > 0 ? h->from_ms : 0, to_ms = h->has_to ? h->to_ms : now_ms;
        h->steps.ms = steps_fit(from_ms, to_ms > from_ms ? to_ms : from_ms, h->steps.points);
    }
    if (h->has_cursor && walk == 0 && h->steps.n_aggs > 0)
        return fault_set(fault, "cursor belongs to a walk without step and points");
    if (h->has_cursor && walk != h->steps.ms) {
        steps_format(text, walk);
        return fault_set(fault, "cursor belongs to a walk with step=%s", text);
    }
    return 0;
}

static int parse_devices(struct history *h, const struct query *q, struct fault *fault)
{
    int n = history_devices(q, h->devices, fault);
    if (n < 0)
        return -1;
    if (n == 0 && h->walk != CURSOR_EVENTS)
        return fault_set(fault, "device_id is required");
    h->n_devices = (size_t)n;
    return 0;
}

static int parse_form(struct history *h, const struct query *q, struct fault *fault)
{
    static const char *const orders[] = {"desc", "asc"};
    static const char *const formats[HISTORY_FORMATS] = {
        [HISTORY_JSON] = "json", [HISTORY_COLUMNS] = "columns", [HISTORY_CSV] = "csv", [HISTORY_NDJSON] = "ndjson"};
    size_t order, format;
    if (parse_choice(q, "order", orders, 2, "desc or asc", &order, fault) < 0 ||
        parse_choice(q, "format", formats, HISTORY_FORMATS, "json, columns, csv or ndjson", &format, fault) < 0)
        return -1;
    h->descending = order == 0;
    h->format = (enum history_format)format;
    return 0;
}

int history_parse(struct history *h, enum cursor_walk walk, const struct query *q, int64_t now_ms, struct fault *fault)
{
    static const char *const *const known[] = {
        [CURSOR_TELEMETRY] = known_telemetry, [CURSOR_COMMANDS] = known_commands, [CURSOR_EVENTS] = known_events};
    h->walk = walk;
    if (query_only(q, known[walk], fault) < 0 || parse_devices(h, q, fault) < 0 || parse_form(h, q, fault) < 0 ||
        parse_kinds(h, q, fault) < 0 || steps_parse(&h->steps, q, fault) < 0 || parse_limit(h, q, fault) < 0 ||
        parse_cursor(h, q, fault) < 0 || parse_bounds(h, q, now_ms, fault) < 0 || settle_step(h, now_ms, fault) < 0)
        return -1;
    return parse_fields(h, q, fault);
}

static const struct streamid_range nothing = {.lo = {1, 0}, .hi = {0, 0}};

struct streamid_range history_range(const struct history *h, const char *device_id)
{
    struct streamid_range r = {.lo = {0, 0}, .hi = {UINT64_MAX, UINT64_MAX}};
    if (h->has_from && h->from_ms > 0)
        r.lo.ms = (uint64_t)h->from_ms;
    if (h->has_to) {
        if (h->to_ms < 0)
            return nothing;
        r.hi.ms = (uint64_t)h->to_ms;
    }
    if (!h->has_cursor)
        return r;

    /* Equal ids go by device id: those of devices that the walk has yet to reach are still wanted. */
    struct streamid at = {h->cursor.ms, h->cursor.seq};
    int order = strcmp(device_id, h->cursor.device_id);
    if (h->descending) {
        if (order >= 0 && !streamid_before(&at))
            return nothing;
        if (streamid_compare(at, r.hi) < 0)
            r.hi = at;
    } else {
        if (order <= 0 && !streamid_after(&at))
            return nothing;
        if (streamid_compare(at, r.lo) > 0)
            r.lo = at;
    }
    return r;
}

bool history_buckets(const struct history *h, const char *device_id, int64_t *from_ms, int64_t *to_ms)
{
    int64_t from = h->has_from && h->from_ms > 0 ? h->from_ms : 0;
    int64_t to = h->has_to && h->to_ms < CLOCK_LAST_MS ? h->to_ms : CLOCK_LAST_MS;
    if (h->has_cursor) {
        /* As in history_range: of the bucket where the walk stands, some devices are still wanted. */
        int order = strcmp(device_id, h->cursor.device_id);
        int64_t at = h->cursor.ms < (uint64_t)CLOCK_LAST_MS ? (int64_t)h->cursor.ms : CLOCK_LAST_MS;
        int64_t behind = h->steps.ms < CLOCK_LAST_MS - at ? at + h->steps.ms : CLOCK_LAST_MS;
        int64_t last = (order < 0 ? behind : at) - 1, first = order > 0 ? at : behind;
        if (h->descending && last < to)
            to = last;
        if (!h->descending && first > from)
            from = first;
    }
    *from_ms = from;
    *to_ms = to;
    return from <= to;
}

void history_cursor(const struct history *h, struct streamid id, const char *device_id, struct cursor *c)
{
    memset(c, 0, sizeof(*c));
    c->walk = h->walk;
    c->descending = h->descending;
    c->step_ms = h->steps.ms;
    c->ms = id.ms;
    c->seq = h->steps.ms ? 0 : id.seq;
    memcpy(c->device_id, device_id, strnlen(device_id, MSG_DEVICE_ID_MAX));
    c->has_from = h->has_from;
    c->has_to = h->has_to;
    c->from_ms = h->has_from ? h->from_ms : 0;
    c->to_ms = h->has_to ? h->to_ms : 0;
}
