// SPDX-License-Identifier: Apache-2.0
/* What clients ask for: COMMANDs, and queries for data (GET_, STT_, STP_). docs/live-messages.md lists the
 * answers. */
#include "igtl/query.h"
#include "serve/sink_parts.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REFUSAL_NS  1000000000 /* one refused query a second is answered, ... */
#define MAX_REFUSED 8          /* ... and so many at once */
#define N_COMMANDS  6

/* ---- refused queries ------------------------------------------------------------------------------------
 */

/* A flood of what is refused is not answered message by message. */
static int may_refuse(sono_serve_client *client)
{
    const int64_t now_ns = sono_serve_now_ns();
    const int64_t least_ns = now_ns - (int64_t)MAX_REFUSED * REFUSAL_NS;
    if (client->refused_ns < least_ns)
        client->refused_ns = least_ns;
    if (client->refused_ns + REFUSAL_NS > now_ns)
        return 0;
    client->refused_ns += REFUSAL_NS;
    return 1;
}

/* By a STATUS of the device that was asked for, so that it is not taken for the service's own. */
static int refuse(sono_serve_sink *sink, sono_serve_client *client, uint16_t code, const char *name,
                  const char *text)
{
    const char *device =
        client->reader.header.device[0] ? client->reader.header.device : sink->config.sink_status_name;
    if (!may_refuse(client))
        return 0;
    return sono_serve_sink_send(sink, client, SONO_SERVE_QUEUE_ANSWER,
                                sono_serve_note_status(sink, client->version, device, code, name, text));
}

/* ---- queries --------------------------------------------------------------------------------------------
 */

/* IMAGE and POLYDATA by the device's name. GET: with the next frame, never an old one. */
static int query_output(sono_serve_sink *sink, sono_serve_client *client, sono_igtl_verb verb, int is_image)
{
    const char *device = client->reader.header.device;
    int output = sono_serve_masks_output(&sink->masks, device);
    if (!device[0])
        output = is_image ? SONO_SERVE_OUTPUT_MASK : SONO_SERVE_OUTPUT_OUTLINE;
    if (output < 0 || sono_serve_output_is_image((sono_serve_output)output) != is_image)
        return refuse(sink, client, SONO_IGTL_CODE_NOT_FOUND, "NO_SUCH_DEVICE",
                      "no device of that name and type is sent here");
    const int is_map = output >= SONO_SERVE_OUTPUT_EDGE && output <= SONO_SERVE_OUTPUT_OUTSIDE;
    if (is_map && !sink->config.sink_maps && verb != SONO_IGTL_STOP)
        return refuse(sink, client, SONO_IGTL_CODE_DISABLED, "NOT_MADE",
                      "maps are not made here: set sink.maps in the configuration");
    if (output == SONO_SERVE_OUTPUT_SURFACE && sink->config.engine_surface != SONO_SERVE_SURFACE_ON &&
        verb != SONO_IGTL_STOP)
        return refuse(sink, client, SONO_IGTL_CODE_DISABLED, "NOT_MADE",
                      "no surface is found here: set engine.surface in the configuration");
    const uint32_t bit = 1u << output;
    if (verb == SONO_IGTL_GET) {
        client->once |= bit;
    } else {
        client->asked = verb == SONO_IGTL_START ? client->asked | bit : client->asked & ~bit;
        client->stopped = verb == SONO_IGTL_STOP ? client->stopped | bit : client->stopped & ~bit;
    }
    return 0;
}

static int answer_text(sono_serve_sink *sink, sono_serve_client *client)
{
    if (sink->listener.request(sink->listener.user, SONO_SERVE_REQUEST_STATUS, 0, sink->json,
                               sizeof sink->json))
        return refuse(sink, client, SONO_IGTL_CODE_NOT_READY, "NOT_READY", "there is no text yet");
    return sono_serve_sink_send(sink, client, SONO_SERVE_QUEUE_ANSWER,
                                sono_serve_note_text(sink, client->version, sink->json));
}

static int answer_get(sono_serve_sink *sink, sono_serve_client *client, const char *what)
{
    const char *name = sink->config.sink_status_name;
    if (strcmp(what, "STRING") == 0)
        return answer_text(sink, client);
    if (strcmp(what, "STATUS") == 0)
        return sono_serve_sink_send(sink, client, SONO_SERVE_QUEUE_ANSWER,
                                    sono_serve_note_status(sink, client->version, name, sink->status.code,
                                                           sink->status.name, sink->status.text));
    if (strcmp(what, "CAPABILITY") == 0)
        return sono_serve_sink_send(sink, client, SONO_SERVE_QUEUE_ANSWER,
                                    sono_serve_note_capability(sink, client->version, name));
    if (strcmp(what, "LBMETA") == 0)
        return sono_serve_sink_send(
            sink, client, SONO_SERVE_QUEUE_ANSWER,
            sono_serve_note_labels(sink, client->version, sink->masks.names[SONO_SERVE_OUTPUT_MASK]));
    return refuse(sink, client, SONO_IGTL_CODE_UNKNOWN_INSTRUCTION, "UNKNOWN_QUERY",
                  "such a query is not answered here: GET_CAPABIL lists those that are");
}

static int answer_query(sono_serve_sink *sink, sono_serve_client *client)
{
    char what[SONO_IGTL_TYPE_CHARS + 1];
    const sono_igtl_verb verb = sono_igtl_query_verb(client->reader.header.type, what);
    if (verb == SONO_IGTL_NO_QUERY || verb == SONO_IGTL_ANSWER)
        return 0; /* data, which nobody asked for */
    if (strcmp(what, "IMAGE") == 0 || strcmp(what, "POLYDATA") == 0)
        return query_output(sink, client, verb, what[0] == 'I');
    return answer_get(sink, client, verb == SONO_IGTL_GET ? what : "");
}

/* ---- commands -------------------------------------------------------------------------------------------
 */

/* Text for one line of a log: without blanks, quotes and what does not print. */
static void escape(char *out, size_t n_bytes, const char *text)
{
    size_t n = 0;
    for (; *text && n + 4 < n_bytes; text++) {
        const unsigned char letter = (unsigned char)*text;
        if (letter > 0x20 && letter < 0x7f && letter != '"' && letter != '%' && letter != '=')
            out[n++] = (char)letter;
        else
            n += (size_t)snprintf(out + n, n_bytes - n, "%%%02X", letter);
    }
    out[n] = 0;
}

static int is_peer(const sono_serve_sink *sink, const struct in6_addr *host)
{
    const char *at = sink->config.control_peers;
    while (*at) {
        const size_t n = strcspn(at, ", ");
        char text[INET6_ADDRSTRLEN];
        struct in6_addr peer = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
        if (n > 0 && n < sizeof text) {
            memcpy(text, at, n);
            text[n] = 0;
            if ((inet_pton(AF_INET, text, peer.s6_addr + 12) == 1 || inet_pton(AF_INET6, text, &peer) == 1) &&
                memcmp(&peer, host, sizeof peer) == 0)
                return 1;
        }
        at += n + strspn(at + n, ", ");
    }
    return 0;
}

/* The value of an attribute of <Command .../>, where it begins and how long it is; NULL = it is not there. */
static const char *find_attribute(const char *text, const char *name, size_t *n_bytes)
{
    char key[32];
    const int n_key = snprintf(key, sizeof key, " %s=\"", name);
    const char *at = text + strspn(text, " \t\r\n");
    at = *at == '<' ? strstr(at, key) : NULL;
    const char *end = at ? strchr(at + n_key, '"') : NULL;
    if (!end)
        return NULL;
    *n_bytes = (size_t)(end - at) - (size_t)n_key;
    return at + n_key;
}

/* The value: the whole text without blanks around it, or an attribute. 0, or -1: it is not there, or too
 * long.
 */
static int take_value(const char *text, const char *name, char *out, size_t n_out)
{
    const char *from = text + strspn(text, " \t\r\n");
    size_t n_bytes = strcspn(from, " \t\r\n");
    if (*from == '<')
        from = find_attribute(text, name, &n_bytes);
    else if (from[n_bytes + strspn(from + n_bytes, " \t\r\n")])
        return -1;
    if (!from || n_bytes >= n_out)
        return -1;
    memcpy(out, from, n_bytes);
    out[n_bytes] = 0;
    return 0;
}

/* "0.4" or <Command threshold="0.4"/>. 0, or -1. */
static int parse_threshold(const char *text, double *out)
{
    char number[64], *end;
    if (take_value(text, "threshold", number, sizeof number))
        return -1;
    const double value = strtod(number, &end);
    if (end == number || *end || !(value >= 0 && value <= 1))
        return -1;
    *out = value;
    return 0;
}

/* "on", "off" or <Command record="on"/>. 0, or -1. */
static int parse_record(const char *text, double *out)
{
    char word[8];
    if (take_value(text, "record", word, sizeof word) ||
        (strcmp(word, "on") != 0 && strcmp(word, "off") != 0))
        return -1;
    *out = word[1] == 'n';
    return 0;
}

/* Whoever changes something knows the token, where there is one. Wrong ones are counted by address. */
static int knows_token(sono_serve_sink *sink, const sono_serve_client *client, const char *text)
{
    char token[SONO_WEB_TOKEN_BYTES] = "", peer[INET6_ADDRSTRLEN];
    size_t n_bytes = 0;
    const char *from = find_attribute(text, "token", &n_bytes);
    const int64_t now_ns = sono_serve_now_ns();
    if (!inet_ntop(AF_INET6, &client->host, peer, sizeof peer) ||
        !sono_web_tries_may(&sink->tries, peer, now_ns))
        return 0;
    if (from && n_bytes < sizeof token)
        memcpy(token, from, n_bytes);
    const int is_right = sono_web_token_equal(token, sink->token);
    if (!is_right)
        sono_web_tries_count(&sink->tries, peer, now_ns);
    return is_right;
}

/* No log keeps it. */
static void hide_token(char *text)
{
    size_t n_bytes = 0;
    const char *at = find_attribute(text, "token", &n_bytes);
    if (at)
        memset(text + (at - text), '*', n_bytes);
}

/* What is asked for is permitted, and done. 0, or -1: `why` says what is in the way. */
static int change(sono_serve_sink *sink, sono_serve_client *client, sono_serve_request request,
                  const char *text, char *why, size_t n_bytes)
{
    double value = 0;
    if (!sink->config.control_commands) {
        snprintf(why, n_bytes, "commands are switched off here: see control.commands");
    } else if (!is_peer(sink, &client->host)) {
        snprintf(why, n_bytes, "this address may not send commands: see control.peers");
    } else if (sink->token[0] && !knows_token(sink, client, text)) {
        snprintf(why, n_bytes,
                 "the token is needed, as <Command token=\"...\"/>, or there were too many wrong ones: see "
                 "control.token_file");
    } else if (request == SONO_SERVE_REQUEST_THRESHOLD && parse_threshold(text, &value)) {
        snprintf(why, n_bytes, "a threshold is a number from 0 to 1, or <Command threshold=\"0.4\"/>");
    } else if (request == SONO_SERVE_REQUEST_RECORD && parse_record(text, &value)) {
        snprintf(why, n_bytes, "on or off is expected, or <Command record=\"on\"/>");
    } else {
        why[0] = 0;
        if (sink->listener.request(sink->listener.user, request, value, why, n_bytes) == 0)
            return 0;
    }
    return -1;
}

static void audit(const sono_serve_sink *sink, const sono_serve_client *client,
                  const sono_igtl_command *command, const char *text, const char *refusal)
{
    char line[512], name[100], value[100];
    escape(name, sizeof name, command->name);
    escape(value, sizeof value, text);
    snprintf(line, sizeof line, "peer=%s command=%s value=\"%s\" result=%s%s%s%s", client->address, name,
             value, refusal ? "refused" : "granted", refusal ? " reason=\"" : "", refusal ? refusal : "",
             refusal ? "\"" : "");
    sink->listener.log(sink->listener.user, "audit", line);
}

static int answer(sono_serve_sink *sink, sono_serve_client *client, const sono_igtl_command *command,
                  int is_done, const char *text)
{
    return sono_serve_sink_send(
        sink, client, SONO_SERVE_QUEUE_ANSWER,
        sono_serve_note_answer(sink, client->version, client->reader.header.device, command, is_done, text));
}

static int do_command(sono_serve_sink *sink, sono_serve_client *client, const sono_igtl_command *command)
{
    static const char *const names[] = {"status", "start", "stop", "threshold", "snapshot", "record"};
    int which = 0;
    while (which < N_COMMANDS && strcasecmp(command->name, names[which]) != 0)
        which++;
    if (which == 0) {
        const int failed = sink->listener.request(sink->listener.user, SONO_SERVE_REQUEST_STATUS, 0,
                                                  sink->json, sizeof sink->json);
        return answer(sink, client, command, !failed, failed ? "there is no text yet" : sink->json);
    }
    char text[1024] = "", why[256];
    const size_t n_bytes = command->n_bytes < sizeof text ? command->n_bytes : sizeof text - 1;
    if (n_bytes > 0)
        memcpy(text, command->text, n_bytes);
    int failed = -1;
    if (which < N_COMMANDS)
        failed = change(sink, client, (sono_serve_request)(SONO_SERVE_REQUEST_STATUS + which), text, why,
                        sizeof why);
    else
        snprintf(why, sizeof why,
                 "no such command: status, start, stop, threshold, snapshot and record are known");
    hide_token(text);
    audit(sink, client, command, text, failed ? why : NULL);
    if (client->watch.fd < 0)
        return -1;
    return answer(sink, client, command, !failed, failed ? why : "OK");
}

/* ---- messages -------------------------------------------------------------------------------------------
 */

int sono_serve_sink_heard(sono_serve_sink *sink, sono_serve_client *client, sono_igtl_read news)
{
    const sono_igtl_reader *reader = &client->reader;
    if (news == SONO_IGTL_READ_BAD_CRC ||
        (news == SONO_IGTL_READ_REFUSED && reader->fault.status == SONO_IGTL_CRC))
        return refuse(sink, client, SONO_IGTL_CODE_CHECKSUM, "BAD_CHECKSUM",
                      "a message came damaged and was passed over");
    if (news == SONO_IGTL_READ_REFUSED)
        return refuse(sink, client, SONO_IGTL_CODE_UNKNOWN_INSTRUCTION, "MALFORMED", reader->fault.reason);
    if (reader->header.version >= 2)
        client->version = 2;
    if (strcmp(reader->header.type, "COMMAND") != 0)
        return answer_query(sink, client);
    sono_igtl_command command;
    sono_igtl_fault fault;
    if (sono_igtl_command_decode(reader->body.content, reader->body.content_bytes, &command, &fault) !=
        SONO_IGTL_OK)
        return refuse(sink, client, SONO_IGTL_CODE_UNKNOWN_INSTRUCTION, "MALFORMED", fault.reason);
    return do_command(sink, client, &command);
}
