// SPDX-License-Identifier: Apache-2.0
/* OK, WARNING or CRITICAL by configured limits, with the reasons in words. Pure. */
#ifndef SONO_WEB_VERDICT_H
#define SONO_WEB_VERDICT_H

#include "web/histogram.h"

#define SONO_WEB_REASONS 12

typedef enum sono_web_level { SONO_WEB_OK, SONO_WEB_WARNING, SONO_WEB_CRITICAL } sono_web_level;

/* Pairs are warning, critical; 0 = no limit. Rates warn below, all others above. Latency: -1 = 50 and 100 ms
 * on CUDA, no limit elsewhere. */
typedef struct sono_web_limits {
    double rate_hz[2];      /* masks a second, while the source sends */
    double latency_ms[2];   /* end to end, 95 % of a minute's frames */
    double drop_percent[2]; /* of a minute's frames, those that were overtaken not counted */
    double gpu_use_percent[2];
    double gpu_memory_percent[2];
    double gpu_temperature_celsius[2];
} sono_web_limits;

/* What is judged. NaN = unknown, and not judged. */
typedef struct sono_web_findings {
    int32_t has_snapshot; /* 0: the service has not told anything yet */
    int64_t silent_ns;    /* since the event loop last told */
    const char *fault, *fault_text;
    uint64_t received, processed, dropped, in_flight;
    int32_t is_on_cuda;
    double rate_in_hz, rate_out_hz;
    double p95_ms;       /* end to end, of a minute */
    double drop_percent; /* of a minute */
    double gpu_use_percent, gpu_memory_percent, gpu_temperature_celsius;
    int32_t is_over_budget;   /* the ledger had a frame beyond the sync rule */
    const char *record_error; /* "" = none */
} sono_web_findings;

typedef struct sono_web_verdict {
    sono_web_level level;
    int32_t n;
    struct {
        sono_web_level level;
        char code[20];
        char text[200];
    } reasons[SONO_WEB_REASONS]; /* the worst first */
} sono_web_verdict;

const char *sono_web_level_name(sono_web_level level); /* "OK" */
void sono_web_judge(const sono_web_findings *findings, const sono_web_limits *limits, sono_web_verdict *out);

#endif
