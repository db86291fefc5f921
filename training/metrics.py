# SPDX-License-Identifier: Apache-2.0
"""How good predictions are: one frame against its truth, then the figures of a set of frames.

The definitions are those of docs/evaluation.md, and `sonoseg evaluate` computes the same figures
(tools/sonoseg/metrics.c). A figure that nothing was there to measure is NaN.
"""
import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

N_BINS = 10
IOU_THRESHOLDS = 0.5 + 0.05 * np.arange(10)
RECALLS = 0.01 * np.arange(101)
SURFACE_PERCENT = 95
DEFAULT_THRESHOLD = 0.30
RIGHT_IOU = 0.5
N_THRESHOLDS = 19


@dataclass(frozen=True)
class Prediction:
    """The best box x1 y1 x2 y2 px of a frame, its score, and its mask, bool [H, W], with the IoU foretold for it."""
    score: float
    box: np.ndarray
    mask: np.ndarray
    iou_predicted: float


@dataclass(frozen=True)
class Frame:
    """One frame's part in the figures. Mask figures are 0 unless the frame has a structure and it was found."""
    is_positive: bool
    is_found: bool
    score: float
    iou_predicted: float
    box_iou: float
    mask_iou: float
    dice: float
    surface95_px: float


def structures(labels: np.ndarray) -> list[np.ndarray]:
    """Labels uint8 [H, W] -> a mask bool [H, W] for each structure, in order of the label numbers."""
    return [labels == label for label in np.unique(labels) if label]


def box_of(mask: np.ndarray) -> np.ndarray:
    """Bounding box x1 y1 x2 y2 of a mask that is not empty, in px edges: x2 and y2 are one behind the last."""
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    return np.array((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), dtype=np.float64)


def box_overlap(first: np.ndarray, second: np.ndarray) -> float:
    """IoU of two boxes x1 y1 x2 y2."""
    common = area(np.concatenate((np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:]))))
    union = area(first) + area(second) - common
    return float(common / union) if union > 0 else 0.0


def area(box: np.ndarray) -> float:
    return float(np.maximum(box[2:] - box[:2], 0).prod())


def mask_overlap(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """IoU and Dice of two masks, of which one is not empty."""
    common, both = np.count_nonzero(first & second), np.count_nonzero(first) + np.count_nonzero(second)
    return common / (both - common), 2 * common / both


def surface(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that have a 4-neighbour outside; beyond the image is outside."""
    return mask & ~ndimage.binary_erosion(mask, border_value=0)


def surface_distance_px(first: np.ndarray, second: np.ndarray) -> float:
    """95th percentile of the distances from each surface pixel of one mask to the other's surface, both ways."""
    edges = surface(first), surface(second)
    to_first, to_second = (ndimage.distance_transform_edt(~edge) for edge in edges)
    return float(np.percentile(np.concatenate((to_second[edges[0]], to_first[edges[1]])), SURFACE_PERCENT))


def measure(prediction: Prediction, labels: np.ndarray, threshold: float) -> Frame:
    """Labels uint8 [H, W], as large as the mask. Of the structures the one that overlaps most counts."""
    masks = structures(labels)
    is_found = prediction.score >= threshold
    box_iou = max((box_overlap(prediction.box, box_of(mask)) for mask in masks), default=0.0)
    iou, dice, distance_px = 0.0, 0.0, math.nan
    if masks and is_found:
        overlaps = [mask_overlap(prediction.mask, mask) for mask in masks]
        best = int(np.argmax([overlap[0] for overlap in overlaps]))
        iou, dice = overlaps[best]
        if prediction.mask.any():
            distance_px = surface_distance_px(prediction.mask, masks[best])
    return Frame(bool(masks), is_found, prediction.score, prediction.iou_predicted, box_iou, iou, dice, distance_px)


def average_precision(frames: list[Frame], iou_threshold: float) -> float:
    """COCO's: precision made to fall with recall, read at the recalls 0, 0.01 ... 1."""
    n_positive = sum(frame.is_positive for frame in frames)
    if not n_positive:
        return math.nan
    ranked = sorted(frames, key=lambda frame: -frame.score)
    n_true = np.cumsum([frame.is_positive and frame.box_iou >= iou_threshold for frame in ranked])
    precision = n_true / np.arange(1, len(ranked) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(n_true / n_positive, RECALLS, side="left")
    return float(np.append(falling, 0.0)[place].mean())


def summarise(frames: list[Frame], threshold: float) -> dict:
    """The figures of docs/evaluation.md under their names."""
    positive = [frame for frame in frames if frame.is_positive]
    empty = [frame for frame in frames if not frame.is_positive]
    found = [frame for frame in positive if frame.is_found]
    distances_px = [frame.surface95_px for frame in positive if not math.isnan(frame.surface95_px)]
    precisions = [average_precision(frames, iou_threshold) for iou_threshold in IOU_THRESHOLDS]
    bins = [summarise_bin(frames, i) for i in range(N_BINS)]
    return {
        "n_frames": len(frames), "n_positive": len(positive), "n_empty": len(empty), "threshold": threshold,
        "ap50": precisions[0], "ap50_95": mean(precisions),
        "iou_mean": mean([frame.mask_iou for frame in positive]),
        "dice_mean": mean([frame.dice for frame in positive]),
        "surface95_px": mean(distances_px), "n_surface": len(distances_px),
        "found_share": mean([frame.is_found for frame in positive]),
        "false_alarm_share": mean([frame.is_found for frame in empty]),
        "ece": sum(row["n"] * abs(row["score"] - row["iou"]) for row in bins if row["n"]) / len(frames),
        "ece_right": sum(row["n"] * abs(row["score"] - row["right"]) for row in bins if row["n"]) / len(frames),
        "iou_error": mean([abs(frame.iou_predicted - frame.mask_iou) for frame in found]),
        "bins": bins,
        "thresholds": [summarise_threshold(positive, empty, (i + 1) / (N_THRESHOLDS + 1)) for i in range(N_THRESHOLDS)],
    }


def summarise_bin(frames: list[Frame], i: int) -> dict:
    """Frames whose score is in [i/10, (i+1)/10), the last with 1."""
    inside = [frame for frame in frames if min(int(frame.score * N_BINS), N_BINS - 1) == i]
    return {"low": i / N_BINS, "high": (i + 1) / N_BINS, "n": len(inside),
            "score": mean([frame.score for frame in inside]), "iou": mean([frame.box_iou for frame in inside]),
            "right": mean([frame.is_positive and frame.box_iou >= RIGHT_IOU for frame in inside])}


def summarise_threshold(positive: list[Frame], empty: list[Frame], threshold: float) -> dict:
    """What another threshold would find; it is rounded to float32, as the scores are."""
    limit = float(np.float32(threshold))
    return {"threshold": threshold, "found_share": mean([frame.score >= limit for frame in positive]),
            "false_alarm_share": mean([frame.score >= limit for frame in empty])}


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def without_nan(summary: dict) -> dict:
    """For JSON, which has no NaN: null instead."""
    plain = {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in summary.items()}
    for name in {"bins", "thresholds"} & plain.keys():
        plain[name] = [without_nan(row) for row in plain[name]]
    return plain


def table(summary: dict) -> str:
    """The figures for a reader."""
    rows = [("boxes   AP at IoU 0.50", summary["ap50"], "{:.3f}", ""),
            ("        AP at IoU 0.50 to 0.95", summary["ap50_95"], "{:.3f}", ""),
            ("        found", 100 * summary["found_share"], "{:.1f}", " % of frames with a structure"),
            ("        false alarms", 100 * summary["false_alarm_share"], "{:.1f}", " % of empty frames"),
            ("masks   mean IoU", summary["iou_mean"], "{:.3f}", ""),
            ("        mean Dice", summary["dice_mean"], "{:.3f}", ""),
            ("        surface distance, 95 %", summary["surface95_px"], "{:.2f}",
             f" px, mean over {summary['n_surface']} frames"),
            ("        error of the predicted IoU", summary["iou_error"], "{:.3f}", ""),
            ("scores  calibration error (ECE)", summary["ece"], "{:.3f}", " against the box IoU"),
            ("", summary["ece_right"], "{:.3f}", " against the share of right boxes")]
    lines = [f"{summary['n_frames']} frames: {summary['n_positive']} with a structure, {summary['n_empty']} empty; "
             f"found = score of {summary['threshold']:.2f} or more", ""]
    for name, value, form, unit in rows:
        lines.append(f"{name:34} {'-' if math.isnan(value) else form.format(value):>9}{unit}")
    lines += ["", f"{'score':12} {'frames':>7} {'mean score':>12} {'mean box IoU':>14} {'right boxes':>14}"]
    for row in summary["bins"]:
        if row["n"]:
            lines.append(f"{row['low']:.1f} to {row['high']:.1f}   {row['n']:7d} {row['score']:12.3f} {row['iou']:14.3f}"
                         f" {100 * row['right']:12.1f} %")
    return "\n".join(lines)
