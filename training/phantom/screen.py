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
from .ranges import Ranges

REGION_SHARE = (0.42, 0.95)  # of the screen's width that the picture takes
REGION_ASPECT = 1.45  # most that the share of its height differs from that by
LEAST_SHARE, MOST_SHARE = 0.38, 0.97
FINER = (1.0, 1.9)  # pixels of the screen for one of the frame, each way


def put_on_screens(grey: Tensor, labels: Tensor, ranges: Ranges, flipped: list[bool],
                   dice: random.Random) -> tuple[Tensor, Tensor, Tensor]:
    """Grey values and labels [n, height, width] of pictures -> those of frames, a share of which are screens, and where
    the picture lies in each: x y w h in px [n, 4]."""
    height, width = grey.shape[1:]
    regions = [(0, 0, width, height)] * len(grey)
    chosen = [i for i in range(len(grey)) if dice.random() < ranges.screen_share]
    if not chosen or width < LEAST_W_PX or height < LEAST_H_PX:
        return grey, labels, torch.tensor(regions, device=grey.device)
    for i in chosen:
        regions[i] = _draw_region(width, height, dice)
    drawn = [numpy.asarray(draw_screen(width, height, regions[i], flipped[i], dice)) for i in chosen]
    screens = torch.from_numpy(numpy.stack(drawn)).to(grey.device).to(grey.dtype)
    numbers = torch.zeros((len(chosen), height, width), dtype=labels.dtype, device=labels.device)
    for k, i in enumerate(chosen):
        x, y, w, h = regions[i]
        small = functional.interpolate(grey[i][None, None], (h, w), mode="bilinear", antialias=True)[0, 0]
        screens[k, y:y + h, x:x + w] = small
        numbers[k, y:y + h, x:x + w] = functional.interpolate(labels[i][None, None], (h, w), mode="nearest-exact")[0, 0]
    rows = torch.tensor(chosen, device=grey.device)
    return (grey.index_copy(0, rows, screens), labels.index_copy(0, rows, numbers),
            torch.tensor(regions, device=grey.device))


def _draw_region(width: int, height: int, dice: random.Random) -> tuple[int, int, int, int]:
    share = dice.uniform(*REGION_SHARE)
    beside = min(max(share * REGION_ASPECT ** dice.uniform(-1, 1), LEAST_SHARE), MOST_SHARE)
    w, h = round(share * width), round(beside * height)
    return round(dice.random() * (width - w)), round(dice.random() * (height - h)), w, h


def draw_screen(width: int, height: int, region: tuple[int, int, int, int], is_flipped: bool,
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
