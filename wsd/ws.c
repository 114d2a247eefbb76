#include "wsd/ws.h"

#include "common/clock.h"
#include "common/log.h"
#include "wsd/hub.h"
#include "wsd/listen.h"
#include "wsd/query.h"
#include "wsd/relay.h"

#include <errno.h>
#include <ev.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#define RX_BUFFER   256  /* bytes per connection; longer messages come in pieces, which are joined */
#define SLOW_MS     100  /* behind for longer: telemetry is thinned to the latest */
#define CLOSE_MS    2000 /* for the peer to take the close frame */
#define TICK_S      0.1
#define STOPPED_MS  500  /* between two ticks: it was this process that stood still, not its peers */
#define HEADER_MAX  4096 /* bytes of all headers of a request */
#define HANDSHAKE_S 5
#define GATHER_S    0.025 /* telemetry to peers that take batches waits this long at most */

struct ws {
    struct ev_loop *loop;
    const struct conf *conf;
    struct metrics *metrics;
    struct hub *hub;
    struct lws_context *lws;
    struct session_lists lists;
    unsigned connections; /* of any state, upgraded or not */
    unsigned max_connections;
    bool draining;
    char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" when TCP */
    ev_timer tick;
    ev_timer gather_tick;
    int64_t ticked_ms;             /* monotonic */
    uint8_t gather[FRAME_SEGMENT]; /* messages joined for one write */
};

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

#define PROTOCOL(text)                                                                                                 \
    {                                                                                                                  \
        .name = (text), .callback = callback, .per_session_data_size = sizeof(struct session),                         \
        .rx_buffer_size = RX_BUFFER, .tx_packet_size = FRAME_SEGMENT                                                   \
    }

enum { PLAIN, BATCH };
static const struct lws_protocols protocols[] = {
    [PLAIN] = PROTOCOL("telerelay"),
    [BATCH] = PROTOCOL("telerelay.batch"),
    {.name = NULL},
};

/* Telemetry for who takes batches: at the pace of a screen. */
static void gather(struct ws *w, struct session *s)
{
    session_gather(&w->lists, s);
    if (!ev_is_active(&w->gather_tick))
        ev_timer_start(w->loop, &w->gather_tick);
}

/* --- sending ------------------------------------------------------------------------------- */

/* Outside of libwebsockets' callbacks a connection can only be ended through its loop. */
static void kill_soon(struct ws *w, struct session *s)
{
    s->ended = true;
    outq_clear(&s->q);
    lws_set_timeout(s->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
    lws_cancel_service(w->lws);
}

void ws_close(struct ws *w, struct session *s, enum session_close code)
{
    if (s->ended)
        return;
    s->ended = true;
    s->close_code = (uint16_t)code;
    s->close_by_ms = clock_mono_ms() + CLOSE_MS;
    session_watch(&w->lists, s);
    session_mark(&w->lists, s);
}

static void set_behind(struct ws *w, struct session *s, int64_t now)
{
    if (s->behind_since_ms == 0)
        s->behind_since_ms = s->blocked_since_ms = now;
    session_watch(&w->lists, s);
    lws_callback_on_writable(s->wsi);
}

/*
 * Not by libwebsockets' own closing: it hangs up at once on a peer that is in the middle of sending,
 * and our last words are lost with what the peer still had on its way. What it sends is thrown away
 * until it answers, or for CLOSE_MS.
 */
static int send_close(struct session *s, unsigned code)
{
    unsigned char frame[] = {0x88, 2, (unsigned char)(code >> 8), (unsigned char)(code & 0xff)};
    s->close_sent = true;
    return lws_write(s->wsi, frame, sizeof(frame), LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

static void on_dropped(void *ctx, uint64_t token, enum outq_drop why)
{
    struct session *s = ctx;
    struct ws *w = lws_context_user(lws_get_context(s->wsi));
    hub_dropped(w->hub, s, token, why);
}

static struct outq_observer observer(struct session *s)
{
    return (struct outq_observer){on_dropped, s};
}

/* Also while the peer takes nothing: senders want to know. */
static void expire(struct ws *w, struct session *s, int64_t now)
{
    struct outq_observer o = observer(s);
    w->metrics->commands_expired_total += outq_expire(&s->q, now, &o);
}

static int send_ping(struct session *s, const unsigned char *payload, size_t len)
{
    unsigned char frame[2 + PACE_MARK] = {0x89, (unsigned char)len};
    memcpy(frame + 2, payload, len);
    return lws_write(s->wsi, frame, 2 + len, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

/* Sends what the socket takes. -1 when the connection is dead. */
static int flush_session(struct ws *w, struct session *s)
{
    unsigned char last[PACE_MARK];
    int64_t now = clock_mono_ms();
    expire(w, s, now);
    while (!outq_empty(&s->q)) {
        unsigned char mark[PACE_MARK];
        const uint8_t *bytes;
        struct frame *hold;
        if (lws_partial_buffered(s->wsi)) {
            set_behind(w, s, now);
            return 0;
        }
        if (session_film_waits(s, now))
            break;
        if (session_film_mark(s, mark, now)) {
            if (send_ping(s, mark, sizeof(mark)) != 0)
                return -1;
            continue;
        }
        size_t n = s->batch ? outq_take_batch(&s->q, w->gather, sizeof(w->gather), &bytes, &hold)
                            : outq_take(&s->q, w->gather, sizeof(w->gather), &bytes, &hold);
        /* The bytes are framed already; with this kind libwebsockets sends them as they are. */
        int rc = lws_write(s->wsi, (unsigned char *)(uintptr_t)bytes, n, LWS_WRITE_HTTP);
        frame_unref(hold);
        if (rc < 0)
            return -1;
    }
    if (lws_partial_buffered(s->wsi)) {
        set_behind(w, s, now);
        return 0;
    }
    if (outq_empty(&s->q) && session_film_mark(s, last, now) && send_ping(s, last, sizeof(last)) != 0)
        return -1;
    s->behind_since_ms = 0;
    if (!outq_empty(&s->q))
        session_watch(&w->lists, s); /* for when the link is free again */
    if (!s->ended)
        hub_drained(w->hub, s);
    return s->close_code != 0 && !s->close_sent ? send_close(s, s->close_code) : 0;
}

static void flush_or_kill(struct ws *w, struct session *s)
{
    session_unmark(&w->lists, s);
    if (flush_session(w, s) != 0)
        kill_soon(w, s);
}

void ws_flush(struct ws *w)
{
    while (w->lists.dirty != NULL)
        flush_or_kill(w, w->lists.dirty);
}

/* The peer takes nothing: queue the close frame behind what the kernel still holds, and give up soon. */
static void close_blocked(struct ws *w, struct session *s)
{
    w->metrics->connections_blocked_closed_total++;
    log_warn("blocked", log_int("for_ms", clock_mono_ms() - s->blocked_since_ms), log_int("waiting", s->q.bytes));
    s->ended = true;
    outq_clear(&s->q);
    s->close_by_ms = clock_mono_ms() + CLOSE_MS;
    session_watch(&w->lists, s);
    if (send_close(s, SESSION_BLOCKED) != 0)
        kill_soon(w, s);
}

enum outq_result ws_push(struct ws *w, struct session *s, const struct outq_item *item)
{
    if (s->ended)
        return OUTQ_QUEUED; /* it goes; nothing is owed to it */
    size_t limit = (size_t)w->conf->wsd.queue_bytes;
    if (s->behind_since_ms == 0 && item->lane != OUTQ_VIDEO && s->q.bytes + item->frame->len > limit / 2) {
        /* A burst within one turn of the loop: the peer may well take it, so do not drop what it could get. */
        flush_or_kill(w, s);
    }
    bool slow = s->behind_since_ms != 0 && (s->q.bytes > limit / 2 || clock_mono_ms() - s->behind_since_ms > SLOW_MS);
    struct outq_observer o = observer(s);
    enum outq_result result = outq_push(&s->q, item, slow, limit, &o);
    if (result == OUTQ_REFUSED && item->lane == OUTQ_CONTROL)
        close_blocked(w, s); /* better no connection than one that is silent about what happened */
    else if (s->batch && item->lane >= OUTQ_TELEMETRY)
        gather(w, s);
    else
        session_mark(&w->lists, s);
    return result;
}

void ws_withdraw(struct session *s, enum outq_lane lane, uint32_t key)
{
    struct outq_observer o = observer(s);
    outq_withdraw(&s->q, lane, key, &o);
}

static int on_writable(struct ws *w, struct session *s)
{
    s->blocked_since_ms = clock_mono_ms(); /* it took something */
    return flush_session(w, s);
}

/* --- receiving ----------------------------------------------------------------------------- */

static void on_receive(struct ws *w, struct session *s, const char *piece, size_t len)
{
    const struct conf_wsd *conf = &w->conf->wsd;
    bool frame_ends = lws_remaining_packet_payload(s->wsi) == 0;
    bool ends = lws_is_final_fragment(s->wsi) != 0;
    s->heard_ms = clock_mono_ms();
    if (s->ended)
        return;
    size_t max = relay_message_max(conf, s->from);
    if (s->rx_len + len > max || lws_remaining_packet_payload(s->wsi) > max - s->rx_len - len) {
        session_rx_end(s);
        hub_bad_message(w->hub, s, MSG_TOO_LARGE, NULL);
        return;
    }
    if (lws_frame_is_binary(s->wsi)) {
        if (frame_ends)
            hub_bad_message(w->hub, s, MSG_INVALID_MESSAGE, "binary frames are not accepted; send JSON as text");
        return;
    }
    if (ends && s->rx_since_ms == 0) {
        hub_message(w->hub, s, piece, len);
        return;
    }
    if (s->rx_since_ms == 0) {
        s->rx_since_ms = s->heard_ms;
        session_watch(&w->lists, s);
    }
    const char *why = frame_ends && ++s->rx_fragments > conf->fragments ? "too many fragments" : NULL;
    if (why == NULL && session_rx_join(s, piece, len, max) != 0)
        why = "out of memory";
    if (why != NULL) {
        session_rx_end(s);
        hub_bad_message(w->hub, s, MSG_TOO_LARGE, why);
        return;
    }
    if (ends) {
        hub_message(w->hub, s, s->rx ? s->rx : "", s->rx_len);
        session_rx_end(s);
    }
}

/* --- signs of life ------------------------------------------------------------------------- */

/*
 * libwebsockets can ping by itself, but keeps a sorted list of deadlines that it walks for every
 * connection: with 10,000 of them that alone takes a processor. Here all have the same interval, so
 * a queue does.
 */
static void look_later(struct ws *w, struct session *s, int64_t now)
{
    s->look_ms = now + SESSION_LOOK_MS;
    DL_APPEND2(w->lists.life, s, life_prev, life_next);
}

/* -1: gone. */
static int look(const struct conf_wsd *conf, struct session *s, int64_t now)
{
    switch (session_silence(s, conf, s->behind_since_ms != 0 || lws_partial_buffered(s->wsi), now)) {
    case SESSION_GONE:
        return -1;
    case SESSION_ASK:
        s->pinged_ms = now;
        return send_ping(s, (const unsigned char *)"p", 1); /* libwebsockets hides pongs without a payload */
    default:
        return 0;
    }
}

static void look_at_all(struct ws *w, int64_t now)
{
    struct session *s;
    while ((s = w->lists.life) != NULL && s->look_ms <= now) {
        DL_DELETE2(w->lists.life, s, life_prev, life_next);
        look_later(w, s, now);
        if (!s->ended && look(&w->conf->wsd, s, now) != 0)
            kill_soon(w, s);
    }
}

/* --- opening and closing ------------------------------------------------------------------- */

static void read_query(struct lws *wsi, struct query *q)
{
    char arg[HEADER_MAX];
    int n;
    *q = (struct query){.kind = QUERY_WEBSITE};
    for (int i = 0; (n = lws_hdr_copy_fragment(wsi, arg, sizeof(arg), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0; i++)
        query_add(q, arg, (size_t)n);
}

static int refuse(struct ws *w, struct lws *wsi, unsigned status, const char *text)
{
    w->metrics->connections_refused_total++;
    return lws_return_http_status(wsi, status, text) < 0 ? -1 : 1;
}

/* 0: go on; 1: refused with a status; -1: hang up. */
static int on_upgrade(struct ws *w, struct lws *wsi)
{
    struct query query;
    char path[32];
    /* libwebsockets would also speak HTTP/2 here, and WebSocket within. */
    int n = lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_UPGRADE);
    if (n <= 0 || strcasecmp(path, "websocket") != 0)
        return refuse(w, wsi, HTTP_STATUS_BAD_REQUEST, "the only upgrade here is websocket");
    n = lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI);
    if (n <= 0 || !relay_path_valid(path, (size_t)n))
        return refuse(w, wsi, HTTP_STATUS_NOT_FOUND, NULL);
    read_query(wsi, &query);
    if (query.kind == QUERY_BAD_ID)
        return refuse(w, wsi, HTTP_STATUS_BAD_REQUEST, "device_id must be 1 to 64 letters, digits, '_', '.' or '-'");
    if (query.kind == QUERY_BAD_WATCH)
        return refuse(w, wsi, HTTP_STATUS_BAD_REQUEST, "watch must be at most 64 device ids with commas between them");
    if (w->draining)
        return refuse(w, wsi, HTTP_STATUS_SERVICE_UNAVAILABLE, "this relay is shutting down");
    return 0;
}

static int on_established(struct ws *w, struct lws *wsi, struct session *s)
{
    struct query query;
    memset(s, 0, sizeof(*s));
    s->wsi = wsi;
    listen_tune(lws_get_socket_fd(wsi), w->unix_path[0] == '\0', w->conf);
    read_query(wsi, &query);
    if (query.kind == QUERY_BAD_ID || query.kind == QUERY_BAD_WATCH)
        return -1;
    s->opened = true;
    s->batch = strcmp(lws_get_protocol(wsi)->name, protocols[BATCH].name) == 0;
    s->heard_ms = clock_mono_ms();
    look_later(w, s, s->heard_ms);
    return hub_opened(w->hub, s, query.kind == QUERY_ROBOT ? query.device_id : NULL, query.watch);
}

static void on_closed(struct ws *w, struct session *s)
{
    /* libwebsockets tells the end of handshakes that failed half-way, too. */
    if (s == NULL || !s->opened)
        return;
    s->ended = true;
    session_unmark(&w->lists, s);
    session_unwatch(&w->lists, s);
    DL_DELETE2(w->lists.life, s, life_prev, life_next);
    session_rx_end(s);
    outq_clear(&s->q);
    hub_closed(w->hub, s);
    session_unmark(&w->lists, s); /* whatever the hub still had to say */
    outq_clear(&s->q);
}

static int on_http(struct ws *w, struct lws *wsi)
{
    int rc = refuse(w, wsi, HTTP_STATUS_NOT_FOUND, "this is a WebSocket server: GET /ws/telemetry/ with Upgrade");
    return rc < 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct ws *w = lws_context_user(lws_get_context(wsi));
    struct session *s = user;
    switch (reason) {
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        if (w->connections >= w->max_connections) {
            w->metrics->connections_refused_total++;
            return -1;
        }
        return 0;
    case LWS_CALLBACK_WSI_CREATE:
        w->connections++;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        w->connections--;
        return 0;
    case LWS_CALLBACK_HTTP:
        return on_http(w, wsi);
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return on_upgrade(w, wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return on_established(w, wsi, s);
    case LWS_CALLBACK_RECEIVE:
        on_receive(w, s, in, len);
        return 0;
    case LWS_CALLBACK_RECEIVE_PONG:
        s->heard_ms = clock_mono_ms();
        if (pace_pong(&s->pace, in, len, s->heard_ms))
            session_mark(&w->lists, s);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(w, s);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        return s->close_sent ? -1 : 0; /* its answer to ours: nothing is left to say */
    case LWS_CALLBACK_CLOSED:
        on_closed(w, s);
        return 0;
    default:
        return 0;
    }
}

/* --- time ---------------------------------------------------------------------------------- */

static void check_deadlines(struct ws *w, struct session *s, int64_t now)
{
    const struct conf_wsd *conf = &w->conf->wsd;
    if (s->close_by_ms != 0) {
        if (now >= s->close_by_ms)
            kill_soon(w, s);
    } else if (s->rx_since_ms != 0 && now - s->rx_since_ms > conf->message_ms) {
        hub_bad_message(w->hub, s, MSG_INVALID_MESSAGE, "the message was not completed in time");
        ws_close(w, s, SESSION_SLOW);
    } else if (s->behind_since_ms != 0 && now - s->blocked_since_ms > conf->blocked_ms) {
        close_blocked(w, s);
    } else if (s->rx_since_ms == 0 && s->behind_since_ms == 0 && outq_empty(&s->q)) {
        session_unwatch(&w->lists, s);
    } else {
        expire(w, s, now);
        if (!session_film_waits(s, now) && !outq_empty(&s->q) && s->behind_since_ms == 0)
            session_mark(&w->lists, s);
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    struct ws *w = timer->data;
    struct session *s, *next;
    int64_t now = clock_mono_ms();
    bool stopped = now - w->ticked_ms > STOPPED_MS;
    w->ticked_ms = now;
    if (stopped)
        return;
    DL_FOREACH_SAFE2 (w->lists.watched, s, next, watch_next)
        check_deadlines(w, s, now);
    look_at_all(w, now);
    /* libwebsockets leaves its timer at the first deadline that it knew, be it 30 s away, when an earlier
     * one comes up (pings, handshakes). It looks at all of them when it is woken. */
    lws_cancel_service(w->lws);
}

static void on_gathered(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct ws *w = timer->data;
    (void)loop, (void)revents;
    while (w->lists.gathering != NULL)
        flush_or_kill(w, w->lists.gathering);
}

/* --- start and end ------------------------------------------------------------------------- */

static int listen_on(struct ws *w, char *why, size_t why_cap)
{
    static const lws_retry_bo_t no_pings = {.secs_since_valid_ping = 1}; /* no hang-up time: none at all */
    static void *loops[1];
    const char *path = NULL;
    char host[64];
    int port = 0;
    if (conf_parse_address(w->conf->wsd.listen, &path, host, &port) != 0 ||
        (path != NULL && listen_claim_path(path, why, why_cap) != 0))
        return -1;
    loops[0] = w->loop;
    struct lws_context_creation_info info = {
        .port = port,
        .iface = path ? path : host,
        .protocols = protocols,
        .user = w,
        .foreign_loops = loops,
        .retry_and_idle_policy = &no_pings,
        .pt_serv_buf_size = 4096,
        .max_http_header_data = HEADER_MAX,
        .timeout_secs = HANDSHAKE_S,
        .timeout_secs_ah_idle = HANDSHAKE_S,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_DISABLE_IPV6 |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME | LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   (path ? LWS_SERVER_OPTION_UNIX_SOCK : 0),
    };
    mode_t mask = umask(0117); /* the socket is for its owner and group: nginx */
    w->lws = lws_create_context(&info);
    umask(mask);
    if (w->lws == NULL) {
        snprintf(why, why_cap, "cannot listen on %s: %s", w->conf->wsd.listen, strerror(errno));
        return -1;
    }
    if (path != NULL)
        memcpy(w->unix_path, path, strlen(path) + 1);
    return 0;
}

struct ws *ws_create(struct ev_loop *loop, const struct conf *conf, struct metrics *metrics, struct hub *hub, char *why,
                     size_t why_cap)
{
    struct ws *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        snprintf(why, why_cap, "out of memory");
        return NULL;
    }
    w->loop = loop;
    w->conf = conf;
    w->metrics = metrics;
    w->hub = hub;
    w->max_connections = listen_connection_limit(conf);
    if (listen_on(w, why, why_cap) != 0) {
        free(w);
        return NULL;
    }
    ev_timer_init(&w->tick, on_tick, TICK_S, TICK_S);
    w->tick.data = w;
    ev_timer_init(&w->gather_tick, on_gathered, GATHER_S, 0.);
    w->gather_tick.data = w;
    ev_set_priority(&w->tick, EV_MINPRI); /* what has arrived comes before what is overdue */
    ev_timer_start(loop, &w->tick);
    return w;
}

void ws_destroy(struct ws *w)
{
    if (w == NULL)
        return;
    ev_timer_stop(w->loop, &w->tick);
    ev_timer_stop(w->loop, &w->gather_tick);
    lws_context_destroy(w->lws);
    if (w->unix_path[0] != '\0')
        unlink(w->unix_path);
    free(w);
}

unsigned ws_connections(const struct ws *w)
{
    return w->connections;
}

void ws_drain(struct ws *w)
{
    w->draining = true;
    hub_leave(w->hub);
}
