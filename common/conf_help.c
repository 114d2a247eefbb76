#include "conf_table.h"

#include <ctype.h>
#include <string.h>

static void print_flag(FILE *out, const struct conf_key *key, bool own)
{
    char flag[96];
    char allowed[160];
    snprintf(flag, sizeof flag, "%s%s%s", own ? "" : key->section, own ? "" : "-", key->name);
    for (char *c = flag; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    fprintf(out, "  --%s VALUE\n        %s\n", flag, key->help);
    if (key->type == CONF_INT || key->type == CONF_NUMBER) {
        conf_describe_allowed(allowed, sizeof allowed, key);
        fprintf(out, "        %s; default %s\n", allowed, key->def);
    } else if (*key->def != '\0') {
        fprintf(out, "        default %s\n", key->def);
    }
}

static void print_section(FILE *out, const char *section, bool own)
{
    fprintf(out, "\n[%s]\n", section);
    for (size_t i = 0; i < conf_table_len; i++) {
        if (strcmp(conf_table[i].section, section) == 0)
            print_flag(out, &conf_table[i], own);
    }
}

void conf_print_help(FILE *out, const char *program, const char *section)
{
    char upper[32] = "";
    for (size_t i = 0; section[i] != '\0' && i < sizeof upper - 1; i++)
        upper[i] = (char)toupper((unsigned char)section[i]);
    fprintf(out,
            "Usage: %s [--config FILE] [--KEY VALUE | --KEY=VALUE]...\n"
            "\n"
            "  --config FILE      read FILE (default: /etc/telerelay/telerelay.conf if there is one)\n"
            "  --check-config     check flags, environment and file, then leave: 0 when fine, 1 when not\n"
            "  --example-config   print an annotated configuration file and leave\n"
            "  --help             print this and leave\n"
            "  --version          print the version and leave\n"
            "\n"
            "Each key below is a flag, a variable of the environment (TELERELAY_%s_KEY) and a key of the\n"
            "file's section; the flag wins over the variable, the variable over the file.\n",
            program, upper);
    print_section(out, section, true);
    if (strcmp(section, "robot") != 0)
        print_section(out, "redis", false);
}

void conf_print_example(FILE *out)
{
    fprintf(out, "# telerelay.conf: all programs read this file, each its own section and [redis].\n"
                 "# Every key is shown with its default; remove the # to change it. A flag (--key) or a variable\n"
                 "# of the environment (TELERELAY_SECTION_KEY) wins over this file. Keys marked (reload) change\n"
                 "# on SIGHUP, the others need a restart. A comment starts with # or ; in the first column, or\n"
                 "# with ; after a space.\n");
    const char *section = "";
    for (size_t i = 0; i < conf_table_len; i++) {
        const struct conf_key *key = &conf_table[i];
        char allowed[160];
        if (strcmp(key->section, section) != 0)
            fprintf(out, "\n[%s]\n", key->section);
        section = key->section;
        fprintf(out, "\n# %s%s\n", key->help, key->reloadable ? " (reload)" : "");
        if (key->type == CONF_INT || key->type == CONF_NUMBER) {
            conf_describe_allowed(allowed, sizeof allowed, key);
            fprintf(out, "# %s\n", allowed);
        }
        fprintf(out, "#%s =%s%s\n", key->name, *key->def != '\0' ? " " : "", key->def);
    }
}

/* Text that scdoc takes as it is. */
static void print_scdoc(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("_*\\#~[", *text) != NULL)
            fputc('\\', out);
        fputc(*text, out);
    }
}

void conf_print_man(FILE *out)
{
    fprintf(
        out,
        "telerelay.conf(5)\n\n# NAME\n\ntelerelay.conf - configuration of all telerelay programs\n\n"
        "# DESCRIPTION\n\nAn INI file. Each program reads its own section and *[redis]*, and checks all of it: an\n"
        "unknown section or key is an error. An option (*--key*, *--section-key*) wins over a variable of the\n"
        "environment (_TELERELAY\\_SECTION\\_KEY_), that over this file. Keys marked (reload) change on SIGHUP, the\n"
        "others need a restart. A comment starts with # or ; in the first column, or with ; after a space.\n");
    const char *section = "";
    for (size_t i = 0; i < conf_table_len; i++) {
        const struct conf_key *key = &conf_table[i];
        char allowed[160];
        if (strcmp(key->section, section) != 0)
            fprintf(out, "\n# SECTION %s\n", key->section);
        section = key->section;
        fputs("\n*", out);
        print_scdoc(out, key->name);
        fprintf(out, "*%s\n\t", key->reloadable ? " (reload)" : "");
        print_scdoc(out, key->help);
        conf_describe_allowed(allowed, sizeof allowed, key);
        fputs(".++\n", out);
        print_scdoc(out, allowed);
        fputs("; default ", out);
        print_scdoc(out, *key->def != '\0' ? key->def : "empty");
        fputs("\n", out);
    }
    fprintf(out,
            "\n# FILES\n\n_/etc/telerelay/telerelay.conf_\n\n# SEE ALSO\n\n*telerelay-wsd*(1), *telerelay-api*(1), "
            "*telerelay-robot*(1), *telerelayctl*(1)\n");
}
