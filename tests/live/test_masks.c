// SPDX-License-Identifier: Apache-2.0
/* A frame's messages: what was copied from the wire is there bit for bit, in both header versions; metadata;
 * maps and overlay; and the empty set that replaces them. */
#include "serve/facts.h"
#include "serve/masks.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH  33
#define HEIGHT 20

typedef struct bench {
    sono_serve_config config;
    sono_serve_blobs blobs;
    sono_serve_masks masks;
    sono_serve_frame frame;
    sono_serve_result result;
    uint8_t mask[WIDTH * HEIGHT];
    uint8_t maps[3][WIDTH * HEIGHT];
    uint8_t pixels[WIDTH * HEIGHT];
} bench;

/* A head as a source may send it: 3 components of 16 bits, big-endian, LPS, a matrix of bits that arithmetic
 * would change (a signalling NaN, -0, a subnormal). */
static void fill_head(uint8_t head[SONO_IGTL_IMAGE_HEAD_BYTES])
{
    static const uint8_t fields[12] = {0, 1, 3, SONO_IGTL_UINT16, 1, 2, 0, WIDTH, 0, HEIGHT, 0, 1};
    static const uint8_t bits[12] = {0x7f, 0xa0, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 3};
    memcpy(head, fields, sizeof fields);
    for (int i = 0; i < 48; i++)
        head[12 + i] = i < 12 ? bits[i] : (uint8_t)(0x3d + i % 3);
    memset(head + 60, 0, 6);
    memcpy(head + 66, fields + 6, 6);
}

static int setup(void **state)
{
    bench *self = calloc(1, sizeof *self);
    if (!self)
        return -1;
    snprintf(self->config.sink_mask_name, sizeof self->config.sink_mask_name, "BoneMask");
    snprintf(self->config.sink_outline_name, sizeof self->config.sink_outline_name, "BoneOutline");
    self->config.sink_mask_value = 1;
    self->config.engine_max_width_px = self->config.engine_max_height_px = 64;
    self->config.engine_gray16_white = 65535;
    sono_serve_blobs_init(&self->blobs, 64 << 20);
    assert_int_equal(sono_serve_masks_open(&self->masks, &self->config, &self->blobs), 0);
    snprintf(self->masks.info.kind, sizeof self->masks.info.kind, "null");
    snprintf(self->masks.info.detector, sizeof self->masks.info.detector, "d\xc3\xa9tecteur.pth");
    sono_serve_frame *frame = &self->frame;
    frame->id = 41;
    frame->timestamp = 0x6553f100deadbeef;
    frame->received_ns = 1000000;
    fill_head(frame->image_head);
    assert_int_equal(
        sono_igtl_image_head_decode(frame->image_head, sizeof frame->image_head, &frame->image, NULL),
        SONO_IGTL_OK);
    for (size_t i = 0; i < sizeof self->mask; i++) {
        const size_t x = i % WIDTH, y = i / WIDTH;
        self->mask[i] = x > 4 && x < 30 && y > 2 && y < 15 && !(x > 9 && x < 14 && y == 8) ? 255 : 0;
        self->result.mask_area_px += self->mask[i] != 0;
        self->pixels[i] = (uint8_t)i;
        for (int map = 0; map < 3; map++)
            self->maps[map][i] = (i + (size_t)map) % 3 == 0;
    }
    sono_image_init(&frame->pixels);
    frame->pixels.pixels = self->pixels;
    frame->pixels.width_px = WIDTH;
    frame->pixels.height_px = HEIGHT;
    frame->pixels.format = SONO_PIXEL_GRAY8;
    self->result.frame = 41;
    self->result.state = SONO_STATE_VISIBLE;
    self->result.score = 0.9f;
    self->result.iou_predicted = 1.f / 3;
    self->result.bbox_xyxy_px[2] = 10.25f;
    self->result.width_px = WIDTH;
    self->result.height_px = HEIGHT;
    self->result.mask = self->mask;
    self->result.latency_ms = 3.5;
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    bench *self = *state;
    const int is_balanced = self->blobs.n_lent == 0;
    sono_serve_masks_close(&self->masks);
    sono_serve_blobs_trim(&self->blobs);
    free(self);
    return is_balanced ? 0 : -1;
}

typedef struct message {
    sono_igtl_header header;
    sono_igtl_body body;
} message;

/* Decodes a message that must be whole, and its checksum right. */
static message decode(const sono_serve_blob *blob)
{
    message out;
    assert_non_null(blob);
    assert_int_equal(sono_igtl_header_decode(blob->bytes, blob->n_bytes, 1 << 30, &out.header, NULL),
                     SONO_IGTL_OK);
    const uint8_t *body = blob->bytes + SONO_IGTL_HEADER_BYTES;
    assert_int_equal(out.header.body_bytes, blob->n_bytes - SONO_IGTL_HEADER_BYTES);
    assert_true(sono_igtl_crc64(0, body, out.header.body_bytes) == out.header.crc);
    assert_int_equal(sono_igtl_body_decode(&out.header, body, out.header.body_bytes, &out.body, NULL),
                     SONO_IGTL_OK);
    return out;
}

static void assert_fact(const message *in, const char *key, const char *value)
{
    sono_igtl_metadata found;
    if (!value) {
        assert_false(sono_igtl_metadata_find(&in->body, key, &found));
        return;
    }
    if (!sono_igtl_metadata_find(&in->body, key, &found))
        fail_msg("there is no %s", key);
    if (found.value_bytes != strlen(value) || memcmp(found.value, value, found.value_bytes) != 0)
        fail_msg("%s is \"%.*s\"", key, (int)found.value_bytes, found.value);
}

static void the_mask_has_its_frames_geometry_and_time(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    for (int value = 1; value <= 255; value += 254) {
        self->config.sink_mask_value = value;
        sono_serve_masks_reload(&self->masks, &self->config);
        sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 3500000);
        for (int version = 1; version <= 2; version++) {
            sono_serve_blob *blob =
                sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_MASK, version);
            const message in = decode(blob);
            assert_int_equal(in.header.version, version);
            assert_string_equal(in.header.type, "IMAGE");
            assert_string_equal(in.header.device, "BoneMask");
            assert_true(in.header.timestamp == self->frame.timestamp);
            assert_int_equal(in.body.content_bytes, SONO_IGTL_IMAGE_HEAD_BYTES + WIDTH * HEIGHT);
            uint8_t head[SONO_IGTL_IMAGE_HEAD_BYTES];
            memcpy(head, self->frame.image_head, sizeof head);
            head[2] = 1;
            head[3] = SONO_IGTL_UINT8;
            assert_memory_equal(in.body.content, head, sizeof head);
            for (size_t i = 0; i < WIDTH * HEIGHT; i++)
                assert_int_equal(in.body.content[sizeof head + i], self->mask[i] ? value : 0);
            /* Encoded once. */
            assert_ptr_equal(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_MASK, version),
                             blob);
        }
        sono_serve_masks_end(&self->masks, &set);
    }
}

static void metadata_says_what_the_mask_is(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 3500000);
    const message in = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_MASK, 2));
    assert_fact(&in, "FrameId", "41");
    assert_fact(&in, "SourceTimestamp", "1700000000.8698386510");
    assert_fact(&in, "SourceTimestampRaw", "6553f100deadbeef");
    assert_fact(&in, "State", "VISIBLE");
    assert_fact(&in, "Reason", "OK");
    assert_fact(&in, "Score", "0.9");
    assert_fact(&in, "BBox", "0.00 0.00 10.25 0.00");
    assert_fact(&in, "PredictedIoU", "0.33333334");
    assert_fact(&in, "LatencyMs", "2.500");
    assert_fact(&in, "EngineMs", "3.500");
    assert_fact(&in, "Engine", "null");
    assert_fact(&in, "Detector", "d\xc3\xa9tecteur.pth");
    assert_fact(&in, "DetectorSHA256", NULL);
    assert_fact(&in, "Version", sono_version());
    char area[24];
    snprintf(area, sizeof area, "%d", (int)self->result.mask_area_px);
    assert_fact(&in, "AreaPx", area);
    const message outline =
        decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_OUTLINE, 2));
    assert_fact(&outline, "FrameId", "41");
    assert_true(outline.body.message_id != in.body.message_id);
    sono_serve_masks_end(&self->masks, &set);
}

static void metadata_says_why_a_mask_is_uncertain(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    self->result.state = SONO_STATE_RELOCALIZING;
    self->result.is_judged = 1;
    self->result.quality = 645;
    self->result.agreement = 87;
    self->result.reasons = SONO_STATE_LOW_QUALITY | SONO_STATE_DISAGREES;
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 3500000);
    message in = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_MASK, 2));
    assert_fact(&in, "State", "RELOCALIZING");
    assert_fact(&in, "Quality", "0.645");
    assert_fact(&in, "Agreement", "0.087");
    assert_fact(&in, "StateReasons", "LOW_QUALITY DISAGREES");
    assert_fact(&in, "Region", NULL);
    assert_fact(&in, "Version", sono_version());
    sono_serve_masks_end(&self->masks, &set);
    self->result.state = SONO_STATE_VISIBLE;
    self->result.agreement = -1;
    self->result.reasons = 0;
    self->result.region = (sono_region){3, 2, 7, 5};
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 3500000);
    in = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_MASK, 2));
    assert_fact(&in, "Quality", "0.645");
    assert_fact(&in, "Agreement", NULL);
    assert_fact(&in, "Region", "3 2 7 5");
    assert_fact(&in, "StateReasons", NULL);
    sono_serve_masks_end(&self->masks, &set);
}

/* Reading the decimals back gives the raw timestamp, whatever it is. */
static void seconds_are_exact(void **state)
{
    (void)state;
    uint64_t raw = 1;
    for (int i = 0; i < 20000; i++) {
        char text[SONO_SERVE_SECONDS_BYTES];
        if (i == 19998)
            raw = UINT64_MAX;
        sono_serve_seconds_text(raw, text);
        const char *point = strchr(text, '.');
        assert_non_null(point);
        assert_int_equal(strlen(point), 11);
        const uint64_t decimals = strtoull(point + 1, NULL, 10);
        const long double fraction = roundl((long double)decimals * 4294967296.0L / 1e10L);
        assert_true(strtoull(text, NULL, 10) == raw >> 32);
        assert_true((uint64_t)fraction == (raw & 0xffffffffu));
        raw = raw * 6364136223846793005u + 1442695040888963407u;
    }
}

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static float f32_at(const uint8_t *at)
{
    const uint32_t bits = u32_at(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A plain matrix: columns of 0.5 mm along x, 0.25 mm along -z, the centre at (10, 20, 30). */
static void set_plain_matrix(sono_serve_frame *frame)
{
    const float matrix[12] = {0.5f, 0, 0, 0, 0, -0.25f, 0, 1, 0, 10, 20, 30};
    memcpy(frame->image.matrix, matrix, sizeof matrix);
}

static void the_outline_is_closed_lines_in_mm(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    set_plain_matrix(&self->frame);
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    const message in = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_OUTLINE, 1));
    const message again = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_OUTLINE, 2));
    assert_string_equal(in.header.type, "POLYDATA");
    assert_string_equal(in.header.device, "BoneOutline");
    assert_true(in.header.timestamp == self->frame.timestamp);
    assert_int_equal(in.body.content_bytes, again.body.content_bytes);
    assert_memory_equal(in.body.content, again.body.content, in.body.content_bytes);
    const uint8_t *at = in.body.content;
    /* A rectangle of eight points, and a hole of one row, whose ends have one point less. */
    const uint32_t n_points = u32_at(at), n_lines = u32_at(at + 12), line_bytes = u32_at(at + 16);
    assert_int_equal(n_points, 14);
    assert_int_equal(n_lines, 2);
    assert_int_equal(in.body.content_bytes, 40 + 12 * n_points + line_bytes);
    for (int field = 1; field < 10; field++)
        assert_true(field == 3 || field == 4 || u32_at(at + 4 * field) == 0);
    float low[3] = {1e9f, 1e9f, 1e9f}, high[3] = {-1e9f, -1e9f, -1e9f};
    for (uint32_t i = 0; i < n_points; i++) {
        for (int axis = 0; axis < 3; axis++) {
            const float value = f32_at(at + 40 + 12 * i + 4 * (uint32_t)axis);
            low[axis] = fminf(low[axis], value);
            high[axis] = fmaxf(high[axis], value);
        }
    }
    /* Columns 5 to 29 and rows 3 to 14, half a pixel more to each side, from the centre (16, 9.5). */
    const float expected_low[3] = {10 + 0.5f * (4.5f - 16), 20, 30 - 0.25f * (14.5f - 9.5f)};
    const float expected_high[3] = {10 + 0.5f * (29.5f - 16), 20, 30 - 0.25f * (2.5f - 9.5f)};
    assert_memory_equal(low, expected_low, sizeof low);
    assert_memory_equal(high, expected_high, sizeof high);
    const uint8_t *line = at + 40 + 12 * n_points;
    for (uint32_t i = 0, first = 0; i < n_lines; i++) {
        const uint32_t n = u32_at(line);
        for (uint32_t k = 0; k + 1 < n; k++)
            assert_int_equal(u32_at(line + 4 + 4 * k), first + k);
        assert_int_equal(u32_at(line + 4 * n), first); /* closed */
        first += n - 1;
        line += 4 + 4 * n;
    }
    assert_ptr_equal(line, at + in.body.content_bytes);
    sono_serve_masks_end(&self->masks, &set);
}

/* Two open lines in mm, none where there is no surface; nothing where none is looked for. */
static void the_surface_is_open_lines_in_mm(void **state)
{
    static const float points_px[5][2] = {{3, 4.5f}, {4, 5}, {5, 5.25f}, {20, 9}, {21, 10}};
    static const int32_t line_starts[3] = {0, 3, 5};
    static const uint32_t cells[7] = {3, 0, 1, 2, 2, 3, 4};
    bench *self = *state;
    sono_serve_set set;
    set_plain_matrix(&self->frame);
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    assert_null(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_SURFACE, 1));
    assert_int_equal(self->masks.n_unsent, 0);
    sono_serve_masks_end(&self->masks, &set);
    self->result.has_surface = 1;
    self->result.surface = (sono_surface_view){points_px[0], line_starts, 5, 2};
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    const message in = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_SURFACE, 2));
    assert_string_equal(in.header.type, "POLYDATA");
    assert_string_equal(in.header.device, "BoneMaskSurface");
    assert_true(in.header.timestamp == self->frame.timestamp);
    assert_fact(&in, "FrameId", "41");
    const uint8_t *at = in.body.content;
    assert_int_equal(in.body.content_bytes, 40 + 12 * 5 + 4 * 7);
    assert_int_equal(u32_at(at), 5);
    assert_int_equal(u32_at(at + 12), 2);
    assert_int_equal(u32_at(at + 16), 4 * 7);
    for (uint32_t i = 0; i < 5; i++) { /* from the centre (16, 9.5) */
        assert_true(f32_at(at + 40 + 12 * i) == 10 + 0.5f * (points_px[i][0] - 16));
        assert_true(f32_at(at + 44 + 12 * i) == 20);
        assert_true(f32_at(at + 48 + 12 * i) == 30 - 0.25f * (points_px[i][1] - 9.5f));
    }
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(u32_at(at + 40 + 12 * 5 + 4 * i), cells[i]);
    sono_serve_masks_end(&self->masks, &set);
    self->result.surface = (sono_surface_view){points_px[0], line_starts, 0, 0};
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    const message none = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_SURFACE, 1));
    assert_int_equal(none.body.content_bytes, 40);
    sono_serve_masks_end(&self->masks, &set);
}

static void maps_and_overlay_are_images(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    assert_null(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_EDGE, 1));
    assert_int_equal(self->masks.n_unsent, 0);
    sono_serve_masks_end(&self->masks, &set);
    static const char *const names[3] = {"BoneMaskEdge", "BoneMaskInside", "BoneMaskOutside"};
    for (int map = 0; map < 3; map++)
        self->result.maps[map] = self->maps[map];
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    for (int map = 0; map < 3; map++) {
        const int output = sono_serve_masks_output(&self->masks, names[map]);
        assert_int_equal(output, SONO_SERVE_OUTPUT_EDGE + map);
        const message in = decode(sono_serve_masks_message(&self->masks, &set, (sono_serve_output)output, 1));
        assert_string_equal(in.header.device, names[map]);
        assert_memory_equal(in.body.content + SONO_IGTL_IMAGE_HEAD_BYTES, self->maps[map], WIDTH * HEIGHT);
    }
    const message in = decode(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_OVERLAY, 2));
    assert_string_equal(in.header.device, "BoneMaskOverlay");
    assert_int_equal(in.body.content[2], 3);
    assert_int_equal(in.body.content_bytes, SONO_IGTL_IMAGE_HEAD_BYTES + 3 * WIDTH * HEIGHT);
    const uint8_t *rgb = in.body.content + SONO_IGTL_IMAGE_HEAD_BYTES;
    static const uint8_t green[3] = {0, 230, 118};
    assert_memory_equal(rgb + 3 * (3 * WIDTH + 5), green, 3);  /* its first pixel */
    assert_memory_equal(rgb + 3 * (8 * WIDTH + 14), green, 3); /* behind the hole */
    const size_t within = 12 * WIDTH + 8, hole = 8 * WIDTH + 12;
    assert_int_equal(rgb[3 * within], self->pixels[within]);
    assert_int_equal(rgb[3 * hole + 2], self->pixels[hole]);
    sono_serve_masks_end(&self->masks, &set);
    assert_int_equal(sono_serve_masks_output(&self->masks, "BoneMaskX"), -1);
}

static void an_empty_set_replaces_what_was_shown(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    const int64_t now_ns = 1600000000000000000; /* before the frame: its clock is ahead of ours */
    assert_int_equal(sono_serve_masks_begin_empty(&self->masks, &set, "STALLED", "why", now_ns), -1);
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    sono_serve_masks_end(&self->masks, &set);
    uint64_t last = self->frame.timestamp;
    for (int i = 0; i < 3; i++) {
        const int64_t utc_ns = i < 2 ? now_ns : 1800000000000000000;
        assert_int_equal(sono_serve_masks_begin_empty(&self->masks, &set, "SOURCE_STALLED", "why", utc_ns),
                         0);
        for (int output = 0; output < SONO_SERVE_OUTPUT_COUNT; output++) {
            const message in =
                decode(sono_serve_masks_message(&self->masks, &set, (sono_serve_output)output, 2));
            assert_true(in.header.timestamp > last);
            assert_true(i < 2 || in.header.timestamp == sono_igtl_timestamp_raw(utc_ns));
            assert_fact(&in, "State", "LOST");
            assert_fact(&in, "Reason", "SOURCE_STALLED");
            assert_fact(&in, "ReasonText", "why");
            assert_fact(&in, "FrameId", NULL);
            assert_fact(&in, "SourceTimestamp", NULL);
            const int is_image = sono_serve_output_is_image((sono_serve_output)output);
            const size_t from = is_image ? SONO_IGTL_IMAGE_HEAD_BYTES : 0;
            for (size_t byte = from; byte < in.body.content_bytes; byte++)
                assert_int_equal(in.body.content[byte], 0);
            if (is_image)
                assert_memory_equal(in.body.content + 6, self->frame.image_head + 6, 66);
            else
                assert_int_equal(in.body.content_bytes, 40);
        }
        last = set.timestamp;
        sono_serve_masks_end(&self->masks, &set);
    }
}

/* A time that nothing can be later than stays. */
static void the_last_timestamp_does_not_wrap(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    self->frame.timestamp = UINT64_MAX;
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    sono_serve_masks_end(&self->masks, &set);
    assert_int_equal(sono_serve_masks_begin_empty(&self->masks, &set, "X", "", 1), 0);
    assert_true(set.timestamp == UINT64_MAX);
    sono_serve_masks_end(&self->masks, &set);
}

static void what_cannot_be_sent_is_counted(void **state)
{
    bench *self = *state;
    sono_serve_set set;
    self->result.width_px--;
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    assert_null(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_MASK, 1));
    assert_int_equal(self->masks.n_unsent, 1);
    sono_serve_masks_end(&self->masks, &set);
    self->result.width_px++;
    self->blobs.max_bytes = 4096;
    sono_serve_masks_begin(&self->masks, &set, &self->frame, &self->result, 0);
    assert_null(sono_serve_masks_message(&self->masks, &set, SONO_SERVE_OUTPUT_MASK, 1));
    assert_int_equal(self->masks.n_unsent, 2);
    sono_serve_masks_end(&self->masks, &set);
}

/* Names of 20 characters: the suffix stays. */
static void long_names_keep_their_suffix(void **state)
{
    bench *self = *state;
    sono_serve_masks_close(&self->masks);
    snprintf(self->config.sink_mask_name, sizeof self->config.sink_mask_name, "ABCDEFGHIJKLMNOPQRST");
    assert_int_equal(sono_serve_masks_open(&self->masks, &self->config, &self->blobs), 0);
    assert_string_equal(self->masks.names[SONO_SERVE_OUTPUT_MASK], "ABCDEFGHIJKLMNOPQRST");
    assert_string_equal(self->masks.names[SONO_SERVE_OUTPUT_OUTSIDE], "ABCDEFGHIJKLMOutside");
}

int main(void)
{
#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_BENCH(the_mask_has_its_frames_geometry_and_time),
        WITH_BENCH(metadata_says_what_the_mask_is),
        WITH_BENCH(metadata_says_why_a_mask_is_uncertain),
        cmocka_unit_test(seconds_are_exact),
        WITH_BENCH(the_outline_is_closed_lines_in_mm),
        WITH_BENCH(the_surface_is_open_lines_in_mm),
        WITH_BENCH(maps_and_overlay_are_images),
        WITH_BENCH(an_empty_set_replaces_what_was_shown),
        WITH_BENCH(the_last_timestamp_does_not_wrap),
        WITH_BENCH(what_cannot_be_sent_is_counted),
        WITH_BENCH(long_names_keep_their_suffix),
    };
    return sono_test_run("live/masks", tests, sizeof(tests) / sizeof(tests[0]));
}
