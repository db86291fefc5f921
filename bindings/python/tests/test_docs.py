# SPDX-License-Identifier: Apache-2.0
"""The examples of the package and of docs/python.md do what they say, and the types hold."""
import doctest
import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

import sonoseg

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
GUIDE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "python.md"


@pytest.fixture
def frames_folder(tmp_path, monkeypatch):
    """frames/ with two pictures, in the current folder."""
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(sonoseg.phantom(2, size=(320, 256), seed=3, shape="arched")):
        (tmp_path / "frames" / f"{number}.png").write_bytes(sonoseg.encode_png(frame.pixels))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["sonoseg.frames", "sonoseg.pipeline"])
def test_docstrings(name, frames_folder):
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert tried and not failed


@pytest.mark.skipif(not GUIDE.is_file(), reason="no docs/python.md beside the tests")
def test_guide(frames_folder):
    # Fenced for readers; every `>>>` in it is run, in one session.
    text = re.sub(r"^```.*$", "", GUIDE.read_text(encoding="utf-8"), flags=re.M)
    test = doctest.DocTestParser().get_doctest(text, {}, "docs/python.md", str(GUIDE), 0)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test)
    assert runner.tries > 10 and not runner.failures


USE = """
import numpy as np
import sonoseg

with sonoseg.Pipeline(device="cpu", weight_maps=True) as pipeline:
    for packet in pipeline.run(sonoseg.read("frames")):
        reveal_type(packet.state)
        reveal_type(packet.score)
        reveal_type(packet.bbox_xyxy_px)
        reveal_type(packet.objects[0].mask_area_px)
pipeline.wait("soon")
sonoseg.read(5)
packet.map("depth")
"""


def test_types(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "use.py").write_text(USE)
    package = os.path.dirname(os.path.dirname(sonoseg.__file__))
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "c"),
                           "use.py"], cwd=tmp_path, env={**os.environ, "MYPYPATH": package if "site-packages" not in package else ""},
                          capture_output=True, text=True, check=False)
    said = done.stdout
    for wanted in ('"sonoseg.packet.State"', '"float"', '"tuple[float, float, float, float] | None"', '"int"'):
        assert f"Revealed type is {wanted}" in said.replace("builtins.", ""), said
    errors = [line for line in said.splitlines() if "error:" in line]
    assert len(errors) == 3 and all("arg-type" in line for line in errors), said


def test_the_package_holds_its_own_types():
    mypy = pytest.importorskip("mypy.api")
    said, failed, status = mypy.run(["--strict", "--python-version", "3.11", os.path.dirname(sonoseg.__file__)])
    assert status == 0, said + failed
