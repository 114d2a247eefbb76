/* The histogram: quantiles within its promised error, from nanoseconds to minutes. */
#include "tests/bench/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct hist h;

static void test_empty(void **state)
{
    (void)state;
    hist_init(&h);
    assert_int_equal(hist_quantile(&h, 0.5), 0);
    assert_int_equal(h.max, 0);
    assert_true(hist_mean(&h) <= 0);
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    hist_init(&h);
    for (int ns = 0; ns < 100; ns++)
        hist_record(&h, ns);
    assert_int_equal(hist_quantile(&h, 0.01), 0);
    assert_int_equal(hist_quantile(&h, 0.5), 49);
    assert_int_equal(hist_quantile(&h, 0.9), 89);
    assert_int_equal(hist_quantile(&h, 1), 99);
    assert_int_equal(h.count, 100);
}

static void test_every_magnitude_is_within_a_step(void **state)
{
    (void)state;
    for (int64_t ns = 1; ns < INT64_C(3000000000000); ns += ns / 3 + 1) {
        hist_init(&h);
        hist_record(&h, ns);
        hist_record(&h, INT64_MAX / 2); /* so that the maximum does not hide the step's error */
        int64_t got = hist_quantile(&h, 0.5);
        assert_true(got >= ns);
        assert_true((double)(got - ns) <= (double)ns / 64);
    }
}

static void test_the_maximum_is_exact_and_bounds_quantiles(void **state)
{
    (void)state;
    hist_init(&h);
    hist_record(&h, 1000003);
    assert_int_equal(hist_quantile(&h, 0.99), 1000003);
    assert_int_equal(h.max, 1000003);
}

static void test_out_of_range(void **state)
{
    (void)state;
    hist_init(&h);
    hist_record(&h, -5);
    hist_record(&h, INT64_MAX);
    assert_int_equal(hist_quantile(&h, 0.5), 0);
    assert_true(hist_quantile(&h, 1) == INT64_MAX);
}

static void test_quantiles_of_a_uniform_spread(void **state)
{
    (void)state;
    hist_init(&h);
    for (int64_t i = 1; i <= 100000; i++)
        hist_record(&h, i * 1000);
    for (int percent = 1; percent < 100; percent++) {
        double want = percent * 1e6, got = (double)hist_quantile(&h, percent / 100.0);
        assert_true(got >= want && got <= want * 1.016);
    }
    assert_true(hist_mean(&h) > 50000499 && hist_mean(&h) < 50000501);
}

static void test_merge(void **state)
{
    static struct hist other;
    (void)state;
    hist_init(&h);
    hist_init(&other);
    hist_record(&h, 10);
    hist_record(&other, 20);
    hist_record(&other, 30);
    hist_merge(&h, &other);
    assert_int_equal(h.count, 3);
    assert_int_equal(h.max, 30);
    assert_int_equal(hist_quantile(&h, 0.5), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_every_magnitude_is_within_a_step),
        cmocka_unit_test(test_the_maximum_is_exact_and_bounds_quantiles),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_quantiles_of_a_uniform_spread),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
