// SPDX-License-Identifier: Apache-2.0
/*
 * The C structures by which frameworks lend each other tensors (DLPack ABI 1.0), so that this library needs
 * no other project's header. Names, values and layout are facts of that ABI: include/dlpack/dlpack.h of
 * github.com/dmlc/dlpack at v1.0. Where that header was included before this one, its declarations are used.
 */
#ifndef SONOSEG_DLPACK_H
#define SONOSEG_DLPACK_H

#include <stdint.h>

#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_ /* the guard of DLPack's own header: either one may come first */

#ifdef __cplusplus
extern "C" {
#endif

#define DLPACK_MAJOR_VERSION 1
#define DLPACK_MINOR_VERSION 0

#define DLPACK_FLAG_BITMASK_READ_ONLY UINT64_C(1) /* the consumer must not write */
#define DLPACK_FLAG_BITMASK_IS_COPIED UINT64_C(2)

/* Structures of another major version differ, except for where `version` and `deleter` lie. */
typedef struct {
    uint32_t major;
    uint32_t minor;
} DLPackVersion;

/* Where memory lives; those that this library knows. */
#ifdef __cplusplus
typedef enum : int32_t {
#else
typedef enum {
#endif
    kDLCPU = 1,
    kDLCUDA = 2,
    kDLCUDAHost = 3,    /* pinned */
    kDLCUDAManaged = 13 /* either side may touch it */
} DLDeviceType;

typedef struct {
    DLDeviceType device_type;
    int32_t device_id; /* ordinal */
} DLDevice;

typedef enum { kDLInt = 0U, kDLUInt = 1U, kDLFloat = 2U } DLDataTypeCode;

typedef struct {
    uint8_t code; /* DLDataTypeCode */
    uint8_t bits;
    uint16_t lanes; /* 1 */
} DLDataType;

typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;       /* [ndim] */
    int64_t *strides;     /* [ndim], in elements; NULL = rows contiguous */
    uint64_t byte_offset; /* of the first element from data */
} DLTensor;

/* A tensor that somebody lends: who takes it calls deleter(self) once, when done; NULL = nothing to call. */
typedef struct DLManagedTensor {
    DLTensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *self);
} DLManagedTensor;

/* The same since version 1.0. */
typedef struct DLManagedTensorVersioned {
    DLPackVersion version;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensorVersioned *self);
    uint64_t flags; /* DLPACK_FLAG_BITMASK_* */
    DLTensor dl_tensor;
} DLManagedTensorVersioned;

#ifdef __cplusplus
}
#endif
#endif
#endif
