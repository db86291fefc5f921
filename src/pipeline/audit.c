// SPDX-License-Identifier: Apache-2.0
/* What an open pipeline says about its crossings, and the trace of builds without one. */
#include "pipeline/pipeline_private.h"

#include <stdio.h>
#include <string.h>

sono_status sono_pipeline_audit(sono_pipeline *p, sono_audit_counts *out)
{
    if (!p || !out)
        return SONO_STATUS_INVALID_ARGUMENT;
    memset(out, 0, sizeof *out);
    if (p->choice.ops->device)
        p->choice.ops->device->audit(p->engine, out);
    return SONO_STATUS_OK;
}

static void name_place(const sono_pipeline *p, sono_tid tensor, char out[16])
{
    const sono_engine_device_ops *device = p->choice.ops->device;
    const int32_t ordinal = device ? device->device_of(p->engine, tensor) : SONO_DEVICE_HOST;
    if (ordinal >= 0)
        snprintf(out, 16, "%s:%d", p->choice.ops->name, ordinal);
    else
        snprintf(out, 16, "%s", ordinal == SONO_DEVICE_HOST ? "cpu" : "unknown");
}

void sono_pipeline_locate(sono_pipeline *p)
{
    if (!p->events.ring)
        return;
    name_place(p, p->flow.detections, p->places.boxes);
    if (!p->flow.mask)
        return;
    name_place(p, p->flow.segmenter_input, p->places.image);
    name_place(p, p->flow.mask, p->places.masks);
}

void sono_pipeline_warn(sono_pipeline *p)
{
    sono_audit_counts counts;
    if (!p->events.ring || p->choice.backend != SONO_BACKEND_CUDA)
        return;
    (void)sono_pipeline_audit(p, &counts);
    for (int i = 0; i < sono_stage_count(); i++)
        if (counts.n_resident[i] != counts.n_ops[i])
            SONO_EMIT(&p->events, DEVICE_MISMATCH, NULL,
                      sono_event_text("stage", sono_stage_name((sono_stage)i)),
                      sono_event_text("expected", p->choice.device_name),
                      sono_event_integer("ops", counts.n_ops[i]),
                      sono_event_integer("resident", counts.n_resident[i]));
    if (p->config.want_weight_maps && p->config.host_maps)
        SONO_EMIT(
            &p->events, HOST_MAPS, NULL, sono_event_text("device", p->choice.device_name),
            sono_event_integer("max_bytes_per_frame", (int64_t)p->plan->block_bytes[SONO_BLOCK_OUTPUTS]));
}

#ifndef SONO_HAVE_CUPTI
sono_status sono_trace_open(sono_trace **out, sono_error *error)
{
    (void)out;
    return SONO_FAIL(error, UNSUPPORTED,
                     "this build cannot trace: it has no CUDA backend, or CUPTI's header was not there");
}

sono_status sono_trace_start(sono_trace *trace, sono_error *error)
{
    (void)trace;
    return SONO_FAIL(error, INVALID_ARGUMENT, "no trace is open");
}

sono_status sono_trace_stop(sono_trace *trace, sono_trace_totals *out, sono_error *error)
{
    (void)trace;
    (void)out;
    return SONO_FAIL(error, INVALID_ARGUMENT, "no trace is open");
}

const sono_trace_record *sono_trace_records(const sono_trace *trace, int64_t *n_records)
{
    (void)trace;
    *n_records = 0;
    return NULL;
}

void sono_trace_close(sono_trace *trace)
{
    (void)trace;
}
#endif
