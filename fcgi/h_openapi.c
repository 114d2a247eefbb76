/* What this interface is, for programs: docs/openapi.yaml. */
#include "fcgi/handler.h"

#include "api_openapi.h"

void h_openapi_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const char *const known[] = {NULL};
    (void)ctx;
    (void)segment;
    if (handler_only(req, known, reply) < 0)
        return;
    reply_type(reply, "application/json");
    buf_add(&reply->body, openapi_json, sizeof(openapi_json) - 1);
}
