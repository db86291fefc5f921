# SPDX-License-Identifier: Apache-2.0
"""The phantom as tensors, and the domain randomisation on top of it."""
import unittest
from dataclasses import replace

import torch

import augment
from phantom import DOCUMENTED, TRAINING, Phantom
from phantom.beam import make_echoes
from phantom.scene import draw_scene
from phantom.texture import LATTICE, make_lattice, noise
from samples import Samples, boxes_of

HEIGHT_PX, WIDTH_PX = 140, 106
RAYLEIGH = 1.913  # mean / deviation of a Rayleigh distribution, sqrt(pi / (4 - pi))


def small(seed: int, ranges=TRAINING) -> Phantom:
    return Phantom(HEIGHT_PX, WIDTH_PX, ranges, seed)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Texture(unittest.TestCase):
    def test_noise_is_the_lattice_at_whole_places_and_periodic(self):
        lattice = make_lattice(2, generator(0))
        place = torch.tensor([3.0, 7.0, 255.0]).reshape(1, 1, 3)
        at_lattice = noise(lattice, place, 5)
        self.assertTrue(torch.allclose(at_lattice[:, 0], lattice[:, 0, 5, [3, 7, 255]], atol=1e-4))
        beyond = noise(lattice, place + 0.3 + LATTICE, 5 - 2 * LATTICE)
        self.assertTrue(torch.allclose(noise(lattice, place + 0.3, 5), beyond, atol=1e-3))

    def test_speckle_of_even_tissue_is_rayleigh_distributed(self):
        scene = draw_scene(4, 558, 422, DOCUMENTED, generator(1))
        real, imaginary = make_echoes(scene, torch.ones(4, 558, 422), generator(2))
        envelope = torch.sqrt(real ** 2 + imaginary ** 2)[:, 20:-20, 20:-20]
        self.assertAlmostEqual(float(envelope.square().mean()), 2.0, delta=0.1)
        self.assertAlmostEqual(float(envelope.mean() / envelope.std()), RAYLEIGH, delta=0.05)


class Frames(unittest.TestCase):
    def test_shapes_types_and_values(self):
        samples = small(1).draw(5)
        self.assertEqual(samples.images.shape, (5, 1, HEIGHT_PX, WIDTH_PX))
        self.assertEqual(samples.images.dtype, torch.float32)
        self.assertEqual(samples.labels.shape, (5, HEIGHT_PX, WIDTH_PX))
        self.assertEqual(samples.labels.dtype, torch.uint8)
        self.assertTrue(torch.isfinite(samples.images).all())
        self.assertGreaterEqual(float(samples.images.min()), 0)
        self.assertLessEqual(float(samples.images.max()), 255)

    def test_a_seed_is_a_sequence_of_frames(self):
        once, again, other = small(3), small(3), small(4)
        for n in (3, 2):
            first, second, third = once.draw(n), again.draw(n), other.draw(n)
            self.assertTrue(torch.equal(first.images, second.images))
            self.assertTrue(torch.equal(first.labels, second.labels))
            self.assertFalse(torch.equal(first.images, third.images))

    def test_share_of_empty_frames(self):
        labels = small(5, replace(DOCUMENTED, empty_share=0.25)).draw(300).labels
        share = float((labels.flatten(1).amax(dim=1) == 0).float().mean())
        self.assertAlmostEqual(share, 0.25, delta=0.09)
        self.assertEqual(int(small(6, replace(TRAINING, empty_share=1)).draw(20).labels.max()), 0)

    def test_labels_number_the_structures_and_lie_on_bright_pixels(self):
        samples = small(7, DOCUMENTED).draw(120)
        per_frame = [sorted(set(labels.unique().tolist()) - {0}) for labels in samples.labels]
        self.assertTrue(all(numbers in ([], [1], [1, 2]) for numbers in per_frame))
        self.assertIn([1, 2], per_frame)
        inside = samples.images[:, 0][samples.labels > 0].mean()
        outside = samples.images[:, 0][samples.labels == 0].mean()
        self.assertGreater(float(inside), 110)
        self.assertLess(float(outside), 70)
        for boxes in boxes_of(samples.labels):
            self.assertTrue(((boxes[:, 2:] - boxes[:, :2]) >= 1).all())


class Augmentation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.samples = small(11).draw(16)

    def test_same_generator_same_samples(self):
        first = augment.augment(self.samples, generator(1))
        second = augment.augment(self.samples, generator(1))
        self.assertTrue(torch.equal(first.images, second.images))
        self.assertTrue(torch.equal(first.labels, second.labels))
        self.assertFalse(torch.equal(first.images, self.samples.images))

    def test_the_given_samples_stay(self):
        images, labels = self.samples.images.clone(), self.samples.labels.clone()
        augment.augment(self.samples, generator(2))
        self.assertTrue(torch.equal(images, self.samples.images))
        self.assertTrue(torch.equal(labels, self.samples.labels))

    def test_plain_frames_stay_as_they_are(self):
        plain = augment.augment(self.samples, generator(3), plain_share=1.0)
        self.assertTrue(torch.equal(plain.images, self.samples.images.round()))
        mixed = augment.augment(self.samples, generator(3), plain_share=0.5)
        same = (mixed.images == self.samples.images.round()).flatten(1).all(1)
        self.assertTrue(same.any() and not same.all())

    def test_every_effect_keeps_shape_and_gives_numbers(self):
        images, labels = self.samples.images / 255, self.samples.labels
        for effect, _ in augment.SCENE_EFFECTS:
            with self.subTest(effect.__name__):
                out, out_labels = effect(images, labels, generator(3))
                self.assertEqual((out.shape, out_labels.shape), (images.shape, labels.shape))
                self.assertTrue(torch.isfinite(out).all())
                self.assertEqual(out_labels.dtype, labels.dtype)
                self.assertLessEqual(set(out_labels.unique().tolist()), set(labels.unique().tolist()))
        for effect, _ in augment.LOOK_EFFECTS:
            with self.subTest(effect.__name__):
                out = effect(images, generator(4))
                self.assertEqual(out.shape, images.shape)
                self.assertTrue(torch.isfinite(out).all())
                self.assertFalse(torch.equal(out, images))

    def test_bands_lie_above_bones_and_leave_what_is_labelled(self):
        images, labels = self.samples.images / 255, self.samples.labels
        out, _ = augment.bands(images, labels, generator(9))
        changed, is_bone = (out != images)[:, 0], labels > 0
        self.assertTrue(changed.any())
        self.assertFalse((changed & is_bone.cummax(dim=1).values).any())
        self.assertFalse(changed[~is_bone.flatten(1).any(1)].any())

    def test_looks_never_invert(self):
        ramp = torch.linspace(0, 1, WIDTH_PX).expand(24, 1, HEIGHT_PX, WIDTH_PX).contiguous()
        for effect in (augment.curve, augment.window, augment.veil):
            with self.subTest(effect.__name__):
                out = effect(ramp, generator(5)).clamp(0, 1)
                self.assertTrue((out[..., -1].mean(-1) > out[..., 0].mean(-1)).all())
        for effect in (augment.curve, augment.window):
            self.assertGreaterEqual(float(effect(ramp, generator(6)).diff(dim=-1).min()), -1e-6)

    def test_labels_move_with_the_image(self):
        labels = torch.zeros(12, HEIGHT_PX, WIDTH_PX, dtype=torch.uint8)
        labels[:, 50:90, 30:70] = 1
        images, moved = augment.warp(labels[:, None].float(), labels, generator(7))
        self.assertFalse(torch.equal(labels, moved))
        self.assertTrue(((images[:, 0] > 0.5) == (moved > 0)).float().mean() > 0.995)

    def test_covered_structures_lose_their_label(self):
        images, labels = torch.ones(32, 1, HEIGHT_PX, WIDTH_PX), torch.ones(32, HEIGHT_PX, WIDTH_PX, dtype=torch.uint8)
        out, left = augment.bars(images, labels, generator(8))
        self.assertTrue((out[:, 0][left > 0] > augment.HIDDEN).all())
        self.assertLess(int(left.sum()), labels.numel())

    def test_slivers_are_dropped(self):
        labels = torch.zeros(1, HEIGHT_PX, WIDTH_PX, dtype=torch.uint8)
        labels[:, 3, 3:3 + augment.LEAST_PX - 1] = 1
        labels[:, 9, 3:3 + augment.LEAST_PX] = 2
        kept = augment._without_slivers(labels)
        self.assertEqual(kept.unique().tolist(), [0, 2])

    def test_no_frames_and_empty_frames(self):
        none = Samples(torch.zeros(0, 1, 32, 32), torch.zeros(0, 32, 32, dtype=torch.uint8))
        self.assertEqual(len(augment.augment(none, generator(9))), 0)
        empty = Samples(torch.zeros(8, 1, 64, 48), torch.zeros(8, 64, 48, dtype=torch.uint8))
        self.assertEqual(int(augment.augment(empty, generator(10)).labels.max()), 0)


if __name__ == "__main__":
    unittest.main()
