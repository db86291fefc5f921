// SPDX-License-Identifier: Apache-2.0
#include "support/dfine_run.h"

#include "base/alloc.h"
#include "support/engine_fixture.h"
#include "support/golden.h"
#include "support/synthetic.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN_TOLERANCE 1e-4 /* relative L2; float32 against float32, through the whole network */
#define NAME_BYTES       96

void dfine_run_record(dfine_run *run, const char *checkpoint_path, sono_detector_family family,
                      const anchors_size *size, int32_t max_side_px)
{
    sono_error error = {0};
    sono_recorder rec;
    memset(run, 0, sizeof *run);
    run->backend = engine_to_test();
    assert_ok(sono_checkpoint_open(checkpoint_path, &run->checkpoint, &error), &error);
    assert_ok(sono_binder_open(run->checkpoint, &run->binder, &error), &error);
    assert_ok(sono_binder_set_family(run->binder, family, &error), &error);
    if (size)
        assert_ok(sono_binder_set_size(run->binder, size->width_px, size->height_px, &error), &error);
    assert_ok(sono_program_open(&run->program, &error), &error);
    sono_record_start(&rec, run->program, run->binder, &error);
    const sono_model_info *info = sono_binder_info(run->binder);
    if (max_side_px > 0) {
        const sono_preprocess_args args =
            sono_network_preprocess(&sono_dfine_network, info, max_side_px, max_side_px);
        run->pixels =
            sono_record_input(&rec, "frame_pixels", SONO_DTYPE_U8, 1, 1, 1, max_side_px * max_side_px);
        run->header = sono_record_input(&rec, "frame_header", SONO_DTYPE_U8, 1, 1, 1,
                                        (int32_t)sizeof(sono_frame_header));
        run->image = sono_record_preprocess(&rec, "dfine_input", run->pixels, run->header, &args);
    } else {
        run->image = sono_record_input(&rec, "dfine_input", SONO_DTYPE_F32, 1, info->input_height_px,
                                       info->input_width_px, info->n_channels);
    }
    rec.stage = SONO_STAGE_DETECT;
    sono_dfine_record(&rec, run->image, &run->outputs);
    sono_record_output(&rec, run->outputs.logits);
    sono_record_output(&rec, run->outputs.boxes);
    assert_ok(sono_record_finish(&rec), &error);
    assert_ok(sono_bind_finish(run->binder, &error), &error);
}

static sono_tid find(const dfine_run *run, const char *name)
{
    const sono_tid tensor = sono_program_find(run->program, name);
    if (!tensor)
        fail_msg("no tensor %s in the program", name);
    return tensor;
}

void dfine_run_keep(dfine_run *run, const char *name)
{
    sono_error error = {0};
    sono_recorder rec;
    sono_record_start(&rec, run->program, run->binder, &error);
    sono_record_output(&rec, find(run, name));
    assert_ok(sono_record_finish(&rec), &error);
}

void dfine_run_open(dfine_run *run, int32_t n_threads, int32_t poison)
{
    sono_error error = {0};
    const sono_engine_options options = {
        .plan_mode = SONO_PLAN_REUSE, .n_threads = n_threads, .poison = poison};
    assert_ok(run->backend->open(run->program, &options, &run->engine, &error), &error);
}

void dfine_run_write(dfine_run *run, sono_tid tensor, const void *values)
{
    sono_error error = {0};
    assert_ok(run->backend->inspect->write(run->engine, tensor, values, &error), &error);
}

void dfine_run_frame(dfine_run *run)
{
    sono_error error = {0};
    assert_ok(run->backend->inspect->run(run->engine, 0, -1, &error), &error);
}

void *dfine_run_read(dfine_run *run, const char *name, sono_tensor *shape)
{
    sono_error error = {0};
    const sono_tid tensor = find(run, name);
    *shape = *sono_program_tensor(run->program, tensor);
    void *values = sono_alloc_array((size_t)sono_tensor_count(shape), sono_dtype_bytes(shape->dtype));
    assert_non_null(values);
    assert_ok(run->backend->inspect->read(run->engine, tensor, values, &error), &error);
    return values;
}

void dfine_run_close(dfine_run *run)
{
    if (run->backend)
        run->backend->close(run->engine);
    sono_program_close(run->program);
    sono_binder_close(run->binder);
    sono_checkpoint_close(run->checkpoint);
    memset(run, 0, sizeof *run);
}

/* ---- golden data ---- */

typedef enum row_kind { MAP /* [C, H, W] there */, TOKENS, QUERIES } row_kind;

typedef struct check {
    dfine_run run;
    golden file;
    int32_t rows[SONO_DFINE_N_QUERIES]; /* ours of each official query */
    double worst;
} check;

typedef void (*pair_fn)(check *c, const char *official, const char *ours, row_kind kind);

static void keep(check *c, const char *official, const char *ours, row_kind kind)
{
    (void)official;
    (void)kind;
    dfine_run_keep(&c->run, ours);
}

static void compare(check *c, const char *official, const char *ours, row_kind kind)
{
    sono_tensor shape;
    float *values = dfine_run_read(&c->run, ours, &shape);
    const int64_t n_positions = (int64_t)shape.h * shape.w;
    const golden_layout layout = {.n_rows = kind == MAP ? shape.c : n_positions,
                                  .n_columns = kind == MAP ? n_positions : shape.c,
                                  .transposed = kind == MAP,
                                  .rows = kind == QUERIES ? c->rows : NULL};
    const double distance = golden_distance(&c->file, official, values, &layout, 0);
    sono_free(values);
    if (distance > c->worst)
        c->worst = distance;
    if (!(distance <= GOLDEN_TOLERANCE))
        fail_msg("%s: relative distance %.3g", official, distance);
}

/* One of several: the names end in their index; a fusion block is named by its last convolution. */
static void visit_numbered(check *c, pair_fn fn, const char *official, int official_index, const char *ours,
                           int our_index, row_kind kind)
{
    char official_name[NAME_BYTES], our_name[NAME_BYTES];
    snprintf(official_name, sizeof official_name, "%s%d", official, official_index);
    snprintf(our_name, sizeof our_name, "%s%d%s", ours, our_index, strstr(ours, "_blocks.") ? ".cv4" : "");
    fn(c, official_name, our_name, kind);
}

static int count_layers(const sono_program *program)
{
    int n = 0;
    for (char name[NAME_BYTES] = "decoder.decoder.layers.0"; sono_program_find(program, name); n++)
        snprintf(name, sizeof name, "decoder.decoder.layers.%d", n + 1);
    return n;
}

/* Every tensor of the golden file, in the order of execution. */
static void visit(check *c, pair_fn fn)
{
    const int n_levels = sono_program_find(c->run.program, "encoder.input_proj.2") ? 3 : 2;
    const int n_layers = count_layers(c->run.program);
    fn(c, "backbone.stem", "backbone.stem.stem4", MAP);
    fn(c, "backbone.stages.0", "backbone.stages.0", MAP);
    for (int i = 0; i < n_levels; i++)
        visit_numbered(c, fn, "backbone.", i, "backbone.stages.", 4 - n_levels + i, MAP);
    fn(c, "encoder.encoder.0", "encoder.encoder.0.layers.0.norm2", TOKENS);
    visit_numbered(c, fn, "encoder.", 0, "encoder.fpn_blocks.", n_levels - 2, MAP);
    for (int i = 1; i < n_levels; i++)
        visit_numbered(c, fn, "encoder.", i, "encoder.pan_blocks.", i - 1, MAP);
    fn(c, "decoder.enc_output.input", "decoder.enc_output.input", TOKENS);
    fn(c, "decoder.enc_output", "decoder.enc_output.norm", TOKENS);
    fn(c, "decoder.decoder.inter_ref_bbox", "decoder.decoder.inter_ref_bbox.0", QUERIES);
    for (int i = 0; i < n_layers; i++)
        visit_numbered(c, fn, "decoder.decoder.layers.", i, "decoder.decoder.layers.", i, QUERIES);
    for (int i = 1; i + 1 < n_layers; i++)
        visit_numbered(c, fn, "decoder.decoder.inter_ref_bbox#", i, "decoder.decoder.inter_ref_bbox.", i,
                       QUERIES);
    fn(c, "pred_boxes", "pred_boxes", QUERIES);
    fn(c, "pred_logits", "pred_logits", QUERIES);
}

static void write_synthetic_input(check *c)
{
    const sono_model_info *info = sono_binder_info(c->run.binder);
    const int32_t width = info->input_width_px, height = info->input_height_px;
    const int32_t n_channels = info->n_channels;
    const size_t count = (size_t)width * (size_t)height * (size_t)n_channels;
    float *image = sono_alloc_array(count, sizeof *image);
    assert_non_null(image);
    assert_int_equal(0, synthetic_detector_input(width, height, n_channels, image));
    assert_true(synthetic_bits_sum(image, count, sizeof *image) == golden_input_bits_sum(&c->file));
    dfine_run_write(&c->run, c->run.image, image);
    sono_free(image);
}

/* Ends with the checkpoint removed. */
static void check_golden(const char *name, const char *checkpoint, sono_detector_family family,
                         const anchors_size *size)
{
    sono_tensor shape;
    check c = {.worst = 0};
    golden_open(&c.file, name);
    dfine_run_record(&c.run, checkpoint, family, size, 0);
    visit(&c, keep);
    dfine_run_keep(&c.run, "decoder.topk.indices");
    dfine_run_open(&c.run, 0, 1);
    write_synthetic_input(&c);
    dfine_run_frame(&c.run);

    int32_t *indices = dfine_run_read(&c.run, "decoder.topk.indices", &shape);
    assert_int_equal(0, golden_match_queries(&c.file, indices, SONO_DFINE_N_QUERIES, c.rows));
    sono_free(indices);
    visit(&c, compare);
    print_message("%s: worst relative distance %.2e\n", name, c.worst);
    dfine_run_close(&c.run);
    golden_close(&c.file);
    unlink(checkpoint);
}

static void make_paths(const char *name, char manifest[SONO_TEST_PATH_BYTES],
                       char checkpoint[SONO_TEST_PATH_BYTES])
{
    char file[NAME_BYTES];
    snprintf(file, sizeof file, "tests/golden/%s.manifest", name);
    sono_test_source(manifest, SONO_TEST_PATH_BYTES, file);
    snprintf(file, sizeof file, "%s.pth", name);
    sono_test_path(checkpoint, SONO_TEST_PATH_BYTES, file);
}

void dfine_run_check_golden(const char *name, sono_detector_family family)
{
    char manifest[SONO_TEST_PATH_BYTES], checkpoint[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    make_paths(name, manifest, checkpoint);
    assert_ok(synthetic_write(manifest, checkpoint, &error), &error);
    check_golden(name, checkpoint, family, NULL);
}

void dfine_run_check_resized(const char *name, int32_t n_levels, const anchors_size *size)
{
    static const anchors_size usual = {640, 640};
    static const torch_file_options options = {.wrapping = TORCH_FILE_MODEL};
    static float anchors[4 * 8400];
    char manifest[SONO_TEST_PATH_BYTES], checkpoint[SONO_TEST_PATH_BYTES];
    sono_error error = {0};
    synthetic_state state;
    make_paths(name, manifest, checkpoint);
    assert_ok(synthetic_open(manifest, &state, &error), &error);
    int32_t i = 0;
    while (strcmp(state.tensors[i].name, "decoder.anchors") != 0)
        i++;
    const torch_file_tensor before = state.tensors[i];
    state.tensors[i].dims[1] = anchors_fill(&usual, 32 >> (n_levels - 1), n_levels, anchors);
    state.tensors[i].data = anchors;
    assert_ok(torch_file_write(checkpoint, state.tensors, state.n_tensors, &options), NULL);
    state.tensors[i] = before;
    synthetic_close(&state);
    check_golden(name, checkpoint, SONO_FAMILY_AUTO, size);
}
