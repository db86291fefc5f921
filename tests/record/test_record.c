// SPDX-License-Identifier: Apache-2.0
/* The recorder: what it writes, where segments begin, what it never writes over, joining. */
#include "recording.h"
#include "test.h"

#include "base/alloc.h"
#include "record/record.h"
#include "record/record_private.h"
#include "record/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define W       12
#define H       7
#define BYTES   (W * H)
#define EPOCH   1700000000123456789
#define STEP_NS 16666667

/* A folder of its own for a test; prefix: DIR/rec. */
static void make_folder(const char *name, char dir[SONO_TEST_PATH_BYTES], char prefix[SONO_TEST_PATH_BYTES])
{
    sono_test_path(dir, SONO_TEST_PATH_BYTES, name);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_true(snprintf(prefix, SONO_TEST_PATH_BYTES, "%s/rec", dir) < SONO_TEST_PATH_BYTES);
}

static sono_record *open_record(const char *prefix, int32_t max_frames)
{
    sono_record_options options;
    sono_record *record = NULL;
    sono_error error = {0};
    sono_record_options_init(&options);
    options.prefix = prefix;
    if (max_frames)
        options.max_segment_frames = max_frames;
    assert_ok(sono_record_open(&options, &record, &error), &error);
    return record;
}

static sono_record_frame make_frame(uint8_t *pixels, uint64_t id)
{
    recording_fill(pixels, BYTES, id);
    return (sono_record_frame){.pixels = pixels,
                               .width_px = W,
                               .height_px = H,
                               .element = SONO_ELEMENT_U8,
                               .components = 1,
                               .id = id,
                               .timestamp_ns = EPOCH + (int64_t)id * STEP_NS};
}

static void add_frames(sono_record *record, uint64_t first_id, int n)
{
    uint8_t pixels[BYTES];
    sono_error error = {0};
    for (int i = 0; i < n; i++) {
        const sono_record_frame frame = make_frame(pixels, first_id + (uint64_t)i);
        assert_ok(sono_record_frame_add(record, &frame, &error), &error);
    }
}

static void expect_frames(const char *prefix, const char *rest, uint64_t first_id, int64_t n)
{
    char path[SONO_TEST_PATH_BYTES];
    assert_true(snprintf(path, sizeof path, "%s%s", prefix, rest) < (int)sizeof path);
    assert_int_equal(recording_check(path, first_id), n);
}

static void close_record(sono_record *record, int join)
{
    sono_error error = {0};
    assert_ok(sono_record_close(record, join, &error), &error);
}

/* ---- what is written ----------------------------------------------------------------------------------- */

static const char expected_header[] =
    "ObjectType = Image\nNDims = 3\nAnatomicalOrientation = RAI\nBinaryData = True\nBinaryDataByteOrderMSB = "
    "False\n"
    "CenterOfRotation = 0 0 0\nCompressedData = False\nDimSize = 2 1 2\nElementNumberOfChannels = 1\n"
    "ElementSpacing = 0.2 0.123456789 1\nElementType = MET_SHORT\nKinds = domain domain list\nOffset = 0 0 "
    "0\n"
    "TransformMatrix = 1 0 0 0 1 0 0 0 1\nUltrasoundImageOrientation = UNA\nUltrasoundImageType = "
    "BRIGHTNESS\n"
    "RecordedBy = sonoseg VERSION\nRecordingStartTime = 1700000000.123456789\nModel = a b%20\n"
    "Seq_Frame0000_ImageToReferenceTransform = 0.1 0 0 -1.1754944e-38 0 1 0 16777216 0 0 1 0.33333334 0 0 "
    "0 1\n"
    "Seq_Frame0000_ImageToReferenceTransformStatus = OK\n"
    "Seq_Frame0000_ProbeToTrackerTransform = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n"
    "Seq_Frame0000_ProbeToTrackerTransformStatus = INVALID\n"
    "Seq_Frame0000_Timestamp = 1.000000001\nSeq_Frame0000_UnfilteredTimestamp = -0.5\n"
    "Seq_Frame0000_FrameNumber = 18446744073709551615\nSeq_Frame0000_SourceTimestamp = 00000000deadbeef\n"
    "Seq_Frame0000_State = a%0Ab 50 % 50%2541 \xc3\xa9\nSeq_Frame0000_Score = \nSeq_Frame0000_ImageStatus = "
    "OK\n"
    "Seq_Frame0001_Timestamp = 0\nSeq_Frame0001_UnfilteredTimestamp = 0\nSeq_Frame0001_FrameNumber = 0\n"
    "Seq_Frame0001_ImageStatus = INVALID\nElementDataFile = rec_0001.raw\n";

static void add_full_frames(sono_record *record)
{
    const int16_t pixels[2] = {-3, 300};
    sono_error error = {0};
    const sono_record_transform transforms[] = {
        {"ImageToReference",
         {0.1f, 0, 0, -1.17549435e-38f, 0, 1, 0, 16777216, 0, 0, 1, 1.0f / 3, 0, 0, 0, 1},
         1},
        {"ProbeToTracker", {NAN, 0}, 1}};
    const sono_record_field fields[] = {{"State", "a\nb 50 % 50%41 \xc3\xa9"}, {"Score", ""}};
    sono_record_frame frame = {.pixels = pixels,
                               .width_px = 2,
                               .height_px = 1,
                               .element = SONO_ELEMENT_I16,
                               .components = 1,
                               .id = UINT64_MAX,
                               .timestamp_ns = EPOCH + 1000000001,
                               .unfiltered_ns = EPOCH - 500000000,
                               .raw_timestamp = 0xdeadbeef,
                               .spacing_mm = {0.2, 0.123456789},
                               .transforms = transforms,
                               .n_transforms = 2,
                               .fields = fields,
                               .n_fields = 2};
    assert_ok(sono_record_frame_add(record, &frame, &error), &error);
    frame = (sono_record_frame){.width_px = 2,
                                .height_px = 1,
                                .element = SONO_ELEMENT_I16,
                                .components = 1,
                                .timestamp_ns = EPOCH,
                                .spacing_mm = {0.2000001, 0.1234567}};
    assert_ok(sono_record_frame_add(record, &frame, &error), &error);
}

static void test_header(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    char expected[4096];
    struct stat facts;
    size_t n_bytes;
    make_folder("header", dir, prefix);
    char model[] = "a b ";
    sono_record_field field = {"Model", model};
    sono_record_options options;
    sono_record *record = NULL;
    sono_error error = {0};
    sono_record_options_init(&options);
    options.prefix = prefix;
    options.orientation = SONO_ORIENTATION_UN;
    options.start_ns = EPOCH;
    options.fields = &field;
    options.n_fields = 1;
    assert_ok(sono_record_open(&options, &record, &error), &error);
    memset(model, 'x', sizeof model - 1); /* texts were copied */
    field.name = NULL;
    add_full_frames(record);
    close_record(record, 0);

    const char *mark = strstr(expected_header, "VERSION");
    snprintf(expected, sizeof expected, "%.*s%s%s", (int)(mark - expected_header), expected_header,
             sono_version(), mark + strlen("VERSION"));
    snprintf(path, sizeof path, "%s_0001.igs.mhd", prefix);
    char *header = (char *)sono_test_read_file(path, &n_bytes);
    assert_string_equal(header, expected);
    sono_free(header);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "%s_0001.raw", prefix);
    uint8_t *raw = sono_test_read_file(path, &n_bytes);
    const int16_t pixels[] = {-3, 300, 0, 0};
    assert_int_equal(n_bytes, sizeof pixels);
    assert_memory_equal(raw, pixels, sizeof pixels);
    sono_free(raw);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_int_equal(recording_count(dir, ""), 2 + 1); /* with "." */
}

/* What was recorded, as our reader gives it: floats and nanoseconds bit for bit. */
static void test_read_back(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    sono_source *source = NULL;
    sono_source_options options;
    sono_frame frame = SONO_TEST_FRAME;
    sono_error error = {0};
    const char *name;
    make_folder("back", dir, prefix);
    sono_record *record = open_record(prefix, 0);
    add_full_frames(record);
    close_record(record, 0);
    sono_source_options_init(&options);
    options.as_stored = 1;
    snprintf(path, sizeof path, "%s_0001.igs.mhd", prefix);
    assert_ok(sono_source_open_sequence(path, &options, &source, &error), &error);
    assert_int_equal(sono_source_sequence(source)->start_ns, EPOCH + 1000000001);
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_int_equal(frame.info.timestamp_ns, EPOCH + 1000000001);
    assert_int_equal(frame.info.user, 0xdeadbeef);
    assert_true(frame.info.spacing_mm[0] == 0.2 && frame.info.spacing_mm[1] == 0.123456789);
    assert_int_equal(frame.info.has_pose, 1);
    int n_found = 0;
    for (int32_t i = 0; i < sono_source_field_count(source); i++) {
        sono_source_field field;
        assert_ok(sono_source_field_at(source, i, &field, &error), &error);
        if (!strcmp(field.name, "State"))
            n_found += !strcmp(field.value, "a\nb 50 % 50%41 \xc3\xa9");
        if (!strcmp(field.name, "Score"))
            n_found += !*field.value;
    }
    assert_int_equal(n_found, 2);
    const float *pose = frame.info.image_to_reference;
    assert_true(pose[0] == 0.1f && pose[3] == -1.17549435e-38f && pose[7] == 16777216 &&
                pose[11] == 1.0f / 3);
    assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
    assert_int_equal(frame.info.timestamp_ns, EPOCH);
    sono_source_close(source);
}

/* A frame whose time nobody knows has none; the start is that of the first that has one. */
static void test_no_time(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    uint8_t pixels[BYTES];
    sono_source *source = NULL;
    sono_error error = {0};
    const char *name;
    make_folder("time", dir, prefix);
    sono_record *record = open_record(prefix, 0);
    for (uint64_t id = 0; id < 3; id++) {
        sono_record_frame frame = make_frame(pixels, id);
        frame.timestamp_ns = id == 0 ? 0 : frame.timestamp_ns;
        assert_ok(sono_record_frame_add(record, &frame, &error), &error);
    }
    close_record(record, 0);
    snprintf(path, sizeof path, "%s_0001.igs.mhd", prefix);
    assert_ok(sono_source_open_sequence(path, NULL, &source, &error), &error);
    for (int64_t id = 0; id < 3; id++) {
        sono_frame frame = SONO_TEST_FRAME;
        assert_ok(sono_source_next(source, &frame.image, &frame.info, &name, &error), &error);
        assert_int_equal(frame.info.timestamp_ns, id ? EPOCH + id * STEP_NS : 0);
    }
    sono_source_close(source);
}

static void test_pitch(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES];
    enum { TALL = 150, PITCH = 40 };
    static uint8_t pixels[TALL * PITCH], rows[TALL * 2 * 3];
    sono_error error = {0};
    make_folder("pitch", dir, prefix);
    recording_fill(rows, sizeof rows, 5);
    sono_record *record = open_record(prefix, 0);
    sono_record_frame frame = make_frame(pixels, 5);
    memset(pixels, 0xee, sizeof pixels);
    for (int y = 0; y < TALL; y++)
        memcpy(pixels + y * PITCH, rows + 6 * y, 6);
    frame.width_px = 2;
    frame.height_px = TALL;
    frame.components = 3;
    frame.pitch_bytes = PITCH;
    assert_ok(sono_record_frame_add(record, &frame, &error), &error);
    close_record(record, 0);
    expect_frames(prefix, "_0001.igs.mhd", 5, 1);
}

/* ---- segments ------------------------------------------------------------------------------------------ */

static void test_segments(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES];
    sono_record_options options;
    sono_record *record = NULL;
    sono_record_info info;
    sono_error error = {0};
    make_folder("segments", dir, prefix);
    sono_record_options_init(&options);
    options.prefix = prefix;
    options.max_segment_bytes = 3 * BYTES + 5;
    assert_ok(sono_record_open(&options, &record, &error), &error);
    sono_record_query(record, &info);
    assert_string_equal(info.header_path, "");
    add_frames(record, 100, 7);
    sono_record_query(record, &info);
    assert_int_equal(info.n_frames, 7);
    assert_int_equal(info.n_synced, 7); /* the last segment's first frame is synced at once */
    assert_int_equal(info.n_segments, 3);
    assert_int_equal(info.n_bytes, 7 * BYTES);
    assert_non_null(strstr(info.header_path, "rec_0003.igs.mhd"));
    close_record(record, 0);
    expect_frames(prefix, "_0001.igs.mhd", 100, 3);
    expect_frames(prefix, "_0002.igs.mhd", 103, 3);
    expect_frames(prefix, "_0003.igs.mhd", 106, 1);

    sono_record_frame frame = {
        .width_px = 4 * W, .height_px = H, .element = SONO_ELEMENT_U8, .components = 1};
    assert_ok(sono_record_open(&options, &record, &error), &error);
    assert_status(SONO_STATUS_LIMIT, sono_record_frame_add(record, &frame, &error), &error);
    add_frames(record, 7, 1); /* it did not end the recording */
    close_record(record, 0);
    expect_frames(prefix, "_0004.igs.mhd", 7, 1);
}

static void test_type_changes(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    static uint8_t pixels[64 * BYTES];
    make_folder("changes", dir, prefix);
    sono_record *record = open_record(prefix, 0);
    sono_record_frame frames[6];
    for (int i = 0; i < 6; i++)
        frames[i] = make_frame(pixels, (uint64_t)i);
    frames[1].height_px = H + 1;
    frames[2].height_px = H + 1;
    frames[2].components = 3;
    frames[3].element = SONO_ELEMENT_F32;
    frames[4].element = SONO_ELEMENT_F32;
    frames[4].spacing_mm[0] = frames[4].spacing_mm[1] = 0.5;
    frames[5] = frames[4];
    frames[5].id = 5;
    frames[5].spacing_mm[0] = 0.50001; /* float noise: no change */
    for (int i = 0; i < 6; i++) {
        sono_error error = {0};
        recording_fill(pixels, sizeof pixels, (uint64_t)i);
        assert_ok(sono_record_frame_add(record, &frames[i], &error), &error);
    }
    close_record(record, 0);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s_%04d.igs.mhd", prefix, i + 1);
        assert_int_equal(recording_check(path, (uint64_t)i), i == 4 ? 2 : 1);
    }
    assert_int_equal(recording_count(dir, ".raw"), 5);
}

/* A header that is full begins a segment, too. */
static void test_full_header(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], value[SONO_RECORD_MAX_VALUE_BYTES + 1];
    uint8_t pixels[BYTES];
    sono_record_field fields[SONO_RECORD_MAX_FIELDS];
    sono_record_options options;
    sono_record *record = NULL;
    sono_error error = {0};
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (int i = 0; i < SONO_RECORD_MAX_FIELDS; i++)
        fields[i] = (sono_record_field){"AnyNameThatIsLong", value};
    make_folder("full", dir, prefix);
    sono_record_options_init(&options);
    options.prefix = prefix;
    options.max_header_bytes = 512 << 10;
    options.fields = fields;
    options.n_fields = SONO_RECORD_MAX_FIELDS;
    assert_ok(sono_record_open(&options, &record, &error), &error);
    for (int i = 0; i < 20; i++) {
        sono_record_frame frame = make_frame(pixels, (uint64_t)i);
        frame.fields = fields;
        frame.n_fields = SONO_RECORD_MAX_FIELDS;
        assert_ok(sono_record_frame_add(record, &frame, &error), &error);
    }
    close_record(record, 0);
    const int n_each =
        ((512 << 10) - (64 << 10)) / (SONO_RECORD_MAX_FIELDS * (SONO_RECORD_MAX_VALUE_BYTES + 37));
    assert_true(n_each > 3);
    expect_frames(prefix, "_0001.igs.mhd", 0, n_each);
    expect_frames(prefix, "_0002.igs.mhd", (uint64_t)n_each, n_each);
}

static void test_never_overwrites(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    static const char *const taken[] = {"_0001.raw", "_0002.igs.mhd", "_0003.igs.mha"};
    make_folder("taken", dir, prefix);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", prefix, taken[i]);
        sono_test_write_file(path, "mine", 4);
    }
    sono_record *record = open_record(prefix, 2);
    add_frames(record, 0, 3);
    close_record(record, 0);
    expect_frames(prefix, "_0004.igs.mhd", 0, 2);
    expect_frames(prefix, "_0005.igs.mhd", 2, 1);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", prefix, taken[i]);
        size_t n_bytes;
        uint8_t *bytes = sono_test_read_file(path, &n_bytes);
        assert_true(n_bytes == 4 && !memcmp(bytes, "mine", 4));
        sono_free(bytes);
    }
    assert_int_equal(recording_count(dir, ".raw"), 3);
}

/* ---- joining ------------------------------------------------------------------------------------------- */

static void test_join(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    struct stat facts;
    make_folder("join", dir, prefix);
    sono_record *record = open_record(prefix, 3);
    add_frames(record, 40, 8);
    close_record(record, 1);
    expect_frames(prefix, "_0001.igs.mha", 40, 3);
    expect_frames(prefix, "_0002.igs.mha", 43, 3);
    expect_frames(prefix, "_0003.igs.mha", 46, 2);
    assert_int_equal(recording_count(dir, ""), 3 + 1);
    snprintf(path, sizeof path, "%s_0003.igs.mha", prefix);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
}

static void expect_join(const char *header_path, sono_status status, const char *text)
{
    sono_error error = {0};
    assert_status(status, sono_record_join(header_path, NULL, 0, &error), &error);
    if (!strstr(error.text, text))
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
}

static void test_join_later(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    char joined[SONO_TEST_PATH_BYTES + 32], out[SONO_TEST_PATH_BYTES + 32];
    sono_error error = {0};
    make_folder("later", dir, prefix);
    snprintf(path, sizeof path, "%s_0001.igs.mhd", prefix);
    snprintf(joined, sizeof joined, "%s_0001.igs.mha", prefix);
    sono_record *record = open_record(prefix, 0);
    add_frames(record, 0, 4);
    assert_ok(sono_record_sync(record, &error), &error);
    add_frames(record, 4, 2); /* not synced: as if it were killed here */
    expect_join(path, SONO_STATUS_STATE, "is being recorded");
    record->segment.n_synced = record->segment.n_frames;
    close_record(record, 0);

    sono_test_write_file(joined, "mine", 4);
    expect_join(path, SONO_STATUS_IO, "exists");
    assert_int_equal(unlink(joined), 0);
    assert_ok(sono_record_join(path, out, sizeof out, &error), &error);
    assert_string_equal(out, joined);
    assert_int_equal(recording_check(joined, 0), 4);
    assert_int_equal(recording_count(dir, ""), 1 + 1);
    expect_join(path, SONO_STATUS_IO, "cannot be read");
    expect_join(joined, SONO_STATUS_INVALID_ARGUMENT, "only a NAME_0001.igs.mhd");
}

static void test_join_refuses(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    char raw[SONO_TEST_PATH_BYTES + 32];
    static const char start[] =
        "NDims = 3\nCompressedData = False\nDimSize = 2 2 %s\nElementNumberOfChannels = 1\n"
        "ElementType = %s\nRecordedBy = sonoseg\nElementDataFile = %s";
    static const struct {
        const char *frames, *type, *end, *text;
    } cases[] = {{"3", "MET_UCHAR", "rec_0001.raw\n", "has 8 bytes"},
                 {"2", "MET_UCHAR", "rec_0001.raw", "last line"},
                 {"2", "MET_UCHAR", "LOCAL\n", "in a file beside it"},
                 {"2", "MET_UCHAR", "../rec_0001.raw\n", "in a file beside it"},
                 {"2", "MET_UCHAR", "rec_0001.raw\nMore = 1\n", "last line"},
                 {"2", "MET_VOID", "rec_0001.raw\n", "not a header that sonoseg wrote"},
                 {"-2", "MET_UCHAR", "rec_0001.raw\n", "out of range"},
                 {"99999999999999999999", "MET_UCHAR", "rec_0001.raw\n", "out of range"}};
    make_folder("refuses", dir, prefix);
    snprintf(path, sizeof path, "%s_0001.igs.mhd", prefix);
    snprintf(raw, sizeof raw, "%s_0001.raw", prefix);
    sono_test_write_file(raw, "12345678", 8);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[512];
        snprintf(header, sizeof header, start, cases[i].frames, cases[i].type, cases[i].end);
        sono_test_write_file(path, header, strlen(header));
        expect_join(path, SONO_STATUS_FORMAT, cases[i].text);
        assert_int_equal(recording_count(dir, ""), 2 + 1);
    }
}

/* ---- what is refused, what ends it --------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {"State", "a", "Box-1.x_y", "ImageToReference"};
    static const char *const bad[] = {"",
                                      "1a",
                                      "a b",
                                      "a=b",
                                      "Timestamp",
                                      "imagestatus",
                                      "NDims",
                                      "XToYTransform",
                                      "XToYTransformStatus",
                                      "Seq_Frame0000_A",
                                      "a\n",
                                      "\xc3\xa9",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    char value[SONO_RECORD_MAX_VALUE_BYTES + 2];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(sono_record_name_is_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (sono_record_name_is_valid(bad[i]))
            fail_msg("\"%s\" is no name", bad[i]);
    assert_false(sono_record_name_is_valid(NULL));
    assert_false(sono_record_field_is_valid(&(sono_record_field){"State", value}));
    assert_true(sono_record_field_is_valid(&(sono_record_field){"State", value + 1}));
    value[1] = '\n'; /* takes three bytes */
    assert_false(sono_record_field_is_valid(&(sono_record_field){"State", value + 1}));
    assert_false(sono_record_field_is_valid(&(sono_record_field){"State", NULL}));
}

static void test_options(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"",        NULL,       "x/",         "/tmp/.hidden",
                                           "/tmp/-x", "/tmp/a b", "/tmp/100%d", "/tmp/a\nb"};
    sono_record_options options;
    sono_record *record = NULL;
    sono_error error = {0};
    sono_record_options_init(&options);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        options.prefix = prefixes[i];
        assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_record_open(&options, &record, &error), &error);
    }
    options.prefix = "/nonexistent/folder/rec";
    assert_status(SONO_STATUS_IO, sono_record_open(&options, &record, &error), &error);
    assert_non_null(strstr(error.text, "/nonexistent/folder"));
    options.prefix = "rec";
    options.max_segment_bytes = -1;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_record_open(&options, &record, &error), &error);
    options.max_segment_bytes = 0;
    options.max_header_bytes = 1000;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_record_open(&options, &record, &error), &error);
    sono_record_options_init(&options);
    options.prefix = "rec";
    options.fields = &(sono_record_field){"NDims", "4"};
    options.n_fields = 1;
    assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_record_open(&options, &record, &error), &error);
    assert_null(record);
    assert_ok(sono_record_close(NULL, 1, &error), &error);
}

static void test_frames_refused(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES];
    uint8_t pixels[BYTES];
    make_folder("frames", dir, prefix);
    sono_record *record = open_record(prefix, 0);
    sono_record_frame frames[9];
    for (int i = 0; i < 9; i++)
        frames[i] = make_frame(pixels, 0);
    frames[0].width_px = 0;
    frames[1].height_px = 65536;
    frames[2].element = (sono_element)9;
    frames[3].components = 5;
    frames[4].pitch_bytes = W - 1;
    frames[5].spacing_mm[1] = -1;
    frames[6].transforms = &(sono_record_transform){.name = "Timestamp"};
    frames[6].n_transforms = 1;
    frames[7].n_fields = 1;
    frames[8].timestamp_ns = INT64_MIN;
    frames[8].unfiltered_ns = INT64_MAX;
    for (int i = 0; i < 9; i++) {
        sono_error error = {0};
        assert_status(SONO_STATUS_INVALID_ARGUMENT, sono_record_frame_add(record, &frames[i], &error),
                      &error);
        assert_non_null(strstr(error.text, "recording: "));
    }
    assert_int_equal(recording_count(dir, ""), 0 + 1); /* nothing was made */
    add_frames(record, 3, 2);
    close_record(record, 0);
    expect_frames(prefix, "_0001.igs.mhd", 3, 2);
}

/* A disk that is full in the middle of frame 6: the five before it are there, and it is over. */
static void record_beyond_limit(const char *prefix)
{
    const struct rlimit limit = {5 * BYTES + BYTES / 2, 5 * BYTES + BYTES / 2};
    uint8_t pixels[BYTES];
    sono_error error = {0}, again = {0};
    sono_record *record = open_record(prefix, 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    add_frames(record, 0, 1); /* with its header, longer than that */
    sono_status status = SONO_STATUS_OK;
    if (setrlimit(RLIMIT_FSIZE, &limit))
        _exit(10);
    for (uint64_t id = 1; id < 10 && status == SONO_STATUS_OK; id++) {
        const sono_record_frame frame = make_frame(pixels, id);
        status = sono_record_frame_add(record, &frame, &error);
    }
    const sono_status second = sono_record_sync(record, &again);
    const int is_same = status == SONO_STATUS_IO && second == SONO_STATUS_IO &&
                        !strcmp(error.text, again.text) && error.native_code == EFBIG &&
                        strstr(error.text, "rec_0001.raw");
    _exit(is_same && sono_record_close(record, 1, &again) == SONO_STATUS_IO ? 0 : 11);
}

static void test_full_disk(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES];
    int status = 0;
    make_folder("disk", dir, prefix);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (!child)
        record_beyond_limit(prefix);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    /* The limit leaves no room for a header of five frames: what the first sync left is there, whole. */
    expect_frames(prefix, "_0001.igs.mhd", 0, 1);
    assert_int_equal(recording_count(dir, ".part"), 0);
}

static int64_t room; /* bytes until the disk is full */

static ssize_t write_until_full(int file, const struct iovec *pieces, int n_pieces, off_t at)
{
    if (room <= 0) {
        errno = ENOSPC;
        return -1;
    }
    const size_t n =
        (int64_t)pieces->iov_len < room ? pieces->iov_len : (size_t)room; /* one piece, perhaps not whole */
    const ssize_t written = sono_record_real_disk.write_at(file, &(struct iovec){pieces->iov_base, n}, 1, at);
    room -= (n_pieces > 0 && written > 0) ? written : 0;
    return written;
}

/* A disk that is full for pixels, but for a moment only: the header still gets the frames that are whole. */
static ssize_t write_but_once(int file, const struct iovec *pieces, int n_pieces, off_t at)
{
    if (room == 0) {
        room = -1;
        errno = ENOSPC;
        return -1;
    }
    room -= room > 0;
    return sono_record_real_disk.write_at(file, pieces, n_pieces, at);
}

static void test_full_for_pixels(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES];
    uint8_t pixels[BYTES];
    sono_error error = {0};
    sono_record_disk disk = sono_record_real_disk;
    make_folder("pixels", dir, prefix);
    sono_record *record = open_record(prefix, 0);
    add_frames(record, 0, 1);
    disk.write_at = write_but_once;
    room = 4;
    sono_record_set_disk(record, &disk);
    add_frames(record, 1, 4);
    const sono_record_frame frame = make_frame(pixels, 5);
    assert_status(SONO_STATUS_IO, sono_record_frame_add(record, &frame, &error), &error);
    assert_int_equal(error.native_code, ENOSPC);
    assert_status(SONO_STATUS_IO, sono_record_close(record, 1, &error), &error);
    expect_frames(prefix, "_0001.igs.mhd", 0, 5);
}

/* Full at every possible byte: what is there is whole, and the error latches. */
static void test_full_anywhere(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES + 32];
    uint8_t pixels[BYTES];
    sono_record_disk disk = sono_record_real_disk;
    disk.write_at = write_until_full;
    make_folder("anywhere", dir, prefix);
    int n_failed = 0;
    for (int64_t size = 0; size < 3000; size += 53) {
        sono_error error = {0};
        sono_record_info info;
        sono_status status = SONO_STATUS_OK;
        sono_record *record = open_record(prefix, 0);
        room = size;
        sono_record_set_disk(record, &disk);
        for (uint64_t id = 0; id < 3 && status == SONO_STATUS_OK; id++) {
            const sono_record_frame frame = make_frame(pixels, id);
            status = sono_record_frame_add(record, &frame, &error);
            if (status == SONO_STATUS_OK)
                status = sono_record_sync(record, &error);
        }
        sono_record_query(record, &info);
        snprintf(path, sizeof path, "%s", info.header_path);
        const sono_status closed = sono_record_close(record, 0, &error);
        assert_int_equal(closed, status);
        n_failed += status != SONO_STATUS_OK;
        const int has_header = !access(path, F_OK);
        assert_int_equal(has_header, info.n_synced > 0);
        if (has_header)
            assert_int_equal(recording_check(path, 0), (int64_t)info.n_synced);
    }
    assert_true(n_failed > 20);
    assert_int_equal(recording_count(dir, ".part"), 0);
}

static int n_syncs;

static int fail_sync(int file)
{
    (void)file;
    n_syncs++;
    errno = EIO;
    return -1;
}

/* After a failed sync the kernel may have dropped pages: a second that succeeds would say nothing. */
static void test_sync_fails(void **state)
{
    (void)state;
    char dir[SONO_TEST_PATH_BYTES], prefix[SONO_TEST_PATH_BYTES];
    uint8_t pixels[BYTES];
    sono_error error = {0}, again = {0};
    sono_record_disk disk = sono_record_real_disk;
    make_folder("sync", dir, prefix);
    sono_record *record = open_record(prefix, 0);
    add_frames(record, 0, 1);
    disk.sync_data = fail_sync;
    sono_record_set_disk(record, &disk);
    add_frames(record, 1, 2);
    assert_status(SONO_STATUS_IO, sono_record_sync(record, &error), &error);
    assert_int_equal(error.native_code, EIO);
    sono_record_set_disk(record, &sono_record_real_disk);
    const sono_record_frame frame = make_frame(pixels, 3);
    assert_status(SONO_STATUS_IO, sono_record_frame_add(record, &frame, &again), &again);
    assert_string_equal(again.text, error.text);
    assert_status(SONO_STATUS_IO, sono_record_sync(record, &again), &again);
    assert_status(SONO_STATUS_IO, sono_record_close(record, 1, &again), &again);
    assert_int_equal(n_syncs, 1);
    expect_frames(prefix, "_0001.igs.mhd", 0, 1);
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } times[] = {{0, "0"},
                 {1, "0.000000001"},
                 {-1, "-0.000000001"},
                 {1500000000, "1.5"},
                 {60000000000, "60"},
                 {INT64_MIN, "-9223372036.854775808"}};
    char bytes[64];
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        sono_record_text text = {.bytes = bytes, .capacity_bytes = sizeof bytes};
        sono_record_text_add_seconds(&text, times[i].ns);
        assert_int_equal(text.n_bytes, strlen(times[i].text));
        assert_memory_equal(bytes, times[i].text, text.n_bytes);
    }
    uint32_t bits = 1;
    for (int i = 0; i < 20000; i++) { /* floats come back bit for bit */
        float value, back;
        bits = bits * 1664525u + 1013904223u;
        memcpy(&value, &bits, sizeof value);
        if (value - value != 0)
            continue;
        sono_record_text text = {.bytes = bytes, .capacity_bytes = sizeof bytes - 1};
        sono_record_text_add_float(&text, value);
        bytes[text.n_bytes] = 0;
        back = strtof(bytes, NULL);
        assert_memory_equal(&back, &value, sizeof back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_pitch),         cmocka_unit_test(test_no_time),
        cmocka_unit_test(test_segments),      cmocka_unit_test(test_type_changes),
        cmocka_unit_test(test_full_header),   cmocka_unit_test(test_never_overwrites),
        cmocka_unit_test(test_join),          cmocka_unit_test(test_join_later),
        cmocka_unit_test(test_join_refuses),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_options),       cmocka_unit_test(test_frames_refused),
        cmocka_unit_test(test_full_disk),     cmocka_unit_test(test_full_for_pixels),
        cmocka_unit_test(test_full_anywhere), cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_text)};
    return sono_test_run("record/record", tests, sizeof tests / sizeof tests[0]);
}
