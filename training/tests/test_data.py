# SPDX-License-Identifier: Apache-2.0
"""Sources of frames: folders, COCO files, phantoms, mixtures, and what they say about files that do not fit."""
import json
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from coco import CocoError, decode_counts, draw_annotation, draw_polygon, draw_run_lengths
from data import DataError, FormatSource, MixedSource, PhantomSource, Store, StoreSource, common_size, read_coco, read_folder
from phantom import TRAINING, Format
from samples import Samples, boxes_of

SIZE = (40, 60)
# Columns 10..49 of rows 5..29 without columns 20..29 of rows 12..19, as pycocotools 2.0 encodes it.
RUN_LENGTHS = ("e<i0?000000000000000000^OI37MI37MI37MI37MI37MI37MI37MI37MI37MI37?"
               "00000000000000000000000000000000000000[<")


def masked_block() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[5:30, 10:50] = True
    mask[12:20, 20:30] = False
    return mask


class Folder(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.root = Path(held.name)
        for name in ("images", "masks"):
            (self.root / name).mkdir()

    def put(self, path: str, pixels: np.ndarray):
        Image.fromarray(pixels).save(self.root / path)

    def put_frames(self, n: int, size=SIZE):
        for i in range(n):
            self.put(f"images/{i:03}.png", np.full(size, 10 * i, np.uint8))

    def expect(self, part: str, read=None):
        with self.assertRaisesRegex(DataError, part):
            (read or (lambda: read_folder(self.root)))()


class FolderSet(Folder):
    def test_labels_in_order_of_values_and_missing_mask(self):
        self.put_frames(2)
        mask = np.zeros(SIZE, np.uint8)
        mask[3:5, 4:9], mask[20:30, 40:60] = 200, 7
        self.put("masks/000.png", mask)
        store = read_folder(self.root)
        samples = store.samples(slice(None))
        self.assertEqual(samples.images.dtype, torch.float32)
        self.assertEqual(samples.images.amax((1, 2, 3)).tolist(), [0.0, 10.0])
        boxes = boxes_of(samples.labels)
        self.assertEqual(boxes[0].tolist(), [[40, 20, 60, 30], [4, 3, 9, 5]])
        self.assertEqual(boxes[1].shape, (0, 4))

    def test_frames_of_other_sizes_take_the_common_one(self):
        self.put_frames(2)
        self.put("images/large.png", np.full((80, 120), 255, np.uint8))
        mask = np.zeros((80, 120), np.uint8)
        mask[20:40, 60:120] = 3
        self.put("masks/large.png", mask)
        store = read_folder(self.root)
        self.assertEqual(store.images.shape, (3, 1, *SIZE))
        self.assertEqual(boxes_of(store.labels)[2].tolist(), [[30, 10, 60, 20]])
        self.assertEqual(common_size([(3000, 2000)]), (1024, 683))

    def test_split_keeps_the_order_and_two_sides(self):
        self.put_frames(5)
        first, last = read_folder(self.root).split(0.3)
        self.assertEqual((len(first), len(last)), (3, 2))
        self.assertEqual(last.images.amax((1, 2, 3)).tolist(), [30, 40])
        with self.assertRaisesRegex(DataError, "one labelled frame"):
            first.split(0.3)[1].split(0.5)

    def test_errors_name_file_and_reason(self):
        self.expect("images: no frames")
        self.put_frames(1)
        self.put("masks/other.png", np.zeros(SIZE, np.uint8))
        self.expect("other.png: no image of that name")
        (self.root / "masks/other.png").unlink()
        self.put("masks/000.png", np.zeros((9, 9), np.uint8))
        self.expect("000.png: 9 x 9 px, its image has 60 x 40")
        self.put("masks/000.png", np.zeros((*SIZE, 3), np.uint8))
        self.expect("000.png: mode RGB")
        (self.root / "masks/000.png").write_text("no picture")
        self.expect("000.png: cannot be read as a mask")
        (self.root / "masks/000.png").unlink()
        self.put("images/000.jpg", np.zeros(SIZE, np.uint8))
        self.expect("same stem as 000.jpg")
        (self.root / "images/000.jpg").unlink()
        self.put("images/000.png", np.zeros(SIZE, np.uint16))
        self.expect("more than 8 bits")


class Coco(Folder):
    def write(self, annotations: list[dict]) -> Path:
        path = self.root / "set.json"
        path.write_text(json.dumps({"images": [{"id": 5, "file_name": "000.png"}, {"id": 6, "file_name": "001.png"}],
                                    "annotations": annotations}))
        return path

    def read(self, annotations: list[dict], boxes_allowed=False) -> torch.Tensor:
        return read_coco(self.write(annotations), self.root / "images", boxes_allowed).labels

    def test_polygons_run_lengths_and_boxes(self):
        self.put_frames(2)
        polygon = {"id": 1, "image_id": 6, "segmentation": [[10, 5, 30, 5, 30, 15, 10, 15]]}
        counts = {"id": 2, "image_id": 5, "segmentation": {"size": list(SIZE), "counts": RUN_LENGTHS}}
        box = {"id": 3, "image_id": 6, "bbox": [40, 20, 10.4, 5]}
        labels = self.read([polygon, counts, box], boxes_allowed=True)
        self.assertTrue((labels[0].numpy().astype(bool) == masked_block()).all())
        self.assertEqual(boxes_of(labels)[1].tolist(), [[10, 5, 30, 15], [40, 20, 50, 25]])

    def test_errors(self):
        self.put_frames(2)
        box = {"id": 3, "image_id": 6, "bbox": [40, 20, 10, 5]}
        self.expect("annotation 3: no segmentation", lambda: self.read([box]))
        self.expect("not a COCO instance file", lambda: self.read([{"id": 1, "image_id": 99}]))
        self.expect("annotation 4: a polygon of 4", lambda: self.read([{"id": 4, "image_id": 5,
                                                                        "segmentation": [[1, 2, 3, 4]]}]))
        (self.root / "images/001.png").unlink()
        self.expect("001.png: cannot be read", lambda: self.read([]))

    def test_run_lengths(self):
        block = masked_block()
        changes = np.flatnonzero(np.diff(block.T.ravel().astype(np.int8))) + 1
        counts = np.diff(np.concatenate(([0], changes, [block.size]))).tolist()
        self.assertEqual(decode_counts(RUN_LENGTHS), counts)
        drawn = draw_run_lengths({"size": list(SIZE), "counts": counts}, *SIZE)
        self.assertTrue((drawn == block).all())
        for wrong in ({"size": [60, 40], "counts": counts}, {"size": list(SIZE), "counts": counts[:-1]},
                      {"size": list(SIZE), "counts": RUN_LENGTHS[:-1] + "o"},
                      {"size": list(SIZE), "counts": "\x7f"}):
            with self.assertRaises(CocoError):
                draw_annotation({"segmentation": wrong}, *SIZE, boxes_allowed=False)

    def test_polygon_fills_pixels_whose_centres_it_holds(self):
        triangle = draw_polygon(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]]), 5, 5)
        row, column = np.indices((5, 5)) + 0.5
        inside = row + column < 4
        undecided = row + column == 4
        self.assertTrue((triangle == inside)[~undecided].all())
        beyond = draw_polygon(np.array([[-9.0, -9.0], [20.0, -9.0], [20.0, 20.0], [-9.0, 20.0]]), 5, 7)
        self.assertTrue(beyond.all())


class Numbered:
    """Frames that carry their number, of which `n_drawn` have been drawn."""

    def __init__(self):
        self.n_drawn = 0

    def draw(self, n: int) -> Samples:
        numbers = torch.arange(self.n_drawn, self.n_drawn + n) % 256
        self.n_drawn += n
        return Samples(numbers.float().view(-1, 1, 1, 1), torch.zeros(n, 1, 1, dtype=torch.uint8))


class Sources(unittest.TestCase):
    def test_phantoms_repeat_by_seed_and_are_reused(self):
        first, second = (PhantomSource(3, reuse=2, height_px=64, width_px=48) for _ in range(2))
        frames = [first.draw(4) for _ in range(3)]
        for frame in frames:
            again = second.draw(4)
            self.assertTrue(torch.equal(frame.images, again.images) and torch.equal(frame.labels, again.labels))
        seen = torch.cat([frame.images for frame in frames]).flatten(1)
        self.assertEqual(frames[0].images.shape, (4, 1, 64, 48))
        self.assertLessEqual(len(seen.unique(dim=0)), 8)

    def test_reuse_is_a_mean(self):
        source = PhantomSource(3, reuse=4, height_px=1, width_px=1)
        source._phantom = Numbered()
        for _ in range(41):
            self.assertEqual(len(source.draw(10)), 10)
        self.assertEqual(source._phantom.n_drawn, 10 + 40 * 10 / 4)

    def test_batches_of_several_sizes(self):
        formats = (Format(0.75, 40, 30, TRAINING), Format(0.25, 30, 48, TRAINING))
        once, again = (FormatSource(formats, 3, reuse=8) for _ in range(2))
        sizes = []
        for _ in range(60):
            first, second = once.draw(4), again.draw(4)
            self.assertTrue(torch.equal(first.images, second.images))
            self.assertEqual(len(first), 4)
            sizes.append(tuple(first.labels.shape[1:]))
        self.assertEqual(set(sizes), {(40, 30), (30, 48)})
        self.assertAlmostEqual(sizes.count((40, 30)) / 60, 0.75, delta=0.15)
        each = FormatSource(formats, 3).draw_each(9)
        self.assertEqual([tuple(part.labels.shape) for part in each], [(7, 40, 30), (2, 30, 48)])

    def test_store_gives_each_frame_once_a_round(self):
        store = Store(torch.arange(7, dtype=torch.uint8).view(7, 1, 1, 1), torch.zeros(7, 1, 1, dtype=torch.uint8))
        source = StoreSource(store, 0)
        seen = torch.cat([source.draw(3).images.flatten() for _ in range(7)])
        for start in range(0, 21, 7):
            self.assertEqual(sorted(seen[start:start + 7].tolist()), list(range(7)))

    def test_mixture_keeps_its_share_over_batches(self):
        first, second = Numbered(), Numbered()
        source = MixedSource(first, second, 0.3, "cpu")
        for _ in range(10):
            self.assertEqual(len(source.draw(5)), 5)
        self.assertEqual((first.n_drawn, second.n_drawn), (15, 35))


if __name__ == "__main__":
    unittest.main()
