/*
 * telerelayctl: what people do with an installation. `archive migrate` prepares the database, `archive status` says
 * what is in it.
 */
#include "common/clock.h"
#include "common/conf.h"
#include "sql/archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM    "telerelayctl"
#define GAPS_SHOWN 10

static const char help[] =
    "Usage: " PROGRAM " archive migrate|status [--config FILE] [--archive-database DATABASE]\n"
    "\n"
    "  archive migrate    bring the archive's database to this program's version; makes what is missing\n"
    "  archive status     what the archive has: version, size, rows, gaps\n"
    "\n"
    "  --config FILE      read FILE (default: /etc/telerelay/telerelay.conf if there is one)\n"
    "  --archive-database DATABASE\n"
    "                     sqlite:/path or postgresql://…; a password is better off in the file\n"
    "  --archive-database-ms MS\n"
    "                     time for connecting, and for one step\n"
    "  --check-config     check flags, environment and file, then leave: 0 when fine, 1 when not\n"
    "  --help             print this and leave\n"
    "  --version          print the version and leave\n"
    "\n"
    "Every other key of the file is a flag, too (--SECTION-KEY), and a variable of the environment\n"
    "(TELERELAY_SECTION_KEY).\n";

static const char *const tier_names[ARCHIVE_TIERS] = {"minutes", "hours"};

static int failed(const struct archive *a)
{
    fprintf(stderr, "archive: %s\n", archive_reason(a));
    return 1;
}

/* --- archive migrate --------------------------------------------------------------------------------- */

static int migrate(struct archive *a)
{
    int from, to;
    if (archive_migrate(a, &from, &to) != 0)
        return failed(a);
    if (from == to)
        printf("archive: version %d, up to date\n", to);
    else
        printf("archive: version %d → %d\n", from, to);
    return 0;
}

/* --- archive status ---------------------------------------------------------------------------------- */

/* Up to where the streams of each kind are archived, and how many there are. */
struct reached {
    uint64_t ms[ARCHIVE_KINDS];
    int64_t streams[ARCHIVE_KINDS];
};

static int on_position(void *ctx, enum archive_kind kind, const char *device_id, struct streamid position)
{
    struct reached *r = ctx;
    (void)device_id;
    r->streams[kind]++;
    if (position.ms > r->ms[kind])
        r->ms[kind] = position.ms;
    return 0;
}

static void print_time(int64_t ms)
{
    char text[CLOCK_RFC3339_MS_LEN + 1];
    clock_format_ms(text, ms);
    printf("%s", text);
}

static void print_kind(enum archive_kind kind, const struct archive_status *status, const struct reached *r)
{
    printf("%-9s %12" PRId64, archive_kind_names[kind], status->rows[kind]);
    if (r->streams[kind] > 0 && r->ms[kind] <= INT64_MAX) {
        printf("  of %" PRId64 " stream%s, archived up to ", r->streams[kind], r->streams[kind] == 1 ? "" : "s");
        print_time((int64_t)r->ms[kind]);
    }
    printf("\n");
}

static int on_gap(void *ctx, const struct archive_gap *gap)
{
    char after[STREAMID_TEXT_MAX], before[STREAMID_TEXT_MAX];
    (void)ctx;
    streamid_format(after, gap->after);
    streamid_format(before, gap->before);
    printf("  %s%s%s between %s and %s, noticed ", archive_kind_names[gap->kind], *gap->device_id != '\0' ? " of " : "",
           gap->device_id, after, before);
    print_time(gap->noticed_ms);
    printf("\n");
    return 0;
}

static int status(struct archive *a)
{
    struct archive_status s;
    struct reached r = {0};
    int found, wanted;
    if (archive_version(a, &found, &wanted) != 0)
        return failed(a);
    printf("%-9s %12d%s\n", "version", found, found == wanted ? ", up to date" : "");
    if (archive_begin_view(a) != 0 || archive_status(a, &s) != 0 || archive_positions(a, on_position, &r) != 0)
        return failed(a);
    printf("%-9s %12.1f MB\n", "size", (double)s.bytes / 1e6);
    printf("%-9s %12" PRId64 "\n", "devices", s.devices);
    for (enum archive_kind kind = 0; kind < ARCHIVE_KINDS; kind++)
        print_kind(kind, &s, &r);
    for (enum archive_tier tier = 0; tier < ARCHIVE_TIERS; tier++)
        printf("%-9s %12" PRId64 "\n", tier_names[tier], s.rollups[tier]);
    if (s.newest_ms != 0) {
        printf("oldest sample ");
        print_time(s.oldest_ms);
        printf(", newest ");
        print_time(s.newest_ms);
        printf("\n");
    }
    printf("%-9s %12" PRId64 "%s\n", "gaps", s.gaps, s.gaps > GAPS_SHOWN ? ", the newest of them:" : "");
    if (archive_gaps(a, NULL, GAPS_SHOWN, on_gap, NULL) != 0)
        return failed(a);
    archive_end_view(a);
    return 0;
}

/* --- the command line ---------------------------------------------------------------------------------- */

struct verb {
    const char *object, *verb;
    enum archive_use use;
    int (*run)(struct archive *a);
};

static const struct verb verbs[] = {
    {"archive", "migrate", ARCHIVE_WRITE, migrate},
    {"archive", "status", ARCHIVE_READ, status},
};

static const struct verb *find_verb(const char **words, int n)
{
    for (size_t i = 0; n == 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(words[0], verbs[i].object) == 0 && strcmp(words[1], verbs[i].verb) == 0)
            return &verbs[i];
    }
    fprintf(stderr, "%s: %s", PROGRAM, n == 0 ? "what to do is missing" : "unknown command:");
    for (int i = 0; i < n && i < 2; i++)
        fprintf(stderr, " %.40s", words[i]);
    fprintf(stderr, "%s; there are archive migrate and archive status (try --help)\n", n > 2 ? " …" : "");
    return NULL;
}

static int run(const struct verb *verb, const struct conf_archive *conf)
{
    if (*conf->database == '\0') {
        fprintf(stderr, "%s: [archive] database is empty: there is no archive\n", PROGRAM);
        return conf_exit_code(CONF_USAGE);
    }
    struct archive *a = archive_create(conf->database, verb->use, conf->database_ms);
    if (a == NULL) {
        fprintf(stderr, "%s: no memory\n", PROGRAM);
        return 1;
    }
    int rc = verb->run(a);
    archive_destroy(a);
    return fflush(stdout) == 0 ? rc : 1;
}

int main(int argc, char **argv)
{
    static struct conf conf;
    const char *words[2];
    int n = conf_words(&argc, argv, words, 2);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
    }
    enum conf_result result = conf_load(&conf, PROGRAM, "ctl", argc, argv, stdout, stderr);
    if (result != CONF_RUN)
        return conf_exit_code(result);
    const struct verb *verb = find_verb(words, n);
    return verb != NULL ? run(verb, &conf.archive) : conf_exit_code(CONF_USAGE);
}
