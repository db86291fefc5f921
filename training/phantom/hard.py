# SPDX-License-Identifier: Apache-2.0
"""Bones that are hard to see (docs/phantom.md): where they lie, and how their echo changes along them."""
from types import SimpleNamespace

import torch
from torch import Tensor

from .alike_ranges import Hard
from .texture import level, step

BRIDGED_MM = 1.5  # the outline goes on over a gap narrower than this
GAP_SOFT_MM = 0.3


def draw_hard(bone: SimpleNamespace, dice, ranges: Hard, depth_mm: Tensor, edge_mm: Tensor) -> SimpleNamespace:
    """Moves the bones of some frames and says how the echo of others is weakened. Fields [n, k, 1].

    edge_mm: from the middle of the view to its sides, at the bones.
    """
    v = dice.group(ranges)
    k = bone.exists.shape[1]
    v.fade_db = v.fade_db * dice.chance(ranges.fading_share)
    v.is_thick = dice.chance(ranges.thick_share)
    v.has_gaps = dice.chance(ranges.gaps_share)
    v.gap_mm = dice.uniform(*ranges.gap_mm, ranges.gaps)
    v.gap_place = dice.uniform(*ranges.gap_place, ranges.gaps)
    v.gap_db = dice.uniform(*ranges.gap_db, ranges.gaps) * (dice.chance(0.6, ranges.gaps) & v.has_gaps)
    bone.level_db = bone.level_db + dice.chance(ranges.faint_share) * v.faint_db
    is_shallow = dice.chance(ranges.shallow_share)
    bone.top_mm = torch.where(is_shallow, dice.uniform(*ranges.shallow_mm, k), bone.top_mm)
    _cross(bone, dice, dice.chance(ranges.crossing_share), depth_mm)
    side = torch.where(dice.chance(0.5), 1.0, -1.0)
    cut_mm = side * edge_mm + dice.uniform(-0.5, 0.6) * bone.half_mm
    is_cut = dice.chance(ranges.cut_share) & ~bone.exists[:, 1:]
    bone.centre_mm = torch.where(is_cut, cut_mm, bone.centre_mm)
    return v


def _cross(bone: SimpleNamespace, dice, chosen: Tensor, depth_mm: Tensor) -> None:
    """A second bone through the first one, or touching it: beside its middle, tilted the other way."""
    chosen = chosen & bone.exists[:, :1]
    first, second = (torch.tensor(v, device=depth_mm.device).reshape(1, 2, 1) for v in ([True, False], [False, True]))
    bone.exists = torch.where(chosen, True, bone.exists)
    tilt = dice.uniform(0.1, 0.5) * torch.where(dice.chance(0.5), 1.0, -1.0)
    bone.tilt = torch.where(chosen, torch.where(first, tilt, -tilt), bone.tilt)
    beside = bone.centre_mm[:, :1] + dice.uniform(-0.8, 0.8) * bone.half_mm[:, :1]
    bone.centre_mm = torch.where(chosen & second, beside, bone.centre_mm)
    at_mm = (bone.top_mm[:, :1] + dice.uniform(-0.08, 0.08) * depth_mm).clamp(min=1)
    bone.top_mm = torch.where(chosen & second, at_mm, bone.top_mm)


def weaken(hard: SimpleNamespace, u: Tensor, bone: SimpleNamespace, cosine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Factors of the echo with every gap and with those alone that interrupt the outline, and of the band's width.

    u: place on the bone, -1 and 1 its ends. [n, 2, columns] each.
    """
    dx_mm = u * bone.half_mm * torch.where(u < 0, bone.skew, 1.0)
    fade_db = torch.where(u < 0, hard.fade_db[:, :1], hard.fade_db[:, 1:])
    crest = torch.exp(-(u / hard.thick_views).square()) * hard.is_thick
    even = level(hard.thick_db * crest - fade_db * u.abs().clamp(max=2) ** hard.fade_power)
    gaps = wide = torch.ones_like(u)
    for k in range(hard.gap_mm.shape[1]):
        gap_mm = hard.gap_mm[:, k:k + 1]
        half_gap_mm = 0.5 * gap_mm * cosine  # gap_mm is along the surface
        off = (dx_mm - hard.gap_place[:, k:k + 1] * bone.half_mm).abs() - half_gap_mm
        gap = level(hard.gap_db[:, k:k + 1] * (1 - step(-GAP_SOFT_MM / 2, GAP_SOFT_MM / 2, off)))
        gaps = gaps * gap
        wide = wide * torch.where(gap_mm < BRIDGED_MM, 1.0, gap)
    return even * gaps, even * wide, 1 + (hard.thick - 1) * crest
