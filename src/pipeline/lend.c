// SPDX-License-Identifier: Apache-2.0
/* Slot memory that the caller fills: a frame that nobody copies. */
#include "base/pixel.h"
#include "pipeline/pipeline_private.h"

static sono_pipeline_slot *find_lent_input(sono_pipeline *p, const sono_input *input)
{
    for (int32_t i = 0; i < p->config.n_slots; i++)
        if (input == &p->slots[i].input && p->slots[i].is_input_lent)
            return &p->slots[i];
    return NULL;
}

static sono_status lend(sono_pipeline *p, const sono_input **out, sono_error *error)
{
    int32_t index = -1;
    SONO_TRY(sono_pipeline_check_open(p, error));
    SONO_TRY(sono_pipeline_take_slot(p, &index, error));
    sono_pipeline_slot *s = &p->slots[index];
    s->input = (sono_input){.struct_size = sizeof s->input,
                            .pixels = s->inputs + p->plan->offset_bytes[p->flow.frame.pixels],
                            .n_bytes = sono_frame_max_bytes(p->config.max_width_px, p->config.max_height_px)};
    s->is_input_lent = 1;
    *out = &s->input;
    return SONO_STATUS_OK;
}

sono_status sono_pipeline_lend_input(sono_pipeline *p, const sono_input **out, sono_error *error)
{
    if (!p || !out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or out is NULL");
    if (p->config.batch > 1)
        return SONO_FAIL(error, UNSUPPORTED,
                         "inputs are lent only with a batch of 1, but this pipeline has a batch of %d",
                         p->config.batch);
    pthread_mutex_lock(&p->submit_mutex);
    const sono_status status = lend(p, out, error);
    pthread_mutex_unlock(&p->submit_mutex);
    return status;
}

/* Whether all rows lie within the input. */
static sono_status check_place(const sono_input *input, const sono_frame *frame, sono_error *error)
{
    const size_t row_bytes = (size_t)frame->image.width_px * sono_pixel_bytes(frame->image.format);
    const size_t pitch_bytes = frame->image.pitch_bytes ? frame->image.pitch_bytes : row_bytes;
    const uintptr_t from = (uintptr_t)input->pixels, at = (uintptr_t)frame->image.pixels;
    const size_t n_rows_before = (size_t)frame->image.height_px - 1;
    if (at < from || at - from > input->n_bytes || row_bytes > input->n_bytes - (at - from) ||
        n_rows_before > (input->n_bytes - (at - from) - row_bytes) / pitch_bytes)
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "%d rows of %zu bytes, %zu apart, do not lie within the lent input of %zu bytes",
                         frame->image.height_px, row_bytes, pitch_bytes, input->n_bytes);
    if (frame->image.format == SONO_PIXEL_GRAY16 && (at % 2 || pitch_bytes % 2))
        return SONO_FAIL(error, INVALID_ARGUMENT,
                         "16-bit pixels must lie at an even address, and their rows an even number of bytes "
                         "apart");
    return SONO_STATUS_OK;
}

static const sono_pixel_source no_prompts;

/* Under the submit mutex. A batch that could not be started has freed its slot. */
static sono_status submit_lent(sono_pipeline *p, sono_pipeline_slot *s, const sono_frame *frame,
                               sono_error *error)
{
    SONO_TRY(sono_pipeline_check_open(p, error));
    SONO_TRY(sono_frame_check(&frame->image, p->config.max_width_px, p->config.max_height_px, error));
    SONO_TRY(sono_frame_check_region(&frame->image, sono_frame_region(frame, &p->config), error));
    SONO_TRY(check_place(&s->input, frame, error));
    SONO_TRY(sono_pipeline_check_prompts(p, frame, &no_prompts, error));
    sono_pipeline_store_lent(p, s, frame);
    sono_pipeline_announce_frame(p, frame, "cpu");
    s->is_input_lent = 0;
    return sono_pipeline_start(p, (int32_t)(s - p->slots), 0, error);
}

sono_status sono_input_submit(sono_pipeline *p, const sono_input *input, const sono_image *image,
                              const sono_frame_info *info, sono_error *error)
{
    sono_frame frame;
    if (!p || !input)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or input is NULL");
    SONO_TRY(sono_frame_read(image, info, &frame, error));
    pthread_mutex_lock(&p->submit_mutex);
    sono_pipeline_slot *s = find_lent_input(p, input);
    const sono_status status =
        s ? submit_lent(p, s, &frame, error) : SONO_FAIL(error, INVALID_ARGUMENT, "the input is not lent");
    pthread_mutex_unlock(&p->submit_mutex);
    return status;
}

sono_status sono_input_return(sono_pipeline *p, const sono_input *input)
{
    if (!p || !input)
        return SONO_STATUS_INVALID_ARGUMENT;
    pthread_mutex_lock(&p->submit_mutex);
    sono_pipeline_slot *s = find_lent_input(p, input);
    if (s) {
        s->is_input_lent = 0;
        sono_slots_cancel(&p->ring, (int32_t)(s - p->slots));
    }
    pthread_mutex_unlock(&p->submit_mutex);
    return s ? SONO_STATUS_OK : SONO_STATUS_INVALID_ARGUMENT;
}
