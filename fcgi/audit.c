#include "fcgi/audit.h"

#include "common/msg.h"

#include <string.h>

/* --- events -------------------------------------------------------------------------------------- */

static const char *const kinds[AUDIT_KINDS] = {[AUDIT_CONNECTED] = "connected", [AUDIT_DISCONNECTED] = "disconnected",
                                               [AUDIT_STATUS] = "status",       [AUDIT_STOP] = "stop",
                                               [AUDIT_REARM] = "rearm",         [AUDIT_CONFIRMED] = "confirmed",
                                               [AUDIT_CONTROL] = "control"};

const char audit_kind_list[] = "connected, disconnected, status, stop, rearm, confirmed or control";

const char *audit_kind_name(enum audit_kind kind)
{
    return kinds[kind];
}

int audit_kind_find(const char *name, size_t len)
{
    for (int i = 0; i < AUDIT_KINDS; i++) {
        if (strlen(kinds[i]) == len && memcmp(kinds[i], name, len) == 0)
            return i;
    }
    return -1;
}

bool audit_event_read(const char *text, size_t len, struct audit_event *e)
{
    struct member kind, device;
    if (!member_check(text, len) || !member_find(text, len, "kind", &kind) || !member_is_string(&kind) ||
        !member_find(text, len, "device_id", &device) || !member_is_string(&device) ||
        !msg_device_id_valid(device.value + 1, device.len - 2))
        return false;
    int found = audit_kind_find(kind.value + 1, kind.len - 2);
    if (found < 0)
        return false;
    *e = (struct audit_event){
        .kind = (enum audit_kind)found, .device_id = device.value + 1, .device_id_len = device.len - 2};
    return true;
}

static void put_value(struct buf *out, const char *name, const struct member *m)
{
    buf_printf(out, ",\"%s\":", name);
    buf_add(out, m->value, m->len);
}

static bool is_head(const struct member *m)
{
    static const char *const names[] = {"id", "device_id", "timestamp"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == m->name_len && memcmp(names[i], m->name, m->name_len) == 0)
            return true;
    }
    return false;
}

void audit_put_event(struct buf *out, struct item_clock *clock, const struct series_sample *event)
{
    struct audit_event e;
    struct member m;
    char device_id[MSG_DEVICE_ID_MAX + 1];
    if (!audit_event_read(event->text, event->len, &e))
        return;
    memcpy(device_id, e.device_id, e.device_id_len);
    device_id[e.device_id_len] = '\0';
    item_head(out, clock, device_id, event->id);
    for (size_t at = 0; member_next(event->text, event->len, &at, &m) > 0;) {
        if (is_head(&m))
            continue;
        buf_add(out, ",", 1);
        buf_add(out, m.name - 1, (size_t)(m.value + m.len - m.name) + 1); /* "name":value stands there as one piece */
    }
    buf_add(out, "}", 1);
}

/* --- commands ------------------------------------------------------------------------------------ */

bool audit_outcome_read(const char *text, size_t len, struct audit_command *c)
{
    struct member seq;
    return member_check(text, len) && member_find(text, len, "seq", &seq) && member_number(&seq, &c->seq) &&
           member_find(text, len, "outcome", &c->outcome) && member_is_string(&c->outcome);
}

/* The members of the command itself, as it went to the robot. */
static bool find_message(const char *text, size_t len, const char **message, size_t *message_len)
{
    struct member m;
    if (!member_find(text, len, "command", &m) || !member_is_object(&m))
        return false;
    *message = m.value + 1;
    *message_len = m.len - 2;
    return true;
}

bool audit_command_read(const char *text, size_t len, struct audit_command *c)
{
    const char *message;
    size_t message_len;
    struct member type;
    return audit_outcome_read(text, len, c) && find_message(text, len, &message, &message_len) &&
           member_check(message, message_len) && member_find(message, message_len, "type", &type) &&
           member_is_string(&type);
}

/* A member under a name of its own; without it nothing, or null. */
static void put_member(struct buf *out, const char *as, const char *text, size_t len, const char *name, bool or_null)
{
    struct member m;
    if (member_find(text, len, name, &m))
        put_value(out, as, &m);
    else if (or_null)
        buf_printf(out, ",\"%s\":null", as);
}

static void put_stage(struct buf *out, struct item_clock *clock, const struct member *what, uint64_t ms)
{
    buf_str(out, "{\"stage\":");
    buf_add(out, what->value, what->len);
    buf_printf(out, ",\"timestamp\":\"%s\"", item_timestamp(clock, ms));
}

static void put_stages(struct buf *out, struct item_clock *clock, const struct series_sample *command,
                       const struct member *decided, const struct audit_stage *stages, size_t n)
{
    static const char received[] = "\"received\"";
    struct member m;
    uint64_t ms;
    buf_str(out, ",\"stages\":[");
    if (member_find(command->text, command->len, "received_ms", &m) && member_number(&m, &ms)) {
        /* The relay knows Redis' clock to a millisecond or so, and that it came before it was decided. */
        put_stage(out, clock, &(struct member){.value = received, .len = sizeof(received) - 1},
                  ms < command->id.ms ? ms : command->id.ms);
        buf_str(out, "},");
    }
    put_stage(out, clock, decided, command->id.ms);
    for (size_t i = 0; i < n; i++) {
        struct audit_command c;
        if (!audit_outcome_read(stages[i].text, stages[i].len, &c))
            continue;
        buf_str(out, "},");
        put_stage(out, clock, &c.outcome, stages[i].id.ms);
        put_member(out, "reason", stages[i].text, stages[i].len, "reason", false);
    }
    buf_str(out, "}]");
}

/* The last one, but a command that was applied once has moved the robot, whatever was said of it later. */
static const struct audit_stage *decisive(const struct audit_stage *stages, size_t n)
{
    struct audit_command c;
    for (size_t i = 0; i < n; i++) {
        if (audit_outcome_read(stages[i].text, stages[i].len, &c) && member_equals(&c.outcome, "applied"))
            return &stages[i];
    }
    return n > 0 ? &stages[n - 1] : NULL;
}

void audit_put_command(struct buf *out, struct item_clock *clock, const char *device_id,
                       const struct series_sample *command, const struct audit_stage *stages, size_t n)
{
    static const char *const sent[] = {"x", "y", "value"};
    const char *text = command->text, *message;
    size_t len = command->len, message_len;
    struct audit_command c, last;
    if (!audit_command_read(text, len, &c) || !find_message(text, len, &message, &message_len))
        return;
    item_head(out, clock, device_id, command->id);
    buf_str(out, ",\"seq\":");
    buf_u64(out, c.seq);
    put_member(out, "by", text, len, "by", true);
    put_member(out, "relay", text, len, "relay", true);
    put_member(out, "cause", text, len, "cause", false);
    put_member(out, "type", message, message_len, "type", true);
    put_member(out, "command_id", message, message_len, "id", false);
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
        put_member(out, sent[i], message, message_len, sent[i], false);
    put_member(out, "epoch", text, len, "epoch", false);

    const struct audit_stage *end = decisive(stages, n);
    bool answered = end && audit_outcome_read(end->text, end->len, &last);
    put_value(out, "outcome", answered ? &last.outcome : &c.outcome);
    if (answered)
        put_member(out, "reason", end->text, end->len, "reason", false);
    put_stages(out, clock, command, &c.outcome, stages, n);
    buf_str(out, "}");
}
