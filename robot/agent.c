#include "robot/agent.h"

#include "common/clock.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/msg.h"
#include "robot/throttle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 4096
#define STORE_MS      5000 /* until a latch that could not be stored is stored again */

struct agent {
    struct agent_config config;
    bool open;
    bool greeted; /* on this connection */
    struct telemetry *telemetry;
    int64_t beat_ms; /* when the next heartbeat is due */
    struct latch latch;
    bool owes_state;  /* stop_state is still to be said on this connection */
    bool unstored;    /* `latch` is not what the next run would find */
    int64_t store_ms; /* unstored: when to try again */
    struct agent_stats stats;
    struct throttle invalid_log, refused_log, error_log, output_log, frame_reply;
};

struct agent *agent_create(const struct agent_config *config)
{
    struct agent *a = calloc(1, sizeof(*a));
    const struct telemetry_config tc = {.device_id = config->device_id,
                                        .device_name = config->device_name,
                                        .driver = config->driver,
                                        .hal = config->hal,
                                        .spool = config->spool,
                                        .interval_ms = config->interval_ms,
                                        .send = config->send,
                                        .ctx = config->ctx};

    if (!a)
        return NULL;
    a->config = *config;
    a->latch = config->latch;
    a->telemetry = telemetry_create(&tc);
    if (a->telemetry)
        return a;
    free(a);
    return NULL;
}

void agent_destroy(struct agent *a)
{
    if (a)
        telemetry_destroy(a->telemetry);
    free(a);
}

/* --- messages --------------------------------------------------------------------------------- */

/* 0, or -1: the link did not take it. */
static int send_ordered(struct agent *a, const struct jsonw *w)
{
    return w->overflow ? -1 : a->config.send(a->config.ctx, SENDQ_ORDERED, w->buf, w->len);
}

static void send_status(struct agent *a, const char *status, const char *message)
{
    char buf[MESSAGE_BYTES];
    struct jsonw w;

    jsonw_init(&w, buf, sizeof(buf));
    msg_put_status(&w, status, message);
    send_ordered(a, &w);
}

static void send_heartbeat(struct agent *a)
{
    char buf[64];
    struct jsonw w;

    jsonw_init(&w, buf, sizeof(buf));
    msg_put_heartbeat(&w, outputs_heartbeat(a->config.outputs));
    send_ordered(a, &w);
}

/* --- stop latch ------------------------------------------------------------------------------- */

/* Says whether it is stopped. While the hardware refuses to rest that would be a lie: then it is owed. */
static void send_stop_state(struct agent *a)
{
    char buf[512];
    struct jsonw w;

    a->owes_state = a->latch.stopped && !outputs_at_rest(a->config.outputs);
    if (a->owes_state)
        return;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_robot_stop_state(&w, a->latch.stopped, a->latch.seq, a->latch.by[0] != '\0' ? a->latch.by : NULL);
    a->owes_state = send_ordered(a, &w) != 0;
}

static void store_latch(struct agent *a, int64_t now_ms)
{
    a->unstored = a->config.store_latch && a->config.store_latch(a->config.ctx, &a->latch) != 0;
    a->store_ms = now_ms + STORE_MS;
}

/* After a stop or re-arm: what the outputs made of it becomes what is kept. */
static void take_over_latch(struct agent *a, const char *by, int64_t now_ms)
{
    struct safety_latch is = outputs_latch(a->config.outputs);

    if (is.stopped == a->latch.stopped && is.seq == a->latch.seq)
        return;
    a->latch = (struct latch){.stopped = is.stopped, .seq = is.seq, .at_ms = clock_wall_ms()};
    snprintf(a->latch.by, sizeof(a->latch.by), "%s", by ? by : "");
    store_latch(a, now_ms);
}

/* --- commands --------------------------------------------------------------------------------- */

static void log_command(const struct msg *m)
{
    char text[96] = "COMMAND: ";
    size_t len = strlen(text);

    msg_describe_for_robot(text + len, sizeof(text) - len, m);
    if (m->by)
        log_info("command", log_str("msg", text), log_str("by", m->by));
    else
        log_info("command", log_str("msg", text));
}

/* Who gave a command an id wants to know what became of it. reason: NULL where it was applied. */
static void answer(struct agent *a, const char *id, int64_t seq, enum msg_outcome outcome, const char *reason)
{
    char buf[512];
    struct jsonw w;

    if (!id)
        return;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_outcome(&w, id, seq, outcome, reason);
    if (!w.overflow)
        a->config.send(a->config.ctx, SENDQ_ANSWER, w.buf, w.len);
}

static void answer_verdict(struct agent *a, const struct msg *m, enum safety_verdict verdict)
{
    if (verdict == SAFETY_APPLIED)
        answer(a, m->id, m->seq, MSG_APPLIED, NULL);
    else
        answer(a, m->id, m->seq, safety_verdict_is_expired(verdict) ? MSG_TOO_OLD : MSG_REJECTED,
               safety_verdict_name(verdict));
}

static void on_stop(struct agent *a, const struct msg *m, int64_t now_ms)
{
    outputs_stop(a->config.outputs, m->seq); /* before anything else */
    take_over_latch(a, m->by, now_ms);
    send_stop_state(a);
    answer_verdict(a, m, a->owes_state ? SAFETY_REFUSED_DRIVER : SAFETY_APPLIED);
    log_command(m);
}

static void on_rearm(struct agent *a, const struct msg *m, int64_t now_ms)
{
    enum safety_verdict verdict = outputs_rearm(a->config.outputs, m->seq);

    take_over_latch(a, m->by, now_ms);
    send_stop_state(a);
    answer_verdict(a, m, verdict);
    log_command(m);
    if (verdict != SAFETY_APPLIED)
        log_warn("rearm_refused", log_str("msg", "A newer stop or re-arm came before"));
}

static void on_frame_request(struct agent *a, const struct msg *m, int64_t now_ms)
{
    unsigned suppressed;

    if (throttle_pass(&a->frame_reply, now_ms, &suppressed))
        send_status(a, "no_camera", "This robot has no camera");
    answer(a, m->id, m->seq, MSG_REJECTED, "no_camera");
    log_command(m);
}

static void on_command(struct agent *a, const struct msg *m, int64_t now_ms)
{
    const struct safety_order order = {.seq = m->seq, .epoch = m->epoch, .hb = m->hb, .relay_hb = m->relay_hb};
    struct outputs *o = a->config.outputs;
    enum safety_verdict verdict;
    unsigned suppressed;

    a->stats.commands++;
    switch (m->type) {
    case MSG_ROBOT_MOVE:
        verdict = outputs_motion(o, SAFETY_DRIVE, m->x, m->y, &order);
        break;
    case MSG_CAMERA_MOVE:
        verdict = outputs_motion(o, SAFETY_CAMERA, m->x, m->y, &order);
        break;
    case MSG_SET_SPEED:
        verdict = outputs_speed(o, (int)lround(m->value), &order);
        break;
    case MSG_SET_BRIGHTNESS:
        verdict = outputs_brightness(o, (int)lround(m->value), &order);
        break;
    default:
        on_frame_request(a, m, now_ms);
        return;
    }
    answer_verdict(a, m, verdict);
    log_command(m);
    if (verdict != SAFETY_APPLIED && throttle_pass(&a->refused_log, now_ms, &suppressed))
        log_warn("command_refused", log_str("type", msg_type_name(m->type)),
                 log_str("reason", safety_verdict_name(verdict)), log_int("suppressed", suppressed));
}

/* Nothing to act on; a value out of range is told to who sent it, as far as it can be told who that was. */
static void on_invalid(struct agent *a, const struct msg_fault *fault, int64_t now_ms)
{
    unsigned suppressed;

    a->stats.invalid++;
    if (throttle_pass(&a->invalid_log, now_ms, &suppressed))
        log_warn("message_ignored", log_str("reason", msg_code_name(fault->code)), log_str("detail", fault->text),
                 log_int("suppressed", suppressed));
    if (fault->code == MSG_OUT_OF_RANGE && fault->id[0] != '\0')
        answer(a, fault->id, -1, MSG_REJECTED, msg_code_name(fault->code));
}

static void on_error(struct agent *a, const struct msg *m, int64_t now_ms)
{
    bool telemetry = telemetry_failed(a->telemetry, m, now_ms);
    unsigned suppressed;

    if (throttle_pass(&a->error_log, now_ms, &suppressed))
        log_warn(telemetry ? "telemetry_refused" : "relay_error", log_str("code", m->code ? m->code : ""),
                 log_str("original_type", m->original_type), log_str("error", m->error),
                 log_int("suppressed", suppressed));
}

static void on_greeting(struct agent *a, const struct msg *m)
{
    if (a->greeted || !m->status || strcmp(m->status, "connected") != 0)
        return;
    a->greeted = true;
    telemetry_greeted(a->telemetry);
}

void agent_message(struct agent *a, const char *text, size_t len, int64_t now_ms)
{
    struct msg m;
    struct msg_fault fault;

    if (msg_decode(MSG_FROM_RELAY, text, len, &m, &fault) != 0) {
        on_invalid(a, &fault, now_ms);
        return;
    }
    if (msg_is_command(m.type))
        on_command(a, &m, now_ms);
    else if (m.type == MSG_STOP)
        on_stop(a, &m, now_ms);
    else if (m.type == MSG_REARM)
        on_rearm(a, &m, now_ms);
    else if (m.type == MSG_CONNECTION)
        on_greeting(a, &m);
    else if (m.type == MSG_ERROR)
        on_error(a, &m, now_ms);
    else if (m.type == MSG_ACK)
        telemetry_acked(a->telemetry, &m, now_ms);
    msg_finish(&m);
}

/* --- connection and time ---------------------------------------------------------------------- */

static void beat(struct agent *a, int64_t now_ms)
{
    if (now_ms < a->beat_ms)
        return;
    send_heartbeat(a);
    a->beat_ms += a->config.heartbeat_ms;
    if (a->beat_ms <= now_ms) /* late by more than one: they are not made up for */
        a->beat_ms = now_ms + a->config.heartbeat_ms;
}

void agent_opened(struct agent *a, int64_t now_ms)
{
    a->open = true;
    a->greeted = false;
    telemetry_opened(a->telemetry, now_ms);
    outputs_link(a->config.outputs, true);
    send_stop_state(a);
    a->beat_ms = now_ms;
    beat(a, now_ms);
    send_status(a, "ready", "Robot ready");
}

void agent_closed(struct agent *a, int64_t now_ms)
{
    outputs_link(a->config.outputs, false);
    a->open = false;
    telemetry_closed(a->telemetry, now_ms);
}

/* What happened in the dead-man's thread, which does not log. */
static void log_outputs(struct agent *a, int64_t now_ms)
{
    struct outputs_events e = outputs_events(a->config.outputs);
    unsigned suppressed;

    if (e.watchdog == 0 && e.deadman == 0 && e.failed == 0)
        return;
    if (!throttle_pass(&a->output_log, now_ms, &suppressed))
        return;
    if (e.watchdog > 0)
        log_error("watchdog", log_str("msg", "Outputs were set to zero: the main loop hung"));
    if (e.deadman > 0)
        log_info("deadman", log_str("msg", "Outputs at zero: no motion command came in time"),
                 log_int("deadman_ms", a->config.deadman_ms));
    if (e.failed > 0)
        log_error("output_failed", log_str("driver", a->config.driver->name), log_int("times", e.failed));
}

void agent_tick(struct agent *a, int64_t now_ms)
{
    outputs_alive(a->config.outputs);
    log_outputs(a, now_ms);
    /* Not after a re-arm: a disk that is slow would stop what moves, and one that has the stop errs on the safe side.
     */
    if (a->unstored && a->latch.stopped && now_ms >= a->store_ms)
        store_latch(a, now_ms);
    if (a->open && a->owes_state)
        send_stop_state(a);
    if (a->open)
        beat(a, now_ms);
    telemetry_tick(a->telemetry, now_ms);
}

void agent_set_interval(struct agent *a, int64_t interval_ms)
{
    telemetry_set_interval(a->telemetry, interval_ms);
}

struct agent_stats agent_stats(const struct agent *a)
{
    struct agent_stats stats = a->stats;

    stats.telemetry = telemetry_stats(a->telemetry);
    return stats;
}
