#include "clock.h"
#include "msg.h"
#include "msg_doc.h"
#include "msg_table.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int fail(struct msg_fault *fault, enum msg_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct msg_fault *fault, enum msg_code code, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(fault->text, sizeof fault->text, format, ap);
    va_end(ap);
    fault->code = code;
    return -1;
}

static int fail_range(struct msg_fault *fault, enum msg_code code, const char *name, const char *what, double min,
                      double max)
{
    char low[JSONW_NUMBER_MAX], high[JSONW_NUMBER_MAX];
    jsonw_format_number(low, min);
    jsonw_format_number(high, max);
    return fail(fault, code, "%s must be %s from %s to %s", name, what, low, high);
}

static int get_number(const struct msg_field *f, const json_t *value, double *out, struct msg_fault *fault)
{
    bool whole = f->kind != MSG_KIND_NUMBER;
    const char *what = whole ? "a whole number" : "a number";
    if (!json_is_number(value))
        return fail_range(fault, MSG_INVALID_MESSAGE, f->name, what, f->min, f->max);
    double v = json_number_value(value);
    if (v < f->min || v > f->max)
        return fail_range(fault, MSG_OUT_OF_RANGE, f->name, what, f->min, f->max);
    if (whole && v != (double)(int64_t)v)
        return fail_range(fault, MSG_INVALID_MESSAGE, f->name, what, f->min, f->max);
    *out = v + 0.0; /* minus zero becomes zero */
    return 0;
}

static int get_text(const struct msg_field *f, const json_t *value, const char **out, struct msg_fault *fault)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    if (text == NULL || (double)len < f->min || (double)len > f->max)
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be a string of %s%.0f bytes", f->name,
                    f->min > 0 ? "1 to " : "at most ", f->max);
    if (f->kind != MSG_KIND_TEXT && msg_has_control(text, len))
        return fail(fault, MSG_INVALID_MESSAGE, "%s must have no control characters", f->name);
    *out = text;
    return 0;
}

static int get_device_id(const struct msg_field *f, const json_t *value, const char **out, struct msg_fault *fault)
{
    const char *text = json_string_value(value);
    if (text == NULL || !msg_device_id_valid(text, json_string_length(value)))
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be a string of 1 to %d characters of A-Z a-z 0-9 _ . -",
                    f->name, MSG_DEVICE_ID_MAX);
    *out = text;
    return 0;
}

static int get_setting(const struct msg_field *f, const json_t *value, struct msg *m, struct msg_fault *fault)
{
    const char *text = json_string_value(value);
    if (text != NULL && strcmp(text, "speed") == 0)
        m->type = MSG_SET_SPEED;
    else if (text != NULL && strcmp(text, "brightness") == 0)
        m->type = MSG_SET_BRIGHTNESS;
    else
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be \"speed\" or \"brightness\"", f->name);
    return 0;
}

static bool is_base64(const char *text, size_t len)
{
    static const bool in_alphabet[256] = {
        ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1,
        ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1,
        ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1,
        ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
        ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
        ['y'] = 1, ['z'] = 1, ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
        ['8'] = 1, ['9'] = 1, ['+'] = 1, ['/'] = 1,
    };
    for (int padding = 0; padding < 2 && len > 0 && text[len - 1] == '='; padding++)
        len--;
    bool all = len > 0;
    for (size_t i = 0; i < len; i++)
        all &= in_alphabet[(unsigned char)text[i]];
    return all;
}

static int get_base64(const struct msg_field *f, const json_t *value, struct msg *m, struct msg_fault *fault)
{
    const struct msg_doc *doc = m->doc;
    const char *text = doc->blob != NULL ? doc->blob : json_string_value(value);
    size_t len = doc->blob != NULL ? doc->blob_len : json_string_length(value);
    if (text != NULL && (double)len > f->max)
        return fail(fault, MSG_TOO_LARGE, "%s may have at most %.0f bytes", f->name, f->max);
    if (text == NULL || !is_base64(text, len))
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be a string of base64", f->name);
    m->frame_data = text;
    m->frame_data_len = len;
    return 0;
}

static void get_time(const json_t *value, struct msg *m)
{
    int64_t ms = -1;
    if (json_is_string(value)) {
        if (clock_parse_rfc3339(json_string_value(value), json_string_length(value), &ms) != 0)
            return;
    } else if (json_is_number(value)) {
        double v = json_number_value(value);
        if (v < 1e11)
            v = v * 1000 + 0.5;
        if (v < 0 || v > (double)CLOCK_LAST_MS)
            return;
        ms = (int64_t)v;
    }
    m->has_time = ms >= 0;
    m->time_ms = ms >= 0 ? ms : 0;
}

static int get_bool(const struct msg_field *f, const json_t *value, bool *out, struct msg_fault *fault)
{
    if (!json_is_boolean(value))
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be true or false", f->name);
    *out = json_is_true(value);
    return 0;
}

static int get_outcome(const struct msg_field *f, const json_t *value, struct msg *m, struct msg_fault *fault)
{
    const char *text = json_string_value(value);
    for (int i = MSG_NO_OUTCOME + 1; text != NULL && i < MSG_OUTCOMES; i++) {
        if (strcmp(text, msg_outcome_name((enum msg_outcome)i)) == 0)
            m->outcome = (enum msg_outcome)i;
    }
    if (m->outcome == MSG_NO_OUTCOME)
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be applied, rejected or expired", f->name);
    return 0;
}

static int get_device_ids(const struct msg_field *f, const json_t *value, struct msg *m, struct msg_fault *fault)
{
    const char *id;
    if (!json_is_array(value) || (double)json_array_size(value) > f->max)
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be an array of at most %.0f device ids", f->name, f->max);
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (get_device_id(f, json_array_get(value, i), &id, fault) != 0)
            return fail(fault, MSG_INVALID_MESSAGE,
                        "each of %s must be a string of 1 to %d characters of A-Z a-z 0-9 _ . -", f->name,
                        MSG_DEVICE_ID_MAX);
    }
    m->device_ids = value;
    m->n_device_ids = json_array_size(value);
    return 0;
}

const char *msg_device_id_at(const struct msg *m, size_t i)
{
    return json_string_value(json_array_get(m->device_ids, i));
}

static bool is_reserved(const char *name)
{
    static const char *const names[] = {"type", "id", "device_id", "device_name", "timestamp", "late"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static int known_metric(const char *name)
{
    for (int i = 0; i < MSG_KNOWN_METRICS; i++) {
        if (strcmp(name, msg_known_metrics[i].name) == 0)
            return i;
    }
    return -1;
}

static int get_known_metric(const struct msg_known_metric *known, const json_t *value, struct msg_metric *out,
                            struct msg_fault *fault)
{
    if (json_is_null(value))
        return 0;
    if (!json_is_number(value))
        return fail_range(fault, MSG_INVALID_MESSAGE, known->name, "a number", known->min, known->max);
    double v = json_number_value(value);
    if (v < known->min || v > known->max)
        return fail_range(fault, MSG_OUT_OF_RANGE, known->name, "a number", known->min, known->max);
    *out = (struct msg_metric){known->name, v + 0.0};
    return 0;
}

static int get_metrics(json_t *doc, struct msg *m, struct msg_fault *fault)
{
    struct msg_metric known[MSG_KNOWN_METRICS] = {{NULL, 0}};
    struct msg_metric *extra = m->metrics + MSG_KNOWN_METRICS;
    size_t n_extra = 0;
    for (void *it = json_object_iter(doc); it != NULL; it = json_object_iter_next(doc, it)) {
        const char *name = json_object_iter_key(it);
        const json_t *value = json_object_iter_value(it);
        int k = known_metric(name);
        if (k >= 0) {
            if (get_known_metric(&msg_known_metrics[k], value, &known[k], fault) != 0)
                return -1;
            continue;
        }
        if (!json_is_number(value) || is_reserved(name))
            continue;
        if (!msg_metric_name_valid(name, strlen(name)))
            return fail(fault, MSG_INVALID_MESSAGE,
                        "a metric's name must be a letter, then at most %d letters, digits or _",
                        MSG_METRIC_NAME_MAX - 1);
        if (n_extra == MSG_METRICS_EXTRA)
            return fail(fault, MSG_OUT_OF_RANGE, "at most %d further metrics are taken", MSG_METRICS_EXTRA);
        extra[n_extra++] = (struct msg_metric){name, json_number_value(value) + 0.0};
    }
    for (int i = 0; i < MSG_KNOWN_METRICS; i++) {
        if (known[i].name != NULL)
            m->metrics[m->n_metrics++] = known[i];
    }
    memmove(m->metrics + m->n_metrics, extra, n_extra * sizeof *extra);
    m->n_metrics += n_extra;
    return 0;
}

static bool names_metric(const char *text)
{
    for (int i = 0; i < MSG_KNOWN_METRICS; i++) {
        size_t len = strlen(msg_known_metrics[i].name);
        if (strncmp(text, msg_known_metrics[i].name, len) == 0 && text[len] == ' ')
            return true;
    }
    return false;
}

/* The fault is in one of many. */
static int fail_sample(struct msg_fault *fault, const struct msg_field *f, size_t i)
{
    char text[sizeof fault->text];
    snprintf(text, sizeof text, "%s[%zu]%s%.200s", f->name, i, names_metric(fault->text) ? "." : ": ", fault->text);
    memcpy(fault->text, text, sizeof text);
    return -1;
}

static int get_sample(const struct msg_field *f, json_t *list, size_t i, struct msg *out, struct msg_fault *fault)
{
    json_t *one = json_array_get(list, i);
    *out = (struct msg){.type = MSG_TELEMETRY};
    if (!json_is_object(one))
        return fail(fault, MSG_INVALID_MESSAGE, "%s[%zu] must be an object", f->name, i);
    get_time(json_object_get(one, "timestamp"), out);
    if (!out->has_time)
        return fail(fault, MSG_INVALID_MESSAGE,
                    "%s[%zu].timestamp must be a time with an offset, or seconds or milliseconds since 1970", f->name,
                    i);
    return get_metrics(one, out, fault) == 0 ? 0 : fail_sample(fault, f, i);
}

static int get_samples(const struct msg_field *f, json_t *value, struct msg *m, struct msg_fault *fault)
{
    struct msg sample;
    int64_t last = 0;
    size_t n = json_array_size(value);
    if (!json_is_array(value) || (double)n < f->min || (double)n > f->max)
        return fail(fault, MSG_INVALID_MESSAGE, "%s must be an array of %.0f to %.0f objects", f->name, f->min, f->max);
    for (size_t i = 0; i < n; i++) {
        if (get_sample(f, value, i, &sample, fault) != 0)
            return -1;
        if (sample.time_ms < last)
            return fail(fault, MSG_OUT_OF_RANGE, "%s[%zu].timestamp must not be before that of %s[%zu]", f->name, i,
                        f->name, i - 1);
        last = sample.time_ms;
    }
    m->samples = value;
    m->n_samples = n;
    return 0;
}

void msg_sample_at(const struct msg *m, size_t i, struct msg *out)
{
    static const struct msg_field any = {.name = "samples"};
    struct msg_fault none;
    get_sample(&any, (json_t *)(uintptr_t)m->samples, i, out, &none); /* they have all been checked */
}

/* A missing required value (NULL) is refused like one of the wrong kind. */
static int get_field(const struct msg_field *f, json_t *value, struct msg *m, struct msg_fault *fault)
{
    void *member = (char *)m + f->offset;
    double number;
    switch (f->kind) {
    case MSG_KIND_NUMBER:
        return get_number(f, value, member, fault);
    case MSG_KIND_INTEGER:
        if (get_number(f, value, &number, fault) != 0)
            return -1;
        *(int64_t *)member = (int64_t)number;
        return 0;
    case MSG_KIND_COUNT:
        if (get_number(f, value, &number, fault) != 0)
            return -1;
        *(int *)member = (int)number;
        return 0;
    case MSG_KIND_TEXT:
    case MSG_KIND_NAME:
    case MSG_KIND_ID:
        return get_text(f, value, member, fault);
    case MSG_KIND_DEVICE_ID:
        return get_device_id(f, value, member, fault);
    case MSG_KIND_SETTING:
        return get_setting(f, value, m, fault);
    case MSG_KIND_BASE64:
        return get_base64(f, value, m, fault);
    case MSG_KIND_BOOL:
        return get_bool(f, value, member, fault);
    case MSG_KIND_OUTCOME:
        return get_outcome(f, value, m, fault);
    case MSG_KIND_DEVICE_IDS:
        return get_device_ids(f, value, m, fault);
    case MSG_KIND_SAMPLES:
        return get_samples(f, value, m, fault);
    case MSG_KIND_TIME:
        get_time(value, m);
        return 0;
    }
    return 0;
}

static int fail_type(enum msg_sender from, const char *type, struct msg_fault *fault)
{
    static const char *const senders[] = {"website", "robot", "relay"};
    char list[sizeof fault->text] = "";
    size_t len = 0;
    const char *owner = NULL;
    for (size_t i = 0; i < msg_table_len; i++) {
        if (msg_table[i].from != from && owner == NULL && strcmp(msg_table[i].name, type) == 0)
            owner = senders[msg_table[i].from];
        if (msg_table[i].from == from && len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len > 0 ? ", " : "", msg_table[i].name);
    }
    /* `type` is quoted only where it is one of the table's */
    if (owner != NULL)
        return fail(fault, MSG_UNKNOWN_TYPE, "only a %s sends %s; a %s may send %.180s", owner, type, senders[from],
                    list);
    return fail(fault, MSG_UNKNOWN_TYPE, "unknown type; a %s may send %.180s", senders[from], list);
}

static const struct msg_row *find_row(enum msg_sender from, const char *type)
{
    for (size_t i = 0; i < msg_table_len; i++) {
        if (msg_table[i].from == from && strcmp(msg_table[i].name, type) == 0)
            return &msg_table[i];
    }
    return NULL;
}

static int decode_object(enum msg_sender from, json_t *doc, struct msg *m, struct msg_fault *fault)
{
    const char *type = json_string_value(json_object_get(doc, "type"));
    if (type == NULL)
        return fail(fault, MSG_INVALID_MESSAGE, "type must be a string");
    const struct msg_row *row = find_row(from, type);
    if (row == NULL)
        return fail_type(from, type, fault);
    m->type = row->type;
    m->type_name = row->name;
    for (const struct msg_field *f = row->fields; f->name != NULL; f++) {
        json_t *value = json_object_get(doc, f->name);
        bool absent = value == NULL || (f->need == MSG_NULLABLE && json_is_null(value));
        if ((!absent || f->need == MSG_REQUIRED) && get_field(f, value, m, fault) != 0)
            return -1;
    }
    return row->metrics ? get_metrics(doc, m, fault) : 0;
}

/* What an error message echoes, as far as it is fit to be. */
static void identify(const json_t *doc, struct msg_fault *fault)
{
    const json_t *type = json_object_get(doc, "type");
    const json_t *id = json_object_get(doc, "id");
    const char *text = json_string_value(type);
    size_t len = json_string_length(type);
    bool printable = text != NULL && len < sizeof fault->original_type;
    for (size_t i = 0; printable && i < len; i++)
        printable = text[i] >= 0x20 && text[i] < 0x7f;
    if (printable)
        memcpy(fault->original_type, text, len + 1);
    text = json_string_value(id);
    len = json_string_length(id);
    if (text != NULL && len < sizeof fault->id && !msg_has_control(text, len))
        memcpy(fault->id, text, len + 1);
}

int msg_decode(enum msg_sender from, const char *buf, size_t len, struct msg *out, struct msg_fault *fault)
{
    const char *why = NULL;
    memset(out, 0, sizeof *out);
    fault->code = MSG_OK;
    fault->text[0] = fault->original_type[0] = fault->id[0] = '\0';
    struct msg_doc *doc = msg_doc_parse(buf, len, &fault->code, &why);
    if (doc == NULL)
        return fail(fault, fault->code, "%s", why);
    out->robots = out->latency_ms = out->stored = -1;
    out->frame_number = out->hb = out->relay_hb = out->seq = out->epoch = -1;
    out->doc = doc;
    if (decode_object(from, doc->root, out, fault) == 0)
        return 0;
    identify(doc->root, fault);
    msg_finish(out);
    return -1;
}

void msg_finish(struct msg *m)
{
    msg_doc_destroy(m->doc);
    memset(m, 0, sizeof *m);
}
