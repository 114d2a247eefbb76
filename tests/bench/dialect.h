/*
 * What goes over the wire. The relay's own protocol (a reference relay speaks it too), or nchan's:
 * publishers and subscribers of one channel, which get the same bytes as the relay's websites.
 */
#ifndef BENCH_DIALECT_H
#define BENCH_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dialect { DIALECT_TELERELAY, DIALECT_NCHAN };

#define DIALECT_TEXT_MAX 512

/* Request paths; NUL-terminated into DIALECT_TEXT_MAX bytes. */
void dialect_robot_path(char *out, enum dialect d, unsigned robot);
void dialect_website_path(char *out, enum dialect d);
void dialect_command_paths(char *website, char *robot, enum dialect d);

/* Messages; return their length. */
size_t dialect_telemetry(char *out, enum dialect d, unsigned robot, uint64_t seq);
#define DIALECT_COMMANDS_MAX 10000 /* numbers that a command can carry */
size_t dialect_command(char *out, unsigned number);

/* A move to one robot, and with `safe` what makes it so; the robot's heartbeat; its answer to a move (0: it has no id).
 */
size_t dialect_move(char *out, unsigned robot, uint64_t number, bool safe, uint64_t hb);
size_t dialect_heartbeat(char *out, uint64_t hb);
size_t dialect_answer(char *out, const char *move, size_t len);

/* What was received. True with the outputs set when the message is of that kind. */
bool dialect_is_telemetry(const char *data, size_t len, unsigned *robot, uint64_t *seq);
bool dialect_is_command(const char *data, size_t len, unsigned *number);
bool dialect_is_command_ack(const char *data, size_t len, unsigned *number); /* the relay's own, no receipt */
bool dialect_is_move(const char *data, size_t len);
bool dialect_is_ack(const char *data, size_t len);
bool dialect_is_receipt(const char *data, size_t len, bool *applied); /* an ack that says what became of a move */
bool dialect_is_error(const char *data, size_t len);

#endif
