// SPDX-License-Identifier: Apache-2.0
#include "pipeline/hashes.h"

#include "nets/model.h"

#include <string.h>
#include <unistd.h>

static void keep_file(sono_model_hashes *hashes, int i, const sono_checkpoint *checkpoint)
{
    hashes->files[i] = checkpoint ? sono_checkpoint_keep_file(checkpoint) : -1;
    if (!checkpoint)
        memcpy(hashes->hex[i], "none", sizeof "none");
}

void sono_model_hashes_open(sono_model_hashes *hashes, const sono_flow_models *models)
{
    memset(hashes, 0, sizeof *hashes);
    pthread_mutex_init(&hashes->mutex, NULL);
    keep_file(hashes, 0, models->detector.checkpoint);
    keep_file(hashes, 1, models->segmenter.checkpoint);
    hashes->is_open = 1;
}

void sono_model_hashes_close(sono_model_hashes *hashes)
{
    if (!hashes->is_open)
        return;
    for (int i = 0; i < 2; i++)
        if (hashes->files[i] >= 0)
            close(hashes->files[i]);
    pthread_mutex_destroy(&hashes->mutex);
    memset(hashes, 0, sizeof *hashes);
}

void sono_model_hashes_read(sono_model_hashes *hashes)
{
    pthread_mutex_lock(&hashes->mutex);
    for (int i = 0; i < 2; i++) {
        if (*hashes->hex[i])
            continue;
        if (hashes->files[i] < 0 || sono_model_hash(hashes->files[i], hashes->hex[i]))
            memcpy(hashes->hex[i], "unknown", sizeof "unknown");
        if (hashes->files[i] >= 0)
            close(hashes->files[i]);
        hashes->files[i] = -1;
    }
    pthread_mutex_unlock(&hashes->mutex);
}
