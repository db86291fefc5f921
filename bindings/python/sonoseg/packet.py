# SPDX-License-Identifier: Apache-2.0
"""The result of one frame."""

from __future__ import annotations

import enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from . import _core
from .errors import Error, Status
from .frames import Coordinates, Orientation, info_fields
from .picture import OBJECTS, SURFACE, UNCERTAIN, draw_box, draw_points, encode_png, outline_of, to_rgb

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

MapName = Literal["mask", "edge", "inside", "outside"]
MAPS: tuple[MapName, ...] = ("mask", "edge", "inside", "outside")
STAGES = _core.stage_names()

# Device types of DLPack.
CPU, CUDA = 1, 2


class State(enum.StrEnum):
    """LOST: nothing is believed to be there; VISIBLE: the outline can be believed; RELOCALIZING: it is uncertain."""

    LOST = "LOST"
    VISIBLE = "VISIBLE"
    RELOCALIZING = "RELOCALIZING"


class Object(NamedTuple):
    """One found structure. bbox_xyxy_px: in the frame's pixels; all 0 where the packet is LOST."""

    bbox_xyxy_px: tuple[float, float, float, float]
    score: float
    class_id: int
    iou_predicted: float
    mask_area_px: int


class Ledger(NamedTuple):
    """What crossed between host and device for a frame's batch; all 0 on the CPU, and in all but its first packet."""

    n_allocations: int
    n_h2d: int
    n_launches: int
    n_d2h: int
    n_waits: int
    bytes_h2d: int
    bytes_d2h: int


def stream_number(stream: Any) -> int:
    """A CUDA stream as DLPack numbers it: an int (1 = the default stream, 2 = the thread's), or an object of PyTorch
    (cuda_stream), CuPy (ptr) or the __cuda_stream__ protocol; None = the default stream."""
    if stream is None:
        return 1
    if hasattr(stream, "__cuda_stream__"):
        stream = stream.__cuda_stream__()[1]
    else:
        stream = getattr(stream, "cuda_stream", getattr(stream, "ptr", stream))
    if not isinstance(stream, int):
        raise TypeError(f"a stream is a number, or an object with cuda_stream, ptr or __cuda_stream__, not {stream!r}")
    return stream or 1


class Tensor:
    """One map of a packet for `from_dlpack()` of any framework: on a GPU where it is, else in host memory. Nothing is copied.
    What is made of it keeps the packet's memory until it is deleted; it is read-only.

    On a GPU the framework's stream is handed over: frames that reuse the memory start after the work that is on that
    stream when the tensor is deleted."""

    __slots__ = ("_packet", "_object", "_which")

    def __init__(self, packet: Packet, object_index: int, which: int) -> None:
        self._packet, self._object, self._which = packet, object_index, which

    def __dlpack_device__(self) -> tuple[int, int]:
        if self._packet.backend == "cuda":
            return CUDA, self._packet._core.device()
        return CPU, 0

    def __dlpack__(self, *, stream: Any = None, max_version: tuple[int, int] | None = None,
                   dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> Any:
        device = self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != device:
            raise BufferError(f"the map is on DLPack's device {device}, and is not copied to {tuple(dl_device)}")
        if copy:
            raise BufferError("maps are lent, not copied: copy what from_dlpack() made")
        is_versioned = max_version is not None and max_version[0] >= 1
        core = self._packet._core
        if device[0] == CPU:
            if stream is not None:
                raise BufferError("a map in host memory has no stream: pass stream=None")
            return core.map(self._object, self._which).dlpack(is_versioned)
        # -1: the consumer wants no order; the maps are complete, and the default stream's work is waited for later.
        number = 1 if stream == -1 else stream_number(stream)
        return core.dlpack(self._object, self._which, number, is_versioned)


class Packet:
    """What was found in one frame. Made by a pipeline.

    Maps are lent: an array shows the pipeline's own memory, and the pipeline cannot use it for other frames before packet and
    arrays are gone. `detach()` copies them and gives the memory back; so does the end of a `with` block, without copying.
    Everything else stays.

    frame_id, timestamp_ns, spacing_mm, pose, orientation, coordinates, device_name: as submitted.
    image, user: the image that was submitted, and the caller's own object.
    width_px, height_px: the frame's.
    region: (left, top, width, height) of what the networks saw.
    latency_ms: from submit to the result. stage_ms: by stage. device_ms: on the GPU (time_device=True).
    parts, report: what the state was decided by, where states are by frame or stream.
    """

    __slots__ = ("_core", "_detached", "image", "user", "state", "objects", "width_px", "height_px", "backend", "precision",
                 "latency_ms", "device_ms", "stage_ms", "ledger", "region", "parts", "report", "frame_id", "timestamp_ns",
                 "spacing_mm", "pose", "orientation", "coordinates", "device_name", "__weakref__")

    image: Any
    user: Any
    frame_id: int
    timestamp_ns: int
    spacing_mm: tuple[float, float] | None
    pose: Array | None
    orientation: Orientation
    coordinates: Coordinates
    device_name: str

    def __init__(self, core: _core.Packet) -> None:
        facts = core.facts()
        self._core = core
        self._detached: dict[tuple[int, int], Array] | None = None
        self.image, self.user = core.kept or (None, None)
        self.state = State(facts["state"])
        self.objects = [Object(*values) for values in facts["objects"]]
        self.width_px: int = facts["width_px"]
        self.height_px: int = facts["height_px"]
        self.backend: Literal["cpu", "cuda"] = facts["backend"]
        self.precision: Literal["fp32", "fp16"] = facts["precision"]
        self.latency_ms: float = facts["latency_ms"]
        self.device_ms: float = facts["device_ms"]
        self.stage_ms: dict[str, float] = dict(zip(STAGES, facts["stages"]))
        self.ledger = Ledger(*facts["ledger"])
        self.region: tuple[int, int, int, int] = facts["region"]
        self.parts: dict[str, int] | None = facts["parts"]
        self.report: dict[str, int] | None = facts["report"]
        for name, value in info_fields(facts["info"]).items():
            setattr(self, name, value)

    # ---- the best object

    @property
    def score(self) -> float:
        """Of the best object, [0, 1]; of the best candidate where the packet is LOST."""
        return self.objects[0].score

    @property
    def bbox_xyxy_px(self) -> tuple[float, float, float, float] | None:
        """Of the best object; None where the packet is LOST."""
        return None if self.state == State.LOST else self.objects[0].bbox_xyxy_px

    @property
    def mask(self) -> Array:
        """uint8 [height, width], 0 / 255, read-only."""
        return self.map("mask")

    @property
    def edge(self) -> Array:
        """[height, width], 0 / 1, read-only; needs weight_maps=True."""
        return self.map("edge")

    @property
    def inside(self) -> Array:
        """As edge."""
        return self.map("inside")

    @property
    def outside(self) -> Array:
        """As edge."""
        return self.map("outside")

    # ---- maps of all objects

    def map(self, name: MapName, object: int = 0) -> Array:
        """A map of an object in host memory, without a copy."""
        which = MAPS.index(name)
        if self._detached is not None:
            if (object, which) in self._detached:
                return self._detached[object, which]
            raise Error(f"the packet was detached without map '{name}' of object {object}", Status.STATE, "Packet.map")
        return np.asarray(memoryview(self._core.map(object, which)))

    def tensor(self, name: MapName = "mask", object: int = 0) -> Tensor:
        """A map of an object for `from_dlpack()`: on a GPU where it is."""
        return Tensor(self, object, MAPS.index(name))

    def __dlpack__(self, *, stream: Any = None, max_version: tuple[int, int] | None = None,
                   dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> Any:
        """The mask of the best object: see Tensor."""
        return self.tensor().__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.tensor().__dlpack_device__()

    def surface(self) -> list[Array]:
        """The ridge of the echo: lines of points, float32 [n, 2] (x, y) in pixels. Needs surface=True."""
        points, starts = self._core.surface()
        xy = np.frombuffer(points, dtype=np.float32).reshape(-1, 2)
        at = np.frombuffer(starts, dtype=np.int32)
        return [xy[a:b] for a, b in zip(at[:-1], at[1:])]

    # ---- lifetime

    @property
    def released(self) -> bool:
        """Whether maps and surface were given up."""
        return self._core.released

    def release(self) -> None:
        """Gives the maps up; arrays that still show them keep the memory until they are gone. May be called again."""
        self._core.release()

    def detach(self) -> Packet:
        """Copies the maps that are in host memory, and gives the pipeline's memory back. Returns the packet."""
        if self._detached is None:
            copies: dict[tuple[int, int], Array] = {}
            for index in range(len(self.objects)):
                for which, name in enumerate(MAPS):
                    try:
                        copies[index, which] = self.map(name, index).copy()
                    except Error as error:
                        if error.status != Status.UNSUPPORTED:
                            raise
            self.release()
            self._detached = copies
        return self

    def __enter__(self) -> Packet:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.release()

    def __reduce__(self) -> Any:
        raise TypeError("a Packet shows memory of its pipeline and cannot be pickled: pickle what you need of it, "
                        "such as packet.mask.copy()")

    # ---- pictures

    def overlay(self, image: Any = None) -> Array:
        """The frame as uint8 RGB [height, width, 3] with outline, box and surface drawn in. image: the frame, where it is not
        the one in `image`, as when that lies on a GPU; without one the outline is on black."""
        given = self.image if image is None else image
        pixels = getattr(given, "pixels", given)
        picture = to_rgb(pixels, getattr(given, "gray16_white", 0))
        if picture is None or picture.shape[:2] != (self.height_px, self.width_px):
            picture = np.zeros((self.height_px, self.width_px, 3), dtype=np.uint8)
        for index, found in enumerate(self.objects if self.state != State.LOST else []):
            ink = UNCERTAIN if self.state == State.RELOCALIZING else OBJECTS[index % len(OBJECTS)]
            draw_box(picture, found.bbox_xyxy_px, ink)
            try:
                picture[outline_of(self.map("mask", index))] = ink
            except Error as error:
                if error.status not in (Status.UNSUPPORTED, Status.STATE):
                    raise
        self._draw_surface(picture)
        return picture

    def _draw_surface(self, picture: Array) -> None:
        try:
            lines = self.surface()
        except Error:
            return
        for line in lines:
            draw_points(picture, line, SURFACE)

    def _repr_png_(self) -> bytes:
        return encode_png(self.overlay())

    def __repr__(self) -> str:
        box = self.bbox_xyxy_px
        where = "" if box is None else f", bbox ({', '.join(f'{v:.1f}' for v in box)})"
        return (f"<Packet of frame {self.frame_id}: {self.state}, score {self.score:.2f}{where}, "
                f"{self.objects[0].mask_area_px} px, {self.latency_ms:.1f} ms on {self.backend}>")
