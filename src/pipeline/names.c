// SPDX-License-Identifier: Apache-2.0
/* The public names of constants. */
#include "base/stages.h"
#include "sonoseg/sonoseg.h"

static const char *const status_names[] = {
#define X(name, text) "SONO_STATUS_" #name,
    SONO_STATUS_MAP(X)
#undef X
};

static const char *const status_texts[] = {
#define X(name, text) text,
    SONO_STATUS_MAP(X)
#undef X
};

static const char *const stage_names[] = {
#define X(name, text) text,
    SONO_STAGE_MAP(X)
#undef X
};

const char *sono_status_name(sono_status status)
{
    return (unsigned)status < SONO_STATUS_COUNT ? status_names[status] : "SONO_STATUS_UNKNOWN";
}

const char *sono_status_text(sono_status status)
{
    return (unsigned)status < SONO_STATUS_COUNT ? status_texts[status] : "unknown status";
}

const char *sono_stage_name(sono_stage stage)
{
    return (unsigned)stage < SONO_STAGE_COUNT ? stage_names[stage] : "unknown";
}

int32_t sono_stage_count(void)
{
    return SONO_STAGE_COUNT;
}

const char *sono_state_name(sono_state state)
{
    static const char *const names[] = {"LOST", "VISIBLE", "RELOCALIZING"};
    return (unsigned)state < 3 ? names[state] : "UNKNOWN";
}

const char *sono_backend_name(sono_backend backend)
{
    return backend == SONO_BACKEND_CUDA ? "cuda" : "cpu";
}

const char *sono_detector_family_name(sono_detector_family family)
{
    static const char *const names[] = {"auto", "dfine", "deim"};
    return (unsigned)family < 3 ? names[family] : "unknown";
}

const char *sono_precision_name(sono_precision precision)
{
    return precision == SONO_PRECISION_FP16 ? "fp16" : "fp32";
}

#define VERSION_TEXT_(a, b, c) #a "." #b "." #c
#define VERSION_TEXT(a, b, c)  VERSION_TEXT_(a, b, c)

const char *sono_version(void)
{
    return VERSION_TEXT(SONO_VERSION_MAJOR, SONO_VERSION_MINOR, SONO_VERSION_PATCH);
}
