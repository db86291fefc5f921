# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: a frame with what was found drawn in, and PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

# As in the overlays of `sonoseg run`.
OBJECTS = ((0, 230, 118), (255, 196, 0), (64, 156, 255), (255, 64, 129), (29, 233, 182), (255, 109, 0), (179, 136, 255),
           (205, 220, 57))
UNCERTAIN = (255, 171, 0)
SURFACE = (255, 0, 230)


def encode_png(pixels: Any) -> bytes:
    """uint8 [H, W] (grey) or [H, W, 3] (RGB) as a PNG file."""
    array = np.ascontiguousarray(pixels)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or not array.size:
        raise ValueError(f"{array.dtype} {list(array.shape)}: uint8 [H, W] and [H, W, 3] can be written as PNG")
    height, width = array.shape[:2]
    rows = np.zeros((height, 1 + array[0].size), dtype=np.uint8)
    # Filter 2, the difference to the row above, packs ultrasound and outlines well.
    flat = array.reshape(height, -1)
    rows[:, 0] = 2
    rows[0, 1:] = flat[0]
    rows[1:, 1:] = flat[1:] - flat[:-1]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if array.ndim == 2 else 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 3)) +
            chunk(b"IEND", b""))


def to_rgb(image: Any, gray16_white: int = 0) -> np.ndarray[Any, Any] | None:
    """A copy of an image as uint8 [H, W, 3]; None where its pixels are not in host memory, or are no image."""
    if image is None or getattr(image, "__cuda_array_interface__", None) is not None:
        return None
    try:
        array = np.asarray(image)
    except (TypeError, ValueError, RuntimeError):
        return None
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4) and array.shape[0] == 1:
        array = array[0]
    if array.dtype == np.uint16:
        array = (np.minimum(array.astype(np.float32) / (gray16_white or 65535), 1) * 255).astype(np.uint8)
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        return None
    if array.ndim == 2:
        array = array[:, :, None]
    rgb: np.ndarray[Any, Any] = np.array(np.broadcast_to(array[:, :, :3], (*array.shape[:2], 3)))
    return rgb


def outline_of(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The mask's pixels that touch one beyond it, or the image's border, as booleans."""
    inside = np.pad(mask > 0, 1)
    middle = inside[1:-1, 1:-1]
    eroded: np.ndarray[Any, Any] = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    outline: np.ndarray[Any, Any] = middle & ~eroded
    return outline


def draw_box(picture: np.ndarray[Any, Any], box: Iterable[float], ink: tuple[int, int, int]) -> None:
    """Mixes a rectangle's sides into the picture."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = (int(round(v)) for v in box)
    x1, x2 = max(x1, 0), min(x2, width - 1)
    y1, y2 = max(y1, 0), min(y2, height - 1)
    for part in (np.s_[y1, x1:x2 + 1], np.s_[y2, x1:x2 + 1], np.s_[y1:y2 + 1, x1], np.s_[y1:y2 + 1, x2]):
        picture[part] = (picture[part].astype(np.uint16) + np.array(ink, dtype=np.uint16)) // 2


def draw_points(picture: np.ndarray[Any, Any], points: np.ndarray[Any, Any], ink: tuple[int, int, int]) -> None:
    """Sets the pixels that points x, y lie in."""
    height, width = picture.shape[:2]
    columns, rows = np.rint(points).astype(np.int64).T
    seen = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    picture[rows[seen], columns[seen]] = ink
