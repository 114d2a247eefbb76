#include "sql/archive.h"
#include "sql/archive_driver.h"
#include "sql/shape.h"

#include "common/clock.h"
#include "common/msg.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS ((size_t)4096) /* that a driver is asked for at a time */

/* Texts that are remembered; a fleet has fewer. */
static const size_t dict_most[ARCHIVE_DICTS] = {16384, 16384, 16384};
#define PAIRS_MOST ((size_t)262144)

const char *const archive_kind_names[ARCHIVE_KINDS] = {"samples", "commands", "outcomes", "events"};
const int64_t archive_tier_ms[ARCHIVE_TIERS] = {60000, 3600000};

/* --- calls --------------------------------------------------------------------------------------- */

int archive_driver_fail(struct archive_db *db, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(db->reason, sizeof(db->reason), format, ap);
    va_end(ap);
    return -1;
}

int archive_driver_left_ms(const struct archive_db *db)
{
    int64_t left = db->until_ms - clock_mono_ms();
    return left < 0 ? 0 : left > db->deadline_ms ? db->deadline_ms : (int)left;
}

struct archive *archive_create(const char *database, enum archive_use use, int deadline_ms)
{
    struct archive *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    const struct archive_driver *driver = strncmp(database, "sqlite:", 7) == 0 ? &archive_sqlite : &archive_postgres;
    bool whole = (a->pairs = names_create(PAIRS_MOST)) != NULL && (a->rollup = rollup_create()) != NULL &&
                 (a->db = driver->create(database)) != NULL;
    for (int i = 0; i < ARCHIVE_DICTS; i++)
        whole = (a->dicts[i] = names_create(dict_most[i])) != NULL && whole;
    if (!whole) {
        archive_destroy(a);
        return NULL;
    }
    a->db->driver = driver;
    a->db->use = use;
    a->db->deadline_ms = deadline_ms;
    return a;
}

void archive_forget(struct archive *a)
{
    for (int i = 0; i < ARCHIVE_DICTS; i++)
        names_clear(a->dicts[i]);
    names_clear(a->pairs);
}

void archive_disconnect(struct archive *a)
{
    if (a->db->connected)
        a->db->driver->disconnect(a->db);
    a->db->connected = a->checked = false;
    a->view_lost = a->in_view;
    archive_forget(a);
}

void archive_destroy(struct archive *a)
{
    if (a == NULL)
        return;
    if (a->db != NULL) {
        archive_disconnect(a);
        a->db->driver->destroy(a->db);
    }
    for (int i = 0; i < ARCHIVE_DICTS; i++)
        names_destroy(a->dicts[i]);
    names_destroy(a->pairs);
    rollup_destroy(a->rollup);
    free(a);
}

const char *archive_reason(const struct archive *a)
{
    return a->reason;
}

int archive_broken(struct archive *a)
{
    memcpy(a->reason, a->db->reason, sizeof(a->reason));
    archive_disconnect(a);
    return -1;
}

/* Begins a call, with a connection whatever the schema is. */
static int reach(struct archive *a, bool make)
{
    a->db->until_ms = clock_mono_ms() + a->db->deadline_ms;
    if (a->in_view && a->view_lost)
        return archive_driver_fail(a->db, "the connection was lost while it was read from");
    if (a->db->connected && !a->in_view && !a->db->driver->alive(a->db))
        archive_disconnect(a);
    if (a->db->connected)
        return 0;
    if (a->db->driver->connect(a->db, make) != 0)
        return -1;
    a->db->connected = true;
    return 0;
}

static int check_version(struct archive *a)
{
    int found, wanted = a->db->driver->wanted;
    if (a->db->driver->version(a->db, &found) != 0)
        return -1;
    if (found == wanted)
        return 0;
    if (found == 0)
        return archive_driver_fail(a->db, "there is no archive yet: telerelayctl archive migrate makes it");
    if (found > wanted)
        return archive_driver_fail(a->db, "the database has version %d, which is newer than this program's %d", found,
                                   wanted);
    return archive_driver_fail(a->db, "the database has version %d, not %d: telerelayctl archive migrate updates it",
                               found, wanted);
}

int archive_ready(struct archive *a)
{
    if (reach(a, false) == 0 && (a->checked || check_version(a) == 0)) {
        a->checked = true;
        return 0;
    }
    return archive_broken(a);
}

int archive_version(struct archive *a, int *found, int *wanted)
{
    *wanted = a->db->driver->wanted;
    if (reach(a, false) != 0 || a->db->driver->version(a->db, found) != 0)
        return archive_broken(a);
    return 0;
}

int archive_migrate(struct archive *a, int *from, int *to)
{
    *to = a->db->driver->wanted;
    if (reach(a, true) != 0 || a->db->driver->migrate(a->db, from) != 0)
        return archive_broken(a);
    if (*from > *to) {
        archive_driver_fail(a->db, "the database has version %d, which is newer than this program's %d", *from, *to);
        return archive_broken(a);
    }
    return 0;
}

/* --- views --------------------------------------------------------------------------------------- */

int archive_begin_view(struct archive *a)
{
    a->view_lost = false;
    int rc = archive_ready(a);
    if (rc == 0 && a->db->driver->begin(a->db, ARCHIVE_READ) != 0)
        rc = archive_broken(a);
    a->in_view = true;
    a->view_lost = rc != 0;
    return rc;
}

void archive_end_view(struct archive *a)
{
    bool open = a->in_view && !a->view_lost;
    a->in_view = a->view_lost = false;
    if (!open)
        return;
    a->db->until_ms = clock_mono_ms() + a->db->deadline_ms;
    if (a->db->driver->rollback(a->db) != 0)
        archive_disconnect(a);
}

/* --- texts as numbers ---------------------------------------------------------------------------- */

/* ARCHIVE_UNKNOWN when the database does not have it. */
static int id_of(struct archive *a, enum archive_dict dict, const char *text, int64_t *id)
{
    size_t len = strlen(text);
    const struct name *known = names_find(a->dicts[dict], text, len);
    if (known != NULL) {
        *id = known->id;
        return 0;
    }
    if (a->db->driver->find(a->db, dict, text, len, id) != 0)
        return -1;
    if (*id != ARCHIVE_UNKNOWN && names_put(a->dicts[dict], text, len, *id, NULL, 0) == NULL)
        return archive_driver_fail(a->db, "no memory");
    return 0;
}

static int device_of(struct archive *a, const char *device_id, int64_t *id)
{
    *id = *device_id == '\0' ? ARCHIVE_NO_DEVICE : ARCHIVE_UNKNOWN;
    if (*device_id == '\0' || !msg_device_id_valid(device_id, strlen(device_id)))
        return 0;
    return id_of(a, ARCHIVE_DEVICES, device_id, id);
}

static const struct name *shape_of(struct archive *a, int64_t id)
{
    const struct name *known = names_of_id(a->dicts[ARCHIVE_SHAPES], id);
    char names[ARCHIVE_SHAPE_BYTES];
    size_t len;
    if (known != NULL)
        return known;
    if (a->db->driver->shape(a->db, id, names, &len) != 0)
        return NULL;
    known = names_put(a->dicts[ARCHIVE_SHAPES], names, len, id, NULL, 0);
    if (known == NULL)
        archive_driver_fail(a->db, "no memory");
    return known;
}

/* --- reading --------------------------------------------------------------------------------------- */

/* One call of archive_rows. */
struct reading {
    struct archive *a;
    bool samples;
    archive_row_fn *fn;
    void *ctx;
    size_t n; /* of this page */
    struct streamid last;
    bool ended;  /* by fn */
    bool failed; /* db->reason says why */
    char text[SAMPLE_MAX];
};

static int on_raw(void *ctx, const struct archive_raw *raw)
{
    struct reading *r = ctx;
    struct archive_row row = {.id = raw->id, .text = raw->text, .len = raw->len};
    if (r->samples) {
        const struct name *shape = shape_of(r->a, raw->shape);
        int len = shape != NULL ? shape_join(r->text, shape->text, shape->len, raw->text, raw->len) : -1;
        if (len < 0) {
            if (shape != NULL)
                archive_driver_fail(r->a->db, "the database is damaged: a sample does not fit its shape %lld",
                                    (long long)raw->shape);
            r->failed = true;
            return 1;
        }
        row.text = r->text;
        row.len = (size_t)len;
    }
    r->n++;
    r->last = raw->id;
    r->ended = r->fn(r->ctx, &row) != 0;
    return r->ended;
}

/* To what a database can hold; false: nothing is left. */
static bool narrow(struct streamid_range *range)
{
    if (range->lo.seq > INT64_MAX) {
        if (range->lo.ms == UINT64_MAX)
            return false;
        range->lo.ms++;
        range->lo.seq = 0;
    }
    if (range->hi.ms > INT64_MAX)
        range->hi = (struct streamid){INT64_MAX, INT64_MAX};
    if (range->hi.seq > INT64_MAX)
        range->hi.seq = INT64_MAX;
    return streamid_compare(range->lo, range->hi) <= 0;
}

/* Page by page, so that no answer has to be held as a whole. */
static int read_pages(struct reading *r, enum archive_kind kind, int64_t device, struct streamid_range range,
                      size_t count, bool descending)
{
    struct archive_db *db = r->a->db;
    while (count > 0 && narrow(&range)) {
        size_t page = count < PAGE_ROWS ? count : PAGE_ROWS;
        r->n = 0;
        if (db->driver->rows(db, kind, device, range, page, descending, on_raw, r) != 0 || r->failed)
            return -1;
        if (r->ended || r->n < page)
            return 0;
        count -= r->n;
        if (descending)
            range.hi = r->last;
        else
            range.lo = r->last;
        if (!(descending ? streamid_before(&range.hi) : streamid_after(&range.lo)))
            return 0;
    }
    return 0;
}

int archive_rows(struct archive *a, enum archive_kind kind, const char *device_id, struct streamid_range range,
                 size_t count, bool descending, archive_row_fn *fn, void *ctx)
{
    struct reading r = {.a = a, .samples = kind == ARCHIVE_SAMPLES, .fn = fn, .ctx = ctx};
    struct archive_db *db = a->db;
    int64_t device;
    bool own_view = !a->in_view && count > PAGE_ROWS;
    if (archive_ready(a) != 0)
        return -1;
    if (device_of(a, device_id, &device) != 0)
        return archive_broken(a);
    if (device == ARCHIVE_UNKNOWN)
        return 0;
    if (own_view && db->driver->begin(db, ARCHIVE_READ) != 0)
        return archive_broken(a);
    if (read_pages(&r, kind, device, range, count, descending) != 0)
        return archive_broken(a);
    if (own_view && db->driver->rollback(db) != 0)
        return archive_broken(a);
    return 0;
}

int archive_position(struct archive *a, enum archive_kind kind, const char *device_id, struct streamid *position,
                     bool *known)
{
    int64_t device;
    *known = false;
    *position = STREAMID_FIRST;
    if (archive_ready(a) != 0)
        return -1;
    if (device_of(a, device_id, &device) != 0)
        return archive_broken(a);
    if (device == ARCHIVE_UNKNOWN)
        return 0;
    return a->db->driver->position(a->db, kind, device, position, known) == 0 ? 0 : archive_broken(a);
}

int archive_positions(struct archive *a, archive_position_fn *fn, void *ctx)
{
    if (archive_ready(a) != 0)
        return -1;
    return a->db->driver->positions(a->db, fn, ctx) == 0 ? 0 : archive_broken(a);
}

int archive_followed(struct archive *a, char run[ARCHIVE_RUN_MAX])
{
    if (archive_ready(a) != 0)
        return -1;
    return a->db->driver->followed(a->db, run) == 0 ? 0 : archive_broken(a);
}

int archive_metrics(struct archive *a, const char *device_id, archive_metric_fn *fn, void *ctx)
{
    int64_t device;
    if (archive_ready(a) != 0)
        return -1;
    if (device_of(a, device_id, &device) != 0)
        return archive_broken(a);
    if (device == ARCHIVE_UNKNOWN)
        return 0;
    return a->db->driver->metrics(a->db, device, fn, ctx) == 0 ? 0 : archive_broken(a);
}

int archive_rollup(struct archive *a, enum archive_tier tier, const char *device_id, const char *metric,
                   int64_t from_ms, int64_t to_ms, archive_bucket_fn *fn, void *ctx)
{
    int64_t device, number = ARCHIVE_UNKNOWN;
    if (archive_ready(a) != 0)
        return -1;
    if (device_of(a, device_id, &device) != 0 ||
        (device != ARCHIVE_UNKNOWN && id_of(a, ARCHIVE_METRICS, metric, &number) != 0))
        return archive_broken(a);
    if (number == ARCHIVE_UNKNOWN)
        return 0;
    if (a->db->driver->rollup(a->db, tier, device, number, from_ms, to_ms, fn, ctx) != 0)
        return archive_broken(a);
    return 0;
}

int archive_gaps(struct archive *a, const char *device_id, size_t count, archive_gap_fn *fn, void *ctx)
{
    int64_t device = ARCHIVE_UNKNOWN;
    if (archive_ready(a) != 0)
        return -1;
    if (device_id != NULL && device_of(a, device_id, &device) != 0)
        return archive_broken(a);
    if (device_id != NULL && device == ARCHIVE_UNKNOWN)
        return 0;
    return a->db->driver->gaps(a->db, device, count, fn, ctx) == 0 ? 0 : archive_broken(a);
}

int archive_status(struct archive *a, struct archive_status *status)
{
    const struct archive_driver *driver = a->db->driver;
    if (archive_ready(a) != 0)
        return -1;
    if (!a->in_view && driver->begin(a->db, ARCHIVE_READ) != 0)
        return archive_broken(a);
    memset(status, 0, sizeof(*status));
    if (driver->status(a->db, status) != 0 || (!a->in_view && driver->rollback(a->db) != 0))
        return archive_broken(a);
    return 0;
}
