#include "robot/safety.h"

#include <stddef.h>

enum { KIND_SPEED = SAFETY_AXES, KIND_BRIGHTNESS };

static const struct safety_order nothing = {.seq = -1, .epoch = -1, .hb = -1, .relay_hb = -1};

static double clamp(double v)
{
    return v > 1 ? 1 : v < -1 ? -1 : v;
}

/* Two threads read the clock before they get the lock: the later caller may bring the earlier time. */
static int64_t advance(struct safety *s, int64_t now)
{
    if (now > s->now)
        s->now = now;
    return s->now;
}

static void rest(struct safety_motion *m, enum safety_cause cause)
{
    /* What rests already keeps its cause: a link that breaks after the dead-man changed nothing. */
    if (m->running)
        m->cause = cause;
    m->x = m->y = 0;
    m->running = false;
}

static void rest_all(struct safety *s, enum safety_cause cause)
{
    for (size_t i = 0; i < SAFETY_AXES; i++)
        rest(&s->motion[i], cause);
}

static void forget_numbers(struct safety *s)
{
    for (size_t i = 0; i < SAFETY_KINDS; i++)
        s->seq[i] = -1;
}

void safety_init(struct safety *s, const struct safety_config *config, int64_t now)
{
    *s = (struct safety){
        .config = *config,
        .now = now,
        .alive = now,
        .latch = config->latch,
        .epoch = -1,
        .next_hb = config->first_hb,
        .speed = 100,
        .brightness = 100,
        .speed_cause = SAFETY_START,
        .brightness_cause = SAFETY_START,
    };
    for (size_t i = 0; i < SAFETY_AXES; i++)
        s->motion[i].cause = SAFETY_START;
    forget_numbers(s);
}

/* Whether a command is in order; notes that it was seen. */
static enum safety_verdict check_number(struct safety *s, size_t kind, const struct safety_order *order)
{
    if (order->epoch >= 0 && order->epoch < s->epoch)
        return SAFETY_REFUSED_EPOCH;
    if (order->epoch > s->epoch) {
        s->epoch = order->epoch;
        forget_numbers(s);
    }
    if (order->seq < 0)
        return SAFETY_APPLIED;
    if (order->seq <= s->seq[kind])
        return SAFETY_REFUSED_OLD;
    s->seq[kind] = order->seq;
    /* All commands to a robot are numbered in one row: this one is from before the stop or the re-arm. */
    return kind < SAFETY_AXES && order->seq <= s->latch.seq ? SAFETY_REFUSED_OLD : SAFETY_APPLIED;
}

/* Whether the heartbeat was sent on this connection, and not too long ago. */
static bool sent_within(const struct safety *s, int64_t hb, int64_t ns)
{
    int64_t back = s->next_hb - hb; /* 1: the last one sent */

    return back >= 1 && back <= s->hb_count && s->now - s->hb_at[hb % SAFETY_HEARTBEATS] <= ns;
}

static bool fresh(const struct safety *s, int64_t hb)
{
    return sent_within(s, hb, s->config.fresh_ns);
}

static enum safety_verdict check_fresh(const struct safety *s, const struct safety_order *order)
{
    if (order->hb < 0 && s->config.require_fresh)
        return SAFETY_EXPIRED_NO_HB;
    if ((order->hb >= 0 && !fresh(s, order->hb)) || (order->relay_hb >= 0 && !fresh(s, order->relay_hb)))
        return SAFETY_EXPIRED_HB;
    return SAFETY_APPLIED;
}

enum safety_verdict safety_on_motion(struct safety *s, enum safety_axis axis, double x, double y,
                                     const struct safety_order *order, int64_t now)
{
    struct safety_motion *m = &s->motion[axis];
    enum safety_verdict verdict;

    now = advance(s, now);
    if (!order)
        order = &nothing;
    if (!(x >= -1 && x <= 1 && y >= -1 && y <= 1)) /* written so that NaN is refused */
        return SAFETY_REFUSED_RANGE;
    verdict = check_number(s, axis, order);
    if (s->halted || s->latch.stopped)
        return SAFETY_REFUSED_STOP;
    if (!s->link)
        return SAFETY_REFUSED_LINK;
    if (verdict == SAFETY_APPLIED && (x != 0 || y != 0))
        verdict = check_fresh(s, order);
    if (verdict != SAFETY_APPLIED)
        return verdict;
    *m = (struct safety_motion){.x = x, .y = y, .at = now, .running = true, .cause = SAFETY_COMMAND};
    s->alive = now;
    return SAFETY_APPLIED;
}

static enum safety_verdict set(struct safety *s, size_t kind, int percent, const struct safety_order *order)
{
    enum safety_verdict verdict;

    if (!order)
        order = &nothing;
    if (percent < 1 || percent > 100)
        return SAFETY_REFUSED_RANGE;
    verdict = check_number(s, kind, order);
    if (verdict == SAFETY_APPLIED && order->relay_hb >= 0 && !sent_within(s, order->relay_hb, SAFETY_SETTING_NS))
        verdict = SAFETY_EXPIRED_HB;
    return verdict;
}

enum safety_verdict safety_on_speed(struct safety *s, int percent, const struct safety_order *order, int64_t now)
{
    advance(s, now);
    enum safety_verdict verdict = set(s, KIND_SPEED, percent, order);

    if (verdict == SAFETY_APPLIED) {
        s->speed = percent;
        s->speed_cause = SAFETY_COMMAND;
    }
    return verdict;
}

enum safety_verdict safety_on_brightness(struct safety *s, int percent, const struct safety_order *order, int64_t now)
{
    advance(s, now);
    enum safety_verdict verdict = set(s, KIND_BRIGHTNESS, percent, order);

    if (verdict == SAFETY_APPLIED) {
        s->brightness = percent;
        s->brightness_cause = SAFETY_COMMAND;
    }
    return verdict;
}

void safety_on_stop(struct safety *s, int64_t seq, int64_t now)
{
    struct safety_latch *latch = &s->latch;

    advance(s, now);
    rest_all(s, SAFETY_STOP);
    if (seq > latch->seq)
        latch->seq = seq;
    else if (!latch->stopped && latch->seq >= 0 && latch->seq < SAFETY_SEQ_MAX)
        latch->seq++; /* overtaken by a re-arm on its way: it counts as the newer one all the same */
    latch->stopped = true;
}

enum safety_verdict safety_on_rearm(struct safety *s, int64_t seq, int64_t now)
{
    advance(s, now);
    if (seq >= 0 && seq <= s->latch.seq)
        return SAFETY_REFUSED_OLD;
    if (seq >= 0)
        s->latch.seq = seq;
    s->latch.stopped = false;
    rest_all(s, SAFETY_STOP); /* where it was not stopped at all: what moves is from before */
    return SAFETY_APPLIED;
}

int64_t safety_heartbeat(struct safety *s, int64_t now)
{
    int64_t hb = s->next_hb++;

    s->hb_at[hb % SAFETY_HEARTBEATS] = advance(s, now);
    if (s->hb_count < SAFETY_HEARTBEATS)
        s->hb_count++;
    return hb;
}

void safety_on_link(struct safety *s, bool up, int64_t now)
{
    advance(s, now);
    s->link = up;
    /* Up as well: what an old link asked for, or is still going to, has no place on a new one. */
    rest_all(s, SAFETY_LINK);
    s->hb_count = 0;
}

void safety_on_alive(struct safety *s, int64_t now)
{
    now = advance(s, now);
    /* A loop that comes back late must not hide that it hung: what it left running ends first. */
    if (now - s->alive >= s->config.watchdog_ns)
        rest_all(s, SAFETY_WATCHDOG);
    s->alive = now;
}

void safety_on_halt(struct safety *s, int64_t now)
{
    advance(s, now);
    s->halted = true;
    rest_all(s, SAFETY_STOP);
}

void safety_tick(struct safety *s, int64_t now, struct safety_outputs *out)
{
    now = advance(s, now);
    for (size_t i = 0; i < SAFETY_AXES; i++) {
        struct safety_motion *m = &s->motion[i];

        if (m->running && now - m->at >= s->config.deadman_ns)
            rest(m, SAFETY_DEADMAN);
        else if (m->running && now - s->alive >= s->config.watchdog_ns)
            rest(m, SAFETY_WATCHDOG);
    }
    const struct safety_motion *drive = &s->motion[SAFETY_DRIVE];
    const struct safety_motion *camera = &s->motion[SAFETY_CAMERA];
    double speed = s->speed / 100.0;

    *out = (struct safety_outputs){
        .left = clamp(drive->y + drive->x) * speed,
        .right = clamp(drive->y - drive->x) * speed,
        .pan = camera->x,
        .tilt = camera->y,
        .speed = s->speed,
        .brightness = s->brightness,
        .drive_cause = drive->cause,
        .camera_cause = camera->cause,
        .speed_cause = s->speed_cause,
        .brightness_cause = s->brightness_cause,
    };
}

bool safety_moves(const struct safety *s, enum safety_axis axis)
{
    const struct safety_motion *m = &s->motion[axis];

    return m->running && (m->x != 0 || m->y != 0);
}

int64_t safety_deadline(const struct safety *s)
{
    int64_t due = SAFETY_NEVER;
    bool moves = false;

    for (size_t i = 0; i < SAFETY_AXES; i++) {
        const struct safety_motion *m = &s->motion[i];

        if (!m->running)
            continue;
        moves = true;
        if (m->at + s->config.deadman_ns < due)
            due = m->at + s->config.deadman_ns;
    }
    if (moves && s->alive + s->config.watchdog_ns < due)
        due = s->alive + s->config.watchdog_ns;
    return due;
}

const char *safety_cause_name(enum safety_cause cause)
{
    static const char *const names[] = {"start", "command", "deadman", "stop", "link", "watchdog"};

    return names[cause];
}

const char *safety_verdict_name(enum safety_verdict verdict)
{
    static const char *const names[] = {"applied", "link", "stopped", "out_of_range", "old",
                                        "epoch",   "hb",   "no_hb",   "driver"};

    return names[verdict];
}

bool safety_verdict_is_expired(enum safety_verdict verdict)
{
    return verdict == SAFETY_EXPIRED_HB || verdict == SAFETY_EXPIRED_NO_HB;
}
