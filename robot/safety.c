#include "robot/safety.h"

#include <stddef.h>

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

void safety_init(struct safety *s, const struct safety_config *config, int64_t now)
{
    *s = (struct safety){
        .config = *config,
        .now = now,
        .alive = now,
        .speed = 100,
        .brightness = 100,
        .speed_cause = SAFETY_START,
        .brightness_cause = SAFETY_START,
    };
    for (size_t i = 0; i < SAFETY_AXES; i++)
        s->motion[i].cause = SAFETY_START;
}

enum safety_verdict safety_on_motion(struct safety *s, enum safety_axis axis, double x, double y, int64_t now)
{
    struct safety_motion *m = &s->motion[axis];

    now = advance(s, now);
    if (!(x >= -1 && x <= 1 && y >= -1 && y <= 1)) /* written so that NaN is refused */
        return SAFETY_REFUSED_RANGE;
    if (s->halted)
        return SAFETY_REFUSED_STOP;
    if (!s->link)
        return SAFETY_REFUSED_LINK;
    *m = (struct safety_motion){.x = x, .y = y, .at = now, .running = true, .cause = SAFETY_COMMAND};
    s->alive = now;
    return SAFETY_APPLIED;
}

int safety_on_speed(struct safety *s, int percent, int64_t now)
{
    advance(s, now);
    if (percent < 1 || percent > 100)
        return -1;
    s->speed = percent;
    s->speed_cause = SAFETY_COMMAND;
    return 0;
}

int safety_on_brightness(struct safety *s, int percent, int64_t now)
{
    advance(s, now);
    if (percent < 1 || percent > 100)
        return -1;
    s->brightness = percent;
    s->brightness_cause = SAFETY_COMMAND;
    return 0;
}

void safety_on_link(struct safety *s, bool up, int64_t now)
{
    advance(s, now);
    s->link = up;
    /* Up as well: what an old link asked for has no place on a new one. */
    rest_all(s, SAFETY_LINK);
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
    static const char *const names[] = {"applied", "link", "stopped", "out_of_range"};

    return names[verdict];
}
