# SPDX-License-Identifier: Apache-2.0
"""A batch of labelled frames, the one form in which training and evaluation pass frames around."""
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Samples:
    """images: float32 [B, 1, H, W], luma 0..255; labels: uint8 [B, H, W], 0 = background, 1.. = structures.

    What is known of phantoms, else None: region, int64 [B, 4], x y w h in px of the ultrasound in the frame, which may
    show a whole screen; is_flipped, bool [B], whether the probe is at the bottom.
    """
    images: torch.Tensor
    labels: torch.Tensor
    region: torch.Tensor | None = None
    is_flipped: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "Samples":
        return self._each(lambda part: part.to(device, non_blocking=True))

    def rows(self, chosen) -> "Samples":
        """The frames that `chosen` names: a slice, or a tensor of indices or truth values."""
        return self._each(lambda part: part[chosen])

    def put(self, rows: torch.Tensor, fresh: "Samples") -> None:
        """Puts other frames in the place of those that `rows` names; both know the same."""
        for own, new in zip(self._parts(), fresh._parts()):
            if own is not None:
                own[rows] = new

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Samples":
        return Samples(*(None if part is None else change(part) for part in self._parts()))

    def _parts(self) -> tuple[torch.Tensor | None, ...]:
        return self.images, self.labels, self.region, self.is_flipped


def join(parts: list[Samples]) -> Samples:
    """The frames of all parts, which must be of one size. What one part does not know is not known of any."""
    return Samples(*(None if any(tensor is None for tensor in of_all) else torch.cat(of_all)
                     for of_all in zip(*(part._parts() for part in parts))))


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
