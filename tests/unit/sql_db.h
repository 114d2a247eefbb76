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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DB_MS 20000 /* deadline where none is tested */

static char db_dir[] = "/tmp/telerelay-sql-XXXXXX"; /* of this program */
static char db_path[64], db_uri[256];               /* the file, "" with PostgreSQL; the database */

/* tests/postgres; the first line that it prints. */
static inline void db_server(const char *verb, char *out, size_t cap)
{
    char line[256];
    snprintf(line, sizeof(line), "tests/postgres %s %s", db_dir, verb);
    FILE *f = popen(line, "re");
    assert_non_null(f);
    size_t len = fread(line, 1, sizeof(line) - 1, f);
    line[len] = '\0';
    line[strcspn(line, "\n")] = '\0';
    assert_int_equal(pclose(f), 0);
    if (out != NULL) {
        assert_true(strlen(line) < cap);
        memcpy(out, line, strlen(line) + 1);
    }
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
    db_server("start durable", db_uri, sizeof(db_uri));
    return 0;
}

static inline int db_remove(void **state)
{
    char command[128];
    (void)state;
    if (db_path[0] == '\0')
        db_server("remove", NULL, 0);
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

/* --- a program that writes until it is killed -------------------------------------------------------------- */

#define DB_WRITER_ROWS 200 /* samples of a commit: r1 has one at each of 1 ms, 2 ms, …, as events are */

struct db_writer {
    pid_t pid;
    int fd; /* each position that was committed */
};

/* As an archiver does: what a dead one had under way may still be committed, and moves the position. */
static inline void db_write_on(int fd)
{
    struct archive *a = db_open(ARCHIVE_WRITE, DB_MS);
    struct archive_row rows[DB_WRITER_ROWS];
    struct streamid at;
    bool known;
    for (;;) {
        if (archive_position(a, ARCHIVE_EVENTS, "", &at, &known) != 0)
            _exit(1);
        for (uint64_t i = 0; i < DB_WRITER_ROWS; i++)
            rows[i] = db_row(at.ms + 1 + i, 0, "\"a\":1,\"b\":2");
        struct archive_part parts[2] = {db_part(ARCHIVE_SAMPLES, "r1", at, rows, DB_WRITER_ROWS),
                                        db_part(ARCHIVE_EVENTS, "", at, rows, DB_WRITER_ROWS)};
        enum archive_commit result = archive_commit(a, parts, 2, 1);
        uint64_t committed = at.ms + DB_WRITER_ROWS;
        if (result == ARCHIVE_FAILED)
            _exit(1);
        if (result == ARCHIVE_COMMITTED && write(fd, &committed, sizeof(committed)) != sizeof(committed))
            _exit(2);
    }
}

static inline struct db_writer db_start_writer(void)
{
    int fds[2];
    struct db_writer w;
    assert_int_equal(pipe(fds), 0);
    w.pid = fork();
    if (w.pid == 0) {
        close(fds[0]);
        db_write_on(fds[1]);
    }
    close(fds[1]);
    w.fd = fds[0];
    return w;
}

/* The next position that it says is committed, after `at`; `at` when it has ended. */
static inline uint64_t db_next_acknowledged(const struct db_writer *w, uint64_t at)
{
    uint64_t next;
    return read(w->fd, &next, sizeof(next)) == sizeof(next) ? next : at;
}

/* The last one, once it has been killed or failed. */
static inline uint64_t db_end_writer(const struct db_writer *w, uint64_t at)
{
    uint64_t next;
    int status;
    while ((next = db_next_acknowledged(w, at)) != at)
        at = next;
    close(w->fd);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    return at;
}

struct db_sum {
    uint64_t last, n;
    int64_t count;
};

static inline int db_on_sum_row(void *ctx, const struct archive_row *row)
{
    struct db_sum *sum = ctx;
    sum->last = row->id.ms;
    sum->n++;
    return 0;
}

static inline int db_on_sum_bucket(void *ctx, const struct archive_bucket *bucket)
{
    ((struct db_sum *)ctx)->count += bucket->count;
    return 0;
}

/* That all of the writer's commits are there as a whole; returns their position. */
static inline uint64_t db_check_whole(struct archive *a)
{
    struct db_sum samples = {0}, events = {0}, hours = {0};
    db_ok(a, archive_begin_view(a));
    struct streamid position = db_position(a, ARCHIVE_SAMPLES, "r1");
    assert_true(db_position(a, ARCHIVE_EVENTS, "").ms == position.ms);
    db_ok(a, archive_rows(a, ARCHIVE_SAMPLES, "r1", DB_ALL, SIZE_MAX, false, db_on_sum_row, &samples));
    db_ok(a, archive_rows(a, ARCHIVE_EVENTS, "", DB_ALL, SIZE_MAX, false, db_on_sum_row, &events));
    db_ok(a, archive_rollup(a, ARCHIVE_MINUTE, "r1", "a", 0, INT64_MAX, db_on_sum_bucket, &samples));
    db_ok(a, archive_rollup(a, ARCHIVE_HOUR, "r1", "b", 0, INT64_MAX, db_on_sum_bucket, &hours));
    archive_end_view(a);
    assert_true(samples.n == position.ms && samples.last == position.ms);
    assert_true(events.n == position.ms && events.last == position.ms);
    assert_true(samples.count == (int64_t)position.ms && hours.count == (int64_t)position.ms);
    return position.ms;
}

#endif
