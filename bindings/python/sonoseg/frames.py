# SPDX-License-Identifier: Apache-2.0
"""Frames, and reading them from files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal

import numpy as np

from . import _core
from .errors import Error, Status
from .picture import encode_png, to_rgb

Orientation = Literal["unknown", "MF", "MN", "UF", "UN"]
Coordinates = Literal["unknown", "RAS", "LPS"]
ORIENTATIONS: tuple[Orientation, ...] = ("unknown", "MF", "MN", "UF", "UN")
COORDINATES: tuple[Coordinates, ...] = ("unknown", "RAS", "LPS")

# What the extension takes and gives for a frame's metadata: core_info_take() in src/core.h.
InfoTuple = tuple[int, int, float, float, "tuple[float, ...] | None", int, int, bytes]


@dataclasses.dataclass(eq=False)
class Frame:
    """One image and what its source knows of it. Any of it may be unknown.

    pixels: uint8 [H, W] or [H, W, 3], or uint16 [H, W].
    name: of the file, or of the frame in it.
    timestamp_ns: when it was made, nanoseconds since 1970 UTC; 0 = unknown.
    spacing_mm: from pixel to pixel, x and y.
    pose: image to reference, 3 x 4, mm.
    gray16_white: the 16-bit value that means white; 0 = unknown.
    fields: what a recorded sequence says of the frame, text by text.
    truth: of the synthetic scanner: the mask of what it really shows, uint8 [H, W], 0 / 255.
    """

    pixels: Any
    frame_id: int = 0
    name: str = ""
    timestamp_ns: int = 0
    spacing_mm: tuple[float, float] | None = None
    pose: Any = None
    orientation: Orientation = "unknown"
    coordinates: Coordinates = "unknown"
    device_name: str = ""
    gray16_white: int = 0
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    truth: Any = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.pixels, dtype=dtype) if copy else np.asarray(self.pixels, dtype=dtype)

    def _repr_png_(self) -> bytes | None:
        picture = to_rgb(self.pixels, self.gray16_white)
        return None if picture is None else encode_png(picture)

    def _info(self) -> InfoTuple:
        x, y = self.spacing_mm or (0.0, 0.0)
        pose = None if self.pose is None else tuple(float(v) for v in np.asarray(self.pose, dtype=np.float32).ravel())
        return (self.frame_id, self.timestamp_ns, float(x), float(y), pose, ORIENTATIONS.index(self.orientation),
                COORDINATES.index(self.coordinates), self.device_name.encode())


def info_fields(info: InfoTuple) -> dict[str, Any]:
    """The metadata of a frame by the names of Frame."""
    frame_id, timestamp_ns, x, y, pose, orientation, coordinates, device = info
    return {
        "frame_id": frame_id,
        "timestamp_ns": timestamp_ns,
        "spacing_mm": (x, y) if x > 0 and y > 0 else None,
        "pose": None if pose is None else np.array(pose, dtype=np.float32).reshape(3, 4),
        "orientation": ORIENTATIONS[orientation] if 0 <= orientation < len(ORIENTATIONS) else "unknown",
        "coordinates": COORDINATES[coordinates] if 0 <= coordinates < len(COORDINATES) else "unknown",
        "device_name": device.decode(errors="replace"),
    }


class Source(Iterator[Frame]):
    """The frames of files, in order; made by `read()` and `phantom()`. Each frame has memory of its own.

    A file that cannot be read is an Error of its own: with `errors="raise"` the iteration may go on behind it, with
    `errors="skip"` it is noted in `failures`. `len()` is not known before the end; `count` is a lower bound, or None.
    One thread at a time.
    """

    def __init__(self, core: _core.Source, errors: Literal["raise", "skip"]) -> None:
        self._core = core
        self._errors = errors
        self.failures: list[Error] = []

    @property
    def count(self) -> int | None:
        """Frames as far as they are known: a file counts as one until it is opened."""
        n = self._core.count()
        return None if n < 0 else n

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> Frame:
        while True:
            try:
                found = self._core.next()
            except Error as error:
                if self._errors == "raise" or error.status in (Status.STATE, Status.OUT_OF_MEMORY):
                    raise
                self.failures.append(error)
                continue
            if found is None:
                raise StopIteration
            pixels, info, name, white, fields, truth = found
            texts = {key.decode(errors="replace"): value.decode(errors="replace") for key, value, _ in fields}
            return Frame(pixels=np.asarray(memoryview(pixels)), name=os.fsdecode(name), gray16_white=max(white, 0),
                         fields=texts, truth=None if truth is None else np.asarray(memoryview(truth)), **info_fields(info))

    def close(self) -> None:
        """Closes the files. May be called again."""
        self._core.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a Source reads open files and cannot be pickled: pass the paths on and read() there")


def read(*paths: str | os.PathLike[str], colour: bool = False, gray16_white: int | Literal["auto"] = 0,
         max_pixels: int = 0, max_side_px: int = 0, float_window: tuple[float, float] = (0.0, 0.0),
         pose_transform: str | None = None, errors: Literal["raise", "skip"] = "raise") -> Source:
    """Opens image files, folders of them and recorded sequences, in any order, and iterates over their frames.

    colour: keep RGB; otherwise colour becomes luma.
    gray16_white: the 16-bit value that means white; 0 = the file's own word; "auto" = found from the samples.
    max_pixels, max_side_px: larger images are refused before they are decoded; 0 = 9.2 million pixels, any side.
    float_window: values of float images that become black and white.
    pose_transform: of sequences: the transform that poses are taken from; None = "ImageToReference".
    errors: "raise", or "skip" what cannot be read and note it in `failures`.

    >>> import sonoseg
    >>> for frame in sonoseg.read("frames"):
    ...     print(frame.name, frame.pixels.shape, frame.pixels.dtype)
    frames/0.png (256, 320) uint8
    frames/1.png (256, 320) uint8
    """
    if errors not in ("raise", "skip"):
        raise ValueError(f"errors = {errors!r}: 'raise' and 'skip' are known")
    options = (int(colour), -1 if gray16_white == "auto" else gray16_white, max_pixels, max_side_px, *float_window,
               pose_transform)
    return Source(_core.Source(tuple(os.fsencode(path) for path in paths), options), errors)


_SHAPES = ("any", "flat", "arched", "ridge", "broken", "pair", "empty")
_GEOMETRIES = ("linear", "curvilinear", "phased", "endocavity", "any")
_MARKS = ("up", "up-mirrored", "down", "down-mirrored", "any")


def phantom(frames: int = 120, *, size: tuple[int, int] = (422, 558), sweep: int = 0, seed: int = 1, shape: str = "any",
            geometry: str = "linear", orientation: str = "up", rate_hz: float = 25.0, depth_mm: float = 0.0) -> Source:
    """Frames of the synthetic scanner (docs/phantom.md), each with its truth: something to try and to test with. The same
    options give the same pixels. size: width and height. sweep: a new anatomy every so many frames; 0 = one for all.

    >>> import sonoseg
    >>> frame = next(sonoseg.phantom(1, size=(320, 256)))
    >>> frame.pixels.shape, frame.truth.shape, round(frame.spacing_mm[0], 3)
    ((256, 320), (256, 320), 0.187)
    """
    for value, known in ((shape, _SHAPES), (geometry, _GEOMETRIES), (orientation, _MARKS)):
        if value not in known:
            raise ValueError(f"{value!r}: {', '.join(known)} are known")
    return Source(_core.phantom(size[0], size[1], frames, sweep, seed, _SHAPES.index(shape), _GEOMETRIES.index(geometry),
                                _MARKS.index(orientation), rate_hz, depth_mm), "raise")
