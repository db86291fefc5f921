// SPDX-License-Identifier: Apache-2.0
#include "web/server.h"
#include "web/request.h"

#include "error/error.h"

#include <civetweb.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SPARE_THREADS    16     /* for requests while every stream is taken */
#define TIMEOUT_MS       "5000" /* for a request's head, and for each piece of an answer */
#define MAX_METHOD_BYTES 33     /* with its end */
#define LOG_NS           INT64_C(1000000000)

/* ---- answers --------------------------------------------------------------------------------------------
 */

static const char *phrase(int status)
{
    const struct {
        int status;
        const char *phrase;
    } list[] = {{200, "OK"},
                {204, "No Content"},
                {304, "Not Modified"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {409, "Conflict"},
                {413, "Content Too Large"},
                {415, "Unsupported Media Type"},
                {426, "Upgrade Required"},
                {429, "Too Many Requests"},
                {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (list[i].status == status) {
            return list[i].phrase;
        }
    }
    return "Error";
}

void sono_web_answer_bytes(const sono_web_call *call, int status, const char *type, const char *extra,
                           const void *bytes, size_t n_bytes)
{
    const int has_body = status != 204 && status != 304;
    char kind[128] = "", length[48] = "";
    if (has_body) {
        snprintf(kind, sizeof kind, "Content-Type: %s\r\n", type);
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", n_bytes);
    }
    const char *cache = strstr(extra, "Cache-Control:") ? "" : "Cache-Control: no-store\r\n";
    const int n = mg_printf(call->connection,
                            "HTTP/1.1 %d %s\r\n%s%s%s%s"
                            "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'; base-uri "
                            "'none'; form-action 'self'; object-src 'none'\r\n"
                            "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
                            "Cross-Origin-Resource-Policy: same-origin\r\nX-Frame-Options: DENY\r\n"
                            "Connection: close\r\n\r\n",
                            status, phrase(status), kind, length, cache, extra);
    if (n > 0 && has_body && !call->is_head && n_bytes) {
        mg_write(call->connection, bytes, n_bytes);
    }
}

void sono_web_answer_json(const sono_web_call *call, int status, sono_web_text *text)
{
    sono_web_text_put(text, "\n", 1);
    if (text->is_failed) {
        sono_web_answer_error(call, 503, "memory", "there is no memory for the answer");
    } else {
        sono_web_answer_bytes(call, status, "application/json", "", text->bytes, text->n_bytes);
    }
    sono_web_text_free(text);
}

void sono_web_answer_error(const sono_web_call *call, int status, const char *code, const char *words)
{
    sono_web_text text = {0};
    const char *extra = status == 429   ? "Retry-After: 2\r\n"
                        : status == 503 ? "Retry-After: 1\r\n"
                        : status == 401 ? "WWW-Authenticate: Bearer realm=\"sonoseg\"\r\n"
                        : status == 405
                            ? (strncmp(call->path, "/api/log", 8) && strncmp(call->path, "/api/control", 12)
                                   ? "Allow: GET, HEAD\r\n"
                                   : "Allow: POST\r\n")
                            : "";
    sono_web_json_open(&text, NULL, '{');
    sono_web_json_integer(&text, "schema", 1);
    sono_web_json_open(&text, "error", '{');
    sono_web_json_string(&text, "code", code);
    sono_web_json_string(&text, "text", words);
    sono_web_json_close(&text, '}', 1);
    sono_web_json_close(&text, '}', 0);
    if (!text.is_failed) {
        sono_web_answer_bytes(call, status, "application/json", extra, text.bytes, text.n_bytes);
    }
    sono_web_text_free(&text);
}

const char *sono_web_header(const sono_web_call *call, const char *name)
{
    return mg_get_header(call->connection, name);
}

/* Text for one line of a log. */
static void escape(const char *text, char *out, size_t n_bytes)
{
    size_t n = 0;
    for (; text && *text && n + 1 < n_bytes; text++) {
        const unsigned char c = (unsigned char)*text;
        out[n++] = (char)(c <= 0x20 || c >= 0x7f || c == '"' || c == '=' ? '_' : c);
    }
    out[n] = 0;
}

void sono_web_log_refused(sono_web *web, const sono_web_call *call, const char *why)
{
    char line[400], path[80], host[64], origin[64], peer[48];
    const int64_t now_ns = sono_web_now_ns();
    int64_t last_ns = atomic_load(&web->logged_ns);
    atomic_fetch_add(&web->n_refused, 1);
    if (now_ns - last_ns < LOG_NS || !atomic_compare_exchange_strong(&web->logged_ns, &last_ns, now_ns)) {
        atomic_fetch_add(&web->n_unlogged, 1);
        return;
    }
    escape(call->path, path, sizeof path);
    escape(call->claims.host, host, sizeof host);
    escape(call->claims.origin, origin, sizeof origin);
    escape(call->claims.peer, peer, sizeof peer);
    snprintf(line, sizeof line, "peer=%s reason=%s path=\"%s\" host=\"%s\" origin=\"%s\" more=%d", peer, why,
             path, host, origin, atomic_exchange(&web->n_unlogged, 0));
    web->setup.log(web->setup.user, "web_refused", line);
}

/* ---- requests -------------------------------------------------------------------------------------------
 */

static void make_call(struct mg_connection *connection, const struct mg_request_info *info,
                      sono_web_call *out)
{
    const char *uri = info->request_uri ? info->request_uri : "";
    *out = (sono_web_call){.web = info->user_data,
                           .connection = connection,
                           .method = info->request_method ? info->request_method : "",
                           .path = out->path_text,
                           .query = info->query_string};
    /* As it was sent: names here have nothing that is escaped, so nothing escaped is one of them. */
    const size_t n_path = strcspn(uri, "?#");
    snprintf(out->path_text, sizeof out->path_text, "%.*s", n_path < sizeof out->path_text ? (int)n_path : 0,
             uri);
    out->is_head = !strcmp(out->method, "HEAD");
    out->claims = (sono_web_claims){
        .host = mg_get_header(connection, "Host"),
        .origin = mg_get_header(connection, "Origin"),
        .authorization = mg_get_header(connection, "Authorization"),
        .cookie = mg_get_header(connection, "Cookie"),
        .peer = info->remote_addr,
        .was_forwarded =
            mg_get_header(connection, "X-Forwarded-For") || mg_get_header(connection, "Forwarded"),
    };
}

/* A second Host, Origin or Content-Length might be read otherwise by a proxy. */
static int is_ambiguous(const struct mg_request_info *info)
{
    static const char *const once[] = {"Host", "Origin", "Authorization", "Content-Length"};
    for (size_t k = 0; k < sizeof once / sizeof *once; k++) {
        int n = 0;
        for (int i = 0; i < info->num_headers; i++) {
            n += !strcasecmp(info->http_headers[i].name, once[k]);
        }
        if (n > 1) {
            return 1;
        }
    }
    return 0;
}

static void refuse(const sono_web_call *call, sono_web_leave leave)
{
    static const struct {
        int status;
        const char *code, *text;
    } answers[] = {
        [SONO_WEB_BAD_HOST] = {403, "host", "this Host is not served here: see web.allowed_hosts"},
        [SONO_WEB_BAD_ORIGIN] = {403, "origin", "pages from elsewhere may not read this"},
        [SONO_WEB_NEEDS_TOKEN] = {401, "token",
                                  "a token is needed: Authorization: Bearer, or POST /api/login"},
        [SONO_WEB_CONTROL_OFF] = {403, "control_off", "control is off here: see control.token_file"},
        [SONO_WEB_TOO_OFTEN] = {429, "rate", "too many attempts: wait a moment"},
    };
    sono_web_log_refused(call->web, call, answers[leave].code);
    sono_web_answer_error(call, answers[leave].status, answers[leave].code, answers[leave].text);
}

/* The page itself holds no data, and who has no token yet needs it to type one. */
static int holds_data(const char *path)
{
    const int is_door =
        !strcmp(path, "/api/login") || !strcmp(path, "/api/logout") || !strcmp(path, "/api/session");
    return !is_door && (!strncmp(path, "/api/", 5) || !strncmp(path, "/ws/", 4) || !strcmp(path, "/metrics"));
}

static void route(const sono_web_call *call)
{
    sono_web_guard *guard = &call->web->guard;
    const int64_t now_ns = sono_web_now_ns();
    const int is_post = !strcmp(call->method, "POST");
    sono_web_leave leave = sono_web_guard_address(guard, &call->claims);
    if (leave == SONO_WEB_GRANTED && holds_data(call->path)) {
        leave = sono_web_guard_read(guard, &call->claims, now_ns);
    }
    if (leave != SONO_WEB_GRANTED) {
        refuse(call, leave);
    } else if (sono_web_control(call)) {
        return;
    } else if (is_post || (!call->is_head && strcmp(call->method, "GET") != 0)) {
        sono_web_answer_error(call, 405, "method", "GET reads what is here; what can be changed is POSTed");
    } else if (!sono_web_stream(call) && !sono_web_api(call) && !sono_web_asset(call)) {
        sono_web_answer_error(call, 404, "not_found", "there is nothing of this name");
    }
}

/* Every request ends here: civetweb never looks for files. -1: what was not read of a body is not waited for.
 */
static int on_request(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    sono_web_call call;
    make_call(connection, info, &call);
    if (atomic_fetch_add(&call.web->n_sockets, 1) >= call.web->setup.max_sockets) {
        sono_web_log_refused(call.web, &call, "busy");
        sono_web_answer_error(&call, 503, "busy", "too many connections: see web.max_sockets");
    } else if (is_ambiguous(info)) {
        sono_web_log_refused(call.web, &call, "ambiguous");
        sono_web_answer_error(&call, 400, "ambiguous", "a header that may be there once is there twice");
    } else {
        route(&call);
    }
    atomic_fetch_sub(&call.web->n_sockets, 1);
    return -1;
}

/* 1 = the method is none that is served, of a request line that is well formed; its path goes to the call.
 * civetweb refuses TRACE and what it does not know as it refuses what it cannot read. */
static int is_unknown_method(const struct mg_request_info *info, sono_web_call *call)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
    const char *method = info ? info->request_method : NULL, *uri = info ? info->request_uri : NULL;
    if (!method || !*method || method[strspn(method, letters)] || !uri ||
        (*uri != '/' && strcmp(uri, "*") != 0) || !info->http_version || !strcmp(method, "GET") ||
        !strcmp(method, "HEAD") || !strcmp(method, "POST")) {
        return 0;
    }
    const size_t n_path = strcspn(uri, "?#");
    snprintf(call->path_text, sizeof call->path_text, "%.*s",
             n_path < sizeof call->path_text ? (int)n_path : 0, uri);
    call->path = call->path_text;
    return 1;
}

/* What civetweb refuses by itself: methods that it does not know; heads that are malformed, too long or too
 * late. */
static int on_error(struct mg_connection *connection, int status, const char *text)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    sono_web_call call = {.connection = connection, .method = "GET", .path = ""};
    (void)text;
    call.web = info ? info->user_data : mg_get_user_data(mg_get_context(connection));
    if (info) {
        call.claims.peer = info->remote_addr;
    }
    if (call.web && status == 400 && is_unknown_method(info, &call)) {
        sono_web_log_refused(call.web, &call, "method");
        sono_web_answer_error(&call, 405, "method", "GET reads what is here; what can be changed is POSTed");
    } else if (call.web) {
        sono_web_log_refused(call.web, &call, "malformed");
        sono_web_answer_error(&call, status, "malformed",
                              "the request cannot be read, or is too long or too slow");
    }
    return 0;
}

static int on_log(const struct mg_connection *connection, const char *text)
{
    (void)connection; /* its complaints are about peers; what matters is counted and logged here */
    (void)text;
    return 1;
}

/* ---- made and ended -------------------------------------------------------------------------------------
 */

/* civetweb does not say why it cannot listen. 0, or an errno. */
static int try_listening(const char *listen)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[256];
    const char *colon = strrchr(listen, ':');
    const int is_bracketed = *listen == '[', one = 1;
    const size_t n = colon ? (size_t)(colon - listen) - 2 * (size_t)is_bracketed : 0;
    snprintf(host, sizeof host, "%.*s", n < sizeof host ? (int)n : 0, listen + is_bracketed);
    if (!colon || getaddrinfo(host, colon + 1, &hints, &found)) {
        return EADDRNOTAVAIL;
    }
    const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = fd < 0 ? errno : 0;
    if (!code && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
                  bind(fd, found->ai_addr, found->ai_addrlen))) {
        code = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    freeaddrinfo(found);
    return code;
}

static int start(sono_web *web, const char *listen, char *why, size_t n_why)
{
    char threads[16], address[300];
    const struct mg_callbacks callbacks = {
        .begin_request = on_request, .http_error = on_error, .log_message = on_log};
    snprintf(threads, sizeof threads, "%d", web->setup.max_sockets + SPARE_THREADS);
    snprintf(address, sizeof address, "%s", listen);
    /* Names and values in turn. */
    const char *options[] = {"listening_ports",
                             address,
                             "num_threads",
                             threads,
                             "request_timeout_ms",
                             TIMEOUT_MS,
                             "enable_keep_alive",
                             "no",
                             "decode_url",
                             "no",
                             "listen_backlog",
                             "128",
                             "tcp_nodelay",
                             "1",
                             "max_request_size",
                             "8192",
                             "linger_timeout_ms",
                             "500",
                             NULL};
    struct mg_init_data init = {.callbacks = &callbacks, .user_data = web, .configuration_options = options};
    struct mg_error_data fault = {.text = why, .text_buffer_size = n_why};
    web->server = mg_start2(&init, &fault);
    return web->server ? 0 : -1;
}

sono_status sono_web_server_start(sono_web *web, const char *listen, sono_error *error)
{
    char why[256] = "";
    struct mg_server_port ports[4];
    const int code = try_listening(listen);
    if (code) {
        return sono_live_fail(error, SONO_STATUS_IO, code, "web", "web.listen %s", listen);
    }
    mg_init_library(0);
    if (start(web, listen, why, sizeof why)) {
        mg_exit_library();
        return sono_live_fail(error, SONO_STATUS_IO, 0, "web", "web.listen %s: %s", listen,
                              *why ? why : "it cannot be listened on (is it in use?)");
    }
    web->port = mg_get_server_ports(web->server, 4, ports) > 0 ? ports[0].port : 0;
    return SONO_STATUS_OK;
}

void sono_web_server_stop(sono_web *web)
{
    if (web->server) {
        mg_stop(web->server);
        web->server = NULL;
        mg_exit_library();
    }
}
