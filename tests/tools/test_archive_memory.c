// SPDX-License-Identifier: Apache-2.0
// labels: threads
/*
 * What an archive holds does not grow with its inputs: 4,000 frames here, 100,000 with SONO_ARCHIVE=long
 * (scripts/check_long.sh archive), through pipelines that compute nothing; and however slow a pipeline is, so
 * many frames are read ahead of it and no more.
 */
#include "archive.h"
#include "commands.h"
#include "image_writer.h"
#include "null_engine.h"
#include "test.h"

#include "base/alloc.h"

#include <png.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIDE        NULL_ENGINE_SIDE_PX
#define SHORT       4000
#define LONG        100000
#define N_LINKS     500 /* names of one file: some file systems take no more than a thousand */
#define N_WORKERS   4
#define N_PIPELINES 2
#define BATCH       8
/* A frame may leave its path, its name among those taken, and its latency, each in an array that doubles. */
#define FRAME_BYTES 400
/* What the allocator and its threads keep beside: both figures are of the same process, once it is warm. */
#define SLACK_BYTES (4 << 20)

static char (*paths)[SONO_TEST_PATH_BYTES];
static const char **inputs;
static int32_t n_inputs;

static int make_inputs(void **state)
{
    (void)state;
    char folder[SONO_TEST_PATH_BYTES];
    const char *length = getenv("SONO_ARCHIVE");
    uint8_t pixels[SIDE * SIDE];
    n_inputs = length && !strcmp(length, "long") ? LONG : SHORT;
    paths = sono_alloc_array((size_t)n_inputs, sizeof *paths);
    inputs = sono_alloc_array((size_t)n_inputs, sizeof *inputs);
    assert_true(paths && inputs);
    sono_test_path(folder, sizeof folder, "in");
    mkdir(folder, 0777);
    memset(pixels, 200, sizeof pixels);
    const test_picture picture = {SIDE, SIDE, 1, 8, pixels};
    test_file file = test_png(&picture, PNG_COLOR_TYPE_GRAY, 0);
    for (int32_t i = 0; i < n_inputs; i++) {
        char name[32];
        snprintf(name, sizeof name, "in/f_%d.png", i);
        sono_test_path(paths[i], sizeof paths[i], name);
        inputs[i] = paths[i];
        if (i % N_LINKS == 0)
            sono_test_write_file(paths[i], file.bytes, file.n_bytes);
        else
            assert_int_equal(link(paths[i - i % N_LINKS], paths[i]), 0);
    }
    free(file.bytes);
    return 0;
}

static int free_inputs(void **state)
{
    (void)state;
    sono_free(paths);
    sono_free(inputs);
    return 0;
}

/* Of this process, now. */
static int64_t resident_bytes(void)
{
    long n_pages = 0, n_resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &n_pages, &n_resident), 2);
    fclose(file);
    return (int64_t)n_resident * sysconf(_SC_PAGESIZE);
}

/* What is looked at while frames go through. */
typedef struct looking {
    atomic_llong n_read;
    int64_t warm_bytes, most_bytes; /* after a tenth of the frames, and the most after that */
} looking;

static reel_want look(void *user, uint64_t frame_id, const char *name)
{
    looking *self = user;
    (void)name;
    atomic_fetch_add(&self->n_read, 1);
    if (frame_id % 500 == 0 && frame_id >= (uint64_t)n_inputs / 10) {
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        const int64_t bytes = resident_bytes();
        pthread_mutex_lock(&mutex);
        if (!self->warm_bytes)
            self->warm_bytes = bytes;
        self->most_bytes = bytes > self->most_bytes ? bytes : self->most_bytes;
        pthread_mutex_unlock(&mutex);
    }
    return REEL_WANTED;
}

typedef struct running {
    archive all;
    sono_source *source;
    sono_source_options options;
    looking seen;
    int status;
} running;

static void begin(running *self, const char *name, int32_t n)
{
    char folder[SONO_TEST_PATH_BYTES];
    sono_sink_options sink_options;
    sono_error error;
    *self =
        (running){.all = {.batch = BATCH, .n_workers = N_WORKERS, .overlays = OVERLAYS_NONE, .is_quiet = 1}};
    sono_test_path(folder, sizeof folder, name);
    sono_source_options_init(&self->options);
    sono_sink_options_init(&sink_options);
    sink_options.write_masks = sink_options.write_overlays = 0;
    sink_options.write_rle = sink_options.without_times = 1;
    assert_ok(sono_source_open_files(inputs, n, &self->options, &self->source, &error), &error);
    assert_ok(sono_sink_open_folder(folder, &sink_options, &self->all.sink, &error), &error);
    self->all.reel.source = self->source;
    self->all.reel.options = &self->options;
    self->all.reel.wants = look;
    self->all.reel.user = &self->seen;
    self->all.n_pipelines = N_PIPELINES;
    for (int i = 0; i < N_PIPELINES; i++) {
        self->all.pipelines[i].pipeline = null_engine_open(3, BATCH, 0, NULL, NULL);
        self->all.pipelines[i].device = "null";
    }
}

static void *go(void *user)
{
    running *self = user;
    self->status = archive_run(&self->all);
    return NULL;
}

static void end(running *self, int32_t n)
{
    sono_error error;
    assert_int_equal(self->status, STATUS_DONE);
    assert_int_equal(self->all.n_frames, n);
    for (int i = 0; i < N_PIPELINES; i++)
        sono_pipeline_close(self->all.pipelines[i].pipeline);
    assert_ok(sono_sink_close(self->all.sink, &error), &error);
    sono_source_close(self->source);
    archive_free(&self->all);
}

/* Lines of the results: one a frame. */
static int32_t count_lines(const char *relative)
{
    char path[SONO_TEST_PATH_BYTES];
    int32_t n = 0;
    sono_test_path(path, sizeof path, relative);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (int letter; (letter = fgetc(file)) != EOF;)
        n += letter == '\n';
    fclose(file);
    return n;
}

static void test_memory(void **state)
{
    (void)state;
    running self;
    begin(&self, "all", n_inputs);
    go(&self);
    const int64_t grown_bytes = self.seen.most_bytes - self.seen.warm_bytes;
    const int64_t allowed_bytes = SLACK_BYTES + (int64_t)FRAME_BYTES * n_inputs * 9 / 10;
    end(&self, n_inputs);
    assert_int_equal(count_lines("all/results.jsonl"), n_inputs);
    assert_true(self.seen.warm_bytes > 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they keep what was freed */
    assert_true(grown_bytes <= allowed_bytes);
#endif
    printf("%d frames: %.1f MB after a tenth of them, %.1f MB more at most after that (%.0f bytes a frame)\n",
           (int)n_inputs, (double)self.seen.warm_bytes / 1e6, (double)grown_bytes / 1e6,
           (double)grown_bytes / (0.9 * n_inputs));
    (void)allowed_bytes;
}

/* Nothing comes out: the window fills, and reading stops. */
static void test_read_ahead(void **state)
{
    (void)state;
    const int32_t n = 1000;
    const long long most = 5 * BATCH * N_PIPELINES + 4 * N_WORKERS /* the window */
                           + 2 * REEL_AHEAD * N_WORKERS;           /* and what the units hold */
    running self;
    pthread_t thread;
    begin(&self, "held", n);
    null_engine_hold(1);
    assert_int_equal(pthread_create(&thread, NULL, go, &self), 0);
    long long was = -1, is = 0;
    for (int i = 0; i < 200 && (is != was || is < 2LL * BATCH); i++) { /* until it stands still */
        was = is;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        is = atomic_load(&self.seen.n_read);
    }
    null_engine_hold(0);
    pthread_join(thread, NULL);
    end(&self, n);
    assert_in_range(is, 2LL * BATCH, most);
    assert_int_equal(atomic_load(&self.seen.n_read), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read_ahead), cmocka_unit_test(test_memory)};
    return sono_test_run_with("tools/archive_memory", tests, sizeof tests / sizeof tests[0], make_inputs,
                              free_inputs);
}
