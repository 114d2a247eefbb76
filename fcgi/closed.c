#include "fcgi/closed.h"

#include "fcgi/etag.h"
#include "fcgi/fetch.h"

#include "common/clock.h"

#include <string.h>

#define FORM   1                       /* of the answers: another one has other tags */
#define GAPS   100                     /* a device's newest: one more makes another tag */
#define DAY_MS ((int64_t)24 * 3600000) /* and so long is an answer kept */

/* Where its samples are deleted soon, an answer does not stay what it is. */
static bool stays(const struct context *ctx, const struct history *h, int64_t now_ms)
{
    if (!h->has_to || h->moves)
        return false;
    if (!ctx->archive || ctx->keep_samples_d == 0)
        return true;
    return h->has_from && h->from_ms > now_ms - (ctx->keep_samples_d - 1) * DAY_MS;
}

static int on_gap(void *tag, const struct archive_gap *gap)
{
    etag_number(tag, gap->after.ms);
    etag_number(tag, gap->after.seq);
    etag_number(tag, gap->before.ms);
    etag_number(tag, gap->before.seq);
    return 0;
}

/* What was before a stream's first entry in Redis is in the archive, but for what was lost. False when that is not
 * known yet, as always when the archive is away. */
static bool add_archived(struct context *ctx, const char *name, struct streamid first, struct etag *tag)
{
    struct streamid position;
    bool known;
    int rc = archive_position(ctx->archive, ARCHIVE_SAMPLES, name, &position, &known);
    if (rc == 0)
        rc = archive_gaps(ctx->archive, name, GAPS, on_gap, tag);
    return fetch_asked(ctx, rc) == 0 && known && streamid_compare(position, first) >= 0;
}

/*
 * A stream's ids only rise. Without an archive, old samples may be trimmed from Redis at any time: what is left of the
 * range is then a part of the tag.
 */
static bool add_streams(struct context *ctx, const struct history *h, struct etag *tag)
{
    const char *names[HISTORY_DEVICES_MAX];
    struct fetch_bounds bounds[HISTORY_DEVICES_MAX];
    for (size_t i = 0; i < h->n_devices; i++)
        names[i] = h->devices[i];
    if (fetch_bounds(ctx, ARCHIVE_SAMPLES, names, h->n_devices, bounds) < 0)
        return false;
    for (size_t i = 0; i < h->n_devices; i++) {
        struct streamid first = bounds[i].first;
        if (!bounds[i].stored || h->to_ms < 0 || bounds[i].last.ms <= (uint64_t)h->to_ms)
            return false;
        bool trimmed = streamid_compare(first, history_range(h, names[i]).lo) > 0;
        if (trimmed && ctx->archive && !add_archived(ctx, names[i], first, tag))
            return false;
        if (trimmed && !ctx->archive) {
            etag_number(tag, first.ms);
            etag_number(tag, first.seq);
        }
        etag_text(tag, names[i], strlen(names[i]));
    }
    return true;
}

/* What was asked, in one form for one meaning. Times were resolved, the order of parameters does not matter. */
static void add_request(const struct request *req, const struct history *h, struct etag *tag)
{
    const struct query_param *cursor;
    struct fault unused;
    etag_number(tag, FORM);
    etag_number(tag, (uint64_t)(h->has_from ? h->from_ms : INT64_MIN));
    etag_number(tag, (uint64_t)h->to_ms);
    etag_number(tag, h->has_limit ? (uint64_t)h->limit : 0);
    etag_number(tag, h->descending);
    etag_number(tag, h->format);
    bool walks = query_single(&req->query, "cursor", &cursor, &unused) == 0 && cursor;
    etag_text(tag, walks ? cursor->value : "", walks ? cursor->len : 0);
    etag_number(tag, (uint64_t)h->steps.ms);
    for (size_t i = 0; i < h->steps.n_aggs; i++)
        etag_number(tag, h->steps.aggs[i]);
    etag_number(tag, h->has_fields);
    for (size_t i = 0; i < h->n_fields; i++)
        etag_text(tag, h->fields[i], strlen(h->fields[i]));
}

/* The last digit of an average depends on the order in which its sum was made, and that on where the parts are. */
static bool is_exact(const struct history *h)
{
    for (size_t i = 0; i < h->steps.n_aggs; i++) {
        if (h->steps.aggs[i] == STEPS_AVG)
            return false;
    }
    return true;
}

bool closed_answer(struct context *ctx, const struct request *req, const struct history *h, struct reply *reply)
{
    char weak[2 + ETAG_TEXT_MAX] = "W/", *text = weak + 2;
    struct etag tag;
    if (!stays(ctx, h, clock_wall_ms()))
        return false;
    etag_init(&tag);
    add_request(req, h, &tag);
    if (!add_streams(ctx, h, &tag))
        return false; /* also when the store is away: whoever reads the samples says so */
    etag_format(&tag, text);
    reply_header(reply, "ETag", is_exact(h) ? text : weak);
    reply->cache = "private, max-age=86400";
    if (!req->if_none_match || !etag_matches(req->if_none_match, text))
        return false;
    reply_not_modified(reply);
    return true;
}
