# SPDX-License-Identifier: Apache-2.0
"""Look-alikes that are small: wires of a calibration phantom, needles, stones."""
import torch
from torch import Tensor

from .alike_grounds import bell, lay_speckle, lay_water, repeated, whole
from .alike_ranges import LookAlikes
from .plane import Plane, dots
from .texture import level

MOST_ROWS, MOST_PER_ROW = 5, 6
BITS = 5  # spots along the stroke of a wire
STONE_EDGE = 0.35  # softness of a stone's shadow, in its half widths


def wires(p: Plane, ranges: LookAlikes) -> None:
    """Rows of bright spots in water, in even speckle, or in tissue. Each is a short bent stroke with lobes to both
    sides and a tail below; the wires of a frame look alike but for their level and slope."""
    r, v = ranges.wires, p.draw(ranges.wires)
    ground = p.dice.uniform(0.0, 1.0)
    is_water = (ground < r.water_share) & ~p.has_bone
    is_speckle = (ground > 1 - r.speckle_share) & ~p.has_bone
    lay_water(p, v.clear_db, is_water)
    if bool(is_speckle.any()):
        lay_speckle(p, ranges.speckle, is_speckle)
    x, y, strength = _places(p, v)
    slope, bend = p.dice.uniform(*r.slope, x.shape[1]), v.bend
    size = v.across_mm * p.dice.uniform(0.6, 1.6, x.shape[1])
    spots = []
    for t in torch.linspace(-1, 1, BITS).tolist():
        dx = t * 1.5 * size
        spots.append((x + dx, y + slope * dx + bend * dx.abs(), strength * level(-14 * torch.tensor(t * t)),
                      0.6 * size, v.along_mm, v.along_mm))
    lobe = 0.7 * v.along_mm
    spots.append((x, y, strength * level(v.lobe_db), v.lobe_mm, lobe, lobe))
    spots.append((x, y, strength * level(v.tail_db), 0.4 * size, v.along_mm, v.tail_mm))
    k = x.shape[1]
    columns = [torch.cat([s[i].expand(-1, k, -1) for s in spots], dim=1) for i in range(6)]
    p.shine(dots(p, *columns))


def _places(p: Plane, v) -> tuple[Tensor, Tensor, Tensor]:
    """Places and strengths of the wires, 0 for those that a frame has not. [m, 30, 1] each"""
    number = torch.arange(MOST_ROWS * MOST_PER_ROW, device=p.side.device).reshape(1, -1, 1)
    row, place = number // MOST_PER_ROW, number % MOST_PER_ROW
    per_row = whole(v.per_row)
    exists = (row < whole(v.rows)) & (place < per_row)
    k = number.shape[1]
    y = (v.top_depths + row * v.apart_depths + 0.1 * v.jitter * p.dice.uniform(-1.0, 1.0, k)) * p.depth_mm
    share = (place + 0.5 + v.jitter * p.dice.uniform(-1.0, 1.0, k)) / per_row
    x = (v.middle + v.half * (2 * share - 1)) * p.half_view(y)
    return x, y, level(v.level_db + p.dice.uniform(-12.0, 0.0, k)) * exists


def needle(p: Plane, ranges: LookAlikes) -> None:
    """A straight thin line from a side down into the view, with copies of itself below."""
    v = p.draw(ranges.needle)
    side = torch.where(p.dice.chance(0.5), 1.0, -1.0)
    entry_y = v.entry_depths * p.depth_mm
    x, y = p.straight()
    dx = x * side + 0.5 * p.view_mm
    dy = y - entry_y
    along = dx * v.angle.cos() + dy * v.angle.sin()
    off = dy * v.angle.cos() - dx * v.angle.sin()
    distance, number = repeated(off, v.copy_mm, whole(v.copies))
    length = v.length_views * p.view_mm
    seen = ((along + 1) / 2).clamp(0, 1) * ((length - along) / 1.5).clamp(0, 1)
    uneven = level(10 * (p.noise(along * 0.3) - 0.5)) + 0.6 * bell(along - length + 1.5, 0.7)
    p.shine(level(v.level_db - v.fall_db * number) * seen * uneven * bell(distance, v.thick_mm))


def stone(p: Plane, ranges: LookAlikes) -> None:
    """Small round caps, each with a clean shadow that is as narrow as it is."""
    r = ranges.stone
    number = whole(p.dice.uniform(0.5, r.most + 0.49))
    half_views, half_mm = p.dice.uniform(*r.half_views, r.most), r.half_mm
    shadow_db = p.dice.uniform(*r.shadow_db, r.most)
    level_db, thick = p.dice.uniform(*r.level_db, r.most), p.dice.uniform(*r.thick_mm, r.most)
    roundness, middle = p.dice.uniform(*r.round, r.most), p.dice.uniform(*r.middle, r.most)
    y = p.dice.uniform(*r.depths, r.most) * p.depth_mm
    half_view = p.half_view(y)
    view_mm = torch.minimum(p.view_mm, 2 * half_view)
    half = torch.minimum((half_views * view_mm).clamp(*half_mm), r.half_views[1] * view_mm)
    offset = (p.across(y) - middle * half_view) / half  # [m, most, w]
    seen = ((1 - offset.abs()) / STONE_EDGE).clamp(0, 1) * (number > torch.arange(r.most, device=half.device)[:, None])
    cap = y + roundness * half * (1 - torch.sqrt((1 - offset * offset).clamp(min=0)))
    gain = torch.ones_like(p.tissue) if p.gain is None else p.gain
    for k in range(r.most):
        below = p.range_mm - cap[:, k:k + 1]
        dark = 1 - level(-shadow_db[:, k:k + 1])
        begun = (below / thick[:, k:k + 1] - 0.8).clamp(0, 1)
        gain = gain * (1 - begun * dark * seen[:, k:k + 1])
        p.shine(level(level_db[:, k:k + 1]) * seen[:, k:k + 1] * bell(below, thick[:, k:k + 1]))
    p.gain = gain
