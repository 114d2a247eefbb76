/* Who has control of a robot: leases of this relay's websites. Redis decides (control.lua). */
#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RENEW_MS 500

struct control_request {
    bool release;
    char type[33];
    char id[MSG_COMMAND_ID_MAX + 1];
    char device_id[MSG_DEVICE_ID_MAX + 1];
};

static void drop_lease(struct operator* op, const char *device_id)
{
    struct operator_lease *lease = operator_find_lease(op, device_id);
    if (lease != NULL)
        operator_drop_lease(op, lease);
}

static void on_control(void *ctx, void *owner, void *token, enum bus_control_result result, int64_t epoch,
                       const char *holder)
{
    struct hub *h = ctx;
    struct session *s = owner;
    struct control_request *c = token;
    struct operator_lease *lease;
    char text[160];
    (void)epoch;
    if (s == NULL) {
        free(c);
        return;
    }
    if (result == BUS_CONTROL_GRANTED) {
        lease = c->release ? NULL : operator_find_lease(s->op, c->device_id);
        if (lease != NULL)
            lease->renewed_ms = clock_mono_ms();
        struct msg_ack a = {c->type, c->id[0] ? c->id : NULL, c->release ? "Control released" : "Control granted", -1,
                            false,   clock_wall_us()};
        hub_send_ack(h, s, &a);
    } else {
        drop_lease(s->op, c->device_id);
        if (result == BUS_CONTROL_REFUSED && holder[0] != '\0')
            snprintf(text, sizeof(text), "%s has control of the robot", holder);
        else if (result == BUS_CONTROL_REFUSED)
            snprintf(text, sizeof(text), "no such robot is known");
        else if (result == BUS_CONTROL_UNKNOWN)
            snprintf(text, sizeof(text), "Redis did not take it; look who has control");
        else
            snprintf(text, sizeof(text), "you do not have control of the robot");
        hub_send_error(h, s, MSG_NOT_IN_CONTROL, text, c->type, c->id);
    }
    free(c);
}

/* NULL when it can be asked for, else why not. */
static const char *ask(struct hub *h, struct session *s, const struct msg *m)
{
    bool release = m->type == MSG_CONTROL_RELEASE;
    enum bus_control_op what = release ? BUS_CONTROL_RELEASE : m->take ? BUS_CONTROL_TAKE : BUS_CONTROL_ACQUIRE;
    struct operator* op = hub_operator(h, s);
    struct control_request *c = op ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL)
        return "out of memory";
    bool had = operator_find_lease(op, m->device_id) != NULL;
    if (!release && operator_add_lease(op, m->device_id) == NULL) {
        free(c);
        return "you have control of too many robots; release one first";
    }
    c->release = release;
    snprintf(c->type, sizeof(c->type), "%s", m->type_name);
    snprintf(c->id, sizeof(c->id), "%s", m->id ? m->id : "");
    snprintf(c->device_id, sizeof(c->device_id), "%s", m->device_id);
    if (bus_control(h->bus, what, m->device_id, op->number, op->name, s, c, on_control) != 0) {
        if (!had)
            drop_lease(op, m->device_id);
        free(c);
        return "this relay has lost Redis; control cannot be given or released";
    }
    if (release)
        drop_lease(op, m->device_id);
    return NULL;
}

void hub_control(struct hub *h, struct session *s, const struct msg *m)
{
    if (h->conf->wsd.control == CONF_SHARED) {
        hub_send_error(h, s, MSG_NOT_ALLOWED, "control is shared here: anyone may drive", m->type_name, m->id);
        return;
    }
    const char *why = ask(h, s, m);
    if (why != NULL)
        hub_send_error(h, s, MSG_NOT_IN_CONTROL, why, m->type_name, m->id);
}

static void on_kept(void *ctx, void *owner, void *token, enum bus_control_result result, int64_t epoch,
                    const char *holder)
{
    struct session *s = owner;
    char *device_id = token;
    (void)ctx;
    (void)epoch;
    (void)holder;
    /* Where Redis did not answer, its lease is as it was: the next renewal will tell. */
    if (s != NULL && result != BUS_CONTROL_GRANTED && result != BUS_CONTROL_UNKNOWN && device_id != NULL)
        drop_lease(s->op, device_id);
    free(device_id);
}

void hub_end_control(struct hub *h, struct operator* op)
{
    while (op->n_leases > 0) {
        bus_control(h->bus, BUS_CONTROL_EXPIRE, op->leases[0].device_id, op->number, op->name, NULL, NULL, on_kept);
        operator_drop_lease(op, &op->leases[0]);
    }
}

void hub_keep_leases(struct hub *h, struct operator* op, int64_t now)
{
    if (op->n_leases == 0)
        return;
    if (now - op->said_ms >= h->conf->wsd.control_ms) {
        log_info("control_ended", log_str("by", op->name), log_str("why", "silent"));
        hub_end_control(h, op);
        return;
    }
    for (unsigned i = 0; i < op->n_leases; i++) {
        struct operator_lease *lease = &op->leases[i];
        if (lease->renewed_ms == 0 || op->said_ms <= lease->renewed_ms || now - lease->renewed_ms < RENEW_MS)
            continue;
        char *copy = strdup(lease->device_id);
        lease->renewed_ms = now;
        if (bus_control(h->bus, BUS_CONTROL_RENEW, lease->device_id, op->number, op->name, op->session, copy,
                        on_kept) != 0)
            free(copy);
    }
}
