# SPDX-License-Identifier: Apache-2.0
"""For each sequence that is named, as SimpleITK reads it: "<frames> <CRC-32 of all pixels>". For build/venv's Python."""
import sys
import zlib

import SimpleITK

for path in sys.argv[1:]:
    image = SimpleITK.ReadImage(path)
    print(image.GetSize()[2], zlib.crc32(SimpleITK.GetArrayFromImage(image).tobytes()))
