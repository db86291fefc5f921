// SPDX-License-Identifier: Apache-2.0
/* The public calls that lend results in device memory. */
#include "base/alloc.h"
#include "pipeline/pipeline_private.h"
#include "sonoseg/cuda.h"

_Static_assert(sizeof(sono_device_maps) == 16 + 6 * sizeof(void *),
               "programs bring their own: it never changes");

static sono_status find_lent(sono_pipeline *p, const sono_packet *packet, sono_pipeline_frame **out,
                             sono_error *error)
{
    if (!p || !packet)
        return SONO_FAIL(error, INVALID_ARGUMENT, "pipeline or packet is NULL");
    if (!p->choice.ops->device)
        return SONO_FAIL(error, UNSUPPORTED, "the %s backend has no device memory", p->choice.ops->name);
    *out = sono_pipeline_find_lent(p, packet);
    return *out ? SONO_STATUS_OK : SONO_FAIL(error, INVALID_ARGUMENT, "the packet is not lent");
}

/* NULL where there is no such map. */
static const void *map_memory(sono_pipeline *p, const sono_pipeline_frame *f, int32_t object, sono_map which)
{
    if (!p->flow.mask || (which != SONO_MAP_MASK && !p->flow.map_element_bytes))
        return NULL;
    const int32_t index = (int32_t)(f - p->frames), slot = index / p->config.batch;
    const sono_packet *packet = &f->storage.packet;
    return p->choice.ops->device->memory(p->engine, slot, SONO_BLOCK_OUTPUTS) +
           sono_pipeline_maps_at(p, &p->slots[slot], index % p->config.batch) +
           sono_map_at(which, object, (int64_t)packet->width_px * packet->height_px,
                       p->flow.map_element_bytes);
}

static int is_float(const sono_pipeline *p)
{
    return p->flow.map_element_bytes == (int32_t)sizeof(float);
}

sono_status sono_packet_device_maps(sono_pipeline *p, const sono_packet *packet, int32_t object,
                                    sono_device_maps *out, sono_error *error)
{
    sono_pipeline_frame *f = NULL;
    SONO_TRY(find_lent(p, packet, &f, error));
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    if (object < 0 || object >= packet->n_objects)
        return SONO_FAIL(error, INVALID_ARGUMENT, "there is no object %d: the packet has %d, counted from 0",
                         object, packet->n_objects);
    const size_t width = (size_t)packet->width_px;
    *out = (sono_device_maps){.device = p->choice.device,
                              .width_px = packet->width_px,
                              .height_px = packet->height_px,
                              .mask_pitch_bytes = width,
                              .map_dtype = is_float(p) ? SONO_MAP_DTYPE_F32 : SONO_MAP_DTYPE_U8,
                              .map_pitch_bytes = width * (is_float(p) ? sizeof(float) : 1),
                              .mask = map_memory(p, f, object, SONO_MAP_MASK),
                              .edge = map_memory(p, f, object, SONO_MAP_EDGE),
                              .inside = map_memory(p, f, object, SONO_MAP_INSIDE),
                              .outside = map_memory(p, f, object, SONO_MAP_OUTSIDE)};
    return SONO_STATUS_OK;
}

sono_status sono_packet_release_after(sono_pipeline *p, const sono_packet *packet, struct CUstream_st *stream,
                                      sono_error *error)
{
    sono_pipeline_frame *f = NULL;
    SONO_TRY(find_lent(p, packet, &f, error));
    SONO_TRY(p->choice.ops->device->order_after(p->engine, NULL, stream, error));
    return sono_packet_release(p, packet);
}

/* ---- tensors ---- */

/* A tensor that was handed out, of either kind, and what it keeps. */
typedef struct lent_tensor {
    DLManagedTensor plain;
    DLManagedTensorVersioned versioned;
    int64_t shape[2], strides[2];
    sono_pipeline *pipeline;
    sono_pipeline_frame *frame;
    struct CUstream_st *stream;
} lent_tensor;

/* A device that has failed, or a pipeline that was closed, runs nothing any more: then there is no order to
 * keep. */
static void give_back(lent_tensor *lent)
{
    sono_pipeline *p = lent->pipeline;
    if (!atomic_load(&p->is_closed))
        (void)p->choice.ops->device->order_after(p->engine, NULL, lent->stream, NULL);
    sono_pipeline_give_back(p, lent->frame);
    sono_free(lent);
}

static void delete_plain(DLManagedTensor *self)
{
    give_back(self->manager_ctx);
}

static void delete_versioned(DLManagedTensorVersioned *self)
{
    give_back(self->manager_ctx);
}

static const void *choose_map(const sono_device_maps *maps, sono_map map)
{
    switch (map) {
    case SONO_MAP_MASK:
        return maps->mask;
    case SONO_MAP_EDGE:
        return maps->edge;
    case SONO_MAP_INSIDE:
        return maps->inside;
    case SONO_MAP_OUTSIDE:
        return maps->outside;
    }
    return NULL;
}

static sono_status lend(sono_pipeline *p, const sono_packet *packet, int32_t object, sono_map map,
                        struct CUstream_st *stream, lent_tensor **out, sono_error *error)
{
    sono_device_maps maps;
    SONO_TRY(sono_packet_device_maps(p, packet, object, &maps, error));
    const void *memory = choose_map(&maps, map);
    if (!memory)
        return SONO_FAIL(error, INVALID_ARGUMENT, "map %d was not asked for at open", (int)map);
    lent_tensor *lent = sono_alloc(sizeof *lent);
    if (!lent)
        return SONO_FAIL(error, OUT_OF_MEMORY, "out of memory for a tensor");
    const int is_bytes = map == SONO_MAP_MASK || maps.map_dtype == SONO_MAP_DTYPE_U8;
    lent->shape[0] = maps.height_px;
    lent->shape[1] = lent->strides[0] = maps.width_px;
    lent->strides[1] = 1;
    lent->pipeline = p;
    lent->frame = sono_pipeline_find_lent(p, packet);
    lent->stream = stream;
    const DLTensor tensor = {.data = (void *)(uintptr_t)memory,
                             .device = {kDLCUDA, maps.device},
                             .ndim = 2,
                             .dtype = {is_bytes ? kDLUInt : kDLFloat, is_bytes ? 8 : 32, 1},
                             .shape = lent->shape,
                             .strides = lent->strides};
    lent->plain = (DLManagedTensor){tensor, lent, delete_plain};
    lent->versioned = (DLManagedTensorVersioned){.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION},
                                                 .manager_ctx = lent,
                                                 .deleter = delete_versioned,
                                                 .flags = DLPACK_FLAG_BITMASK_READ_ONLY,
                                                 .dl_tensor = tensor};
    atomic_fetch_add(&lent->frame->n_uses, 1);
    sono_pipeline_enter(p);
    *out = lent;
    return SONO_STATUS_OK;
}

sono_status sono_packet_map_dlpack(sono_pipeline *p, const sono_packet *packet, int32_t object, sono_map map,
                                   struct CUstream_st *stream, DLManagedTensor **out, sono_error *error)
{
    lent_tensor *lent = NULL;
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    SONO_TRY(lend(p, packet, object, map, stream, &lent, error));
    *out = &lent->plain;
    return SONO_STATUS_OK;
}

sono_status sono_packet_map_dlpack_versioned(sono_pipeline *p, const sono_packet *packet, int32_t object,
                                             sono_map map, struct CUstream_st *stream,
                                             DLManagedTensorVersioned **out, sono_error *error)
{
    lent_tensor *lent = NULL;
    if (!out)
        return SONO_FAIL(error, INVALID_ARGUMENT, "out is NULL");
    SONO_TRY(lend(p, packet, object, map, stream, &lent, error));
    *out = &lent->versioned;
    return SONO_STATUS_OK;
}
