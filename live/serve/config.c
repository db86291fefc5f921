// SPDX-License-Identifier: Apache-2.0
#include "serve/config.h"

#include "serve/config_parts.h"
#include "serve/nearest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define KEY(section, name) #section, #name
#define AT(section, name)  offsetof(sono_serve_config, section##_##name)
static const sono_serve_key table[SONO_SERVE_KEY_COUNT] = {
#define TEXT(section, name, value, reload, help)                                                             \
    {KEY(section, name), value, NULL, help, 0, 0, AT(section, name), SONO_SERVE_KEY_TEXT, reload},
#define CHOICE(section, name, value, choices, reload, help)                                                  \
    {KEY(section, name), value, choices, help, 0, 0, AT(section, name), SONO_SERVE_KEY_CHOICE, reload},
#define FLAG(section, name, value, reload, help)                                                             \
    {KEY(section, name), (value) ? "true" : "false", NULL,  help, 0, 0,                                      \
     AT(section, name),  SONO_SERVE_KEY_FLAG,        reload},
#define INTEGER(section, name, value, low, high, reload, help)                                               \
    {KEY(section, name), #value, NULL, help, low, high, AT(section, name), SONO_SERVE_KEY_INTEGER, reload},
#define NUMBER(section, name, value, low, high, reload, help)                                                \
    {KEY(section, name), #value, NULL, help, low, high, AT(section, name), SONO_SERVE_KEY_NUMBER, reload},
    SONO_SERVE_KEY_MAP(TEXT, CHOICE, FLAG, INTEGER, NUMBER)
#undef TEXT
#undef CHOICE
#undef FLAG
#undef INTEGER
#undef NUMBER
};

/* Short flags for the keys that people set most. */
static const char *const aliases[SONO_SERVE_KEY_COUNT] = {
    [SONO_SERVE_KEY_source_address] = "source",
    [SONO_SERVE_KEY_engine_kind] = "engine",
    [SONO_SERVE_KEY_engine_detector] = "detector",
    [SONO_SERVE_KEY_engine_detector_family] = "detector-family",
    [SONO_SERVE_KEY_engine_segmenter] = "segmenter",
    [SONO_SERVE_KEY_engine_device] = "device",
    [SONO_SERVE_KEY_engine_precision] = "precision",
    [SONO_SERVE_KEY_engine_threads] = "threads",
    [SONO_SERVE_KEY_engine_threshold] = "threshold",
    [SONO_SERVE_KEY_sink_listen] = "listen",
    [SONO_SERVE_KEY_record_folder] = "record",
    [SONO_SERVE_KEY_log_events] = "events",
};

static const struct {
    const char *name, *help;
} sections[] = {
    {"source", "where images come from"},
    {"mailbox", "images that wait for the engine"},
    {"engine", "what analyses images"},
    {"state", "when an image counts as VISIBLE"},
    {"sink", "what clients such as 3D Slicer get, and who may connect"},
    {"control", "changes, by COMMAND messages of clients and by the web page"},
    {"web", "a page, an API and metrics over HTTP; when it is WARNING and CRITICAL"},
    {"record", "recordings; they hold patient data where the images do"},
    {"log", "events, latencies, audit"},
    {"service", "the process itself"},
};

static const struct {
    const char *ending, *unit;
} units[] = {{"_ms", " ms"},     {"_mb", " MiB"},          {"_px", " pixels"}, {"_hz", " Hz"},
             {"_percent", " %"}, {"_celsius", " degrees"}, {"_h", " hours"}};

sono_status sono_serve_config_fail(sono_error *error, sono_status status, const char *format, ...)
{
    if (!error)
        return status;
    *error = (sono_error){.status = status, .offset_bytes = -1, .where = "configuration"};
    if (status == SONO_STATUS_IO)
        error->native_code = errno;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *at = error->text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    return status;
}

/* ---- the table ------------------------------------------------------------------------------------------
 */

const sono_serve_key *sono_serve_key_at(int index)
{
    return &table[index];
}

void sono_serve_key_flag(int index, char *out, size_t n_bytes)
{
    snprintf(out, n_bytes, "%s-%s", table[index].section, table[index].name);
    for (char *at = out; *at; at++)
        if (*at == '_')
            *at = '-';
}

const char *sono_serve_key_alias(int index)
{
    return aliases[index];
}

int sono_serve_key_find(const char *flag)
{
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        char name[64];
        sono_serve_key_flag(i, name, sizeof name);
        if (!strcmp(flag, name) || (aliases[i] && !strcmp(flag, aliases[i])))
            return i;
    }
    return -1;
}

const char *sono_serve_section_help(const char *section)
{
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (!strcmp(sections[i].name, section))
            return sections[i].help;
    return "";
}

static const char *unit_of(const sono_serve_key *key)
{
    const size_t n = strlen(key->name);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const size_t n_ending = strlen(units[i].ending);
        if (n > n_ending && !strcmp(key->name + n - n_ending, units[i].ending))
            return units[i].unit;
    }
    return "";
}

/* "a|b|c" as "a, b or c". */
static void list_choices(const char *choices, char *out, size_t n_bytes)
{
    size_t n = 0;
    for (const char *at = choices; *at && n < n_bytes; at++) {
        const char *comma = *at != '|' ? NULL : strchr(at + 1, '|') ? ", " : " or ";
        n += (size_t)snprintf(out + n, n_bytes - n, "%.*s", comma ? (int)strlen(comma) : 1,
                              comma ? comma : at);
    }
}

void sono_serve_key_describe(const sono_serve_key *key, char *out, size_t n_bytes)
{
    if (key->kind == SONO_SERVE_KEY_CHOICE)
        list_choices(key->choices, out, n_bytes);
    else if (key->kind == SONO_SERVE_KEY_INTEGER || key->kind == SONO_SERVE_KEY_NUMBER)
        snprintf(out, n_bytes, "%.10g..%.10g%s", key->low, key->high, unit_of(key));
    else
        snprintf(out, n_bytes, "%s", key->kind == SONO_SERVE_KEY_FLAG ? "true or false" : "text");
}

/* ---- values ---------------------------------------------------------------------------------------------
 */

static size_t field_bytes(const sono_serve_key *key)
{
    return key->kind == SONO_SERVE_KEY_TEXT     ? SONO_SERVE_TEXT_BYTES
           : key->kind == SONO_SERVE_KEY_NUMBER ? sizeof(double)
                                                : sizeof(int32_t);
}

static int choice_of(const char *choices, const char *value)
{
    const size_t n = strlen(value);
    int index = 0;
    for (const char *at = choices; at; at = strchr(at, '|'), index++) {
        at += *at == '|';
        if (strcspn(at, "|") == n && !strncmp(at, value, n))
            return index;
    }
    return -1;
}

static int refuse(const sono_serve_key *key, const char *value, const char *kind, char *why, size_t n_bytes)
{
    char allowed[128];
    sono_serve_key_describe(key, allowed, sizeof allowed);
    snprintf(why, n_bytes, "'%.60s' is not %s %s", value, kind, allowed);
    return -1;
}

static int refuse_choice(const sono_serve_key *key, const char *value, char *why, size_t n_bytes)
{
    char words[8][24];
    const char *names[9] = {NULL};
    int n = 0;
    for (const char *at = key->choices; at && n < 8; at = strchr(at, '|')) {
        at += *at == '|';
        snprintf(words[n], sizeof words[n], "%.*s", (int)strcspn(at, "|"), at);
        names[n] = words[n];
        names[++n] = NULL;
    }
    refuse(key, value, "one of", why, n_bytes);
    const char *nearest = sono_serve_nearest(value, names);
    const size_t length = strlen(why);
    if (nearest)
        snprintf(why + length, n_bytes - length, ": did you mean '%s'?", nearest);
    return -1;
}

/* Bytes of the character that begins there, 0 where it is no UTF-8 or nothing that a YAML file can show:
 * control characters, line separators, marks of byte order. */
static size_t printable_bytes(const unsigned char *at)
{
    const size_t n = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const uint32_t least[] = {0, 0x20, 0xa0, 0x800, 0x10000};
    uint32_t letter = at[0] & masks[n];
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        letter = letter << 6 | (at[i] & 0x3f);
    }
    if ((at[0] >= 0x80 && at[0] < 0xc0) || at[0] > 0xf4 || letter < least[n] || letter > 0x10ffff ||
        (letter >= 0xd800 && letter < 0xe000))
        return 0;
    return letter == 0x7f || letter == 0x2028 || letter == 0x2029 || letter == 0xfeff ||
                   (letter & 0xfffe) == 0xfffe
               ? 0
               : n;
}

static int take_text(const char *value, char *field, char *why, size_t n_bytes)
{
    const size_t n = strlen(value);
    if (n >= SONO_SERVE_TEXT_BYTES) {
        snprintf(why, n_bytes, "it has %zu bytes, more than %d", n, SONO_SERVE_TEXT_BYTES - 1);
        return -1;
    }
    for (size_t i = 0, n_letter; i < n; i += n_letter) {
        n_letter = printable_bytes((const unsigned char *)value + i);
        if (!n_letter) {
            snprintf(why, n_bytes, "byte %zu (0x%02x) is not printable text in UTF-8", i + 1,
                     (unsigned char)value[i]);
            return -1;
        }
    }
    memmove(field, value, n); /* it may be its own */
    memset(field + n, 0, SONO_SERVE_TEXT_BYTES - n);
    return 0;
}

static int take_number(const sono_serve_key *key, const char *value, void *field, char *why, size_t n_bytes)
{
    const int is_whole = key->kind == SONO_SERVE_KEY_INTEGER;
    char *end = NULL;
    errno = 0;
    const long long whole = is_whole ? strtoll(value, &end, 10) : 0;
    const double number = is_whole ? (double)whole : strtod(value, &end);
    if (errno || end == value || *end || !(number >= key->low && number <= key->high))
        return refuse(key, value, is_whole ? "a whole number within" : "a number within", why, n_bytes);
    if (is_whole)
        *(int32_t *)field = (int32_t)whole;
    else
        *(double *)field = number;
    return 0;
}

int sono_serve_key_take(sono_serve_config *config, int index, const char *value, char *why, size_t n_bytes)
{
    const sono_serve_key *key = &table[index];
    void *field = (char *)config + key->offset;
    int32_t place = 0;
    switch (key->kind) {
    case SONO_SERVE_KEY_TEXT:
        return take_text(value, field, why, n_bytes);
    case SONO_SERVE_KEY_CHOICE:
        place = choice_of(key->choices, value);
        if (place < 0)
            return refuse_choice(key, value, why, n_bytes);
        break;
    case SONO_SERVE_KEY_FLAG:
        place = !strcmp(value, "true");
        if (!place && strcmp(value, "false"))
            return refuse(key, value, "one of", why, n_bytes);
        break;
    default:
        return take_number(key, value, field, why, n_bytes);
    }
    *(int32_t *)field = place;
    return 0;
}

void sono_serve_config_init(sono_serve_config *config)
{
    *config = (sono_serve_config){0};
#define TEXT(section, name, value, reload, help)                                                             \
    snprintf(config->section##_##name, SONO_SERVE_TEXT_BYTES, "%s", value);
#define CHOICE(section, name, value, choices, reload, help)                                                  \
    config->section##_##name = choice_of(choices, value);
#define FLAG(section, name, value, reload, help)               config->section##_##name = value;
#define INTEGER(section, name, value, low, high, reload, help) config->section##_##name = value;
#define NUMBER(section, name, value, low, high, reload, help)  config->section##_##name = value;
    SONO_SERVE_KEY_MAP(TEXT, CHOICE, FLAG, INTEGER, NUMBER)
#undef TEXT
#undef CHOICE
#undef FLAG
#undef INTEGER
#undef NUMBER
}

sono_status sono_serve_config_set(sono_serve_config *config, const char *flag, const char *value,
                                  sono_error *error)
{
    char why[256];
    const int index = sono_serve_key_find(flag);
    if (index < 0)
        return sono_serve_config_fail(error, SONO_STATUS_INVALID_ARGUMENT, "--%.60s: there is no such option",
                                      flag);
    if (sono_serve_key_take(config, index, value, why, sizeof why))
        return sono_serve_config_fail(error, SONO_STATUS_INVALID_ARGUMENT, "--%s: %s", flag, why);
    config->line[index] = SONO_SERVE_FROM_FLAG;
    return SONO_STATUS_OK;
}

static int is_equal(const sono_serve_config *left, const sono_serve_config *right, const sono_serve_key *key)
{
    const char *a = (const char *)left + key->offset, *b = (const char *)right + key->offset;
    return key->kind == SONO_SERVE_KEY_TEXT ? !strcmp(a, b) : !memcmp(a, b, field_bytes(key));
}

void sono_serve_config_reload(sono_serve_config *config, const sono_serve_config *fresh, char *changed,
                              size_t n_bytes)
{
    size_t n = 0;
    if (n_bytes)
        *changed = 0;
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const sono_serve_key *key = &table[i];
        if (config->line[i] == SONO_SERVE_FROM_FLAG)
            continue;
        if (is_equal(config, fresh, key) || key->reload) {
            memcpy((char *)config + key->offset, (const char *)fresh + key->offset, field_bytes(key));
            config->line[i] = fresh->line[i];
        } else if (n < n_bytes) {
            n +=
                (size_t)snprintf(changed + n, n_bytes - n, "%s%s.%s", n ? ", " : "", key->section, key->name);
        }
    }
}
