/* The robots and websites of this relay, and what happens when one of them, or the bus, says something. */
#ifndef TELERELAY_HUB_H
#define TELERELAY_HUB_H

#include "common/conf.h"
#include "wsd/bus.h"
#include "wsd/metrics.h"
#include "wsd/session.h"

#include <stdbool.h>
#include <stddef.h>

struct hub;
struct ws;

struct hub *hub_create(const struct conf *conf, struct metrics *metrics); /* NULL when out of memory */
void hub_destroy(struct hub *h);                                          /* takes NULL; after ws and bus */
void hub_connect(struct hub *h, struct ws *ws, struct bus *bus);          /* both outlive the last hub_* but destroy */
extern const struct bus_handlers hub_bus_handlers;                        /* ctx: the hub */

/* From ws.c. device_id NULL: a website, which wants to hear of the robots in `watch` only ("a,b", valid; "" all). -1:
 * out of memory, close. */
int hub_opened(struct hub *h, struct session *s, const char *device_id, const char *watch);
void hub_message(struct hub *h, struct session *s, const char *text, size_t len);
/* What came is no text message, or too long: tell the peer (and close when too long). */
void hub_bad_message(struct hub *h, struct session *s, enum msg_code code, const char *text);
void hub_closed(struct hub *h, struct session *s);
/* What was queued with this token will not be sent. */
void hub_dropped(struct hub *h, struct session *s, uint64_t token, enum outq_drop why);
/* All that was queued has been sent: more may follow. */
void hub_drained(struct hub *h, struct session *s);

/* About once a second: what the bus refused or did not answer is asked for again. */
void hub_tick(struct hub *h);

/* Every HUB_WATCH_MS: who drives and falls silent has its robots stopped; control that is not used ends. */
#define HUB_WATCH_MS 25
void hub_watch(struct hub *h);

/* This relay ends: its robots are taken out of the bus, and every peer is closed with 1001. */
void hub_leave(struct hub *h);
bool hub_empty(const struct hub *h);

void hub_gauges(const struct hub *h, struct metrics_gauges *g);

#endif
