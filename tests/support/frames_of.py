# SPDX-License-Identifier: Apache-2.0
"""libsonoseg-io through ctypes, for tests that compare with other readers: the frames of a file as numpy arrays."""
import ctypes
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SONO_BUILD_DIR", ROOT / "build/release"))
PYTHON = ROOT / "build/venv/bin/python"
SKIPPED = 77
STATUS_END = 2
REFUSE, UNSEEN, KEEP = range(3)  # sono_burned_in


def need_venv():
    """Goes on in build/venv's Python; without it the test ends as skipped."""
    if not PYTHON.exists():
        print("Skipped: no build/venv (scripts/venv.sh makes it)")
        sys.exit(SKIPPED)
    if pathlib.Path(sys.prefix) != PYTHON.parents[1]:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("keep_colour", ctypes.c_int32), ("max_pixels", ctypes.c_int64),
                ("n_held", ctypes.c_int32), ("float_low", ctypes.c_double), ("float_high", ctypes.c_double),
                ("max_side_px", ctypes.c_int32), ("gray16_white", ctypes.c_int32), ("as_stored", ctypes.c_int32),
                ("pose_transform", ctypes.c_char_p), ("burned_in", ctypes.c_int32), ("wants_region", ctypes.c_int32)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("native_code", ctypes.c_int32), ("offset_bytes", ctypes.c_int64),
                ("where", ctypes.c_char * 64), ("text", ctypes.c_char * 512)]


class Image(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("pixels", ctypes.c_void_p), ("pitch_bytes", ctypes.c_size_t),
                ("width_px", ctypes.c_int32), ("height_px", ctypes.c_int32), ("format", ctypes.c_int),
                ("gray16_white", ctypes.c_int32)]


class Info(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("frame_id", ctypes.c_uint64), ("timestamp_ns", ctypes.c_int64),
                ("user", ctypes.c_uint64), ("spacing_mm", ctypes.c_double * 2),
                ("image_to_reference", ctypes.c_float * 12), ("has_pose", ctypes.c_int32),
                ("orientation", ctypes.c_int), ("coordinates", ctypes.c_int), ("reserved", ctypes.c_int32),
                ("device_name", ctypes.c_char * 64), ("region", ctypes.c_int32 * 4)]


class Refused(Exception):
    """A file or a frame that was not read; the text is the library's."""


class Frame:
    """pixels: array (rows, columns) or (rows, columns, 3); the rest as the library says it."""

    def __init__(self, image, info, name):
        import numpy  # only in build/venv
        channels = {1: 1, 2: 1, 3: 3, 4: 4}[image.format]
        dtype = numpy.dtype("uint16" if image.format == 2 else "uint8")
        row_bytes = image.width_px * channels * dtype.itemsize
        rows = [ctypes.string_at(image.pixels + y * image.pitch_bytes, row_bytes) for y in range(image.height_px)]
        shape = (image.height_px, image.width_px) + ((channels,) if channels > 1 else ())
        self.pixels = numpy.frombuffer(b"".join(rows), dtype).reshape(shape)
        self.white = image.gray16_white
        self.frame_id = info.frame_id
        self.timestamp_ns = info.timestamp_ns
        self.spacing_mm = tuple(info.spacing_mm)
        self.region = tuple(info.region)
        self.name = os.fsdecode(name)


class Library:
    def __init__(self):
        self.library = ctypes.CDLL(str(BUILD / "lib/libsonoseg-io.so"))
        self.library.sono_source_close.argtypes = [ctypes.c_void_p]
        self.library.sono_source_next.argtypes = [ctypes.c_void_p] * 5
        self.library.sono_source_open_files.argtypes = [ctypes.c_void_p, ctypes.c_int32] + [ctypes.c_void_p] * 3

    def frames(self, *paths, **options):
        """All frames of files or folders; raises Refused for the first that cannot be read."""
        return list(self.open(*paths, **options))

    def open(self, *paths, **options):
        """The same one by one; its close() closes the source."""
        given, error, source = Options(), Error(), ctypes.c_void_p()
        self.library.sono_source_options_init_sized(ctypes.byref(given), ctypes.c_size_t(ctypes.sizeof(given)))
        for key, value in options.items():
            setattr(given, key, value)
        array = (ctypes.c_char_p * len(paths))(*(os.fsencode(path) for path in paths))
        if self.library.sono_source_open_files(array, len(paths), ctypes.addressof(given), ctypes.addressof(source),
                                               ctypes.addressof(error)):
            raise Refused(error.text.decode(errors="replace"))
        try:
            yield from self._read(source, error)
        finally:
            self.library.sono_source_close(source)

    def _read(self, source, error):
        image, info, name = Image(), Info(), ctypes.c_char_p()
        while True:
            self.library.sono_image_init_sized(ctypes.byref(image), ctypes.c_size_t(ctypes.sizeof(image)))
            self.library.sono_frame_info_init_sized(ctypes.byref(info), ctypes.c_size_t(ctypes.sizeof(info)))
            status = self.library.sono_source_next(source, ctypes.addressof(image), ctypes.addressof(info),
                                                   ctypes.addressof(name), ctypes.addressof(error))
            if status == STATUS_END:
                return
            if status:
                raise Refused(error.text.decode(errors="replace"))
            yield Frame(image, info, name.value)
