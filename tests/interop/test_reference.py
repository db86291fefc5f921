# SPDX-License-Identifier: Apache-2.0
# labels: timeout=120
"""The reference library as the service's source and, as 3D Slicer reads, as its sink; and as the replay's client. Skipped
without reference_live (libopenigtlink-dev)."""
import os
import pathlib
import struct
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

PROGRAM = pathlib.Path(os.environ.get("SONO_BUILD_DIR") or live.ROOT / "build/release") / "tests/reference_live"
# The library leaks (igtl_polydata_alloc_info) and mixes new[] with delete: that is its own, not ours.
PEER_ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:alloc_dealloc_mismatch=0"}
N_FRAMES = 40
COLUMNS, ROWS = 52, 36


class Peer:
    """reference_live, its lines as they come."""

    def __init__(self, *words):
        self.process = subprocess.Popen([str(PROGRAM), *[str(word) for word in words]], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=PEER_ENVIRONMENT)
        self.first = self.process.stdout.readline().split()
        self.lines = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        self.lines = [line.split(maxsplit=3) for line in self.process.stdout]

    def end(self):
        """Its lines; it must have ended well."""
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("reference_live does not end") from None
        self.thread.join(5)
        assert status == 0, self.process.stderr.read()
        return self.lines

    def of(self, kind, device):
        return {line[2]: line[3].split() if len(line) > 3 else [] for line in self.lines if line[:2] == [kind, device]}


def check_outline(points, head, mask):
    """Every point lies in the image's plane, half a pixel around the mask at most, and where there is a mask there are
    points. head: T, S, N and the centre P of the image."""
    assert bool(points) == (1 in mask), len(points)
    numbers = struct.unpack(">12f", head[12:60])
    axes, centre = [numbers[0:3], numbers[3:6]], numbers[9:12]
    for point in points:
        offset = [float(value) - c for value, c in zip(point.split(","), centre)]
        x, y = (sum(a * o for a, o in zip(axis, offset)) / sum(a * a for a in axis) for axis in axes)
        x, y = x + (COLUMNS - 1) / 2, y + (ROWS - 1) / 2
        near = [mask[row * COLUMNS + column] for row in range(ROWS) if abs(row - y) < 0.6
                for column in range(COLUMNS) if abs(column - x) < 0.6]
        assert -0.6 <= x <= COLUMNS - 0.4 and -0.6 <= y <= ROWS - 0.4 and 1 in near, (x, y, near)


def test_source_and_sink():
    source = Peer("source", N_FRAMES)
    serve = live.serve(source.first[1], "--engine-kind", "null", "--source-order", "all", "--sink-queue-frames", "64",
                       "--source-stall-ms", "0")
    sink = Peer("sink", serve.port, N_FRAMES - 10)
    source.end()
    sink.end()
    assert serve.stop() == 0, serve.text
    images, masks = source.of("IMAGE", "Image_Reference"), sink.of("IMAGE", "BoneMask")
    outlines = sink.of("POLYDATA", "BoneOutline")
    assert len(images) == N_FRAMES
    shown = [stamp for stamp in masks if stamp in images]
    assert len(shown) >= N_FRAMES - 11, f"{len(shown)} masks are of an image that was sent"
    for stamp in shown:
        (head, pixels), (mask_head, values) = images[stamp], masks[stamp]
        assert head == mask_head, "the mask's head is the image's: it is of 8 bits and one component as well"
        mask = bytes.fromhex(values)
        assert mask == bytes(value >= 128 for value in bytes.fromhex(pixels))
        if stamp in outlines:
            check_outline(outlines[stamp], bytes.fromhex(mask_head), mask)
    assert len(outlines) >= len(shown) - 1
    statuses = [line for line in sink.lines if line[0] == "STATUS"]
    assert statuses and statuses[-1][3].split() == ["1", "OK"], statuses


def test_replay():
    """What the replay sends to two clients at once is the same, and the library can read it."""
    source = live.replay("phantom:frames=60,size=52x36", "--rate", "60", "--loop", "--preload")
    ours = live.Client(source.port)
    theirs = Peer("sink", source.port, 30)
    seen = {}
    while len(seen) < 120:
        message = ours.find("IMAGE")
        seen[struct.pack(">Q", message.timestamp).hex()] = message.content
    theirs.end()
    ours.close()
    source.stop()
    images, poses = theirs.of("IMAGE", "Image_Reference"), theirs.of("TRANSFORM", "ImageToReference")
    both = [stamp for stamp in images if stamp in seen]
    assert len(images) == 30 and len(both) >= 20, (len(images), len(both))
    for stamp in both:
        assert images[stamp] == [seen[stamp][:72].hex(), seen[stamp][72:].hex()]
        assert len(poses[stamp][0].split(",")) == 12


if not PROGRAM.exists():
    live.skip("no reference_live (libopenigtlink-dev)")
sys.exit(live.run_tests([test_source_and_sink, test_replay]))
