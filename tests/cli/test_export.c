// SPDX-License-Identifier: Apache-2.0
/* `export` as a user sees it, of results that the folder's sink wrote and of recordings: what comes out, what
 * it says of results that are damaged, unfinished or of several sizes, and that nothing is left then.
 * io/export_peer has the pixels as other programs read them. */
#include "command.h"
#include "test.h"

#include "base/alloc.h"
#include "pipeline/packet.h"
#include "sonoseg/io.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SIDE 32

typedef struct shape {
    int32_t width_px, height_px;
} shape;

/* What the results of a test are like. */
typedef struct kind {
    int with_rle, with_png;
    int n_with_spacing; /* so many frames from the first on know it */
    int32_t n_objects;
    int with_surface;
} kind;

#define EXPORT(...) ((const char *const[]){"export", __VA_ARGS__, NULL})

static uint8_t maps[2][MAX_SIDE * MAX_SIDE];
static sono_packet_storage packet;

/* Frame i: object k has i + k + 1 pixels of row k; frame 1 is LOST. */
static void set_packet(const kind *what, const shape *size, int i, sono_frame_info *info)
{
    const int is_lost = i == 1;
    const size_t n = (size_t)size->width_px * (size_t)size->height_px;
    memset(&packet, 0, sizeof packet);
    memset(maps, 0, sizeof maps);
    info->frame_id = (uint64_t)i;
    info->timestamp_ns = 1000000000 + i * 40000000;
    info->has_pose = 1;
    for (int k = 0; k < 12; k++)
        info->image_to_reference[k] = (float)(i + k) / 3;
    if (i < what->n_with_spacing)
        info->spacing_mm[0] = info->spacing_mm[1] = 0.125;
    packet.packet = (sono_packet){.struct_size = sizeof packet.packet,
                                  .info = info,
                                  .state = is_lost ? SONO_STATE_LOST : SONO_STATE_VISIBLE,
                                  .width_px = size->width_px,
                                  .height_px = size->height_px,
                                  .n_objects = is_lost ? 1 : what->n_objects};
    for (int32_t k = 0; k < packet.packet.n_objects; k++) {
        const int n_set = is_lost ? 0 : i + k + 1;
        memset((uint8_t *)maps + (size_t)k * n + (size_t)(k * size->width_px), 255, (size_t)n_set);
        packet.objects[k] = (sono_object){.struct_size = sizeof packet.objects[k],
                                          .bbox_xyxy_px = {0, 0, 4, 2},
                                          .score = 0.5f,
                                          .mask_area_px = n_set};
    }
    packet.maps = (const uint8_t *)maps;
    packet.has_surface = what->with_surface;
    if (what->with_surface && !is_lost) {
        packet.n_points = 2;
        packet.n_lines = 1;
        packet.points_px[1][0] = 8;
        packet.points_px[1][1] = 4.5f;
        packet.line_starts[1] = 2;
    }
}

static void make_results(const char *name, const kind *what, const shape *sizes, int n_frames,
                         char folder[SONO_TEST_PATH_BYTES])
{
    sono_error error;
    sono_sink *sink;
    sono_sink_options options;
    sono_sink_options_init(&options);
    options.write_masks = what->with_png;
    options.write_rle = what->with_rle;
    options.write_overlays = 0;
    sono_test_path(folder, SONO_TEST_PATH_BYTES, name);
    assert_ok(sono_sink_open_folder(folder, &options, &sink, &error), &error);
    for (int i = 0; i < n_frames; i++) {
        char source[32];
        sono_frame_info info;
        sono_frame_info_init(&info);
        snprintf(source, sizeof source, "frame%d.png", i);
        set_packet(what, &sizes[i], i, &info);
        assert_ok(sono_sink_write(sink, &packet.packet, NULL, source, &error), &error);
    }
    assert_ok(sono_sink_close(sink, &error), &error);
}

static const shape same[3] = {{32, 16}, {32, 16}, {32, 16}};
static const kind plain = {.with_png = 1, .n_with_spacing = 9, .n_objects = 1};

static char *path_of(const char *name)
{
    static char paths[8][SONO_TEST_PATH_BYTES];
    static int n;
    char *path = paths[n++ % 8];
    sono_test_path(path, SONO_TEST_PATH_BYTES, name);
    return path;
}

/* It fails with these words, and nothing is left. */
static void expect_refused(int status, const char *words, const char *folder, const char *name)
{
    command_expect(status, words, EXPORT(folder, path_of(name)));
    assert_int_equal(access(path_of(name), F_OK), -1);
    assert_int_equal(sono_test_count_parts(), 0);
}

static void expect_same_file(const char *left, const char *right)
{
    size_t n_left, n_right;
    uint8_t *a = sono_test_read_file(left, &n_left), *b = sono_test_read_file(right, &n_right);
    assert_int_equal(n_left, n_right);
    assert_memory_equal(a, b, n_left);
    sono_free(a);
    sono_free(b);
}

/* Pictures, run lengths and a recording of the same masks give the same bytes, by whatever way. */
static void test_same_from_all(void **state)
{
    (void)state;
    static const char *const names[] = {"a.json", "a.nii.gz", "a.nrrd"};
    char png[SONO_TEST_PATH_BYTES], rle[SONO_TEST_PATH_BYTES], other[64];
    const kind packed = {.with_rle = 1, .n_with_spacing = 9, .n_objects = 1};
    make_results("png", &plain, same, 3, png);
    make_results("rle", &packed, same, 3, rle);
    command_expect(0, NULL, EXPORT(png, path_of("again.igs.mha"), "-q"));
    for (size_t i = 0; i < 3; i++) {
        command_expect(0, NULL, EXPORT(png, path_of(names[i]), "-q"));
        snprintf(other, sizeof other, "rle_%s", names[i]);
        command_expect(0, NULL, EXPORT(rle, path_of(other), "-q"));
        expect_same_file(path_of(names[i]), path_of(other));
        snprintf(other, sizeof other, "again_%s", names[i]);
        command_expect(0, NULL, EXPORT(path_of("again.igs.mha"), path_of(other), "-q"));
        expect_same_file(path_of(names[i]), path_of(other));
    }
    assert_int_equal(sono_test_count_parts(), 0);
}

static void test_summary_and_force(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES];
    make_results("force", &plain, same, 3, folder);
    const char *path = path_of("force.nii.gz");
    command_result result = command_run(EXPORT(folder, path));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "force.nii.gz: 3 frames of 32 x 16"));
    command_free(&result);
    sono_test_write_file(path, "mine", 4);
    command_expect(1, "is there already: choose another path, or --force", EXPORT(folder, path));
    uint8_t *text = sono_test_read_file(path, NULL);
    assert_string_equal((const char *)text, "mine");
    sono_free(text);
    command_expect(0, NULL, EXPORT(folder, path, "--force", "-q"));
    const char *sequence = path_of("force.mha");
    sono_test_write_file(sequence, "mine", 4);
    command_expect(1, "or --force", EXPORT(folder, sequence));
    command_expect(0, NULL, EXPORT(folder, sequence, "--force", "-q"));
    command_expect(1, "no surfaces in it", EXPORT(folder, path_of("force.csv")));
}

static void test_usage(void **state)
{
    (void)state;
    const char *nowhere = path_of("nowhere");
    command_expect(2, "results and an output are expected", EXPORT(nowhere));
    command_expect(2, "pass --format, or end it in", EXPORT(nowhere, path_of("a.png")));
    command_expect(2, "writes a file that ends in .nii.gz",
                   EXPORT(nowhere, path_of("a.nii"), "--format", "nifti"));
    command_expect(2, "none of coco, nifti", EXPORT(nowhere, path_of("a.nii.gz"), "--format", "nii"));
    command_expect(2, "is not X,Y in millimetres", EXPORT(nowhere, path_of("a.csv"), "--spacing", "1,"));
    command_expect(2, "is not X,Y in millimetres", EXPORT(nowhere, path_of("a.csv"), "--spacing", "0,1"));
    command_expect(1, "a folder of results or a recording is expected", EXPORT(nowhere, path_of("a.csv")));
    mkdir(nowhere, 0777);
    command_expect(1, "'sonoseg run --output DIR' writes it", EXPORT(nowhere, path_of("a.csv")));
}

static void test_sizes(void **state)
{
    (void)state;
    static const shape several[3] = {{32, 16}, {16, 32}, {32, 16}};
    char folder[SONO_TEST_PATH_BYTES];
    make_results("sizes", &plain, several, 3, folder);
    expect_refused(1, "--split writes a file for each", folder, "sizes.nrrd");
    expect_refused(1, "frames differ: 2 have 32 x 16 pixels", folder, "sizes.mha");
    command_result result = command_run(EXPORT(folder, path_of("sizes.nii.gz"), "--split"));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "sizes_32x16.nii.gz: 2 frames of 32 x 16"));
    assert_non_null(strstr(result.out, "sizes_16x32.nii.gz: 1 frame of 16 x 32"));
    command_free(&result);
    command_expect(0, NULL, EXPORT(folder, path_of("sizes.igs.mha"), "--split", "-q"));
    assert_int_equal(access(path_of("sizes_16x32.igs.mha"), F_OK), 0);
    command_expect(0, NULL, EXPORT(folder, path_of("sizes.json"), "-q"));
}

/* A spacing that changes asks for a file of its own, too; one that is given counts for all. */
static void test_spacing(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES];
    const kind half = {.with_png = 1, .n_with_spacing = 1, .n_objects = 1, .with_surface = 1};
    make_results("half", &half, same, 3, folder);
    expect_refused(1, "--split writes a file for each", folder, "half.nii.gz");
    command_expect(0, "spacing is not known", EXPORT(folder, path_of("half.nii.gz"), "--split", "-q"));
    assert_int_equal(access(path_of("half_32x16_2.nii.gz"), F_OK), 0);
    command_expect(0, NULL, EXPORT(folder, path_of("given.nii.gz"), "--spacing", "0.5,0.25", "-q"));
    command_expect(0, "1 of 2 surfaces: all points are in pixels", EXPORT(folder, path_of("half.csv"), "-q"));
    uint8_t *text = sono_test_read_file(path_of("half.csv"), NULL);
    assert_string_equal((const char *)text, "frame,time_s,line,point,x_px,y_px\n"
                                            "0,1,0,0,0.00,0.00\n0,1,0,1,8.00,4.50\n"
                                            "2,1.08,0,0,0.00,0.00\n2,1.08,0,1,8.00,4.50\n");
    sono_free(text);
    command_expect(0, NULL, EXPORT(folder, path_of("given.csv"), "--spacing", "0.5,0.25", "-q"));
    text = sono_test_read_file(path_of("given.csv"), NULL);
    assert_non_null(strstr((const char *)text, "x_mm,y_mm\n0,1,0,0,0.000,0.000\n0,1,0,1,4.000,1.125\n2,"));
    sono_free(text);
    const kind whole = {.with_surface = 1, .n_with_spacing = 9, .n_objects = 1};
    make_results("whole", &whole, same, 3, folder);
    command_expect(0, NULL, EXPORT(folder, path_of("whole.csv"), "-q"));
    text = sono_test_read_file(path_of("whole.csv"), NULL);
    assert_non_null(strstr((const char *)text, "x_mm,y_mm\n0,1,0,0,0.000,0.000\n0,1,0,1,1.000,0.562\n2,"));
    sono_free(text);
    expect_refused(1, "no masks of 3 of 3 frames", folder, "whole.nrrd");
    command_expect(0, "annotations are boxes alone", EXPORT(folder, path_of("whole.json"), "-q"));
}

static void edit_file(const char *path, const char *from, const char *to)
{
    uint8_t *text = sono_test_read_file(path, NULL);
    char *at = strstr((char *)text, from);
    const size_t most = strlen((char *)text) + strlen(to) + 1;
    char *out = malloc(most);
    assert_true(at && out);
    const int n =
        snprintf(out, most, "%.*s%s%s", (int)(at - (char *)text), (char *)text, to, at + strlen(from));
    sono_test_write_file(path, out, (size_t)n);
    free(out);
    sono_free(text);
}

/* Each is named with its reason, not the first one alone. */
static void test_broken_masks(void **state)
{
    (void)state;
    static const uint8_t grey[12] = {0};
    size_t n;
    char folder[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    make_results("broken", &plain, same, 3, folder);
    snprintf(path, sizeof path, "%s/masks/frame0.png", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/masks/frame1.png", folder);
    uint8_t *bytes = sono_test_read_file(path, &n);
    sono_test_write_file(path, bytes, n - 20);
    sono_free(bytes);
    snprintf(path, sizeof path, "%s/masks/frame2.png", folder);
    assert_ok(sono_png_write(path, grey, 4, 3, 1, NULL), NULL);
    command_result result = command_run(EXPORT(folder, path_of("broken.nrrd")));
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "masks/frame0.png"));
    assert_non_null(strstr(result.err, "No such file"));
    assert_non_null(strstr(result.err, "masks/frame1.png"));
    assert_non_null(strstr(result.err, "masks/frame2.png: has 4 x 3 pixels, the frame 32 x 16"));
    assert_non_null(strstr(result.err, "3 masks of 3 frames cannot be read: nothing is written"));
    command_free(&result);
    assert_int_equal(access(path_of("broken.nrrd"), F_OK), -1);
    assert_int_equal(sono_test_count_parts(), 0);
}

static void test_other_masks(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], lines[SONO_TEST_PATH_BYTES + 32];
    const kind packed = {.with_rle = 1, .n_with_spacing = 9, .n_objects = 1};
    make_results("stale", &plain, same, 3, folder);
    snprintf(lines, sizeof lines, "%s/results.jsonl", folder);
    edit_file(lines, "\"mask_area_px\": 3", "\"mask_area_px\": 4");
    expect_refused(1, "results.jsonl:3: mask_area_px is 4, but", folder, "stale.mha");
    make_results("counts", &packed, same, 3, folder);
    snprintf(lines, sizeof lines, "%s/results.jsonl", folder);
    edit_file(lines, "\"counts\": \"", "\"counts\": \" ");
    expect_refused(1, "results.jsonl:1: mask_rle: its run lengths hold a letter", folder, "counts.json");
}

static void test_broken_lines(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], lines[SONO_TEST_PATH_BYTES + 32];
    static const struct {
        const char *from, *to, *reason;
    } edits[] = {
        {"\"frame_id\": 1", "\"frame_id\": 0", ":2: its frame_id is not above"},
        {"\"schema\": 1", "\"schema\": 2", ":1: not a line of results"},
        {"\"width_px\": 32", "\"width_px\": 0", ":1: not a line of results"},
        {"\"height_px\": 16", "\"height_px\": \"16\"", ":1: not a line of results"},
        {"\"mask_area_px\"", "\"mask_area\"", ":1: an object lacks mask_area_px"},
        {"\"stem\": \"frame0\"", "\"stem\": \"../frame0\"", ":1: stem is no name"},
        {"\"surface_px\": [[[0, 0.00]", "\"surface_px\": [[[0, 0.00", ":1: surface_px or surface_mm"},
        {"{\"schema\"", "{\"schema", ":1: not a line of results"}};
    const kind surfaces = {.with_png = 1, .n_objects = 1, .with_surface = 1};
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "lines%d", (int)i);
        make_results(name, &surfaces, same, 3, folder);
        snprintf(lines, sizeof lines, "%s/results.jsonl", folder);
        edit_file(lines, edits[i].from, edits[i].to);
        expect_refused(1, edits[i].reason, folder,
                       strstr(edits[i].from, "surface") ? "lines.csv" : "lines.nrrd");
    }
    make_results("lines", &surfaces, same, 3, folder);
    snprintf(lines, sizeof lines, "%s/results.jsonl", folder);
    uint8_t *text = sono_test_read_file(lines, NULL);
    sono_test_write_file(lines, text, strlen((char *)text) - 1);
    sono_free(text);
    expect_refused(1, ":3: ends in the middle of the line: the run did not end", folder, "lines.nrrd");
    sono_test_write_file(lines, "", 0);
    expect_refused(1, "no frames in it", folder, "lines.nrrd");
}

/* More frames than NIfTI-1 can hold. */
static void test_many_frames(void **state)
{
    (void)state;
    const int n_frames = 33000;
    char folder[SONO_TEST_PATH_BYTES], lines[SONO_TEST_PATH_BYTES + 32];
    sono_test_path(folder, sizeof folder, "many");
    mkdir(folder, 0777);
    snprintf(lines, sizeof lines, "%s/results.jsonl", folder);
    FILE *stream = fopen(lines, "w");
    for (int i = 0; i < n_frames; i++)
        fprintf(
            stream,
            "{\"schema\": 1, \"frame_id\": %d, \"source\": \"a\", \"stem\": \"a\", \"width_px\": 2, "
            "\"height_px\": 2, \"state\": \"VISIBLE\", \"mask_area_px\": 1, \"mask_rle\": {\"size\": [2, 2], "
            "\"counts\": \"112\"}, \"spacing_mm\": [1, 1]}\n",
            i);
    fclose(stream);
    expect_refused(1, "NIfTI-1 holds 32767 frames, these are 33000: --split writes several files", folder,
                   "many.nii.gz");
    command_result result = command_run(EXPORT(folder, path_of("many.nii.gz"), "--split"));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "many_2x2.nii.gz: 32767 frames"));
    assert_non_null(strstr(result.out, "many_2x2_2.nii.gz: 233 frames"));
    command_free(&result);
}

/* A recording of images leads to its masks, where they are beside it. */
static void test_recordings(void **state)
{
    (void)state;
    static const char images[] = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 1\nElementType = MET_UCHAR\n"
                                 "Seq_Frame0000_Timestamp = 1\nElementDataFile = LOCAL\nabcd";
    char folder[SONO_TEST_PATH_BYTES];
    sono_test_write_file(path_of("rec_0001.igs.mha"), images, sizeof images - 1);
    expect_refused(1, "has images, no masks: 'sonoseg run ", path_of("rec_0001.igs.mha"), "rec.nrrd");
    make_results("rec", &plain, same, 3, folder);
    command_expect(0, NULL, EXPORT(folder, path_of("rec_masks_0001.igs.mha"), "-q"));
    command_result result = command_run(EXPORT(path_of("rec_0001.igs.mha"), path_of("rec.nrrd")));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "rec.nrrd: 3 frames of 32 x 16"));
    command_free(&result);
    /* A mask that the service did not show has no image. */
    static const char hidden[] =
        "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nSeq_Frame0000_State = "
        "VISIBLE\n"
        "Seq_Frame0000_AreaPx = 1\nSeq_Frame0000_Score = 0.5\nSeq_Frame0000_FrameNumber = 70\n"
        "Seq_Frame0001_State = LOST\nSeq_Frame0001_AreaPx = 3\nSeq_Frame0001_ImageStatus = INVALID\n"
        "ElementDataFile = LOCAL\n\0\xff\0\0\1\1\1\0";
    sono_test_write_file(path_of("hidden.mha"), hidden, sizeof hidden - 1);
    command_expect(0, NULL, EXPORT(path_of("hidden.mha"), path_of("hidden.json"), "-q"));
    uint8_t *text = sono_test_read_file(path_of("hidden.json"), NULL);
    assert_non_null(strstr((char *)text, "\"frame_id\": 70, \"state\": \"VISIBLE\""));
    assert_non_null(strstr((char *)text, "\"area\": 1, \"bbox\": [1, 0, 1, 1]"));
    assert_null(strstr((char *)text, "\"image_id\": 2"));
    sono_free(text);
    /* Segments follow each other. */
    result = command_run(EXPORT(path_of("rec_masks_0001.igs.mha"), folder, path_of("rec.json")));
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "rec.json: 6 frames"));
    command_free(&result);
    expect_refused(1, "no surfaces in it", path_of("rec_masks_0001.igs.mha"), "rec.csv");
    command_expect(1, "would overwrite the input",
                   EXPORT(path_of("rec_masks_0001.igs.mha"), path_of("rec_masks_0001.igs.mha"), "--force"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_from_all), cmocka_unit_test(test_summary_and_force),
        cmocka_unit_test(test_usage),         cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_spacing),       cmocka_unit_test(test_broken_masks),
        cmocka_unit_test(test_other_masks),   cmocka_unit_test(test_broken_lines),
        cmocka_unit_test(test_many_frames),   cmocka_unit_test(test_recordings),
    };
    return sono_test_run("cli/export", tests, sizeof tests / sizeof tests[0]);
}
