# SPDX-License-Identifier: Apache-2.0
"""The synthetic scanner of docs/phantom.md as tensors: batches of independent frames with their truth."""
from .generator import CHUNK_GPU, Phantom
from .ranges import DOCUMENTED, LINEAR_FORMATS, TRAINING, WIDE, WIDE_FORMATS, Format, Ranges

__all__ = ["CHUNK_GPU", "DOCUMENTED", "LINEAR_FORMATS", "TRAINING", "WIDE", "WIDE_FORMATS", "Format", "Phantom", "Ranges"]
