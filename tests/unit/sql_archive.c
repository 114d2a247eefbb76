/* The archive, the same for both databases: entries, positions, failures, versions. */
#include "sql_db.h"

#include "common/sample.h"

#include <signal.h>
#include <sys/wait.h>

#define S ARCHIVE_SAMPLES

/* --- entries ----------------------------------------------------------------------------------------- */

static const char *const odd[] = {
    "\"battery\":85,\"cpu\":38,\"temperature\":41.2,\"signal\":93",
    "\"battery\":85,\"cpu\":38,\"temperature\":41.2,\"signal\":94",
    "\"cpu\":38,\"battery\":85",
    "",
    "\"a\":1e-7,\"b\":-0,\"c\":-0.0,\"d\":1E+30,\"e\":0.10,\"f\":123456789012345678901234567890",
    "\"a\":1,\"a\":2,\"A\":3",
    "\"id\":1,\"timestamp\":2,\"device_id\":3",
    "\"m_1\":-1.5e300,\"m_2\":1e999",
    "\"abcdefghijklmnopqrstuvwxyz_12345\":0.30000000000000004",
};

static void texts_come_back_byte_for_byte(void **state)
{
    (void)state;
    struct archive *a = db_make();
    size_t n = sizeof(odd) / sizeof(odd[0]);
    struct archive_row rows[sizeof(odd) / sizeof(odd[0])];
    char expected[4096] = "";
    for (size_t i = 0; i < n; i++) {
        rows[i] = db_row(1768473000000 + i, i % 3, odd[i]);
        sprintf(expected + strlen(expected), "%llu-%zu %s\n", 1768473000000ULL + i, i % 3, odd[i]);
    }
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, n)), ARCHIVE_COMMITTED);
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 1000, false), expected);
    /* Also to who has not written it, and after a new connection. */
    struct archive *reader = db_open(ARCHIVE_READ, DB_MS);
    assert_string_equal(db_rows(reader, S, "r1", DB_ALL, 1000, false), expected);
    archive_disconnect(a);
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 1000, false), expected);
    /* Shapes that were met while reading are written with, too. */
    rows[0] = db_row(1768473009000, 0, odd[1]);
    assert_int_equal(db_commit(a, db_part(S, "r1", rows[n - 1].id, rows, 1)), ARCHIVE_COMMITTED);
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 1, true),
                        "1768473009000-0 \"battery\":85,\"cpu\":38,\"temperature\":41.2,\"signal\":94\n");
    archive_destroy(reader);
    archive_destroy(a);
}

static void as_many_metrics_as_there_may_be(void **state)
{
    (void)state;
    struct archive *a = db_make();
    char text[SAMPLE_MAX] = "", expected[SAMPLE_MAX + 32];
    for (int i = 0; i < 36; i++)
        sprintf(text + strlen(text), "%s\"a%031d\":%d", i > 0 ? "," : "", i, i);
    struct archive_row row = db_row(5, 0, text);
    assert_int_equal(sample_check(text, strlen(text)), SAMPLE_PLAIN);
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, &row, 1)), ARCHIVE_COMMITTED);
    archive_disconnect(a);
    snprintf(expected, sizeof(expected), "5-0 %s\n", text);
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 10, false), expected);
    archive_destroy(a);
}

static void any_bytes(void **state)
{
    (void)state;
    static const enum archive_kind kinds[] = {ARCHIVE_COMMANDS, ARCHIVE_OUTCOMES, ARCHIVE_EVENTS};
    static const char bytes[] = "\"by\":\"a'b\\\\\",\0\x01\xff\xc3(\xf0\x9f\x98\x80;--";
    struct archive *a = db_make();
    for (size_t k = 0; k < 3; k++) {
        const char *device = kinds[k] == ARCHIVE_EVENTS ? "" : "r1";
        struct archive_row rows[2] = {{.id = {1, 0}, .text = bytes, .len = sizeof(bytes) - 1}, db_row(1, 1, "")};
        assert_int_equal(db_commit(a, db_part(kinds[k], device, STREAMID_FIRST, rows, 2)), ARCHIVE_COMMITTED);
        db_rows(a, kinds[k], device, DB_ALL, 10, false);
        assert_int_equal(db_count, 2);
        assert_memory_equal(db_read, "1-0 \"by\":\"a'b\\\\\",", 17);
        db_rows(a, kinds[k], device, DB_ALL, 1, true);
        assert_string_equal(db_read, "1-1 \n");
    }
    archive_destroy(a);
}

static size_t whole_len;
static int on_whole(void *ctx, const struct archive_row *row)
{
    whole_len = row->len;
    return memcmp(row->text, ctx, row->len);
}

static void bytes_behind_a_nul(void **state)
{
    (void)state;
    char bytes[3000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    struct archive *a = db_make();
    struct archive_row row = {.id = {1, 0}, .text = bytes, .len = sizeof(bytes)};
    assert_int_equal(db_commit(a, db_part(ARCHIVE_EVENTS, "", STREAMID_FIRST, &row, 1)), ARCHIVE_COMMITTED);
    db_ok(a, archive_rows(a, ARCHIVE_EVENTS, "", DB_ALL, 1, false, on_whole, bytes));
    assert_int_equal(whole_len, sizeof(bytes));
    archive_destroy(a);
}

static void what_is_no_sample_is_left_out(void **state)
{
    (void)state;
    struct archive *a = db_make();
    struct archive_row rows[] = {db_row(1, 0, "\"a\":1"), db_row(2, 0, "\"a\":"), db_row(3, 0, "{\"a\":1}"),
                                 db_row(4, 0, "\"a\":1,"), db_row(5, 0, "\"a\":5")};
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, 5)), ARCHIVE_COMMITTED);
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 10, false), "1-0 \"a\":1\n5-0 \"a\":5\n");
    /* Entries that are none at all; ids that no clock says. */
    struct archive_part part = db_part(S, "r1", rows[4].id, NULL, 0);
    part.to = (struct streamid){9, 9};
    assert_int_equal(db_commit(a, part), ARCHIVE_COMMITTED);
    rows[0].id = (struct streamid){10, UINT64_MAX};
    rows[1] = db_row(11, INT64_MAX, "\"a\":11");
    rows[2] = db_row(UINT64_MAX, UINT64_MAX, "\"a\":12");
    assert_int_equal(db_commit(a, db_part(S, "r1", part.to, rows, 3)), ARCHIVE_COMMITTED);
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 1, true), "11-9223372036854775807 \"a\":11\n");
    struct streamid position = db_position(a, S, "r1");
    assert_true(position.ms == UINT64_MAX && position.seq == UINT64_MAX);
    archive_destroy(a);
}

static void ranges(void **state)
{
    (void)state;
    struct archive *a = db_make();
    struct archive_row rows[6], other = db_row(20, 1, "\"a\":9");
    static const struct streamid ids[6] = {{10, 0}, {20, 0}, {20, 1}, {20, 2}, {30, 0}, {40, 5}};
    for (size_t i = 0; i < 6; i++) {
        rows[i] = db_row(0, 0, "\"a\":1");
        rows[i].id = ids[i];
    }
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, 6)), ARCHIVE_COMMITTED);
    assert_int_equal(db_commit(a, db_part(S, "r2", STREAMID_FIRST, &other, 1)), ARCHIVE_COMMITTED);
    for (int descending = 0; descending < 2; descending++) {
        for (size_t lo = 0; lo < 42 * 4; lo++) {
            for (size_t hi = lo; hi < 42 * 4; hi += 3) {
                struct streamid_range range = {{lo / 4, lo % 4}, {hi / 4, hi % 4}};
                char expected[512] = "";
                size_t n = 0;
                for (size_t k = 0; k < 6; k++) {
                    size_t i = descending ? 5 - k : k;
                    if (streamid_compare(ids[i], range.lo) >= 0 && streamid_compare(ids[i], range.hi) <= 0 && n++ < 4)
                        sprintf(expected + strlen(expected), "%d-%d \"a\":1\n", (int)ids[i].ms, (int)ids[i].seq);
                }
                if (strcmp(db_rows(a, S, "r1", range, 4, descending), expected) != 0)
                    fail_msg("%zu..%zu: %s not %s", lo, hi, db_read, expected);
            }
            lo += lo % 5;
        }
    }
    static const struct streamid_range none[] = {{{30, 1}, {30, 0}},
                                                 {{10, UINT64_MAX}, {19, UINT64_MAX}},
                                                 {{40, 6}, {UINT64_MAX, UINT64_MAX}},
                                                 {{UINT64_MAX, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}}};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(db_rows(a, S, "r1", none[i], 10, false), "");
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 0, false), "");
    assert_string_equal(db_rows(a, S, "nobody", DB_ALL, 10, false), "");
    assert_string_equal(db_rows(a, S, "r1' OR ''='", DB_ALL, 10, false), "");
    assert_string_equal(db_rows(a, ARCHIVE_COMMANDS, "r1", DB_ALL, 10, false), "");
    db_most = 2;
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 10, true), "40-5 \"a\":1\n30-0 \"a\":1\n");
    db_most = SIZE_MAX;
    archive_destroy(a);
}

/* More than a driver is asked for at a time. */
struct counted {
    uint64_t next;
    int step;
    size_t n;
};

static int on_counted(void *ctx, const struct archive_row *row)
{
    struct counted *c = ctx;
    assert_true(row->id.ms == c->next);
    c->next += (uint64_t)c->step;
    c->n++;
    return 0;
}

static void long_ranges(void **state)
{
    (void)state;
    enum { N = 25000 };
    struct archive *a = db_make();
    struct archive_row *rows = calloc(N, sizeof(*rows));
    for (size_t i = 0; i < N; i++)
        rows[i] = db_row(1 + i, 0, "\"a\":1");
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, N)), ARCHIVE_COMMITTED);
    for (int in_view = 0; in_view < 2; in_view++) {
        struct counted up = {1, 1, 0}, down = {N, -1, 0}, some = {1, 1, 0}, exact = {1, 1, 0};
        if (in_view)
            db_ok(a, archive_begin_view(a));
        db_ok(a, archive_rows(a, S, "r1", DB_ALL, SIZE_MAX, false, on_counted, &up));
        db_ok(a, archive_rows(a, S, "r1", DB_ALL, SIZE_MAX, true, on_counted, &down));
        db_ok(a, archive_rows(a, S, "r1", DB_ALL, 10000, false, on_counted, &some));
        db_ok(a, archive_rows(a, S, "r1", DB_ALL, 8192, false, on_counted, &exact));
        assert_true(up.n == N && down.n == N && some.n == 10000 && exact.n == 8192);
        archive_end_view(a);
    }
    free(rows);
    archive_destroy(a);
}

/* --- positions --------------------------------------------------------------------------------------- */

static int on_position(void *ctx, enum archive_kind kind, const char *device_id, struct streamid position)
{
    (void)ctx;
    return db_note("%d %s %llu-%llu\n", (int)kind, device_id, (unsigned long long)position.ms,
                   (unsigned long long)position.seq);
}

static void positions_are_fenced(void **state)
{
    (void)state;
    struct archive *a = db_make(), *b = db_open(ARCHIVE_WRITE, DB_MS);
    struct archive_row rows[] = {db_row(10, 0, "\"a\":1"), db_row(20, 3, "\"b\":2"), db_row(30, 0, "\"a\":3")};
    struct streamid none = db_position(a, S, "r1");
    assert_int_equal(db_commit(a, db_part(S, "r1", none, rows, 2)), ARCHIVE_COMMITTED);
    /* Others begin at the beginning again, or further ahead, or are late. */
    assert_int_equal(db_commit(b, db_part(S, "r1", none, rows, 3)), ARCHIVE_RACED);
    assert_int_equal(db_commit(b, db_part(S, "r1", (struct streamid){20, 4}, rows + 2, 1)), ARCHIVE_RACED);
    assert_int_equal(db_commit(b, db_part(S, "r3", (struct streamid){20, 4}, rows + 2, 1)), ARCHIVE_RACED);
    /* One that is right beside one that is not; a device, a metric and a shape that nobody has seen. */
    struct archive_row new_row = db_row(40, 0, "\"new\":1");
    struct archive_part parts[] = {db_part(S, "r4", none, &new_row, 1),
                                   db_part(S, "r1", (struct streamid){20, 3}, rows + 2, 1),
                                   db_part(ARCHIVE_EVENTS, "", none, &new_row, 1),
                                   db_part(ARCHIVE_COMMANDS, "r1", (struct streamid){1, 1}, &new_row, 1)};
    assert_int_equal(archive_commit(b, parts, 4, 1), ARCHIVE_RACED);
    assert_string_equal(db_rows(b, S, "r1", DB_ALL, 10, false), "10-0 \"a\":1\n20-3 \"b\":2\n");
    assert_string_equal(db_rows(b, S, "r4", DB_ALL, 10, false), "");
    assert_string_equal(db_rows(b, ARCHIVE_EVENTS, "", DB_ALL, 10, false), "");
    assert_true(db_position(b, S, "r4").ms == 0);
    /* What it had numbers for is gone with it: another one takes them, and then it comes again. */
    struct archive_row taken = db_row(5, 0, "\"other\":7");
    assert_int_equal(db_commit(a, db_part(S, "r0", none, &taken, 1)), ARCHIVE_COMMITTED);
    parts[3].from = none;
    assert_int_equal(archive_commit(b, parts, 4, 1), ARCHIVE_COMMITTED);
    assert_string_equal(db_rows(a, S, "r4", DB_ALL, 10, false), "40-0 \"new\":1\n");
    assert_string_equal(db_rows(a, S, "r0", DB_ALL, 10, false), "5-0 \"other\":7\n");
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 10, true), "30-0 \"a\":3\n20-3 \"b\":2\n10-0 \"a\":1\n");
    db_begin_reading();
    db_ok(a, archive_positions(a, on_position, NULL));
    assert_int_equal(db_count, 5);
    assert_non_null(strstr(db_read, "0 r1 30-0\n"));
    assert_non_null(strstr(db_read, "3  40-0\n"));
    archive_destroy(a);
    archive_destroy(b);
}

/* Of two archivers the one writes what it read of a Redis that the other has seen start again. */
static void one_redis_is_followed(void **state)
{
    (void)state;
    char run[ARCHIVE_RUN_MAX];
    struct archive *a = db_make(), *b = db_open(ARCHIVE_WRITE, DB_MS), *reader = db_open(ARCHIVE_READ, DB_MS);
    struct archive_row rows[] = {db_row(10, 0, "\"a\":1"), db_row(20, 0, "\"a\":2"), db_row(30, 0, "\"a\":3")};
    struct streamid none = {0, 0}, at_10 = {10, 0}, at_20 = {20, 0};
    db_ok(a, archive_followed(a, run));
    assert_string_equal(run, "");
    db_ok(a, archive_follow(a, "5b6d7cc4c0de8dbe7fba11fe5bd1b5b4e1b4f3a1"));
    db_ok(reader, archive_followed(reader, run));
    assert_string_equal(run, "5b6d7cc4c0de8dbe7fba11fe5bd1b5b4e1b4f3a1");
    assert_int_equal(db_commit(a, db_part(S, "r1", none, rows, 1)), ARCHIVE_COMMITTED);
    db_ok(b, archive_follow(b, "5b6d7cc4c0de8dbe7fba11fe5bd1b5b4e1b4f3a1"));
    assert_int_equal(db_commit(a, db_part(S, "r1", at_10, rows + 1, 1)), ARCHIVE_COMMITTED);
    db_ok(b, archive_follow(b, "another"));
    assert_int_equal(db_commit(a, db_part(S, "r1", at_20, rows + 2, 1)), ARCHIVE_RACED);
    assert_int_equal(db_commit(a, db_part(S, "r2", none, rows, 1)), ARCHIVE_RACED);
    assert_int_equal(db_commit(b, db_part(S, "r1", at_20, rows + 2, 1)), ARCHIVE_COMMITTED);
    db_ok(a, archive_follow(a, "another"));
    assert_int_equal(db_commit(a, db_part(S, "r2", none, rows, 1)), ARCHIVE_COMMITTED);
    assert_string_equal(db_rows(reader, S, "r1", DB_ALL, 10, false), "10-0 \"a\":1\n20-0 \"a\":2\n30-0 \"a\":3\n");
    assert_int_equal(archive_follow(reader, "no"), -1);
    archive_destroy(a);
    archive_destroy(b);
    archive_destroy(reader);
}

static void first_entries_after_a_first_look(void **state)
{
    (void)state;
    struct archive *a = db_make();
    struct archive_row row = db_row(10, 0, "\"a\":1");
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, NULL, 0)), ARCHIVE_COMMITTED);
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, &row, 1)), ARCHIVE_COMMITTED);
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, &row, 1)), ARCHIVE_RACED);
    assert_int_equal(archive_commit(a, NULL, 0, 1), ARCHIVE_COMMITTED);
    archive_destroy(a);
}

/* Several archivers at the same streams, all of them sure that they are the one: each entry comes once. */
static void nobody_writes_twice(void **state)
{
    (void)state;
    enum { WRITERS = 3, ENTRIES = 120 };
    struct archive *a = db_make();
    pid_t writers[WRITERS];
    archive_disconnect(a);
    for (int w = 0; w < WRITERS; w++) {
        writers[w] = fork();
        if (writers[w] != 0)
            continue;
        struct archive *own = db_open(ARCHIVE_WRITE, DB_MS);
        uint64_t at = 0;
        while (at < ENTRIES) {
            struct archive_row row = db_row(at + 1, 0, "\"a\":1");
            struct archive_part parts[2] = {db_part(S, "r1", (struct streamid){at, 0}, &row, 1),
                                            db_part(ARCHIVE_EVENTS, "", (struct streamid){at, 0}, &row, 1)};
            enum archive_commit result = archive_commit(own, parts, 2, 1);
            struct streamid position;
            bool known;
            if (result == ARCHIVE_FAILED || archive_position(own, S, "r1", &position, &known) != 0)
                _exit(1);
            at = position.ms;
        }
        archive_destroy(own);
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(writers[w], &status, 0), writers[w]);
        assert_int_equal(status, 0);
    }
    struct counted up = {1, 1, 0}, events = {1, 1, 0};
    db_ok(a, archive_rows(a, S, "r1", DB_ALL, SIZE_MAX, false, on_counted, &up));
    db_ok(a, archive_rows(a, ARCHIVE_EVENTS, "", DB_ALL, SIZE_MAX, false, on_counted, &events));
    assert_int_equal(up.n, ENTRIES);
    assert_int_equal(events.n, ENTRIES);
    archive_destroy(a);
}

/* --- failures ---------------------------------------------------------------------------------------- */

static void a_failure_leaves_nothing(void **state)
{
    (void)state;
    struct archive *a = db_make();
    struct archive_row first = db_row(10, 0, "\"a\":1"), row = db_row(20, 0, "\"a\":2,\"fresh\":3");
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, &first, 1)), ARCHIVE_COMMITTED);
    struct archive_part parts[] = {db_part(S, "r1", first.id, &row, 1), db_part(S, "r2", STREAMID_FIRST, &row, 1),
                                   db_part(ARCHIVE_EVENTS, "", STREAMID_FIRST, &row, 1)};
    parts[2].gap = true;
    parts[2].gap_before = row.id;
    /* What is written last is missing. */
    db_execute("ALTER TABLE hours RENAME TO elsewhere");
    assert_int_equal(archive_commit(a, parts, 3, 1), ARCHIVE_FAILED);
    assert_non_null(strstr(archive_reason(a), "hours"));
    db_execute("ALTER TABLE elsewhere RENAME TO hours");
    assert_string_equal(db_rows(a, S, "r1", DB_ALL, 10, false), "10-0 \"a\":1\n");
    assert_string_equal(db_rows(a, ARCHIVE_EVENTS, "", DB_ALL, 10, false), "");
    assert_true(db_position(a, S, "r1").ms == 10);
    assert_true(db_position(a, S, "r2").ms == 0);
    assert_int_equal(archive_commit(a, parts, 3, 1), ARCHIVE_COMMITTED);
    assert_string_equal(db_rows(a, S, "r2", DB_ALL, 10, false), "20-0 \"a\":2,\"fresh\":3\n");
    archive_destroy(a);
}

static void mistakes_of_the_caller(void **state)
{
    (void)state;
    struct archive *a = db_make();
    struct archive_row rows[] = {db_row(10, 0, "\"a\":1"), db_row(10, 0, "\"a\":1")};
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, 2)), ARCHIVE_FAILED);
    assert_non_null(strstr(archive_reason(a), "out of order"));
    assert_int_equal(db_commit(a, db_part(S, "r1", rows[0].id, rows, 1)), ARCHIVE_FAILED);
    struct archive_part part = db_part(S, "r1", STREAMID_FIRST, rows, 1);
    part.to = (struct streamid){9, 9};
    assert_int_equal(db_commit(a, part), ARCHIVE_FAILED);
    assert_int_equal(db_commit(a, db_part(S, "", STREAMID_FIRST, rows, 1)), ARCHIVE_FAILED);
    assert_int_equal(db_commit(a, db_part(S, "r 1", STREAMID_FIRST, rows, 1)), ARCHIVE_FAILED);
    assert_non_null(strstr(archive_reason(a), "\"r 1\" is no device id"));
    assert_int_equal(db_commit(a, db_part(ARCHIVE_EVENTS, "r1", STREAMID_FIRST, rows, 1)), ARCHIVE_FAILED);
    struct archive *reader = db_open(ARCHIVE_READ, DB_MS);
    int64_t deleted;
    assert_int_equal(db_commit(reader, db_part(S, "r1", STREAMID_FIRST, rows, 1)), ARCHIVE_FAILED);
    assert_int_equal(archive_expire(reader, S, 100, 100, &deleted), -1);
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, rows, 1)), ARCHIVE_COMMITTED);
    archive_destroy(reader);
    archive_destroy(a);
}

static int on_never(void *ctx, const struct archive_row *row)
{
    (void)ctx;
    fail_msg("%s", row->text);
    return 0;
}

static void damage_is_named(void **state)
{
    (void)state;
    struct archive *a = db_make();
    struct archive_row row = db_row(10, 0, "\"a\":1,\"b\":2");
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, &row, 1)), ARCHIVE_COMMITTED);
    db_execute("UPDATE samples SET v = '1,2,3'");
    assert_int_equal(archive_rows(a, S, "r1", DB_ALL, 10, false, on_never, NULL), -1);
    assert_non_null(strstr(archive_reason(a), "damaged"));
    db_execute("UPDATE samples SET shape = 77");
    assert_int_equal(archive_rows(a, S, "r1", DB_ALL, 10, false, on_never, NULL), -1);
    assert_non_null(strstr(archive_reason(a), "77"));
    archive_destroy(a);
}

/* --- versions ---------------------------------------------------------------------------------------- */

static void versions(void **state)
{
    (void)state;
    int found, wanted, from, to;
    struct streamid position;
    bool known;
    db_erase();
    struct archive *a = db_open(ARCHIVE_WRITE, DB_MS);
    db_ok(a, archive_version(a, &found, &wanted));
    assert_int_equal(found, 0);
    assert_int_equal(archive_position(a, S, "r1", &position, &known), -1);
    assert_non_null(strstr(archive_reason(a), "telerelayctl archive migrate"));
    db_ok(a, archive_migrate(a, &from, &to));
    assert_true(from == 0 && to == wanted);
    db_ok(a, archive_migrate(a, &from, &to));
    assert_true(from == wanted && to == wanted);
    db_ok(a, archive_version(a, &found, &wanted));
    assert_int_equal(found, wanted);
    struct archive_row row = db_row(10, 0, "\"a\":1");
    assert_int_equal(db_commit(a, db_part(S, "r1", STREAMID_FIRST, &row, 1)), ARCHIVE_COMMITTED);
    /* What a later program has left. */
    archive_disconnect(a);
    db_execute(db_path[0] != '\0' ? "PRAGMA user_version = 77" : "INSERT INTO archive_schema (version) VALUES (77)");
    db_ok(a, archive_version(a, &found, &wanted));
    assert_int_equal(found, 77);
    assert_int_equal(archive_position(a, S, "r1", &position, &known), -1);
    assert_non_null(strstr(archive_reason(a), "version 77, which is newer"));
    assert_int_equal(db_commit(a, db_part(S, "r1", row.id, NULL, 0)), ARCHIVE_FAILED);
    assert_int_equal(archive_migrate(a, &from, &to), -1);
    assert_non_null(strstr(archive_reason(a), "newer"));
    archive_destroy(a);
}

static void migrations_at_once(void **state)
{
    (void)state;
    enum { PROGRAMS = 5 };
    pid_t programs[PROGRAMS];
    int first = 0, to;
    db_erase();
    for (int i = 0; i < PROGRAMS; i++) {
        programs[i] = fork();
        if (programs[i] != 0)
            continue;
        struct archive *a = db_open(ARCHIVE_WRITE, DB_MS);
        int from, rc = archive_migrate(a, &from, &to);
        if (rc != 0)
            fprintf(stderr, "%s\n", archive_reason(a));
        archive_destroy(a);
        _exit(rc != 0 ? 2 : from == 0 ? 1 : 0);
    }
    for (int i = 0; i < PROGRAMS; i++) {
        int status;
        assert_int_equal(waitpid(programs[i], &status, 0), programs[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        first += WEXITSTATUS(status);
    }
    assert_int_equal(first, 1);
    struct archive *a = db_open(ARCHIVE_READ, DB_MS);
    int found, wanted;
    db_ok(a, archive_version(a, &found, &wanted));
    assert_int_equal(found, wanted);
    assert_true(db_position(a, S, "r1").ms == 0);
    archive_destroy(a);
}

/* --- kills ------------------------------------------------------------------------------------------- */

static void a_killed_writer_leaves_whole_commits(void **state)
{
    (void)state;
    struct archive *a = db_make();
    archive_disconnect(a);
    uint64_t acknowledged = 0, before;
    for (int round = 0; round < 8; round++) {
        struct db_writer writer = db_start_writer();
        for (int i = 0; i < 4 + round % 3; i++) { /* then in the middle of something */
            before = acknowledged;
            acknowledged = db_next_acknowledged(&writer, before);
            assert_true(acknowledged > before);
        }
        usleep((useconds_t)(round * 211));
        kill(writer.pid, SIGKILL);
        acknowledged = db_end_writer(&writer, acknowledged);
        uint64_t position = db_check_whole(a);
        assert_in_range(position, acknowledged, acknowledged + DB_WRITER_ROWS);
        acknowledged = position;
    }
    archive_destroy(a);
}

#define TESTS                                                                                                          \
    cmocka_unit_test(texts_come_back_byte_for_byte), cmocka_unit_test(as_many_metrics_as_there_may_be),                \
        cmocka_unit_test(any_bytes), cmocka_unit_test(bytes_behind_a_nul),                                             \
        cmocka_unit_test(what_is_no_sample_is_left_out), cmocka_unit_test(ranges), cmocka_unit_test(long_ranges),      \
        cmocka_unit_test(positions_are_fenced), cmocka_unit_test(one_redis_is_followed),                               \
        cmocka_unit_test(first_entries_after_a_first_look), cmocka_unit_test(nobody_writes_twice),                     \
        cmocka_unit_test(a_failure_leaves_nothing), cmocka_unit_test(mistakes_of_the_caller),                          \
        cmocka_unit_test(damage_is_named), cmocka_unit_test(versions), cmocka_unit_test(migrations_at_once),           \
        cmocka_unit_test(a_killed_writer_leaves_whole_commits)

int main(void)
{
    const struct CMUnitTest sqlite[] = {TESTS}, postgres[] = {TESTS};
    int failed = cmocka_run_group_tests_name("sqlite", sqlite, db_use_sqlite, db_remove);
    return failed + cmocka_run_group_tests_name("postgres", postgres, db_use_postgres, db_remove);
}
