// SPDX-License-Identifier: Apache-2.0
#include "serve_options.h"

#include <string.h>

#define MAX_ROWS     200
#define HELP_COLUMNS 72

enum { ID_CONFIG = 256, ID_CHECK, ID_DEMO, ID_PRINT_CONFIG, ID_PRINT_KEYS, ID_ALIAS = 512, ID_KEY = 1024 };

static const args_option own[] = {
    {"config", ID_CONFIG, "FILE", "read this YAML file; options win over what it says"},
    {"check", ID_CHECK, NULL, "check everything, say what would run, start nothing"},
    {"demo", ID_DEMO, NULL, "try it: also replay the synthetic scanner at the source's address"},
    {"print-config", ID_PRINT_CONFIG, NULL, "write all keys as a commented YAML file"},
    {"print-keys", ID_PRINT_KEYS, NULL, "write all keys as lines with tabs, for scripts"},
};

_Static_assert(SONO_SERVE_KEY_COUNT + 60 < MAX_ROWS,
               "headings, shorter names and options of serve itself fit, too");

/* The option table and the texts that it points to. */
typedef struct rows {
    args_option list[MAX_ROWS];
    size_t n;
    char names[SONO_SERVE_KEY_COUNT][48];
    char helps[SONO_SERVE_KEY_COUNT][512];
    char same[SONO_SERVE_KEY_COUNT][64];
    char headings[SONO_SERVE_KEY_COUNT + 1][96]; /* in the places of the sections' first keys */
} rows;

static int take(void *user, int id, const char *value)
{
    serve_options *self = user;
    sono_error error;
    char flag[48];
    if (id == ARGS_BARE) {
        report_error("unexpected '%s'", value);
        return -1;
    }
    if (id >= ID_ALIAS) {
        const int index = id - (id >= ID_KEY ? ID_KEY : ID_ALIAS);
        sono_serve_key_flag(index, flag, sizeof flag);
        if (sono_serve_config_set(&self->config, id >= ID_KEY ? flag : sono_serve_key_alias(index), value,
                                  &error) == SONO_STATUS_OK)
            return 0;
        report_error("%s", error.text);
        return -1;
    }
    if (id == ID_CONFIG)
        self->path = value;
    self->wants_check |= id == ID_CHECK;
    self->wants_demo |= id == ID_DEMO;
    self->wants_config |= id == ID_PRINT_CONFIG;
    self->wants_keys |= id == ID_PRINT_KEYS;
    return 0;
}

/* The text in lines of HELP_COLUMNS, broken at blanks. */
static void wrap(char *text)
{
    char *begin = text, *blank = NULL;
    for (char *at = text; *at; at++) {
        if (*at == ' ')
            blank = at;
        if (at - begin >= HELP_COLUMNS && blank) {
            *blank = '\n';
            begin = blank + 1;
            blank = NULL;
        }
    }
}

static const char *value_name(const sono_serve_key *key)
{
    static const char *const names[] = {[SONO_SERVE_KEY_TEXT] = "TEXT",
                                        [SONO_SERVE_KEY_CHOICE] = "WORD",
                                        [SONO_SERVE_KEY_FLAG] = "BOOL",
                                        [SONO_SERVE_KEY_INTEGER] = "N",
                                        [SONO_SERVE_KEY_NUMBER] = "X"};
    return names[key->kind];
}

static void add_heading(rows *self, int place, const char *text, const char *more)
{
    snprintf(self->headings[place], sizeof self->headings[place], "%s%s%s", text, *more ? ": " : "", more);
    self->list[self->n++] = (args_option){NULL, ARGS_HEADING, NULL, self->headings[place]};
}

static void add_key(rows *self, int index)
{
    const sono_serve_key *key = sono_serve_key_at(index);
    char allowed[128];
    sono_serve_key_describe(key, allowed, sizeof allowed);
    sono_serve_key_flag(index, self->names[index], sizeof self->names[index]);
    const int is_text = key->kind == SONO_SERVE_KEY_TEXT;
    snprintf(self->helps[index], sizeof self->helps[index], "%s (%s%sdefault %s)", key->help,
             is_text ? "" : allowed, is_text ? "" : "; ", *key->value ? key->value : "empty");
    wrap(self->helps[index]);
    self->list[self->n++] =
        (args_option){self->names[index], ID_KEY + index, value_name(key), self->helps[index]};
}

static void make_rows(rows *self)
{
    memset(self, 0, sizeof *self);
    memcpy(self->list, own, sizeof own);
    self->n = sizeof own / sizeof *own;
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        char flag[48];
        if (!sono_serve_key_alias(i))
            continue;
        sono_serve_key_flag(i, flag, sizeof flag);
        snprintf(self->same[i], sizeof self->same[i], "the same as --%s", flag);
        self->list[self->n++] = (args_option){sono_serve_key_alias(i), ID_ALIAS + i,
                                              value_name(sono_serve_key_at(i)), self->same[i]};
    }
    const char *section = "";
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const sono_serve_key *key = sono_serve_key_at(i);
        if (strcmp(section, key->section) != 0)
            add_heading(self, i, key->section, sono_serve_section_help(key->section));
        section = key->section;
        add_key(self, i);
    }
    add_heading(self, SONO_SERVE_KEY_COUNT, "help", "");
}

args_result serve_options_parse(serve_options *self, int argc, char **argv)
{
    rows table;
    make_rows(&table);
    const args_spec spec = {
        .command = "serve",
        .usage = "serve [--config FILE] [options]",
        .intro =
            "The live service: takes images from a server that speaks OpenIGTLink (PlusServer), sends masks "
            "to\n3D Slicer and other clients, and never shows an old mask as a new one. It runs until "
            "SIGTERM or\nCtrl-C; SIGHUP reads the file again. Every key of the file is an option here: "
            "--SECTION-NAME.",
        .options = table.list,
        .n_options = table.n,
        .examples = "examples\n"
                    "  sonoseg serve --demo\n"
                    "  sonoseg serve --check\n"
                    "  sonoseg serve --source 192.168.1.20:18944 --device cuda\n"
                    "  sonoseg serve --print-config > serve.yaml\n"
                    "  sonoseg serve --config serve.yaml --record sweeps/",
        .take = take,
    };
    *self = (serve_options){0};
    sono_serve_config_init(&self->config);
    return args_parse(&spec, argc, argv, self);
}

void serve_options_print_keys(FILE *stream)
{
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const sono_serve_key *key = sono_serve_key_at(i);
        const char *alias = sono_serve_key_alias(i);
        char flag[48], allowed[128];
        sono_serve_key_flag(i, flag, sizeof flag);
        sono_serve_key_describe(key, allowed, sizeof allowed);
        fprintf(stream, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", flag, alias ? alias : "", key->section, key->name,
                allowed, key->value, key->reload ? "reload" : "restart", key->help);
    }
}
