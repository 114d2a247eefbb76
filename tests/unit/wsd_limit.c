#include "wsd/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEED 20260116u

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void take_all(struct limit *l, int rate, int burst, int64_t now)
{
    for (int i = 0; i < burst; i++)
        assert_int_equal(limit_take(l, rate, burst, now), LIMIT_OK);
}

static void no_limit(void **state)
{
    (void)state;
    struct limit l = {0};
    for (int i = 0; i < 100000; i++)
        assert_int_equal(limit_take(&l, 0, 1, 5), LIMIT_OK);
}

static void burst_then_rate(void **state)
{
    (void)state;
    struct limit l = {0};
    int64_t now = 1000000;
    take_all(&l, 10, 5, now);
    assert_int_equal(limit_take(&l, 10, 5, now), LIMIT_OVER);
    assert_int_equal(limit_take(&l, 10, 5, now + 99), LIMIT_OVER);
    assert_int_equal(limit_take(&l, 10, 5, now + 100), LIMIT_OK); /* one each 100 ms */
    assert_int_equal(limit_take(&l, 10, 5, now + 100), LIMIT_OVER);
    take_all(&l, 10, 5, now + 100000); /* a long pause fills it, to the brim and no further */
    assert_int_equal(limit_take(&l, 10, 5, now + 100000), LIMIT_OVER);
}

static void refusals_cost_nothing(void **state)
{
    (void)state;
    struct limit l = {0};
    take_all(&l, 10, 50, 1000);
    for (int64_t now = 1001; now < 1100; now++)
        assert_int_equal(limit_take(&l, 10, 50, now), LIMIT_OVER);
    assert_int_equal(limit_take(&l, 10, 50, 1100), LIMIT_OK);
}

/* What counts as many takes as many, or nothing; and what counts for more than a burst still passes at times. */
static void many_at_once(void **state)
{
    (void)state;
    struct limit l = {0};
    assert_int_equal(limit_take_many(&l, 7, 10, 10, 1000), LIMIT_OK);
    assert_int_equal(limit_take_many(&l, 4, 10, 10, 1000), LIMIT_OVER);
    assert_int_equal(limit_take_many(&l, 3, 10, 10, 1000), LIMIT_OK);
    assert_int_equal(limit_take(&l, 10, 10, 1000), LIMIT_OVER);
    assert_int_equal(limit_take_many(&l, 10, 10, 10, 1999), LIMIT_OVER);
    assert_int_equal(limit_take_many(&l, 500, 10, 10, 2000), LIMIT_OK);
    assert_int_equal(limit_take(&l, 10, 10, 2000), LIMIT_OVER);
    assert_int_equal(limit_take_many(&l, 1000000, 0, 1, 2000), LIMIT_OK);
}

static void flood(void **state)
{
    (void)state;
    struct limit l = {0};
    take_all(&l, 10, 20, 1000);
    for (int i = 1; i < 20 * 5; i++)
        assert_int_equal(limit_take(&l, 10, 20, 1000), LIMIT_OVER);
    assert_int_equal(limit_take(&l, 10, 20, 1000), LIMIT_FLOOD);
    assert_int_equal(limit_take(&l, 10, 20, 1000), LIMIT_FLOOD);
}

/* Who slows down until the bucket is half full has heard: what was refused is forgiven. */
static void flood_is_forgiven(void **state)
{
    (void)state;
    struct limit l = {0};
    int64_t now = 1000;
    for (int round = 0; round < 50; round++) {
        while (limit_take(&l, 10, 20, now) == LIMIT_OK)
            ;
        for (int i = 1; i < 20 * 5 - 1; i++)
            assert_int_equal(limit_take(&l, 10, 20, now), LIMIT_OVER);
        now += 1000; /* 10 of 20 */
        assert_int_equal(limit_take(&l, 10, 20, now), LIMIT_OK);
    }
}

static void steady_pace_within_the_rate_is_never_refused(void **state)
{
    (void)state;
    struct limit l = {0};
    for (int64_t i = 0; i < 100000; i++)
        assert_int_equal(limit_take(&l, 20, 1, 1000 + i * 50), LIMIT_OK);
}

/* The configuration may change while a peer is connected. */
static void smaller_burst_after_reload(void **state)
{
    (void)state;
    struct limit l = {0};
    assert_int_equal(limit_take(&l, 10, 100000, 1000), LIMIT_OK);
    take_all(&l, 10, 3, 1000);
    assert_int_equal(limit_take(&l, 10, 3, 1000), LIMIT_OVER);
    assert_int_equal(limit_take(&l, 10, 100000, 1100), LIMIT_OK);
    assert_int_equal(limit_take(&l, 10, 100000, 1100), LIMIT_OVER);
}

static void extremes(void **state)
{
    (void)state;
    struct limit l = {0};
    assert_int_equal(limit_take(&l, 100000, 1000000, 1), LIMIT_OK);
    assert_int_equal(limit_take(&l, 100000, 1000000, INT64_C(1) << 40), LIMIT_OK);
    assert_true(l.milli >= 0);
}

/* Against exact arithmetic: thousandths of a message, and the bound that matters over any window. */
static void random_peers(void **state)
{
    uint32_t seed = SEED;
    (void)state;
    for (int peer = 0; peer < 20; peer++) {
        int rate = 1 + (int)(random_bits(&seed) % 300), burst = 1 + (int)(random_bits(&seed) % 300);
        struct limit l = {0};
        int64_t now = 1 + random_bits(&seed), start = now, passed = 0;
        int64_t milli = (int64_t)burst * 1000, refused = 0;
        for (int step = 0; step < 2000; step++) {
            int64_t pause = random_bits(&seed) % 4 != 0    ? 0
                            : random_bits(&seed) % 64 == 0 ? 5000
                                                           : random_bits(&seed) % 30;
            now += pause;
            milli += pause * rate;
            if (milli > (int64_t)burst * 1000)
                milli = (int64_t)burst * 1000;
            if (milli * 2 >= (int64_t)burst * 1000)
                refused = 0;
            enum limit_verdict expected = LIMIT_OK;
            if (milli >= 1000)
                milli -= 1000;
            else
                expected = ++refused >= (int64_t)burst * 5 ? LIMIT_FLOOD : LIMIT_OVER;
            enum limit_verdict verdict = limit_take(&l, rate, burst, now);
            assert_int_equal(verdict, expected);
            passed += verdict == LIMIT_OK;
            assert_true(passed * 1000 <= (int64_t)burst * 1000 + (now - start) * rate);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit),
        cmocka_unit_test(burst_then_rate),
        cmocka_unit_test(refusals_cost_nothing),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(flood),
        cmocka_unit_test(flood_is_forgiven),
        cmocka_unit_test(steady_pace_within_the_rate_is_never_refused),
        cmocka_unit_test(smaller_burst_after_reload),
        cmocka_unit_test(extremes),
        cmocka_unit_test(random_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
