// SPDX-License-Identifier: Apache-2.0
/* Live numbers of a running `sonoseg serve` in a terminal, over its API. */
#include "args.h"
#include "commands.h"
#include "fetch.h"
#include "json_find.h"
#include "stop.h"
#include "top_view.h"

#include "serve/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_ADDRESS "127.0.0.1:8080"
#define API             "/api/metrics/latest"
#define TIMEOUT_MS      3000
#define TOKEN_BYTES     258 /* 256 and a line's end */
#define FRAME_BYTES     32768

enum { ID_ONCE = 'o', ID_JSON = 'j', ID_INTERVAL = 'i', ID_TOKEN_FILE = 256 };

typedef struct top {
    const char *address, *token_path;
    char token[TOKEN_BYTES];
    float interval_s;
    int is_once, is_json, is_terminal;
} top;

static int take(void *user, int id, const char *value)
{
    top *self = user;
    switch (id) {
    case ID_ONCE:
        self->is_once = 1;
        return 0;
    case ID_JSON:
        self->is_json = 1;
        return 0;
    case ID_INTERVAL:
        return args_fraction("--interval", value, 0.1, 3600, &self->interval_s);
    case ID_TOKEN_FILE:
        self->token_path = value;
        return 0;
    default:
        if (self->address) {
            report_error("one service at a time: '%s' is too many", value);
            return -1;
        }
        self->address = value;
        return 0;
    }
}

static const args_option options[] = {
    {"once", ID_ONCE, NULL, "print them once and end"},
    {"json", ID_JSON, NULL, "the API's JSON, one line each time, instead of the view"},
    {"interval", ID_INTERVAL, "S", "seconds from one view to the next, 0.1 to 3600 (default 1)"},
    {"token-file", ID_TOKEN_FILE, "FILE", "the service's token, where reading needs it"},
};

static const args_spec spec = {
    .command = "top",
    .usage = "top [HOST:PORT] [options]",
    .intro =
        "Shows what a running 'sonoseg serve' does, in a terminal, until Ctrl-C: the numbers of its page, "
        "over\n"
        "its API (web.listen). Default: " DEFAULT_ADDRESS ". It speaks no TLS: from elsewhere, use ssh -L.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "  sonoseg top\n"
                "  sonoseg top --once --json | jq .frames\n\n"
                "exit status\n"
                "  0 shown   1 the service cannot be read, or is CRITICAL (--once)   2 usage\n"
                "  130, 143, 129 stopped by Ctrl-C, SIGTERM, SIGHUP\n",
    .take = take,
};

/* The first line of the token file; 0, or -1 after report_error(). */
static int read_token(top *self)
{
    FILE *file = fopen(self->token_path, "r");
    if (!file || !fgets(self->token, sizeof self->token, file)) {
        report_error("%s: no token can be read", self->token_path);
        if (file)
            fclose(file);
        return -1;
    }
    fclose(file);
    self->token[strcspn(self->token, "\r\n")] = 0;
    for (const char *p = self->token; *p; p++) {
        if (*p <= ' ' || *p > '~') {
            report_error("%s: a token has no blanks and only ASCII", self->token_path);
            return -1;
        }
    }
    return 0;
}

static void show(const top *self, const char *metrics)
{
    /* One write a view: it does not flicker. Each line is cleared behind its end. */
    static char frame[FRAME_BYTES];
    if (self->is_json) {
        printf("%s%s", metrics, metrics[strlen(metrics) ? strlen(metrics) - 1 : 0] == '\n' ? "" : "\n");
    } else if (!self->is_terminal || self->is_once) {
        top_view_write(stdout, metrics, self->address, self->is_terminal);
    } else {
        memset(frame, 0, sizeof frame);
        FILE *memory = fmemopen(frame, sizeof frame - 1, "w");
        if (!memory)
            return;
        top_view_write(memory, metrics, self->address, 1);
        fclose(memory);
        fputs("\033[H", stdout);
        for (const char *line = frame; *line;) {
            const size_t n = strcspn(line, "\n");
            printf("%.*s\033[K\n", (int)n, line);
            line += n + (line[n] == '\n');
        }
        fputs("\033[J", stdout);
    }
    fflush(stdout);
}

/* The API's error in words, or the status alone. */
static void say_refused(const top *self, const fetch_answer *answer)
{
    char text[200];
    json_text(answer->body, "error.text", text, sizeof text);
    report_error("%s: answer %d%s%s%s", self->address, answer->status, *text ? ": " : "", text,
                 answer->status == 401 ? " (--token-file)" : "");
}

/* 0 = shown; STATUS_FAILED where nothing could be read, or it is CRITICAL. */
static int look(const top *self)
{
    fetch_answer answer;
    char level[32];
    if (fetch(self->address, API, *self->token ? self->token : NULL, TIMEOUT_MS, &answer)) {
        if (stop_status())
            return STATUS_FAILED;
        if (self->is_terminal && !self->is_once && !self->is_json)
            printf("\033[H\033[J");
        fflush(stdout);
        report_error("%s", answer.why);
        return STATUS_FAILED;
    }
    int status = STATUS_FAILED;
    if (answer.status != 200) {
        say_refused(self, &answer);
    } else if (isnan(json_number(answer.body, "frames.received"))) {
        report_error("%s: this is no service of sonoseg", self->address);
    } else {
        show(self, answer.body);
        status = !strcmp(json_text(answer.body, "verdict.level", level, sizeof level), "CRITICAL")
                     ? STATUS_FAILED
                     : STATUS_DONE;
    }
    free(answer.body);
    return status;
}

static void wait_interval(float seconds)
{
    const struct timespec step = {0, 50000000};
    for (float waited = 0; waited < seconds && !stop_status(); waited += 0.05f)
        nanosleep(&step, NULL);
}

int cmd_top(int argc, char **argv)
{
    char host[SONO_SERVE_TEXT_BYTES];
    int32_t port;
    top self = {.interval_s = 1, .is_terminal = isatty(STDOUT_FILENO)};
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    if (parsed != ARGS_GO)
        return parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    self.address = self.address ? self.address : DEFAULT_ADDRESS;
    if (sono_serve_address_split(self.address, FETCH_PORT, host, sizeof host, &port)) {
        report_error("'%s' is no address as " DEFAULT_ADDRESS, self.address);
        report_see_help("top");
        return STATUS_USAGE;
    }
    if (self.token_path && read_token(&self))
        return STATUS_FAILED;
    stop_watch();
    if (self.is_terminal && !self.is_once && !self.is_json)
        fputs("\033[H\033[J", stdout);
    for (;;) {
        const int status = look(&self);
        if (self.is_once)
            return status;
        wait_interval(self.interval_s);
        if (stop_status())
            return stop_status();
    }
}
