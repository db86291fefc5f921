// SPDX-License-Identifier: Apache-2.0
#include "pipeline/flow.h"

#include "nets/network.h"
#include "pipeline/state_machine.h"

#include <math.h>
#include <string.h>

static void close_network(sono_flow_network *network)
{
    sono_binder_close(network->binder);
    sono_checkpoint_close(network->checkpoint);
}

/* wanted: one role. path NULL: the flow goes without. */
static sono_status open_network(sono_flow_network *network, const char *path, sono_role wanted,
                                sono_error *error)
{
    if (!path)
        return SONO_STATUS_OK;
    SONO_TRY(sono_checkpoint_open(path, &network->checkpoint, error));
    SONO_TRY(sono_binder_open(network->checkpoint, &network->binder, error));
    const sono_model_info *info = sono_binder_info(network->binder);
    if (!(info->role & wanted))
        return SONO_FAIL(error, MODEL_MISMATCH, "%s: this is %s, but a %s is needed here", path,
                         info->architecture, wanted == SONO_ROLE_DETECTOR ? "detector" : "segmenter");
    return SONO_STATUS_OK;
}

static sono_status open_detector(sono_flow_network *network, const sono_pipeline_config *config,
                                 sono_error *error)
{
    SONO_TRY(open_network(network, config->detector_path, SONO_ROLE_DETECTOR, error));
    if (!network->binder)
        return SONO_STATUS_OK;
    SONO_TRY(sono_binder_set_family(network->binder, config->detector_family, error));
    return sono_binder_set_size(network->binder, config->detector_width_px, config->detector_height_px,
                                error);
}

static sono_status open_segmenter(sono_flow_network *network, const sono_pipeline_config *config,
                                  sono_error *error)
{
    SONO_TRY(open_network(network, config->segmenter_path, SONO_ROLE_SEGMENTER, error));
    if (!network->binder)
        return SONO_STATUS_OK;
    return sono_binder_set_size(network->binder, config->segmenter_size_px, config->segmenter_size_px, error);
}

sono_status sono_flow_models_open(const sono_pipeline_config *config, sono_flow_models *out,
                                  sono_error *error)
{
    sono_flow_models models = {0};
    sono_status status = open_detector(&models.detector, config, error);
    if (status == SONO_STATUS_OK)
        status = open_segmenter(&models.segmenter, config, error);
    if (status == SONO_STATUS_OK)
        status = sono_params_open(&models.params, error);
    if (status != SONO_STATUS_OK) {
        sono_flow_models_close(&models);
        return status;
    }
    *out = models;
    return SONO_STATUS_OK;
}

void sono_flow_models_close(sono_flow_models *models)
{
    sono_params_close(models->params);
    close_network(&models->segmenter);
    close_network(&models->detector);
    memset(models, 0, sizeof *models);
}

/* Of a weight map; 0 = none are wanted. */
static int32_t map_element_bytes(const sono_pipeline_config *config)
{
    return !config->want_weight_maps ? 0 : config->map_dtype == SONO_MAP_DTYPE_F32 ? 4 : 1;
}

static sono_segment_args segment_args(const sono_pipeline_config *config, const sono_model_info *info)
{
    return (sono_segment_args){.image_size = info->input_width_px,
                               .max_width_px = config->max_width_px,
                               .max_height_px = config->max_height_px,
                               .edge_width_px = config->edge_width_px,
                               .outside_width_px = config->outside_width_px,
                               .map_element_bytes = map_element_bytes(config),
                               .min_piece_permille = (int32_t)lrintf(config->min_piece_share * 1000),
                               .bridge_permille = (int32_t)lrintf(config->bridge_share * 1000)};
}

/* What is kept of a stream. */
static void record_memory(sono_recorder *rec, const sono_segment_args *args, sono_flow *flow)
{
    flow->memory = sono_record_kept(rec, "memory", SONO_DTYPE_U8, 1, 1, 1, SONO_MEMORY_BYTES);
    flow->kept = sono_record_kept_frame(rec, "kept_frame", args);
}

/* Where a stream's first box was. */
static sono_tid followed_of(sono_recorder *rec, sono_flow *flow)
{
    if (!flow->followed)
        flow->followed = sono_record_kept(rec, "followed", SONO_DTYPE_U8, 1, 1, 1, SONO_FOLLOWED_BYTES);
    return flow->followed;
}

/* frame -> headers with the region that the networks are to see */
static void record_region(sono_recorder *rec, const sono_pipeline_config *config,
                          const sono_machine_rules *rules, sono_flow *flow)
{
    const sono_region_args args = {config->max_width_px, config->max_height_px};
    const sono_tid kept =
        rules->mode == SONO_STATE_BY_STREAM
            ? sono_record_kept(rec, "kept_region", SONO_DTYPE_U8, 1, 1, 1, SONO_REGION_BYTES)
            : 0;
    rec->stage = SONO_STAGE_PREPROCESS;
    flow->region = sono_record_tensor(rec, "region", SONO_DTYPE_I32, config->batch, 1, 1, SONO_REGION_INTS);
    flow->header = sono_record_find_region(rec, "find_region", flow->frame.pixels, flow->frame.header, kept,
                                           &args, flow->region);
    sono_record_output(rec, flow->region);
}

/* memory -> whether the detector runs; detections, for it to write into. The ops that come next are its own.
 */
static void record_schedule(sono_recorder *rec, const sono_pipeline_config *config,
                            const sono_machine_rules *rules, sono_flow *flow)
{
    const sono_segment_args args = segment_args(config, &flow->segmenter);
    const sono_schedule_args schedule = {.rules = *rules, .detect_every = config->detect_every};
    sono_tid outs[2];
    record_memory(rec, &args, flow);
    rec->stage = SONO_STAGE_STATE;
    sono_record_schedule(rec, "schedule", flow->memory, flow->kept, flow->header, followed_of(rec, flow),
                         &args, &schedule, outs);
    flow->detections = outs[1];
    flow->branches[flow->n_branches++] =
        (sono_branch){.first_op = (int32_t)rec->program->n_ops, .step = outs[0], .stage = SONO_STAGE_DETECT};
}

/* frame -> detections */
static void record_detector(sono_recorder *rec, const sono_pipeline_config *config,
                            const sono_machine_rules *rules, sono_flow *flow)
{
    const sono_network *network = sono_binder_network(rec->binder);
    const sono_preprocess_args input =
        sono_network_preprocess(network, &flow->detector, config->max_width_px, config->max_height_px);
    sono_detector_outputs found;
    rec->stage = SONO_STAGE_PREPROCESS;
    const sono_tid image =
        sono_record_preprocess(rec, "detector_input", flow->frame.pixels, flow->header, &input);
    rec->stage = SONO_STAGE_DETECT;
    network->detect(rec, image, &found);
    rec->stage = SONO_STAGE_SELECT;
    flow->detections = sono_record_select(rec, "detections", found.logits, found.boxes, flow->header,
                                          config->max_objects, flow->detections);
    if (rules->mode == SONO_STATE_BY_STREAM)
        sono_record_follow(rec, "follow", found.logits, found.boxes, flow->header, flow->detections,
                           followed_of(rec, flow), rules);
    sono_record_output(rec, flow->detections);
    if (flow->n_branches)
        flow->branches[0].last_op = (int32_t)rec->program->n_ops;
    flow->prompts = (sono_prompt_tensors){.detections = flow->detections, .has_boxes = 1};
}

/* Where the caller's prompts go: in front of everything else that is uploaded. */
static void record_prompts(sono_recorder *rec, const sono_pipeline_config *config, sono_flow *flow)
{
    const int32_t n_objects = config->max_objects;
    flow->detections =
        sono_record_input(rec, "prompts", SONO_DTYPE_F32, config->batch, 1, n_objects, SONO_DETECTION_FLOATS);
    flow->prompts = (sono_prompt_tensors){
        .detections = flow->detections, .is_callers = 1, .has_boxes = config->prompt_boxes};
    if (config->prompt_points)
        flow->prompts.points = sono_record_input(rec, "points", SONO_DTYPE_F32, config->batch, 1,
                                                 n_objects * config->prompt_points, SONO_POINT_FLOATS);
}

/* Behind lane 1's last op, if there is one. */
static int32_t first_op_of(const sono_program *program, sono_stage stage)
{
    int32_t i = (int32_t)sono_program_join(program);
    while (i < (int32_t)program->n_ops && program->ops[i].stage != stage)
        i++;
    return i;
}

/* Room for what crosses with every frame: in front of the maps, of which only what is used does. */
static void reserve_outputs(sono_recorder *rec, const sono_pipeline_config *config, sono_flow *flow)
{
    if (config->state_mode != SONO_STATE_BY_SCORE)
        flow->verdict =
            sono_record_tensor(rec, "verdict", SONO_DTYPE_I32, config->batch, 1, 1, SONO_VERDICT_INTS);
    if (config->want_surface)
        flow->surface =
            sono_record_tensor(rec, "surface", SONO_DTYPE_I32, config->batch, 1, 1, SONO_SURFACE_COLUMNS);
}

/* logits -> mask, as the network made it or cleaned */
static void record_mask(sono_recorder *rec, const sono_pipeline_config *config, sono_tid logits,
                        const sono_segment_args *args, sono_flow *flow)
{
    sono_tid outs[3];
    rec->stage = SONO_STAGE_MASK;
    sono_record_upsample_mask(rec, "mask", logits, flow->detections, flow->header, args, 0, outs);
    flow->mask = outs[0];
    flow->area = outs[1];
    if (args->min_piece_permille)
        sono_record_clean_mask(rec, "pieces", flow->mask, flow->area, flow->detections, flow->header, args);
    if (config->bridge_share > 0.0f)
        sono_record_bridge_mask(rec, "bridges", flow->mask, flow->area, flow->frame.pixels, flow->header,
                                flow->detections, args);
}

/* Whether a frame without the detector looks doubtful; then the detector, and all from the prompt to here,
 * once more. n_shared of `shared`: what later ops read, too. */
static void record_doubt(sono_recorder *rec, const sono_machine_rules *rules, sono_tid echo,
                         sono_tid agreement, const sono_tid *shared, int32_t n_shared, sono_flow *flow)
{
    const sono_branch detector = flow->branches[0];
    const sono_tid step = sono_record_doubt(rec, "doubt", flow->detections, flow->iou, echo, agreement,
                                            flow->header, flow->memory, rules);
    const int32_t first = (int32_t)rec->program->n_ops;
    sono_record_again(rec, detector.first_op, detector.last_op, shared, n_shared);
    sono_record_again(rec, flow->first_prompt_op, first - 1, shared, n_shared);
    flow->branches[flow->n_branches++] =
        (sono_branch){first, (int32_t)rec->program->n_ops, step, SONO_STAGE_DETECT};
}

/* mask, pixels, what is kept of the frame before -> verdict; a mask that is not to be shown is emptied */
static void record_state(sono_recorder *rec, const sono_machine_rules *rules, const sono_segment_args *args,
                         sono_flow *flow)
{
    const sono_tid header = flow->header;
    sono_tid profile[2], agreement = 0;
    rec->stage = SONO_STAGE_STATE;
    sono_record_mask_profile(rec, "profile", flow->mask, header, args, profile);
    const sono_tid echo = sono_record_echo_parts(rec, "echo", flow->frame.pixels, header, flow->mask,
                                                 profile[0], profile[1], flow->detections, args);
    if (rules->mode == SONO_STATE_BY_STREAM) {
        if (!flow->memory)
            record_memory(rec, args, flow);
        agreement = sono_record_agreement(rec, "agreement", flow->mask, profile[0], profile[1], header,
                                          flow->kept, args);
    }
    if (flow->n_branches) {
        const sono_tid shared[] = {flow->detections, flow->iou, flow->mask, flow->area,
                                   profile[0],       echo,      agreement};
        record_doubt(rec, rules, echo, agreement, shared, (int32_t)(sizeof shared / sizeof shared[0]), flow);
    }
    sono_record_state(rec, "verdict", flow->detections, flow->iou, echo, agreement, header, flow->memory,
                      rules, flow->verdict);
    sono_record_show_mask(rec, "shown", flow->verdict, profile[0], header, flow->mask, flow->area,
                          flow->detections, flow->kept, args);
    sono_record_output(rec, flow->verdict);
}

/* frame, prompts -> mask, weight maps */
static void record_segmenter(sono_recorder *rec, const sono_pipeline_config *config,
                             const sono_machine_rules *rules, sono_flow *flow)
{
    const sono_network *network = sono_binder_network(rec->binder);
    const sono_preprocess_args input =
        sono_network_preprocess(network, &flow->segmenter, config->max_width_px, config->max_height_px);
    const sono_segment_args args = segment_args(config, &flow->segmenter);
    sono_segmenter_outputs outlined;
    flow->first_segment_op = (int32_t)rec->program->n_ops;
    rec->lane = !flow->prompts.is_callers; /* nothing here depends on the detector until the prompt */
    rec->stage = SONO_STAGE_PREPROCESS;
    const sono_tid image =
        sono_record_preprocess(rec, "segmenter_input", flow->frame.pixels, flow->header, &input);
    flow->segmenter_input = image;
    rec->stage = SONO_STAGE_ENCODE;
    const sono_tid embedding = network->encode(rec, image);
    rec->lane = 0;
    rec->stage = SONO_STAGE_DECODE;
    flow->first_prompt_op = (int32_t)rec->program->n_ops;
    network->decode(rec, embedding, &flow->prompts, flow->header, &outlined);
    flow->first_decode_op = first_op_of(rec->program, SONO_STAGE_DECODE);
    flow->iou = outlined.iou;
    sono_record_output(rec, flow->iou);
    flow->first_mask_op = (int32_t)rec->program->n_ops;
    reserve_outputs(rec, config, flow);
    record_mask(rec, config, outlined.low_res, &args, flow);
    if (flow->verdict)
        record_state(rec, rules, &args, flow);
    if (flow->surface) {
        rec->stage = SONO_STAGE_SURFACE;
        sono_record_surface(rec, "surface", flow->frame.pixels, flow->header, flow->mask, &args,
                            flow->surface);
        sono_record_output(rec, flow->surface);
    }
    sono_record_output(rec, flow->area);
    sono_record_output(rec, flow->mask);
    flow->map_element_bytes = args.map_element_bytes;
    if (config->want_weight_maps)
        flow->weights = sono_weights_record(rec, flow->mask, flow->header, &args);
}

/* Whether every tensor of the network's file is accounted for; NULL = there is no such network. */
static sono_status finish_binding(sono_binder *binder, sono_error *error)
{
    return binder ? sono_bind_finish(binder, error) : SONO_STATUS_OK;
}

static sono_status record_flow(const sono_pipeline_config *config, sono_flow_models *models, sono_flow *flow,
                               sono_error *error)
{
    sono_recorder rec;
    sono_machine_rules rules;
    SONO_TRY(sono_state_rules_resolve(config->state_rules, config->state_mode, &rules, error));
    sono_record_start(&rec, flow->program, models->detector.binder, error);
    if (!models->detector.binder)
        record_prompts(&rec, config, flow);
    sono_frame_record(&rec, config->batch, config->max_width_px, config->max_height_px, &flow->frame);
    flow->header = flow->frame.header;
    if (config->find_region)
        record_region(&rec, config, &rules, flow);
    if (config->detect_every > 1)
        record_schedule(&rec, config, &rules, flow);
    if (models->detector.binder)
        record_detector(&rec, config, &rules, flow);
    SONO_TRY(sono_record_finish(&rec));
    rec.binder = models->segmenter.binder;
    if (models->segmenter.binder)
        record_segmenter(&rec, config, &rules, flow);
    SONO_TRY(sono_record_finish(&rec));
    if (models->params->complete)
        return SONO_STATUS_OK;
    SONO_TRY(finish_binding(models->detector.binder, error));
    SONO_TRY(finish_binding(models->segmenter.binder, error));
    models->params->complete = 1;
    return SONO_STATUS_OK;
}

/* Whether what a configuration asks for can be had from these networks. */
static sono_status check_wishes(const sono_pipeline_config *config, const sono_flow_models *models,
                                sono_error *error)
{
    if (config->want_weight_maps && !models->segmenter.binder)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "edge, inside and outside maps are made from masks: they need a segmenter");
    if (!models->segmenter.binder && (config->min_piece_share > 0.0f || config->bridge_share > 0.0f))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "min_piece_share and bridge_share are about masks: they need a segmenter");
    if (!models->segmenter.binder && config->want_surface)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "want_surface: a surface is found in a mask: it needs a "
                         "segmenter");
    if (config->state_mode != SONO_STATE_BY_SCORE && (!models->segmenter.binder || !models->detector.binder))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "state_mode: states other than BY_SCORE are found from boxes and masks: they need a "
                         "detector and a segmenter");
    if (config->find_region && !models->detector.binder)
        return SONO_FAIL(
            error, UNSUPPORTED,
            "find_region: prompts may lie beyond what would be found: without a detector give the "
            "region, or none");
    if (models->detector.binder && (config->prompt_points || !config->prompt_boxes))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "prompt_points and prompt_boxes are for pipelines without a detector");
    if (models->detector.binder)
        return SONO_STATUS_OK;
    const int32_t prompts = sono_binder_network(models->segmenter.binder)->prompts;
    if (!config->prompt_points && !config->prompt_boxes)
        return SONO_FAIL(error, INVALID_ARGUMENT, "a prompt is a box, points or both: this one is neither");
    if ((config->prompt_points && !(prompts & SONO_PROMPT_POINTS)) ||
        (config->prompt_boxes && !(prompts & SONO_PROMPT_BOX)))
        return SONO_FAIL(error, UNSUPPORTED, "%s takes no %s",
                         sono_binder_network(models->segmenter.binder)->name,
                         config->prompt_points ? "points" : "boxes");
    return SONO_STATUS_OK;
}

sono_status sono_flow_open(const sono_pipeline_config *config, sono_flow_models *models, sono_flow *out,
                           sono_error *error)
{
    sono_flow flow = {0};
    SONO_TRY(check_wishes(config, models, error));
    if (models->detector.binder)
        flow.detector = *sono_binder_info(models->detector.binder);
    if (models->segmenter.binder)
        flow.segmenter = *sono_binder_info(models->segmenter.binder);
    SONO_TRY(sono_program_open_on(models->params, &flow.program, error));
    const sono_status status = record_flow(config, models, &flow, error);
    if (status != SONO_STATUS_OK) {
        sono_flow_close(&flow);
        return status;
    }
    *out = flow;
    return SONO_STATUS_OK;
}

void sono_flow_close(sono_flow *flow)
{
    sono_program_close(flow->program);
    memset(flow, 0, sizeof *flow);
}

static sono_tid record_image(sono_recorder *rec, const sono_model_info *info)
{
    return sono_record_input(rec, "image", SONO_DTYPE_F32, 1, info->input_height_px, info->input_width_px,
                             info->n_channels);
}

static void record_detector_alone(sono_recorder *rec, const sono_network *network)
{
    sono_detector_outputs found;
    rec->stage = SONO_STAGE_DETECT;
    network->detect(rec, record_image(rec, sono_binder_info(rec->binder)), &found);
    sono_record_output(rec, found.logits);
    sono_record_output(rec, found.boxes);
}

static void record_segmenter_alone(sono_recorder *rec, const sono_network *network)
{
    sono_segmenter_outputs outlined;
    const sono_tid image = record_image(rec, sono_binder_info(rec->binder));
    const sono_tid header =
        sono_record_input(rec, "frame_header", SONO_DTYPE_U8, 1, 1, 1, (int32_t)sizeof(sono_frame_header));
    const sono_tid detections =
        sono_record_input(rec, "detections", SONO_DTYPE_F32, 1, 1, 1, SONO_DETECTION_FLOATS);
    rec->stage = SONO_STAGE_ENCODE;
    const sono_tid embedding = network->encode(rec, image);
    rec->stage = SONO_STAGE_DECODE;
    const sono_prompt_tensors prompts = {.detections = detections, .has_boxes = 1};
    network->decode(rec, embedding, &prompts, header, &outlined);
    sono_record_output(rec, outlined.low_res);
    sono_record_output(rec, outlined.iou);
}

static sono_status record_alone(sono_program *program, sono_binder *binder, sono_error *error)
{
    sono_recorder rec;
    const sono_network *network = sono_binder_network(binder);
    sono_record_start(&rec, program, binder, error);
    if (network->role & SONO_ROLE_DETECTOR)
        record_detector_alone(&rec, network);
    if (network->role & SONO_ROLE_SEGMENTER)
        record_segmenter_alone(&rec, network);
    SONO_TRY(sono_record_finish(&rec));
    return sono_bind_finish(binder, error);
}

sono_status sono_flow_record_network(const sono_checkpoint *checkpoint, sono_detector_family family,
                                     sono_program **out, sono_error *error)
{
    sono_binder *binder = NULL;
    sono_program *program = NULL;
    SONO_TRY(sono_binder_open(checkpoint, &binder, error));
    sono_status status = sono_binder_set_family(binder, family, error);
    if (status == SONO_STATUS_OK)
        status = sono_program_open(&program, error);
    if (status == SONO_STATUS_OK)
        status = record_alone(program, binder, error);
    sono_binder_close(binder);
    if (status != SONO_STATUS_OK) {
        sono_program_close(program);
        return status;
    }
    *out = program;
    return SONO_STATUS_OK;
}
