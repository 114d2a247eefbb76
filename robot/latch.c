#include "robot/latch.h"

#include "common/jsonw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_FILE   LATCH_FILE ".new"
#define FILE_BYTES 1024

static int fail(char *err, size_t cap, const char *dir, const char *what)
{
    snprintf(err, cap, "%s: %s: %s", dir, what, strerror(errno));
    return -1;
}

static int open_dir(const char *dir)
{
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A directory that was just made is not yet safe on disk, whatever is written into it. */
static int sync_parent(const char *dir)
{
    int folder = open_dir(dir);
    int parent = folder < 0 ? -1 : openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = parent < 0 ? -1 : fsync(parent);
    int error = errno;

    if (parent >= 0)
        close(parent);
    if (folder >= 0)
        close(folder);
    errno = error;
    return rc;
}

/* The lock goes with the descriptor, so also with a program that is killed. */
static int take_lock(const char *dir, char *err, size_t err_cap)
{
    int folder = open_dir(dir);
    int fd = folder < 0 ? -1 : openat(folder, LATCH_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = errno;

    if (folder >= 0)
        close(folder);
    errno = error;
    if (fd < 0)
        return fail(err, err_cap, dir, "cannot open " LATCH_LOCK);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (errno == EWOULDBLOCK)
        snprintf(err, err_cap, "%s: is in use by another robot; each needs a directory of its own", dir);
    else
        fail(err, err_cap, dir, "cannot lock " LATCH_LOCK);
    close(fd);
    return -1;
}

int latch_open(const char *dir, char *err, size_t err_cap)
{
    struct stat st;

    if (mkdir(dir, 0700) == 0) {
        if (sync_parent(dir) != 0)
            return fail(err, err_cap, dir, "cannot sync its parent");
    } else if (errno != EEXIST) {
        return fail(err, err_cap, dir, "cannot be created");
    }
    if (stat(dir, &st) != 0)
        return fail(err, err_cap, dir, "cannot be used");
    if (!S_ISDIR(st.st_mode)) {
        snprintf(err, err_cap, "%s: is not a directory", dir);
        return -1;
    }
    if (access(dir, R_OK | W_OK | X_OK) != 0)
        return fail(err, err_cap, dir, "cannot be written to");
    return take_lock(dir, err, err_cap);
}

/* All of a file, at most `cap` bytes. Bytes, or -1 with errno. */
static ssize_t read_file(const char *dir, char *buf, size_t cap)
{
    int folder = open_dir(dir);
    int fd = folder < 0 ? -1 : openat(folder, LATCH_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int error = errno;
    ssize_t n = -1;

    if (folder >= 0)
        close(folder);
    if (fd >= 0) {
        n = read(fd, buf, cap);
        error = errno;
        close(fd);
    }
    errno = error;
    return n;
}

int latch_load(const char *dir, struct latch *out, char *err, size_t err_cap)
{
    char buf[FILE_BYTES];
    struct msg m;
    struct msg_fault fault;
    ssize_t n = read_file(dir, buf, sizeof(buf));

    *out = (struct latch){.stopped = n >= 0 || errno != ENOENT, .seq = -1};
    if (!out->stopped)
        return 0;
    if (n < 0)
        return fail(err, err_cap, dir, "cannot read " LATCH_FILE);
    if (msg_decode(MSG_FROM_ROBOT, buf, (size_t)n, &m, &fault) != 0) {
        snprintf(err, err_cap, "%s/%s: %s", dir, LATCH_FILE, fault.text);
        return -1;
    }
    bool sound = m.type == MSG_STOP_STATE;

    if (sound) {
        out->stopped = m.stopped;
        out->seq = m.seq;
        snprintf(out->by, sizeof(out->by), "%s", m.by ? m.by : "");
    } else {
        snprintf(err, err_cap, "%s/%s: is no stop_state", dir, LATCH_FILE);
    }
    msg_finish(&m);
    return sound ? 0 : -1;
}

static int write_all(int fd, const char *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, buf, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        buf += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Write, fsync, rename, fsync the directory: at each moment the one or the other file is there, whole. */
static int replace(int folder, const char *buf, size_t len)
{
    int fd = openat(folder, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -1;
    int rc = write_all(fd, buf, len) == 0 && fsync(fd) == 0 ? 0 : -1;
    int error = errno;

    if (close(fd) != 0 && rc == 0) {
        rc = -1;
        error = errno;
    }
    errno = error;
    return rc == 0 && renameat(folder, NEW_FILE, folder, LATCH_FILE) == 0 && fsync(folder) == 0 ? 0 : -1;
}

/* An empty file fits on a full disk, and counts as stopped. */
static void leave_nonsense(int folder)
{
    int fd = openat(folder, LATCH_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0) {
        fsync(fd);
        close(fd);
        fsync(folder);
    }
}

int latch_store(const char *dir, const struct latch *latch, char *err, size_t err_cap)
{
    char buf[FILE_BYTES];
    struct jsonw w;
    int folder = open_dir(dir);
    int rc;

    if (folder < 0)
        return fail(err, err_cap, dir, "cannot be opened");
    jsonw_init(&w, buf, sizeof(buf));
    msg_put_robot_stop_state(&w, latch->stopped, latch->seq, latch->by[0] != '\0' ? latch->by : NULL);
    msg_append_int(&w, "at_ms", latch->at_ms);
    jsonw_lit(&w, "\n");
    errno = EOVERFLOW;
    rc = w.overflow ? -1 : replace(folder, w.buf, w.len);
    if (rc != 0) {
        fail(err, err_cap, dir, "cannot write " LATCH_FILE);
        if (latch->stopped)
            leave_nonsense(folder);
    }
    close(folder);
    return rc;
}
