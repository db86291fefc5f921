# SPDX-License-Identifier: Apache-2.0
"""Annotations of COCO's instance format as pixels.

Polygons [[x, y, x, y ...] ...] and boxes [x, y, width, height] are in px from the image's edge, so a pixel's centre
lies at .5. Run lengths go down the columns and start with background; as a string each is written in groups of five
bits, lowest first, in characters from '0' on whose bit 5 says that more follow, and from the fourth on as the difference
from the one before the last. Format: rleToString() in cocodataset/cocoapi common/maskApi.c @
28dffd92a2f38db538cc1bcccdc2b76f03f8ee99.
"""
import numpy as np


class CocoError(Exception):
    """What is wrong with an annotation."""


def draw_polygon(points: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """bool [H, W]: pixels whose centres lie inside a closed polygon [n, 2], by the even-odd rule."""
    x, y = points[:, 0], points[:, 1]
    x_next, y_next = np.roll(x, -1), np.roll(y, -1)
    inside = np.zeros((height_px, width_px + 1), dtype=np.uint8)
    for row in range(max(0, int(np.floor(y.min()))), min(height_px, int(np.ceil(y.max())) + 1)):
        level = row + 0.5
        crossed = (y <= level) != (y_next <= level)
        share = (level - y[crossed]) / (y_next[crossed] - y[crossed])
        crossings = x[crossed] + share * (x_next[crossed] - x[crossed])
        first_right = np.clip(np.ceil(crossings - 0.5), 0, width_px).astype(int)
        np.bitwise_xor.at(inside[row], first_right, 1)
    return np.bitwise_xor.accumulate(inside, axis=1)[:, :width_px].astype(bool)


def decode_counts(text: str) -> list[int]:
    """Run lengths from their compressed string."""
    counts, value, shift = [], 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise CocoError(f"character {character!r} in compressed run lengths")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise CocoError("compressed run lengths end within a number")
    return counts


def draw_run_lengths(segmentation: dict, height_px: int, width_px: int) -> np.ndarray:
    """bool [H, W] from {"size": [height, width], "counts": list or string}."""
    counts = segmentation.get("counts")
    counts = decode_counts(counts) if isinstance(counts, str) else counts
    if list(segmentation.get("size", ())) != [height_px, width_px]:
        raise CocoError(f"size {segmentation.get('size')}, the image has [{height_px}, {width_px}]")
    if not counts or min(counts) < 0 or sum(counts) != height_px * width_px:
        raise CocoError("run lengths that do not add up to the image")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(width_px, height_px).T


def draw_box(box: list[float], height_px: int, width_px: int) -> np.ndarray:
    """bool [H, W]: pixels whose centres lie inside."""
    x, y, width, height = box
    columns, rows = np.arange(width_px) + 0.5, np.arange(height_px)[:, None] + 0.5
    return (columns >= x) & (columns < x + width) & (rows >= y) & (rows < y + height)


def draw_annotation(annotation: dict, height_px: int, width_px: int, boxes_allowed: bool) -> np.ndarray:
    """bool [H, W]: the structure of an annotation; without segmentation its filled box, if that is allowed."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return draw_run_lengths(segmentation, height_px, width_px)
    if segmentation:
        drawn = np.zeros((height_px, width_px), dtype=bool)
        for polygon in segmentation:
            if len(polygon) < 6 or len(polygon) % 2:
                raise CocoError(f"a polygon of {len(polygon)} numbers")
            drawn |= draw_polygon(np.asarray(polygon, float).reshape(-1, 2), height_px, width_px)
        return drawn
    if not boxes_allowed:
        raise CocoError("no segmentation; a box is enough for the detector only")
    if len(annotation.get("bbox", ())) != 4:
        raise CocoError("neither segmentation nor bbox")
    return draw_box(annotation["bbox"], height_px, width_px)
