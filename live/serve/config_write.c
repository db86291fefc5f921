// SPDX-License-Identifier: Apache-2.0
/* The configuration as a commented file. */
#include "serve/config_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 100

/* The shortest text that reads back as the same number. */
static void write_number(double number, char *out, size_t n_bytes)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, n_bytes, "%.*g", digits, number);
        if (strtod(out, NULL) == number)
            break;
    }
}

void sono_serve_config_value(const sono_serve_config *config, int index, char *out, size_t n_bytes)
{
    const sono_serve_key *key = sono_serve_key_at(index);
    const void *field = (const char *)config + key->offset;
    const int is_whole = key->kind != SONO_SERVE_KEY_TEXT && key->kind != SONO_SERVE_KEY_NUMBER;
    const int32_t whole = is_whole ? *(const int32_t *)field : 0;
    const char *choice = key->choices;
    switch (key->kind) {
    case SONO_SERVE_KEY_TEXT:
        snprintf(out, n_bytes, "%s", (const char *)field);
        break;
    case SONO_SERVE_KEY_CHOICE:
        for (int32_t i = 0; i < whole; i++)
            choice += strcspn(choice, "|") + 1;
        snprintf(out, n_bytes, "%.*s", (int)strcspn(choice, "|"), choice);
        break;
    case SONO_SERVE_KEY_FLAG:
        snprintf(out, n_bytes, "%s", whole ? "true" : "false");
        break;
    case SONO_SERVE_KEY_INTEGER:
        snprintf(out, n_bytes, "%d", (int)whole);
        break;
    default:
        write_number(*(const double *)field, out, n_bytes);
    }
}

static void write_quoted(const char *text, FILE *stream)
{
    putc('"', stream);
    for (const char *at = text; *at; at++) {
        if (*at == '"' || *at == '\\')
            putc('\\', stream);
        putc(*at, stream);
    }
    putc('"', stream);
}

/* A comment in lines of COLUMNS, broken at blanks. */
static void write_comment(const char *text, FILE *stream)
{
    size_t column = 0;
    for (const char *word = text; *word;) {
        const size_t n = strcspn(word, " ");
        if (column && column + 1 + n > COLUMNS) {
            putc('\n', stream);
            column = 0;
        }
        column += (size_t)fprintf(stream, "%s%.*s", column ? " " : "  # ", (int)n, word);
        word += n + strspn(word + n, " ");
    }
    putc('\n', stream);
}

static void write_key(const sono_serve_config *config, int index, FILE *stream)
{
    const sono_serve_key *key = sono_serve_key_at(index);
    char value[SONO_SERVE_TEXT_BYTES], allowed[128], comment[768];
    sono_serve_key_describe(key, allowed, sizeof allowed);
    const int is_text = key->kind == SONO_SERVE_KEY_TEXT;
    snprintf(comment, sizeof comment, "%s (%s%sdefault %s%s%s%s)", key->help, is_text ? "" : allowed,
             is_text ? "" : "; ", is_text ? "\"" : "", key->value, is_text ? "\"" : "",
             key->reload ? "; taken at SIGHUP" : "");
    write_comment(comment, stream);
    sono_serve_config_value(config, index, value, sizeof value);
    fprintf(stream, "  %s: ", key->name);
    if (is_text)
        write_quoted(value, stream);
    else
        fputs(value, stream);
    putc('\n', stream);
}

void sono_serve_config_write(const sono_serve_config *config, FILE *stream)
{
    fputs("# sonoseg serve --config FILE reads this. Every key may be left out; options win over it:\n"
          "# --source-address 127.0.0.1:18944 is the first one. Keys that are not taken at SIGHUP need a "
          "restart.\n",
          stream);
    const char *section = "";
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const sono_serve_key *key = sono_serve_key_at(i);
        if (strcmp(section, key->section) != 0)
            fprintf(stream, "\n%s: # %s\n", key->section, sono_serve_section_help(key->section));
        section = key->section;
        write_key(config, i, stream);
    }
}
