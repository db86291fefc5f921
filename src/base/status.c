// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include <stdio.h>
#include <string.h>

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

const char *sono_state_name(sono_state state)
{
    static const char *const names[] = {"VISIBLE", "RELOCALIZING", "LOST"};
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

static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

sono_status sono_error_set(sono_error *error, sono_status status, int32_t native_code, int64_t offset_bytes,
                           const char *where, const char *format, ...)
{
    if (!error)
        return status;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    if (offset_bytes >= 0 && n >= 0 && (size_t)n < sizeof error->text)
        snprintf(error->text + n, sizeof error->text - (size_t)n, " (at byte %lld)", (long long)offset_bytes);
    make_printable(error->text);
    error->status = status;
    error->native_code = native_code;
    error->offset_bytes = offset_bytes;
    snprintf(error->where, sizeof error->where, "%s", where);
    return status;
}

void sono_error_prefix(sono_error *error, const char *prefix)
{
    if (!error)
        return;
    char text[sizeof error->text];
    memcpy(text, error->text, sizeof text);
    const int length = snprintf(error->text, sizeof error->text, "%.200s: ", prefix);
    memcpy(error->text + length, text, sizeof text - (size_t)length - 1);
    error->text[sizeof error->text - 1] = '\0';
    make_printable(error->text);
}
