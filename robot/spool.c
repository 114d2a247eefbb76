#include "robot/spool.h"

#include "robot/spool_line.h"
#include "robot/spool_sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENTS    16 /* that the ring is divided into, about */
#define SEGMENT_MAX (1024u * 1024u)
#define CHUNK       (64u * 1024u) /* read at a time */

struct place {
    uint64_t number; /* of a segment */
    size_t at;       /* byte in it */
};

struct segment {
    uint64_t number;
    size_t len;     /* bytes */
    size_t samples; /* that wait */
    char *text;     /* in memory only: `len` of `cap` bytes */
    size_t cap;
};

struct spool {
    size_t most;        /* bytes of all segments */
    size_t segment_len; /* a longer one gets nothing more, but that it is begun */
    int folder;         /* -1: in memory */
    int fd;             /* of the last segment, for appending; -1: none is open */
    struct segment *segments;
    size_t count, cap;
    uint64_t next;        /* number of the next segment */
    struct place done;    /* all before it is dropped */
    struct place peeked;  /* where the last peek ended */
    size_t peeked_in_end; /* how many samples it took from that segment */
    int64_t synced_ms;    /* when it was last asked to be safe on disk; 0: never */
    uint64_t unsafe;      /* the first segment that has grown since; those before it need no sync */
    struct spool_sync *sync;
    struct spool_stats stats;
    char chunk[CHUNK];
};

static bool in_memory(const struct spool *s)
{
    return s->folder < 0;
}

static struct segment *last_segment(struct spool *s)
{
    return s->count > 0 ? &s->segments[s->count - 1] : NULL;
}

static size_t total(const struct spool *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        n += s->segments[i].len;
    return n;
}

static bool before(struct place a, struct place b)
{
    return a.number < b.number || (a.number == b.number && a.at < b.at);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* How many of `cap` bytes there are at `at`. */
static size_t read_at(const struct spool *s, const struct segment *g, int fd, size_t at, char *buf, size_t cap)
{
    size_t n = at < g->len ? g->len - at : 0;

    n = n < cap ? n : cap;
    if (in_memory(s)) {
        memcpy(buf, g->text + at, n);
        return n;
    }
    for (size_t got = 0; got < n;) {
        ssize_t more = pread(fd, buf + got, n - got, (off_t)(at + got));

        if (more < 0 && errno == EINTR)
            continue;
        if (more <= 0)
            return got;
        got += (size_t)more;
    }
    return n;
}

/* Told of each line, also of one that is damaged. False: enough. */
typedef bool line_fn(struct spool *s, void *ctx, const struct segment *g, size_t at, const struct spool_line *line);

/*
 * The lines of one segment from `at` on. Returns whether the end was reached; *end: where it ended. What is lost is
 * passed over; what merely cannot be opened (no more files, not allowed) ends it at once, with errno.
 */
static bool read_lines(struct spool *s, const struct segment *g, size_t at, line_fn *fn, void *ctx, size_t *end)
{
    char name[SPOOL_NAME_MAX];
    size_t n;
    int fd = -1;
    bool more = true;

    spool_sync_name(name, g->number);
    if (!in_memory(s))
        fd = openat(s->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (!in_memory(s) && fd < 0 && errno != ENOENT && errno != EIO) {
        *end = at;
        return false;
    }
    while (more && (n = read_at(s, g, fd, at, s->chunk, CHUNK)) > 0) {
        size_t used = 0;

        while (more && used < n) {
            const char *text = s->chunk + used, *eol = memchr(text, '\n', n - used);

            if (!eol && used > 0 && at + n < g->len)
                break; /* the rest of it is in the next chunk */
            size_t len = eol ? (size_t)(eol - text) : n - used;
            struct spool_line line = spool_line_read(text, len);

            if (!eol)
                line.kind = SPOOL_DAMAGED; /* torn */
            more = fn(s, ctx, g, at + used, &line);
            if (more)
                used += len + (eol != NULL);
        }
        at += used;
    }
    if (fd >= 0)
        close(fd);
    *end = more && at < g->len ? g->len : at; /* what cannot be read is passed over */
    return more;
}

struct peek {
    spool_fn *fn;
    void *ctx;
    size_t taken, in_segment;
};

static bool peek_line(struct spool *s, void *ctx, const struct segment *g, size_t at, const struct spool_line *line)
{
    struct peek *p = ctx;

    (void)s, (void)g, (void)at;
    if (line->kind != SPOOL_SAMPLE)
        return true;
    if (!p->fn(p->ctx, line->time_ms, line->metrics, line->len))
        return false;
    p->taken++;
    p->in_segment++;
    return true;
}

size_t spool_peek(struct spool *s, spool_fn *fn, void *ctx)
{
    struct peek p = {.fn = fn, .ctx = ctx};
    bool more = true;

    s->peeked = s->done;
    s->peeked_in_end = 0;
    for (size_t i = 0; more && i < s->count; i++) {
        const struct segment *g = &s->segments[i];

        p.in_segment = 0;
        s->peeked.number = g->number;
        more = read_lines(s, g, g->number == s->done.number ? s->done.at : 0, peek_line, &p, &s->peeked.at);
        s->peeked_in_end = p.in_segment;
    }
    return p.taken;
}

/* --- segments --------------------------------------------------------------------------------- */

static void remove_first(struct spool *s)
{
    struct segment *g = &s->segments[0];
    char name[SPOOL_NAME_MAX];

    if (!in_memory(s)) {
        spool_sync_name(name, g->number);
        unlinkat(s->folder, name, 0);
    }
    if (s->count == 1 && s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
    s->stats.waiting -= g->samples;
    free(g->text);
    s->count--;
    memmove(s->segments, s->segments + 1, s->count * sizeof(*s->segments));
}

/* The oldest samples make room. */
static void push_out(struct spool *s)
{
    struct place behind = {s->segments[0].number + 1, 0};

    s->stats.pushed += s->segments[0].samples;
    remove_first(s);
    if (before(s->done, behind))
        s->done = behind;
}

static struct segment *add_segment(struct spool *s, uint64_t number, size_t len)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : SEGMENTS;
        struct segment *segments = realloc(s->segments, cap * sizeof(*segments));

        if (!segments)
            return NULL;
        s->segments = segments;
        s->cap = cap;
    }
    s->segments[s->count] = (struct segment){.number = number, .len = len};
    s->next = number + 1;
    return &s->segments[s->count++];
}

/* The segment to append to, a new one where the last is full. NULL with errno. */
static struct segment *open_segment(struct spool *s, size_t len)
{
    struct segment *g = last_segment(s);
    char name[SPOOL_NAME_MAX];

    if (g && g->len > 0 && g->len + len > s->segment_len)
        g = NULL;
    if (g && (in_memory(s) || s->fd >= 0))
        return g;
    if (!g)
        g = add_segment(s, s->next, 0);
    if (!g || in_memory(s))
        return g;
    if (s->fd >= 0)
        close(s->fd);
    spool_sync_name(name, g->number);
    s->fd = openat(s->folder, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd >= 0)
        return g;
    if (g->len == 0)
        s->count--;
    return NULL;
}

static int append_to_memory(struct segment *g, const char *text, size_t len)
{
    if (g->len + len > g->cap) {
        size_t cap = 2 * (g->len + len);
        char *more = realloc(g->text, cap);

        if (!more)
            return -1;
        g->text = more;
        g->cap = cap;
    }
    memcpy(g->text + g->len, text, len);
    return 0;
}

/* A line that was written in part is taken back, or the segment is given up: nothing may follow it there. */
static int append_to_file(struct spool *s, struct segment *g, const char *text, size_t len)
{
    ssize_t n;
    int error;

    do
        n = write(s->fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)len)
        return 0;
    error = n < 0 ? errno : ENOSPC;
    if (n > 0 && ftruncate(s->fd, (off_t)g->len) != 0)
        g->len = s->segment_len + 1;
    errno = error;
    return -1;
}

static int append(struct spool *s, const char *text, size_t len)
{
    struct segment *g = open_segment(s, len);

    if (!g || (in_memory(s) ? append_to_memory(g, text, len) : append_to_file(s, g, text, len)) != 0)
        return -1;
    g->len += len;
    return 0;
}

/* --- putting and dropping --------------------------------------------------------------------- */

static void make_safe(struct spool *s, int64_t now_ms)
{
    if (!s->sync || s->count == 0)
        return;
    uint64_t first = s->segments[0].number;

    spool_sync_ask(s->sync, s->unsafe > first ? s->unsafe : first, s->next - 1);
    s->unsafe = s->next - 1;
    s->synced_ms = now_ms;
}

static bool no_room(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

int spool_put(struct spool *s, int64_t time_ms, const char *metrics, size_t len, int64_t now_ms)
{
    struct spool_line line = {
        .kind = SPOOL_SAMPLE, .time_ms = time_ms > 0 ? time_ms : 0, .metrics = metrics, .len = len};
    char text[SPOOL_LINE_MAX];
    size_t n = spool_line_put(text, &line);

    if (n == 0) {
        errno = EMSGSIZE;
        return -1;
    }
    while (s->count > 0 && total(s) + n > s->most)
        push_out(s);
    if (append(s, text, n) != 0) {
        if (s->count < 2 || !no_room(errno))
            return -1;
        push_out(s); /* of what is ours the newest is worth most */
        if (append(s, text, n) != 0)
            return -1;
    }
    last_segment(s)->samples++;
    s->stats.waiting++;
    if (s->synced_ms == 0 || now_ms - s->synced_ms >= SPOOL_SYNC_MS)
        make_safe(s, now_ms);
    return 0;
}

void spool_drop(struct spool *s)
{
    char text[SPOOL_LINE_MAX];

    if (!before(s->done, s->peeked))
        return; /* pushed out meanwhile */
    s->done = s->peeked;
    for (size_t i = 0; i < s->count; i++) {
        if (s->segments[i].number != s->done.number)
            continue;
        size_t n = s->done.at < s->segments[i].len ? s->peeked_in_end : s->segments[i].samples;

        s->segments[i].samples -= n;
        s->stats.waiting -= n;
    }
    s->peeked_in_end = 0;
    if (!in_memory(s)) {
        struct spool_line line = {.kind = SPOOL_DONE, .number = s->done.number, .at = s->done.at};

        append(s, text, spool_line_put(text, &line)); /* where that fails they are found at the relay once more */
        make_safe(s, s->synced_ms);
    }
    while (s->count > 0 && (s->segments[0].number < s->done.number || s->stats.waiting == 0))
        remove_first(s);
}

bool spool_settled(const struct spool *s)
{
    return !s->sync || spool_sync_done(s->sync);
}

struct spool_stats spool_stats(const struct spool *s)
{
    return s->stats;
}

/* --- what the last run left ------------------------------------------------------------------- */

static bool recover_line(struct spool *s, void *ctx, const struct segment *g, size_t at, const struct spool_line *line)
{
    struct place done = {line->number, (size_t)line->at};

    (void)g, (void)at, (void)ctx;
    s->stats.damaged += line->kind == SPOOL_DAMAGED;
    if (line->kind == SPOOL_DONE && before(s->done, done))
        s->done = done;
    return true;
}

static bool count_line(struct spool *s, void *ctx, const struct segment *g, size_t at, const struct spool_line *line)
{
    (void)s, (void)g, (void)at;
    *(size_t *)ctx += line->kind == SPOOL_SAMPLE;
    return true;
}

static int by_number(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* The files there are. -1: out of memory, or the directory cannot be read. */
static int find_segments(struct spool *s)
{
    int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int rc = dir ? 0 : -1;
    const struct dirent *e;

    if (!dir && fd >= 0)
        close(fd);
    while (dir && rc == 0 && (e = readdir(dir))) {
        char name[SPOOL_NAME_MAX], *end;
        struct stat st;
        const char *dot = strchr(e->d_name, '.');
        uint64_t number = dot ? strtoull(dot + 1, &end, 10) : 0;

        spool_sync_name(name, number);
        if (number == 0 || strcmp(name, e->d_name) != 0 || fstatat(s->folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (!add_segment(s, number, (size_t)st.st_size))
            rc = -1;
    }
    if (dir)
        closedir(dir);
    if (s->count > 0) {
        qsort(s->segments, s->count, sizeof(*s->segments), by_number);
        s->next = last_segment(s)->number + 1;
    }
    return rc;
}

static bool ends_with_newline(struct spool *s, const struct segment *g)
{
    char name[SPOOL_NAME_MAX], c = '\0';

    spool_sync_name(name, g->number);
    int fd = openat(s->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t n = fd < 0 ? 0 : read_at(s, g, fd, g->len - 1, &c, 1);

    if (fd >= 0)
        close(fd);
    return n == 1 && c == '\n';
}

/* -1 with errno: something cannot be opened; nothing has been removed. */
static int recover(struct spool *s)
{
    size_t end;

    for (size_t i = 0; i < s->count; i++)
        if (!read_lines(s, &s->segments[i], 0, recover_line, NULL, &end))
            return -1;
    while (s->count > 0 && s->segments[0].number < s->done.number)
        remove_first(s);
    for (size_t i = 0; i < s->count; i++) {
        struct segment *g = &s->segments[i];

        read_lines(s, g, g->number == s->done.number ? s->done.at : 0, count_line, &g->samples, &end);
        s->stats.waiting += g->samples;
    }
    if (s->count > 0 && last_segment(s)->len > 0 && !ends_with_newline(s, last_segment(s)))
        add_segment(s, s->next, 0); /* nothing may follow a torn line */
    while (s->count > 0 && s->stats.waiting == 0)
        remove_first(s);
    while (s->count > 0 && total(s) > s->most)
        push_out(s);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

struct spool *spool_create(const char *dir, size_t most, char *err, size_t err_cap)
{
    struct spool *s = calloc(1, sizeof(*s));

    snprintf(err, err_cap, "out of memory");
    if (!s)
        return NULL;
    s->folder = s->fd = -1;
    s->next = 1;
    s->most = most > SPOOL_LEAST ? most : SPOOL_LEAST;
    s->segment_len = s->most / SEGMENTS < SEGMENT_MAX ? s->most / SEGMENTS : SEGMENT_MAX;
    if (!dir || dir[0] == '\0')
        return s;
    s->folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder < 0 || find_segments(s) != 0 || recover(s) != 0) {
        snprintf(err, err_cap, "%s: %s", dir, strerror(errno));
        goto fail;
    }
    s->sync = spool_sync_create(s->folder, err, err_cap);
    if (s->sync)
        return s;
fail:
    spool_destroy(s);
    return NULL;
}

void spool_destroy(struct spool *s)
{
    if (!s)
        return;
    spool_sync_destroy(s->sync);
    for (size_t i = 0; i < s->count; i++)
        free(s->segments[i].text);
    free(s->segments);
    if (s->fd >= 0)
        close(s->fd);
    if (s->folder >= 0)
        close(s->folder);
    free(s);
}
