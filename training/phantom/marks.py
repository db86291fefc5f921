# SPDX-License-Identifier: Apache-2.0
"""What a scanner writes over its image: text in the corners, callipers, a depth scale."""
import random
from functools import lru_cache

import numpy
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .ranges import Ranges

LEAST_W_PX, LEAST_H_PX = 160, 120
LETTERS = "0123456789 .:/-ABCDEFGHILMNOPRSTUcdmnrz%"


def draw_marks(grey: Tensor, ranges: Ranges, depth_mm: Tensor, flipped: list[bool], dice: random.Random) -> Tensor:
    """grey [n, height, width], depth_mm [n, 1, 1], flipped: whether the probe is at the bottom. The few strokes are drawn on the host and blended in place."""
    height, width = grey.shape[1:]
    if width < LEAST_W_PX or height < LEAST_H_PX:
        return grey
    for i, depth in enumerate(depth_mm.flatten().tolist()):
        overlay = Image.new("L", (width, height))
        canvas = ImageDraw.Draw(overlay)
        if dice.random() < ranges.text_share:
            _draw_text(canvas, width, height, dice)
        if dice.random() < ranges.calliper_share:
            _draw_calliper(canvas, width, height, dice)
        if dice.random() < ranges.scale_share:
            _draw_scale(canvas, width, height, height / depth)
        if dice.random() < ranges.marker_share:
            _draw_marker(canvas, width, height, flipped[i], dice)
        if dice.random() < ranges.flow_box_share:
            _draw_flow_box(canvas, width, height, dice)
        ink = dice.uniform(150, 255)
        if overlay.getbbox():
            cover = torch.from_numpy(numpy.asarray(overlay) / numpy.float32(255)).to(grey.device)
            grey[i].lerp_(torch.full_like(cover, ink), cover)
    return grey


@lru_cache(maxsize=256)
def _font(half_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(half_px / 2)


def font_of(size_px: float) -> ImageFont.FreeTypeFont:
    """The font at about that size."""
    return _font(round(2 * size_px))


def some_text(dice: random.Random, least: int, most: int) -> str:
    return "".join(dice.choices(LETTERS, k=dice.randint(least, most)))


def _draw_text(canvas: ImageDraw.ImageDraw, width: int, height: int, dice: random.Random) -> None:
    size = dice.uniform(0.014, 0.03) * height + 4
    font = font_of(size)
    for right, bottom in ((0, 0), (1, 0), (0, 1)):
        for line in range(dice.choice((0, 1, 2))):
            text = some_text(dice, 4, 14)
            y = height - (line + 1.3) * size if bottom else 3 + line * 1.2 * size
            canvas.text((width - 3 if right else 3, y), text, fill=255, font=font, anchor="ra" if right else "la")


def _draw_calliper(canvas: ImageDraw.ImageDraw, width: int, height: int, dice: random.Random) -> None:
    (x0, y0), (x1, y1) = ends = [(dice.uniform(0.1, 0.9) * width, dice.uniform(0.1, 0.9) * height) for _ in range(2)]
    n_dots = 1 + int(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 / dice.uniform(4, 9))
    canvas.point([(x0 + i / n_dots * (x1 - x0), y0 + i / n_dots * (y1 - y0)) for i in range(n_dots + 1)], fill=255)
    arm = dice.randint(3, 6)
    for x, y in ends:
        canvas.line((x - arm, y, x + arm, y), fill=255)
        canvas.line((x, y - arm, x, y + arm), fill=255)


def _draw_scale(canvas: ImageDraw.ImageDraw, width: int, height: int, px_per_mm: float) -> None:
    """A tick each 5 mm at the right edge, longer each 10; one below the middle beam."""
    for i in range(1, int(height / (5 * px_per_mm)) + 1):
        y = 5 * i * px_per_mm
        canvas.line((width - (3 if i & 1 else 5), y, width - 2, y), fill=255)
    canvas.line((width // 2, height - 4, width // 2, height - 1), fill=255)


def _draw_marker(canvas: ImageDraw.ImageDraw, width: int, height: int, is_flipped: bool, dice: random.Random) -> None:
    """What says which side of the probe is which, near one of the corners on its side: a dot, a letter, a sign."""
    side = dice.uniform(0.012, 0.03) * height
    x = dice.choice((dice.uniform(0.02, 0.3), dice.uniform(0.7, 0.98))) * width
    y = dice.uniform(0.01, 0.1) * height
    y = height - y - side if is_flipped else y
    kind = dice.randrange(4)
    if kind == 0:
        canvas.ellipse((x, y, x + 0.7 * side, y + 0.7 * side), fill=255)
    elif kind == 1:
        canvas.text((x, y), dice.choice("LRPOVGMSZ"), fill=255, font=font_of(side + 4))
    elif kind == 2:
        canvas.line((x, y + side, x, y, x + 0.7 * side, y + 0.5 * side, x, y + 0.7 * side), fill=255)
    else:
        canvas.rectangle((x, y, x + 0.5 * side, y + side), outline=255)


def _draw_flow_box(canvas: ImageDraw.ImageDraw, width: int, height: int, dice: random.Random) -> None:
    """The outline in which a scanner shows flow, and some flow, through which the speckle shows."""
    x, y = dice.uniform(0.05, 0.6) * width, dice.uniform(0.05, 0.6) * height
    wide, high, lean = dice.uniform(0.15, 0.5) * width, dice.uniform(0.1, 0.4) * height, dice.uniform(-0.12, 0.12) * width
    if dice.random() < 0.6:
        long, short = dice.uniform(0.2, 0.7) * wide, dice.uniform(0.1, 0.3) * high
        left, top = x + dice.uniform(0.05, 0.3) * wide, y + dice.uniform(0.1, 0.6) * high
        canvas.ellipse((left, top, left + long, top + short), fill=dice.randint(50, 130))
    canvas.polygon(((x, y), (x + wide, y), (x + wide + lean, y + high), (x + lean, y + high)), outline=255)
