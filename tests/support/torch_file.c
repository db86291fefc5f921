// SPDX-License-Identifier: Apache-2.0
/*
 * Layout after torch/serialization.py, _save(), and torch/_utils.py (PyTorch 2.x); what a training checkpoint
 * of D-FINE holds after src/solver/_solver.py:201-214 and src/optim/ema.py:75-78 @ 4a1f73a.
 */
#include "support/torch_file.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { ALIGN = 64, BATCH = 1000, N_FIXED = 4 };

typedef struct buffer {
    uint8_t *bytes;
    size_t n, capacity;
    int failed;
} buffer;

static void put_bytes(buffer *b, const void *bytes, size_t n)
{
    if (b->failed || sono_alloc_grow((void **)&b->bytes, &b->capacity, b->n + n, 1)) {
        b->failed = 1;
        return;
    }
    if (n)
        memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
}

static void put_le(buffer *b, uint64_t value, size_t n_bytes)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    put_bytes(b, bytes, n_bytes);
}

static void set_le(uint8_t *at, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* ---- pickle -------------------------------------------------------------------------------------------- */

typedef struct pickler {
    buffer out;
    const torch_file_tensor *tensors;
    int n_tensors;
    torch_file_options options;
    uint32_t n_memo;
    uint32_t storage_memo, rebuild_memo; /* 1 + number; 0 = not yet put */
    uint32_t class_memo[SONO_DTYPE_COUNT];
} pickler;

static void op(pickler *p, uint8_t code)
{
    put_bytes(&p->out, &code, 1);
}

static uint32_t memoize(pickler *p)
{
    if (p->options.protocol >= 4) {
        op(p, 0x94);
    } else if (p->n_memo < 256) {
        op(p, 'q');
        put_le(&p->out, p->n_memo, 1);
    } else {
        op(p, 'r');
        put_le(&p->out, p->n_memo, 4);
    }
    return ++p->n_memo;
}

/* Reads what memoize() returned `memo` for. */
static void recall(pickler *p, uint32_t memo)
{
    op(p, memo <= 256 ? 'h' : 'j');
    put_le(&p->out, memo - 1, memo <= 256 ? 1 : 4);
}

static void put_text(pickler *p, const char *text)
{
    const size_t n = strlen(text);
    const int is_short = p->options.protocol >= 4 && n < 256;
    op(p, is_short ? 0x8c : 'X');
    put_le(&p->out, n, is_short ? 1 : 4);
    put_bytes(&p->out, text, n);
    memoize(p);
}

static void put_integer(pickler *p, int64_t value)
{
    if (value >= 0 && value < 256) {
        op(p, 'K');
        put_le(&p->out, (uint64_t)value, 1);
    } else if (value >= 0 && value < 65536) {
        op(p, 'M');
        put_le(&p->out, (uint64_t)value, 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        op(p, 'J');
        put_le(&p->out, (uint64_t)value, 4);
    } else {
        op(p, 0x8a);
        put_le(&p->out, 8, 1);
        put_le(&p->out, (uint64_t)value, 8);
    }
}

static void put_float(pickler *p, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    op(p, 'G');
    for (int shift = 56; shift >= 0; shift -= 8)
        put_le(&p->out, bits >> shift, 1);
}

static uint32_t put_class(pickler *p, const char *module, const char *name)
{
    if (p->options.protocol >= 4) {
        put_text(p, module);
        put_text(p, name);
        op(p, 0x93);
    } else {
        op(p, 'c');
        put_bytes(&p->out, module, strlen(module));
        put_bytes(&p->out, "\n", 1);
        put_bytes(&p->out, name, strlen(name));
        put_bytes(&p->out, "\n", 1);
    }
    return memoize(p);
}

static void put_new_dict(pickler *p, const char *class)
{
    put_class(p, "collections", class);
    put_bytes(&p->out, ")R", 2);
    memoize(p);
}

static int64_t product(const torch_file_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->n_dims; i++)
        count *= tensor->dims[i];
    return count;
}

static int64_t storage_count(const torch_file_tensor *tensor)
{
    return tensor->storage_count ? tensor->storage_count : product(tensor);
}

static int storage_index(const pickler *p, int index)
{
    while (p->tensors[index].storage_of)
        index = p->tensors[index].storage_of - 1;
    return index;
}

static void put_storage(pickler *p, int index)
{
    static const char *const classes[] = {"FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage",
                                          "LongStorage",  "IntStorage",  "ShortStorage",    "CharStorage",
                                          "ByteStorage",  "BoolStorage"};
    const int owner = storage_index(p, index);
    const sono_dtype dtype = p->tensors[owner].dtype;
    const int broken = p->options.fault == TORCH_FILE_STORAGE_SHORT && p->options.victim == index;
    char key[16];
    op(p, '(');
    if (p->storage_memo) {
        recall(p, p->storage_memo);
    } else {
        put_text(p, "storage");
        p->storage_memo = p->n_memo;
    }
    const int untyped = p->options.rebuild == TORCH_FILE_TENSOR_V3;
    if (p->options.fault == TORCH_FILE_STORAGE_FOREIGN && p->options.victim == index)
        put_class(p, "torch", "ComplexFloatStorage");
    else if (p->class_memo[dtype])
        recall(p, p->class_memo[dtype]);
    else if (untyped)
        p->class_memo[dtype] = put_class(p, "torch.storage", "UntypedStorage");
    else
        p->class_memo[dtype] = put_class(p, "torch", classes[dtype]);
    snprintf(key, sizeof key, "%d", owner);
    put_text(p, key);
    put_text(p, "cpu");
    const int64_t unit = untyped ? (int64_t)sono_dtype_bytes(dtype) : 1;
    put_integer(p, (storage_count(&p->tensors[owner]) + broken) * unit);
    put_bytes(&p->out, "tQ", 2);
}

static void put_tuple(pickler *p, const int64_t *values, int32_t n)
{
    if (n == 0) {
        op(p, ')');
        return;
    }
    if (n > 3)
        op(p, '(');
    for (int32_t i = 0; i < n; i++)
        put_integer(p, values[i]);
    op(p, n > 3 ? 't' : (uint8_t)(0x84 + n));
    memoize(p);
}

/* Applies a fault of the shape. Returns the number of strides. */
static int32_t break_shape(torch_file_fault fault, int64_t count, int32_t *n_dims, int64_t *dims,
                           int64_t *strides, int64_t *offset)
{
    switch (fault) {
    case TORCH_FILE_OFFSET_OUTSIDE:
        *offset = count;
        break;
    case TORCH_FILE_STRIDE_OUTSIDE:
        strides[0] += count;
        break;
    case TORCH_FILE_STRIDE_NEGATIVE:
        strides[0] = -1;
        break;
    case TORCH_FILE_STRIDE_OVERFLOW:
        strides[0] = (int64_t)1 << 62;
        break;
    case TORCH_FILE_DIMS_OVERFLOW:
        *n_dims = 2;
        dims[0] = dims[1] = (int64_t)1 << 40;
        strides[0] = strides[1] = 0;
        break;
    case TORCH_FILE_DIMS_NEGATIVE:
        dims[0] = -dims[0];
        break;
    case TORCH_FILE_DIMS_TOO_MANY:
        *n_dims = 9;
        for (int32_t i = 0; i < 9; i++)
            dims[i] = strides[i] = 1;
        break;
    case TORCH_FILE_DIMS_STRIDES_DIFFER:
        return *n_dims - 1;
    default:
        break;
    }
    return *n_dims;
}

/* What comes in front of a tensor's own arguments, up to the function that makes it. */
static void put_rebuild(pickler *p)
{
    const torch_file_rebuild rebuild = p->options.rebuild;
    if (rebuild == TORCH_FILE_PARAMETER || rebuild == TORCH_FILE_PARAMETER_WITH_STATE) {
        put_class(p, "torch._utils",
                  rebuild == TORCH_FILE_PARAMETER ? "_rebuild_parameter" : "_rebuild_parameter_with_state");
        op(p, '(');
    } else if (rebuild == TORCH_FILE_FROM_TYPE) {
        put_class(p, "torch._tensor", "_rebuild_from_type_v2");
        op(p, '(');
    }
    if (p->rebuild_memo)
        recall(p, p->rebuild_memo);
    else
        p->rebuild_memo = put_class(
            p, "torch._utils", rebuild == TORCH_FILE_TENSOR_V3 ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    if (rebuild == TORCH_FILE_FROM_TYPE)
        put_class(p, "torch", "Tensor");
}

/* What comes behind a tensor's hooks. */
static void put_rebuild_end(pickler *p, int index)
{
    static const char *const types[] = {"float32", "float16", "bfloat16", "float64", "int64",
                                        "int32",   "int16",   "int8",     "uint8",   "bool"};
    const torch_file_rebuild rebuild = p->options.rebuild;
    const int is_foreign = p->options.fault == TORCH_FILE_DTYPE_FOREIGN && p->options.victim == index;
    if (rebuild == TORCH_FILE_TENSOR_V3)
        put_class(p, "torch",
                  is_foreign ? "float8_e4m3fn" : types[p->tensors[storage_index(p, index)].dtype]);
    op(p, 't');
    if (rebuild == TORCH_FILE_FROM_TYPE)
        put_bytes(&p->out, "}X\1\0\0\0aK\1st", 11);
    op(p, 'R');
    if (rebuild == TORCH_FILE_PARAMETER || rebuild == TORCH_FILE_PARAMETER_WITH_STATE) {
        op(p, 0x89); /* requires_grad: integers cannot */
        put_new_dict(p, "OrderedDict");
        if (rebuild == TORCH_FILE_PARAMETER_WITH_STATE)
            put_bytes(&p->out, "}X\1\0\0\0aK\1s", 10);
        put_bytes(&p->out, "tR", 2);
    }
}

static void put_tensor(pickler *p, int index)
{
    const torch_file_tensor *tensor = &p->tensors[index];
    int64_t dims[9], strides[9], offset = tensor->offset, stride = 1;
    int32_t n_dims = tensor->n_dims;
    for (int32_t i = n_dims; i-- > 0; stride *= tensor->dims[i]) {
        dims[i] = tensor->dims[i];
        strides[i] = tensor->has_strides ? tensor->strides[i] : stride;
    }
    const torch_file_fault fault = p->options.victim == index ? p->options.fault : TORCH_FILE_WHOLE;
    const int64_t count = storage_count(&p->tensors[storage_index(p, index)]);
    const int32_t n_strides = break_shape(fault, count, &n_dims, dims, strides, &offset);
    put_rebuild(p);
    op(p, '(');
    put_storage(p, index);
    put_integer(p, offset);
    put_tuple(p, dims, n_dims);
    put_tuple(p, strides, n_strides);
    op(p, 0x89);
    put_new_dict(p, "OrderedDict");
    put_rebuild_end(p, index);
    memoize(p);
}

/* ---- things beside the weights ------------------------------------------------------------------------- */

typedef struct raw_entry {
    const char *name;
    const char *bytes; /* what a pickler writes for it, less the memo */
    size_t n_bytes;
} raw_entry;

#define RAW(name, bytes)                                                                                     \
    {                                                                                                        \
        name, bytes, sizeof(bytes) - 1                                                                       \
    }
#define RAW_BYTES "c_codecs\nencode\nX\1\0\0\0xX\6\0\0\0latin1\x86R"
#define RAW_DTYPE                                                                                            \
    "cnumpy\ndtype\nX\2\0\0\0f8\x89\x88\x87R(K\3X\1\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"

static const raw_entry extras[] = {
    RAW("args", "cargparse\nNamespace\n)\x81}X\2\0\0\0lrG\0\0\0\0\0\0\0\0sb"),
    RAW("best", "cnumpy._core.multiarray\nscalar\n" RAW_DTYPE RAW_BYTES "\x86R"),
    RAW("history", "cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" RAW_BYTES
                   "\x87R(K\1K\1\x85" RAW_DTYPE "\x89" RAW_BYTES "tb"),
    RAW("type", "ctorch\nfloat32\n"),
    RAW("complex", "ctorch\ncomplex64\n"),
    RAW("when", "cdatetime\ndatetime\n" RAW_BYTES "\x85R"),
    RAW("path", "cpathlib\nPosixPath\nX\1\0\0\0/\x85R"),
    RAW("seen", "c__builtin__\nset\n](K\1K\2e\x85R"),
    RAW("log", "ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RX\1\0\0\0a]K\1as"),
    RAW("config", "ctraining.config\nConfig\n)}\x92}X\1\0\0\0aK\1sb(X\1\0\0\0aK\1u"),
    RAW("queue", "ccollections\ndeque\n)R(K\1K\2e"),
    RAW("bound", "ctraining.hooks\nmake\n)R)R"),
};

static const raw_entry loose[] = {
    RAW("epoch", "K\3"),
    RAW("head._extra_state", "c_io\nBytesIO\n)\x81(NK\0Ntb"),
    RAW("none", "N"),
};

static void put_raw(pickler *p, const raw_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_text(p, entries[i].name);
        put_bytes(&p->out, entries[i].bytes, entries[i].n_bytes);
    }
}

/* ---- state dict and what is around it ------------------------------------------------------------------ */

/* An OrderedDict with its _metadata, as Module.state_dict() returns it. */
static void put_state(pickler *p)
{
    put_new_dict(p, "OrderedDict");
    const uint32_t dict = p->n_memo;
    for (int i = 0; i < p->n_tensors; i++) {
        if (i % BATCH == 0)
            op(p, '(');
        const int is_victim = p->options.victim == i;
        if (is_victim && p->options.fault == TORCH_FILE_NAME_TWICE) {
            put_text(p, p->tensors[i].name);
            put_tensor(p, i);
        }
        if (is_victim && p->options.fault == TORCH_FILE_NAME_NOT_TEXT)
            put_integer(p, 7);
        else
            put_text(p, p->tensors[i].name);
        put_tensor(p, i);
        if (i % BATCH == BATCH - 1 || i == p->n_tensors - 1)
            op(p, 'u');
    }
    if (p->options.loose) {
        op(p, '(');
        put_raw(p, loose, sizeof loose / sizeof *loose);
        op(p, 'u');
    }
    if (p->options.fault == TORCH_FILE_CYCLE) {
        put_text(p, "self");
        recall(p, dict);
        op(p, 's');
    }
    op(p, '}');
    put_text(p, "_metadata");
    put_new_dict(p, "OrderedDict");
    put_bytes(&p->out, "sb", 2);
}

static void put_optimizer(pickler *p)
{
    put_text(p, "optimizer");
    put_bytes(&p->out, "}(", 2);
    put_text(p, "state");
    op(p, '}');
    put_integer(p, 0);
    put_bytes(&p->out, "}(", 2);
    put_text(p, "step");
    put_tensor(p, 0);
    put_bytes(&p->out, "us", 2);
    put_text(p, "param_groups");
    put_bytes(&p->out, "]}(", 3);
    put_text(p, "lr");
    put_float(p, 2.5e-4);
    put_text(p, "betas");
    put_float(p, 0.9);
    put_float(p, 0.999);
    op(p, 0x86);
    put_text(p, "amsgrad");
    op(p, 0x89);
    put_text(p, "foreach");
    op(p, 'N');
    put_text(p, "params");
    put_bytes(&p->out, "](", 2);
    put_integer(p, 0);
    put_integer(p, 70000);
    put_bytes(&p->out, "eua", 3);
    op(p, 'u');
}

static void put_schedulers(pickler *p)
{
    static const uint8_t big[] = {0x8a, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1}; /* 2^64 */
    put_text(p, "lr_scheduler");
    put_bytes(&p->out, "}(", 2);
    put_text(p, "milestones");
    put_class(p, "collections", "Counter");
    op(p, '}');
    put_integer(p, 500);
    put_integer(p, 1);
    op(p, 's');
    put_bytes(&p->out, "\x85R", 2);
    put_text(p, "base_lrs");
    op(p, ']');
    put_float(p, 1e-3);
    op(p, 'a');
    put_text(p, "seed");
    put_bytes(&p->out, big, sizeof big);
    put_text(p, "note");
    put_bytes(&p->out, "U\x02ok", 4);
    op(p, 'u');
    put_text(p, "scaler");
    put_bytes(&p->out, "}(", 2);
    put_text(p, "scale");
    put_float(p, 65536.0);
    put_text(p, "growth_interval");
    put_integer(p, 2000);
    op(p, 'u');
}

static void put_wrapped(pickler *p)
{
    const char *const *wrapper = p->options.wrapper;
    op(p, '}');
    memoize(p);
    op(p, '(');
    put_text(p, "epoch");
    put_integer(p, 3);
    put_text(p, wrapper[0]);
    if (wrapper[1]) {
        op(p, '}');
        put_text(p, wrapper[1]);
    }
    put_state(p);
    if (wrapper[1])
        op(p, 's');
    if (p->options.extras)
        put_raw(p, extras, sizeof extras / sizeof *extras);
    op(p, 'u');
}

static void put_root(pickler *p)
{
    const torch_file_wrapping wrapping = p->options.wrapping;
    if (p->options.wrapper[0]) {
        put_wrapped(p);
        return;
    }
    if (wrapping == TORCH_FILE_BARE) {
        put_state(p);
        return;
    }
    op(p, '}');
    memoize(p);
    op(p, '(');
    put_text(p, "last_epoch");
    put_integer(p, 3);
    put_text(p, "model");
    if (wrapping == TORCH_FILE_MODEL) {
        put_state(p);
    } else {
        op(p, '}');
        put_text(p, "decoy");
        put_tensor(p, 0);
        op(p, 's');
        put_text(p, "date");
        put_text(p, "2025-01-02T03:04:05.678901");
        put_text(p, "ema");
        put_bytes(&p->out, "}(", 2);
        put_text(p, "module");
        put_state(p);
        put_text(p, "updates");
        put_integer(p, 7);
        op(p, 'u');
    }
    if (wrapping == TORCH_FILE_TRAINING) {
        put_optimizer(p);
        put_schedulers(p);
    }
    op(p, 'u');
}

/* What a fault puts in front of the pickle's contents; 1 = nothing else follows. */
static int put_fault(pickler *p)
{
    switch (p->options.fault) {
    case TORCH_FILE_UNKNOWN_OPCODE:
        op(p, 0xff);
        return 0;
    case TORCH_FILE_UNKNOWN_CLASS:
        put_class(p, "posix", "system");
        put_text(p, "echo executed");
        put_bytes(&p->out, "\x85R0", 3);
        return 0;
    case TORCH_FILE_DEEP:
        for (int i = 0; i < 100000; i++)
            put_bytes(&p->out, "](", 2);
        for (int i = 0; i < 100000; i++)
            op(p, 'e');
        op(p, '0');
        return 0;
    case TORCH_FILE_STACK_UNDERFLOW:
        op(p, 'R');
        return 0;
    case TORCH_FILE_MEMO_MISSING:
        recall(p, 300);
        return 0;
    case TORCH_FILE_MEMO_HUGE:
        put_bytes(&p->out, "Nr\xff\xff\xff\xff", 6);
        return 0;
    case TORCH_FILE_STRING_HUGE:
        put_bytes(&p->out, "X\xf0\xff\xff\xff", 5);
        return 0;
    case TORCH_FILE_NOT_A_DICT:
        op(p, ']');
        return 1;
    case TORCH_FILE_NO_TENSORS:
        op(p, '}');
        return 1;
    default:
        return 0;
    }
}

static void put_pickle(pickler *p)
{
    size_t frame = 0;
    op(p, 0x80);
    put_le(&p->out, (uint64_t)p->options.protocol, 1);
    if (p->options.protocol >= 4) {
        op(p, 0x95);
        frame = p->out.n;
        put_le(&p->out, 0, 8);
    }
    if (!put_fault(p))
        put_root(p);
    op(p, '.');
    if (p->options.fault == TORCH_FILE_PICKLE_TRUNCATED) {
        p->out.n /= 2;
        put_bytes(&p->out, "X\x01", 2);
    }
    if (frame && !p->out.failed)
        set_le(p->out.bytes + frame, p->out.n - frame - 8, 8);
}

/* ---- zip ----------------------------------------------------------------------------------------------- */

typedef struct zip_entry {
    char name[40];
    const void *data;
    uint64_t n_bytes;
    uint8_t *deflated; /* NULL = stored */
    uint64_t stored_bytes;
    uint64_t start;
    uint32_t crc;
} zip_entry;

typedef struct zip_writer {
    FILE *file;
    zip_entry *entries;
    int n_entries;
    int victim; /* number of the entry that a fault hits */
    uint64_t at;
    torch_file_options options;
} zip_writer;

static int has_fault(const zip_writer *z, int entry, torch_file_fault fault)
{
    return z->victim == entry && z->options.fault == fault;
}

static void write_out(zip_writer *z, const void *bytes, uint64_t n)
{
    if (n)
        (void)!fwrite(bytes, 1, n, z->file); /* ferror() is asked at the end */
    z->at += n;
}

static void write_buffer(zip_writer *z, buffer *b)
{
    write_out(z, b->bytes, b->n);
    b->n = 0;
}

/* Makes entry->deflated: of all bytes, of n_more bytes more, or of that many less. Returns 0, or -1 when it
 * cannot. */
static int deflate_entry(zip_entry *entry, int n_more)
{
    static const Bytef more[8];
    z_stream stream = {0};
    if (deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return -1;
    const uLong bound = deflateBound(&stream, entry->n_bytes + sizeof more);
    entry->deflated = sono_alloc(bound);
    stream.next_in = (Bytef *)(uintptr_t)entry->data;
    stream.avail_in = (uInt)entry->n_bytes - (uInt)(n_more < 0 ? -n_more : 0);
    stream.next_out = entry->deflated;
    stream.avail_out = (uInt)bound;
    int code = entry->deflated ? deflate(&stream, n_more > 0 ? Z_BLOCK : Z_FINISH) : Z_MEM_ERROR;
    if (code == Z_OK && n_more > 0) {
        stream.next_in = (Bytef *)(uintptr_t)more;
        stream.avail_in = (uInt)n_more;
        code = deflate(&stream, Z_FINISH);
    }
    entry->stored_bytes = stream.total_out;
    (void)deflateEnd(&stream);
    return code == Z_STREAM_END ? 0 : -1;
}

/* Applies the faults of compressed entries. */
static void break_deflated(const zip_writer *z, int index)
{
    zip_entry *entry = &z->entries[index];
    if (has_fault(z, index, TORCH_FILE_UNPACKED_CRC))
        entry->crc ^= 1;
    if (has_fault(z, index, TORCH_FILE_UNPACKED_BOMB))
        entry->n_bytes = 0x7fffffff;
    if (has_fault(z, index, TORCH_FILE_DEFLATE_BROKEN))
        memset(entry->deflated, 0xff, entry->stored_bytes);
}

static void write_entry(zip_writer *z, int index, buffer *b)
{
    zip_entry *entry = &z->entries[index];
    const uint64_t name_bytes = strlen(entry->name), zip64_bytes = z->options.zip64 ? 20 : 0;
    entry->start = z->at;
    entry->crc = (uint32_t)crc32_z(0, entry->data, entry->n_bytes);
    entry->stored_bytes = entry->n_bytes;
    const int n_more =
        has_fault(z, index, TORCH_FILE_UNPACKED_LONG) - has_fault(z, index, TORCH_FILE_UNPACKED_SHORT);
    if (z->options.deflate && deflate_entry(entry, n_more))
        b->failed = 1;
    if (entry->deflated)
        break_deflated(z, index);
    const uint64_t size = z->options.zip64 ? UINT32_MAX : entry->n_bytes;
    const uint64_t stored = z->options.zip64 ? UINT32_MAX : entry->stored_bytes;
    const uint64_t padding = (ALIGN - (z->at + 30 + name_bytes + zip64_bytes + 4) % ALIGN) % ALIGN;
    put_le(b, has_fault(z, index, TORCH_FILE_LOCAL_SIGNATURE) ? 0x04034b51 : 0x04034b50, 4);
    put_le(b, 45, 2);
    put_le(b, 0x800, 2);
    put_le(b, entry->deflated ? 8 : 0, 2);
    put_le(b, 0, 4);
    put_le(b, entry->crc, 4);
    put_le(b, stored, 4);
    put_le(b, size, 4);
    put_le(b, name_bytes, 2);
    put_le(b, zip64_bytes + 4 + padding, 2);
    put_bytes(b, has_fault(z, index, TORCH_FILE_LOCAL_NAME) ? "X" : entry->name, 1);
    put_bytes(b, entry->name + 1, name_bytes - 1);
    if (z->options.zip64) {
        put_le(b, 1, 2);
        put_le(b, 16, 2);
        put_le(b, entry->n_bytes, 8);
        put_le(b, entry->stored_bytes, 8);
    }
    put_bytes(b, "FB", 2);
    put_le(b, padding, 2);
    for (uint64_t i = 0; i < padding; i++)
        put_bytes(b, "Z", 1);
    write_buffer(z, b);
    write_out(z, entry->deflated ? entry->deflated : entry->data, entry->stored_bytes);
}

static void put_central(const zip_writer *z, int index, buffer *b)
{
    const zip_entry *entry = &z->entries[index];
    const int zip64 = z->options.zip64;
    uint64_t start = entry->start, size = entry->n_bytes, stored = entry->stored_bytes;
    int method = entry->deflated || has_fault(z, index, TORCH_FILE_ENTRY_DEFLATED) ? 8 : 0;
    if (has_fault(z, index, TORCH_FILE_ENTRY_OUTSIDE))
        start = 0xfffffff0;
    if (has_fault(z, index, TORCH_FILE_ENTRY_HUGE))
        size = stored = 0xfffffff0;
    if (has_fault(z, index, TORCH_FILE_ENTRY_OVERLAP))
        size = stored = entry[1].start + 8 - entry->start;
    if (has_fault(z, index, TORCH_FILE_ENTRY_METHOD))
        method = 12;
    put_le(b, has_fault(z, index, TORCH_FILE_DIRECTORY_SIGNATURE) ? 0x02014b51 : 0x02014b50, 4);
    put_le(b, 45, 2);
    put_le(b, 45, 2);
    put_le(b, has_fault(z, index, TORCH_FILE_ENTRY_ENCRYPTED) ? 0x801 : 0x800, 2);
    put_le(b, (uint64_t)method, 2);
    put_le(b, 0, 4);
    put_le(b, entry->crc, 4);
    put_le(b, zip64 ? UINT32_MAX : stored, 4);
    put_le(b, zip64 ? UINT32_MAX : size, 4);
    put_le(b, strlen(entry->name), 2);
    put_le(b, zip64 ? 28 : 0, 2);
    put_le(b, 0, 2);
    put_le(b, 0, 8);
    put_le(b, zip64 ? UINT32_MAX : start, 4);
    put_bytes(b, entry->name, strlen(entry->name));
    if (zip64) {
        put_le(b, 1, 2);
        put_le(b, 24, 2);
        put_le(b, size, 8);
        put_le(b, stored, 8);
        put_le(b, start, 8);
    }
}

static void write_directory(zip_writer *z, buffer *b)
{
    const torch_file_fault fault = z->options.fault;
    uint64_t start = z->at, n_entries = (uint64_t)z->n_entries;
    for (int i = 0; i < z->n_entries; i++) {
        put_central(z, i, b);
        if (has_fault(z, i, TORCH_FILE_ENTRY_TWICE)) {
            put_central(z, i, b);
            n_entries++;
        }
    }
    const uint64_t n_bytes = b->n, end = start + n_bytes;
    if (fault == TORCH_FILE_DIRECTORY_OUTSIDE)
        start += 0x10000000;
    if (fault == TORCH_FILE_DIRECTORY_COUNT)
        n_entries++;
    if (z->options.zip64) {
        put_le(b, 0x06064b50, 4);
        put_le(b, 44, 8);
        put_le(b, 45, 2);
        put_le(b, 45, 2);
        put_le(b, 0, 8);
        put_le(b, n_entries, 8);
        put_le(b, n_entries, 8);
        put_le(b, n_bytes, 8);
        put_le(b, start, 8);
        put_le(b, 0x07064b50, 4);
        put_le(b, 0, 4);
        put_le(b, end, 8);
        put_le(b, 1, 4);
    }
    put_le(b, fault == TORCH_FILE_NO_END_RECORD ? 0 : 0x06054b50, 4);
    put_le(b, 0, 4);
    put_le(b, z->options.zip64 ? UINT16_MAX : n_entries, 2);
    put_le(b, z->options.zip64 ? UINT16_MAX : n_entries, 2);
    put_le(b, z->options.zip64 ? UINT32_MAX : n_bytes, 4);
    put_le(b, z->options.zip64 ? UINT32_MAX : start, 4);
    put_le(b, 0, 2);
    write_buffer(z, b);
}

static void add_entry(zip_writer *z, const char *name, const void *data, uint64_t n_bytes)
{
    zip_entry *entry = &z->entries[z->n_entries++];
    snprintf(entry->name, sizeof entry->name, "archive/%s", name);
    entry->data = data;
    entry->n_bytes = n_bytes;
}

static void list_entries(zip_writer *z, const pickler *p)
{
    const torch_file_fault fault = z->options.fault;
    add_entry(z, fault == TORCH_FILE_NO_PICKLE ? "data.pkx" : "data.pkl", p->out.bytes, p->out.n);
    if (fault == TORCH_FILE_BIG_ENDIAN)
        add_entry(z, "byteorder", "big", 3);
    else
        add_entry(z, "byteorder", "little", 6);
    if (fault == TORCH_FILE_SCRIPT)
        add_entry(z, "constants.pkl", "\x80\x02).", 4);
    for (int i = 0; i < p->n_tensors; i++) {
        char name[24];
        const int is_victim = z->options.victim == i;
        if (p->tensors[i].storage_of || (is_victim && fault == TORCH_FILE_STORAGE_MISSING))
            continue;
        if (is_victim)
            z->victim = z->n_entries;
        snprintf(name, sizeof name, "data/%d", i);
        add_entry(z, name, p->tensors[i].data,
                  (uint64_t)storage_count(&p->tensors[i]) * sono_dtype_bytes(p->tensors[i].dtype));
    }
    add_entry(z, "version", "3\n", 2);
}

static sono_status write_archive(const char *path, const pickler *p)
{
    buffer scratch = {0};
    zip_writer z = {.options = p->options};
    z.entries = sono_alloc_array((size_t)p->n_tensors + N_FIXED, sizeof *z.entries);
    z.file = z.entries ? fopen(path, "wb") : NULL;
    sono_status status = SONO_STATUS_OK;
    if (!z.entries) {
        status = SONO_STATUS_OUT_OF_MEMORY;
    } else if (!z.file) {
        status = SONO_STATUS_IO;
    } else {
        list_entries(&z, p);
        for (int i = 0; i < z.n_entries; i++)
            write_entry(&z, i, &scratch);
        write_directory(&z, &scratch);
        for (int i = 0; i < p->options.n_bytes_trailing; i++)
            write_out(&z, &"PK\5\6 noise"[i % 10], 1);
        const int failed = ferror(z.file);
        if (fclose(z.file) || failed)
            status = SONO_STATUS_IO;
    }
    if (scratch.failed)
        status = SONO_STATUS_OUT_OF_MEMORY;
    for (int i = 0; i < z.n_entries; i++)
        sono_free(z.entries[i].deflated);
    sono_free(scratch.bytes);
    sono_free(z.entries);
    return status;
}

sono_status torch_file_write(const char *path, const torch_file_tensor *tensors, int n_tensors,
                             const torch_file_options *options)
{
    if (!path || !tensors || n_tensors < 1 ||
        (options && (options->victim < 0 || options->victim >= n_tensors)))
        return SONO_STATUS_INVALID_ARGUMENT;
    pickler p = {.tensors = tensors, .n_tensors = n_tensors};
    if (options)
        p.options = *options;
    if (!p.options.protocol)
        p.options.protocol = 2;
    put_pickle(&p);
    const sono_status status = p.out.failed ? SONO_STATUS_OUT_OF_MEMORY : write_archive(path, &p);
    sono_free(p.out.bytes);
    return status;
}
