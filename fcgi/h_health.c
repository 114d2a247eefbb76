#include "fcgi/fleet.h"
#include "fcgi/handler.h"

#define BEHIND_MS 10000 /* an archive that is so late is told from one that is on time */

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

/* A text of somebody else's, within a line. */
static void put_text(struct buf *out, const struct fleet_text *text)
{
    for (size_t i = 0; i < text->len; i++)
        buf_add(out, (unsigned char)text->text[i] < ' ' ? " " : text->text + i, 1);
}

/* The archive is no reason not to be ready: what is in Redis is served, and nothing is lost for a long time. */
static void put_archive(struct context *ctx, struct buf *out)
{
    struct fleet_archive archive;
    if (!ctx->archive) {
        buf_str(out, "[+]archive not configured\n");
    } else if (fleet_archive(ctx->store, &archive) < 0) {
        buf_str(out, "[!]archive: unknown without redis\n");
    } else if (!archive.working) {
        buf_str(out, "[!]archive: no archiver runs\n");
    } else {
        bool ok = archive.up && archive.near_loss == 0 && archive.lag_ms < BEHIND_MS;
        buf_printf(out, "[%c]archive %s: lag %.1f s", ok ? '+' : '!', ok ? "ok" : "behind",
                   (double)archive.lag_ms / 1000);
        if (!archive.up) {
            buf_str(out, ", database away: ");
            put_text(out, &archive.reason);
        }
        if (archive.near_loss > 0)
            buf_printf(out, ", %lld streams are about to lose what waits", (long long)archive.near_loss);
        buf_str(out, "\n");
    }
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
        put_archive(ctx, &reply->body);
    } else {
        buf_str(&reply->body, "ok\n");
    }
}
