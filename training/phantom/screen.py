# SPDX-License-Identifier: Apache-2.0
"""The picture as a part of a scanner's screen: the screen is drawn on the host, the picture made smaller and put there.

A screen of any size becomes a frame of the size of all frames, as a network's input would: it is drawn larger, at an
aspect of its own, and reduced. What is drawn is made up: text of random letters, boxes, wedges, curves.
"""
import random

import numpy
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from .marks import LEAST_H_PX, LEAST_W_PX
from .panels import Panel, draw_panels

Region = tuple[int, int, int, int]  # x y w h

REGION_SHARE = (0.42, 0.95)  # of the screen's width that the picture takes
REGION_ASPECT = 1.45  # most that the share of its height differs from that by
LEAST_SHARE, MOST_SHARE = 0.38, 0.97
FEWEST_DRAWN, MOST_KEPT = 16, 64  # screens
DRAWN_SHARE = 0.25  # of the screens that are drawn anew
FINER = (1.0, 1.9)  # pixels of the screen for one of the frame, each way


class Screens:
    """Screens with a place for a picture. Drawing one takes longer than the rest of its frame: most have been drawn for
    another frame before."""

    def __init__(self, height_px: int, width_px: int, device: torch.device, dice: random.Random):
        self._height_px, self._width_px, self._device, self._dice = height_px, width_px, device, dice
        self._pool: list[tuple[Region, Tensor]] = []

    def take(self, is_flipped: bool) -> tuple[Region, Tensor]:
        """The picture's place, and grey values uint8 [height, width] that are not to be changed."""
        dice = self._dice
        if len(self._pool) >= FEWEST_DRAWN and dice.random() >= DRAWN_SHARE:
            return dice.choice(self._pool)
        region = _draw_region(self._width_px, self._height_px, dice)
        screen = numpy.asarray(draw_screen(self._width_px, self._height_px, region, is_flipped, dice))
        drawn = region, torch.from_numpy(screen.copy()).to(self._device)
        if len(self._pool) < MOST_KEPT:
            self._pool.append(drawn)
        else:
            self._pool[dice.randrange(MOST_KEPT)] = drawn
        return drawn

    def put(self, grey: Tensor, labels: Tensor, share: float, flipped: list[bool]) -> tuple[Tensor, Tensor, Tensor]:
        """Grey values and labels [n, height, width] of pictures -> those of frames, a share of which are screens, and
        where the picture lies in each: x y w h in px [n, 4]."""
        height, width = self._height_px, self._width_px
        regions = [(0, 0, width, height)] * len(grey)
        chosen = [i for i in range(len(grey)) if self._dice.random() < share]
        if not chosen or width < LEAST_W_PX or height < LEAST_H_PX:
            return grey, labels, torch.tensor(regions, device=grey.device)
        grey, labels = grey.clone(), labels.clone()
        for i in chosen:
            regions[i], screen = self.take(flipped[i])
            x, y, w, h = regions[i]
            small = functional.interpolate(grey[i][None, None], (h, w), mode="bilinear", antialias=True)[0, 0]
            numbers = functional.interpolate(labels[i][None, None], (h, w), mode="nearest-exact")[0, 0]
            grey[i], labels[i] = screen, 0
            grey[i, y:y + h, x:x + w], labels[i, y:y + h, x:x + w] = small, numbers
        return grey, labels, torch.tensor(regions, device=grey.device)


def _draw_region(width: int, height: int, dice: random.Random) -> Region:
    share = dice.uniform(*REGION_SHARE)
    beside = min(max(share * REGION_ASPECT ** dice.uniform(-1, 1), LEAST_SHARE), MOST_SHARE)
    w, h = round(share * width), round(beside * height)
    return round(dice.random() * (width - w)), round(dice.random() * (height - h)), w, h


def draw_screen(width: int, height: int, region: Region, is_flipped: bool,
                dice: random.Random) -> Image.Image:
    """An 8-bit grey picture of width x height with everything but the ultrasound in the region."""
    finer_x, finer_y = dice.uniform(*FINER), dice.uniform(*FINER)
    size = round(width * finer_x), round(height * finer_y)
    x, y, w, h = region
    inner = round(x * finer_x), round(y * finer_y), round((x + w) * finer_x), round((y + h) * finer_y)
    ground = dice.choices((0, dice.randint(1, 40), dice.randint(20, 70)), (0.6, 0.25, 0.15))[0]
    canvas = Image.new("L", size, ground)
    draw_panels(Panel(ImageDraw.Draw(canvas), *size, inner, ground, is_flipped, dice))
    return canvas.resize((width, height), Image.Resampling.BOX if max(finer_x, finer_y) > 1.5 else
                         Image.Resampling.BILINEAR)
