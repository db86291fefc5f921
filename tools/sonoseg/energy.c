// SPDX-License-Identifier: Apache-2.0
#include "energy.h"

#include <dlfcn.h>
#include <stddef.h>

/* Of nvml.h: what is called, and 0 for success. */
typedef struct nvml {
    int (*init)(void);
    int (*device)(unsigned index, void **out);
    int (*energy)(void *device, unsigned long long *millijoules);
    int (*shut_down)(void);
} nvml;

static int find_calls(void *library, nvml *out)
{
    *(void **)&out->init = dlsym(library, "nvmlInit_v2");
    *(void **)&out->device = dlsym(library, "nvmlDeviceGetHandleByIndex_v2");
    *(void **)&out->energy = dlsym(library, "nvmlDeviceGetTotalEnergyConsumption");
    *(void **)&out->shut_down = dlsym(library, "nvmlShutdown");
    return out->init && out->device && out->energy && out->shut_down;
}

double energy_j(int device)
{
    unsigned long long millijoules = 0;
    nvml calls;
    void *handle = NULL;
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    int has_count = 0;
    if (library && find_calls(library, &calls) && calls.init() == 0) {
        has_count = calls.device((unsigned)device, &handle) == 0 && calls.energy(handle, &millijoules) == 0;
        calls.shut_down();
    }
    if (library)
        dlclose(library);
    return has_count ? 1e-3 * (double)millijoules : -1;
}
