// SPDX-License-Identifier: Apache-2.0
/* A user of the installed library, compiled as C11 and, through consumer.cpp, as C++11. */
#include <sonoseg/diagnostics.h>
#include <sonoseg/io.h>
#include <sonoseg/models.h>
#include <sonoseg/sonoseg.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    sono_pipeline_config config;
    sono_error error;
    sono_pipeline *pipeline = NULL;
    memset(&error, 0, sizeof error);
    sono_pipeline_config_init(&config);
    config.detector_path = "no-such-file.pth";
    config.segmenter_path = "no-such-file.pt";
    config.device = "cpu";
    const sono_status status = sono_pipeline_open(&config, &pipeline, &error);
#ifdef USES_IO
    sono_source_options options;
    sono_source_options_init(&options);
    if (options.n_held != 1)
        return 1;
#endif
    printf("%s %s: %s\n", sono_version(), sono_status_name(status), error.text);
    return status == SONO_STATUS_IO && pipeline == NULL && strstr(error.text, config.detector_path) ? 0 : 1;
}
