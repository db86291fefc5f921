# SPDX-License-Identifier: Apache-2.0
"""A batch of scenes at a random moment each: what is drawn, and the geometry that follows from it.

Tensors are [n, k, 1] (k parameters a frame: 1, or bones, layers, sides) or [n, k, columns]; lengths in mm count from
the skin and the middle of the image.
"""
import math
from dataclasses import dataclass, fields
from types import SimpleNamespace

import torch
from torch import Tensor

from .alike_ranges import LookAlikes
from .fan import BEAMS_SHARE, LEAST_APPROACH, WIDEST_RAD, Fan, draw_fan, grain_of, meet
from .hard import draw_hard, weaken
from .ranges import Geometry, Ranges
from .texture import LARGE, LATTICE, level, make_lattice, noise, step

N_BONES = 2
MIN_COSINE = 0.12
SOFT_END = 0.14  # of a bone's half width
LAYER_SOFT_MM = 1.5
LAYER_GAP_MM = 0.6  # soft tissue that stays above a bone
RAGGED_MM = 1.5  # of the edge of poor contact
MOST_BAND_COLUMNS = 20
LEAST_TOP_DEPTHS = 0.14  # of a bone below a fan's face
MOST_ASIDE = 0.8  # of half the field, up to which the top of a bone lies


class Dice:
    """Uniform numbers for n frames from one generator."""

    def __init__(self, n: int, generator: torch.Generator):
        self.n, self.generator = n, generator

    def uniform(self, low, high, k: int = 1) -> Tensor:
        """[n, k, 1]; low and high are numbers or broadcast to that."""
        share = torch.rand(self.n, k, 1, generator=self.generator, device=self.generator.device)
        return low + (high - low) * share

    def chance(self, share, k: int = 1) -> Tensor:
        return self.uniform(0.0, 1.0, k) < share

    def moved(self, mean: Tensor, swing) -> Tensor:
        """A wave of docs/phantom.md at a random moment."""
        k = mean.shape[1]
        return mean + self.uniform(0.2, 1.0, k) * swing * torch.sin(self.uniform(0.0, 2 * math.pi, k))

    def group(self, ranges, k: int = 1) -> SimpleNamespace:
        """Every range of a dataclass: [n, k, 1], or one column for each of several ranges."""
        drawn = {}
        for field in fields(ranges):
            value = getattr(ranges, field.name)
            if not isinstance(value, tuple):
                continue
            if isinstance(value[0], tuple):
                limits = torch.tensor(value, dtype=torch.float32, device=self.generator.device)
                drawn[field.name] = self.uniform(limits[:, :1], limits[:, 1:], len(value))
            else:
                drawn[field.name] = self.uniform(*value, k)
        return SimpleNamespace(**drawn)


@dataclass
class Scene:
    """Drawn parameters and the geometry along the columns."""
    height_px: int
    width_px: int
    lattice: Tensor  # [n, 1, 257, 257]
    bone: SimpleNamespace  # [n, 2, 1] each
    echo: SimpleNamespace  # [n, 1, 1] each, as are the next two
    tissue: SimpleNamespace
    scanner: SimpleNamespace
    px_per_mm: Tensor  # [n, 1, 1]
    probe_mm: Tensor  # [n, 1, 1]
    drift: Tensor  # [n, 1, 1] place of the slice in the muscles' texture
    columns: SimpleNamespace  # [n, k, columns], see pose()
    span_mm: Tensor  # [n, 1, 1] width of the view along the layers
    across_mm: Tensor  # [n, 1, columns] place of each beam along the layers, from the left edge
    grain: Tensor  # [n, 1, 1] size of textures, 1 = a linear probe's
    fan: Fan | None = None  # where beams are not parallel: columns are beams, rows are ranges from the face
    look_alikes: LookAlikes | None = None  # what may look like bone
    kinds: Tensor | None = None  # [n, 11] which of alike_ranges.NAMES a frame has; drawn when rendered
    hard: SimpleNamespace | None = None  # how bones are weakened, see hard.py
    n_averaged: Tensor | None = None  # [n, 1, 1] speckle draws whose mean a frame is

    @property
    def band_px(self) -> Tensor:
        return (self.echo.band_mm * self.px_per_mm).clamp(min=2)

    @property
    def band_columns(self) -> Tensor:
        """A band's width in columns at each bone's depth: [n, 1, 1], or [n, 2, columns] of a fan."""
        if self.fan is None:
            return self.band_px
        distance_mm = self.fan.face_mm + (self.columns.bone / self.px_per_mm).clamp(max=self.fan.depth_mm)
        return (self.band_px / self.px_per_mm / (self.fan.step_rad * distance_mm)).clamp(max=MOST_BAND_COLUMNS)

    @property
    def depth_mm_of_rows(self) -> Tensor:
        """[n, height, 1], along the beam."""
        return torch.arange(self.height_px, device=self.lattice.device)[:, None] / self.px_per_mm

    @property
    def place_mm(self) -> Tensor:
        """Lateral place of each pixel in the tissue: [n, 1, columns], or [n, height, columns] of a fan."""
        if self.fan is None:
            return self.across_mm + self.probe_mm
        return self.fan.angle * (self.fan.face_mm + self.depth_mm_of_rows) + self.probe_mm


def draw_scene(n: int, height_px: int, width_px: int, ranges: Ranges, generator: torch.Generator) -> Scene:
    """Scenes of a linear probe."""
    dice = Dice(n, generator)
    scanner = dice.group(ranges.scanner)
    px_per_mm = height_px / scanner.depth_mm
    view_mm = width_px / px_per_mm
    bone = _draw_bones(dice, ranges, scanner.depth_mm, view_mm)
    hard = None if ranges.hard is None else draw_hard(bone, dice, ranges.hard, scanner.depth_mm, 0.5 * view_mm)
    scene = Scene(height_px, width_px, make_lattice(n, generator), bone, dice.group(ranges.echo),
                  dice.group(ranges.tissue), scanner, px_per_mm,
                  probe_mm=dice.moved(torch.zeros_like(view_mm), 0.07 * view_mm),
                  drift=dice.uniform(0.0, float(LATTICE)), columns=SimpleNamespace(), span_mm=view_mm,
                  across_mm=(torch.arange(width_px, device=generator.device) + 0.5) / px_per_mm,
                  grain=torch.ones_like(view_mm), hard=hard)
    _draw_contact(dice, ranges, scene)
    pose(scene)
    _draw_display(dice, ranges, scene)
    return scene


def draw_fan_scene(geometries: list[Geometry], height_px: int, width_px: int, ranges: Ranges,
                   generator: torch.Generator) -> Scene:
    """Scenes of a fan for each of the geometries, whose pictures are to fill height_px x width_px."""
    dice = Dice(len(geometries), generator)
    n_beams = max(8, round(BEAMS_SHARE * width_px))
    fan = draw_fan(dice, geometries, n_beams, (height_px, width_px))
    grain = grain_of(fan.depth_mm)
    scanner, echo, tissue = dice.group(ranges.scanner), dice.group(ranges.echo), dice.group(ranges.tissue)
    scanner.depth_mm = fan.depth_mm
    scanner.sigma_axial_mm, scanner.sigma_lateral_mm = scanner.sigma_axial_mm * grain, scanner.sigma_lateral_mm * grain
    echo.band_mm = echo.band_mm * grain ** 0.7
    tissue.near_mm, tissue.near_period_mm = tissue.near_mm * grain, tissue.near_period_mm * grain
    bone = _draw_bones(dice, ranges, fan.depth_mm, fan.view_mm)
    bone.top_mm = torch.maximum(bone.top_mm, LEAST_TOP_DEPTHS * fan.depth_mm)
    reach = torch.tan((MOST_ASIDE * fan.field_rad / 2).clamp(max=WIDEST_RAD)) * (fan.radius_mm + bone.top_mm)
    bone.centre_mm = torch.minimum(torch.maximum(bone.centre_mm, -reach), reach)
    hard = None if ranges.hard is None else draw_hard(bone, dice, ranges.hard, fan.depth_mm, reach / MOST_ASIDE)
    span_mm = fan.field_rad * fan.layers_mm
    scene = Scene(height_px, n_beams, make_lattice(dice.n, generator), bone, echo, tissue, scanner,
                  height_px / fan.depth_mm, probe_mm=dice.moved(torch.zeros_like(span_mm), 0.07 * fan.view_mm),
                  drift=dice.uniform(0.0, float(LATTICE)), columns=SimpleNamespace(), span_mm=span_mm,
                  across_mm=(fan.angle + fan.field_rad / 2) * fan.layers_mm, grain=grain, fan=fan, hard=hard)
    _draw_contact(dice, ranges, scene)
    pose(scene)
    _draw_display(dice, ranges, scene)
    return scene


def _draw_bones(dice: Dice, ranges: Ranges, depth_mm: Tensor, view_mm: Tensor) -> SimpleNamespace:
    device = depth_mm.device
    shares = torch.tensor([shape.share for shape in ranges.shapes], device=device)
    kind = torch.multinomial(shares, dice.n, replacement=True, generator=dice.generator)

    def pick(name: str) -> Tensor:
        values = torch.tensor([getattr(shape, name) for shape in ranges.shapes], dtype=torch.float32, device=device)
        return values[kind].reshape(dice.n, -1, 1)

    def draw(name: str) -> Tensor:
        limits = pick(name)
        return dice.uniform(limits[:, :1], limits[:, 1:], N_BONES)

    bone = dice.group(ranges.bone, N_BONES)
    is_pair = pick("n_bones") == 2
    has_any = ~dice.chance(ranges.empty_share)
    bone.exists = torch.cat([has_any, has_any & is_pair], dim=1)
    bone.break_at = torch.where(pick("is_broken") > 0, bone.break_at, LARGE)
    bone.bend, bone.skew = draw("bend"), draw("skew")
    half, rise, top = draw("half_views") * view_mm, draw("rise_depths") * depth_mm, draw("top_depths") * depth_mm
    bone.half_mm = dice.moved(half, 0.12 * half)
    bone.rise_mm = dice.moved(rise, 0.2 * rise)
    bone.top_mm = dice.moved(top, 0.1 * top)
    bone.tilt = dice.moved(draw("tilt"), 0.06)
    middle, apart = dice.uniform(*ranges.centre_views), dice.uniform(*ranges.apart_views)
    sides = torch.cat([-apart, apart], dim=1)
    centre = torch.where(is_pair, 0.2 * middle + sides, middle) * view_mm
    bone.centre_mm = dice.moved(centre, 0.04 * view_mm)
    return bone


def _draw_display(dice: Dice, ranges: Ranges, scene: Scene) -> None:
    """Gain of all that is shown, and persistence; and what may look like bone."""
    scene.look_alikes = ranges.look_alikes
    scene.scanner.gain_db = torch.zeros_like(scene.scanner.range_db)
    if ranges.gain_share > 0:
        scene.scanner.gain_db = dice.uniform(*ranges.gain_db) * dice.chance(ranges.gain_share)
    if ranges.persistence_share > 0 and float(dice.uniform(0.0, 1.0)[0]) < ranges.persistence_share:
        scene.n_averaged = dice.uniform(1.0, 5.0).floor()  # the whole batch: the others need not be drawn again


def _draw_contact(dice: Dice, ranges: Ranges, scene: Scene) -> None:
    """How far poor contact reaches from each side, in mm; it never hides the middle of a bone."""
    scanner, bone, span_mm = scene.scanner, scene.bone, scene.span_mm
    shares = torch.tensor(ranges.poor_contact_share, device=span_mm.device).reshape(1, 2, 1)
    reach = torch.where(dice.chance(shares, 2), scanner.contact_views * span_mm, -2 * span_mm)
    centre_mm, half_mm = bone.centre_mm, bone.half_mm
    if scene.fan is not None:
        centre_mm = scene.fan.along(centre_mm, bone.top_mm)
        half_mm = half_mm * scene.fan.layers_mm / (scene.fan.radius_mm + bone.top_mm)
    last = torch.where(bone.exists[:, 1:], centre_mm[:, 1:], centre_mm[:, :1])
    half = torch.where(bone.exists[:, 1:], half_mm[:, 1:], half_mm[:, :1])
    inner = torch.cat([centre_mm[:, :1] - 0.25 * half_mm[:, :1], -last - 0.25 * half], dim=1)
    most = torch.where(bone.exists[:, :1], inner + 0.5 * span_mm - scanner.contact_soft_mm, LARGE)
    scanner.contact_mm = dice.moved(torch.minimum(reach, most), 0.03 * span_mm)


def pose(scene: Scene) -> None:
    """Fills scene.columns: bone [n, 2, w] depth in px, cosine, present, echo, drawn (the echo with
    what the outline bridges), thick (of the band); layer [n, 3, w] in px; contact, streak, rough [n, 1, w] gains."""
    _pose_bones(scene)
    _pose_layers(scene, scene.across_mm - 0.5 * scene.span_mm + scene.probe_mm)
    _pose_gains(scene, scene.across_mm)


def _surface(bone: SimpleNamespace, dx: Tensor) -> tuple[Tensor, Tensor]:
    """Depth of the smooth surface in mm, and the place on it, -1 and 1 its ends; dx in mm from its top."""
    u = dx / (bone.half_mm * torch.where(dx < 0, bone.skew, 1.0))
    bend = bone.bend
    rise = (torch.sqrt(u * u + bend * bend) - bend) / (torch.sqrt(1 + bend * bend) - bend)
    offset = bone.break_step_mm * step(-0.01, 0.01, u - bone.break_at)
    return bone.top_mm + bone.tilt * dx + bone.rise_mm * rise + offset, u


def _pose_bones(scene: Scene) -> None:
    bone, columns = scene.bone, scene.columns
    number = torch.arange(N_BONES, device=scene.lattice.device).reshape(1, N_BONES, 1)
    deepest = 4 * scene.scanner.depth_mm
    depth_mm, along, u, slope = _hits(scene) if scene.fan is None else _fan_hits(scene)
    bumps = 0.8 * (noise(scene.lattice, along * 0.2 + 31 * number, 7.5) - 0.5)
    bumps = bumps + 0.22 * (noise(scene.lattice, along * 1.1, 11.5 + number) - 0.5)
    approach = 1.0
    if scene.fan is not None:
        approach = (torch.cos(scene.fan.angle) - slope * torch.sin(scene.fan.angle)).abs()
        bumps = bumps / approach.clamp(min=LEAST_APPROACH)
    depth_mm = depth_mm + bumps
    depth_mm = torch.where(bone.exists, torch.minimum(depth_mm, deepest).clamp(min=1), deepest)
    ends = 1 - step(1 - SOFT_END, 1 + SOFT_END, u.abs())
    gap = step(bone.break_half, bone.break_half + SOFT_END / 2, (u - bone.break_at).abs())
    columns.cosine = (approach * torch.rsqrt(1 + slope * slope)).clamp(min=MIN_COSINE)
    columns.present = ends * gap * bone.exists * (depth_mm < deepest)
    columns.bone = depth_mm * scene.px_per_mm
    loss_db_mm = scene.scanner.loss_db / scene.scanner.depth_mm
    peak = level(bone.level_db + loss_db_mm * bone.top_mm)
    echo = columns.present * peak * columns.cosine ** scene.echo.incidence_power
    columns.echo, columns.drawn, columns.thick = echo, echo, torch.ones_like(echo)
    if scene.hard is not None:
        gaps, wide_gaps, columns.thick = weaken(scene.hard, u, bone, columns.cosine)
        columns.echo, columns.drawn = echo * gaps, echo * wide_gaps


def _hits(scene: Scene) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where parallel beams meet each bone: depth in mm, lateral place in the tissue in mm, place on the bone, slope."""
    bone, pixel_mm = scene.bone, 1 / scene.px_per_mm
    along = scene.across_mm - 0.5 * scene.span_mm + scene.probe_mm
    dx = along - bone.centre_mm
    depth_mm, u = _surface(bone, dx)
    return depth_mm, along, u, _slope(bone, dx, pixel_mm)


def _fan_hits(scene: Scene) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As _hits(), for a fan: depth along the beam, far below the image where a beam meets none."""
    fan, bone = scene.fan, scene.bone
    from_centre = (scene.probe_mm - bone.centre_mm)[..., None]
    spread = SimpleNamespace(**{name: value[..., None] for name, value in vars(bone).items()})
    depth_mm = meet(fan, lambda x: _surface(spread, x + from_centre)[0], bone.exists)
    depth_mm = torch.minimum(depth_mm, 4 * fan.depth_mm)
    along = fan.point(depth_mm)[0] + scene.probe_mm
    dx = along - bone.centre_mm
    return depth_mm, along, _surface(bone, dx)[1], _slope(bone, dx, 1 / scene.px_per_mm)


def _slope(bone: SimpleNamespace, dx: Tensor, pixel_mm: Tensor) -> Tensor:
    return (_surface(bone, dx + pixel_mm)[0] - _surface(bone, dx - pixel_mm)[0]) * (0.5 / pixel_mm)


def _pose_layers(scene: Scene, x_mm: Tensor) -> None:
    tissue, columns = scene.tissue, scene.columns
    edges_mm = torch.cat([tissue.skin_mm, tissue.fat_depths * scene.scanner.depth_mm,
                          tissue.muscle_depths * scene.scanner.depth_mm], dim=1).cumsum(dim=1)
    number = torch.arange(3, device=x_mm.device).reshape(1, 3, 1)
    wave = noise(scene.lattice, x_mm * 0.07, 40.5 + number) - 0.5
    y = edges_mm + tissue.layer_tilt * x_mm + tissue.layer_wave_mm * wave
    if scene.fan is not None:
        y = y + torch.where(number > 0, scene.fan.layer_drop(edges_mm), 0.0)
    for b in range(N_BONES):
        free_mm = columns.bone[:, b:b + 1] / scene.px_per_mm - LAYER_GAP_MM * (3 - number)
        limited = 0.5 * (y + free_mm - torch.sqrt((y - free_mm) ** 2 + LAYER_SOFT_MM ** 2))
        y = torch.where((number > 0) & scene.bone.exists[:, b:b + 1], limited, y)
    fat = torch.maximum(y[:, 1], y[:, 0] + 0.2)
    muscle = torch.maximum(y[:, 2], fat + 0.2)
    columns.layer = torch.stack([y[:, 0], fat, muscle], dim=1) * scene.px_per_mm


def _pose_gains(scene: Scene, left_mm: Tensor) -> None:
    scanner, columns, lattice = scene.scanner, scene.columns, scene.lattice
    from_side_mm = torch.cat([left_mm, scene.span_mm - left_mm], dim=1)
    ragged = RAGGED_MM * (noise(lattice, left_mm * 1.7, 90.5) - 0.5)
    edge, soft = scanner.contact_mm, scanner.contact_soft_mm
    poor_db = scanner.contact_db * (1 - step(edge - soft, edge + soft, from_side_mm + ragged))
    columns.contact = level(poor_db.sum(dim=1, keepdim=True))
    columns.streak = level(4 * (noise(lattice, left_mm * 0.9, 120.5) - 0.5))
    along = left_mm + scene.probe_mm
    rough = noise(lattice, along * 0.8, 150.5) + noise(lattice, along * 3.1, 160.5) - 1
    columns.rough = level(scene.echo.roughness_db * rough)
