#include "robot/sim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S 1000000000LL

static struct sim_state after(struct sim *s, double seconds)
{
    struct sim_state o;

    sim_read(s, s->now + (int64_t)(seconds * 1e9), &o);
    return o;
}

static void battery_only_falls_and_faster_under_load(void **state)
{
    struct sim s;
    struct sim_state o;
    double last, idle, driving;

    (void)state;
    sim_init(&s, 7, 0);
    sim_read(&s, 0, &o);
    last = o.battery;
    assert_true(last > 90 && last <= 100);
    for (int i = 0; i < 30; i++) {
        o = after(&s, 1);
        assert_true(o.battery < last);
        last = o.battery;
    }
    idle = last;
    o = after(&s, 30);
    idle -= o.battery;
    sim_set_drive(&s, 1, 1, s.now);
    driving = o.battery;
    o = after(&s, 30);
    driving -= o.battery;
    assert_true(driving > 5 * idle);
    assert_true(driving > 1); /* a person who looks for half a minute sees it */
}

static void empty_battery_recharges_and_says_so(void **state)
{
    struct sim s;
    struct sim_state o;
    bool charged = false, fell_after = false;

    (void)state;
    sim_init(&s, 7, 0);
    sim_set_drive(&s, 1, -1, 0);
    for (int i = 0; i < 3600; i++) {
        double before = s.battery;

        o = after(&s, 1);
        assert_in_range((int)(o.battery * 10), 40, 1000);
        if (o.charging && o.battery > before)
            charged = true;
        if (charged && !o.charging && o.battery < before)
            fell_after = true;
    }
    assert_true(charged && fell_after);
}

static void temperature_follows_load(void **state)
{
    struct sim s;
    struct sim_state cold, warm, again;

    (void)state;
    sim_init(&s, 7, 0);
    cold = after(&s, 200);
    sim_set_drive(&s, 1, 1, s.now);
    warm = after(&s, 10);
    assert_true(warm.temperature > cold.temperature + 2);
    warm = after(&s, 190);
    assert_true(warm.temperature > cold.temperature + 15);
    assert_true(warm.temperature < 60);
    sim_set_drive(&s, 0, 0, s.now);
    again = after(&s, 200);
    assert_true(fabs(again.temperature - cold.temperature) < 1);
}

static void drives_where_it_is_told(void **state)
{
    struct sim s;
    struct sim_state o;

    (void)state;
    sim_init(&s, 7, 0);
    sim_set_drive(&s, 1, 1, 0);
    o = after(&s, 0.1);
    assert_true(o.speed_mps > 0.2 && o.speed_mps < 0.8); /* inertia */
    o = after(&s, 4.9);
    assert_true(fabs(o.speed_mps - 0.8) < 0.01);
    assert_true(o.x > 3.5 && o.x < 4.1 && fabs(o.y) < 1e-9);
    sim_set_drive(&s, 0, 0, s.now);
    o = after(&s, 2);
    assert_true(fabs(o.speed_mps) < 0.01);
    sim_set_drive(&s, -0.2, 0.2, s.now); /* turns left on the spot */
    o = after(&s, 1);
    assert_true(o.heading > 20 && o.heading < 60);
    assert_true(fabs(o.y) < 0.05);
    sim_set_camera(&s, 1, -1, s.now);
    o = after(&s, 1);
    assert_true(fabs(o.pan - 60) < 1 && fabs(o.tilt + 60) < 1);
}

static void signal_falls_with_distance(void **state)
{
    struct sim s;
    double near = 0, far = 0;

    (void)state;
    sim_init(&s, 7, 0);
    for (int i = 0; i < 100; i++)
        near += after(&s, 1).signal / 100;
    sim_set_drive(&s, 1, 1, s.now);
    after(&s, 11);
    sim_set_drive(&s, 0, 0, s.now);
    for (int i = 0; i < 100; i++)
        far += after(&s, 1).signal / 100;
    assert_true(near > far + 15);
}

/* Goal: whatever is asked of it for a million steps, the model stays a robot in a room. */
static void stays_sane(void **state)
{
    uint64_t rng = 99;
    struct sim s;
    struct sim_state o;

    (void)state;
    sim_init(&s, 3, 0);
    for (int i = 0; i < 1000000; i++) {
        rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
        double a = (double)(rng >> 40) / (1 << 23) - 1, b = (double)(rng >> 20 & 0xffffff) / (1 << 23) - 1;

        if (i % 64 == 0)
            sim_set_drive(&s, a, b, s.now);
        if (i % 64 == 32)
            sim_set_camera(&s, a, b, s.now);
        o = after(&s, i % 1000 == 0 ? 3 : 0.01);
        assert_true(o.battery >= 0 && o.battery <= 100 && o.cpu >= 0 && o.cpu <= 100);
        assert_true(o.signal >= 0 && o.signal <= 100 && o.temperature > 20 && o.temperature < 60);
        assert_true(fabs(o.x) <= 10 && fabs(o.y) <= 10 && fabs(o.heading) <= 180.0001);
        assert_true(fabs(o.speed_mps) <= 0.8001 && fabs(o.pan) <= 170 && fabs(o.tilt) <= 60);
    }
}

static void same_seed_same_numbers(void **state)
{
    struct sim a, b, c;
    struct sim_state oa, ob, oc;

    (void)state;
    sim_init(&a, 42, 0);
    sim_init(&b, 42, 0);
    sim_init(&c, 43, 0);
    for (int i = 0; i < 1000; i++) {
        sim_set_drive(&a, sin(i), cos(i), a.now);
        sim_set_drive(&b, sin(i), cos(i), b.now);
        sim_set_drive(&c, sin(i), cos(i), c.now);
        oa = after(&a, 0.037);
        ob = after(&b, 0.037);
        oc = after(&c, 0.037);
        assert_true(oa.battery == ob.battery && oa.cpu == ob.cpu && oa.signal == ob.signal && oa.x == ob.x);
    }
    assert_true(oa.battery != oc.battery && oa.cpu != oc.cpu);
}

static void a_long_gap_costs_little(void **state)
{
    struct sim s;
    struct sim_state o;

    (void)state;
    sim_init(&s, 7, 0);
    sim_read(&s, 1000LL * 86400 * S, &o); /* the machine slept for 1000 days */
    assert_true(isfinite(o.battery) && o.battery >= 0 && o.battery <= 100);
    assert_true(isfinite(o.temperature) && o.temperature > 20 && o.temperature < 60);
    sim_read(&s, 5 * S, &o); /* back in time: nothing happens */
    assert_true(isfinite(o.battery));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(battery_only_falls_and_faster_under_load),
        cmocka_unit_test(empty_battery_recharges_and_says_so),
        cmocka_unit_test(temperature_follows_load),
        cmocka_unit_test(drives_where_it_is_told),
        cmocka_unit_test(signal_falls_with_distance),
        cmocka_unit_test(stays_sane),
        cmocka_unit_test(same_seed_same_numbers),
        cmocka_unit_test(a_long_gap_costs_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
