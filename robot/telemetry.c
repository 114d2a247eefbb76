#include "robot/telemetry.h"

#include "common/clock.h"
#include "common/jsonw.h"
#include "common/log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GREETING_MS    1000 /* a relay that does not greet gets telemetry after this */
#define ANSWER_MS      1000 /* for one sample; a relay knows within 750 ms whether it is stored */
#define BATCH_MS       10000
#define MUTE_MS        1000 /* without an answer to a batch: it is a relay that never answers */
#define WAIT_LEAST_MS  500  /* after a batch was refused, doubling */
#define WAIT_MOST_MS   8000
#define QUICK_MS       250 /* an answer within this: a batch may be larger */
#define SLOW_MS        750
#define SAMPLE_BYTES   4096
#define BATCH_FIRST    25 /* samples */
#define BATCH_BYTES    (32 * 1024)
#define SAMPLE_EXTRA   64 /* bytes of a sample in a batch beside its metrics, at most */
#define UNANSWERED_MAX 64

/* A sample that the link took, until the relay has it; or one that goes out as soon as the batch before it is stored.
 */
struct unanswered {
    int64_t time_ms; /* wall clock */
    int64_t sent_ms; /* or held */
    size_t len;
    size_t held; /* bytes of its message, behind the metrics; 0: sent */
    char *metrics;
};

struct telemetry {
    struct telemetry_config config;
    struct telemetry_stats stats;

    bool open, ready; /* connected; greeted, or not within GREETING_MS */
    bool due_now;     /* a sample at once, whatever next_ms says */
    int64_t next_ms;  /* when the next sample is due; 0: not known yet */
    int64_t ready_ms; /* when the relay counts as ready at the latest */

    struct unanswered unanswered[UNANSWERED_MAX]; /* ring, oldest first */
    size_t first, count;

    bool answers;    /* a relay has acknowledged something since this program began */
    bool mute;       /* none has, though it had a batch: this one answers nothing */
    bool unknown;    /* on this connection: the relay knows no batches */
    bool told;       /* the log has been told that samples wait */
    bool told_full;  /* … that the oldest ones make room */
    uint64_t pushed; /* that have done so */
    bool unlogged;   /* … that one could not be kept */

    size_t most;      /* samples of the next batch */
    size_t under_way; /* samples of the batch that waits for its answer; 0: none does */
    uint64_t number;  /* of the last batch */
    int64_t batch_ms; /* when it was sent */
    int64_t wait_ms;  /* how long to wait after the next refusal */
    int64_t retry_ms; /* no batch before */
};

struct telemetry *telemetry_create(const struct telemetry_config *config)
{
    struct telemetry *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->config = *config;
    t->most = BATCH_FIRST;
    t->wait_ms = WAIT_LEAST_MS;
    return t;
}

static bool nothing_waits(const struct telemetry *t)
{
    return !t->config.spool || spool_stats(t->config.spool).waiting == 0;
}

/* --- the spool -------------------------------------------------------------------------------- */

/* Once for each time that samples begin to make room for others. */
static void pushed_out(struct telemetry *t)
{
    uint64_t pushed = spool_stats(t->config.spool).pushed;

    if (!t->told_full)
        log_error("telemetry_pushed_out",
                  log_str("msg", "The spool is full: from now on the oldest samples make room for new ones"),
                  log_int("samples", (int64_t)(pushed - t->pushed)));
    t->told_full = true;
    t->pushed = pushed;
}

static void keep(struct telemetry *t, int64_t time_ms, const char *metrics, size_t len, int64_t now_ms)
{
    if (!t->config.spool || spool_put(t->config.spool, time_ms, metrics, len, now_ms) != 0) {
        t->stats.dropped++;
        if (t->config.spool && !t->unlogged)
            log_error("telemetry_not_kept", log_str("reason", strerror(errno)));
        t->unlogged = true;
        return;
    }
    t->unlogged = false;
    if (spool_stats(t->config.spool).pushed > t->pushed)
        pushed_out(t);
    log_debug("telemetry_kept", log_int("at_ms", time_ms));
    if (!t->told)
        log_warn("telemetry_waits", log_str("msg", "No relay takes telemetry: samples are kept until one does"));
    t->told = true;
}

static struct unanswered *oldest(struct telemetry *t)
{
    return t->count > 0 ? &t->unanswered[t->first] : NULL;
}

static void forget_oldest(struct telemetry *t)
{
    free(oldest(t)->metrics);
    t->first = (t->first + 1) % UNANSWERED_MAX;
    t->count--;
}

/* Answers come in the order of what was sent. */
static void forget_answered(struct telemetry *t)
{
    if (t->count > 0 && oldest(t)->held == 0)
        forget_oldest(t);
}

/* message: to be sent later; NULL: it has been. -1: out of memory. */
static int remember(struct telemetry *t, int64_t time_ms, const struct jsonw *metrics, const struct jsonw *message,
                    int64_t now_ms)
{
    size_t held = message ? message->len : 0;
    char *copy = t->config.spool ? malloc(metrics->len + held + 1) : NULL;

    if (!copy)
        return -1;
    memcpy(copy, metrics->buf, metrics->len);
    if (held > 0)
        memcpy(copy + metrics->len, message->buf, held);
    if (t->count == UNANSWERED_MAX)
        forget_oldest(t); /* only of a relay that never answered anything: it has them, or nobody does */
    t->unanswered[(t->first + t->count++) % UNANSWERED_MAX] =
        (struct unanswered){time_ms, now_ms, metrics->len, held, copy};
    return 0;
}

/* What may or may not be stored is sent once more: the relay knows what it has. */
static void keep_unanswered(struct telemetry *t, int64_t now_ms)
{
    for (; t->count > 0; forget_oldest(t))
        keep(t, oldest(t)->time_ms, oldest(t)->metrics, oldest(t)->len, now_ms);
}

void telemetry_destroy(struct telemetry *t)
{
    if (!t)
        return;
    keep_unanswered(t, clock_mono_ms());
    free(t);
}

/* --- samples ---------------------------------------------------------------------------------- */

/* Appends "Battery=85.0%" to the line for the log. */
static void describe(char *out, size_t cap, const struct msg_metric *m)
{
    static const struct {
        const char *name, *label, *unit;
    } known[] = {
        {"battery", "Battery", "%"},
        {"cpu", "CPU", "%"},
        {"temperature", "Temp", "°C"},
        {"signal", "Signal", "%"},
    };
    size_t len = strlen(out);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(m->name, known[i].name) == 0)
            snprintf(out + len, cap - len, "%s%s=%.1f%s", strchr(out, '=') ? ", " : "", known[i].label, m->value,
                     known[i].unit);
}

static bool plausible(const struct hal_reading *r)
{
    if (!isfinite(r->value) || !msg_metric_name_valid(r->name, strlen(r->name)))
        return false;
    if (strcmp(r->name, "temperature") == 0)
        return r->value >= -100 && r->value <= 300;
    if (strcmp(r->name, "battery") == 0 || strcmp(r->name, "cpu") == 0 || strcmp(r->name, "signal") == 0)
        return r->value >= 0 && r->value <= 100;
    return true;
}

/* What was read, rounded to what it means. A reading that cannot be is left out, never mended. */
static void fill(struct msg *m, const struct hal_reading *readings, size_t n)
{
    for (size_t i = 0; i < n && m->n_metrics < MSG_METRICS_MAX; i++) {
        double scale = pow(10, readings[i].decimals);

        if (plausible(&readings[i]))
            m->metrics[m->n_metrics++] =
                (struct msg_metric){.name = readings[i].name, .value = round(readings[i].value * scale) / scale};
    }
}

static bool goes_out_now(const struct telemetry *t, int64_t now_ms)
{
    if (!t->open || !t->ready)
        return false;
    return t->mute || t->unknown || (nothing_waits(t) && now_ms >= t->retry_ms);
}

/* Whether nothing waits but what the relay is about to store. */
static bool almost_caught_up(const struct telemetry *t)
{
    return t->under_way > 0 && t->count < UNANSWERED_MAX && spool_stats(t->config.spool).waiting == t->under_way;
}

/* As the link's send. */
static int send_sample(struct telemetry *t, const struct msg *m, const struct jsonw *w, int64_t time_ms)
{
    char line[160] = "Telemetry sent: ";
    int rc = w->overflow ? -1 : t->config.send(t->config.ctx, SENDQ_LATEST, w->buf, w->len);

    if (rc < 0)
        return -1;
    t->stats.sent++;
    for (size_t i = 0; i < m->n_metrics; i++)
        describe(line, sizeof(line), &m->metrics[i]);
    log_info("telemetry_sent", log_str("msg", line), log_int("at_ms", time_ms));
    return rc;
}

static void take_sample(struct telemetry *t, int64_t now_ms)
{
    struct hal_reading readings[HAL_READINGS_MAX];
    struct msg m = {.type = MSG_TELEMETRY, .device_id = t->config.device_id, .device_name = t->config.device_name};
    char metrics[SAMPLE_BYTES], text[SAMPLE_BYTES];
    struct jsonw w, message;
    int64_t time_ms = clock_wall_ms();

    fill(&m, readings, t->config.driver->read_sensors(t->config.hal, readings, HAL_READINGS_MAX));
    jsonw_init(&w, metrics, sizeof(metrics));
    msg_put_metrics(&w, &m);
    jsonw_init(&message, text, sizeof(text));
    msg_put_telemetry(&message, &m, time_ms);
    int rc = -1;

    if (goes_out_now(t, now_ms)) {
        rc = send_sample(t, &m, &message, time_ms);
        if (rc >= 0)
            remember(t, time_ms, &w, NULL, now_ms);
        if (rc > 0)
            keep_unanswered(t, now_ms); /* the link dropped the one before */
    } else if (almost_caught_up(t) && !message.overflow) {
        rc = remember(t, time_ms, &w, &message, now_ms);
    }
    if (rc >= 0)
        return;
    keep_unanswered(t, now_ms); /* before it: what waits is in the order of times */
    keep(t, time_ms, w.buf, w.len, now_ms);
}

static void tick_sample(struct telemetry *t, int64_t now_ms)
{
    if (t->next_ms == 0) /* the first connection is on its way */
        t->next_ms = now_ms + (t->config.interval_ms > GREETING_MS ? t->config.interval_ms : GREETING_MS);
    if (!t->due_now && now_ms < t->next_ms)
        return;
    /* Late by more than a period (a suspended machine): the missed ones are not made up for. */
    if (t->due_now || now_ms - t->next_ms >= t->config.interval_ms)
        t->next_ms = now_ms;
    t->due_now = false;
    t->next_ms += t->config.interval_ms;
    take_sample(t, now_ms);
}

/* --- batches ---------------------------------------------------------------------------------- */

struct batch {
    struct jsonw w;
    size_t n, most;
    int64_t last_ms; /* wall clock */
};

/* As many as may be; a clock that was set back ends it, since a batch is in the order of times. */
static bool add_sample(void *ctx, int64_t time_ms, const char *metrics, size_t len)
{
    struct batch *b = ctx;

    if (b->n == b->most || time_ms < b->last_ms || b->w.len + len + SAMPLE_EXTRA > b->w.cap)
        return false;
    msg_put_batch_sample(&b->w, time_ms, metrics, len);
    b->last_ms = time_ms;
    b->n++;
    return true;
}

static void send_batch(struct telemetry *t, int64_t now_ms)
{
    char buf[BATCH_BYTES], id[32];
    struct batch b = {.most = t->most};

    snprintf(id, sizeof(id), "b%llu", (unsigned long long)++t->number);
    jsonw_init(&b.w, buf, sizeof(buf));
    msg_put_batch_begin(&b.w, id, t->config.device_name);
    if (spool_peek(t->config.spool, add_sample, &b) == 0) {
        spool_drop(t->config.spool); /* what waits cannot be read any more */
        return;
    }
    msg_put_batch_end(&b.w);
    if (b.w.overflow || t->config.send(t->config.ctx, SENDQ_LATEST, b.w.buf, b.w.len) != 0)
        return;
    t->under_way = b.n;
    t->batch_ms = now_ms;
    log_debug("backfill_sent", log_int("samples", (int64_t)b.n));
}

/* It is not stored, as far as is known. */
static void give_up_batch(struct telemetry *t, int64_t now_ms)
{
    t->under_way = 0;
    keep_unanswered(t, now_ms); /* those that were to follow it */
}

static void smaller(struct telemetry *t)
{
    t->most = t->most > 1 ? t->most / 2 : 1;
}

/* Again, later; not all robots at once. */
static void wait_for_relay(struct telemetry *t, int64_t now_ms)
{
    t->retry_ms = now_ms + t->wait_ms + clock_wall_us() % (t->wait_ms / 2);
    t->wait_ms = 2 * t->wait_ms < WAIT_MOST_MS ? 2 * t->wait_ms : WAIT_MOST_MS;
}

static void tick_batch(struct telemetry *t, int64_t now_ms)
{
    if (t->under_way > 0 && !t->answers && now_ms - t->batch_ms >= MUTE_MS) {
        t->mute = t->due_now = true;
        give_up_batch(t, now_ms);
        log_warn("relay_mute", log_str("msg", "The relay acknowledges nothing: what waits is kept for another one"));
    }
    if (t->under_way > 0 && now_ms - t->batch_ms >= BATCH_MS) {
        give_up_batch(t, now_ms);
        smaller(t);
    }
    if (t->under_way > 0 || t->mute || t->unknown || now_ms < t->retry_ms || nothing_waits(t) ||
        !spool_settled(t->config.spool))
        return;
    send_batch(t, now_ms);
}

void telemetry_tick(struct telemetry *t, int64_t now_ms)
{
    if (t->open && now_ms >= t->ready_ms)
        t->ready = true;
    if (t->open ? t->ready : t->config.spool != NULL)
        tick_sample(t, now_ms);
    if (t->answers && t->count > 0 && now_ms - oldest(t)->sent_ms >= ANSWER_MS)
        keep_unanswered(t, now_ms);
    if (t->open && t->ready && t->config.spool)
        tick_batch(t, now_ms);
}

/* --- connection and answers ------------------------------------------------------------------- */

void telemetry_opened(struct telemetry *t, int64_t now_ms)
{
    t->open = true;
    t->ready = t->due_now = t->unknown = false;
    t->ready_ms = t->next_ms = now_ms + GREETING_MS;
    t->retry_ms = 0;
}

void telemetry_greeted(struct telemetry *t)
{
    t->ready = t->due_now = true;
}

void telemetry_closed(struct telemetry *t, int64_t now_ms)
{
    t->open = t->ready = t->due_now = false;
    if (t->under_way > 0)
        smaller(t);
    t->under_way = 0;
    keep_unanswered(t, now_ms);
}

static bool is_about(const struct msg *m, enum msg_type type)
{
    return m->original_type && strcmp(m->original_type, msg_type_name(type)) == 0;
}

static bool is_of_batch(const struct telemetry *t, const struct msg *m)
{
    char id[32];

    snprintf(id, sizeof(id), "b%llu", (unsigned long long)t->number);
    return t->under_way > 0 && m->id && strcmp(m->id, id) == 0;
}

/* Those that were held back: now it is their turn. */
static void send_held(struct telemetry *t, int64_t now_ms)
{
    for (size_t i = 0; i < t->count; i++) {
        struct unanswered *u = &t->unanswered[(t->first + i) % UNANSWERED_MAX];

        if (u->held == 0)
            continue;
        if (t->config.send(t->config.ctx, SENDQ_ORDERED, u->metrics + u->len, u->held) < 0) {
            keep_unanswered(t, now_ms);
            return;
        }
        t->stats.sent++;
        u->held = 0;
        u->sent_ms = now_ms;
        log_info("telemetry_sent", log_str("msg", "Telemetry sent"), log_int("at_ms", u->time_ms));
    }
}

static void batch_done(struct telemetry *t, int64_t now_ms)
{
    spool_drop(t->config.spool);
    t->under_way = 0;
    if (!nothing_waits(t))
        return;
    send_held(t, now_ms);
    if (t->told)
        log_info("telemetry_caught_up", log_str("msg", "Telemetry sent: all samples that had waited"),
                 log_int("samples", (int64_t)t->stats.late));
    t->told = t->told_full = false;
}

void telemetry_acked(struct telemetry *t, const struct msg *ack, int64_t now_ms)
{
    if (is_about(ack, MSG_TELEMETRY)) {
        t->answers = true;
        t->mute = false;
        t->stats.acked++;
        forget_answered(t);
    } else if (is_about(ack, MSG_TELEMETRY_BATCH) && is_of_batch(t, ack)) {
        int64_t took = now_ms - t->batch_ms;

        t->answers = true;
        t->mute = false;
        t->stats.late += t->under_way;
        t->wait_ms = WAIT_LEAST_MS;
        if (took <= QUICK_MS)
            t->most = 2 * t->most < MSG_SAMPLES_MAX ? 2 * t->most : MSG_SAMPLES_MAX;
        else if (took > SLOW_MS)
            smaller(t);
        batch_done(t, now_ms);
    }
}

static bool code_is(const struct msg *m, enum msg_code code)
{
    return m->code && strcmp(m->code, msg_code_name(code)) == 0;
}

/* It will never take it as it is: find the sample that is to blame, and do without it. */
static void batch_invalid(struct telemetry *t, int64_t now_ms)
{
    if (t->under_way > 1) {
        t->most = 1;
        give_up_batch(t, now_ms);
        return;
    }
    t->stats.dropped++;
    batch_done(t, now_ms);
}

static void batch_failed(struct telemetry *t, const struct msg *m, int64_t now_ms)
{
    if (code_is(m, MSG_UNKNOWN_TYPE)) {
        give_up_batch(t, now_ms);
        t->unknown = true;
        log_warn("relay_old", log_str("msg", "The relay takes no batches: what waits is kept for another one"));
    } else if (code_is(m, MSG_INVALID_MESSAGE) || code_is(m, MSG_OUT_OF_RANGE)) {
        batch_invalid(t, now_ms);
    } else {
        give_up_batch(t, now_ms);
        wait_for_relay(t, now_ms);
    }
}

bool telemetry_failed(struct telemetry *t, const struct msg *m, int64_t now_ms)
{
    bool sample = is_about(m, MSG_TELEMETRY), batch = is_about(m, MSG_TELEMETRY_BATCH);

    t->stats.refused += sample || batch;
    if (batch && is_of_batch(t, m)) {
        batch_failed(t, m, now_ms);
    } else if (sample && (code_is(m, MSG_INVALID_MESSAGE) || code_is(m, MSG_OUT_OF_RANGE))) {
        forget_answered(t);
    } else if (sample && t->count > 0) {
        keep_unanswered(t, now_ms);
        wait_for_relay(t, now_ms);
    }
    return sample || batch;
}

void telemetry_set_interval(struct telemetry *t, int64_t interval_ms)
{
    if (t->next_ms != 0)
        t->next_ms += interval_ms - t->config.interval_ms;
    t->config.interval_ms = interval_ms;
}

struct telemetry_stats telemetry_stats(const struct telemetry *t)
{
    return t->stats;
}
