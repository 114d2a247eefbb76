#include "fcgi/handler.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GET (1u << REQUEST_GET)

#define SLOW_MS 100 /* of a request: a call of the archive that failed sooner may be repeated */

#define TEXTS_MAX  ((size_t)64 * 1024 * 1024) /* bytes per request, … */
#define TEXTS_KEEP ((size_t)1024 * 1024)      /* … and between them */

static const struct router_route routes[] = {
    {"telemetry", GET, "/api/telemetry", h_telemetry_get},
    {"commands", GET, "/api/commands", h_commands_get},
    {"events", GET, "/api/events", h_events_get},
    {"devices", GET, "/api/devices", h_devices_list},
    {"device", GET, "/api/devices/*", h_devices_get},
    {"battery_history", GET, "/api/battery-history/", h_battery_history_get},
    {"battery_history", GET, "/api/battery-history", h_battery_history_get},
    {"openapi", GET, "/api/openapi.json", h_openapi_get},
    {"livez", GET, "/livez", h_health_live},
    {"livez", GET, "/healthz", h_health_live},
    {"readyz", GET, "/readyz", h_health_ready},
    {"metrics", GET, "/metrics", h_metrics_get},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

/* One label per distinct name, in the table's order, and one for what no route serves. */
static const char *const names[] = {"telemetry", "commands", "events", "devices", "device", "battery_history",
                                    "openapi",   "livez",    "readyz", "metrics", "none"};
#define NAMES (sizeof(names) / sizeof(names[0]))
_Static_assert(NAMES <= STATS_ROUTES, "statistics have room for every route");

const char *const *handler_route_names(unsigned *n)
{
    *n = NAMES;
    return names;
}

static unsigned label(const char *name)
{
    unsigned i = 0;
    while (i < NAMES - 1 && strcmp(names[i], name) != 0)
        i++;
    return i;
}

int handler_init(struct context *ctx, const struct conf *conf, struct stats *stats, struct slots *slots)
{
    memset(ctx, 0, sizeof(*ctx));
    ctx->stats = stats;
    ctx->slots = slots;
    ctx->slots_n = conf->api.workers > 1 ? conf->api.workers / 2 : 1;
    ctx->store = store_create(&conf->redis, conf->api.redis_ms);
    ctx->series = series_create();
    ctx->keep_samples_d = conf->archive.keep_samples_d;
    ctx->keep_minutes_d = conf->archive.keep_minutes_d;
    ctx->keep_hours_d = conf->archive.keep_hours_d;
    ctx->request_s = conf->api.request_s;
    arena_init(&ctx->texts, TEXTS_MAX);
    if (conf->archive.database[0])
        ctx->archive = archive_create(conf->archive.database, ARCHIVE_READ, conf->api.archive_ms);
    if (ctx->store && ctx->series && (ctx->archive || !conf->archive.database[0]))
        return 0;
    handler_finish(ctx);
    return -1;
}

void handler_finish(struct context *ctx)
{
    store_destroy(ctx->store);
    series_destroy(ctx->series);
    archive_destroy(ctx->archive);
    arena_finish(&ctx->texts);
    free(ctx->page);
    memset(ctx, 0, sizeof(*ctx));
}

int handler_page(struct context *ctx, size_t n)
{
    if (n <= ctx->page_cap)
        return 0;
    struct series_sample *page = realloc(ctx->page, n * sizeof(*page));
    if (!page)
        return -1;
    ctx->page = page;
    ctx->page_cap = n;
    return 0;
}

int handler_only(const struct request *req, const char *const *known, struct reply *reply)
{
    struct fault fault;
    if (query_only(&req->query, known, &fault) == 0)
        return 0;
    reply_problem(reply, 400, fault.text);
    return -1;
}

void handler_forget(struct context *ctx)
{
    store_release(ctx->store);
    arena_reset(&ctx->texts, TEXTS_KEEP);
}

int handler_part(struct context *ctx)
{
    if (clock_mono_ms() > ctx->ends_ms) {
        log_warn("request_too_long", log_int("limit_s", HANDLER_LONG_S));
        return -1;
    }
    alarm((unsigned)ctx->request_s);
    return 0;
}

bool handler_may_ask(const struct context *ctx)
{
    int64_t begun_ms = ctx->ends_ms - HANDLER_LONG_S * 1000;
    return ctx->archive_asked != HANDLER_ARCHIVE_FAILED || clock_mono_ms() - begun_ms < SLOW_MS;
}

void handler_away(struct context *ctx, struct reply *reply)
{
    if (ctx->archive_asked == HANDLER_ARCHIVE_FAILED) {
        reply_problem(reply, 503, "the archive, which has the older part of this, does not answer; try again shortly");
    } else {
        if (!ctx->redis_down)
            log_warn("redis_away", log_str("reason", store_reason(ctx->store)));
        ctx->redis_down = true;
        reply_problem(reply, 503, "the data store does not answer; try again shortly");
    }
    reply_header(reply, "Retry-After", "1");
}

void handler_back(struct context *ctx)
{
    if (ctx->redis_down)
        log_info("redis_back");
    ctx->redis_down = false;
}

/* Says once that the archive is away, and that it is back. */
static void note_archive(struct context *ctx)
{
    bool down = ctx->archive_asked == HANDLER_ARCHIVE_FAILED;
    if (ctx->archive_asked == HANDLER_ARCHIVE_UNASKED || down == ctx->archive_down)
        return;
    ctx->archive_down = down;
    if (down)
        log_warn("archive_away", log_str("reason", archive_reason(ctx->archive)));
    else
        log_info("archive_back");
}

static unsigned dispatch(struct context *ctx, const struct request *req, struct reply *reply)
{
    struct router_match match;
    char detail[FAULT_QUOTE_MAX + 64], quoted[FAULT_QUOTE_MAX];
    switch (router_find(routes, ROUTES, req->method, req->path, &match)) {
    case ROUTER_FOUND:
        break;
    case ROUTER_NO_METHOD:
        snprintf(detail, sizeof(detail), "this path allows %s", match.allow);
        reply_problem(reply, 405, detail);
        reply_header(reply, "Allow", match.allow);
        return label(routes[match.index].name);
    default:
        snprintf(detail, sizeof(detail), "there is nothing at %s", fault_quote(quoted, req->path, strlen(req->path)));
        reply_problem(reply, 404, detail);
        return label("none");
    }
    if (req->query_bad)
        reply_problem(reply, 400, req->query_fault.text);
    else
        routes[match.index].handler(ctx, req, match.segment, reply);
    return label(routes[match.index].name);
}

void handler_serve(struct context *ctx, const struct request *req, struct reply *reply)
{
    int64_t begun_ns = clock_mono_ns();
    ctx->archive_asked = HANDLER_ARCHIVE_UNASKED;
    ctx->ends_ms = begun_ns / 1000000 + (int64_t)HANDLER_LONG_S * 1000;
    unsigned route = dispatch(ctx, req, reply);
    reply_end(reply);
    handler_forget(ctx);
    note_archive(ctx);
    int64_t took_ns = clock_mono_ns() - begun_ns;
    stats_count(ctx->stats, route, reply->status, took_ns);
    if (log_enabled(LOG_DEBUG))
        log_debug("request", log_str("method", request_method_name(req->method)), log_str("path", req->path),
                  log_int("status", reply->status), log_real("ms", (double)took_ns / 1e6));
}
