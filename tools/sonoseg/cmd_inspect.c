// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "commands.h"
#include "pipeline_args.h"

#include "sonoseg/models.h"

#include <stdio.h>

enum { ID_TENSORS = ID_OWN, ID_PROGRAM };

typedef struct inspect {
    const char *path;
    sono_detector_family family;
    int wants_tensors;
    int wants_program;
    const char *device; /* whose kernels the program is listed with; NULL = none */
} inspect;

static int take(void *user, int id, const char *value)
{
    inspect *self = user;
    if (id == ID_FAMILY)
        return family_take(value, &self->family);
    if (id == ID_DEVICE) {
        self->device = value;
    } else if (id == ID_TENSORS) {
        self->wants_tensors = 1;
    } else if (id == ID_PROGRAM) {
        self->wants_program = 1;
    } else if (self->path) {
        report_error("one file at a time: '%s' is too many", value);
        return -1;
    } else {
        self->path = value;
    }
    return 0;
}

static const args_option options[] = {
    {"tensors", ID_TENSORS, NULL, "list every tensor: name, type, shape"},
    {"program", ID_PROGRAM, NULL, "list the network's ops: shapes, bytes, FLOPs, then totals"},
    {"device", ID_DEVICE, "NAME", "list the program with the kernels that run it on cpu, cuda or cuda:N"},
    FAMILY_OPTION,
};

static const args_spec spec = {
    .command = "inspect",
    .usage = "inspect FILE [--tensors] [--program [--device NAME]] [--detector-family F]",
    .intro =
        "Says what a checkpoint is: network, size, classes, parameters, hash, and the metadata of a "
        ".safetensors\n"
        "file: where a model comes from and how good it is. Reads .pth and .pt files of PyTorch too "
        "(nothing in\n"
        "them is executed). It ends in 'usable: yes', or in 'usable: no:' with what run would say and exit\n"
        "status 1; the lists that the options ask for follow.",
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .examples = "examples\n"
                "  sonoseg inspect dfine_s.pth\n"
                "  sonoseg inspect mobile_sam.pt --program",
    .take = take,
};

/* What the file holds beside the tensors, and around their names. */
static void print_left_out(const sono_model_info *info)
{
    if (*info->wrapper)
        printf("state dict    in '%s'\n", info->wrapper);
    if (*info->prefix)
        printf("prefix        '%s', taken off every name\n", info->prefix);
    if (info->n_ignored)
        printf("ignored       entries of the state dict that are no tensors: %d, such as '%s'\n",
               info->n_ignored, info->ignored);
    if (info->n_inert)
        printf("inert         objects of other classes: %lld, such as %s (nothing is executed)\n",
               (long long)info->n_inert, info->inert);
}

static void print_family(sono_detector_family stated, sono_detector_family asked)
{
    const int is_deim = stated == SONO_FAMILY_DEIM || (!stated && asked == SONO_FAMILY_DEIM);
    printf("family        %s, %s\n", is_deim ? "deim (SiLU in the decoder)" : "dfine (ReLU in the decoder)",
           stated  ? "as the file says"
           : asked ? "as --detector-family says"
                   : "assumed: the file does not say");
}

static const char *const role_names[] = {[SONO_ROLE_DETECTOR] = "detector",
                                         [SONO_ROLE_SEGMENTER] = "segmenter",
                                         [SONO_ROLE_BOTH] = "detector and segmenter"};

static void print_info(const char *path, const sono_model_info *info, sono_detector_family asked)
{
    printf("file          %s\n", path);
    printf("network       %s, %s (%s)\n", info->architecture, role_names[info->role], info->network);
    if (info->role & SONO_ROLE_DETECTOR) {
        printf("classes       %d\n", info->n_classes);
        print_family(info->family, asked);
    }
    printf("input         %d x %d pixels%s\n", info->input_width_px, info->input_height_px,
           info->n_channels == 1 ? ", luma" : "");
    printf("parameters    %lld (%.2f million)\n", (long long)info->n_params, (double)info->n_params * 1e-6);
    printf("tensors       %d, %s\n", info->n_tensors, info->dtype);
    printf("container     %s, %s names\n", info->container, info->naming);
    print_left_out(info);
    printf("bytes         %lld\n", (long long)info->file_bytes);
    printf("sha256        %s\n", info->sha256);
}

/* Whether run would take the file: 1, or 0 after report_error(). */
static int print_verdict(const inspect *self)
{
    sono_error error;
    if (sono_model_verify(self->path, self->family, &error) == SONO_STATUS_OK) {
        puts("usable: yes");
        return 1;
    }
    printf("usable: no: %s\n", error.text);
    report_error("%s", error.text);
    return 0;
}

static int show(const inspect *self)
{
    sono_error error;
    sono_model_info info;
    if (sono_model_inspect(self->path, &info, NULL) == SONO_STATUS_OK)
        print_info(self->path, &info, self->family);
    else
        printf("file          %s\n", self->path);
    sono_status status = sono_model_list_metadata(self->path, stdout, &error);
    const int is_usable = print_verdict(self);
    if (status == SONO_STATUS_OK && self->wants_tensors)
        status = sono_model_list_tensors(self->path, stdout, &error);
    if (status == SONO_STATUS_OK && is_usable && self->wants_program)
        status = sono_model_print_program(self->path, self->device, stdout, &error);
    if (status != SONO_STATUS_OK && is_usable)
        report_error("%s", error.text);
    return status == SONO_STATUS_OK && is_usable ? STATUS_DONE : STATUS_FAILED;
}

int cmd_inspect(int argc, char **argv)
{
    inspect self = {0};
    const args_result parsed = args_parse(&spec, argc, argv, &self);
    if (parsed != ARGS_GO)
        return parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (self.device && !self.wants_program) {
        report_error("--device says whose kernels --program lists: give --program too");
        return STATUS_USAGE;
    }
    if (self.path)
        return show(&self);
    report_error("no file given");
    report_see_help(spec.command);
    return STATUS_USAGE;
}
