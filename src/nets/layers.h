// SPDX-License-Identifier: Apache-2.0
/*
 * Layers: take a module's tensors from the binder under its official name, fold what can be folded, record
 * the op. Every function latches failures in the recorder; `name` is the module's official path without a
 * trailing dot.
 */
#ifndef SONO_NETS_LAYERS_H
#define SONO_NETS_LAYERS_H

#include "nets/bind.h"
#include "graph/record.h"

#define SONO_BATCH_NORM_EPS 1e-5f /* torch.nn.BatchNorm2d's default, which both networks keep */
#define SONO_LAYER_NORM_EPS 1e-5f /* torch.nn.LayerNorm's default */

/* A convolution with its batch norm folded in. conv and norm: names of the two modules
 * ("backbone.stem.stem1.conv", "backbone.stem.stem1.bn"). args->stride, kernel and padding as given;
 * groups: 1, or the number of channels for a depthwise one. residual, out: see record.h. The result is named
 * after the module that holds conv ("backbone.stem.stem1"). */
sono_tid sono_layer_conv_bn(sono_recorder *rec, const char *conv, const char *norm, sono_tid x, int32_t c_out,
                            int32_t groups, const sono_conv_args *args, sono_tid residual, sono_tid out);

/* A VGGBlock as one convolution: a 3 x 3 and a 1 x 1 branch, each with its batch norm, summed into one 3 x 3
 * kernel. */
sono_tid sono_layer_rep_conv_bn(sono_recorder *rec, const char *conv3, const char *norm3, const char *conv1,
                                const char *norm1, sono_tid x, int32_t c_out, sono_act act, sono_tid out);

/* A plain convolution (groups 1), bias optional. */
sono_tid sono_layer_conv(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out, int has_bias,
                         const sono_conv_args *args, sono_tid out);

/* name.weight [c_out, c_in], name.bias [c_out]. A layer that is recorded again shares its params. */
sono_tid sono_layer_linear(sono_recorder *rec, const char *name, sono_tid x, int32_t c_out,
                           const sono_epilogue *epilogue, sono_tid residual, sono_tid out);

/* Two linear layers on one x as one product: channels [0, c_first) are the first's, the rest the second's.
 * first_scale [c_first] multiplies the first's; NULL = 1. */
sono_tid sono_layer_linear_pair(sono_recorder *rec, const char *first, const char *second, sono_tid x,
                                int32_t c_first, int32_t c_second, const float *first_scale);

/* name.weight, name.bias over the channels of x; residual is added before the norm (0 = none). */
sono_tid sono_layer_norm(sono_recorder *rec, const char *name, sono_tid x, sono_tid residual,
                         const sono_norm_args *args, sono_tid out);

/* The same for GATED_NORM (record.h): name.weight, name.bias over the channels of x1. */
sono_tid sono_layer_gated_norm(sono_recorder *rec, const char *name, sono_tid gates, sono_tid x1, sono_tid x2,
                               float eps);

/* layers.0 .. layers.(n_layers-1) with act between; the last one ends in last_epilogue / residual. */
sono_tid sono_layer_mlp(sono_recorder *rec, const char *name, sono_tid x, int32_t c_hidden, int32_t c_out,
                        int32_t n_layers, sono_act act, const sono_epilogue *last_epilogue,
                        sono_tid residual);

/* torch.nn.MultiheadAttention, batch_first: in_proj_weight [3c, c], in_proj_bias, out_proj. q and k are made
 * from x_qk (x with its position embedding), v from x. Result before the residual. */
sono_tid sono_layer_self_attention(sono_recorder *rec, const char *name, sono_tid x_qk, sono_tid x,
                                   int32_t n_heads);

/* A constant of the checkpoint as it is, as a [n,h,w,c] param; its file shape is dims[n_dims]. */
sono_tid sono_layer_param(sono_recorder *rec, const char *name, int32_t n_dims, const int64_t *dims,
                          int32_t n, int32_t h, int32_t w, int32_t c);

/* One float of the checkpoint, shape [1]. 0 after a failure. */
float sono_layer_scalar(sono_recorder *rec, const char *name);

/* "a" + "b" -> "a.b" into a buffer of 96; latches a failure when it does not fit. Returns buffer. */
char *sono_layer_path(sono_recorder *rec, char buffer[96], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
