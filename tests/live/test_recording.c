// SPDX-License-Identifier: Apache-2.0
// labels: threads timeout=60
/* The recording beside the service: pairs with the same frame numbers, and disks that are full, slow or hang.
 */
#include "recording.h"
#include "serve/recording.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIDE_PX  64
#define N_PIXELS (SIDE_PX * SIDE_PX)

/* ---- a disk that hangs: this fdatasync() takes the place of the system's ------------------------------- */

static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

int fdatasync(int fd)
{
    pthread_mutex_lock(&disk);
    pthread_mutex_unlock(&disk);
    return fsync(fd);
}

/* ---- frames -------------------------------------------------------------------------------------------- */

static uint8_t pixels[1200 * 1920 * 4], mask[N_PIXELS];

static void configure(sono_serve_config *config, const char *folder)
{
    char path[SONO_TEST_PATH_BYTES];
    sono_serve_config_init(config);
    sono_test_path(path, sizeof path, folder);
    mkdir(path, 0777);
    snprintf(config->record_folder, sizeof config->record_folder, "%.500s", path);
    snprintf(config->record_name, sizeof config->record_name, "rec");
    config->record_queue_mb = 8;
}

static void fill(sono_serve_frame *frame, uint64_t id, int32_t width_px, int32_t height_px)
{
    memset(frame, 0, sizeof *frame);
    frame->id = id;
    frame->timestamp = (UINT64_C(1700000000) << 32) + id * 71582788; /* about 60 a second */
    snprintf(frame->device, sizeof frame->device, "Image_Reference");
    for (int i = 0; i < 12; i++)
        frame->image.matrix[i] = 0.1f * (float)(i + 1);
    sono_image_init(&frame->pixels);
    sono_frame_info_init(&frame->info);
    frame->pixels.pixels = pixels;
    frame->pixels.width_px = width_px;
    frame->pixels.height_px = height_px;
    frame->pixels.format = SONO_PIXEL_GRAY8;
    frame->info.timestamp_ns = sono_igtl_timestamp_ns(frame->timestamp);
    frame->n_transforms = 2;
    snprintf(frame->transforms[0].name, SONO_SERVE_NAME_BYTES, "ImageToReference");
    snprintf(frame->transforms[1].name, SONO_SERVE_NAME_BYTES, "ProbeToTracker");
    for (int i = 0; i < 12; i++)
        frame->transforms[0].matrix[i] = (float)i / 3;
    frame->transforms[0].is_valid = 1;
    recording_fill(pixels, (size_t)width_px * (size_t)height_px, id);
}

static sono_serve_result result_of(uint64_t id)
{
    recording_fill(mask, N_PIXELS, id);
    return (sono_serve_result){
        .frame = id,
        .state = SONO_STATE_VISIBLE,
        .score = 0.875f,
        .bbox_xyxy_px = {1, 2.5f, 30, 40},
        .width_px = SIDE_PX,
        .height_px = SIDE_PX,
        .mask = mask,
        .is_judged = 1,
        .quality = 640,
        .agreement = -1,
        .parts = {.score = 900, .iou = -1, .agreement = -1, .moved_x = -3, .has_box = 1}};
}

static void put_image(sono_serve_recording *recording, uint64_t id)
{
    sono_serve_frame frame;
    fill(&frame, id, SIDE_PX, SIDE_PX);
    sono_serve_recording_image(recording, &frame);
}

/* reason NULL: shown. has_result 0: the engine never saw it. */
static void put_mask(sono_serve_recording *recording, uint64_t id, int has_result, const char *reason)
{
    sono_serve_frame frame;
    const sono_serve_result result = result_of(id);
    fill(&frame, id, SIDE_PX, SIDE_PX);
    sono_serve_recording_mask(recording, &frame, has_result ? &result : NULL, reason);
}

/* ---- reading back -------------------------------------------------------------------------------------- */

static sono_source *open_recorded(const sono_serve_config *config, const char *name)
{
    char path[2 * SONO_TEST_PATH_BYTES];
    sono_source *source = NULL;
    sono_source_options options;
    sono_error error;
    snprintf(path, sizeof path, "%s/%s", config->record_folder, name);
    sono_source_options_init(&options);
    options.as_stored = 1;
    assert_ok(sono_source_open_sequence(path, &options, &source, &error), &error);
    return source;
}

static const char *field(const sono_source *source, const char *name)
{
    static sono_source_field found;
    for (int32_t i = 0; i < sono_source_field_count(source); i++)
        if (!sono_source_field_at(source, i, &found, NULL) && !strcmp(found.name, name))
            return found.value;
    return "";
}

/* Reads one frame and checks its number; returns its pixels. */
static const uint8_t *expect_frame(sono_source *source, const char *number)
{
    sono_image image;
    sono_frame_info info;
    sono_samples samples;
    sono_error error;
    const char *name;
    sono_image_init(&image);
    sono_frame_info_init(&info);
    assert_ok(sono_source_next(source, &image, &info, &name, &error), &error);
    assert_string_equal(number, field(source, "FrameNumber"));
    assert_ok(sono_source_samples(source, &samples, &error), &error);
    return samples.data;
}

static int is_told(const sono_serve_recording *recording, int timeout_ms)
{
    struct pollfd at = {.fd = sono_serve_recording_fd(recording), .events = POLLIN};
    return poll(&at, 1, timeout_ms) == 1;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

/* Masks come out of order, one not at all: the pair has the images' order and every number. */
static void test_pair(void **state)
{
    (void)state;
    sono_serve_config config;
    sono_serve_recording *recording = NULL;
    sono_serve_recording_facts facts;
    sono_error error;
    configure(&config, "pair");
    assert_ok(sono_serve_recording_open(&config, &recording, &error), &error);
    for (uint64_t id = 5; id <= 9; id++)
        put_image(recording, id);
    put_mask(recording, 6, 0, "superseded");
    put_mask(recording, 5, 1, NULL);
    put_mask(recording, 8, 1, NULL);
    put_mask(recording, 7, 1, "late");
    put_mask(recording, 7, 1, NULL);  /* a second one counts nothing */
    put_mask(recording, 77, 1, NULL); /* not of any image */
    sono_serve_recording_query(recording, &facts);
    assert_true(facts.is_on && facts.recorded == 5 && !facts.dropped && !*facts.error);
    assert_ok(sono_serve_recording_close(recording, &error), &error);

    sono_source *images = open_recorded(&config, "rec_0001.igs.mha");
    sono_source *masks = open_recorded(&config, "rec_masks_0001.igs.mha");
    static const char *const numbers[] = {"5", "6", "7", "8", "9"};
    static const char *const reasons[] = {"", "superseded", "late", "", "stopped"};
    static const char *const processed[] = {"1", "0", "1", "1", "0"};
    for (uint64_t i = 0; i < 5; i++) {
        const int is_seen = processed[i][0] == '1';
        const uint8_t *image = expect_frame(images, numbers[i]);
        for (size_t at = 0; at < N_PIXELS; at++)
            assert_true(image[at] == recording_byte(i + 5, at));
        assert_string_equal("INVALID", field(images, "ProbeToTrackerTransformStatus"));
        assert_string_equal("OK", field(images, "ImageToReferenceTransformStatus"));
        assert_int_equal(0, strncmp("0 1 2 3 0.333333", field(images, "ImageToReferenceTransform"), 16));
        assert_int_equal(0, strncmp("0.1", field(images, "ImageMatrix"), 3));
        const char *const is_lost = *reasons[i] ? "LOST" : "VISIBLE";
        const uint8_t *values = expect_frame(masks, numbers[i]);
        assert_string_equal(is_lost, field(masks, "State"));
        assert_string_equal(*reasons[i] ? reasons[i] : "OK", field(masks, "Reason"));
        assert_string_equal(processed[i], field(masks, "Processed"));
        assert_string_equal(is_seen ? "0.875" : "", field(masks, "Score"));
        assert_string_equal(is_seen ? "1 2.5 30 40" : "", field(masks, "BBox"));
        assert_string_equal(is_seen ? "640" : "", field(masks, "Quality"));
        assert_string_equal(is_seen ? "900 -1 0 0 0 0 -1 0 0 -3 0 1 0" : "", field(masks, "Parts"));
        char stamp[32];
        snprintf(stamp, sizeof stamp, "%s", field(images, "SourceTimestamp"));
        assert_string_equal(stamp, field(masks, "SourceTimestamp"));
        for (size_t at = 0; at < N_PIXELS; at++)
            assert_true(values[at] == (*reasons[i] ? 0 : recording_byte(i + 5, at)));
    }
    sono_source_close(images);
    sono_source_close(masks);
}

static void test_options(void **state)
{
    (void)state;
    sono_serve_config config;
    sono_serve_recording *recording = NULL;
    sono_error error;
    configure(&config, "options");
    config.record_masks = config.record_join = 0;
    assert_ok(sono_serve_recording_open(&config, &recording, &error), &error);
    for (uint64_t id = 1; id <= 300; id++) { /* more than the pairs that may wait */
        put_image(recording, id);
        put_mask(recording, id, 1, NULL);
    }
    assert_ok(sono_serve_recording_close(recording, &error), &error);
    assert_int_equal(1, recording_count(config.record_folder, ".igs.mhd"));
    assert_int_equal(0, recording_count(config.record_folder, ".mha"));
    snprintf(config.record_folder, sizeof config.record_folder, "no/such/folder");
    assert_int_equal(SONO_STATUS_IO, sono_serve_recording_open(&config, &recording, &error));
    assert_non_null(strstr(error.text, "no/such/folder"));
    assert_ok(sono_serve_recording_close(NULL, &error), &error);
}

/* A disk that takes nothing: no call waits, the queue's bound holds, the end is told; and when the disk comes
 * back all that was taken is there. */
static void test_slow_disk(void **state)
{
    (void)state;
    sono_serve_config config;
    sono_serve_recording *recording = NULL;
    sono_serve_recording_facts facts = {.is_on = 1};
    sono_error error;
    char path[2 * SONO_TEST_PATH_BYTES];
    uint64_t n = 0;
    configure(&config, "slow");
    config.record_join = 0;
    assert_ok(sono_serve_recording_open(&config, &recording, &error), &error);
    pthread_mutex_lock(&disk);
    while (facts.is_on && n < 10000) {
        put_image(recording, ++n);
        sono_serve_recording_query(recording, &facts);
        assert_true(facts.queued_bytes <= 9u << 20); /* the masks of what was taken come on top */
    }
    assert_true(is_told(recording, 0) && facts.recorded == n - 1 && facts.dropped == 1);
    assert_non_null(strstr(facts.error, "disk is too slow"));
    put_image(recording, n + 1);
    put_mask(recording, 1, 1, NULL);
    sono_serve_recording_query(recording, &facts);
    assert_true(facts.dropped == 2 && facts.recorded == n - 1);
    pthread_mutex_unlock(&disk);
    assert_int_equal(SONO_STATUS_IO, sono_serve_recording_close(recording, &error));
    snprintf(path, sizeof path, "%s/rec_0001.igs.mhd", config.record_folder);
    assert_true(recording_check(path, 1) == (int64_t)n - 1);
    sono_source *masks = open_recorded(&config, "rec_masks_0001.igs.mhd");
    assert_true(sono_source_count(masks) == (int64_t)n - 1);
    sono_source_close(masks);
}

/* An image that is larger than the whole queue ends it as well. */
static void test_large_image(void **state)
{
    (void)state;
    sono_serve_config config;
    sono_serve_recording *recording = NULL;
    sono_serve_frame frame;
    sono_error error;
    configure(&config, "large");
    assert_ok(sono_serve_recording_open(&config, &recording, &error), &error);
    fill(&frame, 1, 1920, 1200);
    frame.pixels.format = SONO_PIXEL_RGBA8;
    sono_serve_recording_image(recording, &frame);
    assert_true(is_told(recording, 0));
    assert_int_equal(SONO_STATUS_IO, sono_serve_recording_close(recording, &error));
    assert_non_null(strstr(error.text, "record.queue_mb"));
}

/* A full disk: what was synced before stays readable. */
static void test_full_disk(void **state)
{
    (void)state;
    sono_serve_config config;
    sono_serve_recording *recording = NULL;
    sono_serve_recording_facts facts;
    sono_error error;
    struct rlimit before, limit;
    char path[2 * SONO_TEST_PATH_BYTES];
    configure(&config, "full");
    assert_ok(sono_serve_recording_open(&config, &recording, &error), &error);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 10 * N_PIXELS + 100;
    setrlimit(RLIMIT_FSIZE, &limit);
    for (uint64_t id = 1; id <= 12; id++)
        put_image(recording, id);
    const int is_over = is_told(recording, 20000);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(is_over);
    sono_serve_recording_query(recording, &facts);
    assert_true(!facts.is_on && *facts.error && !facts.queued_bytes);
    assert_int_equal(SONO_STATUS_IO, sono_serve_recording_close(recording, &error));
    assert_non_null(strstr(error.text, "rec_0001.raw"));
    snprintf(path, sizeof path, "%s/rec_0001.igs.mhd", config.record_folder);
    assert_true(recording_check(path, 1) >= 1);
}

/* What came is on the disk within about a second, while the recording goes on. */
static void test_sync(void **state)
{
    (void)state;
    sono_serve_config config;
    sono_serve_recording *recording = NULL;
    sono_error error;
    char path[2 * SONO_TEST_PATH_BYTES];
    int64_t n = 0;
    configure(&config, "sync");
    assert_ok(sono_serve_recording_open(&config, &recording, &error), &error);
    for (uint64_t id = 1; id <= 10; id++)
        put_image(recording, id);
    snprintf(path, sizeof path, "%s/rec_0001.igs.mhd", config.record_folder);
    for (int i = 0; i < 100 && n < 10; i++) {
        const struct timespec pause = {.tv_nsec = 50000000};
        nanosleep(&pause, NULL);
        n = access(path, F_OK) ? 0 : recording_check(path, 1);
    }
    assert_true(n == 10);
    assert_ok(sono_serve_recording_close(recording, &error), &error);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair),      cmocka_unit_test(test_options),
        cmocka_unit_test(test_slow_disk), cmocka_unit_test(test_large_image),
        cmocka_unit_test(test_full_disk), cmocka_unit_test(test_sync),
    };
    return sono_test_run("live/recording", tests, sizeof(tests) / sizeof(tests[0]));
}
