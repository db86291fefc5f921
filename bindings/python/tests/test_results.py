# SPDX-License-Identifier: Apache-2.0
"""What packets say, and that it is what the command says."""
import json
import os
import pathlib
import subprocess

import numpy as np
import pytest

import sonoseg
from conftest import BOX, SIZE, SMALL, Exporter, frames_of, outline

COMMAND = os.environ.get("SONO_COMMAND")


def test_ten_lines_to_a_mask(full):
    frame = next(sonoseg.phantom(1, seed=3, shape="arched"))
    packet = full(frame)
    found, true = packet.mask > 0, frame.truth > 0
    assert packet.state == "VISIBLE" and packet.score > 0.5
    assert packet.mask.shape == (558, 422) and packet.mask.dtype == np.uint8 and set(np.unique(packet.mask)) == {0, 255}
    assert (found & true).sum() / (found | true).sum() > 0.7
    assert packet.objects[0].mask_area_px == found.sum()
    x1, y1, x2, y2 = packet.bbox_xyxy_px
    rows, columns = np.nonzero(found)
    assert x1 - 8 < columns.min() and columns.max() < x2 + 8 and y1 - 8 < rows.min() and rows.max() < y2 + 8
    assert packet.image is frame and packet.frame_id == 0 and packet.spacing_mm == frame.spacing_mm
    assert packet.latency_ms > 0 and set(packet.stage_ms) >= {"detect", "encode", "mask"}
    assert packet.ledger == (0,) * 7 or packet.backend == "cuda"
    lines = packet.surface()
    assert lines and all(line.dtype == np.float32 and line.shape[1] == 2 for line in lines)
    picture = packet.overlay()
    assert (picture == (0, 230, 118)).all(axis=2).sum() > 50
    assert packet._repr_png_().startswith(b"\x89PNG") and "VISIBLE" in repr(packet)


def test_weight_maps_are_what_the_mask_says(full):
    packet = full(next(sonoseg.phantom(1, seed=3, shape="arched")))
    padded = np.pad(packet.mask > 0, 2)
    height, width = packet.mask.shape

    def around(reach):
        n = 2 * reach + 1
        return np.stack([padded[2 - reach + i:2 - reach + i + height, 2 - reach + j:2 - reach + j + width]
                         for i in range(n) for j in range(n)])

    inner = np.pad(packet.mask > 0, 2, mode="edge") # the border is no background for the erosion
    eroded = np.stack([inner[1 + i:1 + i + height, 1 + j:1 + j + width] for i in range(3) for j in range(3)]).all(axis=0)
    assert np.array_equal(packet.inside, eroded)
    assert np.array_equal(packet.edge, around(1).any(axis=0) & ~eroded)
    assert np.array_equal(packet.outside, around(2).any(axis=0) & (packet.mask == 0))


@pytest.mark.skipif(not COMMAND, reason="SONO_COMMAND names no command")
def test_results_are_those_of_the_command(tmp_path):
    options = ["--input", "phantom:frames=1,seed=3,shape=arched", "--output", str(tmp_path), "--quiet",
               "--detector", str(sonoseg.models.find("detector")), "--segmenter", str(sonoseg.models.find("segmenter"))]
    subprocess.run([COMMAND, "run", "--device", "cpu", *options], check=True, capture_output=True)
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    with sonoseg.Pipeline(device="cpu", min_piece_share=0, bridge_share=0) as pipeline:
        packets = pipeline.run(sonoseg.phantom(1, seed=3, shape="arched"))
        for packet, line in zip(packets, lines, strict=True):
            assert packet.score == pytest.approx(line["score"], abs=1e-6)
            assert packet.bbox_xyxy_px == pytest.approx(line["bbox_xyxy_px"], abs=1e-3)
            assert packet.objects[0].mask_area_px == line["mask_area_px"]
            written = next(sonoseg.read(tmp_path / "masks" / f"{pathlib.Path(line['source']).stem}.png"))
            assert np.array_equal(written.pixels, packet.mask)


def test_run_keeps_order_and_sees_to_slots(boxes):
    frames = frames_of(9, sweep=1)
    packets = list(boxes.run(frames, detach=True))
    assert [p.frame_id for p in packets] == list(range(9))
    assert [p.image for p in packets] == frames
    alone = [boxes(f).score for f in frames]
    assert [p.score for p in packets] == alone


def test_kept_packets_are_told_of(boxes):
    with pytest.raises(sonoseg.Error, match="detach") as caught:
        list(boxes.run(frames_of(9)))
    assert caught.value.status == sonoseg.Status.AGAIN
    assert boxes(frames_of(1)[0]).frame_id == 0 # what was in flight is gone, and the slots are free


def test_an_iteration_that_is_given_up_leaves_nothing_in_flight(boxes):
    for _ in boxes.run(frames_of(9)):
        break
    assert boxes(frames_of(1)[0]).width_px == SIZE[0]


def test_batches():
    with sonoseg.Pipeline(segmenter=None, batch=4, slots=2, **SMALL) as pipeline:
        assert [p.frame_id for p in pipeline.run(frames_of(6))] == list(range(6))


def test_lost():
    with sonoseg.Pipeline(threshold=1.0, segmenter_size=64, weight_maps=True, **SMALL) as pipeline:
        packet = pipeline(np.zeros((128, 160), np.uint8))
        assert packet.state == sonoseg.State.LOST and packet.bbox_xyxy_px is None and not packet.mask.any()


def test_what_is_known_comes_back(boxes):
    pose = np.arange(12, dtype=np.float32).reshape(3, 4)
    pose[:, :3] = np.eye(3)
    packet = boxes(np.zeros((100, 90), np.uint8), frame_id=2**63, timestamp_ns=1_700_000_000_000_000_001,
                   spacing_mm=(0.1, 0.2), pose=pose, orientation="UF", coordinates="LPS", device_name="Sonde ä",
                   user={"a": 1})
    assert packet.frame_id == 2**63 and packet.timestamp_ns == 1_700_000_000_000_000_001
    assert packet.spacing_mm == (0.1, 0.2) and np.array_equal(packet.pose, pose)
    assert (packet.orientation, packet.coordinates, packet.device_name) == ("UF", "LPS", "Sonde ä")
    assert packet.user == {"a": 1} and packet.region == (0, 0, 90, 100)


def test_states_and_rules():
    with sonoseg.Pipeline(segmenter_size=64, states="stream", state_rules={"on": 500, "off": 400}, **SMALL) as pipeline:
        packet = pipeline(frames_of(1)[0])
        assert abs(packet.parts["score"] - packet.score * 1000) <= 1 and packet.report["reasons"] & 64
    with pytest.raises(sonoseg.InvalidArgument, match="no_such"):
        sonoseg.Pipeline(states="stream", state_rules={"no_such": 1}, **SMALL)


def test_prompts(outlines, frame):
    packet = outline(outlines, frame)
    assert packet.objects[0].bbox_xyxy_px == BOX and packet.state == "VISIBLE" and packet.score == 1
    mask = packet.mask.copy()
    del packet
    assert np.array_equal(outline(outlines, Exporter(frame.pixels)).mask, mask)
    with pytest.raises(sonoseg.InvalidArgument):
        outlines.submit(frame, prompts=[((0, 0, 5000, 10), ())])
    with pytest.raises(sonoseg.InvalidArgument, match="prompt"):
        outlines.submit(frame, prompts=[(BOX, [(1, 1)] * 17)])
    with pytest.raises(sonoseg.Error):
        outlines.submit(frame)


def test_events():
    seen = []
    with sonoseg.Pipeline(segmenter=None, on_event=seen.append, **SMALL) as pipeline:
        pipeline(frames_of(1)[0])
    names = [event["event"] for event in seen]
    assert "init_models" in names and "infer_frame" in names
    assert next(e for e in seen if e["event"] == "frame_in")["width"] == SIZE[0]


def test_facts(boxes):
    info = boxes.info
    assert info["backend"] in sonoseg.backends and info["segmenter"] == "none" and "dfine" in info["detector"]
    assert sonoseg.__version__.count(".") == 2 and "dfine" in repr(boxes)
