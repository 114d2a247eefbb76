/*
 * Messages. The first byte says who sends ('r' robot, 'l' relay, else website), the rest is the
 * frame. What decodes is written anew, and must then decode to the same.
 */
#include "common/msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (8 << 20)

static void require(bool fine)
{
    if (!fine)
        abort();
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void same_metrics(const struct msg *a, const struct msg *b)
{
    require(a->n_metrics == b->n_metrics && a->n_metrics <= MSG_METRICS_MAX);
    for (size_t i = 0; i < a->n_metrics; i++) {
        require(same_text(a->metrics[i].name, b->metrics[i].name));
        require(a->metrics[i].value == b->metrics[i].value);
    }
}

static void put_error(struct jsonw *w, const struct msg *m)
{
    struct msg_fault fault = {.code = MSG_OUT_OF_RANGE};
    strncpy(fault.text, m->error, sizeof fault.text - 1);
    for (size_t n = strlen(fault.text); n > 0 && ((unsigned char)fault.text[n - 1] & 0x80); n--)
        fault.text[n - 1] = '\0'; /* not in the middle of a character */
    msg_put_error(w, &fault);
}

/* An ack is a robot's word of a command, or a relay's. */
static void put_ack(struct jsonw *w, const struct msg *m, const char *device_id)
{
    if (m->outcome != MSG_NO_OUTCOME) {
        struct msg_receipt receipt = {m->original_type, m->id, device_id, m->outcome, m->reason, m->time_ms * 1000};
        msg_put_receipt(w, &receipt);
        msg_append_int(w, "latency_ms", 12);
    } else {
        struct msg_ack ack = {m->original_type, m->id, m->message, m->robots, m->duplicate, m->time_ms * 1000};
        msg_put_ack(w, &ack);
    }
}

/* What is about stop, control and signs of life; false when it is something else. */
static bool put_state(struct jsonw *w, const struct msg *m, const char *device_id)
{
    switch (m->type) {
    case MSG_STOP:
    case MSG_REARM:
        msg_put_stop(w, m->type, m->id, m->by, m->seq < 0 ? 0 : m->seq, m->time_ms * 1000);
        return true;
    case MSG_STOP_STATE:
        msg_put_stop_state(w, device_id, m->stopped, m->confirmed, m->by, m->time_ms);
        return true;
    case MSG_CONTROL_STATE:
        msg_put_control_state(w, device_id, m->holder, m->you, m->epoch < 0 ? 0 : m->epoch);
        return true;
    case MSG_HEARTBEAT:
    case MSG_ROBOT_HEARTBEAT:
        msg_put_robot_heartbeat(w, device_id, m->hb);
        return true;
    case MSG_PING:
    case MSG_PONG:
        msg_put_pong(w, m->id, m->time_ms * 1000);
        return true;
    default:
        return false;
    }
}

static void put_batch(struct jsonw *w, const struct msg *m)
{
    char metrics[4096];
    msg_put_batch_begin(w, m->id, m->device_name);
    for (size_t i = 0; i < m->n_samples; i++) {
        struct msg one;
        struct jsonw mw;
        jsonw_init(&mw, metrics, sizeof metrics);
        msg_sample_at(m, i, &one);
        msg_put_metrics(&mw, &one);
        require(!mw.overflow);
        msg_put_batch_sample(w, one.time_ms, metrics, mw.len);
    }
    msg_put_batch_end(w);
}

static void same_batch(const struct msg *a, const struct msg *b)
{
    struct msg one, other;
    require(a->n_samples == b->n_samples && a->n_samples >= 1 && a->n_samples <= MSG_SAMPLES_MAX);
    require(same_text(a->id, b->id) && same_text(a->device_name, b->device_name));
    for (size_t i = 0; i < a->n_samples; i++) {
        msg_sample_at(a, i, &one);
        msg_sample_at(b, i, &other);
        same_metrics(&one, &other);
        require(one.time_ms == other.time_ms);
    }
}

/* Writes `m` as the relay would pass it on, a batch as the robot; false when it would not. */
static bool put_again(struct jsonw *w, const struct msg *m)
{
    const char *device_id = m->device_id != NULL ? m->device_id : "robot_01";
    char metrics[4096];
    struct jsonw mw;
    jsonw_init(&mw, metrics, sizeof metrics);
    switch (m->type) {
    case MSG_ROBOT_MOVE:
    case MSG_CAMERA_MOVE:
    case MSG_SET_SPEED:
    case MSG_SET_BRIGHTNESS:
    case MSG_REQUEST_FRAME:
        msg_put_command(w, m, 1768473045123456);
        return true;
    case MSG_TELEMETRY:
    case MSG_TELEMETRY_UPDATE:
        msg_put_metrics(&mw, m);
        require(!mw.overflow);
        if (m->late)
            msg_put_late_update(w, device_id, m->device_name, metrics, mw.len, m->time_ms);
        else
            msg_put_telemetry_update(w, device_id, m->device_name, metrics, mw.len, m->time_ms);
        return true;
    case MSG_STATUS:
    case MSG_ROBOT_STATUS:
        msg_put_robot_status(w, m, device_id, m->time_ms * 1000);
        return true;
    case MSG_VIDEO_FRAME:
        msg_put_video_frame(w, m, device_id, 0);
        return true;
    case MSG_ACK:
        put_ack(w, m, device_id);
        return true;
    case MSG_ERROR:
        put_error(w, m);
        return true;
    case MSG_TELEMETRY_BATCH:
        put_batch(w, m);
        return true;
    default:
        return put_state(w, m, device_id);
    }
}

static void same_safety(const struct msg *a, const struct msg *b)
{
    require(a->hb == b->hb && a->stopped == b->stopped && a->confirmed == b->confirmed && a->you == b->you);
    require(a->type == MSG_ACK || same_text(a->by, b->by));
    require(same_text(a->holder, b->holder));
    if ((a->type == MSG_STOP || a->type == MSG_REARM) && a->seq >= 0)
        require(a->seq == b->seq);
}

static void check_again(const struct msg *m)
{
    static char *out;
    struct jsonw w, tight;
    struct msg back;
    struct msg_fault fault;
    if (out == NULL)
        out = malloc(OUT_MAX);
    require(out != NULL);
    for (size_t i = 0; i < m->n_device_ids; i++)
        require(msg_device_id_valid(msg_device_id_at(m, i), strlen(msg_device_id_at(m, i))));
    jsonw_init(&w, out, OUT_MAX);
    if (!put_again(&w, m))
        return;
    require(!w.overflow);
    enum msg_sender sender = m->type == MSG_TELEMETRY_BATCH ? MSG_FROM_ROBOT : MSG_FROM_RELAY;
    require(msg_decode(sender, out, w.len, &back, &fault) == 0);
    require(m->late == back.late);
    if (m->type == MSG_TELEMETRY_BATCH) {
        same_batch(m, &back);
    } else if (m->type == MSG_TELEMETRY || m->type == MSG_TELEMETRY_UPDATE) {
        same_metrics(m, &back);
        require(same_text(m->device_name, back.device_name) && m->time_ms == back.time_ms);
    } else if (m->type == MSG_STATUS || m->type == MSG_ROBOT_STATUS) {
        require(same_text(m->status, back.status) && same_text(m->message, back.message));
    } else if (msg_is_command(m->type)) {
        require(back.type == m->type && m->x == back.x && m->y == back.y && m->value == back.value);
        require(same_text(m->id, back.id));
    } else if (m->type == MSG_VIDEO_FRAME) {
        require(same_text(m->frame_data, back.frame_data) && m->frame_number == back.frame_number);
    } else if (m->type == MSG_ACK) {
        require(same_text(m->id, back.id) && same_text(m->reason, m->outcome ? back.reason : m->reason));
        if (m->outcome)
            require(back.latency_ms == 12 && same_text(back.status, msg_outcome_name(m->outcome)));
        else
            require(same_text(m->message, back.message) && m->robots == back.robots && m->duplicate == back.duplicate);
    }
    same_safety(m, &back);
    msg_finish(&back);

    char small[64];
    jsonw_init(&tight, small, m->n_metrics % sizeof small);
    put_again(&tight, m);
    require(tight.len <= tight.cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum msg_sender from = data[0] == 'r' ? MSG_FROM_ROBOT : data[0] == 'l' ? MSG_FROM_RELAY : MSG_FROM_WEBSITE;
    const char *text = (const char *)data + 1;
    struct msg m;
    struct msg_fault fault;
    if (msg_decode(from, text, size - 1, &m, &fault) == 0) {
        check_again(&m);
        msg_finish(&m);
    } else {
        char buf[1024];
        struct jsonw w;
        jsonw_init(&w, buf, sizeof buf);
        msg_put_error(&w, &fault);
        require(!w.overflow && fault.code != MSG_OK && m.doc == NULL);
        require(msg_decode(MSG_FROM_RELAY, buf, w.len, &m, &fault) == 0);
        msg_finish(&m);
    }
    return 0;
}
