#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "wsd/ws.h"

#include <stdio.h>
#include <utlist.h>

static void count_push(struct hub *h, enum outq_lane lane, enum outq_result result)
{
    h->metrics->frames_sent_total++;
    if (result == OUTQ_REFUSED && lane == OUTQ_BACKFILL)
        h->metrics->backfill_dropped_total++;
    else if (result == OUTQ_REFUSED)
        h->metrics->queue_refused_total++;
    else if (result == OUTQ_REPLACED && lane == OUTQ_COMMAND)
        h->metrics->commands_replaced_total++;
    else if (result == OUTQ_REPLACED && lane == OUTQ_VIDEO)
        h->metrics->video_replaced_total++;
    else if (result != OUTQ_QUEUED)
        h->metrics->telemetry_thinned_total++;
}

enum outq_result hub_push(struct hub *h, struct session *s, const struct outq_item *item)
{
    enum outq_result result = ws_push(h->ws, s, item);
    count_push(h, item->lane, result);
    return result;
}

void hub_send_text(struct hub *h, struct session *s, const struct jsonw *w)
{
    struct outq_item item = {.frame = w->overflow ? NULL : frame_create(w->buf, w->len), .lane = OUTQ_CONTROL};
    if (item.frame == NULL) {
        h->metrics->queue_refused_total++;
        return;
    }
    hub_push(h, s, &item);
    frame_unref(item.frame);
}

bool hub_watches(const struct session *s, const char *device_id)
{
    return s->op == NULL || device_id == NULL || operator_watches(s->op, device_id);
}

void hub_broadcast(struct hub *h, enum outq_lane lane, uint32_t key, const char *device_id, const char *text,
                   size_t len)
{
    struct outq_item item = {.frame = h->websites ? frame_create(text, len) : NULL, .key = key, .lane = lane};
    struct session *s;
    if (item.frame == NULL)
        return;
    DL_FOREACH (h->websites, s) {
        if (hub_watches(s, device_id))
            hub_push(h, s, &item);
    }
    frame_unref(item.frame);
}

void hub_send_fault(struct hub *h, struct session *s, const struct msg_fault *fault)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_error(&w, fault);
    hub_send_text(h, s, &w);
}

void hub_send_error(struct hub *h, struct session *s, enum msg_code code, const char *text, const char *type,
                    const char *id)
{
    struct msg_fault fault = {.code = code};
    snprintf(fault.text, sizeof(fault.text), "%s", text ? text : msg_code_text(code));
    snprintf(fault.original_type, sizeof(fault.original_type), "%s", type ? type : "");
    snprintf(fault.id, sizeof(fault.id), "%s", id ? id : "");
    hub_send_fault(h, s, &fault);
}

void hub_send_ack(struct hub *h, struct session *s, const struct msg_ack *ack)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_ack(&w, ack);
    hub_send_text(h, s, &w);
}

void hub_send_relay_status(struct hub *h, struct session *s, bool up)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_relay_status(&w, h->conf->wsd.name, up, clock_wall_us());
    if (s != NULL)
        hub_send_text(h, s, &w);
    else if (!w.overflow)
        hub_broadcast(h, OUTQ_CONTROL, 0, NULL, w.buf, w.len);
}
