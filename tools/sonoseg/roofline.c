// SPDX-License-Identifier: Apache-2.0
#include "roofline.h"

#include "json.h"

#include <stdlib.h>
#include <string.h>

static double over(double amount, double per_s)
{
    return per_s > 0 ? 1e6 * amount / per_s : 0;
}

static roofline_row row_of(const sono_profile *profile, int32_t i, double cache_bytes)
{
    const sono_op_profile *op = &profile->ops[i];
    const double compute_us =
        over(op->flops, op->is_half ? profile->half_flops_per_s : profile->float_flops_per_s);
    const double memory_us =
        over(op->bytes, op->bytes < cache_bytes ? profile->cache_bytes_per_s : profile->memory_bytes_per_s);
    roofline_row row = {.op = op, .index = i, .is_compute_bound = compute_us > memory_us};
    row.floor_us = row.is_compute_bound ? compute_us : memory_us;
    row.loss_us = 1e-3 * op->ns - row.floor_us;
    return row;
}

static int compare(const void *a, const void *b)
{
    const roofline_row *left = a, *right = b;
    if (left->loss_us != right->loss_us)
        return left->loss_us < right->loss_us ? 1 : -1;
    return left->index < right->index ? -1 : 1;
}

int roofline_make(roofline *self, const sono_profile *profile, double cache_bytes)
{
    memset(self, 0, sizeof *self);
    self->profile = profile;
    self->rows = calloc((size_t)profile->n_ops + 1, sizeof *self->rows);
    if (!self->rows)
        return -1;
    double joined_us =
        0; /* floors of ops whose time is in that of the op that they are run with, behind them */
    for (int32_t i = 0; i < profile->n_ops; i++) {
        self->rows[i] = row_of(profile, i, cache_bytes);
        joined_us += self->rows[i].floor_us;
        self->rows[i].floor_us = profile->ops[i].ns > 0 ? joined_us : 0;
        self->rows[i].loss_us = 1e-3 * profile->ops[i].ns - self->rows[i].floor_us;
        joined_us = profile->ops[i].ns > 0 ? 0 : joined_us;
        self->sum_us += 1e-3 * profile->ops[i].ns;
        self->floor_sum_us += self->rows[i].floor_us;
        self->lane_us[profile->ops[i].lane != 0] += 1e-3 * profile->ops[i].ns;
    }
    qsort(self->rows, (size_t)profile->n_ops, sizeof *self->rows, compare);
    return 0;
}

/* What is not known is a dash. */
static void print_figure(double value, int decimals, FILE *stream)
{
    if (value > 0)
        fprintf(stream, " %8.*f", decimals, value);
    else
        fprintf(stream, " %8s", "-");
}

static const char *bound_of(const roofline_row *row)
{
    return row->floor_us <= 0 ? "-" : row->is_compute_bound ? "compute" : "bytes";
}

static void print_row(const roofline_row *row, FILE *stream)
{
    const sono_op_profile *op = row->op;
    const double us = 1e-3 * op->ns;
    fprintf(stream, "%4d %-10s %-11s %4d %9.2f", row->index, sono_stage_name(op->stage), op->kind, op->lane,
            us);
    print_figure(row->floor_us, 2, stream);
    print_figure(row->floor_us > 0 ? us / row->floor_us : 0, 1, stream);
    fprintf(stream, " %9.2f %8.3f %8.3f %-7s %-41s %s\n", row->loss_us, 1e-9 * op->flops, 1e-6 * op->bytes,
            bound_of(row), op->shape, op->name);
}

void roofline_print(const roofline *self, FILE *stream, int32_t n_rows)
{
    const sono_profile *profile = self->profile;
    fprintf(stream,
            "\n%d ops with a frame of %d x %d, each by itself: %.1f us in all (lane 0 %.1f, lane 1 %.1f)\n",
            profile->n_ops, profile->width_px, profile->height_px, self->sum_us, self->lane_us[0],
            self->lane_us[1]);
    if (profile->memory_bytes_per_s > 0)
        fprintf(stream,
                "ceilings measured: float16 %.0f TFLOP/s, float32 %.1f TFLOP/s, cache %.2f TB/s, memory %.2f "
                "TB/s; floors %.1f us in all\n"
                "parts alone: lane 0 up to the join %.3f ms, lane 1 %.3f ms, the rest %.3f ms\n",
                1e-12 * profile->half_flops_per_s, 1e-12 * profile->float_flops_per_s,
                1e-12 * profile->cache_bytes_per_s, 1e-12 * profile->memory_bytes_per_s, self->floor_sum_us,
                profile->lane_ms[0], profile->lane_ms[1], profile->tail_ms);
    fprintf(stream, "\n%4s %-10s %-11s %4s %9s %8s %8s %9s %8s %8s %-7s %-41s %s\n", "op", "stage", "kind",
            "lane", "us", "floor", "ratio", "loss", "GFLOP", "MB", "bound", "shape", "name");
    for (int32_t i = 0; i < n_rows && i < profile->n_ops; i++)
        print_row(&self->rows[i], stream);
}

static void write_row(const roofline_row *row, FILE *stream)
{
    const sono_op_profile *op = row->op;
    fprintf(stream, "{\"op\": %d, \"stage\": \"%s\", \"kind\": ", row->index, sono_stage_name(op->stage));
    json_string(stream, op->kind);
    fputs(", \"shape\": ", stream);
    json_string(stream, op->shape);
    fputs(", \"name\": ", stream);
    json_string(stream, op->name);
    fprintf(stream,
            ", \"us\": %.3f, \"floor_us\": %.3f, \"loss_us\": %.3f, \"gflop\": %.4f, \"mb\": %.4f, "
            "\"bound\": \"%s\"}",
            1e-3 * op->ns, row->floor_us, row->loss_us, 1e-9 * op->flops, 1e-6 * op->bytes, bound_of(row));
}

void roofline_write_json(const roofline *self, FILE *stream, int32_t n_rows)
{
    const sono_profile *profile = self->profile;
    fprintf(
        stream,
        "  \"roofline\": {\n"
        "    \"half_tflops\": %.2f, \"float_tflops\": %.3f, \"cache_tb_per_s\": %.3f, "
        "\"memory_tb_per_s\": %.3f,\n"
        "    \"ops\": %d, \"ops_us\": %.2f, \"floors_us\": %.2f, \"lane_0_ms\": %.4f, \"lane_1_ms\": %.4f, "
        "\"tail_ms\": %.4f,\n"
        "    \"worst\": [",
        1e-12 * profile->half_flops_per_s, 1e-12 * profile->float_flops_per_s,
        1e-12 * profile->cache_bytes_per_s, 1e-12 * profile->memory_bytes_per_s, profile->n_ops, self->sum_us,
        self->floor_sum_us, profile->lane_ms[0], profile->lane_ms[1], profile->tail_ms);
    for (int32_t i = 0; i < n_rows && i < profile->n_ops; i++) {
        fputs(i ? ",\n      " : "\n      ", stream);
        write_row(&self->rows[i], stream);
    }
    fputs("\n    ]\n  }", stream);
}

void roofline_free(roofline *self)
{
    free(self->rows);
    memset(self, 0, sizeof *self);
}
