#include "fcgi/buckets.h"

#include "common/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SUMMAND_MAX 1e300

struct metric {
    char name[MSG_METRIC_NAME_MAX + 1];
    size_t len;
    struct buckets_cell *cells; /* by a row's `at`; those behind `cap` have no value */
    size_t cap;
};

struct buckets {
    int64_t step_ms;
    size_t devices;
    bool fixed; /* only the metrics there are count */
    struct metric metrics[BUCKETS_METRICS_MAX];
    size_t n_metrics, n_first;
    size_t n_used;                       /* metrics that have a value */
    uint16_t order[BUCKETS_METRICS_MAX]; /* after buckets_finish */
    struct buckets_row *rows;
    size_t n_rows, cap_rows;

    int64_t window_ms; /* the window: its beginning … */
    size_t window;     /* … and its length, in buckets */
    size_t before;     /* rows of earlier windows */
    uint32_t *index;   /* devices × window: which row, plus one */
    size_t cap_index;

    size_t device;                   /* the row that was used last: of this device, … */
    int64_t row_ms;                  /* … of the bucket that begins then (-1: none), … */
    uint32_t row;                    /* … and where it is */
    uint16_t hints[MSG_METRICS_MAX]; /* where a sample's metrics have been before */
};

struct buckets *buckets_create(void)
{
    return calloc(1, sizeof(struct buckets));
}

void buckets_destroy(struct buckets *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n_metrics; i++)
        free(b->metrics[i].cells);
    free(b->rows);
    free(b->index);
    free(b);
}

static void add_metric(struct buckets *b, const char *name, size_t len)
{
    struct metric *m = &b->metrics[b->n_metrics++];
    *m = (struct metric){.len = len};
    memcpy(m->name, name, len);
}

void buckets_begin(struct buckets *b, int64_t step_ms, size_t devices, const char (*fields)[MSG_METRIC_NAME_MAX + 1],
                   size_t n_fields)
{
    static const char *const usual[] = {"battery", "cpu", "temperature", "signal"};
    for (size_t i = 0; i < b->n_metrics; i++)
        free(b->metrics[i].cells);
    b->n_metrics = b->n_used = b->n_rows = b->before = b->window = 0;
    b->step_ms = step_ms;
    b->devices = devices;
    b->fixed = fields != NULL;
    b->row_ms = -1;
    for (size_t i = 0; fields && i < n_fields; i++)
        add_metric(b, fields[i], strlen(fields[i]));
    for (size_t i = 0; !fields && i < sizeof(usual) / sizeof(usual[0]); i++)
        add_metric(b, usual[i], strlen(usual[i]));
    b->n_first = b->n_metrics;
    memset(b->hints, 0, sizeof(b->hints));
}

enum buckets_result buckets_window(struct buckets *b, int64_t first_ms, size_t count)
{
    size_t n = count * b->devices;
    if (n > b->cap_index) {
        uint32_t *index = realloc(b->index, n * sizeof(*index));
        if (!index)
            return BUCKETS_MEMORY;
        b->index = index;
        b->cap_index = n;
    }
    if (n > 0)
        memset(b->index, 0, n * sizeof(*b->index));
    b->window_ms = first_ms;
    b->window = count;
    b->before = b->n_rows;
    b->row_ms = -1;
    return BUCKETS_OK;
}

void buckets_undo(struct buckets *b)
{
    for (size_t i = 0; i < b->n_metrics; i++) {
        struct metric *m = &b->metrics[i];
        if (m->cap > b->before)
            memset(m->cells + b->before, 0, (m->cap - b->before) * sizeof(*m->cells));
    }
    if (b->window > 0)
        memset(b->index, 0, b->window * b->devices * sizeof(*b->index));
    b->n_rows = b->before;
    b->row_ms = -1;
}

/* The row of a device's bucket, made when there is none. A time outside of the window is the caller's mistake, and is
 * left out. */
static enum buckets_result find_row(struct buckets *b, size_t device, int64_t ms, uint32_t *row)
{
    if (device == b->device && b->row_ms >= 0 && ms >= b->row_ms && ms - b->row_ms < b->step_ms) {
        *row = b->row;
        return BUCKETS_OK;
    }
    *row = UINT32_MAX;
    if (ms < b->window_ms || device >= b->devices || (ms - b->window_ms) / b->step_ms >= (int64_t)b->window)
        return BUCKETS_OK;
    int64_t k = (ms - b->window_ms) / b->step_ms;
    uint32_t *at = &b->index[device * b->window + (size_t)k];
    if (*at == 0) {
        if ((b->n_rows + 1) * (b->n_used + !b->n_used) > BUCKETS_CELLS_MAX)
            return BUCKETS_CELLS;
        if (b->n_rows == b->cap_rows) {
            size_t cap = b->cap_rows ? b->cap_rows * 2 : 256;
            struct buckets_row *rows = realloc(b->rows, cap * sizeof(*rows));
            if (!rows)
                return BUCKETS_MEMORY;
            b->rows = rows;
            b->cap_rows = cap;
        }
        b->rows[b->n_rows] = (struct buckets_row){
            .ms = b->window_ms + k * b->step_ms, .device = (uint32_t)device, .at = (uint32_t)b->n_rows};
        *at = (uint32_t)++b->n_rows;
    }
    b->device = device;
    b->row = *row = *at - 1;
    b->row_ms = b->rows[b->row].ms;
    return BUCKETS_OK;
}

static enum buckets_result find_cell(struct buckets *b, struct metric *m, uint32_t row, struct buckets_cell **cell)
{
    if (row >= m->cap) {
        if (m->cap == 0 && b->n_rows * (b->n_used + 1) > BUCKETS_CELLS_MAX)
            return BUCKETS_CELLS;
        size_t cap = m->cap ? m->cap : 64;
        while (cap <= row)
            cap *= 2;
        struct buckets_cell *cells = realloc(m->cells, cap * sizeof(*cells));
        if (!cells)
            return BUCKETS_MEMORY;
        memset(cells + m->cap, 0, (cap - m->cap) * sizeof(*cells));
        b->n_used += m->cap == 0;
        m->cells = cells;
        m->cap = cap;
    }
    *cell = &m->cells[row];
    return BUCKETS_OK;
}

static void merge(struct buckets_cell *cell, const struct buckets_cell *more)
{
    if (cell->count == 0) {
        *cell = *more;
        return;
    }
    cell->count += more->count;
    cell->sum += more->sum;
    if (more->min < cell->min)
        cell->min = more->min;
    if (more->max > cell->max)
        cell->max = more->max;
    if (more->last_ms >= cell->last_ms) {
        cell->last_ms = more->last_ms;
        cell->last = more->last;
    }
}

static enum buckets_result add(struct buckets *b, size_t device, size_t metric, int64_t ms,
                               const struct buckets_cell *more)
{
    uint32_t row;
    struct buckets_cell *cell;
    enum buckets_result rc = find_row(b, device, ms, &row);
    if (rc != BUCKETS_OK || row == UINT32_MAX)
        return rc;
    rc = find_cell(b, &b->metrics[metric], row, &cell);
    if (rc == BUCKETS_OK)
        merge(cell, more);
    return rc;
}

enum buckets_result buckets_metric(struct buckets *b, const char *name, size_t len, size_t *metric)
{
    *metric = SIZE_MAX;
    for (size_t i = 0; i < b->n_metrics; i++) {
        if (b->metrics[i].len == len && memcmp(b->metrics[i].name, name, len) == 0) {
            *metric = i;
            return BUCKETS_OK;
        }
    }
    if (b->fixed || len > MSG_METRIC_NAME_MAX || sample_reserved(name, len))
        return BUCKETS_OK;
    if (b->n_metrics == BUCKETS_METRICS_MAX)
        return BUCKETS_METRICS;
    *metric = b->n_metrics;
    add_metric(b, name, len);
    return BUCKETS_OK;
}

const char *buckets_known(const struct buckets *b, size_t metric)
{
    return b->metrics[metric].name;
}

/* A JSON number. Those of sensors are short decimals: n and 10^k are exact, so that n / 10^k is what strtod says. */
static double read_number(const char *text, size_t len)
{
    static const double pow10[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    char copy[SAMPLE_MAX + 1];
    uint64_t n = 0;
    size_t i = len > 0 && text[0] == '-', point = len, digits = 0;
    for (; i < len && digits < 16; i++) {
        if (text[i] == '.') {
            point = i + 1;
        } else if (text[i] >= '0' && text[i] <= '9') {
            n = n * 10 + (uint64_t)(text[i] - '0');
            digits++;
        } else {
            break;
        }
    }
    if (i == len && digits <= 15) {
        double value = (double)n / pow10[len - point];
        return text[0] == '-' ? -value : value;
    }
    if (len > SAMPLE_MAX)
        return NAN;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return strtod(copy, NULL);
}

/* The k-th metric of a sample is mostly what it was in the sample before. */
static enum buckets_result guess_metric(struct buckets *b, size_t k, const struct sample_metric *m, size_t *metric)
{
    if (k < MSG_METRICS_MAX && b->hints[k] < b->n_metrics) {
        const struct metric *guess = &b->metrics[b->hints[k]];
        if (guess->len == m->name_len && memcmp(guess->name, m->name, m->name_len) == 0) {
            *metric = b->hints[k];
            return BUCKETS_OK;
        }
    }
    enum buckets_result rc = buckets_metric(b, m->name, m->name_len, metric);
    if (rc == BUCKETS_OK && k < MSG_METRICS_MAX && *metric != SIZE_MAX)
        b->hints[k] = (uint16_t)*metric;
    return rc;
}

/* As the archive's roll-ups have it: no sum ever overflows. */
static double summand(double value)
{
    return value > SUMMAND_MAX ? SUMMAND_MAX : value < -SUMMAND_MAX ? -SUMMAND_MAX : value;
}

enum buckets_result buckets_sample(struct buckets *b, size_t device, int64_t ms, const char *text, size_t len)
{
    struct sample_metric m;
    enum buckets_result rc = BUCKETS_OK;
    size_t k = 0, metric;
    for (size_t at = 0; rc == BUCKETS_OK && sample_next(text, len, &at, &m) > 0; k++) {
        rc = guess_metric(b, k, &m, &metric);
        if (rc != BUCKETS_OK || metric == SIZE_MAX)
            continue;
        double value = read_number(m.number, m.number_len);
        if (!isfinite(value))
            continue;
        struct buckets_cell more = {
            .count = 1, .sum = summand(value), .min = value, .max = value, .last = value, .last_ms = ms};
        rc = add(b, device, metric, ms, &more);
    }
    return rc;
}

enum buckets_result buckets_rollup(struct buckets *b, size_t device, size_t metric, int64_t ms,
                                   const struct buckets_cell *cell)
{
    if (metric >= b->n_metrics || cell->count <= 0)
        return BUCKETS_OK;
    struct buckets_cell more = *cell;
    more.last_ms = ms;
    return add(b, device, metric, ms, &more);
}

size_t buckets_rows(const struct buckets *b)
{
    return b->n_rows;
}

void buckets_span(const struct buckets *b, int64_t *first_ms, int64_t *last_ms)
{
    *first_ms = INT64_MAX;
    *last_ms = INT64_MIN;
    for (size_t i = 0; i < b->n_rows; i++) {
        if (b->rows[i].ms < *first_ms)
            *first_ms = b->rows[i].ms;
        if (b->rows[i].ms > *last_ms)
            *last_ms = b->rows[i].ms;
    }
}

static int compare_rows(const void *x, const void *y)
{
    const struct buckets_row *a = x, *b = y;
    if (a->ms != b->ms)
        return a->ms < b->ms ? -1 : 1;
    return a->device < b->device ? -1 : a->device > b->device;
}

void buckets_finish(struct buckets *b)
{
    if (b->n_rows > 0)
        qsort(b->rows, b->n_rows, sizeof(*b->rows), compare_rows);
    for (size_t i = 0; i < b->n_metrics; i++) {
        size_t at = i;
        while (at > b->n_first && strcmp(b->metrics[b->order[at - 1]].name, b->metrics[i].name) > 0) {
            b->order[at] = b->order[at - 1];
            at--;
        }
        b->order[at] = (uint16_t)i;
    }
    b->window = 0; /* the rows are no longer where the index says */
    b->row_ms = -1;
}

const struct buckets_row *buckets_row(const struct buckets *b, size_t i)
{
    return &b->rows[i];
}

size_t buckets_metrics(const struct buckets *b)
{
    return b->n_metrics;
}

const char *buckets_name(const struct buckets *b, size_t i)
{
    return b->metrics[b->order[i]].name;
}

const struct buckets_cell *buckets_cell(const struct buckets *b, const struct buckets_row *row, size_t i)
{
    static const struct buckets_cell none;
    const struct metric *m = &b->metrics[b->order[i]];
    return row->at < m->cap ? &m->cells[row->at] : &none;
}

size_t buckets_first(const struct buckets *b)
{
    return b->n_first;
}
