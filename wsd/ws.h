/* The WebSocket server: the only file of the relay that has libwebsockets' callbacks. */
#ifndef TELERELAY_WS_H
#define TELERELAY_WS_H

#include "common/conf.h"
#include "wsd/metrics.h"
#include "wsd/session.h"

#include <stddef.h>

struct ws;
struct hub;
struct ev_loop;

/* Listens on conf->wsd.listen. NULL with a reason. conf, metrics and hub must outlive it. */
struct ws *ws_create(struct ev_loop *loop, const struct conf *conf, struct metrics *metrics, struct hub *hub, char *why,
                     size_t why_cap);
void ws_destroy(struct ws *w); /* takes NULL; closes what is left */

/* Queues a frame (takes its own reference). It is sent before the loop blocks. deadline_ms: of clock_mono_ms. Items
 * with a token that are dropped unsent while the session lives are told to hub_dropped. */
enum outq_result ws_push(struct ws *w, struct session *s, const struct outq_item *item);

/* Drops unsent items, as if newer ones had taken their place. */
void ws_withdraw(struct session *s, enum outq_lane lane, uint32_t key);

/* Nothing from the peer counts from now on; it is closed with `code` once what is queued is sent. */
void ws_close(struct ws *w, struct session *s, enum session_close code);

/* Sends what is queued. Call once per turn of the loop, before it blocks. */
void ws_flush(struct ws *w);

/* Accept nobody any more, tell everybody 1001. */
void ws_drain(struct ws *w);
unsigned ws_connections(const struct ws *w);

#endif
