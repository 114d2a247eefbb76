/*
 * A simulated robot: a small physical model, good enough that a person who drives it sees what a
 * real one would show. Pure: time comes in, and the same seed and calls give the same numbers.
 *
 * Drive      two wheels 0.4 m apart, 0.8 m/s at full speed, that follow what they are told with a
 *            time constant of 0.15 s, in a square room of 20 m whose walls just stop it.
 * Camera     pans ±170° and tilts ±60° at up to 60°/s.
 * Battery    full load empties it in about 10 minutes, rest in about 3 hours.
 *            So that a demonstration can run for days, it recharges by itself: at 5 % it counts as
 *            docked and gains 0.5 % a second up to 95 %, wherever the robot stands, and the robot may
 *            be driven meanwhile. No real robot does that; "charging" says when it is so.
 * CPU        a base load, more while driving, and noise.
 * Temperature  of the motors' housing: follows the load with a time constant of 40 s.
 * Signal     falls with the distance from the access point in the middle of the room, with noise.
 */
#ifndef TELERELAY_ROBOT_SIM_H
#define TELERELAY_ROBOT_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct sim {
    int64_t now; /* ns, monotonic */
    uint64_t random;
    double left, right;          /* wanted, [-1, 1] */
    double pan_rate, tilt_rate;  /* wanted, [-1, 1] */
    int brightness;              /* percent */
    double wheel_l, wheel_r;     /* m/s */
    double x, y;                 /* m from the middle of the room */
    double heading;              /* radians, (-pi, pi], counter-clockwise from the x axis */
    double pan, tilt;            /* degrees */
    double battery;              /* percent */
    bool charging;               /* "docked", see above */
    double cpu_noise, sig_noise; /* percent */
    double temperature;          /* °C */
};

/* What an observer reads at `now`. */
struct sim_state {
    double battery, cpu, temperature, signal; /* %, %, °C, % */
    double x, y;                              /* m */
    double heading, pan, tilt;                /* degrees */
    double speed_mps;                         /* m/s, backwards is negative */
    bool charging;
};

void sim_init(struct sim *s, uint64_t seed, int64_t now_ns);
void sim_set_drive(struct sim *s, double left, double right, int64_t now_ns);
void sim_set_camera(struct sim *s, double pan, double tilt, int64_t now_ns);
void sim_set_brightness(struct sim *s, int percent, int64_t now_ns);
void sim_read(struct sim *s, int64_t now_ns, struct sim_state *out);

#endif
