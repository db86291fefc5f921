# SPDX-License-Identifier: Apache-2.0
# labels: timeout=120
"""What the replay makes of its inputs: sequences with transforms that are INVALID and frames without an image, pictures,
timestamps, rates; and how it ends."""
import pathlib
import signal
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

FOLDER = live.folder()
WIDTH, HEIGHT = 7, 5
PIXELS = [bytes((7 * i + 31 * frame) % 256 for i in range(WIDTH * HEIGHT)) for frame in range(3)]


def write_sequence(path, kind="MET_UCHAR", channels=1, pixels=PIXELS, times=("10.5", "10.6", "10.75"), extra=""):
    """A file as Plus writes it; the second frame's ProbeToTracker is INVALID, the third has no image."""
    head = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False",
            "CompressedData = False", f"DimSize = {WIDTH} {HEIGHT} {len(pixels)}", "ElementSpacing = 1 1 1",
            f"ElementNumberOfChannels = {channels}", f"ElementType = {kind}", "UltrasoundImageOrientation = MF"]
    for number in range(len(pixels)):
        name = f"Seq_Frame{number:04d}_"
        head += [f"{name}ImageToReferenceTransform = 0 -0.5 0 10 0.25 0 0 20 0 0 1 30 0 0 0 1",
                 f"{name}ImageToReferenceTransformStatus = OK",
                 f"{name}ProbeToTrackerTransform = 1 0 0 {number} 0 1 0 0 0 0 1 0 0 0 0 1",
                 f"{name}ProbeToTrackerTransformStatus = {'INVALID' if number == 1 else 'OK'}",
                 f"{name}Note = any text, number {number}"]
        head += [f"{name}Timestamp = {times[number]}"] if times else []
        head += [f"{name}ImageStatus = {'INVALID' if number == 2 else 'OK'}"]
    head += [line for line in (extra,) if line]
    path.write_bytes("\n".join([*head, "ElementDataFile = LOCAL", ""]).encode() + b"".join(pixels))
    return path


def all_of(client):
    """Everything until the end, keep-alives left out."""
    messages = []
    try:
        while True:
            message = client.next()
            if message.type != "STATUS":
                messages.append(message)
    except EOFError:
        return messages


def test_sequence():
    source = live.replay(write_sequence(FOLDER / "plus.igs.mha"), "--timestamps", "original")
    client = live.Client(source.port)
    began = time.monotonic()
    messages = all_of(client)
    lasted = time.monotonic() - began
    client.close()
    assert source.wait() == 0, source.text
    assert [(m.type, m.device) for m in messages] == [
        ("TRANSFORM", "ImageToReference"), ("TRANSFORM", "ProbeToTracker"), ("IMAGE", "Image_Reference"),
        ("TRANSFORM", "ImageToReference"), ("IMAGE", "Image_Reference"),
        ("TRANSFORM", "ImageToReference"), ("TRANSFORM", "ProbeToTracker")], messages
    assert all(m.version == 2 and m.crc == live.crc64(m.body) for m in messages)
    seconds = [m.timestamp / 2**32 for m in messages]
    assert [round(s, 6) for s in seconds] == [10.5, 10.5, 10.5, 10.6, 10.6, 10.75, 10.75]
    assert 0.25 <= lasted < 5, lasted
    first, second = messages[2], messages[4]
    assert second.metadata["ProbeToTrackerTransformStatus"] == "INVALID"
    assert second.metadata["ProbeToTrackerTransform"] == "1 0 0 1 0 1 0 0 0 0 1 0 0 0 0 1"
    assert first.metadata["ProbeToTrackerTransformStatus"] == "OK" and second.metadata["Note"] == "any text, number 1"
    assert struct.unpack(">12f", messages[0].content) == (0, 0.25, 0, -0.5, 0, 0, 0, 0, 1, 10, 20, 30)
    head = struct.unpack(">HBBBB3H12f6H", first.content[:72])
    assert head[:8] == (1, 1, 3, 2, 1, WIDTH, HEIGHT, 1) and head[20:] == (0, 0, 0, WIDTH, HEIGHT, 1)
    assert head[8:20] == (0, 0.25, 0, -0.5, 0, 0, 0, 0, 1, 10 - 0.5 * 2, 20 + 0.25 * 3, 30)
    assert first.content[72:] == PIXELS[0] and second.content[72:] == PIXELS[1]


def test_other_pose():
    """--transform: the IMAGE's matrix is that of another transform; where it is INVALID, the image's own axes."""
    source = live.replay(write_sequence(FOLDER / "pose.igs.mha"), "--transform", "ProbeToTracker", "--device", "Video",
                         "--rate", "50")
    client = live.Client(source.port)
    images = [m for m in all_of(client) if m.type == "IMAGE"]
    client.close()
    source.wait()
    assert [m.device for m in images] == ["Video", "Video"]
    centre = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2, 0)
    assert [struct.unpack(">3f", m.content[48:60]) for m in images] == [centre, centre]


def test_types():
    """Signed and 16-bit samples, three components: as they are stored."""
    for kind, size, scalar, channels in (("MET_SHORT", 2, 4, 1), ("MET_FLOAT", 4, 10, 1), ("MET_UCHAR", 1, 3, 3)):
        pixels = [bytes((i * 3 + frame) % 100 for i in range(WIDTH * HEIGHT * size * channels)) for frame in range(2)]
        path = write_sequence(FOLDER / f"{kind}{channels}.igs.mha", kind, channels, pixels)
        source = live.replay(path, "--rate", "100")
        images = [m for m in all_of(live.Client(source.port)) if m.type == "IMAGE"]
        source.wait()
        assert [m.content[72:] for m in images] == pixels
        assert all(m.content[2] == channels and m.content[3] == scalar for m in images)


def test_pictures():
    """A folder of pictures: 25 images a second unless a rate is named, no times, no pose."""
    folder = FOLDER / "set"
    assert live.run("phantom", "phantom:frames=6,size=24x16", "--output", folder).returncode == 0
    source = live.replay(folder / "images")
    client = live.Client(source.port)
    images = all_of(client)
    assert source.wait() == 0 and "at 25 frames/s" in source.text, source.text
    assert [m.metadata["FrameNumber"] for m in images] == [str(i) for i in range(6)]
    assert all("ImageToReferenceTransform" not in m.metadata for m in images)
    steps = [(b.timestamp - a.timestamp) / 2**32 for a, b in zip(images, images[1:])]
    assert all(abs(step - 0.04) < 1e-8 for step in steps), steps
    (folder / "images" / "phantom_000002.png").write_bytes(b"no picture")
    source = live.replay(folder / "images", "--rate", "100")
    images = all_of(live.Client(source.port))
    assert source.wait() == 1 and len(images) == 5 and "phantom_000002.png" in source.text, source.text
    untimed = write_sequence(FOLDER / "untimed.igs.mha", times=None)
    for path in (untimed, folder / "images"):
        result = live.run("replay", path, "--rate", "original", "--listen", "127.0.0.1:0")
        assert result.returncode == 1 and "name a rate" in result.stderr and not result.stdout, result


def test_burst():
    """20 images a second, ten at once: ten with one time, then half a second of nothing but a keep-alive."""
    source = live.replay("phantom:frames=10,size=24x16", "--rate", "20", "--burst", "10", "--loop", "--preload")
    client = live.Client(source.port)
    kinds, stamps = [], []
    while len(stamps) < 30:
        message = client.next()
        if message.type == "IMAGE":
            stamps.append(message.timestamp)
        kinds.append(message.type)
    assert [len([s for s in stamps if s == stamp]) for stamp in sorted(set(stamps))] == [10, 10, 10]
    first, second = sorted(set(stamps))[:2]
    assert abs((second - first) / 2**32 - 0.5) < 1e-8
    assert "STATUS" in kinds
    client.close()
    source.stop()


def test_ends():
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        source = live.replay("phantom:frames=2,size=16x16", "--loop")
        client = live.Client(source.port)
        client.find("IMAGE")
        assert source.stop(number) == status
        assert "frames in" in source.lines[-1] and "1 client" in source.lines[-1], source.text


def test_shared():
    """The recordings of PLUS and 3D Slicer that come with the reference material: every frame of them."""
    shared = live.shared("sequences")
    if not shared:
        print("        no reference material (../shared): left out")
        return
    counts = {"NwirePhantomFreehandCropped.igs.mha": (20, 60), "NrrdSample.igs.nrrd": (1, 0),
              "UsSimulatorOutputSpinePhantom2CurvilinearBaselineNoUSCompressed.igs.mha": (0, 45),
              "SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed_Cropped_FlipX.igs.mha": (6, 12)}
    for name, (n_images, n_transforms) in counts.items():
        source = live.replay(shared / name, "--rate", "200")
        messages = all_of(live.Client(source.port))
        assert source.wait() == 0, source.text
        found = tuple(sum(m.type == kind for m in messages) for kind in ("IMAGE", "TRANSFORM"))
        assert found == (n_images, n_transforms), (name, found)


sys.exit(live.run_tests([test_sequence, test_other_pose, test_types, test_pictures, test_burst, test_ends, test_shared]))
