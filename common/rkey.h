/*
 * Every Redis key and channel, and every time to live, in one place.
 *
 * Keys (":")
 *   tr:tel:ID        stream   one entry per sample, id = its time in ms; field "d" = its metrics as JSON
 *                             members without braces (`"battery":85,"cpu":38`, msg_put_metrics)
 *   tr:online        hash     device id → "CONN SINCE_MS INSTANCE RELAY": who is connected, and where
 *   tr:devices       zset     every known device id, score = last seen (connect or disconnect), ms
 *   tr:dev:ID        hash     name
 *   tr:relays        zset     relay instances, score = when the lease ends, ms of Redis' clock
 *   tr:owned:INST    set      device ids connected to that instance
 *   tr:conn          counter  connection numbers; the higher is the newer
 *   tr:pseq          counter  presence events
 *   tr:beat          hash     at: last sign of life of any relay; hold: no lease counts as over before; ms
 *   tr:metrics:NAME  string   a relay's metrics as Prometheus text; expires
 *
 * INSTANCE is NAME#NONCE (the relay's configured name, a random number per start), RELAY the name.
 *
 * Channels ("/")
 *   tr/cmd/ID        one command for a robot: "DEADLINE_MS TYPE JSON" (Redis' clock; enum name)
 *   tr/up/tel/ID     telemetry_update, the JSON text that every website gets
 *   tr/up/status/ID  robot_status, likewise
 *   tr/up/video/ID   video_frame, likewise
 *   tr/pres          presence event: "PSEQ up|down CONN ID"
 *   tr/relay/INST    to one relay: "kick CONN ID", or "probe N" (its own, to see whether Redis relays)
 */
#ifndef TELERELAY_RKEY_H
#define TELERELAY_RKEY_H

#include <stddef.h>

#define RKEY_MAX 192 /* bytes of any key or channel with its NUL */

#define RKEY_ONLINE         "tr:online"
#define RKEY_DEVICES        "tr:devices"
#define RKEY_RELAYS         "tr:relays"
#define RKEY_CONN           "tr:conn"
#define RKEY_PSEQ           "tr:pseq"
#define RKEY_STREAM_PREFIX  "tr:tel:"
#define RKEY_DEVICE_PREFIX  "tr:dev:"
#define RKEY_OWNED_PREFIX   "tr:owned:"
#define RKEY_METRICS_PREFIX "tr:metrics:"
#define RKEY_FIELD          "d" /* the one field of a stream entry */

#define RCHAN_PRESENCE         "tr/pres"
#define RCHAN_COMMAND_PREFIX   "tr/cmd/"
#define RCHAN_RELAY_PREFIX     "tr/relay/"
#define RCHAN_UPSTREAM_PATTERN "tr/up/*" /* all that robots say */
#define RCHAN_TELEMETRY_PREFIX "tr/up/tel/"
#define RCHAN_STATUS_PREFIX    "tr/up/status/"
#define RCHAN_VIDEO_PREFIX     "tr/up/video/"

#define RKEY_METRICS_TTL_S 5

/* prefix + id into out, NUL-terminated; returns the length, or 0 if it does not fit RKEY_MAX. */
size_t rkey_join(char out[RKEY_MAX], const char *prefix, const char *id);

#endif
