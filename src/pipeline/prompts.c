// SPDX-License-Identifier: Apache-2.0
/* Prompts in: what the caller of a pipeline without a detector wants outlined. */
#include "pipeline/pipeline_private.h"

#include <string.h>

static float *row_of(const sono_pipeline *p, const sono_pipeline_slot *s, sono_tid tensor, int32_t frame)
{
    const sono_tensor *t = sono_program_tensor(p->flow.program, tensor);
    return (float *)(void *)(s->inputs + p->plan->offset_bytes[tensor]) + frame * t->batch_stride;
}

sono_detection *sono_pipeline_prompts(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i)
{
    return (sono_detection *)(void *)row_of(p, s, p->flow.detections, i);
}

static int is_within(const sono_region *r, float x_px, float y_px)
{
    return x_px >= (float)r->x_px && x_px <= (float)(r->x_px + r->width_px) && y_px >= (float)r->y_px &&
           y_px <= (float)(r->y_px + r->height_px);
}

/* Where prompts may lie: a given region, else the whole frame. */
static sono_region room_of(const sono_pipeline *p, const sono_frame *frame)
{
    const sono_region whole = {0, 0, frame->image.width_px, frame->image.height_px};
    const sono_region *given = sono_frame_region(frame, &p->config);
    return given->width_px ? *given : whole;
}

static const char *of_region(const sono_region *room)
{
    return room->x_px || room->y_px ? " of the region" : "";
}

static sono_status check_box(const sono_region *room, const float box[4], int32_t k, sono_error *error)
{
    if (is_within(room, box[0], box[1]) && is_within(room, box[2], box[3]) && box[0] <= box[2] &&
        box[1] <= box[3])
        return SONO_STATUS_OK;
    return SONO_FAIL(error, INVALID_ARGUMENT,
                     "the box of prompt %d, (%g, %g) to (%g, %g), is none within %d x %d pixels%s", k,
                     (double)box[0], (double)box[1], (double)box[2], (double)box[3], room->width_px,
                     room->height_px, of_region(room));
}

static sono_status check_points(const sono_pipeline *p, const sono_region *room, const sono_prompt *prompt,
                                int32_t k, sono_error *error)
{
    const int32_t most = p->config.prompt_points, n = prompt->n_points;
    if (n < 0 || n > most || (n > 0 && !prompt->points))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "prompt %d has %d points%s: this pipeline was opened for up to %d (prompt_points)",
                         k, n, n > 0 && !prompt->points ? " at NULL" : "", most);
    for (int32_t i = 0; i < n; i++) {
        const sono_point *point = &prompt->points[i];
        if (point->label < -1 || point->label > 1)
            return SONO_FAIL(error, INVALID_ARGUMENT, "point %d of prompt %d has label %d: give 1, 0 or -1",
                             i, k, point->label);
        if (point->label >= 0 && !is_within(room, point->x_px, point->y_px))
            return SONO_FAIL(error, INVALID_ARGUMENT,
                             "point %d of prompt %d, (%g, %g), is not within %d x %d pixels%s", i, k,
                             (double)point->x_px, (double)point->y_px, room->width_px, room->height_px,
                             of_region(room));
    }
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_check_prompts(const sono_pipeline *p, const sono_frame *frame,
                                        const sono_pixel_source *source, sono_error *error)
{
    if (!p->flow.prompts.is_callers)
        return source->prompts
                   ? SONO_FAIL(error, INVALID_ARGUMENT, "this pipeline has a detector: it takes no prompts")
                   : SONO_STATUS_OK;
    if (!source->prompts || source->n_prompts < 1 || source->n_prompts > p->config.max_objects)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "%d prompts: this pipeline has no detector, give each frame 1 to %d (max_objects) "
                         "with sono_pipeline_submit_prompts()",
                         source->prompts ? source->n_prompts : 0, p->config.max_objects);
    const sono_region room = room_of(p, frame);
    for (int32_t k = 0; k < source->n_prompts; k++) {
        const sono_prompt *prompt = &source->prompts[k];
        if (p->flow.prompts.has_boxes)
            SONO_TRY(check_box(&room, prompt->bbox_xyxy_px, k, error));
        SONO_TRY(check_points(p, &room, prompt, k, error));
    }
    return SONO_STATUS_OK;
}

static void store_points(const sono_pipeline *p, const sono_prompt *prompt, sono_point_row *out)
{
    for (int32_t i = 0; i < p->config.prompt_points; i++) {
        out[i] = (sono_point_row){.label = -1.0f};
        if (prompt && i < prompt->n_points && prompt->points[i].label >= 0)
            out[i] = (sono_point_row){.x = prompt->points[i].x_px,
                                      .y = prompt->points[i].y_px,
                                      .label = (float)prompt->points[i].label};
    }
}

void sono_pipeline_store_prompts(const sono_pipeline *p, const sono_pipeline_slot *s, int32_t i,
                                 const sono_pixel_source *source)
{
    const sono_prompt_tensors *to = &p->flow.prompts;
    if (!to->is_callers)
        return;
    sono_detection *rows = sono_pipeline_prompts(p, s, i);
    sono_point_row *points = to->points ? (sono_point_row *)(void *)row_of(p, s, to->points, i) : NULL;
    for (int32_t k = 0; k < p->config.max_objects; k++) {
        const sono_prompt *prompt = k < source->n_prompts ? &source->prompts[k] : NULL;
        rows[k] = (sono_detection){.score = prompt ? 1.0f : 0.0f, .valid = prompt ? 1.0f : 0.0f};
        if (prompt && to->has_boxes)
            memcpy(&rows[k].x1, prompt->bbox_xyxy_px, sizeof prompt->bbox_xyxy_px);
        if (points)
            store_points(p, prompt, points + (size_t)k * (size_t)p->config.prompt_points);
    }
}

sono_status sono_pipeline_submit_prompts(sono_pipeline *p, const sono_image *image,
                                         const sono_frame_info *info, const sono_prompt *prompts,
                                         int32_t n_prompts, sono_error *error)
{
    sono_frame frame;
    if (!prompts)
        return SONO_FAIL(error, INVALID_ARGUMENT, "prompts is NULL");
    SONO_TRY(sono_frame_read(image, info, &frame, error));
    const sono_pixel_source source = {.prompts = prompts, .n_prompts = n_prompts};
    return sono_pipeline_submit_from(p, &frame, &source, error);
}
