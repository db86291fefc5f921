# SPDX-License-Identifier: Apache-2.0
"""Boxes and the distributions over edge offsets by which D-FINE writes them.

Mathematics after Peterande/D-FINE src/zoo/dfine/box_ops.py:11-70 and src/zoo/dfine/dfine_utils.py:10-169 @
4a1f73a8bcfac736a88abde9596d87f116d780a7.
"""
import torch

REG_MAX = 32
N_BINS = REG_MAX + 1
SMALLEST_PROBABILITY = 1e-5


def logit(x: torch.Tensor) -> torch.Tensor:
    """Inverse of the sigmoid, finite for every x: both probabilities are at least 1e-5."""
    x = x.clamp(0.0, 1.0)
    return (x.clamp(min=SMALLEST_PROBABILITY) / (1 - x).clamp(min=SMALLEST_PROBABILITY)).log()


def to_corners(boxes: torch.Tensor) -> torch.Tensor:
    """cx cy w h -> x1 y1 x2 y2; a negative size counts as 0."""
    centre, half = boxes[..., :2], boxes[..., 2:].clamp(min=0.0) * 0.5
    return torch.cat((centre - half, centre + half), -1)


def to_centres(corners: torch.Tensor) -> torch.Tensor:
    """x1 y1 x2 y2 -> cx cy w h."""
    low, high = corners[..., :2], corners[..., 2:]
    return torch.cat(((low + high) / 2, high - low), -1)


def overlaps(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU of boxes x1 y1 x2 y2; the leading dimensions broadcast."""
    inside = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    around = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    common = inside.clamp(min=0.0).prod(-1)
    hull = around.clamp(min=0.0).prod(-1)
    union = (first[..., 2:] - first[..., :2]).prod(-1) + (second[..., 2:] - second[..., :2]).prod(-1) - common
    iou = common / union
    return iou, iou - (hull - union) / hull


def bin_offsets(up: torch.Tensor, reg_scale: torch.Tensor) -> torch.Tensor:
    """[33]: the offset that each bin stands for, dense near 0 and geometric outwards."""
    bound = (up * reg_scale).abs()
    step = (bound + 1) ** (2 / (REG_MAX - 2))
    positive = step ** torch.arange(1, REG_MAX // 2, device=up.device) - 1
    return torch.cat((-2 * bound, -positive.flip(0), torch.zeros_like(bound), positive, 2 * bound))


def move_edges(reference: torch.Tensor, offsets: torch.Tensor, reg_scale: torch.Tensor) -> torch.Tensor:
    """Boxes cx cy w h whose left, top, right, bottom edges are moved outwards by `offsets` (unit: size / reg_scale)."""
    scale = reg_scale.abs()
    centre, size = reference[..., :2], reference[..., 2:] / scale
    reach = 0.5 * scale + offsets
    return to_centres(torch.cat((centre - reach[..., :2] * size, centre + reach[..., 2:] * size), -1))


def edge_targets(reference: torch.Tensor, corners: torch.Tensor, up: torch.Tensor,
                 reg_scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each edge of n true boxes x1 y1 x2 y2: the two bins around its offset from the reference, and their weights.

    Returns three [4n] tensors: lower bin (int64, 0..31), weight of the bin above it, weight of the lower bin.
    """
    scale = reg_scale.abs()
    size = reference[:, 2:] / scale + 1e-16
    outwards = torch.cat((reference[:, :2] - corners[:, :2], corners[:, 2:] - reference[:, :2]), 1)
    offsets = (outwards / size.repeat(1, 2) - 0.5 * scale).reshape(-1)
    values = bin_offsets(up, reg_scale)
    below = torch.searchsorted(values, offsets, right=True) - 1
    index = below.clamp(0, REG_MAX - 1)
    left, right = (offsets - values[index]).abs(), (values[index + 1] - offsets).abs()
    upper = left / (left + right)
    upper = torch.where(below < 0, 0.0, torch.where(below >= REG_MAX, 1.0, upper))
    return index, upper, 1 - upper
