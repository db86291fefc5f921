#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of fuzz_dicom: small DICOM files of each kind, and some that are refused. test_dicom.c reads them, too.

    tests/support/make_dicom_corpus.py tests/fuzz/corpus/fuzz_dicom

Pixel i of a file is (7 i + 3) mod 256; with 16 bits (257 i + 3) mod 4096. The JPEG is one grey level, 96, everywhere.
"""
import pathlib
import struct
import sys

COLUMNS, ROWS = 6, 4
UID = "1.2.840.10008.1.2"
EXPLICIT, IMPLICIT, BASELINE = f"{UID}.1", UID, f"{UID}.4.50"
LONG = {"OB", "OW", "SQ", "UN"}
UNDEFINED = 0xFFFFFFFF
# SOI, one table of ones, SOF0 of 6 x 4 grey, a DC and an AC code of one bit each, one block whose DC is -256 / 8 levels.
JPEG = (b"\xff\xd8\xff\xdb\x00\x43\x00" + b"\x01" * 64 + b"\xff\xc0\x00\x0b\x08\x00\x04\x00\x06\x01\x01\x11\x00"
        b"\xff\xc4\x00\x14\x00\x01" + b"\0" * 15 + b"\x09" + b"\xff\xc4\x00\x14\x10\x01" + b"\0" * 15 + b"\x00"
        b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x3f\xdf\xff\xd9")


def element(tag, vr, value, implicit=False, n_bytes=None):
    value += (b" " if vr in ("CS", "DS", "IS", "PN") else b"\0") * (len(value) % 2)
    n_bytes = len(value) if n_bytes is None else n_bytes
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if implicit:
        return head + struct.pack("<I", n_bytes) + value
    if vr in LONG:
        return head + vr.encode() + struct.pack("<HI", 0, n_bytes) + value
    return head + vr.encode() + struct.pack("<H", n_bytes) + value


def item(value, n_bytes=None):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value) if n_bytes is None else n_bytes) + value


def end(what):
    return struct.pack("<HHI", 0xFFFE, what, 0)


def region(corners, implicit, kind=1):
    parts = [(0x6012, "US", struct.pack("<H", kind)), (0x6014, "US", struct.pack("<H", kind))]
    parts += [(0x6018 + 2 * i, "UL", struct.pack("<I", corner)) for i, corner in enumerate(corners)]
    parts += [(0x6024, "US", struct.pack("<H", 3)), (0x6026, "US", struct.pack("<H", 3)),
              (0x602C, "FD", struct.pack("<d", 0.0125)), (0x602E, "FD", struct.pack("<d", -0.02))]
    return b"".join(element(0x00180000 | tag, vr, value, implicit) for tag, vr, value in parts)


def dicom(pixels, photometric="MONOCHROME2", syntax=EXPLICIT, corners=(1, 1, 4, 2), undefined=False, more=(), bits=8,
          fragments=None):
    """more: (tag, vr, bytes) beside the usual ones."""
    implicit = syntax == IMPLICIT
    n_samples = 1 if photometric.startswith("MONO") else 3
    numbers = {0x00280002: n_samples, 0x00280010: ROWS, 0x00280011: COLUMNS, 0x00280100: 16 if bits > 8 else 8,
               0x00280101: bits, 0x00280102: bits - 1, 0x00280103: 0}
    parts = {tag: ("US", struct.pack("<H", value)) for tag, value in numbers.items()}
    parts[0x00100010] = ("PN", b"Doe^Jane")
    parts[0x00280004] = ("CS", photometric.encode())
    parts.update({tag: (vr, value) for tag, vr, value in more})
    out = {tag: element(tag, vr, value, implicit) for tag, (vr, value) in parts.items()}
    if corners:
        one = region(corners, implicit)
        if undefined:
            content = item(one + end(0xE00D), UNDEFINED) + end(0xE0DD)
        else:
            content = item(one)
        out[0x00186011] = element(0x00186011, "SQ", content, implicit, UNDEFINED if undefined else None)
    if fragments is None:
        tail = element(0x7FE00010, "OW", pixels, implicit)
    else:
        content = item(b"") + b"".join(item(part + b"\0" * (len(part) % 2)) for part in fragments) + end(0xE0DD)
        tail = element(0x7FE00010, "OB", content, implicit, UNDEFINED)
    meta = element(0x00020010, "UI", syntax.encode())
    meta = element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta
    return b"\0" * 128 + b"DICM" + meta + b"".join(out[tag] for tag in sorted(out)) + tail


def bytes_of(n):
    return bytes((7 * i + 3) % 256 for i in range(n))


def files():
    n = COLUMNS * ROWS
    two = [(0x00280008, "IS", b"2")]
    yield "explicit", dicom(bytes_of(n))
    yield "implicit", dicom(bytes_of(2 * n), syntax=IMPLICIT, more=[*two, (0x00181063, "DS", b"33.333")])
    yield "open", dicom(bytes_of(n), undefined=True)
    yield "open_implicit", dicom(bytes_of(n), syntax=IMPLICIT, undefined=True)
    yield "negative", dicom(bytes_of(n), "MONOCHROME1")
    yield "deep", dicom(b"".join(struct.pack("<H", (257 * i + 3) % 4096) for i in range(n)), bits=12)
    yield "times", dicom(bytes_of(2 * n), more=[*two, (0x00181065, "DS", b"0\\40.5")])
    yield "rgb", dicom(bytes_of(3 * n), "RGB", more=[(0x00280006, "US", b"\0\0")])
    yield "planes", dicom(bytes_of(3 * n), "YBR_FULL", more=[(0x00280006, "US", b"\1\0")])
    yield "half", dicom(bytes_of(2 * n), "YBR_FULL_422")
    yield "jpeg", dicom(b"", syntax=BASELINE, fragments=[JPEG])
    yield "jpeg_pieces", dicom(b"", syntax=BASELINE, fragments=[JPEG[:50], JPEG[50:], JPEG], more=two)
    yield "bare", dicom(bytes_of(n), corners=None, more=[(0x00280030, "DS", b"0.2\\0.1")])
    yield "burned", dicom(bytes_of(n), more=[(0x00280301, "CS", b"YES")])
    yield "cut", dicom(bytes_of(n))[:-5]
    yield "huge", dicom(bytes_of(n), more=[(0x00280008, "IS", b"2147483647")])
    yield "lossless", dicom(b"", syntax=f"{UID}.4.70", fragments=[JPEG])
    deep = b""
    for _ in range(40):
        deep = element(0x00089215, "SQ", item(deep + end(0xE00D), UNDEFINED) + end(0xE0DD), False, UNDEFINED)
    whole = dicom(bytes_of(n))
    at = whole.index(b"\x10\x00\x10\x00PN")
    yield "nested", whole[:at] + deep + whole[at:]
    unknown = element(0x00090010, "UN", item(element(0x00080060, "CS", b"US", True) + end(0xE00D), UNDEFINED) +
                      end(0xE0DD), False, UNDEFINED)
    yield "unknown", whole[:at] + unknown + whole[at:]


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files():
        (folder / f"{name}.dcm").write_bytes(content)


if __name__ == "__main__":
    main()
