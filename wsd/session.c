#include "wsd/session.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define RX_FIRST 1024u /* bytes, first allocation for a message in pieces */

void session_rx_end(struct session *s)
{
    free(s->rx);
    s->rx = NULL;
    s->rx_len = s->rx_cap = 0;
    s->rx_fragments = 0;
    s->rx_since_ms = 0;
}

int session_rx_join(struct session *s, const char *piece, size_t len, size_t max)
{
    size_t need = s->rx_len + len;
    if (need > s->rx_cap) {
        size_t cap = s->rx_cap ? s->rx_cap * 2u : RX_FIRST;
        while (cap < need)
            cap *= 2;
        if (cap > max)
            cap = max;
        char *rx = realloc(s->rx, cap);
        if (rx == NULL)
            return -1;
        s->rx = rx;
        s->rx_cap = (uint32_t)cap;
    }
    if (len > 0)
        memcpy(s->rx + s->rx_len, piece, len);
    s->rx_len += (uint32_t)len;
    return 0;
}

void session_watch(struct session_lists *l, struct session *s)
{
    if (s->watched)
        return;
    s->watched = true;
    DL_APPEND2(l->watched, s, watch_prev, watch_next);
}

void session_unwatch(struct session_lists *l, struct session *s)
{
    if (!s->watched)
        return;
    s->watched = false;
    DL_DELETE2(l->watched, s, watch_prev, watch_next);
}

void session_mark(struct session_lists *l, struct session *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    DL_APPEND2(l->dirty, s, dirty_prev, dirty_next);
}

void session_gather(struct session_lists *l, struct session *s)
{
    if (s->gathering)
        return;
    s->gathering = true;
    DL_APPEND2(l->gathering, s, gather_prev, gather_next);
}

void session_unmark(struct session_lists *l, struct session *s)
{
    if (s->gathering)
        DL_DELETE2(l->gathering, s, gather_prev, gather_next);
    if (s->dirty)
        DL_DELETE2(l->dirty, s, dirty_prev, dirty_next);
    s->gathering = s->dirty = false;
}

bool session_film_waits(const struct session *s, int64_t now_ms)
{
    return s->film == SESSION_NO_FILM && outq_video_next(&s->q) && s->close_code == 0 && !pace_free(&s->pace, now_ms);
}

bool session_film_mark(struct session *s, unsigned char mark[PACE_MARK], int64_t now_ms)
{
    if (s->film == SESSION_FILMING && s->q.partial == NULL) {
        pace_end(&s->pace, mark, now_ms);
        s->film = SESSION_NO_FILM;
        return true;
    }
    if (!outq_video_next(&s->q))
        return false;
    if (s->film == SESSION_FILM_NEXT) {
        s->film = SESSION_FILMING;
        return false;
    }
    pace_begin(&s->pace, mark);
    s->film = SESSION_FILM_NEXT;
    return true;
}

enum session_sign session_silence(const struct session *s, const struct conf_wsd *conf, bool behind, int64_t now_ms)
{
    int64_t silent = now_ms - s->heard_ms;
    int64_t ping_ms = (int64_t)conf->ping_s * 1000;
    bool excused = behind && s->from != MSG_FROM_ROBOT;
    /* Two looks early: the next one may be late, and websites are to be told in time. */
    if (!excused && silent + 2 * SESSION_LOOK_MS > (int64_t)conf->hangup_s * 1000)
        return SESSION_GONE;
    if (behind || silent < ping_ms - SESSION_LOOK_MS || now_ms - s->pinged_ms < ping_ms)
        return SESSION_ALIVE;
    return SESSION_ASK;
}
