// SPDX-License-Identifier: Apache-2.0
/* Bytes as what strangers send the web service: the first says what they stand for. Readers keep within their
 * memory and say the same of the same; a WebSocket's frames do not depend on how they are cut. */
#include "web/body.h"
#include "web/frame_wire.h"
#include "web/request.h"
#include "web/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes);

static void check(int is_true)
{
    if (!is_true)
        abort();
}

static void read_headers(const char *text)
{
    char name[SONO_WEB_NAME_BYTES], value[64], id[65];
    double number;
    long count;
    if (sono_web_host_name(text, name) == 0) {
        check(strlen(name) > 0 && strlen(name) <= strlen(text));
        check(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_:ABCDEF%") > 0);
        sono_web_name_is_loopback(name);
        check(!strchr(name, ','));
    }
    sono_web_name_is_listed("localhost", text);
    check(!sono_web_origin_is_ours(text, "") || strlen(text) > 7);
    if (sono_web_query_get(text, "last_n", value, sizeof value) == 0)
        check(strlen(value) < sizeof value);
    sono_web_query_is_known(text, "last_n,format");
    if (sono_web_cookie_get(text, "sonoseg_session", id, sizeof id) == 0)
        check(strlen(id) < sizeof id && !strchr(id, ';'));
    const char *bearer = sono_web_bearer(text);
    check(!bearer || (bearer > text && *bearer));
    sono_web_wants_openmetrics(text);
    sono_web_is_type(text, "application/json");
    sono_web_has_word(text, "upgrade");
    if (sono_web_take_number(text, 0, 1, &number) == 0)
        check(number >= 0 && number <= 1);
    if (sono_web_take_count(text, 1, 600, &count) == 0)
        check(count >= 1 && count <= 600);
    if (sono_web_key_is_good(text)) {
        char accept[SONO_WEB_ACCEPT_BYTES];
        sono_web_accept(text, accept);
        check(strlen(accept) == SONO_WEB_ACCEPT_BYTES - 1);
    }
}

static void read_body(const char *bytes, size_t n_bytes)
{
    sono_web_value value = {.key = "token"};
    char why[160] = "";
    if (sono_web_body_read(bytes, n_bytes, &value, why, sizeof why))
        check(strlen(why) > 0 && strlen(why) < sizeof why);
    else
        check(value.kind <= SONO_WEB_BOOLEAN && strlen(value.text) < sizeof value.text);
}

/* A hash of the frames that come out when the bytes come in pieces. */
static uint64_t frames_of(const uint8_t *bytes, size_t n_bytes, size_t piece)
{
    sono_web_reader reader = {.n_head = 0};
    uint64_t hash = 14695981039346656037u;
    for (size_t from = 0; from < n_bytes; from += piece) {
        const size_t n = n_bytes - from < piece ? n_bytes - from : piece;
        for (size_t at = 0, n_used; at < n; at += n_used) {
            const sono_web_read news = sono_web_reader_feed(&reader, bytes + from + at, n - at, &n_used);
            check(n_used > 0 && n_used <= n - at);
            if (news == SONO_WEB_READ_BROKEN)
                return hash * 31 + 1;
            if (news == SONO_WEB_READ_FRAME) {
                check(reader.n_payload <= SONO_WEB_CONTROL_BYTES);
                hash = (hash ^ (uint64_t)reader.opcode) * 1099511628211u;
                for (uint64_t i = 0; i < reader.n_payload; i++)
                    hash = (hash ^ reader.payload[i]) * 1099511628211u;
            }
        }
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    if (!n_bytes)
        return 0;
    const uint8_t kind = bytes[0];
    char *text = malloc(n_bytes);
    check(text != NULL);
    memcpy(text, bytes + 1, n_bytes - 1);
    text[n_bytes - 1] = 0;
    if (kind == 'h') {
        read_headers(text);
    } else if (kind == 'b') {
        read_body(text, n_bytes - 1);
    } else if (kind == 'w') {
        const uint64_t whole = frames_of(bytes + 1, n_bytes - 1, n_bytes);
        check(whole == frames_of(bytes + 1, n_bytes - 1, 1) && whole == frames_of(bytes + 1, n_bytes - 1, 3));
    } else {
        sono_web_text json = {0};
        sono_web_json_string(&json, NULL, text);
        check(!json.is_failed && json.bytes[0] == '"' && json.bytes[json.n_bytes - 1] == ',');
        sono_web_text_free(&json);
    }
    free(text);
    return 0;
}
