#include "fcgi/fleet.h"
#include "fcgi/handler.h"

static void plain(struct reply *reply)
{
    reply_type(reply, "text/plain; charset=utf-8");
}

void h_health_live(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const char *const known[] = {"verbose", NULL};
    (void)ctx;
    (void)segment;
    if (handler_only(req, known, reply) < 0)
        return;
    plain(reply);
    buf_str(&reply->body, "ok\n");
}

static bool any_relay(const struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->n_relays; i++) {
        if (fleet->relays[i].score > (double)fleet->now_ms)
            return true;
    }
    return false;
}

static void check(struct buf *out, const char *name, bool ok, const char *reason)
{
    if (ok)
        buf_printf(out, "[+]%s ok\n", name);
    else
        buf_printf(out, "[-]%s failed: %s\n", name, reason);
}

void h_health_ready(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const char *const known[] = {"verbose", NULL};
    struct fleet fleet;
    (void)segment;
    if (handler_only(req, known, reply) < 0)
        return;
    bool redis = fleet_relays(ctx->store, &fleet) == 0;
    bool relays = redis && any_relay(&fleet);
    if (redis)
        handler_back(ctx);
    plain(reply);
    if (!redis || !relays) {
        reply->status = 503;
        reply_header(reply, "Retry-After", "1");
    }
    /* Who asks without ?verbose and gets a 503 wants to know why all the same. */
    if (req->query.n > 0 || reply->status != 200) {
        check(&reply->body, "redis", redis, store_reason(ctx->store));
        check(&reply->body, "relays", relays, redis ? "none is alive" : "unknown without redis");
    } else {
        buf_str(&reply->body, "ok\n");
    }
}
