#include "sql/archive_driver.h"
#include "sql/shape.h"

#include "common/msg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One call of archive_commit. */
struct work {
    struct archive *a;
    struct archive_db *db;
    const struct archive_part *parts;
    size_t n;
    int64_t *devices; /* of the parts */
    struct archive_move *moves;
    int64_t now_ms;
    const struct name *kind; /* the shape of the last sample */
    struct shape shape;
};

/* --- what was handed over ---------------------------------------------------------------------------- */

static int check_part(struct archive_db *db, const struct archive_part *part)
{
    struct streamid last = part->from;
    bool events = part->kind == ARCHIVE_EVENTS;
    if (events != (*part->device_id == '\0') ||
        (!events && !msg_device_id_valid(part->device_id, strlen(part->device_id))))
        return archive_driver_fail(db, "\"%.70s\" is no device id", part->device_id);
    for (size_t i = 0; i < part->n; i++) {
        if (streamid_compare(last, part->rows[i].id) >= 0)
            return archive_driver_fail(db, "entries of %.70s that are out of order", part->device_id);
        last = part->rows[i].id;
    }
    if (streamid_compare(last, part->to) > 0)
        return archive_driver_fail(db, "entries of %.70s that are behind its position", part->device_id);
    return 0;
}

static int check_parts(struct archive *a, const struct archive_part *parts, size_t n)
{
    if (a->db->use != ARCHIVE_WRITE)
        return archive_driver_fail(a->db, "it is open for reading only");
    if (a->in_view)
        return archive_driver_fail(a->db, "a view is open");
    for (size_t i = 0; i < n; i++) {
        if (check_part(a->db, &parts[i]) != 0)
            return -1;
    }
    return 0;
}

/* --- texts as numbers -------------------------------------------------------------------------------- */

/* The number of a text, which gets one if it has none yet. */
static const struct name *number_of(struct work *w, enum archive_dict dict, const char *text, size_t len,
                                    int64_t *numbers, size_t n)
{
    int64_t id;
    if (w->db->driver->find(w->db, dict, text, len, &id) != 0 ||
        (id == ARCHIVE_UNKNOWN && w->db->driver->add(w->db, dict, text, len, &id) != 0)) {
        free(numbers);
        return NULL;
    }
    const struct name *name = names_put(w->a->dicts[dict], text, len, id, numbers, n);
    if (name == NULL)
        archive_driver_fail(w->db, "no memory");
    return name;
}

/* The numbers of a shape's metrics; of one that comes twice only the first counts, as in sample_find(). */
static int64_t *metrics_of(struct work *w, const struct shape *shape)
{
    int64_t *numbers = calloc(shape->n + 1, sizeof(*numbers));
    const char *at = shape->names, *end = at + shape->names_len;
    if (numbers == NULL) {
        archive_driver_fail(w->db, "no memory");
        return NULL;
    }
    for (size_t i = 0; i < shape->n; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t len = (size_t)((comma != NULL ? comma : end) - at);
        const struct name *metric = names_find(w->a->dicts[ARCHIVE_METRICS], at, len);
        if (metric == NULL && (metric = number_of(w, ARCHIVE_METRICS, at, len, NULL, 0)) == NULL) {
            free(numbers);
            return NULL;
        }
        numbers[i] = metric->id;
        for (size_t j = 0; j < i; j++) {
            if (numbers[j] == metric->id)
                numbers[i] = ARCHIVE_UNKNOWN;
        }
        at += len + 1;
    }
    return numbers;
}

static int find_shape(struct work *w)
{
    const struct shape *s = &w->shape;
    if (w->kind != NULL && w->kind->len == s->names_len && memcmp(w->kind->text, s->names, s->names_len) == 0)
        return 0;
    struct name *known = names_find(w->a->dicts[ARCHIVE_SHAPES], s->names, s->names_len);
    w->kind = known;
    if (known != NULL && known->numbers != NULL)
        return 0;
    int64_t *numbers = metrics_of(w, s);
    if (numbers == NULL)
        return -1;
    if (known != NULL) /* from reading, which does not need them */
        known->numbers = numbers;
    else
        w->kind = number_of(w, ARCHIVE_SHAPES, s->names, s->names_len, numbers, s->n);
    return w->kind != NULL ? 0 : -1;
}

/* --- the parts --------------------------------------------------------------------------------------- */

/* That a device has this metric. */
static int note_metric(struct work *w, const struct rollup_delta *d)
{
    int64_t pair[2] = {d->device, d->metric};
    const char *key = (const char *)pair;
    if (names_find(w->a->pairs, key, sizeof(pair)) != NULL)
        return 0;
    if (w->db->driver->device_metric(w->db, d->device, d->metric) != 0)
        return -1;
    if (names_put(w->a->pairs, key, sizeof(pair), 0, NULL, 0) == NULL)
        return archive_driver_fail(w->db, "no memory");
    return 0;
}

static int write_rollup(struct work *w)
{
    for (enum archive_tier tier = 0; tier < ARCHIVE_TIERS; tier++) {
        size_t n;
        const struct rollup_delta *d = rollup_take(w->a->rollup, tier, &n);
        for (size_t i = 0; i < n; i++) {
            bool new_metric = i == 0 || d[i].metric != d[i - 1].metric || d[i].device != d[i - 1].device;
            if (tier == ARCHIVE_MINUTE && new_metric && note_metric(w, &d[i]) != 0)
                return -1;
            if (w->db->driver->delta(w->db, tier, &d[i]) != 0)
                return -1;
        }
    }
    rollup_clear(w->a->rollup);
    return 0;
}

static int roll_up(struct work *w, int64_t device, int64_t ms)
{
    char *at = w->shape.values;
    if (rollup_full(w->a->rollup, w->shape.n) && write_rollup(w) != 0)
        return -1;
    for (size_t i = 0; i < w->shape.n; i++) {
        double value = strtod(at, &at);
        at++;
        if (w->kind->numbers[i] == ARCHIVE_UNKNOWN || !isfinite(value))
            continue;
        if (rollup_add(w->a->rollup, device, w->kind->numbers[i], ms, value) != 0)
            return archive_driver_fail(w->db, "no memory");
    }
    return 0;
}

static int write_row(struct work *w, enum archive_kind kind, int64_t device, const struct archive_row *row)
{
    struct archive_raw raw = {.id = row->id, .text = row->text, .len = row->len};
    if (row->id.ms > INT64_MAX || row->id.seq > INT64_MAX)
        return 0;
    if (kind == ARCHIVE_SAMPLES) {
        if (shape_split(&w->shape, row->text, row->len) != 0)
            return 0;
        if (find_shape(w) != 0 || roll_up(w, device, (int64_t)row->id.ms) != 0)
            return -1;
        raw.shape = w->kind->id;
        raw.text = w->shape.values;
        raw.len = w->shape.values_len;
    }
    return w->db->driver->row(w->db, kind, device, &raw);
}

static int write_part(struct work *w, const struct archive_part *part, int64_t device)
{
    if (part->gap) {
        struct archive_gap gap = {.after = part->from, .before = part->gap_before, .noticed_ms = w->now_ms};
        if (w->db->driver->gap(w->db, part->kind, device, &gap) != 0)
            return -1;
    }
    for (size_t i = 0; i < part->n; i++) {
        if (write_row(w, part->kind, device, &part->rows[i]) != 0)
            return -1;
    }
    return 0;
}

static int find_devices(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct archive_part *part = &w->parts[i];
        size_t len = strlen(part->device_id);
        const struct name *device = names_find(w->a->dicts[ARCHIVE_DEVICES], part->device_id, len);
        if (len > 0 && device == NULL &&
            (device = number_of(w, ARCHIVE_DEVICES, part->device_id, len, NULL, 0)) == NULL)
            return -1;
        w->devices[i] = device != NULL ? device->id : ARCHIVE_NO_DEVICE;
        w->moves[i] = (struct archive_move){part->kind, w->devices[i], part->from, part->to};
    }
    return 0;
}

/* Within the transaction. */
static enum archive_commit write_parts(struct work *w)
{
    bool raced = false;
    char run[ARCHIVE_RUN_MAX];
    if (w->a->follows && w->db->driver->followed(w->db, run) != 0)
        return ARCHIVE_FAILED;
    if (w->a->follows && strcmp(run, w->a->run) != 0)
        return ARCHIVE_RACED;
    if (find_devices(w) != 0 || w->db->driver->move(w->db, w->moves, w->n, &raced) != 0)
        return ARCHIVE_FAILED;
    if (raced)
        return ARCHIVE_RACED;
    for (size_t i = 0; i < w->n; i++) {
        if (write_part(w, &w->parts[i], w->devices[i]) != 0)
            return ARCHIVE_FAILED;
    }
    return write_rollup(w) == 0 ? ARCHIVE_COMMITTED : ARCHIVE_FAILED;
}

static enum archive_commit transact(struct work *w)
{
    if (w->db->driver->begin(w->db, ARCHIVE_WRITE) != 0)
        return ARCHIVE_FAILED;
    enum archive_commit result = write_parts(w);
    if (result == ARCHIVE_COMMITTED)
        return w->db->driver->commit(w->db) == 0 ? ARCHIVE_COMMITTED : ARCHIVE_FAILED;
    /* The ids of this transaction will not be; a connection that failed is dropped, which rolls back as well. */
    archive_forget(w->a);
    if (result == ARCHIVE_RACED && w->db->driver->rollback(w->db) != 0)
        result = ARCHIVE_FAILED;
    return result;
}

enum archive_commit archive_commit(struct archive *a, const struct archive_part *parts, size_t n, int64_t now_ms)
{
    struct work w = {.a = a, .db = a->db, .parts = parts, .n = n, .now_ms = now_ms};
    enum archive_commit result = ARCHIVE_FAILED;
    if (archive_ready(a) != 0)
        return ARCHIVE_FAILED;
    w.devices = calloc(n + 1, sizeof(*w.devices));
    w.moves = calloc(n + 1, sizeof(*w.moves));
    rollup_clear(a->rollup);
    if (w.devices == NULL || w.moves == NULL)
        archive_driver_fail(a->db, "no memory");
    else if (check_parts(a, parts, n) == 0)
        result = transact(&w);
    if (result == ARCHIVE_FAILED)
        archive_broken(a);
    free(w.devices);
    free(w.moves);
    return result;
}

/* --- the rest ------------------------------------------------------------------------------------------ */

static int begin_writing(struct archive *a)
{
    if (archive_ready(a) != 0)
        return -1;
    if (a->db->use != ARCHIVE_WRITE || a->in_view)
        archive_driver_fail(a->db, "it is open for reading only");
    else if (a->db->driver->begin(a->db, ARCHIVE_WRITE) == 0)
        return 0;
    return archive_broken(a);
}

int archive_follow(struct archive *a, const char *run)
{
    if (begin_writing(a) != 0)
        return -1;
    if (a->db->driver->follow(a->db, run) != 0 || a->db->driver->commit(a->db) != 0)
        return archive_broken(a);
    snprintf(a->run, sizeof(a->run), "%s", run);
    a->follows = true;
    return 0;
}

int archive_expire(struct archive *a, enum archive_kind kind, int64_t before_ms, int most, int64_t *deleted)
{
    if (begin_writing(a) != 0)
        return -1;
    if (a->db->driver->expire(a->db, kind, before_ms, most, deleted) != 0 || a->db->driver->commit(a->db) != 0)
        return archive_broken(a);
    return 0;
}

int archive_expire_rollup(struct archive *a, enum archive_tier tier, int64_t before_ms, int most, int64_t *deleted)
{
    if (begin_writing(a) != 0)
        return -1;
    if (a->db->driver->expire_rollup(a->db, tier, before_ms, most, deleted) != 0 || a->db->driver->commit(a->db) != 0)
        return archive_broken(a);
    return 0;
}
