#include "sql/archive_sqlite.h"

#include "sql_sqlite.h"

#include "common/clock.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define WANTED         ((int)(sizeof(schema_sqlite) / sizeof(schema_sqlite[0])))
#define APPLICATION_ID 0x74726c79 /* "trly" */
#define PROGRESS_OPS   2000       /* of sqlite3's machine between two looks at the clock */

/* Pages in the log: it is moved into the file, as far as readers let it; it waits for them, so that it begins anew. */
#define LOG_MOVE    4000
#define LOG_WAIT    16000
#define LOG_WAIT_MS 1000

/* FULL: what is committed is on the disk, since Redis forgets it then. The log is kept short for readers. */
#define PRAGMAS_WRITE                                                                                                  \
    "PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; PRAGMA journal_size_limit = 67108864;"                     \
    "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
#define PRAGMAS_READ "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"

#define FIND(table, column) "SELECT id FROM " table " WHERE " column " = ?1"
#define ADD(table, column)  "INSERT INTO " table " (" column ") VALUES (?1)"
#define ROWS(columns, table, device, direction)                                                                        \
    "SELECT ms, seq, " columns " FROM " table " WHERE " device                                                         \
    "(ms, seq) >= (?2, ?3) AND (ms, seq) <= (?4, ?5) ORDER BY ms " direction ", seq " direction " LIMIT ?6"
#define ROLLUP(table)                                                                                                  \
    "SELECT t, min, max, sum, last, count FROM " table                                                                 \
    " WHERE device = ?1 AND metric = ?2 AND t >= ?3 AND t < ?4 ORDER BY t"
/* The count tells a new row from one that was there. */
#define DELTA(table)                                                                                                   \
    "INSERT INTO " table " (device, metric, t, min, max, sum, last, count) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "   \
    "ON CONFLICT (device, metric, t) DO UPDATE SET min = min(min, excluded.min), max = max(max, excluded.max), "       \
    "sum = sum + excluded.sum, last = excluded.last, count = count + excluded.count RETURNING count"
#define EXPIRE(table)                                                                                                  \
    "DELETE FROM " table " WHERE (device, ms, seq) IN (SELECT o.device, o.ms, o.seq FROM devices d "                   \
    "CROSS JOIN " table " o ON o.device = d.id WHERE o.ms < ?1 LIMIT ?2)"
#define EXPIRE_ROLLUP(table)                                                                                           \
    "DELETE FROM " table " WHERE (device, metric, t) IN (SELECT o.device, o.metric, o.t FROM device_metrics d "        \
    "CROSS JOIN " table " o ON o.device = d.device AND o.metric = d.metric WHERE o.t < ?1 LIMIT ?2)"

static const char *const texts[Q_STATEMENTS] = {
    [Q_FIND + ARCHIVE_DEVICES] = FIND("devices", "device_id"),
    [Q_FIND + ARCHIVE_SHAPES] = FIND("shapes", "names"),
    [Q_FIND + ARCHIVE_METRICS] = FIND("metrics", "name"),
    [Q_ADD + ARCHIVE_DEVICES] = ADD("devices", "device_id"),
    [Q_ADD + ARCHIVE_SHAPES] = ADD("shapes", "names"),
    [Q_ADD + ARCHIVE_METRICS] = ADD("metrics", "name"),
    [Q_SHAPE] = "SELECT names FROM shapes WHERE id = ?1",
    [Q_BEGIN_READ] = "BEGIN",
    [Q_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_SNAPSHOT] = "SELECT 1 FROM devices LIMIT 1",
    [Q_ROWS + ARCHIVE_SAMPLES] = ROWS("shape, v", "samples", "device = ?1 AND ", "ASC"),
    [Q_ROWS + ARCHIVE_COMMANDS] = ROWS("0, d", "commands", "device = ?1 AND ", "ASC"),
    [Q_ROWS + ARCHIVE_OUTCOMES] = ROWS("0, d", "outcomes", "device = ?1 AND ", "ASC"),
    [Q_ROWS + ARCHIVE_EVENTS] = ROWS("0, d", "events", "", "ASC"),
    [Q_ROWS_DESC + ARCHIVE_SAMPLES] = ROWS("shape, v", "samples", "device = ?1 AND ", "DESC"),
    [Q_ROWS_DESC + ARCHIVE_COMMANDS] = ROWS("0, d", "commands", "device = ?1 AND ", "DESC"),
    [Q_ROWS_DESC + ARCHIVE_OUTCOMES] = ROWS("0, d", "outcomes", "device = ?1 AND ", "DESC"),
    [Q_ROWS_DESC + ARCHIVE_EVENTS] = ROWS("0, d", "events", "", "DESC"),
    [Q_POSITION] = "SELECT ms, seq FROM positions WHERE kind = ?1 AND device = ?2",
    [Q_POSITIONS] = "SELECT p.kind, d.device_id, p.ms, p.seq FROM positions p JOIN devices d ON d.id = p.device "
                    "ORDER BY p.kind, p.device",
    [Q_FOLLOWED] = "SELECT run FROM followed",
    [Q_METRICS] = "SELECT m.name FROM device_metrics d JOIN metrics m ON m.id = d.metric WHERE d.device = ?1 "
                  "ORDER BY m.name",
    [Q_ROLLUP + ARCHIVE_MINUTE] = ROLLUP("minutes"),
    [Q_ROLLUP + ARCHIVE_HOUR] = ROLLUP("hours"),
    [Q_GAPS] = "SELECT g.kind, d.device_id, g.after_ms, g.after_seq, g.before_ms, g.before_seq, g.noticed_ms "
               "FROM gaps g JOIN devices d ON d.id = g.device WHERE ?1 IN (g.device, -1) "
               "ORDER BY g.id DESC LIMIT ?2",
    [Q_TOTALS] = "SELECT name, n FROM totals",
    [Q_SUMMARY] = "SELECT (SELECT count(*) FROM devices) - 1, (SELECT count(*) FROM gaps), "
                  "(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size), "
                  "(SELECT min((SELECT min(ms) FROM samples WHERE device = devices.id)) FROM devices), "
                  "(SELECT max((SELECT max(ms) FROM samples WHERE device = devices.id)) FROM devices)",
    [Q_MOVE] = "UPDATE positions SET ms = ?5, seq = ?6 WHERE kind = ?1 AND device = ?2 AND ms = ?3 AND seq = ?4",
    [Q_MOVE_FIRST] = "INSERT INTO positions (kind, device, ms, seq) VALUES (?1, ?2, ?5, ?6) "
                     "ON CONFLICT (kind, device) DO UPDATE SET ms = ?5, seq = ?6 WHERE ms = ?3 AND seq = ?4",
    [Q_GAP] = "INSERT INTO gaps (kind, device, after_ms, after_seq, before_ms, before_seq, noticed_ms) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [Q_ROW + ARCHIVE_SAMPLES] = "INSERT INTO samples (device, ms, seq, shape, v) VALUES (?1, ?2, ?3, ?4, ?5)",
    [Q_ROW + ARCHIVE_COMMANDS] = "INSERT INTO commands (device, ms, seq, d) VALUES (?1, ?2, ?3, ?5)",
    [Q_ROW + ARCHIVE_OUTCOMES] = "INSERT INTO outcomes (device, ms, seq, d) VALUES (?1, ?2, ?3, ?5)",
    [Q_ROW + ARCHIVE_EVENTS] = "INSERT INTO events (ms, seq, d) VALUES (?2, ?3, ?5)",
    [Q_DELTA + ARCHIVE_MINUTE] = DELTA("minutes"),
    [Q_DELTA + ARCHIVE_HOUR] = DELTA("hours"),
    [Q_DEVICE_METRIC] = "INSERT OR IGNORE INTO device_metrics (device, metric) VALUES (?1, ?2)",
    [Q_FOLLOW] = "UPDATE followed SET run = ?1",
    [Q_EXPIRE + ARCHIVE_SAMPLES] = EXPIRE("samples"),
    [Q_EXPIRE + ARCHIVE_COMMANDS] = EXPIRE("commands"),
    [Q_EXPIRE + ARCHIVE_OUTCOMES] = EXPIRE("outcomes"),
    [Q_EXPIRE + ARCHIVE_EVENTS] = "DELETE FROM events WHERE (ms, seq) IN (SELECT ms, seq FROM events "
                                  "WHERE ms < ?1 ORDER BY ms, seq LIMIT ?2)",
    [Q_EXPIRE_ROLLUP + ARCHIVE_MINUTE] = EXPIRE_ROLLUP("minutes"),
    [Q_EXPIRE_ROLLUP + ARCHIVE_HOUR] = EXPIRE_ROLLUP("hours"),
    [Q_TOTAL] = "UPDATE totals SET n = n + ?2 WHERE name = ?1",
};

static struct archive_sqlite *of(struct archive_db *db)
{
    return (struct archive_sqlite *)(void *)db;
}

/* --- statements ------------------------------------------------------------------------------------ */

int archive_sqlite_fail(struct archive_sqlite *s, int code)
{
    const char *what = s->handle != NULL ? sqlite3_errmsg(s->handle) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return archive_driver_fail(&s->db, "%s: locked by another program for %d ms", s->path, s->db.deadline_ms);
    case SQLITE_INTERRUPT:
        return archive_driver_fail(&s->db, "%s: no end within %d ms", s->path, s->db.deadline_ms);
    case SQLITE_FULL:
        return archive_driver_fail(&s->db, "%s: no space left on the disk", s->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return archive_driver_fail(&s->db, "%s: damaged: %s", s->path, what);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
        int err = s->handle != NULL ? sqlite3_system_errno(s->handle) : 0;
        return archive_driver_fail(&s->db, "%s: %s%s%s", s->path, what, err != 0 ? ": " : "",
                                   err != 0 ? strerror(err) : "");
    }
    default:
        return archive_driver_fail(&s->db, "%s: %s", s->path, what);
    }
}

sqlite3_stmt *archive_sqlite_statement(struct archive_sqlite *s, int which)
{
    sqlite3_stmt **statement = &s->statements[which];
    if (*statement == NULL) {
        int code = sqlite3_prepare_v3(s->handle, texts[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
        if (code != SQLITE_OK)
            archive_sqlite_fail(s, code);
    }
    return *statement;
}

int archive_sqlite_step(struct archive_sqlite *s, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return code;
    if (code != SQLITE_DONE)
        archive_sqlite_fail(s, code);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? code : -1;
}

int archive_sqlite_run(struct archive_sqlite *s, sqlite3_stmt *statement)
{
    int code;
    if (statement == NULL)
        return -1;
    do
        code = archive_sqlite_step(s, statement);
    while (code == SQLITE_ROW);
    return code == SQLITE_DONE ? 0 : -1;
}

static int run(struct archive_sqlite *s, int which)
{
    return archive_sqlite_run(s, archive_sqlite_statement(s, which));
}

static int execute(struct archive_sqlite *s, const char *text)
{
    int code = sqlite3_exec(s->handle, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : archive_sqlite_fail(s, code);
}

/* The first column of the first row; 0 without a row. */
static int read_number(struct archive_sqlite *s, const char *text, int64_t *number)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(s->handle, text, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return archive_sqlite_fail(s, code);
    code = archive_sqlite_step(s, statement);
    *number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return code < 0 ? -1 : 0;
}

/* --- the connection -------------------------------------------------------------------------------- */

static struct archive_db *create(const char *database)
{
    struct archive_sqlite *s = calloc(1, sizeof(*s));
    if (s == NULL || (s->path = strdup(database + strlen("sqlite:"))) == NULL) {
        free(s);
        return NULL;
    }
    return &s->db;
}

static void destroy(struct archive_db *db)
{
    free(of(db)->path);
    free(of(db));
}

static void disconnect(struct archive_db *db)
{
    struct archive_sqlite *s = of(db);
    for (int i = 0; i < Q_STATEMENTS; i++) {
        sqlite3_finalize(s->statements[i]);
        s->statements[i] = NULL;
    }
    sqlite3_close(s->handle);
    s->handle = NULL;
}

/* Another connection holds a lock that is needed. */
static int on_busy(void *ctx, int times)
{
    struct archive_sqlite *s = ctx;
    int left = archive_driver_left_ms(&s->db), pause = times < 10 ? 1 : 5;
    struct timespec t = {.tv_nsec = (left < pause ? left : pause) * 1000000L};
    if (left == 0)
        return 0;
    nanosleep(&t, NULL);
    return 1;
}

static int on_progress(void *ctx)
{
    struct archive_sqlite *s = ctx;
    return archive_driver_left_ms(&s->db) == 0;
}

/* After a commit, which stands whatever happens here. Readers that overlap for ever would let the log grow for ever: it
 * begins anew only once nobody reads it. Those who begin while this waits read the file alone. */
static int on_commit(void *ctx, sqlite3 *handle, const char *name, int pages)
{
    struct archive_sqlite *s = ctx;
    int64_t until_ms = clock_mono_ms() + LOG_WAIT_MS;
    if (pages < LOG_MOVE)
        return SQLITE_OK;
    if (until_ms < s->db.until_ms)
        s->db.until_ms = until_ms;
    sqlite3_wal_checkpoint_v2(handle, name, pages < LOG_WAIT ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART,
                              NULL, NULL);
    return SQLITE_OK;
}

static int open_file(struct archive_sqlite *s, bool make)
{
    int flags = s->db.use == ARCHIVE_READ && !make ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int code =
        sqlite3_open_v2(s->path, &s->handle, flags | (make ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return archive_sqlite_fail(s, code);
    /* Log and shared memory outlive this, or readers who may not write could not open the file afterwards. */
    sqlite3_file_control(s->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &(int){s->db.use == ARCHIVE_WRITE});
    sqlite3_busy_handler(s->handle, on_busy, s);
    sqlite3_progress_handler(s->handle, PROGRESS_OPS, on_progress, s);
    sqlite3_wal_hook(s->handle, on_commit, s);
    return execute(s, s->db.use == ARCHIVE_READ ? PRAGMAS_READ : PRAGMAS_WRITE);
}

/* A file that is missing is an archive of version 0, one whose directory is missing is a mistake. */
static int check_directory(struct archive_sqlite *s)
{
    char copy[4096];
    struct stat st;
    snprintf(copy, sizeof(copy), "%s", s->path);
    const char *directory = dirname(copy);
    if (stat(directory, &st) != 0)
        return archive_driver_fail(&s->db, "%s: %s", directory, strerror(errno));
    return 0;
}

static int connect_file(struct archive_db *db, bool make)
{
    struct archive_sqlite *s = of(db);
    struct stat st;
    if (!make && stat(s->path, &st) != 0 && errno == ENOENT)
        return check_directory(s);
    if (check_directory(s) == 0 && open_file(s, make) == 0)
        return 0;
    disconnect(db);
    return -1;
}

/* The file that is open may have been deleted or replaced. */
static bool alive(struct archive_db *db)
{
    struct archive_sqlite *s = of(db);
    int moved = 0;
    return s->handle != NULL && sqlite3_file_control(s->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
           !moved;
}

/* --- the schema ------------------------------------------------------------------------------------ */

static int read_version(struct archive_db *db, int *version)
{
    struct archive_sqlite *s = of(db);
    int64_t number, id, tables;
    *version = 0;
    if (s->handle == NULL)
        return 0;
    if (read_number(s, "PRAGMA user_version", &number) != 0 || read_number(s, "PRAGMA application_id", &id) != 0 ||
        read_number(s, "SELECT count(*) FROM sqlite_schema", &tables) != 0)
        return -1;
    if (id != APPLICATION_ID && (number != 0 || tables > 0))
        return archive_driver_fail(db, "%s: is another program's database", s->path);
    *version = (int)number;
    return 0;
}

/* Readers and the writer side by side. This is kept in the file; several programs may be at it. */
static int use_log(struct archive_sqlite *s)
{
    int code;
    int waited = 0;
    do
        code = sqlite3_exec(s->handle, "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    while ((code & 0xff) == SQLITE_BUSY && on_busy(s, waited++));
    return code == SQLITE_OK ? 0 : archive_sqlite_fail(s, code);
}

/* One step in one transaction; *version is what it was before. */
static int migrate_step(struct archive_sqlite *s, int *version)
{
    char after[96];
    if (run(s, Q_BEGIN_WRITE) != 0 || read_version(&s->db, version) != 0)
        return -1;
    if (*version >= WANTED)
        return run(s, Q_ROLLBACK);
    snprintf(after, sizeof(after), "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID,
             *version + 1);
    if (execute(s, schema_sqlite[*version]) != 0 || execute(s, after) != 0)
        return -1;
    return run(s, Q_COMMIT);
}

static int migrate(struct archive_db *db, int *from)
{
    struct archive_sqlite *s = of(db);
    int version;
    if (s->handle == NULL && open_file(s, true) != 0)
        return -1;
    if (read_version(db, &version) != 0 || (version == 0 && use_log(s) != 0) || migrate_step(s, from) != 0)
        return -1;
    for (version = *from; version < WANTED;) {
        if (migrate_step(s, &version) != 0)
            return -1;
    }
    return 0;
}

/* --- transactions ---------------------------------------------------------------------------------- */

static int begin(struct archive_db *db, enum archive_use use)
{
    struct archive_sqlite *s = of(db);
    memset(s->added, 0, sizeof(s->added));
    if (use == ARCHIVE_WRITE)
        return run(s, Q_BEGIN_WRITE);
    return run(s, Q_BEGIN_READ) == 0 ? run(s, Q_SNAPSHOT) : -1;
}

static int commit(struct archive_db *db)
{
    return archive_sqlite_totals(of(db)) == 0 ? run(of(db), Q_COMMIT) : -1;
}

static int rollback(struct archive_db *db)
{
    return run(of(db), Q_ROLLBACK);
}

/* --- texts as numbers ------------------------------------------------------------------------------ */

static int find(struct archive_db *db, enum archive_dict dict, const char *text, size_t len, int64_t *id)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *statement = archive_sqlite_statement(s, Q_FIND + (int)dict);
    if (statement == NULL)
        return -1;
    sqlite3_bind_text(statement, 1, text, (int)len, SQLITE_STATIC);
    int code = archive_sqlite_step(s, statement);
    *id = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : ARCHIVE_UNKNOWN;
    sqlite3_reset(statement);
    return code < 0 ? -1 : 0;
}

static int add(struct archive_db *db, enum archive_dict dict, const char *text, size_t len, int64_t *id)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *statement = archive_sqlite_statement(s, Q_ADD + (int)dict);
    if (statement == NULL)
        return -1;
    sqlite3_bind_text(statement, 1, text, (int)len, SQLITE_STATIC);
    if (archive_sqlite_run(s, statement) != 0)
        return -1;
    *id = sqlite3_last_insert_rowid(s->handle);
    return 0;
}

static int shape(struct archive_db *db, int64_t id, char *names, size_t *len)
{
    struct archive_sqlite *s = of(db);
    sqlite3_stmt *statement = archive_sqlite_statement(s, Q_SHAPE);
    if (statement == NULL)
        return -1;
    sqlite3_bind_int64(statement, 1, id);
    int code = archive_sqlite_step(s, statement);
    if (code < 0)
        return -1;
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    *len = text != NULL ? (size_t)sqlite3_column_bytes(statement, 0) : 0;
    bool whole = text != NULL && *len < ARCHIVE_SHAPE_BYTES;
    if (whole)
        memcpy(names, text, *len);
    sqlite3_reset(statement);
    return whole ? 0 : archive_driver_fail(db, "%s: damaged: there is no shape %lld", s->path, (long long)id);
}

const struct archive_driver archive_sqlite = {
    .wanted = WANTED,
    .create = create,
    .destroy = destroy,
    .connect = connect_file,
    .disconnect = disconnect,
    .alive = alive,
    .version = read_version,
    .migrate = migrate,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .find = find,
    .add = add,
    .shape = shape,
    .rows = archive_sqlite_rows,
    .position = archive_sqlite_position,
    .positions = archive_sqlite_positions,
    .followed = archive_sqlite_followed,
    .metrics = archive_sqlite_metrics,
    .rollup = archive_sqlite_rollup,
    .gaps = archive_sqlite_gaps,
    .status = archive_sqlite_status,
    .move = archive_sqlite_move,
    .gap = archive_sqlite_gap,
    .row = archive_sqlite_row,
    .delta = archive_sqlite_delta,
    .device_metric = archive_sqlite_device_metric,
    .follow = archive_sqlite_follow,
    .expire = archive_sqlite_expire,
    .expire_rollup = archive_sqlite_expire_rollup,
};
