# SPDX-License-Identifier: Apache-2.0
"""The models that come with sonoseg, as files beside this one. README.md says what they are good for, and for what not."""

import pathlib

folder = pathlib.Path(__file__).parent
