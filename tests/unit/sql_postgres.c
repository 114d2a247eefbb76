/* What can go wrong with a server. */
#include "sql_db.h"

#include "common/clock.h"

#include <signal.h>

#define S ARCHIVE_SAMPLES

static enum archive_commit write_one(struct archive *a, uint64_t at)
{
    struct archive_row next = db_row(at + 1, 0, "\"a\":1,\"b\":2.5");
    return db_commit(a, db_part(S, "r1", (struct streamid){at, 0}, &next, 1));
}

static bool says(const struct archive *a, const char *what)
{
    if (strstr(archive_reason(a), what) != NULL)
        return true;
    print_message("%s\n", archive_reason(a));
    return false;
}

/* An idle connection whose server was restarted is noticed before it is used. */
static void a_restart_between_two_calls(void **state)
{
    struct archive *a = db_make(), *reader = db_open(ARCHIVE_READ, DB_MS);
    struct streamid position;
    bool known;
    (void)state;
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    assert_true(db_position(reader, S, "r1").ms == 1);
    db_server("stop", NULL, 0);
    assert_int_equal(archive_position(reader, S, "r1", &position, &known), -1);
    assert_true(says(reader, "PostgreSQL: connection to server on socket"));
    assert_int_equal(write_one(a, 1), ARCHIVE_FAILED);
    assert_true(says(a, "No such file or directory"));
    db_server("start durable", NULL, 0);
    assert_true(db_position(reader, S, "r1").ms == 1);
    assert_int_equal(write_one(a, 1), ARCHIVE_COMMITTED);
    db_server("kill", NULL, 0);
    db_server("start durable", NULL, 0);
    assert_int_equal(write_one(a, 2), ARCHIVE_COMMITTED);
    db_execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'telerelay'");
    assert_int_equal(write_one(a, 3), ARCHIVE_COMMITTED);
    assert_true(db_position(reader, S, "r1").ms == 4);
    archive_destroy(reader);
    archive_destroy(a);
}

/* A server that dies while it is written to: what was acknowledged is there, and nothing by halves. */
static void a_killed_server_leaves_whole_commits(void **state)
{
    struct archive *a = db_make();
    uint64_t acknowledged = 0, before;
    (void)state;
    for (int round = 0; round < 4; round++) {
        struct db_writer writer = db_start_writer();
        for (int i = 0; i < 5 + round; i++) {
            before = acknowledged;
            acknowledged = db_next_acknowledged(&writer, before);
            assert_true(acknowledged > before);
        }
        usleep((useconds_t)(round * 317));
        db_server("kill", NULL, 0);
        acknowledged = db_end_writer(&writer, acknowledged); /* it ends by itself, of its failure */
        db_server("start durable", NULL, 0);
        uint64_t position = db_check_whole(a);
        assert_in_range(position, acknowledged, acknowledged + DB_WRITER_ROWS);
        acknowledged = position;
    }
    archive_destroy(a);
}

static void freeze(int sig)
{
    char command[160];
    snprintf(command, sizeof(command),
             "data=$(readlink %s/pg)/data; for p in /proc/[0-9]*; do "
             "if [ \"$(readlink $p/cwd)\" = \"$data\" ]; then kill -%d ${p#/proc/}; fi; done",
             db_dir, sig);
    assert_int_equal(system(command) & 0xff, 0);
}

/* A server that says nothing: while connecting, reading, writing. */
static void silence_has_a_deadline(void **state)
{
    struct archive *a = db_make(), *idle = db_open(ARCHIVE_READ, 200), *fresh = db_open(ARCHIVE_READ, 200);
    struct streamid position;
    bool known;
    (void)state;
    archive_destroy(a);
    a = db_open(ARCHIVE_WRITE, 200);
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    assert_true(db_position(idle, S, "r1").ms == 1);
    freeze(SIGSTOP);
    int64_t begin = clock_mono_ms();
    assert_int_equal(archive_position(fresh, S, "r1", &position, &known), -1);
    assert_true(says(fresh, "no answer within 200 ms"));
    assert_int_equal(archive_position(idle, S, "r1", &position, &known), -1);
    assert_true(says(idle, "no answer within 200 ms"));
    assert_int_equal(write_one(a, 1), ARCHIVE_FAILED);
    assert_true(says(a, "no answer within 200 ms"));
    assert_in_range(clock_mono_ms() - begin, 590, 4000);
    freeze(SIGCONT);
    archive_destroy(fresh);
    fresh = db_open(ARCHIVE_WRITE, DB_MS);
    assert_true(db_position(fresh, S, "r1").ms == 1);
    assert_int_equal(write_one(fresh, 1), ARCHIVE_COMMITTED);
    archive_destroy(a);
    archive_destroy(idle);
    archive_destroy(fresh);
}

/* A lock that somebody keeps. */
static void a_lock_has_a_deadline(void **state)
{
    struct archive *a = db_make();
    (void)state;
    archive_destroy(a);
    a = db_open(ARCHIVE_WRITE, 300);
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    PGconn *other = PQconnectdb(db_uri);
    PQclear(PQexec(other, "BEGIN; LOCK TABLE hours IN EXCLUSIVE MODE"));
    int64_t begin = clock_mono_ms();
    assert_int_equal(write_one(a, 1), ARCHIVE_FAILED);
    assert_in_range(clock_mono_ms() - begin, 250, 2000);
    PQfinish(other);
    assert_int_equal(write_one(a, 1), ARCHIVE_COMMITTED);
    archive_destroy(a);
}

/* The statement that ends a transaction fails. */
static void a_commit_that_is_refused(void **state)
{
    struct archive *a = db_make();
    (void)state;
    assert_int_equal(write_one(a, 0), ARCHIVE_COMMITTED);
    db_execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
               "'BEGIN RAISE EXCEPTION ''not today''; END'; "
               "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON samples DEFERRABLE INITIALLY DEFERRED "
               "FOR EACH ROW EXECUTE FUNCTION refuse()");
    assert_int_equal(write_one(a, 1), ARCHIVE_FAILED);
    assert_true(says(a, "not today (P0001)"));
    db_execute("DROP TRIGGER late ON samples");
    assert_true(db_position(a, S, "r1").ms == 1);
    assert_int_equal(write_one(a, 1), ARCHIVE_COMMITTED);
    archive_destroy(a);
}

/* What a role or a database says otherwise must not weaken what is promised. */
static void settings_are_our_own(void **state)
{
    struct archive *a = db_make();
    (void)state;
    db_execute("ALTER ROLE telerelay SET synchronous_commit = off; ALTER ROLE telerelay SET statement_timeout = '1ms'; "
               "ALTER ROLE telerelay SET default_transaction_read_only = on; "
               "ALTER ROLE telerelay SET client_encoding = 'LATIN1'");
    archive_disconnect(a);
    enum archive_commit result = write_one(a, 0);
    db_execute("SET default_transaction_read_only = off; SET statement_timeout = 0; "
               "BEGIN READ WRITE; ALTER ROLE telerelay RESET ALL; COMMIT");
    assert_int_equal(result, ARCHIVE_COMMITTED);
    archive_destroy(a);
}

static void passwords_are_never_said(void **state)
{
    static const char *const uris[] = {
        "postgresql://telerelay:geheim@/telerelay?host=/nowhere",
        "postgresql://telerelay:geheim@127.0.0.1:1/telerelay",
        "postgresql://geheim:geheim@127.0.0.1:1/geheim",
        "postgresql://telerelay:ge@geheim@127.0.0.1:1/telerelay",
        "postgresql://telerelay:ge/geheim@127.0.0.1:1/telerelay",
        "postgresql://telerelay:ge?geheim@127.0.0.1:1/telerelay",
        "postgresql://telerelay:ge%geheim@127.0.0.1:1/telerelay",
        "postgresql://telerelay:geheim",
        "postgresql://telerelay:geheim/telerelay",
        "postgresql:///telerelay?host=/nowhere&password=geheim",
        "postgresql:///telerelay?host=/nowhere&password=a&geheim",
        "postgresql:///telerelay?host=/nowhere&passwort=geheim",
        "postgresql://127.0.0.1:1/telerelay?password=a%00geheim",
        "geheim",
    };
    struct streamid position;
    bool known;
    (void)state;
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        struct archive *a = archive_create(uris[i], ARCHIVE_READ, 1000);
        assert_int_equal(archive_position(a, S, "r1", &position, &known), -1);
        if (strstr(archive_reason(a), "geheim") != NULL || strlen(archive_reason(a)) < 20)
            fail_msg("%s: %s", uris[i], archive_reason(a));
        archive_destroy(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_between_two_calls), cmocka_unit_test(a_killed_server_leaves_whole_commits),
        cmocka_unit_test(silence_has_a_deadline),      cmocka_unit_test(a_lock_has_a_deadline),
        cmocka_unit_test(a_commit_that_is_refused),    cmocka_unit_test(settings_are_our_own),
        cmocka_unit_test(passwords_are_never_said),
    };
    return cmocka_run_group_tests(tests, db_use_postgres, db_remove);
}
