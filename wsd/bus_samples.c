#include "wsd/bus_internal.h"

#include "common/clock.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 8192

static const char *why_not(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_ERROR ? reply->str : "Redis was lost before it answered";
}

/* {for each its time, 0: it was there} */
static bool take_times(const redisReply *reply, int64_t *times, size_t n)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n)
        return false;
    for (size_t i = 0; i < n; i++)
        times[i] = bus_link_int(reply->element[i]);
    return true;
}

/* note: those stored under another time than their own, to know them when they come again. */
static int send_batch(struct bus *b, const struct bus_batch *batch, bool note, bus_answer *answer, struct bus_request r)
{
    char most[16], latest[24];
    snprintf(most, sizeof(most), "%d", b->conf->wsd.stream_maxlen);
    snprintf(latest, sizeof(latest), "%" PRId64, batch->latest_ms);
    struct rconn_arg args[] = {BUS_ARG(batch->device_id), BUS_ARG(most), BUS_ARG(latest),
                               BUS_ARGN(batch->lines, batch->len), BUS_ARG(note ? "1" : "0")};
    return bus_link_script(b->link, BUS_SCRIPT_BATCH, args, 5, answer, r);
}

/* --- one sample ---------------------------------------------------------------------------- */

/*
 * How old a sample may be that a relay brings although its robot has meanwhile sent it again, through another relay,
 * since this one stood still for so long that the robot gave it up.
 */
#define OLD_NEWS_MS    1000
#define OLDER_STILL_MS 60000

static void on_stored(void *ctx, const struct bus_request *r, const redisReply *reply);

static bool may_be_there(const struct bus_sample *s)
{
    int64_t age = clock_wall_ms() - s->time_ms;
    return s->time_ms > 0 && age > OLD_NEWS_MS && age < OLDER_STILL_MS;
}

static int send_sample(struct bus *b, struct bus_sample *s, bool own_time, struct bus_request r)
{
    char key[RKEY_MAX], id[32] = "*";
    rkey_join(key, RKEY_STREAM_PREFIX, s->device_id);
    if (own_time)
        snprintf(id, sizeof(id), "%" PRId64 "-%s", s->time_ms, may_be_there(s) ? "0" : "*");
    return bus_append(b, key, b->conf->wsd.stream_maxlen, id, s->metrics, s->metrics_len, on_stored, r);
}

/* {its time, 0: it was there} */
static void on_looked(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    bus_store_cb *cb = (bus_store_cb *)r->callback;
    int64_t time_ms = 0;
    if (reply != NULL && take_times(reply, &time_ms, 1))
        cb(b->ctx, r->owner, r->token, time_ms, NULL);
    else
        cb(b->ctx, r->owner, r->token, 0, why_not(reply));
}

/* It was not later than the last one stored: is it there? Else under the time of arrival. */
static int store_again(struct bus *b, struct bus_sample *s, struct bus_request r)
{
    if (!may_be_there(s))
        return send_sample(b, s, false, r);
    char lines[LINE_MAX_BYTES];
    int n = snprintf(lines, sizeof(lines), "%" PRId64 " %.*s\n", s->time_ms, (int)s->metrics_len, s->metrics);
    struct bus_batch one = {s->device_id, INT64_MAX, lines, (size_t)n, 1};
    return n < (int)sizeof(lines) ? send_batch(b, &one, false, on_looked, r) : -1;
}

static void on_stored(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    struct bus_sample *s = r->token;
    bus_store_cb *cb = (bus_store_cb *)r->callback;
    bool error = reply != NULL && reply->type == REDIS_REPLY_ERROR;
    if (reply != NULL && reply->type == REDIS_REPLY_STRING)
        cb(b->ctx, r->owner, s, strtoll(reply->str, NULL, 10), NULL);
    else if (error && strstr(reply->str, "equal or smaller") && store_again(b, s, *r) == 0)
        return;
    else
        cb(b->ctx, r->owner, s, 0, why_not(reply));
}

int bus_store(struct bus *b, struct bus_sample *s, void *owner, bus_store_cb *cb)
{
    return send_sample(b, s, s->time_ms > 0, bus_request_of(owner, s, (void (*)(void))cb));
}

/* --- samples that had to wait -------------------------------------------------------------- */

static void on_batch_stored(void *ctx, const struct bus_request *r, const redisReply *reply)
{
    struct bus *b = ctx;
    struct bus_batch *batch = r->token;
    bus_batch_cb *cb = (bus_batch_cb *)r->callback;
    int64_t times[MSG_SAMPLES_MAX];
    if (reply != NULL && take_times(reply, times, batch->n))
        cb(b->ctx, r->owner, batch, times, NULL);
    else
        cb(b->ctx, r->owner, batch, NULL, why_not(reply));
}

int bus_store_batch(struct bus *b, struct bus_batch *batch, void *owner, bus_batch_cb *cb)
{
    if (!bus_link_room(b->link) || batch->n > MSG_SAMPLES_MAX)
        return -1;
    return send_batch(b, batch, true, on_batch_stored, bus_request_of(owner, batch, (void (*)(void))cb));
}
