// SPDX-License-Identifier: Apache-2.0
/* Poses out of metadata and TRANSFORM messages (live/serve/transforms.h). */
#include "serve/transforms.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static sono_serve_transforms transforms;
static sono_serve_frame frame;
static uint8_t wire[64 * 1024];

/* A whole message, decoded: metadata as key, value, key, value. */
static void decode(const char *type, const char *device, uint64_t timestamp, const float matrix[12],
                   const char *const *pairs, size_t n_pairs, sono_igtl_header *header, sono_igtl_body *body)
{
    sono_igtl_writer writer;
    sono_igtl_metadata metadata[600];
    sono_igtl_writer_init(&writer, wire, sizeof wire);
    sono_igtl_message_begin(&writer, 2, type, device, timestamp);
    if (matrix) {
        sono_igtl_transform transform;
        memcpy(transform.matrix, matrix, sizeof transform.matrix);
        sono_igtl_transform_encode(&writer, &transform);
    }
    for (size_t i = 0; i < n_pairs; ++i) {
        metadata[i] = (sono_igtl_metadata){.key = pairs[2 * i],
                                           .key_bytes = strlen(pairs[2 * i]),
                                           .value = pairs[2 * i + 1],
                                           .value_bytes = strlen(pairs[2 * i + 1]),
                                           .encoding = 3};
    }
    assert_int_equal(sono_igtl_message_end(&writer, 1, metadata, n_pairs), SONO_IGTL_OK);
    assert_int_equal(sono_igtl_header_decode(wire, writer.n_bytes, sizeof wire, header, NULL), SONO_IGTL_OK);
    assert_int_equal(sono_igtl_body_decode(header, wire + SONO_IGTL_HEADER_BYTES,
                                           writer.n_bytes - SONO_IGTL_HEADER_BYTES, body, NULL),
                     SONO_IGTL_OK);
}

static void send_transform(const char *name, uint64_t timestamp, const float matrix[12],
                           const char *const *pairs, size_t n_pairs)
{
    sono_igtl_header header;
    sono_igtl_body body;
    decode("TRANSFORM", name, timestamp, matrix, pairs, n_pairs, &header, &body);
    sono_serve_transforms_message(&transforms, &header, &body);
}

static void apply(uint64_t timestamp, const char *const *pairs, size_t n_pairs, const char *pose)
{
    sono_igtl_header header;
    sono_igtl_body body;
    decode("STRING", "Image", timestamp, NULL, pairs, n_pairs, &header, &body);
    memset(&frame, 0, sizeof frame);
    frame.timestamp = timestamp;
    sono_serve_transforms_apply(&transforms, &body, pose, &frame);
}

/* Columns (1,2,3) (4,5,6) (7,8,9) and translation (10,11,12). */
static const float columns[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const float rows[12] = {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12};
static const char numbers[] = "1 4 7 10 2 5 8 11 3 6 9 12 0 0 0 1";

static int reset(void **state)
{
    (void)state;
    memset(&transforms, 0, sizeof transforms);
    return 0;
}

static void test_metadata(void **state)
{
    const char *pairs[] = {"ImageToReferenceTransformStatus", "OK", "ImageToReferenceTransform", numbers,
                           "UltrasoundImageOrientation",      "MN"};
    (void)state;
    apply(5, pairs, 3, "ImageToReference");
    assert_int_equal(frame.n_transforms, 1);
    assert_string_equal(frame.transforms[0].name, "ImageToReference");
    assert_memory_equal(frame.transforms[0].matrix, columns, sizeof columns);
    assert_int_equal(frame.transforms[0].is_valid, 1);
    assert_int_equal(frame.info.has_pose, 1);
    assert_memory_equal(frame.info.image_to_reference, rows, sizeof rows);
    assert_int_equal(frame.info.orientation, SONO_ORIENTATION_MN);
}

static void test_invalid_is_kept_as_such(void **state)
{
    const char *pairs[] = {"ImageToReferenceTransformStatus", "INVALID", "ImageToReferenceTransform",
                           numbers};
    const char *status[] = {"TransformStatus", "INVALID"};
    (void)state;
    apply(5, pairs, 2, "ImageToReference");
    assert_int_equal(frame.n_transforms, 1);
    assert_int_equal(frame.transforms[0].is_valid, 0);
    assert_int_equal(frame.info.has_pose, 0);
    send_transform("ProbeToTracker", 5, columns, status, 1);
    apply(5, NULL, 0, "ProbeToTracker");
    assert_int_equal(frame.transforms[0].is_valid, 0);
    assert_int_equal(frame.info.has_pose, 0);
}

static void test_messages(void **state)
{
    const float other[12] = {9};
    (void)state;
    send_transform("ImageToReference", 7, other, NULL, 0);
    send_transform("ImageToReference", 8, columns, NULL, 0); /* the newest counts */
    send_transform("StylusToTracker", 8, other, NULL, 0);
    apply(9, NULL, 0, "ImageToReference");
    assert_int_equal(frame.n_transforms, 2);
    assert_int_equal(frame.transforms[0].timestamp, 8);
    assert_int_equal(frame.info.has_pose, 1);
    assert_memory_equal(frame.info.image_to_reference, rows, sizeof rows);
    apply(9, NULL, 0, "");
    assert_int_equal(frame.info.has_pose, 0);
    apply(9, NULL, 0, "Other");
    assert_int_equal(frame.info.has_pose, 0);
}

static void test_metadata_comes_before_messages(void **state)
{
    const float other[12] = {9};
    const char *pairs[] = {"ImageToReferenceTransform", numbers};
    (void)state;
    send_transform("ImageToReference", 8, other, NULL, 0);
    apply(9, pairs, 1, "ImageToReference");
    assert_int_equal(frame.n_transforms, 1);
    assert_memory_equal(frame.info.image_to_reference, rows, sizeof rows);
}

static void test_a_message_of_another_time_is_no_pose(void **state)
{
    uint64_t second = 1ull << 32;
    (void)state;
    send_transform("ImageToReference", 100 * second, columns, NULL, 0);
    apply(100 * second + second / 2, NULL, 0, "ImageToReference");
    assert_int_equal(frame.info.has_pose, 1);
    apply(100 * second + second / 2 + 1, NULL, 0, "ImageToReference");
    assert_int_equal(frame.info.has_pose, 0);
    apply(99 * second, NULL, 0, "ImageToReference");
    assert_int_equal(frame.info.has_pose, 0);
    apply(0, NULL, 0, "ImageToReference"); /* a source without times */
    assert_int_equal(frame.info.has_pose, 1);
}

static void test_numbers_that_are_none(void **state)
{
    static const char *const bad[] = {"",
                                      "1 2 3",
                                      "1 4 7 10 2 5 8 11 3 6 9 12 0 0 0 1 1",
                                      "1 4 7 x 2 5 8 11 3 6 9 12 0 0 0 1",
                                      "nan 4 7 10 2 5 8 11 3 6 9 12 0 0 0 1",
                                      "1e99 4 7 10 2 5 8 11 3 6 9 12 0 0 0 1"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        const char *pairs[] = {"ImageToReferenceTransform", bad[i]};
        apply(9, pairs, 1, "ImageToReference");
        assert_int_equal(frame.n_transforms, 0);
        assert_int_equal(frame.info.has_pose, 0);
        assert_int_equal(transforms.n_refused, i + 1);
    }
}

static void test_names_have_bounds(void **state)
{
    char name[100], many[80][32];
    const char *pairs[160];
    (void)state;
    memset(name, 'n', sizeof name);
    memcpy(name + sizeof name - 10, "Transform", 10);
    pairs[0] = name;
    pairs[1] = numbers;
    apply(9, pairs, 1, "");
    assert_int_equal(frame.n_transforms, 0);
    for (int i = 0; i < 80; ++i) {
        snprintf(many[i], sizeof many[i], "Tool%dToTrackerTransform", i);
        pairs[2 * i] = many[i];
        pairs[2 * i + 1] = numbers;
    }
    apply(9, pairs, 80, "Tool3ToTracker");
    assert_int_equal(frame.n_transforms, SONO_SERVE_MAX_TRANSFORMS);
    assert_int_equal(transforms.n_refused, 1 + 80 - SONO_SERVE_MAX_TRANSFORMS);
    assert_int_equal(frame.info.has_pose, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_metadata, reset),
        cmocka_unit_test_setup(test_invalid_is_kept_as_such, reset),
        cmocka_unit_test_setup(test_messages, reset),
        cmocka_unit_test_setup(test_metadata_comes_before_messages, reset),
        cmocka_unit_test_setup(test_a_message_of_another_time_is_no_pose, reset),
        cmocka_unit_test_setup(test_numbers_that_are_none, reset),
        cmocka_unit_test_setup(test_names_have_bounds, reset),
    };
    return sono_test_run("live/transforms", tests, sizeof(tests) / sizeof(tests[0]));
}
