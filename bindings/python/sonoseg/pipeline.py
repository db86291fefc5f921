# SPDX-License-Identifier: Apache-2.0
"""Frames in, packets out."""

from __future__ import annotations

import asyncio
import atexit
import collections
import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

import numpy as np

from . import _core, models
from .errors import Error, Status
from .frames import COORDINATES, ORIENTATIONS, Coordinates, Frame, Orientation
from .packet import CPU, Packet, stream_number

ModelFile = str | os.PathLike[str] | None
Prompt = tuple[Sequence[float] | None, Sequence[tuple[float, float] | tuple[float, float, int]]]
WaitResult = Literal["ready", "woken", "timeout"]

_PRECISIONS = {"auto": -1, "fp32": 0, "fp16": 1}
_FAMILIES = {"auto": 0, "dfine": 1, "deim": 2}
_MAP_DTYPES = {"uint8": 0, "float32": 1}
_STATES = {"score": 0, "frame": 1, "stream": 2}
_WAITS: dict[int, WaitResult] = {1: "ready", 2: "woken", 3: "timeout"}
_HOST_DEVICES = (CPU, 3)


def _choose(name: str, value: str, known: Mapping[str, int]) -> int:
    if value not in known:
        raise ValueError(f"{name} = {value!r}: {', '.join(map(repr, known))} are known")
    return known[value]


def _model_paths(detector: ModelFile, segmenter: ModelFile, device: str) -> dict[str, bytes]:
    """Paths by the names of the configuration; None leaves a network out."""
    paths = {}
    backend: Literal["cpu", "cuda"] | None = None
    for role, given in (("detector", detector), ("segmenter", segmenter)):
        if given == "shipped":
            backend = backend or _core.device_backend(device.encode())
            given = models.find("detector" if role == "detector" else "segmenter", backend)
        if given is not None:
            paths[role + "_path"] = os.fsencode(given)
    return paths


def _prompt_tuples(prompts: Sequence[Prompt] | None) -> tuple[Any, ...] | None:
    if prompts is None:
        return None
    return tuple((tuple(float(v) for v in box) if box is not None else (0.0,) * 4,
                  tuple((float(p[0]), float(p[1]), int(p[2]) if len(p) > 2 else 1) for p in points))
                 for box, points in prompts)


def _take_capsule(image: Any, stream: int | None) -> Any:
    """image.__dlpack__() of protocol 1.0, or of the one before."""
    order = {} if stream is None else {"stream": stream}
    try:
        return image.__dlpack__(max_version=(1, 0), **order)
    except TypeError:
        return image.__dlpack__(**order)


_open_pipelines: weakref.WeakSet[Pipeline] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for pipeline in list(_open_pipelines):
        pipeline.close()


class Pipeline:
    """Detector and segmenter on one device. Opening reads the models, plans all memory and runs one frame.

    detector, segmenter: checkpoints (.safetensors, .pth, .pt); "shipped" = those of the package sonoseg-models; None
        leaves the network out: without a detector frames come with prompts, without a segmenter packets have boxes only.
    device: "auto", "cpu", "cuda" or "cuda:N". precision: "auto", "fp32" or "fp16".
    threads: CPU threads; 0 = every core.
    threshold: a score below it is LOST.
    max_size: the largest frame, width and height in pixels.
    slots: batches in flight or lent. batch: frames computed at once.
    weight_maps: make edge, inside and outside, as map_dtype "uint8" or "float32".
    host_maps: False leaves maps on the GPU, where `Packet.tensor()` lends them.
    min_piece_share, bridge_share, surface: pieces of masks that stay, gaps that are closed, the ridge of the echo; None =
        0.02, 0.15 and True with the shipped segmenter, else off.
    states: "score", "frame" or "stream"; state_rules: see docs/state.md.
    region: what the networks see: (left, top, width, height), "find", or None for the whole frame.
    on_event: called with a dict for each KPI event, on a thread of the library; it must not call the pipeline.

    Any thread may submit, wake, shut down and close; one at a time waits or receives. Waiting and computing do not hold the
    interpreter's lock. Errors are `sonoseg.Error`.

    >>> import sonoseg
    >>> with sonoseg.Pipeline() as pipeline:
    ...     for packet in pipeline.run(sonoseg.read("frames")):
    ...         print(packet.state, packet.mask.shape, packet.mask.dtype)
    VISIBLE (256, 320) uint8
    VISIBLE (256, 320) uint8
    """

    def __init__(self, detector: ModelFile = "shipped", segmenter: ModelFile = "shipped", *, device: str = "auto",
                 precision: str = "auto", threads: int = 0, threshold: float = 0.30, max_objects: int = 1,
                 max_size: tuple[int, int] = (1920, 1200), slots: int = 4, batch: int = 1, weight_maps: bool = False,
                 edge_width_px: int = 3, outside_width_px: int = 5, map_dtype: str = "uint8", host_maps: bool = True,
                 surface: bool | None = None, states: str = "score", state_rules: Mapping[str, int] | None = None,
                 detect_every: int = 1, region: tuple[int, int, int, int] | Literal["find"] | None = None,
                 min_piece_share: float | None = None, bridge_share: float | None = None, gray16_white: int = 65535,
                 prompt_points: int = 0, prompt_boxes: bool = True, detector_size: tuple[int, int] = (0, 0),
                 segmenter_size: int = 0, detector_family: str = "auto", skip_decoder_when_lost: bool = False,
                 time_stages: bool = True, time_device: bool = False,
                 on_event: Callable[[dict[str, Any]], object] | None = None) -> None:
        # What suits the shipped segmenter, as `sonoseg run` has it; nothing is done to masks of others unasked.
        is_shipped = segmenter == "shipped"
        min_piece_share = (0.02 if is_shipped else 0.0) if min_piece_share is None else min_piece_share
        bridge_share = (0.15 if is_shipped else 0.0) if bridge_share is None else bridge_share
        surface = is_shipped if surface is None else surface
        settings: dict[str, Any] = {
            **_model_paths(detector, segmenter, device), "device": device.encode(),
            "precision": _choose("precision", precision, _PRECISIONS), "n_threads": threads, "threshold": threshold,
            "max_objects": max_objects, "max_width_px": max_size[0], "max_height_px": max_size[1], "n_slots": slots,
            "batch": batch, "want_weight_maps": int(weight_maps), "edge_width_px": edge_width_px,
            "outside_width_px": outside_width_px, "map_dtype": _choose("map_dtype", map_dtype, _MAP_DTYPES),
            "host_maps": int(host_maps), "want_surface": int(surface), "state_mode": _choose("states", states, _STATES),
            "detect_every": detect_every, "find_region": int(region == "find"), "min_piece_share": min_piece_share,
            "bridge_share": bridge_share, "gray16_white": gray16_white, "prompt_points": prompt_points,
            "prompt_boxes": int(prompt_boxes), "detector_width_px": detector_size[0],
            "detector_height_px": detector_size[1], "segmenter_size_px": segmenter_size,
            "detector_family": _choose("detector_family", detector_family, _FAMILIES),
            "skip_decoder_when_lost": int(skip_decoder_when_lost), "time_stages": int(time_stages),
            "time_device": int(time_device),
        }
        if isinstance(region, str) and region != "find":
            raise ValueError(f"region = {region!r}: 'find', (left, top, width, height) and None are known")
        if region is not None and region != "find":
            settings["region"] = tuple(region)
        if state_rules is not None:
            settings["state_rules"] = dict(state_rules)
        self._core = _core.Pipeline(settings, on_event)
        self._in_flight_most = max(1, slots - 1) * batch
        self._lock = threading.Lock()
        self._next_id = 0
        self._n_open = 0 # submitted, and not received
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None], int] | None = None
        _open_pipelines.add(self)

    # ---- frames in

    def submit(self, image: Any, *, frame_id: int | None = None, timestamp_ns: int = 0,
               spacing_mm: tuple[float, float] | None = None, pose: Any = None, orientation: Orientation = "unknown",
               coordinates: Coordinates = "unknown", device_name: str = "", gray16_white: int = 0,
               prompts: Sequence[Prompt] | None = None, stream: Any = None, user: Any = None) -> None:
        """Takes a frame and returns at once; Error with status AGAIN where every slot is taken.

        image: a Frame, an array or buffer in host memory (copied: uint8 [H, W], [H, W, 3] RGB or [H, W, 4], uint16 [H, W]),
            or a tensor of PyTorch, CuPy, ... that exports DLPack. One on the pipeline's GPU is not copied, and must not change
            until its packet was received.
        stream: of a tensor on a GPU: its pixels are complete after the work that is on it; an int or a stream of PyTorch
            or CuPy. None = the framework's current stream, as DLPack's producers see to it.
        gray16_white: the 16-bit value that means white; 0 = the pipeline's.
        prompts: without a detector: (box or None, points) for each object; a point is (x, y) or (x, y, label).
        user: comes back as `packet.user`. frame_id: counts from 0 if not given.
        """
        own = image if isinstance(image, Frame) else None
        pixels = own.pixels if own else image
        if own is not None:
            info, gray16_white = own._info(), gray16_white or own.gray16_white
        else:
            with self._lock:
                number = self._next_id if frame_id is None else frame_id
                self._next_id = number + 1
            info = Frame(None, number, "", timestamp_ns, spacing_mm, pose, _known(orientation, ORIENTATIONS),
                         _known(coordinates, COORDINATES), device_name)._info()
        kept = (image, user)
        with self._lock:
            self._n_open += 1
        try:
            if hasattr(pixels, "__dlpack__") and not isinstance(pixels, np.ndarray):
                self._submit_tensor(pixels, info, stream, kept, gray16_white, prompts)
            else:
                self._core.submit(pixels, info, gray16_white, _prompt_tuples(prompts), kept)
        except BaseException:
            self._received()
            raise

    def _submit_tensor(self, pixels: Any, info: tuple[Any, ...], stream: Any, kept: object, gray16_white: int,
                       prompts: Sequence[Prompt] | None) -> None:
        on_host = int(pixels.__dlpack_device__()[0]) in _HOST_DEVICES
        if prompts is None and not gray16_white:
            number = None if on_host else stream_number(stream)
            self._core.submit_dlpack(_take_capsule(pixels, number), info, number or 0, kept)
        elif on_host:
            self._core.submit(np.from_dlpack(pixels), info, gray16_white, _prompt_tuples(prompts), kept)
        else:
            raise Error("prompts and gray16_white of a frame come with images in host memory: copy the tensor there, or give "
                        "gray16_white when the pipeline is opened", Status.UNSUPPORTED, "Pipeline.submit")

    def flush(self) -> None:
        """Starts a batch that is not full."""
        self._core.flush()

    def shutdown(self) -> None:
        """The end of the stream: frames in flight are finished, none is taken any more, and iterations end."""
        self._core.shutdown()

    def reset_stream(self) -> None:
        """The next frame begins a new stream (states="stream")."""
        self._core.reset_stream()

    # ---- packets out

    def _received(self) -> None:
        with self._lock:
            self._n_open -= 1

    def receive(self) -> Packet:
        """Waits for the oldest frame in flight. Error with status END where there is none; use `wait()` to wait for frames
        that other threads submit."""
        try:
            core = self._core.receive()
        except Error as error:
            if error.status == Status.DEVICE:
                self._received()
            raise
        self._received()
        return Packet(core)

    def wait(self, timeout: float | None = None) -> WaitResult:
        """Waits until `receive()` would not: "ready"; "woken" after `wake()`; "timeout" after so many seconds. Error with status
        END after a shutdown, once every packet was received."""
        return _WAITS[self._core.wait(-1 if timeout is None else max(0, round(timeout * 1e9)))]

    def wake(self) -> None:
        """Ends the wait, or the next one, and an iteration, of whatever thread."""
        self._core.wake()

    def __call__(self, image: Any, **options: Any) -> Packet:
        """One frame, waited for: `submit()` with its options, and `receive()`."""
        if self._n_open:
            raise Error(f"{self._n_open} frames are in flight: receive them first, or use submit() and receive()",
                        Status.STATE, "Pipeline.__call__")
        self.submit(image, **options)
        self.flush()
        return self.receive()

    def run(self, frames: Iterable[Any], *, detach: bool = False) -> Iterator[Packet]:
        """Packets of frames, in order, with as many frames in flight as there are slots but one. Drop a packet before the next
        one, or `detach` them: each that is kept keeps a slot. Anything that `submit()` takes may be a frame."""
        waiting: collections.deque[Any] = collections.deque(maxlen=1)
        source = iter(frames)
        n, more = 0, True
        try:
            while True:
                n, more = self._fill(source, waiting, n, more)
                if n == 0 and not waiting:
                    return
                if n == 0:
                    raise Error("every slot's packet is kept: drop packets, detach() them or run(frames, detach=True), or open "
                                "the pipeline with more slots", Status.AGAIN, "Pipeline.run")
                n -= 1
                packet = self.receive()
                yield packet.detach() if detach else packet
                del packet
        finally:
            self._drop(n)

    def _fill(self, source: Iterator[Any], waiting: collections.deque[Any], n: int, more: bool) -> tuple[int, bool]:
        """Submits until enough frames are in flight; what found no slot waits."""
        while n < self._in_flight_most:
            if not waiting:
                try:
                    waiting.append(next(source))
                except StopIteration:
                    self.flush()
                    return n, False
            try:
                self.submit(waiting[0])
            except Error as error:
                if error.status == Status.AGAIN:
                    break
                raise
            waiting.clear()
            n += 1
        return n, more

    def _drop(self, n: int) -> None:
        """Receives n packets for nobody, when an iteration is given up."""
        if n == 0 or self.closed:
            return
        self.flush()
        for _ in range(n):
            try:
                self.receive().release()
            except Error:
                return

    def __iter__(self) -> Iterator[Packet]:
        """Packets as they come, of frames that others submit, until `shutdown()` or `wake()`."""
        while True:
            try:
                if self.wait() != "ready":
                    return
            except Error as error:
                if error.status == Status.END:
                    return
                raise
            yield self.receive()

    # ---- asyncio

    async def wait_async(self, timeout: float | None = None) -> WaitResult:
        """As `wait()`, for a running event loop, which goes on meanwhile."""
        end = None if timeout is None else time.monotonic() + timeout
        result = self.wait(0)
        while result == "timeout":
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            await self._readable(left)
            result = self.wait(0)
        return result

    async def _readable(self, timeout: float | None) -> None:
        if self._waiter:
            raise Error("another task is waiting for packets: only one may", Status.STATE, "Pipeline.wait_async")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        event_fd = self._core.event_fd()
        self._waiter = (loop, future, event_fd)
        loop.add_reader(event_fd, lambda: None if future.done() else future.set_result(None))
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            pass
        finally:
            if self._waiter:
                self._waiter = None
                loop.remove_reader(event_fd)

    async def receive_async(self) -> Packet:
        """The next packet; waits for frames that other tasks or threads submit. Error with status END after a shutdown."""
        while await self.wait_async() != "ready":
            pass
        return self.receive()

    async def __aiter__(self) -> AsyncIterator[Packet]:
        """As `__iter__()`."""
        while True:
            try:
                if await self.wait_async() != "ready":
                    return
            except Error as error:
                if error.status == Status.END:
                    return
                raise
            yield self.receive()

    # ---- facts, and the end

    @property
    def info(self) -> dict[str, Any]:
        """backend, precision, n_threads, detector, segmenter, detector_family, and bytes of parameters, plan and slots."""
        return self._core.facts()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._core.closed

    def close(self) -> None:
        """Ends waits of other threads, finishes and drops frames in flight, and closes. Packets and arrays that are lent stay
        valid. May be called again."""
        waiter, self._waiter = self._waiter, None
        if waiter:
            loop, future, event_fd = waiter
            loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(None))
            loop.remove_reader(event_fd)
        self._core.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a Pipeline holds a device and threads and cannot be pickled: open one in each process")

    def __repr__(self) -> str:
        if self.closed:
            return "<Pipeline, closed>"
        info = self.info
        return f"<Pipeline of {info['detector']} and {info['segmenter']} on {info['backend']}, {info['precision']}>"


def _known(value: Any, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise ValueError(f"{value!r}: {', '.join(map(repr, known))} are known")
    return value
