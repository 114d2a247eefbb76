#include "wsd/metrics.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED   20260117u
#define MAX    16384u
#define GAUGES 3u

static const char *const counters[] = {
#define NAME(name, help) #name,
    METRICS_COUNTERS(NAME)
#undef NAME
};
#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

static uint64_t counter(const struct metrics *m, size_t i)
{
    uint64_t value;
    memcpy(&value, (const char *)m + i * sizeof(value), sizeof(value));
    return value;
}

static void set_counter(struct metrics *m, size_t i, uint64_t value)
{
    memcpy((char *)m + i * sizeof(value), &value, sizeof(value));
}

/* Reads one metric, three lines, as Prometheus does; returns what follows. */
static const char *read_metric(const char *at, const char *name, const char *kind, const char *relay, uint64_t value)
{
    char expected[512];
    int n = snprintf(expected, sizeof(expected), "# HELP telerelay_wsd_%s ", name);
    assert_memory_equal(at, expected, (size_t)n);
    assert_true(at[n] != '\n'); /* some help there is */
    at = strchr(at, '\n');
    assert_non_null(at);
    n = snprintf(expected, sizeof(expected),
                 "\n# TYPE telerelay_wsd_%s %s\ntelerelay_wsd_%s{relay=\"%s\"} %" PRIu64 "\n", name, kind, name, relay,
                 value);
    assert_memory_equal(at, expected, (size_t)n);
    return at + n;
}

static void check(const char *text, size_t len, const char *relay, const struct metrics *m,
                  const struct metrics_gauges *g)
{
    assert_int_equal(strlen(text), len);
    const char *at = text;
    for (size_t i = 0; i < COUNTERS; i++)
        at = read_metric(at, counters[i], "counter", relay, counter(m, i));
    at = read_metric(at, "websites", "gauge", relay, g->websites);
    at = read_metric(at, "robots", "gauge", relay, g->robots);
    at = read_metric(at, "redis_up", "gauge", relay, (uint64_t)g->redis_up);
    assert_string_equal(at, "");
}

static void every_counter(void **state)
{
    (void)state;
    static char text[MAX];
    struct metrics m = {0};
    struct metrics_gauges g = {.websites = 3, .robots = 4, .redis_up = 1};
    assert_int_equal(sizeof(m), COUNTERS * sizeof(uint64_t));
    for (size_t i = 0; i < COUNTERS; i++)
        set_counter(&m, i, i * 1000 + 7);
    size_t len = metrics_render(text, sizeof(text), "wsd-1", &m, &g);
    assert_true(len > 0);
    check(text, len, "wsd-1", &m, &g);
}

static void names_are_of_use(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNTERS; i++) {
        size_t len = strlen(counters[i]);
        assert_int_equal(strspn(counters[i], "abcdefghijklmnopqrstuvwxyz_"), len);
        assert_true(len > 6 && strcmp(counters[i] + len - 6, "_total") == 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(counters[i], counters[j]);
    }
}

/* The longest name and the largest numbers fit the program's buffer. */
static void largest(void **state)
{
    (void)state;
    static char text[MAX];
    char relay[65];
    struct metrics m;
    struct metrics_gauges g = {.websites = UINT32_MAX, .robots = UINT32_MAX, .redis_up = 1};
    memset(relay, 'w', 64);
    relay[64] = '\0';
    memset(&m, 0xff, sizeof(m));
    size_t len = metrics_render(text, sizeof(text), relay, &m, &g);
    assert_true(len > 0);
    check(text, len, relay, &m, &g);
}

/* Whatever the size of the buffer: all or nothing, and never a byte behind it. */
static void every_size(void **state)
{
    (void)state;
    static char whole[MAX];
    struct metrics m = {0};
    struct metrics_gauges g = {0};
    size_t len = metrics_render(whole, sizeof(whole), "wsd-1", &m, &g);
    assert_true(len > 0);
    for (size_t cap = 0; cap <= len + 2; cap++) {
        char *text = malloc(cap + 1);
        assert_non_null(text);
        text[cap] = 'E';
        size_t n = metrics_render(text, cap, "wsd-1", &m, &g);
        assert_int_equal(n, cap > len ? len : 0);
        assert_int_equal(text[cap], 'E');
        if (n > 0)
            assert_string_equal(text, whole);
        free(text);
    }
}

static void random_values(void **state)
{
    (void)state;
    static char text[MAX];
    uint64_t x = SEED;
    for (int round = 0; round < 10000 / (int)(COUNTERS + GAUGES) + 1; round++) {
        struct metrics m;
        struct metrics_gauges g;
        for (size_t i = 0; i < COUNTERS; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            set_counter(&m, i, x >> (x >> 58));
        }
        g = (struct metrics_gauges){(unsigned)(x >> 40), (unsigned)(x >> 50), (int)(x >> 63)};
        size_t len = metrics_render(text, sizeof(text), "a.b_c-9", &m, &g);
        assert_true(len > 0);
        check(text, len, "a.b_c-9", &m, &g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter), cmocka_unit_test(names_are_of_use), cmocka_unit_test(largest),
        cmocka_unit_test(every_size),    cmocka_unit_test(random_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
