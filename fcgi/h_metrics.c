#include "fcgi/fleet.h"
#include "fcgi/handler.h"
#include "fcgi/online.h"
#include "fcgi/promjoin.h"

#include <string.h>

#define RELAYS_MAX 64

/* Names of the relays whose lease is valid, each once. */
static size_t live_relays(const struct fleet *fleet, char (*names)[ONLINE_NAME_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < fleet->n_relays && n < RELAYS_MAX; i++) {
        const struct fleet_scored *relay = &fleet->relays[i];
        if (relay->score <= (double)fleet->now_ms || online_relay_name(relay->name, strlen(relay->name), names[n]) < 0)
            continue;
        size_t k = 0;
        while (strcmp(names[k], names[n]) != 0)
            k++;
        if (k == n)
            n++;
    }
    return n;
}

/* The relays' own metrics and the archiver's; -1 when the store failed. */
static int put_relays(struct context *ctx, struct buf *out)
{
    static char names[RELAYS_MAX][ONLINE_NAME_MAX + 1];
    const char *pointers[RELAYS_MAX + 1];
    struct fleet_text texts[RELAYS_MAX + 1];
    struct promjoin_text joined[RELAYS_MAX];
    struct fleet fleet;
    if (fleet_relays(ctx->store, &fleet) < 0)
        return -1;
    size_t n = live_relays(&fleet, names), have = 0;
    for (size_t i = 0; i < n; i++)
        pointers[i] = names[i];
    pointers[n] = FLEET_ARCHIVER;
    if (fleet_metrics(ctx->store, pointers, n + 1, texts) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (texts[i].text)
            joined[have++] = (struct promjoin_text){.relay = names[i], .text = texts[i].text, .len = texts[i].len};
    }
    promjoin_write(out, joined, have);
    if (texts[n].text)
        buf_add(out, texts[n].text, texts[n].len);
    buf_printf(out,
               "# HELP telerelay_api_relays Relays whose lease is valid.\n"
               "# TYPE telerelay_api_relays gauge\ntelerelay_api_relays %zu\n",
               n);
    return 0;
}

/* Whether the archive answers, where there is one. */
static void put_archive(struct context *ctx, struct buf *out)
{
    int found, wanted;
    if (!ctx->archive)
        return;
    bool answers = archive_version(ctx->archive, &found, &wanted) == 0, up = answers && found == wanted;
    ctx->archive_asked = answers ? HANDLER_ARCHIVE_ANSWERED : HANDLER_ARCHIVE_FAILED;
    buf_printf(out,
               "# HELP telerelay_api_archive_up Whether the archive answers, with the schema of this version.\n"
               "# TYPE telerelay_api_archive_up gauge\ntelerelay_api_archive_up %d\n",
               up);
}

void h_metrics_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const char *const known[] = {NULL};
    unsigned n_names;
    (void)segment;
    if (!req->loopback) {
        reply_problem(reply, 403, "metrics are for this machine only");
        return;
    }
    if (handler_only(req, known, reply) < 0)
        return;
    reply_type(reply, "text/plain; version=0.0.4; charset=utf-8");
    bool redis = put_relays(ctx, &reply->body) == 0;
    if (redis)
        handler_back(ctx);
    const char *const *names = handler_route_names(&n_names);
    stats_write(ctx->stats, names, n_names, &reply->body);
    buf_printf(&reply->body,
               "# HELP telerelay_api_redis_up Whether Redis answers.\n"
               "# TYPE telerelay_api_redis_up gauge\ntelerelay_api_redis_up %d\n",
               redis);
    put_archive(ctx, &reply->body);
}
