/* What can go wrong with an SQLite file. */
#include "sql_db.h"

#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define S ARCHIVE_SAMPLES

static struct archive_row row(uint64_t ms)
{
    return db_row(ms, 0, "\"a\":1,\"b\":2.5");
}

/* The next sample of r1 after `at`. */
static enum archive_commit write_one(struct archive *a, uint64_t at)
{
    struct archive_row next = row(at + 1);
    return db_commit(a, db_part(S, "r1", (struct streamid){at, 0}, &next, 1));
}

static bool says(const struct archive *a, const char *what)
{
    if (strstr(archive_reason(a), what) != NULL)
        return true;
    print_message("%s\n", archive_reason(a));
    return false;
}

static void what_is_missing(void **state)
{
    struct streamid position;
    bool known;
    int from, to;
    (void)state;
    db_erase();
    for (int use = ARCHIVE_READ; use <= ARCHIVE_WRITE; use++) {
        struct archive *a = db_open((enum archive_use)use, DB_MS);
        assert_int_equal(archive_position(a, S, "r1", &position, &known), -1);
        assert_true(says(a, "there is no archive yet"));
        assert_int_equal(access(db_path, F_OK), -1);
        struct archive *other = db_open(ARCHIVE_WRITE, DB_MS);
        db_ok(other, archive_migrate(other, &from, &to));
        db_ok(a, archive_position(a, S, "r1", &position, &known));
        archive_destroy(other);
        archive_destroy(a);
        db_erase();
    }
    struct archive *a = archive_create("sqlite:/tmp/telerelay-nowhere/archive.db", ARCHIVE_WRITE, DB_MS);
    assert_int_equal(archive_migrate(a, &from, &to), -1);
    assert_true(says(a, "/tmp/telerelay-nowhere: No such file or directory"));
    assert_int_equal(archive_position(a, S, "r1", &position, &known), -1);
    assert_true(says(a, "/tmp/telerelay-nowhere: No such file or directory"));
    archive_destroy(a);
    a = archive_create("sqlite:/tmp", ARCHIVE_WRITE, DB_MS);
    assert_int_equal(archive_migrate(a, &from, &to), -1);
    assert_true(says(a, "/tmp: "));
    archive_destroy(a);
}

static void a_lock_has_a_deadline(void **state)
{
    struct archive *a = db_make(), *reader = db_open(ARCHIVE_READ, 300);
    sqlite3 *other;
    (void)state;
    archive_destroy(a);
    a = db_open(ARCHIVE_WRITE, 150);
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    assert_int_equal(sqlite3_open(db_path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t begin = clock_mono_ms();
    assert_int_equal(write_one(a, 1), ARCHIVE_FAILED);
    assert_in_range(clock_mono_ms() - begin, 140, 2000);
    assert_true(says(a, "locked by another program for 150 ms"));
    /* Who reads does not notice. */
    assert_true(db_position(reader, S, "r1").ms == 1);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(write_one(a, 1), ARCHIVE_COMMITTED);
    archive_destroy(reader);
    archive_destroy(a);
}

static int on_slow(void *ctx, const struct archive_row *r)
{
    (void)ctx;
    (void)r;
    usleep(200);
    return 0;
}

static void a_read_has_a_deadline(void **state)
{
    enum { N = 20000 };
    struct archive *a = db_make(), *reader = db_open(ARCHIVE_READ, 100);
    struct archive_row *rows = calloc(N, sizeof(*rows));
    (void)state;
    for (size_t i = 0; i < N; i++)
        rows[i] = row(1 + i);
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, N)), ARCHIVE_COMMITTED);
    int64_t begin = clock_mono_ms();
    assert_int_equal(archive_rows(reader, S, "r1", DB_ALL, SIZE_MAX, true, on_slow, NULL), -1);
    assert_in_range(clock_mono_ms() - begin, 90, 2000);
    assert_true(says(reader, "no end within 100 ms"));
    assert_true(db_position(reader, S, "r1").ms == N);
    free(rows);
    archive_destroy(reader);
    archive_destroy(a);
}

/* A file that is gone or another one is not written to: what is committed there is lost. */
static void a_file_that_was_replaced(void **state)
{
    struct archive *a = db_make(), *reader = db_open(ARCHIVE_READ, DB_MS);
    int from, to;
    (void)state;
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    assert_true(db_position(reader, S, "r1").ms == 1);
    db_erase();
    assert_int_equal(write_one(a, 1), ARCHIVE_FAILED);
    assert_true(says(a, "there is no archive yet"));
    db_ok(a, archive_migrate(a, &from, &to));
    assert_int_equal(from, 0);
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    assert_int_equal(write_one(a, 1), ARCHIVE_COMMITTED);
    assert_true(db_position(reader, S, "r1").ms == 2);
    db_execute("UPDATE samples SET v = '7,8' WHERE ms = 2");
    assert_string_equal(db_rows(reader, S, "r1", DB_ALL, 1, true), "2-0 \"a\":7,\"b\":8\n");
    archive_destroy(reader);
    archive_destroy(a);
}

static void overwrite(off_t from, size_t len)
{
    int fd = open(db_path, O_WRONLY);
    char garbage[4096];
    memset(garbage, 0x5a, sizeof(garbage));
    while (len > 0) {
        size_t part = len < sizeof(garbage) ? len : sizeof(garbage);
        assert_int_equal(pwrite(fd, garbage, part, from), part);
        from += (off_t)part;
        len -= part;
    }
    close(fd);
}

static int on_nothing(void *ctx, const struct archive_row *r)
{
    (void)ctx;
    (void)r;
    return 0;
}

static void damaged_files(void **state)
{
    enum { N = 20000 };
    struct archive_row *rows = calloc(N, sizeof(*rows));
    struct stat st;
    int from, to;
    (void)state;
    for (size_t i = 0; i < N; i++)
        rows[i] = row(1 + i);
    struct archive *a = db_make();
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, N)), ARCHIVE_COMMITTED);
    archive_destroy(a); /* the last one writes the log back */
    assert_int_equal(stat(db_path, &st), 0);
    overwrite(st.st_size / 2 / 4096 * 4096, (size_t)st.st_size / 4);
    a = db_open(ARCHIVE_WRITE, DB_MS);
    assert_int_equal(archive_rows(a, S, "r1", DB_ALL, SIZE_MAX, true, on_nothing, NULL), -1);
    assert_true(says(a, "damaged: "));
    overwrite(0, 100);
    archive_disconnect(a);
    assert_int_equal(write_one(a, N), ARCHIVE_FAILED);
    assert_true(says(a, "damaged: "));
    assert_int_equal(archive_migrate(a, &from, &to), -1);
    assert_true(says(a, "damaged: "));
    assert_int_equal(truncate(db_path, 5000), 0);
    assert_int_equal(archive_migrate(a, &from, &to), -1);
    archive_destroy(a);
    free(rows);
}

static void another_programs_database(void **state)
{
    struct archive *a = db_make();
    int found, wanted;
    (void)state;
    archive_destroy(a);
    db_erase();
    db_execute("CREATE TABLE samples (x); PRAGMA user_version = 1");
    a = db_open(ARCHIVE_WRITE, DB_MS);
    assert_int_equal(archive_migrate(a, &found, &wanted), -1);
    assert_true(says(a, "another program's database"));
    assert_int_equal(archive_version(a, &found, &wanted), -1);
    assert_int_equal(write_one(a, 0), ARCHIVE_FAILED);
    archive_destroy(a);
}

/* Files may not become longer: as on a full disk, but for this process only. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void no_room(void **state)
{
    enum { N = 20000 };
    struct archive *a = db_make();
    struct archive_row *rows = calloc(N, sizeof(*rows));
    struct stat st;
    char log[80];
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < N; i++)
        rows[i] = row(2 + i);
    struct archive_part part = db_part(S, "r1", (struct streamid){1, 0}, rows, N);
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    snprintf(log, sizeof(log), "%s-wal", db_path);
    assert_int_equal(stat(log, &st), 0);
    for (rlim_t more = 0; more < 300000; more = more * 2 + 4096) {
        limit_files((rlim_t)st.st_size + more);
        enum archive_commit result = db_commit(a, part);
        limit_files(RLIM_INFINITY);
        assert_int_equal(result, ARCHIVE_FAILED);
        assert_true(says(a, db_path));
        assert_true(db_position(a, S, "r1").ms == 1);
        assert_string_equal(db_rows(a, S, "r1", DB_ALL, 10, false), "1-0 \"a\":1,\"b\":2.5\n");
        assert_int_equal(stat(log, &st), 0);
    }
    assert_int_equal(db_commit(a, part), ARCHIVE_COMMITTED);
    assert_true(db_position(a, S, "r1").ms == N + 1);
    free(rows);
    archive_destroy(a);
}

/* Reads until it is killed; some view is open at any time when several do. */
static pid_t read_on(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct archive *reader = db_open(ARCHIVE_READ, DB_MS);
    for (;;) {
        if (archive_begin_view(reader) != 0)
            _exit(1);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        archive_end_view(reader);
    }
}

static void readers_that_overlap(void **state)
{
    enum { READERS = 4, TEXT = 1000000, COMMITS = 150 };
    struct archive *a = db_make();
    char log[80], *text = calloc(1, TEXT);
    pid_t readers[READERS];
    struct stat st;
    off_t largest = 0;
    (void)state;
    snprintf(log, sizeof(log), "%s-wal", db_path);
    memset(text, 'x', TEXT);
    for (int i = 0; i < READERS; i++)
        readers[i] = read_on();
    for (uint64_t at = 0; at < COMMITS; at++) {
        struct archive_row one = {.id = {at + 1, 0}, .text = text, .len = TEXT};
        struct archive_part part = db_part(ARCHIVE_EVENTS, "", (struct streamid){at, 0}, &one, 1);
        assert_int_equal(db_commit(a, part), ARCHIVE_COMMITTED);
        assert_int_equal(stat(log, &st), 0);
        largest = st.st_size > largest ? st.st_size : largest;
    }
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(waitpid(readers[i], NULL, WNOHANG), 0); /* it reads on */
        kill(readers[i], SIGKILL);
        waitpid(readers[i], NULL, 0);
    }
    free(text);
    archive_destroy(a);
    assert_in_range(largest, 1, 100 * 1000 * 1000);
}

/* A reader that stays does not stop the writer, nor what others see. */
static void a_long_view(void **state)
{
    struct archive *a = db_make(), *slow = db_open(ARCHIVE_READ, DB_MS), *reader = db_open(ARCHIVE_READ, DB_MS);
    (void)state;
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    db_ok(slow, archive_begin_view(slow));
    for (uint64_t at = 1; at < 2000; at++)
        assert_int_equal(write_one(a, at), ARCHIVE_COMMITTED);
    assert_true(db_position(slow, S, "r1").ms == 1);
    assert_true(db_position(reader, S, "r1").ms == 2000);
    archive_end_view(slow);
    assert_true(db_position(slow, S, "r1").ms == 2000);
    archive_destroy(slow);
    archive_destroy(reader);
    archive_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(a_lock_has_a_deadline),
        cmocka_unit_test(a_read_has_a_deadline),
        cmocka_unit_test(a_file_that_was_replaced),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(another_programs_database),
        cmocka_unit_test(no_room),
        cmocka_unit_test(readers_that_overlap),
        cmocka_unit_test(a_long_view),
    };
    return cmocka_run_group_tests(tests, db_use_sqlite, db_remove);
}
