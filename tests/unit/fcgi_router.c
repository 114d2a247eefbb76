#include "fcgi/online.h"
#include "fcgi/promjoin.h"
#include "fcgi/reply.h"
#include "fcgi/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct router_route routes[] = {
    {"list", 1u << REQUEST_GET, "/api/devices", NULL},
    {"one", 1u << REQUEST_GET, "/api/devices/*", NULL},
    {"send", 1u << REQUEST_POST, "/api/commands", NULL},
    {"audit", 1u << REQUEST_GET, "/api/commands", NULL},
};

static enum router_result find(enum request_method method, const char *path, struct router_match *m)
{
    return router_find(routes, 4, method, path, m);
}

static void paths(void **state)
{
    struct router_match m;
    (void)state;
    assert_int_equal(find(REQUEST_GET, "/api/devices", &m), ROUTER_FOUND);
    assert_int_equal(m.index, 0);
    assert_null(m.segment);
    assert_int_equal(find(REQUEST_GET, "/api/devices/robot_01", &m), ROUTER_FOUND);
    assert_int_equal(m.index, 1);
    assert_string_equal(m.segment, "robot_01");
    assert_int_equal(find(REQUEST_GET, "/api/devices/", &m), ROUTER_NO_PATH);
    assert_int_equal(find(REQUEST_GET, "/api/devices/a/b", &m), ROUTER_NO_PATH);
    assert_int_equal(find(REQUEST_GET, "/api/device", &m), ROUTER_NO_PATH);
    assert_int_equal(find(REQUEST_GET, "/api/devicesx", &m), ROUTER_NO_PATH);
    assert_int_equal(find(REQUEST_GET, "", &m), ROUTER_NO_PATH);
    assert_int_equal(find(REQUEST_GET, "/api/devices/*", &m), ROUTER_FOUND);
}

static void methods(void **state)
{
    struct router_match m;
    (void)state;
    assert_int_equal(find(REQUEST_HEAD, "/api/devices", &m), ROUTER_FOUND);
    assert_int_equal(find(REQUEST_POST, "/api/devices", &m), ROUTER_NO_METHOD);
    assert_string_equal(m.allow, "GET, HEAD");
    assert_int_equal(find(REQUEST_OTHER, "/api/devices/x", &m), ROUTER_NO_METHOD);
    assert_int_equal(find(REQUEST_POST, "/api/commands", &m), ROUTER_FOUND);
    assert_int_equal(m.index, 2);
    assert_int_equal(find(REQUEST_GET, "/api/commands", &m), ROUTER_FOUND);
    assert_int_equal(m.index, 3);
    assert_int_equal(find(REQUEST_DELETE, "/api/commands", &m), ROUTER_NO_METHOD);
    assert_string_equal(m.allow, "GET, HEAD, POST");
}

static void requests(void **state)
{
    static struct request req;
    char *params[] = {"REQUEST_METHOD=HEAD",
                      "DOCUMENT_URI=/api/devices",
                      "QUERY_STRING=a=1&a=%20",
                      "SCRIPT_NAME=/other",
                      "REMOTE_ADDR=127.0.0.1",
                      "HTTP_IF_NONE_MATCH=\"x\"",
                      NULL};
    char *bare[] = {"REQUEST_METHOD=BREW", "SCRIPT_NAME=/api", "PATH_INFO=/x", "QUERY_STRING=%0", NULL};
    char *none[] = {NULL};
    static char uri[600] = "DOCUMENT_URI=/";
    char *longest[] = {uri, "REMOTE_ADDR=10.127.0.1", NULL};
    (void)state;
    request_read(&req, params);
    assert_int_equal(req.method, REQUEST_HEAD);
    assert_string_equal(req.path, "/api/devices");
    assert_int_equal(req.query.n, 2);
    assert_string_equal(req.query.params[1].value, " ");
    assert_true(req.loopback);
    assert_string_equal(req.if_none_match, "\"x\"");
    request_read(&req, bare);
    assert_null(req.if_none_match);
    assert_int_equal(req.method, REQUEST_OTHER);
    assert_string_equal(req.path, "/api/x");
    assert_true(req.query_bad);
    assert_false(req.loopback);
    request_read(&req, none);
    assert_int_equal(req.query.n, 0);
    assert_false(req.query_bad);
    memset(uri + strlen(uri), 'a', sizeof(uri) - 1 - strlen(uri));
    request_read(&req, longest);
    assert_string_equal(req.path, "");
    assert_false(req.loopback);
}

static struct buf sent;

static int sink(void *ctx, const char *bytes, size_t len)
{
    if (ctx)
        return -1;
    buf_add(&sent, bytes, len);
    return 0;
}

static void is_sent(const char *text)
{
    buf_add(&sent, "", 1);
    assert_string_equal(sent.data, text);
    buf_clear(&sent, SIZE_MAX);
}

#define USUAL "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

static void replies(void **state)
{
    struct reply r;
    (void)state;
    reply_init(&r);
    buf_init(&sent, 1 << 24);
    reply_begin(&r, false, sink, NULL);
    reply_type(&r, "text/plain");
    buf_str(&r.body, "hello");
    assert_int_equal(reply_flush(&r), 0);
    reply_end(&r);
    is_sent("Status: 200 OK\r\n" USUAL "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");

    reply_begin(&r, true, sink, NULL);
    reply_type(&r, "text/plain");
    buf_str(&r.body, "hello");
    reply_end(&r);
    is_sent("Status: 200 OK\r\n" USUAL "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");

    reply_begin(&r, false, sink, NULL);
    reply_type(&r, "text/plain");
    buf_str(&r.body, "half an answer");
    reply_problem(&r, 400, "not \"\xff\"\n");
    reply_end(&r);
    is_sent("Status: 400 Bad Request\r\n" USUAL "Content-Type: application/problem+json\r\nContent-Length: 82\r\n\r\n"
            "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"detail\":"
            "\"not \\\"\xef\xbf\xbd\\\"\\n\"}");

    buf_finish(&sent);
    reply_destroy(&r);
}

/* One that may be kept; the client has it already; but not a problem. */
static void kept_replies(void **state)
{
    struct reply r;
    (void)state;
    reply_init(&r);
    buf_init(&sent, 1 << 24);
    reply_begin(&r, false, sink, NULL);
    r.cache = "private";
    reply_header(&r, "ETag", "\"x\"");
    reply_not_modified(&r);
    reply_end(&r);
    is_sent(
        "Status: 304 Not Modified\r\nCache-Control: private\r\nX-Content-Type-Options: nosniff\r\nETag: \"x\"\r\n\r\n");
    reply_begin(&r, false, sink, NULL);
    r.cache = "private";
    r.no_length = true;
    reply_header(&r, "ETag", "\"x\"");
    reply_problem(&r, 503, "");
    reply_end(&r);
    is_sent("Status: 503 Service Unavailable\r\n" USUAL
            "Content-Type: application/problem+json\r\nContent-Length: 77\r\n\r\n"
            "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"detail\":\"\"}");

    buf_finish(&sent);
    reply_destroy(&r);
}

/* A long one goes in pieces, without a length; a peer that is gone ends it. */
static void long_replies(void **state)
{
    struct reply r;
    (void)state;
    reply_init(&r);
    buf_init(&sent, 1 << 24);
    reply_begin(&r, false, sink, NULL);
    for (int i = 0; i < 4; i++) {
        assert_non_null(buf_room(&r.body, REPLY_PIECE));
        memset(r.body.data + r.body.len, 'x', REPLY_PIECE);
        r.body.len += REPLY_PIECE;
        assert_int_equal(reply_flush(&r), 0);
        assert_int_equal(r.body.len, 0);
    }
    reply_end(&r);
    assert_int_equal(sent.len, strlen("Status: 200 OK\r\n" USUAL "\r\n") + 4 * REPLY_PIECE);
    buf_clear(&sent, SIZE_MAX);

    reply_begin(&r, false, sink, &r);
    assert_non_null(buf_room(&r.body, REPLY_PIECE));
    r.body.len = REPLY_PIECE;
    assert_int_equal(reply_flush(&r), -1);
    reply_end(&r);

    /* What fails once a part is on its way leaves it cut short, and says so. */
    reply_begin(&r, false, sink, NULL);
    assert_non_null(buf_room(&r.body, REPLY_PIECE));
    memset(r.body.data, 'x', REPLY_PIECE);
    r.body.len = REPLY_PIECE;
    assert_int_equal(reply_flush(&r), 0);
    assert_false(r.gone);
    buf_str(&r.body, "more");
    reply_problem(&r, 503, "away");
    reply_end(&r);
    assert_true(r.gone);
    assert_int_equal(sent.len, strlen("Status: 200 OK\r\n" USUAL "\r\n") + REPLY_PIECE);
    buf_clear(&sent, SIZE_MAX);

    /* An answer that does not fit is an error, not a part of one. */
    reply_begin(&r, false, sink, NULL);
    buf_str(&r.body, "part");
    assert_null(buf_room(&r.body, REPLY_BODY_MAX));
    reply_end(&r);
    assert_int_equal(r.status, 500);
    assert_memory_equal(sent.data, "Status: 500 ", 12);
    buf_finish(&sent);
    reply_destroy(&r);
}

static void presence(void **state)
{
    struct online o;
    char name[ONLINE_NAME_MAX + 1];
    (void)state;
    const char *good = "42 1768473045123 wsd-1#9f3a wsd-1";
    assert_int_equal(online_parse(good, strlen(good), &o), 0);
    assert_int_equal(o.since_ms, 1768473045123);
    assert_string_equal(o.instance, "wsd-1#9f3a");
    assert_string_equal(o.relay, "wsd-1");
    static const char *const bad[] = {
        "",         "42",          "42 1 a#1",    "42 1 a#1 a b", "x 1 a#1 a",   "42 x a#1 a",
        " 1 a#1 a", "42  1 a#1 a", "42 1 a#1 a ", "42 1 a\n#1 a", "42 1 \xff a", "42 1234567890123456789 a#1 a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(online_parse(bad[i], strlen(bad[i]), &o), -1);
    assert_int_equal(online_relay_name("wsd-1#9f", 8, name), 0);
    assert_string_equal(name, "wsd-1");
    assert_int_equal(online_relay_name("wsd-1", 5, name), -1);
    assert_int_equal(online_relay_name("#9f", 3, name), -1);
    assert_int_equal(online_relay_name("a\"b#1", 5, name), -1);
}

static void metrics_join(void **state)
{
    static const char one[] = "# HELP t_x Xs.\n# TYPE t_x gauge\nt_x 1\n# HELP t_h Hs.\n# TYPE t_h histogram\n"
                              "t_h_bucket{le=\"1\"} 2\nt_h_count 2\n";
    static const char two[] = "# HELP t_x Xs.\n# TYPE t_x gauge\nt_x{relay=\"b\",k=\"v\"} 3\njunk\n{}\nt_only{} 4\n";
    const struct promjoin_text texts[] = {{"a", one, sizeof(one) - 1}, {"b", two, sizeof(two) - 1}};
    struct buf b;
    (void)state;
    buf_init(&b, 65536);
    promjoin_write(&b, texts, 2);
    buf_add(&b, "", 1);
    assert_string_equal(b.data, "# HELP t_x Xs.\n# TYPE t_x gauge\nt_x{relay=\"a\"} 1\nt_x{relay=\"b\",k=\"v\"} 3\n"
                                "# HELP t_h Hs.\n# TYPE t_h histogram\nt_h_bucket{relay=\"a\",le=\"1\"} 2\n"
                                "t_h_count{relay=\"a\"} 2\nt_only{relay=\"b\"} 4\n");
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),    cmocka_unit_test(methods),      cmocka_unit_test(requests),
        cmocka_unit_test(replies),  cmocka_unit_test(kept_replies), cmocka_unit_test(long_replies),
        cmocka_unit_test(presence), cmocka_unit_test(metrics_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
