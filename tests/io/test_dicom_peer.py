#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# labels: slow
"""DICOM files of every kind that is read, written by pydicom, read by us and by pydicom: the same pixels, times,
millimetres and regions; labels that lie about their pixels; what is refused, and why. Skipped (77) without build/venv.
"""
import hashlib
import io
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import frames_of  # noqa: E402

frames_of.need_venv()

import numpy  # noqa: E402  (only in build/venv)
import PIL.Image  # noqa: E402
import pydicom  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, JPEGLossless,  # noqa: E402
                         RLELossless, generate_uid)

ROWS, COLUMNS, FRAMES = 34, 46, 3
PATIENT = "Doe^Jane"


def grey_frames(n=FRAMES, dtype="uint8", white=255):
    """Speckle of all levels but near black and white, so that colour sums never leave the range."""
    random = numpy.random.default_rng(19)
    return random.integers(white // 8, white - white // 8, (n, ROWS, COLUMNS)).astype(dtype)


def colour_frames(n=FRAMES):
    """Grey but for a tenth of the columns, as colour Doppler is."""
    frames = numpy.repeat(grey_frames(n)[..., numpy.newaxis], 3, -1)
    frames[:, :, : COLUMNS // 10, 0] = 230
    frames[:, :, : COLUMNS // 10, 2] = 20
    return frames


def to_ybr(rgb):
    weights = numpy.array([[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]])
    return numpy.clip(numpy.rint(rgb @ weights.T + [0, 128, 128]), 0, 255).astype("uint8")


def luma(rgb):
    wide = rgb.astype("uint32")
    return (19595 * wide[..., 0] + 38470 * wide[..., 1] + 7471 * wide[..., 2] + 0x8000 >> 16).astype("uint8")


def region(x0, y0, x1, y1, **more):
    item = pydicom.Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = 0.0125, -0.02
    for key, value in more.items():
        setattr(item, key, value)
    return item


def dataset(pixels, photometric, syntax=ExplicitVRLittleEndian, n_frames=None, bits=None, **more):
    """A data set around bytes that are stored already."""
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.PatientName, made.PatientID, made.Modality = PATIENT, "4711", "US"
    made.StudyDate = "20200102"
    made.Rows, made.Columns = ROWS, COLUMNS
    made.SamplesPerPixel = 1 if photometric.startswith("MONO") else 3
    made.PhotometricInterpretation = photometric
    made.BitsAllocated = 16 if bits and bits > 8 else 8
    made.BitsStored, made.HighBit, made.PixelRepresentation = bits or 8, (bits or 8) - 1, 0
    if made.SamplesPerPixel == 3:
        made.PlanarConfiguration = 0
    if n_frames:
        made.NumberOfFrames = n_frames
    made.SequenceOfUltrasoundRegions = pydicom.Sequence([region(0, 0, COLUMNS - 1, ROWS - 1)])
    for key, value in more.items():
        if value is None:
            delattr(made, key)
        else:
            setattr(made, key, value)
    made.PixelData = pixels + b"\0" * (len(pixels) % 2)
    if syntax.is_encapsulated:
        made["PixelData"].is_undefined_length = True
        made["PixelData"].VR = "OB"
    else:
        made["PixelData"].VR = "OW" if made.BitsAllocated == 16 else "OB"
    return made


def jpegs(frames, mode, sampling, **options):
    out = []
    for frame in frames:
        stream = io.BytesIO()
        PIL.Image.fromarray(frame, mode).save(stream, "JPEG", quality=95, subsampling=sampling, **options)
        out.append(stream.getvalue())
    return out


def without_segments(jpeg, markers):
    """A JPEG without the segments of some markers: without JFIF's and Adobe's it says nothing of its colours."""
    out, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        n = 2 + int.from_bytes(jpeg[at + 2:at + 4], "big")
        out += b"" if jpeg[at + 1] in markers else jpeg[at:at + n]
        at += n
    return out + jpeg[at:]


class Checks:
    def __init__(self, folder):
        self.library, self.folder, self.n = frames_of.Library(), pathlib.Path(folder), 0

    def write(self, made, implicit=False):
        self.n += 1
        path = self.folder / f"{self.n:03d}_{PATIENT}.dcm"
        pydicom.dcmwrite(path, made, enforce_file_format=True, implicit_vr=implicit, little_endian=True)
        return path

    def read(self, path, **options):
        return self.library.frames(path, **options)

    def same(self, made, expected, implicit=False, **options):
        """Writes, reads, compares; pydicom must agree to the file's shape. Returns the frames."""
        path = self.write(made, implicit)
        pydicom.dcmread(path)
        frames = self.read(path, **options)
        assert len(frames) == len(expected), f"{len(frames)} frames, not {len(expected)}"
        for frame, wanted in zip(frames, expected):
            assert frame.pixels.dtype == wanted.dtype and frame.pixels.shape == wanted.shape, (frame.pixels.shape,
                                                                                              wanted.shape)
            assert numpy.array_equal(frame.pixels, wanted), numpy.abs(frame.pixels.astype(int) - wanted).max()
        return frames

    def refused(self, made, *words, **options):
        path = self.write(made)
        self.refused_file(path, *words, **options)

    def refused_file(self, path, *words, **options):
        try:
            self.read(path, **options)
        except frames_of.Refused as error:
            for word in (str(path), *words):
                assert word in str(error), f"{word!r} is not in: {error}"
            return
        raise AssertionError(f"{path} was read; expected: {words}")


def their_pixels(checks, made, implicit=False, **options):
    """pydicom's frames of a file, always with the axis of frames. raw: no colour is converted."""
    read = pydicom.dcmread(checks.write(made, implicit))
    array = pydicom.pixels.pixel_array(read, **options)
    return array if int(read.get("NumberOfFrames", 1)) > 1 else array[numpy.newaxis]


def check_grey(checks):
    for implicit in (False, True):
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        for n in (None, FRAMES):
            frames = grey_frames(n or 1)
            made = dataset(frames.tobytes(), "MONOCHROME2", syntax, n)
            checks.same(made, their_pixels(checks, made, implicit), implicit)
        negative = dataset(frames.tobytes(), "MONOCHROME1", syntax, FRAMES)
        checks.same(negative, 255 - their_pixels(checks, negative, implicit), implicit)
        for bits in (8, 10, 12, 16):
            white = 2**bits - 1
            deep = grey_frames(FRAMES, "uint16", white)
            made = dataset(deep.tobytes(), "MONOCHROME2", syntax, FRAMES, max(bits, 9), BitsStored=bits,
                           HighBit=bits - 1)
            for frame in checks.same(made, their_pixels(checks, made, implicit), implicit):
                assert frame.white == white, frame.white
            made.PhotometricInterpretation = "MONOCHROME1"
            checks.same(made, white - their_pixels(checks, made, implicit), implicit)


def check_colour(checks):
    rgb, ybr = colour_frames(), to_ybr(colour_frames())
    planes = rgb.transpose(0, 3, 1, 2).tobytes()
    for made in (dataset(rgb.tobytes(), "RGB", n_frames=FRAMES),
                 dataset(planes, "RGB", ImplicitVRLittleEndian, FRAMES, PlanarConfiguration=1)):
        theirs = their_pixels(checks, made, made.file_meta.TransferSyntaxUID.is_implicit_VR)
        checks.same(made, theirs, made.file_meta.TransferSyntaxUID.is_implicit_VR, keep_colour=1)
        checks.same(made, luma(theirs), made.file_meta.TransferSyntaxUID.is_implicit_VR)
    for made in (dataset(ybr.tobytes(), "YBR_FULL", n_frames=FRAMES),
                 dataset(ybr.transpose(0, 3, 1, 2).tobytes(), "YBR_FULL", n_frames=FRAMES, PlanarConfiguration=1)):
        checks.same(made, their_pixels(checks, made, raw=True)[..., 0])
        nearly(checks, made, their_pixels(checks, made))
    half = ybr.reshape(FRAMES, ROWS, COLUMNS // 2, 2, 3)
    stored = numpy.stack([half[..., 0, 0], half[..., 1, 0], half[..., 0, 1], half[..., 0, 2]], -1)
    made = dataset(stored.tobytes(), "YBR_FULL_422", n_frames=FRAMES)
    checks.same(made, their_pixels(checks, made, raw=True)[..., 0])
    nearly(checks, made, their_pixels(checks, made))


def nearly(checks, made, theirs):
    """RGB of Y Cb Cr: pydicom rounds floats, we round as libjpeg does."""
    for frame, wanted in zip(checks.read(checks.write(made), keep_colour=1), theirs):
        assert frame.pixels.shape == wanted.shape
        assert numpy.abs(frame.pixels.astype(int) - wanted).max() <= 1


def check_jpeg(checks):
    grey = jpegs(grey_frames(), "L", 0)
    made = dataset(encapsulate(grey), "MONOCHROME2", JPEGBaseline8Bit, FRAMES)
    checks.same(made, their_pixels(checks, made))
    made.PhotometricInterpretation = "MONOCHROME1"
    checks.same(made, 255 - their_pixels(checks, made))
    for sampling in (0, 1, 2):
        packed = jpegs(colour_frames(), "RGB", sampling)
        rgb = numpy.stack([numpy.asarray(PIL.Image.open(io.BytesIO(jpeg))) for jpeg in packed])
        made = dataset(encapsulate(packed), "YBR_FULL_422", JPEGBaseline8Bit, FRAMES)
        assert numpy.array_equal(their_pixels(checks, made), rgb), "pydicom and Pillow differ"
        checks.same(made, rgb, keep_colour=1)
        checks.same(made, their_pixels(checks, made, raw=True)[..., 0])
        # One frame in several fragments, with and without a table of offsets.
        for table in (True, False):
            pieces = encapsulate(packed, fragments_per_frame=3, has_bot=table)
            checks.same(dataset(pieces, "YBR_FULL_422", JPEGBaseline8Bit, FRAMES), rgb, keep_colour=1)


def check_labels(checks):
    """Each kind of pixels under each label, with and without markers in the JPEG: always the same picture."""
    rgb, ybr = colour_frames(), to_ybr(colour_frames())
    as_rgb = jpegs(rgb, "RGB", 0, keep_rgb=True)
    as_ybr = jpegs(rgb, "RGB", 0)
    for label in ("RGB", "YBR_FULL", "YBR_FULL_422"):
        checks.same(dataset(rgb.tobytes(), label, n_frames=FRAMES), rgb, keep_colour=1)
        checks.same(dataset(ybr.tobytes(), label, n_frames=FRAMES), ybr[..., 0])
        for packed in (as_rgb, as_ybr):
            wanted = numpy.stack([numpy.asarray(PIL.Image.open(io.BytesIO(jpeg))) for jpeg in packed])
            for markers in ((), (0xE0, 0xEE)):
                bare = [without_segments(jpeg, markers) for jpeg in packed]
                checks.same(dataset(encapsulate(bare), label, JPEGBaseline8Bit, FRAMES), wanted, keep_colour=1)
    # Pixels that tell nothing: the markers do, and without markers the label does.
    noise = numpy.random.default_rng(5).integers(0, 255, (1, ROWS, COLUMNS, 3)).astype("uint8")
    jpeg = jpegs(noise, "RGB", 0)[0]
    wanted = numpy.asarray(PIL.Image.open(io.BytesIO(jpeg)))[numpy.newaxis]
    bare = without_segments(jpeg, (0xE0, 0xEE))
    checks.same(dataset(encapsulate([jpeg]), "RGB", JPEGBaseline8Bit), wanted, keep_colour=1)
    checks.same(dataset(encapsulate([bare]), "YBR_FULL", JPEGBaseline8Bit), wanted, keep_colour=1)
    checks.same(dataset(noise.tobytes(), "RGB"), noise, keep_colour=1)
    checks.same(dataset(noise.tobytes(), "YBR_FULL"), noise[..., 0])


def check_facts(checks):
    pixels = grey_frames().tobytes()
    frames = checks.read(checks.write(dataset(pixels, "MONOCHROME2", n_frames=FRAMES, FrameTime="33.333")))
    assert [frame.timestamp_ns for frame in frames] == [0, 33333000, 66666000]
    assert [frame.frame_id for frame in frames] == [0, 1, 2]
    assert numpy.allclose(frames[0].spacing_mm, (0.125, 0.2), rtol=1e-12), frames[0].spacing_mm
    assert frames[0].region == (0, 0, 0, 0)
    vector = dataset(pixels, "MONOCHROME2", n_frames=FRAMES, FrameTimeVector=["0", "40.5", "1e1"], FrameTime="5")
    assert [frame.timestamp_ns for frame in checks.read(checks.write(vector))] == [0, 40500000, 50500000]
    rate = dataset(pixels, "MONOCHROME2", n_frames=FRAMES, CineRate="25")
    assert [frame.timestamp_ns for frame in checks.read(checks.write(rate))] == [0, 40000000, 80000000]
    path = checks.write(rate)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert [frame.name for frame in checks.read(path)] == [f"dicom_{digest}_f{i:04d}.dcm" for i in (1, 2, 3)]
    path = checks.write(dataset(grey_frames(1).tobytes(), "MONOCHROME2"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert checks.read(path)[0].name == f"dicom_{digest}.dcm"
    plain = dataset(pixels, "MONOCHROME2", n_frames=FRAMES, PixelSpacing=["0.3", "0.25"],
                    SequenceOfUltrasoundRegions=None)
    assert checks.read(checks.write(plain), burned_in=frames_of.UNSEEN)[0].spacing_mm == (0.25, 0.3)


def check_regions(checks):
    pixels = grey_frames()
    image, bar = region(5, 3, 24, 30), region(30, 2, 33, 20, RegionSpatialFormat=5, RegionDataType=13)
    outside = numpy.ones((ROWS, COLUMNS), bool)
    outside[3:31, 5:25] = outside[2:21, 30:34] = False
    blank = pixels.copy()
    blank[:, outside] = 0
    regions = pydicom.Sequence([bar, image])
    for implicit in (False, True):
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        for undefined in (False, True):
            made = dataset(pixels.tobytes(), "MONOCHROME2", syntax, FRAMES, SequenceOfUltrasoundRegions=regions)
            made["SequenceOfUltrasoundRegions"].is_undefined_length = undefined
            for item in regions:
                item.is_undefined_length_sequence_item = undefined
            checks.same(made, blank, implicit)
            checks.same(made, blank, implicit, burned_in=frames_of.UNSEEN)
            checks.same(made, pixels, implicit, burned_in=frames_of.KEEP)
            for frame in checks.same(made, blank, implicit, wants_region=1):
                assert frame.region == (5, 3, 20, 28), frame.region
    negative = dataset(pixels.tobytes(), "MONOCHROME1", n_frames=FRAMES, SequenceOfUltrasoundRegions=regions)
    checks.same(negative, numpy.where(outside, 0, 255 - pixels).astype("uint8"))
    colour = colour_frames()
    made = dataset(colour.tobytes(), "RGB", n_frames=FRAMES, SequenceOfUltrasoundRegions=regions)
    colour[:, outside] = 0
    checks.same(made, colour, keep_colour=1)
    # Two images of different scale: in the whole picture a pixel has no one size, in the main one it has.
    other = region(26, 3, 44, 30, PhysicalDeltaX=0.02)
    two = dataset(pixels.tobytes(), "MONOCHROME2", n_frames=FRAMES,
                  SequenceOfUltrasoundRegions=pydicom.Sequence([other, image]))
    assert checks.read(checks.write(two))[0].spacing_mm == (0, 0)
    frame = checks.read(checks.write(two), wants_region=1)[0]
    assert frame.region == (5, 3, 20, 28) and numpy.allclose(frame.spacing_mm, (0.125, 0.2), rtol=1e-12)
    # One that reaches beyond the image is cut to it, one that lies beyond is none.
    beyond = pydicom.Sequence([region(5, 3, 900, 30), region(200, 0, 210, 5)])
    frame = checks.read(checks.write(dataset(pixels.tobytes(), "MONOCHROME2", n_frames=FRAMES,
                                             SequenceOfUltrasoundRegions=beyond)), wants_region=1)[0]
    assert frame.region == (5, 3, COLUMNS - 5, 28), frame.region


def check_refused(checks):
    grey = grey_frames(1).tobytes()
    bare = dataset(grey, "MONOCHROME2", SequenceOfUltrasoundRegions=None)
    checks.refused(bare, "no ultrasound region", "--keep-burned-in", "--no-overlays")
    checks.same(bare, grey_frames(1), burned_in=frames_of.KEEP)
    checks.same(bare, grey_frames(1), burned_in=frames_of.UNSEEN)
    burned = dataset(grey, "MONOCHROME2", BurnedInAnnotation="YES")
    checks.refused(burned, "BurnedInAnnotation", "--keep-burned-in")
    checks.same(dataset(grey, "MONOCHROME2", BurnedInAnnotation="NO"), grey_frames(1))
    packed = encapsulate(jpegs(grey_frames(1), "L", 0))
    checks.refused(dataset(packed, "MONOCHROME2", JPEGLossless), "JPEG Lossless", "dcmdjpeg")
    checks.refused(dataset(packed, "MONOCHROME2", RLELossless), "RLE Lossless", "dcmdrle")
    unknown = checks.write(dataset(grey, "MONOCHROME2"))
    unknown.write_bytes(unknown.read_bytes().replace(ExplicitVRLittleEndian.encode(), b"1.2.840.10008.9.9.9"))
    checks.refused_file(unknown, "1.2.840.10008.9.9.9", "gdcmconv")
    checks.refused(dataset(grey, "MONOCHROME2", PixelRepresentation=1), "signed")
    checks.refused(dataset(grey, "MONOCHROME2", Rows=None), "Rows")
    checks.refused(dataset(grey, "MONOCHROME2", n_frames=2), "PixelData has 1564 bytes", "take 3128")
    checks.refused(dataset(grey + grey, "MONOCHROME2"), "more than the 1 frames")
    checks.refused(dataset(grey, "PALETTE COLOR", SamplesPerPixel=1), "PALETTE COLOR")
    checks.refused(dataset(grey, "MONOCHROME2", FrameTimeVector=["0", "1"]), "FrameTimeVector")
    checks.refused(dataset(packed, "MONOCHROME2", JPEGBaseline8Bit, 2), "1 fragments of pixels for 2 frames")
    checks.refused(dataset(packed, "MONOCHROME2", JPEGBaseline8Bit, Columns=48), "46 x 34", "48 x 34")
    checks.refused(dataset(grey, "MONOCHROME2"), "limit is", max_side_px=40)
    whole = checks.write(dataset(grey, "MONOCHROME2")).read_bytes()
    cut = checks.folder / "cut.dcm"
    for n in range(0, len(whole) - 1, 7):
        cut.write_bytes(whole[:n])
        checks.refused_file(cut)
    damaged = jpegs(grey_frames(2), "L", 0)
    damaged[0] = damaged[0][: len(damaged[0]) // 2]
    path = checks.write(dataset(encapsulate(damaged), "MONOCHROME2", JPEGBaseline8Bit, 2))
    checks.refused_file(path, "(frame 1)", "cut short")


def check_folder(checks):
    """DICOM files without a suffix in a folder, among images, as exported disks have them."""
    folder = checks.folder / "disk"
    folder.mkdir()
    frames = grey_frames(2)
    for i, frame in enumerate(frames):
        pydicom.dcmwrite(folder / f"IM_{i + 1}", dataset(frame.tobytes(), "MONOCHROME2"), enforce_file_format=True)
    PIL.Image.fromarray(frames[0]).save(folder / "a.png")
    read = checks.library.frames(folder)
    assert len(read) == 3 and [frame.frame_id for frame in read] == [0, 1, 2]
    assert sum(PATIENT in frame.name for frame in read) == 0
    assert numpy.array_equal(read[0].pixels, frames[0]) and numpy.array_equal(read[1].pixels, frames[1])


def main():
    with tempfile.TemporaryDirectory() as folder:
        checks = Checks(folder)
        for check in (check_grey, check_colour, check_jpeg, check_labels, check_facts, check_regions, check_refused,
                      check_folder):
            check(checks)
            print(f"{check.__name__}: passed")
        print(f"{checks.n} DICOM files")


if __name__ == "__main__":
    main()
