# SPDX-License-Identifier: Apache-2.0
"""A batch of labelled frames, the one form in which training and evaluation pass frames around."""
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Samples:
    """images: float32 [B, 1, H, W], luma 0..255; labels: uint8 [B, H, W], 0 = background, 1.. = structures."""
    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "Samples":
        return Samples(self.images.to(device, non_blocking=True), self.labels.to(device, non_blocking=True))

    def rows(self, chosen) -> "Samples":
        """The frames that `chosen` names: a slice, or a tensor of indices or truth values."""
        return Samples(self.images[chosen], self.labels[chosen])


def join(parts: list[Samples]) -> Samples:
    """The frames of all parts, which must be of one size."""
    return Samples(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


def spans(present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First true index and last true index + 1 along the last axis of bool [..., N]; (N, 0) where none is true."""
    n = present.shape[-1]
    index = torch.arange(n, device=present.device)
    first = torch.where(present, index, n).amin(-1)
    end = torch.where(present, index + 1, 0).amax(-1)
    return first, end


def boxes_of(labels: torch.Tensor) -> list[torch.Tensor]:
    """Per frame of uint8 [B, H, W] the structures' boxes, float32 [n, 4] on the CPU, in order of their label numbers.

    x1 y1 x2 y2 in px edges: x1, y1 the first column and row, x2, y2 the last ones + 1. Waits for the device twice.
    """
    n_labels = int(labels.max()) if labels.numel() else 0
    boxes = labels.new_zeros((len(labels), n_labels, 4), dtype=torch.float32)
    for label in range(1, n_labels + 1):
        of_label = labels == label
        x1, x2 = spans(of_label.any(1))
        y1, y2 = spans(of_label.any(2))
        boxes[:, label - 1] = torch.stack((x1, y1, x2, y2), -1).float()
    boxes = boxes.cpu()
    present = boxes[..., 2] > 0
    counts = present.sum(1).tolist()
    return list(boxes[present].split(counts))
