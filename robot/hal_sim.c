#include "robot/hal_sim.h"

#include "common/clock.h"
#include "robot/sim.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct hal_sim {
    pthread_mutex_t lock; /* sensors are read in another thread than outputs are set */
    struct sim sim;
};

static void *open_sim(uint64_t seed, char *err, size_t err_cap)
{
    struct hal_sim *h = calloc(1, sizeof(*h));
    pthread_mutexattr_t inherit; /* the dead-man's thread sets outputs */

    if (!h) {
        snprintf(err, err_cap, "out of memory");
        return NULL;
    }
    pthread_mutexattr_init(&inherit);
    pthread_mutexattr_setprotocol(&inherit, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&h->lock, &inherit);
    pthread_mutexattr_destroy(&inherit);
    sim_init(&h->sim, seed, clock_mono_ns());
    return h;
}

static int set_drive(void *self, double left, double right)
{
    struct hal_sim *h = self;

    pthread_mutex_lock(&h->lock);
    sim_set_drive(&h->sim, left, right, clock_mono_ns());
    pthread_mutex_unlock(&h->lock);
    return 0;
}

static int set_camera(void *self, double pan, double tilt)
{
    struct hal_sim *h = self;

    pthread_mutex_lock(&h->lock);
    sim_set_camera(&h->sim, pan, tilt, clock_mono_ns());
    pthread_mutex_unlock(&h->lock);
    return 0;
}

static int set_brightness(void *self, int percent)
{
    struct hal_sim *h = self;

    pthread_mutex_lock(&h->lock);
    sim_set_brightness(&h->sim, percent, clock_mono_ns());
    pthread_mutex_unlock(&h->lock);
    return 0;
}

static size_t read_sensors(void *self, struct hal_reading *out, size_t cap)
{
    struct hal_sim *h = self;
    struct sim_state s;

    pthread_mutex_lock(&h->lock);
    sim_read(&h->sim, clock_mono_ns(), &s);
    pthread_mutex_unlock(&h->lock);

    const struct hal_reading all[] = {
        {"battery", s.battery, 1},
        {"cpu", s.cpu, 1},
        {"temperature", s.temperature, 1},
        {"signal", s.signal, 1},
        {"x", s.x, 2},
        {"y", s.y, 2},
        {"heading", s.heading, 1},
        {"speed_mps", s.speed_mps, 2},
        {"pan", s.pan, 1},
        {"tilt", s.tilt, 1},
        {"charging", s.charging ? 1 : 0, 0},
    };
    size_t n = sizeof(all) / sizeof(all[0]);

    if (n > cap)
        n = cap;
    for (size_t i = 0; i < n; i++)
        out[i] = all[i];
    return n;
}

static void close_sim(void *self)
{
    struct hal_sim *h = self;

    if (!h)
        return;
    pthread_mutex_destroy(&h->lock);
    free(h);
}

const struct hal_driver hal_sim_driver = {
    .name = "sim",
    .open = open_sim,
    .set_drive = set_drive,
    .set_camera = set_camera,
    .set_brightness = set_brightness,
    .read_sensors = read_sensors,
    .close = close_sim,
};
