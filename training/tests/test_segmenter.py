# SPDX-License-Identifier: Apache-2.0
"""The stage that trains MobileSAM: prompts, windows, what it leaves alone."""
import argparse
import unittest

import torch

from models.mobilesam import INPUT_SIZE_PX, MobileSam, prepare
from samples import Samples
from stages.segmenter import (Phase, Prompts, SegmenterStage, cut, labels_of_input, parse_phases, segment_windows)

FRAME = (558, 422)
ONE_WINDOW = 224


def two_structures() -> Samples:
    labels = torch.zeros(2, *FRAME, dtype=torch.uint8)
    labels[0, 100:140, 50:200] = 1
    labels[0, 150:190, 100:250] = 2
    return Samples(torch.rand(2, 1, *FRAME, generator=torch.Generator().manual_seed(0)) * 255, labels)


def stage_of(windows: str, seed: int = 0, share_of_parts: float = 0.0) -> SegmenterStage:
    stage = SegmenterStage()
    torch.manual_seed(0)
    options = argparse.Namespace(windows=parse_phases(windows), device="cpu", seed=seed, plain_share=0.25)
    stage.set_up(options)
    stage.module = stage.build(options)
    stage.share_of_parts = share_of_parts
    return stage


class Phases(unittest.TestCase):
    def test_parse(self):
        self.assertEqual(parse_phases("1024"), [Phase(1024, 1.0)])
        self.assertEqual(parse_phases("224:0.6,1024"), [Phase(224, 0.6), Phase(1024, 1.0)])

    def test_refuses(self):
        for text in ("", "x", "230", "2048", "224:0.5", "224:0.6,448:0.5,1024", "224:0,1024"):
            with self.assertRaises(argparse.ArgumentTypeError, msg=text):
                parse_phases(text)


class Targets(unittest.TestCase):
    def test_labels_lie_where_the_product_reads_the_logits(self):
        """The middle of target pixel j is input pixel 2 j + 1, source pixel (2 j + 1) / scale, from the edge."""
        labels = two_structures().labels[:1]
        found = labels_of_input(labels)[0]
        scale = INPUT_SIZE_PX / 558
        for y, x in ((0, 0), (100, 100), (102, 50), (150, 95), (500, 300), (511, 386)):
            self.assertEqual(found[y, x], labels[0, int((2 * y + 1) / scale), int((2 * x + 1) / scale)])
        self.assertFalse(found[:, 388:].any())

    def test_areas_stay(self):
        labels = two_structures().labels[:1]
        share = float((labels == 1).sum()) / 558 ** 2
        self.assertAlmostEqual(float((labels_of_input(labels) == 1).float().mean()), share, delta=0.03 * share)


class PromptsOnStructures(unittest.TestCase):
    def test_masks_hold_one_structure_each(self):
        samples = two_structures().rows(slice(1))
        labels = labels_of_input(samples.labels)[0]
        _, corners, prompts = stage_of("448")._windows(samples, INPUT_SIZE_PX)
        self.assertEqual(corners.tolist(), [[0, 0]])
        n_pixels = sorted(int(mask.sum()) for mask in prompts.masks if mask.any())
        self.assertEqual(n_pixels, sorted((int((labels == 1).sum()), int((labels == 2).sum()))))

    def test_box_and_mask_belong_together(self):
        samples = two_structures().rows(slice(1))
        _, _, prompts = stage_of("1024")._windows(samples, INPUT_SIZE_PX)
        for box, mask in zip(prompts.boxes, prompts.masks):
            if mask.any():
                y, x = mask.nonzero().float().mean(0) * 2
                self.assertTrue(box[0] < x < box[2] and box[1] < y < box[3])

    def test_a_part_lies_in_its_box_and_in_its_structure(self):
        samples = two_structures().rows(slice(1))
        stage, n_parts = stage_of("224", share_of_parts=1.0), 0
        whole = {label: int((samples.labels == label).sum()) * (INPUT_SIZE_PX / 558 / 2) ** 2 for label in (1, 2)}
        for _ in range(20):
            _, corners, prompts = stage._windows(samples, ONE_WINDOW)
            labels = labels_of_input(samples.labels)[0]
            for box, window, mask in zip(prompts.boxes, prompts.window.tolist(), prompts.masks):
                if not mask.any():
                    continue
                x, y = (corners[window] // 2).tolist()
                under = labels[y:y + ONE_WINDOW // 2, x:x + ONE_WINDOW // 2][mask.bool()].unique().tolist()
                self.assertEqual(len(under), 1)
                if box[2] - box[0] < 0.6 * 150 * INPUT_SIZE_PX / 558:
                    n_parts += 1
                    self.assertLess(int(mask.sum()), 0.75 * whole[under[0]])
                    columns = (mask.any(0).nonzero().flatten() + x) * 2
                    self.assertTrue((columns > box[0] - 40).all() and (columns < box[2] + 40).all())
        self.assertGreater(n_parts, 20)

    def test_empty_frames_get_a_box_on_nothing(self):
        samples = two_structures().rows(slice(1, 2))
        _, _, prompts = stage_of("1024")._windows(samples, INPUT_SIZE_PX)
        self.assertEqual(len(prompts.boxes), 1)
        self.assertFalse(prompts.masks.any())

    def test_boxes_on_nothing_hit_nothing(self):
        labels = two_structures().labels[0]
        stage = stage_of("1024")
        for _ in range(50):
            for x1, y1, x2, y2 in stage._box_on_nothing(labels).long().tolist():
                self.assertTrue(0 <= x1 < x2 <= 422 and 0 <= y1 < y2 <= 558)
                self.assertFalse(labels[y1:y2, x1:x2].any())

    def test_windows_see_a_structure(self):
        stage, samples = stage_of("224"), two_structures().rows(slice(1))
        for _ in range(10):
            images, corners, prompts = stage._windows(samples, ONE_WINDOW)
            self.assertEqual(images.shape[1:], (3, ONE_WINDOW, ONE_WINDOW))
            self.assertFalse((corners % 16).any())
            self.assertEqual(prompts.window.unique().tolist(), [0, 1])
            self.assertTrue(all(prompts.masks[prompts.window == i].any() for i in (0, 1)))

    def test_the_seed_decides(self):
        samples = two_structures()
        first, again, other = (stage_of("224", seed)._windows(samples, ONE_WINDOW) for seed in (1, 1, 2))
        self.assertTrue(torch.equal(first[2].boxes, again[2].boxes) and torch.equal(first[1], again[1]))
        self.assertFalse(torch.equal(first[1], other[1]))


class Windows(unittest.TestCase):
    def test_the_whole_input_is_the_network(self):
        torch.manual_seed(0)
        module = MobileSam().eval()
        image = prepare(two_structures().images[:1])
        boxes = torch.tensor([[100.0, 200, 300, 400], [50, 60, 700, 800]])
        prompts = Prompts(boxes, torch.zeros(2, dtype=torch.long), torch.zeros(2, 512, 512))
        with torch.no_grad():
            logits, iou = segment_windows(module, image, torch.zeros(1, 2, dtype=torch.long), prompts)
            wanted, predicted = module(image, boxes, prompts.window)
        wanted = torch.nn.functional.interpolate(wanted[:, :1], (512, 512), mode="bilinear")[:, 0]
        torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(iou, predicted[:, 0], rtol=1e-4, atol=1e-4)

    def test_a_window_lies_at_its_place(self):
        """The encodings that a window's tokens get are those of the whole input, cut out."""
        module = MobileSam().eval()
        seen = []
        module.mask_decoder.forward = lambda image, position, sparse, dense: (
            seen.append((image.shape, position, dense.shape)), (torch.zeros(1, 4, 56, 56), torch.zeros(1, 4)))[1]
        prompts = Prompts(torch.tensor([[1.0, 2, 3, 4]]), torch.zeros(1, dtype=torch.long), torch.zeros(1, 112, 112))
        with torch.no_grad():
            segment_windows(module, torch.zeros(1, 3, ONE_WINDOW, ONE_WINDOW), torch.tensor([[320, 160]]), prompts)
        self.assertEqual((seen[0][0], seen[0][2]), ((1, 256, 14, 14),) * 2)
        self.assertTrue(torch.equal(seen[0][1][0], cut(module.prompt_encoder.dense_position()[0], 20, 10, 14)))


class Training(unittest.TestCase):
    def test_a_step_leaves_what_the_product_does_not_use(self):
        stage = stage_of("224:0.5,448:0.9,1024")
        module = stage.module.train()
        before = {name: value.clone() for name, value in module.named_parameters()}
        optimizer = torch.optim.AdamW(stage.parameter_groups(module, 1e-3))
        losses = stage.losses(module, stage.inputs(two_structures().rows(slice(1)), 0.0))
        self.assertEqual(set(losses), {"focal", "dice", "iou"})
        sum(losses.values()).backward()
        optimizer.step()
        changed = {name for name, value in module.named_parameters() if not torch.equal(value, before[name])}
        for part in ("image_encoder.head.weight", "mask_decoder.output_hypernetworks_mlps.1.layers.0.weight"):
            self.assertNotIn(part, changed)
        for part in ("image_encoder.patch_embed.seq.0.c.weight", "prompt_encoder.point_embeddings.2.weight",
                     "mask_decoder.output_hypernetworks_mlps.0.layers.0.weight", "mask_decoder.iou_token.weight"):
            self.assertIn(part, changed)

    def test_evaluate_repeats_itself(self):
        stage = stage_of("1024")
        module, samples = stage.module.eval(), two_structures()
        first = stage.evaluate(module, [samples])
        self.assertEqual(first, stage.evaluate(module, [samples]))
        self.assertEqual(set(first), {"iou", "iou_error"})


if __name__ == "__main__":
    unittest.main()
