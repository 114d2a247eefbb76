#include "robot/link.h"

#include "common/clock.h"
#include "common/conf.h"
#include "common/log.h"
#include "robot/backoff.h"
#include "robot/throttle.h"

#include <libwebsockets.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PHASE_S       2    /* for the connection to one address of the host, and for the relay's answer */
#define ATTEMPT_MS    5000 /* for all of that together */
#define PING_S        1
#define HANGUP_S      3
#define CLOSE_MS      1000
#define REPLACED_CODE 4001
/* A longer message than LINK_MESSAGE_MAX is skipped; one that goes on beyond this is no mistake any more. */
#define SKIP_MAX    (64 * LINK_MESSAGE_MAX)
#define TOKEN_MAX   512
#define PIECE_BYTES 4096
#define FD_MAX      32

_Static_assert(LWS_PRE <= SENDQ_HEADROOM, "a queued message has room for the frame's head");

enum link_state { LINK_WAITING, LINK_CONNECTING, LINK_OPEN, LINK_CLOSING, LINK_DONE };

struct link {
    struct link_config config;
    struct lws_context *context;
    struct lws *wsi; /* of the present connection; callbacks of any other are an old one's and ignored */
    enum link_state state;
    atomic_bool stop;
    lws_sorted_usec_list_t tick;
    int64_t retry_at_ms; /* LINK_WAITING */
    int64_t since_ms;    /* when the present state began */
    int64_t opened_ms;   /* LINK_OPEN, LINK_CLOSING */
    int64_t pong_ms;     /* LINK_OPEN: last sign of life of the relay */
    int close_code;      /* that the relay gave, 0 without */
    struct backoff backoff;
    struct sendq out;
    struct throttle invalid_log, full_log;
    uint64_t random;
    char token[TOKEN_MAX];
    bool abort;    /* the relay sends a message without end: hang up */
    size_t rx_len; /* bytes of the message so far */
    bool rx_skip;  /* too long or binary: the rest is ignored */
    char rx[LINK_MESSAGE_MAX];
};

static struct throttle lws_log_throttle; /* libwebsockets' emitter has no context */

static double chance(struct link *l)
{
    l->random = l->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(l->random >> 11) * 0x1p-53;
}

static void set_state(struct link *l, enum link_state state)
{
    l->state = state;
    l->since_ms = clock_mono_ms();
}

static int64_t state_age_ms(const struct link *l)
{
    return clock_mono_ms() - l->since_ms;
}

static void wait_before_retry(struct link *l)
{
    int64_t ms = l->close_code == REPLACED_CODE ? backoff_replaced(&l->backoff, chance(l))
                                                : backoff_next(&l->backoff, chance(l));

    set_state(l, LINK_WAITING);
    l->retry_at_ms = clock_mono_ms() + ms;
    log_info("reconnecting", log_int("in_ms", ms));
}

/* The present connection, or the attempt, is over. Whatever libwebsockets still says about it is ignored. */
static void lost(struct link *l, const char *reason, int status)
{
    enum link_state was = l->state;
    int64_t open_ms = clock_mono_ms() - l->opened_ms;

    l->wsi = NULL;
    sendq_clear(&l->out);
    l->rx_len = 0;
    if (was == LINK_CONNECTING) {
        log_warn("connect_failed", log_str("reason", reason), log_int("status", status));
    } else if (was == LINK_OPEN || was == LINK_CLOSING) {
        /* First the outputs, then the words. */
        l->config.events.closed(l->config.events.ctx);
        if (l->close_code == REPLACED_CODE)
            log_warn("replaced", log_str("msg", "Replaced by a newer connection under the same device_id: is there a "
                                                "second robot of that name?"));
        log_warn("disconnected", log_str("reason", reason), log_int("code", l->close_code),
                 log_int("after_ms", open_ms));
    }
    if (was == LINK_CLOSING || atomic_load(&l->stop)) {
        set_state(l, LINK_DONE);
        return;
    }
    if (was == LINK_OPEN)
        backoff_ended(&l->backoff, open_ms);
    wait_before_retry(l);
}

/* Like lost(), when it is us who ends it. */
static void hang_up(struct link *l, const char *reason)
{
    struct lws *wsi = l->wsi;

    lost(l, reason, 0);
    if (wsi)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

/* A file that went bad must not lock out a robot that already has a token. */
static void read_token(struct link *l)
{
    char err[256], token[TOKEN_MAX];

    if (l->config.token_file[0] == '\0')
        return;
    if (conf_read_secret(l->config.token_file, token, sizeof(token), err, sizeof(err)) != 0) {
        log_warn("token_file", log_str("reason", err));
        return;
    }
    memcpy(l->token, token, sizeof(token));
}

static const lws_retry_bo_t keep_alive = {
    .secs_since_valid_ping = PING_S, .secs_since_valid_hangup = HANGUP_S + 1, /* on_tick is first, and can say why */
};

static void connect_now(struct link *l)
{
    const struct url *u = &l->config.url;
    struct lws_client_connect_info info = {
        .context = l->context,
        .address = u->host,
        .port = u->port,
        .path = u->path,
        .host = u->host_header,
        .ssl_connection = u->tls ? LCCSCF_USE_SSL | LCCSCF_HTTP_NO_FOLLOW_REDIRECT : LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
        .alpn = "http/1.1",
        .local_protocol_name = "telerelay-robot",
        .retry_and_idle_policy = &keep_alive,
        .pwsi = &l->wsi,
    };

    read_token(l);
    l->close_code = 0;
    set_state(l, LINK_CONNECTING);
    log_debug("connecting", log_str("host", u->host_header));
    struct lws *wsi = lws_client_connect_via_info(&info);

    /* A failure at once may or may not have come as a callback. */
    if (!wsi && l->state == LINK_CONNECTING)
        lost(l, "cannot connect", 0);
}

/* --- the loop's clock ------------------------------------------------------------------------- */

static void begin_close(struct link *l)
{
    if (l->state == LINK_OPEN) {
        set_state(l, LINK_CLOSING);
        lws_callback_on_writable(l->wsi);
    } else if (l->state != LINK_CLOSING) {
        set_state(l, LINK_DONE);
    }
}

static void on_tick(lws_sorted_usec_list_t *sul)
{
    struct link *l = lws_container_of(sul, struct link, tick);

    lws_sul_schedule(l->context, 0, &l->tick, on_tick, LINK_TICK_MS * LWS_US_PER_MS);
    l->config.events.tick(l->config.events.ctx);
    if (atomic_load(&l->stop))
        begin_close(l);
    switch (l->state) {
    case LINK_WAITING:
        if (clock_mono_ms() >= l->retry_at_ms)
            connect_now(l);
        break;
    case LINK_CONNECTING:
        if (state_age_ms(l) >= ATTEMPT_MS)
            hang_up(l, "no connection within 5 s");
        break;
    case LINK_OPEN:
        if (clock_mono_ms() - l->pong_ms >= HANGUP_S * 1000)
            hang_up(l, "no pong for 3 s");
        break;
    case LINK_CLOSING:
        if (state_age_ms(l) >= CLOSE_MS)
            hang_up(l, "closed, unanswered");
        break;
    case LINK_DONE:
        break;
    }
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_open(struct link *l)
{
    set_state(l, LINK_OPEN);
    l->opened_ms = l->pong_ms = l->since_ms;
    l->rx_len = 0;
    l->rx_skip = l->abort = false;
    log_info("connected", log_str("host", l->config.url.host_header), log_bool("tls", l->config.url.tls));
    l->config.events.opened(l->config.events.ctx);
}

static void on_connect_error(struct link *l, struct lws *wsi, const char *text, size_t len)
{
    char reason[128];

    if (text && memmem(text, len, "getaddrinfo", strlen("getaddrinfo")))
        snprintf(reason, sizeof(reason), "cannot resolve %.100s", l->config.url.host);
    else
        snprintf(reason, sizeof(reason), "%.*s", text ? (int)len : 0, text ? text : "");
    lost(l, reason[0] ? reason : "cannot connect", (int)lws_http_client_http_response(wsi));
}

static void skip_message(struct link *l, const char *why)
{
    unsigned suppressed;

    l->rx_skip = true;
    if (throttle_pass(&l->invalid_log, clock_mono_ms(), &suppressed))
        log_warn("message_ignored", log_str("reason", why), log_int("suppressed", suppressed));
}

/*
 * A piece of a message. It may not ask for a close by its return value: libwebsockets 4.1 then goes
 * on filling a buffer that is full already, beyond its end.
 */
static void on_piece(struct link *l, struct lws *wsi, const char *piece, size_t len)
{
    if (l->abort)
        return;
    if (lws_is_first_fragment(wsi)) {
        l->rx_len = 0;
        l->rx_skip = false;
        if (lws_frame_is_binary(wsi))
            skip_message(l, "binary");
    }
    if (!l->rx_skip && len > LINK_MESSAGE_MAX - l->rx_len)
        skip_message(l, "too large");
    if (!l->rx_skip)
        memcpy(l->rx + l->rx_len, piece, len);
    l->rx_len += len;
    if (l->rx_len > SKIP_MAX) {
        l->abort = true;
        lws_callback_on_writable(wsi);
        return;
    }
    if (!lws_is_final_fragment(wsi) || l->rx_skip)
        return;
    if (l->rx_len == 0)
        skip_message(l, "empty");
    else
        l->config.events.message(l->config.events.ctx, l->rx, l->rx_len);
}

static void on_peer_close(struct link *l, const unsigned char *in, size_t len)
{
    l->close_code = len >= 2 ? in[0] << 8 | in[1] : 0;
    lost(l, l->close_code == REPLACED_CODE ? "replaced by a newer connection" : "closed by the relay", 0);
}

static void give_reason(struct lws *wsi, enum lws_close_status code, const char *text)
{
    lws_close_reason(wsi, code, (unsigned char *)(uintptr_t)text, strlen(text));
}

/* -1: close. */
static int on_writable(struct link *l, struct lws *wsi)
{
    if (l->abort) {
        give_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "message too large");
        lost(l, "the relay sent a message without end", 0);
        return -1;
    }
    /* All that fits, since one of these calls may come to dozens of commands. What libwebsockets could not get rid of
     * it keeps itself, without bound: never more than one piece of a message. */
    struct sendq_item *item = NULL;
    bool choked;

    while (!(choked = lws_send_pipe_choked(wsi)) && (item = sendq_take(&l->out))) {
        int n = lws_write(wsi, item->buf + SENDQ_HEADROOM, item->len, LWS_WRITE_TEXT);

        free(item);
        if (n < 0)
            return -1;
    }
    if (choked) {
        lws_callback_on_writable(wsi);
        return 0;
    }
    if (l->state == LINK_CLOSING) {
        give_reason(wsi, LWS_CLOSE_STATUS_GOINGAWAY, "robot ends");
        return -1;
    }
    return 0;
}

static int add_token(struct link *l, struct lws *wsi, unsigned char **p, unsigned char *end)
{
    char value[TOKEN_MAX + 8];

    if (l->token[0] == '\0')
        return 0;
    int n = snprintf(value, sizeof(value), "Bearer %s", l->token);

    return lws_add_http_header_by_name(wsi, (const unsigned char *)"authorization:", (const unsigned char *)value, n, p,
                                       end);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct link *l = lws_context_user(lws_get_context(wsi));

    (void)user;
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) { /* link_stop(); wsi is not a connection */
        if (l->context && atomic_load(&l->stop))
            begin_close(l);
        return 0;
    }
    if (!l->wsi || wsi != l->wsi)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return add_token(l, wsi, in, *(unsigned char **)in + len);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        on_open(l);
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        on_connect_error(l, wsi, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        on_piece(l, wsi, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        l->pong_ms = clock_mono_ms();
        return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return on_writable(l, wsi);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        on_peer_close(l, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        lost(l, l->state == LINK_CLOSING ? "program ends" : "connection lost", 0);
        return 0;
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP: /* before it became a WebSocket, by a timeout */
        lost(l, "no answer within 2 s", 0);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY: /* whatever way it ended: from here on l->wsi would dangle */
        lost(l, "cannot connect", 0);
        return 0;
    default:
        return 0;
    }
}

/* --- setting up ------------------------------------------------------------------------------- */

static void lws_log(int level, const char *line)
{
    unsigned suppressed;
    char text[256];

    if (!throttle_pass(&lws_log_throttle, clock_mono_ms(), &suppressed))
        return;
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
    log_write(level == LLL_ERR ? LOG_WARN : LOG_DEBUG, "libwebsockets", log_str("msg", text),
              log_int("suppressed", suppressed), log_end());
}

static const struct lws_protocols protocols[] = {
    {.name = "telerelay-robot", .callback = on_event, .rx_buffer_size = PIECE_BYTES},
    {.name = NULL},
};

/* libwebsockets takes any file and then trusts nobody; better to say so at the start. */
static bool has_certificate(const char *path)
{
    char line[256];
    bool found = false;
    FILE *f = fopen(path, "re");

    while (f && !found && fgets(line, sizeof(line), f))
        found = strstr(line, "-----BEGIN") && strstr(line, "CERTIFICATE-----");
    if (f)
        fclose(f);
    return found;
}

static struct lws_context *make_context(struct link *l)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .extensions = NULL, /* permessage-deflate of this library delivers a frame without end */
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .fd_limit_per_thread = FD_MAX,
        .timeout_secs = PHASE_S,
        .connect_timeout_secs = ATTEMPT_MS / 1000,
        .user = l,
    };

    if (l->config.ca[0] != '\0') {
        info.client_ssl_ca_filepath = l->config.ca;
        info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    }
    /* libwebsockets would send everything, even to localhost, through a proxy of the environment. */
    unsetenv("http_proxy");
    unsetenv("socks_proxy");
    lws_set_log_level(LLL_ERR | LLL_WARN, lws_log);
    return lws_create_context(&info);
}

struct link *link_create(const struct link_config *config, char *err, size_t err_cap)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l) {
        snprintf(err, err_cap, "out of memory");
        return NULL;
    }
    l->config = *config;
    if (config->token_file[0] != '\0' &&
        conf_read_secret(config->token_file, l->token, sizeof(l->token), err, err_cap) != 0)
        goto fail;
    if (config->ca[0] != '\0' && !has_certificate(config->ca)) {
        snprintf(err, err_cap, "%s: cannot be read, or has no certificate in PEM form", config->ca);
        goto fail;
    }
    if (getrandom(&l->random, sizeof(l->random), 0) != sizeof(l->random))
        l->random = (uint64_t)clock_mono_ns();
    l->context = make_context(l);
    if (!l->context) {
        snprintf(err, err_cap, "cannot set up libwebsockets");
        goto fail;
    }
    return l;

fail:
    free(l);
    return NULL;
}

void link_destroy(struct link *l)
{
    if (!l)
        return;
    lws_context_destroy(l->context);
    sendq_clear(&l->out);
    explicit_bzero(l->token, sizeof(l->token));
    free(l);
}

int link_run(struct link *l)
{
    set_state(l, LINK_WAITING);
    l->retry_at_ms = 0; /* the first attempt is at once */
    on_tick(&l->tick);
    while (l->state != LINK_DONE && lws_service(l->context, 0) >= 0)
        continue;
    lws_sul_schedule(l->context, 0, &l->tick, on_tick, LWS_SET_TIMER_USEC_CANCEL);
    return l->state == LINK_DONE ? 0 : -1;
}

void link_stop(struct link *l)
{
    atomic_store(&l->stop, true);
    lws_cancel_service(l->context);
}

int link_send(struct link *l, enum sendq_lane lane, const char *text, size_t len)
{
    unsigned suppressed;
    int rc = l->state == LINK_OPEN ? sendq_put(&l->out, lane, text, len) : -1;

    if (rc < 0)
        return -1;
    if (rc > 0 && lane != SENDQ_LATEST && throttle_pass(&l->full_log, clock_mono_ms(), &suppressed))
        log_warn("answers_dropped", log_str("msg", "The relay takes nothing: the oldest answers make room"),
                 log_int("suppressed", suppressed));
    lws_callback_on_writable(l->wsi);
    return lane == SENDQ_LATEST ? rc : 0;
}
