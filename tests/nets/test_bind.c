// SPDX-License-Identifier: Apache-2.0
#include "base/alloc.h"
#include "nets/bind.h"
#include "nets/dfine/dfine_parts.h"
#include "small_model.h"
#include "support/safetensors_file.h"
#include "support/synthetic.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

typedef struct opened {
    sono_checkpoint *checkpoint;
    sono_binder *binder;
    sono_error error;
} opened;

static sono_status try_open(opened *o, const char *path)
{
    *o = (opened){0};
    assert_ok(sono_checkpoint_open(path, &o->checkpoint, &o->error), &o->error);
    return sono_binder_open(o->checkpoint, &o->binder, &o->error);
}

static void open_path(opened *o, const char *path)
{
    assert_ok(try_open(o, path), &o->error);
}

static void close_opened(opened *o)
{
    sono_binder_close(o->binder);
    sono_checkpoint_close(o->checkpoint);
}

static void write_small(char path[SONO_TEST_PATH_BYTES], const small_model *model, int n_tensors)
{
    sono_test_path(path, SONO_TEST_PATH_BYTES, "small.pth");
    assert_ok(torch_file_write(path, model->tensors, n_tensors, NULL), NULL);
}

static void open_small(opened *o, const small_model *model)
{
    char path[SONO_TEST_PATH_BYTES];
    write_small(path, model, SMALL_MODEL_TENSORS);
    open_path(o, path);
}

static void binding_is_strict(void **state)
{
    (void)state;
    opened o;
    small_model model;
    float out[256];
    small_model_init(&model);
    open_small(&o, &model);
    const int64_t dims[] = {256, 1}, wrong[] = {1, 256}, one[] = {1};
    assert_true(sono_bind_has(o.binder, "encoder.lateral_convs.0.conv.weight"));
    assert_false(sono_bind_has(o.binder, "encoder.lateral_convs.0.conv.bias"));
    assert_ok(sono_bind_f32(o.binder, "encoder.lateral_convs.0.conv.weight", 2, dims, out, &o.error),
              &o.error);
    assert_memory_equal(out, model.values + 2, sizeof out);
    assert_ok(sono_bind_f32(o.binder, "decoder.reg_scale", 1, one, out, &o.error), &o.error);
    assert_true(out[0] == 4);
    assert_status(SONO_STATUS_MODEL_MISMATCH,
                  sono_bind_f32(o.binder, "encoder.lateral_convs.0.conv.weight", 2, wrong, out, &o.error),
                  &o.error);
    assert_non_null(strstr(o.error.text,
                           "small.pth: tensor 'encoder.lateral_convs.0.conv.weight' is [256, 1], "
                           "dfine-s needs [1, 256]"));
    assert_status(SONO_STATUS_MODEL_MISMATCH, sono_bind_f32(o.binder, "absent", 2, dims, out, &o.error),
                  &o.error);
    assert_non_null(strstr(o.error.text, "'absent' [256, 1] of dfine-s is missing"));
    assert_status(SONO_STATUS_MODEL_MISMATCH, sono_bind_finish(o.binder, &o.error), &o.error);
    assert_non_null(strstr(o.error.text,
                           "'backbone.stem.stem1.conv.weight' [16, 3, 3, 1] is no part of dfine-s, "
                           "nor are 5 others"));
    sono_bind_ignore(o.binder, "decoder.*.norm1.*");
    sono_bind_ignore(o.binder, "*.stem*.conv.weight");
    sono_bind_ignore(o.binder, "nothing");
    assert_status(SONO_STATUS_MODEL_MISMATCH, sono_bind_finish(o.binder, &o.error), &o.error);
    assert_non_null(strstr(o.error.text, "'decoder.enc_score_head.weight' [2, 4] is no part of dfine-s"));
    sono_bind_ignore(o.binder, "*score_head.weight*");
    assert_ok(sono_bind_finish(o.binder, &o.error), &o.error);
    close_opened(&o);
}

static void sizes_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *architecture;
        int64_t stem, encoder;
        int n_layers;
    } sizes[] = {
        {"dfine-n", 16, 128, 3}, {"dfine-s", 16, 256, 3}, {"dfine-m", 32, 256, 4},
        {"dfine-l", 48, 256, 6}, {"dfine-x", 64, 384, 6}, {NULL, 24, 256, 3},
    };
    enum { N_LAYERS = 6, FIRST_LAYER = 4 };
    static const char *const layers[N_LAYERS] = {
        "decoder.decoder.layers.0.norm1.weight", "decoder.decoder.layers.1.norm1.weight",
        "decoder.decoder.layers.2.norm1.weight", "decoder.decoder.layers.3.norm1.weight",
        "decoder.decoder.layers.4.norm1.weight", "decoder.decoder.layers.5.norm1.weight"};
    static const float zeroes[1024];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        opened o;
        char path[SONO_TEST_PATH_BYTES];
        torch_file_tensor tensors[FIRST_LAYER + N_LAYERS] = {
            {.name = "backbone.stem.stem1.conv.weight", .n_dims = 1, .dims = {1}},
            {.name = "backbone.stem.stem4.conv.weight", .n_dims = 2, .dims = {sizes[i].stem, 1}},
            {.name = "encoder.lateral_convs.0.conv.weight", .n_dims = 2, .dims = {sizes[i].encoder, 1}},
            {.name = "decoder.enc_score_head.weight", .n_dims = 2, .dims = {(int64_t)i + 1, 4}},
        };
        for (int k = 0; k < N_LAYERS; k++)
            tensors[FIRST_LAYER + k] = (torch_file_tensor){.name = layers[k], .n_dims = 1, .dims = {1}};
        for (int k = 0; k < FIRST_LAYER + N_LAYERS; k++)
            tensors[k].data = zeroes;
        sono_test_path(path, sizeof path, "size.pth");
        assert_ok(torch_file_write(path, tensors, FIRST_LAYER + sizes[i].n_layers, NULL), NULL);
        if (sizes[i].architecture) {
            open_path(&o, path);
            const sono_model_info *info = sono_binder_info(o.binder);
            assert_string_equal(info->architecture, sizes[i].architecture);
            assert_int_equal(info->n_classes, i + 1);
            assert_int_equal(info->input_width_px, 640);
            assert_int_equal(info->input_height_px, 640);
            assert_int_equal(info->role, SONO_ROLE_DETECTOR);
            assert_string_equal(info->network, "D-FINE");
        } else {
            assert_status(SONO_STATUS_UNSUPPORTED, try_open(&o, path), &o.error);
            assert_non_null(strstr(o.error.text, "stem of 24 channels, encoder of 256, 3 decoder layers"));
        }
        close_opened(&o);
    }
}

static void unknown_networks_are_described(void **state)
{
    (void)state;
    static const float zeroes[64];
    static const struct {
        torch_file_tensor tensors[2];
        const char *reason;
    } cases[] = {
        {{{.name = "model.0.conv.weight", .n_dims = 1, .dims = {3}, .data = zeroes},
          {.name = "model.1", .data = zeroes}},
         "2 tensors such as 'model.0.conv.weight' [3]"},
        {{{.name = "image_encoder.pos_embed", .data = zeroes}, {.name = "x", .data = zeroes}},
         "SAM with a ViT"},
        {{{.name = "image_encoder.patch_embed.seq.0.c.weight", .n_dims = 1, .dims = {48}, .data = zeroes},
          {.name = "x", .data = zeroes}},
         "not vit_t: stem of 48 channels"},
    };
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "unknown.pth");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        opened o;
        assert_ok(torch_file_write(path, cases[i].tensors, 2, NULL), NULL);
        assert_status(SONO_STATUS_UNSUPPORTED, try_open(&o, path), &o.error);
        assert_non_null(strstr(o.error.text, "unknown.pth: "));
        assert_non_null(strstr(o.error.text, cases[i].reason));
        close_opened(&o);
    }
}

/* Shapes cannot tell these from official files; buffers can. */
static void other_configurations_are_refused(void **state)
{
    (void)state;
    static const float quarters[12] = {0.25f, 0.25f, 0.25f, 0.25f, 0.25f, 0.25f,
                                       0.25f, 0.25f, 0.25f, 0.25f, 0.25f, 0.25f};
    static const float anchors[2000 * 4];
    static const struct {
        torch_file_tensor tensor;
        const char *reason;
    } cases[] = {
        {{.name = "decoder.anchors", .n_dims = 3, .dims = {1, 2000, 4}, .data = anchors},
         "another input size: 2000 anchors that tell none, 640 x 640 has 8400"},
        {{.name = "decoder.decoder.layers.0.cross_attn.num_points_scale",
          .n_dims = 1,
          .dims = {12},
          .data = quarters},
         "other numbers of points than 3, 6, 3"},
        {{.name = "decoder.decoder.layers.0.cross_attn.num_points_scale",
          .n_dims = 1,
          .dims = {8},
          .data = quarters},
         "other than 12 points"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        opened o;
        small_model model;
        char path[SONO_TEST_PATH_BYTES];
        small_model_init(&model);
        model.tensors[SMALL_MODEL_TENSORS - 1] = cases[i].tensor;
        write_small(path, &model, SMALL_MODEL_TENSORS);
        assert_status(SONO_STATUS_UNSUPPORTED, try_open(&o, path), &o.error);
        assert_non_null(strstr(o.error.text, cases[i].reason));
        close_opened(&o);
    }
}

/* ---- transformers -------------------------------------------------------------------------------------- */

/* transformers' convert_d_fine_original_pytorch_checkpoint_to_hf.py @ 1e98d0019e71, a name a rule; the last
 * four are what release 5.23.0 calls them in memory. */
static const struct {
    const char *transformers;
    const char *official;
    int part;
} pairs[] = {
    {"model.backbone.model.embedder.stem2a.convolution.weight", "backbone.stem.stem2a.conv.weight", -1},
    {"model.backbone.model.embedder.stem1.normalization.running_var", "backbone.stem.stem1.bn.running_var",
     -1},
    {"model.backbone.model.embedder.stem4.lab.scale", "backbone.stem.stem4.lab.scale", -1},
    {"model.backbone.model.encoder.stages.2.blocks.1.layers.0.conv2.convolution.weight",
     "backbone.stages.2.blocks.1.layers.0.conv2.conv.weight", -1},
    {"model.backbone.model.encoder.stages.2.blocks.1.layers.0.conv1.lab.bias",
     "backbone.stages.2.blocks.1.layers.0.conv1.lab.bias", -1},
    {"model.backbone.model.encoder.stages.0.blocks.0.aggregation.1.normalization.bias",
     "backbone.stages.0.blocks.0.aggregation.1.bn.bias", -1},
    {"model.backbone.model.encoder.stages.3.downsample.convolution.weight",
     "backbone.stages.3.downsample.conv.weight", -1},
    {"model.encoder_input_proj.1.0.weight", "encoder.input_proj.1.conv.weight", -1},
    {"model.encoder_input_proj.0.1.running_mean", "encoder.input_proj.0.norm.running_mean", -1},
    {"model.encoder.encoder.0.layers.0.self_attn.out_proj.bias",
     "encoder.encoder.0.layers.0.self_attn.out_proj.bias", -1},
    {"model.encoder.encoder.0.layers.0.self_attn.q_proj.weight",
     "encoder.encoder.0.layers.0.self_attn.in_proj_weight", 0},
    {"model.encoder.encoder.0.layers.0.fc1.weight", "encoder.encoder.0.layers.0.linear1.weight", -1},
    {"model.encoder.encoder.0.layers.0.self_attn_layer_norm.bias", "encoder.encoder.0.layers.0.norm1.bias",
     -1},
    {"model.encoder.encoder.0.layers.0.final_layer_norm.bias", "encoder.encoder.0.layers.0.norm2.bias", -1},
    {"model.encoder.lateral_convs.1.norm.weight", "encoder.lateral_convs.1.norm.weight", -1},
    {"model.encoder.fpn_blocks.1.conv1.conv.weight", "encoder.fpn_blocks.1.cv1.conv.weight", -1},
    {"model.encoder.fpn_blocks.0.csp_rep1.conv1.norm.bias", "encoder.fpn_blocks.0.cv2.0.conv1.norm.bias", -1},
    {"model.encoder.fpn_blocks.0.csp_rep1.bottlenecks.2.conv2.conv.weight",
     "encoder.fpn_blocks.0.cv2.0.bottlenecks.2.conv2.conv.weight", -1},
    {"model.encoder.pan_blocks.0.conv2.conv.weight", "encoder.pan_blocks.0.cv2.1.conv.weight", -1},
    {"model.encoder.pan_blocks.0.csp_rep2.conv2.conv.weight", "encoder.pan_blocks.0.cv3.0.conv2.conv.weight",
     -1},
    {"model.encoder.pan_blocks.0.conv3.norm.weight", "encoder.pan_blocks.0.cv3.1.norm.weight", -1},
    {"model.encoder.pan_blocks.0.conv4.norm.weight", "encoder.pan_blocks.0.cv4.norm.weight", -1},
    {"model.encoder.downsample_convs.1.conv2.conv.weight", "encoder.downsample_convs.1.0.cv2.conv.weight",
     -1},
    {"model.decoder_input_proj.2.1.bias", "decoder.input_proj.2.norm.bias", -1},
    {"model.decoder.layers.5.encoder_attn.sampling_offsets.weight",
     "decoder.decoder.layers.5.cross_attn.sampling_offsets.weight", -1},
    {"model.decoder.layers.1.self_attn.v_proj.bias", "decoder.decoder.layers.1.self_attn.in_proj_bias", 2},
    {"model.decoder.layers.1.gateway.norm.bias", "decoder.decoder.layers.1.gateway.norm.bias", -1},
    {"model.decoder.layers.1.self_attn_layer_norm.weight", "decoder.decoder.layers.1.norm1.weight", -1},
    {"model.decoder.layers.1.final_layer_norm.weight", "decoder.decoder.layers.1.norm3.weight", -1},
    {"model.decoder.layers.1.fc2.bias", "decoder.decoder.layers.1.linear2.bias", -1},
    {"model.decoder.lqe_layers.2.reg_conf.layers.1.weight",
     "decoder.decoder.lqe_layers.2.reg_conf.layers.1.weight", -1},
    {"model.decoder.class_embed.2.weight", "decoder.dec_score_head.2.weight", -1},
    {"bbox_embed.2.layers.1.bias", "decoder.dec_bbox_head.2.layers.1.bias", -1},
    {"model.decoder.pre_bbox_head.layers.0.bias", "decoder.pre_bbox_head.layers.0.bias", -1},
    {"model.decoder.query_pos_head.layers.0.bias", "decoder.query_pos_head.layers.0.bias", -1},
    {"model.decoder.up", "decoder.up", -1},
    {"model.denoising_class_embed.weight", "decoder.denoising_class_embed.weight", -1},
    {"model.enc_output.0.weight", "decoder.enc_output.proj.weight", -1},
    {"model.enc_output.1.weight", "decoder.enc_output.norm.weight", -1},
    {"model.enc_score_head.bias", "decoder.enc_score_head.bias", -1},
    {"model.enc_bbox_head.layers.2.bias", "decoder.enc_bbox_head.layers.2.bias", -1},
    {"model.encoder.aifi.0.layers.0.mlp.layers.0.bias", "encoder.encoder.0.layers.0.linear1.bias", -1},
    {"model.encoder.aifi.0.layers.0.self_attn.o_proj.bias",
     "encoder.encoder.0.layers.0.self_attn.out_proj.bias", -1},
    {"model.decoder.layers.0.mlp.layers.1.weight", "decoder.decoder.layers.0.linear2.weight", -1},
    {"model.decoder.layers.0.self_attn.k_proj.weight", "decoder.decoder.layers.0.self_attn.in_proj_weight",
     1},
};

static void transformers_names_are_translated(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char official[256];
        int32_t part = 0;
        sono_dfine_official_name(pairs[i].transformers, official, sizeof official, &part);
        assert_string_equal(official, pairs[i].official);
        assert_int_equal(part, pairs[i].part);
    }
}

enum { MAX_RENAMED = 1400, RENAMED_BYTES = 160 };

typedef struct renamed {
    torch_file_tensor tensors[MAX_RENAMED];
    char names[MAX_RENAMED][RENAMED_BYTES];
    int n;
} renamed;

/* The other way round: prefixes, then the first replacement that fits. */
static const char *const to_transformers[][3] = {
    {"backbone.stem.", "model.backbone.model.embedder.", "b"},
    {"backbone.stages.", "model.backbone.model.encoder.stages.", "b"},
    {"encoder.input_proj.", "model.encoder_input_proj.", "p"},
    {"decoder.input_proj.", "model.decoder_input_proj.", "p"},
    {"encoder.encoder.", "model.encoder.encoder.", "e"},
    {"encoder.fpn_blocks.", "model.encoder.fpn_blocks.", "f"},
    {"encoder.pan_blocks.", "model.encoder.pan_blocks.", "f"},
    {"encoder.downsample_convs.", "model.encoder.downsample_convs.", "s"},
    {"encoder.", "model.encoder.", ""},
    {"decoder.decoder.layers.", "model.decoder.layers.", "d"},
    {"decoder.decoder.lqe_layers.", "model.decoder.lqe_layers.", ""},
    {"decoder.dec_score_head.", "model.decoder.class_embed.", ""},
    {"decoder.dec_bbox_head.", "model.decoder.bbox_embed.", ""},
    {"decoder.denoising", "model.denoising", ""},
    {"decoder.enc_output.proj.", "model.enc_output.0.", ""},
    {"decoder.enc_output.norm.", "model.enc_output.1.", ""},
    {"decoder.enc_", "model.enc_", ""},
    {"decoder.", "model.decoder.", ""},
};
static const char *const rest_to_transformers[][3] = {
    {"b", ".conv.", ".convolution."},
    {"b", ".bn.", ".normalization."},
    {"p", ".conv.", ".0."},
    {"p", ".norm.", ".1."},
    {"ed", ".linear1.", ".fc1."},
    {"ed", ".linear2.", ".fc2."},
    {"e", ".norm2.", ".final_layer_norm."},
    {"d", ".norm3.", ".final_layer_norm."},
    {"ed", ".norm1.", ".self_attn_layer_norm."},
    {"d", ".cross_attn.", ".encoder_attn."},
    {"f", ".cv1.", ".conv1."},
    {"f", ".cv2.0.", ".csp_rep1."},
    {"f", ".cv2.1.", ".conv2."},
    {"f", ".cv3.0.", ".csp_rep2."},
    {"f", ".cv3.1.", ".conv3."},
    {"f", ".cv4.", ".conv4."},
    {"s", ".0.cv", ".conv"},
};

static void rename_one(const char *official, char *out)
{
    size_t i = 0;
    while (strncmp(official, to_transformers[i][0], strlen(to_transformers[i][0])) != 0)
        i++;
    const char *rest = official + strlen(to_transformers[i][0]);
    for (size_t k = 0; k < sizeof rest_to_transformers / sizeof *rest_to_transformers; k++) {
        const char *from = rest_to_transformers[k][1], *at = strstr(rest, from);
        const char *kind = to_transformers[i][2];
        if (*kind && strchr(rest_to_transformers[k][0], *kind) && at) {
            snprintf(out, RENAMED_BYTES, "%s%.*s%s%s", to_transformers[i][1], (int)(at - rest), rest,
                     rest_to_transformers[k][2], at + strlen(from));
            return;
        }
    }
    snprintf(out, RENAMED_BYTES, "%s%s", to_transformers[i][1], rest);
}

static torch_file_tensor *add_renamed(renamed *r, const torch_file_tensor *tensor)
{
    assert_true(r->n < MAX_RENAMED);
    torch_file_tensor *added = &r->tensors[r->n];
    *added = *tensor;
    rename_one(tensor->name, r->names[r->n]);
    added->name = r->names[r->n++];
    return added;
}

/* in_proj becomes q, k and v; what transformers leaves out is left out; heads are there twice. */
static void rename_all(const synthetic_state *state, renamed *r)
{
    r->n = 0;
    for (int32_t i = 0; i < state->n_tensors; i++) {
        const torch_file_tensor *tensor = &state->tensors[i];
        const char *in_proj = strstr(tensor->name, ".in_proj_");
        if (strstr(tensor->name, "decoder.decoder.up") || strstr(tensor->name, "decoder.decoder.reg_scale") ||
            strstr(tensor->name, "decoder.anchors") || strstr(tensor->name, "valid_mask") ||
            strstr(tensor->name, "num_batches_tracked"))
            continue;
        for (int part = 0; in_proj && part < 3; part++) {
            torch_file_tensor *added = add_renamed(r, tensor);
            const int64_t row = tensor->n_dims == 2 ? tensor->dims[1] : 1;
            added->dims[0] /= 3;
            added->data = (const float *)tensor->data + part * added->dims[0] * row;
            char *at = strstr(r->names[r->n - 1], ".in_proj_");
            snprintf(at, 32, ".%c_proj.%s", "qkv"[part], in_proj + strlen(".in_proj_"));
        }
        if (in_proj)
            continue;
        torch_file_tensor *added = add_renamed(r, tensor);
        if (strstr(added->name, "model.decoder.class_embed.") ||
            strstr(added->name, "model.decoder.bbox_embed.")) {
            torch_file_tensor *again = add_renamed(r, tensor);
            again->name += strlen("model.decoder.");
        }
    }
}

static int64_t count_of(const torch_file_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->n_dims; i++)
        count *= tensor->dims[i];
    return count;
}

static void check_transformers(const char *prefix)
{
    char manifest[SONO_TEST_PATH_BYTES], path[SONO_TEST_PATH_BYTES];
    synthetic_state official;
    opened o;
    static renamed r;
    sono_error error = {0};
    sono_test_source(manifest, sizeof manifest, "tests/golden/dfine_n.manifest");
    sono_test_path(path, sizeof path, "transformers.safetensors");
    assert_ok(synthetic_open(manifest, &official, &error), &error);
    rename_all(&official, &r);
    for (int i = 0; i < r.n; i++) {
        char name[RENAMED_BYTES];
        snprintf(name, sizeof name, "%s%s", prefix, r.tensors[i].name);
        memcpy(r.names[i], name, sizeof name);
        r.tensors[i].name = r.names[i];
    }
    assert_ok(safetensors_write(path, r.tensors, r.n), NULL);
    open_path(&o, path);
    assert_string_equal(sono_binder_info(o.binder)->naming, "transformers");
    assert_string_equal(sono_binder_info(o.binder)->prefix, prefix);
    assert_string_equal(sono_binder_info(o.binder)->architecture, "dfine-n");
    int n_bound = 0;
    for (int32_t i = 0; i < official.n_tensors; i++) {
        const torch_file_tensor *tensor = &official.tensors[i];
        if (!sono_bind_has(o.binder, tensor->name))
            continue;
        float *values = sono_alloc_array((size_t)count_of(tensor), sizeof *values);
        assert_ok(sono_bind_f32(o.binder, tensor->name, tensor->n_dims, tensor->dims, values, &o.error),
                  &o.error);
        if (tensor->dtype == SONO_DTYPE_F32)
            assert_memory_equal(values, tensor->data, (size_t)count_of(tensor) * sizeof *values);
        sono_free(values);
        n_bound++;
    }
    assert_ok(sono_bind_finish(o.binder, &o.error), &o.error);
    assert_true(n_bound > 500);
    close_opened(&o);
    synthetic_close(&official);
}

static void transformers_files_bind_like_official_ones(void **state)
{
    (void)state;
    check_transformers("");
    check_transformers("model."); /* with which every name without a wrapper begins too, but for the heads' */
    check_transformers("module._orig_mod.");
}

enum { MAX_PREFIXED_BYTES = 224 };

static const char *const prefixes[] = {"module.", "_orig_mod.", "model.",        "sam.",
                                       "net.",    "model.net.", "module.model.", "model.model._orig_mod."};

/* Every name with a wrapper's prefix: tensors as without it, and the prefix is told. */
static void prefixes_are_taken_off(void **state)
{
    (void)state;
    static char names[SMALL_MODEL_TENSORS][MAX_PREFIXED_BYTES];
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        opened o;
        small_model model;
        float out[256];
        const int64_t dims[] = {256, 1};
        small_model_init(&model);
        for (int k = 0; k < SMALL_MODEL_TENSORS; k++) {
            snprintf(names[k], sizeof names[k], "%s%s", prefixes[i], model.tensors[k].name);
            model.tensors[k].name = names[k];
        }
        open_small(&o, &model);
        assert_string_equal(sono_binder_info(o.binder)->prefix, prefixes[i]);
        assert_string_equal(sono_binder_info(o.binder)->naming, "official");
        assert_ok(sono_bind_f32(o.binder, "encoder.lateral_convs.0.conv.weight", 2, dims, out, &o.error),
                  &o.error);
        assert_memory_equal(out, model.values + 2, sizeof out);
        close_opened(&o);
    }
}

static void a_prefix_must_be_everyones(void **state)
{
    (void)state;
    opened o;
    small_model model;
    char path[SONO_TEST_PATH_BYTES], names[SMALL_MODEL_TENSORS][MAX_PREFIXED_BYTES];
    small_model_init(&model);
    for (int k = 1; k < SMALL_MODEL_TENSORS; k++) {
        snprintf(names[k], sizeof names[k], "module.%s", model.tensors[k].name);
        model.tensors[k].name = names[k];
    }
    model.tensors[0].name = "criterion.weight";
    write_small(path, &model, SMALL_MODEL_TENSORS);
    assert_status(SONO_STATUS_UNSUPPORTED, try_open(&o, path), &o.error);
    assert_non_null(strstr(o.error.text, "9 tensors such as 'criterion.weight' [16, 3, 3, 1], "
                                         "'module.backbone.stem.stem4.conv.weight', 'module.decoder."));
    close_opened(&o);
}

/* Where nothing fits, what the file has is listed: its keys, and five of its names. */
static void what_is_there_is_listed(void **state)
{
    (void)state;
    static const float zero = 0;
    static const torch_file_tensor tensors[] = {
        {.name = "a.w", .n_dims = 1, .dims = {1}, .data = &zero},
        {.name = "b.w", .data = &zero},
        {.name = "c.w", .data = &zero},
        {.name = "d.w", .data = &zero},
        {.name = "e.w", .data = &zero},
        {.name = "f.w", .data = &zero},
    };
    static const struct {
        torch_file_options options;
        const char *reason;
    } cases[] = {
        {{.wrapper = {"state_dict", NULL}},
         "6 tensors such as 'a.w' [1], 'b.w', 'c.w', 'd.w', 'e.w'; at the top of the file are 'epoch', "
         "'state_dict'"},
        {{.wrapper = {NULL, NULL}}, "6 tensors such as 'a.w' [1], 'b.w', 'c.w', 'd.w', 'e.w'"},
        {{.wrapper = {"networks", "detector"}, .extras = 1},
         "save only model.state_dict(); at the top are 'epoch', 'networks', 'args' (argparse.Namespace)"},
    };
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "listed.pth");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sono_error error = {0};
        sono_checkpoint *checkpoint = NULL;
        sono_binder *binder = NULL;
        assert_ok(torch_file_write(path, tensors, 6, &cases[i].options), NULL);
        sono_status status = sono_checkpoint_open(path, &checkpoint, &error);
        if (status == SONO_STATUS_OK)
            status = sono_binder_open(checkpoint, &binder, &error);
        assert_status(SONO_STATUS_UNSUPPORTED, status, &error);
        assert_non_null(strstr(error.text, cases[i].reason));
        sono_checkpoint_close(checkpoint);
    }
}

static void transformers_parts_must_agree(void **state)
{
    (void)state;
    static float zeroes[64], ones[64];
    static const char stem[] = "model.backbone.model.embedder.stem1.convolution.weight";
    static const char q[] = "model.decoder.layers.0.self_attn.q_proj.weight";
    static const char k[] = "model.decoder.layers.0.self_attn.k_proj.weight";
    static const char v[] = "model.decoder.layers.0.self_attn.v_proj.weight";
    for (int i = 0; i < 64; i++)
        ones[i] = 1;
    const struct {
        torch_file_tensor tensors[3];
        const char *reason;
    } cases[] = {
        {{{.name = q, .n_dims = 1, .dims = {4}, .data = zeroes},
          {.name = k, .n_dims = 1, .dims = {4}, .data = zeroes},
          {.name = "x", .data = zeroes}},
         "'decoder.decoder.layers.0.self_attn.in_proj_weight' cannot be joined: its v_proj is missing"},
        {{{.name = v, .n_dims = 1, .dims = {3}, .data = zeroes},
          {.name = k, .n_dims = 1, .dims = {4}, .data = zeroes},
          {.name = q, .n_dims = 1, .dims = {4}, .data = zeroes}},
         "[4] and 'model.decoder.layers.0.self_attn.v_proj.weight' [3] cannot be joined"},
        {{{.name = "class_embed.0.bias", .n_dims = 1, .dims = {4}, .data = zeroes},
          {.name = "model.decoder.class_embed.0.bias", .n_dims = 1, .dims = {4}, .data = ones},
          {.name = "x", .data = zeroes}},
         "stand for the same tensor and differ"},
    };
    char path[SONO_TEST_PATH_BYTES];
    sono_test_path(path, sizeof path, "parts.pth");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        opened o;
        torch_file_tensor tensors[4] = {{.name = stem, .n_dims = 1, .dims = {1}, .data = zeroes}};
        memcpy(tensors + 1, cases[i].tensors, sizeof cases[i].tensors);
        assert_ok(torch_file_write(path, tensors, 4, NULL), NULL);
        assert_status(SONO_STATUS_MODEL_MISMATCH, try_open(&o, path), &o.error);
        assert_non_null(strstr(o.error.text, cases[i].reason));
        close_opened(&o);
    }
}

static void shared_checkpoints_are_recognised(void **state)
{
    (void)state;
    opened o;
    char path[SONO_TEST_PATH_BYTES];
    sono_test_need_shared(path, sizeof path, "checkpoints/dfine_s_bone.pth");
    open_path(&o, path);
    const sono_model_info *info = sono_binder_info(o.binder);
    assert_string_equal(info->architecture, "dfine-s");
    assert_string_equal(info->dtype, "F32");
    assert_string_equal(info->naming, "official");
    assert_int_equal(info->n_classes, 1);
    assert_int_equal(info->n_tensors, 793);
    close_opened(&o);
    sono_test_need_shared(path, sizeof path, "checkpoints/mobile_sam_bone.pt");
    open_path(&o, path);
    info = sono_binder_info(o.binder);
    assert_string_equal(info->architecture, "mobilesam-vit_t");
    assert_int_equal(info->role, SONO_ROLE_SEGMENTER);
    assert_string_equal(info->network, "MobileSAM");
    assert_int_equal(info->n_params, 10140204);
    assert_int_equal(info->input_width_px, 1024);
    close_opened(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binding_is_strict),
        cmocka_unit_test(sizes_are_told_apart),
        cmocka_unit_test(unknown_networks_are_described),
        cmocka_unit_test(other_configurations_are_refused),
        cmocka_unit_test(transformers_names_are_translated),
        cmocka_unit_test(transformers_files_bind_like_official_ones),
        cmocka_unit_test(prefixes_are_taken_off),
        cmocka_unit_test(a_prefix_must_be_everyones),
        cmocka_unit_test(what_is_there_is_listed),
        cmocka_unit_test(transformers_parts_must_agree),
        cmocka_unit_test(shared_checkpoints_are_recognised),
    };
    return sono_test_run("model/bind", tests, sizeof tests / sizeof *tests);
}
