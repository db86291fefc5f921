// SPDX-License-Identifier: Apache-2.0
#include "args.h"

#include "serve/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 200
#define MAX_WORD    48
#define HELP_ID     'h'

__attribute__((format(printf, 2, 0))) static void report(const char *kind, const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    fprintf(stderr, "sonoseg: %s: %s\n", kind, text);
}

void report_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report("error", format, args);
    va_end(args);
}

void report_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report("warning", format, args);
    va_end(args);
}

void report_see_help(const char *command)
{
    fprintf(stderr, "See 'sonoseg %s%s--help'.\n", command ? command : "", command ? " " : "");
}

static void report_unknown(const args_spec *spec, const char *word)
{
    const char *names[MAX_OPTIONS + 2];
    size_t n_names = 0;
    for (size_t i = 0; i < spec->n_options; i++)
        if (spec->options[i].name)
            names[n_names++] = spec->options[i].name;
    names[n_names++] = "help";
    names[n_names] = NULL;
    char name[MAX_WORD + 1];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
             word + strspn(word, "-"));
    const char *nearest = sono_serve_nearest(name, names);
    if (nearest)
        report_error("unknown option '%s': did you mean '--%s'?", word, nearest);
    else
        report_error("unknown option '%s'", word);
}

static const args_option *option_of(const args_spec *spec, int id)
{
    for (size_t i = 0; i < spec->n_options; i++)
        if (spec->options[i].id == id)
            return &spec->options[i];
    return NULL;
}

static void print_option(const args_option *option)
{
    char left[64];
    const int is_letter = option->id > ' ' && option->id < 127;
    snprintf(left, sizeof left, "  %c%c%s --%s%s%s", is_letter ? '-' : ' ', is_letter ? option->id : ' ',
             is_letter ? "," : " ", option->name, option->value ? " " : "",
             option->value ? option->value : "");
    printf("%-28s", left);
    if (strlen(left) > 27)
        printf("\n%-28s", "");
    for (const char *at = option->help; *at; at++)
        if (*at == '\n')
            printf("\n%-28s", "");
        else
            putchar(*at);
    putchar('\n');
}

static void print_help(const args_spec *spec)
{
    static const args_option help = {"help", HELP_ID, NULL, "show this text"};
    printf("usage: sonoseg %s\n\n%s\n\noptions\n", spec->usage, spec->intro);
    for (size_t i = 0; i < spec->n_options; i++)
        if (spec->options[i].id == ARGS_HEADING)
            printf("\n%s\n", spec->options[i].help);
        else
            print_option(&spec->options[i]);
    print_option(&help);
    if (spec->examples)
        printf("\n%s\n", spec->examples);
}

/* getopt's tables out of ours; '-' in front keeps words in their place, ':' tells a missing value apart. */
static void fill_tables(const args_spec *spec, struct option *longs, char *shorts)
{
    *shorts++ = '-';
    *shorts++ = ':';
    size_t n_longs = 0;
    for (size_t i = 0; i < spec->n_options && i < MAX_OPTIONS; i++) {
        const args_option *option = &spec->options[i];
        if (option->id == ARGS_HEADING)
            continue;
        longs[n_longs++] =
            (struct option){option->name, option->value ? required_argument : no_argument, NULL, option->id};
        if (option->id > ' ' && option->id < 127) {
            *shorts++ = (char)option->id;
            if (option->value)
                *shorts++ = ':';
        }
    }
    longs[n_longs++] = (struct option){"help", no_argument, NULL, HELP_ID};
    longs[n_longs] = (struct option){NULL, 0, NULL, 0};
    *shorts++ = HELP_ID;
    *shorts = 0;
}

static int report_missing(const args_option *option)
{
    report_error("option '--%s' needs a value: --%s %s", option->name, option->name, option->value);
    return -1;
}

static int take_option(const args_spec *spec, int id, int argc, char **argv, void *user)
{
    const args_option *option = option_of(spec, id == ':' || id == '?' ? optopt : id);
    if (id == ':' && option)
        return report_missing(option);
    if (id == '?' || !option) {
        if (option)
            report_error("option '--%s' takes no value", option->name);
        else
            report_unknown(spec, argv[optind > argc ? argc - 1 : optind - 1]);
        return -1;
    }
    if (option->value && (!*optarg || !strncmp(optarg, "--", 2)))
        return report_missing(option);
    return spec->take(user, id, optarg);
}

args_result args_parse(const args_spec *spec, int argc, char **argv, void *user)
{
    struct option longs[MAX_OPTIONS + 2];
    char shorts[2 * MAX_OPTIONS + 4];
    fill_tables(spec, longs, shorts);
    opterr = 0;
    optind = 0;
    int result = 0;
    for (int id; !result && (id = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (id == HELP_ID) {
            print_help(spec);
            return ARGS_HELP_SHOWN;
        }
        result = id == 1 ? spec->take(user, ARGS_BARE, optarg) : take_option(spec, id, argc, argv, user);
    }
    while (!result && optind < argc)
        result = spec->take(user, ARGS_BARE, argv[optind++]);
    if (result)
        report_see_help(spec->command);
    return result ? ARGS_WRONG : ARGS_GO;
}

int args_integer(const char *option, const char *text, int64_t low, int64_t high, int32_t *out)
{
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < low || value > high) {
        report_error("--%s: '%s' is not a whole number within %lld..%lld", option, text, (long long)low,
                     (long long)high);
        return -1;
    }
    *out = (int32_t)value;
    return 0;
}

int args_fraction(const char *option, const char *text, double low, double high, float *out)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high)) {
        report_error("--%s: '%s' is not a number within %g..%g", option, text, low, high);
        return -1;
    }
    *out = (float)value;
    return 0;
}
