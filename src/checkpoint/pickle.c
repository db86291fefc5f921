// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/pickle.h"

#include "base/alloc.h"
#include "checkpoint/bytes.h"

#include <stdio.h>
#include <string.h>

static const size_t max_values = 1u << 22, max_refs = 1u << 23, max_stack = 1u << 20;
enum { MAX_MARKS = 1024 };

typedef struct reader {
    sono_pickle *out;
    const uint8_t *bytes;
    size_t n_bytes;
    size_t at;    /* next byte */
    size_t op_at; /* current opcode */
    uint64_t base_offset;
    uint32_t *stack;
    uint32_t *memo; /* 0 = empty */
    size_t n_stack, stack_capacity;
    size_t n_memo, memo_capacity; /* n_memo: one more than the highest number in use */
    uint32_t marks[MAX_MARKS];    /* stack heights */
    size_t n_marks;
    sono_error *error;
} reader;

#define FAIL_HERE(r, name, ...) SONO_FAIL_AT((r)->error, name, (r)->base_offset + (r)->op_at, __VA_ARGS__)

/* ---- classes ------------------------------------------------------------------------------------------- */

typedef enum class_use {
    USE_DICT,      /* called: an empty dict */
    USE_FIRST,     /* called: its first argument */
    USE_TENSOR,    /* torch._utils._rebuild_tensor_v2, and the older one with fewer arguments */
    USE_TENSOR_V3, /* the same of a storage without a type, and the type */
    USE_FROM_TYPE, /* torch._tensor._rebuild_from_type_v2: calls its first argument with its third */
    USE_STORAGE,   /* named in a persistent id */
    USE_DTYPE,     /* named as an argument */
    USE_OTHER      /* called: a value of no interest */
} class_use;

static const struct {
    const char *module;
    const char *name;
    class_use use;
    sono_dtype dtype;
} classes[] = {
    {"collections", "OrderedDict", USE_DICT, SONO_DTYPE_F32},
    {"collections", "Counter", USE_DICT, SONO_DTYPE_F32},
    {"collections", "defaultdict", USE_DICT, SONO_DTYPE_F32},
    {"builtins", "dict", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "list", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "tuple", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "set", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "frozenset", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "int", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "float", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "complex", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "str", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "bytearray", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "slice", USE_OTHER, SONO_DTYPE_F32},
    {"builtins", "range", USE_OTHER, SONO_DTYPE_F32},
    {"torch", "Size", USE_FIRST, SONO_DTYPE_F32},
    {"torch", "device", USE_OTHER, SONO_DTYPE_F32},
    {"torch._utils", "_rebuild_parameter", USE_FIRST, SONO_DTYPE_F32},
    {"torch._utils", "_rebuild_parameter_with_state", USE_FIRST, SONO_DTYPE_F32},
    {"torch._utils", "_rebuild_tensor", USE_TENSOR, SONO_DTYPE_F32},
    {"torch._utils", "_rebuild_tensor_v2", USE_TENSOR, SONO_DTYPE_F32},
    {"torch._utils", "_rebuild_tensor_v3", USE_TENSOR_V3, SONO_DTYPE_F32},
    {"torch._tensor", "_rebuild_from_type_v2", USE_FROM_TYPE, SONO_DTYPE_F32},
    {"torch", "Tensor", USE_OTHER, SONO_DTYPE_F32},
    {"torch.nn.parameter", "Parameter", USE_FIRST, SONO_DTYPE_F32},
    {"torch.storage", "UntypedStorage", USE_STORAGE, SONO_DTYPE_U8},
    {"torch", "FloatStorage", USE_STORAGE, SONO_DTYPE_F32},
    {"torch", "HalfStorage", USE_STORAGE, SONO_DTYPE_F16},
    {"torch", "BFloat16Storage", USE_STORAGE, SONO_DTYPE_BF16},
    {"torch", "DoubleStorage", USE_STORAGE, SONO_DTYPE_F64},
    {"torch", "LongStorage", USE_STORAGE, SONO_DTYPE_I64},
    {"torch", "IntStorage", USE_STORAGE, SONO_DTYPE_I32},
    {"torch", "ShortStorage", USE_STORAGE, SONO_DTYPE_I16},
    {"torch", "CharStorage", USE_STORAGE, SONO_DTYPE_I8},
    {"torch", "ByteStorage", USE_STORAGE, SONO_DTYPE_U8},
    {"torch", "BoolStorage", USE_STORAGE, SONO_DTYPE_BOOL},
    {"torch", "float32", USE_DTYPE, SONO_DTYPE_F32},
    {"torch", "float16", USE_DTYPE, SONO_DTYPE_F16},
    {"torch", "bfloat16", USE_DTYPE, SONO_DTYPE_BF16},
    {"torch", "float64", USE_DTYPE, SONO_DTYPE_F64},
    {"torch", "int64", USE_DTYPE, SONO_DTYPE_I64},
    {"torch", "int32", USE_DTYPE, SONO_DTYPE_I32},
    {"torch", "int16", USE_DTYPE, SONO_DTYPE_I16},
    {"torch", "int8", USE_DTYPE, SONO_DTYPE_I8},
    {"torch", "uint8", USE_DTYPE, SONO_DTYPE_U8},
    {"torch", "bool", USE_DTYPE, SONO_DTYPE_BOOL},
};

/* Nobody's weights need these: torch refuses them whatever its user allows (_blocklisted_modules in
 * torch/_weights_only_unpickler.py). */
static const char *const refused_modules[] = {"sys", "os", "posix", "nt"};

static int text_is(sono_text text, const char *string)
{
    return sono_text_compare(text, sono_text_of(string)) == 0;
}

/* ---- values, stack, memo ------------------------------------------------------------------------------- */

static sono_status out_of_memory(reader *r)
{
    return FAIL_HERE(r, OUT_OF_MEMORY, "out of memory for the pickle's values");
}

static sono_status take(reader *r, uint64_t n_bytes, const uint8_t **out)
{
    if (n_bytes > r->n_bytes - r->at)
        return FAIL_HERE(r, FORMAT, "pickle ends inside an opcode");
    *out = r->bytes + r->at;
    r->at += (size_t)n_bytes;
    return SONO_STATUS_OK;
}

static sono_status push(reader *r, uint32_t value)
{
    if (r->n_stack >= max_stack)
        return FAIL_HERE(r, UNSUPPORTED,
                         "pickle needs a stack of more than %zu values; save only model.state_dict()",
                         max_stack);
    if (sono_alloc_grow((void **)&r->stack, &r->stack_capacity, r->n_stack + 1, sizeof *r->stack))
        return out_of_memory(r);
    r->stack[r->n_stack++] = value;
    return SONO_STATUS_OK;
}

static sono_status push_value(reader *r, sono_pickle_value value)
{
    sono_pickle *out = r->out;
    if (out->n_values >= max_values)
        return FAIL_HERE(r, UNSUPPORTED, "pickle holds more than %zu values; save only model.state_dict()",
                         max_values);
    if (sono_alloc_grow((void **)&out->values, &out->values_capacity, out->n_values + 1, sizeof *out->values))
        return out_of_memory(r);
    out->values[out->n_values] = value;
    return push(r, (uint32_t)out->n_values++);
}

static sono_status push_kind(reader *r, sono_pickle_kind kind)
{
    return push_value(r, (sono_pickle_value){.kind = kind});
}

static sono_status push_integer(reader *r, sono_pickle_kind kind, int64_t integer)
{
    return push_value(r, (sono_pickle_value){.kind = kind, .as.integer = integer});
}

/* Values above the last mark can be popped, the mark not. */
static sono_status pop(reader *r, uint32_t *out)
{
    const size_t floor = r->n_marks ? r->marks[r->n_marks - 1] : 0;
    if (r->n_stack <= floor)
        return FAIL_HERE(r, FORMAT, "pickle takes a value from an empty stack");
    *out = r->stack[--r->n_stack];
    return SONO_STATUS_OK;
}

/* Removes the last mark; its values are stack[*first] to the top. */
static sono_status pop_mark(reader *r, size_t *first)
{
    if (!r->n_marks)
        return FAIL_HERE(r, FORMAT, "pickle looks for a mark that was never set");
    *first = r->marks[--r->n_marks];
    return SONO_STATUS_OK;
}

/* Moves the values from stack[first] on into refs. */
static sono_status move_to_refs(reader *r, size_t first, uint32_t *first_ref)
{
    sono_pickle *out = r->out;
    const size_t n = r->n_stack - first;
    if (n > max_refs - out->n_refs)
        return FAIL_HERE(r, UNSUPPORTED,
                         "pickle holds more than %zu references; save only model.state_dict()", max_refs);
    if (sono_alloc_grow((void **)&out->refs, &out->refs_capacity, out->n_refs + n, sizeof *out->refs))
        return out_of_memory(r);
    if (n)
        memcpy(out->refs + out->n_refs, r->stack + first, n * sizeof *out->refs);
    *first_ref = (uint32_t)out->n_refs;
    out->n_refs += n;
    r->n_stack = first;
    return SONO_STATUS_OK;
}

static sono_status memo_put(reader *r, uint64_t number)
{
    uint32_t value = 0;
    SONO_TRY(pop(r, &value));
    /* Every put takes a byte and names a value, so a pickler that counts up stays below both. */
    if (number >= r->n_bytes || number >= max_values)
        return FAIL_HERE(r, FORMAT, "pickle's memo number %llu is out of range", (unsigned long long)number);
    if (sono_alloc_grow((void **)&r->memo, &r->memo_capacity, number + 1, sizeof *r->memo))
        return out_of_memory(r);
    r->memo[number] = value;
    if (number >= r->n_memo)
        r->n_memo = number + 1;
    return push(r, value);
}

static sono_status memo_get(reader *r, uint64_t number)
{
    if (number >= r->n_memo || !r->memo[number])
        return FAIL_HERE(r, FORMAT, "pickle reads memo number %llu, which was never put",
                         (unsigned long long)number);
    return push(r, r->memo[number]);
}

/* ---- groups of opcodes --------------------------------------------------------------------------------- */

/* Not one of this group: the next one is asked. */
#define NOT_MINE SONO_STATUS_COUNT

static sono_status read_text(reader *r, size_t length_bytes)
{
    const uint8_t *at = NULL;
    SONO_TRY(take(r, length_bytes, &at));
    const uint64_t n_bytes = length_bytes == 1 ? *at : length_bytes == 4 ? sono_le32(at) : sono_le64(at);
    SONO_TRY(take(r, n_bytes, &at));
    const sono_text text = {(const char *)at, (size_t)n_bytes};
    return push_value(r, (sono_pickle_value){.kind = SONO_PICKLE_TEXT, .as.text = text});
}

static sono_status read_long(reader *r, size_t length_bytes)
{
    const uint8_t *at = NULL;
    SONO_TRY(take(r, length_bytes, &at));
    const uint64_t n_bytes = length_bytes == 1 ? *at : sono_le32(at);
    SONO_TRY(take(r, n_bytes, &at));
    if (n_bytes > 8)
        return push_kind(r, SONO_PICKLE_OTHER);
    uint64_t bits = n_bytes && (at[n_bytes - 1] & 0x80) ? UINT64_MAX : 0;
    for (uint64_t i = n_bytes; i-- > 0;)
        bits = bits << 8 | at[i];
    return push_integer(r, SONO_PICKLE_INT, (int64_t)bits);
}

static sono_status read_literal(reader *r, uint8_t op)
{
    const uint8_t *at = NULL;
    switch (op) {
    case 'N':
        return push_kind(r, SONO_PICKLE_NONE);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_integer(r, SONO_PICKLE_BOOL, op == 0x88);
    case 'K': /* BININT1 */
        SONO_TRY(take(r, 1, &at));
        return push_integer(r, SONO_PICKLE_INT, *at);
    case 'M': /* BININT2 */
        SONO_TRY(take(r, 2, &at));
        return push_integer(r, SONO_PICKLE_INT, sono_le16(at));
    case 'J': /* BININT */
        SONO_TRY(take(r, 4, &at));
        return push_integer(r, SONO_PICKLE_INT, (int32_t)sono_le32(at));
    case 0x8a: /* LONG1 */
        return read_long(r, 1);
    case 0x8b: /* LONG4 */
        return read_long(r, 4);
    case 'G': /* BINFLOAT */
        SONO_TRY(take(r, 8, &at));
        return push_kind(r, SONO_PICKLE_FLOAT);
    case 'U':  /* SHORT_BINSTRING */
    case 'C':  /* SHORT_BINBYTES */
    case 0x8c: /* SHORT_BINUNICODE */
        return read_text(r, 1);
    case 'X': /* BINUNICODE */
    case 'T': /* BINSTRING */
    case 'B': /* BINBYTES */
        return read_text(r, 4);
    case 0x8d: /* BINUNICODE8 */
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */
        return read_text(r, 8);
    default:
        return NOT_MINE;
    }
}

static sono_status build_tuple(reader *r, size_t first)
{
    sono_pickle_value value = {.kind = SONO_PICKLE_TUPLE};
    value.as.tuple.n = (uint32_t)(r->n_stack - first);
    SONO_TRY(move_to_refs(r, first, &value.as.tuple.first));
    return push_value(r, value);
}

/* Adds the values from stack[first] on to the list, dict or set below them. */
static sono_status add_items(reader *r, size_t first, int pairs)
{
    sono_pickle *out = r->out;
    const size_t n = r->n_stack - first;
    const size_t floor = r->n_marks ? r->marks[r->n_marks - 1] : 0;
    if (first <= floor)
        return FAIL_HERE(r, FORMAT, "pickle adds items to nothing");
    if (pairs && n % 2)
        return FAIL_HERE(r, FORMAT, "pickle sets a key without a value");
    const uint32_t target = r->stack[first - 1];
    const sono_pickle_kind kind = out->values[target].kind;
    const sono_pickle_kind wanted = pairs ? SONO_PICKLE_DICT : SONO_PICKLE_LIST;
    if (kind != wanted && kind != SONO_PICKLE_OTHER)
        return FAIL_HERE(r, FORMAT, "pickle adds items to something that is no %s", pairs ? "dict" : "list");
    if (kind == SONO_PICKLE_OTHER || !n) {
        r->n_stack = first;
        return SONO_STATUS_OK;
    }
    sono_pickle_batch batch = {.n = (uint32_t)n};
    SONO_TRY(move_to_refs(r, first, &batch.first));
    if (sono_alloc_grow((void **)&out->batches, &out->batches_capacity, out->n_batches + 1,
                        sizeof *out->batches))
        return out_of_memory(r);
    const uint32_t number = (uint32_t)out->n_batches++;
    out->batches[number] = batch;
    sono_pickle_value *list = &out->values[target];
    if (list->as.items.last)
        out->batches[list->as.items.last].next = number;
    else
        list->as.items.first = number;
    list->as.items.last = number;
    return SONO_STATUS_OK;
}

/* The values above the mark become a new list or dict. */
static sono_status build_from_mark(reader *r, sono_pickle_kind kind)
{
    size_t first = 0;
    SONO_TRY(pop_mark(r, &first));
    const size_t n = r->n_stack - first;
    SONO_TRY(push_kind(r, kind));
    const uint32_t made = r->stack[r->n_stack - 1];
    memmove(r->stack + first + 1, r->stack + first, n * sizeof *r->stack);
    r->stack[first] = made;
    return add_items(r, first + 1, kind == SONO_PICKLE_DICT);
}

static sono_status read_container(reader *r, uint8_t op)
{
    size_t first = 0;
    switch (op) {
    case '}':
        return push_kind(r, SONO_PICKLE_DICT);
    case ']':
        return push_kind(r, SONO_PICKLE_LIST);
    case ')':
        return build_tuple(r, r->n_stack);
    case 0x8f: /* EMPTY_SET */
        return push_kind(r, SONO_PICKLE_OTHER);
    case 0x85: /* TUPLE1 */
    case 0x86:
    case 0x87:
        first = r->n_marks ? r->marks[r->n_marks - 1] : 0;
        if (r->n_stack - first < (size_t)(op - 0x84))
            return FAIL_HERE(r, FORMAT, "pickle takes a value from an empty stack");
        return build_tuple(r, r->n_stack - (size_t)(op - 0x84));
    case 't':
        SONO_TRY(pop_mark(r, &first));
        return build_tuple(r, first);
    case 'l':
        return build_from_mark(r, SONO_PICKLE_LIST);
    case 'd':
        return build_from_mark(r, SONO_PICKLE_DICT);
    case 0x91: /* FROZENSET */
        return build_from_mark(r, SONO_PICKLE_OTHER);
    case 'a': /* APPEND */
    case 's': /* SETITEM */
        first = op == 'a' ? 1 : 2;
        return r->n_stack < first ? FAIL_HERE(r, FORMAT, "pickle adds items to nothing")
                                  : add_items(r, r->n_stack - first, op == 's');
    case 'e':  /* APPENDS */
    case 'u':  /* SETITEMS */
    case 0x90: /* ADDITEMS */
        SONO_TRY(pop_mark(r, &first));
        return add_items(r, first, op == 'u');
    default:
        return NOT_MINE;
    }
}

static sono_status read_stack_op(reader *r, uint8_t op)
{
    const uint8_t *at = NULL;
    size_t first = 0;
    uint32_t value = 0;
    switch (op) {
    case '(':
        if (r->n_marks >= MAX_MARKS)
            return FAIL_HERE(r, UNSUPPORTED,
                             "pickle is nested deeper than %d levels; save only model.state_dict()",
                             MAX_MARKS);
        r->marks[r->n_marks++] = (uint32_t)r->n_stack;
        return SONO_STATUS_OK;
    case '0': /* POP */
        return pop(r, &value);
    case '1': /* POP_MARK */
        SONO_TRY(pop_mark(r, &first));
        r->n_stack = first;
        return SONO_STATUS_OK;
    case '2': /* DUP */
        SONO_TRY(pop(r, &value));
        SONO_TRY(push(r, value));
        return push(r, value);
    case 'q': /* BINPUT */
        SONO_TRY(take(r, 1, &at));
        return memo_put(r, *at);
    case 'r': /* LONG_BINPUT */
        SONO_TRY(take(r, 4, &at));
        return memo_put(r, sono_le32(at));
    case 0x94: /* MEMOIZE */
        return memo_put(r, r->n_memo);
    case 'h': /* BINGET */
        SONO_TRY(take(r, 1, &at));
        return memo_get(r, *at);
    case 'j': /* LONG_BINGET */
        SONO_TRY(take(r, 4, &at));
        return memo_get(r, sono_le32(at));
    case 0x80: /* PROTO */
        SONO_TRY(take(r, 1, &at));
        return *at >= 2 && *at <= 5
                   ? SONO_STATUS_OK
                   : FAIL_HERE(r, UNSUPPORTED, "pickle protocol %u; save only model.state_dict()", *at);
    case 0x95: /* FRAME */
        return take(r, 8, &at);
    default:
        return NOT_MINE;
    }
}

/* ---- classes and calls --------------------------------------------------------------------------------- */

static sono_status push_class(reader *r, uint32_t module_number, uint32_t name_number)
{
    const sono_text module = r->out->values[module_number].as.text;
    const sono_text name = r->out->values[name_number].as.text;
    const int is_builtin = text_is(module, "__builtin__"); /* protocol 2's word for builtins */
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (text_is(name, classes[i].name) &&
            text_is(is_builtin ? sono_text_of("builtins") : module, classes[i].module))
            return push_integer(r, SONO_PICKLE_CLASS, (int64_t)i);
    for (size_t i = 0; i < sizeof refused_modules / sizeof *refused_modules; i++)
        if (text_is(module, refused_modules[i]))
            return FAIL_HERE(
                r, UNSUPPORTED,
                "pickle asks for class '%.*s.%.*s', which no weights need: do not trust this file",
                (int)module.length, module.start, name.length < 100 ? (int)name.length : 100, name.start);
    sono_pickle_value value = {.kind = SONO_PICKLE_FOREIGN};
    value.as.foreign.module = module_number;
    value.as.foreign.name = name_number;
    SONO_TRY(push_value(r, value));
    if (!r->out->n_inert++)
        r->out->first_inert = r->stack[r->n_stack - 1];
    return SONO_STATUS_OK;
}

/* What the call of a class off the list makes; the class itself is no longer counted. */
static sono_status push_inert(reader *r, uint32_t maker)
{
    sono_pickle_value *class = &r->out->values[maker];
    if (class->kind == SONO_PICKLE_OTHER)
        maker = class->as.maker;
    else if (class->as.foreign.called)
        r->out->n_inert++;
    else
        class->as.foreign.called = 1;
    return push_value(r, (sono_pickle_value){.kind = SONO_PICKLE_OTHER, .as.maker = maker});
}

/* Pushes the text up to the end of the line. */
static sono_status read_line(reader *r)
{
    const char *start = (const char *)r->bytes + r->at;
    const char *end = memchr(start, '\n', r->n_bytes - r->at);
    if (!end)
        return FAIL_HERE(r, FORMAT, "pickle ends inside a class name");
    r->at += (size_t)(end - start) + 1;
    const sono_text text = {start, (size_t)(end - start)};
    return push_value(r, (sono_pickle_value){.kind = SONO_PICKLE_TEXT, .as.text = text});
}

static sono_status read_class(reader *r, uint8_t op)
{
    if (op == 'c') { /* GLOBAL; else STACK_GLOBAL */
        SONO_TRY(read_line(r));
        SONO_TRY(read_line(r));
    }
    uint32_t numbers[2] = {0, 0};
    SONO_TRY(pop(r, &numbers[1]));
    SONO_TRY(pop(r, &numbers[0]));
    const sono_pickle_value *values = r->out->values;
    if (values[numbers[0]].kind != SONO_PICKLE_TEXT || values[numbers[1]].kind != SONO_PICKLE_TEXT)
        return FAIL_HERE(r, FORMAT, "pickle names a class by something that is no text");
    return push_class(r, numbers[0], numbers[1]);
}

static const sono_pickle_value *tuple_item(const reader *r, const sono_pickle_value *tuple, uint32_t i)
{
    return &r->out->values[r->out->refs[tuple->as.tuple.first + i]];
}

/* ("storage", class, key, location, element count) */
static sono_status read_persistent_id(reader *r)
{
    uint32_t number = 0;
    SONO_TRY(pop(r, &number));
    const sono_pickle_value *id = &r->out->values[number];
    if (id->kind != SONO_PICKLE_TUPLE || id->as.tuple.n < 5)
        return FAIL_HERE(r, FORMAT, "pickle's persistent id is no storage");
    const sono_pickle_value *tag = tuple_item(r, id, 0), *class = tuple_item(r, id, 1);
    const sono_pickle_value *key = tuple_item(r, id, 2), *count = tuple_item(r, id, 4);
    const int is_foreign = class->kind == SONO_PICKLE_FOREIGN;
    if (tag->kind != SONO_PICKLE_TEXT || !text_is(tag->as.text, "storage") ||
        (!is_foreign &&
         (class->kind != SONO_PICKLE_CLASS || classes[class->as.integer].use != USE_STORAGE)) ||
        key->kind != SONO_PICKLE_TEXT || count->kind != SONO_PICKLE_INT || count->as.integer < 0)
        return FAIL_HERE(r, FORMAT, "pickle's persistent id is no storage");
    sono_pickle_value value = {.kind = SONO_PICKLE_STORAGE};
    value.as.storage.key = r->out->refs[id->as.tuple.first + (is_foreign ? 1 : 2)];
    value.as.storage.dtype = is_foreign ? SONO_DTYPE_COUNT : classes[class->as.integer].dtype;
    value.as.storage.n_elements = count->as.integer;
    return push_value(r, value);
}

/* Of _rebuild_tensor_v3: the storage without a type, seen as one of that type; *out is the number of
 * the new value. */
static sono_status retype_storage(reader *r, uint32_t storage_number, uint32_t type_number, uint32_t *out)
{
    sono_pickle_value value = r->out->values[storage_number];
    const sono_pickle_value *type = &r->out->values[type_number];
    if (type->kind == SONO_PICKLE_FOREIGN) {
        value.as.storage.key = type_number;
        value.as.storage.dtype = SONO_DTYPE_COUNT;
    } else if (type->kind != SONO_PICKLE_CLASS || classes[type->as.integer].use != USE_DTYPE) {
        return FAIL_HERE(r, FORMAT, "pickle's _rebuild_tensor_v3 names no type");
    } else if (value.as.storage.dtype != SONO_DTYPE_COUNT) {
        const sono_dtype dtype = classes[type->as.integer].dtype;
        const int64_t element_bytes = (int64_t)sono_dtype_bytes((sono_dtype)value.as.storage.dtype);
        int64_t n_bytes = 0;
        if (__builtin_mul_overflow(value.as.storage.n_elements, element_bytes, &n_bytes) ||
            n_bytes % (int64_t)sono_dtype_bytes(dtype))
            return FAIL_HERE(r, FORMAT, "pickle's _rebuild_tensor_v3 has a storage of %lld bytes for %s",
                             (long long)n_bytes, sono_dtype_name(dtype));
        value.as.storage.dtype = dtype;
        value.as.storage.n_elements = n_bytes / (int64_t)sono_dtype_bytes(dtype);
    }
    SONO_TRY(push_value(r, value));
    return pop(r, out);
}

/* _rebuild_tensor_v2(storage, offset, dims, strides, requires_grad, hooks[, metadata]), or v3 with a dtype
 * before the metadata. */
static sono_status push_tensor(reader *r, const sono_pickle_value *arguments, int is_v3)
{
    static const sono_pickle_kind kinds[] = {SONO_PICKLE_STORAGE, SONO_PICKLE_INT, SONO_PICKLE_TUPLE,
                                             SONO_PICKLE_TUPLE};
    const uint32_t n_wanted = is_v3 ? 7 : 4;
    for (uint32_t i = 0; i < 4; i++)
        if (arguments->as.tuple.n < n_wanted || tuple_item(r, arguments, i)->kind != kinds[i])
            return FAIL_HERE(r, FORMAT, "pickle's _rebuild_tensor_v%d has wrong arguments", is_v3 ? 3 : 2);
    const uint32_t *refs = r->out->refs + arguments->as.tuple.first;
    sono_pickle_value value = {.kind = SONO_PICKLE_TENSOR};
    value.as.tensor.storage = refs[0];
    value.as.tensor.offset = refs[1];
    value.as.tensor.dims = refs[2];
    value.as.tensor.strides = refs[3];
    if (is_v3)
        SONO_TRY(retype_storage(r, refs[0], refs[6], &value.as.tensor.storage));
    return push_value(r, value);
}

/* What a class on the list makes of its arguments. */
static sono_status push_made(reader *r, int64_t class, const sono_pickle_value *arguments)
{
    switch (classes[class].use) {
    case USE_DICT:
        return push_kind(r, SONO_PICKLE_DICT);
    case USE_FIRST:
        if (!arguments->as.tuple.n)
            return FAIL_HERE(r, FORMAT, "pickle calls %s without an argument", classes[class].name);
        return push(r, r->out->refs[arguments->as.tuple.first]);
    case USE_TENSOR:
    case USE_TENSOR_V3:
        return push_tensor(r, arguments, classes[class].use == USE_TENSOR_V3);
    case USE_OTHER:
        return push_kind(r, SONO_PICKLE_OTHER);
    default:
        return FAIL_HERE(r, FORMAT, "pickle calls %s, which is no function", classes[class].name);
    }
}

/* _rebuild_from_type_v2(function, type, arguments, state): a tensor that carries attributes, or one of a type
 * of its own, which is inert unless torch's own functions make it. */
static sono_status push_from_type(reader *r, const sono_pickle_value *arguments)
{
    if (arguments->as.tuple.n < 3 || tuple_item(r, arguments, 2)->kind != SONO_PICKLE_TUPLE)
        return FAIL_HERE(r, FORMAT, "pickle's _rebuild_from_type_v2 has wrong arguments");
    const sono_pickle_value function = *tuple_item(r, arguments, 0), inner = *tuple_item(r, arguments, 2);
    if (function.kind == SONO_PICKLE_FOREIGN)
        return push_inert(r, r->out->refs[arguments->as.tuple.first]);
    if (function.kind != SONO_PICKLE_CLASS || classes[function.as.integer].use == USE_FROM_TYPE)
        return FAIL_HERE(r, FORMAT, "pickle's _rebuild_from_type_v2 calls something that is no function");
    return push_made(r, function.as.integer, &inner);
}

static sono_status read_call(reader *r)
{
    uint32_t argument_number = 0, class_number = 0;
    SONO_TRY(pop(r, &argument_number));
    SONO_TRY(pop(r, &class_number));
    const sono_pickle_value arguments = r->out->values[argument_number];
    const sono_pickle_value class = r->out->values[class_number];
    if (arguments.kind != SONO_PICKLE_TUPLE)
        return FAIL_HERE(r, FORMAT, "pickle calls something with arguments that are no tuple");
    if (class.kind == SONO_PICKLE_FOREIGN || class.kind == SONO_PICKLE_OTHER)
        return push_inert(r, class_number);
    if (class.kind != SONO_PICKLE_CLASS)
        return FAIL_HERE(r, FORMAT, "pickle calls something that is no class");
    if (classes[class.as.integer].use == USE_FROM_TYPE)
        return push_from_type(r, &arguments);
    return push_made(r, class.as.integer, &arguments);
}

static sono_status read_object(reader *r, uint8_t op)
{
    uint32_t dropped = 0;
    switch (op) {
    case 'c':  /* GLOBAL */
    case 0x93: /* STACK_GLOBAL */
        return read_class(r, op);
    case 'Q': /* BINPERSID */
        return read_persistent_id(r);
    case 'R':  /* REDUCE */
    case 0x81: /* NEWOBJ */
        return read_call(r);
    case 0x92: /* NEWOBJ_EX: with arguments by name, which are of no interest */
        SONO_TRY(pop(r, &dropped));
        return read_call(r);
    case 'b': /* BUILD: an object's attributes, such as a state dict's _metadata */
        SONO_TRY(pop(r, &dropped));
        SONO_TRY(pop(r, &dropped));
        return push(r, dropped);
    default:
        return NOT_MINE;
    }
}

/* ---- whole pickles ------------------------------------------------------------------------------------- */

static sono_status read_opcode(reader *r, uint8_t op)
{
    static sono_status (*const groups[])(reader *, uint8_t) = {read_literal, read_stack_op, read_container,
                                                               read_object};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const sono_status status = groups[i](r, op);
        if (status != NOT_MINE)
            return status;
    }
    return FAIL_HERE(r, UNSUPPORTED, "pickle opcode 0x%02x is not on the list; save only model.state_dict()",
                     op);
}

static sono_status read_all(reader *r)
{
    if (r->n_bytes > SONO_PICKLE_MAX_BYTES)
        return FAIL_HERE(r, UNSUPPORTED,
                         "pickle of %zu bytes is larger than %d; save only model.state_dict()", r->n_bytes,
                         SONO_PICKLE_MAX_BYTES);
    sono_pickle *out = r->out;
    if (sono_alloc_grow((void **)&out->values, &out->values_capacity, 1, sizeof *out->values) ||
        sono_alloc_grow((void **)&out->batches, &out->batches_capacity, 1, sizeof *out->batches))
        return out_of_memory(r);
    out->n_values = out->n_batches = 1;
    while (r->at < r->n_bytes) {
        r->op_at = r->at;
        const uint8_t op = r->bytes[r->at++];
        if (op == '.')
            return pop(r, &out->root);
        SONO_TRY(read_opcode(r, op));
    }
    r->op_at = r->n_bytes;
    return FAIL_HERE(r, FORMAT, "pickle ends without its STOP");
}

sono_status sono_pickle_read(const uint8_t *bytes, size_t n_bytes, uint64_t base_offset, sono_pickle *out,
                             sono_error *error)
{
    *out = (sono_pickle){0};
    reader r = {.out = out, .bytes = bytes, .n_bytes = n_bytes, .base_offset = base_offset, .error = error};
    const sono_status status = read_all(&r);
    sono_free(r.stack);
    sono_free(r.memo);
    if (status != SONO_STATUS_OK)
        sono_pickle_close(out);
    return status;
}

void sono_pickle_close(sono_pickle *pickle)
{
    sono_free(pickle->values);
    sono_free(pickle->refs);
    sono_free(pickle->batches);
    *pickle = (sono_pickle){0};
}

int sono_pickle_next_pair(const sono_pickle *pickle, uint32_t dict, sono_pickle_cursor *cursor, uint32_t *key,
                          uint32_t *value)
{
    if (!cursor->started) {
        cursor->batch = pickle->values[dict].as.items.first;
        cursor->started = 1;
    }
    while (cursor->batch && cursor->item >= pickle->batches[cursor->batch].n) {
        cursor->batch = pickle->batches[cursor->batch].next;
        cursor->item = 0;
    }
    if (!cursor->batch)
        return 0;
    const uint32_t *refs = pickle->refs + pickle->batches[cursor->batch].first + cursor->item;
    *key = refs[0];
    *value = refs[1];
    cursor->item += 2;
    return 1;
}

const char *sono_pickle_foreign_name(const sono_pickle *pickle, uint32_t foreign, char *out, size_t out_bytes)
{
    const sono_pickle_value *value = &pickle->values[foreign];
    const sono_text module = pickle->values[value->as.foreign.module].as.text;
    const sono_text name = pickle->values[value->as.foreign.name].as.text;
    snprintf(out, out_bytes, "%.*s.%.*s", module.length < 200 ? (int)module.length : 200, module.start,
             name.length < 100 ? (int)name.length : 100, name.start);
    return out;
}

uint32_t sono_pickle_get(const sono_pickle *pickle, uint32_t dict, const char *key)
{
    if (pickle->values[dict].kind != SONO_PICKLE_DICT)
        return 0;
    sono_pickle_cursor cursor = {0};
    uint32_t name = 0, value = 0, found = 0;
    while (sono_pickle_next_pair(pickle, dict, &cursor, &name, &value))
        if (pickle->values[name].kind == SONO_PICKLE_TEXT && text_is(pickle->values[name].as.text, key))
            found = value;
    return found;
}
