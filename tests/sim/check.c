#include "tests/sim/check_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X_UNIT       1e-7
#define LOST_AFTER_S 45 /* an answer can be late by a long freeze */
#define LEAVING_US   (500 * SIM_MS)

struct check_state check_state;
static uint64_t trace;

#define S check_state

void check_begin(const struct check_setup *setup)
{
    free(S.commands);
    memset(&S, 0, sizeof(S));
    S.setup = *setup;
    trace = 0xcbf29ce484222325u;
    check_robot_begin();
}

void check_end(void)
{
    free(S.commands);
    S.commands = NULL;
    S.n_commands = S.cap = 0;
}

bool check_failed(void)
{
    return S.failed != 0;
}

const char *check_rule_name(enum check_rule rule)
{
    static const char *const names[CHECK_RULES] = {
        [CHECK_FRESH] = "fresh",         [CHECK_ORDER] = "order",         [CHECK_CONTROL] = "control",
        [CHECK_STOPPED] = "stopped",     [CHECK_REARMED] = "rearmed",     [CHECK_DEADMAN] = "deadman",
        [CHECK_ONCE] = "once",           [CHECK_OUTCOME] = "outcome",     [CHECK_AGREEMENT] = "agreement",
        [CHECK_BOUNDS] = "bounds",       [CHECK_ALIVE] = "alive",         [CHECK_ZERO_OTHERS] = "zero-others",
        [CHECK_WATCHDOG] = "watchdog",   [CHECK_LINK] = "link",           [CHECK_IN_TIME] = "in-time",
        [CHECK_CONFIRMED] = "confirmed", [CHECK_ZERO_SENT] = "zero-sent", [CHECK_REARM_LATE] = "rearm-late",
        [CHECK_STOP_SENT] = "stop-sent", [CHECK_WRITTEN] = "written",
    };
    return names[rule];
}

const struct check_totals *check_totals(void)
{
    return &S.totals;
}

uint64_t check_hash(void)
{
    return trace;
}

void check_note(int robot, const char *format, ...)
{
    char line[256];
    va_list args;
    int n = snprintf(line, sizeof(line), "%11.6f ", (double)sched_now() / 1e6);
    va_start(args, format);
    vsnprintf(line + n, sizeof(line) - (size_t)n, format, args);
    va_end(args);
    for (const char *at = line; *at != '\0'; at++)
        trace = (trace ^ (uint8_t)*at) * 0x100000001b3u;
    if (S.setup.verbose > 0)
        printf("%s%s%.0d\n", line, robot >= 0 ? "  @robot_" : "", robot >= 0 ? robot + 1 : 0);
    if (robot >= 0)
        check_log_robot(robot, line);
}

void check_fail(enum check_rule rule, int robot, const char *format, ...)
{
    va_list args;
    if (S.failed != 0)
        return;
    S.failed = rule;
    printf("BROKEN: invariant %s at %.6f s, step %" PRIu64 ": ", check_rule_name(rule), (double)sched_now() / 1e6,
           sched_steps());
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    if (robot >= 0)
        check_print_robot(robot);
}

/* --- world --------------------------------------------------------------------------------- */

void check_clock_jumped(int64_t until)
{
    S.clock_wrong_until = until;
}

void check_losses(int64_t from, int64_t until)
{
    if (S.n_losses < INTERVALS_MAX) {
        S.losses[S.n_losses].from = from;
        S.losses[S.n_losses++].until = until;
    }
}

bool check_lossy(int64_t from, int64_t until)
{
    for (int i = 0; i < S.n_losses; i++) {
        if (S.losses[i].from <= until && from <= S.losses[i].until)
            return true;
    }
    return false;
}

int check_robot_of(const char *device_id)
{
    return strncmp(device_id, "robot_", 6) == 0 ? atoi(device_id + 6) - 1 : -1;
}

void check_left(const char *device_id)
{
    S.left[S.n_left % LEFT_MAX].robot = check_robot_of(device_id);
    S.left[S.n_left++ % LEFT_MAX].at = sched_now();
}

/*
 * A known gap: Redis passed it to a relay that had just lost the robot and had not left its channel yet. Nobody makes
 * a receipt then, since the robot may be with another relay already.
 */
static bool fell_between(const struct command *c)
{
    for (int i = 0; i < LEFT_MAX && i < S.n_left; i++) {
        int64_t apart = S.left[i].at - c->redis_at;
        if ((c->what.robot < 0 || S.left[i].robot == c->what.robot) && apart > -LEAVING_US && apart < LEAVING_US)
            return true;
    }
    return false;
}

/* --- commands ------------------------------------------------------------------------------ */

struct command *check_command(int64_t number)
{
    return number >= 0 && number < S.n_commands ? &S.commands[number] : NULL;
}

int64_t check_ttl_us(const struct command *c)
{
    int most = msg_is_move(c->what.type) ? S.setup.move_ttl_ms : S.setup.setting_ttl_ms;
    return (c->what.ttl_ms > 0 && c->what.ttl_ms < most ? c->what.ttl_ms : most) * SIM_MS;
}

double check_x(uint32_t number)
{
    return (double)(number + 1) * X_UNIT;
}

int64_t check_number_of_x(double x)
{
    return x == 0 ? -1 : llround(x / X_UNIT) - 1;
}

int64_t check_number_of_id(const char *id)
{
    return id != NULL && *id == 'c' ? strtoll(id + 1, NULL, 10) : -1;
}

uint32_t check_send(const struct check_sent *what)
{
    if (S.n_commands == S.cap) {
        S.cap = S.cap ? S.cap * 2 : 4096;
        S.commands = realloc(S.commands, S.cap * sizeof(*S.commands));
        if (S.commands == NULL)
            abort();
    }
    struct command *c = &S.commands[S.n_commands];
    memset(c, 0, sizeof(*c));
    c->what = *what;
    c->sent_at = sched_now();
    c->robots = -1;
    c->done = !what->has_id;
    S.totals.sent++;
    S.totals.zeros += what->zero;
    if (what->zero && !what->has_id)
        S.zero_at[what->website][what->type == MSG_CAMERA_MOVE] = sched_now();
    S.totals.stops += what->type == MSG_STOP;
    S.totals.rearms += what->type == MSG_REARM;
    check_note(what->robot, "website %d/%d sends %s %u%s", what->website, what->connection, msg_type_name(what->type),
               S.n_commands, what->zero ? " (zero)" : "");
    return S.n_commands++;
}

void check_resend(uint32_t number)
{
    S.totals.resent++;
    S.commands[number].again_at = sched_now();
    check_note(S.commands[number].what.robot, "website %d sends %u again", S.commands[number].what.website, number);
}

/* --- answers ------------------------------------------------------------------------------- */

/* A legacy robot sends no receipts; who it was among several is not told. */
static int receipts_due(const struct command *c)
{
    int legacy = 0;
    for (int i = 0; i < S.setup.robots; i++)
        legacy += S.setup.legacy[i] && (c->what.robot < 0 || c->what.robot == i);
    return c->robots - legacy;
}

static bool is_outcome(const char *status)
{
    return strcmp(status, "applied") == 0 || strcmp(status, "rejected") == 0 || strcmp(status, "expired") == 0;
}

static void count_outcome(const struct msg *m)
{
    for (int i = 0; i < MSG_OUTCOMES; i++)
        S.totals.outcomes[i] += strcmp(m->status, msg_outcome_name((enum msg_outcome)i)) == 0;
}

void check_answer(int website, const struct msg *m)
{
    struct command *c = check_command(check_number_of_id(m->id));
    if (m->type == MSG_ERROR) {
        for (int i = 0; i < MSG_CODES; i++)
            S.totals.refused[i] += m->code != NULL && strcmp(m->code, msg_code_name((enum msg_code)i)) == 0;
    }
    if (c == NULL || c->what.website != website)
        return;
    check_note(-1, "website %d hears of %s: %s %s %s robots=%d%s", website, m->id, msg_type_name(m->type),
               m->type == MSG_ERROR ? m->code : m->status, m->reason ? m->reason : "", m->robots,
               m->duplicate ? " duplicate" : "");
    if (m->type == MSG_ERROR) {
        c->done = true;
    } else if (m->status != NULL && is_outcome(m->status)) {
        count_outcome(m);
        c->receipts++;
    } else if (!m->duplicate) {
        c->robots = m->robots;
        c->done = c->what.type == MSG_CONTROL_ACQUIRE || c->what.type == MSG_CONTROL_RELEASE;
    }
    if (c->robots >= 0 && c->receipts >= receipts_due(c))
        c->done = true;
    S.totals.answered += c->done;
}

void check_disconnected(int website, int connection)
{
    for (uint32_t i = S.first_open; i < S.n_commands; i++) {
        struct command *c = &S.commands[i];
        if (c->what.website == website && c->what.connection <= connection)
            c->done = true;
    }
    while (S.first_open < S.n_commands && S.commands[S.first_open].done)
        S.first_open++;
}

void check_outcomes(int64_t before)
{
    for (uint32_t i = S.first_open; i < S.n_commands; i++) {
        struct command *c = &S.commands[i];
        if (c->done || c->sent_at > before)
            continue;
        if (check_lossy(c->sent_at - SIM_S, c->sent_at + LOST_AFTER_S * SIM_S) || fell_between(c)) {
            S.totals.excused++;
            continue;
        }
        check_fail(CHECK_OUTCOME, c->what.robot,
                   "website %d never heard what became of its %s %u, sent at %.6f s (robots %d, receipts %d)",
                   c->what.website, msg_type_name(c->what.type), i, (double)c->sent_at / 1e6, c->robots, c->receipts);
    }
}
