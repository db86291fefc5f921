# SPDX-License-Identifier: Apache-2.0
"""Parameters and images from integer hashes: the same values here and in tests/support/synthetic.c, bit for bit.

Parameter i of tensor `name` is base + scale * u(name, i) with u in [-1, 1), a multiple of 2^-23, and scale a
power of two (or 0): every step is exact in float32 except the last sum, which rounds once.

Manifest, one line a tensor: NAME DTYPE DIMS RULE ARGUMENTS, with DIMS as AxBxC ("-" = scalar) and RULE one of
    uniform BASE LOG2SCALE   as above; LOG2SCALE "-" means scale 0
    integer VALUE            num_batches_tracked, and D-FINE's reg_scale, which is int64 in official files
    anchors STRIDES [SIZE]   logit of the grid's box centres and sizes, infinity where one is out of (0.01, 0.99);
                             SIZE is WIDTHxHEIGHT of the input, 640x640 where it is left out
    valid STRIDES [SIZE]     1 where the anchor is finite
    reciprocals COUNTS       n times 1/n for each n (deformable attention's num_points_scale)
It ends with "checksum N": the sum of the bit patterns of all elements modulo 2^64.
"""
import math

import numpy as np
import torch

IMAGE_SIZE = (640, 640)
GOLDEN_RATIO = 0x9E3779B9
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def mix(x):
    """Murmur3's finaliser, on a uint32 array."""
    x = x.astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def hashes(name, count):
    index = np.arange(count, dtype=np.uint64)
    return mix((np.uint64(fnv1a(name)) + index * np.uint64(GOLDEN_RATIO)) & np.uint64(0xFFFFFFFF))


def unit(name, count):
    return (hashes(name, count) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def uniform(name, count, base, log2_scale):
    scale = 0.0 if log2_scale is None else 2.0**log2_scale
    return np.float32(base) + np.float32(scale) * unit(name, count)


def axis(n):
    """The centres of n boxes side by side, as logits; None where one is out of (0.01, 0.99)."""
    centre = ((np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(n)).astype(float)
    return [math.log(c / (1 - c)) if 0.01 < c < 0.99 else None for c in centre]


def anchors(strides, width=IMAGE_SIZE[0], height=IMAGE_SIZE[1]):
    """D-FINE's anchors, from float32 coordinates, with the logarithm taken in double."""
    rows = []
    for level, stride in enumerate(strides):
        size = float(np.float32(0.05)) * 2**level
        size_logit = math.log(size / (1 - size))
        for y in axis(height // stride):
            for x in axis(width // stride):
                valid = x is not None and y is not None
                rows.append([x, y, size_logit, size_logit] if valid else [math.inf] * 4)
    return np.array(rows, dtype=np.float32)


def numbers(text, separator):
    return [int(number) for number in text.split(separator)]


def grid(arguments):
    """The anchors of a rule's arguments."""
    return anchors(numbers(arguments[0], ","), *(numbers(arguments[1], "x") if len(arguments) > 1 else ()))


def tensor_values(name, dims, rule, arguments):
    count = int(np.prod(dims, dtype=np.int64))
    if rule == "uniform":
        scale = None if arguments[1] == "-" else int(arguments[1])
        flat = uniform(name, count, float(arguments[0]), scale)
    elif rule == "integer":
        flat = np.full(count, int(arguments[0]), dtype=np.int64)
    elif rule == "anchors":
        flat = grid(arguments)
    elif rule == "valid":
        flat = np.isfinite(grid(arguments)[:, 0])
    elif rule == "reciprocals":
        flat = np.array([1.0 / n for n in map(int, arguments[0].split(",")) for _ in range(n)], dtype=np.float32)
    else:
        raise ValueError(rule)
    return torch.from_numpy(flat.reshape(dims))


def bits_sum(values):
    """Sum of the elements' bit patterns modulo 2^64."""
    array = values.contiguous().numpy()
    return int(array.reshape(-1).view(f"u{array.dtype.itemsize}").sum(dtype=np.uint64))


def image(width, height):
    """A grey test image: twelve soft blobs, bright and dark, a ramp and multiplicative speckle; integers only."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    value = 40 + 60 * x // width + 30 * y // height
    number = hashes("blobs", 60).astype(np.int64)
    for blob in range(12):
        a = number[5 * blob:5 * blob + 5]
        centre_x, centre_y = a[0] % width, a[1] % height
        radius = min(width, height) * (3 + a[2] % 9) // 48
        rise = (radius * radius - (x - centre_x) ** 2 - (y - centre_y) ** 2).clip(0)
        change = rise * (40 + a[3] % 120) // (radius * radius)
        value = value + change if a[4] % 3 else value - change
    speckle = (mix((x + width * y).astype(np.uint32)) >> np.uint32(25)).astype(np.int64)
    coarse = (mix((x // 7 + 4096 * (y // 5)).astype(np.uint32)) >> np.uint32(25)).astype(np.int64)
    value = value.clip(0) * (64 + speckle + coarse) // 224
    return value.clip(0, 255).astype(np.uint8)


def detector_input(n_channels=3, size=IMAGE_SIZE):
    grey = torch.from_numpy(image(*size)).float() / 255
    return grey.expand(1, n_channels, *grey.shape).contiguous()


def segmenter_input(side=1024):
    grey = torch.from_numpy(image(side, side)).float().expand(1, 3, side, side)
    return (grey - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
