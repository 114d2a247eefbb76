#include "sql/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void put(struct feed_field *field, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put(struct feed_field *field, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    field->name = name;
    vsnprintf(field->value, sizeof(field->value), format, args);
    va_end(args);
}

static int64_t rows_of(const struct report *r)
{
    int64_t rows = 0;
    for (int kind = 0; kind < ARCHIVE_KINDS; kind++)
        rows += r->rows[kind];
    return rows;
}

size_t report_fields(const struct report *r, int64_t now_ms, struct feed_field fields[REPORT_FIELDS_MAX])
{
    size_t n = 0;
    put(&fields[n++], "instance", "%s", r->instance);
    put(&fields[n++], "updated_ms", "%" PRId64, now_ms);
    put(&fields[n++], "database", "%s", r->database_up ? "up" : "away");
    put(&fields[n++], "reason", "%s", r->reason);
    put(&fields[n++], "since_ms", "%" PRId64, r->since_ms);
    put(&fields[n++], "lag_ms", "%" PRId64, r->lag.ms);
    put(&fields[n++], "lag_samples", "%" PRId64, r->lag.samples);
    put(&fields[n++], "lag_entries", "%" PRId64, r->lag.entries);
    put(&fields[n++], "near_loss", "%" PRId64, r->lag.near_loss);
    put(&fields[n++], "streams", "%zu", r->streams);
    put(&fields[n++], "rows", "%" PRId64, rows_of(r));
    put(&fields[n++], "commits", "%" PRId64, r->commits);
    put(&fields[n++], "failures", "%" PRId64, r->failures);
    put(&fields[n++], "gaps", "%" PRId64, r->gaps);
    put(&fields[n++], "trimmed", "%" PRId64, r->trimmed);
    put(&fields[n++], "expired", "%" PRId64, r->expired);
    return n;
}

struct text {
    char *out;
    size_t len;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (t->len < REPORT_METRICS_MAX) {
        int n = vsnprintf(t->out + t->len, REPORT_METRICS_MAX - t->len, format, args);
        t->len += n > 0 ? (size_t)n : 0;
    }
    va_end(args);
}

static void family(struct text *t, const char *name, const char *kind, const char *help)
{
    add(t, "# HELP telerelay_archive_%s %s\n# TYPE telerelay_archive_%s %s\n", name, help, name, kind);
}

static void whole(struct text *t, const char *name, const char *kind, int64_t value, const char *help)
{
    family(t, name, kind, help);
    add(t, "telerelay_archive_%s %" PRId64 "\n", name, value);
}

size_t report_metrics(char out[REPORT_METRICS_MAX], const struct report *r)
{
    struct text t = {.out = out};
    whole(&t, "working", "gauge", 1, "Whether an archiver works");
    whole(&t, "database_up", "gauge", r->database_up, "Whether the database is there");
    family(&t, "lag_seconds", "gauge", "Age of the oldest sample that is not archived, as of the last look");
    add(&t, "telerelay_archive_lag_seconds %.3f\n", (double)r->lag.ms / 1000);
    whole(&t, "lag_samples", "gauge", r->lag.samples, "Samples that are not archived, estimated");
    whole(&t, "near_loss", "gauge", r->lag.near_loss, "Streams of which so much waits that their hard cap is near");
    whole(&t, "streams", "gauge", (int64_t)r->streams, "Streams that are looked after");
    family(&t, "rows_total", "counter", "Entries archived");
    for (int kind = 0; kind < ARCHIVE_KINDS; kind++)
        add(&t, "telerelay_archive_rows_total{kind=\"%s\"} %" PRId64 "\n", archive_kind_names[kind], r->rows[kind]);
    whole(&t, "commits_total", "counter", r->commits, "Transactions committed");
    whole(&t, "commit_failures_total", "counter", r->failures, "Transactions that failed");
    whole(&t, "gaps_total", "counter", r->gaps, "Times that a stream lost entries before they were archived");
    whole(&t, "restarts_total", "counter", r->restarts, "Times that Redis had lost a stream, or the end of one");
    whole(&t, "trimmed_total", "counter", r->trimmed, "Archived entries removed from Redis");
    whole(&t, "expired_total", "counter", r->expired, "Rows deleted since they were too old");
    return t.len < REPORT_METRICS_MAX ? t.len : 0;
}
