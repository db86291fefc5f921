// SPDX-License-Identifier: Apache-2.0
/*
 * The service's configuration: defaults, then one YAML file, then flags; the later wins. All of it comes from
 * one table (config_keys.h). Functions leave the configuration as it was when they fail. Thread-safety: a
 * configuration is the caller's; the table is read-only.
 */
#ifndef SONO_SERVE_CONFIG_H
#define SONO_SERVE_CONFIG_H

#include "serve/config_keys.h"
#include "sonoseg/sonoseg.h"

#include <stdio.h>

#define SONO_SERVE_TEXT_BYTES   512     /* of a text's value, with the 0 at its end */
#define SONO_SERVE_CONFIG_BYTES 1048576 /* of a file at most */

/* Places in the table: SONO_SERVE_KEY_source_address = 0, ... */
enum sono_serve_key_index {
#define TEXT(section, name, value, reload, help)               SONO_SERVE_KEY_##section##_##name,
#define CHOICE(section, name, value, choices, reload, help)    SONO_SERVE_KEY_##section##_##name,
#define FLAG(section, name, value, reload, help)               SONO_SERVE_KEY_##section##_##name,
#define INTEGER(section, name, value, low, high, reload, help) SONO_SERVE_KEY_##section##_##name,
#define NUMBER(section, name, value, low, high, reload, help)  SONO_SERVE_KEY_##section##_##name,
    SONO_SERVE_KEY_MAP(TEXT, CHOICE, FLAG, INTEGER, NUMBER)
#undef TEXT
#undef CHOICE
#undef FLAG
#undef INTEGER
#undef NUMBER
        SONO_SERVE_KEY_COUNT
};

#define SONO_SERVE_FROM_FLAG (-1) /* in place of a line */

/* Places of engine.surface's choices. */
enum { SONO_SERVE_SURFACE_AUTO, SONO_SERVE_SURFACE_ON, SONO_SERVE_SURFACE_OFF };
/* Likewise of state.mode's. */
enum { SONO_SERVE_STATE_SCORE, SONO_SERVE_STATE_FRAME, SONO_SERVE_STATE_STREAM };

/* One field a key, named <section>_<name>. A CHOICE is the place of its choice, from 0. */
typedef struct sono_serve_config {
#define TEXT(section, name, value, reload, help)               char section##_##name[SONO_SERVE_TEXT_BYTES];
#define CHOICE(section, name, value, choices, reload, help)    int32_t section##_##name;
#define FLAG(section, name, value, reload, help)               int32_t section##_##name;
#define INTEGER(section, name, value, low, high, reload, help) int32_t section##_##name;
#define NUMBER(section, name, value, low, high, reload, help)  double section##_##name;
    SONO_SERVE_KEY_MAP(TEXT, CHOICE, FLAG, INTEGER, NUMBER)
#undef TEXT
#undef CHOICE
#undef FLAG
#undef INTEGER
#undef NUMBER
    char path[SONO_SERVE_TEXT_BYTES];   /* of the file; "" = none */
    int32_t line[SONO_SERVE_KEY_COUNT]; /* of the key in the file; 0 = the default, or SONO_SERVE_FROM_FLAG */
} sono_serve_config;

/* ---- the table ------------------------------------------------------------------------------------------
 */

typedef enum sono_serve_key_kind {
    SONO_SERVE_KEY_TEXT,
    SONO_SERVE_KEY_CHOICE,
    SONO_SERVE_KEY_FLAG,
    SONO_SERVE_KEY_INTEGER,
    SONO_SERVE_KEY_NUMBER
} sono_serve_key_kind;

typedef struct sono_serve_key {
    const char *section, *name; /* "source", "address" */
    const char *value;          /* the default, as in a file; "" = empty */
    const char *choices;        /* "a|b" of a CHOICE; else NULL */
    const char *help;           /* one line */
    double low, high;           /* of an INTEGER or a NUMBER */
    size_t offset;              /* of the field in sono_serve_config */
    sono_serve_key_kind kind;
    int32_t reload; /* 1 = taken at SIGHUP */
} sono_serve_key;

/* Entry [0, SONO_SERVE_KEY_COUNT); static storage. */
const sono_serve_key *sono_serve_key_at(int index);
/* "source-max-rate-hz", the flag without its dashes. */
void sono_serve_key_flag(int index, char *out, size_t n_bytes);
/* A shorter flag, "source"; NULL = none. */
const char *sono_serve_key_alias(int index);
/* The entry of a flag or alias; -1 = none. */
int sono_serve_key_find(const char *flag);
/* What values it takes, as "0..600000 ms", "newest or all", "true or false"; "text" for a text. */
void sono_serve_key_describe(const sono_serve_key *key, char *out, size_t n_bytes);
/* What a section is about, for headings: "where images come from"; "" for what is none. */
const char *sono_serve_section_help(const char *section);

/* ---- values ---------------------------------------------------------------------------------------------
 */

/* The defaults. */
void sono_serve_config_init(sono_serve_config *config);

/* Reads a YAML file over what is there; a key that a flag has set keeps its value. Errors: IO, FORMAT (no
 * YAML, an alias, a second document, beyond SONO_SERVE_CONFIG_BYTES), INVALID_ARGUMENT (unknown or repeated
 * key, a value outside its range), OUT_OF_MEMORY; the text is "FILE:LINE: section.key: ..." with the nearest
 * key or what is allowed. */
sono_status sono_serve_config_read(sono_serve_config *config, const char *path, sono_error *error);
/* The same from memory. path: for messages, and kept. */
sono_status sono_serve_config_parse(sono_serve_config *config, const char *path, const void *bytes,
                                    size_t n_bytes, sono_error *error);

/* One value by its flag's name ("source-address") or alias as text. Errors: INVALID_ARGUMENT, as above. */
sono_status sono_serve_config_set(sono_serve_config *config, const char *flag, const char *value,
                                  sono_error *error);

/* What no single key shows: addresses, names' lengths, contradictions, folders that are not there. Opens
 * nothing. Errors: INVALID_ARGUMENT; the text names the key, and the file's line where it came from one. */
sono_status sono_serve_config_check(const sono_serve_config *config, sono_error *error);

/* What is allowed and deserves a word, such as listening beyond this machine. 1 = out has a sentence. */
int sono_serve_config_warn(const sono_serve_config *config, char *out, size_t n_bytes);

/* Takes of `fresh` (defaults, then the file) what may change at SIGHUP; what flags have set stays. changed:
 * names of other keys that differ and need a restart, with commas; "" = none. To be checked before it is
 * used: sono_serve_config_check() on the result. */
void sono_serve_config_reload(sono_serve_config *config, const sono_serve_config *fresh, char *changed,
                              size_t n_bytes);

/* The value of a key as it stands in a file, texts without quotes. */
void sono_serve_config_value(const sono_serve_config *config, int index, char *out, size_t n_bytes);

/* All keys with their values, defaults and help as a commented YAML file that reads back the same. */
void sono_serve_config_write(const sono_serve_config *config, FILE *stream);

/* ---- addresses ------------------------------------------------------------------------------------------
 */

/* "host:port", "[::1]:port" or "host": into parts. 0, or -1 where it is none: no host, a host of digits
 * alone, a port outside 0..65535, an IPv6 address without brackets. */
int sono_serve_address_split(const char *text, int32_t default_port, char *host, size_t n_bytes,
                             int32_t *port);

#endif
