# SPDX-License-Identifier: Apache-2.0
"""Frames on demand."""
import random

import torch

from samples import Samples

from .marks import draw_marks
from .ranges import TRAINING, Ranges
from .render import render
from .scene import draw_scene

CHUNK_CPU = 2  # frames whose planes stay in a core's cache
CHUNK_GPU = 32


class Phantom:
    """An endless supply of independent frames: each its own anatomy, scanner and moment.

    The same arguments give the same frames for the same calls on the same kind of device. Not thread-safe.
    """

    def __init__(self, height_px: int = 558, width_px: int = 422, ranges: Ranges = TRAINING, seed: int = 0,
                 device: str | torch.device = "cpu"):
        self.height_px, self.width_px, self.ranges = height_px, width_px, ranges
        self.device = torch.device(device)
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._dice = random.Random(seed)

    @torch.no_grad()
    def draw(self, n: int) -> Samples:
        """n frames, on the device."""
        chunk = CHUNK_CPU if self.device.type == "cpu" else CHUNK_GPU
        parts = [self._draw_chunk(min(chunk, n - first)) for first in range(0, n, chunk)]
        return Samples(torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts]))

    def _draw_chunk(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        scene = draw_scene(n, self.height_px, self.width_px, self.ranges, self._generator)
        grey, labels = render(scene, self._generator)
        grey = draw_marks(grey, self.ranges, scene.scanner.depth_mm, self._dice)
        return grey[:, None], labels
