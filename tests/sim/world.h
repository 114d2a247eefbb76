/* One world from one seed: relays, robots, websites, Redis, what goes wrong, and the quiet after it. */
#ifndef TELERELAY_SIM_WORLD_H
#define TELERELAY_SIM_WORLD_H

#include <stdint.h>

enum world_fault {
    WORLD_STALL,      /* a connection of a robot or website stands still */
    WORLD_CUT,        /* it ends */
    WORLD_HALF_OPEN,  /* it ends, and not both sides know */
    WORLD_FREEZE,     /* a program stands still */
    WORLD_HANG,       /* a robot's main loop does */
    WORLD_ROBOT,      /* crash of a robot */
    WORLD_RELAY,      /* crash of a relay */
    WORLD_REDIS,      /* crash of Redis */
    WORLD_REDIS_WIPE, /* crash of Redis, everything is lost */
    WORLD_PARTITION,  /* a relay cannot reach Redis */
    WORLD_REDIS_SLOW, /* Redis stands still, or a connection to it does */
    WORLD_REDIS_FULL, /* Redis takes no writes */
    WORLD_CLOCK,      /* a wall clock jumps */
    WORLD_FAULTS
};

struct world_totals {
    uint64_t faults[WORLD_FAULTS];
    uint64_t simulated_us;
};

/* What was found is in check.h. */
void world_run(uint64_t seed, int verbose, struct world_totals *totals);
const char *world_fault_name(enum world_fault fault);

#endif
