#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow shared
"""Every sequence of the reference material read by us and by SimpleITK: the same pixels, sizes and types.

Also each kind of file that SimpleITK and pynrrd write. Says Skipped (77) without build/venv or ../shared.
"""
import ctypes
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SONO_BUILD_DIR", ROOT / "build/release"))
SHARED = pathlib.Path(os.environ.get("SONO_SHARED", ROOT.parent / "shared")) / "sequences"
PYTHON = ROOT / "build/venv/bin/python"
SKIPPED = 77

if not PYTHON.exists():
    print("Skipped: no build/venv (scripts/venv.sh makes it)")
    sys.exit(SKIPPED)
if pathlib.Path(sys.prefix) != PYTHON.parents[1]:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

import nrrd  # noqa: E402  (only in build/venv)
import numpy  # noqa: E402
import SimpleITK  # noqa: E402

ELEMENTS = {2: "int8", 3: "uint8", 4: "int16", 5: "uint16", 6: "int32", 7: "uint32", 10: "float32", 11: "float64"}
STATUS_END = 2
STRUCT_BYTES = 512  # more than the library knows of any of its structs


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("keep_colour", ctypes.c_int32), ("max_pixels", ctypes.c_int64),
                ("n_held", ctypes.c_int32), ("float_low", ctypes.c_double), ("float_high", ctypes.c_double),
                ("max_side_px", ctypes.c_int32), ("gray16_white", ctypes.c_int32), ("as_stored", ctypes.c_int32),
                ("pose_transform", ctypes.c_char_p)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("native_code", ctypes.c_int32), ("offset_bytes", ctypes.c_int64),
                ("where", ctypes.c_char * 64), ("text", ctypes.c_char * 512)]


class Samples(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("n_bytes", ctypes.c_size_t), ("width_px", ctypes.c_int32),
                ("height_px", ctypes.c_int32), ("element", ctypes.c_int), ("components", ctypes.c_int32)]


def load():
    library = ctypes.CDLL(str(BUILD / "lib/libsonoseg-io.so"))
    library.sono_source_close.argtypes = [ctypes.c_void_p]
    library.sono_source_next.argtypes = [ctypes.c_void_p] * 5
    library.sono_source_samples.argtypes = [ctypes.c_void_p] * 3
    return library


def read(library, path):
    """All frames of a sequence as one array (frames, rows, columns[, components])."""
    options, error, samples = Options(), Error(), Samples()
    source, name = ctypes.c_void_p(), ctypes.c_char_p()
    image, info = ctypes.create_string_buffer(STRUCT_BYTES), ctypes.create_string_buffer(STRUCT_BYTES)
    library.sono_source_options_init_sized(ctypes.byref(options), ctypes.c_size_t(ctypes.sizeof(options)))
    options.as_stored = 1
    status = library.sono_source_open_sequence(str(path).encode(), ctypes.byref(options), ctypes.byref(source),
                                               ctypes.byref(error))
    assert status == 0, error.text
    frames = []
    while True:
        library.sono_image_init_sized(image, ctypes.c_size_t(STRUCT_BYTES))
        library.sono_frame_info_init_sized(info, ctypes.c_size_t(STRUCT_BYTES))
        status = library.sono_source_next(source, ctypes.addressof(image), ctypes.addressof(info),
                                          ctypes.addressof(name), ctypes.addressof(error))
        if status == STATUS_END:
            break
        assert status == 0, error.text
        status = library.sono_source_samples(source, ctypes.addressof(samples), ctypes.addressof(error))
        assert status == 0, error.text
        if not samples.data:
            continue
        bytes_ = ctypes.string_at(samples.data, samples.n_bytes)
        shape = (samples.height_px, samples.width_px) + ((samples.components,) if samples.components > 1 else ())
        frames.append(numpy.frombuffer(bytes_, ELEMENTS[samples.element]).reshape(shape))
    library.sono_source_close(source)
    return numpy.stack(frames) if frames else None


def expect_same(library, path):
    image = SimpleITK.ReadImage(str(path))
    theirs = SimpleITK.GetArrayFromImage(image)
    ours = read(library, path)
    if ours is None:
        assert image.GetSize()[:2] == (1, 1), f"{path.name}: no image was read, SimpleITK has {image.GetSize()}"
        print(f"{path.name}: transforms alone")
        return
    if theirs.ndim == 3 and image.GetDimension() == 2 and ours.ndim == 3:
        theirs = numpy.moveaxis(theirs, -1, 0)  # ITK takes the frames of an NRRD "list" for components
    elif image.GetDimension() == 2:
        theirs = theirs[numpy.newaxis]  # one frame
    assert ours.shape == theirs.shape, f"{path.name}: {ours.shape}, SimpleITK has {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{path.name}: {ours.dtype}, SimpleITK has {theirs.dtype}"
    assert numpy.array_equal(ours, theirs), f"{path.name}: pixels differ from SimpleITK's"
    print(f"{path.name}: {ours.shape} {ours.dtype} equal")


def written_kinds(folder):
    """A file of each kind that SimpleITK writes: suffix, compression, element type, components."""
    random = numpy.random.default_rng(14)
    for dtype in ELEMENTS.values():
        values = random.integers(0, 100, (5, 17, 23)).astype(dtype)
        for suffix in ("mha", "mhd", "nrrd", "nhdr"):
            for packed in (False, True):
                path = folder / f"{dtype}_{packed}.{suffix}"
                SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path), packed)
                yield path
    for suffix in ("mha", "mhd", "nrrd", "nhdr"):
        for packed in (False, True):
            path = folder / f"flat_{packed}.{suffix}"
            values = random.integers(0, 255, (9, 11)).astype("uint8")
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path), packed)
            yield path
    for suffix in ("mha", "nrrd"):
        path = folder / f"colour.{suffix}"
        values = random.integers(0, 255, (4, 9, 11, 3)).astype("uint8")
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values, isVector=True), str(path), suffix == "mha")
        yield path


def expect_same_as_pynrrd(library, folder):
    """Files that pynrrd writes, and reads again: flat ones, volumes, both byte orders, detached and not."""
    random = numpy.random.default_rng(19)
    n = 0
    for dtype in list(ELEMENTS.values()) + [">u2", ">i2", ">f4", ">f8"]:
        for shape in ((13, 7), (13, 7, 4), (13, 7, 1, 4)):
            for encoding in ("raw", "gzip"):
                for detached in (False, True):
                    path = folder / f"{n}.{'nhdr' if detached else 'nrrd'}"
                    values = random.integers(0, 100, shape).astype(dtype)
                    nrrd.write(str(path), values, {"encoding": encoding}, detached_header=detached)
                    theirs, _ = nrrd.read(str(path))
                    theirs = numpy.transpose(theirs.reshape(13, 7, -1), (2, 1, 0))
                    ours = read(library, path)
                    assert numpy.array_equal(ours, theirs), f"{path.name}: {dtype} {shape} differs from pynrrd's"
                    n += 1
    for encoding in ("bzip2", "ASCII"):
        path = folder / f"{encoding}.nrrd"
        nrrd.write(str(path), random.integers(0, 100, (5, 4)).astype("uint8"), {"encoding": encoding})
        try:
            read(library, path)
        except AssertionError as error:
            assert b"raw and gzip" in error.args[0], error
        else:
            raise AssertionError(f"{path.name} was read")
    print(f"{n} files of pynrrd equal")


def main():
    library = load()
    with tempfile.TemporaryDirectory() as folder:
        expect_same_as_pynrrd(library, pathlib.Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        for path in written_kinds(pathlib.Path(folder)):
            expect_same(library, path)
    if not SHARED.is_dir():
        print(f"Skipped: {SHARED} is not there")
        sys.exit(SKIPPED)
    paths = sorted(path for path in SHARED.iterdir() if path.suffix in (".mha", ".nrrd"))
    assert len(paths) == 8, f"{SHARED} has {len(paths)} sequences, 8 are expected"
    for path in paths:
        expect_same(library, path)


if __name__ == "__main__":
    main()
