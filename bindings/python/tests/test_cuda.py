#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames and maps that stay on the GPU, with PyTorch. Runs under pytest, and by itself where there is none:

    python3 bindings/python/tests/test_cuda.py

Skipped (exit status 77) without a GPU, PyTorch with CUDA, or a build with CUDA.
"""
import gc
import inspect
import sys
import time

import numpy as np

import sonoseg
from sonoseg import Status

try:
    import torch
    REASON = "" if torch.cuda.is_available() else "PyTorch finds no GPU"
except ImportError:
    torch = None
    REASON = "no PyTorch"
if "cuda" not in sonoseg.backends:
    REASON = "sonoseg was built without CUDA"
try:
    import pytest
    pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON or "there is a GPU")
except ImportError:
    pytest = None

SIZE = (422, 558)


def frames_of(n):
    return [frame.pixels for frame in sonoseg.phantom(n, size=SIZE, seed=3, sweep=1, shape="arched")]


def open_pipeline(**options):
    return sonoseg.Pipeline(**{"device": "cuda", "weight_maps": True, "surface": False, "max_size": SIZE, **options})


def expected(images):
    """Maps as host arrays, from images in host memory."""
    with open_pipeline() as pipeline:
        return [{name: packet.map(name).copy() for name in ("mask", "edge", "inside", "outside")}
                for packet in pipeline.run(images, detach=True)]


def same(tensor, array):
    return np.array_equal(tensor.cpu().numpy(), array)


def refused(status, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except sonoseg.Error as error:
        assert error.status == status, error
        return str(error)
    raise AssertionError("was not refused")


def test_a_tensor_becomes_mask_tensors_and_no_pixel_crosses():
    images = frames_of(4)
    wanted = expected(images)
    with open_pipeline(host_maps=False) as pipeline:
        for image, maps in zip(images, wanted):
            packet = pipeline(torch.from_numpy(image).cuda())
            assert packet.backend == "cuda" and packet.state == "VISIBLE"
            assert packet.__dlpack_device__() == (2, torch.cuda.current_device())
            assert packet.ledger.n_h2d == 0 and packet.ledger.bytes_h2d == 0, packet.ledger
            assert packet.ledger.n_allocations == 0 and packet.ledger.n_launches == 1, packet.ledger
            assert packet.ledger.n_d2h == 1 and packet.ledger.bytes_d2h < image.size // 20, packet.ledger
            mask = torch.from_dlpack(packet)
            assert mask.is_cuda and mask.dtype == torch.uint8 and tuple(mask.shape) == (558, 422)
            for name, array in maps.items():
                assert same(torch.from_dlpack(packet.tensor(name)), array), name
            assert mask.data_ptr() == torch.from_dlpack(packet).data_ptr() # the same memory: nothing is copied
            refused(Status.UNSUPPORTED, lambda: packet.mask)
        print("   ledger of a frame:", packet.ledger)


def test_host_images_and_host_maps_give_the_same():
    image = frames_of(1)[0]
    with open_pipeline() as pipeline:
        packet = pipeline(image)
        assert packet.ledger.n_h2d == 1 and same(torch.from_dlpack(packet), packet.mask)
        mask = packet.mask.copy()
        del packet
        for form in (torch.from_numpy(image), torch.from_numpy(image).cuda(), torch.from_numpy(image).pin_memory(),
                     torch.from_numpy(image)[None].cuda(), torch.from_numpy(np.repeat(image[:, :, None], 3, axis=2)).cuda()):
            assert np.array_equal(pipeline(form).mask, mask)
        wide = torch.zeros((558, 1000), dtype=torch.uint8, device="cuda")
        wide[:, 100:522] = torch.from_numpy(image).cuda()
        assert np.array_equal(pipeline(wide[:, 100:522]).mask, mask)


def slow_copy(stream, image):
    """On the stream, long after this returns, the image comes into a tensor."""
    tensor = torch.zeros_like(image)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000) # about 0.1 s
        tensor.copy_(image, non_blocking=True)
    return tensor


def test_frames_wait_for_their_stream():
    image = frames_of(1)[0]
    wanted = expected([image])[0]["mask"]
    source = torch.from_numpy(image).cuda()
    with open_pipeline() as pipeline:
        for form in ("object", "number", "current"):
            stream = torch.cuda.Stream()
            tensor = slow_copy(stream, source)
            if form == "current":
                with torch.cuda.stream(stream):
                    pipeline.submit(tensor)
            else:
                pipeline.submit(tensor, stream=stream if form == "object" else stream.cuda_stream)
            begin = time.monotonic()
            packet = pipeline.receive()
            assert np.array_equal(packet.mask, wanted), form
            print(f"   stream as {form}: waited {(time.monotonic() - begin) * 1e3:.0f} ms for it")
            del packet


def test_maps_outlive_their_tensor_on_the_stream_that_reads_them():
    images = [torch.from_numpy(image).cuda() for image in frames_of(5)]
    wanted = expected([image.cpu().numpy() for image in images])[0]["mask"]
    with open_pipeline(host_maps=False, slots=2) as pipeline:
        stream = torch.cuda.Stream()
        packet = pipeline(images[0])
        with torch.cuda.stream(stream):
            mask = torch.from_dlpack(packet)
            torch.cuda._sleep(400_000_000)
            copy = mask.clone() # late
            del mask
        del packet
        for image in images[1:]: # every slot is used again, but not before the copy was made
            pipeline(image)
        stream.synchronize()
        assert same(copy, wanted)


def test_close_while_tensors_are_lent():
    image = frames_of(1)[0]
    wanted = expected([image])[0]
    with open_pipeline(host_maps=False) as pipeline:
        packet = pipeline(torch.from_numpy(image).cuda())
        mask, edge = torch.from_dlpack(packet), torch.from_dlpack(packet.tensor("edge"))
    del packet, pipeline
    gc.collect()
    assert same(mask, wanted["mask"])
    del mask
    assert same(edge, wanted["edge"])
    del edge
    torch.cuda.synchronize()


def test_what_is_refused():
    image = torch.from_numpy(frames_of(1)[0]).cuda()
    with open_pipeline() as pipeline:
        refused(Status.UNSUPPORTED, pipeline.submit, image.float())
        refused(Status.UNSUPPORTED, pipeline.submit, image.t())
        refused(Status.LIMIT, pipeline.submit, torch.zeros((2000, 2000), dtype=torch.uint8, device="cuda"))
        assert pipeline(image).width_px == SIZE[0]
    with sonoseg.Pipeline(device="cpu", segmenter=None, detector_size=(256, 256)) as on_cpu:
        print("   a CPU pipeline says:", refused(Status.UNSUPPORTED, on_cpu.submit, image))


def test_a_thousand_frames_leave_nothing():
    images = [torch.from_numpy(image).cuda() for image in frames_of(3)]
    with open_pipeline(host_maps=False) as pipeline:
        def frames(n):
            for number in range(n):
                packet = pipeline(images[number % 3])
                torch.from_dlpack(packet.tensor("edge")).sum()
                packet.__dlpack__(max_version=(1, 0)) # never taken
                del packet
            torch.cuda.synchronize()

        frames(100)
        before = torch.cuda.mem_get_info()[0]
        begin = time.monotonic()
        frames(1000)
        print(f"   {1000 / (time.monotonic() - begin):.0f} frames/s one after the other")
        assert before - torch.cuda.mem_get_info()[0] < 4 << 20
        begin = time.monotonic()
        n = 0
        for packet in pipeline.run(images[number % 3] for number in range(2000)):
            n += 1
            del packet
        print(f"   {n / (time.monotonic() - begin):.0f} frames/s with run()")
        assert n == 2000


def test_cupy():
    try:
        import cupy
    except ImportError:
        print("   no CuPy: not tested")
        return
    image = frames_of(1)[0]
    wanted = expected([image])[0]["mask"]
    with open_pipeline(host_maps=False) as pipeline:
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            packet = pipeline(cupy.asarray(image), stream=stream)
            assert packet.ledger.n_h2d == 0 and np.array_equal(cupy.from_dlpack(packet).get(), wanted)


def main():
    if REASON:
        print("SKIP:", REASON)
        return 77
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_") and inspect.isfunction(test)]
    n_failed = 0
    for name, test in tests:
        try:
            test()
            print("passed:", name, flush=True)
        except Exception as error: # the others are run all the same
            n_failed += 1
            print(f"FAILED: {name}: {type(error).__name__}: {error}", flush=True)
            import traceback
            traceback.print_exc()
    print(f"{len(tests) - n_failed} passed, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
