# SPDX-License-Identifier: Apache-2.0
"""Probes whose beams spread: where each beam starts and points, and how the picture lies in the frame.

A fan is rendered like any image, with beams as columns and ranges from the face as rows; scan_converted() of convert.py
makes the picture of it. Beams leave a virtual apex: a curved face is an arc around it, a flat one a chord.
"""
import math
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from .ranges import Geometry

BEAMS_SHARE = 0.7  # beams of a fan, as a share of the frame's width
LAYERS_AT = 0.3  # depth at which lateral places along the layers are in true mm, in image depths
SIZE_AT = 0.4  # depth whose width is the view that sizes of bones refer to
WIDEST_RAD = math.radians(75)  # angle from the middle beyond which a view no longer widens
GRAIN_MM = 45.0  # image depth at which textures have the size of a linear probe's
MOST_GRAIN = 3.5
N_SEARCH = 65  # ranges at which a beam is tried for a surface
SEARCH_DEPTHS = 1.3
LEAST_APPROACH = 0.2  # cosine below which a surface is no longer refined


@dataclass
class Fan:
    """Tensors are [n, 1, 1] unless said; lengths in mm, y counts from the middle of the face."""
    angle: Tensor  # [n, 1, columns] of each beam, from straight down
    face_mm: Tensor  # [n, 1, columns] from the apex to the face
    radius_mm: Tensor  # from the apex to the middle of the face
    is_flat: Tensor  # whether the face is a chord
    field_rad: Tensor
    depth_mm: Tensor
    flattening: Tensor  # of the layers: 0 parallel to the face, 1 flat
    cover: SimpleNamespace  # echoes of the face's cover, see face_echo()
    picture: SimpleNamespace  # see draw_picture()

    @property
    def step_rad(self) -> Tensor:
        return self.field_rad / self.angle.shape[-1]

    @property
    def layers_mm(self) -> Tensor:
        """Radius at which lateral places along the layers are measured."""
        return self.radius_mm + LAYERS_AT * self.depth_mm

    @property
    def view_mm(self) -> Tensor:
        return 2 * (self.radius_mm + SIZE_AT * self.depth_mm) * torch.sin((self.field_rad / 2).clamp(max=WIDEST_RAD))

    def along(self, x_mm: Tensor, y_mm: Tensor) -> Tensor:
        """Lateral place along the layers of a point, from the middle."""
        return torch.atan2(x_mm, self.radius_mm + y_mm) * self.layers_mm

    def point(self, range_mm: Tensor) -> tuple[Tensor, Tensor]:
        """x and y of a range on each beam."""
        distance = self.face_mm + range_mm
        return distance * torch.sin(self.angle), distance * torch.cos(self.angle) - self.radius_mm

    def layer_drop(self, depth_mm: Tensor) -> Tensor:
        """What a partly flat layer's range on each beam is above its depth in the middle."""
        flat_mm = (self.radius_mm + depth_mm) / torch.cos(self.angle.abs().clamp(max=WIDEST_RAD)) - self.face_mm
        return self.flattening * (flat_mm - depth_mm)


def draw_fan(dice, geometries: list[Geometry], width_px: int, frame_px: tuple[int, int]) -> Fan:
    """One fan for each of the geometries; frame_px is the height and width that the picture will have."""
    device = dice.generator.device

    def draw(name: str) -> Tensor:
        limits = torch.tensor([getattr(geometry, name) for geometry in geometries], device=device)
        return dice.uniform(limits[:, :1, None], limits[:, 1:, None])

    field, depth = torch.deg2rad(draw("field_deg")), draw("depth_mm")
    is_flat = torch.tensor([geometry.is_flat for geometry in geometries], device=device).reshape(-1, 1, 1)
    radius = draw("radius_mm")
    radius = torch.where(is_flat, radius / torch.tan((field / 2).clamp(max=WIDEST_RAD)), radius)
    beam = (torch.arange(width_px, device=device) + 0.5) / width_px - 0.5
    angle = field * beam
    face = torch.where(is_flat, radius / torch.cos(angle.abs().clamp(max=WIDEST_RAD)), radius)
    shares = torch.tensor([geometry.cover_share for geometry in geometries], device=device).reshape(-1, 1, 1)
    cover = SimpleNamespace(level_db=torch.where(dice.chance(shares), dice.uniform(-12.0, 6.0), -200.0),
                            thick_mm=dice.uniform(0.3, 1.6), n_rings=dice.uniform(0.0, 6.0).floor(),
                            spacing_mm=dice.uniform(1.0, 6.0), decay_db=dice.uniform(4.0, 14.0))
    fan = Fan(angle, face, radius, is_flat, field, depth, dice.uniform(0.0, 0.5), cover, SimpleNamespace())
    fan.picture = draw_picture(dice, fan, frame_px)
    return fan


def draw_picture(dice, fan: Fan, frame_px: tuple[int, int]) -> SimpleNamespace:
    """scale_x, scale_y in px per mm, x0, y0 the pixel edge where x = y = 0, ground the grey outside, is_cut whether a
    flat line ends the picture below. Pixels need not be square: screens of all aspects become frames of one."""
    half = fan.field_rad / 2
    far = fan.radius_mm + fan.depth_mm
    width_mm = 2 * torch.where(half < math.pi / 2, far * torch.sin(half), far)
    edge = torch.where(half < math.pi / 2, fan.radius_mm, far) * torch.cos(half)
    top_mm = torch.where(fan.is_flat, 0.0, edge - fan.radius_mm)
    height_mm = fan.depth_mm - top_mm
    fit_x, fit_y = frame_px[1] / width_mm, frame_px[0] / height_mm
    square, stretch = torch.minimum(fit_x, fit_y), dice.uniform(0.0, 1.0)
    zoom = torch.exp(dice.uniform(-0.1, 0.3))
    scale_x = square * zoom * (fit_x / square) ** stretch
    scale_y = square * zoom * (fit_y / square) ** stretch
    free_x, free_y = frame_px[1] - width_mm * scale_x, frame_px[0] - height_mm * scale_y
    x0 = 0.5 * frame_px[1] + dice.uniform(-0.35, 0.35) * free_x
    y0 = torch.where(free_y > 0, dice.uniform(0.0, 1.0), dice.uniform(0.0, 0.3)) * free_y - top_mm * scale_y
    ground = torch.where(dice.chance(0.12), dice.uniform(3.0, 45.0), 0.0)
    return SimpleNamespace(scale_x=scale_x, scale_y=scale_y, x0=x0, y0=y0, ground=ground,
                           is_cut=fan.is_flat & dice.chance(0.5))


def grain_of(depth_mm: Tensor) -> Tensor:
    """How much coarser everything is than with a linear probe: deep images are made at low frequencies."""
    return (depth_mm / GRAIN_MM).clamp(0.7, MOST_GRAIN)


def meet(fan: Fan, surface, exists: Tensor) -> Tensor:
    """Range in mm at which each beam first meets y = surface(x), infinite without; [n, k, columns].

    surface: x [n, k, columns, m] -> y of the same shape, for k surfaces a frame.
    """
    share = torch.linspace(0, SEARCH_DEPTHS, N_SEARCH, device=fan.angle.device)
    tried = fan.depth_mm[..., None] * share  # [n, 1, 1, m]
    sine, cosine = torch.sin(fan.angle)[..., None], torch.cos(fan.angle)[..., None]
    x = (fan.face_mm[..., None] + tried) * sine
    y = (fan.face_mm[..., None] + tried) * cosine - fan.radius_mm[..., None]
    below = y - surface(x.expand(-1, exists.shape[1], -1, -1))
    crossing = (below[..., :-1] <= 0) & (below[..., 1:] > 0)
    first = crossing.int().argmax(dim=-1, keepdim=True)
    before, after = below.gather(-1, first), below.gather(-1, first + 1)
    step = fan.depth_mm * (SEARCH_DEPTHS / (N_SEARCH - 1))
    low = first[..., 0] * step
    high = low + step
    found = low + step * (before / (before - after).clamp(max=-1e-6))[..., 0]
    for _ in range(3):  # false position, each time halving what is left as well
        off = _below(fan, surface, found)
        low, high = torch.where(off <= 0, found, low), torch.where(off > 0, found, high)
        slope = (_below(fan, surface, found + 0.01) - off) / 0.01
        found = torch.minimum(torch.maximum(found - off / slope.clamp(min=LEAST_APPROACH), low), high)
    return torch.where(crossing.any(dim=-1) & exists, found, torch.inf)


def _below(fan: Fan, surface, range_mm: Tensor) -> Tensor:
    x, y = fan.point(range_mm)
    return y - surface(x[..., None])[..., 0]


def face_echo(fan: Fan, depth_mm: Tensor) -> Tensor:
    """The bright ring of the face's cover and its even reverberations; [n, height, 1] for depth_mm of the rows."""
    cover = fan.cover
    nearest = (depth_mm / cover.spacing_mm).round()
    off_mm = (depth_mm - nearest * cover.spacing_mm) / (cover.thick_mm * torch.where(nearest > 0, 0.3, 0.6))
    strength = torch.pow(10.0, 0.05 * (cover.level_db - cover.decay_db * nearest)) * (nearest <= cover.n_rings)
    return strength * torch.exp(-0.5 * off_mm * off_mm)
