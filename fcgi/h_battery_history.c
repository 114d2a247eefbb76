/* What the dashboards of the system before this one ask for. */
#include "common/sample.h"
#include "fcgi/fetch.h"
#include "fcgi/fleet.h"
#include "fcgi/handler.h"
#include "fcgi/history.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLES 100
#define BUDGET  50000 /* entries looked at for samples with a battery */

static bool battery(const char *text, size_t len, struct sample_metric *m)
{
    return sample_check(text, len) != SAMPLE_BAD && sample_find(text, len, "battery", strlen("battery"), m);
}

static bool has_battery(void *unused, const char *text, size_t len)
{
    struct sample_metric m;
    (void)unused;
    return battery(text, len, &m);
}

/* The newest samples of these devices into ctx->page. */
static int read_page(struct context *ctx, const char *const *devices, size_t n, struct fetched *got)
{
    struct streamid_range *ranges = malloc((n + 1) * sizeof(*ranges));
    if (!ranges)
        return -1;
    for (size_t i = 0; i < n; i++)
        ranges[i] = (struct streamid_range){.lo = {0, 0}, .hi = {UINT64_MAX, UINT64_MAX}};
    struct fetch f = {.kind = ARCHIVE_SAMPLES,
                      .names = devices,
                      .ranges = ranges,
                      .n = n,
                      .descending = true,
                      .want = SAMPLES,
                      .accept = has_battery,
                      .budget = BUDGET};
    int rc = fetch_page(ctx, &f, got);
    free(ranges);
    return rc;
}

/* Every device known. 0, or -1 when the store failed. */
static int read_all(struct context *ctx, struct fetched *got)
{
    struct fleet fleet;
    if (fleet_read(ctx->store, HANDLER_DEVICES_MAX, &fleet) < 0)
        return -1;
    const char **devices = malloc((fleet.n_devices + 1) * sizeof(*devices));
    if (!devices)
        return -1;
    size_t n = 0;
    for (size_t i = 0; i < fleet.n_devices; i++) {
        if (msg_device_id_valid(fleet.devices[i].name, strlen(fleet.devices[i].name)))
            devices[n++] = fleet.devices[i].name;
    }
    int rc = read_page(ctx, devices, n, got);
    free(devices);
    return rc;
}

void h_battery_history_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const char *const known[] = {"device_id", NULL};
    char devices[HISTORY_DEVICES_MAX][MSG_DEVICE_ID_MAX + 1];
    const char *asked[HISTORY_DEVICES_MAX];
    struct fault fault;
    struct fetched got;
    (void)segment;
    if (handler_only(req, known, reply) < 0)
        return;
    int n = history_devices(&req->query, devices, &fault);
    if (n < 0) {
        reply_problem(reply, 400, fault.text);
        return;
    }
    if (handler_page(ctx, SAMPLES) < 0) {
        reply_problem(reply, 500, "out of memory");
        return;
    }
    for (int i = 0; i < n; i++)
        asked[i] = devices[i];
    if ((n > 0 ? read_page(ctx, asked, (size_t)n, &got) : read_all(ctx, &got)) < 0) {
        handler_away(ctx, reply);
        return;
    }
    handler_back(ctx);

    reply_type(reply, "application/json");
    buf_add(&reply->body, "[", 1);
    for (size_t i = got.n; i-- > 0;) {
        const struct series_sample *s = &ctx->page[i];
        struct sample_metric m;
        if (!battery(s->text, s->len, &m))
            continue;
        buf_str(&reply->body, i + 1 < got.n ? ",[" : "[");
        buf_u64(&reply->body, s->id.ms);
        buf_add(&reply->body, ",", 1);
        buf_add(&reply->body, m.number, m.number_len);
        buf_add(&reply->body, "]", 1);
    }
    buf_add(&reply->body, "]", 1);
}
