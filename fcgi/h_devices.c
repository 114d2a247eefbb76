#include "common/sample.h"
#include "fcgi/fleet.h"
#include "fcgi/handler.h"
#include "fcgi/item.h"
#include "fcgi/online.h"

#include "common/msg.h"
#include "common/rkey.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 500 /* devices asked about at once */

static const char *const no_params[] = {NULL};

/* A device's newest sample. */
struct latest {
    bool any;
    struct streamid id;
    const char *text;
    size_t len;
};

struct device {
    const char *id;
    struct fleet_text name;
    double seen_ms; /* as the relays noted it; 0 when they did not */
    struct fleet_control control;
    struct latest latest;
};

static int on_latest(void *ctx, size_t index, struct streamid id, const char *text, size_t len)
{
    struct latest *latest = &((struct device *)ctx)[index].latest;
    if (text && sample_check(text, len) != SAMPLE_BAD)
        *latest = (struct latest){.any = true, .id = id, .text = text, .len = len};
    return 0;
}

/* Name, control and newest sample of each. */
static int read_details(struct context *ctx, struct device *devices, size_t n)
{
    struct fleet_scored ids[BATCH];
    struct fleet_text names[BATCH];
    struct fleet_control controls[BATCH];
    struct store_range ranges[BATCH];
    for (size_t done = 0; done < n;) {
        size_t part = n - done < BATCH ? n - done : BATCH;
        for (size_t i = 0; i < part; i++) {
            ids[i] = (struct fleet_scored){.name = devices[done + i].id};
            ranges[i] = (struct store_range){.prefix = RKEY_STREAM_PREFIX,
                                             .name = devices[done + i].id,
                                             .range = {.lo = {0, 0}, .hi = {UINT64_MAX, UINT64_MAX}},
                                             .count = 1,
                                             .descending = true};
        }
        if (fleet_names(ctx->store, ids, part, names) < 0 || fleet_controls(ctx->store, ids, part, controls) < 0 ||
            store_ranges(ctx->store, ranges, part, false, on_latest, devices + done) < 0)
            return -1;
        for (size_t i = 0; i < part; i++) {
            devices[done + i].name = names[i];
            devices[done + i].control = controls[i];
        }
        done += part;
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct fleet_pair *)a)->key.text, ((const struct fleet_pair *)b)->key.text);
}

static bool lease_valid(const struct fleet *fleet, const char *instance)
{
    for (size_t i = 0; i < fleet->n_relays; i++) {
        if (strcmp(fleet->relays[i].name, instance) == 0)
            return fleet->relays[i].score > (double)fleet->now_ms;
    }
    return false;
}

/* Where the device is connected; false when it is not, or only to a relay that died. fleet->online is sorted. */
static bool find_online(const struct fleet *fleet, const char *device_id, struct online *online)
{
    struct fleet_pair key = {.key = {device_id, strlen(device_id)}};
    const struct fleet_pair *pair =
        fleet->n_online ? bsearch(&key, fleet->online, fleet->n_online, sizeof(key), compare_keys) : NULL;
    return pair && online_parse(pair->value.text, pair->value.len, online) == 0 && lease_valid(fleet, online->instance);
}

static void put_time(struct buf *out, const char *member, int64_t ms)
{
    char text[CLOCK_RFC3339_MS_LEN + 1];
    clock_format_ms(text, ms);
    buf_printf(out, ",\"%s\":\"%s\"", member, text);
}

static int64_t last_seen(const struct fleet *fleet, const struct device *d, bool online)
{
    int64_t seen = d->seen_ms > 0 && d->seen_ms < (double)fleet->now_ms ? (int64_t)d->seen_ms : 0;
    if (online || d->seen_ms >= (double)fleet->now_ms)
        return fleet->now_ms;
    if (d->latest.any && d->latest.id.ms > (uint64_t)seen)
        seen = d->latest.id.ms < (uint64_t)fleet->now_ms ? (int64_t)d->latest.id.ms : fleet->now_ms;
    return seen;
}

static void put_text(struct buf *out, const char *member, const struct fleet_text *text)
{
    buf_printf(out, ",\"%s\":", member);
    if (text->text)
        buf_json_str(out, text->text, text->len);
    else
        buf_str(out, "null");
}

static void put_control(struct buf *out, const struct fleet_control *c, int64_t now_ms)
{
    static const struct fleet_text nobody = {NULL, 0};
    bool held = c->holder.text && c->until_ms > now_ms;
    buf_printf(out, ",\"stop\":{\"stopped\":%s,\"confirmed\":%s", c->stopped ? "true" : "false",
               c->confirmed ? "true" : "false");
    put_text(out, "by", &c->by);
    if (c->at_ms > 0)
        put_time(out, "timestamp", c->at_ms);
    else
        put_text(out, "timestamp", &nobody);
    buf_printf(out, "},\"control\":{\"epoch\":%lld", (long long)c->epoch);
    put_text(out, "holder", !held ? &nobody : c->name.text ? &c->name : &c->holder);
    buf_str(out, "}");
}

static void put_device(struct buf *out, const struct fleet *fleet, const struct device *d)
{
    struct online where;
    bool online = find_online(fleet, d->id, &where);
    buf_printf(out, "{\"device_id\":\"%s\"", d->id);
    put_text(out, "device_name", &d->name);
    if (online) {
        buf_str(out, ",\"online\":true,\"relay\":");
        buf_json_str(out, where.relay, strlen(where.relay));
        put_time(out, "connected_since", where.since_ms);
    } else {
        buf_str(out, ",\"online\":false,\"relay\":null,\"connected_since\":null");
    }
    put_time(out, "last_seen", last_seen(fleet, d, online));
    put_control(out, &d->control, fleet->now_ms);
    if (d->latest.any) {
        struct item_clock clock = {0};
        buf_printf(out, ",\"telemetry\":{\"timestamp\":\"%s\"", item_timestamp(&clock, d->latest.id.ms));
        item_metrics(out, d->latest.text, d->latest.len);
        buf_str(out, "}}");
    } else {
        buf_str(out, ",\"telemetry\":null}");
    }
}

static int read_list(struct context *ctx, struct fleet *fleet, struct device **devices, size_t *n)
{
    if (fleet_read(ctx->store, HANDLER_DEVICES_MAX, fleet) < 0)
        return -1;
    if (fleet->n_online > 1)
        qsort(fleet->online, fleet->n_online, sizeof(*fleet->online), compare_keys);
    *devices = calloc(fleet->n_devices + 1, sizeof(**devices));
    *n = 0;
    if (!*devices)
        return -1;
    for (size_t i = 0; i < fleet->n_devices; i++) {
        const char *id = fleet->devices[i].name;
        if (msg_device_id_valid(id, strlen(id)))
            (*devices)[(*n)++] = (struct device){.id = id, .seen_ms = fleet->devices[i].score};
    }
    return read_details(ctx, *devices, *n);
}

void h_devices_list(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    struct fleet fleet;
    struct device *devices = NULL;
    size_t n;
    (void)segment;
    if (handler_only(req, no_params, reply) < 0)
        return;
    if (read_list(ctx, &fleet, &devices, &n) < 0) {
        handler_away(ctx, reply);
        goto done;
    }
    handler_back(ctx);
    reply_type(reply, "application/json");
    buf_str(&reply->body, "{\"items\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add(&reply->body, ",", 1);
        put_device(&reply->body, &fleet, &devices[i]);
        if (reply_flush(reply) < 0)
            goto done;
    }
    buf_printf(&reply->body, "],\"count\":%zu}", n);
done:
    free(devices);
}

void h_devices_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    struct fleet fleet;
    struct device device = {.id = segment};
    if (handler_only(req, no_params, reply) < 0)
        return;
    if (!msg_device_id_valid(segment, strlen(segment))) {
        reply_problem(reply, 404, "a device id is 1 to 64 of A-Z a-z 0-9 _ . -");
        return;
    }
    if (fleet_device(ctx->store, segment, &fleet) < 0 || read_details(ctx, &device, 1) < 0) {
        handler_away(ctx, reply);
        return;
    }
    handler_back(ctx);
    if (fleet.n_devices == 0 && fleet.n_online == 0 && !device.latest.any) {
        reply_problem(reply, 404, "no device with this id was ever seen");
        return;
    }
    if (fleet.n_devices > 0)
        device.seen_ms = fleet.devices[0].score;
    reply_type(reply, "application/json");
    put_device(&reply->body, &fleet, &device);
}
