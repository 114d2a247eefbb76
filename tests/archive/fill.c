/*
 * telerelay-fill DATABASE: puts what a test wants to be archived into an archive, through sql/archive.h as the archiver
 * does. Lines on stdin, fields separated by tabs; all of it is committed at the end:
 *
 *   KIND  DEVICE  ID  TEXT                 an entry: samples, commands, outcomes or events (DEVICE empty)
 *   series  DEVICE  MS  STEP_MS  COUNT     so many samples `"battery":I%101,"cpu":I` from MS on
 */
#include "sql/archive.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 256
#define PIECE       20000 /* rows of one transaction */

struct stream {
    enum archive_kind kind;
    char *device_id;
    struct archive_row *rows;
    size_t n, cap;
};

static struct stream streams[STREAMS_MAX];
static size_t n_streams;

static void die(const char *what)
{
    fprintf(stderr, "telerelay-fill: %s\n", what);
    exit(1);
}

static struct stream *stream_of(enum archive_kind kind, const char *device_id)
{
    for (size_t i = 0; i < n_streams; i++) {
        if (streams[i].kind == kind && strcmp(streams[i].device_id, device_id) == 0)
            return &streams[i];
    }
    if (n_streams == STREAMS_MAX)
        die("too many streams");
    streams[n_streams] = (struct stream){.kind = kind, .device_id = strdup(device_id)};
    return &streams[n_streams++];
}

static void add(struct stream *s, struct streamid id, const char *text)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
        s->rows = realloc(s->rows, s->cap * sizeof(*s->rows));
        if (!s->rows)
            die("out of memory");
    }
    s->rows[s->n++] = (struct archive_row){.id = id, .text = strdup(text), .len = strlen(text)};
}

static void add_series(char *fields[5])
{
    struct stream *s = stream_of(ARCHIVE_SAMPLES, fields[1]);
    uint64_t ms = strtoull(fields[2], NULL, 10), step = strtoull(fields[3], NULL, 10);
    for (long i = 0, n = atol(fields[4]); i < n; i++, ms += step) {
        char text[64];
        snprintf(text, sizeof(text), "\"battery\":%ld,\"cpu\":%ld", i % 101, i);
        add(s, (struct streamid){ms, 0}, text);
    }
}

static void read_line(char *line)
{
    static const char *const kinds[ARCHIVE_KINDS] = {"samples", "commands", "outcomes", "events"};
    char *fields[5] = {line, NULL, NULL, NULL, NULL};
    struct streamid id;
    size_t n = 1;
    while (n < 5 && (line = strchr(line, '\t'))) {
        *line++ = '\0';
        fields[n++] = line;
    }
    if (n == 5 && strcmp(fields[0], "series") == 0) {
        add_series(fields);
        return;
    }
    for (int kind = 0; kind < ARCHIVE_KINDS && n == 4; kind++) {
        if (strcmp(fields[0], kinds[kind]) == 0 && streamid_parse(fields[2], strlen(fields[2]), &id) == 0) {
            add(stream_of((enum archive_kind)kind, fields[1]), id, fields[3]);
            return;
        }
    }
    die("a line is not KIND, DEVICE, ID, TEXT");
}

static void commit(struct archive *a, const struct stream *s)
{
    struct archive_part part = {.kind = s->kind, .device_id = s->device_id};
    bool known;
    if (archive_position(a, s->kind, s->device_id, &part.from, &known) < 0)
        die(archive_reason(a));
    for (size_t at = 0; at < s->n; at += part.n) {
        part.rows = s->rows + at;
        part.n = s->n - at < PIECE ? s->n - at : PIECE;
        part.to = part.rows[part.n - 1].id;
        if (archive_commit(a, &part, 1, clock_wall_ms()) != ARCHIVE_COMMITTED)
            die(archive_reason(a));
        part.from = part.to;
    }
}

int main(int argc, char **argv)
{
    static char line[65536];
    int from, to;
    if (argc != 2)
        die("usage: telerelay-fill DATABASE <LINES");
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        read_line(line);
    }
    struct archive *a = archive_create(argv[1], ARCHIVE_WRITE, 30000);
    if (!a || archive_migrate(a, &from, &to) < 0)
        die(a ? archive_reason(a) : "out of memory");
    for (size_t i = 0; i < n_streams; i++) {
        commit(a, &streams[i]);
        for (size_t k = 0; k < streams[i].n; k++)
            free((char *)(uintptr_t)streams[i].rows[k].text);
        free(streams[i].rows);
        free(streams[i].device_id);
    }
    archive_destroy(a);
    return 0;
}
