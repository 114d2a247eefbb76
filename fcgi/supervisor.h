/*
 * The parent process: keeps a number of worker processes running.
 *
 * SIGTERM, SIGINT: workers finish what they are at, then everything ends; those that have not ended
 *   after SUPERVISOR_DRAIN_MS are killed. SIGHUP: reload, then new workers replace the old ones the
 *   same way. A worker that dies is replaced: at once when it had lived, slower each time when not.
 */
#ifndef TELERELAY_FCGI_SUPERVISOR_H
#define TELERELAY_FCGI_SUPERVISOR_H

#define SUPERVISOR_DRAIN_MS     1500
#define SUPERVISOR_WORKERS_MAX  64
#define SUPERVISOR_TIMEOUT_EXIT 75 /* a worker's exit code when one request took too long */

struct supervisor_hooks {
    int (*work)(void *arg);   /* in a new process, with SIGTERM, SIGINT, SIGHUP and SIGCHLD blocked;
                                 returns its exit code. To end on SIGTERM. */
    int (*reload)(void *arg); /* on SIGHUP: the number of workers from now on, or -1: leave all as it is */
    void (*died)(void *arg);  /* a worker died that should not have */
    void *arg;
};

/* From here on the signals above wait for supervisor_run: to be called before the program says that it has started. */
void supervisor_prepare(void);

/* Runs until it is told to end; returns the program's exit code. */
int supervisor_run(int workers, const struct supervisor_hooks *hooks);

#endif
