#include "wsd/pace.h"

enum { KIND = 'v', BEGIN = '<', END = '>' };

bool pace_free(const struct pace *p, int64_t now_ms)
{
    unsigned most = p->known && p->busy_ms <= PACE_FAST_MS ? PACE_FRAMES : 1;
    bool room = (uint8_t)(p->sent - p->arrived) < most || now_ms - p->sent_ms > PACE_LOST_MS;
    return room && now_ms >= p->free_ms;
}

static void put(unsigned char mark[PACE_MARK], unsigned char edge, uint8_t number)
{
    mark[0] = KIND;
    mark[1] = edge;
    mark[2] = number;
}

void pace_begin(const struct pace *p, unsigned char mark[PACE_MARK])
{
    put(mark, BEGIN, (uint8_t)(p->sent + 1));
}

void pace_end(struct pace *p, unsigned char mark[PACE_MARK], int64_t now_ms)
{
    p->sent_ms = now_ms;
    put(mark, END, ++p->sent);
}

static void arrived(struct pace *p, uint8_t number, int64_t now_ms)
{
    if ((uint8_t)(p->sent - number) >= (uint8_t)(p->sent - p->arrived))
        return; /* known, or never sent */
    /* A peer may answer the newest of several pings only (RFC 6455, 5.5.3): then they came together. */
    p->busy_ms = p->begun == number && p->begun_ms != 0 ? now_ms - p->begun_ms : 0;
    p->begun_ms = 0;
    p->known = true;
    p->arrived = number;
    if (p->busy_ms <= PACE_SLOW_MS)
        return;
    int64_t rest = p->busy_ms * PACE_REST;
    p->free_ms = now_ms + (rest < PACE_REST_MS ? rest : PACE_REST_MS);
}

bool pace_pong(struct pace *p, const unsigned char *payload, size_t len, int64_t now_ms)
{
    if (len != PACE_MARK || payload[0] != KIND)
        return false;
    if (payload[1] == BEGIN) {
        p->begun = payload[2];
        p->begun_ms = now_ms;
    } else if (payload[1] == END) {
        arrived(p, payload[2], now_ms);
    }
    return true;
}
