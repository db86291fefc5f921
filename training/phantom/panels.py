# SPDX-License-Identifier: Apache-2.0
"""What a scanner's screen shows around the picture, in the margins that the picture leaves; lengths are screen px."""
import math
import random
from dataclasses import dataclass

from PIL import ImageDraw

from .marks import font_of, some_text

LEAST_MARGIN_PX = 14
UNITS = ("%", "dB", "Hz", "cm", "mm", "MHz", "")


@dataclass
class Panel:
    """A screen in the making."""
    canvas: ImageDraw.ImageDraw
    width: int
    height: int
    inner: tuple[int, int, int, int]  # left, top, right, bottom of the picture
    ground: int
    is_flipped: bool
    dice: random.Random

    def __post_init__(self):
        self.ink = self.dice.randint(max(90, self.ground + 60), 255)
        self.font_px = self.dice.uniform(0.012, 0.026) * self.height + 5
        self.font = font_of(self.font_px)

    def sides(self, least_px: float) -> list[tuple[int, int]]:
        """Left and right ends of the margins beside the picture that are at least so wide."""
        ends = ((0, self.inner[0]), (self.inner[2], self.width))
        return [end for end in ends if end[1] - end[0] >= least_px]

    def strips(self, least_px: float) -> list[tuple[int, int]]:
        """Top and bottom of the margins above and below the picture that are at least so high."""
        ends = ((0, self.inner[1]), (self.inner[3], self.height))
        return [end for end in ends if end[1] - end[0] >= least_px]

    def write(self, x: float, y: float, text: str, ink: int | None = None) -> None:
        self.canvas.text((x, y), text, fill=ink or self.ink, font=self.font)

    def shade(self, low: int = 8, high: int = 60) -> int:
        """A grey close to the ground's."""
        return min(255, self.ground + self.dice.randint(low, high))


def draw_panels(panel: Panel) -> None:
    for draw, share in PANELS:
        if panel.dice.random() < share:
            draw(panel)


def _plates(panel: Panel) -> None:
    """Margins of another grey than the rest."""
    for left, right in panel.sides(LEAST_MARGIN_PX):
        if panel.dice.random() < 0.5:
            panel.canvas.rectangle((left, 0, right - 1, panel.height), fill=panel.shade())
    for top, bottom in panel.strips(LEAST_MARGIN_PX):
        if panel.dice.random() < 0.5:
            panel.canvas.rectangle((0, top, panel.width, bottom - 1), fill=panel.shade())


def _border(panel: Panel) -> None:
    left, top, right, bottom = panel.inner
    panel.canvas.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline=panel.shade(30, 160))


def _header(panel: Panel) -> None:
    """Patient, hospital, date; a stretch may be blanked."""
    dice, line = panel.dice, 1.25 * panel.font_px
    for top, bottom in panel.strips(line)[:dice.randint(1, 2)]:
        n_lines = min(dice.randint(1, 3), int((bottom - top) / line))
        for k in range(n_lines):
            y = top + 2 + k * line
            for place in (0.01, 0.3, 0.55, 0.8):
                x = (place + dice.uniform(0, 0.06)) * panel.width
                if dice.random() < 0.08:
                    panel.canvas.rectangle((x, y, x + 0.2 * panel.width, y + line - 2), fill=panel.shade(20, 120))
                elif dice.random() < 0.7:
                    panel.write(x, y, some_text(dice, 4, 16))


def _values(panel: Panel) -> None:
    """Settings of the scanner, one a line."""
    dice, line = panel.dice, panel.dice.uniform(1.1, 1.9) * panel.font_px
    for left, _ in panel.sides(4 * panel.font_px):
        y = dice.uniform(0.02, 0.4) * panel.height
        for _ in range(dice.randint(3, 14)):
            name = "".join(dice.choices("ABCDEFGIMPRSTabcdegilmnoprst", k=dice.randint(1, 4)))
            panel.write(left + 4, y, f"{name}{dice.choice((' ', ':', '  '))}{dice.randint(0, 990) / 10:g}"
                                     f"{dice.choice(UNITS)}")
            y += line


def _menu(panel: Panel) -> None:
    """A column of buttons."""
    dice, margins = panel.dice, panel.sides(5 * panel.font_px)
    if not margins:
        return
    left, right = dice.choice(margins)
    high, y = dice.uniform(1.6, 3.2) * panel.font_px, dice.uniform(0.0, 0.4) * panel.height
    fill, outline = panel.shade(), panel.shade(30, 150)
    for _ in range(dice.randint(3, 12)):
        panel.canvas.rectangle((left + 3, y, right - 4, y + high - 3), fill=fill, outline=outline)
        panel.write(left + 7, y + 0.5 * (high - panel.font_px) - 2, some_text(dice, 3, 9))
        y += high


def _keys(panel: Panel) -> None:
    """A row of buttons below or above."""
    dice, margins = panel.dice, panel.strips(1.8 * panel.font_px)
    if not margins:
        return
    top, bottom = dice.choice(margins)
    n, high = dice.randint(3, 9), min(bottom - top, dice.uniform(1.6, 2.6) * panel.font_px)
    for i in range(n):
        left, right = i * panel.width / n + 2, (i + 1) * panel.width / n - 2
        panel.canvas.rectangle((left, bottom - high, right, bottom - 3), fill=panel.shade(), outline=panel.shade(30, 150))
        panel.write(left + 4, bottom - high + 1, some_text(dice, 2, 7))


def _scale(panel: Panel) -> None:
    """Depth ticks beside the picture, numbers at some, counted from the probe's side."""
    dice = panel.dice
    left, top, right, bottom = panel.inner
    is_right, gap = dice.random() < 0.6, dice.randint(2, 12)
    x, away = (right + gap, 1) if is_right else (left - gap, -1)
    n, every = dice.randint(4, 30), dice.choice((1, 2, 5))
    for i in range(n + 1):
        y = bottom - i * (bottom - top) / n if panel.is_flipped else top + i * (bottom - top) / n
        is_long = i % every == 0
        panel.canvas.line((x, y, x + away * (7 if is_long else 3), y), fill=panel.ink)
        if is_long and n <= 16 * every:
            panel.canvas.text((x + away * 10, y), f"{i}", fill=panel.ink, font=panel.font, anchor="lm" if is_right else "rm")
    if dice.random() < 0.4:
        panel.canvas.line((x, top, x, bottom), fill=panel.ink)
    if dice.random() < 0.5:
        y, side = dice.uniform(top, bottom), dice.uniform(4, 9)
        panel.canvas.polygon(((x, y - side), (x + away * side * 1.4, y), (x, y + side)), outline=panel.ink,
                             fill=panel.ink if dice.random() < 0.5 else None)


def _ruler(panel: Panel) -> None:
    """Lateral ticks below the picture."""
    left, _, right, bottom = panel.inner
    n, high, y = panel.dice.randint(4, 20), panel.dice.randint(2, 6), bottom + panel.dice.randint(2, 8)
    for i in range(n + 1):
        x = left + i * (right - left) / n
        panel.canvas.line((x, y, x, y + high), fill=panel.ink)


def _wedge(panel: Panel) -> None:
    """The bar of grey values."""
    dice = panel.dice
    left, top, right, bottom = panel.inner
    wide, gap = dice.randint(6, 20), dice.randint(2, 16)
    x = right + gap if dice.random() < 0.5 else left - gap - wide
    start, length = dice.uniform(top, bottom), dice.uniform(0.12, 0.6) * panel.height
    for i in range(int(length)):
        panel.canvas.line((x, start + i, x + wide, start + i), fill=int(255 * (1 - i / length)))
    if dice.random() < 0.5:
        panel.canvas.rectangle((x - 1, start - 1, x + wide + 1, start + length), outline=panel.ink)


def _gain_curve(panel: Panel) -> None:
    """Time-gain compensation: a bent line down one side."""
    dice = panel.dice
    left, top, right, bottom = panel.inner
    wide, n = dice.uniform(10, 40), dice.randint(6, 9)
    x = right + dice.uniform(4, 30) if dice.random() < 0.5 else left - wide - dice.uniform(4, 20)
    places = [(x + wide * min(1, max(0, i / n + dice.uniform(-0.2, 0.2))), top + i * (bottom - top) / (n - 1))
              for i in range(n)]
    panel.canvas.line(places, fill=panel.ink, width=dice.randint(1, 2))
    if dice.random() < 0.4:
        for px, py in places:
            panel.canvas.rectangle((px - 2, py - 2, px + 2, py + 2), outline=panel.ink)


def _logo(panel: Panel) -> None:
    """Made-up shapes in a corner, with or without letters."""
    dice, side = panel.dice, panel.dice.uniform(0.03, 0.09) * panel.height
    x = dice.choice((4, panel.width - 2 * side - 4))
    y = dice.choice((4, panel.height - 2 * side - 4))
    kind = dice.randrange(4)
    if kind == 0:
        for i in range(dice.randint(2, 6)):
            r = side * (1 - 0.15 * i)
            panel.canvas.arc((x - r, y - r, x + r, y + r), 0, 90, fill=panel.ink)
    elif kind == 1:
        panel.canvas.ellipse((x, y, x + 1.6 * side, y + side), fill=panel.shade(40, 180), outline=panel.ink)
    elif kind == 2:
        corners = [(x + side * (0.5 + 0.5 * math.cos(a)), y + side * (0.5 + 0.5 * math.sin(a)))
                   for a in sorted(dice.uniform(0, 2 * math.pi) for _ in range(dice.randint(3, 6)))]
        panel.canvas.polygon(corners, fill=panel.shade(40, 200), outline=panel.ink)
    else:
        panel.canvas.rectangle((x, y, x + 1.8 * side, y + side), fill=panel.shade(40, 200))
    panel.write(x, y + side, some_text(dice, 3, 8))


def _results(panel: Panel) -> None:
    """A box of measurements, over the picture's margin or beside it."""
    dice, line = panel.dice, 1.2 * panel.font_px
    n = dice.randint(1, 5)
    x, y = dice.uniform(0, 0.75) * panel.width, dice.uniform(0.6, 0.95) * panel.height
    if dice.random() < 0.5:
        panel.canvas.rectangle((x - 3, y - 2, x + 9 * panel.font_px, y + n * line), fill=panel.shade(), outline=panel.ink)
    for k in range(n):
        panel.write(x, y + k * line, f"{dice.choice('+x123')} {dice.choice(('L', 'D', 'Dist', 'A', 'GA'))} "
                                     f"{dice.uniform(0.1, 20):.2f} {dice.choice(('cm', 'mm', 'cm2', 'w'))}")


def _thumbnails(panel: Panel) -> None:
    """A strip of small pictures: blurs of grey in boxes."""
    dice = panel.dice
    strips, sides = panel.strips(30), panel.sides(30)
    if not strips and not sides:
        return
    is_row = bool(strips) and (not sides or dice.random() < 0.6)
    start, end = dice.choice(strips if is_row else sides)
    side = min(end - start - 4, 0.14 * panel.height)
    for i in range(dice.randint(2, 7)):
        x, y = (4 + i * 1.3 * side, start + 2) if is_row else (start + 2, 4 + i * 1.1 * side)
        panel.canvas.rectangle((x, y, x + side, y + side), fill=dice.randint(0, 30), outline=panel.shade(30, 150))
        for _ in range(dice.randint(2, 6)):
            cx, cy = x + dice.uniform(0.1, 0.6) * side, y + dice.uniform(0.1, 0.7) * side
            panel.canvas.ellipse((cx, cy, cx + dice.uniform(0.1, 0.4) * side, cy + dice.uniform(0.03, 0.25) * side),
                                 fill=dice.randint(30, 220))


def _heartbeat(panel: Panel) -> None:
    """The trace of an electrocardiogram along the bottom."""
    dice, left, right = panel.dice, panel.inner[0], panel.inner[2]
    base, high = dice.uniform(0.86, 0.97) * panel.height, dice.uniform(0.02, 0.07) * panel.height
    beat, trace = dice.uniform(0.12, 0.35) * (right - left) + 8, []
    for x in range(left, right, 2):
        phase = (x % beat) / beat
        bumps = ((0.2, 0.03, 0.15), (0.34, 0.008, -0.15), (0.37, 0.012, 1.0), (0.4, 0.01, -0.25), (0.62, 0.05, 0.3))
        trace.append((x, base - high * sum(h * math.exp(-0.5 * ((phase - at) / w) ** 2) for at, w, h in bumps)))
    panel.canvas.line(trace, fill=panel.ink)


# What is drawn, and on which share of the screens, in this order.
PANELS = (
    (_plates, 0.35),
    (_border, 0.15),
    (_header, 0.85),
    (_values, 0.7),
    (_menu, 0.4),
    (_keys, 0.3),
    (_scale, 0.75),
    (_ruler, 0.25),
    (_wedge, 0.6),
    (_gain_curve, 0.25),
    (_logo, 0.5),
    (_results, 0.35),
    (_thumbnails, 0.2),
    (_heartbeat, 0.12),
)
