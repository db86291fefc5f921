// SPDX-License-Identifier: Apache-2.0
/* The service's configuration: the table, the file and its errors, flags, checks, reload, the file that is
 * written. */
#include "serve/config.h"
#include "serve/nearest.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sono_status parse(sono_serve_config *config, const char *text, sono_error *error)
{
    sono_serve_config_init(config);
    *error = (sono_error){0};
    return sono_serve_config_parse(config, "s.yaml", text, strlen(text), error);
}

/* The text is refused with exactly that message. */
static void expect_refused(sono_status status, const char *message, const char *text)
{
    sono_error error;
    sono_serve_config config, before;
    sono_serve_config_init(&before);
    assert_status(status, parse(&config, text, &error), NULL);
    assert_string_equal(error.text, message);
    assert_int_equal(error.status, status);
    assert_memory_equal(&config, &before, sizeof config);
}

#define WRONG SONO_STATUS_INVALID_ARGUMENT
#define NONE  SONO_STATUS_FORMAT

static void test_defaults(void **state)
{
    (void)state;
    sono_error error;
    sono_serve_config config;
    sono_serve_config_init(&config);
    assert_string_equal(config.source_address, "127.0.0.1:18944");
    assert_string_equal(config.sink_listen, "127.0.0.1:18945");
    assert_int_equal(config.mailbox_max_age_ms, -1);
    assert_true(config.engine_threshold == 0.30);
    assert_int_equal(config.sink_outline, 1);
    assert_int_equal(config.control_commands, 0);
    assert_ok(sono_serve_config_check(&config, &error), &error);
    assert_int_equal(sono_serve_config_warn(&config, error.text, sizeof error.text), 0);
}

/* Each default is within its own range and reads back from its own text. */
static void test_table(void **state)
{
    (void)state;
    sono_serve_config config, other;
    sono_error error;
    sono_serve_config_init(&config);
    other = config;
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++) {
        const sono_serve_key *key = sono_serve_key_at(i);
        char flag[64], allowed[128];
        sono_serve_key_flag(i, flag, sizeof flag);
        assert_null(strchr(flag, '_'));
        assert_int_equal(sono_serve_key_find(flag), i);
        if (sono_serve_key_alias(i))
            assert_int_equal(sono_serve_key_find(sono_serve_key_alias(i)), i);
        assert_ok(sono_serve_config_set(&other, flag, key->value, &error), &error);
        assert_int_equal(other.line[i], SONO_SERVE_FROM_FLAG);
        sono_serve_key_describe(key, allowed, sizeof allowed);
        assert_true(*allowed && strlen(allowed) + 1 < sizeof allowed);
        assert_true(*sono_serve_section_help(key->section));
        assert_null(strchr(key->help, '\n'));
    }
    assert_memory_equal(&config, &other, offsetof(sono_serve_config, line));
    assert_int_equal(sono_serve_key_find("engine"), SONO_SERVE_KEY_engine_kind);
    assert_int_equal(sono_serve_key_find("source-max_rate_hz"), -1);
}

static void test_file(void **state)
{
    (void)state;
    sono_error error;
    sono_serve_config config;
    const char *text = "# all of it\n"
                       "source:\n"
                       "  address: plus.example:18944 # a comment\n"
                       "  device: 'Image Reference'\n"
                       "  checksum: accept\n"
                       "  max_rate_hz: 59.94\n"
                       "\n"
                       "sink: {mask_value: 255, outline: false}\n"
                       "record:\n"
                       "engine:\n"
                       "  threshold: 1e-1\n"
                       "  detector:\n";
    assert_ok(parse(&config, text, &error), &error);
    assert_string_equal(config.source_address, "plus.example:18944");
    assert_string_equal(config.source_device, "Image Reference");
    assert_int_equal(config.source_checksum, 1);
    assert_true(config.source_max_rate_hz == 59.94);
    assert_int_equal(config.sink_mask_value, 255);
    assert_int_equal(config.sink_outline, 0);
    assert_true(config.engine_threshold == 0.1);
    assert_string_equal(config.engine_detector, "");
    assert_string_equal(config.path, "s.yaml");
    assert_int_equal(config.line[SONO_SERVE_KEY_source_max_rate_hz], 6);
    assert_int_equal(config.line[SONO_SERVE_KEY_sink_outline], 8);
    assert_int_equal(config.line[SONO_SERVE_KEY_engine_device], 0);
    assert_ok(parse(&config, "# nothing yet\n", &error), &error);
    assert_ok(parse(&config, "source:\nsink:\n", &error), &error);
}

static void test_unknown(void **state)
{
    (void)state;
    expect_refused(WRONG, "s.yaml:2: unknown key 'adress' in section 'source': did you mean 'address'?",
                   "source:\n  adress: a\n");
    expect_refused(
        WRONG, "s.yaml:3: unknown key 'listen' in section 'source': it belongs to section 'sink' or 'web'",
        "source:\n  address: a\n  listen: b\n");
    expect_refused(WRONG,
                   "s.yaml:4: unknown key 'xyzzy' in section 'engine': 'sonoseg serve --print-config' shows "
                   "all there are",
                   "source:\n  address: a\nengine:\n  xyzzy: {a: b}\n");
    expect_refused(WRONG, "s.yaml:3: unknown section 'sorce': did you mean 'source'?",
                   "sink:\n  mask_value: 1\nsorce:\n  address: a\n");
    expect_refused(WRONG, "s.yaml:1: unknown section 'listen': it belongs to section 'sink' or 'web'",
                   "listen: b\n");
    expect_refused(WRONG, "s.yaml:3: key 'address' is there already",
                   "source:\n  address: a\n  address: b\n");
    expect_refused(WRONG, "s.yaml:3: section 'source' is there already",
                   "source:\n  address: a\nsource:\n  device: b\n");
}

static void test_values(void **state)
{
    (void)state;
    expect_refused(WRONG, "s.yaml:2: engine.threads: '257' is not a whole number within 0..256",
                   "engine:\n  threads: 257\n");
    expect_refused(WRONG, "s.yaml:2: engine.threads: '8x' is not a whole number within 0..256",
                   "engine:\n  threads: 8x\n");
    expect_refused(WRONG, "s.yaml:2: engine.threads: '' is not a whole number within 0..256",
                   "engine:\n  threads:\n");
    expect_refused(WRONG, "s.yaml:2: source.read_ms: '-1' is not a whole number within 0..600000 ms",
                   "source:\n  read_ms: -1\n");
    expect_refused(
        WRONG, "s.yaml:2: source.read_ms: '99999999999999999999' is not a whole number within 0..600000 ms",
        "source:\n  read_ms: 99999999999999999999\n");
    expect_refused(WRONG, "s.yaml:3: engine.threshold: '.nan' is not a number within 0..1",
                   "engine:\n\n  threshold: .nan\n");
    expect_refused(WRONG, "s.yaml:2: engine.threshold: 'nan' is not a number within 0..1",
                   "engine:\n  threshold: nan\n");
    expect_refused(WRONG, "s.yaml:2: source.max_rate_hz: 'inf' is not a number within 0..10000 Hz",
                   "source:\n  max_rate_hz: inf\n");
    expect_refused(WRONG, "s.yaml:2: sink.outline: 'flase' is not one of true or false",
                   "sink:\n  outline: flase\n");
    expect_refused(WRONG,
                   "s.yaml:2: source.order: 'newst' is not one of newest or all: did you mean 'newest'?",
                   "source:\n  order: newst\n");
    expect_refused(WRONG, "s.yaml:2: engine.precision: 'int8' is not one of auto, fp32 or fp16",
                   "engine: {\n precision: int8}\n");
    expect_refused(WRONG, "s.yaml:2: sink.mask_name: byte 2 (0x0a) is not printable text in UTF-8",
                   "sink:\n  mask_name: \"a\\nb\"\n");
}

static void test_kinds(void **state)
{
    (void)state;
    expect_refused(WRONG, "s.yaml:2: key 'address': one value is expected behind it",
                   "source:\n  address: [a, b]\n");
    expect_refused(WRONG, "s.yaml:2: key 'address': one value is expected behind it",
                   "source:\n  address:\n    host: b\n");
    expect_refused(WRONG,
                   "s.yaml:1: section 'source': its keys are expected below, indented by blanks, each as "
                   "'key: value'",
                   "source: 127.0.0.1\n");
    expect_refused(NONE,
                   "s.yaml:2: sections are expected here, 'source:' for instance, with their keys indented "
                   "below",
                   "\n- source\n");
    expect_refused(NONE,
                   "s.yaml:1: sections are expected here, 'source:' for instance, with their keys indented "
                   "below",
                   "Dear Sir or Madam\n");
    expect_refused(NONE, "s.yaml:1: a key is expected here, a plain word", "? [a]\n: b\n");
}

static void test_no_yaml(void **state)
{
    (void)state;
    expect_refused(NONE, "s.yaml:1: the file is empty; 'sonoseg serve --print-config' writes one", "");
    expect_refused(NONE,
                   "s.yaml:2: not YAML: found character that cannot start any token while scanning for the "
                   "next token: indent with blanks, not with tabs",
                   "source:\n\taddress: a\n");
    expect_refused(
        NONE,
        "s.yaml:3: not YAML: found a tab character that violates indentation while scanning a plain "
        "scalar: indent with blanks, not with tabs",
        "source:\n  address: a\n\tdevice: b\n");
    expect_refused(NONE,
                   "s.yaml:2: not YAML: mapping values are not allowed in this context: is the indentation "
                   "right? A text with ': ' in it needs \"quotes\"",
                   "source:\n  address: a: b\n");
    expect_refused(NONE, "s.yaml:2: not YAML: found unexpected end of stream while scanning a quoted scalar",
                   "source:\n  address: \"a\n  device: b\n");
    expect_refused(NONE, "s.yaml:3: control characters are not allowed: the file must be text in UTF-8",
                   "source:\n  address: a\n  device: \x01\n");
    expect_refused(NONE, "s.yaml:2: invalid leading UTF-8 octet: the file must be text in UTF-8",
                   "source:\n  address: \xff\n");
    expect_refused(NONE, "s.yaml:3: an alias (*name) is not allowed: write the value out",
                   "source: &a\n  address: b\nsink: *a\n");
    expect_refused(NONE, "s.yaml:4: a second document begins here: a configuration is one",
                   "---\nsource:\n  address: a\n---\nsink:\n");
    expect_refused(NONE, "s.yaml:1: nested too deeply: there are sections, and keys in them",
                   "source: [[[[[[[[[[[[]]]]]]]]]]]]");
}

static void test_limits(void **state)
{
    (void)state;
    sono_error error;
    sono_serve_config config;
    char text[1200] = "sink:\n  mask_name: ";
    memset(text + strlen(text), 'x', 600);
    expect_refused(WRONG, "s.yaml:2: sink.mask_name: it has 600 bytes, more than 511", text);
    char *large = calloc(1, SONO_SERVE_CONFIG_BYTES + 1);
    assert_non_null(large);
    assert_status(
        NONE, sono_serve_config_parse(&config, "s.yaml", large, SONO_SERVE_CONFIG_BYTES + 1, &error), &error);
    assert_string_equal(error.text, "s.yaml:1: the file is larger than 1 MiB: is it a configuration?");
    free(large);
}

/* Files that are none, by their paths. */
static void test_paths(void **state)
{
    (void)state;
    sono_error error;
    sono_serve_config config;
    char path[SONO_TEST_PATH_BYTES], expected[SONO_TEST_PATH_BYTES + 64];
    sono_serve_config_init(&config);
    assert_status(SONO_STATUS_IO, sono_serve_config_read(&config, "/nonexistent.yaml", &error), NULL);
    assert_string_equal(error.text, "/nonexistent.yaml: No such file or directory");
    assert_status(WRONG, sono_serve_config_read(&config, sono_test_folder(), &error), NULL);
    assert_non_null(strstr(error.text, ": this is a folder, not a file"));
    sono_test_path(path, sizeof path, "pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_status(WRONG, sono_serve_config_read(&config, path, &error), NULL);
    assert_non_null(strstr(error.text, ": this is a device, not a file"));
    sono_test_path(path, sizeof path, "good.yaml");
    sono_test_write_file(path, "sink:\n  mask_value: 255\n", 24);
    assert_ok(sono_serve_config_read(&config, path, &error), &error);
    assert_int_equal(config.sink_mask_value, 255);
    assert_string_equal(config.path, path);
    sono_test_write_file(path, "sink:\n  mask_value: 256\n", 24);
    assert_status(WRONG, sono_serve_config_read(&config, path, &error), NULL);
    snprintf(expected, sizeof expected, "%s:2: sink.mask_value: '256' is not a whole number within 1..255",
             path);
    assert_string_equal(error.text, expected);
}

/* Defaults, then the file, then flags: whatever their order in time. */
static void test_precedence(void **state)
{
    (void)state;
    sono_error error;
    sono_serve_config config;
    const char *text = "source:\n  address: file:1\n  read_ms: 7\n  stall_ms: 8\n";
    sono_serve_config_init(&config);
    assert_ok(sono_serve_config_set(&config, "source", "flag:2", &error), &error);
    assert_ok(sono_serve_config_set(&config, "source-read-ms", "9", &error), &error);
    assert_ok(sono_serve_config_parse(&config, "s.yaml", text, strlen(text), &error), &error);
    assert_string_equal(config.source_address, "flag:2");
    assert_int_equal(config.source_read_ms, 9);
    assert_int_equal(config.source_stall_ms, 8);
    assert_int_equal(config.source_connect_ms, 2000);
    assert_ok(sono_serve_config_set(&config, "source", config.source_address, &error), &error);
    assert_string_equal(config.source_address, "flag:2");
    /* What a flag hides is checked all the same. */
    text = "source:\n  read_ms: x\n";
    assert_status(WRONG, sono_serve_config_parse(&config, "s.yaml", text, strlen(text), &error), NULL);
    assert_int_equal(config.source_read_ms, 9);
    assert_status(WRONG, sono_serve_config_set(&config, "threads", "-1", &error), NULL);
    assert_string_equal(error.text, "--threads: '-1' is not a whole number within 0..256");
    assert_status(WRONG, sono_serve_config_set(&config, "thread", "1", &error), NULL);
    assert_string_equal(error.text, "--thread: there is no such option");
}

static void test_reload(void **state)
{
    (void)state;
    sono_error error;
    sono_serve_config config, fresh;
    char changed[256];
    assert_ok(parse(&config, "source:\n  read_ms: 7\n  address: a:1\nsink:\n  mask_value: 2\n", &error),
              &error);
    assert_ok(sono_serve_config_set(&config, "source-stall-ms", "5", &error), &error);
    assert_ok(parse(&fresh,
                    "source:\n  address: b:1\n  stall_ms: 6\n  device: Image\nengine:\n  depth: 2\n"
                    "sink:\n  mask_value: 3\n",
                    &error),
              &error);
    sono_serve_config_reload(&config, &fresh, changed, sizeof changed);
    assert_string_equal(changed, "source.address, engine.depth");
    assert_string_equal(config.source_address, "a:1");
    assert_int_equal(config.engine_depth, 1);
    assert_int_equal(config.source_stall_ms, 5);   /* the flag's */
    assert_int_equal(config.source_read_ms, 3000); /* no longer in the file */
    assert_int_equal(config.sink_mask_value, 3);
    assert_int_equal(config.line[SONO_SERVE_KEY_sink_mask_value], 8);
    assert_string_equal(config.source_device, "Image");
    sono_serve_config_reload(&config, &config, changed, sizeof changed);
    assert_string_equal(changed, "");
}

static void check_says(const char *message, const char *text)
{
    sono_error error;
    sono_serve_config config;
    assert_ok(parse(&config, text, &error), &error);
    const sono_status status = sono_serve_config_check(&config, &error);
    assert_status(message ? WRONG : SONO_STATUS_OK, status, &error);
    if (message)
        assert_string_equal(error.text, message);
}

static void test_check(void **state)
{
    (void)state;
    check_says(NULL, "sink:\n  listen: 0.0.0.0:18945\n");
    check_says(NULL, "sink:\n  listen: '[::1]'\nsource:\n  address: plus\n");
    check_says(
        "s.yaml:2: sink.listen: ':18945' is not an address to listen on: ADDRESS:PORT is expected, such "
        "as 127.0.0.1:18945 (this machine alone) or 0.0.0.0:18945 (every network)",
        "sink:\n  listen: :18945\n");
    check_says(
        "s.yaml:2: source.address: '127.0.0.1:0' is not a server's address: HOST:PORT is expected, such "
        "as 127.0.0.1:18944 or [::1]:18944",
        "source:\n  address: 127.0.0.1:0\n");
    check_says("s.yaml:2: sink.listen: it is source.address, too: the service would connect to itself",
               "sink:\n  listen: localhost:18944\n");
    check_says("s.yaml:2: sink.mask_name: 'SurfaceOfTheBone' has 16 characters, more than 13 (with 'Outside' "
               "behind it): a device name has 20",
               "sink:\n  mask_name: SurfaceOfTheBone\n  maps: true\n");
    check_says(NULL, "sink:\n  mask_name: SurfaceOfTheBone\n");
    check_says("s.yaml:2: sink.text_name: 'BoneMask' is the name of something else that is sent, too",
               "sink:\n  text_name: BoneMask\n");
    check_says("s.yaml:2: sink.status_name: a name is needed", "sink:\n  status_name: ''\n");
    check_says("s.yaml:2: sink.mask_name: 'M\xc3\xa4ske': letters, digits and signs of ASCII only",
               "sink:\n  mask_name: M\xc3\xa4ske\n");
    check_says("s.yaml:2: source.device: 'Image_Reference_of_Plus' has 23 characters, more than 20: a device "
               "name has 20",
               "source:\n  device: Image_Reference_of_Plus\n");
    check_says("source.backoff_min_ms: 100 ms is above source.backoff_max_ms, 50 ms",
               "source:\n  backoff_max_ms: 50\n");
    check_says("s.yaml:2: engine.max_latency_ms: 10000 ms is not below engine.hang_ms, 10000 ms, when the "
               "engine counts as hanging",
               "engine:\n  max_latency_ms: 10000\n  hang_ms: 10000\n");
    check_says(
        "s.yaml:2: engine.region: region '1,2,3': give none, find, or x,y,w,h in whole pixels, such as "
        "160,100,640,480",
        "engine:\n  region: 1,2,3\n");
    check_says(NULL, "engine:\n  region: find\n");
    check_says(NULL, "engine:\n  region: 16,9,320,200\n");
    check_says("s.yaml:2: engine.detect_every: 5 needs state.mode stream",
               "engine:\n  detect_every: 5\nstate:\n  mode: frame\n");
    check_says(NULL, "engine:\n  detect_every: 5\n");       /* a service's states are by stream */
    check_says(NULL, "engine:\n  max_latency_ms: 10000\n"); /* hang_ms -1 is no limit of so many */
    check_says("s.yaml:2: source.window: '5,1' is not LOW,HIGH with the lower value first, as -100,400",
               "source:\n  window: 5,1\n");
    check_says(NULL, "source:\n  window: -1e3,400\n");
    check_says("s.yaml:2: engine.device: 'gpu' is none of auto, cpu, cuda, cuda:N",
               "engine:\n  device: gpu\n");
    check_says("s.yaml:3: engine.precision: the CPU computes in fp32 only: engine.device is cpu",
               "engine:\n  device: cpu\n  precision: fp16\n");
    check_says("s.yaml:2: source.max_message_mb: 1 MiB do not hold the largest image, 1920 x 1200 pixels "
               "(engine.max_width_px, engine.max_height_px)",
               "source:\n  max_message_mb: 1\n");
    check_says("s.yaml:2: control.peers: 'localhost' is no address: numbers with commas are expected, as "
               "127.0.0.1,::1",
               "control:\n  peers: 127.0.0.1,localhost\n");
    check_says("s.yaml:3: control.peers: nobody may send commands, though control.commands is true",
               "control:\n  commands: true\n  peers:\n");
    check_says("s.yaml:2: record.folder: /nonexistent: No such file or directory",
               "record:\n  folder: /nonexistent/sweeps\n");
    check_says(
        "s.yaml:3: record.name: '../a' is no beginning of a file's name: up to 64 letters, digits, '_', "
        "'-' and '.'",
        "record:\n  folder: .\n  name: ../a\n");
    check_says("s.yaml:2: log.latency: . is a folder: a file is expected", "log:\n  latency: .\n");
    check_says("s.yaml:3: log.audit: a.log is the file of another log, too",
               "log:\n  events: a.log\n  audit: a.log\n");
}

static void test_warnings(void **state)
{
    (void)state;
    static const char *const loopback[] = {"127.0.0.1:1", "127.8.8.8", "[::1]:1", "localhost:1"};
    static const char *const wide[] = {"0.0.0.0:1", "[::]:1", "192.168.1.5:1", "workstation:1"};
    char text[512];
    sono_serve_config config;
    sono_serve_config_init(&config);
    for (size_t i = 0; i < 4; i++) {
        snprintf(config.sink_listen, sizeof config.sink_listen, "%s", loopback[i]);
        assert_int_equal(sono_serve_config_warn(&config, text, sizeof text), 0);
        snprintf(config.sink_listen, sizeof config.sink_listen, "%s", wide[i]);
        assert_int_equal(sono_serve_config_warn(&config, text, sizeof text), 1);
        assert_non_null(strstr(text, "without a password"));
    }
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const none[] = {
        "",      ":1",   "18945",       "127.1", "a:",        "a:65536", "a:-1",
        "a:1x",  "a:+1", "a b:1",       "::1",   "::1:18945", "[::1",    "[::1]1",
        "[a]:1", "[]:1", "1.2.3.4.5:1", "a:1:2", "a:000001",  "*:1"};
    char host[64];
    int32_t port = -7;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (!sono_serve_address_split(none[i], 5, host, sizeof host, &port))
            fail_msg("'%s' was taken", none[i]);
    assert_int_equal(port, -7);
    assert_int_equal(sono_serve_address_split("[fe80::1]:70", 5, host, sizeof host, &port), 0);
    assert_string_equal(host, "fe80::1");
    assert_int_equal(port, 70);
    assert_int_equal(sono_serve_address_split("plus-server.local", 5, host, sizeof host, &port), 0);
    assert_string_equal(host, "plus-server.local");
    assert_int_equal(port, 5);
    assert_int_equal(sono_serve_address_split("10.0.0.7:65535", 5, host, sizeof host, &port), 0);
    assert_int_equal(port, 65535);
    assert_int_equal(sono_serve_address_split("abc:1", 5, host, 3, &port), -1);
}

/* What is written reads back the same, whatever the values. */
static void test_write(void **state)
{
    (void)state;
    sono_error error;
    sono_serve_config config, again;
    sono_serve_config_init(&config);
    snprintf(config.sink_text_name, sizeof config.sink_text_name, "%s", "a\"b\\c: #d 'e' \xc3\xa4");
    config.engine_threshold = 0.1 + 0.2;
    config.source_max_rate_hz = 1e-7;
    config.source_order = 1;
    config.sink_outline = 0;
    config.mailbox_max_age_ms = -1;
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&text, &n_bytes);
    sono_serve_config_write(&config, stream);
    fclose(stream);
    sono_serve_config_init(&again);
    assert_ok(sono_serve_config_parse(&again, "", text, n_bytes, &error), &error);
    assert_memory_equal(&config, &again, offsetof(sono_serve_config, line));
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++)
        assert_true(again.line[i] > 0);
    for (char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 110);
    free(text);
}

/* Only what a file can show again is taken as a text. */
static void test_texts(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       " a ",
                                       "\xc2\xa0",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbd",
                                       "\xf0\x9f\xa6\xb4",
                                       "\xf4\x8f\xbf\xbd"};
    static const char *const bad[] = {"a\tb",         "\x7f",         "\xc2\x85",         "\xc2\x82",
                                      "\xc0\x80",     "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xe2\x80\xa8",
                                      "\xef\xbb\xbf", "\xef\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                      "\xff",         "\x80",         "\xe2\x80",         "\xc2"};
    sono_serve_config config;
    sono_error error;
    sono_serve_config_init(&config);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(sono_serve_config_set(&config, "log-events", good[i], &error), &error);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sono_serve_config_set(&config, "log-events", bad[i], &error) == SONO_STATUS_OK)
            fail_msg("bad text %zu was taken", i);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"source", "sink", "engine", NULL};
    assert_string_equal(sono_serve_nearest("sorce", names), "source");
    assert_string_equal(sono_serve_nearest("eng", names), "engine");
    assert_null(sono_serve_nearest("quaternion", names));
    assert_null(sono_serve_nearest("", names));
}

/* The section `state` has the library's rules, each with its range and default, and nothing else but the
 * mode. */
static void state_keys_are_the_rules(void **state)
{
    sono_state_rules rules, defaults;
    int n_rules = 0, n_keys = 0;
    (void)state;
    sono_state_rules_init(&defaults);
    for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++)
        n_keys += !strcmp(sono_serve_key_at(i)->section, "state");
    for (const char *name; (name = sono_state_rule_name(n_rules)) != NULL; n_rules++) {
        const sono_serve_key *key = NULL;
        for (int i = 0; i < SONO_SERVE_KEY_COUNT; i++)
            if (!strcmp(sono_serve_key_at(i)->section, "state") && !strcmp(sono_serve_key_at(i)->name, name))
                key = sono_serve_key_at(i);
        if (!key)
            fail_msg("no key state.%s", name);
        sono_state_rules_init(&rules);
        assert_int_equal(sono_state_rules_set(&rules, name, (int64_t)key->low, NULL), SONO_STATUS_OK);
        assert_int_equal(sono_state_rules_set(&rules, name, (int64_t)key->high, NULL), SONO_STATUS_OK);
        assert_int_not_equal(sono_state_rules_set(&rules, name, (int64_t)key->low - 1, NULL), SONO_STATUS_OK);
        assert_int_not_equal(sono_state_rules_set(&rules, name, (int64_t)key->high + 1, NULL),
                             SONO_STATUS_OK);
        assert_int_equal(sono_state_rules_set(&rules, name, strtol(key->value, NULL, 10), NULL),
                         SONO_STATUS_OK);
        assert_memory_equal(&rules, &defaults, sizeof rules);
    }
    assert_int_equal(n_keys, n_rules + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_table),
        cmocka_unit_test(test_file),     cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_values),   cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_no_yaml),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_paths),    cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_reload),   cmocka_unit_test(test_check),
        cmocka_unit_test(test_warnings), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_write),    cmocka_unit_test(test_texts),
        cmocka_unit_test(test_nearest),  cmocka_unit_test(state_keys_are_the_rules),
    };
    return sono_test_run("live/config", tests, sizeof tests / sizeof tests[0]);
}
