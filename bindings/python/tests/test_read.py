# SPDX-License-Identifier: Apache-2.0
"""Frames of files and of the synthetic scanner."""
import threading

import numpy as np
import pytest

import sonoseg
from sonoseg import Status


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(2)
    for number in range(3):
        (tmp_path / f"image_{number + 1}.png").write_bytes(
            sonoseg.encode_png(rng.integers(0, 256, (40, 50), dtype=np.uint8)))
    return tmp_path


def test_a_folder(folder):
    with sonoseg.read(folder) as source:
        assert source.count == 3
        frames = list(source)
    assert [f.frame_id for f in frames] == [0, 1, 2]
    assert [f.name for f in frames] == [str(folder / f"image_{n}.png") for n in (1, 2, 3)]
    rng = np.random.default_rng(2)
    for frame in frames: # each has memory of its own
        assert np.array_equal(frame.pixels, rng.integers(0, 256, (40, 50), dtype=np.uint8))
        assert frame.spacing_mm is None and frame.pose is None and frame.truth is None
    assert np.asarray(frames[0]).shape == (40, 50) and frames[0]._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(sonoseg.Error, match="closed"):
        next(source)
    source.close()


def test_colour(tmp_path):
    red = np.zeros((4, 5, 3), np.uint8)
    red[:, :, 0] = 255
    (tmp_path / "a.png").write_bytes(sonoseg.encode_png(red))
    assert np.array_equal(next(sonoseg.read(tmp_path, colour=True)).pixels, red)
    grey = next(sonoseg.read(tmp_path)).pixels
    assert grey.shape == (4, 5) and (grey == 76).all()


def test_what_cannot_be_read_is_one_entry(folder):
    (folder / "image_2.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    source = sonoseg.read(folder, "no/such")
    seen, errors = [], []
    while True:
        try:
            seen.append(next(source).frame_id)
        except sonoseg.Error as error:
            errors.append(error)
        except StopIteration:
            break
    assert seen == [0, 2] and [e.status for e in errors] == [Status.FORMAT, Status.IO]
    assert "image_2.png" in str(errors[0])
    with sonoseg.read(folder, errors="skip") as skipping:
        assert [f.frame_id for f in skipping] == [0, 2] and len(skipping.failures) == 1


def test_wrong_use():
    with pytest.raises(sonoseg.InvalidArgument):
        sonoseg.read()
    with pytest.raises(ValueError):
        sonoseg.read("a", errors="maybe")
    with pytest.raises(TypeError):
        sonoseg.read(5)
    with pytest.raises(sonoseg.InvalidArgument):
        sonoseg.phantom(1, size=(1, 1))
    with pytest.raises(ValueError):
        sonoseg.phantom(1, shape="cube")


SEQUENCE = """ObjectType = Image
NDims = 3
DimSize = 3 2 2
ElementType = MET_UCHAR
ElementSpacing = 0.5 0.25 1
UltrasoundImageOrientation = MF
Seq_Frame0000_ImageToReferenceTransform = 1 0 0 5 0 1 0 6 0 0 1 7 0 0 0 1
Seq_Frame0000_ImageToReferenceTransformStatus = OK
Seq_Frame0000_Timestamp = 1.5
Seq_Frame0000_ImageStatus = OK
Seq_Frame0001_Timestamp = 2
Seq_Frame0001_ImageStatus = OK
ElementDataFile = LOCAL
"""


def test_a_sequence(tmp_path):
    path = tmp_path / "s.mha"
    path.write_bytes(SEQUENCE.encode() + bytes(range(12)))
    one, two = sonoseg.read(path)
    assert one.pixels.tolist() == [[0, 1, 2], [3, 4, 5]] and two.pixels.tolist() == [[6, 7, 8], [9, 10, 11]]
    assert one.spacing_mm == (0.5, 0.25) and one.timestamp_ns == 1_500_000_000 and one.orientation == "MF"
    assert one.pose[:, 3].tolist() == [5, 6, 7] and two.pose is None
    assert one.fields["Timestamp"] == "1.5", one.fields


def test_the_synthetic_scanner():
    one = list(sonoseg.phantom(3, size=(64, 48), seed=5))
    two = list(sonoseg.phantom(3, size=(64, 48), seed=5))
    assert all(np.array_equal(a.pixels, b.pixels) and np.array_equal(a.truth, b.truth) for a, b in zip(one, two))
    assert one[0].pixels.shape == (48, 64) and one[2].frame_id == 2


def test_one_thread_at_a_time():
    source = sonoseg.phantom(2000, size=(400, 400))
    seen, refused = [], []

    def read():
        try:
            for _ in range(20):
                seen.append(next(source).frame_id)
        except sonoseg.Error as error:
            refused.append(error.status)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(len(seen))) and set(refused) <= {Status.STATE}
