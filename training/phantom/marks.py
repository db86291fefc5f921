# SPDX-License-Identifier: Apache-2.0
"""What a scanner writes over its image: text in the corners, callipers, a depth scale."""
import random

import numpy
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .ranges import Ranges

LEAST_W_PX, LEAST_H_PX = 160, 120
LETTERS = "0123456789 .:/-ABCDEFGHILMNOPRSTUcdmnrz%"


def draw_marks(grey: Tensor, ranges: Ranges, depth_mm: Tensor, dice: random.Random) -> Tensor:
    """grey [n, height, width], depth_mm [n, 1, 1]. The few strokes are drawn on the host and blended in place."""
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
        ink = dice.uniform(150, 255)
        if overlay.getbbox():
            cover = torch.from_numpy(numpy.asarray(overlay) / numpy.float32(255)).to(grey.device)
            grey[i].lerp_(torch.full_like(cover, ink), cover)
    return grey


def _draw_text(canvas: ImageDraw.ImageDraw, width: int, height: int, dice: random.Random) -> None:
    size = dice.uniform(0.014, 0.03) * height + 4
    font = ImageFont.load_default(size)
    for right, bottom in ((0, 0), (1, 0), (0, 1)):
        for line in range(dice.choice((0, 1, 2))):
            text = "".join(dice.choices(LETTERS, k=dice.randint(4, 14)))
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
