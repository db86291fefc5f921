#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `sonoseg export` writes, read by the programs it is for: pycocotools, nibabel, pynrrd, SimpleITK.

Masks are drawn here and must come back pixel for pixel, with sizes, spacing, times and poses, from pictures and from
pycocotools' own run lengths. Says Skipped (77) without build/venv or the command.
"""
import contextlib
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND = os.environ.get("SONO_COMMAND", str(ROOT / "build/release/bin/sonoseg"))
PYTHON = ROOT / "build/venv/bin/python"
SKIPPED = 77

if not PYTHON.exists() or not os.access(COMMAND, os.X_OK):
    print("Skipped: no build/venv (scripts/venv.sh makes it), or no command")
    sys.exit(SKIPPED)
if pathlib.Path(sys.prefix) != PYTHON.parents[1]:
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

import nibabel  # noqa: E402  (only in build/venv)
import nrrd  # noqa: E402
import numpy  # noqa: E402
import SimpleITK  # noqa: E402
from pycocotools import mask as coco_mask  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402
from pycocotools.cocoeval import COCOeval  # noqa: E402

WIDTH, HEIGHT, N_FRAMES = 53, 37, 9
SPACING_MM, INTERVAL_S = (0.125, 0.25), 0.04


def draw():
    """Of each frame a list of masks, booleans [HEIGHT, WIDTH]: blobs, stripes, full, one pixel, none."""
    random = numpy.random.default_rng(19)
    rows, columns = numpy.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for frame in range(N_FRAMES - 4):
        objects = []
        for _ in range(1 + frame % 3):
            y, x, radius = random.integers(HEIGHT), random.integers(WIDTH), random.integers(3, 15)
            objects.append((rows - y) ** 2 + (columns - x) ** 2 * (1 + frame) / 3 < radius ** 2)
        frames.append(objects)
    one = numpy.zeros((HEIGHT, WIDTH), bool)
    one[-1, -1] = True
    return frames + [[random.random((HEIGHT, WIDTH)) < 0.5], [numpy.ones_like(one)], [one], [numpy.zeros_like(one)]]


def write_results(folder, frames, with_pictures):
    """A folder as `run` writes it; docs/sonoseg.1 says what is in a line."""
    (folder / "masks").mkdir(parents=True)
    lines = []
    for number, masks in enumerate(frames):
        objects = []
        for k, mask in enumerate(masks):
            rows, columns = numpy.nonzero(mask)
            box = [int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())] if mask.any() else None
            one = {"class_id": 0, "score": 0.9 - 0.1 * k, "bbox_xyxy_px": box, "iou_predicted": 0.5,
                   "mask_area_px": int(mask.sum())}
            if not with_pictures:
                packed = coco_mask.encode(numpy.asfortranarray(mask.astype("uint8")))
                one["mask_rle"] = {"size": packed["size"], "counts": packed["counts"].decode()}
            objects.append(one)
            if with_pictures:
                name = f"s{number}_obj{k}" if len(masks) > 1 else f"s{number}"
                picture = SimpleITK.GetImageFromArray(mask.astype("uint8") * 255)
                SimpleITK.WriteImage(picture, str(folder / f"masks/{name}.png"))
        line = {"schema": 1, "frame_id": 10 * number, "source": f"s{number}.png", "path": f"in/s{number}.png", "stem": f"s{number}",
                "timestamp_s": 100 + INTERVAL_S * number, "width_px": WIDTH, "height_px": HEIGHT,
                "state": "VISIBLE" if masks[0].any() else "LOST", **{k: v for k, v in objects[0].items() if k != "class_id"},
                "spacing_mm": SPACING_MM, "image_to_reference": [number + 0.5 * k for k in range(12)],
                "surface_px": [[[0, 1.5], [1, 2.25]], [[7, number]]] if masks[0].any() else []}
        if len(objects) > 1:
            line["objects"] = objects
        lines.append(json.dumps(line) + "\n")
    (folder / "results.jsonl").write_text("".join(lines), encoding="utf-8")


def export(results, output, *words):
    done = subprocess.run([COMMAND, "export", str(results), str(output), "-q", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done
    return str(output)


def labels_of(masks):
    """Pixels of object k are k + 1, the first of several counts."""
    out = numpy.zeros((HEIGHT, WIDTH), "uint8")
    for k in reversed(range(len(masks))):
        out[masks[k]] = k + 1
    return out


def check_coco(path, frames):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
    images = coco.loadImgs(coco.getImgIds())
    assert [image["file_name"] for image in images] == [f"s{number}.png" for number in range(N_FRAMES)]
    for image, masks in zip(images, frames):
        found = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        wanted = [mask for mask in masks if mask.any()]
        assert len(found) == len(wanted), image
        for annotation, mask in zip(found, wanted):
            assert numpy.array_equal(coco.annToMask(annotation), mask), f"{image}: another mask"
            packed = coco_mask.encode(numpy.asfortranarray(mask.astype("uint8")))
            assert annotation["segmentation"]["counts"] == packed["counts"].decode()
            assert annotation["area"] == int(coco_mask.area(packed)) == int(mask.sum())
            assert annotation["bbox"] == coco_mask.toBbox(packed).tolist()
    assert coco.loadCats(coco.getCatIds())[0]["name"] == "bone"
    with contextlib.redirect_stdout(io.StringIO()):  # it is truth and result in one
        judged = COCOeval(coco, coco.loadRes(coco.loadAnns(coco.getAnnIds())), "segm")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    assert judged.stats[0] > 0.999, judged.stats


def check_nifti(path, frames):
    image = nibabel.load(path)
    pixels = numpy.asarray(image.dataobj)
    assert pixels.shape == (WIDTH, HEIGHT, 1, N_FRAMES) and pixels.dtype == numpy.uint8
    for number, masks in enumerate(frames):
        assert numpy.array_equal(pixels[:, :, 0, number].T, labels_of(masks)), f"frame {number} differs"
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert numpy.allclose(image.header.get_zooms(), (*SPACING_MM, 1, INTERVAL_S))
    assert numpy.allclose(image.affine, numpy.diag([-SPACING_MM[0], -SPACING_MM[1], 1, 1]))
    assert numpy.allclose(image.header.get_qform(), image.affine)
    known = json.loads(image.header.extensions[0].get_content().rstrip(b"\0"))["frames"]
    assert [one["frame_id"] for one in known] == [10 * number for number in range(N_FRAMES)]
    assert known[3]["image_to_reference"] == [3 + 0.5 * k for k in range(12)] and known[3]["timestamp_s"] == 100.12
    again = SimpleITK.ReadImage(path)
    assert numpy.array_equal(SimpleITK.GetArrayFromImage(again)[:, 0], numpy.transpose(pixels[:, :, 0], (2, 1, 0)))
    assert numpy.allclose(again.GetSpacing()[:2], SPACING_MM) and numpy.allclose(again.GetDirection(), numpy.eye(4).ravel())


def check_nrrd(path, frames):
    pixels, header = nrrd.read(path)
    assert pixels.shape == (WIDTH, HEIGHT, N_FRAMES) and pixels.dtype == numpy.uint8
    for number, masks in enumerate(frames):
        assert numpy.array_equal(pixels[:, :, number].T, labels_of(masks)), f"frame {number} differs"
    assert numpy.allclose(header["spacings"], (*SPACING_MM, INTERVAL_S)) and header["units"] == ["mm", "mm", "s"]
    assert float(header["Seq_Frame0003_Timestamp"]) == 100.12 and header["Seq_Frame0003_Source"] == "s3.png"
    assert [float(word) for word in header["Seq_Frame0003_ImageToReferenceTransform"].split()] == \
        [3 + 0.5 * k for k in range(12)] + [0, 0, 0, 1]
    again = SimpleITK.ReadImage(path)
    assert numpy.array_equal(SimpleITK.GetArrayFromImage(again), numpy.transpose(pixels, (2, 1, 0)))
    assert numpy.allclose(again.GetSpacing(), (*SPACING_MM, INTERVAL_S))


def check_sequence(path, frames):
    image = SimpleITK.ReadImage(path)
    pixels = SimpleITK.GetArrayFromImage(image)
    for number, masks in enumerate(frames):
        assert numpy.array_equal(pixels[number], numpy.any(masks, axis=0) * numpy.uint8(255)), f"frame {number} differs"
    assert numpy.allclose(image.GetSpacing()[:2], SPACING_MM)


def check_csv(path):
    with open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * (N_FRAMES - 1)  # the last frame is LOST
    assert [float(rows[4][key]) for key in ("frame", "time_s", "line", "point")] == [10, 100.04, 0, 1]
    assert (float(rows[4]["x_mm"]), float(rows[4]["y_mm"])) == (0.125, 0.562) and rows[5]["line"] == "1"


def main():
    frames = draw()
    with tempfile.TemporaryDirectory() as name:
        for with_pictures in (True, False):
            folder = pathlib.Path(name) / str(with_pictures)
            write_results(folder, frames, with_pictures)
            check_coco(export(folder, folder / "a.json", "--category", "bone"), frames)
            check_nifti(export(folder, folder / "a.nii.gz"), frames)
            check_nrrd(export(folder, folder / "a.nrrd"), frames)
            check_sequence(export(folder, folder / "a.igs.mha"), frames)
            check_csv(export(folder, folder / "a.csv", "--spacing", "0.125,0.25"))
    print(f"{N_FRAMES} frames, {sum(map(len, frames))} masks: equal in COCO, NIfTI, NRRD and a sequence")


if __name__ == "__main__":
    main()
