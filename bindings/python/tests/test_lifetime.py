# SPDX-License-Identifier: Apache-2.0
"""Threads, ends and errors: who may do what when, and what is left behind."""
import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import sonoseg
from conftest import DEVICE, SMALL, frames_of, outline
from sonoseg import Status


def test_a_thread_submits_and_another_iterates(boxes):
    frames = frames_of(12, sweep=4)

    def feed():
        for number, frame in enumerate(frames):
            while True:
                try:
                    boxes.submit(frame.pixels, frame_id=number)
                    break
                except sonoseg.Error as error:
                    assert error.status == Status.AGAIN
                    time.sleep(0.005)
        boxes.shutdown()

    feeder = threading.Thread(target=feed)
    feeder.start()
    seen = []
    for packet in boxes:
        seen.append(packet.frame_id)
        del packet
    feeder.join()
    assert seen == list(range(12))
    with pytest.raises(sonoseg.Error) as caught:
        boxes.submit(frames[0])
    assert caught.value.status == Status.STATE
    with pytest.raises(sonoseg.Error) as caught:
        boxes.wait()
    assert caught.value.status == Status.END


def test_waiting_leaves_the_interpreter_to_others(boxes):
    """Two threads count while a third waits and another computes."""
    counts = [0, 0]
    stop = threading.Event()

    def count(which):
        while not stop.is_set():
            counts[which] += 1
            time.sleep(0.001)

    threads = [threading.Thread(target=count, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    assert boxes.wait(0.3) == "timeout"
    waited = min(counts)
    boxes(frames_of(1)[0])
    stop.set()
    for thread in threads:
        thread.join()
    assert waited > 20


def test_only_one_waits(boxes):
    refused = []

    def wait(seconds):
        try:
            boxes.wait(seconds)
        except sonoseg.Error as error:
            refused.append((error.status, "only one" in str(error)))

    waiter = threading.Thread(target=wait, args=(5,))
    waiter.start()
    time.sleep(0.1)
    wait(0.05)
    boxes.wake()
    waiter.join(timeout=5)
    assert not waiter.is_alive() and refused == [(Status.STATE, True)]


def test_wake_is_kept_and_ends_an_iteration(boxes):
    boxes.wake()
    assert boxes.wait(0) == "woken" and boxes.wait(0) == "timeout"
    boxes.wake()
    assert list(boxes) == []


def test_close_ends_a_wait():
    pipeline = sonoseg.Pipeline(segmenter=None, **SMALL)
    caught = []

    def wait():
        try:
            pipeline.wait()
        except sonoseg.Error as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.1)
    pipeline.close()
    waiter.join(timeout=5)
    assert not waiter.is_alive() and caught[0].status == Status.STATE
    pipeline.close()
    assert pipeline.closed and "closed" in repr(pipeline)
    for call in (pipeline.receive, pipeline.wait, pipeline.flush, pipeline.wake, lambda: pipeline.info,
                 lambda: pipeline.submit(frames_of(1)[0])):
        with pytest.raises(sonoseg.Error, match="closed"):
            call()


def test_signals_are_seen_in_a_wait(boxes):
    def on_alarm(number, stack):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            boxes.wait(20)
        signal.signal(signal.SIGALRM, lambda number, stack: boxes.close()) # in the middle of its own wait
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(sonoseg.Error, match="closed"):
            boxes.wait(20)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_close_while_all_is_lent(frame):
    with sonoseg.Pipeline(detector=None, device=DEVICE, segmenter_size=64, max_size=(160, 128), threads=1, weight_maps=True,
                          slots=3) as pipeline:
        packets = [outline(pipeline, frame) for _ in range(3)]
        masks = [packet.mask for packet in packets]
        tensor = np.from_dlpack(packets[0].tensor("edge"))
        copies = [mask.copy() for mask in masks]
        with pytest.raises(sonoseg.Error) as caught:
            outline(pipeline, frame)
        assert caught.value.status == Status.AGAIN
        packets.pop()
    assert pipeline.closed
    edge = packets[0].edge # still lent
    del pipeline, packets
    gc.collect()
    assert all(np.array_equal(mask, copy) for mask, copy in zip(masks, copies))
    assert np.array_equal(edge, tensor)
    del masks, edge
    gc.collect()
    assert tensor.max() <= 1
    del tensor


def test_close_with_frames_in_flight(frame):
    pipeline = sonoseg.Pipeline(segmenter=None, **SMALL)
    for _ in range(3):
        pipeline.submit(frame)
    pipeline.close()


def test_what_is_in_flight_is_kept_and_then_given_up(boxes):
    image = np.zeros((64, 64), np.uint8)
    marker = type("Marker", (), {})()
    before = sys.getrefcount(marker)
    boxes.submit(image, user=marker)
    assert sys.getrefcount(marker) == before + 1
    packet = boxes.receive()
    assert packet.user is marker and packet.image is image
    del packet
    gc.collect()
    assert sys.getrefcount(marker) == before
    with pytest.raises(sonoseg.Error):
        boxes.submit(np.zeros((4, 4)), user=marker)
    assert sys.getrefcount(marker) == before


def test_a_call_with_frames_in_flight_is_refused(boxes, frame):
    boxes.submit(frame)
    with pytest.raises(sonoseg.Error, match="in flight"):
        boxes(frame)
    assert boxes.receive().frame_id == 0
    with pytest.raises(sonoseg.Error) as caught:
        boxes.receive()
    assert caught.value.status == Status.END


def test_errors_of_opening(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\xff" * 64)
    with pytest.raises(sonoseg.Error, match="broken.safetensors") as caught:
        sonoseg.Pipeline(broken)
    assert caught.value.status == Status.FORMAT
    with pytest.raises(sonoseg.Error, match="no/such") as caught:
        sonoseg.Pipeline("no/such.pth")
    assert caught.value.status == Status.IO and caught.value.native_code == 2
    with pytest.raises(sonoseg.Error) as caught:
        sonoseg.Pipeline(sonoseg.models.find("segmenter"))
    assert caught.value.status == Status.MODEL_MISMATCH
    for wrong in ({"threshold": 2}, {"slots": 0}, {"max_objects": 99}, {"device": "tpu"}, {"precision": "int8"},
                  {"region": "all"}, {"slots": 2**40}, {"states": "x"}):
        with pytest.raises(ValueError):
            sonoseg.Pipeline(**{**SMALL, **wrong})
    for wrong in ({"slots": "2"}, {"threshold": None}, {"no_such": 1}):
        with pytest.raises(TypeError):
            sonoseg.Pipeline(**{**SMALL, **wrong})
    if "cuda" not in sonoseg.backends:
        with pytest.raises(sonoseg.Error) as caught:
            sonoseg.Pipeline(device="cuda")
        assert caught.value.status == Status.NO_DEVICE


def test_models_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("SONO_MODELS", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="sonoseg-models"):
        sonoseg.Pipeline()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_error_of_a_listener_is_printed_and_no_more():
    def listener(event):
        raise RuntimeError("listener failed")

    with sonoseg.Pipeline(segmenter=None, on_event=listener, **SMALL) as pipeline:
        assert pipeline(frames_of(1)[0]).width_px == 160


def test_a_listener_that_holds_its_pipeline_is_collected():
    class Holder:
        def __init__(self):
            self.pipeline = sonoseg.Pipeline(segmenter=None, on_event=self.listen, **SMALL)

        def listen(self, event):
            pass

    import weakref
    holder = Holder()
    reference = weakref.ref(holder.pipeline)
    del holder
    gc.collect()
    assert reference() is None


SCRIPT = """
import sys, numpy as np, sonoseg
pipeline = sonoseg.Pipeline(segmenter=None, detector_size=(256, 256), max_size=(160, 128), threads=1,
                            on_event=lambda event: None)
packet = pipeline(np.zeros((128, 160), np.uint8))
pipeline.submit(np.zeros((128, 160), np.uint8))
print("end")
"""


def test_a_program_may_end_with_everything_open():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def resident_bytes():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_frames_leave_nothing(outlines, frame):
    """SONO_TEST_FRAMES=1000 for the long form."""
    image = np.ascontiguousarray(frame.pixels)

    def frames(n):
        for number in range(n):
            with outline(outlines, image, user=number) as packet:
                np.from_dlpack(packet.tensor("edge")).max()
                packet.mask.sum()
                packet.__dlpack__(max_version=(1, 0))
            with pytest.raises(sonoseg.Error):
                outlines.submit(image.T)

    frames(50)
    gc.collect()
    before = resident_bytes()
    frames(int(os.environ.get("SONO_TEST_FRAMES", "250")))
    gc.collect()
    assert resident_bytes() - before < 2_000_000
