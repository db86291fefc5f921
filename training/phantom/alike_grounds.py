# SPDX-License-Identifier: Apache-2.0
"""Look-alikes that fill the view: even speckle, a water tank, air, and the face of the transducer."""
import math

import torch
from torch import Tensor

from .alike_ranges import LookAlikes, Speckle
from .plane import Plane, dots
from .texture import level

N_SPECKS = 40
AT_BONE = 0.3  # display ranges below white, above which a bone would not stand out from even scatterers
SHEET_MM = 0.2  # spread of a membrane's echo


def whole(drawn: Tensor) -> Tensor:
    """A whole number of a range that ends above it."""
    return (drawn + 0.5).floor()


def bell(distance: Tensor, spread, edge=1.0) -> Tensor:
    """Gaussian where edge is 1; flatter with steeper sides above."""
    return torch.exp(-0.5 * (distance / spread).square() ** edge)


def repeated(distance: Tensor, period, most) -> tuple[Tensor, Tensor]:
    """Distance to the nearest of the places 0, period, ... most periods, and its number."""
    number = (distance / period).round()
    number = torch.minimum(number.clamp(min=0), most)
    return distance - number * period, number


def speckle(p: Plane, ranges: LookAlikes) -> None:
    lay_speckle(p, ranges.speckle, torch.ones_like(p.has_bone))


def lay_speckle(p: Plane, ranges: Speckle, where: Tensor) -> None:
    """Even scatterers instead of tissue, with cysts and targets of other levels, side by side or one below another."""
    v = p.draw(ranges)
    level_db, tilt_db = v.level_db, v.tilt_db
    level_db = torch.where(p.has_bone, torch.minimum(level_db, -AT_BONE * p.range_db), level_db)
    tilt_db = torch.where(p.has_bone, tilt_db.clamp(max=0), tilt_db)
    ground = level(level_db + tilt_db * p.range_mm / p.depth_mm) * p.made_up() * torch.ones_like(p.side)
    number = torch.arange(ranges.most, device=p.side.device).reshape(1, -1, 1)
    exists = number < whole(p.dice.uniform(-0.5, ranges.most + 0.49))
    target_db = p.dice.uniform(*ranges.target_db, ranges.most)
    radius = p.dice.uniform(*ranges.target_mm, ranges.most) * p.grain
    is_row, share = p.dice.chance(0.5), (number + 0.5) / ranges.most
    y = torch.where(is_row, p.dice.uniform(0.1, 0.9), p.dice.uniform(0.05, 0.95, ranges.most)) * p.depth_mm
    x = torch.where(is_row, 2 * share - 1, p.dice.uniform(-0.9, 0.9, ranges.most)) * p.half_view(y)
    for k in range(ranges.most):
        if not bool(exists[:, k].any()):
            continue
        across = p.across(y[:, k:k + 1]) - x[:, k:k + 1]
        inside = (1 - torch.hypot(across, p.range_mm - y[:, k:k + 1]) / radius[:, k:k + 1]) * 12
        inside = (inside + 0.5).clamp(0, 1) * exists[:, k:k + 1]
        ground = ground * (1 + inside * (level(target_db[:, k:k + 1]) - 1))
    p.tissue = torch.where(where > 0, ground, p.tissue)
    p.echoes = torch.where(where > 0, torch.zeros_like(p.echoes), p.echoes)


def lay_water(p: Plane, clear_db: Tensor, where: Tensor) -> None:
    p.clear(torch.where(where > 0, level(clear_db), 1.0))


def tank(p: Plane, ranges: LookAlikes) -> None:
    """Water with specks and clouds, a membrane, and the bottom with its repetitions; or a table's line in the depth."""
    r, v = ranges.tank, p.draw(ranges.tank)
    is_water = p.dice.chance(torch.where(p.has_bone, r.water_share_at_bone, r.water_share)).float()
    lay_water(p, v.clear_db, is_water)
    cloud = p.noise(p.across(p.range_mm) * 0.09, p.range_mm * 0.13)
    p.glow(is_water * level(v.cloud_db) * cloud.square().square())
    _specks(p, is_water)
    x, y = p.straight()
    curved = p.dice.chance(r.concentric_share)
    place = torch.where(curved, p.range_mm.expand_as(p.tissue), (y - v.tilt * x - v.bend * x * x).expand_as(p.tissue))
    bottom = torch.where(is_water > 0, v.bottom_depths, v.bottom_depths.clamp(min=r.table_depths)) * p.depth_mm
    bottom = torch.maximum(bottom, torch.where(p.has_bone, p.bone_top_mm + 8, 0.0))
    repeats = torch.maximum(whole(v.repeats), 1 - is_water)
    distance, number = repeated(place - bottom, v.repeat_mm, repeats)
    faded = level(-v.fade_db * p.side ** 2) * p.window(v.middle, v.half)
    p.clear(1 - (place > bottom) * (1 - level(v.below_db)))
    p.shine(level(v.level_db - v.repeat_fall_db * number) * faded * bell(distance, v.thick_mm, v.edge))
    sheet = v.membrane_depths * p.depth_mm + v.membrane_bend / p.grain * x * x - y
    seen = is_water * p.window(0.6 * v.tilt, v.membrane_depths)
    p.shine(level(v.membrane_db) * seen * bell(sheet, SHEET_MM * p.grain))


def _specks(p: Plane, is_water: Tensor) -> None:
    y = p.dice.uniform(0.02, 1.0, N_SPECKS) * p.depth_mm
    x = p.dice.uniform(-1.0, 1.0, N_SPECKS) * p.half_view(y)
    strength = level(p.dice.uniform(-70.0, -12.0, N_SPECKS)) * is_water * (p.dice.chance(0.6))
    size = p.dice.uniform(0.15, 0.6, N_SPECKS) * p.grain
    p.shine(dots(p, x, y, strength, size, 0.4 * size, 0.4 * size))


def air(p: Plane, ranges: LookAlikes) -> None:
    """Lines at constant ranges that die away, as the pulse runs to and fro in the cover; nothing but noise below."""
    v = p.draw(ranges.air)
    p.noise_db = p.range_db * (v.noise_grey - 1)
    p.clear(torch.zeros_like(p.has_bone, dtype=torch.float32))
    mm = p.range_mm
    combs = (0.5 + 0.5 * torch.cos(2 * math.pi * mm / v.period_mm.transpose(1, 2))) ** 3
    comb = (combs * v.comb.transpose(1, 2)).sum(dim=-1, keepdim=True)
    lines = 0.08 + comb + 1.2 * p.noise(0.0, mm * 2.6).square() + 0.5 * p.noise(0.0, mm * 7).square()
    fall = level(v.level_db - 40 * mm / (v.reach_depths * p.depth_mm))
    uneven = level(5 * (p.noise(p.across(mm) * 0.15, mm * 0.6) - 0.5))
    p.add_artefact(lines * fall * uneven)


def face(p: Plane, ranges: LookAlikes) -> None:
    """The cover's band from the first row on, rings below it, and the clear layer of gel or water there."""
    v = p.draw(ranges.face)
    first = bell((p.range_mm - v.thick_mm).clamp(min=0), v.ring_thick_mm)
    distance, number = repeated(p.range_mm - v.thick_mm - v.ring_mm, v.ring_mm, whole(v.rings) - 1)
    rings = bell(distance, v.ring_thick_mm) * level(-v.fall_db * (number + 1)) * (whole(v.rings) > 0)
    seen = p.window(0.0, v.extent, v.soft)
    uneven = level(4 * (p.noise(p.across(p.range_mm) * 0.2, p.range_mm * 1.5) - 0.5))
    p.clear(1 - (p.range_mm < v.stand_off_mm) * (1 - level(v.clear_db)))
    p.add_artefact(level(v.level_db) * torch.maximum(first, rings) * seen * uneven)
