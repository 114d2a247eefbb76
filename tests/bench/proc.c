#include "tests/bench/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The clock of another process counts ns; /proc/PID/stat only ticks of 10 ms, so it is the second choice. */
static int64_t cpu_from_stat(pid_t pid)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    const char *after_name = strrchr(line, ')');
    unsigned long user = 0, system = 0;
    if (!after_name ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return -1;
    return (int64_t)(user + system) * (1000000000 / sysconf(_SC_CLK_TCK));
}

int64_t proc_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec ts;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &ts) == 0)
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    return cpu_from_stat(pid);
}

int proc_memory(pid_t pid, struct proc_memory *out)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    long long rss = -1, pss = -1;
    while (fgets(line, sizeof line, f)) {
        long long kib;
        if (sscanf(line, "Rss: %lld kB", &kib) == 1)
            rss = kib * 1024;
        else if (sscanf(line, "Pss: %lld kB", &kib) == 1)
            pss = kib * 1024;
    }
    fclose(f);
    if (rss < 0 || pss < 0)
        return -1;
    *out = (struct proc_memory){.rss = rss, .pss = pss};
    return 0;
}

int proc_parse_group(const char *text, struct proc_group *out)
{
    struct proc_group g = {.n_pids = 0};
    const char *equals = strchr(text, '=');
    size_t name_len = equals ? (size_t)(equals - text) : 0;
    if (name_len == 0 || name_len >= sizeof g.name)
        return -1;
    memcpy(g.name, text, name_len);
    for (const char *at = equals + 1; g.n_pids < PROC_PIDS_MAX;) {
        char *end;
        errno = 0;
        long pid = strtol(at, &end, 10);
        if (errno || end == at || pid <= 0 || pid > 0x7fffffff)
            return -1;
        g.pids[g.n_pids++] = (pid_t)pid;
        if (*end == '\0') {
            *out = g;
            return 0;
        }
        if (*end != ',')
            return -1;
        at = end + 1;
    }
    return -1;
}

int64_t proc_group_cpu_ns(const struct proc_group *g)
{
    int64_t sum = 0;
    for (size_t i = 0; i < g->n_pids; i++) {
        int64_t ns = proc_cpu_ns(g->pids[i]);
        if (ns < 0)
            return -1;
        sum += ns;
    }
    return sum;
}

int proc_group_memory(const struct proc_group *g, struct proc_memory *out)
{
    struct proc_memory sum = {0, 0};
    for (size_t i = 0; i < g->n_pids; i++) {
        struct proc_memory one;
        if (proc_memory(g->pids[i], &one))
            return -1;
        sum.rss += one.rss;
        sum.pss += one.pss;
    }
    *out = sum;
    return 0;
}
