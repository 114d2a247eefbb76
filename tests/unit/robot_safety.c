#include "robot/safety.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS 1000000LL

static const struct safety_config config = {
    .deadman_ns = 300 * MS, .watchdog_ns = 200 * MS, .fresh_ns = 600 * MS, .first_hb = 9007, .latch = {.seq = -1}};

/* Starts at 1 s, linked; the main loop is kept alive by look() unless a test says otherwise. */
static void start(struct safety *s)
{
    safety_init(s, &config, 1000 * MS);
    safety_on_link(s, true, 1000 * MS);
}

static struct safety_outputs look(struct safety *s, int64_t ms)
{
    struct safety_outputs o;

    safety_on_alive(s, ms * MS);
    safety_tick(s, ms * MS, &o);
    return o;
}

static void assert_drive(const struct safety_outputs *o, double left, double right, enum safety_cause cause)
{
    assert_true(fabs(o->left - left) < 1e-12);
    assert_true(fabs(o->right - right) < 1e-12);
    assert_string_equal(safety_cause_name(o->drive_cause), safety_cause_name(cause));
}

static void begins_at_rest(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    safety_init(&s, &config, 5);
    safety_tick(&s, 5, &o);
    assert_drive(&o, 0, 0, SAFETY_START);
    assert_int_equal(o.camera_cause, SAFETY_START);
    assert_int_equal(o.speed, 100);
    assert_int_equal(o.brightness, 100);
    assert_true(safety_deadline(&s) == SAFETY_NEVER);
}

static void mixes_and_scales(void **state)
{
    static const struct {
        double x, y, left, right;
    } cases[] = {
        {0.5, -0.3, 0.2, -0.8}, {0, 1, 1, 1},  {1, 0, 1, -1},  {-1, 0, -1, 1},
        {1, 1, 1, 0},           {-1, 1, 0, 1}, {1, -1, 0, -1}, {0.25, 0.5, 0.75, 0.25},
    };
    struct safety s;
    struct safety_outputs o;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start(&s);
        assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, cases[i].x, cases[i].y, NULL, 1000 * MS), SAFETY_APPLIED);
        o = look(&s, 1001);
        assert_drive(&o, cases[i].left, cases[i].right, SAFETY_COMMAND);
        assert_int_equal(safety_on_speed(&s, 50, NULL, 1002 * MS), 0);
        o = look(&s, 1003);
        assert_drive(&o, cases[i].left / 2, cases[i].right / 2, SAFETY_COMMAND);
    }
}

static void ends_after_the_last_command_of_that_axis(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1000 * MS);
    look(&s, 1150);
    safety_on_motion(&s, SAFETY_CAMERA, 0.5, -0.5, NULL, 1200 * MS); /* keeps the camera, not the drive */
    o = look(&s, 1299);
    assert_drive(&o, 1, 1, SAFETY_COMMAND);
    assert_true(safety_deadline(&s) == 1300 * MS);
    o = look(&s, 1300);
    assert_drive(&o, 0, 0, SAFETY_DEADMAN);
    assert_true(o.pan == 0.5 && o.tilt == -0.5);
    look(&s, 1400);
    o = look(&s, 1500);
    assert_true(o.pan == 0 && o.tilt == 0);
    assert_int_equal(o.camera_cause, SAFETY_DEADMAN);
    assert_true(safety_deadline(&s) == SAFETY_NEVER);
}

static void speed_does_not_prolong(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1000 * MS);
    look(&s, 1150);
    assert_int_equal(safety_on_speed(&s, 10, NULL, 1290 * MS), 0);
    o = look(&s, 1290);
    assert_drive(&o, 0.1, 0.1, SAFETY_COMMAND);
    o = look(&s, 1300);
    assert_drive(&o, 0, 0, SAFETY_DEADMAN);
    /* And a setting alone starts nothing. */
    assert_int_equal(safety_on_speed(&s, 100, NULL, 1400 * MS), 0);
    o = look(&s, 1400);
    assert_drive(&o, 0, 0, SAFETY_DEADMAN);
}

static void link_loss_ends_at_once(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1000 * MS);
    safety_on_link(&s, false, 1001 * MS);
    o = look(&s, 1001);
    assert_drive(&o, 0, 0, SAFETY_LINK);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1002 * MS), SAFETY_REFUSED_LINK);
    safety_on_link(&s, true, 1003 * MS);
    o = look(&s, 1003);
    assert_drive(&o, 0, 0, SAFETY_LINK);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1004 * MS), SAFETY_APPLIED);
}

static void halt_is_for_ever(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1000 * MS);
    safety_on_halt(&s, 1001 * MS);
    o = look(&s, 1001);
    assert_drive(&o, 0, 0, SAFETY_STOP);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1002 * MS), SAFETY_REFUSED_STOP);
    safety_on_link(&s, true, 1003 * MS);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1004 * MS), SAFETY_REFUSED_STOP);
}

static void watchdog_ends_what_a_hung_loop_left(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1000 * MS);
    assert_true(safety_deadline(&s) == 1200 * MS);
    safety_tick(&s, 1199 * MS, &o);
    assert_drive(&o, 1, 1, SAFETY_COMMAND);
    safety_tick(&s, 1200 * MS, &o);
    assert_drive(&o, 0, 0, SAFETY_WATCHDOG);
    /* The loop comes back: nothing moves until someone says so. */
    o = look(&s, 1250);
    assert_drive(&o, 0, 0, SAFETY_WATCHDOG);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 0.5, NULL, 1251 * MS), SAFETY_APPLIED);
    o = look(&s, 1252);
    assert_drive(&o, 0.5, 0.5, SAFETY_COMMAND);
}

static void a_late_sign_of_life_hides_nothing(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 1000 * MS);
    o = look(&s, 1250); /* alive, but 250 ms after the last sign */
    assert_drive(&o, 0, 0, SAFETY_WATCHDOG);
}

static void refuses_what_is_no_command(void **state)
{
    static const double bad[] = {1.0000001, -1.0000001, 1e300, INFINITY, -INFINITY, NAN};
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, bad[i], 0, NULL, 1000 * MS), SAFETY_REFUSED_RANGE);
        assert_int_equal(safety_on_motion(&s, SAFETY_CAMERA, 0, bad[i], NULL, 1000 * MS), SAFETY_REFUSED_RANGE);
    }
    assert_int_equal(safety_on_speed(&s, 0, NULL, 1000 * MS), SAFETY_REFUSED_RANGE);
    assert_int_equal(safety_on_speed(&s, 101, NULL, 1000 * MS), SAFETY_REFUSED_RANGE);
    assert_int_equal(safety_on_brightness(&s, 0, NULL, 1000 * MS), SAFETY_REFUSED_RANGE);
    assert_int_equal(safety_on_brightness(&s, 101, NULL, 1000 * MS), SAFETY_REFUSED_RANGE);
    o = look(&s, 1000);
    assert_drive(&o, 0, 0, SAFETY_START);
    assert_int_equal(o.speed, 100);
}

static void time_that_goes_back_is_taken_for_the_last(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    look(&s, 1100);
    safety_on_motion(&s, SAFETY_DRIVE, 0, 1, NULL, 900 * MS); /* read its clock, then waited for the lock */
    assert_true(safety_deadline(&s) == 1300 * MS);
    o = look(&s, 1150);
    assert_drive(&o, 1, 1, SAFETY_COMMAND);
}

static uint64_t rng = 20260115;

static uint64_t next(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static double axis_value(void)
{
    return (double)(int64_t)(next() % 2401) / 1000.0 - 1.2; /* sometimes beyond what is allowed */
}

/* What the test itself knows, by other means than the code's. */
struct witness {
    int64_t moved[SAFETY_AXES]; /* last accepted motion, ns; negative for never */
    int64_t alive;
    bool link, halted;
};

static void do_something(struct safety *s, struct witness *w, int64_t now)
{
    enum safety_axis axis = next() % 2 ? SAFETY_DRIVE : SAFETY_CAMERA;

    switch (next() % 16) {
    case 0:
        w->link = next() % 4 != 0;
        safety_on_link(s, w->link, now);
        w->moved[SAFETY_DRIVE] = w->moved[SAFETY_CAMERA] = INT64_MIN / 2;
        break;
    case 1:
        safety_on_speed(s, (int)(next() % 120), NULL, now);
        break;
    case 2:
        safety_on_brightness(s, (int)(next() % 120), NULL, now);
        break;
    case 3:
        if (next() % 2000 == 0) {
            safety_on_halt(s, now);
            w->halted = true;
        }
        break;
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        if (safety_on_motion(s, axis, axis_value(), axis_value(), NULL, now) == SAFETY_APPLIED) {
            assert_true(w->link && !w->halted);
            w->moved[axis] = now;
            w->alive = now;
        }
        break;
    case 9:
        break;
    default:
        safety_on_alive(s, now);
        w->alive = now;
        break;
    }
}

static void check(const struct safety_outputs *o, const struct witness *w, int64_t now)
{
    bool alive = now - w->alive < config.watchdog_ns;
    bool may[SAFETY_AXES];

    for (size_t i = 0; i < SAFETY_AXES; i++)
        may[i] = w->link && !w->halted && alive && now - w->moved[i] < config.deadman_ns;
    assert_true(fabs(o->left) <= 1 && fabs(o->right) <= 1 && fabs(o->pan) <= 1 && fabs(o->tilt) <= 1);
    assert_true(fabs(o->left) <= o->speed / 100.0 + 1e-12 && fabs(o->right) <= o->speed / 100.0 + 1e-12);
    assert_true(may[SAFETY_DRIVE] || (o->left == 0 && o->right == 0));
    assert_true(may[SAFETY_CAMERA] || (o->pan == 0 && o->tilt == 0));
    assert_in_range(o->speed, 1, 100);
    assert_in_range(o->brightness, 1, 100);
}

/* Goal: over two million random steps, nothing ever moves that nobody has just asked to move. */
static void nothing_moves_unasked(void **state)
{
    struct safety s;
    struct safety_outputs o;
    struct witness w;
    int64_t now = 1000 * MS;
    unsigned moving = 0;

    (void)state;
    w.halted = true;
    for (int step = 0; step < 2000000; step++) {
        if (w.halted && next() % 500 == 0) { /* the program starts anew */
            safety_init(&s, &config, now);
            w = (struct witness){.moved = {INT64_MIN / 2, INT64_MIN / 2}, .alive = now};
        }
        if (step == 0) {
            safety_init(&s, &config, now);
            w = (struct witness){.moved = {INT64_MIN / 2, INT64_MIN / 2}, .alive = now};
        }
        now += (int64_t)(next() % (next() % 50 == 0 ? 400 * MS : 60 * MS));
        do_something(&s, &w, now);
        safety_tick(&s, now, &o);
        check(&o, &w, now);
        if (o.left != 0 || o.pan != 0) {
            int64_t due = safety_deadline(&s);

            moving++;
            assert_true(due > now && due <= now + config.deadman_ns);
            /* Right at the deadline the first axis, or all, is at rest: on a copy, so that the run goes on. */
            struct safety later = s;
            struct safety_outputs then;

            safety_tick(&later, due, &then);
            check(&then, &w, due);
        }
    }
    assert_true(moving > 100000); /* the test did look at moving robots */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_at_rest),
        cmocka_unit_test(mixes_and_scales),
        cmocka_unit_test(ends_after_the_last_command_of_that_axis),
        cmocka_unit_test(speed_does_not_prolong),
        cmocka_unit_test(link_loss_ends_at_once),
        cmocka_unit_test(halt_is_for_ever),
        cmocka_unit_test(watchdog_ends_what_a_hung_loop_left),
        cmocka_unit_test(a_late_sign_of_life_hides_nothing),
        cmocka_unit_test(refuses_what_is_no_command),
        cmocka_unit_test(time_that_goes_back_is_taken_for_the_last),
        cmocka_unit_test(nothing_moves_unasked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
