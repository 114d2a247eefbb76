/*
 * Devices, connections and relays as they stand in Redis. Calls return 0, or -1 with the outputs
 * undefined and store_reason() set; what they hand out lives until store_release().
 */
#ifndef TELERELAY_FCGI_FLEET_H
#define TELERELAY_FCGI_FLEET_H

#include "fcgi/store.h"

struct fleet_text {
    const char *text; /* NUL-terminated; NULL when there is none */
    size_t len;
};

struct fleet_scored {
    const char *name;
    double score;
};

struct fleet_pair {
    struct fleet_text key, value;
};

/* Devices, connections and relays at one moment. */
struct fleet {
    int64_t now_ms;               /* Redis' clock */
    struct fleet_scored *devices; /* by id; score: last seen, ms */
    size_t n_devices;
    struct fleet_pair *online; /* device id → "CONN SINCE_MS INSTANCE RELAY" */
    size_t n_online;
    struct fleet_scored *relays; /* instance; score: when its lease ends, ms of Redis' clock */
    size_t n_relays;
};

/* At most max_devices, the longest unseen left out first. */
int fleet_read(struct store *s, size_t max_devices, struct fleet *fleet);

/* The same for one device: n_devices and n_online are 0 or 1. */
int fleet_device(struct store *s, const char *device_id, struct fleet *fleet);

/* Redis' clock and the relays alone. */
int fleet_relays(struct store *s, struct fleet *fleet);

/* Whether a device is stopped, and who has control of it. Texts are NULL and numbers 0 where nothing is stored. */
struct fleet_control {
    bool stopped, confirmed; /* confirmed: the robot itself has said so */
    struct fleet_text by;    /* who stopped or re-armed it last, … */
    int64_t at_ms;           /* … and when */
    int64_t epoch;           /* of the last grant of control */
    struct fleet_text holder, name;
    int64_t until_ms; /* end of the holder's lease, Redis' clock */
};
int fleet_controls(struct store *s, const struct fleet_scored *devices, size_t n, struct fleet_control *out);

/* Each device's name. */
int fleet_names(struct store *s, const struct fleet_scored *devices, size_t n, struct fleet_text *names);

/* Each relay's metrics, by the relay's name, or FLEET_ARCHIVER's. */
#define FLEET_ARCHIVER "archiver"
int fleet_metrics(struct store *s, const char *const *relays, size_t n, struct fleet_text *texts);

/* How archiving goes, as the archiver that works says. */
struct fleet_archive {
    bool working;             /* one does; else the rest is void */
    bool up;                  /* it reaches the database … */
    struct fleet_text reason; /* … or why not */
    int64_t lag_ms;           /* age of the oldest sample that waits; 0: none does */
    int64_t near_loss;        /* streams that are about to lose what waits */
};
int fleet_archive(struct store *s, struct fleet_archive *out);

#endif
