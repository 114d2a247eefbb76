/*
 * The lines of a spool: "CRC LEN BODY\n", CRC in 8 hexadecimal digits and LEN in decimal ones of BODY, which is
 * "s TIME_MS METRICS" (a sample) or "d NUMBER AT" (all before byte AT of segment NUMBER is done with). What a loss of
 * power has torn or mixed up is no line, and the next newline ends it. Pure.
 */
#ifndef TELERELAY_ROBOT_SPOOL_LINE_H
#define TELERELAY_ROBOT_SPOOL_LINE_H

#include <stddef.h>
#include <stdint.h>

#define SPOOL_METRICS_MAX 4096 /* bytes of one sample's metrics */
#define SPOOL_LINE_MAX    (SPOOL_METRICS_MAX + 64)

enum spool_kind { SPOOL_DAMAGED, SPOOL_SAMPLE, SPOOL_DONE };

struct spool_line {
    enum spool_kind kind;
    int64_t time_ms;     /* SAMPLE: wall clock */
    const char *metrics; /* SAMPLE: within the line */
    size_t len;          /* of them */
    uint64_t number;     /* DONE */
    uint64_t at;         /* DONE */
};

/* Length of the line with its newline, 0 when the metrics are too long. */
size_t spool_line_put(char out[SPOOL_LINE_MAX], const struct spool_line *line);

/* text: without the newline. */
struct spool_line spool_line_read(const char *text, size_t len);

#endif
