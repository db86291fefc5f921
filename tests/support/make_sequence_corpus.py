#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the corpus of fuzz_sequence: small sequences of each kind, and some that are refused.

    tests/support/make_sequence_corpus.py tests/fuzz/corpus/fuzz_sequence
"""
import gzip
import pathlib
import sys
import zlib

PIXELS = bytes(range(60))
META = "ObjectType = Image\nNDims = 3\nBinaryDataByteOrderMSB = {}\nDimSize = 5 3 4\nElementType = {}\n"
FIELDS = ("UltrasoundImageOrientation = MFA\nRecordingStartTime = 1700000000.5\nDeviceName = Probe\n"
          "Seq_Frame0000_ImageToReferenceTransform = 1 0 0 0.5 0 1 0 -2e-3 0 0 1 0 0 0 0 1\n"
          "Seq_Frame0000_ImageToReferenceTransformStatus = OK\nSeq_Frame0000_Timestamp = 12.345678901\n"
          "Seq_Frame0002_ImageStatus = INVALID\nSeq_Frame0001_UnfilteredTimestamp = -1e-3\n"
          "Seq_Frame0003_SourceTimestamp = 65a0b1c2deadbeef\n")
LOCAL = "ElementDataFile = LOCAL\n"
NRRD = "NRRD0004\n# a comment\ntype: {}\ndimension: 3\nsizes: {}\nencoding: {}\nendian: {}\n"


def files():
    yield "plain.mha", META.format("False", "MET_UCHAR") + FIELDS + LOCAL, PIXELS
    yield "ours.mha", META.format("False", "MET_UCHAR") + FIELDS + ("RecordedBy = sonoseg 1\nSeq_Frame0000_A = %41%0A%0\n"
                                                                    "Seq_Frame0000_B = %25%\n") + LOCAL, PIXELS
    yield "zlib.mha", META.format("False", "MET_UCHAR") + "CompressedData = True\n" + LOCAL, zlib.compress(PIXELS)
    yield "sized.mha", (META.format("False", "MET_UCHAR") + "CompressedData = True\nCompressedDataSize = "
                        f"{len(zlib.compress(PIXELS))}   \n" + LOCAL), zlib.compress(PIXELS)
    yield "deep.mha", META.format("True", "MET_USHORT") + FIELDS + LOCAL, 2 * PIXELS
    yield "signed.mha", META.format("True", "MET_SHORT") + LOCAL, 2 * PIXELS
    yield "float.mha", META.format("False", "MET_FLOAT") + LOCAL, 4 * PIXELS
    yield "double.mha", META.format("False", "MET_DOUBLE") + "HeaderSize = -1\n" + LOCAL, 8 * PIXELS
    yield "colour.mha", META.format("False", "MET_UCHAR") + "ElementNumberOfChannels = 3\n" + LOCAL, 3 * PIXELS
    yield "four.mha", META.format("False", "MET_UCHAR") + "ElementNumberOfChannels = 4\n" + LOCAL, 4 * PIXELS
    yield "one.mha", "NDims = 2\nDimSize = 5 12\nElementSpacing = 0.5 0.25\nElementType = MET_UCHAR\n" + LOCAL, PIXELS
    yield "transforms.mha", ("NDims = 3\nDimSize = 1 1 2\nElementType = MET_UCHAR\n"
                             "Seq_Frame0001_Timestamp = 3\n" + LOCAL), b"\0\0"
    yield "nothing.mha", "NDims = 3\nDimSize = 0 0 2\nElementType = MET_UCHAR\n" + LOCAL, b""
    yield "beside.mhd", META.format("False", "MET_UCHAR") + "ElementDataFile = beside.raw\n", b""
    yield "cut.mha", META.format("False", "MET_UCHAR") + LOCAL, PIXELS[:40]
    yield "huge.mha", "NDims = 3\nDimSize = 60000 60000 2000000000\nElementType = MET_DOUBLE\n" + LOCAL, PIXELS
    yield "raw.nrrd", NRRD.format("uint8", "5 3 4", "raw", "little") + "byte skip: -1\n\n", b"more" + PIXELS
    yield "gzip.nrrd", (NRRD.format("uchar", "5 3 4", "gzip", "little") + "kinds: domain domain list\n"
                        "space directions: (0.1,0) (0,0.2) none\nultrasound image orientation:=UNA\n"
                        "Seq_Frame0001_Timestamp:=0.5\nSeq_Frame0001_Status:=OK\n\n"), gzip.compress(PIXELS, mtime=0)
    yield "short.nrrd", NRRD.format("int16", "5 3 4", "raw", "big") + "spacings: 0.1 NaN 1\n\n", 2 * PIXELS
    yield "vector.nrrd", NRRD.format("uint8", "3 5 4", "gz", "big") + "kinds: vector domain domain\n\n", \
        gzip.compress(PIXELS, mtime=0)
    yield "members.nrrd", NRRD.format("uint8", "5 3 4", "gz", "big") + "byte skip: 2\n\n", \
        gzip.compress(b"ab" + PIXELS[:30], mtime=0) + gzip.compress(PIXELS[30:], mtime=0)
    yield "detached.nhdr", NRRD.format("float", "5 3 4", "raw", "big") + "data file: beside.raw\n", b""
    yield "bomb.nrrd", NRRD.format("uint8", "5 3 4", "gz", "little") + "\n", gzip.compress(bytes(1 << 20), mtime=0)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, header, data in files():
        (folder / name).write_bytes(header.encode() + data)


if __name__ == "__main__":
    main()
