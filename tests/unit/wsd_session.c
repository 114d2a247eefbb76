#include "wsd/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START 1000000 /* ms */

static const struct conf_wsd two_and_four = {.ping_s = 2, .hangup_s = 4};

/* Looks as ws.c does, `late_ms` after each is due, at a peer that never answers; returns when it is gone, ms after
 * its last word. pings: how often it was asked. */
static int64_t last_look(struct session *s, const struct conf_wsd *conf, bool behind, int late_ms, int *pings)
{
    for (int64_t silent = 0; silent < 60000; silent += SESSION_LOOK_MS + late_ms) {
        switch (session_silence(s, conf, behind, s->heard_ms + silent)) {
        case SESSION_GONE:
            return silent;
        case SESSION_ASK:
            s->pinged_ms = s->heard_ms + silent;
            ++*pings;
            break;
        case SESSION_ALIVE:
            break;
        }
    }
    return -1;
}

static void gone_in_time(void **state)
{
    (void)state;
    for (int late_ms = 0; late_ms <= SESSION_LOOK_MS; late_ms += 10) {
        struct session s = {.from = MSG_FROM_ROBOT, .heard_ms = START};
        int pings = 0;
        int64_t gone = last_look(&s, &two_and_four, false, late_ms, &pings);
        assert_in_range(gone, 3000, 4000);
        assert_int_equal(pings, 1); /* one that was asked and had more than a second to answer */
        assert_true(gone - (s.pinged_ms - START) >= 1000);
    }
}

static void asked_at_the_closest_setting(void **state)
{
    (void)state;
    static const struct conf_wsd conf = {.ping_s = 1, .hangup_s = 2};
    struct session s = {.from = MSG_FROM_WEBSITE, .heard_ms = START};
    int pings = 0;
    assert_in_range(last_look(&s, &conf, false, 0, &pings), 1000, 2000);
    assert_int_equal(pings, 1);
}

static void who_talks_is_not_asked(void **state)
{
    (void)state;
    struct session s = {.from = MSG_FROM_ROBOT};
    for (int64_t now = START; now < START + 60000; now += SESSION_LOOK_MS) {
        s.heard_ms = now - 200;
        assert_int_equal(session_silence(&s, &two_and_four, false, now), SESSION_ALIVE);
    }
}

static void who_answers_stays(void **state)
{
    (void)state;
    struct session s = {.from = MSG_FROM_WEBSITE, .heard_ms = START};
    int pings = 0;
    for (int64_t now = START; now < START + 60000; now += SESSION_LOOK_MS) {
        enum session_sign sign = session_silence(&s, &two_and_four, false, now);
        assert_int_not_equal(sign, SESSION_GONE);
        if (sign != SESSION_ASK)
            continue;
        s.pinged_ms = now;
        s.heard_ms = now + 700; /* a slow way there and back */
        pings++;
    }
    assert_in_range(pings, 20, 30); /* each 2 s; a ping is due a look early */
}

/* Its own deadline (blocked_ms) ends a website that does not read; a robot that does not is no use. */
static void who_is_behind(void **state)
{
    (void)state;
    struct session website = {.from = MSG_FROM_WEBSITE, .heard_ms = START};
    struct session robot = {.from = MSG_FROM_ROBOT, .heard_ms = START};
    int pings = 0;
    assert_int_equal(last_look(&website, &two_and_four, true, 0, &pings), -1);
    assert_in_range(last_look(&robot, &two_and_four, true, 0, &pings), 3000, 4000);
    assert_int_equal(pings, 0);
}

static void pieces_are_joined(void **state)
{
    (void)state;
    struct session s = {0};
    char whole[5000];
    for (size_t i = 0; i < sizeof(whole); i++)
        whole[i] = (char)('a' + i % 26);
    for (size_t at = 0; at < sizeof(whole); at += 250)
        assert_int_equal(session_rx_join(&s, whole + at, 250, sizeof(whole)), 0);
    assert_int_equal(session_rx_join(&s, NULL, 0, sizeof(whole)), 0); /* an empty last fragment */
    assert_int_equal(s.rx_len, sizeof(whole));
    assert_memory_equal(s.rx, whole, sizeof(whole));
    assert_true(s.rx_cap <= sizeof(whole)); /* never more than a message may be long */
    session_rx_end(&s);
    assert_null(s.rx);
    assert_int_equal(s.rx_len + s.rx_cap + s.rx_fragments, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gone_in_time),           cmocka_unit_test(asked_at_the_closest_setting),
        cmocka_unit_test(who_talks_is_not_asked), cmocka_unit_test(who_answers_stays),
        cmocka_unit_test(who_is_behind),          cmocka_unit_test(pieces_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
