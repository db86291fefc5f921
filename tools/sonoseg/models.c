// SPDX-License-Identifier: Apache-2.0
#include "models.h"

#include "beside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_CHOICES 2
#define N_PLACES  3

static const char *const detectors[][N_CHOICES] = {
    [SONO_BACKEND_CPU] = {"dfine_n_bone.safetensors", "dfine_s_bone.safetensors"},
    [SONO_BACKEND_CUDA] = {"dfine_s_bone.safetensors", "dfine_n_bone.safetensors"},
};
static const char *const segmenters[N_CHOICES] = {"mobile_sam_bone.safetensors"};

/* The folder in that place, to be freed; NULL when there is none. */
static char *place(int index)
{
    const char *named = getenv("SONO_MODELS");
    if (index == 0)
        return named && *named ? strdup(named) : NULL;
    if (index == 1)
        return beside_command(SONO_INSTALLED_MODELS);
    return beside_is_build_tree() ? beside_command(SONO_SOURCE_MODELS) : NULL;
}

/* The first of the names that can be read in the folder, to be freed; NULL when there is none. */
static char *find_in(const char *folder, const char *const names[N_CHOICES])
{
    for (int i = 0; i < N_CHOICES && names[i]; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, names[i]) < 0)
            return NULL;
        if (!access(path, R_OK))
            return path;
        free(path);
    }
    return NULL;
}

char *models_find(model_role role, sono_backend backend)
{
    const char *const *names = role == MODEL_DETECTOR ? detectors[backend] : segmenters;
    char *found = NULL;
    for (int i = 0; i < N_PLACES && !found; i++) {
        char *folder = place(i);
        if (folder)
            found = find_in(folder, names);
        free(folder);
    }
    return found;
}

void models_print_places(FILE *stream)
{
    fprintf(stream, "%s or %s, and %s, were looked for in\n", detectors[SONO_BACKEND_CPU][0],
            detectors[SONO_BACKEND_CPU][1], segmenters[0]);
    for (int i = 0; i < N_PLACES; i++) {
        char *folder = place(i);
        if (folder)
            fprintf(stream, "  %s\n", folder);
        else if (i == 0)
            fprintf(stream, "  $SONO_MODELS (not set)\n");
        free(folder);
    }
}
