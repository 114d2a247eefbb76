#include "robot/sim.h"

#include <math.h>

#define STEP_S    0.01  /* longest step of the integration */
#define STEPS_MAX 20000 /* a longer gap than 200 s (a suspended machine) is taken in coarser steps */

#define ROOM_M      10.0 /* half the room's side */
#define TRACK_M     0.4
#define TOP_MPS     0.8
#define WHEEL_TAU_S 0.15
#define CAMERA_DPS  60.0
#define PAN_MAX     170.0
#define TILT_MAX    60.0

#define IDLE_PCT_S   0.01 /* battery, percent per second */
#define LOAD_PCT_S   0.15 /* more, at full load */
#define CHARGE_PCT_S 0.5
#define DOCK_PCT     5.0
#define UNDOCK_PCT   95.0

#define AMBIENT_C   28.0
#define LOAD_C      24.0 /* above ambient after long full load */
#define HEAT_TAU_S  40.0
#define NOISE_TAU_S 2.0

static double clamp(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* [-1, 1): xorshift64*, which is plenty for noise. */
static double chance(struct sim *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return (double)((s->random * 0x2545F4914F6CDD1DULL) >> 11) * 0x1p-52 - 1.0;
}

/* 0 at rest .. 1 with everything on. */
static double load(const struct sim *s)
{
    double motors = (fabs(s->wheel_l) + fabs(s->wheel_r)) / (2 * TOP_MPS);
    double camera = (fabs(s->pan_rate) + fabs(s->tilt_rate)) / 2;

    return 0.85 * motors + 0.1 * camera + 0.05 * s->brightness / 100.0;
}

static void move(struct sim *s, double dt)
{
    double follow = 1 - exp(-dt / WHEEL_TAU_S);

    s->wheel_l += (s->left * TOP_MPS - s->wheel_l) * follow;
    s->wheel_r += (s->right * TOP_MPS - s->wheel_r) * follow;
    double speed = (s->wheel_l + s->wheel_r) / 2;

    s->x = clamp(s->x + speed * cos(s->heading) * dt, -ROOM_M, ROOM_M);
    s->y = clamp(s->y + speed * sin(s->heading) * dt, -ROOM_M, ROOM_M);
    s->heading = remainder(s->heading + (s->wheel_r - s->wheel_l) / TRACK_M * dt, 2 * M_PI);
    s->pan = clamp(s->pan + s->pan_rate * CAMERA_DPS * dt, -PAN_MAX, PAN_MAX);
    s->tilt = clamp(s->tilt + s->tilt_rate * CAMERA_DPS * dt, -TILT_MAX, TILT_MAX);
}

static void spend(struct sim *s, double dt)
{
    if (s->charging) {
        s->battery += CHARGE_PCT_S * dt;
        s->charging = s->battery < UNDOCK_PCT;
    } else {
        s->battery -= (IDLE_PCT_S + LOAD_PCT_S * load(s)) * dt;
        s->charging = s->battery <= DOCK_PCT;
    }
    s->battery = clamp(s->battery, 0, 100);
    s->temperature += (AMBIENT_C + LOAD_C * load(s) - s->temperature) * (1 - exp(-dt / HEAT_TAU_S));
    /* Noise that wanders instead of jumping: white noise through a low pass. */
    double fade = 1 - exp(-dt / NOISE_TAU_S);

    s->cpu_noise += (60 * chance(s) - s->cpu_noise) * fade;
    s->sig_noise += (30 * chance(s) - s->sig_noise) * fade;
}

static void advance(struct sim *s, int64_t now_ns)
{
    if (now_ns <= s->now)
        return;
    double gap = (double)(now_ns - s->now) / 1e9;
    int steps = (int)fmin(ceil(gap / STEP_S), STEPS_MAX);

    s->now = now_ns;
    for (int i = 0; i < steps; i++) {
        move(s, gap / steps);
        spend(s, gap / steps);
    }
}

void sim_init(struct sim *s, uint64_t seed, int64_t now_ns)
{
    *s = (struct sim){
        .now = now_ns,
        .random = seed ? seed : 1, /* all zeroes would stay zero */
        .brightness = 100,
        .temperature = AMBIENT_C + 3,
    };
    for (int i = 0; i < 8; i++)
        chance(s);
    /* Not all robots of a fleet were charged at the same moment. */
    s->battery = 96 + 4 * chance(s);
}

void sim_set_drive(struct sim *s, double left, double right, int64_t now_ns)
{
    advance(s, now_ns);
    s->left = clamp(left, -1, 1);
    s->right = clamp(right, -1, 1);
}

void sim_set_camera(struct sim *s, double pan, double tilt, int64_t now_ns)
{
    advance(s, now_ns);
    s->pan_rate = clamp(pan, -1, 1);
    s->tilt_rate = clamp(tilt, -1, 1);
}

void sim_set_brightness(struct sim *s, int percent, int64_t now_ns)
{
    advance(s, now_ns);
    s->brightness = percent;
}

void sim_read(struct sim *s, int64_t now_ns, struct sim_state *out)
{
    advance(s, now_ns);
    double distance = hypot(s->x, s->y);

    *out = (struct sim_state){
        .battery = s->battery,
        .cpu = clamp(18 + 40 * load(s) + s->cpu_noise, 1, 100),
        .temperature = s->temperature,
        .signal = clamp(95 - 28 * log10(1 + distance) + s->sig_noise, 0, 100),
        .x = s->x,
        .y = s->y,
        .heading = s->heading * 180 / M_PI,
        .pan = s->pan,
        .tilt = s->tilt,
        .speed_mps = (s->wheel_l + s->wheel_r) / 2,
        .charging = s->charging,
    };
}
