# SPDX-License-Identifier: Apache-2.0
"""Contrastive denoising queries: true boxes with noise, which the decoder learns to put right or to reject.

Mathematics after Peterande/D-FINE src/zoo/dfine/denoising.py:11-121 @ 4a1f73a8bcfac736a88abde9596d87f116d780a7.
"""
from dataclasses import dataclass

import torch

from .boxes import logit, to_centres, to_corners

CHANGED_LABELS = 0.25


@dataclass(frozen=True)
class DenoisingQueries:
    """Queries of G groups; a group has P slots near a true box (positive), then P slots further off (negative).

    P is the largest number of boxes in an image of the batch.
    """
    classes: torch.Tensor
    """int64 [B, 2GP]; n_classes marks an empty slot."""
    boxes_unact: torch.Tensor
    """[B, 2GP, 4], before the sigmoid."""
    blocked: torch.Tensor
    """bool [2GP + n_queries] squared: true where a query (row) must not attend to another (column)."""
    matches: list[tuple[torch.Tensor, torch.Tensor]]
    """Per image: indices of the positive queries and of the targets that they stand for."""
    n_groups: int

    @property
    def n_queries(self) -> int:
        return self.classes.shape[1]


def make_denoising(targets: list[dict[str, torch.Tensor]], n_classes: int, n_queries: int,
                   n_denoising: int) -> DenoisingQueries | None:
    """About `n_denoising` positive queries per image; None when no image of the batch has a box."""
    counts = [len(target["labels"]) for target in targets]
    n_slots = max(counts)
    if n_denoising <= 0 or n_slots == 0:
        return None
    device = targets[0]["labels"].device
    n_groups = max(1, n_denoising // n_slots)
    classes = torch.full((len(targets), n_slots), n_classes, device=device)
    boxes = torch.zeros(len(targets), n_slots, 4, device=device)
    for row, (target, count) in enumerate(zip(targets, counts)):
        classes[row, :count] = target["labels"]
        boxes[row, :count] = target["boxes"]
    used = (classes != n_classes).repeat(1, 2 * n_groups)
    slots = torch.arange(2 * n_groups * n_slots, device=device)
    positive = slots % (2 * n_slots) < n_slots
    first = torch.arange(n_groups, device=device)[:, None] * (2 * n_slots)
    own = [torch.arange(count, device=device) for count in counts]
    matches = [((first + target).flatten(), target.repeat(n_groups)) for target in own]
    return DenoisingQueries(
        classes=_noisy_classes(classes.repeat(1, 2 * n_groups), used, n_classes),
        boxes_unact=logit(_noisy_boxes(boxes.repeat(1, 2 * n_groups, 1), positive)),
        blocked=_blocked(slots // (2 * n_slots), n_queries), matches=matches, n_groups=n_groups)


def _noisy_classes(classes, used, n_classes):
    changed = torch.rand(classes.shape, device=classes.device) < CHANGED_LABELS
    other = torch.randint(0, n_classes, classes.shape, device=classes.device)
    return torch.where(changed & used, other, classes)


def _noisy_boxes(boxes, positive):
    """Each edge moves by up to half the size (positive), or by half to once the size (negative)."""
    signs = torch.randint(0, 2, boxes.shape, device=boxes.device) * 2.0 - 1.0
    amount = torch.rand(boxes.shape, device=boxes.device) + (~positive)[:, None]
    half = (boxes[..., 2:] * 0.5).repeat(1, 1, 2)
    moved = (to_corners(boxes) + signs * amount * half).clamp(0.0, 1.0)
    return to_centres(moved).abs()


def _blocked(group, n_queries):
    """Groups do not see each other; the queries proper see none of them."""
    n_denoising = len(group)
    n_total = n_denoising + n_queries
    blocked = torch.zeros(n_total, n_total, dtype=torch.bool, device=group.device)
    blocked[:n_denoising, :n_denoising] = group[:, None] != group
    blocked[n_denoising:, :n_denoising] = True
    return blocked
