#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames a second of `sonoseg run` over many files beside the engine's own, and of several GPUs beside one, as JSON.

    scripts/archive_bench.py --device cuda --frames 5000 --json FILE
    scripts/archive_bench.py --device cpu --frames 40 --rounds 5
    scripts/archive_bench.py --several --frames 5000 --in-memory 20000 --tests build/gpu/tests --json FILE

Draws 50 phantoms of --size, packs each once as JPEG (libturbojpeg, which sonoseg itself needs) and writes it under as many
names as frames are wanted, each file with a comment of its own: no two are the same bytes, none shares another's pages.

One device: `run` and `bench` of the same batch take turns, --rounds each. share_of_engine is the median of the turns'
quotients. bench reads no files on a GPU; on the CPU it reads the same phantoms as PGM, so that both find the same bones.
user_s is the CPU time of a frame, which says what a machine that is shared with others cannot say by the clock.

--several: `run --device cuda:0` and `--device cuda:all` take turns over the JPEG files, and over --in-memory PGM files (links to
50 of them) with run lengths in place of pictures; `times` is how much faster all were, `same_bytes` whether the folders are the
same, byte for byte. A run over one file on each is the cold start. With --tests FOLDER test_gpu_archive of it makes a
device fail in mid-run. Exit status 1 when bytes differ or that test fails.

Everything lies in a temporary folder (--work FOLDER: where; /dev/shm keeps the disk out of it). Standard library only.
"""
import argparse
import ctypes
import datetime
import filecmp
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

N_DRAWN = 50
QUALITY = 90
GRAY_PIXELS, GRAY_SAMPLES = 6, 3  # TJPF_GRAY, TJSAMP_GRAY
ROOT = pathlib.Path(__file__).resolve().parent.parent
RLE_ONLY = ("--overlays", "none", "--masks", "rle")


# ---- files


def read_png(path):
    """Width, height and pixels of an 8-bit grey PNG without filters, as sonoseg writes them."""
    data, at, packed, size = path.read_bytes(), 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    width, height = size
    rows, pitch = zlib.decompress(packed), width + 1
    if len(rows) != pitch * height or any(rows[y * pitch] for y in range(height)):
        sys.exit(f"archive_bench: {path}: is no grey PNG without filters")
    return width, height, b"".join(rows[y * pitch + 1 : (y + 1) * pitch] for y in range(height))


def open_turbojpeg(sonoseg):
    """The library that the command, or a library of it, was linked with."""
    listed = subprocess.run(["ldd", sonoseg], capture_output=True, text=True, check=True).stdout
    found = re.search(r"libturbojpeg\.so\S* => (\S+)", listed)
    if not found:
        sys.exit(f"archive_bench: {sonoseg} needs no libturbojpeg: pass --kind pgm")
    library = ctypes.CDLL(found.group(1))
    library.tjInitCompress.restype = ctypes.c_void_p
    library.tjFree.argtypes = [ctypes.c_void_p]
    library.tjCompress2.argtypes = [ctypes.c_void_p, ctypes.c_char_p] + [ctypes.c_int] * 4 + [
        ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_ulong)] + [ctypes.c_int] * 3
    return library


def pack_jpeg(library, width, height, pixels):
    handle = library.tjInitCompress()
    out, n_bytes = ctypes.c_void_p(), ctypes.c_ulong()
    if not handle or library.tjCompress2(handle, pixels, width, width, height, GRAY_PIXELS, ctypes.byref(out),
                                         ctypes.byref(n_bytes), GRAY_SAMPLES, QUALITY, 0):
        sys.exit("archive_bench: libturbojpeg cannot pack a picture")
    packed = ctypes.string_at(out, n_bytes.value)
    library.tjFree(out)
    library.tjDestroy(ctypes.c_void_p(handle))
    return packed


def draw(args, folder):
    """N_DRAWN phantoms as PGM files in folder/pgm; returns these as (width, height, pixels)."""
    (folder / "pgm").mkdir(parents=True)
    subprocess.run([args.sonoseg, "phantom", f"phantom:frames={N_DRAWN},size={args.size}", "--output", str(folder / "set"),
                    "--quiet"], check=True)
    drawn = [read_png(path) for path in sorted((folder / "set/images").iterdir())]
    for i, (width, height, pixels) in enumerate(drawn):
        (folder / f"pgm/{i:02d}.pgm").write_bytes(b"P5\n%d %d\n255\n" % (width, height) + pixels)
    return drawn


def write_jpegs(args, drawn, folder, n_frames):
    folder.mkdir()
    library = open_turbojpeg(args.sonoseg)
    packed = [pack_jpeg(library, *picture) for picture in drawn]
    for i in range(n_frames):
        picture = packed[i % N_DRAWN]
        comment = b"\xff\xfe" + struct.pack(">H", 10) + b"%08d" % i
        (folder / f"frame_{i:06d}.jpg").write_bytes(picture[:2] + comment + picture[2:])


def link_pgms(source, folder, n_frames):
    folder.mkdir()
    for i in range(n_frames):
        os.link(source / f"{i % N_DRAWN:02d}.pgm", folder / f"frame_{i:06d}.pgm")


def same(left, right):
    """Whether two folders hold the same files with the same bytes."""
    names = [sorted(str(path.relative_to(at)) for path in at.rglob("*") if path.is_file()) for at in (left, right)]
    return names[0] == names[1] and sorted(filecmp.cmpfiles(left, right, names[0], shallow=False)[0]) == names[0]


# ---- runs


def execute(command):
    """Output, seconds, CPU seconds and the largest memory in MB of a command; ends this script when it fails."""
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - begin
        out.seek(0)
        err.seek(0)
        if process.returncode:
            sys.exit(f"archive_bench: {' '.join(map(str, command))} ended with {process.returncode}\n{err.read()}")
        return out.read(), took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run(args, device, inputs, output, extra=()):
    command = [args.sonoseg, "run", "--device", device, "--input", inputs, "--output", output, "--no-times", *extra]
    for name in ("batch", "workers", "pipelines"):
        command += [f"--{name}", getattr(args, name)] if getattr(args, name) else []
    text, took_s, cpu_s, memory_mb = execute([*command, *args.extra])
    frames, visible = re.search(r"([0-9]+) frames?: ([0-9]+) VISIBLE", text).groups()
    by_pipeline = re.search(r"frames by pipeline: (.*)", text)
    return {"device": device, "frames_per_s": float(re.search(r"([0-9.]+) frames/s", text).group(1)),
            "frames": int(frames), "visible": int(visible), "wall_s": round(took_s, 3),
            "user_s": round(cpu_s / int(frames), 5), "peak_rss_mb": round(memory_mb, 1),
            "slowest": re.search(r"slowest part: (\w+)", text).group(1),
            "busy": {name: float(value) / 100
                     for name, value in re.findall(r"(reading|computing|writing) ([0-9]+) %", text)},
            "by_pipeline": by_pipeline.group(1) if by_pipeline else None}


def bench(args, device, batch, inputs, n_frames, work):
    report = work / "bench.json"
    command = [args.sonoseg, "bench", "--device", device, "--batch", batch, "--frames", max(n_frames // batch, 1) * batch,
               "--warmup", batch, "--json", report]
    _, took_s, cpu_s, memory_mb = execute(command + (["--input", inputs] if inputs else []))
    told = json.loads(report.read_text())
    return {"frames_per_s": told["frames_per_s"], "frames": told["frames"], "visible": told["frames"] - told["lost"],
            "wall_s": round(took_s, 3), "user_s": round(cpu_s / (told["frames"] + batch), 5),
            "peak_rss_mb": round(memory_mb, 1)}


def middle(turns):
    return sorted(turns, key=lambda turn: turn["frames_per_s"])[len(turns) // 2]


def measure_one(args, work):
    drawn = draw(args, work)
    if args.kind == "jpeg":
        write_jpegs(args, drawn, work / "in", args.frames)
    else:
        link_pgms(work / "pgm", work / "in", args.frames)
    is_cuda = args.device.startswith("cuda")
    batch = args.batch or (8 if is_cuda and args.frames >= 64 else 1)
    ours, engines = [], []
    for _ in range(args.rounds):
        engines.append(bench(args, args.device, batch, None if is_cuda else work / "pgm", min(args.frames, 4000), work))
        ours.append(run(args, args.device, work / "in", work / "out"))
        shutil.rmtree(work / "out")
    shares = [our["frames_per_s"] / engine["frames_per_s"] for our, engine in zip(ours, engines)]
    return {"frames": args.frames, "kind": args.kind, "size": args.size, "batch": batch, "rounds": args.rounds,
            "run": middle(ours), "engine": middle(engines), "shares": [round(share, 4) for share in shares],
            "share_of_engine": round(statistics.median(shares), 4),
            "user_share": round(statistics.median(engine["user_s"] for engine in engines) /
                                statistics.median(our["user_s"] for our in ours), 4)}


def compare(args, inputs, work, extra):
    """One GPU and all of them in turn."""
    turns = {"cuda:0": [], "cuda:all": []}
    is_same = True
    for _ in range(args.rounds):
        for device, runs in turns.items():
            runs.append(run(args, device, inputs, work / device.replace(":", "_"), extra))
        is_same &= same(work / "cuda_0", work / "cuda_all")
        shutil.rmtree(work / "cuda_0")
        shutil.rmtree(work / "cuda_all")
    times = [many["frames_per_s"] / one["frames_per_s"] for one, many in zip(*turns.values())]
    return {"one": middle(turns["cuda:0"]), "all": middle(turns["cuda:all"]), "times": round(statistics.median(times), 4),
            "turns": [round(value, 4) for value in times], "same_bytes": is_same}


def cold_start(args, inputs, work):
    """Seconds from start to end of a run over one frame, the second to the fourth time."""
    report = {}
    for device in ("cuda:0", "cuda:all"):
        took = [run(args, device, inputs, work / "cold")["wall_s"] for _ in range(4)]
        report[device] = round(statistics.median(took[1:]), 3)
    shutil.rmtree(work / "cold")
    return report


def fail_one(args):
    """test_gpu_archive: a call of one of two pipelines fails in mid-run."""
    program = args.tests / "test_gpu_archive"
    done = subprocess.run([program], capture_output=True, text=True, env=os.environ | {"SONO_TEST_BACKEND": "cuda",
                                                                                      "SONO_TEST_DEVICE": "cuda"})
    return {"passed": done.returncode == 0, "says": [line for line in done.stdout.splitlines() if " frames, " in line],
            "errors": done.stderr.splitlines()[-8:] if done.returncode else []}


def measure_several(args, work):
    drawn = draw(args, work)
    write_jpegs(args, drawn, work / "in", args.frames)
    link_pgms(work / "pgm", work / "memory", args.in_memory)
    link_pgms(work / "pgm", work / "single", 1)
    report = {"frames": args.frames, "frames_in_memory": args.in_memory, "size": args.size, "rounds": args.rounds,
              "cold_start_s": cold_start(args, work / "single", work),
              "jpeg": compare(args, work / "in", work, ()),
              "jpeg_rle": compare(args, work / "in", work, RLE_ONLY),
              "in_memory": compare(args, work / "memory", work, RLE_ONLY)}
    if args.tests:
        report["failing_device"] = fail_one(args)
    return report


# ---- report


def about():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.processor())
    gpus = []
    if shutil.which("nvidia-smi"):
        listed = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
        gpus = listed.stdout.split("\n")[:-1] if listed.returncode == 0 else []
    carried = ROOT / "carry/COMMIT"
    if carried.exists():
        commit = carried.read_text().strip()
    else:
        told = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
        commit = told.stdout.strip() or "unknown"
    return {"commit": commit, "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
            "machine": {"cpu": model, "cores": len(os.sched_getaffinity(0)), "gpus": gpus}}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sonoseg", default=str(ROOT / "build/release/bin/sonoseg"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--several", action="store_true", help="one GPU beside all of them")
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--in-memory", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=("jpeg", "pgm"), default="jpeg")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--pipelines", type=int, default=0)
    parser.add_argument("--tests", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--work", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also there")
    parser.add_argument("--extra", nargs=argparse.REMAINDER, default=[], help="further options of run; the last of these")
    return parser.parse_args()


def main():
    args = parse()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=args.work) as name:
        measured = (measure_several if args.several else measure_one)(args, pathlib.Path(name))
    report = about() | measured | {"extra": args.extra, "took_s": round(time.monotonic() - begin, 1)}
    text = json.dumps(report, indent=2) + "\n"
    sys.stdout.write(text)
    if args.json:
        args.json.write_text(text)
    are_same = all(part.get("same_bytes", True) and part.get("passed", True)
                   for part in report.values() if isinstance(part, dict))
    return 0 if are_same else 1


if __name__ == "__main__":
    sys.exit(main())
