#include "tests/bench/meter.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void read_all(const struct options *o, int64_t *cpu, struct proc_memory *memory)
{
    for (size_t i = 0; i < o->n_groups; i++) {
        cpu[i] = proc_group_cpu_ns(&o->groups[i]);
        memory[i] = (struct proc_memory){0, 0};
        proc_group_memory(&o->groups[i], &memory[i]);
    }
}

void meter_start(struct meter *m, const struct options *o)
{
    memset(m, 0, sizeof *m);
    m->options = o;
    m->started = true;
    read_all(o, m->cpu, m->memory);
    m->own_cpu = proc_cpu_ns(getpid());
    m->t0 = clock_mono_ns();
}

void meter_stop(struct meter *m)
{
    int64_t cpu[PROC_GROUPS_MAX];
    struct proc_memory memory[PROC_GROUPS_MAX];
    m->t1 = clock_mono_ns();
    m->own_cpu = proc_cpu_ns(getpid()) - m->own_cpu;
    read_all(m->options, cpu, memory);
    for (size_t i = 0; i < m->options->n_groups; i++) {
        m->cpu[i] = m->cpu[i] < 0 || cpu[i] < 0 ? -1 : cpu[i] - m->cpu[i];
        m->memory[i].rss = memory[i].rss - m->memory[i].rss;
        m->memory[i].pss = memory[i].pss - m->memory[i].pss;
    }
    m->stopped = true;
}

double meter_seconds(const struct meter *m)
{
    return (double)(m->t1 - m->t0) / 1e9;
}

static double rounded(double value, double step)
{
    return (double)(int64_t)(value * step + (value < 0 ? -0.5 : 0.5)) / step;
}

void meter_put_cpu(struct jsonw *w, const struct meter *m, double work)
{
    double sum = 0, seconds = meter_seconds(m);
    jsonw_key(w, "cpu_us");
    jsonw_lit(w, "{");
    for (size_t i = 0; i < m->options->n_groups; i++) {
        double us = m->cpu[i] < 0 || work <= 0 ? 0 : (double)m->cpu[i] / 1e3 / work;
        sum += us;
        jsonw_kv_num(w, m->options->groups[i].name, rounded(us, 1e4));
    }
    jsonw_kv_num(w, "all", rounded(sum, 1e4));
    jsonw_lit(w, "}");
    jsonw_key(w, "load"); /* share of a core, in % */
    jsonw_lit(w, "{");
    for (size_t i = 0; i < m->options->n_groups; i++)
        jsonw_kv_num(w, m->options->groups[i].name, rounded((double)m->cpu[i] / 1e7 / seconds, 10));
    jsonw_kv_num(w, "generator", rounded((double)m->own_cpu / 1e7 / seconds, 10));
    jsonw_lit(w, "}");
    jsonw_kv_num(w, "seconds", rounded(seconds, 1e3));
}

void meter_put_memory(struct jsonw *w, const struct meter *m, double work)
{
    jsonw_key(w, "bytes");
    jsonw_lit(w, "{");
    for (size_t i = 0; i < m->options->n_groups; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_rss", m->options->groups[i].name);
        jsonw_kv_num(w, name, rounded((double)m->memory[i].rss / work, 10));
        snprintf(name, sizeof name, "%s_pss", m->options->groups[i].name);
        jsonw_kv_num(w, name, rounded((double)m->memory[i].pss / work, 10));
    }
    jsonw_lit(w, "}");
}

void meter_put_latency(struct jsonw *w, const char *key, const struct hist *h)
{
    jsonw_key(w, key);
    jsonw_lit(w, "{");
    jsonw_kv_num(w, "p50", rounded((double)hist_quantile(h, 0.5) / 1e3, 10));
    jsonw_kv_num(w, "p90", rounded((double)hist_quantile(h, 0.9) / 1e3, 10));
    jsonw_kv_num(w, "p99", rounded((double)hist_quantile(h, 0.99) / 1e3, 10));
    jsonw_kv_num(w, "max", rounded((double)h->max / 1e3, 10));
    jsonw_kv_num(w, "mean", rounded(hist_mean(h) / 1e3, 10));
    jsonw_kv_int(w, "count", (int64_t)h->count);
    jsonw_lit(w, "}");
}

void meter_begin(struct jsonw *w, char *buf, const char *scenario)
{
    jsonw_init(w, buf, METER_REPORT_MAX);
    jsonw_lit(w, "{");
    jsonw_kv_str(w, "scenario", scenario);
}

int meter_end(struct jsonw *w)
{
    jsonw_lit(w, "}\n");
    if (w->overflow || fwrite(w->buf, 1, w->len, stdout) != w->len || fflush(stdout))
        return -1;
    return 0;
}
