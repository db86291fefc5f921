# SPDX-License-Identifier: Apache-2.0
"""How strongly each point scatters (amplitude, speckles) and reflects (specular), before beam, shadow and gain."""
import torch
from torch import Tensor

from .look_alikes import lay_look_alikes
from .plane import Layers
from .scene import N_BONES, Scene
from .texture import LARGE, level, noise, step

LINE_MM = 0.16  # spread of a fascia's echo
BONE_LEAD = 0.22  # spread of a bone's echo above its surface, in bands
BONE_TAIL = 0.42  # and below
COHERENT = 0.7
DIFFUSE = 0.4
FREE_MM = 3.0  # distance from a bone at which a fascia is whole


def render_tissue(scene: Scene, generator: torch.Generator) -> tuple[Tensor, Tensor, Layers]:
    """Amplitude and specular part, [n, height, width] each, and what look-alikes change beside them."""
    layers = lay_look_alikes(scene, _texture(scene), _fasciae(scene), generator)
    surfaces = layers.echoes
    for b in range(N_BONES):
        surfaces = torch.maximum(surfaces, _bone(scene, b))
    return torch.maximum(layers.tissue, DIFFUSE * surfaces), COHERENT * surfaces, layers


def _texture(scene: Scene) -> Tensor:
    """Skin, fat and two muscles. Each pixel lies in one of them, so one noise serves all three."""
    tissue, lattice, mm = scene.tissue, scene.lattice, 1 / (scene.px_per_mm * scene.grain)
    skin_edge, fat_edge, muscle_edge = scene.columns.layer.split(1, dim=1)
    y_px = rows(scene)
    x_mm = scene.place_mm / scene.grain
    is_deep, is_muscle, is_skin = y_px >= muscle_edge, y_px >= fat_edge, y_px < skin_edge
    below_mm = (y_px - torch.where(is_deep, muscle_edge, fat_edge)) * mm
    drift = torch.where(is_deep, scene.drift + 100, scene.drift)
    angle = tissue.fibre_angle
    cosine = torch.where(is_deep, angle[:, 1:].cos(), angle[:, :1].cos())
    sine = torch.where(is_deep, angle[:, 1:].sin(), angle[:, :1].sin())
    along, across = x_mm * cosine + below_mm * sine, below_mm * cosine - x_mm * sine

    first_x = torch.where(is_muscle, 0.22 * along, torch.where(is_skin, 0.05 * x_mm, 0.13 * x_mm))
    first_y = torch.where(is_muscle, 2.1 * across + drift,
                          torch.where(is_skin, 3 * mm * y_px, 1.5 * below_mm + 77))
    fine = noise(lattice, first_x, first_y)
    patch = noise(lattice, x_mm * 0.16 + 17, below_mm * 0.2 + drift)
    coarse = noise(lattice, (along + 5 * patch) / tissue.septa_mm + drift,
                   2 * (across + 0.75 * fine - 3 * patch) / tissue.septa_mm + 64)
    ridge = (1 - (2 * coarse - 1).abs()).square().square().square()
    fibres = 0.15 + 4 * tissue.fibre * fine.square().square() + 2 * tissue.septa * ridge * patch
    muscle = level(tissue.muscle_db) * torch.where(is_deep, 10 ** -0.15, 1.0) * fibres * (0.1 + 3 * patch * patch)
    fat = level(tissue.fat_db) * (0.3 + 2.2 * fine ** 3)
    skin = level(tissue.skin_db) * (0.5 + fine)
    return torch.where(is_muscle, muscle, torch.where(is_skin, skin, fat))


def rows(scene: Scene) -> Tensor:
    """Depth of each row in px. [height, 1]"""
    return torch.arange(scene.height_px, device=scene.lattice.device, dtype=torch.float32)[:, None]


def _fasciae(scene: Scene) -> Tensor:
    tissue, columns = scene.tissue, scene.columns
    x_mm = (scene.across_mm + scene.probe_mm) / scene.grain
    number = torch.arange(3, device=x_mm.device).reshape(1, 3, 1)
    patchy = noise(scene.lattice, x_mm * 0.25, 200.5 + number)
    strength = level(tissue.line_db) * (0.15 + 1.5 * patchy * patchy)
    to_bone_mm = (columns.bone - columns.layer[:, 2:]) / scene.px_per_mm
    free = step(1.0, FREE_MM, to_bone_mm).prod(dim=1, keepdim=True)
    strength = torch.where(number == 2, strength * free, strength)
    spread_px = (LINE_MM * scene.grain * scene.px_per_mm * torch.where(number == 0, 0.7, 1.0)).clamp(min=0.6)
    echo = torch.zeros((), device=x_mm.device)
    for k in range(3):
        distance = (rows(scene) - columns.layer[:, k:k + 1]) / spread_px[:, k:k + 1]
        echo = torch.maximum(echo, strength[:, k:k + 1] * torch.exp(-0.5 * distance * distance))
    return echo


def crest_px(scene: Scene) -> Tensor:
    """Depth of each bone's highest point within a band's width of each column: nothing of its echo is further above
    than it would be there, however steep the flank. [n, 2, width]"""
    columns = scene.columns
    band = scene.band_columns
    reach = int(band.max())
    depth = torch.where(columns.echo > 0, columns.bone, LARGE)
    beside = torch.nn.functional.pad(depth, (reach, reach), value=LARGE).unfold(-1, 2 * reach + 1, 1)
    offset = torch.arange(-reach, reach + 1, device=depth.device).abs()
    nearest = torch.where(offset <= band[..., None], beside, LARGE).amin(dim=-1)
    return torch.minimum(nearest, columns.bone)


def _bone(scene: Scene, b: int) -> Tensor:
    columns = scene.columns
    below = (rows(scene) - columns.bone[:, b:b + 1]) * columns.cosine[:, b:b + 1]
    above = torch.minimum(below, rows(scene) - columns.crest[:, b:b + 1])
    distance = torch.where(below < 0, above / BONE_LEAD, below / BONE_TAIL)
    distance = distance / (scene.band_px * columns.thick[:, b:b + 1])
    return columns.echo[:, b:b + 1] * columns.rough * torch.exp(-0.5 * distance * distance)
