#include "wsd/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START 1000000 /* ms */

struct link {
    int64_t delay_ms; /* there and back */
    int64_t frame_ms; /* that a frame keeps it busy */
    bool newest_only; /* the peer answers the last of several pings that come together */
};

/* What is on its way: pings, in order, and when their pongs are back. */
struct flight {
    unsigned char mark[64][PACE_MARK];
    int64_t at[64];
    size_t n;
};

static void take_off(struct flight *f, const unsigned char mark[PACE_MARK], int64_t at)
{
    assert_true(f->n < 64);
    memcpy(f->mark[f->n], mark, PACE_MARK);
    f->at[f->n++] = at;
}

/* A website that there is always a new frame for. Returns how many were sent in `ms`; busy: for how much of it the link
 * was; most: frames under way at a time; longest: what a message behind them had to wait. */
static unsigned film(const struct link *l, int64_t ms, int64_t *busy, unsigned *most, int64_t *longest)
{
    struct pace p = {0};
    static struct flight f;
    unsigned char mark[PACE_MARK];
    unsigned frames = 0, under_way = 0;
    int64_t free_at = START; /* of the link */
    f.n = 0;
    *busy = *longest = 0;
    *most = 0;
    for (int64_t now = START; now < START + ms; now++) {
        while (f.n > 0 && f.at[0] <= now) {
            bool last = f.n == 1 || f.at[1] > now;
            under_way -= f.mark[0][1] == '>';
            if (!l->newest_only || last)
                assert_true(pace_pong(&p, f.mark[0], PACE_MARK, now));
            f.n--;
            memmove(f.mark[0], f.mark[1], f.n * PACE_MARK);
            memmove(&f.at[0], &f.at[1], f.n * sizeof(f.at[0]));
        }
        while (frames < 100000 && pace_free(&p, now) && f.n < 60) {
            pace_begin(&p, mark);
            if (free_at < now)
                free_at = now;
            take_off(&f, mark, free_at + l->delay_ms);
            free_at += l->frame_ms;
            *busy += l->frame_ms;
            pace_end(&p, mark, now);
            take_off(&f, mark, free_at + l->delay_ms);
            frames++;
            if (++under_way > *most)
                *most = under_way;
            if (free_at - now > *longest)
                *longest = free_at - now;
        }
    }
    return frames;
}

static void fast_link(void **state)
{
    (void)state;
    int64_t busy, longest;
    unsigned most;
    struct link near = {.delay_ms = 2, .frame_ms = 1}, far = {.delay_ms = 200, .frame_ms = 5};
    assert_true(film(&near, 10000, &busy, &most, &longest) > 3000);
    assert_int_equal(most, PACE_FRAMES);
    /* Far away is not slow: four frames per round trip. */
    assert_in_range(film(&far, 10000, &busy, &most, &longest), 150, 200);
    assert_true(longest <= PACE_FRAMES * 5);
}

static void peer_that_answers_the_newest_only(void **state)
{
    (void)state;
    int64_t busy, longest;
    unsigned most;
    struct link near = {.delay_ms = 2, .frame_ms = 0, .newest_only = true};
    assert_true(film(&near, 10000, &busy, &most, &longest) > 3000);
}

static void thin_link(void **state)
{
    (void)state;
    for (int64_t frame_ms = PACE_SLOW_MS + 1; frame_ms < 3000; frame_ms += 97) {
        int64_t busy, longest;
        unsigned most;
        struct link thin = {.delay_ms = 60, .frame_ms = frame_ms};
        unsigned frames = film(&thin, 60000, &busy, &most, &longest);
        assert_true(frames >= 7); /* it goes on */
        assert_int_equal(most, 1);
        assert_true(longest <= frame_ms); /* never behind more than one */
        if (frame_ms < PACE_REST_MS / PACE_REST)
            assert_true(busy <= 60000 / (PACE_REST + 1) + 2 * frame_ms); /* and most of the time behind none */
    }
}

/* Between fast and slow, one at a time, without a rest. */
static void middling_link(void **state)
{
    (void)state;
    int64_t busy, longest;
    unsigned most;
    struct link link = {.delay_ms = 20, .frame_ms = 80};
    assert_in_range(film(&link, 10000, &busy, &most, &longest), 90, 101);
    assert_int_equal(most, 1);
}

static void odd_pongs(void **state)
{
    (void)state;
    struct pace p = {0};
    unsigned char mark[PACE_MARK], never[PACE_MARK] = {'v', '>', 77}, odd[PACE_MARK] = {'v', 0xff, 0};
    assert_false(pace_pong(&p, (const unsigned char *)"p", 1, START));
    assert_false(pace_pong(&p, (const unsigned char *)"vvvv", 4, START));
    assert_true(pace_pong(&p, never, sizeof(never), START));
    assert_true(pace_pong(&p, odd, sizeof(odd), START));
    assert_false(p.known);
    pace_begin(&p, mark);
    pace_pong(&p, mark, sizeof(mark), START);
    pace_end(&p, mark, START);
    assert_false(pace_free(&p, START + PACE_LOST_MS));    /* it has not arrived */
    assert_true(pace_free(&p, START + PACE_LOST_MS + 1)); /* or its pong was left out */
    pace_pong(&p, mark, sizeof(mark), START + 10);
    assert_true(pace_free(&p, START + 10));
    assert_int_equal(p.busy_ms, 10);
    pace_pong(&p, mark, sizeof(mark), START + 500); /* again */
    assert_int_equal(p.busy_ms, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_link), cmocka_unit_test(peer_that_answers_the_newest_only),
        cmocka_unit_test(thin_link), cmocka_unit_test(middling_link),
        cmocka_unit_test(odd_pongs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
