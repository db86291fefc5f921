// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/choice/chain.h"

#include "engine/cuda/choice/families.h"
#include "engine/cuda/choice/mbconv.h"
#include "engine/cuda/choice/normed.h"
#include "graph/lower.h"

#include <string.h>

#define MIN_OPS      3
#define MAX_CHANNELS 2048
#define MAX_NORM     256 /* channels: a warp has a row in registers */
#define MAX_SLOTS    64
#define WIDE_DEPTH   512 /* channels from which on a result is worth keeping in pieces */
#define IDLE         12 /* multiprocessors of 132 that clusters of 8 leave free: 15 are on the device together */
#define STEP_FLOATS  64 /* of a step, in the kernel's form */

/* ---- which ops ---- */

/* Bit k: input k has a row for every row of the result. Other inputs are parameters, or input 0 of DEFORM. */
static int rows_of_kind(sono_op_kind kind)
{
    switch (kind) {
    case SONO_OP_LINEAR:
    case SONO_OP_LAYER_NORM:
        return 1 | 8;
    case SONO_OP_ADD:
        return 1 | 2;
    case SONO_OP_UNARY:
    case SONO_OP_LQE_STAT:
        return 1;
    case SONO_OP_GATED_NORM:
    case SONO_OP_ATTENTION:
        return 1 | 2 | 4;
    case SONO_OP_DEFORM_ATTENTION:
        return 2 | 4 | 8;
    case SONO_OP_FDR_BOX:
        return 1 | 2;
    default:
        return 0;
    }
}

static int32_t n_rows_of(const sono_tensor *t)
{
    return t->h * t->w;
}

/* A row operand: of this many maps and rows, or the same row of every map; whole groups of 4 channels. */
static int is_rows(const sono_program *program, sono_tid id, int32_t n, int32_t n_rows)
{
    const sono_tensor *t = &program->tensors[id], *root = &program->tensors[t->root];
    const int is_one = n_rows_of(t) == 1 && n_rows <= SONO_ATTENTION_NARROW_KEYS;
    return root->kind != SONO_TENSOR_PARAM && t->dtype == SONO_DTYPE_F32 && t->n == n &&
           (n_rows_of(t) == n_rows || is_one) && t->pitch == root->pitch &&
           t->offset % root->pitch % 4 == 0 && (t->root == id || t->c % 4 == 0) && t->c <= MAX_CHANNELS;
}

static int is_param(const sono_program *program, sono_tid id)
{
    return !id || (program->tensors[id].kind == SONO_TENSOR_PARAM && program->tensors[id].root == id);
}

static int32_t n_points_of(const sono_deform_args *args)
{
    int32_t n = 0;
    for (int32_t i = 0; i < args->n_levels; i++)
        n += args->level_points[i];
    return n;
}

static int fits_kind(const sono_program *program, sono_precision precision, const sono_op *op)
{
    const sono_tensor *x = &program->tensors[op->in[0]], *y = &program->tensors[op->out[0]];
    const sono_attention_args *attention = &op->args.attention;
    switch (op->kind) {
    case SONO_OP_LINEAR:
        return sono_tensor_stored_dtype(program, op->in[0], precision) == SONO_DTYPE_F32 ||
               sono_tensor_stored_dtype(program, op->out[0], precision) == SONO_DTYPE_F32;
    case SONO_OP_LAYER_NORM:
        return y->c % 4 == 0 && y->c <= MAX_NORM && op->args.norm.act == SONO_ACT_NONE;
    case SONO_OP_GATED_NORM:
        return y->c % 4 == 0 && y->c <= MAX_NORM && n_rows_of(y) > SONO_ATTENTION_NARROW_KEYS;
    case SONO_OP_ADD:
        return program->tensors[op->in[1]].c == x->c;
    case SONO_OP_ATTENTION:
        return !attention->window && !op->in[3] && attention->head_dim == 32 &&
               n_rows_of(x) <= SONO_ATTENTION_NARROW_KEYS &&
               n_rows_of(&program->tensors[op->in[1]]) == n_rows_of(x);
    case SONO_OP_FDR_BOX:
    case SONO_OP_LQE_STAT:
        return n_rows_of(y) > SONO_ATTENTION_NARROW_KEYS; /* the kernel for tokens lacks them */
    case SONO_OP_DEFORM_ATTENTION:
        return n_rows_of(y) > SONO_ATTENTION_NARROW_KEYS && op->args.deform.head_dim == 32 && x->n == y->n &&
               x->pitch % 4 == 0 && x->offset % 4 == 0 && n_points_of(&op->args.deform) <= 32 &&
               program->tensors[x->root].kind != SONO_TENSOR_PARAM;
    default:
        return 1;
    }
}

static int is_member(const sono_program *program, sono_precision precision, const sono_op *op, int32_t n,
                     int32_t n_rows)
{
    const int rows = rows_of_kind(op->kind);
    if (!rows || op->is_absorbed || op->leader || op->out[1] || !is_rows(program, op->out[0], n, n_rows) ||
        !fits_kind(program, precision, op))
        return 0;
    for (int k = 0; k < SONO_OP_MAX_IN; k++) {
        if (!op->in[k] || (k == 0 && op->kind == SONO_OP_DEFORM_ATTENTION))
            continue;
        if (rows >> k & 1 ? !is_rows(program, op->in[k], n, n_rows) : !is_param(program, op->in[k]))
            return 0;
    }
    return 1;
}

int sono_chain_has_kernel(const sono_cuda_facts *facts, sono_precision precision)
{
    return facts->compute_capability == 90 && !facts->lacks_sm90 && precision == SONO_PRECISION_FP16;
}

/* Clusters of a detector's queries that are on the device together. */
static int32_t clusters_at_once(const sono_cuda_facts *facts)
{
    const int32_t n = (facts->n_multiprocessors - IDLE) / SONO_CHAIN_CLUSTER;
    return n > 0 ? n : 1;
}

/* Whether queries would come in several rounds: then an op at a time fills the device better. */
static int is_crowded(const sono_chain *plan, const sono_cuda_facts *facts)
{
    return plan->n_rows > SONO_ATTENTION_NARROW_KEYS &&
           plan->n_maps * plan->tiles_per_map > clusters_at_once(facts);
}

/* The longest chain that begins with an op: its last one; below `first` where there is none. */
static int32_t last_of(const sono_program *program, sono_precision precision, const sono_cuda_facts *facts,
                       int32_t first)
{
    const sono_op *start = &program->ops[first];
    const sono_tensor *y = &program->tensors[start->out[0]];
    int32_t last = first - 1, n_deforms = 0; /* at most one: its sizes are the chain's */
    sono_chain plan;
    if (n_rows_of(y) > SONO_CHAIN_MAX_TOKENS)
        return last;
    while (last + 1 < (int32_t)program->n_ops && last - first + 1 < SONO_CHAIN_MAX_STEPS) {
        const sono_op *op = &program->ops[last + 1];
        n_deforms += op->kind == SONO_OP_DEFORM_ATTENTION;
        if (n_deforms > 1 || op->lane != start->lane || op->strand != start->strand ||
            op->stage != start->stage || !is_member(program, precision, op, y->n, n_rows_of(y)))
            break;
        last++;
    }
    while (last - first + 1 >= MIN_OPS && !sono_chain_plan(program, precision, facts, first, last, 0, &plan))
        last--;
    if (last - first + 1 >= MIN_OPS && is_crowded(&plan, facts))
        last = first - 1;
    return last;
}

void sono_chain_form(sono_program *lowered, sono_precision precision, const sono_cuda_facts *facts)
{
    if (!sono_chain_has_kernel(facts, precision))
        return;
    for (int32_t i = 0; i < (int32_t)lowered->n_ops; i++) {
        const int32_t last = last_of(lowered, precision, facts, i);
        if (last - i + 1 < MIN_OPS)
            continue;
        sono_lower_chain(lowered, i, last);
        i = last;
    }
}

int sono_chain_is(const sono_program *program, int32_t i)
{
    return program->ops[i].leader && !sono_mbconv_is(program, i) &&
           sono_normed_of(program, i) == SONO_NORMED_NONE;
}

size_t sono_chain_count(const sono_program *program)
{
    size_t n = 0;
    for (int32_t i = 0; i < (int32_t)program->n_ops; i++)
        n += program->ops[i].leader == i + 1 && sono_chain_is(program, i);
    return n;
}

/* ---- where tensors lie ---- */

/* A tensor's place: of a whole root that the chain makes, or of a view that it loads. */
typedef struct slot {
    sono_tid tensor;
    sono_chain_place place;
    int32_t n_floats;
    int32_t last_read;   /* step */
    int32_t read_epoch;  /* of that step, once it is known */
    int32_t write_epoch; /* of the last write by other blocks; -1: there was none */
} slot;

typedef struct planner {
    const sono_program *program;
    sono_precision precision;
    sono_chain *out;
    int keeps_all;
    int32_t epoch, shared_part_epoch; /* the second: of the last look at other blocks' partial sums */
    slot slots[MAX_SLOTS];
    int32_t n_slots;
} planner;

static int32_t round_up(int32_t value, int32_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* Floats from row to row: rows start 4 banks apart, so that 8 of them are read at once. */
static int32_t pitch_of(int32_t c)
{
    return round_up(c, 32) + 4;
}

static int reads(const sono_op *op, int k)
{
    return op->in[k] && rows_of_kind(op->kind) >> k & 1;
}

/* Whether an op of the chain makes (part of) a root before op `end`. */
static int is_made(const planner *p, sono_tid root, int32_t end)
{
    for (int32_t i = p->out->first_op; i < end; i++)
        if (p->program->tensors[p->program->ops[i].out[0]].root == root)
            return 1;
    return 0;
}

/* The last op of the chain that reads a slot's tensor; -1: none does. */
static int32_t last_reader(const planner *p, sono_tid tensor, int32_t is_loaded)
{
    int32_t last = -1;
    for (int32_t i = p->out->first_op; i <= p->out->last_op; i++) {
        const sono_op *op = &p->program->ops[i];
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            if (reads(op, k) && (is_loaded ? op->in[k] : p->program->tensors[op->in[k]].root) == tensor)
                last = i;
    }
    return last;
}

/* Whether something outside of the chain reads what it makes of a root. */
static int escapes(const planner *p, sono_tid root)
{
    const sono_tensor *t = &p->program->tensors[root];
    if (p->keeps_all || t->kind == SONO_TENSOR_OUTPUT)
        return 1;
    for (int32_t i = 0; i < (int32_t)p->program->n_ops; i++) {
        const sono_op *op = &p->program->ops[i];
        const int is_inside = i >= p->out->first_op && i <= p->out->last_op;
        for (int k = 0; k < SONO_OP_MAX_IN; k++) {
            const int is_value = k == 0 && op->kind == SONO_OP_DEFORM_ATTENTION;
            if (op->in[k] && (!is_inside || is_value) && p->program->tensors[op->in[k]].root == root)
                return 1;
        }
    }
    return 0;
}

static int is_taken(const slot *s, int32_t step, int32_t epoch, int is_remote, int32_t at, int32_t n_floats)
{
    const int is_alive = s->last_read >= step || (is_remote && s->read_epoch >= epoch);
    return is_alive && s->place.at < at + n_floats && at < s->place.at + s->n_floats;
}

/* The lowest place that is free from a step on; is_remote: other blocks write there. */
static int32_t find_place(const planner *p, int32_t step, int32_t epoch, int is_remote, int32_t n_floats)
{
    int32_t at = 0;
    for (int again = 1; again;) {
        again = 0;
        for (int32_t i = 0; i < p->n_slots; i++)
            if (is_taken(&p->slots[i], step, epoch, is_remote, at, n_floats)) {
                at = p->slots[i].place.at + p->slots[i].n_floats;
                again = 1;
            }
    }
    return at;
}

/* A new slot. step: from where on it is used, as an op's number. */
static slot *add_slot(planner *p, sono_tid tensor, int is_loaded, int32_t step, int32_t epoch, int is_remote,
                      int32_t n_columns)
{
    if (p->n_slots == MAX_SLOTS)
        return NULL;
    const int32_t pitch = pitch_of(n_columns), n_floats = pitch * p->out->tile_rows;
    const int32_t at = find_place(p, step, epoch, is_remote, n_floats);
    slot *s = &p->slots[p->n_slots++];
    *s = (slot){.tensor = tensor,
                .place = {at, pitch, p->out->tile_rows},
                .n_floats = n_floats,
                .last_read = last_reader(p, tensor, is_loaded),
                .read_epoch = epoch,
                .write_epoch = -1};
    if (at + n_floats > p->out->area_floats)
        p->out->area_floats = at + n_floats;
    return s;
}

static slot *find_slot(planner *p, sono_tid tensor)
{
    for (int32_t i = p->n_slots - 1; i >= 0; i--)
        if (p->slots[i].tensor == tensor)
            return &p->slots[i];
    return NULL;
}

/* The slot that an op's input k is in: its root's where the chain has made it, else its own. */
static slot *slot_of_input(planner *p, int32_t i, int k)
{
    const sono_tid id = p->program->ops[i].in[k], root = p->program->tensors[id].root;
    return find_slot(p, is_made(p, root, i) ? root : id);
}

/* ---- steps ---- */

static sono_chain_step *add_step(planner *p, sono_chain_role role, int32_t op)
{
    if (p->out->n_steps == SONO_CHAIN_MAX_STEPS)
        return NULL;
    sono_chain_step *step = &p->out->steps[p->out->n_steps++];
    memset(step, 0, sizeof *step);
    step->role = role;
    step->op = op;
    for (int k = 0; k < SONO_OP_MAX_IN; k++)
        step->in[k].at = -1;
    step->out.at = -1;
    return step;
}

/* Loads of what comes from outside, all of them first. */
static int plan_loads(planner *p)
{
    for (int32_t i = p->out->first_op; i <= p->out->last_op; i++) {
        const sono_op *op = &p->program->ops[i];
        for (int k = 0; k < SONO_OP_MAX_IN; k++) {
            const sono_tid id = op->in[k];
            if (!reads(op, k) || is_made(p, p->program->tensors[id].root, i) || find_slot(p, id))
                continue;
            const slot *s = add_slot(p, id, 1, p->out->first_op, 0, 0, p->program->tensors[id].c);
            sono_chain_step *step = s ? add_step(p, SONO_CHAIN_LOAD, -1) : NULL;
            if (!step)
                return 0;
            step->tensor = id;
            step->out = s->place;
        }
    }
    return 1;
}

/* Whether a LINEAR's result stays in pieces: one LINEAR reads it, whole, and nobody else. */
static int stays_local(const planner *p, int32_t i)
{
    const sono_op *op = &p->program->ops[i];
    const sono_tensor *y = &p->program->tensors[op->out[0]];
    int32_t reader = -1, n_reads = 0;
    if (op->kind != SONO_OP_LINEAR || y->root != op->out[0] || y->c < WIDE_DEPTH ||
        y->c % (SONO_CHAIN_CLUSTER * 32) || escapes(p, y->root))
        return 0;
    for (int32_t j = p->out->first_op; j <= p->out->last_op; j++)
        for (int k = 0; k < SONO_OP_MAX_IN; k++)
            if (reads(&p->program->ops[j], k) &&
                p->program->tensors[p->program->ops[j].in[k]].root == y->root) {
                reader = k == 0 && p->program->ops[j].in[0] == op->out[0] ? j : -1;
                n_reads++;
            }
    return n_reads == 1 && reader >= 0 && p->program->ops[reader].kind == SONO_OP_LINEAR &&
           p->program->tensors[p->program->ops[reader].out[0]].c <= 8 * SONO_CHAIN_TILES;
}

/* Where the inputs are; whether one of them was written by others since the last barrier. */
static int take_inputs(planner *p, int32_t i, sono_chain_step *step)
{
    int waits = 0;
    for (int k = 0; k < SONO_OP_MAX_IN; k++) {
        if (!reads(&p->program->ops[i], k))
            continue;
        const sono_tensor *t = &p->program->tensors[p->program->ops[i].in[k]];
        const slot *s = slot_of_input(p, i, k);
        const int64_t offset = s->tensor == p->program->ops[i].in[k] ? 0 : t->offset;
        const int32_t row = (int32_t)(offset / t->pitch), column = (int32_t)(offset % t->pitch);
        step->in[k] = (sono_chain_place){s->place.at + row * s->place.pitch + column, s->place.pitch,
                                         p->out->tile_rows - row};
        waits |= s->write_epoch >= p->epoch;
    }
    return waits;
}

static void mark_read(planner *p, int32_t i)
{
    for (int k = 0; k < SONO_OP_MAX_IN; k++)
        if (reads(&p->program->ops[i], k))
            slot_of_input(p, i, k)->read_epoch = p->epoch;
}

/* Whether the blocks of a cluster write an op's result to each other. */
static int is_remote_op(const planner *p, int32_t i)
{
    const sono_op_kind kind = p->program->ops[i].kind;
    return kind == SONO_OP_DEFORM_ATTENTION || (kind == SONO_OP_LINEAR && !stays_local(p, i));
}

static int has_remote_writer(const planner *p, sono_tid root)
{
    for (int32_t i = p->out->first_op; i <= p->out->last_op; i++)
        if (p->program->tensors[p->program->ops[i].out[0]].root == root && is_remote_op(p, i))
            return 1;
    return 0;
}

/* Whether a step stores its result itself, as it makes it; others have a step of their own for that. */
static int stores_itself(sono_op_kind kind)
{
    return kind == SONO_OP_LINEAR || kind == SONO_OP_DEFORM_ATTENTION;
}

static int add_store(planner *p, int32_t i, const sono_chain_place *from)
{
    const sono_chain_place place = *from;
    sono_chain_step *step = add_step(p, SONO_CHAIN_STORE, i);
    if (!step)
        return 0;
    step->tensor = p->program->ops[i].out[0];
    step->in[0] = place;
    return 1;
}

/* Where the result goes. */
static int take_output(planner *p, int32_t i, sono_chain_step *step, int is_remote)
{
    const sono_tid id = p->program->ops[i].out[0];
    const sono_tensor *t = &p->program->tensors[id];
    const int is_stored = escapes(p, t->root);
    if (is_stored && stores_itself(p->program->ops[i].kind))
        step->tensor = id;
    if (last_reader(p, t->root, 0) < i && !(is_stored && !step->tensor))
        return 1;
    slot *s = is_made(p, t->root, i) ? find_slot(p, t->root) : NULL;
    const int is_ever_remote = is_remote || has_remote_writer(p, t->root);
    const int32_t n_columns = step->is_local_out ? t->c / SONO_CHAIN_CLUSTER : p->program->tensors[t->root].c;
    if (!s)
        s = add_slot(p, t->root, 0, i, p->epoch, is_ever_remote, n_columns);
    if (!s)
        return 0;
    step->out = s->place;
    step->out.at += (int32_t)(t->offset % p->program->tensors[t->root].pitch);
    s->write_epoch = is_remote ? p->epoch : s->write_epoch;
    s->last_read = s->last_read < i ? i : s->last_read;
    return is_stored && !step->tensor ? add_store(p, i, &step->out) : 1;
}

/* Whether an op's result, written by other blocks before the next barrier, would need more memory than so
 * far. */
static int is_short(const planner *p, int32_t i)
{
    const sono_tensor *t = &p->program->tensors[p->program->ops[i].out[0]];
    const int32_t n_floats = pitch_of(p->program->tensors[t->root].c) * p->out->tile_rows;
    return find_place(p, i, p->epoch, 1, n_floats) + n_floats > p->out->area_floats;
}

static int plan_step(planner *p, int32_t i)
{
    const sono_op *op = &p->program->ops[i];
    sono_chain_step *step = add_step(p, SONO_CHAIN_OP, i);
    if (!step)
        return 0;
    step->is_local_out = stays_local(p, i);
    if (op->kind == SONO_OP_LINEAR)
        for (int32_t j = p->out->first_op; j < i; j++)
            step->is_local_in |= p->program->ops[j].out[0] == op->in[0] && stays_local(p, j);
    step->waits = take_inputs(p, i, step) || (op->kind == SONO_OP_LINEAR && p->shared_part_epoch >= p->epoch);
    if (!step->waits && is_remote_op(p, i) && is_short(p, i))
        step->waits = 1;                         /* what was read before it may be overwritten behind it */
    p->epoch += step->waits + step->is_local_in; /* the second: a barrier in the middle of it */
    if (step->is_local_in)
        p->shared_part_epoch = p->epoch;
    mark_read(p, i);
    return take_output(p, i, step, is_remote_op(p, i));
}

/* Rows of a tile: few, so that the clusters are on the device together. */
static int32_t rows_of_tile(const sono_chain *chain, const sono_cuda_facts *facts)
{
    const int64_t all = (int64_t)chain->n_maps * chain->n_rows;
    if (chain->n_rows <= SONO_ATTENTION_NARROW_KEYS)
        return round_up(chain->n_rows, 4);
    const int64_t each = sono_ceil_div(all, clusters_at_once(facts));
    return each <= 16 ? 16 : each >= SONO_CHAIN_MAX_ROWS ? SONO_CHAIN_MAX_ROWS : round_up((int32_t)each, 4);
}

/* What a step keeps of parameters. */
static int32_t constants_of(const sono_program *program, const sono_op *op)
{
    const int32_t c = program->tensors[op->out[0]].c;
    switch (op->kind) {
    case SONO_OP_LINEAR:
        return (int32_t)sono_ceil_div(sono_ceil_div(c, 8), SONO_CHAIN_CLUSTER) * 8;
    case SONO_OP_LAYER_NORM:
    case SONO_OP_GATED_NORM:
        return 2 * c;
    case SONO_OP_FDR_BOX:
        return round_up(op->args.bins.reg_max + 1, 4);
    default:
        return 0;
    }
}

/* Behind the tensors: partial sums, then constants. */
static void place_rest(sono_chain *chain, const sono_program *program)
{
    chain->part_at = chain->area_floats;
    chain->area_floats += 8 * sono_chain_part_pitch(SONO_CHAIN_TILES / 8) * chain->tile_rows;
    chain->steps_at = chain->area_floats;
    chain->area_floats += STEP_FLOATS * chain->n_steps;
    for (int32_t i = 0; i < chain->n_steps; i++) {
        chain->steps[i].constants_at = chain->area_floats;
        if (chain->steps[i].role == SONO_CHAIN_OP)
            chain->area_floats += constants_of(program, &program->ops[chain->steps[i].op]);
    }
}

static int plan_tile(planner *p, int32_t tile_rows)
{
    sono_chain *chain = p->out;
    p->n_slots = 0;
    p->epoch = 1; /* one behind the loads */
    p->shared_part_epoch = 0;
    chain->n_steps = 0;
    chain->area_floats = 0;
    chain->tile_rows = tile_rows;
    chain->tiles_per_map = (int32_t)sono_ceil_div(chain->n_rows, tile_rows);
    if (!plan_loads(p))
        return 0;
    for (int32_t i = chain->first_op; i <= chain->last_op; i++)
        if (!plan_step(p, i))
            return 0;
    place_rest(chain, p->program);
    return (int64_t)chain->area_floats * 4 <= SONO_CHAIN_BYTES;
}

int sono_chain_plan(const sono_program *program, sono_precision precision, const sono_cuda_facts *facts,
                    int32_t first, int32_t last, int keeps_all, sono_chain *out)
{
    const sono_tensor *y = &program->tensors[program->ops[first].out[0]];
    planner p = {.program = program, .precision = precision, .out = out, .keeps_all = keeps_all};
    *out = (sono_chain){.first_op = first, .last_op = last, .n_maps = y->n, .n_rows = n_rows_of(y)};
    for (int32_t rows = rows_of_tile(out, facts); rows >= 4; rows -= 4) {
        if (plan_tile(&p, rows))
            return 1;
        if (rows <= 16 || out->n_rows <= SONO_ATTENTION_NARROW_KEYS)
            break;
    }
    return 0;
}
