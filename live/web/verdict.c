// SPDX-License-Identifier: Apache-2.0
#include "web/verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SILENT_NS        INT64_C(3000000000) /* the loop tells every second */
#define CUDA_WARNING_MS  50
#define CUDA_CRITICAL_MS 100

const char *sono_web_level_name(sono_web_level level)
{
    return level == SONO_WEB_CRITICAL ? "CRITICAL" : level == SONO_WEB_WARNING ? "WARNING" : "OK";
}

/* Behind those that are as bad. */
__attribute__((format(printf, 4, 5))) static void say(sono_web_verdict *out, sono_web_level level,
                                                      const char *code, const char *format, ...)
{
    va_list arguments;
    int32_t at = out->n;
    if (out->n == SONO_WEB_REASONS) {
        return;
    }
    while (at > 0 && out->reasons[at - 1].level < level) {
        out->reasons[at] = out->reasons[at - 1];
        at--;
    }
    out->n++;
    out->level = out->level > level ? out->level : level;
    out->reasons[at].level = level;
    snprintf(out->reasons[at].code, sizeof out->reasons[at].code, "%s", code);
    va_start(arguments, format);
    vsnprintf(out->reasons[at].text, sizeof out->reasons[at].text, format, arguments);
    va_end(arguments);
}

/* Which limit is passed: 0 none, else the level. */
static sono_web_level above(double value, const double limits[2])
{
    if (!isnan(value) && limits[1] > 0 && value > limits[1]) {
        return SONO_WEB_CRITICAL;
    }
    return !isnan(value) && limits[0] > 0 && value > limits[0] ? SONO_WEB_WARNING : SONO_WEB_OK;
}

static sono_web_level below(double value, const double limits[2])
{
    if (!isnan(value) && limits[1] > 0 && value < limits[1]) {
        return SONO_WEB_CRITICAL;
    }
    return !isnan(value) && limits[0] > 0 && value < limits[0] ? SONO_WEB_WARNING : SONO_WEB_OK;
}

/* A limit of -1 depends on what frames run on. */
static double limit_of(const sono_web_findings *f, double limit, double on_cuda)
{
    return limit >= 0 ? limit : f->is_on_cuda ? on_cuda : 0;
}

static void judge_flow(const sono_web_findings *f, const sono_web_limits *limits, sono_web_verdict *out)
{
    const sono_web_level rate = f->rate_in_hz > 0 ? below(f->rate_out_hz, limits->rate_hz) : SONO_WEB_OK;
    const double latency_ms[2] = {limit_of(f, limits->latency_ms[0], CUDA_WARNING_MS),
                                  limit_of(f, limits->latency_ms[1], CUDA_CRITICAL_MS)};
    const sono_web_level latency = above(f->p95_ms, latency_ms);
    const sono_web_level drops = above(f->drop_percent, limits->drop_percent);
    if (rate) {
        say(out, rate, "rate", "%.1f masks a second, fewer than %g", f->rate_out_hz,
            limits->rate_hz[rate == SONO_WEB_CRITICAL]);
    }
    if (latency) {
        say(out, latency, "latency",
            "5 %% of the last minute's frames took %.1f ms or longer, more than %g ms", f->p95_ms,
            latency_ms[latency == SONO_WEB_CRITICAL]);
    }
    if (drops) {
        say(out, drops, "drops", "%.1f %% of the last minute's frames were lost, more than %g %%",
            f->drop_percent, limits->drop_percent[drops == SONO_WEB_CRITICAL]);
    }
}

static void judge_gpu(const sono_web_findings *f, const sono_web_limits *limits, sono_web_verdict *out)
{
    const struct {
        const char *code, *text, *unit;
        double value;
        const double *limits;
    } rows[] = {
        {"gpu_use", "the GPU is busy", "%", f->gpu_use_percent, limits->gpu_use_percent},
        {"gpu_memory", "the GPU's memory is taken", "%", f->gpu_memory_percent, limits->gpu_memory_percent},
        {"gpu_temperature", "the GPU is hot", "degrees Celsius", f->gpu_temperature_celsius,
         limits->gpu_temperature_celsius},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const sono_web_level level = above(rows[i].value, rows[i].limits);
        if (level) {
            say(out, level, rows[i].code, "%s: %.0f %s, more than %g", rows[i].text, rows[i].value,
                rows[i].unit, rows[i].limits[level == SONO_WEB_CRITICAL]);
        }
    }
}

/* What the operator asked for or what ends by itself only warns. */
static sono_web_level level_of_fault(const char *fault)
{
    const int is_mild =
        !strcmp(fault, "PAUSED") || !strcmp(fault, "ENGINE_OPENING") || !strcmp(fault, "STOPPING");
    return is_mild ? SONO_WEB_WARNING : SONO_WEB_CRITICAL;
}

void sono_web_judge(const sono_web_findings *f, const sono_web_limits *limits, sono_web_verdict *out)
{
    memset(out, 0, sizeof *out);
    if (!f->has_snapshot) {
        say(out, SONO_WEB_WARNING, "starting", "the service has not told anything yet");
        return;
    }
    if (f->silent_ns > SILENT_NS) {
        say(out, SONO_WEB_CRITICAL, "loop", "the service has not told anything for %.0f s: its loop hangs",
            (double)f->silent_ns * 1e-9);
    }
    if (strcmp(f->fault, "OK") != 0) {
        say(out, level_of_fault(f->fault), "fault", "%s: %s", f->fault, f->fault_text);
    }
    if (f->received != f->processed + f->dropped + f->in_flight) {
        say(out, SONO_WEB_CRITICAL, "counts", "the counters do not add up: this is a fault of the program");
    }
    judge_flow(f, limits, out);
    judge_gpu(f, limits, out);
    if (f->is_over_budget) {
        say(out, SONO_WEB_WARNING, "ledger",
            "a frame crossed between GPU and host more often than it should");
    }
    if (*f->record_error) {
        say(out, SONO_WEB_WARNING, "recording", "the recording stopped: %.150s", f->record_error);
    }
}
