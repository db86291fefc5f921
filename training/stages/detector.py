# SPDX-License-Identifier: Apache-2.0
"""The first stage of the product: a frame -> the box of the structure, by D-FINE with one class."""
import argparse
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from augment import augment
from losses.detection import Targets, detection_losses, silence_loss
from metrics import DEFAULT_THRESHOLD, IOU_THRESHOLDS, Frame, average_precision, mean
from models.boxes import overlaps, to_centres, to_corners
from models.dfine import INPUT_SIZE_PX, SIZES, Dfine
from samples import Samples, boxes_of
from stages import decay_groups

STRIDE_PX = 32
SMALLEST_BATCH = 4
AUGMENTED_SIDES = 1.5  # of the network's input: frames larger than that are reduced before they are augmented
SMALLEST_BOX_PX = 3.0
WEIGHT_DECAY = 1e-4
SILENCE_WEIGHT = 1.0
EVALUATION_BATCH = 16
LEARNING_RATES = {"n": 6e-4, "s": 4e-4, "m": 2e-4, "l": 2e-4, "x": 2e-4}


def input_sizes(text: str) -> list[tuple[float, int]]:
    """Of "320:0.5,640" the list of (progress until which it holds, size in px)."""
    parts = [part.split(":") for part in text.split(",")]
    sizes = [(float(part[1]) if len(part) == 2 else 1.0, int(part[0])) for part in parts]
    untils = [until for until, _ in sizes]
    if untils != sorted(untils) or untils[-1] != 1.0 or any(size <= 0 or size % STRIDE_PX for _, size in sizes):
        raise argparse.ArgumentTypeError(f"{text}: SIZE:UNTIL,...,SIZE; sizes are multiples of {STRIDE_PX}")
    return sizes


def prepare(images: torch.Tensor, size_px: int) -> torch.Tensor:
    """Luma [B, 1, H, W] in 0..255 -> the network's input [B, 3, size, size] in [0, 1], as the product makes it."""
    resized = F.interpolate(images, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False) / 255
    return resized.repeat(1, 3, 1, 1).contiguous(memory_format=torch.channels_last)


def reduced(samples: Samples, side_px: int) -> Samples:
    """The frames, with their longer side reduced to `side_px` if it is longer."""
    scale = side_px / max(samples.labels.shape[1:])
    if scale >= 1:
        return samples
    size_px = tuple(round(scale * side) for side in samples.labels.shape[1:])
    images = F.interpolate(samples.images, size_px, mode="bilinear", antialias=True)
    labels = F.interpolate(samples.labels[:, None], size_px, mode="nearest-exact")[:, 0]
    return Samples(images, labels, is_flipped=samples.is_flipped)


def target_boxes(labels: torch.Tensor) -> list[torch.Tensor]:
    """Per frame the structures' boxes cx cy w h in [0, 1], on the CPU; what is left of one by 2 px or less is not one."""
    height_px, width_px = labels.shape[1:]
    scale = torch.tensor((width_px, height_px) * 2, dtype=torch.float32)
    return [to_centres(boxes[(boxes[:, 2:] - boxes[:, :2]).amax(1) >= SMALLEST_BOX_PX] / scale)
            for boxes in boxes_of(labels)]


def targets_of(boxes: Sequence[torch.Tensor]) -> Targets:
    """Every structure is of class 0."""
    labels = torch.zeros(sum(map(len, boxes)), dtype=torch.int64, device=boxes[0].device)
    return [{"labels": of_frame, "boxes": part} for of_frame, part in zip(labels.split(list(map(len, boxes))), boxes)]


class DetectorStage:
    """D-FINE from scratch: no parameter is frozen and the backbone learns at the rate of the rest."""
    name = "detector"
    checkpoint_name = "detector.pth"
    batch = 64

    def __init__(self):
        self.learning_rate = LEARNING_RATES["n"]
        self._sizes = [(1.0, INPUT_SIZE_PX)]
        self._size_px = self._sizes[0][1]
        self._generator = torch.Generator()

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--size", choices=sorted(SIZES), default="n", help="size of D-FINE (default %(default)s)")
        parser.add_argument("--denoising", type=int, default=100, metavar="N",
                            help="denoising queries a frame in training; fewer make a step cheaper (default %(default)s)")
        parser.add_argument("--input-sizes", type=input_sizes, default=[(1.0, INPUT_SIZE_PX)],
                            metavar="SIZE:UNTIL,...,SIZE",
                            help="sides of the network's input in px, each until that share of the training, for slow "
                                 f"machines: 320:0.6,640 (default {INPUT_SIZE_PX}, the product's size)")

    def set_up(self, options: argparse.Namespace) -> None:
        self._sizes = options.input_sizes
        self._size_px = self._sizes[0][1]
        self.learning_rate = LEARNING_RATES[options.size]
        self._generator = torch.Generator(options.device).manual_seed(options.seed)
        self._plain_share = options.plain_share

    def build(self, options: argparse.Namespace) -> nn.Module:
        return Dfine(options.size, n_classes=1, n_denoising=options.denoising)

    def inputs(self, samples: Samples, progress: float) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Images, the boxes of all of them, and how many each has. A larger input takes fewer of the frames, so that
        every step costs about the same."""
        size_px = next(size for until, size in self._sizes if progress <= until)
        n_frames = max(SMALLEST_BATCH, round(len(samples) * (self._sizes[0][1] / size_px) ** 2))
        frames = reduced(samples.rows(slice(n_frames)), round(AUGMENTED_SIDES * size_px))
        seen = augment(frames, self._generator, self._plain_share)
        boxes = target_boxes(seen.labels)
        return prepare(seen.images, size_px), torch.cat(boxes).to(seen.labels.device), [len(part) for part in boxes]

    def losses(self, module: nn.Module,
               inputs: tuple[torch.Tensor, torch.Tensor, list[int]]) -> dict[str, torch.Tensor]:
        images, boxes, counts = inputs
        self._size_px = images.shape[-1]
        targets = targets_of(boxes.split(counts))
        output = module(images, targets)
        return detection_losses(output, targets) | {"silence.result": SILENCE_WEIGHT * silence_loss(output, targets)}

    def evaluate(self, module: nn.Module, sets: Sequence[Samples]) -> dict[str, float]:
        """Over the frames of all sets, at the input size that the training has reached."""
        frames = [frame for samples in sets for first in range(0, len(samples), EVALUATION_BATCH)
                  for frame in judge(module, samples.rows(slice(first, first + EVALUATION_BATCH)), self._size_px)]
        positive = [frame for frame in frames if frame.is_positive]
        precisions = [average_precision(frames, threshold) for threshold in IOU_THRESHOLDS]
        figures = {"ap50": precisions[0], "ap50_95": mean(precisions),
                   "box_iou": mean([frame.box_iou for frame in positive]),
                   "found_share": mean([frame.is_found for frame in positive]),
                   "false_alarm_share": mean([frame.is_found for frame in frames if not frame.is_positive]),
                   "input_px": self._size_px}
        return {name: float(value) for name, value in figures.items() if not math.isnan(value)}

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        return figures["input_px"], figures["ap50"] + figures["ap50_95"] - figures["false_alarm_share"]

    def parameter_groups(self, module: nn.Module, lr: float) -> list[dict[str, Any]]:
        return decay_groups(module, lr, WEIGHT_DECAY)

    def checkpoint(self, state: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
        return {"model": state}


def judge(module: nn.Module, samples: Samples, size_px: int) -> list[Frame]:
    """Each frame's best box against its structures, the mask's figures left at 0."""
    output = module(prepare(samples.images, size_px))
    scores, best = output.logits.float().sigmoid()[..., 0].max(1)
    boxes = to_corners(output.boxes.float()[torch.arange(len(samples), device=best.device), best]).cpu()
    frames = []
    for score, box, truth in zip(scores.tolist(), boxes, map(to_corners, target_boxes(samples.labels))):
        box_iou = overlaps(box, truth)[0].amax().item() if len(truth) else 0.0
        frames.append(Frame(len(truth) > 0, score >= DEFAULT_THRESHOLD, score, 0.0, box_iou, 0.0, 0.0, 0.0))
    return frames
