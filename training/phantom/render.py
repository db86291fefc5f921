# SPDX-License-Identifier: Apache-2.0
"""From echoes to grey values: shadow, contact, gain, artefacts, log compression. And the outline."""
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .beam import make_echoes
from .fan import face_echo
from .scene import N_BONES, Scene
from .texture import level, noise, step
from .tissue import crest_px, render_tissue, rows

OUTLINE_ABOVE = 0.42  # of the band, above the surface
OUTLINE_BELOW = 0.55
OUTLINE_GREY = 0.38  # displayed level below which a clinician would not draw, 1 = white
OUTLINE_LEAST_PX = 8  # area of a structure that counts as visible
SHADOW_STARTS = 0.6  # bands below the surface
NEAR_FREE_MM = 1.5  # depth to which poor contact does not reach
PENUMBRA_MOST_PX = 15


def render(scene: Scene, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Grey values 0..255 and labels, [n, height, width] each, of beams side by side: a linear probe's picture."""
    grey, outline = render_beams(scene, generator)
    return grey.round(), _labelled(rows(scene), outline)


@dataclass
class Outline:
    """Of each bone in each column: rows of the band's edges, and whether it shows there. [n, 2, columns] each"""
    top: Tensor
    bottom: Tensor
    shown: Tensor


def render_beams(scene: Scene, generator: torch.Generator) -> tuple[Tensor, Outline]:
    """Grey values 0..255, not rounded, with beams as columns and ranges as rows; and where the outline lies there."""
    scene.columns.crest = crest_px(scene)
    amplitude, specular, layers = render_tissue(scene, generator)
    gain = _gain(scene)
    if layers.gain is not None:
        gain = gain * layers.gain
    gain_at_bone = _at_bone(scene, gain)
    steady = gain * specular + _artefacts(scene, gain_at_bone)
    if layers.artefacts is not None:
        steady = steady + layers.artefacts
    intensity = _intensity(scene, gain, amplitude, steady, layers.noise_db, generator)
    if scene.n_averaged is not None:
        for k in range(1, int(scene.n_averaged.max())):
            again = _intensity(scene, gain, amplitude, steady, layers.noise_db, generator)
            intensity = torch.where(k < scene.n_averaged, (k * intensity + again) / (k + 1), intensity)
    intensity = _smoothed(intensity, scene.scanner.smoothing)
    return 255 * _displayed(scene, intensity), _outline(scene, gain_at_bone)


def _intensity(scene: Scene, gain: Tensor, amplitude: Tensor, steady: Tensor, noise_db: Tensor,
               generator: torch.Generator) -> Tensor:
    """Of the echoes at one moment: its own speckle and noise, and what does not change."""
    real, imaginary = make_echoes(scene, amplitude, generator)
    hiss = torch.randn(2, *gain.shape, generator=generator, device=generator.device) * level(noise_db)
    return (gain * real + steady + hiss[0]).square() + (gain * imaginary + hiss[1]).square()


def _at_bone(scene: Scene, plane: Tensor) -> Tensor:
    """A plane's values along each bone's surface, 0 where that is outside the image. [n, 2, width]"""
    row = scene.columns.bone.long()
    inside = row < scene.height_px
    return plane.gather(1, row.clamp(max=scene.height_px - 1)) * inside


def _gain(scene: Scene) -> Tensor:
    columns, scanner = scene.columns, scene.scanner
    y_mm = rows(scene) / scene.px_per_mm
    ripple_db = scanner.ripple_db * (2 * noise(scene.lattice, 3.5, y_mm * 0.12) - 1)
    depth_gain = level(ripple_db - scanner.loss_db / scanner.depth_mm * y_mm)
    reached = step(0.3 * NEAR_FREE_MM, 2 * NEAR_FREE_MM, y_mm)
    gain = depth_gain * columns.streak * (1 + reached * (columns.contact - 1))
    shade, haze = _shade(scene)
    dark = level(-scene.echo.shadow_db)
    return gain * (1 - shade * (1 - (dark + haze).clamp(max=1)))


def _shade(scene: Scene) -> tuple[Tensor, Tensor]:
    """Share of the beam that bone takes, with its penumbra, and the haze below."""
    columns, echo = scene.columns, scene.echo
    opaque = glow = torch.zeros((), device=scene.lattice.device)
    for b in range(N_BONES):
        edge = columns.bone[:, b:b + 1] + SHADOW_STARTS * scene.band_px / columns.cosine[:, b:b + 1]
        below = rows(scene) - edge
        fade = below / (echo.haze_mm * scene.px_per_mm).clamp(min=1)
        glow = torch.maximum(glow, torch.where(below > 0, level(echo.haze_db) / (1 + fade * (1 + fade)), 0.0))
        opaque = torch.maximum(opaque, torch.where(below > 0, columns.present[:, b:b + 1], 0.0))
    return _blurred_by_depth(scene, opaque), glow


def _blurred_by_depth(scene: Scene, plane: Tensor) -> Tensor:
    """Mean over 2 w + 1 columns, w growing with depth; outermost columns repeat."""
    most = PENUMBRA_MOST_PX
    half = (1 + scene.echo.penumbra * rows(scene)).clamp(max=most).long()
    running = functional.pad(plane, (most + 1, most), mode="replicate").cumsum(dim=-1)
    x = torch.arange(scene.width_px, device=plane.device)
    right, left = (x + most + 1 + half), (x + most - half)
    mean = (running.gather(-1, right) - running.gather(-1, left)) / (2 * half + 1)
    return mean.clamp(0, 1)


def _artefacts(scene: Scene, gain_at_bone: Tensor) -> Tensor:
    """Echoes that no shadow hides: the probe's ringing near the skin, and each bone once more at twice its depth."""
    columns, tissue = scene.columns, scene.tissue
    y_mm = rows(scene) / scene.px_per_mm
    x_mm = scene.across_mm + scene.probe_mm
    ringing = level(tissue.near_db) * torch.exp(-y_mm / tissue.near_mm) * (
        0.55 + 0.45 * torch.cos(2 * math.pi * y_mm / tissue.near_period_mm))
    echo = ringing * (0.4 + 1.2 * noise(scene.lattice, x_mm * 0.08, y_mm * 2.3))
    if scene.fan is not None:
        echo = echo + face_echo(scene.fan, y_mm) * (0.7 + 0.6 * noise(scene.lattice, x_mm * 0.3, 57.5))
    strength = level(scene.echo.reverb_db) * columns.cosine * columns.rough * columns.streak
    strength = strength * columns.echo * gain_at_bone
    for b in range(N_BONES):
        distance = (rows(scene) - 2 * columns.bone[:, b:b + 1]) * columns.cosine[:, b:b + 1] / (0.5 * scene.band_px)
        echo = echo + strength[:, b:b + 1] * torch.exp(-0.5 * distance * distance)
    return echo


def _smoothed(intensity: Tensor, share: Tensor) -> Tensor:
    """Mixed with its own 1 2 1 filter in both directions."""
    padded = functional.pad(intensity, (1, 1, 1, 1), mode="replicate")
    tall = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    filtered = (tall[..., :-2] + 2 * tall[..., 1:-1] + tall[..., 2:]) / 16
    return intensity + share * (filtered - intensity)


def _displayed(scene: Scene, intensity: Tensor) -> Tensor:
    """Gain, log compression and contrast curve: 0..1."""
    scanner = scene.scanner
    v = (1 + (scanner.gain_db + 10 * torch.log10(intensity + 1e-12)) / scanner.range_db).clamp(0, 1)
    return v * (1 - scanner.curve + scanner.curve * v)


def _outline(scene: Scene, gain_at_bone: Tensor) -> Outline:
    """The bright band where it shows."""
    columns, band = scene.columns, scene.band_px * scene.columns.thick
    shown = _displayed(scene, (columns.drawn * gain_at_bone) ** 2) >= OUTLINE_GREY
    top = torch.maximum(columns.bone - OUTLINE_ABOVE * band / columns.cosine, columns.crest - OUTLINE_ABOVE * band)
    return Outline(top, columns.bone + OUTLINE_BELOW * band / columns.cosine, shown)


def _labelled(y_px: Tensor, outline: Outline) -> Tensor:
    """Labels of an image whose columns are the outline's."""
    first, last = (outline.top + 0.5).floor(), (outline.bottom + 0.5).floor()
    return numbered([outline.shown[:, b:b + 1] & (y_px >= first[:, b:b + 1]) & (y_px <= last[:, b:b + 1])
                     for b in range(N_BONES)])


def numbered(found: list[Tensor]) -> Tensor:
    """Labels of what each bone covers: structures of few pixels are dropped, the others numbered from 1."""
    found[0] = found[0] & ~found[1]
    visible = torch.stack([part.sum(dim=(1, 2)) >= OUTLINE_LEAST_PX for part in found], dim=1)
    numbers = (visible.cumsum(dim=1) * visible).to(torch.uint8)
    return found[0] * numbers[:, 0, None, None] + found[1] * numbers[:, 1, None, None]
