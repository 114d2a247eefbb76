#include "tests/bench/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void http_init(struct http_answer *a)
{
    memset(a, 0, sizeof *a);
}

void http_finish(struct http_answer *a)
{
    free(a->data);
    memset(a, 0, sizeof *a);
}

void http_reset(struct http_answer *a)
{
    char *data = a->data;
    size_t cap = a->cap;
    *a = (struct http_answer){.data = data, .cap = cap};
}

static int append(struct http_answer *a, const char *data, size_t len)
{
    if (len > HTTP_ANSWER_MAX - a->len)
        return -1;
    if (a->len + len + 1 > a->cap) {
        size_t cap = (a->len + len + 1) * 2;
        char *grown = realloc(a->data, cap);
        if (!grown)
            return -1;
        a->data = grown;
        a->cap = cap;
    }
    memcpy(a->data + a->len, data, len);
    a->len += len;
    a->data[a->len] = '\0';
    return 0;
}

/* 1: the head is complete, 0: not yet, -1: bad. */
static int read_head(struct http_answer *a)
{
    char *end = strstr(a->data, "\r\n\r\n");
    if (!end)
        return 0;
    if (sscanf(a->data, "HTTP/1.1 %d", &a->status) != 1)
        return -1;
    a->body = (size_t)(end - a->data) + 4;
    a->chunk = a->body;
    a->body_len = -1;
    bool chunked = false;
    for (char *line = strstr(a->data, "\r\n") + 2; line < end; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            a->body_len = strtoll(line + 15, NULL, 10);
        else if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0)
            chunked = true;
        else if (strncasecmp(line, "Connection: close", 17) == 0)
            a->last = true;
    }
    return chunked || a->body_len >= 0 ? 1 : -1;
}

static int walk_chunks(struct http_answer *a)
{
    for (;;) {
        char *line = a->data + a->chunk;
        char *end = strstr(line, "\r\n");
        if (!end)
            return 0;
        size_t size = strtoul(line, NULL, 16);
        size_t next = (size_t)(end - a->data) + 2 + size + 2;
        if (size > HTTP_ANSWER_MAX)
            return -1;
        if (next > a->len)
            return 0;
        a->body_seen += size;
        a->chunk = next;
        if (size == 0)
            return next == a->len ? 1 : -1;
    }
}

int http_feed(struct http_answer *a, const char *data, size_t len)
{
    if (append(a, data, len))
        return -1;
    if (a->body == 0) {
        int head = read_head(a);
        if (head <= 0)
            return head;
    }
    if (a->body_len < 0)
        return walk_chunks(a);
    a->body_seen = a->len - a->body;
    if (a->body_seen > (uint64_t)a->body_len)
        return -1;
    return a->body_seen == (uint64_t)a->body_len;
}
