#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pictures of the web page in docs/: page.png, page-dark.png, page-narrow.png, page-big.png, page-stale.png.

    scripts/page_pictures.py [FOLDER]

Frames are the synthetic scanner's, dimmed but for the true bone: the null engine outlines what is bright, so that the page can be
shown at full rate on any machine, with states that change. Needs build/release, Chromium and build/venv-page
(tests/live/page_browser.py).
"""
import pathlib
import signal
import socket
import struct
import sys
import threading
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/live"), str(ROOT / "tests/support")]

import page_browser

import live

RATE_HZ = 25
N_FRAMES = 1500 # a minute, then again
LOST = ((300, 345), (700, 712), (1100, 1190)) # frames in which nothing is bright
SWEEP = "phantom:seed=11,frames=150,sweep=150,rate=25"
RUNS_S = 150
SCALE = 0.75 # of the files, to keep them small


def unfilter(kind, row, above):
    """A row of a PNG of 8 bits grey, given the row above it."""
    left = upper_left = 0
    for x, up in enumerate(above):
        if kind == 4:
            guess = left + up - upper_left
            near = min((left, up, upper_left), key=lambda value: abs(guess - value)) # the first of equals, as PNG wants it
        else:
            near = (0, left, up, (left + up) // 2)[kind]
        row[x] = (row[x] + near) & 255
        left, upper_left = row[x], up
    return row


def read_png(path):
    """(width, height, pixels) of a PNG of 8 bits grey."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        n_bytes, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack(">IIBB", data[at + 8:at + 18])
            assert (bits, colour) == (8, 0), path
        packed += data[at + 8:at + 8 + n_bytes] if kind == b"IDAT" else b""
        at += 12 + n_bytes
    raw, rows = zlib.decompress(packed), [bytearray(width)]
    for y in range(height):
        start = y * (width + 1)
        rows.append(unfilter(raw[start], bytearray(raw[start + 1:start + 1 + width]), rows[-1]))
    return width, height, b"".join(rows[1:])


def make_frames(folder):
    run = live.run("phantom", SWEEP, "--output", folder / "set", "--quiet", timeout_s=300)
    assert run.returncode == 0, run
    sequence = folder / "sequence"
    sequence.mkdir()
    shown = []
    for path in sorted((folder / "set/images").glob("*.png")):
        width, height, pixels = read_png(path)
        mask = read_png(folder / "set/masks" / path.name)[2]
        head = f"P5\n{width} {height}\n255\n".encode()
        dim = [value * 49 // 100 for value in range(256)]
        bright = [min(255, 128 + value * 45 // 100) for value in range(256)]
        pair = (bytes(bright[value] if inside else dim[value] for value, inside in zip(pixels, mask)), bytes(dim[value] for value in pixels))
        names = []
        for name, data in zip(("with", "without"), pair):
            names.append(folder / f"{name}_{len(shown):04}.pgm")
            names[-1].write_bytes(head + data)
        shown.append(names)
    for i in range(N_FRAMES):
        there_and_back = i % (2 * len(shown))
        place = min(there_and_back, 2 * len(shown) - 1 - there_and_back)
        is_lost = any(begin <= i < end for begin, end in LOST)
        (sequence / f"{i:05}.pgm").symlink_to(shown[place][is_lost])
    return sequence


def drink(port):
    """A client that takes everything and looks at nothing."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(live.hello())
        while connection.recv(1 << 20):
            pass


def shoot(port, folder, source):
    page = page_browser.Page(port, 1600, 1000)
    time.sleep(RUNS_S)
    page.wait("a live picture", lambda: page.text("state-name") == "VISIBLE" and not page.is_old())
    page.picture(folder / "page.png", scale=SCALE)
    page.theme("dark")
    time.sleep(1.5)
    page.wait("a live picture", lambda: page.text("state-name") == "VISIBLE" and not page.is_old())
    page.picture(folder / "page-dark.png", scale=SCALE)
    page.click("big")
    time.sleep(0.5)
    page.picture(folder / "page-big.png", 1000, SCALE)
    page.click("big")
    page.theme("light")
    page.resize(430, 900)
    time.sleep(1.5)
    page.picture(folder / "page-narrow.png", 1500, SCALE)
    page.resize(1600, 1000)
    source.stop(signal.SIGKILL)
    page.wait("a fault", lambda: page.text("state-name") == "NO_SOURCE" or page.text("state-name") == "SOURCE_STALLED")
    time.sleep(1.5)
    page.picture(folder / "page-stale.png", 1000, SCALE)
    page.close()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs")
    source = live.replay(make_frames(live.folder()), "--rate", RATE_HZ, "--loop", "--quiet")
    service = live.serve(source.port, "--engine-kind", "null", "--web-listen", "127.0.0.1:0", "--source-backoff-max-ms", 300)
    port = int(service.wait_line(r"page: http://127.0.0.1:(\d+)/").group(1))
    for _ in range(2):
        threading.Thread(target=drink, args=(service.port,), daemon=True).start()
    shoot(port, folder, source)
    service.stop()


if __name__ == "__main__":
    main()
