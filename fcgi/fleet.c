#include "fcgi/fleet.h"
#include "fcgi/store_nodes.h"

#include "common/rkey.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

static double number(const struct store_node *node)
{
    double value = store_is_text(node) ? strtod(node->u.text, NULL) : 0;
    return isfinite(value) ? value : 0;
}

/* A reply with scores (name, score, …) into an array. */
static int read_scored(struct store *s, size_t *at, struct fleet_scored **out, size_t *n)
{
    const struct store_node *nodes;
    if (store_check(s, *at) < 0)
        return -1;
    *n = store_texts(s, at, &nodes) / 2;
    *out = store_alloc(s, *n * sizeof(**out));
    if (!*out)
        return -1;
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = (struct fleet_scored){.name = nodes[2 * i].u.text, .score = number(&nodes[2 * i + 1])};
    return 0;
}

static int read_pairs(struct store *s, size_t *at, struct fleet_pair **out, size_t *n)
{
    const struct store_node *nodes;
    if (store_check(s, *at) < 0)
        return -1;
    *n = store_texts(s, at, &nodes) / 2;
    *out = store_alloc(s, *n * sizeof(**out));
    if (!*out)
        return -1;
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = (struct fleet_pair){.key = {nodes[2 * i].u.text, nodes[2 * i].n},
                                        .value = {nodes[2 * i + 1].u.text, nodes[2 * i + 1].n}};
    return 0;
}

/* TIME: seconds and microseconds. */
static int read_time(struct store *s, size_t *at, int64_t *now_ms)
{
    const struct store_node *nodes;
    if (store_check(s, *at) < 0)
        return -1;
    if (store_texts(s, at, &nodes) != 2)
        return store_fail(s, "answer", "TIME is not two numbers");
    *now_ms = (int64_t)(number(&nodes[0]) * 1000 + number(&nodes[1]) / 1000);
    return 0;
}

static void queue_clock(struct store *s)
{
    STORE_QUEUE(s, "TIME");
    STORE_QUEUE(s, "ZRANGE", RKEY_RELAYS, "0", "-1", "WITHSCORES");
}

static int read_clock(struct store *s, size_t *at, struct fleet *fleet)
{
    if (read_time(s, at, &fleet->now_ms) < 0)
        return -1;
    return read_scored(s, at, &fleet->relays, &fleet->n_relays);
}

static int compare_scored(const void *a, const void *b)
{
    return strcmp(((const struct fleet_scored *)a)->name, ((const struct fleet_scored *)b)->name);
}

int fleet_read(struct store *s, size_t max_devices, struct fleet *fleet)
{
    char last[24];
    size_t at = 0;
    memset(fleet, 0, sizeof(*fleet));
    snprintf(last, sizeof(last), "%zu", max_devices - 1);
    queue_clock(s);
    STORE_QUEUE(s, "ZRANGE", RKEY_DEVICES, "0", last, "REV", "WITHSCORES");
    STORE_QUEUE(s, "HGETALL", RKEY_ONLINE);
    if (store_run(s) < 0 || read_clock(s, &at, fleet) < 0 ||
        read_scored(s, &at, &fleet->devices, &fleet->n_devices) < 0 ||
        read_pairs(s, &at, &fleet->online, &fleet->n_online) < 0)
        return -1;
    if (fleet->n_devices > 1)
        qsort(fleet->devices, fleet->n_devices, sizeof(*fleet->devices), compare_scored);
    return 0;
}

int fleet_relays(struct store *s, struct fleet *fleet)
{
    size_t at = 0;
    memset(fleet, 0, sizeof(*fleet));
    queue_clock(s);
    return store_run(s) < 0 ? -1 : read_clock(s, &at, fleet);
}

int fleet_device(struct store *s, const char *device_id, struct fleet *fleet)
{
    size_t at = 0;
    memset(fleet, 0, sizeof(*fleet));
    queue_clock(s);
    STORE_QUEUE(s, "ZSCORE", RKEY_DEVICES, device_id);
    STORE_QUEUE(s, "HGET", RKEY_ONLINE, device_id);
    if (store_run(s) < 0 || read_clock(s, &at, fleet) < 0 || store_check(s, at) < 0 || store_check(s, at + 1) < 0)
        return -1;

    fleet->devices = store_alloc(s, sizeof(*fleet->devices));
    fleet->online = store_alloc(s, sizeof(*fleet->online));
    if (!fleet->devices || !fleet->online)
        return -1;
    const struct store_node *score = store_node(s, at), *online = store_node(s, at + 1);
    if (store_is_text(score)) {
        fleet->devices[0] = (struct fleet_scored){.name = device_id, .score = number(score)};
        fleet->n_devices = 1;
    }
    if (store_is_text(online)) {
        fleet->online[0] =
            (struct fleet_pair){.key = {device_id, strlen(device_id)}, .value = {online->u.text, online->n}};
        fleet->n_online = 1;
    }
    return 0;
}

/* n answers that are a text or nothing. */
static int read_texts(struct store *s, size_t n, struct fleet_text *out)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++, at = store_skip(s, at)) {
        if (store_check(s, at) < 0)
            return -1;
        const struct store_node *node = store_node(s, at);
        out[i] = store_is_text(node) ? (struct fleet_text){node->u.text, node->n} : (struct fleet_text){NULL, 0};
    }
    return 0;
}

static const char *const control_fields[] = {"stopped", "confirmed", "by", "at", "epoch", "holder", "name", "until"};
#define CONTROL_FIELDS (sizeof(control_fields) / sizeof(control_fields[0]))

static struct fleet_text text_of(const struct store_node *node)
{
    return store_is_text(node) && node->n > 0 ? (struct fleet_text){node->u.text, node->n}
                                              : (struct fleet_text){NULL, 0};
}

static int64_t whole(const struct store_node *node)
{
    double value = number(node);
    return value > 0 && value <= WHOLE_MAX ? (int64_t)value : 0;
}

/* What stands at the nodes of one HMGET of control_fields. */
static struct fleet_control control_at(const struct store_node *array)
{
    const struct store_node *v = array + 1;
    if (array->kind != STORE_ARRAY || array->n != CONTROL_FIELDS)
        return (struct fleet_control){.stopped = false};
    return (struct fleet_control){.stopped = whole(&v[0]) == 1,
                                  .confirmed = whole(&v[1]) == 1,
                                  .by = text_of(&v[2]),
                                  .at_ms = whole(&v[3]),
                                  .epoch = whole(&v[4]),
                                  .holder = text_of(&v[5]),
                                  .name = text_of(&v[6]),
                                  .until_ms = whole(&v[7])};
}

int fleet_controls(struct store *s, const struct fleet_scored *devices, size_t n, struct fleet_control *out)
{
    char key[RKEY_MAX];
    const char *args[2 + CONTROL_FIELDS] = {"HMGET", key};
    size_t at = 0;
    if (n == 0)
        return 0;
    memcpy(args + 2, control_fields, sizeof(control_fields));
    for (size_t i = 0; i < n; i++) {
        store_key(key, RKEY_CONTROL_PREFIX, devices[i].name);
        store_queue(s, 2 + CONTROL_FIELDS, args);
    }
    if (store_run(s) < 0)
        return -1;
    for (size_t i = 0; i < n; i++, at = store_skip(s, at)) {
        if (store_check(s, at) < 0)
            return -1;
        out[i] = control_at(store_node(s, at));
    }
    return 0;
}

int fleet_names(struct store *s, const struct fleet_scored *devices, size_t n, struct fleet_text *names)
{
    char key[RKEY_MAX];
    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        store_key(key, RKEY_DEVICE_PREFIX, devices[i].name);
        STORE_QUEUE(s, "HGET", key, "name");
    }
    return store_run(s) < 0 ? -1 : read_texts(s, n, names);
}

int fleet_metrics(struct store *s, const char *const *relays, size_t n, struct fleet_text *out)
{
    char key[RKEY_MAX];
    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        store_key(key, RKEY_METRICS_PREFIX, relays[i]);
        STORE_QUEUE(s, "GET", key);
    }
    return store_run(s) < 0 ? -1 : read_texts(s, n, out);
}

int fleet_archive(struct store *s, struct fleet_archive *out)
{
    STORE_QUEUE(s, "HMGET", RKEY_ARCHIVE, "database", "reason", "lag_ms", "near_loss");
    if (store_run(s) < 0 || store_check(s, 0) < 0)
        return -1;
    const struct store_node *v = store_node(s, 1);
    *out = (struct fleet_archive){.working = false};
    if (store_node(s, 0)->kind != STORE_ARRAY || store_node(s, 0)->n != 4 || !store_is_text(&v[0]))
        return 0;
    *out = (struct fleet_archive){.working = true,
                                  .up = strcmp(v[0].u.text, "up") == 0,
                                  .reason = text_of(&v[1]),
                                  .lag_ms = whole(&v[2]),
                                  .near_loss = whole(&v[3])};
    return 0;
}
