// SPDX-License-Identifier: Apache-2.0
/* Files of other programs: COCO's JSON by another parser, NIfTI-1 and NRRD byte by byte, CSV as text; what is
 * refused; a full disk, no memory, and what is left behind. */
#include "test.h"

#include "base/alloc.h"
#include "io/folder/rle.h"
#include "sonoseg/export.h"
#include "sonoseg/io.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define WIDTH    5
#define HEIGHT   4
#define COUNT    (WIDTH * HEIGHT)
#define N_FRAMES 3

/* Frame 0: two objects that meet; 1: nothing; 2: one. */
static const uint8_t first[COUNT] = {0, 1, 1, 0, 0, 0, 1, 1, 0, 0};
static const uint8_t second[COUNT] = {0, 0, 255, 255, 0, 0, 0, 255, 255, 0};
static const uint8_t empty[COUNT];
static const uint8_t last[COUNT] = {[19] = 7};
static const uint8_t labels[N_FRAMES][COUNT] = {
    {0, 1, 1, 2, 0, 0, 1, 1, 2, 0}, {0}, {[19] = 1}}; /* of both stacks */

static sono_export_frame frames[N_FRAMES];
static sono_frame_info infos[N_FRAMES];
static const sono_export_object found[N_FRAMES][2] = {
    {{first, {1, 0, 2.5f, 1.25f}, 0.75f, 0}, {second, {0}, 0.5f, 3}},
    {{empty, {0}, 0.125f, 0}},
    {{last, {4, 3, 4, 3}, 1, 0}}};
static const int32_t n_found[N_FRAMES] = {2, 1, 1};
static const double points[] = {0.5, 1.25, 1, 1.5, 3.0625, -2};
static const int32_t starts[] = {0, 2, 3};
static const sono_export_surface surface = {points, starts, 2};

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < N_FRAMES; i++) {
        sono_frame_info_init(&infos[i]);
        infos[i].frame_id = (uint64_t)(10 * i);
        infos[i].timestamp_ns = 1500000000000000000 + i * 50000000;
        frames[i] = (sono_export_frame){&infos[i], "a\"b\xf6.png", WIDTH, HEIGHT, SONO_STATE_VISIBLE};
    }
    frames[1].state = SONO_STATE_LOST;
    infos[2].timestamp_ns = 0;
    infos[2].has_pose = 1;
    for (int i = 0; i < 12; i++)
        infos[2].image_to_reference[i] = (float)i + 0.5f;
    return 0;
}

static sono_export_options options_of(sono_export_format format)
{
    sono_export_options options;
    sono_export_options_init(&options);
    options.format = format;
    options.width_px = WIDTH;
    options.height_px = HEIGHT;
    options.n_frames = N_FRAMES;
    options.spacing_mm[0] = 0.25;
    options.spacing_mm[1] = 0.125;
    options.interval_s = 0.05;
    options.in_mm = 1;
    return options;
}

/* Everything up to close. */
static sono_status fill(sono_export *self, sono_error *error)
{
    for (int i = 0; i < N_FRAMES; i++)
        SONO_TRY(sono_export_describe(self, &frames[i], error));
    for (int i = 0; i < N_FRAMES; i++)
        SONO_TRY(sono_export_add(self, &frames[i], found[i], n_found[i], i ? NULL : &surface, error));
    return SONO_STATUS_OK;
}

static sono_status write_file(const char *path, const sono_export_options *options, sono_error *error)
{
    sono_export *self;
    SONO_TRY(sono_export_open(path, options, &self, error));
    const sono_status status = fill(self, error);
    const sono_status closed = sono_export_close(self, status == SONO_STATUS_OK, error);
    return status == SONO_STATUS_OK ? closed : status;
}

static uint8_t *write_and_read(const char *name, const sono_export_options *options, size_t *n)
{
    sono_error error;
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, name);
    assert_ok(write_file(path, options, &error), &error);
    return sono_test_read_file(path, n);
}

/* Unpacks gzip; no more than `most` bytes are there. Returns how many. */
static size_t unpack(const uint8_t *bytes, size_t n_bytes, uint8_t *out, size_t most)
{
    z_stream stream = {0};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_in = (uint8_t *)bytes;
    stream.avail_in = (unsigned)n_bytes;
    stream.next_out = out;
    stream.avail_out = (unsigned)most;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    inflateEnd(&stream);
    return most - stream.avail_out;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

static void expect_numbers(const cJSON *object, const char *key, int n, const double *wanted)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_int_equal(cJSON_GetArraySize(array), n);
    for (int i = 0; i < n; i++)
        assert_true(cJSON_GetArrayItem(array, i)->valuedouble == wanted[i]);
}

/* An annotation's mask is what was given, by its run lengths. */
static void expect_mask(const cJSON *annotation, const uint8_t *mask)
{
    uint8_t unpacked[COUNT];
    const cJSON *packed = cJSON_GetObjectItemCaseSensitive(annotation, "segmentation");
    expect_numbers(packed, "size", 2, (const double[]){HEIGHT, WIDTH});
    assert_ok(sono_export_unpack_rle(cJSON_GetObjectItemCaseSensitive(packed, "counts")->valuestring, WIDTH,
                                     HEIGHT, unpacked, NULL),
              NULL);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(unpacked[i], mask[i] != 0);
}

static void test_coco(void **state)
{
    (void)state;
    sono_export_options options = options_of(SONO_EXPORT_COCO);
    options.category = "bone";
    uint8_t *text = write_and_read("coco.json", &options, NULL);
    cJSON *root = cJSON_Parse((const char *)text);
    const cJSON *images = cJSON_GetObjectItemCaseSensitive(root, "images");
    const cJSON *annotations = cJSON_GetObjectItemCaseSensitive(root, "annotations");
    const cJSON *categories = cJSON_GetObjectItemCaseSensitive(root, "categories");
    assert_int_equal(cJSON_GetArraySize(images), N_FRAMES);
    assert_int_equal(cJSON_GetArraySize(annotations), 3); /* the empty one is none */
    const cJSON *image = cJSON_GetArrayItem(images, 2);
    assert_true(number(image, "id") == 3 && number(image, "frame_id") == 20);
    assert_true(number(image, "width") == WIDTH && number(image, "height") == HEIGHT);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(image, "file_name")->valuestring, "a\"b%F6.png");
    assert_null(cJSON_GetObjectItemCaseSensitive(image, "timestamp_s"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(image, "image_to_reference")), 12);
    assert_true(number(cJSON_GetArrayItem(images, 1), "timestamp_s") == 1500000000.05);
    const cJSON *one = cJSON_GetArrayItem(annotations, 0);
    assert_true(number(one, "id") == 1 && number(one, "image_id") == 1 && number(one, "category_id") == 1);
    assert_true(number(one, "area") == 4 && number(one, "score") == 0.75 && number(one, "iscrowd") == 0);
    expect_numbers(one, "bbox", 4, (const double[]){1, 0, 2, 2});
    expect_numbers(one, "detector_bbox", 4, (const double[]){1, 0, 1.5, 1.25});
    expect_mask(one, first);
    const cJSON *two = cJSON_GetArrayItem(annotations, 1);
    assert_true(number(two, "category_id") == 4);
    expect_mask(two, second);
    const cJSON *three = cJSON_GetArrayItem(annotations, 2);
    assert_true(number(three, "id") == 3 && number(three, "image_id") == 3 && number(three, "area") == 1);
    expect_numbers(three, "bbox", 4, (const double[]){4, 3, 1, 1});
    expect_mask(three, last);
    assert_int_equal(cJSON_GetArraySize(categories), 2);
    assert_true(number(cJSON_GetArrayItem(categories, 1), "id") == 4);
    assert_string_equal(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(categories, 1), "name")->valuestring, "bone 3");
    cJSON_Delete(root);
    sono_free(text);
}

/* Where there are no masks, the boxes. */
static void test_coco_boxes(void **state)
{
    (void)state;
    sono_export *self;
    char path[SONO_TEST_PATH_BYTES];
    sono_export_options options = options_of(SONO_EXPORT_COCO);
    const sono_export_object box = {NULL, {1, 1, 3, 2.5f}, 0.5f, 0}, none = {NULL, {0}, 0.1f, 0};
    options.n_frames = 2;
    sono_test_path(path, sizeof path, "boxes.json");
    assert_ok(sono_export_open(path, &options, &self, NULL), NULL);
    assert_ok(sono_export_describe(self, &frames[0], NULL), NULL);
    assert_ok(sono_export_describe(self, &frames[1], NULL), NULL);
    assert_ok(sono_export_add(self, &frames[0], &box, 1, NULL, NULL), NULL);
    assert_ok(sono_export_add(self, &frames[1], &none, 1, NULL, NULL), NULL);
    assert_ok(sono_export_close(self, 1, NULL), NULL);
    uint8_t *text = sono_test_read_file(path, NULL);
    cJSON *root = cJSON_Parse((const char *)text);
    const cJSON *annotations = cJSON_GetObjectItemCaseSensitive(root, "annotations");
    assert_int_equal(cJSON_GetArraySize(annotations), 1);
    expect_numbers(cJSON_GetArrayItem(annotations, 0), "bbox", 4, (const double[]){1, 1, 2, 1.5});
    assert_true(number(cJSON_GetArrayItem(annotations, 0), "area") == 3);
    assert_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(annotations, 0), "segmentation"));
    cJSON_Delete(root);
    sono_free(text);
}

static int32_t i16_at(const uint8_t *bytes)
{
    return (int16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t u32_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static float f32_at(const uint8_t *bytes)
{
    float value;
    const uint32_t bits = u32_at(bytes);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Each field where nifti1.h has it. */
static void test_nifti(void **state)
{
    (void)state;
    static uint8_t file[8192];
    size_t n_packed;
    const sono_export_options options = options_of(SONO_EXPORT_NIFTI);
    uint8_t *packed = write_and_read("stack.nii.gz", &options, &n_packed);
    const size_t n = unpack(packed, n_packed, file, sizeof file);
    const int32_t dim[8] = {4, WIDTH, HEIGHT, 1, N_FRAMES, 1, 1, 1};
    const float pixdim[5] = {1, 0.25f, 0.125f, 1, 0.05f};
    assert_int_equal(u32_at(packed + 4), 0); /* no time in it: the same bytes again */
    assert_int_equal(u32_at(file), 348);
    for (int i = 0; i < 8; i++)
        assert_int_equal(i16_at(file + 40 + 2 * i), dim[i]);
    for (int i = 0; i < 5; i++)
        assert_true(f32_at(file + 76 + 4 * i) == pixdim[i]);
    assert_int_equal(i16_at(file + 68), 1002); /* NIFTI_INTENT_LABEL */
    assert_int_equal(i16_at(file + 70), 2);    /* DT_UINT8 */
    assert_int_equal(i16_at(file + 72), 8);
    assert_int_equal(file[123], 2 | 8); /* mm, s */
    assert_true(f32_at(file + 280) == -0.25f && f32_at(file + 300) == -0.125f && f32_at(file + 320) == 1);
    assert_memory_equal(file + 344, "n+1", 4);
    assert_int_equal(file[348], 1);
    const uint32_t extension = u32_at(file + 352);
    assert_int_equal(extension % 16, 0);
    assert_int_equal(u32_at(file + 356), 6); /* NIFTI_ECODE_COMMENT */
    const size_t pixels_at = 352 + extension;
    assert_true(f32_at(file + 108) == (float)pixels_at);
    assert_int_equal(n, pixels_at + sizeof labels);
    assert_memory_equal(file + pixels_at, labels, sizeof labels);
    cJSON *root = cJSON_Parse((const char *)file + 360);
    const cJSON *known = cJSON_GetObjectItemCaseSensitive(root, "frames");
    assert_int_equal(cJSON_GetArraySize(known), N_FRAMES);
    assert_true(number(cJSON_GetArrayItem(known, 1), "timestamp_s") == 1500000000.05);
    assert_true(number(cJSON_GetArrayItem(known, 2), "frame_id") == 20);
    expect_numbers(cJSON_GetArrayItem(known, 2), "image_to_reference", 12,
                   (const double[]){0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5});
    cJSON_Delete(root);
    sono_free(packed);
}

static void test_nrrd(void **state)
{
    (void)state;
    size_t n_bytes;
    uint8_t pixels[sizeof labels + 1];
    const sono_export_options options = options_of(SONO_EXPORT_NRRD);
    uint8_t *file = write_and_read("stack.nrrd", &options, &n_bytes);
    char *text = (char *)file, *end = strstr(text, "\n\n");
    static const char *const lines[] = {
        "NRRD0005\n",
        "\ntype: uint8\ndimension: 3\nsizes: 5 4 3\nkinds: domain domain time\nspacings: 0.25 0.125 0.05\n"
        "units: \"mm\" \"mm\" \"s\"\nencoding: gzip\n",
        "\nSeq_Frame0000_FrameNumber:=0\nSeq_Frame0000_Timestamp:=1500000000\nSeq_Frame0000_State:=VISIBLE\n"
        "Seq_Frame0000_Source:=a\"b%F6.png\n",
        "\nSeq_Frame0002_FrameNumber:=20\nSeq_Frame0002_ImageToReferenceTransform:=0.5 1.5 2.5 3.5 4.5 5.5 "
        "6.5 7.5 8.5 9.5 10.5 11.5 0 0 0 1\nSeq_Frame0002_ImageToReferenceTransformStatus:=OK\n"};
    assert_non_null(end);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_true(strstr(text, lines[i]) && strstr(text, lines[i]) < end);
    const size_t at = (size_t)(end + 2 - text);
    assert_int_equal(unpack(file + at, n_bytes - at, pixels, sizeof pixels), sizeof labels);
    assert_memory_equal(pixels, labels, sizeof labels);
    sono_free(file);
}

/* Our own reader has the pixels, sizes, times and poses back. */
static void test_nrrd_again(void **state)
{
    (void)state;
    sono_error error;
    sono_source *source;
    sono_source_options reading;
    const char *name;
    char path[SONO_TEST_PATH_BYTES];
    const sono_export_options options = options_of(SONO_EXPORT_NRRD);
    sono_test_path(path, sizeof path, "again.nrrd");
    assert_ok(write_file(path, &options, &error), &error);
    sono_source_options_init(&reading);
    assert_ok(sono_source_open_sequence(path, &reading, &source, &error), &error);
    for (int i = 0; i < N_FRAMES; i++) {
        sono_image image;
        sono_frame_info info;
        sono_image_init(&image);
        sono_frame_info_init(&info);
        assert_ok(sono_source_next(source, &image, &info, &name, &error), &error);
        assert_memory_equal(image.pixels, labels[i], COUNT);
        assert_true(info.spacing_mm[0] == 0.25 && info.spacing_mm[1] == 0.125);
        assert_int_equal(info.timestamp_ns, infos[i].timestamp_ns);
        assert_int_equal(info.has_pose, i == 2);
        if (i == 2)
            assert_memory_equal(info.image_to_reference, infos[2].image_to_reference,
                                sizeof info.image_to_reference);
    }
    sono_source_close(source);
}

static void test_csv(void **state)
{
    (void)state;
    sono_export_options options = options_of(SONO_EXPORT_CSV);
    uint8_t *text = write_and_read("mm.csv", &options, NULL);
    assert_string_equal((const char *)text, "frame,time_s,line,point,x_mm,y_mm\n"
                                            "0,1500000000,0,0,0.500,1.250\n"
                                            "0,1500000000,0,1,1.000,1.500\n"
                                            "0,1500000000,1,0,3.062,-2.000\n");
    sono_free(text);
    options.in_mm = 0;
    text = write_and_read("px.csv", &options, NULL);
    assert_true(strstr((const char *)text, "x_px,y_px\n0,1500000000,0,0,0.50,1.25\n") != NULL);
    sono_free(text);
}

/* Without a spacing the files say so. */
static void test_unknown_spacing(void **state)
{
    (void)state;
    static uint8_t file[8192];
    size_t n_packed;
    sono_export_options options = options_of(SONO_EXPORT_NIFTI);
    options.spacing_mm[0] = 0;
    options.interval_s = 0;
    uint8_t *packed = write_and_read("unknown.nii.gz", &options, &n_packed);
    unpack(packed, n_packed, file, sizeof file);
    sono_free(packed);
    assert_int_equal(file[123], 0);
    assert_true(f32_at(file + 80) == 1 && f32_at(file + 84) == 1);
    options.format = SONO_EXPORT_NRRD;
    uint8_t *text = write_and_read("unknown.nrrd", &options, NULL);
    assert_non_null(strstr((char *)text, "\nspacings: nan nan nan\nunits: \"\" \"\" \"\"\n"));
    sono_free(text);
}

/* Masks of every kind come back; what is no run length is refused. */
static void test_run_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *counts, *reason;
    } wrong[] = {{"", "fewer"},
                 {"4", "fewer"},
                 {"e0", "more"},
                 {"o", "letter"},
                 {"4\x7f", "letter"},
                 {"4O", "more"},
                 {"oooooooooooo0", "letter"},
                 {"`ooooooo3", "more"},
                 {"4 ", "letter"}};
    uint32_t seed = 5;
    uint8_t mask[7 * 9], back[7 * 9];
    sono_error error;
    for (int round = 0; round < 300; round++) {
        sono_text text = {0};
        for (size_t i = 0; i < sizeof mask; i++) {
            seed = seed * 1664525 + 1013904223;
            mask[i] = (int)(seed >> 24) < round; /* from empty to full */
        }
        sono_rle_write(&text, mask, 7, 9);
        sono_text_add_bytes(&text, "", 1);
        cJSON *packed = cJSON_Parse(text.bytes);
        const char *counts = cJSON_GetObjectItemCaseSensitive(packed, "counts")->valuestring;
        assert_ok(sono_export_unpack_rle(counts, 7, 9, back, &error), &error);
        assert_memory_equal(mask, back, sizeof mask);
        assert_status(SONO_STATUS_FORMAT, sono_export_unpack_rle(counts, 7, 8, back, NULL), NULL);
        cJSON_Delete(packed);
        sono_text_reset(&text);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_status(SONO_STATUS_FORMAT, sono_export_unpack_rle(wrong[i].counts, 4, 5, back, &error),
                      &error);
        if (!strstr(error.text, wrong[i].reason))
            fail_msg("'%s': '%s' does not say '%s'", wrong[i].counts, error.text, wrong[i].reason);
    }
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_export_unpack_rle(NULL, 4, 5, back, NULL), NULL);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_export_unpack_rle("4", 0, 5, back, NULL), NULL);
}

static void test_refused(void **state)
{
    (void)state;
    sono_error error;
    sono_export *self = NULL;
    char path[SONO_TEST_PATH_BYTES];
    sono_export_options options = options_of(SONO_EXPORT_NIFTI), other = options;
    sono_test_path(path, sizeof path, "refused.nii.gz");
    other.n_frames = 0;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_export_open(path, &other, &self, &error), &error);
    other = options;
    other.format = (sono_export_format)9;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_export_open(path, &other, &self, &error), &error);
    other = options;
    other.n_frames = SONO_EXPORT_NIFTI_MOST + 1;
    assert_status(SONO_STATUS_LIMIT, sono_export_open(path, &other, &self, &error), &error);
    assert_non_null(strstr(error.text, "NRRD"));
    other = options;
    other.spacing_mm[0] = -1;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_export_open(path, &other, &self, &error), &error);
    assert_status(SONO_STATUS_IO, sono_export_open("/nowhere/a.nii.gz", &options, &self, &error), &error);
    assert_null(self);

    assert_ok(sono_export_open(path, &options, &self, &error), &error);
    assert_status(SONO_STATUS_STATE, sono_export_add(self, &frames[0], found[0], 1, NULL, &error), &error);
    sono_export_frame wide = frames[0];
    wide.width_px++;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_export_describe(self, &wide, &error), &error);
    for (int i = 0; i < N_FRAMES; i++)
        assert_ok(sono_export_describe(self, &frames[i], &error), &error);
    assert_status(SONO_STATUS_STATE, sono_export_describe(self, &frames[0], &error), &error);
    const sono_export_object blind = {0};
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_export_add(self, &frames[0], &blind, 1, NULL, &error),
                  &error);
    assert_status(SONO_STATUS_LIMIT, sono_export_add(self, &frames[0], found[0], 256, NULL, &error), &error);
    assert_status(SONO_STATUS_STATE, sono_export_close(self, 1, &error), &error); /* frames are missing */
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(sono_test_count_parts(), 0);
    assert_ok(sono_export_close(NULL, 1, &error), &error);
}

/* What is there stays until the end, and when the export is given up. */
static void test_whole_or_untouched(void **state)
{
    (void)state;
    sono_error error;
    sono_export *self;
    char path[SONO_TEST_PATH_BYTES];
    const sono_export_options options = options_of(SONO_EXPORT_CSV);
    sono_test_path(path, sizeof path, "there.csv");
    sono_test_write_file(path, "old", 3);
    for (int keep = 0; keep < 2; keep++) {
        assert_ok(sono_export_open(path, &options, &self, &error), &error);
        assert_ok(fill(self, &error), &error);
        uint8_t *before = sono_test_read_file(path, NULL);
        assert_string_equal((const char *)before, "old");
        sono_free(before);
        assert_ok(sono_export_close(self, keep, &error), &error);
        uint8_t *after = sono_test_read_file(path, NULL);
        assert_int_equal(!strcmp((const char *)after, "old"), !keep);
        sono_free(after);
        assert_int_equal(sono_test_count_parts(), 0);
    }
}

static void test_full_disk(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK))
        sono_test_skip("no /dev/full");
    for (int format = SONO_EXPORT_COCO; format <= SONO_EXPORT_CSV; format++) {
        sono_error error = {0};
        const sono_export_options options = options_of((sono_export_format)format);
        assert_status(SONO_STATUS_IO, write_file("/dev/full", &options, &error), &error);
        assert_non_null(strstr(error.text, "/dev/full"));
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int format = SONO_EXPORT_COCO; format <= SONO_EXPORT_CSV; format++) {
        const sono_export_options options = options_of((sono_export_format)format);
        char path[SONO_TEST_PATH_BYTES];
        int n_failed = 0;
        sono_test_path(path, sizeof path, "memory");
        for (uint64_t n = 1;; n++) {
            sono_error error;
            unlink(path);
            sono_alloc_fail_from(n);
            const sono_status status = write_file(path, &options, &error);
            sono_alloc_fail_from(0);
            if (status == SONO_STATUS_OK)
                break;
            assert_status(SONO_STATUS_OUT_OF_MEMORY, status, &error);
            assert_int_equal(access(path, F_OK), -1);
            assert_int_equal(sono_test_count_parts(), 0);
            n_failed++;
        }
        assert_true(n_failed >= 3);
        assert_int_equal(access(path, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coco),
        cmocka_unit_test(test_coco_boxes),
        cmocka_unit_test(test_nifti),
        cmocka_unit_test(test_nrrd),
        cmocka_unit_test(test_nrrd_again),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_unknown_spacing),
        cmocka_unit_test(test_run_lengths),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_whole_or_untouched),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_no_memory),
    };
    return sono_test_run_with("io/export", tests, sizeof tests / sizeof tests[0], set_up, NULL);
}
