// SPDX-License-Identifier: Apache-2.0
/* The service's configuration: one YAML file, then flags. Thread-safety: a configuration is the caller's. */
#ifndef SONO_SERVE_CONFIG_H
#define SONO_SERVE_CONFIG_H

#include "serve/config_keys.h"
#include "sonoseg/sonoseg.h"

#include <stdio.h>

#define SONO_SERVE_TEXT_BYTES 512

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
    char path[SONO_SERVE_TEXT_BYTES]; /* of the file; "" = none */
} sono_serve_config;

/* The defaults. */
void sono_serve_config_init(sono_serve_config *config);

/* Reads a YAML file over what is there. Errors: IO, FORMAT, INVALID_ARGUMENT (unknown key, a value outside
 * its range); the text names file, line and key, and the nearest key or what is allowed. */
sono_status sono_serve_config_read(sono_serve_config *config, const char *path, sono_error *error);

/* One value by its flag's name ("source-address") as text. Errors: INVALID_ARGUMENT, as above. */
sono_status sono_serve_config_set(sono_serve_config *config, const char *flag, const char *value,
                                  sono_error *error);

/* What no single key shows: addresses, names' lengths, contradictions. Errors: INVALID_ARGUMENT. */
sono_status sono_serve_config_check(const sono_serve_config *config, sono_error *error);

/* Takes of `fresh` what may change at SIGHUP. changed: names of other keys that differ and need a restart,
 * with commas; "" = none. */
void sono_serve_config_reload(sono_serve_config *config, const sono_serve_config *fresh, char *changed,
                              size_t n_bytes);

/* All keys with their values, defaults and help as a commented YAML file that reads back the same. */
void sono_serve_config_write(const sono_serve_config *config, FILE *stream);

/* ---- addresses ------------------------------------------------------------------------------------------
 */

/* "host:port", "[::1]:port" or "host": into parts. 0, or -1 where it is none. */
int sono_serve_address_split(const char *text, int32_t default_port, char *host, size_t n_bytes,
                             int32_t *port);

#endif
