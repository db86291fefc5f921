// SPDX-License-Identifier: Apache-2.0
// labels: shared
/* Recorded sequences: what each header becomes, pixel by pixel, field by field; and what is refused, where
 * and why. */
#include "test.h"

#include "base/alloc.h"
#include "io/numbers.h"
#include "sonoseg/io.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define W     5
#define H     3
#define N     4
#define BYTES (W * H * N)

/* Pixel i of the whole file. */
static uint8_t level(size_t i)
{
    return (uint8_t)(i * 7 + 3);
}

static void fill(uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = level(i);
}

/* Packs as zlib (is_gzip 0) or gzip. Returns the packed size. */
static size_t pack(const void *bytes, size_t n_bytes, int is_gzip, uint8_t *out, size_t out_bytes)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes,
                       .avail_in = (unsigned)n_bytes,
                       .next_out = out,
                       .avail_out = (unsigned)out_bytes};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16 * is_gzip, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    const size_t n = stream.total_out;
    (void)deflateEnd(&stream);
    return n;
}

/* Writes a header and what is behind it; path: of the file. */
static void write_file(const char *name, const char *header, const void *bytes, size_t n_bytes,
                       char path[SONO_TEST_PATH_BYTES])
{
    const size_t n_header = strlen(header);
    uint8_t *all = sono_alloc(n_header + n_bytes + 1);
    assert_non_null(all);
    memcpy(all, header, n_header);
    if (n_bytes)
        memcpy(all + n_header, bytes, n_bytes);
    sono_test_path(path, SONO_TEST_PATH_BYTES, name);
    sono_test_write_file(path, all, n_header + n_bytes);
    sono_free(all);
}

static const char plain_header[] =
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
    "CompressedData = False\nDimSize = 5 3 4\nElementNumberOfChannels = 1\n"
    "ElementSpacing = 0.25 0.5 1\nElementType = MET_UCHAR\nKinds = domain domain list\n"
    "UltrasoundImageOrientation = UNA\nDeviceName = Probe 7\n"
    "Seq_Frame0000_Timestamp = 12.000000001\nSeq_Frame0000_ImageStatus = OK\n"
    "Seq_Frame0000_ImageToReferenceTransform = 1 0 0 -2.5 0 1 0 3e1 0 0 1 0.1 0 0 0 1\n"
    "Seq_Frame0000_ImageToReferenceTransformStatus = OK\n"
    "Seq_Frame0000_ProbeToTrackerTransform = 2 0 0 7 0 1 0 0 0 0 1 0 0 0 0 1 \n"
    "Seq_Frame0001_Timestamp = 345.6279579999\nSeq_Frame0001_ImageStatus = OK\n"
    "Seq_Frame0001_ImageToReferenceTransform = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n"
    "Seq_Frame0001_ImageToReferenceTransformStatus = INVALID\n"
    "Seq_Frame0003_UnfilteredTimestamp = -0.5\n"
    "Seq_Frame0002_ImageStatus = INVALID\nSeq_Frame0002_Timestamp = 1e-3\n"
    "Seq_Frame0003_SourceTimestamp = 65a0b1c2deadbeef\nElementDataFile = LOCAL\n";

static sono_source *open_sequence(const char *path, const sono_source_options *options)
{
    sono_error error = {0};
    sono_source *source = NULL;
    assert_ok(sono_source_open_sequence(path, options, &source, &error), &error);
    return source;
}

static sono_status next(sono_source *source, sono_frame *frame, const char **name, sono_error *error)
{
    sono_image_init(&frame->image);
    sono_frame_info_init(&frame->info);
    return sono_source_next(source, &frame->image, &frame->info, name, error);
}

static void expect_levels(const sono_image *image, size_t frame)
{
    assert_int_equal(image->width_px, W);
    assert_int_equal(image->height_px, H);
    assert_int_equal(image->format, SONO_PIXEL_GRAY8);
    for (size_t i = 0; i < W * H; i++)
        assert_int_equal(((const uint8_t *)image->pixels)[i], level(frame * W * H + i));
}

static void expect_field(const sono_source *source, const char *name, const char *value, int is_of_frame)
{
    sono_source_field field;
    for (int32_t i = 0; i < sono_source_field_count(source); i++) {
        assert_ok(sono_source_field_at(source, i, &field, NULL), NULL);
        if (!strcmp(field.name, name)) {
            assert_string_equal(field.value, value);
            assert_int_equal(field.is_of_frame, is_of_frame);
            return;
        }
    }
    fail_msg("no field %s", name);
}

static void test_fields(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    char path[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = NULL;
    fill(bytes, sizeof bytes);
    write_file("fields.igs.mha", plain_header, bytes, sizeof bytes, path);
    sono_source *source = open_sequence(path, NULL);
    assert_int_equal(sono_source_count(source), N);
    const sono_sequence_info *info = sono_source_sequence(source);
    assert_int_equal(info->n_frames, N);
    assert_int_equal(info->element, SONO_ELEMENT_U8);
    assert_int_equal(info->has_images, 1);
    assert_int_equal(info->start_ns, 0);

    assert_ok(next(source, &frame, &name, &error), &error);
    expect_levels(&frame.image, 0);
    assert_string_equal(strrchr(name, '/') + 1, "fields_f0001.mha");
    assert_int_equal(frame.info.timestamp_ns, 12000000001);
    assert_int_equal(frame.info.orientation, SONO_ORIENTATION_UN);
    assert_string_equal(frame.info.device_name, "Probe 7");
    assert_true(frame.info.spacing_mm[0] == 0.25 && frame.info.spacing_mm[1] == 0.5);
    assert_int_equal(frame.info.has_pose, 1);
    assert_true(frame.info.image_to_reference[3] == -2.5f && frame.info.image_to_reference[7] == 30.0f &&
                frame.info.image_to_reference[11] == 0.1f);
    expect_field(source, "ProbeToTrackerTransform", "2 0 0 7 0 1 0 0 0 0 1 0 0 0 0 1", 1);
    expect_field(source, "UltrasoundImageOrientation", "UNA", 0);
    assert_int_equal(sono_source_field_count(source), 5 + 2);

    assert_ok(next(source, &frame, &name, &error), &error);
    assert_int_equal(frame.info.timestamp_ns, 345627957999);
    assert_int_equal(frame.info.has_pose, 0);
    expect_field(source, "ImageToReferenceTransformStatus", "INVALID", 1);

    assert_status(SONO_STATUS_UNSUPPORTED, next(source, &frame, &name, &error), &error);
    assert_non_null(strstr(error.text, "fields_f0003.mha (Seq_Frame0002 of fields.igs.mha): no image"));
    assert_int_equal(frame.info.frame_id, 2);
    assert_int_equal(frame.info.timestamp_ns, 1000000);
    assert_null(frame.image.pixels);

    assert_ok(next(source, &frame, &name, &error), &error);
    expect_levels(&frame.image, 3);
    assert_int_equal(frame.info.timestamp_ns, -500000000);
    assert_int_equal(frame.info.user, 0x65a0b1c2deadbeef);
    assert_status(SONO_STATUS_END, next(source, &frame, &name, &error), &error);
    sono_source_close(source);
}

/* Only what sonoseg's recorder has written has escapes. */
static void test_escapes(void **state)
{
    (void)state;
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        char path[SONO_TEST_PATH_BYTES], header[512];
        const char *name;
        sono_frame frame = SONO_TEST_FRAME;
        snprintf(header, sizeof header,
                 "NDims = 2\nDimSize = 1 1\nElementType = MET_UCHAR\nRecordedBy = %s 1\nNote = %%20%%zz%%\n"
                 "Seq_Frame0000_A = %%2541%%0a%%00%%C3%%A9\nSeq_Frame0000_ImageStatus = OK\n"
                 "ElementDataFile = LOCAL\n",
                 is_ours ? "sonoseg" : "another");
        write_file("escapes.mha", header, "x", 1, path);
        sono_source *source = open_sequence(path, NULL);
        assert_ok(next(source, &frame, &name, NULL), NULL);
        expect_field(source, "A", is_ours ? "%41%0a%00\xc3\xa9" : "%2541%0a%00%C3%A9", 1);
        expect_field(source, "Note", is_ours ? " %zz%" : "%20%zz%", 0);
        sono_source_close(source);
    }
}

static void test_another_pose(void **state)
{
    (void)state;
    uint8_t bytes[BYTES] = {0};
    char path[SONO_TEST_PATH_BYTES], name_of_pose[] = "ProbeToTracker";
    sono_source_options options;
    sono_frame frame = SONO_TEST_FRAME;
    const char *name;
    sono_source_options_init(&options);
    options.pose_transform = name_of_pose;
    write_file("pose.mha", plain_header, bytes, sizeof bytes, path);
    sono_source *source = open_sequence(path, &options);
    memset(name_of_pose, 'x', sizeof name_of_pose - 1); /* the text was copied */
    assert_ok(next(source, &frame, &name, NULL), NULL);
    assert_int_equal(frame.info.has_pose, 1); /* no status is none against it */
    assert_true(frame.info.image_to_reference[0] == 2 && frame.info.image_to_reference[3] == 7);
    sono_source_close(source);
}

/* One way of storing the same frames. */
typedef struct storage {
    const char *name, *header, *data_name; /* data_name NULL: behind the header */
    int packing;                           /* 0 none, 1 zlib, 2 gzip, 3 two gzip members */
    int n_skip;                            /* bytes before the pixels, inside the packed data */
} storage;

#define MHA(rest)  "NDims = 3\nDimSize = 5 3 4\nElementType = MET_UCHAR\n" rest
#define NRRD(rest) "NRRD0004\n# any\ntype: unsigned char\ndimension: 3\nsizes: 5 3 4\n" rest

static const storage storages[] = {
    {"plain.mha", MHA("ElementDataFile = LOCAL\n"), NULL, 0, 0},
    {"crlf.mha", "NDims = 3\r\nDimSize = 5 3 4\r\nElementType = MET_UCHAR\r\nElementDataFile = LOCAL\r\n",
     NULL, 0, 0},
    {"colon.mha", "NDims: 3\nDimSize: 5 3 4\nElementType: MET_UCHAR\nElementDataFile: local\n", NULL, 0, 0},
    {"volume.mha",
     "NDims = 4\nDimSize = 5 3 1 4\nKinds = domain domain domain list\nElementType = MET_UCHAR\n"
     "ElementDataFile = LOCAL\n",
     NULL, 0, 0},
    {"zlib.mha", MHA("CompressedData = True\nElementDataFile = LOCAL\n"), NULL, 1, 0},
    {"gzip.mha", MHA("CompressedData = True\nCompressedDataSize = 0   \nElementDataFile = LOCAL\n"), NULL, 2,
     0},
    {"beside.mhd", MHA("ElementDataFile = beside.raw\n"), "beside.raw", 0, 0},
    {"skip.mhd", MHA("HeaderSize = 9\nElementDataFile = skip.raw\n"), "skip.raw", 0, 9},
    {"last.mhd", MHA("HeaderSize = -1\nElementDataFile = last.raw\n"), "last.raw", 0, 13},
    {"packed.mhd", MHA("CompressedData = True\nElementDataFile = packed.zraw\n"), "packed.zraw", 1, 0},
    {"plain.nrrd", NRRD("encoding: raw\n\n"), NULL, 0, 0},
    {"gzip.nrrd", NRRD("encoding: gzip\nkinds: domain domain list\n\n"), NULL, 2, 0},
    {"members.nrrd", NRRD("encoding: gz\n\n"), NULL, 3, 0},
    {"skip.nrrd", NRRD("encoding: gz\nbyte skip: 11\n\n"), NULL, 2, 11},
    {"last.nrrd", NRRD("encoding: raw\nbyte skip: -1\n\n"), NULL, 0, 17},
    {"beside.nhdr", NRRD("encoding: raw\ndata file: beside_n.raw\n"), "beside_n.raw", 0, 0},
    {"packed.nhdr", NRRD("encoding: gzip\ndatafile: packed_n.raw.gz\n\n"), "packed_n.raw.gz", 2, 0},
};

static void write_storage(const storage *how, char path[SONO_TEST_PATH_BYTES])
{
    uint8_t bytes[64 + BYTES] = {0}, packed[1024];
    char data_path[SONO_TEST_PATH_BYTES];
    const size_t n_bytes = (size_t)how->n_skip + BYTES;
    const uint8_t *stored = packed;
    size_t n_stored;
    fill(bytes + how->n_skip, BYTES);
    if (how->packing == 0) {
        stored = bytes;
        n_stored = n_bytes;
    } else if (how->packing < 3) {
        n_stored = pack(bytes, n_bytes, how->packing - 1, packed, sizeof packed);
    } else {
        n_stored = pack(bytes, 7, 1, packed, sizeof packed);
        n_stored += pack(bytes + 7, n_bytes - 7, 1, packed + n_stored, sizeof packed - n_stored);
    }
    write_file(how->name, how->header, how->data_name ? NULL : stored, how->data_name ? 0 : n_stored, path);
    if (!how->data_name)
        return;
    sono_test_path(data_path, sizeof data_path, how->data_name);
    sono_test_write_file(data_path, stored, n_stored);
}

static void test_storages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof storages / sizeof storages[0]; i++) {
        char path[SONO_TEST_PATH_BYTES];
        sono_error error = {0};
        sono_frame frame = SONO_TEST_FRAME;
        const char *name;
        print_message("%s\n", storages[i].name);
        write_storage(&storages[i], path);
        sono_source *source = open_sequence(path, NULL);
        assert_int_equal(sono_source_count(source), N);
        assert_int_equal(sono_source_sequence(source)->is_compressed, storages[i].packing > 0);
        for (size_t k = 0; k < N; k++) {
            assert_ok(next(source, &frame, &name, &error), &error);
            expect_levels(&frame.image, k);
        }
        assert_status(SONO_STATUS_END, next(source, &frame, &name, &error), &error);
        sono_source_close(source);
    }
}

static void test_held(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    sono_frame frames[N];
    const char *names[N];
    sono_source_options options;
    sono_source_options_init(&options);
    options.n_held = 2;
    write_storage(&storages[4], path);
    sono_source *source = open_sequence(path, &options);
    for (size_t k = 0; k < N; k++) {
        assert_ok(next(source, &frames[k], &names[k], NULL), NULL);
        if (k) {
            char end[16];
            snprintf(end, sizeof end, "_f%04zu.mha", k);
            expect_levels(&frames[k - 1].image, k - 1);
            assert_non_null(strstr(names[k - 1], end));
        }
    }
    sono_source_close(source);
}

/* A frame that fails takes no place: the pixels of the two good ones around it stay. */
static void test_held_over_failure(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    char path[SONO_TEST_PATH_BYTES];
    sono_frame good = SONO_TEST_FRAME, bad = SONO_TEST_FRAME, next_good = SONO_TEST_FRAME;
    sono_source_options options;
    const char *names[3];
    sono_source_options_init(&options);
    options.n_held = 2;
    fill(bytes, sizeof bytes);
    write_file("around.mha", plain_header, bytes, sizeof bytes, path);
    sono_source *source = open_sequence(path, &options);
    assert_ok(next(source, &bad, &names[0], NULL), NULL);
    assert_ok(next(source, &good, &names[0], NULL), NULL);
    assert_status(SONO_STATUS_UNSUPPORTED, next(source, &bad, &names[1], NULL), NULL);
    assert_ok(next(source, &next_good, &names[2], NULL), NULL);
    expect_levels(&good.image, 1);
    expect_levels(&next_good.image, 3);
    assert_non_null(strstr(names[0], "around_f0002.mha"));
    assert_non_null(strstr(names[2], "around_f0004.mha"));
    sono_source_close(source);
}

static void test_colour(void **state)
{
    (void)state;
    const uint8_t bytes[2][4] = {{200, 100, 50, 7}, {0, 255, 1, 9}};
    const int luma[2] = {(19595 * 200 + 38470 * 100 + 7471 * 50 + 0x8000) >> 16,
                         (38470 * 255 + 7471 + 0x8000) >> 16};
    for (int components = 3; components <= 4; components++)
        for (int keep = 0; keep < 2; keep++) {
            char path[SONO_TEST_PATH_BYTES], header[512];
            uint8_t packed[8];
            sono_source_options options;
            sono_frame frame = SONO_TEST_FRAME;
            const char *name;
            for (int i = 0; i < 2; i++)
                memcpy(packed + i * components, bytes[i], (size_t)components);
            snprintf(header, sizeof header,
                     "NRRD0004\ntype: uint8\ndimension: 3\nkinds: vector domain domain\nsizes: %d 2 "
                     "1\nencoding: raw\n"
                     "space directions: none (0.3,0.4) (0,2)\nultrasound image orientation:=MFA\n\n",
                     components);
            write_file("colour.nrrd", header, packed, (size_t)(2 * components), path);
            sono_source_options_init(&options);
            options.keep_colour = keep;
            sono_source *source = open_sequence(path, &options);
            assert_ok(next(source, &frame, &name, NULL), NULL);
            const uint8_t *pixels = frame.image.pixels;
            assert_int_equal(frame.info.orientation, SONO_ORIENTATION_MF);
            assert_true(fabs(frame.info.spacing_mm[0] - 0.5) < 1e-12 && frame.info.spacing_mm[1] == 2);
            assert_int_equal(frame.image.format, !keep             ? SONO_PIXEL_GRAY8
                                                 : components == 3 ? SONO_PIXEL_RGB8
                                                                   : SONO_PIXEL_RGBA8);
            if (keep)
                assert_memory_equal(pixels, packed, (size_t)(2 * components));
            else
                assert_true(pixels[0] == luma[0] && pixels[1] == luma[1]);
            sono_samples samples;
            assert_ok(sono_source_samples(source, &samples, NULL), NULL);
            assert_int_equal(samples.components, components);
            assert_memory_equal(samples.data, packed, (size_t)(2 * components));
            sono_source_close(source);
        }
}

/* The values -2, 0, 1 and 3 in each type, big-endian, through the window from -1 to 2. */
static void test_window(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        sono_element element;
        int bytes;
        uint8_t values[4][8];
    } kinds[] = {
        {"MET_CHAR", SONO_ELEMENT_I8, 1, {{0xfe}, {0}, {1}, {3}}},
        {"MET_SHORT", SONO_ELEMENT_I16, 2, {{0xff, 0xfe}, {0, 0}, {0, 1}, {0, 3}}},
        {"MET_INT", SONO_ELEMENT_I32, 4, {{0xff, 0xff, 0xff, 0xfe}, {0}, {0, 0, 0, 1}, {0, 0, 0, 3}}},
        {"MET_FLOAT", SONO_ELEMENT_F32, 4, {{0xc0, 0}, {0}, {0x3f, 0x80}, {0x40, 0x40}}},
        {"MET_DOUBLE", SONO_ELEMENT_F64, 8, {{0xc0, 0}, {0}, {0x3f, 0xf0}, {0x40, 0x08}}}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char path[SONO_TEST_PATH_BYTES], header[512];
        uint8_t bytes[32];
        sono_source_options options;
        sono_frame frame = SONO_TEST_FRAME;
        sono_error error = {0};
        sono_source *source = NULL;
        sono_samples samples;
        const char *name;
        for (int k = 0; k < 4; k++)
            memcpy(bytes + k * kinds[i].bytes, kinds[i].values[k], (size_t)kinds[i].bytes);
        snprintf(header, sizeof header,
                 "NDims = 2\nDimSize = 2 2\nElementByteOrderMSB = True\nElementType = %s\nElementDataFile = "
                 "LOCAL\n",
                 kinds[i].type);
        write_file("window.mha", header, bytes, (size_t)(4 * kinds[i].bytes), path);
        assert_status(SONO_STATUS_UNSUPPORTED, sono_source_open_sequence(path, NULL, &source, &error),
                      &error);
        assert_non_null(strstr(error.text, "--float-range"));
        sono_source_options_init(&options);
        options.float_low = -1;
        options.float_high = 2;
        source = open_sequence(path, &options);
        assert_ok(next(source, &frame, &name, &error), &error);
        assert_int_equal(frame.image.format, SONO_PIXEL_GRAY16);
        assert_int_equal(frame.image.gray16_white, 65535);
        const uint16_t expected[] = {0, 21845, 43690, 65535};
        assert_memory_equal(frame.image.pixels, expected, sizeof expected);
        assert_ok(sono_source_samples(source, &samples, &error), &error);
        assert_int_equal(samples.element, kinds[i].element);
        double third = 0;
        if (kinds[i].element == SONO_ELEMENT_F64)
            third = ((const double *)samples.data)[3];
        else if (kinds[i].element == SONO_ELEMENT_I16)
            third = ((const int16_t *)samples.data)[0] + 5;
        assert_true(third == 0 || third == 3);
        sono_source_close(source);
    }
}

static void test_16_bits(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x00, 0x10, 0x03, 0xff, 0x00, 0x11, 0x10, 0x00};
    static const int32_t given[] = {0, 777, SONO_GRAY16_AUTO},
                         expected[][2] = {{0, 0}, {777, 777}, {1023, 16383}};
    for (int i = 0; i < 3; i++) {
        char path[SONO_TEST_PATH_BYTES];
        sono_source_options options;
        sono_frame frame = SONO_TEST_FRAME;
        const char *name;
        write_file("deep.nrrd",
                   "NRRD0005\ntype: ushort\ndimension: 3\nsizes: 2 1 2\nencoding: raw\nendian: big\n"
                   "spacings: 0.5 NaN 1\n\n",
                   bytes, sizeof bytes, path);
        sono_source_options_init(&options);
        options.gray16_white = given[i];
        sono_source *source = open_sequence(path, &options);
        for (int k = 0; k < 2; k++) {
            assert_ok(next(source, &frame, &name, NULL), NULL);
            const uint16_t *pixels = frame.image.pixels;
            assert_int_equal(pixels[0], k ? 17 : 16);
            assert_int_equal(pixels[1], k ? 4096 : 1023);
            assert_int_equal(frame.image.gray16_white, expected[i][k]);
        }
        assert_true(frame.info.spacing_mm[0] == 0.5 && frame.info.spacing_mm[1] == 0);
        sono_source_close(source);
    }
}

static void test_as_stored(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    char path[SONO_TEST_PATH_BYTES];
    sono_source_options options;
    sono_frame frame = SONO_TEST_FRAME;
    sono_samples samples;
    sono_error error = {0};
    const char *name;
    fill(bytes, sizeof bytes);
    write_file("stored.mha", plain_header, bytes, sizeof bytes, path);
    sono_source_options_init(&options);
    options.as_stored = 1;
    sono_source *source = open_sequence(path, &options);
    assert_status(SONO_STATUS_STATE, sono_source_samples(source, &samples, &error), &error);
    for (int k = 0; k < N; k++) {
        assert_ok(next(source, &frame, &name, &error), &error);
        assert_null(frame.image.pixels);
        assert_ok(sono_source_samples(source, &samples, &error), &error);
        if (k == 2)
            assert_true(!samples.data && !samples.n_bytes);
        else
            assert_memory_equal(samples.data, bytes + k * W * H, W * H);
    }
    sono_source_close(source);
}

static void test_start(void **state)
{
    (void)state;
    const uint8_t bytes[2] = {1, 2};
    char path[SONO_TEST_PATH_BYTES];
    sono_frame frame = SONO_TEST_FRAME;
    const char *name;
    write_file("start.mha",
               "NDims = 3\nDimSize = 1 1 2\nElementType = MET_UCHAR\nElementSpacing = 1 1 1\n"
               "RecordingStartTime = 1700000000.123456789\nSeq_Frame0001_Timestamp = 0.000000011\n"
               "Seq_Frame0001_ImageStatus = OK\nElementDataFile = LOCAL\n",
               bytes, 2, path);
    sono_source *source = open_sequence(path, NULL);
    assert_int_equal(sono_source_sequence(source)->start_ns, 1700000000123456789);
    assert_int_equal(sono_source_sequence(source)->has_images, 1); /* 1 x 1, but with a status */
    assert_ok(next(source, &frame, &name, NULL), NULL);
    assert_int_equal(frame.info.timestamp_ns, 0); /* it has none */
    assert_ok(next(source, &frame, &name, NULL), NULL);
    assert_int_equal(frame.info.timestamp_ns, 1700000000123456800);
    assert_true(frame.info.spacing_mm[0] == 0 && frame.info.spacing_mm[1] == 0);
    sono_source_close(source);
}

/* ---- what is refused ----------------------------------------------------------------------------------- */

typedef struct refusal {
    sono_status status;
    const char *text; /* that the error has */
    const char *header;
} refusal;

#define BIG "9223372036854775807"

static const refusal refusals[] = {
    {SONO_STATUS_FORMAT, "the file is empty", ""},
    {SONO_STATUS_FORMAT, "line without \"=\"", "just a text\nNDims = 3\n"},
    {SONO_STATUS_FORMAT, "no text", "ND\x01ms = 3\n"},
    {SONO_STATUS_FORMAT, "line ElementDataFile is missing",
     "NDims = 3\nDimSize = 5 3 4\nElementType = MET_UCHAR\n"},
    {SONO_STATUS_FORMAT, "without a name", MHA(" = 3\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "no \"DimSize\"", "NDims = 3\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_FORMAT, "no \"NDims\"",
     "DimSize = 5 3 4\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_FORMAT, "no \"ElementType\"", "NDims = 3\nDimSize = 5 3 4\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_UNSUPPORTED, "this type is not",
     "NDims = 3\nDimSize = 5 3 4\nElementType = MET_LONG_LONG\n"
     "ElementDataFile = LOCAL\n"},
    {SONO_STATUS_FORMAT, "DimSize \"5 3\"",
     "NDims = 3\nDimSize = 5 3\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_FORMAT, "DimSize",
     "NDims = 3\nDimSize = 5 -3 4\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_FORMAT, "DimSize",
     "NDims = 3\nDimSize = 5 3 " BIG "1\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_FORMAT, "more than a file can hold",
     "NDims = 3\nDimSize = 2147483647 2147483647 2147483647\n"
     "ElementType = MET_DOUBLE\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_LIMIT, "more than the 9216000",
     "NDims = 3\nDimSize = 100000 100000 1\nElementType = MET_UCHAR\n"
     "ElementDataFile = LOCAL\n"},
    {SONO_STATUS_FORMAT, "cut short: the header names 60 bytes of pixels", MHA("ElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "cut short", MHA("HeaderSize = -1\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "names 7000 bytes of compressed pixels",
     MHA("CompressedData = True\nCompressedDataSize = 7000\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "out of range",
     MHA("CompressedData = True\nCompressedDataSize = -7\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "neither True nor False", MHA("CompressedData = Maybe\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_UNSUPPORTED, "as text", MHA("BinaryData = False\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_UNSUPPORTED, "more than 4", MHA("ElementNumberOfChannels = 5\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_UNSUPPORTED, "2 8-bit components",
     MHA("ElementNumberOfChannels = 2\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "numbers above 0", MHA("ElementSpacing = 1 0 1\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "numbers above 0", MHA("ElementSpacing = 1 nan 1\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_UNSUPPORTED, "volumes",
     "NDims = 4\nDimSize = 5 3 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"},
    {SONO_STATUS_UNSUPPORTED, "2 to 4 dimensions",
     "NDims = 5\nDimSize = 5 3 1 1 1\nElementType = MET_UCHAR\n"
     "ElementDataFile = LOCAL\n"},
    {SONO_STATUS_UNSUPPORTED, "last dimension", MHA("Kinds = list domain domain\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_UNSUPPORTED, "one file for each slice", MHA("ElementDataFile = LIST 2\na.raw\nb.raw\n")},
    {SONO_STATUS_UNSUPPORTED, "in the header's folder", MHA("ElementDataFile = /etc/passwd\n")},
    {SONO_STATUS_UNSUPPORTED, "in the header's folder", MHA("ElementDataFile = a/../../b.raw\n")},
    {SONO_STATUS_UNSUPPORTED, "in the header's folder", MHA("ElementDataFile = slice%03d.raw\n")},
    {SONO_STATUS_IO, "missing.raw: cannot be opened", MHA("ElementDataFile = missing.raw\n")},
    {SONO_STATUS_IO, "not a regular file", MHA("ElementDataFile = .\n")},
    {SONO_STATUS_FORMAT, "names no frame's field",
     MHA("Seq_FrameX_Timestamp = 3\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "names no frame's field",
     MHA("Seq_Frame99999999999_A = 3\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "RecordingStartTime", MHA("RecordingStartTime = noon\nElementDataFile = LOCAL\n")},
    {SONO_STATUS_UNSUPPORTED, "ObjectType", "ObjectType = Tube\n" MHA("ElementDataFile = LOCAL\n")},
    {SONO_STATUS_FORMAT, "without \":\"", "NRRD0004\ntype uint8\n\n"},
    {SONO_STATUS_FORMAT, "no \"encoding\"", NRRD("\n")},
    {SONO_STATUS_UNSUPPORTED, "raw and gzip", NRRD("encoding: hex\n\n")},
    {SONO_STATUS_FORMAT, "no \"sizes\"", "NRRD0004\ntype: uint8\ndimension: 3\nencoding: raw\n\n"},
    {SONO_STATUS_FORMAT, "no \"endian\"",
     "NRRD0004\ntype: short\ndimension: 2\nsizes: 1 1\nencoding: raw\n\n"},
    {SONO_STATUS_FORMAT, "neither little nor big", NRRD("encoding: raw\nendian: middle\n\n")},
    {SONO_STATUS_UNSUPPORTED, "2 to 5", "NRRD0004\ntype: uint8\ndimension: 1\nsizes: 9\nencoding: raw\n\n"},
    {SONO_STATUS_FORMAT, "within 1..16", "NRRD0004\ntype: uint8\ndimension: 17\nsizes: 9\nencoding: raw\n\n"},
    {SONO_STATUS_UNSUPPORTED, "more than 4",
     "NRRD0004\ntype: uint8\ndimension: 3\nkinds: vector domain domain\n"
     "sizes: 5 1 1\nencoding: raw\n\n"},
    {SONO_STATUS_UNSUPPORTED, "last dimension", NRRD("encoding: raw\nkinds: list domain domain\n\n")},
    {SONO_STATUS_FORMAT, "space directions", NRRD("encoding: raw\nspace directions: (1,0 (0,1) none\n\n")},
    {SONO_STATUS_FORMAT, "spacings", NRRD("encoding: raw\nspacings: 1\n\n")},
    {SONO_STATUS_UNSUPPORTED, "line skip", NRRD("encoding: raw\nline skip: 2\n\n")},
    {SONO_STATUS_UNSUPPORTED, "byte skip", NRRD("encoding: gz\nbyte skip: -1\n\n")},
    {SONO_STATUS_FORMAT, "byte skip", NRRD("encoding: raw\nbyte skip: " BIG "\n\n")},
    {SONO_STATUS_FORMAT, "cut short", NRRD("encoding: raw\nbyte skip: 4000000000000000000\n\n")},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char path[SONO_TEST_PATH_BYTES];
        sono_error error = {0};
        sono_source *source = NULL;
        write_file("refused.mha", refusals[i].header, NULL, 0, path);
        const sono_status status = sono_source_open_sequence(path, NULL, &source, &error);
        if (status != refusals[i].status)
            fail_msg("refusal %zu: %s: %s", i, sono_status_name(status), error.text);
        assert_null(source);
        if (!strstr(error.text, refusals[i].text))
            fail_msg("refusal %zu: \"%s\" does not say \"%s\"", i, error.text, refusals[i].text);
        assert_non_null(strstr(error.text, refusals[i].status == SONO_STATUS_IO ? "/" : "refused.mha"));
    }
}

static void test_long_line(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    const size_t n = 1 << 20;
    char *text = sono_alloc(n + 1);
    sono_error error = {0};
    sono_source *source = NULL;
    assert_non_null(text);
    memset(text, 'a', n);
    write_file("long.mha", text, NULL, 0, path);
    sono_free(text);
    assert_status(SONO_STATUS_FORMAT, sono_source_open_sequence(path, NULL, &source, &error), &error);
    assert_non_null(strstr(error.text, "a line of more than"));
}

/* Fields that make no sense are an error for their frame alone. */
static void test_broken_fields(void **state)
{
    (void)state;
    uint8_t bytes[BYTES];
    char path[SONO_TEST_PATH_BYTES];
    sono_frame frame = SONO_TEST_FRAME;
    sono_error error = {0};
    const char *name;
    static const char *const reasons[] = {"Timestamp \"soon\" is not a time", "is not a matrix",
                                          "16 hex digits"};
    fill(bytes, sizeof bytes);
    write_file("broken.mha",
               MHA("Seq_Frame0000_Timestamp = soon\n"
                   "Seq_Frame0001_ImageToReferenceTransform = 1 2 3\n"
                   "Seq_Frame0002_SourceTimestamp = 12\nSeq_Frame0009_Timestamp = beyond\n"
                   "ElementDataFile = LOCAL\n"),
               bytes, sizeof bytes, path);
    sono_source *source = open_sequence(path, NULL);
    for (int k = 0; k < 3; k++) {
        assert_status(SONO_STATUS_FORMAT, next(source, &frame, &name, &error), &error);
        assert_non_null(strstr(error.text, reasons[k]));
        assert_true(error.offset_bytes > 0);
    }
    assert_ok(next(source, &frame, &name, &error), &error);
    expect_levels(&frame.image, 3);
    assert_status(SONO_STATUS_END, next(source, &frame, &name, &error), &error);
    sono_source_close(source);
}

/* Packed pixels that are damaged or end early give the frames before; then it is over. */
static void test_damaged(void **state)
{
    (void)state;
    uint8_t bytes[BYTES], packed[1024];
    fill(bytes, sizeof bytes);
    for (int kind = 0; kind < 3; kind++) {
        char path[SONO_TEST_PATH_BYTES];
        sono_frame frame = SONO_TEST_FRAME;
        sono_error error = {0};
        const char *name;
        size_t n = pack(bytes, kind == 2 ? 2 * W * H + 3 : sizeof bytes, 0, packed, sizeof packed);
        if (kind == 0)
            n = 40;
        if (kind == 1)
            memset(packed + 2, 0xff, n - 2);
        write_file("damaged.mha", MHA("CompressedData = True\nElementDataFile = LOCAL\n"), packed, n, path);
        sono_source *source = open_sequence(path, NULL);
        sono_status status = SONO_STATUS_OK;
        int n_good = 0;
        while ((status = next(source, &frame, &name, &error)) == SONO_STATUS_OK)
            expect_levels(&frame.image, (size_t)n_good++);
        assert_status(SONO_STATUS_FORMAT, status, &error);
        assert_non_null(strstr(error.text, kind == 1 ? "damaged" : "cut short"));
        assert_int_equal(n_good, kind == 0 ? n_good : kind == 1 ? 0 : 2);
        assert_status(SONO_STATUS_END, next(source, &frame, &name, &error), &error);
        sono_source_close(source);
    }
}

/* A header that names little, packed data that hold much: only what was named is unpacked. */
static void test_bomb(void **state)
{
    (void)state;
    const size_t n_zeros = 16 << 20;
    uint8_t *zeros = sono_alloc(n_zeros), *packed = sono_alloc(1 << 20);
    char path[SONO_TEST_PATH_BYTES];
    sono_frame frame = SONO_TEST_FRAME;
    const char *name;
    assert_true(zeros && packed);
    const size_t n = pack(zeros, n_zeros, 1, packed, 1 << 20);
    write_file("bomb.nrrd", NRRD("encoding: gzip\n\n"), packed, n, path);
    sono_source *source = open_sequence(path, NULL);
    for (int k = 0; k < N; k++)
        assert_ok(next(source, &frame, &name, NULL), NULL);
    assert_status(SONO_STATUS_END, next(source, &frame, &name, NULL), NULL);
    sono_source_close(source);
    sono_free(zeros);
    sono_free(packed);
}

/* 3 GiB of pixels, sparse: offsets have 64 bits, and frames without an image are passed over unread. */
static void test_large(void **state)
{
    (void)state;
    enum { SIDE = 1024, FRAMES = 3073 };
    char path[SONO_TEST_PATH_BYTES];
    const size_t n_text = (size_t)FRAMES * 48 + 256;
    char *text = sono_alloc(n_text);
    sono_frame frame = SONO_TEST_FRAME;
    sono_error error = {0};
    const char *name;
    assert_non_null(text);
    size_t n = (size_t)snprintf(text, n_text, "NDims = 3\nDimSize = %d %d %d\nElementType = MET_UCHAR\n",
                                SIDE, SIDE, FRAMES);
    for (int k = 0; k + 1 < FRAMES; k++)
        n += (size_t)snprintf(text + n, n_text - n, "Seq_Frame%04d_ImageStatus = INVALID\n", k);
    n += (size_t)snprintf(text + n, n_text - n, "ElementDataFile = LOCAL\n");
    write_file("large.mha", text, NULL, 0, path);
    sono_free(text);
    const int file = open(path, O_WRONLY);
    const off_t end = (off_t)n + (off_t)SIDE * SIDE * FRAMES;
    assert_true(file >= 0);
    const int is_made = !ftruncate(file, end) && pwrite(file, "\x5a", 1, end - 1) == 1;
    close(file);
    if (!is_made)
        sono_test_skip("no sparse file of 3 GiB");
    sono_source *source = open_sequence(path, NULL);
    for (int k = 0; k + 1 < FRAMES; k++)
        assert_status(SONO_STATUS_UNSUPPORTED, next(source, &frame, &name, &error), &error);
    assert_ok(next(source, &frame, &name, &error), &error);
    assert_int_equal(((const uint8_t *)frame.image.pixels)[SIDE * SIDE - 1], 0x5a);
    sono_source_close(source);
    unlink(path);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char path[SONO_TEST_PATH_BYTES];
    write_storage(&storages[4], path);
    for (uint64_t n = 1; n < 100; n++) {
        sono_source *source = NULL;
        sono_error error = {0};
        sono_frame frame = SONO_TEST_FRAME;
        const char *name;
        sono_alloc_fail_from(n);
        sono_status status = sono_source_open_sequence(path, NULL, &source, &error);
        while (status == SONO_STATUS_OK)
            status = next(source, &frame, &name, &error);
        sono_alloc_fail_from(0);
        sono_source_close(source);
        if (status == SONO_STATUS_END)
            return;
        assert_status(SONO_STATUS_OUT_OF_MEMORY, status, &error);
    }
    fail_msg("it never ends");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"0", 0},
                {"345.627957", 345627957000},
                {" 1.0000000019 ", 1000000001},
                {"-2.5", -2500000000},
                {".5", 500000000},
                {"7.", 7000000000},
                {"1e3", 1000000000000},
                {"1.5E-9", 1},
                {"9223372036.854775807", INT64_MAX},
                {"0.123456789123456789123456789", 123456789},
                {"1700000000.000000001", 1700000000000000001}};
    static const char *const bad[] = {"",      ".",    "x",   "1x",  "1.2.3", "1 2", "9223372036.854775808",
                                      "1e400", "1e11", "nan", "inf", "0x10",  "--1", "1e",
                                      "1e+"};
    int64_t ns, whole[2];
    double real[2];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(sono_numbers_ns(good[i].text, &ns), 0);
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!sono_numbers_ns(bad[i], &ns))
            fail_msg("\"%s\" was taken for %lld ns", bad[i], (long long)ns);
    assert_int_equal(sono_numbers_whole("3 -4", -4, 3, 2, whole), 0);
    assert_true(whole[0] == 3 && whole[1] == -4);
    assert_int_equal(sono_numbers_whole("3 4 5", 0, 9, 2, whole), -1);
    assert_int_equal(sono_numbers_whole("3", 0, 9, 2, whole), -1);
    assert_int_equal(sono_numbers_whole("99999999999999999999", 0, INT64_MAX, 1, whole), -1);
    assert_int_equal(sono_numbers_double("1e3 -.5", 2, real), 0);
    assert_true(real[0] == 1000 && real[1] == -0.5);
    assert_int_equal(sono_numbers_double("0x10", 1, real), -1);
    assert_int_equal(sono_numbers_double("inf", 1, real), -1);
    assert_int_equal(sono_numbers_double("1,5", 1, real), -1);
}

/* ---- together with images ------------------------------------------------------------------------------ */

static void test_files(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES], bad[SONO_TEST_PATH_BYTES];
    uint8_t bytes[BYTES];
    sono_source *source = NULL;
    sono_source_options options;
    sono_error error = {0};
    static const char *const expected[] = {
        "a.pgm",           "mixed_f0001.MHA", "mixed_f0002.MHA", "mixed_f0003.MHA",
        "mixed_f0004.MHA", "bad.nrrd",        "b.pgm",           "a.pgm"};
    fill(bytes, sizeof bytes);
    sono_test_path(folder, sizeof folder, "images.mha"); /* a folder, whatever its name */
    assert_int_equal(mkdir(folder, 0700), 0);
    write_file("images.mha/a.pgm", "P5 5 3 255\n", bytes, W * H, path);
    write_file("images.mha/b.pgm", "P5 5 3 255\n", bytes, W * H, path);
    write_file("images.mha/c.txt", "none", NULL, 0, path);
    char one[SONO_TEST_PATH_BYTES], other[SONO_TEST_PATH_BYTES];
    sono_test_path(one, sizeof one, "images.mha/a.pgm");
    sono_test_path(other, sizeof other, "images.mha/b.pgm");
    write_file("mixed.igs.MHA", plain_header, bytes, sizeof bytes, path);
    write_file("bad.nrrd", "NRRD0004\n\n", NULL, 0, bad);
    const char *const paths[] = {one, path, bad, other, folder};
    sono_source_options_init(&options);
    options.n_held = 3;
    assert_ok(sono_source_open_files(paths, 5, &options, &source, &error), &error);
    assert_int_equal(sono_source_count(source), 1 + 1 + 1 + 1 + 2);
    const char *suffixes;
    assert_int_equal(sono_source_left_out(source, &suffixes), 1);
    assert_string_equal(suffixes, ".txt");
    for (size_t i = 0; i < 9; i++) {
        sono_frame frame = SONO_TEST_FRAME;
        const char *name = NULL;
        const sono_status status = next(source, &frame, &name, &error);
        assert_int_equal(status, i == 3   ? SONO_STATUS_UNSUPPORTED
                                 : i == 5 ? SONO_STATUS_FORMAT
                                          : SONO_STATUS_OK);
        assert_string_equal(strrchr(name, '/') + 1, i < 8 ? expected[i] : "b.pgm");
        assert_int_equal(frame.info.frame_id, i);
        if (status == SONO_STATUS_OK)
            expect_levels(&frame.image, i > 0 && i < 5 ? i - 1 : 0);
    }
    sono_frame frame = SONO_TEST_FRAME;
    const char *name = "";
    assert_int_equal(sono_source_count(source), 9);
    assert_status(SONO_STATUS_END, next(source, &frame, &name, &error), &error);
    assert_null(name);
    sono_source_close(source);
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_source_open_files(paths, 0, NULL, &source, &error),
                  &error);
    for (uint64_t n = 1; n < 100; n++) {
        source = NULL;
        sono_alloc_fail_from(n);
        const sono_status status = sono_source_open_files(paths, 5, NULL, &source, &error);
        sono_alloc_fail_from(0);
        sono_source_close(source);
        if (status == SONO_STATUS_OK)
            return;
        assert_status(SONO_STATUS_OUT_OF_MEMORY, status, &error);
    }
    fail_msg("it never opens");
}

/* ---- the reference material ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t n_frames;
    int32_t width_px, height_px;
    sono_element element;
    int32_t components;
    int32_t has_images;
    int64_t last_ns;
} shared[] = {
    {"ColorNrrdSample.igs.nrrd", 1, 1152, 648, SONO_ELEMENT_U8, 3, 1, 0},
    {"NrrdSample.igs.nrrd", 1, 256, 256, SONO_ELEMENT_I16, 1, 1, 0},
    {"NwirePhantomFreehand.igs.nrrd", 97, 820, 616, SONO_ELEMENT_U8, 1, 1, 0},
    {"NwirePhantomFreehandCropped.igs.mha", 20, 200, 150, SONO_ELEMENT_U8, 1, 1, 0},
    {"SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed_Anonymized.igs.mha", 6, 640, 480,
     SONO_ELEMENT_U8, 1, 1, 0},
    {"SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed_Cropped_FlipX.igs.mha", 6, 260, 25,
     SONO_ELEMENT_U8, 1, 1, 0},
    {"UltrasonixLinearScanConvertedData.igs.mha", 1, 260, 400, SONO_ELEMENT_U8, 1, 1, 116045605000},
    {"UsSimulatorOutputSpinePhantom2CurvilinearBaselineNoUSCompressed.igs.mha", 15, 1, 1, SONO_ELEMENT_U8, 1,
     0, 0},
};

static void test_shared(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        char path[SONO_TEST_PATH_BYTES], relative[256];
        sono_source_options options;
        sono_error error = {0};
        sono_frame frame = SONO_TEST_FRAME;
        sono_status status = SONO_STATUS_OK;
        const char *name;
        int64_t n = 0, last_ns = 0;
        snprintf(relative, sizeof relative, "sequences/%s", shared[i].name);
        sono_test_need_shared(path, sizeof path, relative);
        sono_source_options_init(&options);
        options.float_low = 0;
        options.float_high = 255;
        options.pose_transform = "ProbeToTracker";
        sono_source *source = NULL;
        options.as_stored = !shared[i].has_images;
        if (options.as_stored)
            assert_status(SONO_STATUS_UNSUPPORTED, sono_source_open_sequence(path, NULL, &source, &error),
                          &error);
        source = open_sequence(path, &options);
        const sono_sequence_info *info = sono_source_sequence(source);
        assert_int_equal(info->n_frames, shared[i].n_frames);
        assert_int_equal(info->width_px, shared[i].width_px);
        assert_int_equal(info->height_px, shared[i].height_px);
        assert_int_equal(info->element, shared[i].element);
        assert_int_equal(info->components, shared[i].components);
        assert_int_equal(info->has_images, shared[i].has_images);
        for (; (status = next(source, &frame, &name, &error)) != SONO_STATUS_END; n++) {
            assert_ok(status, &error);
            assert_int_equal(frame.info.orientation, SONO_ORIENTATION_MF);
            assert_true(frame.info.spacing_mm[0] == 0);
            if (frame.info.timestamp_ns)
                assert_true(frame.info.timestamp_ns > last_ns);
            last_ns = frame.info.timestamp_ns;
            assert_int_equal(frame.info.has_pose, strstr(shared[i].name, "Nwire") || !shared[i].has_images);
        }
        assert_int_equal(n, shared[i].n_frames);
        assert_true(!shared[i].last_ns || last_ns == shared[i].last_ns);
        sono_source_close(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),        cmocka_unit_test(test_another_pose),
        cmocka_unit_test(test_escapes),       cmocka_unit_test(test_storages),
        cmocka_unit_test(test_held),          cmocka_unit_test(test_held_over_failure),
        cmocka_unit_test(test_files),         cmocka_unit_test(test_colour),
        cmocka_unit_test(test_window),        cmocka_unit_test(test_16_bits),
        cmocka_unit_test(test_as_stored),     cmocka_unit_test(test_start),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_broken_fields), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_bomb),          cmocka_unit_test(test_large),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_shared)};
    return sono_test_run("io/sequences", tests, sizeof tests / sizeof tests[0]);
}
