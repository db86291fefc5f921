// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "pipeline_args.h"

#include "sonoseg/io.h"
#include "sonoseg/models.h"

#include <stdio.h>
#include <string.h>

enum { ID_PRECISION_OUT = ID_OWN };

typedef struct convert {
    const char *paths[2]; /* in, out */
    int n_paths;
    sono_precision precision;
    sono_detector_family family;
} convert;

static int take(void *user, int id, const char *value)
{
    convert *self = user;
    if (id == ID_FAMILY)
        return family_take(value, &self->family);
    if (id == ID_PRECISION_OUT) {
        const int is_half = !strcmp(value, "fp16");
        if (!is_half && strcmp(value, "fp32") != 0) {
            report_error("--precision: '%s' is neither fp32 nor fp16", value);
            return -1;
        }
        self->precision = is_half ? SONO_PRECISION_FP16 : SONO_PRECISION_FP32;
        return 0;
    }
    if (!*value) {
        report_error("the path of a file is empty");
        return -1;
    }
    if (self->n_paths == 2) {
        report_error("two files are expected, IN and OUT: '%s' is too many", value);
        return -1;
    }
    self->paths[self->n_paths++] = value;
    return 0;
}

static const args_option options[] = {
    {"precision", ID_PRECISION_OUT, "P",
     "fp32 (default), or fp16: half the bytes; refused when a value does not fit"},
    FAMILY_OPTION,
};

static const args_spec spec = {
    .command = "convert",
    .usage = "convert IN OUT.safetensors [--precision fp16] [--detector-family F]",
    .intro =
        "Writes a checkpoint under its official tensor names as safetensors, with its architecture, "
        "classes, input\n"
        "size, the source's hash and the detector's family (where IN or the option says it) as metadata. An\n"
        "existing OUT is replaced whole or stays as it was.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "examples\n"
                "  sonoseg convert dfine_s.pth dfine_s.safetensors\n"
                "  sonoseg convert mobile_sam.pt mobile_sam.safetensors --precision fp16",
    .take = take,
};

static int write_file(const convert *self)
{
    sono_error error;
    sono_model_info info;
    const char *const inputs[] = {self->paths[0]};
    const sono_output output = {self->paths[1], SONO_OUTPUT_FILE};
    if (sono_output_check(inputs, 1, &output, 1, &error)) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    sono_status status =
        sono_model_convert(self->paths[0], self->paths[1], self->precision, self->family, &error);
    if (status == SONO_STATUS_OK)
        status = sono_model_inspect(self->paths[1], &info, &error);
    if (status != SONO_STATUS_OK) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    if ((info.role & SONO_ROLE_DETECTOR) && info.family == SONO_FAMILY_AUTO)
        family_warn(self->paths[0]);
    printf("%s: %s, %d tensors, %s, %lld bytes\n", self->paths[1], info.architecture, info.n_tensors,
           info.dtype, (long long)info.file_bytes);
    return STATUS_DONE;
}

int cmd_convert(int argc, char **argv)
{
    convert self = {.precision = SONO_PRECISION_FP32};
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    if (parsed != ARGS_GO)
        return parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (self.n_paths == 2)
        return write_file(&self);
    report_error("two files are expected: IN and OUT.safetensors");
    report_see_help(spec.command);
    return STATUS_USAGE;
}
