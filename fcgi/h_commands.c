/* Commands with what became of each: two streams per device, joined by the commands' numbers. */
#include "fcgi/audit.h"
#include "fcgi/fetch.h"
#include "fcgi/page.h"

#include "common/rkey.h"

#include <stdlib.h>
#include <string.h>

/* An outcome is looked for until so long after its command, and since so long before: when Redis' clock has gone
 * back, each stream goes on at its own last time. */
#define LATE_MS      15000
#define PER_COMMAND  3    /* outcomes of a command that are read, … */
#define FURTHER      4000 /* … and of others in that time */
#define STAGES_FIRST 256

/* Where a command stands in the page. */
struct place {
    uint64_t seq;
    uint32_t lane;
    uint32_t item;
};

struct join {
    const struct page *page;
    struct place *places; /* by lane and number */
    uint32_t lane;        /* that is read */
    struct context *ctx;
    bool no_memory;
    struct audit_stage *stages;
    size_t n_stages, cap;
};

static bool is_command(void *unused, const char *text, size_t len)
{
    struct audit_command c;
    (void)unused;
    return audit_command_read(text, len, &c);
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->lane != y->lane)
        return x->lane < y->lane ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int compare_stages(const void *a, const void *b)
{
    const struct audit_stage *x = a, *y = b;
    if (x->item != y->item)
        return x->item < y->item ? -1 : 1;
    return streamid_compare(x->id, y->id);
}

static int add_stage(struct join *j, const struct audit_stage *stage)
{
    if (j->n_stages == j->cap) {
        size_t cap = j->cap ? j->cap * 2 : STAGES_FIRST;
        struct audit_stage *stages = realloc(j->stages, cap * sizeof(*stages));
        if (!stages)
            return -1;
        j->stages = stages;
        j->cap = cap;
    }
    j->stages[j->n_stages++] = *stage;
    return 0;
}

static int on_outcome(void *arg, struct streamid id, const char *text, size_t len)
{
    struct join *j = arg;
    struct audit_command c;
    if (!audit_outcome_read(text, len, &c))
        return 0;
    struct place key = {.seq = c.seq, .lane = j->lane};
    const struct place *place = bsearch(&key, j->places, j->page->n, sizeof(key), compare_places);
    if (!place)
        return 0;
    const char *copy = arena_copy(&j->ctx->texts, text, len);
    j->no_memory =
        !copy || add_stage(j, &(struct audit_stage){.item = place->item, .id = id, .text = copy, .len = len});
    return j->no_memory;
}

/* Which outcomes of the lane's device to read, and how many: 0 when none of its commands is in the page. */
static size_t plan(const struct page *page, uint32_t lane, struct streamid_range *range)
{
    size_t n = 0;
    *range = (struct streamid_range){.hi = {.seq = UINT64_MAX}};
    for (size_t i = 0; i < page->n; i++) {
        uint64_t ms = page->entries[i].id.ms;
        if (page->entries[i].lane != lane)
            continue;
        if (n == 0 || ms < range->lo.ms)
            range->lo.ms = ms;
        if (n == 0 || ms > range->hi.ms)
            range->hi.ms = ms;
        n++;
    }
    range->lo.ms -= range->lo.ms < LATE_MS ? range->lo.ms : LATE_MS;
    range->hi.ms = range->hi.ms < UINT64_MAX - LATE_MS ? range->hi.ms + LATE_MS : UINT64_MAX;
    return n ? FURTHER + n * PER_COMMAND : 0;
}

/* Finds the outcomes of all commands in the page. 0, or -1 when a source failed. */
static int read_outcomes(struct context *ctx, struct join *j)
{
    const struct page *page = j->page;
    j->places = malloc((page->n + 1) * sizeof(*j->places));
    if (!j->places)
        return -1;
    for (size_t i = 0; i < page->n; i++) {
        struct audit_command c = {0};
        audit_command_read(page->entries[i].text, page->entries[i].len, &c);
        j->places[i] = (struct place){.seq = c.seq, .lane = page->entries[i].lane, .item = (uint32_t)i};
    }
    qsort(j->places, page->n, sizeof(*j->places), compare_places);
    for (j->lane = 0; j->lane < page->h.n_devices; j->lane++) {
        struct streamid_range range;
        size_t most = plan(page, j->lane, &range);
        if (most > 0 && (fetch_walk(ctx, ARCHIVE_OUTCOMES, page->h.devices[j->lane], range, most, on_outcome, j) < 0 ||
                         j->no_memory))
            return -1;
    }
    if (j->n_stages > 1)
        qsort(j->stages, j->n_stages, sizeof(*j->stages), compare_stages);
    return 0;
}

/* Items come in order: their stages are the next ones. */
static void put_item(struct buf *out, struct item_clock *clock, const struct page *page, size_t i, void *arg)
{
    struct join *j = arg;
    size_t n = 0;
    while (n < j->n_stages && j->stages[n].item == i)
        n++;
    audit_put_command(out, clock, page_device(page, i), &page->entries[i], j->stages, n);
    j->stages += n;
    j->n_stages -= n;
}

void h_commands_get(struct context *ctx, const struct request *req, const char *segment, struct reply *reply)
{
    static const struct page_source source = {
        .walk = CURSOR_COMMANDS, .path = "/api/commands", .kind = ARCHIVE_COMMANDS, .accept = is_command};
    struct page page;
    struct join j = {.page = &page, .ctx = ctx};
    (void)segment;
    if (page_read(ctx, req, &source, NULL, &page, reply) < 0)
        return;
    if (read_outcomes(ctx, &j) < 0) {
        handler_away(ctx, reply);
    } else {
        struct join rest = j;
        page_json(reply, &page, put_item, &rest);
    }
    free(j.places);
    free(j.stages);
}
