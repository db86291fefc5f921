# SPDX-License-Identifier: Apache-2.0
"""What looks like bone and is not, bones that are hard to see, and what a frame goes through after the scanner."""
import unittest
from dataclasses import replace
from types import SimpleNamespace

import torch

import grabber
from phantom import Phantom
from phantom.alike_ranges import NAMES, Hard, LookAlikes, Needle, Pleura, Stone
from phantom.hard import weaken
from phantom.look_alikes import AIR, FACE, draw_kinds, lay_look_alikes
from phantom.ranges import WIDE, Geometry
from phantom.render import render, render_beams
from phantom.scene import draw_fan_scene, draw_scene
from phantom.texture import level
from phantom.tissue import _fasciae, _texture

HEIGHT_PX, WIDTH_PX = 180, 136
NONE_HARD = Hard(fading_share=0, thick_share=0, gaps_share=0, crossing_share=0, cut_share=0, shallow_share=0,
                 faint_share=0)
QUIET = replace(WIDE, look_alikes=None, hard=None, gain_share=0, persistence_share=0, poor_contact_share=(0, 0))
CONVEX = Geometry("curvilinear", 1.0, (40, 40), (60, 60), (100, 100))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def only(name: str, **changes) -> LookAlikes:
    weights = tuple(float(kind == name) for kind in NAMES)
    return LookAlikes(weights=weights, weights_at_bone=weights, numbers=(0, 1), numbers_at_bone=(0, 1), **changes)


def laid(name: str, n: int = 12, has_bone: bool = False, is_fan: bool = False, seed: int = 1, **changes):
    """Scene without loss over depth, the planes without the look-alike, and with it."""
    scanner = replace(WIDE.scanner, loss_db=(0, 0))
    ranges = replace(QUIET, look_alikes=only(name, **changes), empty_share=float(not has_bone), scanner=scanner)
    if is_fan:
        scene = draw_fan_scene([CONVEX] * n, HEIGHT_PX, WIDTH_PX, ranges, generator(seed))
    else:
        scene = draw_scene(n, HEIGHT_PX, WIDTH_PX, ranges, generator(seed))
    tissue, echoes = _texture(scene), _fasciae(scene)
    return scene, (tissue, echoes), lay_look_alikes(scene, tissue.clone(), echoes.clone(), generator(seed + 1))


class Kinds(unittest.TestCase):
    def test_shares_are_those_of_the_ranges(self):
        has_bone = torch.arange(8000) % 2 == 0
        kinds = draw_kinds(has_bone, LookAlikes(), generator(1))
        has_any = kinds.any(dim=1).float()
        self.assertAlmostEqual(float(has_any[has_bone].mean()), 0.35, delta=0.03)
        self.assertAlmostEqual(float(has_any[~has_bone].mean()), 0.88, delta=0.03)
        self.assertTrue(kinds[~has_bone].any(dim=0).all())
        self.assertLessEqual(int(kinds.sum(dim=1).max()), 3)

    def test_air_lies_neither_at_a_bone_nor_beside_anything_but_a_face(self):
        has_bone = torch.arange(8000) % 2 == 0
        kinds = draw_kinds(has_bone, LookAlikes(), generator(2))
        self.assertFalse(kinds[has_bone, AIR].any())
        others = [k for k in range(len(NAMES)) if k not in (AIR, FACE)]
        self.assertFalse(kinds[kinds[:, AIR]][:, others].any())

    def test_nothing_of_it_is_labelled(self):
        for name in NAMES:
            for draw in (lambda r: draw_scene(6, HEIGHT_PX, WIDTH_PX, r, generator(3)),
                         lambda r: draw_fan_scene([CONVEX] * 2, HEIGHT_PX, WIDTH_PX, r, generator(3))):
                scene = draw(replace(WIDE, look_alikes=only(name), empty_share=1.0))
                with self.subTest(name, is_fan=scene.fan is not None):
                    grey, outline = render_beams(scene, generator(4))
                    self.assertFalse(outline.shown.any())
                    self.assertTrue(torch.isfinite(grey).all())
                    self.assertTrue(scene.kinds[:, NAMES.index(name)].all())

    def test_each_changes_what_is_seen_of_a_frame(self):
        for name in NAMES:
            for is_fan in (False, True):
                with self.subTest(name, is_fan=is_fan):
                    _, (tissue, echoes), layers = laid(name, is_fan=is_fan)
                    changed = (layers.tissue - tissue).abs() + (layers.echoes - echoes).abs()
                    if layers.gain is not None:
                        changed = changed + 1 - layers.gain
                    if layers.artefacts is not None:
                        changed = changed + layers.artefacts
                    per_frame = (changed > 0.01).flatten(1).float().mean(dim=1)
                    self.assertGreater(float((per_frame > 2e-4).float().mean()), 0.8)


class Looks(unittest.TestCase):
    def test_face_and_air_are_constant_along_a_range_and_die_away(self):
        for name in ("face", "air"):
            with self.subTest(name):
                _, _, layers = laid(name)
                profile = layers.artefacts[:, :, WIDTH_PX // 3:-WIDTH_PX // 3]
                uneven = profile.std(dim=2).sum() / profile.mean(dim=2).sum()
                self.assertLess(float(uneven), 0.25)
                self.assertGreater(float(profile[:, :20].mean()), 20 * float(profile[:, HEIGHT_PX // 2:].mean()))

    def test_in_air_there_is_no_tissue_and_the_noise_is_another(self):
        scene, _, layers = laid("air")
        self.assertEqual(float(layers.tissue.max()), 0)
        self.assertEqual(float(layers.echoes.max()), 0)
        self.assertFalse(torch.equal(layers.noise_db, scene.scanner.noise_db))

    def test_speckle_is_even_but_for_its_targets(self):
        _, _, layers = laid("speckle")
        relative = layers.tissue / layers.tissue.median(dim=2, keepdim=True).values
        self.assertGreater(float(((relative - 1).abs() < 0.01).float().mean()), 0.7)
        self.assertGreater(float(((relative - 1).abs() > 0.1).float().mean()), 0.01)

    def test_tank_has_a_line_in_the_depth_and_nothing_like_tissue_above_it(self):
        _, (tissue, _), layers = laid("tank", 24)
        deep = layers.echoes[:, int(0.25 * HEIGHT_PX):].amax(dim=(1, 2))
        self.assertGreater(float((deep > level(torch.tensor(-7.0))).float().mean()), 0.9)
        is_water = layers.tissue[:, 10:30].mean(dim=(1, 2)) < 0.05 * tissue[:, 10:30].mean(dim=(1, 2))
        self.assertGreater(float(is_water.float().mean()), 0.4)
        self.assertLess(float(is_water.float().mean()), 1)

    def test_wires_are_small_and_bright(self):
        _, _, layers = laid("wires")
        strongest = layers.echoes.amax(dim=(1, 2), keepdim=True)
        self.assertGreater(float(strongest.median()), 0.3)
        area = (layers.echoes > 0.5 * strongest).flatten(1).float().mean(dim=1)
        self.assertLess(float(area.median()), 0.03)

    def test_a_needle_is_straight(self):
        _, (_, echoes), layers = laid("needle", needle=Needle(copies=(0, 0), level_db=(10, 14)))
        n_seen = 0
        for plane, before in zip(layers.echoes, echoes):
            y, x = ((plane > 1) & (plane > before)).nonzero().float().unbind(dim=1)
            if len(x) > 20 and float(x.max() - x.min()) > 20:
                n_seen += 1
                self.assertGreater(abs(float(torch.corrcoef(torch.stack([x, y]))[0, 1])), 0.95)
        self.assertGreater(n_seen, 4)

    def test_pleura_repeats_itself_at_twice_its_depth_over_haze(self):
        n_seen = 0
        _, (_, echoes), layers = laid("pleura", 24, pleura=Pleura(middle=(0, 0), half=(1, 2)))
        for plane, tissue in zip(torch.where(layers.echoes > echoes, layers.echoes, 0), layers.tissue):
            column = plane[:, WIDTH_PX // 2]
            first = int(column[:HEIGHT_PX // 2].argmax())
            if column[first] > 0.6 and 25 < first < HEIGHT_PX // 2 - 4:
                n_seen += 1
                self.assertGreater(float(column[2 * first - 3:2 * first + 4].max()), 3 * float(column[first * 3 // 2]))
                self.assertGreater(float(tissue[first + 3:first + 20, WIDTH_PX // 2].mean()), 0.001)
        self.assertGreater(n_seen, 4)

    def test_gas_diaphragm_and_fascia_do_not_leave_the_dark_of_bone_below(self):
        for name, least_db in (("gas", -40), ("diaphragm", -40), ("fascia", -42)):
            with self.subTest(name):
                _, (_, echoes), layers = laid(name)
                is_front = (layers.echoes > 0.5) & (layers.echoes > 2 * echoes)
                below = layers.tissue.roll(-15, dims=1)[:, :-15][is_front[:, :-15]]
                self.assertGreater(len(below), 50)
                self.assertGreater(float(below.median()), float(level(torch.tensor(float(least_db)))))

    def test_a_stone_has_a_dark_shadow_that_is_narrower_than_any_bone(self):
        for is_fan in (False, True):
            _, _, layers = laid("stone", 24, is_fan=is_fan, stone=Stone(most=1))
            dark = layers.gain[:, -1] < 0.5
            self.assertTrue(dark.any())
            self.assertLessEqual(float(dark.float().mean(dim=1).max()), 0.092)
            self.assertLess(float(layers.gain.min()), 0.08)
        narrowest = min(shape.half_views[0] * (1 + min(shape.skew[0], 1)) * 0.88 for shape in WIDE.shapes)
        self.assertLess(2 * Stone().half_views[1], narrowest)

    def test_pleura_and_gas_leave_the_beams_of_a_bone(self):
        for name in ("pleura", "gas"):
            scene, (tissue, echoes), layers = laid(name, has_bone=True)
            hidden = (scene.columns.present.amax(dim=1, keepdim=True) > 0.999).expand(-1, HEIGHT_PX, -1)
            self.assertTrue(hidden.any())
            self.assertLess(float((layers.echoes - echoes)[hidden].max()), 0.02)
            self.assertGreater(float((layers.tissue / tissue.clamp(min=1e-6))[hidden].min()), 0.98)


class HardBones(unittest.TestCase):
    def labels(self, **shares) -> torch.Tensor:
        ranges = replace(QUIET, empty_share=0.0, hard=replace(NONE_HARD, **shares))
        return render(draw_scene(16, HEIGHT_PX, WIDTH_PX, ranges, generator(5)), generator(6))[1] > 0

    def test_faded_and_faint_bones_lose_what_is_below_the_documented_grey(self):
        whole = self.labels().sum()
        for shares in ({"fading_share": 1.0, "fade_db": ((30, 40), (30, 40))}, {"faint_share": 1.0}):
            with self.subTest(shares):
                self.assertLess(int(self.labels(**shares).sum()), 0.95 * int(whole))

    def test_thick_crests_have_thick_outlines(self):
        thick = self.labels(thick_share=1.0, thick_db=(0, 0), thick=(3, 3), thick_views=(1, 1))
        self.assertGreater(int(thick.sum()), 1.4 * int(self.labels().sum()))

    def test_cut_bones_reach_the_edge(self):
        edges = self.labels(cut_share=1.0)[:, :, [0, -1]].flatten(1).any(dim=1)
        self.assertGreater(float(edges.float().mean()), 0.5)

    def test_shallow_bones_lie_right_below_the_face(self):
        ranges = replace(QUIET, empty_share=0.0, hard=replace(NONE_HARD, shallow_share=1.0))
        scene = draw_scene(16, HEIGHT_PX, WIDTH_PX, ranges, generator(5))
        self.assertLessEqual(float(scene.bone.top_mm.max()), 5)

    def test_crossing_bones_share_beams(self):
        ranges = replace(QUIET, empty_share=0.0, hard=replace(NONE_HARD, crossing_share=1.0))
        scene = draw_scene(16, HEIGHT_PX, WIDTH_PX, ranges, generator(5))
        self.assertTrue(scene.bone.exists.all())
        shared = (scene.columns.present > 0.5).all(dim=1).any(dim=1)
        self.assertGreater(float(shared.float().mean()), 0.7)

    def test_the_outline_goes_on_over_narrow_gaps_alone(self):
        u = torch.linspace(-1, 1, 401).expand(1, 2, 401)  # half a millimetre is 10 columns
        for gap_mm, is_bridged in ((1.2, True), (3.0, False)):
            hard = SimpleNamespace(**{name: torch.full((1, 1, 1), value) for name, value in (
                ("thick_views", 1.0), ("thick_db", 0.0), ("fade_power", 2.0), ("thick", 2.0), ("gap_mm", gap_mm),
                ("gap_place", 0.0), ("gap_db", -40.0))}, is_thick=torch.zeros(1, 1, 1), fade_db=torch.zeros(1, 2, 1))
            bone = SimpleNamespace(half_mm=torch.full((1, 2, 1), 10.0), skew=torch.ones(1, 2, 1))
            echo, drawn, thick = weaken(hard, u, bone, torch.ones(1, 2, 401))
            self.assertLess(float(echo[0, 0, 200]), 0.02)
            self.assertEqual(float(drawn[0, 0, 200]) > 0.99, is_bridged)
            self.assertEqual(float(echo[0, 0, 0]), 1)
            self.assertTrue((thick == 1).all())
            self.assertAlmostEqual(float((echo[0, 0] < 0.1).sum()) * 0.05, gap_mm, delta=0.15)


class Scanner(unittest.TestCase):
    def test_the_same_seed_gives_the_same_frames(self):
        once, again = (Phantom(HEIGHT_PX, WIDTH_PX, WIDE, 7).draw(10) for _ in range(2))
        self.assertTrue(torch.equal(once.images, again.images))
        self.assertTrue(torch.equal(once.labels, again.labels))

    def test_persistence_smooths_speckle(self):
        deviation = []
        for number in (1.0, 4.0):
            ranges = replace(QUIET, empty_share=1.0, look_alikes=only("speckle"))
            scene = draw_scene(4, HEIGHT_PX, WIDTH_PX, ranges, generator(8))
            scene.n_averaged = torch.full((4, 1, 1), number)
            grey, _ = render_beams(scene, generator(9))
            deviation.append(float((grey[:, 40:] - grey[:, 40:].roll(1, -1)).abs().mean()))
        self.assertLess(deviation[1], 0.75 * deviation[0])

    def test_gain_brightens_and_the_truth_goes_along(self):
        sums = []
        for gain_db in (-12.0, 12.0):
            ranges = replace(QUIET, empty_share=0.0, gain_share=1.0, gain_db=(gain_db, gain_db))
            grey, labels = render(draw_scene(8, HEIGHT_PX, WIDTH_PX, ranges, generator(10)), generator(11))
            sums.append((float(grey.mean()), int((labels > 0).sum())))
        self.assertGreater(sums[1][0], 1.3 * sums[0][0])
        self.assertGreaterEqual(sums[1][1], sums[0][1])

    def test_interlace_leaves_every_second_line(self):
        images = torch.rand(6, 1, 64, 48, generator=generator(12))
        out = grabber.interlace(images, generator(13))
        same = (out == images).all(dim=3)[:, 0]
        self.assertTrue((same[:, 0::2].all(dim=1) ^ same[:, 1::2].all(dim=1)).all())

    def test_a_grabber_rings_along_lines_alone(self):
        images = torch.zeros(8, 1, 64, 48)
        images[..., 20:] = 1
        out = grabber.grab(images, generator(14))
        self.assertTrue(((out.mean(dim=2)[:, 0, 30:] - out.mean(dim=2)[:, 0, :10].mean(-1, keepdim=True)) > 0.5).all())
        self.assertLess(float((out.mean(dim=3) - out.mean()).std(dim=2).max()), 0.02)
        self.assertGreater(float((out.amax(dim=3).mean(dim=2) - out[..., -5:].mean(dim=(2, 3))).max()), 0.05)


if __name__ == "__main__":
    unittest.main()
