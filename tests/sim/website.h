/* A website as a node: a person who drives, stops, re-arms and takes control at random. */
#ifndef TELERELAY_SIM_WEBSITE_H
#define TELERELAY_SIM_WEBSITE_H

#include "tests/sim/relay.h"

#include <stdbool.h>

struct website;

enum website_kind { WEBSITE_MODERN, WEBSITE_PLAIN, WEBSITE_OLD }; /* with id and hb; with id; with neither */

struct website *website_create(int index, enum website_kind kind, struct relay *const *relays, int n_relays,
                               int n_robots, bool exclusive);
void website_destroy(struct website *w);
struct node *website_node(struct website *w);

void website_calm(struct website *w);             /* drives no more */
void website_prove(struct website *w, int robot); /* re-arms it, takes control, drives only that one */
bool website_open(const struct website *w);
bool website_believes_stopped(const struct website *w, int robot);

#endif
