/* The stop latch on a real disk: whatever is wrong with the file, the answer is never a wrong "not stopped". */
#include "robot/latch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct spool {
    char dir[64];
    char file[96];
    char err[256];
};

static int set_up(void **state)
{
    struct spool *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    snprintf(s->dir, sizeof(s->dir), "/tmp/robot_latch.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    snprintf(s->file, sizeof(s->file), "%s/" LATCH_FILE, s->dir);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct spool *s = *state;
    char command[96];

    snprintf(command, sizeof(command), "rm -rf %s", s->dir);
    assert_int_equal(system(command), 0);
    free(s);
    return 0;
}

static struct latch make(bool stopped, int64_t seq, const char *by)
{
    struct latch l = {.stopped = stopped, .seq = seq, .at_ms = 1768473045123};

    snprintf(l.by, sizeof(l.by), "%s", by);
    return l;
}

static void write_file(const struct spool *s, const char *text, size_t len)
{
    FILE *f = fopen(s->file, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static size_t read_file(const struct spool *s, char *buf, size_t cap)
{
    FILE *f = fopen(s->file, "r");

    assert_non_null(f);
    size_t n = fread(buf, 1, cap - 1, f);

    buf[n] = '\0';
    fclose(f);
    return n;
}

static void assert_stored(struct spool *s, const struct latch *want)
{
    struct latch got;

    if (latch_store(s->dir, want, s->err, sizeof(s->err)) != 0 || latch_load(s->dir, &got, s->err, sizeof(s->err)) != 0)
        fail_msg("%s", s->err);
    assert_int_equal(got.stopped, want->stopped);
    assert_true(got.seq == want->seq);
    assert_string_equal(got.by, want->by);
}

static void keeps_what_it_is_given(void **state)
{
    struct spool *s = *state;
    char longest[MSG_NAME_MAX + 1], text[512];
    struct latch l;

    memset(longest, '"', MSG_NAME_MAX); /* each is escaped */
    longest[MSG_NAME_MAX] = '\0';
    assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), 0);
    assert_true(!l.stopped && l.seq == -1); /* no file: nobody ever stopped it */
    l = make(true, 1768473045123456, "guest-ab12cd");
    assert_stored(s, &l);
    read_file(s, text, sizeof(text));
    assert_string_equal(text,
                        "{\"type\":\"stop_state\",\"stopped\":true,\"seq\":1768473045123456,\"by\":\"guest-ab12cd\","
                        "\"at_ms\":1768473045123}\n");
    l = make(false, 9007199254740992, longest);
    assert_stored(s, &l);
    l = make(true, -1, "");
    assert_stored(s, &l);
    l = make(true, 0, "Jörg");
    assert_stored(s, &l);
    assert_int_equal(access(s->file, F_OK), 0);
    snprintf(text, sizeof(text), "%s.new", s->file);
    assert_int_equal(access(text, F_OK), -1); /* nothing is left behind */
    struct stat st;

    assert_int_equal(stat(s->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void takes_nonsense_for_a_stop(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "null",
        "nonsense",
        "{}",
        "{\"stopped\":false}",
        "{\"type\":\"stop_state\"}",
        "{\"type\":\"stop_state\",\"stopped\":0}",
        "{\"type\":\"stop_state\",\"stopped\":\"false\"}",
        "{\"type\":\"stop_state\",\"stopped\":false,\"seq\":-1}",
        "{\"type\":\"stop_state\",\"stopped\":false,\"seq\":1.5}",
        "{\"type\":\"stop_state\",\"stopped\":false,\"seq\":9",
        "{\"type\":\"heartbeat\",\"hb\":1}",
        "{\"type\":\"stop_state\",\"stopped\":false}{\"type\":\"stop_state\",\"stopped\":false}",
        "{\"type\":\"stop_state\",\"stopped\":true,\"stopped\":false}",
    };
    struct spool *s = *state;
    struct latch l;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_file(s, bad[i], strlen(bad[i]));
        s->err[0] = '\0';
        if (latch_load(s->dir, &l, s->err, sizeof(s->err)) != -1 || !l.stopped || l.seq != -1)
            fail_msg("\"%s\" was taken for something", bad[i]);
        assert_non_null(strstr(s->err, LATCH_FILE));
    }
}

/* Each byte of a file that says "not stopped" in turn cut off or broken. */
static void no_broken_file_says_not_stopped_with_another_number(void **state)
{
    struct spool *s = *state;
    struct latch l = make(false, 77, "x");
    char text[512], broken[512];
    size_t n;

    assert_stored(s, &l);
    n = read_file(s, text, sizeof(text));
    for (size_t i = 0; i + 2 < n; i++) { /* without its last brace */
        write_file(s, text, i);
        assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
        assert_true(l.stopped);
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(broken, text, n);
        broken[i] = '\0';
        write_file(s, broken, n);
        assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
        assert_true(l.stopped);
    }
}

static void takes_what_is_no_file_for_a_stop(void **state)
{
    struct spool *s = *state;
    struct latch l;
    char longer[2000];

    assert_int_equal(mkdir(s->file, 0700), 0);
    assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_true(l.stopped);
    assert_int_equal(rmdir(s->file), 0);
    assert_int_equal(mkfifo(s->file, 0600), 0); /* and does not wait for a writer */
    assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_true(l.stopped);
    assert_int_equal(unlink(s->file), 0);
    assert_int_equal(symlink("/etc/hostname", s->file), 0);
    assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_true(l.stopped);
    assert_int_equal(unlink(s->file), 0);
    memset(longer, ' ', sizeof(longer));
    memcpy(longer, "{\"type\":\"stop_state\",\"stopped\":false", 36);
    longer[sizeof(longer) - 1] = '}';
    write_file(s, longer, sizeof(longer));
    assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_true(l.stopped);
}

static void assert_opens(struct spool *s, const char *dir)
{
    int fd = latch_open(dir, s->err, sizeof(s->err));

    if (fd < 0)
        fail_msg("%s", s->err);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
}

static void belongs_to_one_at_a_time(void **state)
{
    struct spool *s = *state;
    struct latch l = make(true, 7, "x");
    char path[128], text[128];
    int fd = latch_open(s->dir, s->err, sizeof(s->err));

    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(latch_open(s->dir, s->err, sizeof(s->err)), -1);
        snprintf(text, sizeof(text), "%s: is in use by another robot", s->dir);
        assert_memory_equal(s->err, text, strlen(text));
    }
    assert_stored(s, &l); /* the lock is not the latch */
    assert_int_equal(close(fd), 0);
    assert_opens(s, s->dir); /* and what is left of it locks nobody out */
    snprintf(path, sizeof(path), "%s/" LATCH_LOCK, s->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    assert_int_equal(latch_open(s->dir, s->err, sizeof(s->err)), -1);
    assert_non_null(strstr(s->err, ": cannot open " LATCH_LOCK));
}

static void makes_its_directory_or_says_why_not(void **state)
{
    struct spool *s = *state;
    char path[128];
    struct stat st;

    assert_opens(s, s->dir);
    snprintf(path, sizeof(path), "%s/spool", s->dir);
    assert_opens(s, path);
    assert_opens(s, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    snprintf(path, sizeof(path), "%s/no/spool", s->dir);
    assert_int_equal(latch_open(path, s->err, sizeof(s->err)), -1);
    assert_non_null(strstr(s->err, "/no/spool: cannot be created: No such file"));
    write_file(s, "x", 1);
    assert_int_equal(latch_open(s->file, s->err, sizeof(s->err)), -1);
    assert_non_null(strstr(s->err, "is not a directory"));
}

/* The new file cannot be written: what stays says "stopped", whatever it said before. */
static void a_stop_that_does_not_fit_is_a_stop_all_the_same(void **state)
{
    struct spool *s = *state;
    char blocked[128];
    struct latch l = make(false, 5, "x");

    assert_stored(s, &l);
    snprintf(blocked, sizeof(blocked), "%s.new", s->file);
    assert_int_equal(mkdir(blocked, 0700), 0); /* root may write anything but this */
    l = make(true, 6, "x");
    assert_int_equal(latch_store(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_non_null(strstr(s->err, "cannot write " LATCH_FILE));
    assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_true(l.stopped);
    l = make(false, 7, "x");
    assert_int_equal(latch_store(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_int_equal(latch_load(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_true(l.stopped); /* a re-arm that does not fit is none */
    assert_int_equal(rmdir(blocked), 0);
    l = make(true, 8, "x");
    assert_stored(s, &l);
}

static void says_that_the_directory_is_gone(void **state)
{
    struct spool *s = *state;
    struct latch l = make(true, 6, "x");

    assert_int_equal(rmdir(s->dir), 0);
    assert_int_equal(latch_store(s->dir, &l, s->err, sizeof(s->err)), -1);
    assert_non_null(strstr(s->err, "cannot be opened: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_what_it_is_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_nonsense_for_a_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_broken_file_says_not_stopped_with_another_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_what_is_no_file_for_a_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(belongs_to_one_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_its_directory_or_says_why_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_that_does_not_fit_is_a_stop_all_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_that_the_directory_is_gone, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
