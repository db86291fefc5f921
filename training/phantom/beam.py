# SPDX-License-Identifier: Apache-2.0
"""Fully developed speckle: complex Gaussian scatterers under a separable point spread function that widens away from
the focus, with depth and towards the outer beams."""
import torch
from torch import Tensor
from torch.nn import functional

from .scene import Scene
from .tissue import rows

LEAST_SIGMA_PX = 0.5
MOST_RADIUS_PX = 15
RADIUS_SIGMAS = 2.5


def make_echoes(scene: Scene, amplitude: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Real and imaginary part behind the point spread function, [n, height, width] each."""
    scanner = scene.scanner
    parts = torch.randn(2, *amplitude.shape, generator=generator, device=generator.device) * amplitude
    y_px = rows(scene)
    off_focus = y_px / scene.height_px - scanner.focus_depths
    side = 2 * (torch.arange(scene.width_px, device=y_px.device) + 0.5) / scene.width_px - 1
    lateral = scanner.sigma_lateral_mm * _columns_per_mm(scene) * torch.sqrt(
        1 + (off_focus / scanner.focus_length_depths) ** 2) * (1 + scanner.widening * side ** 4)
    axial = scanner.sigma_axial_mm * scene.px_per_mm * (1 + 0.4 * y_px / scene.height_px)
    if scene.fan is not None:
        lateral, axial = _as_the_picture_shows(scene, lateral, axial)
    parts = spread(parts, lateral, -1)
    return spread(parts, axial, -2).unbind()


def _columns_per_mm(scene: Scene) -> Tensor:
    """Across the beam, of a fan at its focus: its beam widens in proportion to the distance from the apex."""
    if scene.fan is None:
        return scene.px_per_mm
    focus_mm = scene.fan.radius_mm + scene.scanner.focus_depths * scene.scanner.depth_mm
    return 1 / (scene.fan.step_rad * focus_mm)


def _as_the_picture_shows(scene: Scene, lateral: Tensor, axial: Tensor) -> tuple[Tensor, Tensor]:
    """Spreads in px, nowhere finer than the pixels of the picture that a fan becomes."""
    fan = scene.fan
    columns_a_pixel = 1 / (fan.picture.scale_x * fan.step_rad * (fan.radius_mm + scene.depth_mm_of_rows).clamp(min=1))
    rows_a_pixel = scene.px_per_mm / fan.picture.scale_y
    return (torch.maximum(lateral, LEAST_SIGMA_PX * columns_a_pixel),
            torch.maximum(axial, LEAST_SIGMA_PX * rows_a_pixel))


def spread(parts: Tensor, sigma_px: Tensor, dim: int) -> Tensor:
    """A Gaussian of unit energy along dim whose width varies from point to point.

    Its weight at t pixels is q^(t t) with q = exp(-1 / (2 sigma^2)), so each follows from the last by products:
    q^((t+1)^2) = q^(t t) q^(2 t + 1).
    """
    sigma_px = sigma_px.clamp(min=LEAST_SIGMA_PX)
    radius = min(int(RADIUS_SIGMAS * sigma_px.max() + 1), MOST_RADIUS_PX)
    factor = torch.exp(-0.5 / sigma_px ** 2)
    square = factor * factor
    weight, energy = torch.ones_like(factor), torch.ones_like(factor)
    length = parts.shape[dim]
    padded = functional.pad(parts, (radius, radius) if dim == -1 else (0, 0, radius, radius))
    out = parts.clone()
    for t in range(1, radius + 1):
        weight.mul_(factor)
        factor.mul_(square)
        energy.addcmul_(weight, weight, value=2)
        beside = padded.narrow(dim, radius - t, length) + padded.narrow(dim, radius + t, length)
        out.addcmul_(weight.expand(parts.shape[1:]), beside)
    return out.mul_(energy.rsqrt_())
