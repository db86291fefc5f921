# SPDX-License-Identifier: Apache-2.0
"""Some frames of a batch on the plane that is rendered (columns = beams, rows = ranges from the face), and what
look-alikes change there. Tensors are [m, k, 1], [m, k, columns] or whole planes; lengths in mm."""
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from .scene import Dice, Scene
from .texture import level, noise

LEAST_FACING = 0.1
HIDES = 0.02  # share of a beam that bone takes, above which the beam has a bone


@dataclass
class Layers:
    """Whole planes [n, height, width] of the batch: amplitude of the tissue, echoes that bone is laid over, gain of
    what is below (None: 1 everywhere), echoes that nothing hides (None: none). noise_db [n, 1, 1] of the receiver."""
    tissue: Tensor
    echoes: Tensor
    noise_db: Tensor
    gain: Tensor | None = None
    artefacts: Tensor | None = None


@dataclass
class Plane:
    """What one kind of look-alike sees and changes: the frames that have it."""
    dice: Dice
    lattice: Tensor
    range_mm: Tensor  # [m, h, 1]
    side: Tensor  # [1, 1, w], -1 and 1 the outermost beams
    depth_mm: Tensor  # [m, 1, 1]
    view_mm: Tensor  # [m, 1, 1]
    grain: Tensor  # [m, 1, 1] coarseness of a deep image: lengths of texture and thicknesses are multiples of it
    loss_db_mm: Tensor  # [m, 1, 1]
    range_db: Tensor  # [m, 1, 1] of the display
    bone_mm: Tensor  # [m, 1, w] depth of the lowest bone of a beam, 0 without
    free: Tensor  # [m, 1, w] share of a beam that no bone takes
    has_bone: Tensor  # [m, 1, 1]
    bone_top_mm: Tensor  # [m, 1, 1] of the lowest bone, 0 without
    angle: Tensor | None  # [m, 1, w] of the beams in radians, None where they are parallel
    face_mm: Tensor | None  # [m, 1, w] from the apex to the face
    radius_mm: Tensor | None  # [m, 1, 1] from the apex to the middle of the face
    noise_db: Tensor  # [m, 1, 1]
    tissue: Tensor  # [m, h, w], as are the other planes
    echoes: Tensor
    gain: Tensor | None = None
    artefacts: Tensor | None = None

    def draw(self, ranges, k: int = 1) -> SimpleNamespace:
        """Every range of a kind, [m, k, 1]; what is named _mm grows with the grain."""
        drawn = vars(self.dice.group(ranges, k))
        return SimpleNamespace(**{name: v * self.grain if name.endswith("_mm") else v for name, v in drawn.items()})

    def across(self, at_mm: Tensor) -> Tensor:
        """Place of each beam at a range, along the arc from the middle beam."""
        if self.angle is None:
            return 0.5 * self.view_mm * self.side
        return self.angle * (self.face_mm + at_mm)

    def half_view(self, at_mm: Tensor) -> Tensor:
        return self.across(at_mm)[..., -1:]

    def beam_depth(self, height: Callable[[Tensor], Tensor]) -> Tensor:
        """Range at which each beam meets the surface y = height(x), x and y straight coordinates from the middle of the
        face. [m, 1, w]"""
        if self.angle is None:
            return height(self.across(self.depth_mm))
        sine, cosine = self.angle.sin(), self.angle.cos().clamp(min=0.2)
        found = height(torch.zeros_like(self.angle)).expand_as(self.angle)
        for _ in range(3):
            y = height(((self.face_mm + found) * sine).clamp(-2 * self.depth_mm, 2 * self.depth_mm))
            found = ((y + self.radius_mm) / cosine - self.face_mm).clamp(min=0.0)
        return found

    def facing(self, place_mm: Tensor) -> Tensor:
        """Cosine between each beam and what stands upright on a surface [m, 1, w] of ranges."""
        apart = self.view_mm / self.side.shape[-1]
        if self.angle is not None:
            apart = (self.angle[..., 1:2] - self.angle[..., :1]) * (self.face_mm + place_mm)
        rise = torch.gradient(place_mm.expand(-1, -1, self.side.shape[-1]), dim=-1)[0] / apart
        return torch.rsqrt(1 + rise * rise).clamp(min=LEAST_FACING)

    def straight(self) -> tuple[Tensor, Tensor]:
        """x and y of each point in straight coordinates from the middle of the face; they broadcast to [m, h, w]."""
        if self.angle is None:
            return self.across(self.depth_mm), self.range_mm
        distance = self.face_mm + self.range_mm
        return distance * self.angle.sin(), distance * self.angle.cos() - self.radius_mm

    def made_up(self) -> Tensor:
        """Amplitude that loses nothing on its way. [m, h, 1]"""
        return level(self.loss_db_mm * self.range_mm)

    def noise(self, x, y=0.0) -> Tensor:
        """N at a place of its own in the lattice, as coarse as the image."""
        x, y = x / self.grain, y / self.grain
        return noise(self.lattice, x + self.dice.uniform(0.0, 200.0), y + self.dice.uniform(0.0, 200.0))

    def window(self, middle: Tensor | float, half: Tensor, soft: Tensor | float = 0.08) -> Tensor:
        """1 within half of middle, both in half views, softly 0 beyond. [m, 1, w]"""
        return ((half - (self.side - middle).abs()) / soft + 0.5).clamp(0, 1)

    def shine(self, echo: Tensor) -> None:
        """An echo beside what is there; as strong whatever its depth."""
        self.echoes = torch.maximum(self.echoes, echo * self.made_up())

    def glow(self, amplitude: Tensor) -> None:
        """Tissue at least as strong."""
        self.tissue = torch.maximum(self.tissue, amplitude * self.made_up())

    def clear(self, share: Tensor) -> None:
        """Less of everything that is there."""
        self.tissue = self.tissue * share
        self.echoes = self.echoes * share

    def add_artefact(self, echo: Tensor) -> None:
        self.artefacts = echo if self.artefacts is None else self.artefacts + echo


def part_of(scene: Scene, layers: Layers, rows: Tensor, generator: torch.Generator) -> Plane:
    """The given frames; lay_back() returns what has changed."""
    fan, device = scene.fan, scene.lattice.device
    pixel_mm = 1 / scene.px_per_mm[rows]
    width = scene.width_px
    exists, present = scene.bone.exists[rows], scene.columns.present[rows]
    bone_mm = scene.columns.bone[rows] * pixel_mm
    return Plane(
        Dice(len(rows), generator), scene.lattice[rows],
        range_mm=torch.arange(scene.height_px, device=device, dtype=torch.float32)[:, None] * pixel_mm,
        side=((2 * torch.arange(width, device=device) + 1.0) / width - 1).reshape(1, 1, width),
        depth_mm=scene.height_px * pixel_mm, view_mm=(scene.span_mm if fan is None else fan.view_mm)[rows],
        grain=scene.grain[rows], loss_db_mm=(scene.scanner.loss_db / scene.scanner.depth_mm)[rows],
        range_db=scene.scanner.range_db[rows],
        bone_mm=torch.where(present > HIDES, bone_mm, 0.0).amax(dim=1, keepdim=True),
        free=1 - present.amax(dim=1, keepdim=True),
        has_bone=exists.any(dim=1, keepdim=True),
        bone_top_mm=torch.where(exists, scene.bone.top_mm[rows], 0.0).amax(dim=1, keepdim=True),
        angle=None if fan is None else fan.angle[rows], face_mm=None if fan is None else fan.face_mm[rows],
        radius_mm=None if fan is None else fan.radius_mm[rows],
        noise_db=layers.noise_db[rows], tissue=layers.tissue[rows], echoes=layers.echoes[rows],
        gain=None if layers.gain is None else layers.gain[rows],
        artefacts=None if layers.artefacts is None else layers.artefacts[rows])


def lay_back(layers: Layers, plane: Plane, rows: Tensor) -> None:
    layers.tissue = layers.tissue.index_copy(0, rows, plane.tissue)
    layers.echoes = layers.echoes.index_copy(0, rows, plane.echoes)
    layers.noise_db = layers.noise_db.index_copy(0, rows, plane.noise_db)
    if plane.gain is not None:
        before = torch.ones_like(layers.tissue) if layers.gain is None else layers.gain
        layers.gain = before.index_copy(0, rows, plane.gain)
    if plane.artefacts is not None:
        before = torch.zeros_like(layers.tissue) if layers.artefacts is None else layers.artefacts
        layers.artefacts = before.index_copy(0, rows, plane.artefacts.expand_as(plane.tissue))


def dots(plane: Plane, x_mm: Tensor, y_mm: Tensor, strength: Tensor, sigma_x_mm: Tensor, above_mm: Tensor,
         below_mm: Tensor) -> Tensor:
    """The sum of k Gaussian spots with other spreads across, above and below; all [m, k, 1]. [m, h, w]

    Each is a product of a row and a column, so all of them are one product of matrices.
    """
    row = torch.exp(-0.5 * ((plane.across(y_mm) - x_mm) / sigma_x_mm) ** 2)
    dy = plane.range_mm - y_mm.transpose(1, 2)
    spread = torch.where(dy < 0, above_mm.transpose(1, 2), below_mm.transpose(1, 2))
    column = torch.exp(-0.5 * (dy / spread) ** 2) * strength.transpose(1, 2)
    return column @ row
