# SPDX-License-Identifier: Apache-2.0
"""What becomes of an image between the scanner's screen and a file: scaling, a frame grabber, compression.

images [n, 1, height, width] in 0..1; each effect draws its own parameters for each frame.
"""
import math

import torch
from torch import Tensor
from torch.nn import functional

from fields import filtered, uniform

JPEG_LUMA = torch.tensor([  # ITU-T T.81, table K.1: quantisation of luma at quality 50
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], dtype=torch.float32)


def resample(images: Tensor, generator: torch.Generator) -> Tensor:
    """Down to a lower resolution and up again: another scan converter, a screen capture, a video."""
    height, width = images.shape[-2:]
    scales = torch.exp(uniform(images, -1.2, -0.1, generator)).flatten().tolist()
    out = []
    for frame, scale in zip(images.split(1), scales):
        small = functional.interpolate(frame, (max(8, int(height * scale)), max(8, int(width * scale))),
                                       mode="bilinear", antialias=True)
        out.append(functional.interpolate(small, (height, width), mode="bilinear"))
    return torch.cat(out)


def rescale(images: Tensor, generator: torch.Generator) -> Tensor:
    """To 0.6..1.6 of its size and back, each way without a filter against aliasing or by the nearest pixel."""
    height, width = images.shape[-2:]
    scales = torch.exp(uniform(images, math.log(0.6), math.log(1.6), generator)).flatten().tolist()
    nearest = (uniform(images, 0, 1, generator) < 0.3).flatten().tolist()
    out = []
    for frame, scale, is_nearest in zip(images.split(1), scales, nearest):
        mode = "nearest" if is_nearest else "bilinear"
        other = functional.interpolate(frame, (max(8, int(height * scale)), max(8, int(width * scale))), mode=mode)
        out.append(functional.interpolate(other, (height, width), mode=mode))
    return torch.cat(out)


def grab(images: Tensor, generator: torch.Generator) -> Tensor:
    """A frame grabber on an analogue signal: blurred along the lines, ringing behind edges, a ghost, slight noise, and
    black and white that are not 0 and 1."""
    out = filtered(images, uniform(images, 0.4, 1.6, generator), -1)
    period = uniform(images, 1.5, 4, generator)
    ringing = uniform(images, -0.1, 0.5, generator).clamp(min=0)
    for k in (1, 2, 3):
        edge = images - _moved(images, -k * period)
        out = out + (-0.5) ** (k - 1) * ringing * edge / 2
    ghost = uniform(images, -0.1, 0.08, generator).clamp(min=0)
    out = out + ghost * _moved(out, -uniform(images, 4, 40, generator))
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    out = out + uniform(images, 0, 0.025, generator) * noise
    return uniform(images, -0.03, 0.06, generator).clamp(min=0) + uniform(images, 0.68, 1.05, generator) * out


def interlace(images: Tensor, generator: torch.Generator) -> Tensor:
    """Every second line as it was a moment before, when all lay up to 5 pixels to a side: a comb at steep edges. The
    other lines stay, and with them the labels."""
    before = _moved(images, uniform(images, -5, 5, generator))
    first = (uniform(images, 0, 2, generator)).floor()
    is_before = (torch.arange(images.shape[-2], device=images.device)[:, None] + first) % 2 == 0
    return torch.where(is_before, before, images)


def _moved(images: Tensor, shift_px: Tensor) -> Tensor:
    """Each frame read shift_px further right, between pixels linearly; the outermost repeat."""
    width = images.shape[-1]
    x = (torch.arange(width, device=images.device) + shift_px).clamp(0, width - 1)
    left = x.floor().long()
    values = [images.gather(-1, at.clamp(max=width - 1).expand(images.shape)) for at in (left, left + 1)]
    return values[0] + (x - left) * (values[1] - values[0])


def jpeg(images: Tensor, generator: torch.Generator) -> Tensor:
    """Quantised 8 x 8 cosine transforms at qualities 10 to 80."""
    height, width = images.shape[-2:]
    k = torch.arange(8, device=images.device, dtype=images.dtype)
    basis = torch.cos(math.pi * (2 * k + 1) * k[:, None] / 16) / 2
    basis[0] /= math.sqrt(2)
    padded = functional.pad(255 * images - 128, (0, -width % 8, 0, -height % 8), mode="replicate")
    blocks = padded.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8)).transpose(-3, -2)  # [n, 1, rows, columns, 8, 8]
    quality = uniform(images, 10, 80, generator)[..., None, None]
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    steps = (JPEG_LUMA.to(images.device) * percent / 100).round().clamp(1, 255)
    coefficients = (basis @ blocks @ basis.T / steps).round() * steps
    decoded = (basis.T @ coefficients @ basis).transpose(-3, -2).flatten(-4, -3).flatten(-2)
    return ((decoded[..., :height, :width].round() + 128) / 255).clamp(0, 1)
