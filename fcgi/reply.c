#include "fcgi/reply.h"

#include <stdio.h>
#include <string.h>

#define KEEP_BYTES ((size_t)1024 * 1024)

void reply_init(struct reply *r)
{
    memset(r, 0, sizeof(*r));
    buf_init(&r->head, REPLY_HEADERS_MAX);
    buf_init(&r->body, REPLY_BODY_MAX);
}

void reply_destroy(struct reply *r)
{
    if (!r)
        return;
    buf_finish(&r->head);
    buf_finish(&r->body);
}

static void usual_headers(struct reply *r)
{
    r->cache = "no-store";
    reply_header(r, "X-Content-Type-Options", "nosniff");
}

void reply_begin(struct reply *r, bool no_body, reply_sink_fn *sink, void *sink_ctx)
{
    buf_clear(&r->head, REPLY_HEADERS_MAX);
    buf_clear(&r->body, KEEP_BYTES);
    r->status = 200;
    r->no_body = no_body;
    r->started = r->gone = r->no_length = false;
    r->sink = sink;
    r->sink_ctx = sink_ctx;
    usual_headers(r);
}

void reply_header(struct reply *r, const char *name, const char *value)
{
    buf_str(&r->head, name);
    buf_add(&r->head, ": ", 2);
    buf_str(&r->head, value);
    buf_add(&r->head, "\r\n", 2);
}

void reply_type(struct reply *r, const char *content_type)
{
    reply_header(r, "Content-Type", content_type);
}

static const char *status_title(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void send(struct reply *r, const char *bytes, size_t len)
{
    if (!r->gone && len > 0 && r->sink(r->sink_ctx, bytes, len) != 0)
        r->gone = true;
}

static void send_head(struct reply *r, bool whole)
{
    char line[96];
    int n = snprintf(line, sizeof(line), "Status: %d %s\r\n", r->status, status_title(r->status));
    send(r, line, (size_t)n);
    n = snprintf(line, sizeof(line), "Cache-Control: %s\r\n", r->cache);
    send(r, line, (size_t)n);
    send(r, r->head.data, r->head.len);
    if (whole && !r->no_length) {
        n = snprintf(line, sizeof(line), "Content-Length: %zu\r\n", r->body.len);
        send(r, line, (size_t)n);
    }
    send(r, "\r\n", 2);
    r->started = true;
}

static void send_body(struct reply *r)
{
    if (r->body.failed)
        r->gone = true;
    if (!r->no_body)
        send(r, r->body.data, r->body.len);
    r->body.len = 0;
}

int reply_flush(struct reply *r)
{
    if (r->body.len >= REPLY_PIECE && !r->gone) {
        if (!r->started)
            send_head(r, false);
        send_body(r);
    }
    return r->gone || r->body.failed ? -1 : 0;
}

void reply_not_modified(struct reply *r)
{
    r->status = 304;
    r->no_body = r->no_length = true;
}

void reply_problem(struct reply *r, int status, const char *detail)
{
    if (r->started) {
        r->gone = true;
        return;
    }
    r->status = status;
    buf_clear(&r->head, REPLY_HEADERS_MAX);
    buf_clear(&r->body, KEEP_BYTES);
    usual_headers(r);
    r->no_length = false;
    reply_type(r, "application/problem+json");
    buf_printf(&r->body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":", status_title(status),
               status);
    buf_json_str(&r->body, detail, strlen(detail));
    buf_add(&r->body, "}", 1);
}

void reply_end(struct reply *r)
{
    if (!r->started) {
        if (r->head.failed || r->body.failed)
            reply_problem(r, 500, "the answer does not fit into memory");
        send_head(r, true);
    }
    send_body(r);
}
