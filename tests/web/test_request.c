// SPDX-License-Identifier: Apache-2.0
/* What stands in requests, read strictly: hosts, origins, queries, cookies, bodies, frames of WebSockets. */
#include "web/body.h"
#include "web/frame_wire.h"
#include "web/request.h"
#include "test.h"

#include <string.h>

static void hosts(void **state)
{
    static const struct {
        const char *host, *name; /* NULL: it is none */
    } cases[] = {
        {"localhost", "localhost"},
        {"LocalHost:8080", "localhost"},
        {"127.0.0.1:1", "127.0.0.1"},
        {"[::1]", "::1"},
        {"[::1]:8080", "::1"},
        {"a.b-c_d:65535", "a.b-c_d"},
        {"", NULL},
        {":80", NULL},
        {"a:", NULL},
        {"a:65536", NULL},
        {"a:8080x", NULL},
        {"a b", NULL},
        {"a@b", NULL},
        {"[::1", NULL},
        {"[localhost]", NULL},
        {"[::1]x", NULL},
        {"a/b", NULL},
        {NULL, NULL},
    };
    char name[SONO_WEB_NAME_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        assert_int_equal(sono_web_host_name(cases[i].host, name), cases[i].name ? 0 : -1);
        if (cases[i].name) {
            assert_string_equal(name, cases[i].name);
        }
    }
    assert_true(sono_web_name_is_loopback("127.9.9.9") && sono_web_name_is_loopback("::1"));
    assert_false(sono_web_name_is_loopback("127.0.0.1.example") || sono_web_name_is_loopback("10.0.0.1"));
    assert_true(sono_web_name_is_listed("b", " a, B ,c"));
    assert_false(sono_web_name_is_listed("", "a,,b") || sono_web_name_is_listed("a", "ab,ba"));
}

static void origins(void **state)
{
    static const struct {
        const char *origin, *host;
        int is_ours;
    } cases[] = {
        {"http://localhost:8080", "localhost:8080", 1},
        {"HTTP://LOCALHOST:8080", "localhost:8080", 1},
        {"https://sono.example", "sono.example", 1},
        {"https://sono.example:443", "sono.example", 1},
        {"http://sono.example", "sono.example:80", 1},
        {"http://sono.example:443", "sono.example", 0},
        {"http://localhost:8081", "localhost:8080", 0},
        {"http://localhost", "localhost:8080", 0},
        {"http://localhost:8080.evil.example", "localhost:8080", 0},
        {"http://localhost:8080/", "localhost:8080", 0},
        {"null", "localhost", 0},
        {"", "", 0},
        {"http://", "", 0},
        {"file://localhost", "localhost", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        assert_int_equal(sono_web_origin_is_ours(cases[i].origin, cases[i].host), cases[i].is_ours);
    }
}

static void queries(void **state)
{
    char value[8];
    (void)state;
    assert_int_equal(sono_web_query_get("a=1&b=x%20y+z", "b", value, sizeof value), 0);
    assert_string_equal(value, "x y z");
    assert_int_equal(sono_web_query_get(NULL, "a", value, sizeof value), 1);
    assert_int_equal(sono_web_query_get("ab=1", "a", value, sizeof value), 1);
    assert_int_equal(sono_web_query_get("a", "a", value, sizeof value), 0);
    assert_string_equal(value, "");
    for (const char *const *bad =
             (const char *const[]){"a=1&a=2", "a=%", "a=%2", "a=%zz", "a=%00", "a=12345678", NULL};
         *bad; ++bad) {
        assert_int_equal(sono_web_query_get(*bad, "a", value, sizeof value), -1);
    }
    assert_true(sono_web_query_is_known("a=1&b", "b,a") && sono_web_query_is_known("", ""));
    assert_false(sono_web_query_is_known("a=1&c=2", "a,b"));
}

static void headers(void **state)
{
    char value[8];
    (void)state;
    assert_int_equal(sono_web_cookie_get("x=1; sid=abc; y=2", "sid", value, sizeof value), 0);
    assert_string_equal(value, "abc");
    assert_int_equal(sono_web_cookie_get("xsid=abc", "sid", value, sizeof value), 1);
    assert_int_equal(sono_web_cookie_get("sid=12345678", "sid", value, sizeof value), -1);
    assert_string_equal(sono_web_bearer("bearer  abc"), "abc");
    assert_null(sono_web_bearer("Bearer "));
    assert_null(sono_web_bearer("Basic abc"));
    assert_true(
        sono_web_wants_openmetrics("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3"));
    assert_true(sono_web_wants_openmetrics("text/plain;q=0.5, application/openmetrics-text; q=0.5"));
    assert_false(sono_web_wants_openmetrics("text/plain, application/openmetrics-text;q=0.9"));
    assert_false(sono_web_wants_openmetrics("application/openmetrics-text;q=0"));
    assert_false(sono_web_wants_openmetrics("*/*") || sono_web_wants_openmetrics(NULL));
    assert_true(sono_web_is_type("Application/JSON; charset=utf-8", "application/json"));
    assert_false(sono_web_is_type("application/jsonx", "application/json"));
    assert_true(sono_web_has_word("keep-alive, Upgrade", "upgrade"));
}

static void numbers(void **state)
{
    double number;
    long count;
    (void)state;
    assert_int_equal(sono_web_take_count("600", 1, 600, &count), 0);
    assert_int_equal(count, 600);
    for (const char *const *bad =
             (const char *const[]){"", "0", "601", "-1", "+1", "1 ", "0x1", "9999999999", NULL};
         *bad; ++bad) {
        assert_int_equal(sono_web_take_count(*bad, 1, 600, &count), -1);
    }
    assert_int_equal(sono_web_take_number("2.5e-1", 0, 1, &number), 0);
    assert_true(number == 0.25);
    for (const char *const *bad = (const char *const[]){"", "nan", "inf", "0x1p-1", " 0.5", "0.5 ", ".5",
                                                        "1.1", "-0.1", "1e999", "0.5.5", "+0.5", NULL};
         *bad; ++bad) {
        assert_int_equal(sono_web_take_number(*bad, 0, 1, &number), -1);
    }
}

static void bodies(void **state)
{
    sono_web_value value = {.key = "v"};
    char why[160];
    (void)state;
#define READ(text) sono_web_body_read(text, sizeof text - 1, &value, why, sizeof why)
    assert_int_equal(READ(" {\"v\" : 0.25 }\n"), 0);
    assert_true(value.kind == SONO_WEB_NUMBER && value.number == 0.25);
    assert_int_equal(READ("{\"v\":true}"), 0);
    assert_true(value.kind == SONO_WEB_BOOLEAN && value.number == 1);
    assert_int_equal(READ("{\"v\":false}"), 0);
    assert_true(value.kind == SONO_WEB_BOOLEAN && value.number == 0);
    assert_int_equal(READ("{\"v\":\"a\\n\\u00e9\\\"\"}"), 0);
    assert_string_equal(value.text, "a\n\xc3\xa9\"");
    assert_int_equal(READ("{\"\\u0076\":1}"), 0);
    assert_int_equal(value.kind, SONO_WEB_NUMBER);
    assert_true(READ("") == 0 && value.kind == SONO_WEB_NOTHING);
    assert_true(READ(" { } ") == 0 && value.kind == SONO_WEB_NOTHING);
    assert_true(READ("{\"w\":1}") && strstr(why, "only \"v\""));
    assert_true(READ("{\"v\":1,\"v\":2}") && READ("{\"v\":null}") && READ("{\"v\":[1]}") && READ("[1]") &&
                READ("1"));
    assert_true(READ("{\"v\":01}") && READ("{\"v\":1}x") && READ("{\"v\":1") && READ("{v:1}") &&
                READ("{\"v\":nan}"));
    assert_true(READ("{\"v\":\"\\ud800\"}") && READ("{\"v\":\"\\u0000\"}") && READ("{\"v\":\"a\nb\"}") &&
                READ("{\"v\":\"\\x\"}"));
    assert_true(READ("{\"v\":1}\0"));
#undef READ
}

/* ---- WebSockets ---- */

static void handshakes(void **state)
{
    char accept[SONO_WEB_ACCEPT_BYTES];
    (void)state;
    sono_web_accept("dGhlIHNhbXBsZSBub25jZQ==", accept); /* the example of RFC 6455, section 1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_true(sono_web_key_is_good("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_false(sono_web_key_is_good("dGhlIHNhbXBsZSBub25jZQ=") || sono_web_key_is_good(NULL));
    assert_false(sono_web_key_is_good("dGhlIHNhbXBsZSBub25jZ$=="));
}

static void heads(void **state)
{
    uint8_t head[SONO_WEB_HEAD_BYTES];
    (void)state;
    assert_int_equal(sono_web_frame_head(SONO_WEB_TEXT_FRAME, 125, head), 2);
    assert_memory_equal(head, "\x81\x7d", 2);
    assert_int_equal(sono_web_frame_head(SONO_WEB_BINARY_FRAME, 126, head), 4);
    assert_memory_equal(head, "\x82\x7e\x00\x7e", 4);
    assert_int_equal(sono_web_frame_head(SONO_WEB_BINARY_FRAME, 65536, head), 10);
    assert_memory_equal(head, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
}

/* However the bytes are cut, the same frames come out. */
static void frames_in_pieces(void **state)
{
    static const uint8_t bytes[] = {0x89, 0x82, 1,    2, 3, 4, 'a' ^ 1, 'b' ^ 2, 0x81, 0x80, 9,   9,  9,
                                    9,    0x82, 0xfe, 0, 3, 0, 0,       0,       0,    'x',  'y', 'z'};
    (void)state;
    for (size_t piece = 1; piece <= sizeof bytes; ++piece) {
        sono_web_reader reader = {.n_head = 0};
        int n_frames = 0;
        for (size_t from = 0; from < sizeof bytes; from += piece) {
            const size_t n = sizeof bytes - from < piece ? sizeof bytes - from : piece;
            for (size_t at = 0, n_used; at < n; at += n_used) {
                const sono_web_read news = sono_web_reader_feed(&reader, bytes + from + at, n - at, &n_used);
                assert_int_not_equal(news, SONO_WEB_READ_BROKEN);
                if (news == SONO_WEB_READ_FRAME) {
                    static const char *const payloads[] = {"ab", "", "xyz"};
                    static const int opcodes[] = {SONO_WEB_PING, SONO_WEB_TEXT_FRAME, SONO_WEB_BINARY_FRAME};
                    assert_int_equal(reader.opcode, opcodes[n_frames]);
                    assert_int_equal(reader.n_payload, strlen(payloads[n_frames]));
                    assert_memory_equal(reader.payload, payloads[n_frames], reader.n_payload);
                    n_frames++;
                }
            }
        }
        assert_int_equal(n_frames, 3);
    }
}

static void broken_frames(void **state)
{
    static const struct {
        uint8_t bytes[14];
        size_t n_bytes;
    } cases[] = {
        {{0x81, 0x01}, 2},                                                              /* not masked */
        {{0xc1, 0x81}, 2},                                                              /* an extension */
        {{0x83, 0x81}, 2},                                                              /* no such opcode */
        {{0x09, 0x81}, 2},                                                              /* a ping in pieces */
        {{0x89, 0xfe}, 2},                                                              /* a long ping */
        {{0x81, 0xfe, 0, 126, 0, 0, 0, 0}, 8},                                          /* too long */
        {{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 14}, /* far too long */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        sono_web_reader reader = {.n_head = 0};
        size_t n_used;
        assert_int_equal(sono_web_reader_feed(&reader, cases[i].bytes, cases[i].n_bytes, &n_used),
                         SONO_WEB_READ_BROKEN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),         cmocka_unit_test(origins), cmocka_unit_test(queries),
        cmocka_unit_test(headers),       cmocka_unit_test(numbers), cmocka_unit_test(bodies),
        cmocka_unit_test(handshakes),    cmocka_unit_test(heads),   cmocka_unit_test(frames_in_pieces),
        cmocka_unit_test(broken_frames),
    };
    return sono_test_run("web/request", tests, sizeof(tests) / sizeof(tests[0]));
}
