/* The outputs with their thread, on the real clock: what a hung main loop or a stuck disk must not do. */
#include "common/clock.h"
#include "robot/outputs.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MS       1000000LL
#define SLACK_MS 50 /* what is promised beyond the time itself; more is only the machine's load */
#define WAIT_MS  3000
#define LONG_MS  60000 /* a dead-man or watchdog that does not come within a test, however busy the machine is */

/* A driver that remembers. */
struct board {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    double left, right, pan, tilt;
    int brightness;
    int64_t zero_at; /* when drive last went to zero, ns */
    unsigned drive_calls;
    int refuse; /* so many more calls of set_drive fail */
    unsigned refused;
    atomic_bool other_refuses; /* set_camera and set_brightness fail */
    atomic_int inside;         /* calls at this moment */
};

static void enter(struct board *b)
{
    assert_int_equal(atomic_fetch_add(&b->inside, 1), 0); /* one at a time, ever */
    pthread_mutex_lock(&b->lock);
}

static void leave(struct board *b)
{
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    atomic_fetch_sub(&b->inside, 1);
}

static int set_drive(void *self, double left, double right)
{
    struct board *b = self;
    int rc = 0;

    enter(b);
    b->drive_calls++;
    if (b->refuse > 0) {
        b->refuse--;
        b->refused++;
        rc = -1;
    } else {
        if (left == 0 && right == 0)
            b->zero_at = clock_mono_ns();
        b->left = left;
        b->right = right;
    }
    leave(b);
    return rc;
}

static int set_camera(void *self, double pan, double tilt)
{
    struct board *b = self;
    int rc = atomic_load(&b->other_refuses) ? -1 : 0;

    enter(b);
    if (rc == 0) {
        b->pan = pan;
        b->tilt = tilt;
    }
    leave(b);
    return rc;
}

static int set_brightness(void *self, int percent)
{
    struct board *b = self;
    int rc = atomic_load(&b->other_refuses) ? -1 : 0;

    enter(b);
    if (rc == 0)
        b->brightness = percent;
    leave(b);
    return rc;
}

static const struct hal_driver driver = {
    .name = "board", .set_drive = set_drive, .set_camera = set_camera, .set_brightness = set_brightness};

static void board_init(struct board *b)
{
    memset(b, 0, sizeof(*b));
    b->left = b->right = 9; /* as if the hardware had been left running */
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
}

static struct outputs *make_timed(struct board *b, struct trace *trace, int deadman_ms, int watchdog_ms)
{
    struct outputs_config config = {.driver = &driver,
                                    .hal = b,
                                    .trace = trace,
                                    .deadman_ms = deadman_ms,
                                    .watchdog_ms = watchdog_ms,
                                    .fresh_ms = 600,
                                    .first_hb = 5,
                                    .latch = {.seq = -1}};
    char err[128];
    struct outputs *o = outputs_create(&config, err, sizeof(err));

    assert_non_null(o);
    return o;
}

static struct outputs *make(struct board *b)
{
    return make_timed(b, NULL, LONG_MS, LONG_MS);
}

/* How many more calls of set_drive fail. */
static void refuse(struct board *b, int calls)
{
    pthread_mutex_lock(&b->lock);
    b->refuse = calls;
    pthread_mutex_unlock(&b->lock);
}

/* Waits until the drive is at zero, without a hand in it; returns when it went there. */
static int64_t wait_zero(struct board *b)
{
    int64_t end = clock_mono_ms() + WAIT_MS, at;
    bool zero;

    do {
        struct timespec step;

        clock_gettime(CLOCK_REALTIME, &step);
        step.tv_nsec += 10 * MS;
        if (step.tv_nsec >= 1000 * MS) {
            step.tv_nsec -= 1000 * MS;
            step.tv_sec++;
        }
        pthread_mutex_lock(&b->lock);
        if (b->left != 0 || b->right != 0)
            pthread_cond_timedwait(&b->changed, &b->lock, &step);
        zero = b->left == 0 && b->right == 0;
        at = b->zero_at;
        pthread_mutex_unlock(&b->lock);
    } while (!zero && clock_mono_ms() < end);
    assert_true(zero);
    return at;
}

static void assert_about(int64_t ns, int64_t ms)
{
    assert_true(ns >= ms * MS);
    if (ns > (ms + SLACK_MS) * MS)
        fail_msg("after %lld us, not %lld ms", (long long)(ns / 1000), (long long)ms);
}

static void starts_and_ends_at_rest(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make(&b);
    assert_true(b.left == 0 && b.right == 0);
    assert_int_equal(b.brightness, 100);
    outputs_link(o, true);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0.5, -0.3, NULL), SAFETY_APPLIED);
    assert_true(b.left > 0.19 && b.left < 0.21 && b.right > -0.81 && b.right < -0.79);
    assert_int_equal(outputs_motion(o, SAFETY_CAMERA, 0.1, 0.2, NULL), SAFETY_APPLIED);
    outputs_halt(o);
    assert_true(b.left == 0 && b.right == 0 && b.pan == 0 && b.tilt == 0);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 1, 1, NULL), SAFETY_REFUSED_STOP);
    outputs_destroy(o);
    assert_true(b.left == 0 && b.right == 0);
}

static void the_thread_is_the_dead_man(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make_timed(&b, NULL, 300, LONG_MS);
    outputs_link(o, true);
    for (int i = 0; i < 3; i++) {
        int64_t from = clock_mono_ns();

        outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL);
        assert_about(wait_zero(&b) - from, 300);
    }
    assert_int_equal(outputs_events(o).deadman, 3);
    assert_int_equal(outputs_events(o).deadman, 0);
    outputs_destroy(o);
}

static void a_hung_main_loop_cannot_drive_on(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make_timed(&b, NULL, LONG_MS, 170);
    outputs_link(o, true);
    for (int i = 0; i < 3; i++) {
        int64_t from = clock_mono_ns();

        outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL);
        assert_about(wait_zero(&b) - from, 170); /* and no sign of life */
    }
    assert_int_equal(outputs_events(o).watchdog, 3);
    outputs_destroy(o);
}

static void link_loss_is_at_once(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make(&b);
    outputs_link(o, true);
    outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL);
    outputs_link(o, false);
    assert_true(b.left == 0 && b.right == 0);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL), SAFETY_REFUSED_LINK);
    assert_true(b.left == 0 && b.right == 0);
    outputs_destroy(o);
}

static void a_driver_that_refuses_is_asked_again(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make(&b);
    outputs_link(o, true);
    outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL);
    refuse(&b, 5);
    outputs_link(o, false);
    wait_zero(&b);
    assert_int_equal(b.refused, 5);
    assert_in_range(outputs_events(o).failed, 5, 5);
    outputs_destroy(o);
}

static void what_the_driver_refused_is_not_applied(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make(&b);
    outputs_link(o, true);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL), SAFETY_APPLIED);
    refuse(&b, INT_MAX);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 0.5, NULL), SAFETY_REFUSED_DRIVER);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 0, NULL), SAFETY_REFUSED_DRIVER);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 0, NULL), SAFETY_REFUSED_DRIVER); /* the same again */
    assert_int_equal(outputs_speed(o, 50, NULL), SAFETY_REFUSED_DRIVER);                  /* it is the drive's */
    assert_int_equal(outputs_motion(o, SAFETY_CAMERA, 1, 1, NULL), SAFETY_APPLIED);       /* the camera obeys */
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 2, 0, NULL), SAFETY_REFUSED_RANGE);  /* the rules come first */
    refuse(&b, 0);
    wait_zero(&b); /* nobody has to say it again */
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL), SAFETY_APPLIED);
    assert_true(b.left == 0.5);
    b.other_refuses = true;
    assert_int_equal(outputs_motion(o, SAFETY_CAMERA, 0, 0, NULL), SAFETY_REFUSED_DRIVER);
    assert_int_equal(outputs_brightness(o, 30, NULL), SAFETY_REFUSED_DRIVER);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 0, NULL), SAFETY_APPLIED);
    b.other_refuses = false;
    assert_int_equal(outputs_motion(o, SAFETY_CAMERA, 0, 0, NULL), SAFETY_APPLIED);
    assert_int_equal(outputs_brightness(o, 30, NULL), SAFETY_APPLIED);
    assert_true(b.pan == 0 && b.brightness == 30);
    outputs_destroy(o);
}

static void a_stop_reaches_the_driver_before_it_returns_and_holds(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make(&b);
    outputs_link(o, true);
    outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL);
    outputs_motion(o, SAFETY_CAMERA, 1, 1, NULL);
    assert_false(outputs_at_rest(o));
    outputs_stop(o, 8);
    assert_true(b.left == 0 && b.right == 0 && b.pan == 0 && b.tilt == 0);
    assert_true(outputs_at_rest(o));
    assert_true(outputs_latch(o).stopped && outputs_latch(o).seq == 8);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL), SAFETY_REFUSED_STOP);
    assert_int_equal(outputs_rearm(o, 7), SAFETY_REFUSED_OLD);
    assert_int_equal(outputs_rearm(o, 9), SAFETY_APPLIED);
    assert_true(b.left == 0 && b.right == 0 && b.pan == 0 && b.tilt == 0);
    assert_int_equal(outputs_heartbeat(o), 5);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 1, &(struct safety_order){-1, -1, 4, -1}), SAFETY_EXPIRED_HB);
    assert_int_equal(outputs_motion(o, SAFETY_DRIVE, 0, 1, &(struct safety_order){-1, -1, 5, 5}), SAFETY_APPLIED);
    assert_true(b.left == 1);
    outputs_destroy(o);
}

/* As behind a slow disk: the main loop is away for long, but nothing moves, so nobody cries. */
static void a_main_loop_that_is_away_after_a_stop_is_no_fault(void **state)
{
    struct timespec long_write = {.tv_nsec = 450 * MS};
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make_timed(&b, NULL, 300, 170);
    outputs_link(o, true);
    outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL);
    outputs_stop(o, 8);
    outputs_events(o);            /* of a motion that had to wait long for its stop */
    nanosleep(&long_write, NULL); /* what is tested is a time that passes */
    outputs_alive(o);
    struct outputs_events e = outputs_events(o);

    assert_int_equal(e.watchdog, 0);
    assert_int_equal(e.deadman, 0);
    outputs_destroy(o);
}

static void says_at_rest_only_when_the_driver_has(void **state)
{
    struct board b;
    struct outputs *o;

    (void)state;
    board_init(&b);
    o = make(&b);
    outputs_link(o, true);
    outputs_motion(o, SAFETY_DRIVE, 0, 1, NULL);
    refuse(&b, INT_MAX); /* until it is told otherwise, below */
    outputs_stop(o, 8);
    assert_false(outputs_at_rest(o));
    refuse(&b, 0);
    wait_zero(&b); /* the thread asks again */
    assert_true(outputs_at_rest(o));
    outputs_destroy(o);
}

/* A reader that never reads, and a pipe that is full: what moves must rest in time all the same. */
static void a_stuck_trace_cannot_drive_on(void **state)
{
    char dir[] = "/tmp/robot_outputs.XXXXXX", path[64], err[128];
    struct board b;
    struct outputs *o;
    struct trace *t;
    int reader;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    t = trace_create(path, err, sizeof(err));
    assert_non_null(t);
    board_init(&b);
    o = make_timed(&b, t, 300, LONG_MS);
    outputs_link(o, true);
    for (int i = 0; i < 3000 && trace_lost(t) == 0; i++)
        outputs_motion(o, SAFETY_DRIVE, 0, i % 2 ? 0.5 : 1, NULL);
    assert_true(trace_lost(t) > 0); /* the pipe and the ring are full */
    int64_t from = clock_mono_ns();

    outputs_motion(o, SAFETY_DRIVE, 0, 0.25, NULL);
    assert_about(wait_zero(&b) - from, 300);
    outputs_destroy(o);
    close(reader);
    trace_destroy(t);
    unlink(path);
    rmdir(dir);
}

static void the_trace_has_every_change_once(void **state)
{
    char path[] = "/tmp/robot_trace.XXXXXX", err[128], text[4096], line[8][128];
    static const char *const expected[] = {
        "\"output\":\"drive\",\"left\":0,\"right\":0,\"cause\":\"start\"}",
        "\"output\":\"camera\",\"pan\":0,\"tilt\":0,\"cause\":\"start\"}",
        "\"output\":\"speed\",\"value\":100,\"cause\":\"start\"}",
        "\"output\":\"brightness\",\"value\":100,\"cause\":\"start\"}",
        "\"output\":\"drive\",\"left\":1,\"right\":0.5,\"cause\":\"command\"}",
        "\"output\":\"drive\",\"left\":0.5,\"right\":0.25,\"cause\":\"command\"}",
        "\"output\":\"speed\",\"value\":50,\"cause\":\"command\"}",
        "\"output\":\"drive\",\"left\":0,\"right\":0,\"cause\":\"stop\"}",
    };
    struct board b;
    struct outputs *o;
    struct trace *t;
    FILE *f;
    size_t n;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    t = trace_create(path, err, sizeof(err));
    assert_non_null(t);
    board_init(&b);
    o = make_timed(&b, t, LONG_MS, LONG_MS);
    outputs_link(o, true);
    outputs_motion(o, SAFETY_DRIVE, 0.25, 0.75, NULL);
    outputs_motion(o, SAFETY_DRIVE, 0.25, 0.75, NULL); /* no change, no line */
    outputs_speed(o, 50, NULL);
    outputs_speed(o, 50, NULL);
    outputs_destroy(o);
    trace_destroy(t);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    unlink(path);
    n = 0;
    for (char *save = NULL, *p = strtok_r(text, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
        assert_in_range(n, 0, 7);
        assert_memory_equal(p, "{\"t_ns\":", 8);
        snprintf(line[n++], sizeof(line[0]), "%s", strchr(p, ',') + 1);
    }
    assert_int_equal(n, 8);
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(line[i], expected[i]);
}

static void the_trace_says_why_it_cannot(void **state)
{
    char err[128] = "";

    (void)state;
    assert_null(trace_create("/nonexistent/dir/trace", err, sizeof(err)));
    assert_non_null(strstr(err, "/nonexistent/dir/trace: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_and_ends_at_rest),
        cmocka_unit_test(the_thread_is_the_dead_man),
        cmocka_unit_test(a_hung_main_loop_cannot_drive_on),
        cmocka_unit_test(link_loss_is_at_once),
        cmocka_unit_test(a_driver_that_refuses_is_asked_again),
        cmocka_unit_test(what_the_driver_refused_is_not_applied),
        cmocka_unit_test(a_stop_reaches_the_driver_before_it_returns_and_holds),
        cmocka_unit_test(a_main_loop_that_is_away_after_a_stop_is_no_fault),
        cmocka_unit_test(says_at_rest_only_when_the_driver_has),
        cmocka_unit_test(a_stuck_trace_cannot_drive_on),
        cmocka_unit_test(the_trace_has_every_change_once),
        cmocka_unit_test(the_trace_says_why_it_cannot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
