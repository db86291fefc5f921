// SPDX-License-Identifier: Apache-2.0
#include "frame_loop.h"

void frame_loop_init(frame_loop *loop, const pipeline_args *args)
{
    loop->args = args;
    loop->source = NULL;
    phantom_frame_draw(&loop->phantom);
}

int frame_loop_next(frame_loop *loop, sono_image *image)
{
    if (!loop->args->n_inputs) {
        *image = phantom_frame_view(&loop->phantom);
        return 0;
    }
    sono_error error;
    const char *name = NULL;
    sono_image_init(image);
    for (int n_ends = 0; n_ends < 2;) {
        if (!loop->source && pipeline_args_open_source(loop->args, 1, &loop->source))
            return -1;
        const sono_status status = sono_source_next(loop->source, image, NULL, &name, &error);
        if (status == SONO_STATUS_OK)
            return 0;
        if (status != SONO_STATUS_END) {
            report_error("%s", error.text);
            return -1;
        }
        frame_loop_close(loop);
        n_ends++;
    }
    report_error("the inputs hold no frame");
    return -1;
}

void frame_loop_close(frame_loop *loop)
{
    sono_source_close(loop->source);
    loop->source = NULL;
}
