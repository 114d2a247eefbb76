#include "tests/bench/dialect.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROBOT_NAME "bench_%02u"

/* Moves carry their number in x, from -1 in steps of 1 / HALF. */
#define HALF (DIALECT_COMMANDS_MAX / 2)

void dialect_robot_path(char *out, enum dialect d, unsigned robot)
{
    if (d == DIALECT_NCHAN)
        snprintf(out, DIALECT_TEXT_MAX, "/pub/telemetry");
    else
        snprintf(out, DIALECT_TEXT_MAX, "/ws/telemetry?device_id=" ROBOT_NAME, robot);
}

void dialect_website_path(char *out, enum dialect d)
{
    snprintf(out, DIALECT_TEXT_MAX, "%s", d == DIALECT_NCHAN ? "/sub/telemetry" : "/ws/telemetry");
}

void dialect_command_paths(char *website, char *robot, enum dialect d)
{
    if (d == DIALECT_NCHAN) {
        snprintf(website, DIALECT_TEXT_MAX, "/pub/command");
        snprintf(robot, DIALECT_TEXT_MAX, "/sub/command");
    } else {
        dialect_website_path(website, d);
        dialect_robot_path(robot, d, 0);
    }
}

size_t dialect_telemetry(char *out, enum dialect d, unsigned robot, uint64_t seq)
{
    static const char values[] = "\"battery\":85.5,\"cpu\":38,\"temperature\":41.2,\"signal\":93";
    unsigned long long number = seq;
    int n;
    if (d == DIALECT_NCHAN)
        n = snprintf(out, DIALECT_TEXT_MAX,
                     "{\"type\":\"telemetry_update\",\"device_id\":\"" ROBOT_NAME "\",\"device_name\":\"" ROBOT_NAME
                     "\",%s,\"seq\":%llu,\"timestamp\":\"2026-01-15T10:30:45.123Z\"}",
                     robot, robot, values, number);
    else
        n = snprintf(out, DIALECT_TEXT_MAX, "{\"type\":\"telemetry\",%s,\"seq\":%llu}", values, number);
    return (size_t)n;
}

size_t dialect_command(char *out, unsigned number)
{
    double x = (double)number / HALF - 1;
    int n =
        snprintf(out, DIALECT_TEXT_MAX, "{\"type\":\"robot_move\",\"x\":%.4f,\"y\":-0.3,\"id\":\"c%u\"}", x, number);
    return (size_t)n;
}

/* The text after `name`, up to cap - 1 bytes of it and a NUL; false when there is none. */
static bool find(const char *data, size_t len, const char *name, char *out, size_t cap)
{
    size_t name_len = strlen(name);
    const char *at = memmem(data, len, name, name_len);
    if (!at)
        return false;
    size_t left = len - (size_t)(at - data) - name_len;
    size_t n = left < cap - 1 ? left : cap - 1;
    memcpy(out, at + name_len, n);
    out[n] = '\0';
    return true;
}

bool dialect_is_telemetry(const char *data, size_t len, unsigned *robot, uint64_t *seq)
{
    char id[24], number[24];
    if (!find(data, len, "\"device_id\":\"bench_", id, sizeof id) ||
        !find(data, len, "\"seq\":", number, sizeof number))
        return false;
    *robot = (unsigned)strtoul(id, NULL, 10);
    *seq = strtoull(number, NULL, 10);
    return true;
}

bool dialect_is_command(const char *data, size_t len, unsigned *number)
{
    char x[32];
    if (!memmem(data, len, "\"robot_move\"", 12) || !find(data, len, "\"x\":", x, sizeof x))
        return false;
    long n = lround((strtod(x, NULL) + 1) * HALF);
    if (n < 0 || n > DIALECT_COMMANDS_MAX)
        return false;
    *number = (unsigned)n;
    return true;
}

size_t dialect_move(char *out, unsigned robot, uint64_t number, bool safe, uint64_t hb)
{
    char more[64] = "";
    if (safe)
        snprintf(more, sizeof more, ",\"id\":\"m%llu\",\"hb\":%llu", (unsigned long long)number,
                 (unsigned long long)hb);
    int n = snprintf(out, DIALECT_TEXT_MAX,
                     "{\"type\":\"robot_move\",\"x\":0.1,\"y\":0.5,\"device_id\":\"" ROBOT_NAME "\"%s}", robot, more);
    return (size_t)n;
}

size_t dialect_heartbeat(char *out, uint64_t hb)
{
    return (size_t)snprintf(out, DIALECT_TEXT_MAX, "{\"type\":\"heartbeat\",\"hb\":%llu}", (unsigned long long)hb);
}

size_t dialect_answer(char *out, const char *move, size_t len)
{
    char id[24], seq[24];
    if (!find(move, len, "\"id\":\"", id, sizeof id) || !find(move, len, "\"seq\":", seq, sizeof seq))
        return 0;
    id[strcspn(id, "\"")] = '\0';
    return (size_t)snprintf(out, DIALECT_TEXT_MAX,
                            "{\"type\":\"ack\",\"id\":\"%s\",\"seq\":%llu,\"status\":\"applied\"}", id,
                            strtoull(seq, NULL, 10));
}

bool dialect_is_move(const char *data, size_t len)
{
    return memmem(data, len, "\"robot_move\"", 12) && memmem(data, len, "\"x\":", 4);
}

bool dialect_is_receipt(const char *data, size_t len, bool *applied)
{
    *applied = memmem(data, len, "\"status\":\"applied\"", 18) != NULL;
    return *applied || memmem(data, len, "\"status\":\"rejected\"", 19) ||
           memmem(data, len, "\"status\":\"expired\"", 18);
}

bool dialect_is_ack(const char *data, size_t len)
{
    return memmem(data, len, "\"type\":\"ack\"", 12) != NULL;
}

bool dialect_is_command_ack(const char *data, size_t len, unsigned *number)
{
    char id[16];
    bool applied;
    if (!dialect_is_ack(data, len) || dialect_is_receipt(data, len, &applied) ||
        !find(data, len, "\"id\":\"c", id, sizeof id))
        return false;
    *number = (unsigned)strtoul(id, NULL, 10);
    return true;
}

bool dialect_is_error(const char *data, size_t len)
{
    return memmem(data, len, "\"type\":\"error\"", 14) != NULL;
}
