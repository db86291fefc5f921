# SPDX-License-Identifier: Apache-2.0
"""Pipelines small enough for a test: networks at their smallest inputs, frames of the synthetic scanner."""
import os

import numpy as np
import pytest

import sonoseg

SIZE = (160, 128)
DEVICE = os.environ.get("SONO_TEST_DEVICE", "cpu")
SMALL = {"device": DEVICE, "detector_size": (256, 256), "max_size": SIZE, "threads": 1}
BOX = (10.0, 10.0, 120.0, 100.0)


def frames_of(n, **options):
    return list(sonoseg.phantom(n, size=SIZE, shape="arched", **options))


@pytest.fixture(scope="session")
def frame():
    return frames_of(1)[0]


@pytest.fixture
def boxes():
    """Detector alone: packets without masks, the fastest there is."""
    with sonoseg.Pipeline(segmenter=None, **SMALL) as pipeline:
        yield pipeline


@pytest.fixture
def outlines():
    """Segmenter alone, at its smallest: packets with all maps, for prompts."""
    with sonoseg.Pipeline(detector=None, device=DEVICE, segmenter_size=64, max_size=SIZE, threads=1, weight_maps=True,
                          slots=3, surface=False) as pipeline:
        yield pipeline


def outline(pipeline, image, **options):
    return pipeline(image, prompts=[(BOX, ())], **options)


@pytest.fixture(scope="session")
def full():
    """The shipped models as they are."""
    with sonoseg.Pipeline(device=DEVICE, weight_maps=True) as pipeline:
        yield pipeline


class Exporter:
    """A tensor of another framework: DLPack and no buffer. old: the protocol before 1.0."""

    def __init__(self, array, old=False):
        self.array = np.asarray(array)
        self.old = old
        self.asked = []

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        self.asked.append(options)
        if self.old and "max_version" in options:
            raise TypeError("no such argument")
        return self.array.__dlpack__(**options)
