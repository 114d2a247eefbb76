/*
 * Samples as columns, as charts want them: ascending times, each once, and a column of numbers for each metric, null
 * where there is none. Pure.
 *
 * A sample's time is its id's ms; of several samples in one ms of the same device, each further one is a µs later.
 * Samples of several devices with the same time share a row.
 */
#ifndef TELERELAY_FCGI_COLUMNS_H
#define TELERELAY_FCGI_COLUMNS_H

#include "fcgi/buf.h"
#include "fcgi/series.h"

#include "common/msg.h"

#include <stdbool.h>
#include <stddef.h>

#define COLUMNS_MAX       4096    /* of one table */
#define COLUMNS_CELLS_MAX 4000000 /* rows × columns */

struct columns;

/* What is to be in a table. All of it has to outlive that. */
struct columns_spec {
    const char (*devices)[MSG_DEVICE_ID_MAX + 1]; /* of the samples' lanes; more than one: fields are DEVICE.METRIC */
    size_t n_devices;
    const char (*fields)[MSG_METRIC_NAME_MAX + 1]; /* these metrics, in that order; NULL: battery, cpu, temperature, */
    size_t n_fields;                               /* signal, then all others that occur, by name */
};

enum columns_result { COLUMNS_OK, COLUMNS_TOO_MANY, COLUMNS_NO_MEMORY };

/* A table of samples that are sorted, ascending or descending. *out is set with COLUMNS_OK only. */
enum columns_result columns_create(const struct columns_spec *spec, const struct series_sample *samples, size_t n,
                                   bool descending, struct columns **out);
void columns_destroy(struct columns *c); /* takes NULL */

size_t columns_rows(const struct columns *c);
size_t columns_count(const struct columns *c); /* with that of the times, which is the first */

/* JSON arrays: the columns' names, their units, and one column. */
void columns_names(const struct columns *c, struct buf *out);
void columns_units(const struct columns *c, struct buf *out);
void columns_data(const struct columns *c, size_t column, struct buf *out);

/* "%", "°C" or "". */
const char *columns_unit(const char *metric, size_t len);

#endif
