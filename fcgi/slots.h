/*
 * How many workers may be at a long answer at a time, so that the others are there for everybody else however slowly
 * it is taken. A slot is free again when its worker gives it back, or ends, in whatever way.
 */
#ifndef TELERELAY_FCGI_SLOTS_H
#define TELERELAY_FCGI_SLOTS_H

struct slots;

/* Before the workers are forked. NULL when there is no memory or descriptor. */
struct slots *slots_create(void);
void slots_destroy(struct slots *s); /* takes NULL */

/* One of n slots for this process, which has none. 0, or -1 when all are taken. */
int slots_take(struct slots *s, int n);
void slots_give(struct slots *s);

#endif
