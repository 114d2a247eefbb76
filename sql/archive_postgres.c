#include "sql/archive_postgres.h"
#include "sql/pguri.h"

#include "sql_postgres.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WANTED ((int)(sizeof(schema_postgres) / sizeof(schema_postgres[0])))

/* One program writes or migrates at a time, as with SQLite. */
#define LOCK "SELECT pg_advisory_xact_lock(8390895848)"

/* A program that was stopped must not hold the others up for long. */
#define IDLE_MIN_MS 60000

static const char wrong_uri[] = "[archive] database must be sqlite:/path or postgresql://USER:PASSWORD@HOST:PORT/NAME, "
                                "with each @ / ? : % within a part percent-encoded";

static struct archive_postgres *of(struct archive_db *db)
{
    return (struct archive_postgres *)(void *)db;
}

static int simple(struct archive_postgres *p, const char *statements)
{
    PGresult *result = archive_postgres_simple(p, statements);
    PQclear(result);
    return result != NULL ? 0 : -1;
}

/* --- the connection -------------------------------------------------------------------------------- */

static struct archive_db *create(const char *database)
{
    struct archive_postgres *p = calloc(1, sizeof(*p));
    if (p == NULL || (p->uri = strdup(database)) == NULL) {
        free(p);
        return NULL;
    }
    archive_postgres_init_bulk(p);
    /* libpq waits for the resolver, which by itself tries for 10 s; unless it is told otherwise from outside. */
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
    return &p->db;
}

static void forget_password(struct archive_postgres *p)
{
    if (p->password != NULL)
        explicit_bzero(p->password, strlen(p->password));
    free(p->password);
    p->password = NULL;
}

static void destroy(struct archive_db *db)
{
    struct archive_postgres *p = of(db);
    archive_postgres_finish_bulk(p);
    forget_password(p);
    explicit_bzero(p->uri, strlen(p->uri));
    free(p->uri);
    free(p);
}

static void disconnect(struct archive_db *db)
{
    struct archive_postgres *p = of(db);
    PQfinish(p->conn);
    p->conn = NULL;
    memset(p->prepared, 0, sizeof(p->prepared));
    archive_postgres_clear_bulk(p);
}

/* libpq's own message may quote a part of the password. */
static int read_uri(struct archive_postgres *p)
{
    PQconninfoOption *options = pguri_check(p->uri) == 0 ? PQconninfoParse(p->uri, NULL) : NULL;
    forget_password(p);
    if (options == NULL)
        return archive_driver_fail(&p->db, "%s", wrong_uri);
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, "password") == 0 && o->val != NULL)
            p->password = strdup(o->val);
    }
    PQconninfoFree(options);
    return 0;
}

static void ignore_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

/* What the server's configuration, the database's and the role's may say otherwise. Indexes are always right here, and
 * a plan that was made while a table was empty would read all of it later. */
static int set_up(struct archive_postgres *p)
{
    char text[512];
    int idle_ms = p->db.use == ARCHIVE_WRITE ? p->db.deadline_ms : p->db.deadline_ms + IDLE_MIN_MS;
    snprintf(text, sizeof(text),
             "SET statement_timeout = %d; SET idle_in_transaction_session_timeout = %d; SET synchronous_commit = on; "
             "SET jit = off; SET enable_seqscan = off; SET standard_conforming_strings = on; "
             "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off",
             p->db.deadline_ms, idle_ms);
    return simple(p, text);
}

static int connect_server(struct archive_db *db, bool make)
{
    struct archive_postgres *p = of(db);
    (void)make;
    if (read_uri(p) == 0 && archive_postgres_connect(p) == 0) {
        PQsetNoticeProcessor(p->conn, ignore_notice, NULL);
        if (set_up(p) == 0)
            return 0;
    }
    disconnect(db);
    return -1;
}

/* A server that ended has said so by now. */
static bool alive(struct archive_db *db)
{
    struct archive_postgres *p = of(db);
    struct pollfd fd = {.fd = PQsocket(p->conn), .events = POLLIN};
    for (int i = 0; i < 4 && poll(&fd, 1, 0) > 0; i++) {
        if (PQconsumeInput(p->conn) == 0)
            return false;
    }
    return PQstatus(p->conn) == CONNECTION_OK && fd.revents == 0;
}

/* --- the schema ------------------------------------------------------------------------------------ */

static int read_number(struct archive_postgres *p, const char *statement, int *number)
{
    PGresult *result = archive_postgres_simple(p, statement);
    if (result == NULL)
        return -1;
    *number = PQntuples(result) == 1 ? (int)strtol(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return 0;
}

static int read_version(struct archive_db *db, int *version)
{
    int tables;
    *version = 0;
    if (read_number(of(db), "SELECT count(to_regclass('archive_schema'))", &tables) != 0)
        return -1;
    return tables > 0 ? read_number(of(db), "SELECT max(version) FROM archive_schema", version) : 0;
}

/* One step in one transaction; *version is what it was before. */
static int migrate_step(struct archive_postgres *p, int *version)
{
    char after[96];
    if (simple(p, "BEGIN; " LOCK) != 0 || read_version(&p->db, version) != 0)
        return -1;
    if (*version >= WANTED)
        return simple(p, "ROLLBACK");
    snprintf(after, sizeof(after), "INSERT INTO archive_schema (version) VALUES (%d)", *version + 1);
    if (simple(p, schema_postgres[*version]) != 0 || simple(p, after) != 0)
        return -1;
    return simple(p, "COMMIT");
}

static int migrate(struct archive_db *db, int *from)
{
    if (migrate_step(of(db), from) != 0)
        return -1;
    for (int version = *from; version < WANTED;) {
        if (migrate_step(of(db), &version) != 0)
            return -1;
    }
    return 0;
}

/* --- transactions ---------------------------------------------------------------------------------- */

static int begin(struct archive_db *db, enum archive_use use)
{
    archive_postgres_clear_bulk(of(db));
    if (use == ARCHIVE_WRITE)
        return simple(of(db), "BEGIN; " LOCK);
    return simple(of(db), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1");
}

static int commit(struct archive_db *db)
{
    struct archive_postgres *p = of(db);
    PGresult *result = archive_postgres_flush(p) == 0 ? archive_postgres_simple(p, "COMMIT") : NULL;
    if (result == NULL)
        return -1;
    bool done = strcmp(PQcmdStatus(result), "COMMIT") == 0; /* else it was rolled back */
    PQclear(result);
    return done ? 0 : archive_driver_fail(db, "PostgreSQL: the transaction was rolled back");
}

static int rollback(struct archive_db *db)
{
    archive_postgres_clear_bulk(of(db));
    return simple(of(db), "ROLLBACK");
}

/* --- texts as numbers ------------------------------------------------------------------------------ */

static int number_of(struct archive_postgres *p, int which, const char *text, size_t len, int64_t *id)
{
    struct archive_postgres_params params = {0};
    archive_postgres_bytes(&params, text, len);
    PGresult *result = archive_postgres_run(p, which, &params);
    if (result == NULL)
        return -1;
    *id = PQntuples(result) > 0 ? archive_postgres_get_int(result, 0, 0) : ARCHIVE_UNKNOWN;
    PQclear(result);
    return 0;
}

static int find(struct archive_db *db, enum archive_dict dict, const char *text, size_t len, int64_t *id)
{
    return number_of(of(db), Q_FIND + (int)dict, text, len, id);
}

static int add(struct archive_db *db, enum archive_dict dict, const char *text, size_t len, int64_t *id)
{
    return number_of(of(db), Q_ADD + (int)dict, text, len, id);
}

static int shape(struct archive_db *db, int64_t id, char *names, size_t *len)
{
    struct archive_postgres_params params = {0};
    archive_postgres_int(&params, id);
    PGresult *result = archive_postgres_run(of(db), Q_SHAPE, &params);
    if (result == NULL)
        return -1;
    *len = PQntuples(result) > 0 ? (size_t)PQgetlength(result, 0, 0) : ARCHIVE_SHAPE_BYTES;
    bool whole = *len < ARCHIVE_SHAPE_BYTES;
    if (whole)
        memcpy(names, PQgetvalue(result, 0, 0), *len);
    PQclear(result);
    return whole ? 0 : archive_driver_fail(db, "the database is damaged: there is no shape %lld", (long long)id);
}

const struct archive_driver archive_postgres = {
    .wanted = WANTED,
    .create = create,
    .destroy = destroy,
    .connect = connect_server,
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
    .rows = archive_postgres_rows,
    .position = archive_postgres_position,
    .positions = archive_postgres_positions,
    .followed = archive_postgres_followed,
    .metrics = archive_postgres_metrics,
    .rollup = archive_postgres_rollup,
    .gaps = archive_postgres_gaps,
    .status = archive_postgres_status,
    .move = archive_postgres_move,
    .gap = archive_postgres_gap,
    .row = archive_postgres_row,
    .delta = archive_postgres_delta,
    .device_metric = archive_postgres_device_metric,
    .follow = archive_postgres_follow,
    .expire = archive_postgres_expire,
    .expire_rollup = archive_postgres_expire_rollup,
};
