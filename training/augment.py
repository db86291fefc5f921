# SPDX-License-Identifier: Apache-2.0
"""Domain randomisation: what lies between a phantom, or the few frames of a user, and the frames of other scanners.

Every effect draws its own parameters for each frame and is applied to the share of the frames that its table says.
Grey values are never inverted, and no effect makes bone out of anything else: what looks like bone without a shadow
stays background. All of it runs on the device of the samples; `generator` must live there too.
"""
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from fields import filtered, uniform
from grabber import grab, interlace, jpeg, resample, rescale
from samples import Samples

PLAIN_SHARE = 0.25  # of the frames, which stay as they are
LEAST_PX = 20  # area below which what is left of a structure is no longer called visible
BESIDE_PX = 15  # how far beside a bone tissue is drawn in its dark, too
HIDDEN = 0.3  # share of the light below which a covered pixel is no longer labelled


def augment(samples: Samples, generator: torch.Generator, plain_share: float = PLAIN_SHARE) -> Samples:
    """New samples of the same size; structures that have left the view lose their label. Where the region of the
    ultrasound lies is no longer known."""
    images, labels = samples.images / 255, samples.labels
    changed = _draw(len(images), 1 - plain_share, generator)
    for effect, share in SCENE_EFFECTS:
        chosen = changed & _draw(len(images), share, generator)
        if effect in FROM_ABOVE and samples.is_flipped is not None:
            chosen &= ~samples.is_flipped
        rows = chosen.nonzero().flatten()
        if len(rows):
            images_out, labels_out = effect(images[rows], labels[rows], generator)
            images, labels = images.index_copy(0, rows, images_out), labels.index_copy(0, rows, labels_out)
    for effect, share in LOOK_EFFECTS:
        rows = (changed & _draw(len(images), share, generator)).nonzero().flatten()
        if len(rows):
            images = images.index_copy(0, rows, effect(images[rows], generator).clamp(0, 1))
    return Samples((255 * images).round(), _without_slivers(labels))


def _draw(n: int, share: float, generator: torch.Generator) -> Tensor:
    """Whether each of n frames is among a share of them, bool [n]."""
    return torch.rand(n, generator=generator, device=generator.device) < share


def _without_slivers(labels: Tensor) -> Tensor:
    for label in range(1, int(labels.max()) + 1 if labels.numel() else 1):
        part = labels == label
        is_small = part.sum(dim=(1, 2), keepdim=True) < LEAST_PX
        labels = labels.masked_fill(part & is_small, 0)
    return labels


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of the pixels, -1 and 1 the image's edges. [w] and [h, 1]"""
    height, width = images.shape[-2:]
    x = (2 * torch.arange(width, device=images.device) + 1) / width - 1
    y = (2 * torch.arange(height, device=images.device) + 1) / height - 1
    return x, y[:, None]


def _smooth_field(images: Tensor, n_rows: int, n_columns: int, generator: torch.Generator) -> Tensor:
    """Normal numbers on a grid, interpolated over the image; [n, 1, h, w], h or w 1 where the grid has one."""
    knots = torch.randn(len(images), 1, n_rows, n_columns, generator=generator, device=generator.device)
    size = tuple(full if n > 1 else 1 for n, full in zip((n_rows, n_columns), images.shape[-2:]))
    mode = "bicubic" if max(n_rows, n_columns) < 10 else "bilinear"
    return functional.interpolate(knots, size, mode=mode, align_corners=True)


def lines(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Fascia and septa: bright bent lines over a part of the width, where tissue shows at and below them: bone has a
    shadow, these must not."""
    x, y = _places(images)
    lit = _lit(images)
    out = images
    for _ in range(4):
        place, slope = uniform(images, -0.95, 0.7, generator), uniform(images, -0.7, 0.7, generator)
        bend, half = uniform(images, -0.5, 0.5, generator), torch.exp(uniform(images, -3, 0.2, generator))
        middle, width = uniform(images, -1, 1, generator), uniform(images, 0.004, 0.025, generator)
        dx = x - middle
        distance = (y - place - slope * dx - bend * dx * dx) / (width * torch.sqrt(1 + slope * slope))
        extent = torch.sigmoid((half - dx.abs()) * 20)
        grain = (0.8 + 0.35 * _smooth_field(images, 40, 60, generator)).clamp(0, 1.2)
        bright = uniform(images, -0.4, 1.1, generator).clamp(min=0)
        out = torch.maximum(out, lit * bright * grain * extent * torch.exp(-0.5 * distance * distance))
    return out.clamp(0, 1), labels


def bands(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Fascia, fat and tendon at a bone: bright streaked bands that leave its surface to one side, its crest more often
    than another place. They lie above the surface, where bone never is: what is labelled keeps its look."""
    x, y = _places(images)
    height, width = images.shape[-2:]
    surface, free = _above_bones(images, labels)
    has_bone, deepest = surface >= 0, surface.amax(dim=-1, keepdim=True)
    out = images
    for _ in range(3):
        lottery = torch.rand(has_bone.shape, generator=generator, device=images.device)
        is_crest = uniform(images, 0, 1, generator) < 0.5
        first = torch.where(has_bone, torch.where(is_crest, 1 - surface / height, lottery), -1).argmax(-1, keepdim=True)
        side = torch.where(uniform(images, 0, 1, generator) < 0.5, -1.0, 1.0)
        length = uniform(images, 0.15, 1.2, generator)
        last = (first + side * length * width / 2).round().long().clamp(0, width - 1)
        start, end = surface.gather(-1, first), surface.gather(-1, last)
        drop = 2 / height * (torch.where(end < 0, deepest, end) - start)
        away = side * (x - x[first])
        half = torch.exp(uniform(images, -5, -2.5, generator))
        slope, bend = drop * uniform(images, -0.3, 0.7, generator) / length, uniform(images, -0.2, 0.2, generator)
        middle = 2 * start / height - 1 - half + slope * away + bend * away * (away - length)
        distance = (y - middle).abs() / (half * torch.sqrt(1 + slope * slope))
        along = torch.sigmoid((away + 0.02) * 60) * torch.sigmoid((length - away) * 15)
        streaks = (0.8 + 0.4 * _smooth_field(images, 120, 14, generator)).clamp(0, 1.2)
        bright = uniform(images, 0, 1.3, generator)
        profile = torch.exp(-0.5 * distance ** uniform(images, 2, 6, generator))
        out = torch.maximum(out, free * bright * streaks * along * profile)
    return torch.where(has_bone.any(dim=-1, keepdim=True), out, images).clamp(0, 1), labels


def _above_bones(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The row of the uppermost labelled pixel of each column, -1 without any [n, 1, 1, w], and how freely tissue may be
    drawn, 0..1: above that row; where there is none, above a bone close by, or where tissue shows."""
    height, reach = images.shape[-2], BESIDE_PX
    is_bone = (labels > 0)[:, None]
    has_bone = is_bone.any(dim=2, keepdim=True)
    surface = torch.where(has_bone, is_bone.to(images.dtype).argmax(dim=2, keepdim=True), -1)
    window = {"kernel_size": (1, 2 * reach + 1), "stride": 1, "padding": (0, reach)}
    beside = functional.avg_pool2d(has_bone.to(images.dtype), **window)
    near = -functional.max_pool2d(-torch.where(has_bone, surface, height).to(images.dtype), **window)
    is_above = torch.arange(height, device=images.device)[:, None] < torch.where(has_bone, surface, near)
    return surface, torch.maximum(beside, _lit(images)) * is_above


def _lit(images: Tensor) -> Tensor:
    """Whether tissue shows around a pixel and below it, 0..1."""
    height, width = images.shape[-2:]
    coarse = functional.interpolate(images, (16, 12), mode="area")
    below = torch.cat([coarse[:, :, 1:], coarse[:, :, -1:]], dim=2)
    least = torch.minimum(coarse, torch.cat([below[:, :, 1:], below[:, :, -1:]], dim=2).minimum(below))
    return functional.interpolate(((least - 0.04) * 12).clamp(0, 1), (height, width), mode="bilinear")


def blobs(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ellipses that are brighter or darker than their surroundings: fat, tendon, vessels. They leave structures."""
    x, y = _places(images)
    light = torch.ones_like(images)
    for _ in range(2):
        dx, dy = x - uniform(images, -1, 1, generator), y - uniform(images, -0.9, 0.6, generator)
        turn = uniform(images, 0, math.pi, generator)
        along, across = dx * turn.cos() + dy * turn.sin(), dy * turn.cos() - dx * turn.sin()
        long, short = uniform(images, 0.05, 0.35, generator), uniform(images, 0.03, 0.15, generator)
        distance = torch.sqrt((along / long) ** 2 + (across / short) ** 2)
        inside = torch.sigmoid((1 - distance) * uniform(images, 3, 25, generator))
        light = light * torch.exp2(uniform(images, -3, 1.5, generator) * inside)
    around = functional.max_pool2d((labels > 0).to(images.dtype)[:, None], 5, stride=1, padding=2)
    return torch.where(around > 0, images, images * light).clamp(0, 1), labels


def warp(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Flip, scale, aspect, rotation, shift, keystone, an arc as of a curved array, elastic: one resampling."""
    x, y = _places(images)
    flip = torch.where(uniform(images, 0, 1, generator) < 0.5, -1.0, 1.0)
    scale = torch.exp(uniform(images, -0.25, 0.45, generator))
    aspect = torch.exp(uniform(images, -0.22, 0.22, generator))
    turn = uniform(images, -0.25, 0.25, generator)
    across = flip * (x * turn.cos() - y * turn.sin()) * aspect / scale
    down = (x * turn.sin() + y * turn.cos()) / (aspect * scale)
    across = across * (1 + uniform(images, -0.2, 0.2, generator) * down) + uniform(images, -0.35, 0.35, generator)
    arc = uniform(images, -0.2, 0.2, generator) * across * across
    down = down + arc + uniform(images, -0.3, 0.2, generator)
    elastic = uniform(images, 0, 0.035, generator)
    across = across + elastic * _smooth_field(images, 7, 6, generator)
    down = down + elastic * _smooth_field(images, 7, 6, generator)
    grid = torch.stack([across[:, 0], down[:, 0]], dim=-1)
    moved = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    moved_labels = functional.grid_sample(labels[:, None].to(images.dtype), grid, mode="nearest", align_corners=False)
    return moved, moved_labels[:, 0].to(labels.dtype)


def _cover(images: Tensor, labels: Tensor, light: Tensor, ground: Tensor) -> tuple[Tensor, Tensor]:
    """Mix the images with a ground where there is no light, and drop the labels there."""
    return ground + light * (images - ground), torch.where(light[:, 0] > HIDDEN, labels, 0)


def sector(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A fan or trapezoid on a dark ground: an apex above the image, an angle, a nearest and a farthest distance."""
    x, y = _places(images)
    apex = -1 - torch.exp(uniform(images, -1.5, 2, generator))
    centre = uniform(images, -0.15, 0.15, generator)
    distance = torch.sqrt((x - centre) ** 2 + (y - apex) ** 2)
    at_bottom = uniform(images, 0.75, 1.6, generator)
    side = (1 - apex) * (x - centre).abs() / (y - apex)
    near, far = -1 - apex + uniform(images, -0.1, 0.15, generator), 1 - apex + uniform(images, -0.35, 0.3, generator)
    inside = (side < at_bottom) & (distance > near) & (distance < far)
    ground = uniform(images, -0.1, 0.12, generator).clamp(min=0)
    return _cover(images, labels, inside.to(images.dtype), ground)


def borders(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Straight borders of one grey value on up to four sides."""
    x, y = _places(images)
    edges = [uniform(images, -0.15, 0.25, generator) for _ in range(4)]
    inside = (x > edges[0] - 1) & (x < 1 - edges[1]) & (y > edges[2] - 1) & (y < 1 - edges[3])
    ground = uniform(images, -0.2, 0.35, generator).clamp(min=0)
    return _cover(images, labels, inside.to(images.dtype), ground)


def bars(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A dark stripe from some depth down, as below a bubble or a poor contact."""
    x, y = _places(images)
    half, soft = uniform(images, 0.02, 0.3, generator), uniform(images, 0.01, 0.1, generator)
    lean = uniform(images, -0.1, 0.1, generator)
    from_edge = (x - uniform(images, -1, 1, generator) - lean * y).abs() - half
    start = uniform(images, -1.1, -0.4, generator)
    shadow = torch.sigmoid(-from_edge / soft) * torch.sigmoid((y - start) / 0.03)
    light = 1 - uniform(images, 0.5, 1, generator) * shadow
    return _cover(images, labels, light, torch.zeros_like(light))


def gain(images: Tensor, generator: torch.Generator) -> Tensor:
    """Time-gain compensation and apodisation: smooth gains over depth and width, in proportion."""
    over_depth = _smooth_field(images, 5, 1, generator) * uniform(images, 0, 0.35, generator)
    over_width = _smooth_field(images, 1, 4, generator) * uniform(images, 0, 0.2, generator)
    return images * torch.exp(over_depth + over_width + uniform(images, -0.25, 0.35, generator))


def veil(images: Tensor, generator: torch.Generator) -> Tensor:
    """Light that is added in broad patches: clutter."""
    field = _smooth_field(images, 4, 4, generator).clamp(min=0)
    return images + uniform(images, 0, 0.12, generator) * field * (1 - images)


def curve(images: Tensor, generator: torch.Generator) -> Tensor:
    """A power, then more or less contrast around a middle."""
    v = images.clamp(min=1e-4) ** torch.exp(uniform(images, -0.6, 0.8, generator))
    middle, steep = uniform(images, 0.2, 0.6, generator), uniform(images, 2, 9, generator)
    low, high = torch.sigmoid(-steep * middle), torch.sigmoid(steep * (1 - middle))
    bent = (torch.sigmoid(steep * (v - middle)) - low) / (high - low)
    return v + uniform(images, 0, 0.8, generator) * (bent - v)


def window(images: Tensor, generator: torch.Generator) -> Tensor:
    """Black below one level and white above another: rejection and saturation."""
    low, high = uniform(images, -0.06, 0.2, generator), uniform(images, 0.55, 1.1, generator)
    return ((images - low) / (high - low)).clamp(0, 1)


def blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian, of other widths along the beam and across it."""
    across = torch.exp(uniform(images, -1.2, 1.3, generator))
    along = across * torch.exp(uniform(images, -1.8, 0.2, generator))
    return filtered(filtered(images, across, -1), along, -2)


def despeckle(images: Tensor, generator: torch.Generator) -> Tensor:
    """Smooth where the grey is even, keep edges: the guided filter of He, Sun, Tang (2013), guided by the image."""
    sigma_px = uniform(images, 1.5, 5, generator)

    def mean(v: Tensor) -> Tensor:
        return filtered(filtered(v, sigma_px, -1), 0.6 * sigma_px, -2)

    centre = mean(images)
    variance = (mean(images * images) - centre * centre).clamp(min=0)
    keep = variance / (variance + uniform(images, 0.05, 0.25, generator) ** 2)
    return mean(keep) * images + mean((1 - keep) * centre)


def sharpen(images: Tensor, generator: torch.Generator) -> Tensor:
    """Edge enhancement: the difference from the blurred image once more."""
    sigma_px = uniform(images, 0.7, 4, generator)
    smooth = filtered(filtered(images, sigma_px, -1), sigma_px, -2)
    return images + uniform(images, 0.3, 2, generator) * (images - smooth)


def grain(images: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of several correlation lengths, a part of it in proportion to the light."""
    height, width = images.shape[-2:]
    field = torch.zeros_like(images)
    for cell_y, cell_x in ((1, 2), (2, 3), (2, 8), (6, 12), (16, 24)):
        weight = uniform(images, -0.6, 1, generator).clamp(min=0)
        field = field + weight * _smooth_field(images, max(2, height // cell_y), max(2, width // cell_x), generator)
    added, proportional = uniform(images, 0, 0.05, generator), uniform(images, 0, 0.3, generator)
    return images + field * (added + proportional * images)


def columns(images: Tensor, generator: torch.Generator) -> Tensor:
    """Gains of single beams, and a few dropped ones."""
    width = images.shape[-1]
    n_beams = max(2, width // 4)
    beams = torch.randn(len(images), 1, 1, n_beams, generator=generator, device=generator.device)
    fate = torch.rand(beams.shape, generator=generator, device=generator.device)
    light = 1 + beams * uniform(images, 0, 0.15, generator)
    light = torch.where(fate < uniform(images, -0.04, 0.04, generator), 0.2, light)
    return images * functional.interpolate(light, (1, width), mode="nearest")


def furniture(images: Tensor, generator: torch.Generator) -> Tensor:
    """A grey wedge near a side, as scanners show it beside the image."""
    x, y = _places(images)
    side = torch.where(uniform(images, 0, 1, generator) < 0.5, -1.0, 1.0) * uniform(images, 0.88, 0.99, generator)
    half, top = uniform(images, 0.008, 0.03, generator), uniform(images, -0.95, 0, generator)
    bottom = top + uniform(images, 0.2, 0.9, generator)
    inside = ((x - side).abs() < half) & (y > top) & (y < bottom)
    return torch.where(inside, (bottom - y) / (bottom - top), images)


FROM_ABOVE = (lines, bands)  # scene effects that take the probe to be at the top

SceneEffect = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
LookEffect = Callable[[Tensor, torch.Generator], Tensor]

# What changes or moves the scene, then what changes its look, in the order of application; (effect, share of frames).
SCENE_EFFECTS: tuple[tuple[SceneEffect, float], ...] = (
    (lines, 0.35),
    (bands, 0.35),
    (blobs, 0.35),
    (warp, 0.85),
    (bars, 0.12),
    (sector, 0.15),
    (borders, 0.1),
)
LOOK_EFFECTS: tuple[tuple[LookEffect, float], ...] = (
    (gain, 0.6),
    (veil, 0.2),
    (blur, 0.4),
    (curve, 0.6),
    (despeckle, 0.3),
    (sharpen, 0.25),
    (window, 0.4),
    (columns, 0.15),
    (grain, 0.35),
    (resample, 0.2),
    (rescale, 0.12),
    (furniture, 0.05),
    (grab, 0.2),
    (interlace, 0.06),
    (jpeg, 0.3),
)
