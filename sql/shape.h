/*
 * A sample in the archive: its shape, the names of its metrics in their order (`battery,cpu`), and its values, the
 * numbers as they are written (`85,38`). Both together are the sample's text again, byte for byte. Pure.
 */
#ifndef TELERELAY_SHAPE_H
#define TELERELAY_SHAPE_H

#include "common/msg.h"
#include "common/sample.h"

#include <stddef.h>

#define SHAPE_NAMES_MAX (MSG_METRICS_MAX * (MSG_METRIC_NAME_MAX + 1))

struct shape {
    char names[SHAPE_NAMES_MAX];
    size_t names_len;
    char values[SAMPLE_MAX + 1]; /* with a NUL behind them */
    size_t values_len;
    size_t n; /* metrics */
};

/* Takes a sample apart; -1 with *shape unspecified when sample_check() refuses it. */
int shape_split(struct shape *shape, const char *text, size_t len);

/* Puts it together. Returns its length, or -1 when the two do not belong together: the archive is damaged. */
int shape_join(char out[SAMPLE_MAX], const char *names, size_t names_len, const char *values, size_t values_len);

#endif
