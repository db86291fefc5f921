# SPDX-License-Identifier: Apache-2.0
"""Frames on demand."""
import random

import torch
from torch import Tensor

from samples import Samples, join

from .convert import scan_converted
from .marks import draw_marks
from .ranges import TRAINING, Geometry, Ranges
from .render import render, render_beams
from .scene import draw_fan_scene, draw_scene
from .screen import Screens

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
        self._screens = Screens(height_px, width_px, self.device, self._dice)

    @torch.no_grad()
    def draw(self, n: int) -> Samples:
        """n frames, on the device, with the region of the ultrasound and which way is up."""
        chunk = CHUNK_CPU if self.device.type == "cpu" else CHUNK_GPU
        return join([self._draw_chunk(min(chunk, n - first)) for first in range(0, n, chunk)])

    def _draw_chunk(self, n: int) -> Samples:
        geometries = self._dice.choices(self.ranges.geometries, [kind.share for kind in self.ranges.geometries], k=n)
        grey, labels, depth_mm = self._draw_pictures(geometries)
        flipped = [self._dice.random() < kind.flip_share for kind in geometries]
        mirrored = [self._dice.random() < self.ranges.mirror_share for _ in geometries]
        grey, labels = turned(grey, flipped, mirrored), turned(labels, flipped, mirrored)
        grey = draw_marks(grey, self.ranges, depth_mm, flipped, self._dice)
        grey, labels, region = self._screens.put(grey, labels, self.ranges.screen_share, flipped)
        return Samples(grey[:, None].round(), labels, region, torch.tensor(flipped, device=self.device))

    def _draw_pictures(self, geometries: list[Geometry]) -> tuple[Tensor, Tensor, Tensor]:
        """Grey values, labels, and the depth in mm that the height shows [n, 1, 1], in the order of the geometries."""
        fans = [i for i, kind in enumerate(geometries) if kind.field_deg[1]]
        parallel = [i for i, kind in enumerate(geometries) if not kind.field_deg[1]]
        parts = []
        if parallel:
            scene = draw_scene(len(parallel), self.height_px, self.width_px, self.ranges, self._generator)
            parts.append((*render(scene, self._generator), scene.scanner.depth_mm))
        if fans:
            scene = draw_fan_scene([geometries[i] for i in fans], self.height_px, self.width_px, self.ranges,
                                   self._generator)
            beams, outline = render_beams(scene, self._generator)
            picture = scan_converted(scene, beams, outline, (self.height_px, self.width_px))
            parts.append((*picture, self.height_px / scene.fan.picture.scale_y))
        if len(parts) == 1:
            return parts[0]
        order = torch.tensor(parallel + fans).argsort().to(self.device)
        return tuple(torch.cat(both)[order] for both in zip(*parts))


def turned(frames: Tensor, flipped: list[bool], mirrored: list[bool]) -> Tensor:
    """Upside down and left to right, as asked for each frame of [n, height, width]."""
    for dim, which in ((-2, flipped), (-1, mirrored)):
        if any(which):
            rows = torch.tensor([i for i, is_so in enumerate(which) if is_so], device=frames.device)
            frames = frames.index_copy(0, rows, frames[rows].flip(dim))
    return frames
