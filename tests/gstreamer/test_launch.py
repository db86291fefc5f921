#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: gstreamer slow timeout=300
"""Pipelines in gst-launch: masks are those of `sonoseg run` to the byte, and gst-inspect explains every property.

Uses the small models that ctest makes: SONO_TEST_DETECTOR, SONO_TEST_SEGMENTER.
"""
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

COMMAND = os.environ["SONO_COMMAND"]
DETECTOR = os.environ.get("SONO_TEST_DETECTOR", "")
SEGMENTER = os.environ.get("SONO_TEST_SEGMENTER", "")
WIDTH, HEIGHT, N_FRAMES = 160, 120, 3


def frame(number, n_channels):
    """A picture with an arc that moves, its channels apart."""
    rows = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            is_arc = abs((x - 80) ** 2 + (y - 120 + 3 * number) ** 2 - 80 ** 2) < 500
            value = 220 if is_arc else (x * 7 + y * 13 + number * 31) % 60
            rows += bytes(max(0, value - 20 * c) for c in range(n_channels))
    return bytes(rows)


def read_grey_png(path):
    """The pixels of an 8-bit grey PNG."""
    data, at, packed, width = path.read_bytes(), 8, b"", 0
    while at < len(data):
        n_bytes, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n_bytes]
        at += 12 + n_bytes
        if kind == b"IHDR":
            width, _, depth, colour = struct.unpack(">IIBB", body[:10])
            assert (depth, colour) == (8, 0)
        elif kind == b"IDAT":
            packed += body
    raw, pixels, above = zlib.decompress(packed), b"", bytes(width)
    for begin in range(0, len(raw), width + 1):
        kind, line = raw[begin], bytearray(raw[begin + 1:begin + 1 + width])
        for x in range(width):
            left, up, corner = (line[x - 1], above[x], above[x - 1]) if x else (0, above[x], 0)
            guess = left + up - corner
            nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            line[x] = (line[x] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
        pixels, above = pixels + bytes(line), bytes(line)
    return pixels


def launch(*words, check=True):
    return subprocess.run(["gst-launch-1.0", *words], check=check, capture_output=True, text=True, timeout=200)


class Launch(unittest.TestCase):
    element = ["sonoseg", "device=cpu", f"detector={DETECTOR}", f"segmenter={SEGMENTER}", "segmenter-size=256", "threshold=0"]

    def compare(self, n_channels, gst_format, *flags):
        frames = [frame(number, n_channels) for number in range(N_FRAMES)]
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for number, pixels in enumerate(frames):
                header = f"P{5 if n_channels == 1 else 6}\n{WIDTH} {HEIGHT}\n255\n".encode()
                (folder / f"frame_{number}.pnm").write_bytes(header + pixels)
            subprocess.run([COMMAND, "run", "--quiet", "--device", "cpu", "--detector", DETECTOR, "--segmenter", SEGMENTER,
                            "--segmenter-size", "256", "--threshold", "0", *flags, "--output", folder / "out", "--input",
                            *sorted(folder.glob("*.pnm"))], check=True, capture_output=True)
            expected = b"".join(read_grey_png(folder / f"out/masks/frame_{number}.png") for number in range(N_FRAMES))
            (folder / "frames").write_bytes(b"".join(frames))
            launch("filesrc", f"location={folder / 'frames'}", "!", "rawvideoparse", f"width={WIDTH}", f"height={HEIGHT}",
                   f"format={gst_format}", "framerate=10/1", "!", *self.element, "output=mask", "!",
                   "filesink", f"location={folder / 'masks'}")
            got = (folder / "masks").read_bytes()
        self.assertEqual(len(got), N_FRAMES * WIDTH * HEIGHT)
        self.assertEqual(set(got), {0, 255})
        self.assertEqual(got, expected)

    def test_grey_masks_are_those_of_run(self):
        self.compare(1, "gray8")

    def test_colour_masks_are_those_of_run(self):
        self.compare(3, "rgb", "--color")

    def test_overlay_in_front_of_other_elements(self):
        said = launch("-m", "videotestsrc", "num-buffers=2", "!", "video/x-raw,width=160,height=120", "!", "videoconvert", "!",
                      *self.element, "!", "videoconvert", "!", "video/x-raw,format=I420", "!", "fakesink").stdout
        self.assertEqual(said.count("(element): sonoseg, frame-id="), 2)
        self.assertIn("Got EOS", said)

    def test_an_error_ends_the_pipeline_with_its_text(self):
        run = launch("videotestsrc", "num-buffers=1", "!", "videoconvert", "!", "sonoseg", "detector=/nonexistent.pth",
                     "segmenter=none", "!", "fakesink", check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("/nonexistent.pth", run.stderr)

    def test_inspect_explains_every_property(self):
        text = subprocess.run(["gst-inspect-1.0", "sonoseg"], check=True, capture_output=True, text=True).stdout
        self.assertIn("Apache", text)
        for name in ("detector", "segmenter", "device", "precision", "threads", "threshold", "max-objects", "min-piece", "bridge",
                     "gray16-white", "state", "detect-every", "detect-every", "region", "output", "post-messages",
                     "detector-family", "detector-width", "detector-height", "segmenter-size", "qos"):
            line = next((line for line in text.splitlines() if line.strip().startswith(name + " ")), "")
            self.assertGreater(len(line.partition(":")[2].strip()), 3, f"{name} is not explained")


if __name__ == "__main__":
    if not DETECTOR or not SEGMENTER:
        print("SKIP: no synthetic checkpoints")
        sys.exit(77)
    unittest.main()
