# SPDX-License-Identifier: Apache-2.0
"""D-FINE in training: denoising queries, losses, gradients; and the same numbers as the official code."""
import sys
import unittest

import torch

from losses.detection import detection_losses, silence_loss
from models.boxes import overlaps
from models.decoder import DecoderOutput, Prediction
from models.denoising import make_denoising
from models.dfine import Dfine

from . import checkouts

N_CLASSES = 3
SIZE_PX = 256


def some_targets(dtype=torch.float32) -> list[dict[str, torch.Tensor]]:
    """Three boxes, none, one."""
    boxes = torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.7, 0.6, 0.3, 0.1], [0.5, 0.5, 0.9, 0.8], [0.2, 0.8, 0.15, 0.2]],
                         dtype=dtype)
    labels = torch.tensor([0, 2, 1, 2])
    return [{"labels": labels[rows], "boxes": boxes[rows]} for rows in (slice(0, 3), slice(0, 0), slice(3, 4))]


def trained_output(size="n", seed=1, dtype=torch.float32):
    """Our model in training mode, its images, and its output with denoising queries drawn from the seed."""
    torch.manual_seed(0)
    model = Dfine(size, N_CLASSES, n_denoising=100).train().to(dtype)
    checkouts.perturb(model, seed)
    images = torch.rand(3, 3, SIZE_PX, SIZE_PX, dtype=dtype)
    torch.manual_seed(seed)
    return model, images, model(images, some_targets(dtype))


class Parts(unittest.TestCase):
    def test_overlaps(self):
        first = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
        second = torch.tensor([[1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 3.0, 1.0]])
        iou, giou = overlaps(first, second)
        torch.testing.assert_close(iou, torch.tensor([1 / 7, 0.0]))
        torch.testing.assert_close(giou, torch.tensor([1 / 7 - 2 / 9, -1 / 3]))

    def test_denoising_layout(self):
        queries = make_denoising(some_targets(), N_CLASSES, 300, 100)
        self.assertEqual(queries.n_groups, 33)
        self.assertEqual(queries.n_queries, 33 * 2 * 3)
        self.assertTrue((queries.classes[1] == N_CLASSES).all())
        self.assertEqual([len(query) for query, _ in queries.matches], [99, 0, 33])
        self.assertEqual(queries.matches[2][0][:2].tolist(), [0, 6])
        blocked = queries.blocked
        self.assertFalse(blocked[:6, :6].any() or blocked[:, 198:].any())
        self.assertTrue(blocked[:6, 6:198].all() and blocked[198:, :198].all())

    def test_no_boxes(self):
        empty = [some_targets()[1]] * 2
        self.assertIsNone(make_denoising(empty, N_CLASSES, 300, 100))

    def test_gradients(self):
        model, images, output = trained_output()
        sum(detection_losses(output, some_targets()).values()).backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                self.assertIsNotNone(parameter.grad, name)
                self.assertTrue(parameter.grad.isfinite().all(), name)

    def test_batch_without_boxes(self):
        model, images, _ = trained_output()
        empty = [some_targets()[1]] * 3
        losses = detection_losses(model(images, empty), empty)
        self.assertTrue(all(value.isfinite() for value in losses.values()))
        self.assertEqual(losses["l1.layer0"].item(), 0.0)
        self.assertGreater(losses["vfl.layer0"].item(), 0.0)


class Silence(unittest.TestCase):
    def loss(self, logits: list[list[float]], boxes: list[list[float]]) -> torch.Tensor:
        """Of one image for each row of logits, with the same boxes in all; a target in the first image alone."""
        self.logits = torch.tensor(logits)[..., None].requires_grad_()
        prediction = Prediction(self.logits, torch.tensor(boxes).expand(len(logits), -1, -1))
        targets = [{"labels": torch.zeros(1, dtype=torch.int64), "boxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]])}]
        targets += [{"labels": torch.zeros(0, dtype=torch.int64), "boxes": torch.zeros(0, 4)}] * (len(logits) - 1)
        loss = silence_loss(DecoderOutput([prediction], None, None), targets)
        loss.backward()
        return loss.detach()

    def test_the_best_box_on_nothing_is_to_be_silent(self):
        on_target, beside = [0.5, 0.5, 0.21, 0.2], [0.1, 0.1, 0.1, 0.1]
        loss = self.loss([[4.0, -2.0], [1.0, 0.0]], [on_target, beside])
        of_images = torch.nn.functional.softplus(torch.tensor([-2.0, 1.0]))
        torch.testing.assert_close(loss, of_images.mean())
        pushed = self.logits.grad[..., 0]
        self.assertEqual((pushed > 0).tolist(), [[False, True], [True, False]])
        self.assertEqual(float(pushed.min()), 0.0)

    def test_nothing_to_silence(self):
        self.assertEqual(float(self.loss([[4.0]], [[0.5, 0.5, 0.2, 0.2]])), 0.0)
        self.assertEqual(float(self.logits.grad.abs().sum()), 0.0)


@checkouts.needs_dfine
class Official(unittest.TestCase):
    def test_eval_outputs(self):
        """In float64: queries of nearly equal score change places in float32."""
        image = torch.rand(1, 3, 640, 640, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        for size in "nsmlx":
            with self.subTest(size), torch.inference_mode():
                theirs = checkouts.official_dfine(size, N_CLASSES)
                checkouts.perturb(theirs, 6)
                forbid_border(theirs.decoder)
                ours = Dfine(size, N_CLASSES, n_denoising=100).eval()
                ours.load_state_dict(theirs.state_dict(), strict=True)
                wanted, found = theirs.double()(image), ours.double()(image)
                self.assertGreater(found.boxes.std(1).max().item(), 0.05)
                torch.testing.assert_close(found.logits, wanted["pred_logits"], rtol=0, atol=1e-9)
                torch.testing.assert_close(found.boxes, wanted["pred_boxes"], rtol=0, atol=1e-9)

    def test_training_outputs_losses_and_gradients(self):
        for size in "ns":
            with self.subTest(size):
                self.compare_training(size)

    def compare_training(self, size):
        """The networks in float64, where nothing depends on the order of sums; the official losses need float32."""
        targets = some_targets(torch.float64)
        ours, images, found = trained_output(size, dtype=torch.float64)
        theirs = checkouts.official_dfine(size, N_CLASSES).train().double()
        fresh = Dfine(size, N_CLASSES, n_denoising=100)
        theirs.load_state_dict({**ours.state_dict(), **batch_statistics(fresh)}, strict=True)
        torch.manual_seed(1)
        wanted = theirs(images, targets)
        for layer, reference in zip(found.layers, [*wanted["aux_outputs"], wanted]):
            torch.testing.assert_close(layer.logits, reference["pred_logits"], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(layer.edges, reference["pred_corners"], rtol=1e-5, atol=1e-5)
        for layer, reference in zip(found.denoising_layers, wanted["dn_outputs"]):
            torch.testing.assert_close(layer.boxes, reference["pred_boxes"], rtol=1e-5, atol=1e-5)

        losses = detection_losses(found, targets)
        reference = checkouts.official_criterion(N_CLASSES)(to_float32(wanted), to_float32(targets))
        self.compare_losses(losses, reference, len(found.layers))
        sum(losses.values()).backward()
        sum(reference.values()).backward()
        gradients = dict(ours.named_parameters())
        for name, parameter in theirs.named_parameters():
            if parameter.grad is not None:
                torch.testing.assert_close(gradients[name].grad, parameter.grad, rtol=1e-3, atol=1e-4,
                                           msg=lambda text, name=name: f"{name}: {text}")

    def compare_losses(self, ours, theirs, n_layers):
        names = {"": f"layer{n_layers - 1}", "_pre": "initial", "_enc_0": "selected", "_dn_pre": "noisy.initial"}
        names |= {f"_aux_{i}": f"layer{i}" for i in range(n_layers - 1)}
        names |= {f"_dn_{i}": f"noisy.layer{i}" for i in range(n_layers)}
        kinds = {"loss_vfl": "vfl", "loss_bbox": "l1", "loss_giou": "giou", "loss_fgl": "fgl", "loss_ddf": "ddf"}
        seen, worst = set(), 0.0
        for name, value in theirs.items():
            kind = next(kind for kind in kinds if name.startswith(kind))
            key = f"{kinds[kind]}.{names[name.removeprefix(kind)]}"
            seen.add(key)
            mine = ours[key].item() if key in ours else 0.0
            worst = max(worst, abs(mine - value.item()) / max(1.0, abs(value.item())))
            self.assertAlmostEqual(mine, value.item(), delta=1e-5 * max(1.0, abs(value.item())), msg=name)
        self.assertLessEqual(set(ours), seen)
        print(f"{len(theirs)} losses, worst difference {worst:.2g}", file=sys.stderr)


def to_float32(value):
    """The same nest of lists and dicts with every float64 tensor as float32."""
    if isinstance(value, dict):
        return {key: to_float32(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_float32(item) for item in value]
    return value.float() if torch.is_tensor(value) and value.dtype == torch.float64 else value


def forbid_border(decoder):
    """Makes the score of the tokens without a valid anchor, which are all alike, lower than the others'."""
    alike = decoder.enc_output.norm(decoder.enc_output.proj.bias)
    decoder.enc_score_head.weight -= 0.05 * alike


def batch_statistics(model) -> dict[str, torch.Tensor]:
    """Running statistics as they were before the first batch."""
    return {name: value for name, value in model.state_dict().items()
            if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}


if __name__ == "__main__":
    unittest.main()
