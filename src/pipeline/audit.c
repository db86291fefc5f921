// SPDX-License-Identifier: Apache-2.0
/* What an open pipeline says about its crossings, and the trace where there is none. */
#include "pipeline/pipeline_private.h"

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

void sono_pipeline_warn(sono_pipeline *p)
{
    sono_audit_counts counts;
    if (!p->events.ring || p->choice.backend != SONO_BACKEND_CUDA)
        return;
    (void)sono_pipeline_audit(p, &counts);
    for (int i = 0; i < sono_stage_count(); i++)
        if (counts.n_resident[i] != counts.n_ops[i])
            sono_event_emit(&p->events, "device_mismatch", "stage=%s expected=%s ops=%d resident=%d",
                            sono_stage_name((sono_stage)i), p->choice.device_name, counts.n_ops[i],
                            counts.n_resident[i]);
    if (p->config.want_weight_maps && p->config.host_maps)
        sono_event_emit(&p->events, "host_maps", "device=%s max_bytes_per_frame=%zu", p->choice.device_name,
                        p->plan->block_bytes[SONO_BLOCK_OUTPUTS]);
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
