# SPDX-License-Identifier: Apache-2.0
"""From a fan's beams to its picture: scan conversion of the grey values, and the outline in the picture's own pixels."""
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .render import Outline, numbered
from .scene import N_BONES, Scene


@dataclass
class Places:
    """Where the picture's pixels lie among the beams; [n, height, width] each."""
    column: Tensor
    row: Tensor
    inside: Tensor  # whether a beam reaches them
    half_pixel: Tensor  # [n, 1, 1], half a pixel's height in rows


def scan_converted(scene: Scene, beams: Tensor, outline: Outline, frame_px: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Picture and labels, [n, height, width] each, of the beams' grey values [n, ranges, beams]."""
    places = places_of(scene, frame_px)
    across = places.column * (2 / (scene.width_px - 1)) - 1
    down = places.row * (2 / (scene.height_px - 1)) - 1
    grid = torch.stack([across, down], dim=-1)
    grey = functional.grid_sample(beams[:, None], grid, mode="bilinear", padding_mode="border", align_corners=True)
    return torch.where(places.inside, grey[:, 0], scene.fan.picture.ground), _labelled(places, outline)


def places_of(scene: Scene, frame_px: tuple[int, int]) -> Places:
    fan, picture = scene.fan, scene.fan.picture
    device = scene.lattice.device
    x_mm = (torch.arange(frame_px[1], device=device) + 0.5 - picture.x0) / picture.scale_x  # [n, 1, w]
    y_mm = (torch.arange(frame_px[0], device=device)[:, None] + 0.5 - picture.y0) / picture.scale_y  # [n, h, 1]
    from_apex_mm = y_mm + fan.radius_mm
    angle = torch.atan2(x_mm, from_apex_mm)
    distance_mm = torch.sqrt(x_mm * x_mm + from_apex_mm * from_apex_mm)
    face_mm = torch.where(fan.is_flat, fan.radius_mm * distance_mm / from_apex_mm.clamp(min=1e-3), fan.radius_mm)
    range_mm = distance_mm - face_mm
    inside = (angle.abs() <= fan.field_rad / 2) & (range_mm >= 0) & (range_mm <= fan.depth_mm)
    inside &= ~picture.is_cut | (y_mm <= fan.depth_mm * torch.cos(fan.field_rad / 2))
    column = (angle / fan.field_rad + 0.5) * scene.width_px - 0.5
    return Places(column, range_mm * scene.px_per_mm, inside, 0.5 * scene.px_per_mm / picture.scale_y)


def _labelled(places: Places, outline: Outline) -> Tensor:
    """A pixel is of a bone when the band, interpolated between the two beams beside it, reaches it. Where only one of
    them shows the bone, the band goes on as at that beam until half way."""
    n_beams = outline.top.shape[-1]
    column = places.column.clamp(0, n_beams - 1)
    left = column.floor().long()
    right = (left + 1).clamp(max=n_beams - 1)
    share = column - left
    found = []
    for b in range(N_BONES):
        shown = outline.shown[:, b]
        nearest = torch.where(share < 0.5, left, right)
        is_shown = _at(shown, nearest) & places.inside
        weight = torch.where(_at(shown, left) & _at(shown, right), share, (share >= 0.5).to(share.dtype))
        top = _between(outline.top[:, b], left, right, weight)
        bottom = _between(outline.bottom[:, b], left, right, weight)
        reached = (places.row > top - places.half_pixel) & (places.row <= bottom + places.half_pixel)
        found.append(is_shown & reached)
    return numbered(found)


def _at(values: Tensor, column: Tensor) -> Tensor:
    """values [n, columns] at column [n, height, width]."""
    return values.gather(1, column.flatten(1)).reshape(column.shape)


def _between(values: Tensor, left: Tensor, right: Tensor, share: Tensor) -> Tensor:
    first = _at(values, left)
    return first + share * (_at(values, right) - first)
