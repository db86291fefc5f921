// SPDX-License-Identifier: Apache-2.0
#include "web/gpu.h"
#include "web/request.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of NVML's interface, which is stable: handles are pointers, 0 is success, enums are ints. */
enum { TEMPERATURE_OF_GPU = 0, CLOCK_SM = 1, CLOCK_MEMORY = 2 };

typedef struct use {
    unsigned gpu, memory;
} use;

typedef struct memory {
    unsigned long long total, free, used;
} memory;

typedef int (*plain_fn)(void);
typedef int (*by_index_fn)(unsigned, void **);
typedef int (*by_uuid_fn)(const char *, void **);
typedef int (*name_fn)(void *, char *, unsigned);
typedef int (*number_fn)(void *, unsigned *);
typedef int (*of_kind_fn)(void *, int, unsigned *);
typedef int (*use_fn)(void *, use *);
typedef int (*memory_fn)(void *, memory *);

/* A function of the library by its name. */
#define FIND(type, name) (*(type *)(void *[]){gpu->library ? dlsym(gpu->library, name) : NULL})

static void open_device(sono_web_gpu *gpu, int32_t index)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    char entry[64] = "";
    long number = index;
    if (visible) {
        for (int32_t i = 0; i < index; i++) {
            visible += strcspn(visible, ",");
            visible += *visible == ',';
        }
        const size_t n = strcspn(visible, ",");
        snprintf(entry, sizeof entry, "%.*s", n < sizeof entry ? (int)n : 0, visible);
    }
    const by_uuid_fn by_uuid = FIND(by_uuid_fn, "nvmlDeviceGetHandleByUUID");
    const by_index_fn by_index = FIND(by_index_fn, "nvmlDeviceGetHandleByIndex_v2");
    if (*entry && sono_web_take_count(entry, 0, 1024, &number)) {
        if (!by_uuid || by_uuid(entry, &gpu->device)) {
            gpu->device = NULL;
        }
    } else if (!by_index || by_index((unsigned)number, &gpu->device)) {
        gpu->device = NULL;
    }
}

static void open_library(sono_web_gpu *gpu, int32_t index)
{
    gpu->was_tried = 1;
    gpu->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    const plain_fn init = FIND(plain_fn, "nvmlInit_v2");
    if (!init || init()) {
        sono_web_gpu_close(gpu);
        return;
    }
    open_device(gpu, index);
}

static double number(sono_web_gpu *gpu, const char *name)
{
    const number_fn get = FIND(number_fn, name);
    unsigned value;
    return get && !get(gpu->device, &value) ? value : NAN;
}

static double of_kind(sono_web_gpu *gpu, const char *name, int kind)
{
    const of_kind_fn get = FIND(of_kind_fn, name);
    unsigned value;
    return get && !get(gpu->device, kind, &value) ? value : NAN;
}

static uint64_t hertz(double mhz)
{
    return isnan(mhz) ? 0 : (uint64_t)mhz * 1000000;
}

void sono_web_gpu_sample(sono_web_gpu *gpu, int32_t index, sono_web_gpu_facts *out)
{
    use busy;
    memory taken;
    *out = (sono_web_gpu_facts){.is_known = 0};
    if (!gpu->was_tried) {
        open_library(gpu, index);
    }
    if (!gpu->device) {
        return;
    }
    const name_fn name = FIND(name_fn, "nvmlDeviceGetName");
    const use_fn get_use = FIND(use_fn, "nvmlDeviceGetUtilizationRates");
    const memory_fn get_memory = FIND(memory_fn, "nvmlDeviceGetMemoryInfo");
    out->is_known = 1;
    if (!name || name(gpu->device, out->name, sizeof out->name)) {
        out->name[0] = 0;
    }
    out->use_percent = get_use && !get_use(gpu->device, &busy) ? busy.gpu : NAN;
    if (get_memory && !get_memory(gpu->device, &taken)) {
        out->memory_used_bytes = taken.used;
        out->memory_total_bytes = taken.total;
    }
    out->temperature_celsius = of_kind(gpu, "nvmlDeviceGetTemperature", TEMPERATURE_OF_GPU);
    out->power_watts = number(gpu, "nvmlDeviceGetPowerUsage") * 1e-3;
    out->power_limit_watts = number(gpu, "nvmlDeviceGetEnforcedPowerLimit") * 1e-3;
    out->clock_sm_hz = hertz(of_kind(gpu, "nvmlDeviceGetClockInfo", CLOCK_SM));
    out->clock_memory_hz = hertz(of_kind(gpu, "nvmlDeviceGetClockInfo", CLOCK_MEMORY));
}

void sono_web_gpu_close(sono_web_gpu *gpu)
{
    const plain_fn end = FIND(plain_fn, "nvmlShutdown");
    if (gpu->device && end) {
        end();
    }
    if (gpu->library) {
        dlclose(gpu->library);
    }
    gpu->library = gpu->device = NULL;
}
