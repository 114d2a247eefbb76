/* The driver "sim": the model of sim.h on the real clock. */
#ifndef TELERELAY_ROBOT_HAL_SIM_H
#define TELERELAY_ROBOT_HAL_SIM_H

#include "robot/hal.h"

extern const struct hal_driver hal_sim_driver;

#endif
