#include "wsd/hub_internal.h"

#include "common/clock.h"
#include "wsd/relay.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPDATE_MAX 8192u /* telemetry_update with every metric at its longest */
/* Under way at a time: those of a thousand robots that come back at once must not make commands wait in Redis. */
#define BATCHES_MAX 8

#define TIME_DIGITS 20
#define SAVED       "Telemetry data received and saved"

/* A sample on its way into Redis: the message for the websites is ready but for its time. */
struct pending {
    struct bus_sample sample;
    char device_id[MSG_DEVICE_ID_MAX + 1];
    int64_t time_ms; /* as written at `time_at` */
    size_t time_at;
    size_t len;
    char text[]; /* telemetry_update, then the metrics alone */
};

static void on_stored(void *ctx, void *owner, struct bus_sample *sample, int64_t time_ms, const char *why)
{
    struct hub *h = ctx;
    struct pending *p = (struct pending *)sample;
    struct session *s = owner;
    if (why != NULL) {
        char text[160];
        h->metrics->samples_refused_total++;
        snprintf(text, sizeof(text), "telemetry could not be stored: %s", why);
        if (s != NULL)
            hub_send_error(h, s, MSG_NOT_STORED, text, "telemetry", NULL);
        free(p);
        return;
    }
    if (time_ms != 0)
        h->metrics->samples_stored_total++;
    else
        h->metrics->samples_repeated_total++;
    if (time_ms != p->time_ms && time_ms != 0) {
        char stamp[CLOCK_RFC3339_MS_LEN + 1];
        clock_format_ms(stamp, time_ms);
        memcpy(p->text + p->time_at, stamp, CLOCK_RFC3339_MS_LEN);
    }
    if (time_ms != 0)
        bus_publish(h->bus, BUS_TELEMETRY, p->device_id, p->text, p->len);
    if (s != NULL) {
        struct msg_ack ack = {"telemetry", NULL, SAVED, -1, false, clock_wall_us()};
        hub_send_ack(h, s, &ack);
    }
    free(p);
}

static struct pending *prepare_sample(const struct robot *r, const struct msg *m)
{
    static_assert(offsetof(struct pending, sample) == 0, "on_stored casts");
    char metrics[UPDATE_MAX], update[UPDATE_MAX];
    struct jsonw mw, uw;
    int64_t now = clock_wall_ms();
    int64_t time_ms = relay_sample_time(m, now);
    int64_t shown_ms = time_ms > 0 ? time_ms : now;
    jsonw_init(&mw, metrics, sizeof(metrics));
    msg_put_metrics(&mw, m);
    jsonw_init(&uw, update, sizeof(update));
    size_t time_at = msg_put_telemetry_update(&uw, r->id, r->name, mw.buf, mw.len, shown_ms);
    struct pending *p = mw.overflow || uw.overflow ? NULL : malloc(sizeof(*p) + uw.len + mw.len);
    if (p == NULL)
        return NULL;
    memcpy(p->device_id, r->id, sizeof(p->device_id));
    p->time_ms = shown_ms;
    p->time_at = time_at;
    p->len = uw.len;
    memcpy(p->text, update, uw.len);
    memcpy(p->text + uw.len, metrics, mw.len);
    p->sample = (struct bus_sample){p->device_id, time_ms, p->text + uw.len, mw.len};
    return p;
}

static void take_name(struct hub *h, struct robot *r, const char *name)
{
    if (name == NULL || name[0] == '\0' || strcmp(name, r->name) == 0)
        return;
    snprintf(r->name, sizeof(r->name), "%s", name);
    bus_set_name(h->bus, r->id, r->name);
}

void hub_store_sample(struct hub *h, struct session *s, const struct msg *m)
{
    struct robot *r = s->robot;
    take_name(h, r, m->device_name);
    struct pending *p = prepare_sample(r, m);
    if (p != NULL && bus_store(h->bus, &p->sample, s, on_stored) == 0)
        return;
    h->metrics->samples_refused_total++;
    hub_send_error(h, s, MSG_NOT_STORED,
                   p ? "telemetry could not be stored: this relay has lost Redis" : "out of memory", m->type_name,
                   NULL);
    free(p);
}

/* --- samples that had to wait -------------------------------------------------------------- */

/* A batch on its way into Redis. */
struct pending_batch {
    struct bus_batch batch;
    char device_id[MSG_DEVICE_ID_MAX + 1];
    char name[MSG_NAME_MAX + 1];
    char id[MSG_COMMAND_ID_MAX + 1];
    char *lines;
    size_t cap;
};

static void free_batch(struct pending_batch *p)
{
    if (p != NULL)
        free(p->lines);
    free(p);
}

/* What is new to the history goes to the websites, in one piece: a relay hands on hundreds of samples at the cost of
 * one request. */
static void publish_batch(struct hub *h, const struct pending_batch *p, const int64_t *times)
{
    size_t cap = p->batch.len + p->batch.n * SMALL_TEXT;
    char *text = malloc(cap);
    const char *line = p->lines;
    struct jsonw w;
    jsonw_init(&w, text, text != NULL ? cap : 0);
    for (size_t i = 0; i < p->batch.n; i++) {
        const char *metrics = (const char *)memchr(line, ' ', TIME_DIGITS + 1) + 1;
        const char *eol = strchr(metrics, '\n');
        if (times[i] != 0 && w.len > 0)
            jsonw_raw(&w, "\n", 1);
        if (times[i] != 0)
            msg_put_late_update(&w, p->device_id, p->name, metrics, (size_t)(eol - metrics), times[i]);
        line = eol + 1;
    }
    if (w.len > 0 && !w.overflow)
        bus_publish(h->bus, BUS_BACKFILL, p->device_id, w.buf, w.len);
    free(text);
}

static void ack_batch(struct hub *h, struct session *s, const struct pending_batch *p)
{
    char buf[SMALL_TEXT];
    struct jsonw w;
    struct msg_ack ack = {
        msg_type_name(MSG_TELEMETRY_BATCH), p->id[0] ? p->id : NULL, SAVED, -1, false, clock_wall_us()};
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_ack(&w, &ack);
    msg_append_int(&w, "stored", (int64_t)p->batch.n);
    hub_send_text(h, s, &w);
}

static void on_batch_stored(void *ctx, void *owner, struct bus_batch *batch, const int64_t *times, const char *why)
{
    struct hub *h = ctx;
    struct pending_batch *p = (struct pending_batch *)batch;
    struct session *s = owner;
    h->batches--;
    if (why != NULL) {
        char text[160];
        h->metrics->samples_refused_total += batch->n;
        snprintf(text, sizeof(text), "none of the samples could be stored: %s", why);
        if (s != NULL)
            hub_send_error(h, s, MSG_NOT_STORED, text, msg_type_name(MSG_TELEMETRY_BATCH), p->id);
        free_batch(p);
        return;
    }
    for (size_t i = 0; i < batch->n; i++) {
        h->metrics->samples_stored_total += times[i] != 0;
        h->metrics->samples_backfilled_total += times[i] != 0;
        h->metrics->samples_repeated_total += times[i] == 0;
    }
    publish_batch(h, p, times);
    if (s != NULL)
        ack_batch(h, s, p);
    free_batch(p);
}

static int add_line(struct pending_batch *p, const struct msg *sample)
{
    char line[UPDATE_MAX];
    struct jsonw w, metrics;
    jsonw_init(&w, line, sizeof(line) - 1);
    jsonw_int(&w, sample->time_ms);
    jsonw_raw(&w, " ", 1);
    jsonw_init(&metrics, line + w.len, sizeof(line) - 1 - w.len);
    msg_put_metrics(&metrics, sample);
    size_t len = w.len + metrics.len + 1;
    line[len - 1] = '\n';
    if (metrics.overflow)
        return -1;
    if (p->batch.len + len > p->cap) {
        size_t cap = 2 * (p->batch.len + len);
        char *lines = realloc(p->lines, cap);
        if (lines == NULL)
            return -1;
        p->lines = lines;
        p->cap = cap;
    }
    memcpy(p->lines + p->batch.len, line, len);
    p->batch.len += len;
    p->batch.n++;
    return 0;
}

static struct pending_batch *prepare_batch(const struct robot *r, const struct msg *m)
{
    static_assert(offsetof(struct pending_batch, batch) == 0, "on_batch_stored casts");
    struct pending_batch *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    memcpy(p->device_id, r->id, sizeof(p->device_id));
    memcpy(p->name, r->name, sizeof(p->name));
    snprintf(p->id, sizeof(p->id), "%s", m->id ? m->id : "");
    for (size_t i = 0; i < m->n_samples; i++) {
        struct msg sample;
        msg_sample_at(m, i, &sample);
        if (add_line(p, &sample) != 0) {
            free_batch(p);
            return NULL;
        }
    }
    p->batch.device_id = p->device_id;
    p->batch.latest_ms = clock_wall_ms() + RELAY_AHEAD_MS;
    p->batch.lines = p->lines;
    return p;
}

void hub_store_batch(struct hub *h, struct session *s, const struct msg *m)
{
    struct robot *r = s->robot;
    struct pending_batch *p = NULL;
    if (h->batches >= BATCHES_MAX) {
        h->metrics->messages_rate_limited_total++;
        hub_send_error(h, s, MSG_RATE_LIMITED, "other robots' batches are being stored; send it again in a while",
                       m->type_name, m->id);
        return;
    }
    take_name(h, r, m->device_name);
    p = prepare_batch(r, m);
    if (p != NULL && bus_store_batch(h->bus, &p->batch, s, on_batch_stored) == 0) {
        h->batches++;
        return;
    }
    h->metrics->samples_refused_total += m->n_samples;
    hub_send_error(h, s, MSG_NOT_STORED,
                   p ? "none of the samples could be stored: this relay has lost Redis" : "out of memory", m->type_name,
                   m->id);
    free_batch(p);
}
