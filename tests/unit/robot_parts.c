/* The small pure parts of the robot: url, backoff, sendq, throttle. */
#include "robot/backoff.h"
#include "robot/sendq.h"
#include "robot/throttle.h"
#include "robot/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void url_takes(const char *text, bool tls, const char *host, int port, const char *header, const char *path)
{
    struct url u;
    char err[128] = "";

    if (url_parse(&u, text, "robot_01", err, sizeof(err)) != 0)
        fail_msg("%s: %s", text, err);
    assert_int_equal(u.tls, tls);
    assert_string_equal(u.host, host);
    assert_int_equal(u.port, port);
    assert_string_equal(u.host_header, header);
    assert_string_equal(u.path, path);
}

static void url_accepts(void **state)
{
    (void)state;
    url_takes("ws://localhost:8000/ws/telemetry/", false, "localhost", 8000, "localhost:8000",
              "/ws/telemetry/?device_id=robot_01");
    url_takes("wss://robots.example.org/ws/telemetry", true, "robots.example.org", 443, "robots.example.org",
              "/ws/telemetry?device_id=robot_01");
    url_takes("wss://10.0.0.1:8443/a?b=c", true, "10.0.0.1", 8443, "10.0.0.1:8443", "/a?b=c&device_id=robot_01");
    url_takes("ws://[::1]:8000/", false, "::1", 8000, "[::1]:8000", "/?device_id=robot_01");
    url_takes("ws://[fe80::1]", false, "fe80::1", 80, "[fe80::1]", "/?device_id=robot_01");
    url_takes("ws://h", false, "h", 80, "h", "/?device_id=robot_01");
    url_takes("ws://h?a=1", false, "h", 80, "h", "/?a=1&device_id=robot_01");
    url_takes("ws://h/?", false, "h", 80, "h", "/?device_id=robot_01");
    url_takes("ws://h/?my_device_id=x", false, "h", 80, "h", "/?my_device_id=x&device_id=robot_01");
}

static void url_encodes_the_id(void **state)
{
    struct url u;
    char err[128];

    (void)state;
    assert_int_equal(url_parse(&u, "ws://h/", "a b&c=\xc3\xa9/%._~-", err, sizeof(err)), 0);
    assert_string_equal(u.path, "/?device_id=a%20b%26c%3D%C3%A9%2F%25._~-");
}

static void url_refuses(void **state)
{
    static const char *const bad[] = {"",
                                      "localhost:8000",
                                      "http://h/",
                                      "ws:/h/",
                                      "ws://",
                                      "ws:///path",
                                      "ws://:80/",
                                      "ws://h:/",
                                      "ws://h:0/",
                                      "ws://h:65536/",
                                      "ws://h:123456/",
                                      "ws://h:8x/",
                                      "ws://h:-1/",
                                      "ws://user:pw@h/",
                                      "ws://h h/",
                                      "ws://h/a b",
                                      "ws://h/#x",
                                      "ws://h#x",
                                      "ws://[::1/",
                                      "ws://[]/",
                                      "ws://[::1]x/",
                                      "wss://[::1]/",
                                      "ws://h/\r\nX: y",
                                      "ws://h/?device_id=robot_02",
                                      "ws://h/?a=b&device_id=robot_02"};
    struct url u;
    char err[128], longest[2048];

    (void)state;
    memset(&u, 7, sizeof(u));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err[0] = '\0';
        if (url_parse(&u, bad[i], "robot_01", err, sizeof(err)) != -1)
            fail_msg("accepted: %s", bad[i]);
        assert_true(err[0] != '\0');
    }
    for (size_t n = 10; n < sizeof(longest); n++) { /* a path, then a host, that gets too long */
        memset(longest, 'a', n);
        longest[n] = '\0';
        memcpy(longest, "ws://h/", 7);
        int fits = url_parse(&u, longest, "robot_01", err, sizeof(err));
        assert_int_equal(fits, n - 6 + strlen("?device_id=robot_01") < URL_PATH_MAX ? 0 : -1);
        longest[6] = 'h';
        fits = url_parse(&u, longest, "robot_01", err, sizeof(err));
        assert_int_equal(fits, n - 5 < URL_HOST_MAX ? 0 : -1);
    }
}

static void url_knows_this_machine(void **state)
{
    struct url u = {0};

    (void)state;
    strcpy(u.host, "localhost");
    assert_true(url_is_local(&u));
    strcpy(u.host, "127.0.0.1");
    assert_true(url_is_local(&u));
    strcpy(u.host, "::1");
    assert_true(url_is_local(&u));
    strcpy(u.host, "10.0.0.1");
    assert_false(url_is_local(&u));
}

static void backoff_doubles_up_to_its_cap(void **state)
{
    static const int64_t from[] = {100, 300, 600, 1200, 2400, 4000, 4000, 4000};
    static const int64_t to[] = {300, 500, 1000, 2000, 4000, 5000, 5000, 5000};
    struct backoff low = {0}, high = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        assert_int_equal(backoff_next(&low, 0), from[i]);
        assert_in_range(backoff_next(&high, 0.999), to[i] - 5, to[i]);
    }
    backoff_ended(&low, BACKOFF_STEADY_MS - 1);
    assert_true(backoff_next(&low, 0) > 1000);
    backoff_ended(&low, BACKOFF_STEADY_MS);
    assert_true(backoff_next(&low, 0) == 100);
    assert_in_range(backoff_replaced(&high, 0), 5000, 5000);
    assert_in_range(backoff_replaced(&high, 0.999), 5000, 6000);
}

static void assert_next(struct sendq *q, const char *text)
{
    struct sendq_item *item = sendq_take(q);

    if (!text) {
        assert_null(item);
        return;
    }
    assert_non_null(item);
    assert_int_equal(item->len, strlen(text));
    assert_memory_equal(item->buf + SENDQ_HEADROOM, text, item->len);
    free(item);
}

static void sendq_keeps_order_and_the_newest(void **state)
{
    struct sendq q = {0};

    (void)state;
    assert_next(&q, NULL);
    assert_int_equal(sendq_put(&q, SENDQ_LATEST, "t1", 2), 0);
    assert_int_equal(sendq_put(&q, SENDQ_ORDERED, "a", 1), 0);
    assert_int_equal(sendq_put(&q, SENDQ_LATEST, "t2 longer", 9), 1);
    assert_int_equal(sendq_put(&q, SENDQ_ORDERED, "b", 1), 0);
    assert_int_equal(q.bytes, 11);
    assert_next(&q, "a");
    assert_next(&q, "b");
    assert_next(&q, "t2 longer");
    assert_next(&q, NULL);
    assert_int_equal(q.bytes, 0);
    sendq_put(&q, SENDQ_ORDERED, "x", 1);
    sendq_put(&q, SENDQ_LATEST, "y", 1);
    sendq_clear(&q);
    assert_next(&q, NULL);
    assert_int_equal(q.bytes, 0);
}

static void sendq_is_bounded(void **state)
{
    static char big[SENDQ_CAP + 1];
    struct sendq q = {0};
    size_t n = 0;

    (void)state;
    assert_int_equal(sendq_put(&q, SENDQ_ORDERED, big, sizeof(big)), -1);
    assert_int_equal(sendq_put(&q, SENDQ_LATEST, big, SENDQ_CAP), 0);
    assert_int_equal(sendq_put(&q, SENDQ_LATEST, big, SENDQ_CAP), 1); /* the one that it replaces makes room */
    assert_int_equal(sendq_put(&q, SENDQ_ORDERED, big, 1), -1);
    sendq_clear(&q);
    while (sendq_put(&q, SENDQ_ORDERED, big, 1000) == 0)
        n++;
    assert_int_equal(n, SENDQ_CAP / 1000);
    sendq_clear(&q);
}

/* Puts a message of 1,000 bytes that begins with this. */
static int put_long(struct sendq *q, enum sendq_lane lane, unsigned n)
{
    char text[1000] = "";

    snprintf(text, sizeof(text), "%u", n);
    return sendq_put(q, lane, text, sizeof(text));
}

static void assert_next_long(struct sendq *q, unsigned n)
{
    struct sendq_item *item = sendq_take(q);

    assert_non_null(item);
    assert_int_equal(item->len, 1000);
    assert_int_equal(strtoul((char *)item->buf + SENDQ_HEADROOM, NULL, 10), n);
    free(item);
}

static void sendq_drops_the_oldest_answers_when_full(void **state)
{
    const unsigned fit = SENDQ_CAP / 1000;
    struct sendq q = {0};
    char big[SENDQ_CAP] = "";

    (void)state;
    assert_int_equal(put_long(&q, SENDQ_ORDERED, 9000), 0);
    assert_int_equal(put_long(&q, SENDQ_LATEST, 9002), 0);
    for (unsigned n = 0; n < fit - 3; n++)
        assert_int_equal(put_long(&q, SENDQ_ANSWER, n), 0);
    assert_int_equal(put_long(&q, SENDQ_ORDERED, 9001), 0);
    for (unsigned n = fit - 3; n < 800; n++)
        assert_int_equal(put_long(&q, SENDQ_ANSWER, n), 1);
    assert_int_equal(put_long(&q, SENDQ_LATEST, 9003), 1);          /* its own makes room, no answer does */
    assert_int_equal(sendq_put(&q, SENDQ_ORDERED, big, 63000), -1); /* not even without any answer */
    assert_true(q.bytes == fit * 1000 && q.answers == (fit - 3) * 1000);
    assert_int_equal(sendq_put(&q, SENDQ_ORDERED, "state", 5), 0); /* there is some room left */
    assert_int_equal(put_long(&q, SENDQ_ORDERED, 9004), 1);
    assert_next_long(&q, 9000); /* what is no answer stays, where it was */
    assert_next_long(&q, 9001);
    for (unsigned n = 800 - (fit - 3) + 1; n < 800; n++)
        assert_next_long(&q, n);
    assert_next(&q, "state");
    assert_next_long(&q, 9004);
    assert_next_long(&q, 9003);
    assert_next(&q, NULL);
    assert_true(q.bytes == 0 && q.answers == 0);
    assert_int_equal(sendq_put(&q, SENDQ_ANSWER, "only", 4), 0);
    assert_int_equal(sendq_put(&q, SENDQ_ORDERED, big, SENDQ_CAP), 1); /* and the tail is right when it goes */
    assert_int_equal(sendq_put(&q, SENDQ_ANSWER, "none", 4), -1);
    assert_int_equal(sendq_put(&q, SENDQ_LATEST, "none", 4), -1);
    free(sendq_take(&q));
    assert_int_equal(sendq_put(&q, SENDQ_ANSWER, "next", 4), 0);
    assert_next(&q, "next");
    assert_next(&q, NULL);
}

static void throttle_counts_what_it_keeps_back(void **state)
{
    struct throttle t = {0};
    unsigned suppressed = 99, passed = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        if (throttle_pass(&t, 100 + i, &suppressed)) {
            passed++;
            assert_int_equal(suppressed, 0);
        }
    assert_int_equal(passed, THROTTLE_LINES);
    assert_true(throttle_pass(&t, 100 + THROTTLE_WINDOW_MS, &suppressed));
    assert_int_equal(suppressed, 1000 - THROTTLE_LINES);
    assert_true(throttle_pass(&t, 101 + THROTTLE_WINDOW_MS, &suppressed));
    assert_int_equal(suppressed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_accepts),
        cmocka_unit_test(url_encodes_the_id),
        cmocka_unit_test(url_refuses),
        cmocka_unit_test(url_knows_this_machine),
        cmocka_unit_test(backoff_doubles_up_to_its_cap),
        cmocka_unit_test(sendq_keeps_order_and_the_newest),
        cmocka_unit_test(sendq_is_bounded),
        cmocka_unit_test(sendq_drops_the_oldest_answers_when_full),
        cmocka_unit_test(throttle_counts_what_it_keeps_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
