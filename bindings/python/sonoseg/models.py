# SPDX-License-Identifier: Apache-2.0
"""Where the models that come with sonoseg are: the folder $SONO_MODELS, or the package sonoseg-models."""

from __future__ import annotations

import importlib.util
import os
import pathlib
from collections.abc import Iterator
from typing import Literal

_DETECTORS = {"cpu": ("dfine_n_bone.safetensors", "dfine_s_bone.safetensors"),
              "cuda": ("dfine_s_bone.safetensors", "dfine_n_bone.safetensors")}
_SEGMENTERS = ("mobile_sam_bone.safetensors",)


def _places() -> Iterator[pathlib.Path]:
    named = os.environ.get("SONO_MODELS")
    if named:
        yield pathlib.Path(named)
    package = importlib.util.find_spec("sonoseg_models")
    for place in (package.submodule_search_locations if package else None) or ():
        yield pathlib.Path(place)


def find(role: Literal["detector", "segmenter"], backend: Literal["cpu", "cuda"] = "cpu") -> pathlib.Path:
    """The shipped model for a role: on a CPU the small detector, on a GPU the larger one, where both are there.
    FileNotFoundError says where it was looked for."""
    names = _SEGMENTERS if role == "segmenter" else _DETECTORS[backend]
    places = list(_places())
    for place in places:
        for name in names:
            if (place / name).is_file():
                return place / name
    looked = ", ".join(str(place) for place in places) or "nowhere: $SONO_MODELS is not set"
    raise FileNotFoundError(f"no shipped {role} ({' or '.join(names)}): install the package sonoseg-models, set SONO_MODELS "
                            f"to a folder of models, or pass {role}=FILE; looked in {looked}")
