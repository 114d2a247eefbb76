/* A robot as a node: the real agent and safety, with this file's idea of a link, a disk and threads. */
#ifndef TELERELAY_SIM_ROBOT_H
#define TELERELAY_SIM_ROBOT_H

#include "tests/sim/relay.h"

#include <stdbool.h>
#include <stdint.h>

struct robot;

/* Strict: it takes no motion without a heartbeat. Legacy: it knows nothing of numbers, stops and heartbeats. */
enum robot_kind { ROBOT_MODERN, ROBOT_STRICT, ROBOT_LEGACY };

struct robot *robot_create(int index, enum robot_kind kind, struct relay *const *relays, int n_relays);
void robot_destroy(struct robot *r);

void robot_start(struct robot *r);
void robot_crash(struct robot *r, bool machine);
bool robot_runs(const struct robot *r);
void robot_freeze(struct robot *r, int64_t until); /* the whole program */
void robot_hang(struct robot *r, int64_t until);   /* its main loop only */
void robot_thaw(struct robot *r);
void robot_check(struct robot *r); /* whether something is overdue */
bool robot_linked(const struct robot *r);
struct node *robot_node(struct robot *r);
const char *robot_id(const struct robot *r);

/* For outputs.c: the program's other thread. */
struct node *robot_thread(struct robot *r);
int robot_index(const struct robot *r);

#endif
