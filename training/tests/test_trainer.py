# SPDX-License-Identifier: Apache-2.0
"""The training loop on a network of a few numbers, the detector's stage on a few frames."""
import argparse
import io
import json
import os
import signal
import tempfile
import unittest
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path

import torch
from torch import nn

from ahead import Ahead, AheadError
from models.boxes import to_corners
from samples import Samples
from stages import decay_groups
from stages.detector import DetectorStage, input_sizes, prepare, reduced, target_boxes, targets_of
from team import Team, run_team
from train import hold, load_parameters, parse_arguments, train
from trainer import Average, Settings, Trainer, TrainingError, lr_share, read_saved, seed_everything


class MeanStage:
    """Learns the mean grey value of a frame; `spoil` makes the losses of the steps that it names infinite."""
    name = "mean"
    checkpoint_name = "mean.pt"
    learning_rate = 0.05
    batch = 4

    def __init__(self, spoil=(), on_step=lambda step: None):
        self.n_steps, self.spoil, self.on_step = 0, spoil, on_step

    def inputs(self, samples, progress):
        return samples

    def losses(self, module, samples):
        self.n_steps += 1
        self.on_step(self.n_steps)
        error = module(samples.images.mean((2, 3)) / 255)[:, 0] - samples.labels.float().mean((1, 2))
        factor = float("inf") if self.n_steps in self.spoil else 1.0
        return {"square.first": (error ** 2).mean() * factor, "square.second": error.abs().mean() * 0.1}

    def evaluate(self, module, sets):
        samples, = sets
        error = module(samples.images.mean((2, 3)) / 255)[:, 0] - samples.labels.float().mean((1, 2))
        return {"closeness": 1 / (1 + error.abs().mean().item())}

    def rank(self, figures):
        return (figures["closeness"],)

    def parameter_groups(self, module, lr):
        return decay_groups(module, lr, 0.0)

    def checkpoint(self, state):
        return state


class Greys:
    """Frames of one grey value, labelled by it."""

    def draw(self, n: int) -> Samples:
        grey = torch.rand(n, 1, 1, 1).expand(n, 1, 4, 4)
        return Samples(255 * grey, (grey[:, 0] > 0.5).to(torch.uint8))


class Loop(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.output = Path(held.name) / "run"

    def trainer(self, steps: int, stage=None) -> Trainer:
        seed_everything(5)
        stage = stage or MeanStage()
        settings = Settings(self.output, stage.learning_rate, stage.batch, steps=steps, n_validations=4)
        return Trainer(stage, nn.Linear(1, 1), lambda share: Greys().draw(stage.batch), [Greys().draw(64)], settings)

    def run_quietly(self, trainer: Trainer) -> bool:
        with redirect_stderr(io.StringIO()):
            return trainer.run()

    def log(self) -> list[dict]:
        return [json.loads(line) for line in (self.output / "log.jsonl").read_text().splitlines()]

    def test_writes_what_it_promises_and_learns(self):
        self.assertTrue(self.run_quietly(self.trainer(80)))
        names = {path.name for path in self.output.iterdir()}
        self.assertEqual(names, {"last.pt", "mean.pt", "log.jsonl", "curves.png"})
        validations = [line["validation"]["closeness"] for line in self.log() if "validation" in line]
        self.assertEqual(len(validations), 4)
        self.assertGreater(validations[-1], validations[0])
        self.assertEqual(set(torch.load(self.output / "mean.pt", weights_only=True)), {"weight", "bias"})

    def test_same_seed_same_parameters(self):
        states = []
        for _ in range(2):
            trainer = self.trainer(30)
            self.run_quietly(trainer)
            states.append(trainer.average.state["weight"])
        self.assertTrue(torch.equal(*states))

    def test_signal_stops_after_the_step_and_resume_goes_on(self):
        stop = MeanStage(on_step=lambda step: step == 11 and os.kill(os.getpid(), signal.SIGTERM))
        trainer = self.trainer(40, stop)
        self.assertFalse(self.run_quietly(trainer))
        saved = read_saved(self.output)
        self.assertEqual(saved["progress"]["step"], 11)
        later = self.trainer(40)
        later.resume(saved)
        self.assertTrue(torch.equal(later.module.weight, trainer.module.weight))
        self.assertTrue(torch.equal(later.average.state["weight"], trainer.average.state["weight"]))
        self.assertTrue(self.run_quietly(later))
        self.assertEqual((later.progress.step, later.stage.n_steps), (40, 29))

    def test_resume_refuses_another_stage_or_nothing(self):
        with self.assertRaisesRegex(TrainingError, "nothing to resume"):
            read_saved(self.output)
        self.run_quietly(self.trainer(4))
        other = self.trainer(4)
        other.stage.name = "median"
        with self.assertRaisesRegex(TrainingError, "of the stage mean"):
            other.resume(read_saved(self.output))

    def test_steps_that_are_not_finite_change_nothing(self):
        trainer = self.trainer(3, MeanStage(spoil={1, 2, 3}))
        before = trainer.module.weight.detach().clone()
        self.run_quietly(trainer)
        self.assertTrue(torch.equal(trainer.module.weight, before))
        self.assertEqual(trainer.progress.n_skipped, 3)

    def test_twenty_such_steps_in_a_row_end_it(self):
        spoiled = set(range(1, 20)) | set(range(21, 100))
        trainer = self.trainer(100, MeanStage(spoil=spoiled))
        with self.assertRaisesRegex(TrainingError, "step 40: .* 20 times in a row"):
            self.run_quietly(trainer)

    def test_learning_rate_rises_stays_and_falls(self):
        self.assertLess(lr_share(0.0), 0.1)
        self.assertEqual(lr_share(0.03), 1.0)
        self.assertEqual(lr_share(0.39), 1.0)
        self.assertAlmostEqual(lr_share(0.7), 0.51, 6)
        self.assertAlmostEqual(lr_share(1.0), 0.02, 6)

    def test_average_follows_and_gives_the_module_back(self):
        module = nn.BatchNorm1d(1)
        average = Average(module)
        with torch.no_grad():
            module.weight.fill_(3.0)
        module.num_batches_tracked.fill_(9)
        average.update(module, step=20)
        self.assertEqual(average.state["weight"].item(), 2.0)
        self.assertEqual(average.state["num_batches_tracked"].item(), 9)
        with average.in_place_of(module) as averaged:
            self.assertEqual((averaged.weight.item(), averaged.training), (2.0, False))
        self.assertEqual((module.weight.item(), module.training), (3.0, True))


def labelled_frames() -> Samples:
    """Two structures, none, one, and one of a single pixel."""
    labels = torch.zeros(4, 96, 64, dtype=torch.uint8)
    labels[0, 10:20, 8:40], labels[0, 50:90, 30:60] = 1, 2
    labels[2, 40:60, 0:64] = 1
    labels[3, 5, 5] = 1
    images = torch.rand(4, 1, 96, 64, generator=torch.Generator().manual_seed(0)) * 100 + 100 * (labels > 0)[:, None]
    return Samples(images, labels)


class Detector(unittest.TestCase):
    def stage(self, sizes="192:0.5,256") -> tuple[DetectorStage, nn.Module]:
        torch.manual_seed(0)
        stage = DetectorStage()
        options = argparse.Namespace(size="n", denoising=10, input_sizes=input_sizes(sizes), device="cpu", seed=1,
                                     plain_share=0.25)
        stage.set_up(options)
        return stage, stage.build(options).train()

    def test_targets(self):
        targets = targets_of(target_boxes(labelled_frames().labels))
        self.assertEqual([len(target["labels"]) for target in targets], [2, 0, 1, 0])
        scale = torch.tensor([64, 96, 64, 96])
        torch.testing.assert_close(to_corners(targets[0]["boxes"]) * scale,
                                   torch.tensor([[8.0, 10, 40, 20], [30, 50, 60, 90]]))

    def test_input_is_the_products(self):
        image = torch.arange(64.0).view(1, 1, 8, 8)
        prepared = prepare(image, 4)
        self.assertEqual(prepared.shape, (1, 3, 4, 4))
        self.assertTrue(torch.equal(prepared[:, 0], prepared[:, 2]))
        torch.testing.assert_close(prepared.mean(), image.mean() / 255)

    def test_reduced(self):
        frames = labelled_frames()
        self.assertIs(reduced(frames, 96), frames)
        small = reduced(frames, 48)
        self.assertEqual((small.images.shape, small.labels.shape), ((4, 1, 48, 32), (4, 48, 32)))
        self.assertEqual(small.labels[0].unique().tolist(), [0, 1, 2])

    def test_losses_have_gradients_in_both_precisions(self):
        frames = labelled_frames()
        for bfloat16 in (False, True):
            with self.subTest(bfloat16=bfloat16):
                stage, module = self.stage()
                inputs = stage.inputs(frames, 0.0)
                with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                    losses = stage.losses(module, inputs)
                sum(losses.values()).backward()
                norm = nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])
                self.assertTrue(norm.isfinite() and norm > 0)
                self.assertIn("vfl.noisy.layer0", losses)

    def test_sizes_follow_progress(self):
        stage, module = self.stage()
        frames = labelled_frames()
        stage.losses(module, stage.inputs(frames, 0.6))
        figures = stage.evaluate(module.eval(), [frames])
        self.assertEqual(figures["input_px"], 256)
        self.assertTrue(0 <= figures["ap50_95"] <= figures["ap50"] <= 1)
        self.assertGreater(stage.rank(figures), stage.rank({**figures, "input_px": 192, "ap50": 1.0, "ap50_95": 1.0}))
        self.assertGreater(stage.rank({**figures, "ap50": 0.9, "false_alarm_share": 0.05}),
                           stage.rank({**figures, "ap50": 0.92, "false_alarm_share": 0.14}))
        for wrong in ("320:0.5", "300", "320:0.7,640:0.5", "0"):
            with self.assertRaises(argparse.ArgumentTypeError):
                input_sizes(wrong)

    def test_checkpoint_starts_another_training(self):
        stage, module = self.stage()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "detector.pth"
            torch.save(stage.checkpoint(module.state_dict()), path)
            other = DetectorStage().build(argparse.Namespace(size="n", denoising=0, input_sizes=[(1.0, 640)],
                                                             device="cpu", seed=2))
            load_parameters(other, path)
            larger = DetectorStage().build(argparse.Namespace(size="s", denoising=0, input_sizes=[(1.0, 640)],
                                                              device="cpu", seed=2))
            with self.assertRaisesRegex(TrainingError, "another network or size"):
                load_parameters(larger, path)
        for name, value in other.state_dict().items():
            torch.testing.assert_close(value, module.state_dict()[name], equal_nan=True)


class Held(unittest.TestCase):
    """What hold() names stays, in parameters and statistics, through training; the rest learns."""

    def changed(self, parts: list[str], is_statistics_held: bool) -> set[str]:
        """Names of the tensors that a step of training changes."""
        torch.manual_seed(3)
        first = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        network = nn.Sequential(first, nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
        hold(network, parts, is_statistics_held)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        network.eval()
        network.train()
        optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
        network(torch.rand(4, 1, 5, 5)).square().sum().backward()
        optimizer.step()
        return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}

    def test_parts_and_statistics(self):
        free = self.changed([], False)
        self.assertTrue({"0.0.weight", "0.1.running_mean", "1.running_var", "2.weight"} <= free)
        self.assertEqual(self.changed(["0"], False), {name for name in free if not name.startswith("0.")})
        self.assertEqual(self.changed(["0"], True), {"1.weight", "1.bias", "2.weight", "2.bias"})

    def test_refuses(self):
        with self.assertRaisesRegex(TrainingError, "--hold neck: no such part; the parts are 0 1 2"):
            self.changed(["neck"], False)
        with self.assertRaisesRegex(TrainingError, "nothing is left to train"):
            self.changed(["0", "1", "2"], False)


@unittest.skipUnless(torch.cuda.is_available(), "no GPU")
class OnCuda(unittest.TestCase):
    """Frames are made a step ahead, in another process."""

    def test_three_steps_of_each_stage(self):
        for stage in ("detector", "segmenter"):
            with self.subTest(stage), tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
                options = parse_arguments([stage, "--output", folder, "--steps", "3", "--batch", "2", "--validations", "1",
                                           "--validation-frames", "4", "--device", "cuda"])
                self.assertEqual(train(options), 0)
                saved = read_saved(Path(folder))
                self.assertEqual((saved["progress"]["step"], saved["progress"]["n_skipped"]), (3, 0))

    def test_ahead_gives_tensors_of_the_device(self):
        ahead = Ahead(partial(maker_of_full, "cuda"))
        self.addCleanup(ahead.close)
        taken = [ahead.take(share) for share in (0.0, 0.5, 1.0)]
        self.assertEqual([part.mean().item() for part in taken], [0.0, 0.0, 0.5])
        self.assertEqual(taken[0].device.type, "cuda")


def maker_of_full(device: str):
    """Makes tensors of the share; fails at 0.75."""
    def make(share):
        if share == 0.75:
            raise ValueError("three quarters")
        return torch.full((1 << 20,), share, device=device)

    return make


def maker_that_ends():
    return lambda share: os._exit(3)


class MadeAhead(unittest.TestCase):
    def test_in_order_a_step_late(self):
        ahead = Ahead(partial(maker_of_full, "cpu"))
        self.addCleanup(ahead.close)
        self.assertEqual([ahead.take(share).mean().item() for share in (0.0, 0.5, 1.0)], [0.0, 0.0, 0.5])

    def test_an_error_there_is_one_here(self):
        ahead = Ahead(partial(maker_of_full, "cpu"))
        self.addCleanup(ahead.close)
        ahead.take(0.75 - 0.5)
        ahead.take(0.75)
        with self.assertRaisesRegex(ValueError, "three quarters"):
            ahead.take(1.0)

    def test_it_ends_quietly_when_nobody_listens(self):
        ahead = Ahead(partial(maker_of_full, "cpu"))
        ahead.take(0.5)
        ahead._pipe.close()
        ahead._process.join(60)
        self.assertEqual(ahead._process.exitcode, 0)

    def test_a_process_that_ends_is_an_error(self):
        ahead = Ahead(maker_that_ends)
        self.addCleanup(ahead.close)
        with self.assertRaisesRegex(AheadError, "has ended"):
            ahead.take(0.0)


def work_of_two(team: Team) -> int:
    values = [torch.full((2, 3), float(team.rank)), torch.tensor([10.0 * team.rank])]
    team.average(values)
    is_mean = (values[0] == 0.5).all() and values[1].item() == 5.0
    return 0 if is_mean and team.from_leader(team.rank + 3.0) == [3.0] else 1


class TwoProcesses(unittest.TestCase):
    def test_average_and_leader(self):
        self.assertEqual(run_team(2, work_of_two), 0)

    def test_one_process_changes_nothing(self):
        value = torch.ones(2)
        Team().average([value])
        self.assertEqual(Team().from_leader(2.0), [2.0])
        self.assertTrue(torch.equal(value, torch.ones(2)))

    def test_one_of_them_writes(self):
        with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
            arguments = ["segmenter", "--steps", "2", "--batch", "1", "--windows", "224", "--processes", "2", "--device",
                         "cpu", "--validations", "1", "--validation-frames", "12", "--threads", "1", "--output", folder]
            self.assertEqual(train(parse_arguments(arguments)), 0)
            lines = (Path(folder) / "log.jsonl").read_text(encoding="utf-8").splitlines()
            self.assertEqual([json.loads(line)["step"] for line in lines], [2])
            self.assertTrue((Path(folder) / "segmenter.pt").is_file())


class CommandLine(unittest.TestCase):
    def test_contradictions_are_usage_errors(self):
        for wrong in (["detector", "--output", "o"], ["detector", "--output", "o", "--steps", "1", "--minutes", "1"],
                      ["detector", "--output", "o", "--steps", "1", "--coco", "a.json"],
                      ["segmenter", "--output", "o", "--steps", "1", "--mix", "1"],
                      ["segmenter", "--output", "o", "--steps", "1", "--plain-share", "1.1"],
                      ["detector", "--output", "o", "--steps", "1", "--init", "a", "--resume"]):
            with self.subTest(wrong), self.assertRaises(SystemExit) as caught, redirect_stderr(io.StringIO()):
                parse_arguments(wrong)
            self.assertEqual(caught.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
