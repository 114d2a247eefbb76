/* The spool on a real disk: whatever a kill or a loss of power leaves is read, in order, each sample once, and nothing
 * that was not written. */
#include "robot/spool.h"
#include "robot/spool_line.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED  20260131u
#define T_MS  1768473045123
#define SEEN  4096
#define FIRST "samples.000000000001"

static uint32_t random_bits(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

struct rig {
    char dir[64];
    char err[256];
    struct spool *spool;
    size_t n; /* of the last look */
    int64_t seen[SEEN];
    size_t most;
};

static void open_spool(struct rig *r, size_t most)
{
    r->spool = spool_create(r->dir, most, r->err, sizeof(r->err));
    if (!r->spool)
        fail_msg("%s", r->err);
}

/* As after kill -9: nothing is written at the end. */
static void again(struct rig *r, size_t most)
{
    spool_destroy(r->spool);
    open_spool(r, most);
}

static int set_up(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    snprintf(r->dir, sizeof(r->dir), "/tmp/robot_spool.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    char command[96];

    spool_destroy(r->spool);
    snprintf(command, sizeof(command), "rm -rf %s", r->dir);
    assert_int_equal(system(command), 0);
    free(r);
    return 0;
}

/* Sample n says so itself. */
static int put(struct rig *r, int64_t n)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "\"n\":%lld", (long long)n);

    return spool_put(r->spool, T_MS + n, text, (size_t)len, n + 1);
}

static bool note(void *ctx, int64_t time_ms, const char *metrics, size_t len)
{
    struct rig *r = ctx;
    char text[64];
    long long n = time_ms - T_MS;

    if (r->n == r->most)
        return false;
    assert_true(r->n < SEEN);
    assert_int_equal(snprintf(text, sizeof(text), "\"n\":%lld", n), len);
    assert_memory_equal(text, metrics, len);
    r->seen[r->n++] = n;
    return true;
}

static size_t look(struct rig *r, size_t most)
{
    r->n = 0;
    r->most = most;
    size_t n = spool_peek(r->spool, note, r);

    assert_int_equal(n, r->n);
    return n;
}

/* All that waits is first..last. */
static void assert_waiting(struct rig *r, int64_t first, int64_t last)
{
    look(r, SEEN);
    assert_int_equal(r->n, last - first + 1);
    for (size_t i = 0; i < r->n; i++)
        assert_int_equal(r->seen[i], first + (int64_t)i);
    assert_int_equal(spool_stats(r->spool).waiting, r->n);
}

static size_t files(const struct rig *r, size_t *bytes)
{
    DIR *dir = opendir(r->dir);
    size_t n = 0;

    *bytes = 0;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;

        if (strncmp(e->d_name, "samples.", 8) != 0)
            continue;
        assert_int_equal(fstatat(dirfd(dir), e->d_name, &st, 0), 0);
        *bytes += (size_t)st.st_size;
        n++;
    }
    closedir(dir);
    return n;
}

static void in_order_until_dropped(struct rig *r)
{
    for (int64_t n = 0; n < 500; n++)
        assert_int_equal(put(r, n), 0);
    assert_waiting(r, 0, 499);
    assert_int_equal(look(r, 100), 100);
    assert_int_equal(look(r, 7), 7); /* a look changes nothing */
    spool_drop(r->spool);
    spool_drop(r->spool); /* only once */
    assert_waiting(r, 7, 499);
    for (int64_t n = 7; n < 507; n += 100) {
        look(r, 100);
        assert_int_equal(put(r, n + 493), 0); /* meanwhile */
        spool_drop(r->spool);
    }
    look(r, 100);
    assert_int_equal(r->n, 0 + spool_stats(r->spool).waiting);
    spool_drop(r->spool);
    assert_int_equal(spool_stats(r->spool).waiting, 0);
    assert_int_equal(look(r, 100), 0);
    assert_int_equal(spool_stats(r->spool).pushed, 0);
}

static void on_disk(void **state)
{
    struct rig *r = *state;
    size_t bytes;

    open_spool(r, 64 * 1024);
    assert_int_equal(files(r, &bytes), 0); /* nothing is written before something waits */
    in_order_until_dropped(r);
    assert_int_equal(files(r, &bytes), 0);
    in_order_until_dropped(r);
}

static void memory_only(void **state)
{
    struct rig *r = *state;

    r->spool = spool_create(NULL, 64 * 1024, r->err, sizeof(r->err));
    assert_non_null(r->spool);
    in_order_until_dropped(r);
    assert_true(spool_settled(r->spool));
    for (int64_t n = 0; n < 5000; n++)
        put(r, n);
    size_t waiting = spool_stats(r->spool).waiting;

    assert_true(waiting > 1000 && waiting < 2000);
    assert_int_equal(waiting + spool_stats(r->spool).pushed, 5000);
    assert_waiting(r, 5000 - (int64_t)waiting, 4999);
}

static void outlives_the_program(void **state)
{
    struct rig *r = *state;

    open_spool(r, 64 * 1024);
    for (int64_t n = 0; n < 300; n++)
        put(r, n);
    again(r, 64 * 1024);
    assert_waiting(r, 0, 299);
    look(r, 100);
    spool_drop(r->spool);
    again(r, 64 * 1024); /* what was dropped is not there again */
    assert_waiting(r, 100, 299);
    put(r, 300);
    look(r, 150);
    again(r, 64 * 1024); /* a batch without an answer is */
    assert_waiting(r, 100, 300);
    look(r, SEEN);
    spool_drop(r->spool);
    again(r, 64 * 1024);
    assert_int_equal(spool_stats(r->spool).waiting, 0);
    put(r, 301);
    again(r, 64 * 1024);
    assert_waiting(r, 301, 301);
    assert_int_equal(spool_stats(r->spool).damaged, 0);
}

static void is_bounded(void **state)
{
    struct rig *r = *state;
    size_t bytes;

    open_spool(r, 32 * 1024);
    for (int64_t n = 0; n < 3000; n++) {
        assert_int_equal(put(r, n), 0);
        if (n % 100 == 0) {
            files(r, &bytes);
            assert_true(bytes <= 32 * 1024);
        }
    }
    struct spool_stats s = spool_stats(r->spool);

    assert_int_equal(s.waiting + s.pushed, 3000);
    assert_true(files(r, &bytes) <= 17 && s.waiting > 500);
    assert_waiting(r, (int64_t)s.pushed, 2999);
    look(r, 50); /* what was looked at makes room before it is dropped */
    for (int64_t n = 3000; n < 3400; n++)
        put(r, n);
    spool_drop(r->spool);
    s = spool_stats(r->spool);
    assert_waiting(r, 3400 - (int64_t)s.waiting, 3399);
    again(r, 16 * 1024); /* a smaller one from now on */
    files(r, &bytes);
    assert_true(bytes <= 16 * 1024);
    s = spool_stats(r->spool);
    assert_true(s.waiting > 200);
    assert_waiting(r, 3400 - (int64_t)s.waiting, 3399);
}

static size_t read_file(const struct rig *r, char *buf, size_t cap)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/" FIRST, r->dir);
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    size_t n = fread(buf, 1, cap, f);

    fclose(f);
    return n;
}

static void write_file(const struct rig *r, const char *name, const char *buf, size_t len)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(buf, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void clear(struct rig *r)
{
    char command[96];

    spool_destroy(r->spool);
    r->spool = NULL;
    snprintf(command, sizeof(command), "rm -f %s/samples.*", r->dir);
    assert_int_equal(system(command), 0);
}

/* Five samples, two of them dropped, two more. */
static size_t example(struct rig *r, char *buf, size_t cap)
{
    open_spool(r, 64 * 1024);
    for (int64_t n = 0; n < 5; n++)
        put(r, n);
    look(r, 2);
    spool_drop(r->spool);
    put(r, 5);
    put(r, 6);
    size_t len = read_file(r, buf, cap);

    clear(r);
    return len;
}

/* Lines that end within the first `len` bytes. */
static size_t samples_in(const char *buf, size_t len, bool *dropped)
{
    size_t n = 0;

    *dropped = false;
    for (const char *at = buf, *eol; (eol = memchr(at, '\n', (size_t)(buf + len - at))); at = eol + 1) {
        struct spool_line line = spool_line_read(at, (size_t)(eol - at));

        n += line.kind == SPOOL_SAMPLE;
        *dropped |= line.kind == SPOOL_DONE;
    }
    return n;
}

static void cut_anywhere(void **state)
{
    struct rig *r = *state;
    char buf[4096];
    size_t len = example(r, buf, sizeof(buf));

    for (size_t cut = 0; cut <= len; cut++) {
        bool dropped;
        size_t n = samples_in(buf, cut, &dropped);

        write_file(r, FIRST, buf, cut);
        open_spool(r, 64 * 1024);
        assert_int_equal(spool_stats(r->spool).damaged, cut > 0 && buf[cut - 1] != '\n');
        put(r, (int64_t)n); /* and it goes on */
        assert_waiting(r, dropped ? 2 : 0, (int64_t)n);
        again(r, 64 * 1024);
        assert_waiting(r, dropped ? 2 : 0, (int64_t)n);
        look(r, SEEN);
        spool_drop(r->spool);
        again(r, 64 * 1024);
        assert_int_equal(spool_stats(r->spool).waiting, 0);
        clear(r);
    }
}

/* Every byte by turns, each bit of it: what comes out was put in, in order, and only what is hit is missing. */
static void damaged_anywhere(void **state)
{
    struct rig *r = *state;
    char buf[4096];
    size_t len = example(r, buf, sizeof(buf));

    for (size_t at = 0; at < len; at++) {
        for (int bit = 0; bit < 8; bit += 3) {
            buf[at] = (char)(buf[at] ^ 1 << bit);
            write_file(r, FIRST, buf, len);
            buf[at] = (char)(buf[at] ^ 1 << bit);
            open_spool(r, 64 * 1024);
            assert_true(spool_stats(r->spool).damaged >= 1);
            look(r, SEEN);
            assert_true(r->n >= 3 && r->n <= 7);
            for (size_t i = 1; i < r->n; i++)
                assert_true(r->seen[i] > r->seen[i - 1]);
            assert_int_equal(spool_stats(r->spool).waiting, r->n);
            look(r, SEEN);
            spool_drop(r->spool);
            assert_int_equal(spool_stats(r->spool).waiting, 0);
            clear(r);
        }
    }
}

/* After a loss of power a file may be as long as it was, and hold zeros. */
static void zeros_and_nonsense(void **state)
{
    struct rig *r = *state;
    char buf[4096];
    size_t len = example(r, buf, sizeof(buf));
    static char zeros[200000];

    memcpy(zeros, buf, len);
    write_file(r, FIRST, zeros, sizeof(zeros));
    write_file(r, "samples.000000000002", zeros + len, 5000);
    write_file(r, "samples.000000000003", "", 0);
    write_file(r, "samples.4", buf, len);             /* none of ours */
    write_file(r, "samples.000000000005x", buf, len); /* likewise */
    open_spool(r, 1024 * 1024);
    assert_true(spool_stats(r->spool).damaged >= 2);
    put(r, 7);
    assert_waiting(r, 2, 7);
    look(r, SEEN);
    spool_drop(r->spool);
    assert_int_equal(spool_stats(r->spool).waiting, 0);
}

static void a_full_disk(void **state)
{
    struct rig *r = *state;
    struct rlimit was, tight;

    open_spool(r, 64 * 1024); /* segments of 4096 bytes */
    for (int64_t n = 0; n < 150; n++)
        put(r, n);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    tight = was;
    tight.rlim_cur = 1000; /* no file takes more */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int64_t n = 150;

    while (put(r, n) == 0 && n < 400)
        n++;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_true(n < 400 || spool_stats(r->spool).pushed > 0); /* either it said so, or the oldest went */
    assert_int_equal(put(r, 400), 0);
    look(r, SEEN);
    assert_int_equal(r->seen[r->n - 1], 400);
    for (size_t i = 1; i < r->n; i++)
        assert_true(r->seen[i] > r->seen[i - 1]);
    again(r, 64 * 1024);
    assert_int_equal(spool_stats(r->spool).damaged, 0); /* nothing half-written is left in between */
}

/* What hinders it is not that there is no room: the old samples stay. */
static void no_more_files(void **state)
{
    struct rig *r = *state;
    struct rlimit was, tight;
    int64_t n = 0;

    open_spool(r, 64 * 1024); /* segments of 4096 bytes */
    for (; n < 150; n++)
        put(r, n);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    tight = was;
    tight.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (put(r, n) == 0 && n < 400)
        n++;
    assert_int_equal(errno, EMFILE);
    assert_int_equal(put(r, n), -1);
    assert_int_equal(look(r, SEEN), 0);
    spool_drop(r->spool); /* that they could not be read now does not mean that they are lost */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_waiting(r, 0, n - 1);
    assert_int_equal(spool_stats(r->spool).pushed, 0);
}

static void what_it_does_not_take(void **state)
{
    struct rig *r = *state;
    static char text[SPOOL_METRICS_MAX + 1];

    memset(text, 'a', sizeof(text));
    open_spool(r, 64 * 1024);
    assert_int_equal(spool_put(r->spool, 1, text, SPOOL_METRICS_MAX + 1, 1), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(spool_put(r->spool, 1, text, SPOOL_METRICS_MAX, 1), 0);
    assert_int_equal(spool_stats(r->spool).waiting, 1);
    assert_null(spool_create("/nonexistent/spool", 65536, r->err, sizeof(r->err)));
    assert_non_null(strstr(r->err, "/nonexistent/spool"));
}

static void settles(void **state)
{
    struct rig *r = *state;

    open_spool(r, 64 * 1024);
    for (int64_t n = 0; n < 100; n++)
        put(r, n);
    look(r, 50);
    spool_drop(r->spool);
    for (int i = 0; i < 5000 && !spool_settled(r->spool); i++)
        usleep(1000);
    assert_true(spool_settled(r->spool));
    assert_int_equal(spool_put(r->spool, T_MS + 100, "\"n\":100", 7, 2 * SPOOL_SYNC_MS), 0); /* asks for it by itself */
    for (int i = 0; i < 5000 && !spool_settled(r->spool); i++)
        usleep(1000);
    assert_true(spool_settled(r->spool));
    assert_waiting(r, 50, 100);
}

/* Against a model: random work, and kills in between. */
static void random_work(void **state)
{
    struct rig *r = *state;
    uint32_t seed = SEED;
    int64_t first = 0, next = 0;

    open_spool(r, 4 * 1024 * 1024);
    for (int step = 0; step < 20000; step++) {
        uint32_t what = random_bits(&seed) % 100;

        if (what < 60) {
            assert_int_equal(put(r, next), 0);
            next++;
        } else if (what < 98) {
            size_t n = look(r, random_bits(&seed) % 100);

            if (random_bits(&seed) % 2)
                continue;
            if (random_bits(&seed) % 4 == 0)
                assert_int_equal(put(r, next++), 0);
            spool_drop(r->spool);
            first += (int64_t)n;
        } else {
            again(r, 4 * 1024 * 1024);
        }
        assert_int_equal(spool_stats(r->spool).waiting, next - first);
        if (step % 50 == 0)
            assert_waiting(r, first, next - 1);
    }
    assert_true(first > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(on_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outlives_the_program, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zeros_and_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_it_does_not_take, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_work, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
