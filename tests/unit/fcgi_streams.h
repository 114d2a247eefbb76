/*
 * Redis' streams and the archive in memory, in place of fcgi/store.c and sql/: samples arrive, are archived and
 * trimmed, whole streams get lost, and a Redis that has lost its end is set right, before every single answer. For one
 * test.
 */
#ifndef TELERELAY_UNIT_FCGI_STREAMS_H
#define TELERELAY_UNIT_FCGI_STREAMS_H

#include "fcgi/fetch.h"
#include "fcgi/store_nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DEVICES 80
#define ENTRIES 3000

struct stream {
    struct streamid ids[ENTRIES];
    size_t n;                /* ids[0..n) were ever stored, … */
    size_t first;            /* … of which those from here on are in Redis, … */
    size_t archived;         /* … and those before here in the archive */
    size_t lost_lo, lost_hi; /* ids[lost_lo..lost_hi) are archived, and Redis was started again without them */
};

static struct stream streams[DEVICES];
static char names[DEVICES][16];
static const char *pointers[DEVICES];
static size_t devices; /* in use */
static uint64_t now_ms;
static bool living, can_archive; /* things happen; with an archive */
static bool archive_away;
static bool unsure; /* Redis was started again, and the archiver has not looked yet: nor does it archive */
static bool late;   /* both of two devices get a sample before the first one's position is read */
static uint32_t rng;
static size_t store_calls, archive_calls, archive_entries;
static int dummy_archive;

static uint32_t pick(uint32_t below)
{
    rng = rng * 1664525u + 1013904223u;
    return (rng >> 8) % below;
}

/* What no archive takes and no answer shows. */
static bool is_bad(struct streamid id)
{
    return id.seq % 7 == 6;
}

static void append(size_t d)
{
    struct stream *s = &streams[d];
    if (s->n < ENTRIES)
        s->ids[s->n++] = (struct streamid){now_ms, pick(9)};
}

static size_t arrivals; /* that are still to come, so that every walk ends */

static void append_later(size_t d)
{
    if (arrivals == 0)
        return;
    arrivals--;
    now_ms += 1 + pick(3); /* of its own, so that it is behind whatever a walk has passed */
    append(d);
}

/* The archiver has compared Redis with the archive: what it has of archived entries is set aside. */
static void compare_all(void)
{
    for (size_t d = 0; d < devices && unsure; d++) {
        struct stream *s = &streams[d];
        s->first = s->archived > s->first ? s->archived : s->first;
        s->lost_lo = s->lost_hi = 0;
    }
    unsure = false;
}

static void happen(void)
{
    if (living && unsure && pick(8) == 0)
        compare_all();
    for (uint32_t times = living ? pick(4) : 0; times > 0; times--) {
        struct stream *s = &streams[pick((uint32_t)devices)];
        switch (pick(can_archive && !unsure ? 6 : 2)) {
        case 0:
        case 1:
            append_later((size_t)(s - streams));
            break;
        case 2:
        case 3:
            s->archived += pick((uint32_t)(s->n - s->archived) + 1);
            break;
        case 4:
            /* The entry at the position stays. */
            if (s->archived > s->first)
                s->first += pick((uint32_t)(s->archived - s->first));
            break;
        default:
            if (pick(20) == 0)
                s->first = s->archived = s->n; /* lost, but archived */
        }
    }
}

static size_t device_of(const char *name)
{
    for (size_t d = 0; d < DEVICES; d++) {
        if (strcmp(names[d], name) == 0)
            return d;
    }
    fail();
    return 0;
}

static size_t text_of(char out[64], size_t d, struct streamid id)
{
    return (size_t)snprintf(out, 64, "%s %s %llu-%llu", is_bad(id) ? "bad" : "good", names[d],
                            (unsigned long long)id.ms, (unsigned long long)id.seq);
}

static bool within(struct streamid id, struct streamid_range r)
{
    return streamid_compare(id, r.lo) >= 0 && streamid_compare(id, r.hi) <= 0;
}

/* --- in place of store.c -------------------------------------------------------------------------- */

static struct arena kept; /* what a store keeps until the end of a request */

int store_ranges(struct store *s, const struct store_range *ranges, size_t n, bool together, store_entry_fn *entry,
                 void *ctx)
{
    (void)s;
    store_calls++;
    for (size_t i = 0; i < n; i++) {
        size_t d = device_of(ranges[i].name), got = 0;
        const struct stream *st = &streams[d];
        if (i == 0 || !together)
            happen();
        for (size_t k = st->first; k < st->n && got < ranges[i].count; k++) {
            struct streamid id = st->ids[ranges[i].descending ? st->n - 1 - (k - st->first) : k];
            char text[64];
            size_t len = text_of(text, d, id);
            size_t at = ranges[i].descending ? st->n - 1 - (k - st->first) : k;
            if (!within(id, ranges[i].range) || (at >= st->lost_lo && at < st->lost_hi))
                continue;
            got++;
            assert_int_equal(entry(ctx, i, id, arena_copy(&kept, text, len), len), 0);
        }
    }
    happen();
    return 0;
}

int store_compared(struct store *s, bool *compared)
{
    (void)s;
    happen();
    *compared = !unsure;
    return 0;
}

bool handler_may_ask(const struct context *unused)
{
    (void)unused;
    return true;
}

struct arena_mark store_mark(const struct store *s)
{
    (void)s;
    return arena_mark(&kept);
}

void store_rewind(struct store *s, struct arena_mark mark)
{
    (void)s;
    arena_rewind(&kept, mark);
}

int store_fail(struct store *s, const char *what, const char *why)
{
    (void)s;
    (void)what;
    (void)why;
    return -1;
}

/* --- in place of the archive ------------------------------------------------------------------------ */

int archive_rows(struct archive *a, enum archive_kind kind, const char *device_id, struct streamid_range range,
                 size_t count, bool descending, archive_row_fn *fn, void *ctx)
{
    assert_ptr_equal(a, &dummy_archive);
    assert_int_equal(kind, ARCHIVE_SAMPLES);
    happen();
    archive_calls++;
    if (archive_away)
        return -1;
    size_t d = device_of(device_id), n = streams[d].archived;
    for (size_t k = 0; k < n && count > 0; k++) {
        struct streamid id = streams[d].ids[descending ? n - 1 - k : k];
        char text[64];
        struct archive_row row = {.id = id, .text = text, .len = text_of(text, d, id)};
        if (!within(id, range) || is_bad(id))
            continue;
        count--;
        archive_entries++;
        int ended = fn(ctx, &row);
        memset(text, 'X', sizeof(text)); /* gone once it returns */
        if (ended)
            return 0;
    }
    return 0;
}

int archive_position(struct archive *a, enum archive_kind kind, const char *device_id, struct streamid *position,
                     bool *known)
{
    struct stream *s = &streams[device_of(device_id)];
    (void)a;
    (void)kind;
    happen();
    if (late) {
        append_later(1);
        append_later(0);
        s->archived = s->n;
    }
    late = false;
    if (archive_away)
        return -1;
    *known = s->archived > 0;
    *position = *known ? s->ids[s->archived - 1] : STREAMID_FIRST;
    return 0;
}

int archive_positions(struct archive *a, archive_position_fn *fn, void *p)
{
    (void)a;
    for (size_t d = 0; d < DEVICES; d++) {
        struct stream *s = &streams[d];
        if (s->archived > 0)
            fn(p, ARCHIVE_SAMPLES, names[d], s->ids[s->archived - 1]);
        fn(p, ARCHIVE_COMMANDS, names[d], STREAMID_LAST);
    }
    fn(p, ARCHIVE_SAMPLES, "somebody", STREAMID_LAST);
    return 0;
}

#endif
