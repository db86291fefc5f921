// SPDX-License-Identifier: Apache-2.0
#include "pipeline/hashes.h"

#include "nets/model.h"

#include <string.h>
#include <unistd.h>

void sono_model_hashes_open(sono_model_hashes *hashes, const sono_flow_models *models)
{
    memset(hashes, 0, sizeof *hashes);
    pthread_mutex_init(&hashes->mutex, NULL);
    hashes->files[0] = sono_checkpoint_keep_file(models->detector.checkpoint);
    hashes->files[1] = sono_checkpoint_keep_file(models->segmenter.checkpoint);
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
