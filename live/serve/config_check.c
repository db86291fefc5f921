// SPDX-License-Identifier: Apache-2.0
/* What no single key shows. */
#include "serve/config_parts.h"
#include "serve/log_level.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE_CHARS 20 /* of an OpenIGTLink header */
#define SOURCE_PORT  18944
#define SINK_PORT    18945
#define WEB_PORT     8080

/* ---- addresses ------------------------------------------------------------------------------------------
 */

static int take_port(const char *text, int32_t *port)
{
    char *end = NULL;
    const long value = strtol(text, &end, 10);
    if (strspn(text, "0123456789") != strlen(text) || end == text || strlen(text) > 5 || value > 65535)
        return -1;
    *port = (int32_t)value;
    return 0;
}

/* A name, or an address as people write it: digits and dots are four numbers (inet_aton() takes 18945 for an
 * address, too). */
static int is_host(const char *host)
{
    struct in_addr four;
    if (!*host ||
        strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != strlen(host))
        return 0;
    return strspn(host, "0123456789.") != strlen(host) || inet_pton(AF_INET, host, &four) == 1;
}

int sono_serve_address_split(const char *text, int32_t default_port, char *host, size_t n_bytes,
                             int32_t *port)
{
    char name[SONO_SERVE_TEXT_BYTES];
    struct in6_addr six;
    const int is_bracketed = *text == '[';
    const char *begin = text + is_bracketed;
    const size_t n = strcspn(begin, is_bracketed ? "]" : ":");
    const char *rest = begin + n + (is_bracketed && begin[n]);
    int32_t number = default_port;
    if (n >= sizeof name || n >= n_bytes || (is_bracketed && begin[n] != ']'))
        return -1;
    snprintf(name, sizeof name, "%.*s", (int)n, begin);
    if (is_bracketed ? inet_pton(AF_INET6, name, &six) != 1 : !is_host(name))
        return -1;
    if (*rest && (*rest != ':' || take_port(rest + 1, &number)))
        return -1;
    snprintf(host, n_bytes, "%s", name);
    *port = number;
    return 0;
}

static int is_loopback(const char *host)
{
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return !strcmp(host, "::1") || !strcmp(host, "localhost");
}

/* ---- checks: each returns FINE, or the place of a key and in `why` what is wrong with it ----------------
 */

#define FINE       (-1)
#define PLACE(key) SONO_SERVE_KEY_##key

typedef struct findings {
    const sono_serve_config *config;
    char why[320];
} findings;

__attribute__((format(printf, 3, 4))) static int find(findings *at, int place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(at->why, sizeof at->why, format, args);
    va_end(args);
    return place;
}

static int check_addresses(findings *at)
{
    const sono_serve_config *config = at->config;
    char from[SONO_SERVE_TEXT_BYTES], to[SONO_SERVE_TEXT_BYTES];
    int32_t from_port = 0, to_port = 0;
    if (sono_serve_address_split(config->source_address, SOURCE_PORT, from, sizeof from, &from_port) ||
        !from_port)
        return find(
            at, PLACE(source_address),
            "'%.60s' is not a server's address: HOST:PORT is expected, such as 127.0.0.1:%d or [::1]:%d",
            config->source_address, SOURCE_PORT, SOURCE_PORT);
    if (sono_serve_address_split(config->sink_listen, SINK_PORT, to, sizeof to, &to_port))
        return find(at, PLACE(sink_listen),
                    "'%.60s' is not an address to listen on: ADDRESS:PORT is expected, such as 127.0.0.1:%d "
                    "(this machine alone) or 0.0.0.0:%d (every network)",
                    config->sink_listen, SINK_PORT, SINK_PORT);
    if (from_port == to_port && (!strcmp(from, to) || (is_loopback(from) && is_loopback(to))))
        return find(at, PLACE(sink_listen), "it is source.address, too: the service would connect to itself");
    return FINE;
}

/* Device names of a header: printable, and short enough with what the service appends to them. */
static int check_name(findings *at, int place, const char *name, const char *longest_ending)
{
    const size_t room = DEVICE_CHARS - strlen(longest_ending);
    if (!*name)
        return find(at, place, "a name is needed");
    for (const char *letter = name; *letter; letter++)
        if (*letter < 0x20 || *letter > 0x7e)
            return find(at, place, "'%.60s': letters, digits and signs of ASCII only", name);
    if (strlen(name) > room)
        return find(at, place, "'%.60s' has %zu characters, more than %zu%s%s%s: a device name has %d", name,
                    strlen(name), room, *longest_ending ? " (with '" : "", longest_ending,
                    *longest_ending ? "' behind it)" : "", DEVICE_CHARS);
    return FINE;
}

static int check_names(findings *at)
{
    const sono_serve_config *config = at->config;
    const char *const ending = config->sink_maps || config->sink_overlay ? "Outside" : "";
    const struct {
        int place;
        const char *name, *ending;
    } names[] = {
        {PLACE(sink_mask_name), config->sink_mask_name, ending},
        {PLACE(sink_outline_name), config->sink_outline_name, ""},
        {PLACE(sink_text_name), config->sink_text_name, ""},
        {PLACE(sink_status_name), config->sink_status_name, ""},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (check_name(at, names[i].place, names[i].name, names[i].ending) != FINE)
            return names[i].place;
        for (size_t j = 0; j < i; j++)
            if (!strcmp(names[i].name, names[j].name))
                return find(at, names[i].place, "'%.60s' is the name of something else that is sent, too",
                            names[i].name);
    }
    if (*config->source_device)
        return check_name(at, PLACE(source_device), config->source_device, "");
    return FINE;
}

static int check_times(findings *at)
{
    const sono_serve_config *config = at->config;
    if (config->source_backoff_min_ms > config->source_backoff_max_ms)
        return find(at, PLACE(source_backoff_min_ms), "%d ms is above source.backoff_max_ms, %d ms",
                    (int)config->source_backoff_min_ms, (int)config->source_backoff_max_ms);
    if (config->engine_hang_ms > 0 && config->engine_max_latency_ms >= config->engine_hang_ms)
        return find(at, PLACE(engine_max_latency_ms),
                    "%d ms is not below engine.hang_ms, %d ms, when the engine counts as hanging",
                    (int)config->engine_max_latency_ms, (int)config->engine_hang_ms);
    return FINE;
}

static int check_state(findings *at)
{
    const sono_serve_config *config = at->config;
    if (config->state_off > config->state_on)
        return find(at, PLACE(state_off), "%d is above state.on, %d", (int)config->state_off,
                    (int)config->state_on);
    if (config->state_agree_off > config->state_agree_on)
        return find(at, PLACE(state_agree_off), "%d is above state.agree_on, %d",
                    (int)config->state_agree_off, (int)config->state_agree_on);
    if (config->engine_detect_every > 1 && config->state_mode != SONO_SERVE_STATE_STREAM)
        return find(at, PLACE(engine_detect_every), "%d needs state.mode stream",
                    (int)config->engine_detect_every);
    return FINE;
}

static int check_region(findings *at)
{
    sono_pipeline_config pipeline;
    sono_error error;
    sono_pipeline_config_init(&pipeline);
    if (sono_pipeline_config_set_region(&pipeline, at->config->engine_region, &error) != SONO_STATUS_OK)
        return find(at, PLACE(engine_region), "%s", error.text);
    return FINE;
}

static int check_window(findings *at)
{
    const char *window = at->config->source_window;
    char *end = NULL;
    if (!*window)
        return FINE;
    const double low = strtod(window, &end);
    const double high = end != window && *end == ',' ? strtod(end + 1, &end) : low;
    if (*end || !isfinite(low) || !isfinite(high) || low >= high)
        return find(at, PLACE(source_window),
                    "'%.60s' is not LOW,HIGH with the lower value first, as -100,400", window);
    return FINE;
}

static int check_engine(findings *at)
{
    const sono_serve_config *config = at->config;
    const char *device = config->engine_device;
    const size_t n_digits = strncmp(device, "cuda:", 5) ? 0 : strlen(device + 5);
    const int is_numbered = n_digits && n_digits <= 3 && strspn(device + 5, "0123456789") == n_digits;
    if (strcmp(device, "auto") && strcmp(device, "cpu") && strcmp(device, "cuda") && !is_numbered)
        return find(at, PLACE(engine_device), "'%.60s' is none of auto, cpu, cuda, cuda:N", device);
    char precision[SONO_SERVE_TEXT_BYTES];
    sono_serve_config_value(config, PLACE(engine_precision), precision, sizeof precision);
    if (!strcmp(device, "cpu") && !strcmp(precision, "fp16"))
        return find(at, PLACE(engine_precision), "the CPU computes in fp32 only: engine.device is cpu");
    const int64_t n_bytes = (int64_t)config->engine_max_width_px * config->engine_max_height_px;
    if (n_bytes > (int64_t)config->source_max_message_mb << 20)
        return find(at, PLACE(source_max_message_mb),
                    "%d MiB do not hold the largest image, %d x %d pixels (engine.max_width_px, "
                    "engine.max_height_px)",
                    (int)config->source_max_message_mb, (int)config->engine_max_width_px,
                    (int)config->engine_max_height_px);
    return FINE;
}

/* Addresses of machines, with commas between them. */
static int check_peers(findings *at)
{
    const char *rest = at->config->control_peers;
    int n_peers = 0;
    for (size_t n; *rest; rest += n + (rest[n] == ',')) {
        char peer[64];
        unsigned char bytes[sizeof(struct in6_addr)];
        n = strcspn(rest, ",");
        snprintf(peer, sizeof peer, "%.*s", (int)n, rest);
        if (n >= sizeof peer ||
            (inet_pton(AF_INET, peer, bytes) != 1 && inet_pton(AF_INET6, peer, bytes) != 1))
            return find(at, PLACE(control_peers),
                        "'%.60s' is no address: numbers with commas are expected, as "
                        "127.0.0.1,::1",
                        peer);
        n_peers++;
    }
    if (!n_peers && at->config->control_commands)
        return find(at, PLACE(control_peers), "nobody may send commands, though control.commands is true");
    return FINE;
}

static int check_web(findings *at)
{
    const sono_serve_config *config = at->config;
    char host[SONO_SERVE_TEXT_BYTES], other[SONO_SERVE_TEXT_BYTES];
    int32_t port = 0, other_port = 0;
    if (!*config->web_listen)
        return FINE;
    if (sono_serve_address_split(config->web_listen, WEB_PORT, host, sizeof host, &port) ||
        !strpbrk(config->web_listen, ":") || strspn(host, "0123456789.:abcdefABCDEF") != strlen(host))
        return find(
            at, PLACE(web_listen),
            "'%.60s' is not an address to listen on: numbers and a port are expected, such as 127.0.0.1:%d "
            "or [::1]:%d",
            config->web_listen, WEB_PORT, WEB_PORT);
    sono_serve_address_split(config->sink_listen, SINK_PORT, other, sizeof other, &other_port);
    if (port && port == other_port)
        return find(at, PLACE(web_listen), "port %d is that of sink.listen, too", (int)port);
    if (!is_loopback(host) && !*config->control_token_file)
        return find(
            at, PLACE(web_listen),
            "'%.60s' is reached from other machines: images of patients are shown there only to those who "
            "know the token of control.token_file",
            config->web_listen);
    return FINE;
}

/* The folder that holds a file; "." where none is named. */
static void folder_of(const char *path, char out[SONO_SERVE_TEXT_BYTES])
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    snprintf(out, SONO_SERVE_TEXT_BYTES, "%.*s", n ? (int)n : 1, n ? path : ".");
}

/* NULL = files can be made in it. */
static const char *folder_fault(const char *folder)
{
    struct stat facts;
    if (stat(folder, &facts))
        return strerror(errno);
    if (!S_ISDIR(facts.st_mode))
        return "it is no folder";
    return access(folder, W_OK | X_OK) ? strerror(errno) : NULL;
}

static int check_recording(findings *at)
{
    const sono_serve_config *config = at->config;
    const char *name = config->record_name, *folder = config->record_folder;
    char above[SONO_SERVE_TEXT_BYTES];
    struct stat facts;
    if (!*folder)
        return FINE;
    if (!*name || *name == '.' || strlen(name) > 64 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(name))
        return find(at, PLACE(record_name),
                    "'%.60s' is no beginning of a file's name: up to 64 letters, digits, '_', '-' and '.'",
                    name);
    folder_of(folder, above);
    const int is_there = !stat(folder, &facts);
    const char *fault = folder_fault(is_there ? folder : above);
    if (fault)
        return find(at, PLACE(record_folder), "%.200s: %s", is_there ? folder : above, fault);
    return FINE;
}

static int check_logs(findings *at)
{
    const sono_serve_config *config = at->config;
    const struct {
        int place;
        const char *path;
    } files[] = {{PLACE(log_events), config->log_events},
                 {PLACE(log_latency), config->log_latency},
                 {PLACE(log_audit), config->log_audit},
                 {PLACE(log_errors), config->log_errors},
                 {PLACE(log_snapshot), config->log_snapshot}};
    sono_serve_levels levels;
    char why[256];
    if (sono_serve_levels_parse(config->log_levels, &levels, why, sizeof why))
        return find(at, PLACE(log_levels), "%s", why);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char folder[SONO_SERVE_TEXT_BYTES];
        struct stat facts;
        if (!*files[i].path)
            continue;
        if (!stat(files[i].path, &facts) && S_ISDIR(facts.st_mode))
            return find(at, files[i].place, "%.200s is a folder: a file is expected", files[i].path);
        folder_of(files[i].path, folder);
        const char *fault = folder_fault(folder);
        if (fault)
            return find(at, files[i].place, "%.200s: %s", folder, fault);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(files[i].path, files[j].path))
                return find(at, files[i].place, "%.200s is the file of another log, too", files[i].path);
    }
    return FINE;
}

sono_status sono_serve_config_check(const sono_serve_config *config, sono_error *error)
{
    static int (*const checks[])(findings *) = {check_addresses, check_names,     check_times,  check_state,
                                                check_region,    check_window,    check_engine, check_peers,
                                                check_web,       check_recording, check_logs};
    findings at = {.config = config};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        char place[256] = "";
        const int index = checks[i](&at);
        if (index == FINE)
            continue;
        const size_t n_path = strlen(config->path);
        if (config->line[index] > 0)
            snprintf(place, sizeof place, "%s:%d: ", config->path + (n_path > 200 ? n_path - 200 : 0),
                     (int)config->line[index]);
        return sono_serve_config_fail(error, SONO_STATUS_INVALID_ARGUMENT, "%s%s.%s: %s", place,
                                      sono_serve_key_at(index)->section, sono_serve_key_at(index)->name,
                                      at.why);
    }
    return SONO_STATUS_OK;
}

int sono_serve_config_warn(const sono_serve_config *config, char *out, size_t n_bytes)
{
    char host[SONO_SERVE_TEXT_BYTES];
    int32_t port = 0;
    if (sono_serve_address_split(config->sink_listen, SINK_PORT, host, sizeof host, &port) ||
        is_loopback(host))
        return 0;
    snprintf(out, n_bytes,
             "sink.listen is %.60s: whoever reaches this address gets the masks, without a password and "
             "unencrypted (OpenIGTLink has neither)%s; keep it inside a network that you trust",
             config->sink_listen,
             config->control_commands ? ", and control.peers may command the service" : "");
    return 1;
}
