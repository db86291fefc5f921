# SPDX-License-Identifier: Apache-2.0
# labels: timeout=120
"""replay and record with each other: what was recorded and is replayed comes out the same; ends of every kind."""
import pathlib
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import live  # noqa: E402

FOLDER = live.folder()
PHANTOM = ("phantom:frames=40,size=64x48", "--rate", "200", "--preload")


def record(port, name, *words):
    return live.Process("record", "--source", f"127.0.0.1:{port}", "--output", FOLDER / name, *words)


def files(name):
    return sorted(path.name for path in (FOLDER / name).iterdir())


def fields(path, name):
    """The values of a field, frame by frame."""
    head = path.read_bytes().split(b"ElementDataFile")[0].decode()
    return [line.split(" = ", 1)[1] for line in head.splitlines() if line.startswith("Seq_Frame")
            and line.split(" = ")[0].split("_", 2)[2] == name]


def test_round_trip():
    """Recorded, replayed with its own timestamps, recorded again: the same bytes."""
    source = live.replay(*PHANTOM)
    first = record(source.port, "first", "--once")
    assert source.wait() == 0 and first.wait() == 0, source.text + first.text
    assert files("first") == ["sonoseg_0001.igs.mha"], files("first")
    path = FOLDER / "first" / "sonoseg_0001.igs.mha"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "40 images" in first.text, first.text
    assert fields(path, "FrameNumber") == [str(i + 1) for i in range(40)]
    stamps = [int(stamp, 16) for stamp in fields(path, "SourceTimestamp")]
    steps = [b - a for a, b in zip(stamps, stamps[1:])]
    assert all(abs(step - 2**32 / 200) < 16 for step in steps), steps
    source = live.replay(path, "--timestamps", "original", "--rate", "max")
    second = record(source.port, "second", "--once", "--name", "other")
    assert source.wait() == 0 and second.wait() == 0, source.text + second.text
    assert (FOLDER / "second" / "other_0001.igs.mha").read_bytes() == path.read_bytes()


def test_pairs_and_join():
    source = live.replay(*PHANTOM)
    assert record(source.port, "pairs", "--once", "--pairs").wait() == 0
    assert files("pairs") == ["sonoseg_0001.igs.mhd", "sonoseg_0001.raw"], files("pairs")
    joined = live.run("record", "--join", FOLDER / "pairs" / "sonoseg_0001.igs.mhd")
    assert joined.returncode == 0 and "sonoseg_0001.igs.mha" in joined.stdout, joined
    assert files("pairs") == ["sonoseg_0001.igs.mha"]
    source.wait()
    missing = live.run("record", "--join", FOLDER / "pairs" / "sonoseg_0001.igs.mhd")
    assert missing.returncode == 1 and "sonoseg_0001.igs.mhd" in missing.stderr, missing


def test_limits():
    source = live.replay("phantom:frames=20,size=32x32", "--rate", "100", "--loop")
    by_count = record(source.port, "count", "--frames", "33")
    assert by_count.wait() == 0 and "33 images" in by_count.text, by_count.text
    by_time = record(source.port, "time", "--seconds", "0.5")
    assert by_time.wait() == 0
    n = len(fields(FOLDER / "time" / "sonoseg_0001.igs.mha", "FrameNumber"))
    assert 25 <= n <= 60, n
    assert source.stop(signal.SIGINT) == 130


def test_stop_and_kill():
    """SIGINT, SIGTERM: joined, status 0. SIGKILL: the pair is readable and can be joined."""
    source = live.replay("phantom:frames=20,size=32x32", "--rate", "100", "--loop")
    for number in (signal.SIGINT, signal.SIGTERM):
        process = record(source.port, number.name)
        while not (FOLDER / number.name).is_dir() or len(files(number.name)) < 2:
            time.sleep(0.02)
        assert process.stop(number) == 0, process.text
        assert files(number.name) == ["sonoseg_0001.igs.mha"]
    process = record(source.port, "killed")
    while not (FOLDER / "killed").is_dir() or len(files("killed")) < 2:
        time.sleep(0.02)
    time.sleep(1.3)
    process.kill()
    assert live.run("record", "--join", FOLDER / "killed" / "sonoseg_0001.igs.mhd").returncode == 0
    n = len(fields(FOLDER / "killed" / "sonoseg_0001.igs.mha", "FrameNumber"))
    assert n >= 20, n
    source.stop()


def test_source_comes_back():
    """A source that dies is connected to again; the recording goes on with another segment or the same."""
    source = live.replay("phantom:frames=20,size=32x32", "--rate", "100", "--loop")
    process = record(source.port, "back", "--frames", "60")
    time.sleep(0.3)
    source.kill()
    again = live.Process("replay", "phantom:frames=20,size=48x32", "--rate", "100", "--loop", "--listen",
                         f"127.0.0.1:{source.port}")
    assert process.wait() == 0 and "60 images" in process.text, process.text
    assert files("back") == ["sonoseg_0001.igs.mha", "sonoseg_0002.igs.mha"], files("back")
    again.stop()


def test_service():
    """What `serve` records at twice the rate that it can compute: every image, and a mask of each in the same order."""
    source = live.replay("phantom:frames=50,size=64x48", "--rate", "100", "--loop", "--preload")
    serve = live.serve(source.port, "--engine-kind", "null", "--engine-null-delay-ms", "20", "--record-folder",
                       FOLDER / "service", "--record-name", "knee")
    client = live.Client(serve.port)
    while int(client.find("IMAGE", "BoneMask", 2).metadata["FrameId"]) < 120:
        pass
    client.close()
    assert serve.stop() == 0, serve.text
    source.stop()
    assert files("service") == ["knee_0001.igs.mha", "knee_masks_0001.igs.mha"]
    images, masks = (FOLDER / "service" / name for name in files("service"))
    for name in ("FrameNumber", "SourceTimestamp", "Timestamp", "ImageToReferenceTransform"):
        assert fields(images, name) == fields(masks, name), name
    numbers, states, reasons = (fields(masks, name) for name in ("FrameNumber", "State", "Reason"))
    assert [int(number) for number in numbers] == list(range(int(numbers[0]), int(numbers[0]) + len(numbers)))
    assert reasons.count("superseded") > len(reasons) // 3 and reasons.count("OK") > len(reasons) // 3, reasons
    pixels, values = (path.read_bytes().split(b"ElementDataFile = LOCAL\n", 1)[1] for path in (images, masks))
    n = 64 * 48
    assert len(pixels) == len(values) == n * len(numbers)
    for i, (state, reason) in enumerate(zip(states, reasons)):
        expected = bytes(255 if byte >= 128 else 0 for byte in pixels[i * n:(i + 1) * n]) if reason == "OK" else bytes(n)
        assert values[i * n:(i + 1) * n] == expected, (i, reason)
        assert state == ("VISIBLE" if any(expected) else "LOST"), (i, state)


def test_refusals():
    for words, status, text in (((), 2, "no output folder"),
                                (("--output", FOLDER / "x", "--frames", "0"), 2, "--frames: '0'"),
                                (("--output", FOLDER / "x", "--seconds", "-1"), 2, "--seconds: '-1'"),
                                (("--output", FOLDER / "x", "--name", "a/b"), 2, "a/b"),
                                (("--output", FOLDER / "x", "--source", "h:99999"), 2, "99999"),
                                (("--output", FOLDER / "x", "--join", "y"), 2, "--join"),
                                (("--output", "/proc/none"), 1, "/proc/none")):
        result = live.run("record", *words)
        assert result.returncode == status and text in result.stderr, (words, result)
    process = record(1, "nothing")
    time.sleep(0.5)
    assert process.stop(signal.SIGINT) == 1 and "no image came" in process.text, process.text


def test_full_disk():
    """A file-size limit stands for a full disk: status 1, the file is named, what was synced is there."""
    source = live.replay("phantom:frames=20,size=64x64", "--rate", "200", "--loop")
    script = 'ulimit -f 64; exec "$0" record --source "$1" --output "$2"'
    result = subprocess.run(["bash", "-c", script, live.command(), f"127.0.0.1:{source.port}", str(FOLDER / "full")],
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1 and "sonoseg_0001.raw" in result.stderr, result
    assert (FOLDER / "full" / "sonoseg_0001.igs.mhd").exists()
    source.stop()


sys.exit(live.run_tests([test_round_trip, test_pairs_and_join, test_limits, test_stop_and_kill, test_source_comes_back,
                         test_service, test_refusals, test_full_disk]))
