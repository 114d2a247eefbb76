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

/* --- stop and re-arm -------------------------------------------------------------------------- */

static enum safety_verdict drive(struct safety *s, double y, const struct safety_order *order, int64_t ms)
{
    return safety_on_motion(s, SAFETY_DRIVE, 0, y, order, ms * MS);
}

static struct safety_order numbered(int64_t seq, int64_t epoch)
{
    return (struct safety_order){.seq = seq, .epoch = epoch, .hb = -1, .relay_hb = -1};
}

static struct safety_order after_hb(int64_t hb, int64_t relay_hb)
{
    return (struct safety_order){.seq = -1, .epoch = -1, .hb = hb, .relay_hb = relay_hb};
}

static enum safety_verdict drive_numbered(struct safety *s, double y, int64_t seq, int64_t epoch, int64_t ms)
{
    struct safety_order o = numbered(seq, epoch);

    return drive(s, y, &o, ms);
}

static enum safety_verdict drive_hb(struct safety *s, double y, int64_t hb, int64_t relay_hb, int64_t ms)
{
    struct safety_order o = after_hb(hb, relay_hb);

    return drive(s, y, &o, ms);
}

static void stop_holds_until_rearmed_and_asked_anew(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_motion(&s, SAFETY_CAMERA, 1, 1, NULL, 1000 * MS);
    assert_int_equal(drive_numbered(&s, 1, 10, -1, 1000), SAFETY_APPLIED);
    safety_on_stop(&s, 12, 1001 * MS);
    o = look(&s, 1001);
    assert_drive(&o, 0, 0, SAFETY_STOP);
    assert_true(o.pan == 0 && o.tilt == 0 && o.camera_cause == SAFETY_STOP);
    assert_true(safety_deadline(&s) == SAFETY_NEVER);
    assert_int_equal(drive_numbered(&s, 1, 13, -1, 1002), SAFETY_REFUSED_STOP);
    assert_int_equal(drive_numbered(&s, 0, 14, -1, 1002), SAFETY_REFUSED_STOP);
    assert_int_equal(drive(&s, 1, NULL, 1002), SAFETY_REFUSED_STOP);
    assert_int_equal(safety_on_speed(&s, 50, NULL, 1003 * MS),
                     SAFETY_APPLIED); /* settings are free, and move nothing */
    safety_on_link(&s, false, 1004 * MS);
    safety_on_link(&s, true, 1005 * MS); /* a link is no re-arm */
    assert_int_equal(drive(&s, 1, NULL, 1006), SAFETY_REFUSED_STOP);
    assert_int_equal(safety_on_rearm(&s, 20, 1010 * MS), SAFETY_APPLIED);
    o = look(&s, 1010); /* the motion of 1000 would still be in force */
    assert_drive(&o, 0, 0, SAFETY_STOP);
    assert_int_equal(drive_numbered(&s, 1, 14, -1, 1011), SAFETY_REFUSED_OLD); /* a copy of what was refused */
    assert_int_equal(drive_numbered(&s, 1, 19, -1, 1011),
                     SAFETY_REFUSED_OLD); /* given before the re-arm, come after it */
    o = look(&s, 1011);
    assert_drive(&o, 0, 0, SAFETY_STOP);
    assert_int_equal(drive_numbered(&s, 1, 21, -1, 1012), SAFETY_APPLIED);
    o = look(&s, 1012);
    assert_drive(&o, 0.5, 0.5, SAFETY_COMMAND);
}

static void a_stop_is_always_obeyed_and_counts_as_the_newest(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    safety_on_stop(&s, -1, 1000 * MS); /* nobody ever numbered anything */
    assert_true(s.latch.stopped && s.latch.seq == -1);
    assert_int_equal(safety_on_rearm(&s, -1, 1000 * MS), SAFETY_APPLIED);
    safety_on_stop(&s, 30, 1000 * MS);
    safety_on_stop(&s, 20, 1000 * MS); /* stopped already: an older one changes nothing */
    assert_true(s.latch.stopped && s.latch.seq == 30);
    assert_int_equal(safety_on_rearm(&s, 29, 1000 * MS), SAFETY_REFUSED_OLD);
    assert_int_equal(safety_on_rearm(&s, 30, 1000 * MS), SAFETY_REFUSED_OLD);
    assert_true(s.latch.stopped);
    assert_int_equal(safety_on_rearm(&s, 40, 1000 * MS), SAFETY_APPLIED);
    assert_int_equal(safety_on_rearm(&s, 40, 1000 * MS), SAFETY_REFUSED_OLD);
    assert_int_equal(drive(&s, 1, NULL, 1001), SAFETY_APPLIED);
    safety_on_stop(&s, 35, 1001 * MS); /* overtaken by the re-arm */
    o = look(&s, 1001);
    assert_drive(&o, 0, 0, SAFETY_STOP);
    assert_true(s.latch.stopped && s.latch.seq == 41);
    assert_int_equal(safety_on_rearm(&s, 41, 1001 * MS), SAFETY_REFUSED_OLD);
    assert_int_equal(safety_on_rearm(&s, SAFETY_SEQ_MAX, 1001 * MS), SAFETY_APPLIED);
    safety_on_stop(&s, 1, 1001 * MS);
    assert_true(s.latch.stopped && s.latch.seq == SAFETY_SEQ_MAX); /* still a number that JSON carries */
    assert_int_equal(safety_on_rearm(&s, -1, 1001 * MS), SAFETY_APPLIED);
}

static void a_rearm_of_what_is_not_stopped_moves_nothing(void **state)
{
    struct safety s;
    struct safety_outputs o;

    (void)state;
    start(&s);
    assert_int_equal(drive_numbered(&s, 1, 10, -1, 1000), SAFETY_APPLIED);
    assert_int_equal(safety_on_rearm(&s, 11, 1001 * MS), SAFETY_APPLIED);
    o = look(&s, 1001);
    assert_drive(&o, 0, 0, SAFETY_STOP);
}

static void starts_stopped_where_it_was(void **state)
{
    struct safety_config c = config;
    struct safety s;

    (void)state;
    c.latch = (struct safety_latch){.stopped = true, .seq = 50};
    safety_init(&s, &c, 1000 * MS);
    safety_on_link(&s, true, 1000 * MS);
    assert_int_equal(drive(&s, 1, NULL, 1001), SAFETY_REFUSED_STOP);
    assert_int_equal(safety_on_rearm(&s, 50, 1002 * MS), SAFETY_REFUSED_OLD);
    assert_int_equal(safety_on_rearm(&s, 51, 1002 * MS), SAFETY_APPLIED);
    assert_int_equal(drive_numbered(&s, 1, 50, -1, 1003), SAFETY_REFUSED_OLD);
    assert_int_equal(drive_numbered(&s, 1, 52, -1, 1003), SAFETY_APPLIED);
    safety_on_halt(&s, 1004 * MS);
    assert_int_equal(safety_on_rearm(&s, 60, 1005 * MS), SAFETY_APPLIED);
    assert_int_equal(drive(&s, 1, NULL, 1006), SAFETY_REFUSED_STOP); /* halted stays halted */
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void takes_each_kind_in_rising_order(void **state)
{
    struct safety_order five = numbered(5, -1), four = numbered(4, -1);
    struct safety s;

    (void)state;
    start(&s);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 1, &five, 1000 * MS), SAFETY_APPLIED);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 1, &five, 1000 * MS), SAFETY_REFUSED_OLD);
    assert_int_equal(safety_on_motion(&s, SAFETY_DRIVE, 0, 0, &four, 1000 * MS), SAFETY_REFUSED_OLD);
    assert_int_equal(safety_on_motion(&s, SAFETY_CAMERA, 0, 1, &four, 1000 * MS), SAFETY_APPLIED);
    assert_int_equal(safety_on_motion(&s, SAFETY_CAMERA, 0, 1, &five, 1000 * MS), SAFETY_APPLIED);
    assert_int_equal(safety_on_speed(&s, 40, &five, 1000 * MS), SAFETY_APPLIED);
    assert_int_equal(safety_on_speed(&s, 50, &four, 1000 * MS), SAFETY_REFUSED_OLD);
    assert_int_equal(safety_on_brightness(&s, 60, &four, 1000 * MS), SAFETY_APPLIED);
    assert_int_equal(safety_on_brightness(&s, 70, &four, 1000 * MS), SAFETY_REFUSED_OLD);
    assert_true(s.speed == 40 && s.brightness == 60);
    assert_int_equal(drive(&s, 0.5, NULL, 1000), SAFETY_APPLIED); /* without a number: an old relay */
    safety_on_link(&s, false, 1001 * MS);
    safety_on_link(&s, true, 1002 * MS); /* holds across connections */
    assert_int_equal(drive_numbered(&s, 1, 5, -1, 1003), SAFETY_REFUSED_OLD);
}

static void a_lower_epoch_is_over(void **state)
{
    struct safety_order old = numbered(99, 6);
    struct safety s;

    (void)state;
    start(&s);
    assert_int_equal(drive_numbered(&s, 1, 50, 7, 1000), SAFETY_APPLIED);
    assert_int_equal(drive_numbered(&s, 1, 51, 6, 1000), SAFETY_REFUSED_EPOCH);
    assert_int_equal(drive_numbered(&s, 0, 52, 6, 1000), SAFETY_REFUSED_EPOCH);
    assert_int_equal(safety_on_speed(&s, 10, &old, 1000 * MS), SAFETY_REFUSED_EPOCH);
    assert_int_equal(drive_numbered(&s, 1, 51, -1, 1000), SAFETY_APPLIED); /* without: no grant, no fence */
    assert_int_equal(drive_numbered(&s, 0, 3, 8, 1000), SAFETY_APPLIED);   /* begins anew */
    assert_int_equal(drive_numbered(&s, 1, 3, 8, 1000), SAFETY_REFUSED_OLD);
    assert_int_equal(drive_numbered(&s, 1, 60, 7, 1000), SAFETY_REFUSED_EPOCH);
    assert_int_equal(drive_numbered(&s, 1, 4, 8, 1000), SAFETY_APPLIED);
}

static void what_was_refused_counts_as_seen(void **state)
{
    struct safety_order o = {.seq = 5, .epoch = 2, .hb = 1, .relay_hb = -1};
    struct safety s;

    (void)state;
    start(&s);
    assert_int_equal(drive(&s, 1, &o, 1000), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_numbered(&s, 1, 5, 2, 1000), SAFETY_REFUSED_OLD);
    assert_int_equal(drive_numbered(&s, 1, 6, 1, 1000), SAFETY_REFUSED_EPOCH);
    safety_on_link(&s, false, 1001 * MS);
    assert_int_equal(drive_numbered(&s, 1, 7, 2, 1001), SAFETY_REFUSED_LINK);
    safety_on_link(&s, true, 1002 * MS);
    assert_int_equal(drive_numbered(&s, 1, 7, 2, 1002), SAFETY_REFUSED_OLD);
}

/* --- freshness -------------------------------------------------------------------------------- */

static void a_motion_has_to_know_a_fresh_heartbeat(void **state)
{
    struct safety s;
    int64_t first, second;

    (void)state;
    start(&s);
    assert_int_equal(drive_hb(&s, 1, 9007, -1, 1000), SAFETY_EXPIRED_HB); /* the first one, but before it was sent */
    first = safety_heartbeat(&s, 1000 * MS);
    second = safety_heartbeat(&s, 1200 * MS);
    assert_true(first == 9007 && second == 9008);
    assert_int_equal(drive_hb(&s, 1, first, -1, 1600), SAFETY_APPLIED);
    assert_int_equal(drive_hb(&s, 1, first, -1, 1601), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 1, second, -1, 1601), SAFETY_APPLIED);
    assert_int_equal(drive_hb(&s, 1, -1, first, 1601), SAFETY_EXPIRED_HB); /* the relay's counts as well */
    assert_int_equal(drive_hb(&s, 1, second, first, 1601), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 1, first, second, 1601), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 1, second, second, 1601), SAFETY_APPLIED);
    assert_int_equal(drive_hb(&s, 1, second + 1, -1, 1601), SAFETY_EXPIRED_HB); /* not sent yet */
    assert_int_equal(drive_hb(&s, 1, first - 1, -1, 1601), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 1, 0, -1, 1601), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 1, SAFETY_SEQ_MAX, SAFETY_SEQ_MAX, 1601), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 0, first, 0, 9000), SAFETY_APPLIED); /* zero only ever stops */
    assert_int_equal(drive_hb(&s, 1, -1, -1, 9000), SAFETY_APPLIED);   /* an old website on an old relay */
}

static void heartbeats_of_another_connection_mean_nothing(void **state)
{
    struct safety s;
    int64_t before, now;

    (void)state;
    start(&s);
    before = safety_heartbeat(&s, 1000 * MS);
    safety_on_link(&s, false, 1010 * MS);
    safety_on_link(&s, true, 1020 * MS);
    now = safety_heartbeat(&s, 1020 * MS);
    assert_true(now == before + 1);
    assert_int_equal(drive_hb(&s, 1, before, -1, 1030), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 1, now, -1, 1030), SAFETY_APPLIED);
}

static enum safety_verdict set_after(struct safety *s, int64_t hb, int64_t relay_hb, int64_t seq, int64_t ms)
{
    struct safety_order o = {.seq = seq, .epoch = -1, .hb = hb, .relay_hb = relay_hb};
    enum safety_verdict verdict = safety_on_speed(s, 40, &o, ms * MS);

    assert_int_equal(safety_on_brightness(s, 40, &o, ms * MS), verdict);
    return verdict;
}

static void a_setting_may_be_10_s_old_and_no_older(void **state)
{
    struct safety s;
    int64_t first, second;

    (void)state;
    start(&s);
    first = safety_heartbeat(&s, 1000 * MS);
    second = safety_heartbeat(&s, 9000 * MS);
    assert_int_equal(set_after(&s, -1, first, -1, 11000), SAFETY_APPLIED);
    assert_int_equal(set_after(&s, -1, first, 5, 11001), SAFETY_EXPIRED_HB);
    assert_int_equal(set_after(&s, -1, second, 5, 11001), SAFETY_REFUSED_OLD); /* refused, but seen */
    assert_int_equal(set_after(&s, -1, second, 6, 11001), SAFETY_APPLIED);
    assert_int_equal(set_after(&s, first, second, -1, 11001), SAFETY_APPLIED); /* the sender's has no say in this */
    assert_int_equal(set_after(&s, -1, second + 1, -1, 11001), SAFETY_EXPIRED_HB);
    assert_int_equal(set_after(&s, -1, 0, -1, 11001), SAFETY_EXPIRED_HB);
    assert_int_equal(set_after(&s, -1, -1, -1, 60000), SAFETY_APPLIED);        /* an old relay */
    assert_int_equal(set_after(&s, -1, second, -1, 41000), SAFETY_EXPIRED_HB); /* stood still for 30 s */
    safety_heartbeat(&s, 70000 * MS);
    safety_on_link(&s, false, 70010 * MS);
    safety_on_link(&s, true, 70020 * MS);
    assert_int_equal(set_after(&s, -1, second + 1, -1, 70030), SAFETY_EXPIRED_HB); /* of another connection */
    assert_int_equal(set_after(&s, -1, safety_heartbeat(&s, 70030 * MS), -1, 70040), SAFETY_APPLIED);
}

/* At the shortest time between heartbeats that can be configured. */
static void remembers_the_heartbeats_of_10_s(void **state)
{
    struct safety s;
    int64_t last = 0;

    (void)state;
    start(&s);
    for (int64_t ms = 1000; ms <= 60000; ms += 50)
        last = safety_heartbeat(&s, ms * MS);
    assert_int_equal(set_after(&s, -1, last - 200, -1, 60000), SAFETY_APPLIED);
    assert_int_equal(set_after(&s, -1, last - 201, -1, 60000), SAFETY_EXPIRED_HB);
}

static void remembers_so_many_heartbeats_and_no_more(void **state)
{
    struct safety s;
    int64_t last = 0;

    (void)state;
    start(&s);
    for (int i = 0; i < 3 * SAFETY_HEARTBEATS; i++)
        last = safety_heartbeat(&s, (1000 + i / 100) * MS);
    assert_int_equal(drive_hb(&s, 1, last - SAFETY_HEARTBEATS + 1, -1, 1010), SAFETY_APPLIED);
    assert_int_equal(drive_hb(&s, 1, last - SAFETY_HEARTBEATS, -1, 1010), SAFETY_EXPIRED_HB);
    assert_int_equal(drive_hb(&s, 1, last + 1, -1, 1010), SAFETY_EXPIRED_HB);
}

static void can_insist_on_heartbeats(void **state)
{
    struct safety_config c = config;
    struct safety s;

    (void)state;
    c.require_fresh = true;
    safety_init(&s, &c, 1000 * MS);
    safety_on_link(&s, true, 1000 * MS);
    int64_t hb = safety_heartbeat(&s, 1000 * MS);

    assert_int_equal(drive(&s, 1, NULL, 1001), SAFETY_EXPIRED_NO_HB);
    assert_int_equal(drive_hb(&s, 1, -1, hb, 1001), SAFETY_EXPIRED_NO_HB); /* the relay does not speak for the sender */
    assert_int_equal(drive(&s, 0, NULL, 1001), SAFETY_APPLIED);
    assert_int_equal(drive_hb(&s, 1, hb, -1, 1001), SAFETY_APPLIED);
    assert_true(safety_verdict_is_expired(SAFETY_EXPIRED_NO_HB) && safety_verdict_is_expired(SAFETY_EXPIRED_HB));
    assert_false(safety_verdict_is_expired(SAFETY_REFUSED_STOP));
    assert_string_equal(safety_verdict_name(SAFETY_EXPIRED_NO_HB), "no_hb");
    assert_string_equal(safety_verdict_name(SAFETY_REFUSED_EPOCH), "epoch");
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
        cmocka_unit_test(stop_holds_until_rearmed_and_asked_anew),
        cmocka_unit_test(a_stop_is_always_obeyed_and_counts_as_the_newest),
        cmocka_unit_test(a_rearm_of_what_is_not_stopped_moves_nothing),
        cmocka_unit_test(starts_stopped_where_it_was),
        cmocka_unit_test(takes_each_kind_in_rising_order),
        cmocka_unit_test(a_lower_epoch_is_over),
        cmocka_unit_test(what_was_refused_counts_as_seen),
        cmocka_unit_test(a_motion_has_to_know_a_fresh_heartbeat),
        cmocka_unit_test(heartbeats_of_another_connection_mean_nothing),
        cmocka_unit_test(a_setting_may_be_10_s_old_and_no_older),
        cmocka_unit_test(remembers_the_heartbeats_of_10_s),
        cmocka_unit_test(remembers_so_many_heartbeats_and_no_more),
        cmocka_unit_test(can_insist_on_heartbeats),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
