#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Frames a second of `sonoseg run` over many files, beside the engine's own rate, as JSON on standard output.

    scripts/gpu/archive_bench.py --device cuda --frames 5000
    scripts/gpu/archive_bench.py --device cuda:all --beside cuda:0 --frames 5000
    scripts/gpu/archive_bench.py --device cpu --frames 60 --extra --detector-only

Draws 50 phantoms of 640 x 480, makes JPEG files (cjpeg or Pillow; --images FOLDER takes a folder's files instead) or
PGM files of them, links these under as many names as frames are wanted, and runs over the links. `engine` is
`sonoseg bench` with the same batch, which neither reads nor writes files. With --beside the run is done on that device,
too: the files written must be the same, byte for byte, and `times` is how much faster the first one was. Everything lies
in a temporary folder (--work FOLDER: where; a file system in memory keeps the disk out of it). Standard library only.
"""
import argparse
import filecmp
import json
import os
import pathlib
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

N_DRAWN = 50
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def read_png(path):
    """Width, height and pixels of an 8-bit grey PNG without filters, as sonoseg writes them."""
    data, at, packed, size = path.read_bytes(), 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    rows = zlib.decompress(packed)
    width, height = size
    pitch = width + 1
    assert len(rows) == pitch * height and not any(rows[y * pitch] for y in range(height)), f"{path}: not as expected"
    return width, height, b"".join(rows[y * pitch + 1:(y + 1) * pitch] for y in range(height))


def write_jpeg(pgm, jpeg):
    if shutil.which("cjpeg"):
        subprocess.run(["cjpeg", "-quality", "90", "-outfile", str(jpeg), str(pgm)], check=True)
        return
    try:
        from PIL import Image
    except ImportError:
        sys.exit("archive_bench: no cjpeg and no Pillow to make JPEG files: pass --images FOLDER of JPEG files, or --kind pgm")
    Image.open(pgm).save(jpeg, quality=90)


def draw(args, folder):
    """Files that the links are made of."""
    if args.images:
        return sorted(path for path in args.images.iterdir() if path.is_file())
    folder.mkdir()
    subprocess.run([args.sonoseg, "phantom", f"phantom:frames={N_DRAWN},size=640x480", "--output", str(folder / "set"),
                    "--quiet"], check=True)
    files = []
    for png in sorted((folder / "set/images").iterdir()):
        width, height, pixels = read_png(png)
        pgm = folder / f"{png.stem}.pgm"
        pgm.write_bytes(b"P5\n%d %d\n255\n" % (width, height) + pixels)
        files.append(pgm)
        if args.kind == "jpeg":
            files[-1] = pgm.with_suffix(".jpg")
            write_jpeg(pgm, files[-1])
    return files


def link(files, folder, n_frames):
    folder.mkdir()
    for i in range(n_frames):
        source = files[i % len(files)]
        os.link(source, folder / f"frame_{i:06d}{source.suffix}")


def run(args, device, inputs, output):
    command = [args.sonoseg, "run", "--device", device, "--input", str(inputs), "--output", str(output), "--no-times",
               *args.extra]
    if args.batch:
        command += ["--batch", str(args.batch)]
    if args.workers:
        command += ["--workers", str(args.workers)]
    if args.pipelines > 1:
        command += ["--pipelines", str(args.pipelines)]
    done = subprocess.run(command, capture_output=True, text=True)
    sys.stderr.write(done.stderr)
    if done.returncode:
        sys.exit(f"archive_bench: {' '.join(command)} ended with {done.returncode}")
    rate = float(re.search(r"([0-9.]+) frames/s", done.stdout).group(1))
    share = {name: float(value) / 100 for name, value in re.findall(r"(reading|computing|writing) ([0-9]+) %", done.stdout)}
    pipelines = re.search(r"frames by pipeline: (.*)", done.stdout)
    return {"device": device, "frames_per_s": rate, "busy": share,
            "slowest": re.search(r"slowest part: (\w+)", done.stdout).group(1),
            "by_pipeline": pipelines.group(1) if pipelines else None,
            "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1)}


def bench(args, device, batch, work):
    report = work / "bench.json"
    first = "cuda:0" if device == "cuda:all" else device.split(",")[0]
    kept = [word for word in args.extra if word not in ("--no-overlays", "--no-masks")]
    n_frames = min(args.frames, 2000)
    if "--detector-only" in kept: # bench has no such option: its rate is not that of this run
        return None
    subprocess.run([args.sonoseg, "bench", "--device", first, "--batch", str(batch), "--frames",
                    str(n_frames // batch * batch or batch), "--json", str(report)], check=True, capture_output=True)
    return json.loads(report.read_text())["frames_per_s"]


def same(left, right):
    """Whether two folders hold the same files with the same bytes."""
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) for folder in (left, right)]
    return names[0] == names[1] and filecmp.cmpfiles(left, right, names[0], shallow=False)[0] == names[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sonoseg", default=str(ROOT / "build/release/bin/sonoseg"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--beside", metavar="DEVICE", help="also on this device: the same bytes, and how many times faster")
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--kind", choices=("jpeg", "pgm"), default="jpeg")
    parser.add_argument("--images", type=pathlib.Path, metavar="FOLDER", help="of files to link instead of phantoms")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--pipelines", type=int, default=1)
    parser.add_argument("--work", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--extra", nargs=argparse.REMAINDER, default=[], help="further options of run; the last of these")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.work) as name:
        work = pathlib.Path(name)
        if args.images: # links do not leave a file system
            copies = work / "images"
            shutil.copytree(args.images, copies)
            args.images = copies
        link(draw(args, work / "drawn"), work / "in", args.frames)
        report = run(args, args.device, work / "in", work / "out")
        batch = args.batch or (8 if args.device.startswith("cuda") and args.frames >= 64 else 1)
        engine = bench(args, args.device, batch, work)
        report |= {"frames": args.frames, "kind": "given" if args.images else args.kind, "batch": batch,
                   "cores": os.cpu_count(), "engine_frames_per_s": engine}
        if engine and not args.beside:
            report["share_of_engine"] = round(report["frames_per_s"] / engine, 4)
        if args.beside:
            report["beside"] = run(args, args.beside, work / "in", work / "beside")
            report["times"] = round(report["frames_per_s"] / report["beside"]["frames_per_s"], 4)
            report["same_bytes"] = same(work / "out", work / "beside")
    json.dump(report, sys.stdout, indent=2)
    print()
    return 0 if report.get("same_bytes", True) else 1


if __name__ == "__main__":
    sys.exit(main())
