#include "clock.h"
#include "msg.h"

#include <stdio.h>
#include <string.h>

static void begin(struct jsonw *w, enum msg_type type)
{
    jsonw_raw(w, "{\"type\":\"", 9);
    jsonw_lit(w, msg_type_name(type));
    jsonw_raw(w, "\"", 1);
}

static void end(struct jsonw *w)
{
    jsonw_raw(w, "}", 1);
}

static void put_time_us(struct jsonw *w, int64_t wall_us)
{
    char text[CLOCK_RFC3339_US_LEN + 1];
    clock_format_us(text, wall_us);
    jsonw_kv_str(w, "timestamp", text);
}

static void put_time_ms(struct jsonw *w, int64_t wall_ms)
{
    char text[CLOCK_RFC3339_MS_LEN + 1];
    clock_format_ms(text, wall_ms);
    jsonw_raw(w, ",\"timestamp\":\"", 14);
    jsonw_raw(w, text, CLOCK_RFC3339_MS_LEN);
    jsonw_raw(w, "\"", 1);
}

void msg_put_command(struct jsonw *w, const struct msg *m, int64_t now_us)
{
    begin(w, m->type);
    if (msg_is_move(m->type)) {
        jsonw_kv_num(w, "x", m->x);
        jsonw_kv_num(w, "y", m->y);
    } else if (m->type == MSG_SET_SPEED || m->type == MSG_SET_BRIGHTNESS) {
        jsonw_kv_num(w, "value", m->value);
    }
    jsonw_kv_str(w, "id", m->id);
    if (m->hb >= 0)
        jsonw_kv_int(w, "hb", m->hb);
    put_time_us(w, now_us);
    end(w);
}

void msg_put_zero(struct jsonw *w, enum msg_type type, int64_t now_us)
{
    const struct msg zero = {.type = type, .hb = -1};
    msg_put_command(w, &zero, now_us);
}

void msg_append_int(struct jsonw *w, const char *key, int64_t value)
{
    if (w->overflow || w->len == 0)
        return;
    w->len--;
    jsonw_kv_int(w, key, value);
    end(w);
}

void msg_put_website_greeting(struct jsonw *w)
{
    begin(w, MSG_CONNECTION);
    jsonw_kv_str(w, "status", "connected");
    jsonw_kv_str(w, "device_type", "website");
    jsonw_kv_str(w, "message", "Dashboard connected to server");
    end(w);
}

void msg_put_connection(struct jsonw *w, enum msg_presence what, const char *device_id)
{
    static const char *const phrases[] = {
        [MSG_ROBOT_GREETING] = "connected to server",
        [MSG_ROBOT_IS_ONLINE] = "is currently connected",
        [MSG_ROBOT_CAME] = "has connected",
        [MSG_ROBOT_WENT] = "has disconnected",
    };
    char text[MSG_DEVICE_ID_MAX + 64];
    snprintf(text, sizeof text, "Robot %.*s %s", MSG_DEVICE_ID_MAX, device_id, phrases[what]);
    begin(w, MSG_CONNECTION);
    jsonw_kv_str(w, "status", what == MSG_ROBOT_WENT ? "disconnected" : "connected");
    jsonw_kv_str(w, "device_type", "robot");
    jsonw_kv_str(w, "device_id", device_id);
    jsonw_kv_str(w, "message", text);
    end(w);
}

void msg_put_ack(struct jsonw *w, const struct msg_ack *ack)
{
    begin(w, MSG_ACK);
    jsonw_kv_str(w, "original_type", ack->original_type);
    jsonw_kv_str(w, "id", ack->id);
    jsonw_kv_str(w, "status", "received");
    jsonw_kv_str(w, "message", ack->message);
    if (ack->robots >= 0)
        jsonw_kv_int(w, "robots", ack->robots);
    if (ack->duplicate)
        jsonw_kv_bool(w, "duplicate", true);
    put_time_us(w, ack->now_us);
    end(w);
}

void msg_put_error(struct jsonw *w, const struct msg_fault *fault)
{
    begin(w, MSG_ERROR);
    jsonw_kv_str(w, "error", fault->text[0] != '\0' ? fault->text : msg_code_text(fault->code));
    jsonw_kv_str(w, "code", msg_code_name(fault->code));
    jsonw_kv_str(w, "original_type", fault->original_type[0] != '\0' ? fault->original_type : NULL);
    jsonw_kv_str(w, "id", fault->id[0] != '\0' ? fault->id : NULL);
    end(w);
}

void msg_put_metrics(struct jsonw *w, const struct msg *m)
{
    for (size_t i = 0; i < m->n_metrics; i++)
        jsonw_kv_num(w, m->metrics[i].name, m->metrics[i].value);
}

size_t msg_put_telemetry_update(struct jsonw *w, const char *device_id, const char *device_name, const char *metrics,
                                size_t metrics_len, int64_t time_ms)
{
    begin(w, MSG_TELEMETRY_UPDATE);
    jsonw_kv_str(w, "device_id", device_id);
    jsonw_kv_str(w, "device_name", device_name);
    if (metrics_len > 0) {
        jsonw_raw(w, ",", 1);
        jsonw_raw(w, metrics, metrics_len);
    }
    put_time_ms(w, time_ms);
    size_t offset = w->len - CLOCK_RFC3339_MS_LEN - 1;
    end(w);
    return w->overflow ? 0 : offset;
}

void msg_put_late_update(struct jsonw *w, const char *device_id, const char *device_name, const char *metrics,
                         size_t metrics_len, int64_t time_ms)
{
    if (msg_put_telemetry_update(w, device_id, device_name, metrics, metrics_len, time_ms) == 0)
        return;
    w->len--;
    jsonw_kv_bool(w, "late", true);
    end(w);
}

void msg_put_robot_status(struct jsonw *w, const struct msg *m, const char *device_id, int64_t now_us)
{
    begin(w, MSG_ROBOT_STATUS);
    jsonw_kv_str(w, "device_id", device_id);
    jsonw_kv_str(w, "status", m->status);
    jsonw_kv_str(w, "message", m->message);
    put_time_us(w, now_us);
    end(w);
}

void msg_put_video_frame(struct jsonw *w, const struct msg *m, const char *device_id, int64_t now_us)
{
    begin(w, MSG_VIDEO_FRAME);
    jsonw_kv_str(w, "device_id", device_id);
    jsonw_raw(w, ",\"frame_data\":\"", 15);
    jsonw_raw(w, m->frame_data, m->frame_data_len); /* base64 needs no escapes */
    jsonw_raw(w, "\"", 1);
    if (m->frame_number >= 0)
        jsonw_kv_int(w, "frame_number", m->frame_number);
    put_time_us(w, m->has_time ? m->time_ms * 1000 : now_us);
    end(w);
}

void msg_put_relay_status(struct jsonw *w, const char *relay, bool redis_up, int64_t now_us)
{
    begin(w, MSG_RELAY_STATUS);
    jsonw_kv_str(w, "relay", relay);
    jsonw_kv_bool(w, "redis", redis_up);
    jsonw_kv_str(w, "message",
                 redis_up ? "The relay reaches its store"
                          : "The relay does not reach its store: no telemetry is saved, no command gets through");
    put_time_us(w, now_us);
    end(w);
}

void msg_put_receipt(struct jsonw *w, const struct msg_receipt *r)
{
    begin(w, MSG_ACK);
    jsonw_kv_str(w, "original_type", r->original_type);
    jsonw_kv_str(w, "id", r->id);
    jsonw_kv_str(w, "status", msg_outcome_name(r->outcome));
    jsonw_kv_str(w, "reason", r->reason);
    jsonw_kv_str(w, "device_id", r->device_id);
    put_time_us(w, r->now_us);
    end(w);
}

void msg_put_stop_state(struct jsonw *w, const char *device_id, bool stopped, bool confirmed, const char *by,
                        int64_t time_ms)
{
    begin(w, MSG_STOP_STATE);
    jsonw_kv_str(w, "device_id", device_id);
    jsonw_kv_bool(w, "stopped", stopped);
    jsonw_kv_bool(w, "confirmed", confirmed);
    jsonw_kv_str(w, "by", by);
    put_time_ms(w, time_ms);
    end(w);
}

void msg_put_control_state(struct jsonw *w, const char *device_id, const char *holder, bool you, int64_t epoch)
{
    begin(w, MSG_CONTROL_STATE);
    jsonw_kv_str(w, "device_id", device_id);
    if (holder != NULL)
        jsonw_kv_str(w, "holder", holder);
    else
        jsonw_lit(w, ",\"holder\":null");
    jsonw_kv_bool(w, "you", you);
    jsonw_kv_int(w, "epoch", epoch);
    end(w);
}

void msg_put_robot_heartbeat(struct jsonw *w, const char *device_id, int64_t hb)
{
    begin(w, MSG_ROBOT_HEARTBEAT);
    jsonw_kv_str(w, "device_id", device_id);
    jsonw_kv_int(w, "hb", hb);
    end(w);
}

void msg_put_pong(struct jsonw *w, const char *id, int64_t now_us)
{
    begin(w, MSG_PONG);
    jsonw_kv_str(w, "id", id);
    put_time_us(w, now_us);
    end(w);
}

void msg_put_stop(struct jsonw *w, enum msg_type type, const char *id, const char *by, int64_t seq, int64_t now_us)
{
    begin(w, type);
    jsonw_kv_str(w, "id", id);
    jsonw_kv_str(w, "by", by);
    if (seq >= 0)
        jsonw_kv_int(w, "seq", seq);
    put_time_us(w, now_us);
    end(w);
}

void msg_put_heartbeat(struct jsonw *w, int64_t hb)
{
    begin(w, MSG_HEARTBEAT);
    jsonw_kv_int(w, "hb", hb);
    end(w);
}

void msg_put_outcome(struct jsonw *w, const char *id, int64_t seq, enum msg_outcome outcome, const char *reason)
{
    begin(w, MSG_ACK);
    jsonw_kv_str(w, "id", id);
    if (seq >= 0)
        jsonw_kv_int(w, "seq", seq);
    jsonw_kv_str(w, "status", msg_outcome_name(outcome));
    jsonw_kv_str(w, "reason", reason);
    end(w);
}

void msg_put_robot_stop_state(struct jsonw *w, bool stopped, int64_t seq, const char *by)
{
    begin(w, MSG_STOP_STATE);
    jsonw_kv_bool(w, "stopped", stopped);
    if (seq >= 0)
        jsonw_kv_int(w, "seq", seq);
    jsonw_kv_str(w, "by", by);
    end(w);
}

void msg_put_telemetry(struct jsonw *w, const struct msg *m, int64_t time_ms)
{
    begin(w, MSG_TELEMETRY);
    jsonw_kv_str(w, "device_id", m->device_id);
    jsonw_kv_str(w, "device_name", m->device_name);
    msg_put_metrics(w, m);
    put_time_ms(w, time_ms);
    end(w);
}

void msg_put_batch_begin(struct jsonw *w, const char *id, const char *device_name)
{
    begin(w, MSG_TELEMETRY_BATCH);
    jsonw_kv_str(w, "id", id);
    jsonw_kv_str(w, "device_name", device_name);
    jsonw_lit(w, ",\"samples\":[");
}

void msg_put_batch_sample(struct jsonw *w, int64_t time_ms, const char *metrics, size_t metrics_len)
{
    char text[CLOCK_RFC3339_MS_LEN + 1];
    clock_format_ms(text, time_ms);
    jsonw_lit(w, w->len > 0 && w->buf[w->len - 1] == '[' ? "{" : ",{");
    jsonw_kv_str(w, "timestamp", text);
    if (metrics_len > 0) {
        jsonw_raw(w, ",", 1);
        jsonw_raw(w, metrics, metrics_len);
    }
    end(w);
}

void msg_put_batch_end(struct jsonw *w)
{
    jsonw_raw(w, "]", 1);
    end(w);
}

void msg_put_status(struct jsonw *w, const char *status, const char *message)
{
    begin(w, MSG_STATUS);
    jsonw_kv_str(w, "status", status);
    jsonw_kv_str(w, "message", message);
    end(w);
}
