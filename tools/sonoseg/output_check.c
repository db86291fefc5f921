// SPDX-License-Identifier: Apache-2.0
#include "output_check.h"

#include "commands.h"
#include "phantom_input.h"

#include <stdlib.h>
#include <string.h>

#define N_CHECKPOINTS 2
#define MAX_OUTPUTS   4

int output_check(const pipeline_args *args, const char *const *inputs, int32_t n_inputs,
                 const sono_output *outputs, int32_t n_outputs)
{
    sono_output wanted[MAX_OUTPUTS];
    int32_t n_wanted = 0, n_read = 0;
    const char **read = calloc((size_t)n_inputs + N_CHECKPOINTS, sizeof *read);
    if (!read) {
        report_error("out of memory");
        return STATUS_FAILED;
    }
    for (int32_t i = 0; i < n_inputs; i++)
        if (!phantom_input_matches(inputs[i]))
            read[n_read++] = inputs[i];
    if (args->config.detector_path)
        read[n_read++] = args->config.detector_path;
    if (args->config.segmenter_path)
        read[n_read++] = args->config.segmenter_path;
    for (int32_t i = 0; i < n_outputs && n_wanted < MAX_OUTPUTS - 1; i++)
        if (outputs[i].path)
            wanted[n_wanted++] = outputs[i];
    if (args->events_path && strcmp(args->events_path, "-"))
        wanted[n_wanted++] = (sono_output){args->events_path, SONO_OUTPUT_FILE};
    sono_error error;
    const sono_status status = sono_output_check(read, n_read, wanted, n_wanted, &error);
    free(read);
    if (status)
        report_error("%s", error.text);
    return status ? STATUS_FAILED : STATUS_DONE;
}
