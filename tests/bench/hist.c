#include "tests/bench/hist.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define SUB_COUNT (1u << HIST_SUB_BITS)

static size_t slot_of(uint64_t ns)
{
    if (ns < SUB_COUNT)
        return (size_t)ns;
    unsigned octave = 63u - (unsigned)__builtin_clzll(ns) - HIST_SUB_BITS + 1u; /* 1 for SUB_COUNT.. */
    if (octave > HIST_OCTAVES)
        return HIST_SLOTS - 1;
    return ((size_t)octave << HIST_SUB_BITS) + (size_t)((ns >> (octave - 1)) - SUB_COUNT);
}

/* The largest duration that belongs to a slot. */
static uint64_t slot_top(size_t slot)
{
    uint64_t octave = slot >> HIST_SUB_BITS;
    uint64_t sub = slot & (SUB_COUNT - 1);
    if (octave == 0)
        return sub;
    return ((SUB_COUNT + sub + 1) << (octave - 1)) - 1;
}

void hist_init(struct hist *h)
{
    memset(h, 0, sizeof *h);
}

void hist_record(struct hist *h, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    h->slots[slot_of((uint64_t)ns)]++;
    h->count++;
    h->sum += (double)ns;
    if (ns > h->max)
        h->max = ns;
}

int64_t hist_quantile(const struct hist *h, double q)
{
    if (h->count == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil(q * (double)h->count);
    if (rank < 1)
        rank = 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < HIST_SLOTS - 1; i++) {
        seen += h->slots[i];
        if (seen >= rank) {
            int64_t top = (int64_t)slot_top(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    for (size_t i = 0; i < HIST_SLOTS; i++)
        into->slots[i] += from->slots[i];
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
}
