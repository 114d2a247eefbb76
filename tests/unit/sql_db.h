/* Databases for the tests of the archive: an SQLite file, or a PostgreSQL of the tests' own (tests/postgres). */
#ifndef TELERELAY_TESTS_SQL_DB_H
#define TELERELAY_TESTS_SQL_DB_H

#include "sql/archive.h"

#include <postgresql/libpq-fe.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DB_MS 20000 /* deadline where none is tested */

static char db_dir[] = "/tmp/telerelay-sql-XXXXXX"; /* of this program */
static char db_path[64], db_uri[256];               /* the file, "" with PostgreSQL; the database */

static inline void db_shell(const char *command, char *out, size_t cap)
{
    char line[512];
    snprintf(line, sizeof(line), "tests/postgres %s %s", db_dir, command);
    FILE *f = popen(line, "re");
    assert_non_null(f);
    size_t len = fread(line, 1, sizeof(line) - 1, f);
    line[len] = '\0';
    line[strcspn(line, "\n")] = '\0';
    assert_int_equal(pclose(f), 0);
    if (out != NULL)
        snprintf(out, cap, "%s", line);
}

static inline int db_use_sqlite(void **state)
{
    (void)state;
    assert_true(strchr(db_dir, 'X') == NULL || mkdtemp(db_dir) != NULL);
    snprintf(db_path, sizeof(db_path), "%s/archive.db", db_dir);
    snprintf(db_uri, sizeof(db_uri), "sqlite:%s", db_path);
    return 0;
}

static inline int db_use_postgres(void **state)
{
    (void)state;
    assert_true(strchr(db_dir, 'X') == NULL || mkdtemp(db_dir) != NULL);
    db_path[0] = '\0';
    db_shell("start durable", db_uri, sizeof(db_uri));
    return 0;
}

static inline int db_remove(void **state)
{
    char command[128];
    (void)state;
    if (db_path[0] == '\0')
        db_shell("remove", NULL, 0);
    snprintf(command, sizeof(command), "rm -rf %s", db_dir);
    int rc = system(command);
    memcpy(db_dir + strlen(db_dir) - 6, "XXXXXX", 6);
    return rc;
}

/* SQL behind the archive's back, on a connection of its own. */
static inline void db_execute(const char *text)
{
    if (db_path[0] != '\0') {
        sqlite3 *handle;
        assert_int_equal(sqlite3_open(db_path, &handle), SQLITE_OK);
        sqlite3_busy_timeout(handle, DB_MS);
        if (sqlite3_exec(handle, text, NULL, NULL, NULL) != SQLITE_OK)
            fail_msg("%s: %s", text, sqlite3_errmsg(handle));
        sqlite3_close(handle);
        return;
    }
    PGconn *conn = PQconnectdb(db_uri);
    PGresult *result = PQexec(conn, text);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
}

static inline struct archive *db_open(enum archive_use use, int deadline_ms)
{
    struct archive *a = archive_create(db_uri, use, deadline_ms);
    assert_non_null(a);
    return a;
}

/* Nothing is left of what was there. */
static inline void db_erase(void)
{
    char other[80];
    if (db_path[0] == '\0') {
        db_execute("SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
        return;
    }
    unlink(db_path);
    snprintf(other, sizeof(other), "%s-wal", db_path);
    unlink(other);
    snprintf(other, sizeof(other), "%s-shm", db_path);
    unlink(other);
}

/* A new, empty archive. */
static inline struct archive *db_make(void)
{
    int from, to;
    db_erase();
    struct archive *a = db_open(ARCHIVE_WRITE, DB_MS);
    if (archive_migrate(a, &from, &to) != 0)
        fail_msg("%s", archive_reason(a));
    assert_int_equal(from, 0);
    assert_true(to > 0);
    return a;
}

#define db_ok(a, call)                                                                                                 \
    do {                                                                                                               \
        if ((call) != 0)                                                                                               \
            fail_msg("%s: %s", #call, archive_reason(a));                                                              \
    } while (0)

/* Entries of one stream, as if they had been read from it after `from`. */
static inline struct archive_part db_part(enum archive_kind kind, const char *device, struct streamid from,
                                          const struct archive_row *rows, size_t n)
{
    return (struct archive_part){
        .kind = kind, .device_id = device, .from = from, .to = n > 0 ? rows[n - 1].id : from, .rows = rows, .n = n};
}

static inline enum archive_commit db_commit(struct archive *a, struct archive_part part)
{
    return archive_commit(a, &part, 1, 1768473000000);
}

static inline struct archive_row db_row(uint64_t ms, uint64_t seq, const char *text)
{
    return (struct archive_row){.id = {ms, seq}, .text = text, .len = strlen(text)};
}

/* --- what was read, one "MS-SEQ TEXT" or so per line --------------------------------------------------- */

static char db_read[65536];
static size_t db_read_len, db_count, db_most = SIZE_MAX; /* bytes, entries; how many until the callback says: enough */

static inline void db_begin_reading(void)
{
    db_read_len = db_count = 0;
    db_read[0] = '\0';
}

static inline int db_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int db_note(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    size_t room = sizeof(db_read) - db_read_len;
    int len = vsnprintf(db_read + db_read_len, room, format, ap);
    va_end(ap);
    db_read_len += (size_t)len < room ? (size_t)len : room - 1;
    return ++db_count >= db_most;
}

static inline int db_on_row(void *ctx, const struct archive_row *row)
{
    (void)ctx;
    return db_note("%llu-%llu %.*s\n", (unsigned long long)row->id.ms, (unsigned long long)row->id.seq, (int)row->len,
                   row->text);
}

/* All of a stream, or a part of it. */
static inline const char *db_rows(struct archive *a, enum archive_kind kind, const char *device,
                                  struct streamid_range range, size_t count, bool descending)
{
    db_begin_reading();
    db_ok(a, archive_rows(a, kind, device, range, count, descending, db_on_row, NULL));
    return db_read;
}

#define DB_ALL ((struct streamid_range){STREAMID_FIRST, STREAMID_LAST})

static inline struct streamid db_position(struct archive *a, enum archive_kind kind, const char *device)
{
    struct streamid position;
    bool known;
    db_ok(a, archive_position(a, kind, device, &position, &known));
    assert_int_equal(known, position.ms != 0 || position.seq != 0);
    return position;
}

#endif
