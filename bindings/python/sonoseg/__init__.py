# SPDX-License-Identifier: Apache-2.0
"""Find one structure in an ultrasound frame, outline it, and hand the outline on. Research use only: not a medical device.

    import sonoseg
    with sonoseg.Pipeline() as pipeline:
        for packet in pipeline.run(sonoseg.read("frames")):
            print(packet.state, packet.score, packet.mask.shape)

`docs/python.md` of the sources is the guide.
"""

from . import models
from ._core import backends as _backends
from ._core import version as __version__
from .errors import Error, InvalidArgument, Status
from .frames import Frame, Source, phantom, read
from .packet import Ledger, Object, Packet, State, Tensor
from .picture import encode_png
from .pipeline import Pipeline

backends: tuple[str, ...] = tuple(_backends.split())
"""The backends of this build: ("cpu",) or ("cpu", "cuda")."""

__all__ = ["Error", "Frame", "InvalidArgument", "Ledger", "Object", "Packet", "Pipeline", "Source", "State", "Status", "Tensor",
           "__version__", "backends", "encode_png", "models", "phantom", "read"]
