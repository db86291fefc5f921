// SPDX-License-Identifier: Apache-2.0
/* Reading a configuration file. libcyaml reads it by a schema that is made from the table of keys. It has no
 * line for what is no YAML, for aliases and for unknown keys, so the events of the parser that it stands on
 * (libyaml) are walked first, for the line of every key. */
#include "serve/config_parts.h"
#include "serve/nearest.h"

#include <cyaml/cyaml.h>
#include <yaml.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 8
#define MAX_KEYS  512 /* in a file, unknown ones too */

/* A file under way. */
typedef struct reading {
    const char *path;
    const uint8_t *bytes;
    size_t n_bytes;
    sono_error *error;
    int32_t key_lines[MAX_KEYS]; /* of each key in its order, the sections' names too */
    int8_t is_section[MAX_KEYS];
    int n_keys;
    int32_t lines[SONO_SERVE_KEY_COUNT];
    /* libcyaml's progress: how many keys it came to, the last one and its section. */
    int n_seen;
    char section[64], key[64];
} reading;

/* The end of a path that is too long for a message. */
static const char *short_path(const char *path)
{
    const size_t n = strlen(path);
    return n > 200 ? path + n - 200 : path;
}

static sono_status fail_at(const reading *self, sono_status status, int32_t line, const char *text)
{
    return sono_serve_config_fail(self->error, status, "%s:%d: %s", short_path(self->path), (int)line, text);
}

/* ---- lines ----------------------------------------------------------------------------------------------
 */

/* Where the walk is: mappings around it, and whether a key or a value comes next. */
typedef struct walk {
    reading *to;
    int depth;
    int is_mapping[MAX_DEPTH];
    int wants_key[MAX_DEPTH];
    int n_documents;
    char section[64];
} walk;

static void note_key(walk *self, const yaml_event_t *event)
{
    reading *to = self->to;
    const int32_t line = (int32_t)event->start_mark.line + 1;
    const char *name = (const char *)event->data.scalar.value;
    to->is_section[to->n_keys] = self->depth == 1;
    to->key_lines[to->n_keys++] = line;
    if (self->depth == 1)
        snprintf(self->section, sizeof self->section, "%s", name);
    for (int i = 0; self->depth == 2 && i < SONO_SERVE_KEY_COUNT; i++)
        if (!strcmp(sono_serve_key_at(i)->section, self->section) &&
            !strcmp(sono_serve_key_at(i)->name, name))
            to->lines[i] = line;
}

/* A node begins: it is a key, a value, an entry or the document itself. NULL, or what is wrong with it. */
static const char *enter(walk *self, const yaml_event_t *event)
{
    const int is_mapping = event->type == YAML_MAPPING_START_EVENT;
    const int is_scalar = event->type == YAML_SCALAR_EVENT;
    if (!self->depth && !is_mapping)
        return "sections are expected here, 'source:' for instance, with their keys indented below";
    if (self->depth && self->is_mapping[self->depth - 1] && self->wants_key[self->depth - 1]) {
        if (!is_scalar)
            return "a key is expected here, a plain word";
        if (self->to->n_keys == MAX_KEYS)
            return "too many keys";
        note_key(self, event);
        self->wants_key[self->depth - 1] = 0;
        return NULL;
    }
    if (self->depth)
        self->wants_key[self->depth - 1] = 1;
    if (is_scalar)
        return NULL;
    if (self->depth == MAX_DEPTH)
        return "nested too deeply: there are sections, and keys in them";
    self->is_mapping[self->depth] = is_mapping;
    self->wants_key[self->depth++] = 1;
    return NULL;
}

static const char *visit(walk *self, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return self->n_documents++ ? "a second document begins here: a configuration is one" : NULL;
    case YAML_ALIAS_EVENT:
        return "an alias (*name) is not allowed: write the value out";
    case YAML_SCALAR_EVENT:
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return enter(self, event);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        self->depth--;
        return NULL;
    default:
        return NULL;
    }
}

/* Line of a byte, from 1. */
static int32_t line_of_byte(const reading *self, size_t offset)
{
    int32_t line = 1;
    for (size_t i = 0; i < offset && i < self->n_bytes; i++)
        line += self->bytes[i] == '\n';
    return line;
}

/* 1 = the line (from 1) is indented with a tab. */
static int has_tab(const reading *self, int32_t line)
{
    size_t at = 0;
    while (at < self->n_bytes && line > 1)
        line -= self->bytes[at++] == '\n';
    while (at < self->n_bytes && self->bytes[at] == ' ')
        at++;
    return at < self->n_bytes && self->bytes[at] == '\t';
}

/* What libyaml says of text that is no YAML. Where that is the end of the file, the line of what was begun.
 */
static sono_status fail_syntax(const reading *self, const yaml_parser_t *parser)
{
    char text[256];
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return sono_serve_config_fail(self->error, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    if (parser->error == YAML_READER_ERROR) {
        snprintf(text, sizeof text, "%s: the file must be text in UTF-8", problem);
        return fail_at(self, SONO_STATUS_FORMAT, line_of_byte(self, parser->problem_offset), text);
    }
    const int is_at_end = parser->context && parser->problem_mark.index >= self->n_bytes;
    const int32_t line = (int32_t)(is_at_end ? parser->context_mark.line : parser->problem_mark.line) + 1;
    const char *hint = has_tab(self, line) ? ": indent with blanks, not with tabs"
                       : strstr(problem, "cannot start any token")
                           ? ": put a text that begins with a sign into \"quotes\""
                       : strstr(problem, "mapping values are not allowed")
                           ? ": is the indentation right? A text with ': ' in it needs \"quotes\""
                           : "";
    snprintf(text, sizeof text, "not YAML: %s%s%s%s", problem, parser->context ? " " : "",
             parser->context ? parser->context : "", hint);
    return fail_at(self, SONO_STATUS_FORMAT, line, text);
}

/* Walks all events: what libcyaml has no line for is refused here, the lines of keys are kept. */
static sono_status find_lines(reading *self)
{
    sono_status status = SONO_STATUS_OK;
    yaml_parser_t parser;
    walk at = {.to = self};
    if (!yaml_parser_initialize(&parser))
        return sono_serve_config_fail(self->error, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    yaml_parser_set_input_string(&parser, self->bytes, self->n_bytes);
    for (int is_over = 0; !is_over && status == SONO_STATUS_OK;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            status = fail_syntax(self, &parser);
            break;
        }
        const char *wrong = visit(&at, &event);
        if (wrong)
            status = fail_at(self, SONO_STATUS_FORMAT, (int32_t)event.start_mark.line + 1, wrong);
        is_over = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

/* ---- libcyaml -------------------------------------------------------------------------------------------
 */

/* What libcyaml makes: a section is NULL where the file has none, or an empty one; a key likewise. */
typedef struct section {
    char *texts[SONO_SERVE_KEY_COUNT]; /* of its own keys, in their places of the table */
} section;

typedef struct document {
    section *sections[SONO_SERVE_KEY_COUNT]; /* in the place of its first key */
} document;

/* A schema's memory: keys of each section with an end behind them, and the sections. */
typedef struct schema {
    cyaml_schema_field_t keys[2 * SONO_SERVE_KEY_COUNT];
    cyaml_schema_field_t sections[SONO_SERVE_KEY_COUNT + 1];
    cyaml_schema_value_t root;
} schema;

/* The place of the first key of that key's section. */
static int section_of(int index)
{
    const char *name = sono_serve_key_at(index)->section;
    while (index > 0 && !strcmp(sono_serve_key_at(index - 1)->section, name))
        index--;
    return index;
}

static void make_schema(schema *out)
{
    size_t n_keys = 0, n_sections = 0;
    *out = (schema){.root = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, document, out->sections)}};
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const sono_serve_key *key = sono_serve_key_at(i);
        if (section_of(i) == i) {
            n_keys += i > 0; /* the end of the section before */
            out->sections[n_sections++] = (cyaml_schema_field_t){
                .key = key->section,
                .data_offset = (uint32_t)(offsetof(document, sections) + (size_t)i * sizeof(section *)),
                .value = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, section,
                                              out->keys + n_keys)}};
        }
        out->keys[n_keys++] = (cyaml_schema_field_t){
            .key = key->name,
            .data_offset = (uint32_t)(offsetof(section, texts) + (size_t)i * sizeof(char *)),
            .value = {
                CYAML_VALUE_STRING(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char *, 0, CYAML_UNLIMITED)}};
    }
}

/* Follows the keys that libcyaml comes to: it tells of each as "Load: [%s]", sections too. */
__attribute__((format(printf, 3, 0))) static void listen_to(cyaml_log_t level, void *user, const char *format,
                                                            va_list args)
{
    reading *self = user;
    char line[96];
    if (level != CYAML_LOG_INFO || strncmp(format, "Load: [", 7) != 0)
        return;
    const int n = vsnprintf(line, sizeof line, format, args) - (int)strlen("Load: []\n");
    snprintf(self->key, sizeof self->key, "%.*s", n > 0 ? n : 0, line + strlen("Load: ["));
    if (self->n_seen < self->n_keys && self->is_section[self->n_seen])
        snprintf(self->section, sizeof self->section, "%s", self->key);
    self->n_seen++;
}

/* ": did you mean ...", or where a key of that name belongs. */
static void suggest(const reading *self, int is_section, char *out, size_t n_bytes)
{
    const char *names[SONO_SERVE_KEY_COUNT + 1], *other = NULL, *third = NULL;
    int n = 0;
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const sono_serve_key *key = sono_serve_key_at(i);
        if (is_section ? section_of(i) == i : !strcmp(key->section, self->section))
            names[n++] = is_section ? key->section : key->name;
        if (!strcmp(key->name, self->key)) {
            third = other;
            other = key->section;
        }
    }
    names[n] = NULL;
    const char *nearest = sono_serve_nearest(self->key, names);
    if (other)
        snprintf(out, n_bytes, ": it belongs to section '%s'%s%s%s", third ? third : other,
                 third ? " or '" : "", third ? other : "", third ? "'" : "");
    else if (nearest)
        snprintf(out, n_bytes, ": did you mean '%s'?", nearest);
    else
        snprintf(out, n_bytes, ": 'sonoseg serve --print-config' shows all there are");
}

static sono_status fail_cyaml(const reading *self, cyaml_err_t problem)
{
    char text[320], hint[128];
    const int last = self->n_seen - 1;
    const int is_placed = last >= 0 && last < self->n_keys;
    const int is_section = is_placed && self->is_section[last];
    const int32_t line = is_placed ? self->key_lines[last] : 1;
    switch (problem) {
    case CYAML_ERR_OOM:
        return sono_serve_config_fail(self->error, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    case CYAML_ERR_INVALID_KEY:
        suggest(self, is_section, hint, sizeof hint);
        if (is_section)
            snprintf(text, sizeof text, "unknown section '%s'%s", self->key, hint);
        else
            snprintf(text, sizeof text, "unknown key '%s' in section '%s'%s", self->key, self->section, hint);
        break;
    case CYAML_ERR_UNEXPECTED_EVENT:
        snprintf(text, sizeof text, "%s '%s' is there already", is_section ? "section" : "key", self->key);
        break;
    case CYAML_ERR_INVALID_VALUE:
        snprintf(text, sizeof text, "%s '%s': %s", is_section ? "section" : "key", self->key,
                 is_section ? "its keys are expected below, indented by blanks, each as 'key: value'"
                            : "one value is expected behind it");
        break;
    default:
        snprintf(text, sizeof text, "it cannot be read: %s", cyaml_strerror(problem));
    }
    return fail_at(self, SONO_STATUS_INVALID_ARGUMENT, line, text);
}

/* Values that flags have set are checked and left. */
static sono_status take_values(reading *self, const document *from, sono_serve_config *config)
{
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const section *within = from->sections[section_of(i)];
        const char *value = within ? within->texts[i] : NULL;
        if (!value)
            continue;
        const int is_flagged = config->line[i] == SONO_SERVE_FROM_FLAG;
        sono_serve_config unused, *to = is_flagged ? &unused : config;
        char why[256], text[320];
        if (sono_serve_key_take(to, i, value, why, sizeof why)) {
            snprintf(text, sizeof text, "%s.%s: %s", sono_serve_key_at(i)->section,
                     sono_serve_key_at(i)->name, why);
            return fail_at(self, SONO_STATUS_INVALID_ARGUMENT, self->lines[i], text);
        }
        if (!is_flagged)
            config->line[i] = self->lines[i];
    }
    return SONO_STATUS_OK;
}

static sono_status load(reading *self, sono_serve_config *config)
{
    const cyaml_config_t options = {.log_fn = listen_to,
                                    .log_ctx = self,
                                    .mem_fn = cyaml_mem,
                                    .log_level = CYAML_LOG_INFO,
                                    .flags = CYAML_CFG_NO_ALIAS};
    schema all;
    document *read = NULL;
    make_schema(&all);
    const cyaml_err_t problem =
        cyaml_load_data(self->bytes, self->n_bytes, &options, &all.root, (cyaml_data_t **)&read, NULL);
    if (problem != CYAML_OK)
        return fail_cyaml(self, problem);
    const sono_status status = read ? take_values(self, read, config) : SONO_STATUS_OK;
    cyaml_free(&options, &all.root, read, 0);
    return status;
}

/* ---- the file -------------------------------------------------------------------------------------------
 */

sono_status sono_serve_config_parse(sono_serve_config *config, const char *path, const void *bytes,
                                    size_t n_bytes, sono_error *error)
{
    reading self = {.path = path, .bytes = bytes, .n_bytes = n_bytes, .error = error};
    sono_serve_config next = *config;
    if (strlen(path) >= sizeof next.path)
        return sono_serve_config_fail(error, SONO_STATUS_INVALID_ARGUMENT, "...%s: the path is too long",
                                      short_path(path));
    if (!n_bytes || n_bytes > SONO_SERVE_CONFIG_BYTES)
        return sono_serve_config_fail(error, SONO_STATUS_FORMAT, "%s:1: %s", short_path(path),
                                      n_bytes
                                          ? "the file is larger than 1 MiB: is it a configuration?"
                                          : "the file is empty; 'sonoseg serve --print-config' writes one");
    sono_status status = find_lines(&self);
    if (status == SONO_STATUS_OK)
        status = load(&self, &next);
    if (status != SONO_STATUS_OK)
        return status;
    snprintf(next.path, sizeof next.path, "%s", path);
    *config = next;
    return SONO_STATUS_OK;
}

/* Reads up to n_bytes; -1 on an error, which errno says. */
static ssize_t read_all(int fd, char *bytes, size_t n_bytes)
{
    size_t n = 0;
    while (n < n_bytes) {
        const ssize_t got = read(fd, bytes + n, n_bytes - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -1 : (ssize_t)n;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

sono_status sono_serve_config_read(sono_serve_config *config, const char *path, sono_error *error)
{
    struct stat facts;
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts)) {
        const sono_status status =
            sono_serve_config_fail(error, SONO_STATUS_IO, "%s: %s", short_path(path), strerror(errno));
        if (fd >= 0)
            close(fd);
        return status;
    }
    const size_t capacity = SONO_SERVE_CONFIG_BYTES + 1;
    char *bytes = S_ISREG(facts.st_mode) ? malloc(capacity) : NULL;
    const ssize_t n = bytes ? read_all(fd, bytes, capacity) : 0;
    sono_status status;
    if (!S_ISREG(facts.st_mode))
        status = sono_serve_config_fail(error, SONO_STATUS_INVALID_ARGUMENT, "%s: this is %s, not a file",
                                        short_path(path), S_ISDIR(facts.st_mode) ? "a folder" : "a device");
    else if (!bytes)
        status = sono_serve_config_fail(error, SONO_STATUS_OUT_OF_MEMORY, "out of memory");
    else if (n < 0)
        status = sono_serve_config_fail(error, SONO_STATUS_IO, "%s: %s", short_path(path), strerror(errno));
    else
        status = sono_serve_config_parse(config, path, bytes, (size_t)n, error);
    free(bytes);
    close(fd);
    return status;
}
