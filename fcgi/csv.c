#include "fcgi/csv.h"

#include "common/sample.h"

#include <string.h>

static int compare(const struct csv_column *column, const char *name, size_t len)
{
    size_t common = column->len < len ? column->len : len;
    int order = memcmp(column->name, name, common);
    return order != 0 ? order : column->len < len ? -1 : column->len > len;
}

static void add_first(struct csv *csv, const char *name)
{
    csv->columns[csv->n++] = (struct csv_column){name, strlen(name)};
}

void csv_begin(struct csv *csv, const char (*fields)[MSG_METRIC_NAME_MAX + 1], size_t n)
{
    static const char *const usual[] = {"battery", "cpu", "temperature", "signal"};
    csv->n = 0;
    for (size_t i = 0; fields && i < n; i++)
        add_first(csv, fields[i]);
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && !fields; i++)
        add_first(csv, usual[i]);
    csv->n_first = csv->n;
}

/* Where the name is, or (not *found) where it belongs. */
static size_t find(const struct csv *csv, const char *name, size_t len, bool *found)
{
    *found = true;
    for (size_t i = 0; i < csv->n_first; i++) {
        if (compare(&csv->columns[i], name, len) == 0)
            return i;
    }
    size_t low = csv->n_first, high = csv->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(&csv->columns[middle], name, len);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static int add(struct csv *csv, const char *name, size_t len)
{
    bool found;
    size_t i = find(csv, name, len, &found);
    if (found || sample_reserved(name, len))
        return 0;
    if (csv->n == CSV_COLUMNS_MAX)
        return -1;
    memmove(&csv->columns[i + 1], &csv->columns[i], (csv->n - i) * sizeof(csv->columns[0]));
    csv->columns[i] = (struct csv_column){name, len};
    csv->n++;
    return 0;
}

int csv_widen(struct csv *csv, const struct series_sample *sample)
{
    struct sample_metric m;
    for (size_t at = 0; sample_next(sample->text, sample->len, &at, &m) > 0;) {
        if (add(csv, m.name, m.name_len) < 0)
            return -1;
    }
    return 0;
}

int csv_add(struct csv *csv, const char *name)
{
    return add(csv, name, strlen(name));
}

bool csv_has(const struct csv *csv, const char *name, size_t len)
{
    bool found;
    find(csv, name, len, &found);
    return found;
}

void csv_header(const struct csv *csv, struct buf *out)
{
    buf_str(out, "timestamp,device_id");
    for (size_t i = 0; i < csv->n; i++) {
        buf_add(out, ",", 1);
        buf_add(out, csv->columns[i].name, csv->columns[i].len);
    }
    buf_add(out, "\r\n", 2);
}

void csv_row(const struct csv *csv, struct buf *out, struct item_clock *clock, const char *device_id,
             const struct series_sample *sample)
{
    struct sample_metric m, cells[CSV_COLUMNS_MAX];
    for (size_t i = 0; i < csv->n; i++)
        cells[i].number_len = 0;
    for (size_t at = 0; sample_next(sample->text, sample->len, &at, &m) > 0;) {
        bool found;
        size_t i = find(csv, m.name, m.name_len, &found);
        if (found)
            cells[i] = m;
    }
    buf_add(out, item_timestamp(clock, sample->id.ms), CLOCK_RFC3339_MS_LEN);
    buf_add(out, ",", 1);
    buf_str(out, device_id);
    for (size_t i = 0; i < csv->n; i++) {
        buf_add(out, ",", 1);
        if (cells[i].number_len > 0)
            buf_add(out, cells[i].number, cells[i].number_len);
    }
    buf_add(out, "\r\n", 2);
}
