/*
 * What becomes of samples, against a relay that loses its link, its answers and its store at random: each sample that
 * was taken is in its history in the end, once, in the order in which they were taken.
 */
#include "common/log.h"
#include "robot/telemetry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED     20260201u
#define TAKEN    20000
#define WAITING  16
#define TICK_MS  50
#define INTERVAL 100

struct answer {
    char id[64];
    enum msg_type about;
    enum msg_code code; /* MSG_OK: an ack */
    int64_t due_ms;
};

struct rig {
    uint32_t seed;
    int64_t now;
    int64_t taken;     /* samples; each says which it is */
    int64_t newest;    /* in the relay's history */
    bool there[TAKEN]; /* likewise */
    size_t disorder;   /* what must not be */
    bool known;        /* the relay has acknowledged something since the program began */
    bool open, deaf;   /* connected; the relay's answers are lost */
    bool unheard;      /* a refusal is among them */
    bool choked;       /* the link takes nothing: the latest waits in `latest` */
    char latest[4096];
    int64_t away_until; /* its store */
    uint32_t delay_ms;  /* of answers, at most; least_ms at least */
    uint32_t least_ms;
    struct answer answers[WAITING];
    size_t n_answers;
    size_t batches, live, largest;
    struct spool *spool;
    struct telemetry *telemetry;
};

static uint32_t random_below(struct rig *r, uint32_t n)
{
    r->seed ^= r->seed << 13;
    r->seed ^= r->seed >> 17;
    r->seed ^= r->seed << 5;
    return r->seed % n;
}

static size_t read_sensors(void *self, struct hal_reading *out, size_t cap)
{
    struct rig *r = self;

    assert_true(cap > 0 && r->taken < TAKEN - 1);
    out[0] = (struct hal_reading){"n", (double)++r->taken, 0};
    return 1;
}

static const struct hal_driver driver = {.name = "rig", .read_sensors = read_sensors};

/* The relay: what it has it knows; what is older than its newest would get the time of arrival. */
static void store(struct rig *r, const struct msg *m)
{
    int64_t n = (int64_t)m->metrics[0].value;

    assert_true(n > 0 && n <= r->taken);
    if (r->there[n])
        return;
    r->disorder += n < r->newest;
    r->there[n] = true;
    r->newest = n > r->newest ? n : r->newest;
}

static void answer(struct rig *r, const struct msg *m, enum msg_code code)
{
    assert_true(r->n_answers < WAITING);
    struct answer *a = &r->answers[r->n_answers++];

    *a = (struct answer){.about = m->type, .code = code, .due_ms = r->now + r->least_ms + random_below(r, r->delay_ms)};
    snprintf(a->id, sizeof(a->id), "%s", m->id ? m->id : "");
}

/* Some are refused, and the robot does not know yet: the store does not take later ones meanwhile. */
static bool refuses(const struct rig *r)
{
    if (r->deaf && r->unheard)
        return true;
    for (size_t i = 0; i < r->n_answers; i++)
        if (r->answers[i].code != MSG_OK)
            return true;
    return false;
}

static void arrive(struct rig *r, const char *text, size_t len)
{
    struct msg m;
    struct msg_fault fault;

    if (msg_decode(MSG_FROM_ROBOT, text, len, &m, &fault) != 0)
        fail_msg("%s: %.*s", fault.text, (int)len, text);
    bool kept = r->now >= r->away_until && !refuses(r);

    if (m.type == MSG_TELEMETRY && kept) {
        r->live++;
        store(r, &m);
    }
    for (size_t i = 0; i < m.n_samples && kept; i++) {
        struct msg one;

        msg_sample_at(&m, i, &one);
        store(r, &one);
    }
    r->batches += m.type == MSG_TELEMETRY_BATCH && kept;
    if (m.n_samples > r->largest)
        r->largest = m.n_samples;
    r->unheard = r->deaf && !kept;
    if (!r->deaf)
        answer(r, &m, kept ? MSG_OK : random_below(r, 2) ? MSG_NOT_STORED : MSG_RATE_LIMITED);
    msg_finish(&m);
}

static int on_send(void *ctx, enum sendq_lane lane, const char *text, size_t len)
{
    struct rig *r = ctx;
    bool replaced = r->latest[0] != '\0';

    assert_true(r->open && lane != SENDQ_ANSWER);
    if (random_below(r, 50) == 0)
        return -1;
    if (!r->choked || lane != SENDQ_LATEST) {
        arrive(r, text, len);
        return 0;
    }
    snprintf(r->latest, sizeof(r->latest), "%.*s", (int)len, text);
    return replaced;
}

static void tell(struct rig *r, const struct answer *a)
{
    struct msg m = {.type = a->code == MSG_OK ? MSG_ACK : MSG_ERROR,
                    .id = a->id[0] != '\0' ? a->id : NULL,
                    .original_type = msg_type_name(a->about),
                    .code = msg_code_name(a->code),
                    .error = "no"};

    r->known |= a->code == MSG_OK;
    if (a->code == MSG_OK)
        telemetry_acked(r->telemetry, &m, r->now);
    else
        assert_true(telemetry_failed(r->telemetry, &m, r->now));
}

static void tell_due(struct rig *r)
{
    while (r->n_answers > 0 && r->answers[0].due_ms <= r->now) {
        struct answer first = r->answers[0];

        memmove(r->answers, r->answers + 1, --r->n_answers * sizeof(first));
        tell(r, &first);
    }
}

static void link_up(struct rig *r)
{
    r->open = true;
    telemetry_opened(r->telemetry, r->now);
    if (random_below(r, 10) > 0)
        telemetry_greeted(r->telemetry);
}

static void link_down(struct rig *r)
{
    r->open = r->deaf = false;
    r->n_answers = 0;
    telemetry_closed(r->telemetry, r->now);
}

static struct telemetry *begin(struct rig *r)
{
    const struct telemetry_config config = {.device_id = "robot_01",
                                            .driver = &driver,
                                            .hal = r,
                                            .spool = r->spool,
                                            .interval_ms = INTERVAL,
                                            .send = on_send,
                                            .ctx = r};
    struct telemetry *t = telemetry_create(&config);

    assert_non_null(t);
    return t;
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    char err[128];

    assert_non_null(r);
    log_init("test", "robot", LOG_ERROR);
    r->seed = SEED;
    r->now = 1000000;
    r->delay_ms = 120;
    r->spool = spool_create(NULL, 8 * 1024 * 1024, err, sizeof(err));
    assert_non_null(r->spool);
    r->telemetry = begin(r);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;

    telemetry_destroy(r->telemetry);
    spool_destroy(r->spool);
    free(r);
    return 0;
}

static void run(struct rig *r, int64_t ms)
{
    for (int64_t end = r->now + ms; r->now < end; r->now += TICK_MS) {
        tell_due(r);
        telemetry_tick(r->telemetry, r->now);
    }
}

static void assert_all_there(const struct rig *r)
{
    for (int64_t n = 1; n <= r->taken; n++) {
        if (!r->there[n])
            fail_msg("sample %lld of %lld is missing", (long long)n, (long long)r->taken);
    }
    assert_int_equal(r->disorder, 0);
}

static void settle(struct rig *r)
{
    if (r->deaf)
        link_down(r);
    if (!r->open)
        link_up(r);
    r->away_until = 0;
    for (int i = 0; i < 1000 && (spool_stats(r->spool).waiting > 0 || i < 100); i++)
        run(r, TICK_MS);
    assert_int_equal(spool_stats(r->spool).waiting, 0);
}

static void live_while_all_is_well(void **state)
{
    struct rig *r = *state;

    link_up(r);
    run(r, 60000);
    assert_true(r->live > 550);
    assert_all_there(r);
    struct telemetry_stats s = telemetry_stats(r->telemetry);

    assert_true(s.sent >= r->live && s.acked >= s.sent - 2 - s.late);
}

static void behind_each_other_after_an_outage(void **state)
{
    struct rig *r = *state;

    run(r, 60000); /* it begins without a link */
    assert_true(r->taken > 550);
    link_up(r);
    size_t live = r->live;

    run(r, 400);
    assert_int_equal(r->live, live); /* nothing overtakes what waits */
    settle(r);
    assert_true(r->batches >= 6 && r->largest == MSG_SAMPLES_MAX);
    assert_all_there(r);
    live = r->live;
    run(r, 2000);
    assert_true(r->live >= live + 18);
}

/* Answers that take longer than there is between two samples: there is always a new one when they come. */
static void live_again_on_a_slow_link(void **state)
{
    struct rig *r = *state;

    r->least_ms = 300;
    r->delay_ms = 100;
    run(r, 30000);
    link_up(r);
    run(r, 10000);
    size_t live = r->live;

    run(r, 2000);
    assert_true(r->live >= live + 18);
    settle(r);
    assert_all_there(r);
}

static void not_lost_in_the_queue(void **state)
{
    struct rig *r = *state;

    link_up(r);
    run(r, 1000);
    for (int i = 0; i < 20; i++) {
        r->choked = true;
        run(r, 250);
        r->choked = false;
        arrive(r, r->latest, strlen(r->latest));
        r->latest[0] = '\0';
        run(r, 1000);
    }
    settle(r);
    for (int64_t n = 1; n <= r->taken; n++)
        assert_true(r->there[n]);
}

static void whatever_happens(void **state)
{
    struct rig *r = *state;

    link_up(r);
    run(r, 1000);
    while (r->taken < TAKEN - 2000) {
        switch (random_below(r, 6)) {
        case 0:
            if (r->open)
                link_down(r);
            break;
        case 1:
            r->deaf = r->open && r->known;
            break;
        case 2:
            r->away_until = r->now + random_below(r, 5000);
            break;
        case 3: /* the program ends, and begins again */
            if (r->open)
                link_down(r);
            telemetry_destroy(r->telemetry);
            r->telemetry = begin(r);
            r->known = false;
            break;
        default:
            if (!r->open)
                link_up(r);
        }
        run(r, random_below(r, 6000));
        if (r->deaf && random_below(r, 2))
            link_down(r);
    }
    settle(r);
    assert_all_there(r);
    assert_true(r->batches > 100 && r->live > 2000);
    assert_int_equal(telemetry_stats(r->telemetry).dropped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(live_while_all_is_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(behind_each_other_after_an_outage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(live_again_on_a_slow_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_lost_in_the_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whatever_happens, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
