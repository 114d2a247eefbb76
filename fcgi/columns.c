#include "fcgi/columns.h"

#include "common/clock.h"
#include "common/sample.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS     (2 * COLUMNS_MAX) /* of the hash table; a power of two */
#define NONE      UINT32_MAX
#define US_PER_MS 1000

struct column {
    const char *name;
    uint32_t len, device;
    bool fixed;           /* its place is that of its creation */
    uint32_t first, last; /* cells, by row; NONE without any */
};

struct cell {
    uint32_t row, next;
    uint32_t len;
    const char *number;
};

struct columns {
    const struct columns_spec *spec;
    struct column *columns; /* of COLUMNS_MAX */
    uint32_t *slots;        /* columns by device and name, NONE for an empty slot */
    uint32_t *order;        /* columns as they are written */
    size_t n_columns;
    uint64_t *times; /* µs, of each row */
    size_t n_rows;
    struct cell *cells;
    size_t n_cells, cap_cells;
    uint32_t *rows; /* of each device: its last one, plus one */
};

const char *columns_unit(const char *metric, size_t len)
{
    static const struct {
        const char *name, *unit;
    } units[] = {{"battery", "%"},
                 {"cpu", "%"},
                 {"signal", "%"},
                 {"temperature", "\xc2\xb0"
                                 "C"}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, metric, len) == 0)
            return units[i].unit;
    }
    return "";
}

static uint32_t *slot_of(const struct columns *c, uint32_t device, const char *name, size_t len)
{
    uint32_t h = 2166136261u ^ device; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    for (h ^= h >> 15;; h++) {
        uint32_t *slot = &c->slots[h & (SLOTS - 1)];
        if (*slot == NONE)
            return slot;
        const struct column *column = &c->columns[*slot];
        if (column->device == device && column->len == len && memcmp(column->name, name, len) == 0)
            return slot;
    }
}

static struct column *add_column(struct columns *c, uint32_t device, const char *name, size_t len, bool fixed)
{
    uint32_t *slot = slot_of(c, device, name, len);
    if (*slot != NONE)
        return &c->columns[*slot];
    if (c->n_columns == COLUMNS_MAX)
        return NULL;
    *slot = (uint32_t)c->n_columns;
    struct column *column = &c->columns[c->n_columns++];
    *column = (struct column){
        .name = name, .len = (uint32_t)len, .device = device, .fixed = fixed, .first = NONE, .last = NONE};
    return column;
}

static enum columns_result add_fixed(struct columns *c)
{
    static const char usual[][MSG_METRIC_NAME_MAX + 1] = {"battery", "cpu", "temperature", "signal"};
    const struct columns_spec *s = c->spec;
    const char(*names)[MSG_METRIC_NAME_MAX + 1] = s->fields ? s->fields : usual;
    size_t n = s->fields ? s->n_fields : sizeof(usual) / sizeof(usual[0]);
    for (uint32_t device = 0; device < s->n_devices; device++) {
        for (size_t i = 0; i < n; i++) {
            if (!add_column(c, device, names[i], strlen(names[i]), true))
                return COLUMNS_TOO_MANY;
        }
    }
    return COLUMNS_OK;
}

static enum columns_result add_cell(struct columns *c, struct column *column, uint32_t row,
                                    const struct sample_metric *m)
{
    if (column->last != NONE && c->cells[column->last].row == row) { /* twice in one sample */
        c->cells[column->last].number = m->number;
        c->cells[column->last].len = (uint32_t)m->number_len;
        return COLUMNS_OK;
    }
    if (c->n_cells == c->cap_cells) {
        size_t cap = c->cap_cells ? c->cap_cells * 2 : 4096;
        struct cell *cells = realloc(c->cells, cap * sizeof(*cells));
        if (!cells)
            return COLUMNS_NO_MEMORY;
        c->cells = cells;
        c->cap_cells = cap;
    }
    uint32_t at = (uint32_t)c->n_cells++;
    c->cells[at] = (struct cell){.row = row, .next = NONE, .len = (uint32_t)m->number_len, .number = m->number};
    if (column->last == NONE)
        column->first = at;
    else
        c->cells[column->last].next = at;
    column->last = at;
    return COLUMNS_OK;
}

/* The row of a sample, which is not before the last one. */
static uint32_t row_of(struct columns *c, const struct series_sample *sample)
{
    uint64_t ms = sample->id.ms < CLOCK_LAST_MS ? sample->id.ms : CLOCK_LAST_MS;
    uint64_t us = ms * US_PER_MS + (sample->id.seq < US_PER_MS ? sample->id.seq : US_PER_MS - 1);
    uint64_t last = c->n_rows ? c->times[c->n_rows - 1] : 0;
    if (c->n_rows && us <= last) {
        if (c->rows[sample->lane] != c->n_rows)
            return (uint32_t)c->n_rows - 1;
        us = last + 1;
    }
    c->times[c->n_rows++] = us;
    return (uint32_t)c->n_rows - 1;
}

static enum columns_result add_sample(struct columns *c, const struct series_sample *sample)
{
    uint32_t row = row_of(c, sample);
    struct sample_metric m;
    c->rows[sample->lane] = row + 1;
    for (size_t at = 0; sample_next(sample->text, sample->len, &at, &m) > 0;) {
        struct column *column;
        if (sample_reserved(m.name, m.name_len))
            continue;
        if (c->spec->fields) {
            uint32_t index = *slot_of(c, sample->lane, m.name, m.name_len);
            if (index == NONE)
                continue;
            column = &c->columns[index];
        } else if (!(column = add_column(c, sample->lane, m.name, m.name_len, false))) {
            return COLUMNS_TOO_MANY;
        }
        enum columns_result result = add_cell(c, column, row, &m);
        if (result != COLUMNS_OK)
            return result;
    }
    return COLUMNS_OK;
}

/* By device: the fixed ones as they are, the others by name. */
static int compare(const void *a, const void *b, void *arg)
{
    const struct columns *c = arg;
    const struct column *x = &c->columns[*(const uint32_t *)a], *y = &c->columns[*(const uint32_t *)b];
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    if (x->fixed || y->fixed)
        return x->fixed && y->fixed ? (x < y ? -1 : x > y) : (x->fixed ? -1 : 1);
    size_t common = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->name, y->name, common);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static enum columns_result build(struct columns *c, const struct series_sample *samples, size_t n, bool descending)
{
    c->columns = malloc(COLUMNS_MAX * sizeof(*c->columns));
    c->slots = malloc(SLOTS * sizeof(*c->slots));
    c->order = malloc(COLUMNS_MAX * sizeof(*c->order));
    c->times = malloc((n + 1) * sizeof(*c->times));
    c->rows = calloc(c->spec->n_devices + 1, sizeof(*c->rows));
    if (!c->columns || !c->slots || !c->order || !c->times || !c->rows)
        return COLUMNS_NO_MEMORY;
    memset(c->slots, 0xff, SLOTS * sizeof(*c->slots));
    enum columns_result result = add_fixed(c);
    for (size_t i = 0; i < n && result == COLUMNS_OK; i++)
        result = add_sample(c, &samples[descending ? n - 1 - i : i]);
    if (result == COLUMNS_OK && (c->n_columns + 1) * c->n_rows > COLUMNS_CELLS_MAX)
        result = COLUMNS_TOO_MANY;
    for (uint32_t i = 0; i < c->n_columns; i++)
        c->order[i] = i;
    qsort_r(c->order, c->n_columns, sizeof(*c->order), compare, c);
    return result;
}

enum columns_result columns_create(const struct columns_spec *spec, const struct series_sample *samples, size_t n,
                                   bool descending, struct columns **out)
{
    struct columns *c = calloc(1, sizeof(*c));
    if (!c)
        return COLUMNS_NO_MEMORY;
    c->spec = spec;
    enum columns_result result = build(c, samples, n, descending);
    if (result == COLUMNS_OK)
        *out = c;
    else
        columns_destroy(c);
    return result;
}

void columns_destroy(struct columns *c)
{
    if (!c)
        return;
    free(c->columns);
    free(c->slots);
    free(c->order);
    free(c->times);
    free(c->rows);
    free(c->cells);
    free(c);
}

size_t columns_rows(const struct columns *c)
{
    return c->n_rows;
}

size_t columns_count(const struct columns *c)
{
    return c->n_columns + 1;
}

void columns_names(const struct columns *c, struct buf *out)
{
    buf_str(out, "[\"timestamp\"");
    for (size_t i = 0; i < c->n_columns; i++) {
        const struct column *column = &c->columns[c->order[i]];
        buf_str(out, ",\"");
        if (c->spec->n_devices > 1) {
            buf_str(out, c->spec->devices[column->device]);
            buf_str(out, ".");
        }
        buf_add(out, column->name, column->len);
        buf_str(out, "\"");
    }
    buf_str(out, "]");
}

void columns_units(const struct columns *c, struct buf *out)
{
    buf_str(out, "[\"s\"");
    for (size_t i = 0; i < c->n_columns; i++) {
        const struct column *column = &c->columns[c->order[i]];
        buf_str(out, ",\"");
        buf_str(out, columns_unit(column->name, column->len));
        buf_str(out, "\"");
    }
    buf_str(out, "]");
}

/* Seconds with as many digits as there are: the exact time. */
static char *put_seconds(char *out, uint64_t us)
{
    unsigned rest = (unsigned)(us % 1000000);
    out += buf_digits(out, us / 1000000);
    if (rest > 0)
        *out++ = '.';
    for (unsigned unit = 100000; rest > 0; unit /= 10) {
        *out++ = (char)('0' + rest / unit);
        rest %= unit;
    }
    return out;
}

static void put_times(const struct columns *c, struct buf *out)
{
    char *start = buf_room(out, c->n_rows * 32 + 2), *p = start;
    if (!p)
        return;
    for (size_t i = 0; i < c->n_rows; i++) {
        *p++ = i > 0 ? ',' : '[';
        p = put_seconds(p, c->times[i]);
    }
    if (c->n_rows == 0)
        *p++ = '[';
    *p++ = ']';
    out->len += (size_t)(p - start);
}

void columns_data(const struct columns *c, size_t column, struct buf *out)
{
    if (column == 0) {
        put_times(c, out);
        return;
    }
    uint32_t at = c->columns[c->order[column - 1]].first;
    buf_add(out, "[", 1);
    for (size_t row = 0; row < c->n_rows; row++) {
        const struct cell *cell = at == NONE ? NULL : &c->cells[at];
        bool here = cell && cell->row == row;
        size_t len = here ? cell->len : 4;
        char *p = buf_room(out, len + 1);
        if (!p)
            return;
        if (row > 0)
            *p++ = ',';
        memcpy(p, here ? cell->number : "null", len);
        out->len += len + (row > 0);
        if (here)
            at = cell->next;
    }
    buf_add(out, "]", 1);
}
