/*
 * Every Redis key and channel, and every time to live, in one place.
 *
 * Keys (":")
 *   tr:tel:ID        stream   one entry per sample, id = its time in ms; field "d" = its metrics as JSON
 *                             members without braces (`"battery":85,"cpu":38`, msg_put_metrics)
 *   tr:back:ID       hash     samples of batches that are stored under another time than their own: "TIME_MS SHA1" →
 *                             the entry's ms, so that they are known when they are sent again; expires
 *   tr:online        hash     device id → "CONN SINCE_MS INSTANCE RELAY": who is connected, and where
 *   tr:devices       zset     every known device id, score = last seen (connect or disconnect), ms
 *   tr:dev:ID        hash     name
 *   tr:relays        zset     relay instances, score = when the lease ends, ms of Redis' clock
 *   tr:owned:INST    set      device ids connected to that instance
 *   tr:conn          counter  connection numbers; the higher is the newer
 *   tr:pseq          counter  presence events
 *   tr:beat          hash     at: last sign of life of any relay; hold: no lease counts as over before; ms
 *   tr:metrics:NAME  string   a relay's metrics as Prometheus text, or the archiver's (NAME: archiver); expires
 *   tr:ctl:ID        hash     what decides about commands to a robot:
 *                             seq      number of the last command; rises for ever, since it is never less than
 *                                      Redis' clock in µs: also a store that was lost does not begin below it
 *                             driver, camera  SENDER whose motion was the last one of that axis, "" when it was zero
 *                             stopped  1 or 0; sseq, by, at: number, author and time (ms) of the last stop or
 *                                      re-arm; confirmed: 1 once the robot has said so
 *                             epoch    rises with every grant of control and every end of it, likewise never less
 *                                      than the clock in ms
 *                             holder, name, until: SENDER and name of who has control ("" nobody), end in ms
 *   tr:latched       set      device ids that are stopped
 *   tr:held          set      device ids that somebody has control of
 *   tr:cmds:ID       stream   every command to a robot; id = when Redis decided; field "d" = JSON members
 *                             "seq", "by", "relay", "received_ms" (Redis' clock), "outcome" (sent, expired,
 *                             stopped, not_in_control, no_robot), "epoch" where there is one, "cause" where a relay
 *                             sent it in somebody's name (deadman, grant), "command" (the JSON)
 *   tr:outs:ID       stream   what became of them; "d" = "seq", "outcome" (applied, rejected, expired), "reason"
 *   tr:archiver      string   the archiver that works; expires with its lease
 *   tr:archive       hash     how archiving goes, for people and /readyz (sql/report.h); expires
 *   tr:archive:run   string   the run_id of the Redis that the archiver has compared with the archive: one that was
 *                             started again may have lost its end, so it is not believed before that is done again
 *   tr:events        stream   "d" = "kind" (connected, disconnected, status, stop, rearm, confirmed, control),
 *                             "device_id" and what belongs to the kind
 *
 * INSTANCE is NAME#NONCE (the relay's configured name, a random number per start), RELAY the name.
 * SENDER is INSTANCE/NUMBER, a website and the relay that it is connected to.
 *
 * Channels ("/")
 *   tr/cmd/ID        one command for a robot: "DEADLINE_MS TYPE SEQ SENDER/T0 IDLEN ID JSON" (Redis' clock; enum
 *                    name; T0: the sender's relay's own clock, handed back; IDLEN bytes of command id, 0 without
 *                    one). Stop and re-arm come this way, too, with deadline 0: none. "watch INSTANCE":
 *                    that relay wants the robot's heartbeats
 *   tr/up/tel/ID     telemetry_update, the JSON text that every website gets
 *   tr/up/late/ID    telemetry_updates of samples that had waited, one per line
 *   tr/up/status/ID  robot_status, likewise
 *   tr/up/video/ID   video_frame, likewise
 *   tr/up/hb/ID      robot_heartbeat, likewise, for those who want it
 *   tr/pres          presence event: "PSEQ up|down CONN ID"
 *   tr/state         "stop ID SEQ STOPPED CONFIRMED AT_MS BY" or "control ID EPOCH SENDER NAME" ("- -": nobody)
 *   tr/relay/INST    to one relay: "kick CONN ID", "probe N" (its own, to see whether Redis relays), or
 *                    "receipt NUMBER T0 JSON" for a website of its own, or "states" and a line for each robot that is
 *                    stopped and each that somebody has control of, as in tr/state
 */
#ifndef TELERELAY_RKEY_H
#define TELERELAY_RKEY_H

#include <stddef.h>

#define RKEY_MAX 192 /* bytes of any key or channel with its NUL */

#define RKEY_ONLINE          "tr:online"
#define RKEY_DEVICES         "tr:devices"
#define RKEY_RELAYS          "tr:relays"
#define RKEY_CONN            "tr:conn"
#define RKEY_PSEQ            "tr:pseq"
#define RKEY_STREAM_PREFIX   "tr:tel:"
#define RKEY_DEVICE_PREFIX   "tr:dev:"
#define RKEY_OWNED_PREFIX    "tr:owned:"
#define RKEY_METRICS_PREFIX  "tr:metrics:"
#define RKEY_CONTROL_PREFIX  "tr:ctl:"
#define RKEY_LATCHED         "tr:latched"
#define RKEY_HELD            "tr:held"
#define RKEY_COMMANDS_PREFIX "tr:cmds:"
#define RKEY_OUTCOMES_PREFIX "tr:outs:"
#define RKEY_EVENTS          "tr:events"
#define RKEY_ARCHIVER        "tr:archiver"
#define RKEY_ARCHIVE         "tr:archive"
#define RKEY_ARCHIVE_RUN     "tr:archive:run"
#define RKEY_FIELD           "d" /* the one field of a stream entry */

#define RCHAN_PRESENCE         "tr/pres"
#define RCHAN_STATE            "tr/state"
#define RCHAN_COMMAND_PREFIX   "tr/cmd/"
#define RCHAN_RELAY_PREFIX     "tr/relay/"
#define RCHAN_UPSTREAM_PATTERN "tr/up/*" /* all that robots say */
#define RCHAN_TELEMETRY_PREFIX "tr/up/tel/"
#define RCHAN_BACKFILL_PREFIX  "tr/up/late/"
#define RCHAN_STATUS_PREFIX    "tr/up/status/"
#define RCHAN_VIDEO_PREFIX     "tr/up/video/"
#define RCHAN_HEARTBEAT_PREFIX "tr/up/hb/"

#define RKEY_METRICS_TTL_S 5

/* prefix + id into out, NUL-terminated; returns the length, or 0 if it does not fit RKEY_MAX. */
size_t rkey_join(char out[RKEY_MAX], const char *prefix, const char *id);

/* The run_id in what INFO has answered, "" when it has none: a Redis has another one after each start. */
#define RKEY_RUN_MAX 64
void rkey_run_id(char out[RKEY_RUN_MAX], const char *info);

#endif
