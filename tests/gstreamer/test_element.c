// SPDX-License-Identifier: Apache-2.0
// labels: gstreamer slow timeout=300
/* The element in a harness: what comes out is what the library says, and what goes wrong is said. */
#include "support/pipeline_fixture.h"
#include "support/synthetic.h"
#include "support/test.h"

#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_PX  320
#define HEIGHT_PX 240
#define FRAME_NS  (GST_SECOND / 10)
#define CAPS      "video/x-raw,format=%s,width=%d,height=%d,framerate=10/1"

typedef struct bench {
    GstHarness *harness;
    GstBus *bus;
    GstClockTime pts;
} bench;

static char *caps_text(const char *format, int width_px, int height_px)
{
    return g_strdup_printf(CAPS, format, width_px, height_px);
}

static void give_caps(bench *self, const char *format, int width_px, int height_px)
{
    char *text = caps_text(format, width_px, height_px);
    gst_harness_set_src_caps_str(self->harness, text);
    g_free(text);
}

/* The element with the small models, threshold 0, and further properties in gst-launch's words. */
static bench open_bench(const char *properties)
{
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    char *line = g_strdup_printf(
        "sonoseg device=%s detector=%s segmenter=%s segmenter-size=%d threshold=0 %s", config.device,
        config.detector_path, config.segmenter_path, config.segmenter_size_px, properties);
    bench self = {.harness = gst_harness_new_parse(line), .bus = gst_bus_new()};
    g_free(line);
    assert_non_null(self.harness);
    gst_element_set_bus(self.harness->element, self.bus);
    return self;
}

static void close_bench(bench *self)
{
    gst_element_set_bus(self->harness->element, NULL);
    gst_harness_teardown(self->harness);
    gst_object_unref(self->bus);
}

/* A frame of hashed blobs with rows pitch_bytes apart. */
static GstBuffer *make_frame(bench *self, GstVideoFormat format, int width_px, int height_px, int pitch_bytes)
{
    GstVideoInfo info;
    gst_video_info_set_format(&info, format, (guint)width_px, (guint)height_px);
    const int n_bytes = GST_VIDEO_INFO_COMP_PSTRIDE(&info, 0);
    gsize offset[GST_VIDEO_MAX_PLANES] = {0};
    gint stride[GST_VIDEO_MAX_PLANES] = {pitch_bytes};
    const size_t n_all = (size_t)pitch_bytes * (size_t)height_px;
    uint8_t *grey = g_malloc((gsize)width_px * (gsize)height_px);
    uint8_t *pixels = g_malloc(n_all);
    synthetic_image(width_px, height_px, grey);
    memset(pixels, 0x5a, n_all);
    for (int y = 0; y < height_px; y++)
        for (int x = 0; x < width_px; x++)
            for (int c = 0; c < n_bytes; c++)
                pixels[y * pitch_bytes + x * n_bytes + c] = (uint8_t)(grey[y * width_px + x] >> (c % 3));
    g_free(grey);
    GstBuffer *buffer = gst_buffer_new_wrapped(pixels, n_all);
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, format, (guint)width_px,
                                   (guint)height_px, 1, offset, stride);
    GST_BUFFER_PTS(buffer) = self->pts;
    GST_BUFFER_DURATION(buffer) = FRAME_NS;
    self->pts += FRAME_NS;
    return buffer;
}

static GstBuffer *grey_frame(bench *self)
{
    return make_frame(self, GST_VIDEO_FORMAT_GRAY8, WIDTH_PX, HEIGHT_PX, WIDTH_PX);
}

/* Pushes, and takes what comes out. */
static GstBuffer *through(bench *self, GstBuffer *in)
{
    assert_int_equal(gst_harness_push(self->harness, in), GST_FLOW_OK);
    GstBuffer *out = gst_harness_try_pull(self->harness);
    assert_non_null(out);
    return out;
}

static const GstStructure *result_of(GstBuffer *buffer)
{
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, "SonosegMeta");
    assert_non_null(meta);
    return gst_custom_meta_get_structure(meta);
}

static const char *state_of(GstBuffer *buffer)
{
    return gst_structure_get_string(result_of(buffer), "state");
}

/* The error on the bus: its text holds `text`. */
static void expect_error(bench *self, GQuark domain, int code, const char *text)
{
    GstMessage *message = gst_bus_pop_filtered(self->bus, GST_MESSAGE_ERROR);
    GError *error = NULL;
    assert_non_null(message);
    gst_message_parse_error(message, &error, NULL);
    if (error->domain != domain || error->code != code || !strstr(error->message, text))
        fail_msg("'%s' (%s %d), not '%s' (%s %d)", error->message, g_quark_to_string(error->domain),
                 error->code, text, g_quark_to_string(domain), code);
    g_error_free(error);
    gst_message_unref(message);
}

static void expect_start_error(const char *properties, GQuark domain, int code, const char *text)
{
    bench self = {.bus = gst_bus_new()};
    GstElement *element = gst_parse_launch(properties, NULL);
    assert_non_null(element);
    gst_element_set_bus(element, self.bus);
    assert_int_equal(gst_element_set_state(element, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    expect_error(&self, domain, code, text);
    gst_element_set_bus(element, NULL);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
    gst_object_unref(self.bus);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void expect_caps(const char *properties, const char *in, const char *out)
{
    bench self = open_bench(properties);
    give_caps(&self, in, WIDTH_PX, HEIGHT_PX);
    GstPad *pad = gst_element_get_static_pad(self.harness->element, "src");
    GstCaps *caps = gst_pad_get_current_caps(pad);
    gst_object_unref(pad);
    if (!out) {
        assert_null(caps);
    } else {
        GstVideoInfo info;
        assert_non_null(caps);
        assert_true(gst_video_info_from_caps(&info, caps));
        assert_string_equal(gst_video_format_to_string(GST_VIDEO_INFO_FORMAT(&info)), out);
        assert_int_equal(GST_VIDEO_INFO_WIDTH(&info), WIDTH_PX);
        assert_int_equal(GST_VIDEO_INFO_HEIGHT(&info), HEIGHT_PX);
        assert_int_equal(GST_VIDEO_INFO_FPS_N(&info), 10);
        gst_caps_unref(caps);
    }
    close_bench(&self);
}

static void test_caps(void **state)
{
    (void)state;
    expect_caps("output=mask", "GRAY8", "GRAY8");
    expect_caps("output=mask", "RGBx", "GRAY8");
    expect_caps("output=overlay segmenter=none", "RGB", "RGB");
    expect_caps("output=none segmenter=none", GST_VIDEO_NE(GRAY16), GST_VIDEO_NE(GRAY16));
    expect_caps("output=overlay segmenter=none", "I420", NULL);
}

/* Mask and metadata of a frame against the library's own packet of the same pixels. */
static void compare_with_library(GstVideoFormat format, sono_pixel_format pixel_format, const char *name,
                                 int pitch_bytes)
{
    bench self = open_bench("output=mask");
    give_caps(&self, name, WIDTH_PX, HEIGHT_PX);
    GstBuffer *in = make_frame(&self, format, WIDTH_PX, HEIGHT_PX, pitch_bytes);
    GstMapInfo pixels, mask;
    assert_true(gst_buffer_map(in, &pixels, GST_MAP_READ));
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    sono_pipeline *pipeline = pipeline_fixture_open(&config);
    sono_frame frame = SONO_TEST_FRAME;
    frame.image.pixels = pixels.data;
    frame.image.pitch_bytes = (size_t)pitch_bytes;
    frame.image.width_px = WIDTH_PX;
    frame.image.height_px = HEIGHT_PX;
    frame.image.format = pixel_format;
    const sono_packet *packet = pipeline_fixture_run(pipeline, &frame);
    gst_buffer_unmap(in, &pixels);

    GstBuffer *out = through(&self, in);
    sono_map_view expected;
    assert_ok(sono_packet_map(packet, 0, SONO_MAP_MASK, &expected), NULL);
    assert_true(gst_buffer_map(out, &mask, GST_MAP_READ));
    assert_int_equal(mask.size, WIDTH_PX * HEIGHT_PX);
    assert_memory_equal(mask.data, expected.data, mask.size);
    gst_buffer_unmap(out, &mask);

    const sono_object *best = sono_packet_object(packet, 0);
    double score = -1, x1 = -1;
    gint64 area = -1;
    assert_true(gst_structure_get(result_of(out), "score", G_TYPE_DOUBLE, &score, "x1", G_TYPE_DOUBLE, &x1,
                                  "mask-area", G_TYPE_INT64, &area, NULL));
    assert_string_equal(state_of(out), "VISIBLE");
    assert_true(score == (double)best->score && x1 == (double)best->bbox_xyxy_px[0]);
    assert_int_equal(area, best->mask_area_px);
    assert_true(area > 0);
    assert_non_null(gst_buffer_get_video_region_of_interest_meta_id(out, 0));
    gst_buffer_unref(out);
    sono_packet_release(pipeline, packet);
    sono_pipeline_close(pipeline);
    close_bench(&self);
}

static void test_mask(void **state)
{
    (void)state;
    compare_with_library(GST_VIDEO_FORMAT_GRAY8, SONO_PIXEL_GRAY8, "GRAY8", WIDTH_PX);
    compare_with_library(GST_VIDEO_FORMAT_RGB, SONO_PIXEL_RGB8, "RGB", 3 * WIDTH_PX + 52);
}

/* Outline and box are drawn, into this buffer alone; where nothing is found, nothing is. */
static void test_overlay(void **state)
{
    (void)state;
    bench self = open_bench("output=overlay");
    give_caps(&self, "RGB", WIDTH_PX, HEIGHT_PX);
    GstBuffer *in = make_frame(&self, GST_VIDEO_FORMAT_RGB, WIDTH_PX, HEIGHT_PX, 3 * WIDTH_PX);
    GstMapInfo before, after;
    assert_true(gst_buffer_map(in, &before, GST_MAP_READ));
    uint8_t *kept = g_memdup2(before.data, before.size);
    gst_buffer_unmap(in, &before);

    GstBuffer *out = through(&self, gst_buffer_ref(in));
    int n_green = 0, n_other = 0;
    assert_true(gst_buffer_map(in, &before, GST_MAP_READ));
    assert_true(gst_buffer_map(out, &after, GST_MAP_READ));
    assert_memory_equal(before.data, kept, before.size);
    for (size_t i = 0; i < after.size; i += 3)
        if (memcmp(after.data + i, before.data + i, 3)) {
            if (after.data[i] == 0 && after.data[i + 1] == 230 && after.data[i + 2] == 118)
                n_green++;
            else
                n_other++;
        }
    assert_true(n_green > 100);
    assert_int_equal(n_other, 0);
    gst_buffer_unmap(in, &before);
    gst_buffer_unmap(out, &after);
    gst_buffer_unref(out);
    close_bench(&self);

    self = open_bench("output=overlay threshold=1");
    give_caps(&self, "RGB", WIDTH_PX, HEIGHT_PX);
    out = through(&self, in);
    assert_string_equal(state_of(out), "LOST");
    assert_null(gst_buffer_get_video_region_of_interest_meta_id(out, 0));
    assert_false(gst_structure_has_field(result_of(out), "x1"));
    assert_true(gst_buffer_map(out, &after, GST_MAP_READ));
    assert_memory_equal(after.data, kept, after.size);
    gst_buffer_unmap(out, &after);
    gst_buffer_unref(out);
    g_free(kept);
    close_bench(&self);
}

/* output=none hands the memory itself on, and the bus says what the buffer says. */
static void test_none(void **state)
{
    (void)state;
    bench self = open_bench("output=none");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    GstBuffer *in = gst_buffer_ref(grey_frame(&self));
    GstBuffer *out = through(&self, in);
    assert_ptr_equal(gst_buffer_peek_memory(in, 0), gst_buffer_peek_memory(out, 0));
    assert_null(gst_buffer_get_custom_meta(in, "SonosegMeta"));

    GstMessage *message = gst_bus_pop_filtered(self.bus, GST_MESSAGE_ELEMENT);
    assert_non_null(message);
    const GstStructure *said = gst_message_get_structure(message);
    double score = -1, expected = -2, latency_ms = -1;
    guint64 running_time = 1;
    assert_string_equal(gst_structure_get_name(said), "sonoseg");
    assert_true(gst_structure_get(said, "score", G_TYPE_DOUBLE, &score, "latency-ms", G_TYPE_DOUBLE,
                                  &latency_ms, "running-time", G_TYPE_UINT64, &running_time, NULL));
    assert_true(gst_structure_get_double(result_of(out), "score", &expected));
    assert_true(score == expected);
    assert_true(latency_ms > 0);
    assert_int_equal(running_time, 0);
    gst_message_unref(message);

    message = gst_bus_pop_filtered(self.bus, GST_MESSAGE_LATENCY);
    assert_non_null(message);
    gst_message_unref(message);
    const GstClockTime told = gst_harness_query_latency(self.harness);
    assert_true(told > 0 && told >= (GstClockTime)(latency_ms * 1e6) - 1);
    gst_buffer_unref(out);
    gst_buffer_unref(in);
    close_bench(&self);

    self = open_bench("output=none segmenter=none post-messages=false");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    gst_buffer_unref(through(&self, grey_frame(&self)));
    assert_null(gst_bus_pop_filtered(self.bus, GST_MESSAGE_ELEMENT));
    close_bench(&self);
}

/* Every object of a frame, and boxes without a segmenter. */
static void test_objects(void **state)
{
    (void)state;
    bench self = open_bench("output=none max-objects=3 segmenter=none");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    GstBuffer *out = through(&self, grey_frame(&self));
    int n_objects = 0;
    assert_true(gst_structure_get_int(result_of(out), "n-objects", &n_objects));
    assert_int_equal(n_objects, 3);
    const GValue *objects = gst_structure_get_value(result_of(out), "objects");
    assert_non_null(objects);
    assert_int_equal(gst_value_array_get_size(objects), 3);
    const GstStructure *last = gst_value_get_structure(gst_value_array_get_value(objects, 2));
    double score = -1, best = -1;
    assert_true(gst_structure_get_double(last, "score", &score));
    assert_true(gst_structure_get_double(result_of(out), "score", &best));
    assert_true(score > 0 && score <= best);
    gst_buffer_unref(out);
    close_bench(&self);
}

static void test_errors(void **state)
{
    (void)state;
    sono_pipeline_config config;
    pipeline_fixture_synthetic(&config);
    expect_start_error("sonoseg detector=/nonexistent/d.pth segmenter=none", GST_RESOURCE_ERROR,
                       GST_RESOURCE_ERROR_NOT_FOUND, "/nonexistent/d.pth");
    char *line = g_strdup_printf("sonoseg device=cpu detector=%s segmenter=none", config.detector_path);
    char *more = g_strconcat(line, " region=1,2,3", NULL);
    expect_start_error(more, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "1,2,3");
    g_free(more);
    more = g_strconcat(line, " output=mask", NULL);
    expect_start_error(more, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "needs a segmenter");
    g_free(more);
    more = g_strconcat(line, " device=tpu", NULL);
    expect_start_error(more, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "tpu");
    g_free(more);
    g_free(line);
    line = g_strdup_printf("sonoseg device=cpu detector=%s segmenter=none", config.segmenter_path);
    expect_start_error(line, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ, "mobile_sam.pth");
    g_free(line);

    /* The pipeline: a combination that it refuses. */
    bench self = open_bench("output=none detect-every=5");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    expect_error(&self, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "detect_every");
    close_bench(&self);

    /* A frame: a region that it does not hold. Other frames go on. */
    self = open_bench("output=none segmenter=none region=0,0,300,200");
    give_caps(&self, "GRAY8", 64, 64);
    GstBuffer *small = make_frame(&self, GST_VIDEO_FORMAT_GRAY8, 64, 64, 64);
    assert_int_equal(gst_harness_push(self.harness, small), GST_FLOW_ERROR);
    expect_error(&self, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS, "region");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    GstBuffer *out = through(&self, grey_frame(&self));
    int width_px = 0;
    assert_true(gst_structure_get_int(result_of(out), "region-width", &width_px));
    assert_int_equal(width_px, 300);
    gst_buffer_unref(out);
    close_bench(&self);

    /* Too few bytes for the caps. */
    self = open_bench("output=none segmenter=none");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    assert_int_equal(gst_harness_push(self.harness, gst_buffer_new_allocate(NULL, 100, NULL)),
                     GST_FLOW_ERROR);
    expect_error(&self, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "does not hold a frame");
    close_bench(&self);
}

static int reasons_of(GstBuffer *buffer)
{
    int reasons = -1;
    assert_true(gst_structure_get_int(result_of(buffer), "reasons", &reasons));
    gst_buffer_unref(buffer);
    return reasons;
}

/* A flush, a new segment and a gap begin a stream; a frame after another does not. */
static void test_flush(void **state)
{
    (void)state;
    bench self = open_bench("output=none state=stream");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    assert_true(reasons_of(through(&self, grey_frame(&self))) & SONO_STATE_BEGAN);
    assert_false(reasons_of(through(&self, grey_frame(&self))) & SONO_STATE_BEGAN);

    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    assert_true(gst_harness_push_event(self.harness, gst_event_new_flush_start()));
    assert_int_equal(gst_harness_push(self.harness, grey_frame(&self)), GST_FLOW_FLUSHING);
    assert_true(gst_harness_push_event(self.harness, gst_event_new_flush_stop(TRUE)));
    assert_true(gst_harness_push_event(self.harness, gst_event_new_segment(&segment)));
    assert_true(reasons_of(through(&self, grey_frame(&self))) & SONO_STATE_BEGAN);
    assert_false(reasons_of(through(&self, grey_frame(&self))) & SONO_STATE_BEGAN);

    GstBuffer *after_gap = grey_frame(&self);
    GST_BUFFER_FLAG_SET(after_gap, GST_BUFFER_FLAG_DISCONT);
    assert_true(reasons_of(through(&self, after_gap)) & SONO_STATE_BEGAN);
    close_bench(&self);
}

static void test_end(void **state)
{
    (void)state;
    bench self = open_bench("output=mask");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    assert_int_equal(gst_harness_push(self.harness, grey_frame(&self)), GST_FLOW_OK);
    assert_true(gst_harness_push_event(self.harness, gst_event_new_eos()));
    assert_int_equal(gst_harness_buffers_in_queue(self.harness), 1);
    GstEvent *event = NULL;
    while ((event = gst_harness_try_pull_event(self.harness)) && GST_EVENT_TYPE(event) != GST_EVENT_EOS)
        gst_event_unref(event);
    assert_non_null(event);
    gst_event_unref(event);
    close_bench(&self);
}

/* Larger and smaller frames in one stream, and the element used a second time. */
static void test_sizes(void **state)
{
    (void)state;
    static const int sizes[][2] = {{64, 48}, {400, 304}, {240, 160}};
    bench self = open_bench("output=mask");
    for (int round = 0; round < 2; round++) {
        const size_t n_sizes = round ? 1 : sizeof sizes / sizeof sizes[0];
        for (size_t i = 0; i < n_sizes; i++) {
            const int width_px = sizes[i][0], height_px = sizes[i][1];
            give_caps(&self, "GRAY8", width_px, height_px);
            GstBuffer *out =
                through(&self, make_frame(&self, GST_VIDEO_FORMAT_GRAY8, width_px, height_px, width_px));
            assert_int_equal(gst_buffer_get_size(out), width_px * height_px);
            int said_px = 0;
            assert_true(gst_structure_get_int(result_of(out), "width", &said_px));
            assert_int_equal(said_px, width_px);
            gst_buffer_unref(out);
        }
        assert_int_equal(gst_element_set_state(self.harness->element, GST_STATE_NULL),
                         GST_STATE_CHANGE_SUCCESS);
        assert_int_equal(gst_element_set_state(self.harness->element, GST_STATE_PLAYING),
                         GST_STATE_CHANGE_SUCCESS);
    }
    close_bench(&self);
}

/* A sink that is behind: frames that would come too late are not computed. */
static void test_qos(void **state)
{
    (void)state;
    bench self = open_bench("output=none segmenter=none");
    give_caps(&self, "GRAY8", WIDTH_PX, HEIGHT_PX);
    gst_buffer_unref(through(&self, grey_frame(&self)));
    assert_true(gst_harness_push_upstream_event(
        self.harness, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2, 5 * (GstClockTimeDiff)GST_SECOND, 0)));
    assert_int_equal(gst_harness_push(self.harness, grey_frame(&self)), GST_FLOW_OK);
    assert_null(gst_harness_try_pull(self.harness));
    GstMessage *message = gst_bus_pop_filtered(self.bus, GST_MESSAGE_QOS);
    assert_non_null(message);
    gst_message_unref(message);
    self.pts = 20 * GST_SECOND;
    gst_buffer_unref(through(&self, grey_frame(&self)));
    close_bench(&self);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caps),  cmocka_unit_test(test_mask),    cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_none),  cmocka_unit_test(test_objects), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_flush), cmocka_unit_test(test_end),     cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_qos),
    };
    gst_init(&argc, &argv);
    return sono_test_run("gstreamer/element", tests, sizeof(tests) / sizeof(tests[0]));
}
