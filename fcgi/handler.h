/*
 * What handlers share. A handler takes a request and fills a reply; it never sees the transport.
 */
#ifndef TELERELAY_FCGI_HANDLER_H
#define TELERELAY_FCGI_HANDLER_H

#include "fcgi/arena.h"
#include "fcgi/reply.h"
#include "fcgi/request.h"
#include "fcgi/router.h"
#include "fcgi/series.h"
#include "fcgi/slots.h"
#include "fcgi/stats.h"
#include "fcgi/store.h"

#include "sql/archive.h"

#include <stdbool.h>
#include <stdint.h>

#define HANDLER_DEVICES_MAX 10000 /* devices looked at by one request */

/* Whether this request needed the archive, and what came of it the last time. */
enum handler_archive { HANDLER_ARCHIVE_UNASKED, HANDLER_ARCHIVE_ANSWERED, HANDLER_ARCHIVE_FAILED };

/* One worker's. */
struct context {
    struct store *store;        /* owned */
    struct archive *archive;    /* owned; NULL when none is configured */
    struct arena texts;         /* owned; what the archive said, and whatever else lives as long as a request */
    struct series *series;      /* owned */
    struct series_sample *page; /* owned; the samples of one answer */
    size_t page_cap;
    struct stats *stats;                /* shared with the other workers … */
    struct slots *slots;                /* … likewise: who is at a long answer, … */
    int slots_n;                        /* … which so many may be at a time */
    bool redis_down;                    /* the last call failed: said once, not per request */
    bool archive_down;                  /* likewise */
    enum handler_archive archive_asked; /* set by whoever calls the archive */
    int keep_samples_d;                 /* days; 0: for ever … */
    int keep_minutes_d, keep_hours_d;   /* … likewise */
    int request_s;                      /* for one request, or the next part of a long answer */
    int64_t ends_ms;                    /* monotonic: when a long answer has taken too long */
};

/* 0, or -1 without memory. Nothing is open yet. */
int handler_init(struct context *ctx, const struct conf *conf, struct stats *stats, struct slots *slots);
void handler_finish(struct context *ctx);

/* Answers one request, to the end, and counts it. */
void handler_serve(struct context *ctx, const struct request *req, struct reply *reply);

/* Checks that no parameter but those in the NULL-terminated list was sent; else a 400 and -1. */
int handler_only(const struct request *req, const char *const *known, struct reply *reply);

/* Everything that the store and ctx->texts hold for this request is void. */
void handler_forget(struct context *ctx);

/* The request's next part, which may again take request_s; -1 when all of it has taken HANDLER_LONG_S. */
#define HANDLER_LONG_S   900
#define HANDLER_TOO_LONG "this takes too long; ask for a part of it"
int handler_part(struct context *ctx);

/* Whether the archive may be asked, when there is one. Once a call has failed slowly, this request asks no more. */
bool handler_may_ask(const struct context *ctx);

/* 503: the last call of the archive (archive_asked) or of the store failed. */
void handler_away(struct context *ctx, struct reply *reply);

/* The store's last call succeeded. */
void handler_back(struct context *ctx);

/* Room for n samples in ctx->page; -1 without memory. */
int handler_page(struct context *ctx, size_t n);

router_handler_fn h_telemetry_get;
router_handler_fn h_commands_get, h_events_get;
router_handler_fn h_devices_list, h_devices_get;
router_handler_fn h_battery_history_get;
router_handler_fn h_openapi_get;
router_handler_fn h_health_live, h_health_ready;
router_handler_fn h_metrics_get;

/* What h_telemetry_get does when buckets are asked for. */
struct history;
void h_telemetry_steps(struct context *ctx, const struct request *req, const struct history *h, struct reply *reply);

/* Names of the routes, for the metrics; *n of them. */
const char *const *handler_route_names(unsigned *n);

#endif
