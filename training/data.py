# SPDX-License-Identifier: Apache-2.0
"""Where the frames of a training come from: phantoms, a folder of images and masks, a COCO file, or a mixture.

A source has draw(n) -> Samples. Own frames are read once, brought to one size and kept in memory as bytes.
"""
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from coco import CocoError, draw_annotation
from phantom import CHUNK_GPU, TRAINING, Format, Phantom, Ranges
from samples import Samples, join

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg"}
GREY_MODES = {"1", "L", "P"}
LARGEST_SIDE_PX = 1024
LARGEST_LABEL = 255
POOL_FRAMES = 1024
N_READERS = 4


class DataError(Exception):
    """What is wrong with a labelled set, and in which file."""


class Interleaver:
    """Numbers 0 .. n - 1 in random order, again and again."""

    def __init__(self, n: int, generator: torch.Generator):
        self._n, self._generator, self._left = n, generator, torch.zeros(0, dtype=torch.int64)

    def next(self, n: int) -> torch.Tensor:
        while len(self._left) < n:
            self._left = torch.cat((self._left, torch.randperm(self._n, generator=self._generator)))
        chosen, self._left = self._left[:n], self._left[n:]
        return chosen


class PhantomSource:
    """Phantoms that are drawn as they are needed.

    reuse: how often each is handed out on average. Above 1 a pool of the latest 1024 is kept, which is renewed as fast
    as makes that average, on a GPU a chunk at a time: where drawing takes a good part of a step.
    """

    def __init__(self, seed: int, device: str | torch.device = "cpu", reuse: float = 1.0, height_px: int = 558,
                 width_px: int = 422, ranges: Ranges = TRAINING):
        self._phantom = Phantom(height_px, width_px, ranges, seed, device)
        self._reuse = reuse
        self._generator = torch.Generator().manual_seed(seed)
        self._pool: Samples | None = None  # images as bytes
        self._owed = 0.0
        self._oldest = 0
        self._at_once = CHUNK_GPU if torch.device(device).type == "cuda" else 1

    def draw(self, n: int) -> Samples:
        if self._reuse <= 1:
            return self._phantom.draw(n)
        if self._pool is not None:
            self._owed += n / self._reuse
            n_new = int(self._owed) // self._at_once * self._at_once
            self._owed -= n_new
        else:
            n_new = n
        if n_new:
            self._keep(self._phantom.draw(n_new))
        rows = torch.randperm(len(self._pool), generator=self._generator)[:n].to(self._pool.labels.device)
        chosen = self._pool.rows(rows)
        return replace(chosen, images=chosen.images.float())

    def _keep(self, fresh: Samples) -> None:
        """Appends until the pool is full, then puts the fresh ones in the place of the oldest."""
        fresh = replace(fresh, images=fresh.images.round().to(torch.uint8))
        if self._pool is None or len(self._pool) < POOL_FRAMES:
            self._pool = fresh if self._pool is None else join([self._pool, fresh])
            return
        rows = (torch.arange(len(fresh), device=fresh.labels.device) + self._oldest) % len(self._pool)
        self._pool.put(rows, fresh)
        self._oldest = (self._oldest + len(fresh)) % len(self._pool)


class FormatSource:
    """Phantoms of several sizes, a batch of one size; a pool (PhantomSource) for each."""

    def __init__(self, formats: Sequence[Format], seed: int, device: str | torch.device = "cpu", reuse: float = 1.0):
        self._sources = [PhantomSource(seed + i, device, reuse, kind.height_px, kind.width_px, kind.ranges)
                         for i, kind in enumerate(formats)]
        self._shares = [kind.share for kind in formats]
        self._dice = random.Random(seed)

    def draw(self, n: int) -> Samples:
        return self._dice.choices(self._sources, self._shares)[0].draw(n)

    def draw_each(self, n: int) -> list[Samples]:
        """About n frames in all, of each size according to its share, one at least."""
        return [source.draw(max(1, round(n * share))) for source, share in zip(self._sources, self._shares)]


@dataclass(frozen=True)
class Store:
    """Own frames in memory: images uint8 [N, 1, H, W], labels uint8 [N, H, W], in the order of their names."""
    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def samples(self, rows) -> Samples:
        return Samples(self.images[rows].float(), self.labels[rows])

    def split(self, last_share: float) -> "tuple[Store, Store]":
        """The first frames, and the last share: neighbours in a sweep stay on the same side. Both have a frame."""
        n_last = min(max(1, round(last_share * len(self))), len(self) - 1)
        if n_last < 1:
            raise DataError("one labelled frame cannot be split into training and validation; give two or more")
        return Store(self.images[:-n_last], self.labels[:-n_last]), Store(self.images[-n_last:], self.labels[-n_last:])


class StoreSource:
    """The frames of a store in random order, each once before any comes twice."""

    def __init__(self, store: Store, seed: int):
        self._store = store
        self._order = Interleaver(len(store), torch.Generator().manual_seed(seed))

    def draw(self, n: int) -> Samples:
        return self._store.samples(self._order.next(n))


class MixedSource:
    """A share of each batch from one source, the rest from another, in that order."""

    def __init__(self, first, second, first_share: float, device: str | torch.device):
        self._first, self._second, self._share, self._device = first, second, first_share, device
        self._owed = 0.0

    def draw(self, n: int) -> Samples:
        self._owed += self._share * n
        n_first, self._owed = int(self._owed), self._owed % 1
        parts = [source.draw(count) for source, count in ((self._first, n_first), (self._second, n - n_first)) if count]
        return join([part.to(self._device) for part in parts])


def read_grey(path: Path) -> np.ndarray:
    """uint8 [H, W]: the luma of a picture."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{path}: more than 8 bits a pixel")
            return np.asarray(image.convert("L"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a picture: {error}") from error


def read_labels(path: Path) -> np.ndarray:
    """uint8 [H, W]: a mask's distinct non-zero values, numbered 1, 2 ... in ascending order."""
    try:
        with Image.open(path) as image:
            if image.mode not in GREY_MODES:
                raise DataError(f"{path}: mode {image.mode}; a mask has one channel of 8 bits")
            values = np.asarray(image).astype(np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a mask: {error}") from error
    known = np.unique(values)
    known = known[known > 0]
    return np.where(values > 0, np.searchsorted(known, values) + 1, 0).astype(np.uint8)


def pictures_of(folder: Path) -> dict[str, Path]:
    """Stem -> path of every picture in a folder."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            if path.stem in found:
                raise DataError(f"{path}: same stem as {found[path.stem].name}; masks are found by the stem")
            found[path.stem] = path
    return found


def common_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """(height, width) that most frames have, reduced so that no side exceeds 1024 px."""
    height, width = Counter(sizes).most_common(1)[0][0]
    scale = min(1.0, LARGEST_SIDE_PX / max(height, width))
    return round(height * scale), round(width * scale)


def resized(image: np.ndarray, labels: np.ndarray, size_px: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 [1, h, w] and [h, w]: bilinear with antialiasing, and the nearest label."""
    grey, numbers = torch.tensor(image)[None, None], torch.tensor(labels)[None, None]
    if grey.shape[2:] != size_px:
        grey = F.interpolate(grey.float(), size_px, mode="bilinear", antialias=True).round().to(torch.uint8)
        numbers = F.interpolate(numbers, size_px, mode="nearest-exact")
    return grey[0], numbers[0, 0]


@dataclass(frozen=True)
class Labelled:
    """A set that is not read yet: its frames' names in their order, and read(i) -> image, labels of the i-th one, both
    uint8 [H, W]."""
    names: list[str]
    read: Callable[[int], tuple[np.ndarray, np.ndarray]]

    def __len__(self) -> int:
        return len(self.names)


def make_store(labelled: Labelled) -> Store:
    """Reads every frame."""
    with ThreadPoolExecutor(N_READERS) as readers:
        frames = list(readers.map(labelled.read, range(len(labelled))))
    size_px = common_size(image.shape for image, _ in frames)
    images, labels = zip(*(resized(image, numbers, size_px) for image, numbers in frames))
    return Store(torch.stack(images), torch.stack(labels))


def read_folder(folder: Path) -> Store:
    """The frames of a folder in memory."""
    return make_store(find_in_folder(folder))


def find_in_folder(folder: Path) -> Labelled:
    """SET/images/<stem>.png|jpg with SET/masks/<stem>.png; a missing mask is an empty frame."""
    images, masks = pictures_of(folder / "images"), pictures_of(folder / "masks")
    for stem in masks.keys() - images.keys():
        raise DataError(f"{masks[stem]}: no image of that name in {folder / 'images'}")

    stems = list(images)
    if not stems:
        raise DataError(f"{folder / 'images'}: no frames")

    def read(i):
        stem = stems[i]
        image = read_grey(images[stem])
        labels = read_labels(masks[stem]) if stem in masks else np.zeros_like(image)
        if labels.shape != image.shape:
            raise DataError(f"{masks[stem]}: {labels.shape[1]} x {labels.shape[0]} px, its image has "
                            f"{image.shape[1]} x {image.shape[0]}")
        return image, labels

    return Labelled(stems, read)


def read_coco(annotations_path: Path, images_folder: Path, boxes_allowed: bool) -> Store:
    """The frames of a COCO instance file in memory."""
    return make_store(find_in_coco(annotations_path, images_folder, boxes_allowed))


def find_in_coco(annotations_path: Path, images_folder: Path, boxes_allowed: bool) -> Labelled:
    """A COCO instance file: every annotation is a structure; its category is not looked at.

    boxes_allowed: an annotation without segmentation counts as its filled box; otherwise it is an error.
    """
    try:
        content = json.loads(annotations_path.read_text(encoding="utf-8"))
        entries = sorted(content["images"], key=lambda entry: entry["file_name"])
        of_image = {entry["id"]: [] for entry in entries}
        for annotation in content["annotations"]:
            of_image[annotation["image_id"]].append(annotation)
    except (OSError, ValueError) as error:
        raise DataError(f"{annotations_path}: cannot be read as JSON: {error}") from error
    except (KeyError, TypeError) as error:
        raise DataError(f"{annotations_path}: not a COCO instance file: {error!r}") from error

    if not entries:
        raise DataError(f"{annotations_path}: no frames")

    def read(i):
        entry = entries[i]
        image = read_grey(images_folder / entry["file_name"])
        labels = np.zeros_like(image)
        if len(of_image[entry["id"]]) > LARGEST_LABEL:
            raise DataError(f"{annotations_path}: {entry['file_name']}: more than {LARGEST_LABEL} structures")
        for number, annotation in enumerate(of_image[entry["id"]], start=1):
            try:
                labels[draw_annotation(annotation, *image.shape, boxes_allowed)] = number
            except CocoError as error:
                raise DataError(f"{annotations_path}: annotation {annotation.get('id')}: {error}") from error
        return image, labels

    return Labelled([entry["file_name"] for entry in entries], read)
