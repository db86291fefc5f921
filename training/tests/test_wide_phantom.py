# SPDX-License-Identifier: Apache-2.0
"""Fans, orientations and screens of the phantom: their truth against what geometry says."""
import math
import random
import unittest
from dataclasses import replace
from types import SimpleNamespace

import torch
from torch.nn import functional

import augment
from data import PhantomSource
from phantom import TRAINING, WIDE, Phantom
from phantom.convert import places_of, scan_converted
from phantom.fan import face_echo, meet
from phantom.generator import turned
from phantom.ranges import Bone, Shape
from phantom.render import Outline, render_beams
from phantom.scene import draw_fan_scene, pose
from phantom.screen import Screens, draw_screen
from samples import Samples, boxes_of, join

HEIGHT_PX, WIDTH_PX = 140, 106
KINDS = {kind.name: kind for kind in WIDE.geometries}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(*names: str, **changes):
    """The wide ranges with these kinds of probe alone, and no screens."""
    return replace(WIDE, geometries=tuple(KINDS[name] for name in names), screen_share=0.0, **changes)


def flat_bones(depth: float = 0.5):
    """Ranges of one flat, level, strong bone, as wide as the view, at that share of the depth, and nothing else."""
    flat = Shape(1.0, 1, (2.0, 2.0), (0, 0), (2, 2), (0, 0), (1, 1), (depth, depth))
    return replace(WIDE, shapes=(flat,), bone=Bone((20, 20)), empty_share=0.0, centre_views=(0, 0),
                   poor_contact_share=(0.0, 0.0), hard=None, look_alikes=None,
                   echo=replace(WIDE.echo, incidence_power=(0, 0)))


def fan_scene(name: str, n: int = 3, ranges=WIDE, frame=(HEIGHT_PX, WIDTH_PX), seed: int = 1):
    return draw_fan_scene([KINDS[name]] * n, *frame, ranges, generator(seed))


def middle_of(labels: torch.Tensor, end_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of labels [h, w] the mean row of each column, and the columns that are no closer than that to an end of the mask,
    which is cut along the beam."""
    is_bone = (labels > 0).float()
    n = is_bone.sum(dim=0)
    near_end = functional.max_pool1d((n == 0).float()[None], 2 * end_px + 1, 1, end_px)[0] > 0
    return (is_bone * torch.arange(len(labels))[:, None]).sum(dim=0) / n.clamp(min=1), ~near_end


FANS = ("trapezoid", "curvilinear", "small convex", "phased", "endocavity")


class Beams(unittest.TestCase):
    def test_meet_finds_a_line_where_trigonometry_does(self):
        for name in FANS:
            fan = fan_scene(name).fan
            depth = 0.5 * fan.depth_mm
            found = meet(fan, lambda x: depth[..., None] + 0.1 * x, torch.ones(3, 1, 1, dtype=torch.bool))
            # (face + r) cos - radius = depth + 0.1 (face + r) sin
            exact = (depth + fan.radius_mm) / (torch.cos(fan.angle) - 0.1 * torch.sin(fan.angle)) - fan.face_mm
            within = (exact > 0) & (exact < 1.25 * fan.depth_mm) & (fan.angle.abs() < 1.4)
            self.assertTrue(within.any())
            self.assertLess(float((found - exact)[within].abs().max()), 0.02, name)

    def test_meet_finds_nothing_beside_or_behind(self):
        fan = fan_scene("curvilinear").fan
        exists = torch.ones(3, 1, 1, dtype=torch.bool)
        behind = meet(fan, lambda x: torch.full_like(x, -1e3), exists)
        beyond = meet(fan, lambda x: torch.full_like(x, 1e4), exists)
        none = meet(fan, lambda x: torch.full_like(x, 30.0), ~exists)
        for found in (behind, beyond, none):
            self.assertTrue(torch.isinf(found).all())

    def test_faces_are_where_their_kind_says(self):
        for name in FANS:
            fan = fan_scene(name, 16).fan
            _, y = fan.point(torch.zeros_like(fan.angle))
            middle = fan.angle.abs() < 1e-2 + fan.step_rad
            self.assertLess(float(y[middle].abs().max()), 0.05)
            if name == "trapezoid":
                self.assertLess(float(y.abs().max()), 0.01)
            else:
                self.assertLessEqual(float(y.max()), 1e-4)
                self.assertLess(float((y - (fan.radius_mm * torch.cos(fan.angle) - fan.radius_mm)).abs().max()), 1e-3)
            limits = KINDS[name].field_deg
            self.assertGreaterEqual(math.degrees(float(fan.field_rad.min())), limits[0] - 1e-3)
            self.assertLessEqual(math.degrees(float(fan.field_rad.max())), limits[1] + 1e-3)

    def test_rings_are_even_and_fall_with_depth(self):
        fan = SimpleNamespace(cover=SimpleNamespace(**{
            name: torch.full((1, 1, 1), value) for name, value in
            (("level_db", 0.0), ("thick_mm", 0.4), ("n_rings", 3.0), ("spacing_mm", 2.0), ("decay_db", 6.0))}))
        at = face_echo(fan, torch.tensor([0.0, 1.0, 2.0, 4.0, 6.0, 8.0]).reshape(1, -1, 1)).flatten()
        for k, place in enumerate((0, 2, 3, 4)):
            self.assertAlmostEqual(float(at[place]), 10 ** (-0.3 * k), delta=1e-3)
        self.assertLess(float(at[1]), 1e-3)
        self.assertEqual(float(at[5]), 0)


class Pictures(unittest.TestCase):
    def test_places_lead_back_to_the_pixels(self):
        for name in FANS:
            scene = fan_scene(name)
            fan, picture, places = scene.fan, scene.fan.picture, places_of(scene, (HEIGHT_PX, WIDTH_PX))
            angle = (places.column + 0.5) * fan.step_rad - fan.field_rad / 2
            face = torch.where(fan.is_flat, fan.radius_mm / torch.cos(angle), fan.radius_mm)
            distance = face + places.row / scene.px_per_mm
            x = distance * torch.sin(angle) * picture.scale_x + picture.x0 - 0.5
            y = (distance * torch.cos(angle) - fan.radius_mm) * picture.scale_y + picture.y0 - 0.5
            off_x = (x - torch.arange(WIDTH_PX))[places.inside].abs()
            off_y = (y - torch.arange(HEIGHT_PX)[:, None])[places.inside].abs()
            self.assertGreater(len(off_x), 1000)
            self.assertLess(max(float(off_x.max()), float(off_y.max())), 0.01, name)

    def test_a_level_line_stays_level_in_the_picture(self):
        """The middle of the mask of an infinitely wide, smooth, flat bone, within half a pixel in every column."""
        frame = (558, 422)
        for name in FANS:
            scene = fan_scene(name, 4, flat_bones(), frame)
            fan, picture = scene.fan, scene.fan.picture
            depth = scene.bone.top_mm[:, :1]
            rows = ((depth + fan.radius_mm) / torch.cos(fan.angle) - fan.face_mm) * scene.px_per_mm
            band = 3 * scene.px_per_mm / picture.scale_y  # 3 px to each side
            slant = 1 / torch.cos(fan.angle)
            shown = (rows + band * slant < scene.height_px) & (fan.angle.abs() < 1.1)
            outline = Outline(*(value.expand(-1, 2, -1) for value in (rows - band * slant, rows + band * slant)),
                              torch.cat([shown, torch.zeros_like(shown)], dim=1))
            beams = torch.zeros(4, scene.height_px, scene.width_px)
            _, labels = scan_converted(scene, beams, outline, frame)
            for i in range(4):
                expected = float(depth[i] * picture.scale_y[i] + picture.y0[i]) - 0.5
                middle, inner = middle_of(labels[i], 25)
                self.assertGreater(int(inner.sum()), 20)
                self.assertLessEqual(float((middle[inner] - expected).abs().max()), 0.5, name)

    def test_the_bright_echo_lies_in_the_mask(self):
        samples = Phantom(186, 140, only(*FANS, empty_share=0.0, text_share=0.0, calliper_share=0.0), 3).draw(30)
        grey, is_bone = samples.images[:, 0], samples.labels > 0
        self.assertGreater(int(is_bone.flatten(1).any(1).sum()), 18)
        self.assertGreater(float(grey[is_bone].mean()), 110)
        self.assertLess(float(grey[~is_bone].mean()), 60)

    def test_a_flat_bone_drawn_and_rendered_stays_flat(self):
        """The whole way: from the drawn anatomy to the labels; bumps of the surface are below 0.5 mm."""
        frame = (558, 422)
        for name in ("trapezoid", "curvilinear", "phased"):
            scene = fan_scene(name, 3, flat_bones(), frame, seed=4)
            scene.bone.tilt.zero_()
            pose(scene)
            beams, outline = render_beams(scene, generator(5))
            _, labels = scan_converted(scene, beams, outline, frame)
            picture = scene.fan.picture
            for i in range(3):
                middle, inner = middle_of(labels[i], 25)
                expected = float(scene.bone.top_mm[i, 0] * picture.scale_y[i] + picture.y0[i]) - 0.5
                allowed = 0.7 * float(picture.scale_y[i]) + 0.2 * float(scene.band_px[i] / scene.px_per_mm[i] *
                                                                       picture.scale_y[i]) + 1
                self.assertGreater(int(inner.sum()), 20)
                self.assertLess(float((middle[inner] - expected).abs().max()), allowed, name)

    def test_nothing_is_labelled_outside_the_fan(self):
        scene = fan_scene("endocavity", 6)
        beams, outline = render_beams(scene, generator(2))
        outline.shown[:] = True
        grey, labels = scan_converted(scene, beams, outline, (HEIGHT_PX, WIDTH_PX))
        outside = ~places_of(scene, (HEIGHT_PX, WIDTH_PX)).inside
        self.assertFalse((labels > 0)[outside].any())
        ground = scene.fan.picture.ground.expand(-1, HEIGHT_PX, WIDTH_PX)
        self.assertTrue(torch.equal(grey[outside], ground[outside]))


class Orientation(unittest.TestCase):
    def test_frames_turn_and_others_stay(self):
        frames = torch.arange(24).reshape(4, 2, 3)
        out = turned(frames, [False, True, False, True], [False, False, True, True])
        self.assertTrue(torch.equal(out[0], frames[0]))
        self.assertTrue(torch.equal(out[1], frames[1].flip(0)))
        self.assertTrue(torch.equal(out[2], frames[2].flip(1)))
        self.assertTrue(torch.equal(out[3], frames[3].flip(0, 1)))

    def test_the_mask_follows_mirror_and_flip(self):
        still = dict(text_share=0.0, calliper_share=0.0, scale_share=0.0, marker_share=0.0, flow_box_share=0.0)
        kinds = tuple(replace(kind, flip_share=0.0) for kind in WIDE.geometries)
        base = replace(WIDE, geometries=kinds, mirror_share=0.0, screen_share=0.0, **still)
        down = replace(base, geometries=tuple(replace(kind, flip_share=1.0) for kind in kinds), mirror_share=1.0)
        up, turned_round = (Phantom(HEIGHT_PX, WIDTH_PX, ranges, 5).draw(2) for ranges in (base, down))
        self.assertTrue(torch.equal(up.images.flip(-1, -2), turned_round.images))
        self.assertTrue(torch.equal(up.labels.flip(-1, -2), turned_round.labels))
        self.assertFalse(up.is_flipped.any())
        self.assertTrue(turned_round.is_flipped.all())

    def test_shares_of_kinds_and_flips(self):
        flips = Phantom(16, 12, WIDE, 6).draw(150).is_flipped.float().mean()
        expected = sum(kind.share * kind.flip_share for kind in WIDE.geometries)
        self.assertAlmostEqual(float(flips), expected, delta=0.09)
        self.assertAlmostEqual(sum(kind.share for kind in WIDE.geometries), 1.0)
        linear = KINDS["linear"]
        self.assertGreater(linear.share * (1 - WIDE.screen_share) * (1 - linear.flip_share), 1 / 3)


def screens(height_px: int, width_px: int, seed: int) -> Screens:
    return Screens(height_px, width_px, torch.device("cpu"), random.Random(seed))


class OnScreens(unittest.TestCase):
    def test_the_region_is_the_pasted_rectangle(self):
        height, width = 279, 211
        grey = torch.full((6, height, width), 300.0)  # whiter than anything drawn
        labels = torch.ones((6, height, width), dtype=torch.uint8)
        out, numbers, regions = screens(height, width, 1).put(grey, labels, 1.0, [False] * 6)
        for i, (x, y, w, h) in enumerate(regions.tolist()):
            expected = torch.zeros(height, width, dtype=torch.bool)
            expected[y:y + h, x:x + w] = True
            self.assertTrue(torch.equal(out[i] > 299, expected))
            self.assertTrue(torch.equal(numbers[i] > 0, expected))
            self.assertLess(w * h, 0.96 * width * height)
            self.assertGreater(min(w / width, h / height), 0.3)
            self.assertLessEqual(float(out[i][~expected].max()), 255)

    def test_boxes_shrink_with_the_picture(self):
        height, width = 279, 211
        labels = torch.zeros((1, height, width), dtype=torch.uint8)
        labels[:, 60:120, 40:160] = 1
        _, numbers, regions = screens(height, width, 2).put(torch.zeros(1, height, width), labels, 1.0, [True])
        x, y, w, h = regions[0].tolist()
        expected = torch.tensor([x + 40 * w / width, y + 60 * h / height, x + 160 * w / width, y + 120 * h / height])
        self.assertLessEqual(float((boxes_of(numbers)[0][0] - expected).abs().max()), 1.0)

    def test_a_share_are_screens_and_the_rest_the_whole_frame(self):
        grey, labels = torch.rand(100, 120, 160), torch.zeros((100, 120, 160), dtype=torch.uint8)
        out, _, regions = screens(120, 160, 4).put(grey, labels, 0.4, [False] * 100)
        whole = (regions == torch.tensor([0, 0, 160, 120])).all(dim=1)
        self.assertAlmostEqual(float((~whole).float().mean()), 0.4, delta=0.15)
        self.assertTrue(torch.equal(out[whole], grey[whole]))

    def test_screens_differ_and_are_drawn(self):
        dice = random.Random(3)
        screens = [draw_screen(422, 558, (80, 100, 250, 350), i % 2 == 0, dice) for i in range(6)]
        self.assertEqual(len({screen.tobytes() for screen in screens}), 6)
        for screen in screens:
            self.assertEqual((screen.size, screen.mode), ((422, 558), "L"))
            low, high = screen.getextrema()
            self.assertGreater(high - low, 40)

    def test_screens_are_used_again_and_renewed(self):
        supply = screens(120, 160, 5)
        taken = [supply.take(False) for _ in range(60)]
        self.assertEqual(len({id(screen) for _, screen in taken[:16]}), 16)
        n_others = len({id(screen) for _, screen in taken[16:]} - {id(screen) for _, screen in taken[:16]})
        self.assertTrue(2 <= n_others <= 25)

    def test_frames_too_small_for_text_stay_bare(self):
        samples = Phantom(64, 48, replace(WIDE, screen_share=1.0), 8).draw(2)
        self.assertTrue((samples.region == torch.tensor([0, 0, 48, 64])).all())


class AsSamples(unittest.TestCase):
    def test_a_seed_is_a_sequence_of_frames(self):
        ranges = replace(WIDE, screen_share=0.5)
        once, again, other = (Phantom(120, 160, ranges, seed).draw(6) for seed in (3, 3, 4))
        for name in ("images", "labels", "region", "is_flipped"):
            self.assertTrue(torch.equal(getattr(once, name), getattr(again, name)))
        self.assertFalse(torch.equal(once.images, other.images))
        self.assertTrue(((once.images >= 0) & (once.images <= 255)).all())
        self.assertTrue(torch.equal(once.images, once.images.round()))

    def test_rows_join_and_to_keep_what_is_known(self):
        samples = Phantom(64, 48, WIDE, 9).draw(4)
        both = join([samples.rows(slice(0, 1)), samples.rows(torch.tensor([1, 2, 3]))]).to("cpu")
        for name in ("images", "labels", "region", "is_flipped"):
            self.assertTrue(torch.equal(getattr(both, name), getattr(samples, name)))
        own = Samples(samples.images, samples.labels)
        self.assertIsNone(join([samples, own]).region)
        self.assertIsNone(own.rows(slice(2)).is_flipped)

    def test_a_pool_keeps_regions_beside_their_frames(self):
        source = PhantomSource(3, reuse=3, height_px=120, width_px=160, ranges=replace(WIDE, screen_share=0.5))
        for n in (4, 4, 4):
            samples = source.draw(n)
            for image, region in zip(samples.images[:, 0], samples.region.tolist()):
                self.assertEqual(tuple(image.shape), (120, 160))
                self.assertTrue(region[2] <= 160 and region[3] <= 120 and min(region[2:]) > 0)
        self.assertEqual(samples.images.dtype, torch.float32)

    def test_bands_and_lines_stay_off_flipped_frames(self):
        samples = Phantom(HEIGHT_PX, WIDTH_PX, TRAINING, 10).draw(12)
        flipped = replace(samples, is_flipped=torch.ones(12, dtype=torch.bool))
        effects = augment.SCENE_EFFECTS, augment.LOOK_EFFECTS
        try:
            augment.SCENE_EFFECTS = tuple((effect, 1.0) for effect in augment.FROM_ABOVE)
            augment.LOOK_EFFECTS = ()
            same = augment.augment(flipped, generator(1), 0.0)
            changed = augment.augment(samples, generator(1), 0.0)
        finally:
            augment.SCENE_EFFECTS, augment.LOOK_EFFECTS = effects
        self.assertTrue(torch.equal(same.images, samples.images.round()))
        self.assertFalse(torch.equal(changed.images, samples.images.round()))
        self.assertIsNone(changed.region)


if __name__ == "__main__":
    unittest.main()
