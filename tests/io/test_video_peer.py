#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow
"""Videos of each kind that is read, written by ffmpeg: the same pixels as ffmpeg's own rawvideo, its times, broken ones
refused, no process left behind. Skipped (77) without build/venv or ffmpeg.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import frames_of  # noqa: E402

if not shutil.which("ffmpeg"):
    print("Skipped: no ffmpeg (Debian package ffmpeg)")
    sys.exit(frames_of.SKIPPED)
frames_of.need_venv()

import numpy  # noqa: E402  (only in build/venv)

WIDTH, HEIGHT, FRAMES = 96, 64, 12
COLOUR = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=30:duration={FRAMES / 30}"


def ffmpeg(*words):
    done = subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *map(str, words)], capture_output=True,
                          check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def theirs(path, *formats):
    """ffmpeg's own frames in each of the formats, by one run of it."""
    found, words, shapes = [], [], {"gray": ("uint8", ()), "gray16le": ("<u2", ()), "rgb24": ("uint8", (3,))}
    for name in formats:
        words += ["-map", "0:V:0", "-f", "rawvideo", "-pix_fmt", name, path.parent / f"raw.{name}"]
    ffmpeg("-i", path, *words)
    for name in formats:
        dtype, channels = shapes[name]
        found.append(numpy.fromfile(path.parent / f"raw.{name}", dtype).reshape((-1, HEIGHT, WIDTH) + channels))
    return found


def same(frames, expected, name):
    ours = numpy.stack([frame.pixels for frame in frames])
    assert ours.shape == expected.shape and ours.dtype == expected.dtype, f"{name}: {ours.shape}, not {expected.shape}"
    assert numpy.array_equal(ours, expected), f"{name}: pixels differ from ffmpeg's"


KINDS = {
    "h264.mp4": ("-c:v", "libx264", "-pix_fmt", "yuv420p"),
    "h264.mov": ("-c:v", "libx264", "-pix_fmt", "yuvj420p", "-bf", "2"),
    "mjpeg.avi": ("-c:v", "mjpeg"),
    "raw.avi": ("-c:v", "rawvideo", "-pix_fmt", "bgr24"),
    "mpeg4.mkv": ("-c:v", "mpeg4"),
    "mpeg2.mpg": ("-c:v", "mpeg2video"),
    "stream.mjpeg": ("-c:v", "mjpeg"),
    "stream.h264": ("-c:v", "libx264", "-pix_fmt", "yuv420p"),
}


def check_kinds(library, folder):
    for name, words in KINDS.items():
        path = folder / name
        ffmpeg("-f", "lavfi", "-i", COLOUR, *words, path)
        frames = library.frames(path)
        assert len(frames) == FRAMES, f"{name}: {len(frames)} frames"
        grey, colour = theirs(path, "gray", "rgb24")
        same(frames, grey, name)
        same(library.frames(path, keep_colour=1), colour, name)
        assert frames[0].name.endswith(f"{path.stem}_f0001{path.suffix}"), frames[0].name
        assert [frame.frame_id for frame in frames] == list(range(FRAMES))


def check_grey(library, folder):
    """Grey comes out as it went in, 8 bits and more."""
    levels = numpy.arange(FRAMES * HEIGHT * WIDTH, dtype="uint32").reshape(FRAMES, HEIGHT, WIDTH)
    for name, words in {"ffv1.mkv": ("-c:v", "ffv1"), "raw.avi": ("-c:v", "rawvideo"),
                        "h264.mp4": ("-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuvj420p")}.items():
        path, raw = folder / f"grey_{name}", folder / "grey.raw"
        pixels = (levels % 251).astype("uint8")
        raw.write_bytes(pixels.tobytes())
        ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-color_range", "pc", "-i", raw, *words,
               path)
        same(library.frames(path), pixels, name)
        if "ffv1" in words:
            same(library.frames(path, keep_colour=1), pixels, name)
    path = folder / "deep.mkv"
    pixels = (levels % 4093).astype("<u2")
    raw.write_bytes(pixels.tobytes())
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray12le", "-s", f"{WIDTH}x{HEIGHT}", "-i", raw, "-c:v", "ffv1", path)
    frames = library.frames(path)
    assert frames[0].white == 65535
    same(frames, *theirs(path, "gray16le"), "deep")
    assert numpy.array_equal(frames[0].pixels >> 4, pixels[0]), "the 12 bits are the upper ones"


def check_times(library, folder):
    """An uneven rate, as scanners record it."""
    path = folder / "uneven.mp4"
    ffmpeg("-f", "lavfi", "-i", COLOUR, "-vf", "setpts=N*N/30/TB", "-fps_mode", "passthrough", "-enc_time_base",
           "1:90000", "-video_track_timescale", "90000", "-c:v", "libx264", path)
    stated = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "V:0", "-show_entries", "packet=pts", "-of",
                             "csv=p=0", str(path)], capture_output=True, check=True, text=True).stdout.split()
    expected = sorted(int(value.strip(",")) for value in stated)
    frames = library.frames(path)
    assert len(frames) == FRAMES
    for frame, units in zip(frames, expected):
        assert abs(frame.timestamp_ns - units * 1e9 / 90000) <= 1, (frame.timestamp_ns, units)
    assert expected[3] * 30 == 9 * 90000, expected
    bare = library.frames(folder / "stream.h264")
    assert {frame.timestamp_ns for frame in bare} == {0}, "a bare stream has no times"


def check_paths(library, folder):
    """Names that a shell, or ffmpeg, would take for something else."""
    for name in ("-y.mp4", "a b;$(id)'\".mp4", "pipe:0.mp4", "x%03d.mp4", "concat:a|b.mp4", "ü\n.mp4"):
        shutil.copy(folder / "h264.mp4", folder / name)
        assert len(library.frames(folder / name)) == FRAMES, name
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert len(library.frames("-y.mp4")) == FRAMES
    finally:
        os.chdir(before)
    many = folder / "many"
    many.mkdir()
    for name in ("b2.mp4", "b10.mp4"):
        shutil.copy(folder / "h264.mp4", many / name)
    (many / "list.txt").write_text("# newest first\nb10.mp4\nb2.mp4\n")
    for path, order in ((many, (2, 10)), (many / "*.mp4", (2, 10)), (f"@{many / 'list.txt'}", (10, 2))):
        frames = library.frames(path)
        assert [frame.name.rsplit("/", 1)[1] for frame in frames[::FRAMES]] == [f"b{n}_f0001.mp4" for n in order]
        assert [frame.frame_id for frame in frames] == list(range(2 * FRAMES))


def refused(library, path, *texts, **options):
    try:
        library.frames(path, **options)
    except frames_of.Refused as error:
        for text in (str(path), *texts):
            assert text in str(error), f"{path}: '{text}' is not in '{error}'"
    else:
        raise AssertionError(f"{path} was read")


def check_broken(library, folder):
    def write(name, data):
        (folder / name).write_bytes(data)
        return folder / name

    mp4, avi = (folder / "h264.mp4").read_bytes(), (folder / "mjpeg.avi").read_bytes()
    refused(library, write("cut.mp4", mp4[: len(mp4) // 2]), "ffmpeg says: moov atom not found")
    refused(library, write("cut.avi", avi[: len(avi) // 2]), "behind frame", "ffmpeg says:", "corrupt input packet")
    damaged = bytearray(mp4)
    middle = mp4.index(b"mdat") + (len(mp4) - mp4.index(b"mdat")) // 3
    damaged[middle : middle + 200] = bytes(i * 7 & 255 for i in range(200))
    refused(library, write("damaged.mp4", damaged), "ffmpeg says:")
    refused(library, write("empty.avi", b""), "no frame can be read: ffmpeg says:")
    refused(library, write("text.mp4", b"nothing of the kind\n" * 99), "ffmpeg says:")
    playlist = f"#EXTM3U\n#EXTINF:1,\n{folder / 'h264.mp4'}\n#EXT-X-ENDLIST\n".encode()
    refused(library, write("playlist.mp4", playlist), "ffmpeg says:")
    concat = f"ffconcat version 1.0\nfile '{folder / 'h264.mp4'}'\n".encode()
    refused(library, write("concat.avi", concat), "ffmpeg says:")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.1", folder / "sound.mp4")
    refused(library, folder / "sound.mp4", "ffmpeg says:")
    refused(library, folder / "h264.mp4", "96 x 64", "6143", max_pixels=WIDTH * HEIGHT - 1)
    refused(library, folder / "h264.mp4", "96 x 64", "95 on a side", max_side_px=95)
    ffmpeg("-i", folder / "stream.mjpeg", "-vf", "scale=48:32", folder / "half.mjpeg")
    two = write("two.mjpeg", (folder / "stream.mjpeg").read_bytes() + (folder / "half.mjpeg").read_bytes())
    refused(library, two, f"frame {FRAMES + 1} has another size")


def children():
    """Processes whose parent is this one, those that nobody waited for included."""
    return [path.parent.name for path in pathlib.Path("/proc").glob("[0-9]*/stat")
            if path.read_text(errors="replace").rsplit(")", 1)[1].split()[1] == str(os.getpid())]


def check_closing(library, folder):
    """Closed in the middle of a long one: nothing is left, no descriptor is lost."""
    path = folder / "long.avi"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=10", "-c:v", "mjpeg", path)
    n_open = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        reading = library.open(path)
        next(reading)
        assert len(children()) == 1
        reading.close()
        assert not children(), "ffmpeg is still there"
    assert len(os.listdir("/proc/self/fd")) == n_open


def main():
    library = frames_of.Library()
    with tempfile.TemporaryDirectory() as name:
        for check in (check_kinds, check_grey, check_times, check_paths, check_broken, check_closing):
            check(library, pathlib.Path(name))
            assert not children(), f"{check.__name__} left a process behind"
            print(f"{check.__name__}: passed")


if __name__ == "__main__":
    main()
