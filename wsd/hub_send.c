#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "wsd/ws.h"

#include <stdio.h>
#include <utlist.h>

static void count_push(struct hub *h, enum outq_lane lane, enum outq_result result)
{
    h->metrics->frames_sent_total++;
    if (result == OUTQ_REFUSED)
        h->metrics->queue_refused_total++;
    else if (result == OUTQ_REPLACED && lane == OUTQ_COMMAND)
        h->metrics->commands_replaced_total++;
    else if (result == OUTQ_REPLACED && lane == OUTQ_VIDEO)
        h->metrics->video_replaced_total++;
    else if (result != OUTQ_QUEUED)
        h->metrics->telemetry_thinned_total++;
}

void hub_push(struct hub *h, struct session *s, enum outq_lane lane, struct frame *f, uint32_t key, int64_t deadline_ms)
{
    count_push(h, lane, ws_push(h->ws, s, lane, f, key, deadline_ms));
}

void hub_send_text(struct hub *h, struct session *s, const struct jsonw *w)
{
    struct frame *f = w->overflow ? NULL : frame_create(w->buf, w->len);
    if (f == NULL) {
        h->metrics->queue_refused_total++;
        return;
    }
    hub_push(h, s, OUTQ_CONTROL, f, 0, 0);
    frame_unref(f);
}

void hub_broadcast(struct hub *h, enum outq_lane lane, uint32_t key, const char *text, size_t len)
{
    struct frame *f = h->websites ? frame_create(text, len) : NULL;
    struct session *s;
    if (f == NULL)
        return;
    DL_FOREACH (h->websites, s)
        hub_push(h, s, lane, f, key, 0);
    frame_unref(f);
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
        hub_broadcast(h, OUTQ_CONTROL, 0, w.buf, w.len);
}
