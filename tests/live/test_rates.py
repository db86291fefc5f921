# SPDX-License-Identifier: Apache-2.0
# labels: serial timeout=120
"""What sources send most of: 60 images/s with 30 transforms each (PlusLib 560), and images of 1920 x 1080 at 30/s (OpenIGTLinkIO 65,
pyigtl 16). With every image asked for, in order, none is lost."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

SECONDS = 4
N_TRANSFORMS = 30


def sequence(path, width, height, n_frames):
    """A recording of Plus whose frames have 30 transforms."""
    lines = ["ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False", "CompressedData = False",
             f"DimSize = {width} {height} {n_frames}", "ElementSpacing = 0.1 0.1 1", "ElementType = MET_UCHAR",
             "UltrasoundImageOrientation = MF", "UltrasoundImageType = BRIGHTNESS"]
    for i in range(n_frames):
        for tool in range(N_TRANSFORMS):
            name = "ImageToReference" if tool == 0 else f"Tool{tool}ToReference"
            lines += [f"Seq_Frame{i:04}_{name}Transform = 1 0 0 {tool} 0 1 0 {i} 0 0 1 0 0 0 0 1",
                      f"Seq_Frame{i:04}_{name}TransformStatus = OK"]
        lines += [f"Seq_Frame{i:04}_Timestamp = {i / 60:.6f}", f"Seq_Frame{i:04}_ImageStatus = OK"]
    with open(path, "wb") as file:
        file.write(("\n".join(lines) + "\nElementDataFile = LOCAL\n").encode())
        for i in range(n_frames):
            file.write(bytes([i]) * (width * height))


def check(rate_hz, n_messages, *words):
    """n_messages: of the source, that come with an image."""
    source = live.replay(*words, "--loop", "--preload", "--rate", rate_hz)
    service = live.serve(source.port, "--engine-kind", "null", "--source-order", "all", "--sink-queue-frames", 64)
    service.wait_line("event=engine_up", 60)
    client = live.Client(service.port, timeout_s=20)
    client.find("IMAGE", "BoneMask", version=2)  # those before it read our hello carry no metadata
    frames, kpis, began = [], [], time.monotonic()
    while time.monotonic() - began < SECONDS or len(kpis) < 2:
        message = client.next()
        if message.type == "IMAGE":
            frames.append(int(message.metadata["FrameId"]))
        elif message.type == "STRING":
            kpis.append(json.loads(message.content[4:]))
    lasted = time.monotonic() - began
    client.close()
    assert service.stop() == 0, service.text
    source.stop()
    first, last = kpis[0], kpis[-1]
    assert frames == list(range(frames[0], frames[0] + len(frames))), f"masks are missing among {len(frames)}"
    assert len(frames) >= 0.9 * rate_hz * lasted, f"{len(frames)} masks in {lasted:.1f} s"
    assert last["dropped"] == first["dropped"], last["drops"]
    n_images = last["received"] - first["received"]
    n_read = last["source"]["messages"] - first["source"]["messages"]
    assert n_read >= n_messages * (n_images - 1), f"{n_read} messages with {n_images} images"


def test_thirty_transforms():
    path = live.folder() / "tools.igs.mha"
    sequence(path, 640, 480, 30)
    check(60, 1 + N_TRANSFORMS, path)


def test_large_images():
    check(30, 1, "phantom:frames=20,size=1920x1080")


live.command()
sys.exit(live.run_tests([test_thirty_transforms, test_large_images]))
