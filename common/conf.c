#include "conf.h"

#include "conf_table.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FILE   "/etc/telerelay/telerelay.conf"
#define LINE_MAX_BYTES 1024 /* of the file, with its end */
#define ENV_PREFIX     "TELERELAY_"

extern char **environ;

/* One reading of all sources. */
struct loader {
    struct conf *conf;
    const char *program;
    const char *section; /* the program's own */
    int argc;
    char **argv;
    FILE *err;
    int faults; /* of values, keys, the file */
    int usage;  /* of the command line itself */
    bool check_only;
};

/* The file being read, line by line. */
struct file {
    FILE *stream;
    struct loader *loader;
    const char *path;
    int line;
    bool wants_pair;          /* the line should be "key = value" … */
    bool had_pair;            /* … and the parser found it to be one */
    int seen[CONF_TABLE_MAX]; /* line of each key's first appearance */
};

static void fault(struct loader *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct loader *l, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vfprintf(l->err, format, ap);
    va_end(ap);
    fputc('\n', l->err);
    l->faults++;
}

static bool section_known(const char *section)
{
    for (size_t i = 0; i < conf_table_len; i++) {
        if (strcmp(conf_table[i].section, section) == 0)
            return true;
    }
    return false;
}

static const struct conf_key *find_key(const char *section, const char *name)
{
    for (size_t i = 0; i < conf_table_len; i++) {
        if (strcmp(conf_table[i].section, section) == 0 && strcmp(conf_table[i].name, name) == 0)
            return &conf_table[i];
    }
    return NULL;
}

/* `source` is "FILE:LINE", a flag or a variable. */
static void set(struct loader *l, const char *source, const struct conf_key *key, const char *value)
{
    char allowed[160];
    if (conf_set_value(l->conf, key, value) == 0)
        return;
    conf_describe_allowed(allowed, sizeof allowed, key);
    const char *shown = key->type == CONF_DATABASE ? "(hidden)" : value; /* may hold a password */
    fault(l, "%s: [%s] %s = %.80s: must be %s", source, key->section, key->name, shown, allowed);
}

/* Edits (insert, delete, replace one character) from `a` to `b`. */
static int distance(const char *a, const char *b)
{
    int row[64];
    int n = (int)strnlen(b, 63);
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 0; a[i] != '\0' && i < 63; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 1; j <= n; j++) {
            int best = diagonal + (a[i] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}

static void unknown_key(struct loader *l, const char *source, const char *section, const char *name)
{
    const char *nearest = NULL;
    int least = 4;
    char list[1024] = "";
    size_t len = 0;
    for (size_t i = 0; i < conf_table_len; i++) {
        if (strcmp(conf_table[i].section, section) != 0)
            continue;
        int d = distance(name, conf_table[i].name);
        if (d < least) {
            least = d;
            nearest = conf_table[i].name;
        }
        if (len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len > 0 ? ", " : "", conf_table[i].name);
    }
    if (nearest != NULL)
        fault(l, "%s: [%s] has no key %.60s; did you mean %s?", source, section, name, nearest);
    else
        fault(l, "%s: [%s] has no key %.60s; it has %s", source, section, name, list);
}

static void unknown_section(struct loader *l, const char *source, const char *section)
{
    char list[256] = "";
    size_t len = 0;
    for (size_t i = 0; i < conf_table_len && len < sizeof list; i++) {
        if (i == 0 || strcmp(conf_table[i].section, conf_table[i - 1].section) != 0)
            len += (size_t)snprintf(list + len, sizeof list - len, " [%s]", conf_table[i].section);
    }
    fault(l, "%s: unknown section [%.60s]; there are%s", source, section, list);
}

/* --- the file ----------------------------------------------------------------------------------- */

static void line_source(char out[CONF_PATH_MAX + 32], const struct file *f)
{
    snprintf(out, CONF_PATH_MAX + 32, "%s:%d", f->path, f->line);
}

/* The parser names only the first bad line, so each line is judged by what came of it. */
static void finish_line(struct file *f)
{
    if (f->wants_pair && !f->had_pair)
        fault(f->loader, "%s:%d: must be \"key = value\", [section] or a comment", f->path, f->line);
    f->wants_pair = false;
    f->had_pair = false;
}

static void judge_line(struct file *f, const char *text)
{
    char source[CONF_PATH_MAX + 32];
    if (f->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    text += strspn(text, " \t\r\n\v\f");
    if (*text == '\0' || *text == '#' || *text == ';')
        return;
    if (*text != '[') {
        f->wants_pair = true;
        return;
    }
    line_source(source, f);
    char section[64];
    size_t len = strcspn(text + 1, "];\r\n");
    if (text[1 + len] != ']') {
        fault(f->loader, "%s: a section must end with ]", source);
        return;
    }
    snprintf(section, sizeof section, "%.*s", (int)(len < 63 ? len : 63), text + 1);
    if (!section_known(section))
        unknown_section(f->loader, source, section);
}

/* Reads one line into `line`; lines that the parser could not take whole become empty ones. */
static char *read_line(char *line, int cap, void *user)
{
    struct file *f = user;
    int len = 0;
    bool too_long = false, has_nul = false;
    int c;
    finish_line(f);
    while ((c = getc(f->stream)) != EOF && c != '\n') {
        has_nul = has_nul || c == '\0';
        if (len < cap - 2)
            line[len++] = (char)c;
        else
            too_long = true;
    }
    if (c == EOF && len == 0)
        return NULL;
    f->line++;
    if (too_long)
        fault(f->loader, "%s:%d: a line may have at most %d bytes", f->path, f->line, cap - 2);
    if (has_nul)
        fault(f->loader, "%s:%d: the line has a NUL byte", f->path, f->line);
    if (too_long || has_nul)
        len = 0;
    line[len] = '\n';
    line[len + 1] = '\0';
    judge_line(f, line);
    return line;
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct file *f = user;
    char source[CONF_PATH_MAX + 32];
    f->had_pair = true;
    line_source(source, f);
    if (*section == '\0') {
        fault(f->loader, "%s: %.60s is outside of any section", source, name);
        return 1;
    }
    if (!section_known(section)) /* named where the section begins */
        return 1;
    const struct conf_key *key = find_key(section, name);
    if (key == NULL) {
        unknown_key(f->loader, source, section, name);
        return 1;
    }
    int *seen = &f->seen[key - conf_table];
    if (*seen != 0)
        fault(f->loader, "%s: [%s] %s is set twice, first in line %d", source, section, name, *seen);
    else
        *seen = f->line;
    set(f->loader, source, key, value);
    return 1;
}

static void load_file(struct loader *l, const char *path, bool must_exist)
{
    struct file f = {.loader = l, .path = path};
    if (strlen(path) >= sizeof l->conf->file) {
        fault(l, "--config %.80s: must be a file name of at most %zu bytes", path, sizeof l->conf->file - 1);
        return;
    }
    f.stream = fopen(path, "re");
    if (f.stream == NULL) {
        if (must_exist || errno != ENOENT)
            fault(l, "%s: %s", path, strerror(errno));
        return;
    }
    memcpy(l->conf->file, path, strlen(path) + 1);
    ini_use_stack = false;
    ini_initial_alloc = LINE_MAX_BYTES;
    ini_max_line = LINE_MAX_BYTES;
    ini_allow_multiline = false;
    int result = ini_parse_stream(read_line, &f, take_pair, &f);
    finish_line(&f);
    if (result == -2)
        fault(l, "%s: out of memory", path);
    else if (ferror(f.stream))
        fault(l, "%s: cannot be read: %s", path, strerror(errno));
    else if (result > 0 && l->faults == 0)
        fault(l, "%s:%d: not understood", path, result);
    fclose(f.stream);
}

/* --- the environment and the command line ------------------------------------------------------- */

/* The key for the `len` bytes of SECTION_KEY or section-key; NULL when there is none. */
static const struct conf_key *find_joined(const char *text, size_t len, char joint)
{
    for (size_t i = 0; i < conf_table_len; i++) {
        const struct conf_key *key = &conf_table[i];
        size_t section_len = strlen(key->section);
        if (section_len + 1 + strlen(key->name) != len || strncasecmp(text, key->section, section_len) != 0 ||
            text[section_len] != joint)
            continue;
        size_t j = section_len + 1;
        while (j < len && (key->name[j - section_len - 1] == '_'
                               ? text[j] == joint
                               : tolower((unsigned char)text[j]) == key->name[j - section_len - 1]))
            j++;
        if (j == len)
            return key;
    }
    return NULL;
}

static void load_variable(struct loader *l, const char *variable)
{
    const char *name = variable + strlen(ENV_PREFIX);
    const char *value = strchr(name, '=');
    if (value == NULL)
        return;
    char source[96], section[32] = "", rest[64] = "";
    snprintf(source, sizeof source, "%.*s", (int)(value - variable), variable);
    const struct conf_key *key = find_joined(name, (size_t)(value - name), '_');
    if (key != NULL) {
        set(l, source, key, value + 1);
        return;
    }
    size_t section_len = strcspn(name, "_=");
    for (size_t i = 0; i < section_len && i < sizeof section - 1; i++)
        section[i] = (char)tolower((unsigned char)name[i]);
    if (!section_known(section) || name[section_len] != '_')
        return; /* another program's */
    const char *from = name + section_len + 1;
    for (size_t i = 0; from + i < value && i < sizeof rest - 1; i++)
        rest[i] = (char)tolower((unsigned char)from[i]);
    unknown_key(l, source, section, rest);
}

static void load_environment(struct loader *l)
{
    for (char **v = environ; v != NULL && *v != NULL; v++) {
        if (strncmp(*v, ENV_PREFIX, strlen(ENV_PREFIX)) == 0)
            load_variable(l, *v);
    }
}

/* The key that the flag's name (no dashes in front, `len` bytes) means to this program. */
static const struct conf_key *find_flag(const struct loader *l, const char *name, size_t len)
{
    char own[128];
    if (len < 64 && memchr(name, '_', len) == NULL) {
        int own_len = snprintf(own, sizeof own, "%.30s-%.*s", l->section, (int)len, name);
        const struct conf_key *key = find_joined(own, (size_t)own_len, '-');
        if (key != NULL)
            return key;
    }
    return find_joined(name, len, '-');
}

static void usage(struct loader *l, const char *what, const char *argument)
{
    fprintf(l->err, "%s: %s: %.80s (try --help)\n", l->program, what, argument);
    l->usage++;
}

/* Walks the arguments. First for the file's name (apply = false), then for all values. */
static const char *walk_flags(struct loader *l, bool apply)
{
    const char *file = NULL;
    for (int i = 1; i < l->argc; i++) {
        const char *arg = l->argv[i];
        if (strcmp(arg, "--check-config") == 0) {
            l->check_only = true;
            continue;
        }
        if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0') {
            if (!apply)
                usage(l, "unexpected argument", arg);
            continue;
        }
        const char *equals = strchr(arg, '=');
        size_t len = equals != NULL ? (size_t)(equals - arg - 2) : strlen(arg + 2);
        bool is_file = len == 6 && strncmp(arg + 2, "config", 6) == 0;
        const struct conf_key *key = is_file ? NULL : find_flag(l, arg + 2, len);
        if (key == NULL && !is_file) {
            if (!apply)
                usage(l, "unknown flag", arg);
            continue;
        }
        const char *value = equals != NULL ? equals + 1 : i + 1 < l->argc ? l->argv[++i] : NULL;
        if (value == NULL) {
            if (!apply)
                usage(l, "a value is missing after", arg);
        } else if (is_file) {
            file = value;
        } else if (apply) {
            char source[96];
            snprintf(source, sizeof source, "%.*s", (int)(len + 2 < 95 ? len + 2 : 95), arg);
            set(l, source, key, value);
        }
    }
    return file;
}

/* --- all of it ---------------------------------------------------------------------------------- */

static void check_together(struct loader *l)
{
    const struct conf_wsd *w = &l->conf->wsd;
    if (w->hangup_s <= w->ping_s)
        fault(l, "[wsd] hangup_s = %d: must be more than ping_s (%d)", w->hangup_s, w->ping_s);
    if (w->telemetry_bytes > w->video_bytes)
        fault(l, "[wsd] video_bytes = %d: must be at least telemetry_bytes (%d)", w->video_bytes, w->telemetry_bytes);
    const struct conf_robot *r = &l->conf->robot;
    if (r->fresh_ms <= r->heartbeat_ms)
        fault(l, "[robot] fresh_ms = %d: must be more than heartbeat_ms (%d)", r->fresh_ms, r->heartbeat_ms);
}

static enum conf_result load_all(struct loader *l)
{
    memset(l->conf, 0, sizeof *l->conf);
    for (size_t i = 0; i < conf_table_len; i++)
        set(l, "default", &conf_table[i], conf_table[i].def);
    const char *path = walk_flags(l, false);
    if (l->usage > 0)
        return CONF_USAGE;
    const char *variable = getenv(ENV_PREFIX "CONFIG");
    if (path == NULL && variable != NULL && *variable != '\0')
        path = variable;
    load_file(l, path != NULL ? path : DEFAULT_FILE, path != NULL);
    load_environment(l);
    walk_flags(l, true);
    if (l->faults == 0)
        check_together(l);
    if (l->faults > 0)
        return l->check_only ? CONF_FAULT : CONF_USAGE;
    return CONF_RUN;
}

static bool has_flag(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], flag) == 0)
            return true;
    }
    return false;
}

enum conf_result conf_load(struct conf *conf, const char *program, const char *section, int argc, char **argv,
                           FILE *out, FILE *err)
{
    struct loader l = {.conf = conf, .program = program, .section = section, .argc = argc, .argv = argv, .err = err};
    if (has_flag(argc, argv, "--help") || has_flag(argc, argv, "-h")) {
        conf_print_help(out, program, section);
        return CONF_DONE;
    }
    if (has_flag(argc, argv, "--version")) {
        fprintf(out, "%s %s\n", program, TELERELAY_VERSION);
        return CONF_DONE;
    }
    if (has_flag(argc, argv, "--example-config")) {
        conf_print_example(out);
        return CONF_DONE;
    }
    enum conf_result result = load_all(&l);
    if (result == CONF_RUN && l.check_only) {
        fprintf(out, "%s: configuration ok\n", program);
        return CONF_DONE;
    }
    return result;
}

int conf_reload(struct conf *conf, const char *program, const char *section, int argc, char **argv, FILE *err)
{
    struct conf fresh;
    struct loader l = {.conf = &fresh, .program = program, .section = section, .argc = argc, .argv = argv, .err = err};
    if (load_all(&l) != CONF_RUN)
        return -1;
    for (size_t i = 0; i < conf_table_len; i++) {
        const struct conf_key *key = &conf_table[i];
        char *now = (char *)conf + key->offset;
        const char *wanted = (const char *)&fresh + key->offset;
        if (memcmp(now, wanted, key->size) == 0)
            continue;
        if (key->reloadable)
            memcpy(now, wanted, key->size);
        else
            fprintf(err, "[%s] %s changed: takes effect after a restart\n", key->section, key->name);
    }
    return 0;
}

int conf_words(int *argc, char **argv, const char **words, int most)
{
    static const char *const alone[] = {"--check-config", "--help", "-h", "--version", "--example-config"};
    int kept = 1, n = 0;
    for (int i = 1; i < *argc; i++) {
        bool takes_value = strncmp(argv[i], "--", 2) == 0 && strchr(argv[i], '=') == NULL;
        for (size_t k = 0; k < sizeof alone / sizeof alone[0]; k++)
            takes_value = takes_value && strcmp(argv[i], alone[k]) != 0;
        if (argv[i][0] == '-')
            argv[kept++] = argv[i];
        else if (n++ < most)
            words[n - 1] = argv[i];
        if (takes_value && i + 1 < *argc)
            argv[kept++] = argv[++i];
    }
    argv[kept] = NULL;
    *argc = kept;
    return n;
}

int conf_exit_code(enum conf_result result)
{
    return result == CONF_USAGE ? 2 : result == CONF_FAULT ? 1 : 0;
}
