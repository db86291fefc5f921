# SPDX-License-Identifier: Apache-2.0
# labels: timeout=120
"""pyigtl, an independent OpenIGTLink, as the service's source, as its sink, and as the replay's client: pixels, matrices,
timestamps and metadata are equal bit for bit. Needs build/venv (scripts/venv.sh)."""
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

live.need_packages("pyigtl", "numpy", "SimpleITK")
import numpy  # noqa: E402
import pyigtl  # noqa: E402
import SimpleITK  # noqa: E402
from pyigtl import messages  # noqa: E402

HEAD_BYTES = 72  # of an IMAGE's content
RANDOM = numpy.random.default_rng(20261130)

# pyigtl keeps a message's decoded fields alone: here the bytes that they came from too.
_parse_header, _unpack_content = messages.MessageBase.parse_header, messages.ImageMessage._unpack_content
_unpack = messages.MessageBase.unpack


def parse_header(header):
    return {**_parse_header(header), "raw": header}


def unpack(self, header_fields, body):
    self.raw_timestamp = header_fields["raw"][34:42]
    _unpack(self, header_fields, body)


def unpack_content(self, content):
    self.raw_head = bytes(content[:HEAD_BYTES])
    _unpack_content(self, content)


messages.MessageBase.parse_header = staticmethod(parse_header)
messages.MessageBase.unpack = unpack
messages.ImageMessage._unpack_content = unpack_content


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds, what, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def opt_in(client):
    """pyigtl writes version 1 unless told otherwise; servers answer 2 once they have seen one."""
    message = pyigtl.StringMessage("hello", device_name="hello")
    message.header_version = 2
    assert client.send_message(message)


def matrix_of(size):
    """Any axes and spacing, as float32: nothing that doubles would round the same way."""
    matrix = numpy.eye(4, dtype=numpy.float32)
    matrix[:3, :3] = numpy.linalg.qr(RANDOM.normal(size=(3, 3)))[0] * RANDOM.uniform(0.05, 0.9, 3)
    matrix[:3, 3] = RANDOM.uniform(-200, 200, 3)
    return matrix


def image_message(pixels, version, seconds):
    message = pyigtl.ImageMessage(pixels, ijk_to_world_matrix=matrix_of(pixels.shape), world_coordinate_system="ras",
                                  timestamp=seconds, device_name="Image_Reference")
    message.header_version = version
    message.message_id = int(RANDOM.integers(1, 2**31))
    if version > 1:
        message.metadata = {"ImageToReferenceTransform": "1 0 0 5 0 1 0 6 0 0 1 7 0 0 0 1",
                            "ImageToReferenceTransformStatus": "OK", "Operator": "somebody"}
    return message


class Bench:
    """pyigtl's server, the service, pyigtl's client."""

    def __init__(self, *words):
        self.source = pyigtl.OpenIGTLinkServer(port=free_port(), local_server=True)
        self.serve = live.serve(self.source.port, "--engine-kind", "null", "--mailbox-max-age-ms", "0",
                                "--source-stall-ms", "0", *words)
        self.sink = pyigtl.OpenIGTLinkClient(host="127.0.0.1", port=self.serve.port)
        wait_until(self.source.is_connected, "the service does not connect to pyigtl")
        wait_until(self.sink.is_connected, "pyigtl does not connect to the service")
        opt_in(self.sink)
        self.serve.wait_line("client_joined")
        self.serve.wait_line("engine_up")

    def mask_of(self, message):
        """Sends an image, again where it was dropped for the engine's opening, until its mask is there."""
        sent = message.pack()
        assert self.source.send_message(message)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            mask = self.sink.wait_for_message("BoneMask", timeout=1)
            if mask is not None and mask.raw_timestamp == sent[34:42] and mask.header_version == 2:
                return sent, mask
            if mask is None or mask.raw_timestamp == sent[34:42]:
                assert self.source.send_message(message)
        raise AssertionError(f"no mask of the image came:\n{self.serve.text}")

    def close(self):
        self.sink.stop()
        assert self.serve.stop() == 0, self.serve.text
        self.source.stop()


def check_mask(sent, version, mask, expected, value):
    content = sent[58 + (12 if version > 1 else 0):]
    head = bytearray(content[:HEAD_BYTES])
    head[2:4] = bytes((1, 3))  # one component of 8 bits
    assert mask.raw_head == bytes(head), "the head is not the image's"
    assert mask.raw_timestamp == sent[34:42]
    assert numpy.array_equal(mask.image[0], expected * value)
    assert mask.metadata["SourceTimestampRaw"] == sent[34:42].hex()
    assert mask.metadata["State"] in ("VISIBLE", "LOST") and mask.metadata["Engine"] == "null"


def test_source_and_sink():
    """Grey, colour and 16-bit images of several sizes, both header versions, a fraction that no double holds."""
    bench = Bench("--sink-mask-value", "1")
    for step, (shape, kind, high) in enumerate((((1, 48, 64), "uint8", 256), ((1, 33, 57), "uint8", 256),
                                                ((1, 20, 30, 3), "uint8", 256), ((1, 40, 24), "uint16", 65536),
                                                ((1, 480, 640), "uint8", 256))):
        for version in (1, 2):
            pixels = RANDOM.integers(0, high, shape).astype(kind)
            grey = pixels[0] if pixels.ndim == 3 else pixels[0, :, :, 0]
            expected = (grey >= high // 2).astype(numpy.uint8)
            sent, mask = bench.mask_of(image_message(pixels, version, 1700000000 + step + version / 3))
            check_mask(sent, version, mask, expected, 1)
    bench.close()


def test_transform_names():
    """A pose that comes as a TRANSFORM, and one that is INVALID in metadata, are recorded as such."""
    folder = live.folder()
    bench = Bench("--record-folder", folder, "--record-join", "false")
    pose = numpy.eye(4, dtype=numpy.float32)
    pose[:3, 3] = RANDOM.uniform(-50, 50, 3)
    seconds = 1700000100.25
    transform = pyigtl.TransformMessage(pose, timestamp=seconds, device_name="ProbeToTracker")
    message = image_message(RANDOM.integers(0, 256, (1, 24, 32)).astype("uint8"), 2, seconds)
    message.metadata["StylusToTrackerTransform"] = "1 0 0 1 0 1 0 2 0 0 1 3 0 0 0 1"
    message.metadata["StylusToTrackerTransformStatus"] = "INVALID"
    assert bench.source.send_message(transform)
    sent, _ = bench.mask_of(message)
    bench.close()
    head = (folder / "sonoseg_0001.igs.mhd").read_text()
    values = dict(line.split(" = ", 1) for line in head.splitlines() if line.startswith("Seq_Frame0000_"))
    rows = numpy.array(values["Seq_Frame0000_ProbeToTrackerTransform"].split(), dtype=numpy.float32).reshape(4, 4)
    assert numpy.array_equal(rows, pose)
    assert values["Seq_Frame0000_ProbeToTrackerTransformStatus"] == "OK"
    assert values["Seq_Frame0000_StylusToTrackerTransformStatus"] == "INVALID"
    assert values["Seq_Frame0000_ImageToReferenceTransform"].startswith("1 0 0 5 0 1 0 6")
    assert values["Seq_Frame0000_SourceTimestamp"] == sent[34:42].hex()
    matrix = numpy.array(values["Seq_Frame0000_ImageMatrix"].split(), dtype=">f4").tobytes()
    assert matrix == sent[70 + 12:70 + 60]


def test_other_outputs():
    """STATUS is no type of pyigtl's; STRING is, with KPI that count this image."""
    bench = Bench()
    bench.mask_of(image_message(numpy.full((1, 16, 16), 255, "uint8"), 2, 1700000200.5))
    import json
    kpi = json.loads(bench.sink.wait_for_message("sonosegKPI", timeout=10).string)
    assert kpi["schema"] == 1 and "received" in kpi, kpi
    bench.close()


def phantom_images():
    folder = live.folder()
    result = live.run("phantom", "phantom:frames=3,size=80x60", "--output", folder)
    assert result.returncode == 0, result
    return [SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
            for path in sorted((folder / "images").iterdir())]


def test_replay():
    """pyigtl as the replay's client: pictures as the phantom writes them into PNG files, the pose, the fields."""
    pictures = phantom_images()
    source = live.replay("phantom:frames=3,size=80x60", "--rate", "4", "--loop", "--preload")
    client = pyigtl.OpenIGTLinkClient(host="127.0.0.1", port=source.port)
    wait_until(client.is_connected, "pyigtl does not connect to the replay")
    opt_in(client)
    seen = set()
    deadline = time.monotonic() + 20
    while len(seen) < 3:
        assert time.monotonic() < deadline, seen
        message = client.wait_for_message("Image_Reference", timeout=5)
        assert message is not None, source.text
        if message.header_version == 1:
            continue
        number = int(message.metadata["FrameNumber"])
        seen.add(number)
        assert numpy.array_equal(message.image[0], pictures[number])
        rows = numpy.array(message.metadata["ImageToReferenceTransform"].split(), dtype=numpy.float32).reshape(4, 4)
        pose = client.wait_for_message("ImageToReference", timeout=5)
        assert message.metadata["ImageToReferenceTransformStatus"] == "OK"
        assert numpy.array_equal(pose.matrix.astype(numpy.float32), rows) or pose.timestamp != message.timestamp
        axes = struct.unpack(">12f", message.raw_head[12:60])
        spacing = numpy.float32(axes[0])
        assert axes[4] == spacing and numpy.allclose(message.ijk_to_world_matrix[:3, 3], rows[:3, 3], atol=1e-4)
    client.stop()
    source.stop()


sys.exit(live.run_tests([test_source_and_sink, test_transform_names, test_other_outputs, test_replay]))
