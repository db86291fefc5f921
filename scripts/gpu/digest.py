#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One hash of what a run found: boxes, scores, areas and every mask's bytes, in the order of results.jsonl.

    scripts/gpu/digest.py RUN_FOLDER...

Two runs with the same hash gave the same results to the bit. Times, devices and versions do not count. Standard
library only.
"""
import hashlib
import json
import os
import sys

KEYS = ("source", "state", "score", "bbox_xyxy_px", "iou_predicted", "mask_area_px")


def digest(folder):
    found = hashlib.sha256()
    with open(os.path.join(folder, "results.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            found.update(json.dumps([row[key] for key in KEYS]).encode())
            with open(os.path.join(folder, "masks", row["stem"] + ".png"), "rb") as mask:
                found.update(mask.read())
    return found.hexdigest()[:16]


def main():
    for folder in sys.argv[1:]:
        print(digest(folder), folder)
    return 0 if len(sys.argv) > 1 else 2


if __name__ == "__main__":
    sys.exit(main())
