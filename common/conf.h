/*
 * Configuration: one INI file for all programs, one table of keys (conf_table.c).
 *
 * Precedence: flags > environment > file > default. [wsd] website_rate is the flag
 * --website-rate of telerelay-wsd (a key of another section: --redis-address) and the
 * environment's TELERELAY_WSD_WEBSITE_RATE. Every value is checked; the message names the source
 * (file and line, flag or variable), the key, the value and what is allowed.
 */
#ifndef TELERELAY_CONF_H
#define TELERELAY_CONF_H

#include "log.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONF_PATH_MAX 256
#define CONF_NAME_MAX 64

/* An address: "unix:/path" or "HOST:PORT" with a numeric host (names would block in the resolver). */
#define CONF_ADDRESS_MAX 256

/* A database: "sqlite:/path" or a PostgreSQL URI, "postgresql://…". */
#define CONF_DATABASE_MAX 512

/* Who may drive. */
enum conf_control {
    CONF_SHARED,   /* anyone */
    CONF_EXCLUSIVE /* who holds the robot's control lease */
};

struct conf {
    char file[CONF_PATH_MAX]; /* "" when there is none */

    struct conf_redis {
        char address[CONF_ADDRESS_MAX];
        char user[CONF_NAME_MAX];
        char password_file[CONF_PATH_MAX];
    } redis;

    struct conf_wsd {
        char name[CONF_NAME_MAX];      /* instance name, as in "wsd-1" */
        char listen[CONF_ADDRESS_MAX]; /* unix:/path or HOST:PORT */
        int max_connections;           /* 0: 90 % of the file descriptor limit */
        int website_rate;              /* messages per second; 0: no limit */
        int website_burst;             /* messages */
        int stop_rate;                 /* stops per second, beside the others; 0: no limit */
        int stop_burst;                /* stops */
        int robot_rate;                /* messages per second; 0: no limit */
        int robot_burst;               /* messages */
        int ping_s;                    /* s between pings */
        int hangup_s;                  /* s without a pong until a peer counts as gone */
        int command_bytes;             /* largest message of a website */
        int telemetry_bytes;           /* largest message of a robot that is neither video nor a batch */
        int batch_bytes;               /* largest batch of samples that waited */
        int video_bytes;               /* largest video message */
        int fragments;                 /* WebSocket frames per message */
        int message_ms;                /* ms to complete one message */
        int queue_bytes;               /* waiting per connection, without video */
        int blocked_ms;                /* ms that a website may stay blocked */
        int move_ttl_ms;               /* ms */
        int setting_ttl_ms;            /* ms */
        int stream_maxlen;             /* samples per device kept in Redis; 0: no limit */
        int max_devices;               /* device ids ever seen; 0: no limit */
        int lease_ms;                  /* ms until a silent relay's robots count as gone */
        int drain_ms;                  /* ms for closing on SIGTERM */
        enum conf_control control;     /* who may drive */
        int control_ms;                /* ms from its holder's last sign of life to the end of a control lease */
        int silence_ms;                /* ms without a motion from a driving website until its robot is stopped */
        int audit_maxlen;              /* commands per device kept in Redis; 0: no limit */
        int events_maxlen;             /* events kept in Redis; 0: no limit */
        enum log_level log_level;
    } wsd;

    struct conf_api {
        char listen[CONF_ADDRESS_MAX]; /* unix:/path or HOST:PORT; fd 0 when started by a socket unit */
        int workers;                   /* processes */
        int redis_ms;                  /* ms for connecting and for one answer of Redis */
        int archive_ms;                /* ms for one look into the archive */
        int request_s;                 /* s for one request, or for the next part of a long answer */
        enum log_level log_level;
    } api;

    struct conf_archive {
        char database[CONF_DATABASE_MAX]; /* "" for none */
        int interval_ms;                  /* ms between two looks at the streams */
        int batch;                        /* rows of one transaction, about */
        int hot_samples;                  /* archived samples of a device that stay in Redis */
        int hot_entries;                  /* … commands, outcomes of a device, and events */
        int lease_ms;                     /* ms after which another archiver takes over from a silent one */
        int redis_ms;                     /* ms for connecting to Redis, and for one answer */
        int database_ms;                  /* ms for one transaction */
        int keep_samples_d;               /* days; 0: for ever, as with the others */
        int keep_minutes_d;
        int keep_hours_d;
        int keep_commands_d;
        int keep_events_d;
        enum log_level log_level;
    } archive;

    struct conf_robot {
        char url[CONF_ADDRESS_MAX]; /* ws:// or wss:// */
        char device_id[CONF_NAME_MAX + 1];
        char device_name[CONF_NAME_MAX + 1];
        char driver[16];                /* "sim" */
        double interval;                /* s between telemetry */
        char token_file[CONF_PATH_MAX]; /* bearer token, one line; "" for none */
        char ca[CONF_PATH_MAX];         /* PEM of the authority to trust; "" for the system's */
        char trace[CONF_PATH_MAX];      /* JSON lines of output changes; "" for none */
        int deadman_ms;                 /* ms from the last motion command to outputs at zero */
        int watchdog_ms;                /* ms of silence of the main loop until outputs are at zero */
        char spool[CONF_PATH_MAX];      /* directory for what outlives the program; "" for none */
        int spool_bytes;                /* of samples in it that wait for a relay */
        int heartbeat_ms;               /* ms between heartbeats */
        int fresh_ms;                   /* ms that the heartbeat of a motion may be old */
        bool require_fresh;             /* refuse a motion whose sender names no heartbeat */
        enum log_level log_level;
    } robot;
};

enum conf_result {
    CONF_RUN,   /* go on with *conf */
    CONF_DONE,  /* --help, --version, --check-config without a fault: exit 0 */
    CONF_FAULT, /* --check-config found a fault: exit 1 */
    CONF_USAGE  /* bad flag or configuration: exit 2 */
};

/*
 * Reads flags, environment and file for `program` ("telerelay-wsd"), whose own section is `section`
 * ("wsd"). What it has to say goes to out (help, version) and err (faults). *conf is complete on
 * CONF_RUN only.
 */
enum conf_result conf_load(struct conf *conf, const char *program, const char *section, int argc, char **argv,
                           FILE *out, FILE *err);

/*
 * Reads everything again (SIGHUP) with the same arguments. Returns 0 with *conf replaced: only keys
 * marked as reloadable in the table change, others keep their value and are named on err. -1 and
 * *conf unchanged on any fault.
 */
int conf_reload(struct conf *conf, const char *program, const char *section, int argc, char **argv, FILE *err);

/*
 * For a program with verbs: takes what is neither a flag nor a flag's value out of argv, and puts up to `most` of it,
 * in order, into words. Returns how many there were.
 */
int conf_words(int *argc, char **argv, const char **words, int most);

/* The exit code for a result that is not CONF_RUN. */
int conf_exit_code(enum conf_result result);

/* Splits an address. Returns 0 with *path set (unix) or host and *port; -1 when it is neither. */
int conf_parse_address(const char *address, const char **path, char host[64], int *port);

/* First line of a file (password, token) without its newline. 0, or -1 with a reason in err. */
int conf_read_secret(const char *path, char *out, size_t cap, char *err, size_t err_cap);

/* The annotated telerelay.conf with every key, default, unit and range, from the table. */
void conf_print_example(FILE *out);

/* telerelay.conf(5) as scdoc source, from the table. */
void conf_print_man(FILE *out);

#endif
