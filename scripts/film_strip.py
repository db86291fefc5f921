#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Joins what `sonoseg run` drew into one picture, in the order of the frames, each with its state and score below:

    build/plots/bin/python scripts/film_strip.py RUN_OUTPUT STRIP.png [--columns 8] [--width 180]

RUN_OUTPUT is the folder that `run --output` wrote. Needs scripts/plots-requirements.txt (see scripts/state_plots.py).
"""
import argparse
import json
import pathlib

from PIL import Image, ImageDraw

CAPTION_PX, GAP_PX = 14, 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("strip", type=pathlib.Path)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--width", type=int, default=180, help="of a frame, in pixels")
    options = parser.parse_args()
    frames = [json.loads(line) for line in (options.run / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    cells = []
    for frame in frames:
        with Image.open(options.run / "overlays" / (frame["stem"] + ".png")) as picture:
            height = round(picture.height * options.width / picture.width)
            cells.append((picture.convert("RGB").resize((options.width, height)), f"{frame['stem']} {frame['state']} {frame['score']:.2f}"))
    tall = max(picture.height for picture, _ in cells) + CAPTION_PX + GAP_PX
    n_rows = -(-len(cells) // options.columns)
    strip = Image.new("RGB", ((options.width + GAP_PX) * min(options.columns, len(cells)), tall * n_rows), "white")
    draw = ImageDraw.Draw(strip)
    for i, (picture, caption) in enumerate(cells):
        left, top = i % options.columns * (options.width + GAP_PX), i // options.columns * tall
        strip.paste(picture, (left, top))
        draw.text((left + 1, top + picture.height), caption, fill="black")
    strip.save(options.strip, optimize=True)


if __name__ == "__main__":
    main()
