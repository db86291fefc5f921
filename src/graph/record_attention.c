// SPDX-License-Identifier: Apache-2.0
#include "graph/record_private.h"

/* Keys a query sees, summed over all queries of one map: for the FLOP count. */
static double attention_pairs(const sono_tensor *q, const sono_tensor *k, int32_t window)
{
    const double n_q = (double)q->h * q->w;
    return window ? n_q * window * window : n_q * (double)k->h * k->w;
}

sono_tid sono_record_attention(sono_recorder *rec, const char *name, sono_tid q, sono_tid k, sono_tid v,
                               sono_tid bias, sono_tid pad_k, sono_tid pad_v, const sono_attention_args *args,
                               sono_tid out)
{
    sono_op op = {.kind = SONO_OP_ATTENTION, .in = {q, k, v, bias, pad_k, pad_v}, .args.attention = *args};
    if (!sono_record_needs(rec, name, op.in, 3))
        return 0;
    const sono_tensor tq = sono_record_shape(rec, q), tk = sono_record_shape(rec, k),
                      tv = sono_record_shape(rec, v);
    const sono_tensor b = sono_record_shape(rec, bias), pk = sono_record_shape(rec, pad_k),
                      pv = sono_record_shape(rec, pad_v);
    const int32_t c = args->n_heads * args->head_dim;
    if (args->n_heads < 1 || args->head_dim < 1 || tq.c != c || !sono_is_same_map(&tk, &tv) || tk.c != c ||
        tk.n != tq.n)
        return RECORD_FAIL(rec, "%s: q, k, v do not fit %d heads of %d", name, args->n_heads, args->head_dim);
    if (args->window < 0 || (args->window && (tq.h != tk.h || tq.w != tk.w)))
        return RECORD_FAIL(rec, "%s: windows need q, k and v of one size", name);
    const int32_t w = args->window;
    if (bias && (!w || b.n != 1 || b.h != 1 || b.w != args->n_heads || b.c != w * w))
        return RECORD_FAIL(rec, "%s: bias table does not fit window %d", name, w);
    const int ragged = w && (tq.h % w || tq.w % w);
    if ((ragged && (!pad_k || !pad_v)) || (pad_k && !sono_is_vector(&pk, c)) ||
        (pad_v && !sono_is_vector(&pv, c)))
        return RECORD_FAIL(rec, "%s: windows past the border need pad_k and pad_v of %d channels", name, c);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, tq.n, tq.h, tq.w, c);
    op.flops = 4.0 * tq.n * c * attention_pairs(&tq, &tk, w);
    return sono_record_op(rec, &op);
}

sono_tid sono_record_deform(sono_recorder *rec, const char *name, sono_tid value, sono_tid offsets,
                            sono_tid logits, sono_tid boxes, const sono_deform_args *args, sono_tid out)
{
    sono_op op = {
        .kind = SONO_OP_DEFORM_ATTENTION, .in = {value, offsets, logits, boxes}, .args.deform = *args};
    if (!sono_record_needs(rec, name, op.in, 4))
        return 0;
    if (args->n_levels < 1 || args->n_levels > SONO_MAX_LEVELS)
        return RECORD_FAIL(rec, "%s: %d levels", name, args->n_levels);
    int64_t n_positions = 0;
    int32_t n_points = 0;
    for (int32_t i = 0; i < args->n_levels; i++) {
        n_positions += (int64_t)args->level_h[i] * args->level_w[i];
        n_points += args->level_points[i];
    }
    const sono_tensor v = sono_record_shape(rec, value), o = sono_record_shape(rec, offsets),
                      l = sono_record_shape(rec, logits);
    const sono_tensor b = sono_record_shape(rec, boxes);
    const int32_t per_query = args->n_heads * n_points;
    if ((int64_t)v.h * v.w != n_positions || v.c != args->n_heads * args->head_dim || o.c != 2 * per_query ||
        l.c != per_query || b.c != 4 || o.w != b.w || l.w != b.w || o.n != v.n || l.n != v.n || b.n != v.n)
        return RECORD_FAIL(rec, "%s: value, offsets, logits and boxes do not fit together", name);
    op.out[0] = sono_record_target(rec, name, out, SONO_DTYPE_F32, b.n, b.h, b.w, v.c);
    op.flops = 10.0 * (double)b.n * b.h * b.w * n_points * v.c;
    return sono_record_op(rec, &op);
}
