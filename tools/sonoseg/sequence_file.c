// SPDX-License-Identifier: Apache-2.0
/* Parts files: sequence_write_*() and sequence_read() of sequence_set.h. */
#include "sequence_set.h"

#include "args.h"
#include "json.h"

#include "sonoseg/phantom.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION 1
#define MAX_SIDE_PX    65536
#define MAX_MM         1e6

/* A whole number of a struct, and its key. */
typedef struct field {
    const char *key;
    size_t offset;
} field;

#define PART(name)                                                                                           \
    {                                                                                                        \
#name, offsetof(sono_parts, name)                                                                    \
    }
#define RULE(name)                                                                                           \
    {                                                                                                        \
#name, offsetof(sono_state_rules, name)                                                              \
    }

static const field parts_fields[] = {
    PART(score),     PART(iou),     PART(sharpness), PART(contrast), PART(shadow),  PART(continuity),
    PART(agreement), PART(surface), PART(is_repeat), PART(moved_x),  PART(moved_y), PART(has_box),
};

static const field rules_fields[] = {
    RULE(on),
    RULE(off),
    RULE(agree_on),
    RULE(agree_off),
    RULE(found_after_ms),
    RULE(visible_after_ms),
    RULE(lost_after_ms),
    RULE(frozen_after_ms),
    RULE(gap_ms),
    RULE(default_dt_ms),
    RULE(weight_score),
    RULE(weight_iou),
    RULE(weight_sharpness),
    RULE(weight_contrast),
    RULE(weight_shadow),
    RULE(weight_continuity),
    RULE(weight_agreement),
    RULE(weight_surface),
    RULE(bias),
    RULE(unknown_part),
};

#define N_PARTS (sizeof parts_fields / sizeof parts_fields[0])
#define N_RULES (sizeof rules_fields / sizeof rules_fields[0])

/* ---- writing */

/* "key": {...} of the whole numbers in a struct. */
static void write_fields(FILE *stream, const char *key, const field *fields, size_t n, const void *values)
{
    fprintf(stream, "\"%s\": {", key);
    for (size_t i = 0; i < n; i++) {
        int32_t value;
        memcpy(&value, (const char *)values + fields[i].offset, sizeof value);
        fprintf(stream, "%s\"%s\": %d", i ? ", " : "", fields[i].key, value);
    }
    fputc('}', stream);
}

static void write_box(FILE *stream, const char *key, const float box[4])
{
    fprintf(stream, ", \"%s\": [%.9g, %.9g, %.9g, %.9g]", key, (double)box[0], (double)box[1], (double)box[2],
            (double)box[3]);
}

void sequence_write_rules(FILE *stream, const sono_state_rules *rules)
{
    write_fields(stream, "rules", rules_fields, N_RULES, rules);
}

void sequence_write_head(FILE *stream, const char *input, const sequence_rules *rules)
{
    fprintf(stream, "{\"parts_file\": %d, \"version\": \"%s\", \"threshold\": %.9g, \"mode\": %d",
            FORMAT_VERSION, sono_version(), rules->threshold, (int)rules->mode);
    fputs(", ", stream);
    sequence_write_rules(stream, &rules->rules);
    fputs(", \"input\": ", stream);
    json_string(stream, input);
    fputs("}\n", stream);
}

/* The bins up to the last one that is not 0. */
static void write_bins(FILE *stream, const uint16_t bins[SEQUENCE_SURFACE_BINS])
{
    int n = SEQUENCE_SURFACE_BINS;
    while (n && !bins[n - 1])
        n--;
    fputs(", \"surface_bins\": [", stream);
    for (int i = 0; i < n; i++)
        fprintf(stream, "%s%d", i ? ", " : "", bins[i]);
    fputc(']', stream);
}

void sequence_write_line(FILE *stream, size_t index, const sequence_frame *frame, const sequence_input *input,
                         sono_state state)
{
    fprintf(stream,
            "{\"sweep\": %d, \"frame\": %zu, \"timestamp_ns\": %lld, \"time_ns\": %lld, \"width_px\": %d, "
            "\"height_px\": %d, \"has_truth\": %d, \"event\": \"%s\", \"visible\": %d, \"borderline\": %d, "
            "\"stale_ms\": %d",
            frame->sweep, index, (long long)input->timestamp_ns, (long long)frame->time_ns, input->width_px,
            input->height_px, frame->has_truth, sono_phantom_event_name((sono_phantom_event)frame->kind),
            frame->is_visible, frame->is_borderline, frame->stale_ms);
    write_box(stream, "true_bbox_xyxy_px", frame->true_bbox_xyxy_px);
    fprintf(stream, ", \"state\": \"%s\", \"quality\": %.3f, \"detector_score\": %.9g, \"has_outline\": %d",
            sono_state_name(state), frame->quality, frame->score, frame->has_box);
    write_box(stream, "bbox_xyxy_px", frame->bbox_xyxy_px);
    fprintf(stream, ", \"still\": %d, \"true_columns\": %d", frame->is_still, frame->n_true_columns);
    write_bins(stream, frame->surface_bins);
    if (isnan(frame->surface_jitter_mm))
        fputs(", \"surface_jitter_mm\": null", stream);
    else
        fprintf(stream, ", \"surface_jitter_mm\": %.9g", frame->surface_jitter_mm);
    fputs(", ", stream);
    write_fields(stream, "parts", parts_fields, N_PARTS, &input->parts);
    fputs("}\n", stream);
}

/* ---- reading */

typedef struct reader {
    const char *path;
    int64_t line_number; /* from 1 */
    const char *wrong;   /* the key at which the line cannot be understood; NULL = so far it can */
} reader;

/* Behind `"key":` and blanks; NULL, and the key is the wrong one, where there is none. A key cannot stand
 * within a string: its quotes would be escaped. */
static const char *find(reader *self, const char *text, const char *key)
{
    char pattern[48];
    if (self->wrong)
        return NULL;
    snprintf(pattern, sizeof pattern, "\"%s\":", key);
    const char *found = strstr(text, pattern);
    if (!found) {
        self->wrong = key;
        return NULL;
    }
    found += strlen(pattern);
    return found + strspn(found, " ");
}

/* A number in [low, high] at *at, which moves behind it. */
static double take_number(reader *self, const char **at, const char *key, double low, double high)
{
    char *end = NULL;
    const double value = *at ? strtod(*at, &end) : 0;
    if (!*at || end == *at || !(value >= low && value <= high)) {
        self->wrong = self->wrong ? self->wrong : key;
        return 0;
    }
    *at = end;
    return value;
}

static double number(reader *self, const char *text, const char *key, double low, double high)
{
    const char *at = find(self, text, key);
    return take_number(self, &at, key, low, high);
}

static int64_t whole(reader *self, const char *text, const char *key, int64_t low, int64_t high)
{
    const char *at = find(self, text, key);
    char *end = NULL;
    errno = 0;
    const long long value = at ? strtoll(at, &end, 10) : 0;
    if (!at || end == at || errno || value < low || value > high || (*end && !strchr(",}] ", *end))) {
        self->wrong = self->wrong ? self->wrong : key;
        return 0;
    }
    return value;
}

static int32_t small(reader *self, const char *text, const char *key, int32_t low, int32_t high)
{
    return (int32_t)whole(self, text, key, low, high);
}

/* The place of the string at `key` among n names. */
static int32_t choice(reader *self, const char *text, const char *key, int32_t n,
                      const char *(*name_of)(int32_t))
{
    const char *at = find(self, text, key);
    const size_t n_bytes = at && *at == '"' ? strcspn(at + 1, "\"") : 0;
    for (int32_t i = 0; at && i < n; i++)
        if (n_bytes == strlen(name_of(i)) && !strncmp(at + 1, name_of(i), n_bytes))
            return i;
    self->wrong = self->wrong ? self->wrong : key;
    return 0;
}

static const char *event_name(int32_t event)
{
    return sono_phantom_event_name((sono_phantom_event)event);
}

static const char *state_name(int32_t state)
{
    return sono_state_name((sono_state)state);
}

/* An array of at most n numbers in [low, high]; returns how many there are. */
static int32_t array(reader *self, const char *text, const char *key, int32_t n, double low, double high,
                     double *out)
{
    const char *at = find(self, text, key);
    int32_t count = 0;
    if (!at || *at != '[')
        self->wrong = self->wrong ? self->wrong : key;
    else if (at[1] != ']')
        do {
            at += 1 + strspn(at + 1, " ");
            const double value = take_number(self, &at, key, low, high);
            if (count < n)
                out[count] = value;
            count++;
        } while (!self->wrong && *at == ',');
    if (!self->wrong && (count > n || !(count ? *at == ']' : at[1] == ']')))
        self->wrong = key;
    return count;
}

static void read_box(reader *self, const char *text, const char *key, float box[4])
{
    double values[4] = {0};
    if (array(self, text, key, 4, -MAX_SIDE_PX, MAX_SIDE_PX, values) != 4 && !self->wrong)
        self->wrong = key;
    for (int i = 0; i < 4; i++)
        box[i] = (float)values[i];
}

static void read_fields(reader *self, const char *text, const char *key, const field *fields, size_t n,
                        void *out)
{
    const char *at = find(self, text, key);
    if (!at || *at != '{')
        self->wrong = self->wrong ? self->wrong : key;
    for (size_t i = 0; i < n && !self->wrong; i++) {
        const int32_t value = small(self, at, fields[i].key, INT32_MIN, INT32_MAX);
        memcpy((char *)out + fields[i].offset, &value, sizeof value);
    }
}

static void read_surface(reader *self, const char *text, sequence_frame *out)
{
    double bins[SEQUENCE_SURFACE_BINS] = {0};
    array(self, text, "surface_bins", SEQUENCE_SURFACE_BINS, 0, UINT16_MAX, bins);
    for (int i = 0; i < SEQUENCE_SURFACE_BINS; i++)
        out->surface_bins[i] = (uint16_t)bins[i];
    out->n_true_columns = small(self, text, "true_columns", 0, MAX_SIDE_PX);
    const char *jitter = find(self, text, "surface_jitter_mm");
    out->surface_jitter_mm = (double)NAN;
    if (jitter && strncmp(jitter, "null", 4) != 0)
        out->surface_jitter_mm = take_number(self, &jitter, "surface_jitter_mm", 0, MAX_MM);
}

static int take_line(reader *self, const char *text, sequence_set *out)
{
    sequence_input input = {
        .timestamp_ns = whole(self, text, "timestamp_ns", INT64_MIN, INT64_MAX),
        .width_px = small(self, text, "width_px", 1, MAX_SIDE_PX),
        .height_px = small(self, text, "height_px", 1, MAX_SIDE_PX),
    };
    sequence_frame frame = {
        .sweep = small(self, text, "sweep", 0, INT32_MAX),
        .time_ns = whole(self, text, "time_ns", INT64_MIN, INT64_MAX),
        .has_truth = small(self, text, "has_truth", 0, 1),
        .kind = choice(self, text, "event", SONO_PHANTOM_EVENT_COUNT, event_name),
        .is_visible = small(self, text, "visible", 0, 1),
        .is_borderline = small(self, text, "borderline", 0, 1),
        .stale_ms = small(self, text, "stale_ms", 0, INT32_MAX),
        .quality = number(self, text, "quality", 0, 1),
        .score = number(self, text, "detector_score", 0, 1),
        .has_box = small(self, text, "has_outline", 0, 1),
        .is_still = small(self, text, "still", 0, 1),
    };
    const sono_state state = (sono_state)choice(self, text, "state", 3, state_name);
    sono_parts_init(&input.parts);
    read_box(self, text, "true_bbox_xyxy_px", frame.true_bbox_xyxy_px);
    read_box(self, text, "bbox_xyxy_px", frame.bbox_xyxy_px);
    read_surface(self, text, &frame);
    read_fields(self, text, "parts", parts_fields, N_PARTS, &input.parts);
    if (self->wrong) {
        report_error("%s:%lld: '%s' is missing, or not what 'evaluate --parts' writes", self->path,
                     (long long)self->line_number, self->wrong);
        return -1;
    }
    if (!sequence_set_add(out, &frame, &input, state))
        return 0;
    report_error("out of memory");
    return -1;
}

static int take_head(reader *self, const char *text, sequence_rules *out)
{
    sono_state_rules_init(&out->rules);
    whole(self, text, "parts_file", FORMAT_VERSION, FORMAT_VERSION);
    out->threshold = number(self, text, "threshold", 0, 1);
    out->mode = (sono_state_mode)small(self, text, "mode", SONO_STATE_BY_SCORE, SONO_STATE_BY_STREAM);
    read_fields(self, text, "rules", rules_fields, N_RULES, &out->rules);
    if (!self->wrong)
        return 0;
    report_error("%s: no parts file that 'evaluate --parts' writes: '%s' is wrong in its first line",
                 self->path, self->wrong);
    return -1;
}

int sequence_read(const char *path, sequence_set *out, sequence_rules *rules)
{
    reader self = {.path = path};
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *stream = fopen(path, "r");
    if (!stream) {
        report_error("%s: %s", path, strerror(errno));
        return -1;
    }
    int result = 0;
    while (!result && getline(&text, &n_bytes, stream) > 0) {
        self.line_number++;
        result = self.line_number == 1 ? take_head(&self, text, rules) : take_line(&self, text, out);
    }
    if (!result && (ferror(stream) || !out->n)) {
        report_error(ferror(stream) ? "%s: cannot be read" : "%s: no frames in it", path);
        result = -1;
    }
    free(text);
    fclose(stream);
    return result;
}
