#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
r"""sonoseg and the official PyTorch code on the same frame, in turn, on one machine, in one call.

    python3 bench/peers/compare.py DFINE_CHECKOUT MOBILESAM_CHECKOUT DETECTOR SEGMENTER FRAME \
        --sonoseg COMMAND --json FILE

Turns: sonoseg, peers without compiling (eager, graph), sonoseg, compiled peers, sonoseg. What the machine does in the
meantime (clocks, neighbours) thereby shows in the spread of sonoseg's own turns. The JSON file holds what
bench/peers/pytorch_cuda.py writes, and
  ours    p50 (median of the turns), p99 and max (worst of the turns), turns: each turn's p50; milliseconds
  ratio   best peer's p50 / our p50; null while one of them is not known
It is written after each turn, so that a time limit costs only what had not been measured. --limit-s bounds the whole
call: no turn starts beyond it, a peer that would take the time of sonoseg's remaining turns is ended. sonoseg computes
the weight maps as the peers do and brings them to the host as well, which they do not.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PEER_TURNS = (("eager", "graph"), ("compiled_2_streams", "compiled"))
LEAST_S = 5  # a turn below this is not worth its start


class Comparison:
    """The turns taken so far, and the clock they are taken against."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.end = time.monotonic() + options.limit_s
        self.ours, self.peers, self.facts, self.n_failed = [], {}, {}, 0
        self.own_turn_s = 0.0  # what one takes

    def run(self, name, command, n_own_turns=0):
        """Runs a turn within the time that is left but for n_own_turns; True when it ended well. Its last lines are
        shown if not."""
        limit_s = self.end - time.monotonic() - n_own_turns * self.own_turn_s
        if limit_s < LEAST_S:
            print(f"{name:34} left out: no time", flush=True)
            return False
        log = os.path.join(self.folder, "turn.log")
        with open(log, "w", encoding="utf-8") as out:
            child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                status = child.wait(limit_s)
            except subprocess.TimeoutExpired:
                status = None
                os.killpg(child.pid, signal.SIGKILL)  # compilers have children
                child.wait()
        if status != 0:
            self.n_failed += status is not None
            reason = "ended by the time limit" if status is None else f"exit status {status}"
            print(f"{name:34} {reason}", flush=True)
            with open(log, encoding="utf-8", errors="replace") as text:
                for line in text.read().splitlines()[-6:]:
                    print("    " + line[:180])
        return status == 0

    def load(self, name):
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def take_ours(self):
        options = self.options
        command = [options.sonoseg, "bench", "--input", options.frame, "--detector", options.detector, "--segmenter",
                   options.segmenter, "--device", options.device, "--threshold", "0", "--max-size", "640x640",
                   "--weights", "--frames", str(options.frames), "--warmup", str(options.warmup),
                   "--json", os.path.join(self.folder, "ours.json")]
        start = time.monotonic()
        if self.run("sonoseg", command):
            self.own_turn_s = max(self.own_turn_s, time.monotonic() - start)
            row = self.load("ours.json")["latency_ms"]
            self.ours.append(row)
            print(f"{'sonoseg':34} p50 {row['p50']:8.3f} p99 {row['p99']:8.3f} max {row['max']:8.3f} ms", flush=True)
        self.save()

    def take_peers(self, variants, n_own_turns):
        options = self.options
        target = os.path.join(self.folder, "peers.json")
        command = [sys.executable, os.path.join(HERE, "pytorch_cuda.py"), options.dfine, options.mobile_sam,
                   options.detector, options.segmenter, options.frame, "--size", options.size, "--variants",
                   ",".join(variants), "--frames", str(options.peer_frames), "--warmup", str(options.warmup),
                   "--device", options.device, "--json", target]
        if os.path.exists(target):
            os.remove(target)
        self.run("pytorch " + ",".join(variants), command, n_own_turns)
        found = self.load("peers.json")
        self.peers.update(found.pop("peers", {}))
        self.facts.update(found)
        for name in variants:
            if name in self.peers:
                row = self.peers[name]
                print(f"{'pytorch ' + name:34} p50 {row['p50']:8.3f} p99 {row['p99']:8.3f} max {row['max']:8.3f} ms   "
                      f"box {row['box_px']:.3f} px, IoU {row['iou']:.4f}", flush=True)
        self.save()

    def report(self):
        ours = None
        if self.ours:
            ours = {"p50": statistics.median(row["p50"] for row in self.ours),
                    "p99": max(row["p99"] for row in self.ours), "max": max(row["max"] for row in self.ours),
                    "turns": [row["p50"] for row in self.ours], "frames": self.options.frames}
        best = min((row["p50"] for row in self.peers.values()), default=None)
        return {**self.facts, "peers": self.peers, "ours": ours, "ratio": best / ours["p50"] if ours and best else None}

    def save(self):
        if self.options.json:
            with open(self.options.json, "w", encoding="utf-8") as file:
                json.dump(self.report(), file, indent=2)
                file.write("\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dfine", metavar="DFINE_CHECKOUT")
    parser.add_argument("mobile_sam", metavar="MOBILESAM_CHECKOUT")
    parser.add_argument("detector", metavar="DETECTOR")
    parser.add_argument("segmenter", metavar="SEGMENTER")
    parser.add_argument("frame", metavar="FRAME")
    parser.add_argument("--sonoseg", metavar="COMMAND", default="build/release/bin/sonoseg",
                        help="default: %(default)s")
    parser.add_argument("--size", default="s", help="of D-FINE; default: %(default)s")
    parser.add_argument("--frames", type=int, default=2000, help="of one sonoseg turn; default: %(default)s")
    parser.add_argument("--peer-frames", type=int, default=500, help="of one variant; default: %(default)s")
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--device", default="cuda", help="cpu tries this script; the figures say nothing")
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled peers out")
    parser.add_argument("--limit-s", type=float, default=1e9)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(options, folder)
        turns = PEER_TURNS[:1] if options.no_compile else PEER_TURNS
        comparison.take_ours()
        for i, variants in enumerate(turns):
            comparison.take_peers(variants, len(turns) - i)
            comparison.take_ours()
        report = comparison.report()
    if report["ratio"]:
        print(f"the best peer takes {report['ratio']:.2f} times as long as sonoseg ({report['ours']['p50']:.3f} ms, "
              f"{len(report['ours']['turns'])} turns)")
    return 1 if comparison.n_failed or not report["ratio"] else 0


if __name__ == "__main__":
    sys.exit(main())
