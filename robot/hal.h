/*
 * What a driver of real or simulated hardware provides.
 *
 * set_* are called by one thread at a time, but not always by the same one (the dead-man has its
 * own); read_sensors may run in another thread meanwhile. None of them may block for more than a
 * few milliseconds: a dead-man waits behind them.
 */
#ifndef TELERELAY_ROBOT_HAL_H
#define TELERELAY_ROBOT_HAL_H

#include <stddef.h>
#include <stdint.h>

#define HAL_READINGS_MAX 32

/*
 * battery, cpu, signal in percent and temperature in °C, or any further metric under a name
 * [A-Za-z][A-Za-z0-9_]{0,31}. What a robot cannot measure it leaves out.
 */
struct hal_reading {
    const char *name; /* static */
    double value;
    int decimals; /* as many as mean something */
};

struct hal_driver {
    const char *name; /* as in --driver */

    /* A new driver with everything at rest, or NULL with a reason in err. `seed`: of simulated chance. */
    void *(*open)(uint64_t seed, char *err, size_t err_cap);

    /* 0, or -1 when the hardware refused: the caller tries again soon. */
    int (*set_drive)(void *self, double left, double right); /* [-1, 1], forward is positive */
    int (*set_camera)(void *self, double pan, double tilt);  /* rates, [-1, 1] */
    int (*set_brightness)(void *self, int percent);          /* 1..100 */

    /* At most `cap` readings; returns how many. */
    size_t (*read_sensors)(void *self, struct hal_reading *out, size_t cap);

    /* Everything at rest, then frees it. NULL is allowed. */
    void (*close)(void *self);
};

#endif
