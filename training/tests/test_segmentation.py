# SPDX-License-Identifier: Apache-2.0
"""MobileSAM in training: losses by hand, jitter, gradients; and the same numbers as the official code."""
import math
import unittest

import torch

from losses.segmentation import dice_loss, focal_loss, jitter_boxes, segmentation_losses, true_iou
from models.mobilesam import MobileSam

from . import checkouts


class Losses(unittest.TestCase):
    def test_focal_by_hand(self):
        logits = torch.tensor([[[0.0, math.log(3.0)]]])
        masks = torch.tensor([[[1.0, 0.0]]])
        first = 0.5 * 0.5 ** 2 * math.log(2.0)
        second = 0.5 * 0.75 ** 2 * math.log(4.0)
        torch.testing.assert_close(focal_loss(logits, masks), torch.tensor([(first + second) / 2]))

    def test_dice_and_iou(self):
        masks = torch.zeros(3, 8, 8)
        masks[0, :4], masks[1, :4] = 1.0, 1.0
        logits = torch.full((3, 8, 8), -50.0)
        logits[0, :4], logits[1, 2:6] = 50.0, 50.0
        torch.testing.assert_close(dice_loss(logits, masks), torch.tensor([0.0, 1 - 33 / 65, 0.0]))
        torch.testing.assert_close(true_iou(logits, masks), torch.tensor([1.0, 1 / 3, 0.0]))

    def test_jitter(self):
        boxes = torch.tensor([[10.0, 20.0, 60.0, 40.0], [0.0, 0.0, 420.0, 550.0], [200.0, 300.0, 200.5, 300.5]])
        boxes = boxes.repeat(500, 1)
        moved = jitter_boxes(boxes, 558, 422, torch.Generator().manual_seed(1))
        again = jitter_boxes(boxes, 558, 422, torch.Generator().manual_seed(1))
        self.assertTrue(torch.equal(moved, again))
        self.assertGreaterEqual(moved.min().item(), 0.0)
        self.assertTrue((moved[:, 2] <= 421).all() and (moved[:, 3] <= 557).all())
        self.assertGreaterEqual((moved[:, 2:] - moved[:, :2]).min().item(), 0.999)
        self.assertLessEqual((moved - boxes)[1::3].abs().max().item(), 20.0)
        self.assertAlmostEqual((moved - boxes)[::3, 0].std().item(), 5.0, delta=0.5)


class Network(unittest.TestCase):
    def test_several_prompts_and_gradients(self):
        torch.manual_seed(0)
        model = MobileSam().train()
        embedding = torch.randn(2, 256, 64, 64)
        boxes = torch.tensor([[10.0, 10.0, 300.0, 200.0], [50.0, 60.0, 700.0, 900.0], [1.0, 2.0, 30.0, 40.0]])
        logits, iou = model.segment(embedding, boxes, torch.tensor([0, 1, 1]))
        alone, _ = model.segment(embedding[1:], boxes[2:], torch.tensor([0]))
        torch.testing.assert_close(logits[2:], alone, rtol=1e-4, atol=1e-4)
        masks = (torch.rand(3, 256, 256) > 0.5).float()
        losses = segmentation_losses(logits[:, 0], iou[:, 0], masks)
        self.assertEqual(set(losses), {"focal", "dice", "iou"})
        sum(losses.values()).backward()
        gradient = model.mask_decoder.mask_tokens.weight.grad
        self.assertTrue(gradient.isfinite().all() and gradient[0].abs().max() > 0)

    @checkouts.needs_mobile_sam
    def test_official(self):
        theirs, ours = checkouts.official_mobile_sam(), MobileSam().eval()
        checkouts.perturb(theirs, 5)
        theirs.train().eval()
        ours.load_state_dict(theirs.state_dict(), strict=True)
        generator = torch.Generator().manual_seed(3)
        with torch.inference_mode():
            image = torch.randn(1, 3, 1024, 1024, generator=generator)
            wanted, found = theirs.image_encoder(image), ours.image_encoder(image)
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
            boxes = torch.tensor([[10.0, 10.0, 300.0, 200.0], [50.0, 60.0, 700.0, 900.0]])
            sparse, dense = theirs.prompt_encoder(points=None, boxes=boxes, masks=None)
            masks, iou = theirs.mask_decoder.predict_masks(wanted, theirs.prompt_encoder.get_dense_pe(), sparse, dense)
            logits, predicted = ours.segment(wanted, boxes, torch.zeros(2, dtype=torch.long))
            torch.testing.assert_close(logits, masks, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(predicted, iou, rtol=1e-4, atol=1e-4)

            points, labels = torch.rand(2, 3, 2, generator=generator) * 1024, torch.tensor([[1, 0, -1], [0, 0, 1]])
            wanted, _ = theirs.prompt_encoder(points=(points, labels), boxes=boxes, masks=None)
            found = torch.cat((ours.prompt_encoder.points(points, labels), ours.prompt_encoder.boxes(boxes)), 1)
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
            prompt = torch.randn(1, 1, 256, 256, generator=generator)
            _, wanted = theirs.prompt_encoder(points=None, boxes=None, masks=prompt)
            torch.testing.assert_close(ours.prompt_encoder.masks(prompt), wanted, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
