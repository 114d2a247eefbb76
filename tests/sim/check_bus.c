/* What must hold at the relays and at Redis. */
#include "tests/sim/check_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZERO_WITHIN_US (40 * SIM_S)
#define STOP_SLACK_US  SIM_S
#define LATCH_SLACK_US (4 * SIM_S)    /* relays try again every second */
#define KNOWN_AGAIN_US (15 * SIM_S)   /* after a loss of data */
#define ZERO_SLACK_US  (450 * SIM_MS) /* two looks of the relay, and what the way to Redis takes at worst */

#define S check_state

void check_relay(int relay, const struct node *node)
{
    S.relays[relay] = node;
}

void check_data_lost(void)
{
    memset(S.driver, 0, sizeof(S.driver));
    memset(S.stop, 0, sizeof(S.stop));
}

void check_full(int64_t until)
{
    S.full_until = until;
}

void check_relay_lost(void)
{
    for (int i = 0; i < CHECK_ROBOTS_MAX; i++)
        S.stop[i].latch_at = 0;
}

void check_script(bool ended, bool failed)
{
    for (int i = 0; failed && i < S.n_script; i++)
        S.commands[S.script[i].number].unwritten[S.script[i].robot] = true;
    if (ended)
        S.n_script = 0;
}

/* --- commands that Redis passes -------------------------------------------------------------- */

static int64_t number_in(const char *json)
{
    const char *id = strstr(json, "\"id\":\"c"), *x = strstr(json, "\"x\":");
    if (id != NULL)
        return strtoll(id + 7, NULL, 10);
    return x != NULL ? check_number_of_x(strtod(x + 4, NULL)) : -1;
}

static bool in_control(const struct store *s, const char *device_id, const char *sender, int64_t wall_us)
{
    char key[96];
    snprintf(key, sizeof(key), "tr:ctl:%s", device_id);
    const char *holder = store_hash_field(s, key, "holder"), *until = store_hash_field(s, key, "until");
    return holder != NULL && strcmp(holder, sender) == 0 && until != NULL && atoll(until) > wall_us / 1000;
}

/* When it came to its relay, wsd-N: T0 is on that one's clock. */
static int64_t came_at(const char *sender, int64_t t0_ms)
{
    int relay = atoi(sender + strcspn(sender, "0123456789")) - 1;
    const struct node *n = relay >= 0 && relay < CHECK_RELAYS_MAX ? S.relays[relay] : NULL;
    int64_t at = n != NULL ? t0_ms * SIM_MS - n->mono_us : 0;
    return at > 0 && at <= sched_now() ? at : 0;
}

/* What has been refused may be sent again: then that counts. */
static void passed(struct command *c, int64_t relay_at)
{
    c->relay_at = relay_at;
    if (c->again_at != 0 && c->again_at <= relay_at)
        c->sent_at = c->again_at;
    c->redis_at = sched_now();
}

static struct driver *driver_of(int robot, bool camera)
{
    return &S.driver[robot][camera];
}

static void note_driver(int robot, const struct command *c, const char *sender, bool reached)
{
    struct driver *d = driver_of(robot, c->what.type == MSG_CAMERA_MOVE);
    snprintf(d->sender, sizeof(d->sender), "%s", sender);
    d->website = c->what.website;
    d->at = sched_now();
    d->owed = reached;
}

/* A zero without id: of an old website, of a new grant (T0 is 0 then), or the relay's own, in place of a website. */
static void check_own_zero(int robot, const char *kind, const char *sender)
{
    bool camera = strcmp(kind, "camera_move") == 0;
    const struct driver *d = driver_of(robot, camera);
    if (d->sender[0] == '\0' || strcmp(d->sender, sender) == 0)
        return;
    for (int i = 0; i < S.setup.websites; i++) {
        int64_t ago = sched_now() - S.zero_at[i][camera];
        if (S.zero_at[i][camera] != 0 && ago < ZERO_WITHIN_US)
            return; /* it may be that website's */
    }
    check_fail(CHECK_ZERO_OTHERS, robot, "%s, who does not drive, gets a zero in while %s does", sender, d->sender);
}

static void passed_rearm(int robot, struct command *c)
{
    int64_t waited = sched_now() - c->relay_at;
    S.stop[robot].sent_at = S.stop[robot].latch_at = 0;
    if (c->rearmed_at[robot] != 0 && S.stop[robot].latched_at > c->rearmed_at[robot])
        check_fail(CHECK_REARM_LATE, robot, "a re-arm is passed again, and it has been stopped since");
    c->rearmed_at[robot] = sched_now();
    if (c->relay_at != 0 && S.clock_wrong_until < c->relay_at && waited > S.setup.rearm_ms * SIM_MS + CLOCK_US)
        check_fail(CHECK_REARM_LATE, robot, "a re-arm has waited for %.3f s", (double)waited / 1e6);
}

static void passed_motion(int robot, struct command *c, int64_t number)
{
    c->unwritten[robot] = false;
    if (S.n_script == CHECK_ROBOTS_MAX)
        return;
    S.script[S.n_script].number = (uint32_t)number;
    S.script[S.n_script++].robot = robot;
}

/* "DEADLINE KIND SEQ SENDER/T0 IDLEN ID JSON" */
static void published_order(const struct store *s, const char *device_id, const char *text, int64_t wall_us,
                            bool reached)
{
    char kind[32] = "", tail[256] = "";
    long long deadline, seq;
    int robot = check_robot_of(device_id);
    if (sscanf(text, "%lld %31s %lld %255s", &deadline, kind, &seq, tail) != 4 || robot < 0)
        return;
    const char *json = strchr(text, '{');
    char *t0 = strrchr(tail, '/');
    if (t0 == NULL || json == NULL)
        return;
    *t0 = '\0';
    check_robot_published(robot, kind, seq);
    struct command *c = check_command(number_in(json));
    if (strstr(kind, "_move") != NULL && (c == NULL || c->what.zero))
        driver_of(robot, strcmp(kind, "camera_move") == 0)->owed = false;
    check_note(robot, "Redis passes %s %" PRId64 " seq %lld", kind, number_in(json), seq);
    if (c == NULL && atoll(t0 + 1) != 0 && strstr(kind, "_move") != NULL && number_in(json) < 0)
        check_own_zero(robot, kind, tail);
    if (strcmp(kind, "stop") == 0)
        S.stop[robot].sent_at = 0;
    if (c == NULL)
        return;
    passed(c, came_at(tail, atoll(t0 + 1)));
    if (c->what.type == MSG_REARM)
        passed_rearm(robot, c);
    if (msg_is_move(c->what.type) && !c->what.zero) {
        note_driver(robot, c, tail, reached);
        passed_motion(robot, c, number_in(json));
    }
    bool drives = msg_is_command(c->what.type) && c->what.type != MSG_REQUEST_FRAME;
    if (S.setup.exclusive && drives && !in_control(s, device_id, tail, wall_us))
        c->no_holder[robot] = true;
}

/* "control ID EPOCH SENDER NAME" */
static void published_control(const char *text)
{
    char id[80], sender[128];
    long long epoch;
    if (sscanf(text, "control %79s %lld %127s", id, &epoch, sender) != 3)
        return;
    int robot = check_robot_of(id);
    check_note(robot, "Redis: control of %s epoch %lld %s", id, epoch, sender);
    if (robot < 0 || robot >= S.setup.robots)
        return;
    S.totals.grants += sender[0] != '-';
    if (epoch < S.control[robot].epoch)
        check_fail(CHECK_CONTROL, robot, "the epoch fell from %lld to %lld", S.control[robot].epoch, epoch);
    else if (epoch == S.control[robot].epoch && strcmp(sender, S.control[robot].sender) != 0)
        check_fail(CHECK_CONTROL, robot, "epoch %lld has two holders: %s and %s", epoch, S.control[robot].sender,
                   sender);
    S.control[robot].epoch = epoch;
    snprintf(S.control[robot].sender, sizeof(S.control[robot].sender), "%s", sender);
}

/* "stop ID SEQ STOPPED CONFIRMED AT BY" */
static void published_stop(const char *text)
{
    char id[80];
    long long seq;
    int stopped, confirmed;
    if (sscanf(text, "stop %79s %lld %d %d", id, &seq, &stopped, &confirmed) != 4)
        return;
    int robot = check_robot_of(id);
    if (robot < 0 || robot >= S.setup.robots)
        return;
    if (!stopped) { /* of one that is away nothing else tells */
        check_robot_published(robot, "rearm", seq);
        return;
    }
    S.driver[robot][0].owed = S.driver[robot][1].owed = false;
    S.stop[robot].latch_at = 0;
    if (!confirmed)
        S.stop[robot].latched_at = sched_now();
    if (confirmed && check_robot_said_stopped(robot) < seq)
        check_fail(CHECK_CONFIRMED, robot, "stop %lld is called confirmed, but the robot has not said so", seq);
}

/* "N down CONN ID" */
static void published_presence(const struct store *s, const char *text)
{
    char id[80], key[96];
    int robot = sscanf(text, "%*s down %*s %79s", id) == 1 ? check_robot_of(id) : -1;
    if (robot < 0 || robot >= S.setup.robots)
        return;
    S.driver[robot][0].owed = S.driver[robot][1].owed = false; /* without a relay it rests by itself */
    if (S.stop[robot].named)
        return;
    /* A stop of all that Redis comes to only now is not for it, nor is there anything to latch where it is stopped. */
    snprintf(key, sizeof(key), "tr:ctl:%s", id);
    const char *stopped = store_hash_field(s, key, "stopped");
    S.stop[robot].sent_at = 0;
    if (stopped != NULL && *stopped == '1')
        S.stop[robot].latch_at = 0;
}

static void published_states(const char *text)
{
    for (const char *line = strchr(text, '\n'); line != NULL; line = strchr(line + 1, '\n'))
        published_stop(line + 1);
}

void check_published(const struct store *s, const char *channel, const char *text, int64_t wall_us, long long listeners)
{
    if (strncmp(channel, "tr/cmd/", 7) == 0)
        published_order(s, channel + 7, text, wall_us, listeners > 0);
    else if (strncmp(channel, "tr/relay/", 9) == 0)
        published_states(text);
    else if (strcmp(channel, "tr/pres") == 0)
        published_presence(s, text);
    else if (strcmp(channel, "tr/state") == 0 && strncmp(text, "control ", 8) == 0)
        published_control(text);
    else if (strcmp(channel, "tr/state") == 0)
        published_stop(text);
}

/* --- at the relays --------------------------------------------------------------------------- */

static bool has(const char *text, size_t len, const char *part)
{
    return memmem(text, len, part, strlen(part)) != NULL;
}

void check_handed(const char *device_id, const char *text, size_t len)
{
    char copy[512];
    if (len >= sizeof(copy) || has(text, len, "\"type\":\"stop\"") || has(text, len, "\"type\":\"rearm\""))
        return;
    memcpy(copy, text, len);
    copy[len] = '\0';
    const struct command *c = check_command(number_in(copy));
    if (c == NULL || c->what.zero || c->relay_at == 0 || S.clock_wrong_until >= c->relay_at)
        return;
    if (sched_now() - c->relay_at > check_ttl_us(c) + CLOCK_US)
        check_fail(CHECK_IN_TIME, check_robot_of(device_id),
                   "it is sent a %s that came to its relay %.3f s ago, for %.3f s", msg_type_name(c->what.type),
                   (double)(sched_now() - c->relay_at) / 1e6, (double)check_ttl_us(c) / 1e6);
}

/* Its own zero, too, ends what it drove. */
static void heard_zero(int website, bool camera, const char *text)
{
    const char *id = strstr(text, "\"device_id\":\"");
    int robot = id != NULL ? check_robot_of(id + 13) : -1;
    for (int i = 0; i < S.setup.robots; i++) {
        if ((robot < 0 || robot == i) && S.driver[i][camera].website == website)
            S.driver[i][camera].owed = false;
    }
}

/* Told at once is who is online; latched is every robot that is known. */
static void heard_stop(const struct store *s, int target)
{
    char id[32], key[40];
    for (int i = 0; i < S.setup.robots; i++) {
        snprintf(id, sizeof(id), "robot_%d", i + 1);
        snprintf(key, sizeof(key), "tr:ctl:%s", id);
        if ((target >= 0 && target != i) || !store_has(s, "tr:devices", id))
            continue;
        S.stop[i].named = target == i || (S.stop[i].named && S.stop[i].sent_at != 0);
        if (S.stop[i].sent_at == 0 && (target == i || store_has(s, "tr:online", id)))
            S.stop[i].sent_at = sched_now();
        const char *stopped = store_hash_field(s, key, "stopped");
        if (stopped == NULL || *stopped != '1' || store_has(s, "tr:online", id)) /* else there is nothing to do */
            S.stop[i].latch_at = sched_now();
    }
}

int check_heard(const struct store *s, int website, const char *text)
{
    const struct command *c = check_command(number_in(text));
    bool camera = strstr(text, "\"camera_move\"") != NULL;
    if (c != NULL)
        website = c->what.website;
    if (strstr(text, "\"type\":\"stop\"") != NULL) {
        const char *id = strstr(text, "\"device_id\":\"");
        heard_stop(s, id != NULL ? check_robot_of(id + 13) : -1);
    }
    if (website < 0 || (!camera && strstr(text, "\"robot_move\"") == NULL))
        return website;
    if (c == NULL || c->what.zero)
        heard_zero(website, camera, text);
    else
        S.heard_at[website][camera][c->what.robot + 1] = sched_now();
    return website;
}

static void check_owed(int robot, bool camera)
{
    struct driver *d = driver_of(robot, camera);
    const int64_t *heard = S.heard_at[d->website][camera];
    int64_t last = d->at;
    if (!d->owed)
        return;
    last = heard[0] > last ? heard[0] : last;
    last = heard[robot + 1] > last ? heard[robot + 1] : last;
    if (sched_now() - last <= S.setup.silence_ms * SIM_MS + ZERO_SLACK_US)
        return;
    d->owed = false;
    if (!check_lossy(last - SIM_S, sched_now()))
        check_fail(CHECK_ZERO_SENT, robot,
                   "website %d is silent for %.3f s and has driven axis %d, but no zero goes out", d->website,
                   (double)(sched_now() - last) / 1e6, camera);
}

static void check_unsent(int robot)
{
    int64_t at = S.stop[robot].sent_at;
    if (at == 0 || sched_now() - at <= STOP_SLACK_US)
        return;
    S.stop[robot].sent_at = 0;
    if (!check_lossy(at - SIM_S, sched_now()))
        check_fail(CHECK_STOP_SENT, robot, "a relay heard of a stop %.3f s ago, and it has not gone out",
                   (double)(sched_now() - at) / 1e6);
}

/* Once Redis takes writes again, and nothing else is wrong. */
static void check_unlatched(int robot)
{
    int64_t at = S.stop[robot].latch_at, since = at > S.full_until ? at : S.full_until;
    if (at != 0 && sched_now() - since > LATCH_SLACK_US && !check_lossy(sched_now() - LATCH_SLACK_US, sched_now()))
        check_fail(CHECK_STOP_SENT, robot, "the stop that a relay heard of at %.6f s is not latched", (double)at / 1e6);
}

void check_silence(void)
{
    for (int i = 0; i < S.setup.robots; i++) {
        check_unsent(i);
        check_unlatched(i);
        check_owed(i, false);
        check_owed(i, true);
    }
}
