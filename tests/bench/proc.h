/* What the processes under test cost: CPU time and memory, from the kernel. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU time that a process has used so far, all its threads, in ns; -1 when there is no such process. */
int64_t proc_cpu_ns(pid_t pid);

struct proc_memory {
    int64_t rss; /* bytes */
    int64_t pss; /* bytes; shared pages counted in part */
};

/* 0, or -1 with *out unchanged. */
int proc_memory(pid_t pid, struct proc_memory *out);

/* Processes under one name, as in "relay=12,13". */
#define PROC_GROUPS_MAX 4
#define PROC_PIDS_MAX   16

struct proc_group {
    char name[16];
    pid_t pids[PROC_PIDS_MAX];
    size_t n_pids;
};

/* 0, or -1 with *out unchanged. */
int proc_parse_group(const char *text, struct proc_group *out);

/* Sums over a group; -1 when a process is gone. */
int64_t proc_group_cpu_ns(const struct proc_group *g);
int proc_group_memory(const struct proc_group *g, struct proc_memory *out);

#endif
