# SPDX-License-Identifier: Apache-2.0
"""Look-alikes that are surfaces across the view: diaphragm, pleura, gas and fascia. Below them there is tissue, haze,
or their own repetition, never the dark of bone. Pleura and gas take the beams that no bone takes."""
import math
from types import SimpleNamespace

import torch
from torch import Tensor

from .alike_grounds import bell, repeated, whole
from .alike_ranges import LookAlikes
from .plane import Plane
from .texture import LARGE, level, step

FREE_MM = (1.0, 3.0)  # a fascia fades within this distance above a bone, as in tissue.py


def _even_tissue_below(p: Plane, below_mm: Tensor, strength_db: Tensor, reach_mm: Tensor, where: Tensor) -> None:
    """Scatterers that show below a surface, however strong the loss over depth."""
    patch = p.noise(p.across(p.range_mm) * 0.25, p.range_mm * 0.4)
    fading = torch.exp(-(below_mm.clamp(min=0) / reach_mm).square()) * (below_mm > 0)
    p.glow(level(strength_db) * (0.4 + 1.2 * patch) * fading * where)


def diaphragm(p: Plane, ranges: LookAlikes) -> None:
    """A thick bright arc in the depth, at times doubled, between tissue and tissue."""
    v = p.draw(ranges.diaphragm)
    sign = torch.where(p.dice.chance(0.5), 0.5, -0.5)

    def height(x: Tensor) -> Tensor:
        away = x - v.middle * p.half_view(v.depths * p.depth_mm)
        return v.depths * p.depth_mm + v.tilt * away + sign * away * away / v.radius_mm

    place = p.beam_depth(height)
    place = place + 0.8 * p.grain * (p.noise(p.across(p.depth_mm) * 0.15) - 0.5)
    below = p.range_mm - place
    _even_tissue_below(p, below, v.below_db, v.below_mm, torch.ones_like(p.side))
    _even_tissue_below(p, -below, v.below_db - 3, 1.5 * v.below_mm, p.dice.chance(0.7).float())
    spread = torch.where(below > 0, v.thick_mm, 0.5 * v.thick_mm)
    doubled = p.dice.chance(0.3) * level(p.dice.uniform(-12.0, -2.0))
    patchy = level(8 * (p.noise(p.across(p.depth_mm) * 0.12) - 0.5)) * p.window(v.middle, v.half, v.soft)
    facing = p.facing(place)
    off = below * facing
    echo = torch.maximum(bell(off, spread, v.edge), doubled * bell(off - 3.5 * v.thick_mm, 0.5 * spread))
    p.shine(level(v.level_db) * facing * patchy * echo)


def pleura(p: Plane, ranges: LookAlikes) -> None:
    """A thin smooth line with its repetitions at even distances (A-lines) and bright beams (B-lines) over haze."""
    r, v = ranges.pleura, p.draw(ranges.pleura)

    def height(x: Tensor) -> Tensor:
        return v.depths * p.depth_mm + v.tilt * x + v.bend * x * x

    place = p.beam_depth(height).clamp(min=2)
    seen = p.window(v.middle, v.half) * p.free
    below = p.range_mm - place
    is_below = (below > 0) * seen
    p.clear(1 - 0.997 * is_below)
    p.glow(level(v.haze_db) * torch.exp(-below.clamp(min=0) / v.haze_mm) * is_below)
    beams = p.noise(p.across(p.depth_mm) * 0.35).square().square().square() * p.dice.chance(r.beam_share)
    p.glow(2 * level(v.beam_db) * beams * is_below)
    distance, number = repeated(below, place, whole(v.a_lines))
    spread = v.thick_mm * (1 + 0.35 * number)
    facing = p.facing(place)
    uneven = level(5 * (p.noise(p.across(p.depth_mm) * 0.2) - 0.5)) * facing * seen
    p.shine(level(v.level_db - v.a_fall_db * number) * uneven * bell(distance * facing, spread))


def gas(p: Plane, ranges: LookAlikes) -> None:
    """A ragged bright front with dirt below: haze in streaks, ringing down."""
    v = p.draw(ranges.gas)
    beam = p.across(p.depth_mm)
    ragged = v.ragged_mm * (p.noise(beam * 0.16) - 0.5) + 0.25 * v.ragged_mm * (p.noise(beam * 0.9) - 0.5)
    place = (p.beam_depth(lambda x: v.depths * p.depth_mm + v.tilt * x) + ragged).clamp(min=2)
    seen = p.window(v.middle, v.half, 0.05) * p.free
    below = p.range_mm - place
    is_below = (below > 0) * seen
    p.clear(1 - 0.99 * is_below)
    streaks = 0.3 + 1.4 * p.noise(p.across(p.range_mm) * 1.3, p.range_mm * 0.03).square()
    ringing = 1 - v.ringing * (0.5 - 0.5 * torch.cos(2 * math.pi * below / v.period_mm))
    p.glow(level(v.haze_db) * torch.exp(-below.clamp(min=0) / v.haze_mm) * streaks * ringing * is_below)
    grains = level(14 * (p.noise(beam * 0.7) - 0.5)) * seen
    spread = torch.where(below > 0, 1.6 * v.thick_mm, v.thick_mm)
    p.shine(level(v.level_db) * grains * bell(below * p.facing(place), spread))


def fascia(p: Plane, ranges: LookAlikes) -> None:
    """Strong layers, one or several, above tissue that shows."""
    r = ranges.fascia
    number = whole(p.dice.uniform(0.5, r.most + 0.49))
    drawn = p.draw(r, r.most)
    for k in range(r.most):
        v = SimpleNamespace(**{name: value[:, k:k + 1] for name, value in vars(drawn).items()})
        place = p.beam_depth(lambda x, v=v: v.depths * p.depth_mm + v.tilt * x)
        place = place + v.wave_mm * (p.noise(p.across(p.depth_mm) * 0.08) - 0.5)
        to_bone = torch.where(p.bone_mm > 0, p.bone_mm - place, LARGE)
        free = torch.where(to_bone > 0, step(*FREE_MM, to_bone / p.grain), 1.0)
        seen = p.window(v.middle, v.half, 0.15) * free * (k < number)
        below = p.range_mm - place
        _even_tissue_below(p, below, v.below_db, v.below_mm, seen)
        facing = p.facing(place)
        uneven = level(8 * (p.noise(p.across(p.depth_mm) * 0.25) - 0.5)) * facing * seen
        p.shine(level(v.level_db) * uneven * bell(below * facing, v.thick_mm))
