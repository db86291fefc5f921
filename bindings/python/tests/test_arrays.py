# SPDX-License-Identifier: Apache-2.0
"""Memory in and out: buffers, DLPack, and what is refused."""
import copy
import gc
import pickle

import numpy as np
import pytest

import sonoseg
from conftest import DEVICE, Exporter, outline
from sonoseg import Status

GREY = np.random.default_rng(1).integers(0, 256, (128, 160), dtype=np.uint8)


def scores_of(pipeline, images):
    return [pipeline(image).objects[0] for image in images]


def test_every_form_of_a_grey_image_is_the_same_image(boxes):
    wide = np.zeros((128, 300), np.uint8)
    wide[:, 40:200] = GREY
    forms = [GREY, GREY[None], GREY[:, :, None], wide[:, 40:200], np.repeat(GREY[:, :, None], 3, axis=2), memoryview(GREY),
             sonoseg.Frame(GREY), Exporter(GREY), Exporter(GREY[None], old=True), Exporter(wide[:, 40:200]),
             GREY.astype(np.uint16) * 257]
    found = scores_of(boxes, forms)
    assert all(f == found[0] for f in found[:-1])
    assert found[-1].score == pytest.approx(found[0].score, abs=1e-5) # 16 bits


def test_white_of_16_bits(boxes):
    twelve = GREY.astype(np.uint16) * 16
    as_8 = boxes(GREY)
    assert boxes(twelve, gray16_white=4080).score == pytest.approx(as_8.score, abs=1e-3)
    assert boxes(Exporter(twelve), gray16_white=4080).score == boxes(twelve, gray16_white=4080).score
    assert boxes(sonoseg.Frame(twelve, gray16_white=4080)).score == boxes(twelve, gray16_white=4080).score


@pytest.mark.parametrize("image, status, text", [
    (GREY.astype(np.float32), Status.UNSUPPORTED, "uint8"),
    (GREY.astype(np.int16), Status.UNSUPPORTED, "uint8"),
    (GREY.astype(bool), Status.UNSUPPORTED, "uint8"),
    (GREY.astype(">u2"), Status.UNSUPPORTED, "byte order"),
    (np.zeros((8, 8, 3), np.uint16), Status.UNSUPPORTED, "one channel"),
    (np.zeros((8, 8, 2), np.uint8), Status.UNSUPPORTED, r"\[8, 8, 2\]"),
    (np.zeros(8, np.uint8), Status.UNSUPPORTED, r"\[8\]"),
    (np.uint8(1), Status.UNSUPPORTED, r"\[\]"),
    (np.zeros((2, 2, 8, 8), np.uint8), Status.UNSUPPORTED, "no image"),
    (np.zeros((0, 8), np.uint8), Status.INVALID_ARGUMENT, "no pixels"),
    (np.zeros((8, 0), np.uint8), Status.INVALID_ARGUMENT, "no pixels"),
    (GREY.T, Status.UNSUPPORTED, "ascontiguousarray"),
    (GREY[:, ::2], Status.UNSUPPORTED, "ascontiguousarray"),
    (GREY[:, ::-1], Status.UNSUPPORTED, "ascontiguousarray"),
    (GREY[::-1], Status.UNSUPPORTED, "ascontiguousarray"),
    (np.broadcast_to(GREY[:1], (128, 160)), Status.UNSUPPORTED, "ascontiguousarray"),
    (np.zeros((129, 161), np.uint8), Status.LIMIT, "161"),
    (np.lib.stride_tricks.as_strided(GREY, (2**31, 8), (0, 1)), Status.LIMIT, "larger"),
    (Exporter(GREY.astype(np.float32)), Status.UNSUPPORTED, "uint8"),
    (Exporter(np.zeros((0, 8), np.uint8)), Status.INVALID_ARGUMENT, "dimension"),
    (Exporter(GREY.T), Status.UNSUPPORTED, "contiguous"),
])
def test_what_is_no_image_is_refused(boxes, image, status, text):
    with pytest.raises(sonoseg.Error, match=text) as caught:
        boxes.submit(image)
    assert caught.value.status == status
    assert isinstance(caught.value, ValueError) == (status in (Status.INVALID_ARGUMENT, Status.LIMIT))
    assert boxes(GREY).width_px == 160 # nothing was taken, and nothing is left behind


@pytest.mark.parametrize("image", [None, 1, "frame", [1, 2], object()])
def test_what_has_no_memory_is_a_type_error(boxes, image):
    with pytest.raises(TypeError):
        boxes.submit(image)


def test_a_capsule_serves_once(boxes):
    class Spent(Exporter):
        capsule = GREY.__dlpack__()

        def __dlpack__(self, **options):
            return self.capsule

    boxes(Spent(GREY))
    with pytest.raises(TypeError, match="capsule"):
        boxes.submit(Spent(GREY))


def test_maps_are_views_that_keep_the_packet(outlines, frame):
    packet = outline(outlines, frame)
    mask, edge = packet.mask, packet.edge
    assert not mask.flags.writeable and not mask.flags.owndata and mask.shape == (128, 160)
    assert np.shares_memory(mask, packet.mask)
    with pytest.raises(ValueError):
        mask[0, 0] = 1
    before = mask.copy()
    del packet
    gc.collect()
    for _ in range(4): # every other slot, again and again
        outline(outlines, np.ascontiguousarray(frame.pixels[::-1]))
    assert np.array_equal(mask, before) and edge.max() <= 1


def test_release_and_detach(outlines, frame):
    with outline(outlines, frame) as packet:
        mask = packet.mask
        total = int(mask.sum())
    assert packet.released and int(mask.sum()) == total # the array still keeps the memory
    with pytest.raises(sonoseg.Error, match="released") as caught:
        packet.mask
    assert caught.value.status == Status.STATE and packet.objects # facts stay
    kept = outline(outlines, frame).detach()
    assert kept.released and np.array_equal(kept.mask, mask) and kept.mask.flags.owndata and kept.inside.shape == mask.shape
    with pytest.raises(sonoseg.Error):
        kept.tensor("mask").__dlpack__()


def test_dlpack_out_on_the_cpu(outlines, frame):
    packet = outline(outlines, frame)
    assert packet.__dlpack_device__() == (1, 0)
    for array in (np.from_dlpack(packet), np.from_dlpack(packet.tensor("mask"))):
        assert np.shares_memory(array, packet.mask) and np.array_equal(array, packet.mask)
    for version in (None, (1, 0)):
        capsule = packet.__dlpack__(max_version=version)
        assert ("versioned" in repr(capsule)) == (version is not None)
        del capsule # never taken: deleted with it
    with pytest.raises(BufferError):
        packet.__dlpack__(stream=1)
    with pytest.raises(BufferError):
        packet.__dlpack__(copy=True)
    with pytest.raises(BufferError):
        packet.__dlpack__(dl_device=(2, 0))
    tensor = np.from_dlpack(packet.tensor("inside"))
    inside = packet.inside.copy()
    del packet
    outline(outlines, np.ascontiguousarray(frame.pixels[::-1]))
    assert np.array_equal(tensor, inside)


def test_float_maps(frame):
    with sonoseg.Pipeline(detector=None, device=DEVICE, segmenter_size=64, max_size=(160, 128), threads=1, weight_maps=True,
                          map_dtype="float32") as pipeline:
        packet = outline(pipeline, frame)
        assert packet.outside.dtype == np.float32 and packet.mask.dtype == np.uint8
        assert np.from_dlpack(packet.tensor("outside")).dtype == np.float32


def test_maps_that_are_not_there(boxes, outlines, frame):
    with pytest.raises(sonoseg.Error, match="weight_maps|segmenter") as caught:
        boxes(frame).mask
    assert caught.value.status == Status.UNSUPPORTED
    packet = outline(outlines, frame)
    with pytest.raises(sonoseg.InvalidArgument, match="no object 7"):
        packet.map("mask", 7)
    with pytest.raises(ValueError):
        packet.map("depth")
    with pytest.raises(sonoseg.Error, match="surface=True"):
        packet.surface()


def test_pickling_is_refused(boxes, frame, tmp_path):
    packet = boxes(frame)
    for thing, text in ((boxes, "Pipeline"), (packet, "Packet"), (sonoseg.phantom(1), "Source")):
        with pytest.raises(TypeError, match=text):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.deepcopy(thing)
    with pytest.raises(TypeError):
        pickle.dumps(boxes._core)
    again = pickle.loads(pickle.dumps(sonoseg.InvalidArgument("text", Status.LIMIT, "here", 5, 7)))
    assert (str(again), again.status, again.native_code, again.offset_bytes) == ("text", Status.LIMIT, 5, 7)


def test_png():
    import zlib
    png = sonoseg.encode_png(GREY)
    rows = np.frombuffer(zlib.decompress(png[png.index(b"IDAT") + 4:-16]), np.uint8).reshape(128, 161)
    assert np.array_equal(np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8), GREY) and (rows[:, 0] == 2).all()
    for wrong in (GREY.astype(float), np.zeros((2, 2, 2), np.uint8), np.zeros((0, 3), np.uint8)):
        with pytest.raises(ValueError):
            sonoseg.encode_png(wrong)
