// SPDX-License-Identifier: Apache-2.0
#include "null_engine.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "graph/map_layout.h"
#include "pipeline/pipeline_private.h"
#include "packet_maps.h"
#include "test.h"

#include <string.h>
#include <time.h>

enum { HEADER = 1, PIXELS, DETECTIONS, IOU, AREA, MASK, N_TENSORS };

#define MAX_PX      (NULL_ENGINE_SIDE_PX * NULL_ENGINE_SIDE_PX)
#define PIXEL_BYTES ((size_t)4 * MAX_PX)

struct sono_engine {
    sono_engine_options options;
    sono_plan plan;
    size_t offsets[N_TENSORS];
    int32_t batch;
    int32_t n_left;    /* batches until it breaks; below 0 = it does not */
    int32_t n_awaited; /* it finishes no frame before so many others are broken */
    uint32_t seed;     /* of how long a frame takes */
    uint8_t *memory;   /* [slots]: inputs, outputs */
};

static atomic_int n_open, is_held, is_gated;
static atomic_int device_of_masks = SONO_DEVICE_HOST, device_of_others = SONO_DEVICE_HOST;
static _Atomic sono_status submit_fails, wait_fails;
static int32_t frame_us;
static int32_t max_objects = 1, map_element_bytes;
static _Atomic size_t maps_bytes;
static atomic_int breaks_after = -1, n_broken, n_awaited;

static void pause_us(int64_t us)
{
    const struct timespec pause = {.tv_nsec = (long)(us * 1000)};
    (void)nanosleep(&pause, NULL);
}

static size_t slot_bytes(const sono_engine *self)
{
    return self->plan.block_bytes[SONO_BLOCK_INPUTS] + self->plan.block_bytes[SONO_BLOCK_OUTPUTS];
}

static void place(sono_engine *self, int tensor, sono_block block, size_t n_bytes)
{
    self->offsets[tensor] = self->plan.block_bytes[block];
    self->plan.block_bytes[block] += (n_bytes + 63) / 64 * 64;
}

static sono_status open_null(const sono_program *program, const sono_engine_options *options,
                             sono_engine **out, sono_error *error)
{
    sono_engine *self = sono_alloc(sizeof *self);
    (void)error;
    assert_non_null(self);
    self->options = *options;
    self->batch = program->tensors[HEADER].n;
    self->n_left = atomic_load(&breaks_after);
    self->n_awaited = atomic_load(&n_awaited);
    self->seed = 1;
    const size_t n = (size_t)self->batch;
    place(self, HEADER, SONO_BLOCK_INPUTS, n * sizeof(sono_frame_header));
    place(self, PIXELS, SONO_BLOCK_INPUTS, n * PIXEL_BYTES);
    place(self, DETECTIONS, SONO_BLOCK_OUTPUTS, n * sizeof(sono_detection));
    place(self, IOU, SONO_BLOCK_OUTPUTS, n * 4 * sizeof(float));
    place(self, AREA, SONO_BLOCK_OUTPUTS, n * sizeof(int32_t));
    place(self, MASK, SONO_BLOCK_OUTPUTS,
          n * (size_t)max_objects * (size_t)object_maps_bytes(MAX_PX, map_element_bytes));
    self->plan.offset_bytes = self->offsets;
    self->memory = sono_alloc_array((size_t)options->n_slots, slot_bytes(self));
    assert_non_null(self->memory);
    atomic_fetch_add(&n_open, 1);
    *out = self;
    return SONO_STATUS_OK;
}

static void close_null(sono_engine *self)
{
    if (!self)
        return;
    atomic_fetch_sub(&n_open, 1);
    sono_free(self->memory);
    sono_free(self);
}

static void info_of(const sono_engine *self, sono_engine_info *out)
{
    *out = (sono_engine_info){.n_threads = 1, .plan = &self->plan};
}

static uint8_t *slot_memory(sono_engine *self, int32_t slot, sono_block block)
{
    return self->memory + (size_t)slot * slot_bytes(self) +
           (block == SONO_BLOCK_OUTPUTS ? self->plan.block_bytes[SONO_BLOCK_INPUTS] : 0);
}

static sono_status prepare(sono_engine *self, sono_error *error)
{
    (void)self;
    (void)error;
    return SONO_STATUS_OK;
}

static sono_status fail_as(sono_status status, sono_error *error)
{
    return status == SONO_STATUS_OK ? status : sono_error_set(error, status, 0, -1, __func__, "as told to");
}

static sono_status submit(sono_engine *self, int32_t slot, size_t input_bytes, size_t output_bytes,
                          sono_error *error)
{
    (void)slot;
    assert_in_range(input_bytes, 1, self->plan.block_bytes[SONO_BLOCK_INPUTS]);
    assert_in_range(output_bytes, self->offsets[MASK], self->plan.block_bytes[SONO_BLOCK_OUTPUTS]);
    maps_bytes = output_bytes - self->offsets[MASK];
    return fail_as(atomic_load(&submit_fails), error);
}

static void run_frame(const sono_engine *self, const uint8_t *in, uint8_t *out, int32_t i)
{
    const sono_frame_header *header =
        (const sono_frame_header *)(const void *)(in + self->offsets[HEADER]) + i;
    const uint8_t value = in[self->offsets[PIXELS] + (size_t)header->pixels_at_bytes];
    sono_detection *found = (sono_detection *)(void *)(out + self->offsets[DETECTIONS]) + i;
    int32_t *area = (int32_t *)(void *)(out + self->offsets[AREA]) + i;
    const float score = (float)value / 255.0f;
    const int is_valid = !atomic_load(&is_gated) || score >= header->threshold;
    *found = (sono_detection){.score = score, .valid = is_valid ? 1.0f : 0.0f};
    *area = value;
    memset(out + self->offsets[MASK] + (size_t)header->maps_at_bytes, value,
           (size_t)header->width_px * (size_t)header->height_px);
}

static sono_status wait_for(sono_engine *self, int32_t slot, sono_frame_cost *cost, sono_error *error)
{
    self->seed = self->seed * 1664525u + 1013904223u;
    if (frame_us)
        pause_us((int64_t)(self->seed >> 8) % frame_us);
    while (atomic_load(&is_held) || atomic_load(&n_broken) < self->n_awaited)
        pause_us(100);
    for (int32_t i = 0; i < self->batch; i++)
        run_frame(self, slot_memory(self, slot, SONO_BLOCK_INPUTS),
                  slot_memory(self, slot, SONO_BLOCK_OUTPUTS), i);
    cost->done_ns = sono_clock_ns();
    if (self->n_left == 0) {
        atomic_fetch_add(&n_broken, 1);
        return fail_as(SONO_STATUS_DEVICE, error);
    }
    self->n_left -= self->n_left > 0;
    return fail_as(atomic_load(&wait_fails), error);
}

static int32_t device_of(const sono_engine *self, sono_tid tensor)
{
    (void)self;
    return atomic_load(tensor == MASK ? &device_of_masks : &device_of_others);
}

static sono_engine_ops null_engine = {.name = "null",
                                      .open = open_null,
                                      .close = close_null,
                                      .info = info_of,
                                      .slot_memory = slot_memory,
                                      .prepare = prepare,
                                      .submit = submit,
                                      .wait = wait_for};

static const sono_engine_device_ops device_ops = {.device_of = device_of};

static void describe(sono_program *program, int32_t batch)
{
    static const int32_t widths[N_TENSORS] = {
        0, (int32_t)sizeof(sono_frame_header), (int32_t)PIXEL_BYTES, 8, 4, 1, MAX_PX};
    static const sono_dtype types[N_TENSORS] = {SONO_DTYPE_U8,  SONO_DTYPE_U8,  SONO_DTYPE_U8, SONO_DTYPE_F32,
                                                SONO_DTYPE_F32, SONO_DTYPE_I32, SONO_DTYPE_U8};
    sono_free(program->tensors);
    program->tensors = sono_alloc_array(N_TENSORS, sizeof *program->tensors);
    assert_non_null(program->tensors);
    program->n_tensors = N_TENSORS;
    for (int i = 1; i < N_TENSORS; i++)
        program->tensors[i] = (sono_tensor){.dtype = types[i],
                                            .n = batch,
                                            .h = 1,
                                            .w = 1,
                                            .c = widths[i],
                                            .pitch = widths[i],
                                            .batch_stride = widths[i],
                                            .root = i};
}

sono_pipeline *null_engine_open(int32_t n_slots, int32_t batch, int32_t us, sono_event_fn on_event,
                                void *user)
{
    sono_pipeline_config config;
    sono_pipeline *pipeline = NULL;
    sono_error error = {0};
    const sono_backend_choice choice = {.ops = &null_engine, .device_name = "null"};
    null_engine.device = atomic_load(&device_of_others) == SONO_DEVICE_HOST ? NULL : &device_ops;
    sono_flow flow = {.detector = {.architecture = "none"},
                      .segmenter = {.architecture = "none"},
                      .frame = {HEADER, PIXELS},
                      .detections = DETECTIONS,
                      .iou = IOU,
                      .area = AREA,
                      .mask = MASK,
                      .map_element_bytes = map_element_bytes};
    sono_pipeline_config_init(&config);
    config.max_objects = max_objects;
    config.n_slots = n_slots;
    config.batch = batch;
    config.max_width_px = config.max_height_px = NULL_ENGINE_SIDE_PX;
    config.on_event = on_event;
    config.on_event_user = user;
    config.detector_path = config.segmenter_path = "none";
    frame_us = us;
    assert_ok(sono_program_open(&flow.program, &error), &error);
    describe(flow.program, batch);
    assert_ok(sono_pipeline_open_on(&config, &choice, &flow, &pipeline, &error), &error);
    return pipeline;
}

sono_frame null_engine_frame(uint64_t frame_id, uint8_t value)
{
    static uint8_t pixels[256][MAX_PX];
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    if (pixels[value][0] != value)
        memset(pixels[value], value, MAX_PX);
    pthread_mutex_unlock(&mutex);
    return (sono_frame){.image = {.struct_size = sizeof(sono_image),
                                  .pixels = pixels[value],
                                  .width_px = NULL_ENGINE_SIDE_PX,
                                  .height_px = NULL_ENGINE_SIDE_PX,
                                  .format = SONO_PIXEL_GRAY8},
                        .info = {.struct_size = sizeof(sono_frame_info), .frame_id = frame_id}};
}

void null_engine_expect(const sono_packet *packet, uint64_t frame_id, uint8_t value)
{
    assert_int_equal(packet->info->frame_id, frame_id);
    assert_int_equal(sono_packet_object(packet, 0)->mask_area_px, value);
    for (int i = 0; i < MAX_PX; i++)
        assert_int_equal(packet_mask(packet, 0)[i], value);
    assert_true(packet->latency_ms >= 0);
}

void null_engine_set_maps(int32_t n_objects, int32_t element_bytes)
{
    max_objects = n_objects;
    map_element_bytes = element_bytes;
}

size_t null_engine_maps_bytes(void)
{
    return maps_bytes;
}

void null_engine_hold(int32_t hold)
{
    atomic_store(&is_held, hold);
}

void null_engine_gate(int32_t gate)
{
    atomic_store(&is_gated, gate);
}

void null_engine_fail(sono_status at_submit, sono_status at_wait)
{
    atomic_store(&submit_fails, at_submit);
    atomic_store(&wait_fails, at_wait);
}

void null_engine_break(int32_t after_batches)
{
    atomic_store(&breaks_after, after_batches);
}

void null_engine_await(int32_t is_waiting)
{
    atomic_store(&n_awaited, is_waiting ? atomic_load(&n_broken) + 1 : 0);
}

void null_engine_place(int32_t masks, int32_t others)
{
    atomic_store(&device_of_masks, masks);
    atomic_store(&device_of_others, others);
}

int32_t null_engine_count(void)
{
    return atomic_load(&n_open);
}
