// SPDX-License-Identifier: Apache-2.0
#include "metrics_report.h"

#include "json.h"

#include <math.h>
#include <string.h>

/* "behind" follows the number. */
static void print_number(FILE *stream, const char *before, double value, const char *behind)
{
    fputs(before, stream);
    if (isnan(value))
        fputs("null", stream);
    else
        fprintf(stream, "%.6f", value);
    fputs(behind, stream);
}

void metrics_report_line(FILE *stream, const sono_packet *packet, const char *source,
                         const metrics_frame *frame)
{
    const char *slash = strrchr(source, '/');
    const float *box = sono_packet_object(packet, 0)->bbox_xyxy_px;
    fprintf(stream, "{\"frame_id\": %llu, \"source\": ", (unsigned long long)packet->info->frame_id);
    json_string(stream, slash ? slash + 1 : source);
    fprintf(stream, ", \"positive\": %s, \"found\": %s, \"bbox_xyxy_px\": [%.3f, %.3f, %.3f, %.3f]",
            frame->is_positive ? "true" : "false", frame->is_found ? "true" : "false", (double)box[0],
            (double)box[1], (double)box[2], (double)box[3]);
    print_number(stream, ", \"score\": ", frame->score, "");
    print_number(stream, ", \"box_iou\": ", frame->box_iou, "");
    print_number(stream, ", \"mask_iou\": ", frame->mask_iou, "");
    print_number(stream, ", \"dice\": ", frame->dice, "");
    print_number(stream, ", \"surface95_px\": ", frame->surface95_px, "");
    print_number(stream, ", \"iou_predicted\": ", frame->iou_predicted, "}\n");
}

static void print_choices(FILE *stream, const metrics_summary *summary)
{
    for (int i = 0; i < METRICS_THRESHOLDS; i++) {
        const metrics_choice *choice = &summary->choices[i];
        fprintf(stream, "%s\n    {\"threshold\": %.2f", i ? "," : "", choice->threshold);
        print_number(stream, ", \"found_share\": ", choice->found_share, "");
        print_number(stream, ", \"false_alarm_share\": ", choice->false_alarm_share, "}");
    }
}

void metrics_report_json(FILE *stream, const metrics_summary *summary)
{
    fprintf(stream, "  \"n_frames\": %lld,\n  \"n_positive\": %lld,\n  \"n_empty\": %lld,\n",
            (long long)summary->n_frames, (long long)summary->n_positive, (long long)summary->n_empty);
    print_number(stream, "  \"threshold\": ", summary->threshold, ",\n");
    print_number(stream, "  \"ap50\": ", summary->ap50, ",\n");
    print_number(stream, "  \"ap50_95\": ", summary->ap50_95, ",\n");
    print_number(stream, "  \"iou_mean\": ", summary->iou_mean, ",\n");
    print_number(stream, "  \"dice_mean\": ", summary->dice_mean, ",\n");
    print_number(stream, "  \"surface95_px\": ", summary->surface95_px, ",\n");
    fprintf(stream, "  \"n_surface\": %lld,\n", (long long)summary->n_surface);
    print_number(stream, "  \"found_share\": ", summary->found_share, ",\n");
    print_number(stream, "  \"false_alarm_share\": ", summary->false_alarm_share, ",\n");
    print_number(stream, "  \"ece\": ", summary->ece, ",\n");
    print_number(stream, "  \"ece_right\": ", summary->ece_right, ",\n");
    print_number(stream, "  \"iou_error\": ", summary->iou_error, ",\n  \"bins\": [");
    for (int i = 0; i < METRICS_BINS; i++) {
        const metrics_bin *bin = &summary->bins[i];
        fprintf(stream, "%s\n    {\"low\": %.1f, \"high\": %.1f, \"n\": %lld", i ? "," : "",
                (double)i / METRICS_BINS, (double)(i + 1) / METRICS_BINS, (long long)bin->n);
        print_number(stream, ", \"score\": ", bin->score, "");
        print_number(stream, ", \"iou\": ", bin->iou, "");
        print_number(stream, ", \"right\": ", bin->right, "}");
    }
    fputs("\n  ],\n  \"thresholds\": [", stream);
    print_choices(stream, summary);
    fputs("\n  ]\n", stream);
}

static void print_row(FILE *stream, const char *name, double value, int n_decimals, const char *unit)
{
    if (isnan(value))
        fprintf(stream, "%-34s %9s", name, "-");
    else
        fprintf(stream, "%-34s %9.*f", name, n_decimals, value);
    fprintf(stream, "%s\n", unit);
}

static void print_bins(FILE *stream, const metrics_summary *summary)
{
    fprintf(stream, "\n%-12s %7s %12s %14s %14s\n", "score", "frames", "mean score", "mean box IoU",
            "right boxes");
    for (int i = 0; i < METRICS_BINS; i++) {
        const metrics_bin *bin = &summary->bins[i];
        if (bin->n)
            fprintf(stream, "%.1f to %.1f   %7lld %12.3f %14.3f %12.1f %%\n", (double)i / METRICS_BINS,
                    (double)(i + 1) / METRICS_BINS, (long long)bin->n, bin->score, bin->iou,
                    100 * bin->right);
    }
}

void metrics_report_table(FILE *stream, const metrics_summary *summary)
{
    char unit[64];
    fprintf(stream, "%lld frames: %lld with a structure, %lld empty; found = score of %.2f or more\n\n",
            (long long)summary->n_frames, (long long)summary->n_positive, (long long)summary->n_empty,
            summary->threshold);
    print_row(stream, "boxes   AP at IoU 0.50", summary->ap50, 3, "");
    print_row(stream, "        AP at IoU 0.50 to 0.95", summary->ap50_95, 3, "");
    print_row(stream, "        found", 100 * summary->found_share, 1, " % of frames with a structure");
    print_row(stream, "        false alarms", 100 * summary->false_alarm_share, 1, " % of empty frames");
    print_row(stream, "masks   mean IoU", summary->iou_mean, 3, "");
    print_row(stream, "        mean Dice", summary->dice_mean, 3, "");
    snprintf(unit, sizeof unit, " px, mean over %lld frames", (long long)summary->n_surface);
    print_row(stream, "        surface distance, 95 %", summary->surface95_px, 2, unit);
    print_row(stream, "        error of the predicted IoU", summary->iou_error, 3, "");
    print_row(stream, "scores  calibration error (ECE)", summary->ece, 3, " against the box IoU");
    print_row(stream, "", summary->ece_right, 3, " against the share of right boxes");
    print_bins(stream, summary);
}
